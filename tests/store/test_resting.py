"""What the stores of one process share, and what one that rests gives back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from syncd.store import open_store
from syncd.store.files import _common
from tests.store.examples import Database


def descriptors(file: Path) -> int:
    """How many descriptors of this process are open on a database's files."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += str(each.readlink()) in {str(file), f"{file}-wal"}
    return found


def test_a_store_that_rests_goes_on_where_it_was(database: Database) -> None:
    """Resting takes neither the working right nor what was written; the next transaction works as if nothing had been."""
    store = database.open()
    with store.hold_lock():
        with store.writing() as tx:
            tx.set_meta("word", "one")
        store.rest()
        store.rest()
        with store.reading() as tx:
            assert tx.get_meta("word") == "one"
        with store.writing() as tx:
            tx.set_meta("word", "two")
        with store.reading() as tx:
            assert tx.get_meta("word") == "two"
    store.close()


def test_a_store_that_rests_is_open_nowhere(tmp_path: Path) -> None:
    """A file database of a resting store is not open in the process: it costs no memory, and what was written is in the one file."""
    store = open_store(f"sqlite:///{tmp_path}", "acme")
    with store.hold_lock(), store.writing() as tx:
        tx.set_meta("word", "one")
    file = tmp_path / "acme.db"
    assert descriptors(file) >= 2
    store.rest()
    assert descriptors(file) == 0
    assert not file.with_name("acme.db-wal").exists()
    assert file.stat().st_mode & 0o077 == 0
    store.close()


def test_a_statement_is_compiled_once_for_all_tenants(tmp_path: Path) -> None:
    """What one tenant's store has compiled serves the others; each still sees its own file."""
    stores = [open_store(f"sqlite:///{tmp_path}", name) for name in ("one", "two")]
    sizes = []
    for store in stores:
        with store.hold_lock(), store.writing() as tx:
            tx.set_meta("whose", store.tenant)
            assert tx.count_records("books") == 0
        sizes.append(len(_common()[1]))
    assert sizes[0] == sizes[1] > 0
    for store in stores:
        with store.reading() as tx:
            assert tx.get_meta("whose") == store.tenant
        store.close()
