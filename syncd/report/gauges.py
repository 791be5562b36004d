"""How a tenant stands after a cycle, in numbers: what metrics and notifications are made of. No client, no value, no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from syncd.engine import CycleReport
from syncd.store import HoldKind, HoldState, StandingState, SystemState
from syncd.tenant import Tenant

URGENT: Final = (HoldKind.BRAKE, HoldKind.FIRST_RUN)
"""Holds that stop more than one client."""


@dataclass(frozen=True, slots=True)
class SystemGauges:
    """One system. standings: the five counts. requests_today: None without a budget. shut: its breaker lets nothing through."""

    system: str
    state: str
    standings: Mapping[str, int]
    drift: int
    records: int
    outbox: Mapping[str, int]
    complete_at: datetime | None
    reason: str | None
    shut: bool
    requests_today: int | None
    requests_per_day: int | None
    poll_seconds: float


@dataclass(frozen=True, slots=True)
class Gauges:
    """One tenant after a cycle. holds: kind -> (how many are open, since when the oldest). urgent_holds: (hold, kind, system)."""

    tenant: str
    at: datetime
    cycle: CycleReport
    started_at: datetime
    systems: tuple[SystemGauges, ...]
    conflicts_open: int
    oldest_conflict_at: datetime | None
    holds: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)
    urgent_holds: tuple[tuple[str, str, str | None], ...] = ()


def gauges(tenant: Tenant, cycle: CycleReport) -> Gauges:
    """Count what is there after a cycle; one short reading transaction."""
    with tenant.store.reading() as tx:
        rows, standings, records = tx.systems(), tx.counts(), tx.count_present()
        outbox, complete = tx.count_open_writes(), tx.last_complete()
        conflicts, oldest = tx.count_open_conflicts()
        holds = tx.count_open_holds()
        urgent = [hold for kind in URGENT if kind.value in holds for hold in tx.holds(HoldState.OPEN, kind=kind)]
        row = tx.cycle(cycle.cycle)
    now = tenant.engine.clock()
    systems = []
    for settings in tenant.config.systems:
        name = settings.system
        known, counted, door = rows.get(name), standings.get(name, {}), tenant.doors.get(name)
        systems.append(
            SystemGauges(
                system=name,
                state=(known.state if known else SystemState.NEVER).value,
                standings={state.value: counted.get(state.value, 0) for state in StandingState},
                drift=counted.get("drift", 0),
                records=records.get(name, 0),
                outbox={state: count for (system, state), count in outbox.items() if system == name},
                complete_at=complete.get(name),
                reason=known.reason if known else None,
                shut=door is not None and door.is_shut,
                requests_today=door.requests_today if door is not None else None,
                requests_per_day=settings.requests_per_day,
                poll_seconds=tenant.config.poll_seconds.get(name, 0.0),
            )
        )
    told = tuple((hold.hold, hold.kind.value, hold.system) for hold in urgent)
    started_at = row.started_at if row is not None else now
    return Gauges(tenant.name, now, cycle, started_at, tuple(systems), conflicts, oldest, holds, told)
