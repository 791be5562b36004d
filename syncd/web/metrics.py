"""What Prometheus reads at /metrics: numbers per tenant and system. No client, no value, no secret, no address.

Gauges show the end of the last cycle of each tenant that the service works on; counters and histograms begin with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response

from syncd import __version__
from syncd.report.gauges import Gauges, SystemGauges

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

LAG_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
CYCLE_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
FRESHNESS_SECONDS: Final = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)

_PER_SYSTEM: Final = ("tenant", "system")
_STATES: Final = ("ok", "paused", "failing", "never")
_OPEN: Final = ("waiting", "sending", "in_doubt", "parked")
_WRITES: Final = ("created", "updated", "archived", "merged", "deleted")


class Metrics:
    """Everything that is told; `observe` takes a tenant's numbers after a cycle, `exposition` gives them all."""

    def __init__(self, health: Callable[[], Mapping[str, Any]]) -> None:
        """health: what `syncd.daemon.Daemon.health` returns; tenants that are not in it are not told."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._health = health
        self._latest: dict[str, Gauges] = {}
        self._guard = threading.Lock()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._cycles = Counter("syncd_cycles", "Cycles that ended.", ["tenant"], registry=registry)
        self._walks = Counter(
            "syncd_walks", "Walks that ended, by outcome.", [*_PER_SYSTEM, "outcome"], registry=registry
        )
        self._writes = Counter(
            "syncd_writes", "Writes whose effect was seen, by what they did.", [*_PER_SYSTEM, "did"], registry=registry
        )
        self._failed = Counter("syncd_writes_failed", "Attempts to write that failed.", _PER_SYSTEM, registry=registry)
        self._requests = Counter("syncd_requests", "HTTP requests sent to a system.", _PER_SYSTEM, registry=registry)
        self._conflicts = Counter("syncd_conflicts", "Conflicts that were logged.", ["tenant"], registry=registry)
        self._holds = Counter("syncd_holds", "Holds that were opened.", ["tenant"], registry=registry)
        self._seconds = Histogram(
            "syncd_cycle_seconds", "Duration of a cycle.", ["tenant"], buckets=CYCLE_SECONDS, registry=registry
        )
        self._freshness = Histogram(
            "syncd_freshness_seconds",
            "Time between two complete walks of a system: how old what syncd knows of it gets.",
            _PER_SYSTEM,
            buckets=FRESHNESS_SECONDS,
            registry=registry,
        )
        self._lag = Histogram(
            "syncd_propagation_lag_seconds",
            "Time from the decision to write a change until the system was seen to hold it.",
            _PER_SYSTEM,
            buckets=LAG_SECONDS,
            registry=registry,
        )
        registry.register(self)

    def observe(self, now: Gauges) -> None:
        """A cycle of a tenant ended."""
        with self._guard:
            before = self._latest.get(now.tenant)
            self._latest[now.tenant] = now
        tenant = now.tenant
        self._cycles.labels(tenant).inc()
        self._seconds.labels(tenant).observe(max((now.at - now.started_at).total_seconds(), 0.0))
        self._conflicts.labels(tenant).inc(now.cycle.conflicts)
        self._holds.labels(tenant).inc(now.cycle.holds)
        for did in now.cycle.systems:
            for name in _WRITES:
                self._writes.labels(tenant, did.system, name).inc(getattr(did, name))
            self._failed.labels(tenant, did.system).inc(did.failed)
            self._requests.labels(tenant, did.system).inc(did.requests)
            for lag in did.lags:
                self._lag.labels(tenant, did.system).observe(lag)
            if did.requests:  # a system whose turn it was not tells its last walk again
                self._walks.labels(tenant, did.system, did.walk).inc()
        self._observe_freshness(before, now)

    def _observe_freshness(self, before: Gauges | None, now: Gauges) -> None:
        known = {each.system: each.complete_at for each in before.systems} if before is not None else {}
        for system in now.systems:
            last = known.get(system.system)
            if last is not None and system.complete_at is not None and system.complete_at > last:
                self._freshness.labels(now.tenant, system.system).observe((system.complete_at - last).total_seconds())

    def exposition(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self._registry)

    def shut(self, tenant: str) -> dict[str, str]:
        """The systems of a tenant that are left alone, because they failed repeatedly -> the state of the breaker."""
        with self._guard:
            latest = self._latest.get(tenant)
        return {each.system: "open" for each in latest.systems if each.shut} if latest is not None else {}

    def respond(self, _request: Request) -> Response:
        """The answer to GET /metrics."""
        return Response(self.exposition(), headers={"content-type": CONTENT_TYPE})

    def collect(self) -> Iterator[Metric]:
        """What Prometheus' client asks for: the gauges, as they are now."""
        health = self._health()
        at_work: Mapping[str, Mapping[str, Any]] = health.get("tenants", {})
        with self._guard:
            self._latest = {name: found for name, found in self._latest.items() if name in at_work}
            latest = [self._latest[name] for name in sorted(self._latest)]
        build = GaugeMetricFamily("syncd_build_info", "The version that runs; always 1.", labels=["version"])
        build.add_metric([__version__], 1)
        ready = GaugeMetricFamily("syncd_tenant_ready", "Whether a tenant is at work, 0 or 1.", labels=["tenant"])
        for name, state in sorted(at_work.items()):
            ready.add_metric([name], float(bool(state.get("ready"))))
        yield from (build, ready, *_of_tenants(latest), *_of_systems(latest))


