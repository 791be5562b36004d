"""One work unit of a worker: a cycle of one tenant, for those of its systems that are due, whatever happens in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from syncd import log
from syncd.config import ServiceConfig, TenantConfig
from syncd.dispatch.local import PUSH_SECONDS, WAIT_SECONDS
from syncd.dispatch.pace import SharedPace
from syncd.dispatch.schedule import following
from syncd.dispatch.tenants import OpenTenants
from syncd.engine import CycleReport
from syncd.engine.retention import purge
from syncd.errors import Fenced, StoreBusy, StoreError, SyncdError, UsageError
from syncd.providers import Settings
from syncd.providers.pace import MakePacing, Pacing
from syncd.store import Pool, Store
from syncd.store.cluster import Desk, Turn
from syncd.tenant import Tenant, open_tenant

RESTART_SECONDS: Final = 15.0
"""How long a tenant whose cycle ended with an error is left alone."""

BUSY_SECONDS: Final = 2.0
"""The same for one on which somebody else works at this moment."""

ERRAND_SECONDS: Final = 60.0
"""How long an errand waits for the end of a cycle."""

ERRAND_PAUSE_SECONDS: Final = 0.2

_log = log.get("worker")


def next_turns(turns: Sequence[Turn]) -> dict[str, datetime]:
    """When each system is due again. Those of one interval that were pulled together stay together: one cycle, not one for each."""
    at: dict[float, datetime] = {}
    for each in turns:
        if each.poll_seconds not in at:
            first = min(other.due_at for other in turns if other.poll_seconds == each.poll_seconds)
            at[each.poll_seconds] = following(each.poll_seconds, first, each.at)
    return {each.system: at[each.poll_seconds] for each in turns}


class _Asked:
    """A question that costs something: asked again when the last answer is some seconds old."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._at = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._at < BUSY_SECONDS:
            return False
        self._at = time.monotonic()
        return self._ask()


class Lanes:
    """Does the work units of one worker. Thread safe; each call of `work` is one unit."""

    def __init__(self, worker: str, pool: Pool, desk: Desk, on_cycle: Callable[[Tenant, CycleReport], None]) -> None:
        self._worker = worker
        self._pool = pool
        self._desk = desk
        self._on_cycle = on_cycle
        self._service: ServiceConfig | None = None
        self._configs: Mapping[str, TenantConfig] = {}
        self._stopped = threading.Event()
        self.tenants = OpenTenants(self._open)
        self.worked: dict[str, bool] = {}
        """Tenant -> whether its last cycle in this process ended well."""

    def follow(self, service: ServiceConfig, configs: Mapping[str, TenantConfig]) -> None:
        """Work with these configurations from the next unit on."""
        self._service, self._configs = service, configs
        self.worked = {name: well for name, well in self.worked.items() if name in configs}

    def stop(self) -> None:
        """Begin nothing new, and have what runs end soon; what it leaves undone stays due."""
        self._stopped.set()
        self.tenants.close()

    def work(self, name: str) -> None:
        """One cycle of a tenant. Raises nothing: an error is logged, and the lane is left alone for a while."""
        with log.context(tenant=name, worker=self._worker):
            config = self._configs.get(name)
            pause: float | None = None
            try:
                if self._stopped.is_set():
                    return
                if config is None:  # this worker has not read the file yet, or not any more
                    pause = BUSY_SECONDS
                elif turns := self._desk.due(name):
                    self._cycle(config, turns)
                    self.worked[name] = True
            except StoreBusy as error:
                _log.warning("store_busy", code=error.code, reason=str(error))
                pause = BUSY_SECONDS
            except Fenced as error:
                _log.error("fenced", code=error.code)
                pause = BUSY_SECONDS
            except SyncdError as error:
                _log.error("job_failed", code=error.code, reason=str(error))
                pause = RESTART_SECONDS
            except Exception:  # noqa: BLE001 - the last door of a lane: it fails loudly, the other tenants go on
                _log.exception("crashed")
                pause = RESTART_SECONDS
            if pause is not None:
                self._leave_alone(name, pause)

    def errand(self, name: str, errand: Callable[[Tenant], Any]) -> Any:
        """Do something with a tenant between two of its cycles, wherever they run. UsageError where this worker does not know it."""
        config = self._configs.get(name)
        if config is None:
            message = f"there is no tenant {name} at work"
            raise UsageError(message)
        deadline = time.monotonic() + ERRAND_SECONDS
        while True:
            try:
                with self.tenants.lent(config) as tenant, tenant.working():
                    return errand(tenant)
            except StoreBusy:
                if time.monotonic() > deadline or self._stopped.wait(ERRAND_PAUSE_SECONDS):
                    raise

    def _leave_alone(self, name: str, seconds: float) -> None:
        self.worked[name] = False
        if self._stopped.is_set():
            return
        try:
            self._desk.put_off(name, seconds)
        except StoreError as error:
            _log.error("job_failed", code=error.code, reason=str(error))

    def _cycle(self, config: TenantConfig, turns: list[Turn]) -> None:
        began = time.monotonic()
        with self.tenants.lent(config) as tenant, tenant.working() as remember:
            goes_on = True
            while goes_on:
                systems = {turn.system for turn in turns}
                report = tenant.engine.cycle(systems & {each.system for each in config.systems})
                remember()
                if tenant.stop.is_set():
                    return  # cut short: what was due still is
                purge(tenant.store, tenant.policy.retention, tenant.engine.clock())
                self._look_on(tenant, report)
                took = time.monotonic() - began
                self._desk.ended(config.name, next_turns(turns), took)
                if goes_on := report.unfinished or bool(report.under_way):
                    turns = self._desk.due(config.name)

    def _look_on(self, tenant: Tenant, report: CycleReport) -> None:
        """Hand the cycle to those who look on; their faults stop nothing."""
        try:
            self._on_cycle(tenant, report)
        except Exception:  # noqa: BLE001 - metrics and notifications are not what the service is for
            _log.exception("crashed")

    def _open(self, config: TenantConfig, stop: threading.Event) -> Tenant:
        if self._service is None:
            message = "a worker was given work before its configuration"
            raise RuntimeError(message)
        return open_tenant(
            self._service,
            config,
            stop=stop,
            pool=self._pool,
            pace=self._pace,
            push_seconds=PUSH_SECONDS,
            wait_seconds=WAIT_SECONDS,
            hurried=_Asked(lambda: bool(self._desk.due(config.name))),
        )

    def _pace(self, store: Store, settings: Settings) -> MakePacing:
        """Budgets by account, so that two tenants with one account share them; by connection until the account is known."""
        with store.reading() as tx:
            row = tx.systems().get(settings.system)
        place = f"{settings.provider} {settings.base_url or ''}"
        account = row.account if row is not None and row.account else f"{store.tenant}/{settings.system}"

        def make(rate: float | None, per_day: int | None, stop: threading.Event, who: str, /) -> Pacing:
            return SharedPace(
                self._desk,
                f"{place} {account}",
                requests_per_second=rate,
                requests_per_day=per_day,
                stop=stop,
                who=who,
            )

        return make
