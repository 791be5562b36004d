"""Opening a store: schema, migrations, files, and what cannot be opened."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from syncd.errors import Fenced, StoreError
from syncd.store import current_revision, dialects, head_revision, open_store, schema, upgrade
from syncd.store.dialects import backend, schema_name
from syncd.store.tables import metadata
from tests.store.examples import Database, a_client, a_record

ROOT = Path(__file__).parents[2]


def test_upgraded_from_empty_equals_declared(database) -> None:
    """The migrations make exactly the tables, columns, keys and indexes that the code declares."""
    database.open().close()
    place = backend(database.url, database.tenant)
    with place.reading() as connection, warnings.catch_warnings():
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, metadata) == []
        assert declared_indexes() <= indexes(connection)
        assert options(connection) == declared_options(connection.dialect.name)
    place.close()


def options(connection) -> dict[str, list[str]]:
    """Table -> its storage options in PostgreSQL, which Alembic does not compare, of those that have any."""
    if connection.dialect.name == "sqlite":
        return {}
    found = connection.execute(
        text("SELECT relname, reloptions FROM pg_class WHERE relnamespace = to_regnamespace(current_schema())")
    )
    return {name: given for name, given in found if given}


def declared_options(dialect: str) -> dict[str, list[str]]:
    """The same as the code declares them."""
    if dialect == "sqlite":
        return {}
    given = {name: table.dialect_options[dialect]["with"] for name, table in metadata.tables.items()}
    return {name: [f"{key}={value}" for key, value in each.items()] for name, each in given.items() if each}


def indexes(connection) -> set[tuple[str, bool]]:
    """The names of the indexes there are, and whether they are partial, which Alembic does not compare."""
    queries = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
    }
    found = connection.execute(text(queries[connection.dialect.name]))
    return {(name, " WHERE " in sql) for name, sql in found}


def declared_indexes() -> set[tuple[str, bool]]:
    return {
        (index.name, index.dialect_options["sqlite"]["where"] is not None)
        for table in metadata.tables.values()
        for index in table.indexes
    }


def test_the_way_down_leaves_nothing(database) -> None:
    """The first migration can be taken back, and forth again."""
    database.open().close()
    place = backend(database.url, database.tenant)
    config = schema._config()
    with place.migrating() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert current_revision(database.url, database.tenant) is None
    place.close()
    with database.store() as store, store.writing() as tx:
        tx.put_clients([a_client()])


def test_revisions_are_read_from_the_names_of_their_files() -> None:
    """What the store finds without Alembic is what Alembic finds, in its order."""
    scripts = ScriptDirectory.from_config(schema._config())
    assert list(schema.revisions()) == [script.revision for script in scripts.walk_revisions()][::-1]
    assert schema.head() == scripts.get_current_head()


def test_the_revision_of_nothing_is_none_and_asking_makes_nothing(database) -> None:
    """Neither a folder nor a schema comes from asking."""
    assert current_revision(database.url, database.tenant) is None
    with pytest.raises(StoreError, match=f"has no schema, this syncd needs {head_revision()}"):
        database.open(upgrade=False)
    if database.kind == "sqlite":
        assert not Path(database.url.removeprefix("sqlite:///")).exists()
    assert upgrade(database.url, database.tenant) == head_revision()
    assert current_revision(database.url, database.tenant) == head_revision()
    database.open(upgrade=False).close()


def made_by_a_newer_syncd(database: Database, oldest: str) -> None:
    """Have a store look as a newer syncd leaves it, fit for code from `oldest` on."""
    store = database.open()
    with store.writing(operator=True) as tx:
        tx.run(text("UPDATE alembic_version SET version_num = '9999'"))
        tx.set_meta(schema.OLDEST_CODE_KEY, oldest)
    store.close()


def test_a_store_of_a_newer_syncd_is_not_touched(database) -> None:
    """A revision that leaves no room for older code is refused with what to do, with and without upgrading."""
    made_by_a_newer_syncd(database, "9999")
    for allowed in (True, False):
        with pytest.raises(StoreError, match="9999, which is newer than this syncd"):
            database.open(upgrade=allowed)
    assert current_revision(database.url, database.tenant) == "9999"


def test_a_store_that_a_newer_syncd_only_added_to_is_worked_with(database) -> None:
    """Where the newer schema says that this code can work with it, workers of both versions do, and the schema stays."""
    made_by_a_newer_syncd(database, head_revision())
    with database.store() as store, store.writing() as tx:
        tx.put_clients([a_client()])
    assert current_revision(database.url, database.tenant) == "9999"


def test_code_of_the_oldest_version_finds_everything_it_knows(database) -> None:
    """From the revision that OLDEST_CODE names to the newest, migrations only add what may be left out."""
    place = backend(database.url, database.tenant)
    place.prepare()
    config = schema._config()
    with place.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema.OLDEST_CODE)
        old = columns(connection)
        command.upgrade(config, "head")
        new = columns(connection)
    place.close()
    assert old.keys() <= new.keys()
    for name, known in old.items():
        assert known.keys() <= new[name].keys()
        assert {column: new[name][column] for column in known} == known, "a column was changed"
        added = {column: facts for column, facts in new[name].items() if column not in known}
        assert [column for column, (_, optional) in added.items() if not optional] == []


def columns(connection) -> dict[str, dict[str, tuple[str, bool]]]:
    """Table -> column -> its type, and whether a row may be written without it."""
    found = inspect(connection)
    return {
        name: {
            each["name"]: (str(each["type"]), each["nullable"] or each["default"] is not None)
            for each in found.get_columns(name)
        }
        for name in found.get_table_names()
    }


def test_a_migration_fences_off_whoever_works_with_the_old_schema(database) -> None:
    """After an upgrade by another process, the old one cannot write."""
    with database.store() as old:
        place = backend(database.url, database.tenant)
        with place.migrating() as connection:
            schema._fence_off(connection)
        place.close()
        with pytest.raises(Fenced), old.writing():
            pass


def test_many_processes_may_open_a_new_store_at_once(database) -> None:
    """Three processes that begin at the same time all get the same, complete store."""
    code = "import sys; from syncd.store import open_store; open_store(sys.argv[1], sys.argv[2]).close()"
    command_line = [sys.executable, "-c", code, database.url, database.tenant]
    processes = [subprocess.Popen(command_line, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 3
    with database.store() as store, store.reading() as tx:
        assert tx.clients() == []


def test_new_files_get_their_journals_although_several_ask_for_them_at_once(tmp_path) -> None:
    """Commands at once on a store that is not there yet: who is late waits, and is not told that the database is locked."""
    refused: list[str] = []

    def connect(file: Path, together: threading.Barrier) -> None:
        with closing(sqlite3.connect(file)) as connection:
            together.wait(30)
            try:
                dialects._sqlite_connect(connection, None)
            except sqlite3.OperationalError as error:
                refused.append(str(error))

    for number in range(60):
        together = threading.Barrier(4)
        files = [tmp_path / f"{number}.db"] * 4
        threads = [threading.Thread(target=connect, args=(file, together)) for file in files]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert refused == []


def test_files_are_their_owners_only(tmp_path) -> None:
    """Folder 0700, every file in it 0600, whatever the umask and whatever they were before."""
    before = os.umask(0)
    try:
        database = Database("sqlite", f"sqlite:///{tmp_path / 'deep' / 'state'}", "acme")
        with database.store() as store, store.writing() as tx:
            tx.put_clients([a_client()])
            assert modes(tmp_path / "deep" / "state") == {
                "acme.db": "0o600",
                "acme.db-shm": "0o600",
                "acme.db-wal": "0o600",
                "acme.lock": "0o600",
            }
        (tmp_path / "deep" / "state" / "acme.db").chmod(0o644)
        database.open().close()
    finally:
        os.umask(before)
    assert modes(tmp_path / "deep" / "state")["acme.db"] == "0o600"
    assert oct(stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode)) == "0o700"


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}


def test_sqlite_keeps_every_promise_with_each_connection(tmp_path) -> None:
    """WAL, a sync at each commit, foreign keys, deleted bytes overwritten: asked of a connection of the pool."""
    with Database("sqlite", f"sqlite:///{tmp_path}", "acme").store() as store, store.reading() as tx:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        assert [tx.run(text(f"PRAGMA {name}")).scalar() for name in names] == ["wal", 2, 1, 1, 30_000]


def test_only_what_may_be_lost_with_the_power_does_not_wait_for_the_disk(database) -> None:
    """A transaction that says so ends without waiting; every other one waits, whatever its connection did before, also after a failure."""
    asked = {"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}[database.kind]
    waits = {"sqlite": 2, "postgresql": "on"}[database.kind]
    passing = {"sqlite": 1, "postgresql": "off"}[database.kind]
    with database.store() as store:
        for lasting in (True, False, False, True):
            with store.writing(lasting=lasting) as tx:
                assert tx.run(text(asked)).scalar() == (waits if lasting else passing)
        with pytest.raises(ZeroDivisionError), store.writing(lasting=False) as tx:
            raise ZeroDivisionError
        with store.writing() as tx:
            assert tx.run(text(asked)).scalar() == waits


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:hunter2@127.0.0.1:1/nothing",
        "postgresql://anna:hunter2@127.0.0.1:1/nothing?connect_timeout=oops",
        "postgresql://anna:hunter2@127.0.0.1:none/nothing",
        "mysql://anna:hunter2@localhost/x",
        "sqlite:///:memory:",
        "sqlite://",
        "sqlite:////proc/nowhere",
        "hunter2",
        "",
    ],
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(url) -> None:
    """Every unusable URL is a StoreError, and neither its message nor its cause has the password."""
    with pytest.raises(StoreError) as caught:
        open_store(url, "acme")
    assert "hunter2" not in f"{caught.value!s} {caught.value.__cause__!s}"


def test_a_file_that_is_no_database_is_a_store_error(tmp_path) -> None:
    """A foreign file under the store's name is refused and left as it is."""
    (tmp_path / "acme.db").write_bytes(b"this is a letter, and a long one, not a database at all" * 50)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{tmp_path}", "acme")
    assert (tmp_path / "acme.db").read_bytes().startswith(b"this is a letter")


