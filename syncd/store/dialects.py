"""Everything but the forms of SQL in which SQLite and PostgreSQL differ: where a tenant lives, transactions, and locks.

SQLite: one file per tenant in one folder, WAL, every commit synced to disk before it counts, `BEGIN IMMEDIATE` to write
(a deferred transaction that turns into a writing one fails at once with "database is locked"). PostgreSQL: one schema
per tenant, found by `search_path`; writing transactions are put in a row by locking the fence (see `database.py`).
"""
# ruff: noqa: D102 - what the methods of Sqlite and Postgres promise is said once, in Backend

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from syncd.errors import Fenced, StoreBusy, StoreError
from syncd.store.files import engine_over
from syncd.store.pool import KEEPALIVE, LOCK_WAIT_SECONDS, Pool, arguments, driven
from syncd.store.versions import version_of

IDENTIFIER_LIMIT_BYTES: Final = 63
"""PostgreSQL cuts longer names silently."""


class Held(Protocol):
    """The exclusive working right, while it lasts."""

    def check(self) -> None:
        """Raise Fenced if the right was lost."""
        ...


class Backend(Protocol):
    """One tenant's place in one database."""

    place: str
    """Where that is, for messages; without a password."""

    def exists(self) -> bool:
        """Whether anything is there to be read."""
        ...

    def prepare(self) -> None:
        """Make the place (folder and file, or schema) if it is not there."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that cannot write and sees one state of the store."""
        ...

    def writing(self, *, lasting: bool = True) -> AbstractContextManager[Connection]:
        """A transaction that can write. lasting: its end waits until the disk has it, and all before it."""
        ...

    def migrating(self) -> AbstractContextManager[Connection]:
        """A transaction that changes the schema; one at a time."""
        ...

    def hold(self, tenant: str) -> AbstractContextManager[Held]:
        """The exclusive working right, or StoreBusy at once. It dies with the process."""
        ...

    def scrub(self) -> None:
        """Drop what deleted rows left behind in files."""
        ...

    def copy_file(self, file: Path) -> bool:
        """Copy one state of the database into a new SQLite file while others work on it; False where that cannot be done as a file."""
        ...

    def renumber(self, connection: Connection) -> None:
        """After rows were put with numbers of their own: have the next number of the audit trail follow the last."""
        ...

    def version(self) -> Hashable:
        """What is another one after every commit; None where that cannot be told now."""
        ...

    def rest(self) -> None:
        """Close the connections that nobody uses; the next transaction opens one."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


def backend(url: str, tenant: str, pool: Pool | None = None) -> Backend:
    """The tenant's place behind a database URL; nothing is opened or made yet. StoreError for other kinds of URL.

    pool: connections to the same PostgreSQL database that are shared with other tenants.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        message = "the database URL cannot be read; it is sqlite:///FOLDER or postgresql://..."
        raise StoreError(message) from None
    match parsed.drivername:
        case "sqlite":
            return Sqlite(parsed, tenant)
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return Postgres(parsed, tenant, pool)
        case other:
            message = f"databases of kind {other!r} are not supported; it is sqlite:///FOLDER or postgresql://..."
            raise StoreError(message)


