"""The documents that operators and scripts read: rows of the store in, plain JSON values out. Reads only, decides nothing.

Every function that lists is a generator that opens one short reading transaction per page and holds none while its caller
prints. The shapes are promised to scripts: keys may be added, none is removed. Times are aware datetimes in UTC (ISO 8601 once
encoded). A value that is not known is null, as is an empty one; where the difference matters a key beside it tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

from syncd.core.model import Value, unit_of, unit_value
from syncd.engine import CycleReport, Finding, PlanReport, Quiet, calls
from syncd.engine.pull import suppressed_in
from syncd.report.merging import merge_document
from syncd.report.rows import (
    Document,
    client_document,
    conflict_document,
    hold_document,
    link_document,
    plain,
    record_document,
    write_document,
)
from syncd.report.trace import family, is_own_default
from syncd.store import (
    OPEN_WRITES,
    Base,
    ClientRow,
    ClientState,
    ConflictStatus,
    CycleRow,
    Failing,
    HoldKind,
    HoldState,
    LinkRow,
    RecordRow,
    StandingState,
    Store,
    SystemRow,
    SystemState,
    WalkOutcome,
    WalkRow,
    WriteState,
)

__all__ = [
    "COUNTED",
    "STANDINGS",
    "Document",
    "clients",
    "conflict_document",
    "conflicts",
    "findings",
    "hold_document",
    "holds",
    "links",
    "outbox",
    "plan",
    "progress",
    "records",
    "show",
    "standstill",
    "status",
    "synced",
    "unreadable",
    "write_document",
]

Row = TypeVar("Row")
Key = TypeVar("Key")

PAGE_ROWS: Final = 500
"""Rows read in one transaction of a listing."""

PLAN_VALID_HOURS: Final = 24

COUNTED: Final = ("created", "updated", "archived", "merged", "deleted", "failed")
"""What a cycle counts per system, in the order in which people read it."""

STANDINGS: Final = ("in_sync", "pending", "held", "excluded", "failing")

_WORST_FIRST: Final = (
    StandingState.FAILING,
    StandingState.HELD,
    StandingState.PENDING,
    StandingState.IN_SYNC,
    StandingState.EXCLUDED,
)


class Comparing(Protocol):
    """What tells whether two values of a field are the same for one system (`syncd.engine.systems.System`)."""

    def part_same(self, golden: Mapping[str, Value]) -> Callable[[str, Value, Value], bool]:
        """Equality of two values of one field as this system can tell."""
        ...


# ---------------------------------------------------------------- status


def status(store: Store, tenant: str, modes: Mapping[str, tuple[str, str]], quiet: Quiet) -> Document:
    """How a tenant is doing. modes: the systems of its file, in their order -> (provider, mode).

    Per system, and for the tenant as a whole, in_sync + pending + held + excluded + failing = clients.total. A client counts for
    the tenant as the worst of its standings: failing, held, pending, in sync; excluded only where it is so everywhere.
    failing: how many clients fail in a system that works, and why, beside those of which a write is parked; or None.
    suppressed: records of erased clients that the system still lists; they belong to no client and to none of these counts.
    """
    with store.reading() as tx:
        known, walks, counts = tx.systems(), tx.last_walks(), tx.counts()
        by_state = {state: tx.count_clients(state) for state in ClientState}
        overall = {state.value: count for state, count in tx.worst_counts(modes, _WORST_FIRST).items()}
        outbox = tx.outbox_counts(OPEN_WRITES)
        records = {name: tx.count_records(name) for name in modes}
        suppressed = {name: suppressed_in(tx, name) for name in modes}
        unkept = tx.failing_clients(modes)
        waiting = tx.waiting_for_a_person()
        cycle = tx.last_cycle()
    total = by_state[ClientState.ACTIVE] + by_state[ClientState.ARCHIVED]
    return {
        "tenant": tenant,
        "quiescent": quiet.quiescent,
        "reasons": list(quiet.reasons),
        "next_timer": quiet.next_timer,
        "clients": {"total": total, **five(overall, total)},
        "client_states": {state.value: count for state, count in by_state.items()},
        "conflicts_open": waiting["conflict"],
        "holds_open": sum(waiting[kind] for kind in HoldKind),
        "waiting": waiting,
        "last_cycle": last_cycle_document(cycle),
        "systems": [
            {
                **system_document(known.get(name) or SystemRow(name, provider), mode),
                "records": records[name],
                "last_walk": walk_document(walks.get(name)),
                "counts": five(counts.get(name, {}), total),
                "drift": counts.get(name, {}).get("drift", 0),
                "suppressed": suppressed[name],
                "failing": _in_words(unkept.get(name)),
                "outbox": {state.value: outbox.get((name, state), 0) for state in OPEN_WRITES},
            }
            for name, (provider, mode) in modes.items()
        ],
    }


def unreadable(tenant: str) -> Document:
    """The status of a tenant whose store or configuration cannot be used: nothing is known."""
    return {
        "tenant": tenant,
        "quiescent": False,
        "clients": {"total": 0, **five({}, 0)},
        "conflicts_open": 0,
        "holds_open": 0,
        "systems": [],
    }


def five(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """The five counts. Clients that nobody has looked at yet are pending."""
    five = {state.value: counts.get(state.value, 0) for state in StandingState}
    five["pending"] += total - sum(five.values())
    return five


def system_document(row: SystemRow, mode: str) -> Document:
    """How one system is doing."""
    return {
        "system": row.system,
        "provider": row.provider,
        "mode": mode,
        "state": row.state.value,
        "reason": row.reason,
        "paused_until": row.paused_until,
    }


def walk_document(row: WalkRow | None) -> Document | None:
    """How a walk ended."""
    if row is None:
        return None
    return {
        "walk": row.walk,
        "at": row.ended_at or row.started_at,
        "outcome": row.outcome.value,
        "records": row.records,
        "requests": row.requests,
        "reason": row.reason,
    }


def last_cycle_document(row: CycleRow | None) -> Document | None:
    """When a cycle was."""
    if row is None:
        return None
    return {"cycle": row.cycle, "started_at": row.started_at, "ended_at": row.ended_at}


# ---------------------------------------------------------------- cycles, plans, findings


def synced(tenant: str, cycles: Iterable[CycleReport], quiet: Quiet) -> Document:
    """What `sync` did for one tenant, and why it is not quiescent where it is not."""
    return {
        "tenant": tenant,
        "cycles": [
            {
                "cycle": cycle.cycle,
                "systems": [
                    {name: getattr(system, name) for name in ("system", "walk", *COUNTED, "requests")}
                    for system in cycle.systems
                ],
                "conflicts": cycle.conflicts,
                "holds": cycle.holds,
            }
            for cycle in cycles
        ],
        "quiescent": quiet.quiescent,
        "reasons": list(quiet.reasons),
        "next_timer": quiet.next_timer,
    }


def standstill(store: Store, systems: Collection[str]) -> Document:
    """What a person has to look at after a cycle: open holds and conflicts, parked writes, systems that fail or pause.

    A system that works and has clients that fail (records that cannot be read) is among the failing ones, with how many and why.
    """
    with store.reading() as tx:
        holds, conflicts = tx.holds(HoldState.OPEN), tx.conflicts(ConflictStatus.OPEN)
        parked = tx.writes((WriteState.PARKED,))
        rows, walks = tx.systems(), tx.last_walks()
        unkept = tx.failing_clients(systems)
    failing = []
    for name in systems:
        row, walk = rows.get(name), walks.get(name)
        failed = row is not None and row.state in (SystemState.FAILING, SystemState.PAUSED)
        broken = walk is not None and walk.outcome in (WalkOutcome.INCOMPLETE, WalkOutcome.SUSPICIOUS)
        if failed or broken:
            reason = (row.reason if row is not None else None) or (walk.reason if walk is not None else None)
            state = row.state.value if row is not None and failed else walk.outcome.value if walk is not None else ""
            failing.append({"system": name, "state": state, "reason": reason})
        elif name in unkept:
            failing.append({"system": name, "state": "failing", "reason": _in_words(unkept[name])})
    return {
        "holds": [
            {"hold": row.hold, "kind": row.kind.value, "reason": row.reason, "items": len(row.items)} for row in holds
        ],
        "conflicts_open": [row.conflict for row in conflicts],
        "parked": [
            {"write": row.write, "system": row.system, "client": row.client, "error": row.error} for row in parked
        ],
        "failing": failing,
    }


def _in_words(failing: Failing | None) -> str | None:
    """How many clients fail in a system, and why the first of them does."""
    if failing is None:
        return None
    return f"{failing.count} of its clients fail; {failing.client}: {failing.reason}"


def plan(tenant: str, config_digest: str, found: PlanReport, at: datetime) -> Document:
    """Every write that a cycle would make now, with what it would cost."""
    return {
        "tenant": tenant,
        "plan": found.plan,
        "config_digest": config_digest,
        "expires_at": at + timedelta(hours=PLAN_VALID_HOURS),
        "writes": [
            {
                **write_document(tenant, row),
                "before": row.before,
                "after": row.fields,
                "calls": calls(row),
                **found.sights.get(row.write, {}),
            }
            for row in found.writes
        ],
        "conflicts": [conflict_document(tenant, row) for row in found.conflicts],
        "links": found.links,
        "holds": [hold_document(tenant, row) for row in found.holds],
        "calls": found.calls,
    }


def findings(tenant: str, found: Iterable[Finding]) -> Document:
    """What `check` saw in each system."""
    keys = ("system", "level", "code", "message", "next")
    return {"tenant": tenant, "findings": [{key: getattr(finding, key) for key in keys} for finding in found]}


# ---------------------------------------------------------------- listings


def clients(
    store: Store, tenant: str, *, state: ClientState | None = None, limit: int | None = None
) -> Iterator[Document]:
    """Golden records of every state (or one), with their links."""
    for rows in _pages(partial(_client_page, store, state), lambda pair: pair[0].client, "", limit):
        for row, found in rows:
            yield client_document(tenant, row, found)


def links(store: Store, tenant: str, *, limit: int | None = None) -> Iterator[Document]:
    """Which record belongs to which client, and by what evidence. limit: of clients."""
    for rows in _pages(partial(_client_page, store, None), lambda pair: pair[0].client, "", limit):
        for _, found in rows:
            for link in found:
                yield {"tenant": tenant, "client": link.client, **link_document(link), "linked_at": link.linked_at}


def records(store: Store, tenant: str, *, system: str | None = None, limit: int | None = None) -> Iterator[Document]:
    """The mirror: what each system last said, raw and in canonical words."""
    for rows in _pages(
        partial(_record_page, store, system), lambda pair: (pair[0].system, pair[0].external_id), ("", ""), limit
    ):
        for row, client in rows:
            yield record_document(tenant, row, client)


def _client_page(
    store: Store, state: ClientState | None, after: str, size: int
) -> list[tuple[ClientRow, list[LinkRow]]]:
    with store.reading() as tx:
        rows = tx.clients(state, after=after, limit=size)
        found = tx.links_of([row.client for row in rows])
    return [(row, found.get(row.client, [])) for row in rows]


def _record_page(
    store: Store, system: str | None, after: tuple[str, str], size: int
) -> list[tuple[RecordRow, str | None]]:
    with store.reading() as tx:
        return tx.mirror(system, after=after, limit=size)


def _pages(
    page: Callable[[Key, int], list[Row]], key: Callable[[Row], Key], start: Key, limit: int | None
) -> Iterator[list[Row]]:
    """Pages of a listing in the order of its keys, until it ends or `limit` rows were given."""
    after, left = start, limit
    while left is None or left > 0:
        size = PAGE_ROWS if left is None else min(PAGE_ROWS, left)
        rows = page(after, size)
        if rows:
            yield rows
        if len(rows) < size:
            return
        after = key(rows[-1])
        left = None if left is None else left - len(rows)


def conflicts(
    store: Store, tenant: str, *, status: ConflictStatus | None = None, client: str | None = None
) -> Iterator[Document]:
    """Conflicts, oldest first."""
    with store.reading() as tx:
        rows = tx.conflicts(status, client)
    return (conflict_document(tenant, row) for row in rows)


def holds(
    store: Store, tenant: str, *, state: HoldState | None = HoldState.OPEN, kinds: Collection[HoldKind] = ()
) -> Iterator[Document]:
    """What waits for a person (or, with another state, what was decided)."""
    with store.reading() as tx:
        rows = tx.holds(state)
    return (hold_document(tenant, row) for row in rows if not kinds or row.kind in kinds)


def outbox(
    store: Store,
    tenant: str,
    states: Sequence[WriteState] = OPEN_WRITES,
    *,
    system: str | None = None,
    limit: int | None = None,
) -> Iterator[Document]:
    """Writes that were decided and not yet acknowledged (or, with other states, those that were), at most so many, oldest first."""
    with store.reading() as tx:
        rows = tx.writes(states, system, limit=limit)
    return (write_document(tenant, row) for row in rows)


# ---------------------------------------------------------------- one client with all its sides


def show(store: Store, tenant: str, client: str, systems: Mapping[str, Comparing]) -> Document | None:
    """One client: golden, every side with a mark per field, bases, standings, open conflicts and writes; None where unknown.

    A mark is `equal`, `equivalent` (the same as this system can tell), `default` (the system's own, where golden is empty: not written),
    `differs`, or `unknown` (the system does not say). The id of a client that was merged away shows its survivor.
    """
    with store.reading() as tx:
        if tx.client(client) is None:
            return None
        survivor = tx.resolve_alias(client) or client
        [bundle] = tx.bundles([survivor])
        standings = tx.standings(survivor)
        open_conflicts = tx.conflicts(ConflictStatus.OPEN, survivor)
        writes = tx.writes(OPEN_WRITES, client=survivor)
        merges = [row for each in family(tx, survivor) for row in tx.merges(winner=each)]
    golden = bundle.client.fields
    rank = {name: index for index, name in enumerate(systems)}
    sides = sorted(bundle.sides, key=lambda side: (rank.get(side[0].system, len(rank)), side[0].external_id))
    return {
        "tenant": tenant,
        "asked_for": client,
        **client_document(tenant, bundle.client, [link for link, _ in sides]),
        "origins": bundle.client.origins,
        "created_at": bundle.client.created_at,
        "updated_at": bundle.client.updated_at,
        "sides": [_side(golden, link, record, systems.get(link.system)) for link, record in sides],
        "standings": [
            {"system": row.system, "state": row.state.value, "reason": row.reason, "drift": row.drift}
            for row in sorted(standings, key=lambda row: rank.get(row.system, len(rank)))
        ],
        "conflicts": [conflict_document(tenant, row) for row in open_conflicts],
        "writes": [write_document(tenant, row) for row in writes],
        "merges": [merge_document(tenant, row) for row in merges],
    }


def _side(golden: Mapping[str, Value], link: LinkRow, record: RecordRow | None, system: Comparing | None) -> Document:
    shown = record.fields if record is not None else {}
    same = system.part_same(golden) if system is not None else None
    return {
        **link_document(link),
        "linked_at": link.linked_at,
        "record_state": None if record is None else record.state.value,
        "reason": None if record is None else record.reason,
        "seen_at": None if record is None else record.seen_at,
        "changed_at": None if record is None else record.changed_at,
        "fields": dict(shown),
        "marks": {field: _mark(field, golden, shown, same, link.bases) for field in dict.fromkeys((*golden, *shown))},
        "bases": {
            unit: {"seen": plain(base.seen), "agreed": plain(base.agreed), "written_at": base.written_at}
            for unit, base in link.bases.items()
        },
    }


def _mark(
    field: str,
    golden: Mapping[str, Value],
    shown: Mapping[str, Value],
    same: Callable[[str, Value, Value], bool] | None,
    bases: Mapping[str, Base],
) -> str:
    if field not in shown:
        return "unknown"
    left, right = golden.get(field), shown[field]
    if left == right:
        return "equal"
    if same is not None and same(field, left, right):
        return "equivalent"
    unit = unit_of(field)
    is_default = is_own_default(bases.get(unit), unit_value(shown, unit), unit_value(golden, unit), left)
    return "default" if is_default else "differs"


def progress(store: Store, since: datetime) -> str:
    """How far a cycle is that began after `since`, in a few words."""
    with store.reading() as tx:
        walks = {row.system: row for row in reversed(tx.walks(limit=PAGE_ROWS // 10)) if row.started_at >= since}
        writes = len(tx.writes((WriteState.WAITING, WriteState.SENDING)))
    words = [
        f"{row.system} {row.records}{'...' if row.outcome is WalkOutcome.RUNNING else ''}" for row in walks.values()
    ]
    return ", ".join([*(["read " + " ".join(words)] if words else []), f"{writes} writes wait"])
