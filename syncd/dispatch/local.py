"""One lane (thread) per tenant in this process: what is slow or broken in one tenant delays no other.

A lane that cannot start (its store is busy, or cannot be opened) says so and tries again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from syncd import log
from syncd.config import ServiceConfig, TenantConfig
from syncd.engine import CycleReport
from syncd.engine.retention import purge
from syncd.errors import Fenced, StoreError, SyncdError
from syncd.tenant import Tenant, open_tenant

RESTART_SECONDS: Final = 15.0
PUSH_SECONDS: Final = 10.0
"""How long a cycle begins writes before the systems that are due have their turn again."""

WAIT_SECONDS: Final = 5.0
"""How long a cycle waits for systems to list their clients, and again for them to take writes, before it goes on without them."""

REST_SECONDS: Final = 3.0
"""How long a tenant has nothing to do before its connections to the store are closed; opening one costs milliseconds, keeping one half a MiB."""

OPENING: Final = 4
"""Tenants that are opened at a time."""

TURN_SECONDS: Final = 2.0
"""How long a tenant waits for its turn to be opened; it goes on then, whoever hangs before it."""

turns: Final = threading.BoundedSemaphore(OPENING)
"""Whose turn it is to be opened."""

_log = log.get("daemon")


class Lane:
    """One tenant at work in its own thread, woken up by the schedule."""

    def __init__(
        self, service: ServiceConfig, config: TenantConfig, on_cycle: Callable[[Tenant, CycleReport], None]
    ) -> None:
        self.service = service
        self.config = config
        self._on_cycle = on_cycle
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._due: set[str] = set()
        self._errands: list[tuple[Callable[[Tenant], Any], Future[Any]]] = []
        self._guard = threading.Lock()
        self.ready = False
        self._thread = threading.Thread(target=self._run, name=f"tenant-{config.name}", daemon=True)

    def start(self) -> None:
        """Begin to work; nothing is pulled before the first `wake`."""
        self._thread.start()

    def wake(self, system: str) -> None:
        """It is this system's turn to be pulled."""
        with self._guard:
            self._due.add(system)
        self._wake.set()

    def between(self, errand: Callable[[Tenant], Any]) -> Future[Any]:
        """Have something done with the tenant between two cycles; the future has what comes of it, also where nothing can."""
        future: Future[Any] = Future()
        with self._guard:
            self._errands.append((errand, future))
        self._wake.set()
        return future

    def stop(self) -> None:
        """Begin to end: no new cycle, no new write."""
        self._stop.set()
        self._wake.set()

    @property
    def lives(self) -> bool:
        """Whether its thread runs; one that ended without being stopped is a fault of syncd."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> bool:
        """Wait for the lane to end; whether it did."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with log.context(tenant=self.config.name):
            while not self._stop.is_set():
                try:
                    self._work()
                except Fenced as error:
                    _log.error("fenced", code=error.code)
                except StoreError as error:
                    _log.error("job_failed", code=error.code, reason=str(error))
                except SyncdError as error:
                    _log.error("job_failed", code=error.code, reason=str(error))
                except Exception:  # noqa: BLE001 - the last door of a lane: it dies loudly, the other tenants go on
                    _log.exception("crashed")
                self.ready = False
                self._give_errands_up()
                self._stop.wait(RESTART_SECONDS)
            self._give_errands_up()

    def _open(self) -> Tenant:
        """The tenant, opened in turn: of very many the first are at work while the last ones wait, and not all of them late."""
        in_turn = turns.acquire(timeout=TURN_SECONDS)
        try:
            return open_tenant(
                self.service,
                self.config,
                stop=self._stop,
                push_seconds=PUSH_SECONDS,
                wait_seconds=WAIT_SECONDS,
                hurried=self._wake.is_set,
            )
        finally:
            if in_turn:
                turns.release()

    def _work(self) -> None:
        goes_on = False
        with self._open() as tenant, tenant.working() as remember:
            _log.info("tenant_started", systems=[each.system for each in self.config.systems])
            while not self._stop.is_set():
                if not goes_on and not self._wake.wait(REST_SECONDS):
                    tenant.store.rest()
                    self._wake.wait()
                self._wake.clear()
                with self._guard:
                    due, self._due = self._due, set()
                if (due or goes_on) and not self._stop.is_set():
                    report = tenant.engine.cycle(due)
                    remember()
                    goes_on = report.unfinished or bool(report.under_way)
                    self.ready = True
                    purge(tenant.store, tenant.policy.retention, tenant.engine.clock())
                    self._look_on(tenant, report)
                if not self._stop.is_set():
                    self._run_errands(tenant)

    def _run_errands(self, tenant: Tenant) -> None:
        """Do what was asked for meanwhile; what goes wrong is for whoever asked."""
        with self._guard:
            errands, self._errands = self._errands, []
        for errand, future in errands:
            try:
                future.set_result(errand(tenant))
            except Exception as error:  # noqa: BLE001 - it is told to whoever waits for it
                future.set_exception(error)

    def _give_errands_up(self) -> None:
        with self._guard:
            errands, self._errands = self._errands, []
        for _, future in errands:
            future.set_exception(StoreError(f"tenant {self.config.name} stopped working before this was done"))

    def _look_on(self, tenant: Tenant, report: CycleReport) -> None:
        """Hand the cycle to those who look on; their faults stop nothing."""
        try:
            self._on_cycle(tenant, report)
        except Exception:  # noqa: BLE001 - metrics and notifications are not what the service is for
            _log.exception("crashed")