def described(error: SQLAlchemyError) -> str:
    """What a database error is about, without the values it complains of."""
    origin = error.orig if isinstance(error, DBAPIError) else None
    if origin is None:
        return type(error).__name__
    diagnosis = getattr(origin, "diag", None)
    if diagnosis is None:
        return str(origin)
    kind = type(origin).__name__
    if diagnosis.sqlstate is None:
        return f"{kind}: {str(origin).strip().splitlines()[0]}" if str(origin).strip() else kind
    return f"{kind} ({diagnosis.sqlstate})" + (f" on {diagnosis.constraint_name}" if diagnosis.constraint_name else "")


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn database errors into StoreError, whose message and cause carry no value of any row."""
    try:
        yield
    except SQLAlchemyError as error:
        message = f"{place}: {described(error)}"
        raise StoreError(message) from None


@contextmanager
def _transaction(engine: Engine, place: str, **options: Any) -> Iterator[Connection]:
    with translated(place), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


class _FileHeld:
    """flock ends with the file descriptor, so the right cannot be lost while the process lives."""

    def check(self) -> None:
        """Nothing can have happened; the fence guards against a removed lock file."""


class Sqlite:
    """FOLDER/TENANT.db with its -wal and -shm, and FOLDER/TENANT.lock, readable by their owner only."""

    def __init__(self, url: URL, tenant: str) -> None:
        if not url.database or url.database == ":memory:" or url.query or url.host:
            message = "a SQLite database URL names a folder and nothing else: sqlite:///FOLDER"
            raise StoreError(message)
        self._folder = Path(url.database)
        self._file = self._folder / f"{tenant}.db"
        self._lock_file = self._folder / f"{tenant}.lock"
        self.place = str(self._file)
        self._engine = engine_over(self._file, keep=True)
        event.listen(self._engine, "connect", self._make_private)
        event.listen(self._engine, "connect", _sqlite_connect)
        event.listen(self._engine, "begin", _sqlite_begin)
        self._schema_engine = engine_over(self._file, keep=False)
        event.listen(self._schema_engine, "connect", _sqlite_connect_for_schema)
        event.listen(self._schema_engine, "begin", _sqlite_begin)

    def _make_private(self, _connection: object, _record: object) -> None:
        """A file that was restored from somewhere may have come with a mode of its own."""
        found = self._file.stat()
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            self._file.chmod(0o600)

    def exists(self) -> bool:
        return self._file.exists()

    def prepare(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private_file(self._file)
        except OSError as error:
            message = f"{self.place}: {error.strerror}"
            raise StoreError(message) from error

    def reading(self) -> AbstractContextManager[Connection]:
        return _transaction(self._engine, self.place, syncd_begin="READ")

    def writing(self, *, lasting: bool = True) -> AbstractContextManager[Connection]:
        return _transaction(self._engine, self.place, syncd_begin="WRITE" if lasting else "NOTE")

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with _transaction(self._schema_engine, self.place, syncd_begin="WRITE") as connection:
            yield connection
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                message = f"{self.place}: the migration would leave references to rows that do not exist"
                raise StoreError(message)

    @contextmanager
    def hold(self, tenant: str) -> Iterator[Held]:
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"{self._lock_file}: {error.strerror}"
            raise StoreError(message) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
                message = f"another syncd works on tenant {tenant}" + (f" (process {holder})" if holder else "")
                raise StoreBusy(message) from None
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield _FileHeld()
        finally:
            os.close(descriptor)

    def scrub(self) -> None:
        with translated(self.place), self._schema_engine.connect() as connection:  # begins no transaction
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
        if busy:
            message = (
                f"{self.place}: what was erased is still in the -wal file, because another process reads the store"
            )
            raise StoreError(message)

    def copy_file(self, file: Path) -> bool:
        # A connection with the mode of the file: what is copied is as private as the store.
        with translated(self.place), self._schema_engine.connect() as connection:
            source: Any = connection.connection.driver_connection
            _make_private_file(file)
            with closing(sqlite3.connect(file)) as target:
                source.backup(target)
        return True

    def renumber(self, connection: Connection) -> None:
        """SQLite takes the next number from the last."""

    def version(self) -> Hashable:
        return version_of((self._file, self._file.with_name(f"{self._file.name}-wal")))

    def rest(self) -> None:
        self._engine.dispose()

    def close(self) -> None:
        self._engine.dispose()
        self._schema_engine.dispose()


def _make_private_file(path: Path) -> None:
    """Make the file before SQLite would, with its own mode: -wal and -shm inherit it.

    An existing file must not be opened here: closing a descriptor drops SQLite's own locks on it in this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _sqlite_connect(connection: Any, _record: object) -> None:
    """Settings that SQLite forgets with the connection."""
    connection.isolation_level = None  # transactions begin in _sqlite_begin, not behind our back
    for pragma in (
        f"busy_timeout = {LOCK_WAIT_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",  # an intent must outlive a power cut that follows its commit
        "foreign_keys = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",
    ):
        _patiently(connection, f"PRAGMA {pragma}")