def _of_tenants(latest: list[Gauges]) -> Iterator[Metric]:
    ended = GaugeMetricFamily(
        "syncd_last_cycle_timestamp_seconds", "When a tenant's last cycle ended, Unix time.", labels=["tenant"]
    )
    conflicts = GaugeMetricFamily("syncd_conflicts_open", "Conflicts that wait for a person.", labels=["tenant"])
    oldest = GaugeMetricFamily(
        "syncd_conflict_oldest_timestamp_seconds",
        "Since when the oldest open conflict waits, Unix time.",
        labels=["tenant"],
    )
    holds = GaugeMetricFamily("syncd_holds_open", "Holds that wait for a person, by kind.", labels=["tenant", "kind"])
    for each in latest:
        ended.add_metric([each.tenant], each.at.timestamp())
        conflicts.add_metric([each.tenant], each.conflicts_open)
        _add_time(oldest, [each.tenant], each.oldest_conflict_at)
        for kind, (count, _since) in sorted(each.holds.items()):
            holds.add_metric([each.tenant, kind], count)
    return iter((ended, conflicts, oldest, holds))


def _of_systems(latest: list[Gauges]) -> Iterator[Metric]:
    clients = _family("syncd_clients", "Clients by where they stand in a system; the five add up to all.", "state")
    drift = _family("syncd_drift", "Clients that differ in a system that cannot be told.")
    records = _family("syncd_records", "Records of a system that are present.")
    state = _family("syncd_system_state", "1 for the state that a system is in, 0 for the others.", "state")
    outbox = _family("syncd_outbox_writes", "Writes that are not acknowledged, by state.", "state")
    complete = _family("syncd_last_complete_walk_timestamp_seconds", "When the last complete walk ended, Unix time.")
    poll = _family("syncd_poll_interval_seconds", "How often a system is to be read.")
    breaker = _family("syncd_breaker_open", "Whether a system's breaker lets nothing through, 0 or 1.")
    budget = _family("syncd_requests_budget", "Requests that a system may get in a day (`requests_per_day`).")
    used = _family("syncd_requests_budget_used", "Requests of the last 24 hours that count against the budget.")
    for tenant, each in ((found.tenant, system) for found in latest for system in found.systems):
        labels = [tenant, each.system]
        for name, count in each.standings.items():
            clients.add_metric([*labels, name], count)
        for name in _STATES:
            state.add_metric([*labels, name], float(each.state == name))
        for name in _OPEN:
            outbox.add_metric([*labels, name], each.outbox.get(name, 0))
        drift.add_metric(labels, each.drift)
        records.add_metric(labels, each.records)
        poll.add_metric(labels, each.poll_seconds)
        breaker.add_metric(labels, float(each.shut))
        _add_time(complete, labels, each.complete_at)
        _add_budget(each, labels, budget, used)
    return iter((clients, drift, records, state, outbox, complete, poll, breaker, budget, used))


def _family(name: str, words: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, labels=[*_PER_SYSTEM, *more])


def _add_time(family: GaugeMetricFamily, labels: list[str], at: datetime | None) -> None:
    if at is not None:
        family.add_metric(labels, at.timestamp())


def _add_budget(each: SystemGauges, labels: list[str], budget: GaugeMetricFamily, used: GaugeMetricFamily) -> None:
    if each.requests_per_day is not None:
        budget.add_metric(labels, each.requests_per_day)
        used.add_metric(labels, each.requests_today or 0)
