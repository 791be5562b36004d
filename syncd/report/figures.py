"""Figures for the operator's page: every tenant at a glance, and what happened over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from syncd.engine import Quiet
from syncd.report import five, last_cycle_document, system_document, walk_document
from syncd.report.rows import Document
from syncd.store import ClientState, Store, SystemRow, WalkOutcome

MAX_WRITES: Final = 20_000
"""The latest writes among which those of a span of time are looked for."""
MAX_WALKS: Final = 5_000
MAX_CYCLES: Final = 5_000
DAY: Final = timedelta(days=1)


def glance(store: Store, tenant: str, modes: Mapping[str, tuple[str, str]]) -> Document:
    """What the list of tenants tells: counts per system, states, the last walk, what waits. A handful of queries, each by an index."""
    with store.reading() as tx:
        known, walks, counts = tx.systems(), tx.last_walks(), tx.counts()
        total = tx.count_clients()
        waiting = tx.waiting_for_a_person()
        cycle = tx.last_cycle()
    return {
        "tenant": tenant,
        "clients": total,
        "waiting": waiting,
        "waiting_total": sum(waiting.values()),
        "last_cycle": last_cycle_document(cycle),
        "systems": [
            {
                **system_document(known.get(name) or SystemRow(name, provider), mode),
                "last_walk": walk_document(walks.get(name)),
                "counts": five(counts.get(name, {}), total),
                "drift": counts.get(name, {}).get("drift", 0),
            }
            for name, (provider, mode) in modes.items()
        ],
    }


def budgets(store: Store, limits: Mapping[str, int | None], now: datetime) -> dict[str, Document]:
    """System -> requests of the last day and its budget (None for none). Counted are those of cycles that ended."""
    since = now - DAY
    used: dict[str, int] = defaultdict(int)
    with store.reading() as tx:
        for cycle in tx.cycles_before(None, MAX_CYCLES):
            if cycle.started_at < since:
                break
            for system in cycle.summary.get("systems", ()):
                used[str(system["system"])] += int(system.get("requests", 0))
    return {name: {"used": used[name], "limit": limit} for name, limit in limits.items()}


def quiet_document(quiet: Quiet) -> Document:
    """Whether nothing is pending, and why where it is."""
    return {"quiescent": quiet.quiescent, "reasons": list(quiet.reasons), "next_timer": quiet.next_timer}


def over_time(store: Store, systems: Sequence[str], now: datetime, span: timedelta, buckets: int) -> Document:
    """Writes, propagation lag and walks in equal pieces of the time until now.

    times: the end of each piece, seconds since 1970. writes: system -> done writes. lag: from the decision of a write to its seen effect,
    median and slowest twentieth, seconds or None. walks: system -> seconds that its walks took (median) or None; failed: walks that were
    not complete.
    """
    start, size = now - span, span / buckets
    with store.reading() as tx:
        sent = tx.sent_since(start, limit=MAX_WRITES)
        walks = [row for row in tx.walks_since(start, limit=MAX_WALKS) if row.ended_at is not None]

    def place(at: datetime) -> int:
        return min(max(int((at - start) / size), 0), buckets - 1)

    writes = {name: [0] * buckets for name in systems}
    lags: list[list[float]] = [[] for _ in range(buckets)]
    for write in sent:
        index = place(write.done_at)
        writes.setdefault(write.system, [0] * buckets)[index] += 1
        lags[index].append(max((write.done_at - write.since).total_seconds(), 0.0))
    took: dict[str, list[list[float]]] = {name: [[] for _ in range(buckets)] for name in systems}
    failed = [0] * buckets
    for walk in walks:
        index = place(walk.started_at)
        failed[index] += walk.outcome is not WalkOutcome.COMPLETE
        if walk.system in took and walk.ended_at is not None:
            took[walk.system][index].append((walk.ended_at - walk.started_at).total_seconds())
    return {
        "times": [int((start + size * (index + 1)).timestamp()) for index in range(buckets)],
        "writes": writes,
        "lag": {"median": [_middle(values) for values in lags], "slowest": [_slowest(values) for values in lags]},
        "walks": {name: [_middle(values) for values in pieces] for name, pieces in took.items()},
        "failed": failed,
    }


def _middle(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(median(found), 3) if found else None


def _slowest(values: Sequence[float]) -> float | None:
    """What 95 of 100 stay below."""
    if not values:
        return None
    ranked = sorted(values)
    return round(ranked[min(int(len(ranked) * 0.95), len(ranked) - 1)], 3)


def client_page(
    store: Store, tenant: str, *, text: str = "", state: ClientState | None = None, after: str = "", limit: int = 50
) -> list[Document]:
    """Golden records by id, name, e-mail address, town or number, with where they stand."""
    with store.reading() as tx:
        rows = tx.clients(state, after=after, limit=limit, text=text)
        links = tx.links_of([row.client for row in rows])
    keys = ("name", "email", "city", "country", "kind")
    return [
        {
            "client": row.client,
            "tenant": tenant,
            "state": row.state.value,
            "merged_into": row.merged_into,
            "updated_at": row.updated_at,
            **{key: row.fields.get(key) for key in keys},
            "systems": sorted({link.system for link in links.get(row.client, ()) if link.state.value == "linked"}),
        }
        for row in rows
    ]


def cycle_page(store: Store, tenant: str, *, before: int | None = None, limit: int = 50) -> list[Document]:
    """Cycles, newest first, with what each did per system."""
    with store.reading() as tx:
        rows = tx.cycles_before(before, limit)
    return [
        {
            "tenant": tenant,
            "cycle": row.cycle,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
            "seconds": (row.ended_at - row.started_at).total_seconds() if row.ended_at is not None else None,
            "plan": row.summary.get("plan"),
            "systems": _systems(row.summary),
            "conflicts": row.summary.get("conflicts", 0),
            "holds": row.summary.get("holds", 0),
        }
        for row in rows
    ]


def _systems(summary: Mapping[str, Any]) -> list[Document]:
    return [dict(each) for each in summary.get("systems", ())]