@retry(
    retry=retry_if_exception(lambda error: getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY),
    stop=stop_after_delay(LOCK_WAIT_SECONDS),
    wait=wait_random(0.005, 0.05),
    reraise=True,
)
def _patiently(connection: Any, statement: str) -> None:
    """Execute a statement; SQLite does not wait for others where a new file gets its journal, whatever `busy_timeout` says."""
    connection.execute(statement).close()


def _sqlite_connect_for_schema(connection: Any, record: object) -> None:
    """Without foreign keys: rebuilding a table drops the old one, which would empty the tables that refer to it."""
    _sqlite_connect(connection, record)
    connection.execute("PRAGMA foreign_keys = OFF").close()


def _sqlite_begin(connection: Connection) -> None:
    wanted = connection.get_execution_options().get("syncd_begin")
    if wanted is None:
        return
    _sqlite_set(connection, "query_only", "ON" if wanted == "READ" else "OFF")
    if wanted != "READ":
        _sqlite_set(connection, "synchronous", "NORMAL" if wanted == "NOTE" else "FULL")
    connection.exec_driver_sql("BEGIN" if wanted == "READ" else "BEGIN IMMEDIATE")


def _sqlite_set(connection: Connection, pragma: str, value: str) -> None:
    """A setting of a connection, which lasts from transaction to transaction, unless it is that already."""
    if connection.info.get(pragma) != value:
        connection.exec_driver_sql(f"PRAGMA {pragma} = {value}")
        connection.info[pragma] = value