def test_tenants_never_share_a_schema() -> None:
    """Names that PostgreSQL would cut or that differ in a hyphen have schemas of their own, none longer than 63 bytes."""
    tenants = ["acme", "a-b", "a_b", "x" * 57, "x" * 58, "x" * 63, "x" * 62 + "-"]
    names = [schema_name(tenant) for tenant in tenants]
    assert len(set(names)) == len(tenants)
    assert all(len(name) <= 63 for name in names)
    assert names[0] == "syncd_acme"


def test_the_migrations_are_found(tmp_path, monkeypatch) -> None:
    """They are looked for inside the package first, then beside it; without them syncd says that it is incomplete."""
    assert (schema.migrations_folder() / "env.py").is_file()
    monkeypatch.setattr(schema, "__file__", str(tmp_path / "syncd" / "store" / "schema.py"))
    with pytest.raises(StoreError, match="not completely installed"):
        schema.migrations_folder()
    for folder in (tmp_path / "migrations", tmp_path / "syncd" / "migrations"):
        folder.mkdir(parents=True)
        (folder / "env.py").touch()
        assert schema.migrations_folder() == folder


def test_what_records_said_is_kept_by_the_migration_that_moves_it(database) -> None:
    """A record that was stored by the first schema reads the same afterwards, and again after the way back and forth."""
    place = backend(database.url, database.tenant)
    place.prepare()
    config = schema._config()
    row = {"system": "books", "external_id": "1", "raw": '{"id":1}', "children": None, "fields": '{"name":"Acme"}'}
    row |= {"memory": "{}", "digest": "d1", "state": "present", "gone_count": 0, "walk": "p1"}
    row |= dict.fromkeys(("first_seen_at", "seen_at", "changed_at", "observed_at"), "2026-11-21T12:00:00.123456Z")
    names = ", ".join(row)
    with place.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text(f"INSERT INTO records ({names}) VALUES (:{', :'.join(row)})"), row)
        command.upgrade(config, "head")
        command.downgrade(config, "0001")
        command.upgrade(config, "head")
    place.close()
    with database.store() as store, store.reading() as tx:
        assert tx.records("books", ["1"]) == {"1": a_record(raw={"id": 1})}
        assert tx.page_digests("books") == {}
