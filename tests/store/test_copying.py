"""A backup is one state of a store in a SQLite file, and goes back into either database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from syncd.core.model import UNKNOWN
from syncd.errors import StoreError
from syncd.store import AuditRow, Base, ChangeRow, copying, open_store, tables
from syncd.store.copying import LABEL
from tests.store.examples import NOON, a_client, a_conflict, a_hold, a_link, a_record, a_write


def fill(store) -> None:
    bases = {"phone": Base(seen="+331", agreed=None, before=UNKNOWN, written_at=NOON, writes=("y1",))}
    with store.writing() as tx:
        tx.new_ids("c", 7)
        tx.put_clients(
            [a_client("c1", fields={"name": "Zoë \U0001f600", "email": None, "notes": ["a"], "custom.x": 1})]
        )
        tx.put_clients([a_client("c2", merged_into="c1")])
        tx.put_records([a_record(raw={"n": 1.50, "deep": [None, {"x": "\0"}]})])
        tx.put_links([a_link(bases=bases)])
        tx.put_writes([a_write()])
        tx.add_conflicts([a_conflict(base=UNKNOWN)])
        tx.put_hold(a_hold())
        tx.add_changes([ChangeRow("g1", None, "c1", "name", "books", "1", UNKNOWN, None, "", NOON)])
        tx.add_audit([AuditRow(NOON, "typed", "anna", {"n": "x"}), AuditRow(NOON, "typed", "anna", {})])


def content(store) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but what tells one copy from another."""
    with store.reading() as tx:
        found = {
            table.name: sorted(map(tuple, tx.run(select(table))), key=repr) for table in tables.metadata.sorted_tables
        }
    found["meta"] = [row for row in found["meta"] if row[0] not in ("fence", LABEL)]
    return found


def test_every_row_comes_back(database, tmp_path: Path) -> None:
    """What is restored equals what was saved, on either database; numbers go on where they were, and the fence is the target's own."""
    file = tmp_path / "saved"
    with database.store() as store:
        fill(store)
        before = content(store)
        label = copying.backup(store, file, NOON)
        assert (label.tenant, label.at) == (database.tenant, NOON)
        with pytest.raises(StoreError, match="exists already"):
            copying.backup(store, file, NOON)
    with database.store() as store:
        with store.writing() as tx:
            tx.put_clients([a_client("c3")])
            tx.add_audit([AuditRow(NOON, "later", "anna", {})])
        with copying.opened(file) as (source, found), source.reading() as rows, store.writing() as tx:
            assert found == label
            mine = tx.get_meta("fence")
            copying.copy_rows(rows, tx)
            assert tx.get_meta("fence") == mine
        assert content(store) == before
        with store.writing() as tx:
            assert tx.new_ids("c", 1) == ["c8"]
            tx.add_audit([AuditRow(NOON, "after", "anna", {})])
            assert [row.kind for row in tx.audit()][-1] == "after"
            copying.raise_counters(tx, {"c": 5, "w": 9})
            assert (tx.new_ids("c", 1), tx.new_ids("w", 1)) == (["c9"], ["w10"])


def test_a_backup_is_one_file_that_another_database_takes(database, tmp_path: Path) -> None:
    """No write-ahead log lies beside it; a SQLite store takes a backup from PostgreSQL, too."""
    file = tmp_path / "saved"
    with database.store() as store:
        fill(store)
        before = content(store)
        copying.backup(store, file, NOON)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("saved")] == ["saved"]
    target = open_store(f"sqlite:///{tmp_path / 'elsewhere'}", "t", clock=lambda: NOON)
    with copying.opened(file) as (source, _), source.reading() as rows, target.writing(operator=True) as tx:
        copying.copy_rows(rows, tx)
    assert content(target) == before
    target.close()