class _SessionHeld:
    """A session-level advisory lock: it lasts as long as its connection."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant

    def check(self) -> None:
        """Ask over the connection that holds the lock."""
        try:
            self._connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError:
            message = f"the connection that held the working right on tenant {self._tenant} was lost"
            raise Fenced(message) from None


def schema_name(tenant: str) -> str:
    """`syncd_TENANT`; a name that had to be changed or cut carries a digest, so that tenants never share a schema."""
    name = "syncd_" + tenant.replace("-", "_")
    if "-" not in tenant and len(name) <= IDENTIFIER_LIMIT_BYTES:
        return name
    digest = hashlib.sha256(tenant.encode()).hexdigest()[:8]
    return f"{name[: IDENTIFIER_LIMIT_BYTES - 9]}_{digest}"


class Postgres:
    """One schema of a PostgreSQL database."""

    def __init__(self, url: URL, tenant: str, pool: Pool | None = None) -> None:
        self._schema = schema_name(tenant)
        self._shared = pool is not None
        url = driven(url)
        self.place = f"{url.set(password=None, query={}).render_as_string()} schema {self._schema}"
        if pool is not None:
            self._engine = self._schema_engine = self._work_engine = pool.engine
            return
        path = f"-csearch_path={self._schema}"
        plain = {"hide_parameters": True, "connect_args": arguments(url, path)}
        self._engine = create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED", **plain)
        self._schema_engine = create_engine(url, poolclass=NullPool, **plain)
        held = {"hide_parameters": True, "connect_args": arguments(url, path, *KEEPALIVE)}
        self._work_engine = create_engine(url, poolclass=NullPool, **held)

    @contextmanager
    def _transaction(self, engine: Engine, *, lasting: bool = True, **options: Any) -> Iterator[Connection]:
        """A transaction in this tenant's schema; a connection that tenants share is told each time which one."""
        settings = ([f"set_config('search_path', '\"{self._schema}\"', true)"] if self._shared else []) + (
            [] if lasting else ["set_config('synchronous_commit', 'off', true)"]
        )
        with _transaction(engine, self.place, **options) as connection:
            if settings:
                connection.exec_driver_sql(f"SELECT {', '.join(settings)}")
            yield connection

    def exists(self) -> bool:
        with self._transaction(self._schema_engine) as connection:
            return self._has_schema(connection)

    def _has_schema(self, connection: Connection) -> bool:
        found = connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": self._schema})
        return found.first() is not None

    def _key(self, purpose: str) -> int:
        """The number of an advisory lock of this schema, a signed 64-bit integer."""
        digest = hashlib.sha256(f"syncd {purpose} {self._schema}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def prepare(self) -> None:
        with self._transaction(self._schema_engine) as connection:
            connection.execute(select(func.pg_advisory_xact_lock(self._key("schema"))))
            if not self._has_schema(connection):
                connection.exec_driver_sql(f'CREATE SCHEMA "{self._schema}"')

    def reading(self) -> AbstractContextManager[Connection]:
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return self._transaction(self._engine, **options)

    def writing(self, *, lasting: bool = True) -> AbstractContextManager[Connection]:
        return self._transaction(self._engine, lasting=lasting)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self._transaction(self._schema_engine) as connection:
            connection.execute(select(func.pg_advisory_xact_lock(self._key("schema"))))
            yield connection

    @contextmanager
    def hold(self, tenant: str) -> Iterator[Held]:
        with translated(self.place):
            connection = self._work_engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = False
        try:
            with translated(self.place):
                taken = bool(connection.scalar(select(func.pg_try_advisory_lock(self._key("work")))))
                holder = None if taken else self._holder(connection)
            if not taken:
                message = f"another syncd works on tenant {tenant}" + (f" ({holder})" if holder else "")
                raise StoreBusy(message)
            yield _SessionHeld(connection, tenant)
        finally:
            self._let_go(connection, taken=taken)

    def _let_go(self, connection: Connection, *, taken: bool) -> None:
        """End the right: a connection of its own is closed; a shared one must not go back with the lock in its session."""
        with suppress(SQLAlchemyError):  # a lost connection has released the lock already
            if self._shared and taken:
                try:
                    connection.scalar(select(func.pg_advisory_unlock(self._key("work"))))
                except SQLAlchemyError:
                    connection.invalidate()
            connection.close()

    def _holder(self, connection: Connection) -> str | None:
        """The name under which the holder is connected, which ends in its process id."""
        key = self._key("work") % 2**64
        found = connection.execute(
            text(
                "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'"
                " AND granted AND classid::bigint = :high AND objid::bigint = :low AND objsubid = 1"
            ),
            {"high": key >> 32, "low": key % 2**32},
        )
        return found.scalar()

    def scrub(self) -> None:
        autocommit = self._schema_engine.execution_options(isolation_level="AUTOCOMMIT")
        with translated(self.place), autocommit.connect() as connection:
            listed = text("SELECT tablename FROM pg_tables WHERE schemaname = :name ORDER BY tablename")
            for (table,) in connection.execute(listed, {"name": self._schema}).all():
                connection.exec_driver_sql(f'VACUUM FULL "{self._schema}"."{table}"')

    def copy_file(self, file: Path) -> bool:
        del file
        return False

    def renumber(self, connection: Connection) -> None:
        table = f'"{self._schema}".audit'
        last = text(
            "SELECT setval(pg_get_serial_sequence(:name, 'seq'), COALESCE(MAX(seq), 1), MAX(seq) IS NOT NULL) FROM audit"
        )
        connection.execute(last, {"name": table})

    def version(self) -> Hashable:
        return None

    def rest(self) -> None:
        if not self._shared:
            self._engine.dispose()

    def close(self) -> None:
        if not self._shared:
            for engine in (self._engine, self._schema_engine, self._work_engine):
                engine.dispose()
