"""Which schema a store has, and bringing it up to the one this code knows.

The migrations lie in `migrations/` of a checkout and in `syncd/migrations/` of an installed package.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, Connection, Text, cast, column, delete, insert, inspect, select, table, update

from syncd.errors import StoreError
from syncd.store import tables
from syncd.store.dialects import Backend, translated

if TYPE_CHECKING:
    from alembic.config import Config

OLDEST_CODE: Final = "0003"
"""The oldest revision whose code can work with the schema that this code makes, so that workers can be replaced one after the other.

It stays as long as migrations only add what older code can ignore: tables, and columns that may be empty or have a default. A
migration that takes away or narrows raises it to its own number.
"""

OLDEST_CODE_KEY: Final = "oldest_code"
"""The key in `meta` under which a store tells it to older code."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""Alembic keeps its context in the module: two migrations in one process would run in each other's database."""


def migrations_folder() -> Path:
    """Where the migrations are."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    message = f"the migrations are neither in {package} nor beside it: syncd is not completely installed"
    raise StoreError(message)


@cache
def revisions() -> tuple[str, ...]:
    """Every revision, in order: the number with which the name of its file begins. Alembic itself takes long to load."""
    return tuple(sorted(path.name.partition("_")[0] for path in (migrations_folder() / "versions").glob("[0-9]*_*.py")))


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - a third of a second, and hardly ever needed

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The revision this code works with."""
    if not revisions():
        message = "there are no migrations: syncd is not completely installed"
        raise StoreError(message)
    return revisions()[-1]


def revision_of(backend: Backend) -> str | None:
    """The revision of a store, None where there is none yet."""
    if not backend.exists():
        return None
    with backend.reading() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(select(column("version_num")).select_from(table("alembic_version")))


def ensure(backend: Backend, *, upgrade: bool) -> None:
    """Have a store with the schema of this code, or StoreError. upgrade: whether it may be made or changed."""
    revision = revision_of(backend)
    if revision == head():
        return
    if _is_beside(backend, revision):
        return
    _refuse_unknown(backend, revision)
    if not upgrade:
        has = "has no schema" if revision is None else f"has schema {revision}"
        message = f"{backend.place} {has}, this syncd needs {head()}: run `syncd db upgrade`"
        raise StoreError(message)
    backend.prepare()
    with _ONE_AT_A_TIME, translated(backend.place), backend.migrating() as connection:
        before = _revision(connection)  # another process may have been first
        if before == head():
            return
        _refuse_unknown(backend, before)
        from alembic import command  # noqa: PLC0415 - see _config

        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if before is not None and before < OLDEST_CODE:
            _fence_off(connection)
        _tell_oldest(connection)


def _is_beside(backend: Backend, revision: str | None) -> bool:
    """Whether a newer syncd made this schema and left it fit for this one."""
    if revision is None or revision in revisions():
        return False
    with translated(backend.place), backend.reading() as connection:
        column = tables.meta.c
        oldest = connection.scalar(select(column.value).where(column.key == OLDEST_CODE_KEY))
    return oldest is not None and oldest <= head()


def _tell_oldest(connection: Connection) -> None:
    column = tables.meta.c
    connection.execute(delete(tables.meta).where(column.key == OLDEST_CODE_KEY))
    connection.execute(insert(tables.meta).values(key=OLDEST_CODE_KEY, value=OLDEST_CODE))


def _refuse_unknown(backend: Backend, revision: str | None) -> None:
    if revision is not None and revision not in revisions():
        message = (
            f"{backend.place} has schema {revision}, which is newer than this syncd ({head()}): install a newer syncd"
        )
        raise StoreError(message)


def _fence_off(connection: Connection) -> None:
    """A process that still works with the old schema must not write into the new one."""
    value = tables.meta.c.value
    raised = cast(cast(value, BigInteger) + 1, Text)
    connection.execute(update(tables.meta).where(tables.meta.c.key == tables.FENCE).values(value=raised))
