"""What a person looks at, page by page and counted: open conflicts and holds, parked writes, figures over time.

Functions of an open transaction. A page begins behind a number (that of an id: 7 for "w7"), so that the ten thousandth row costs as much
as the first; counts are made by the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, case, exists, func, select

from syncd.core.model import Action
from syncd.store import tables
from syncd.store.rows import (
    ConflictRow,
    ConflictStatus,
    CycleRow,
    HoldKind,
    HoldRow,
    HoldState,
    StandingState,
    WalkRow,
    WriteRow,
    WriteState,
)
from syncd.store.work import Work

FEW: Final = 0.05
"""Up to this share of the rest, standings are looked up one by one; more of them are counted sooner by going through all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A write that was done: where, when it was decided, and when its effect was seen."""

    system: str
    action: Action
    since: datetime
    done_at: datetime


@dataclass(frozen=True, slots=True)
class Failing:
    """How many clients fail in one system, the first of them, and why that one does."""

    count: int
    client: str
    reason: str


def failing_clients(work: Work, systems: Collection[str]) -> dict[str, Failing]:
    """System -> its clients that fail, not counting those of which a write is parked; systems without such clients are left out."""
    column, write = tables.standings.c, tables.writes.c
    parked = exists().where(
        write.client == column.client, write.system == column.system, write.state == WriteState.PARKED
    )
    failing = (column.state == StandingState.FAILING, column.system.in_(list(systems)), ~parked)
    counts = work.run(select(column.system, func.count()).where(*failing).group_by(column.system))
    found: dict[str, Failing] = {}
    for system, count in list(counts):
        ranked = select(column.client, column.reason).where(*failing, column.system == system)
        first = work.run(ranked.order_by(func.length(column.client), column.client).limit(1)).one()
        found[system] = Failing(count, *first)
    return found


def open_conflicts(work: Work, *, after: int = 0, limit: int | None = None) -> list[ConflictRow]:
    """Conflicts that wait for a person, oldest first, from behind the number `after`."""
    column = tables.conflicts.c
    where = (column.status == ConflictStatus.OPEN, column.number > after)
    return work.rows(ConflictRow, tables.conflicts, *where, order=[column.number], limit=limit)


def open_holds(
    work: Work, kinds: Collection[HoldKind] = (), *, after: int = 0, limit: int | None = None
) -> list[HoldRow]:
    """Open holds of some kinds (none given: of all), oldest first, from behind the number `after`."""
    column = tables.holds.c
    where: list[ColumnElement[bool]] = [column.state == HoldState.OPEN, column.number > after]
    if kinds:
        where.append(column.kind.in_(list(kinds)))
    return work.rows(HoldRow, tables.holds, *where, order=[column.number], limit=limit)


def parked_writes(work: Work, *, after: int = 0, limit: int | None = None) -> list[WriteRow]:
    """Writes that a system refused, oldest first, from behind the number `after`."""
    column = tables.writes.c
    where = (column.state == WriteState.PARKED, column.number > after)
    return work.rows(WriteRow, tables.writes, *where, order=[column.number], limit=limit)


def waiting_for_a_person(work: Work) -> dict[str, int]:
    """How many open conflicts (`conflict`), open holds of each kind (by its name) and parked writes (`parked`) there are; none is left out."""
    counts = {"conflict": 0, **dict.fromkeys((kind.value for kind in HoldKind), 0), "parked": 0}
    conflict, hold, write = tables.conflicts.c, tables.holds.c, tables.writes.c
    counts["conflict"] = int(work.run(select(func.count()).where(conflict.status == ConflictStatus.OPEN)).scalar_one())
    found = select(hold.kind, func.count()).where(hold.state == HoldState.OPEN).group_by(hold.kind)
    counts.update({HoldKind(kind).value: count for kind, count in work.run(found)})
    counts["parked"] = int(work.run(select(func.count()).where(write.state == WriteState.PARKED)).scalar_one())
    return counts


def outbox_counts(work: Work, states: Collection[WriteState]) -> dict[tuple[str, WriteState], int]:
    """(system, state) -> how many writes of some states there are; what is zero is left out."""
    column = tables.writes.c
    found = select(column.system, column.state, func.count()).where(column.state.in_(list(states)))
    return {
        (system, WriteState(state)): count
        for system, state, count in work.run(found.group_by(column.system, column.state))
    }


def worst_counts(work: Work, systems: Collection[str], order: Sequence[StandingState]) -> dict[StandingState, int]:
    """How many clients have each state as the worst of their standings in some systems. order: every state, the worst first.

    As a rule nearly all standings are of one state. Its clients are then not looked at: they are those whom the others leave.
    """
    column = tables.standings.c
    rows = list(work.run(select(column.system, column.state, func.count()).group_by(column.system, column.state)))
    found: Counter[StandingState] = Counter()
    for system, state, count in rows:
        if system in systems:
            found[StandingState(state)] += count
    if not found:
        return {}
    asked = [column.system.in_(list(systems))]
    most, often = found.most_common(1)[0]
    if found.total() - often > often * FEW:
        rank = case(*((column.state == state, index) for index, state in enumerate(order)), else_=len(order))
        each = select(func.min(rank).label("worst")).where(*asked).group_by(column.client).subquery()
        counted = work.run(select(each.c.worst, func.count()).group_by(each.c.worst))
        return {order[index]: count for index, count in counted if index < len(order)}
    if {system for system, _, _ in rows} <= set(systems):
        asked = []  # it excludes nothing, and keeps SQLite from going through the clients in their order
    rest = [state for state in order if state in found and state != most]
    counts = {state: _with_worst(work, list(systems), state, order) for state in rest}
    counts[most] = int(work.run(select(func.count(column.client.distinct())).where(*asked)).scalar_one())
    counts[most] -= sum(counts[state] for state in rest)
    return {state: counts[state] for state in order if counts.get(state)}


def _with_worst(work: Work, systems: list[str], state: StandingState, order: Sequence[StandingState]) -> int:
    """How many clients have a standing of this state, and none that is worse."""
    mine, other = tables.standings, tables.standings.alias("other")
    worse = list(order[: order.index(state)])
    better_only = ~exists().where(
        other.c.client == mine.c.client, other.c.system.in_(systems), other.c.state.in_(worse)
    )
    found = select(func.count(mine.c.client.distinct())).where(mine.c.system.in_(systems), mine.c.state == state)
    return int(work.run(found.where(better_only) if worse else found).scalar_one())


def sent_since(work: Work, since: datetime, *, limit: int) -> list[Sent]:
    """The writes done since a time, latest first, among the last `limit` that were made."""
    newest = select(tables.writes).order_by(tables.writes.c.number.desc()).limit(limit).subquery()
    column = newest.c
    found = (
        select(column.system, column.action, column.since, column.done_at)
        .where(column.state == WriteState.DONE, column.done_at >= since)
        .order_by(column.done_at.desc())
    )
    return [Sent(system, Action(action), began, ended) for system, action, began, ended in work.run(found)]


def walks_since(work: Work, since: datetime, *, limit: int) -> list[WalkRow]:
    """The walks begun since a time, latest first, among the last `limit`."""
    column = tables.walks.c
    newest = work.rows(WalkRow, tables.walks, order=[column.number.desc()], limit=limit)
    return [row for row in newest if row.started_at >= since]


def cycles_before(work: Work, before: int | None, limit: int) -> list[CycleRow]:
    """Cycles, newest first, from behind the number `before`."""
    column = tables.cycles.c
    where = [] if before is None else [column.number < before]
    return work.rows(CycleRow, tables.cycles, *where, order=[column.number.desc()], limit=limit)
