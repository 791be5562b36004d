"""How much there is, counted by the database and not row by row. Functions of an open transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from syncd.store import tables
from syncd.store.rows import OPEN_WRITES, ConflictStatus, HoldState, RecordState, WalkOutcome
from syncd.store.work import Work


def count_open_writes(work: Work) -> dict[tuple[str, str], int]:
    """(system, state) -> writes that are neither done nor dropped."""
    write = tables.writes.c
    statement = select(write.system, write.state, func.count()).where(write.state.in_(OPEN_WRITES))
    return {
        (system, state.value): count for system, state, count in work.run(statement.group_by(write.system, write.state))
    }


def count_open_conflicts(work: Work) -> tuple[int, datetime | None]:
    """How many conflicts are open, and since when the oldest."""
    conflict = tables.conflicts.c
    found = select(func.count(), func.min(conflict.logged_at)).where(conflict.status == ConflictStatus.OPEN)
    count, oldest = work.run(found).one()
    return count, oldest


def count_open_holds(work: Work) -> dict[str, tuple[int, datetime]]:
    """Kind -> how many holds are open, and since when the oldest."""
    hold = tables.holds.c
    statement = select(hold.kind, func.count(), func.min(hold.since)).where(hold.state == HoldState.OPEN)
    return {kind.value: (count, oldest) for kind, count, oldest in work.run(statement.group_by(hold.kind))}


def count_present(work: Work) -> dict[str, int]:
    """System -> its records that are present."""
    record = tables.records.c
    statement = select(record.system, func.count()).where(record.state == RecordState.PRESENT)
    return {row[0]: row[1] for row in work.run(statement.group_by(record.system))}


def last_complete(work: Work) -> dict[str, datetime]:
    """System -> when its last complete walk ended; systems without one are left out."""
    walk = tables.walks.c
    newest = (
        select(func.max(walk.number))
        .where(walk.outcome == WalkOutcome.COMPLETE, walk.ended_at.is_not(None))
        .group_by(walk.system)
    )
    ended = work.run(select(walk.system, walk.ended_at).where(walk.number.in_(newest)))
    return {row[0]: row[1] for row in ended}
