"""The composition root: one tenant's configuration becomes a store, its providers and an engine that works on them."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from syncd import providers
from syncd.config import ServiceConfig, TenantConfig
from syncd.core.model import Policy
from syncd.engine import Engine
from syncd.engine.listing import Listings
from syncd.engine.operate import Operator
from syncd.engine.pushing import Pushes
from syncd.engine.witness import Witness, notice
from syncd.errors import SyncdError
from syncd.store import Pool, Store, open_store, utc_now

if TYPE_CHECKING:
    from syncd.providers.http import Http
    from syncd.providers.pace import MakePacing


@dataclass(frozen=True, slots=True)
class Tenant:
    """Everything that belongs to one tenant; nothing of it is shared with another."""

    service: ServiceConfig
    config: TenantConfig
    store: Store
    providers: Mapping[str, providers.Provider]
    engine: Engine
    stop: threading.Event
    make_engine: Callable[[], Engine]
    doors: Mapping[str, Http] = field(default_factory=dict)
    """System -> its door to the network."""

    @property
    def name(self) -> str:
        """The tenant's name, which is its file's."""
        return self.config.name

    @property
    def policy(self) -> Policy:
        """The tenant's wishes."""
        return self.config.policy

    def operator(self, actor: str) -> Operator:
        """A person's hand on this tenant; see `syncd.engine.operate`."""
        return Operator(self.store, self.engine.clock, actor, self.policy.context)

    @contextmanager
    def working(self) -> Iterator[Callable[[], None]]:
        """The working right while the context lasts; StoreBusy where another process has it. Gives what is to be called after a cycle.

        An older state of the store than the one that was left is noticed here; see `syncd.engine.witness`.
        """
        witness = Witness(self.service.state_folder, self.name)
        clock = self.engine.clock
        with self.store.hold_lock():
            notice(self.store, witness.remembered(), clock())
            witness.keep(self.store, clock(), whole=True)
            try:
                yield lambda: witness.keep(self.store, clock())
            finally:
                self.engine.rest()
            witness.keep(self.store, clock(), whole=True)

    def afresh(self) -> Tenant:
        """The same tenant with an engine that knows nothing from before.

        Whoever takes the working right anew needs one: another process may have left writes under way in the meantime.
        """
        return replace(self, engine=self.make_engine())

    def close(self) -> None:
        """Stop what waits, release connections and the store."""
        self.stop.set()
        for provider in self.providers.values():
            with suppress(SyncdError):
                provider.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_tenant(
    service: ServiceConfig,
    config: TenantConfig,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
    upgrade: bool = True,
    pool: Pool | None = None,
    pace: Callable[[Store, providers.Settings], MakePacing] | None = None,
    push_seconds: float | None = None,
    wait_seconds: float | None = None,
    hurried: Callable[[], bool] = lambda: False,
) -> Tenant:
    """Put a tenant together. Opens its store (and brings its schema up to date unless told not to); makes no request.

    sleep: waits some seconds (default: until `stop` is set). pool: connections that are shared with other tenants.
    pace: what counts a system's requests (default: this process for itself). push_seconds: see `syncd.engine.Engine`. wait_seconds, hurried: see
    `syncd.engine.listing.Listings` and `syncd.engine.pushing.Pushes`; None: every cycle waits for everything. Raises StoreError, ConfigError.
    """
    stopping = stop or threading.Event()
    store = open_store(service.database, config.name, upgrade=upgrade, clock=clock, pool=pool)
    connected: dict[str, providers.Provider] = {}
    doors: dict[str, Http] = {}
    try:
        for settings in config.systems:
            made = connect(settings, stop=stopping, pace=pace(store, settings) if pace is not None else None)
            connected[settings.system], doors[settings.system] = made
    except BaseException:
        store.close()
        raise

    def make_engine() -> Engine:
        pushes, listings = _beside(store, clock, wait_seconds, hurried, stopping)
        return Engine(
            config.policy,
            store,
            connected,
            clock=clock,
            sleep=sleep or (lambda seconds: _wait(stopping, seconds)),
            stopped=stopping.is_set,
            push_seconds=push_seconds,
            listings=listings,
            pushes=pushes,
            keep_report=lambda systems: _keep_report(first_run_file(service, config.name), systems),
        )

    return Tenant(service, config, store, connected, make_engine(), stopping, make_engine, doors)


def _beside(
    store: Store,
    clock: Callable[[], datetime],
    seconds: float | None,
    hurried: Callable[[], bool],
    stopping: threading.Event,
) -> tuple[Pushes | None, Listings | None]:
    """What goes on beside the cycles of an engine, and how long they wait for it; nothing where every cycle waits for everything."""
    if seconds is None:
        return None, None

    pushes = Pushes(seconds=seconds, hurried=hurried, over=stopping.is_set)
    listings = Listings(
        store, clock, seconds=seconds, hurried=lambda: hurried() or pushes.any_ended, over=stopping.is_set
    )
    return pushes, listings


def first_run_file(service: ServiceConfig, tenant: str) -> Path | None:
    """Where the first run's report is kept beside the tenant's store; None with PostgreSQL, where the store has no folder."""
    folder = service.database.partition("sqlite:///")[2]
    return Path(folder) / f"{tenant}.first-run.json" if folder else None


def _keep_report(path: Path | None, systems: list[dict[str, Any]]) -> None:
    """Write the report into a file that only its owner reads; it is in the store, too, so that one that cannot be written is no fault."""
    if path is None:
        return
    with suppress(OSError):
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            os.fchmod(number, 0o600)
            json.dump({"systems": systems}, file, indent=2, default=str)


def connect(
    settings: providers.Settings, *, stop: threading.Event | None = None, pace: MakePacing | None = None
) -> tuple[providers.Provider, Http]:
    """The provider of one system, with its one door to the network."""
    from syncd.providers.http import Http  # noqa: PLC0415 - a third of a second that only what goes out needs

    made = providers.load(settings.provider)
    rate: float | None = getattr(made, "requests_per_second", None)
    counted: dict[str, Any] = {} if pace is None else {"pace": pace}
    http = Http(settings, made.default_base_url, requests_per_second=rate, stop=stop, **counted)
    provider: providers.Provider = made(settings, http)
    return provider, http


def _wait(stop: threading.Event, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        stop.wait(min(left, 1.0))
