"""When: the long-running service. A schedule that only wakes tenants up, signals, reloading, and an end that leaves nothing in doubt.

One lane (thread) per tenant: what is slow or broken in one tenant delays no other. The schedule lives in memory and is made anew from
the configuration; what has to survive is in the stores.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final

from apscheduler.schedulers.background import BackgroundScheduler

from syncd import footprint, log, systemd
from syncd.config import ServiceConfig, TenantConfig, fingerprint, load
from syncd.dispatch import schedule
from syncd.dispatch.local import Lane
from syncd.engine import CycleReport
from syncd.errors import ConfigError, UsageError
from syncd.tenant import Tenant

DRAIN_SECONDS: Final = 10.0
"""How long a stop waits for requests that are under way. What is cut off then is found again by its intent."""

RELOAD_CHECK_SECONDS: Final = 2.0

_log = log.get("daemon")


class Daemon:
    """The service: reads the configuration, keeps one lane per enabled tenant, follows changes of the files."""

    def __init__(
        self, folder: Path, *, on_cycle: Callable[[Tenant, CycleReport], None] = lambda _tenant, _report: None
    ) -> None:
        self.folder = folder
        self.lanes: dict[str, Lane] = {}
        self.started_at = datetime.now(UTC)
        self._on_cycle = on_cycle
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._signals = 0
        self.slow: list[str] = []
        """Tenants whose last request did not end in time when the service ended."""
        self._seen = ""
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    @property
    def ready(self) -> bool:
        """Whether every tenant finished a cycle since it was started."""
        return bool(self.lanes) and all(lane.ready for lane in self.lanes.values())

    def run(self) -> int:
        """Work until a signal ends it. Raises ConfigError where syncd.toml cannot be used at the start. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        self._follow()
        self._scheduler.start()
        _log.info("service_started", tenants=sorted(self.lanes))
        systemd.tell(systemd.READY, self._status())
        size = footprint.NowAndThen()
        while not self._stop.is_set():
            self._reload.wait(RELOAD_CHECK_SECONDS)
            if not self._stop.is_set() and (self._reload.is_set() or fingerprint(self.folder) != self._seen):
                self._reload.clear()
                systemd.tell(*systemd.reloading())
                with suppress(ConfigError):
                    self._follow()
                systemd.tell(systemd.READY)
            if all(lane.lives for lane in self.lanes.values()):
                systemd.tell(systemd.ALIVE, self._status())
            size.tidy()
        return self._end()

    def _status(self) -> str:
        ready = sum(lane.ready for lane in self.lanes.values())
        return systemd.status(f"{ready} of {len(self.lanes)} tenants at work")

    def stop(self) -> None:
        """Begin to end, as a signal would."""
        self._stop.set()
        self._reload.set()

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)
        self.stop()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._seen = ""
        self._reload.set()

    def _follow(self) -> None:
        """Bring the lanes into line with the files: added, changed, removed, disabled and broken tenants."""
        self._seen = fingerprint(self.folder)
        try:
            loaded = load(self.folder)
        except ConfigError as error:
            _log.error("config_broken", problems=error.problems)
            raise
        for name, problems in loaded.broken.items():
            _log.error("config_broken", tenant=name, problems=list(problems))
        wanted = {tenant.name: tenant for tenant in loaded.tenants if tenant.enabled}
        for name in [name for name, lane in self.lanes.items() if not _same(lane, wanted.get(name), loaded.service)]:
            lane = self.lanes.pop(name)
            lane.stop()
            self._unschedule(lane)
            if not lane.join(DRAIN_SECONDS):
                _log.warning("tenant_slow_to_stop", tenant=name)
            _log.info("tenant_stopped", tenant=name)
        for name, tenant in wanted.items():
            if name not in self.lanes:
                self.lanes[name] = lane = Lane(loaded.service, tenant, self._on_cycle)
                lane.start()
                self._schedule(lane)

    def _schedule(self, lane: Lane) -> None:
        for system, seconds in lane.config.poll_seconds.items():
            self._scheduler.add_job(
                lane.wake,
                schedule.trigger(seconds),
                args=[system],
                id=f"{lane.config.name}/{system}",
                replace_existing=True,
                next_run_time=datetime.now(UTC) + timedelta(milliseconds=10),
            )

    def _unschedule(self, lane: Lane) -> None:
        for system in lane.config.poll_seconds:
            with suppress(LookupError):
                self._scheduler.remove_job(f"{lane.config.name}/{system}")

    def _end(self) -> int:
        _log.info("service_stopping")
        systemd.tell(systemd.STOPPING)
        self._scheduler.shutdown(wait=False)
        for lane in self.lanes.values():
            lane.stop()
        deadline = datetime.now(UTC) + timedelta(seconds=DRAIN_SECONDS)
        self.slow = [name for name, lane in self.lanes.items() if not lane.join(_left(deadline))]
        _log.info("service_stopped", slow=self.slow)
        return 0

    def between(self, tenant: str, errand: Callable[[Tenant], Any]) -> Future[Any]:
        """Have something done with a tenant between two of its cycles. UsageError where it is not at work."""
        lane = self.lanes.get(tenant)
        if lane is None or not lane.lives:
            raise UsageError(f"tenant {tenant} is not at work")
        return lane.between(errand)

    def health(self) -> dict[str, Any]:
        """What /healthz and /readyz tell: no names of clients, no secrets."""
        return {
            "ready": self.ready,
            "tenants": {name: {"ready": lane.ready} for name, lane in sorted(self.lanes.items())},
            "started_at": self.started_at.isoformat(),
        }


def _same(lane: Lane, wanted: TenantConfig | None, service: ServiceConfig) -> bool:
    return wanted is not None and lane.service == service and _plain(lane.config) == _plain(wanted)


def _plain(config: TenantConfig) -> tuple[object, ...]:
    return (config.policy.digest, config.systems, dict(config.poll_seconds), config.notify, config.policy.retention)


def _left(deadline: datetime) -> float:
    return max((deadline - datetime.now(UTC)).total_seconds(), 0.0)
