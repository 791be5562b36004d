"""Starting and stopping the sandbox, and its Python interface.

One uvicorn server in a thread on two loopback sockets: the four systems with their side door, and the second host, a trap that only
notes who came. `start` returns once connections are accepted; `stop` ends open connections after a short grace.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import uvicorn

from syncd.sandbox.edge import Edge, Protocol
from syncd.sandbox.wire import Json, Row
from syncd.sandbox.world import World

START_SECONDS = 10.0
STOP_SECONDS = 5
KEEP_ALIVE_SECONDS = 75


class Sandbox:
    """The four simulated systems while they run. Use as a context manager, or call `stop`.

    base_urls, auth_urls: per provider, auth_urls is where tokens come from. credentials: per provider, by the names of the tenant's
    file. truth: which planted records are one party.
    """

    def __init__(self, world: World, host: str, port: int) -> None:
        self.world = world
        self.host = host
        listening = [socket.create_server((host, port), backlog=256), socket.create_server((host, 0), backlog=16)]
        self.port: int = listening[0].getsockname()[1]
        trap: int = listening[1].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        self.trap_url = f"http://{shown}:{trap}"
        self._edge: Edge | None = None

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if self._edge is None:
                self._edge = Edge(world, trap, self.trap_url)
            await self._edge(scope, receive, send)

        self._server = uvicorn.Server(
            uvicorn.Config(
                application, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
                date_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=STOP_SECONDS,
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._server.run, args=(listening,), name="syncd-sandbox", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                message = "the sandbox did not start"
                raise RuntimeError(message)
            time.sleep(0.005)

    def __enter__(self) -> Self:
        """The running sandbox itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """Refuse new connections, end the open ones, and wait for the thread."""
        if self._edge is not None:
            self._edge.close()
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 2)

    # ---------------------------------------------------------------- addresses

    @property
    def base_urls(self) -> dict[str, str]:
        """Base URL per provider, as a tenant's file wants it."""
        return {name: f"{self.url}{system.mount}" for name, system in self.world.systems.items()}

    @property
    def auth_urls(self) -> dict[str, str]:
        """Where tokens come from, per provider that issues any."""
        bases = self.base_urls
        return {
            "tiime": f"{self.url}/auth/oauth/token",
            "smartbills": f"{self.url}/connect/token",
            "flowtly": f"{bases['flowtly']}/login",
        }

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """User names, passwords and keys per provider."""
        return self.world.credentials

    @property
    def truth(self) -> list[dict[str, Any]]:
        """One entry per party: {party, name, records: {provider: [ids]}}."""
        return self.world.truth

    # ---------------------------------------------------------------- people at work

    def records(self, provider: str, table: str = "", form: str = "single") -> list[Row]:
        """All raw records of a system; see `World.records`."""
        return self.world.records(provider, table, form)

    def record(self, provider: str, row_id: str, table: str = "", form: str = "single") -> Row:
        """One raw record. Raises KeyError."""
        return next(row for row in self.records(provider, table, form) if str(row["id"]) == row_id)

    def create(self, provider: str, raw: Row, table: str = "") -> str:
        """A person creates a record in the system's own app; returns its id."""
        return str(self.world.act(provider, {"action": "create", "table": table, "raw": raw}))

    def edit(self, provider: str, row_id: str, raw: Row, table: str = "") -> None:
        """A person edits a record: native names, laid over what is there."""
        self.world.act(provider, {"action": "edit", "table": table, "id": row_id, "raw": raw})

    def delete(self, provider: str, row_id: str, table: str = "") -> None:
        """A person removes a record."""
        self.world.act(provider, {"action": "delete", "table": table, "id": row_id})

    def archive(self, provider: str, row_id: str, *, archived: bool = True) -> None:
        """A person archives a record, or takes it back."""
        self.world.act(provider, {"action": "archive", "id": row_id, "archived": archived})

    def merge(self, provider: str, winner: str, loser: str, style: str = "remove") -> str:
        """A person merges two records inside a system; returns the id that is left."""
        return str(self.world.act(provider, {"action": "merge", "winner": winner, "loser": loser, "style": style}))

    # ---------------------------------------------------------------- faults, switches, journal

    def fault(self, effect: str, **rule: Json) -> str:
        """Put a fault rule into force (see `syncd.sandbox.faults`); returns its name."""
        return self.world.add_fault({"effect": effect, **rule})

    def clear_faults(self) -> None:
        """No faults any more."""
        with self.world.lock:
            self.world.plan.clear()

    def switch(self, provider: str, **values: Json) -> None:
        """Set switches of one system, or of all with `*`."""
        self.world.switch(provider, values)

    def journal(self, provider: str = "", *, writes: bool = False) -> list[dict[str, Any]]:
        """Every request so far, of one system and only those that changed something where wanted."""
        return [
            entry
            for entry in self.world.entries()
            if provider in {"", entry["provider"]} and (entry["committed"] or not writes)
        ]

    def violations(self) -> list[dict[str, Any]]:
        """The requests that went against the documentation."""
        return [entry for entry in self.world.entries() if entry["violation"] is not None]

    def clear_journal(self) -> None:
        """Forget the requests so far; numbering goes on."""
        with self.world.lock:
            self.world.journal.clear()

    def state(self) -> dict[str, Any]:
        """Counts, writes and requests per system, faults, changes still to come."""
        return self.world.state()

    def expire_tokens(self, provider: str) -> None:
        """Every token that the system issued ends now."""
        with self.world.lock:
            self.world.systems[provider].revoke()

    def snapshot(self, name: str = "") -> str:
        """Keep all records under a name."""
        return self.world.snapshot(name)

    def restore(self, name: str = "seed") -> None:
        """Put all records back as they were; `seed` is the beginning."""
        self.world.restore(name)

    def settle(self, seconds: float = 10.0) -> bool:
        """Wait for changes of late commits; False where some are still to come."""
        deadline = time.monotonic() + seconds
        while self.world.late and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.world.late == 0

    def on_request(
        self, before: Callable[[int], None] | None = None, after: Callable[[int], None] | None = None
    ) -> None:
        """Call with each request's number just before, and just after, the system commits (reads too). They run on the server's thread."""
        self.world.before_commit, self.world.after_commit = before, after


def start(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    seed: int = 1,
    clients: int = 40,
    adversarial: bool = False,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    faults: list[dict[str, Any]] | None = None,
    clock: Callable[[], float] = time.time,
) -> Sandbox:
    """Start the sandbox in a thread; port 0 takes a free one. Raises ValueError for unknown switches and faults."""
    world = World(seed, clients, adversarial=adversarial, clock=clock)
    for provider, values in (switches or {}).items():
        world.switch(provider, values)
    for rule in faults or []:
        world.add_fault(rule)
    return Sandbox(world, host, port)


def serve(
    host: str = "127.0.0.1",
    port: int = 8500,
    *,
    seed: int = 1,
    clients: int = 40,
    adversarial: bool = False,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
    faults: list[dict[str, Any]] | None = None,
    ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Run the sandbox until SIGINT or SIGTERM; `ready` is called once it listens. For the main thread."""
    with (
        start(
            host, port, seed=seed, clients=clients, adversarial=adversarial, switches=switches, faults=faults
        ) as sandbox,
        _signals() as ended,
    ):
        if ready is not None:
            ready(sandbox)
        ended.wait()


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
