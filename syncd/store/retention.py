"""What is over and old enough goes: set-based, one statement per table. Functions of an open transaction.

Nothing goes that deciding or replaying needs: the latest value of each unit of each client, every line of the audit trail about
links and states, open conflicts and writes, the walks and cycles that something still points to.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import and_, delete, exists, func, select

from syncd.store import tables
from syncd.store.rows import ConflictStatus, WriteState
from syncd.store.work import Work

KEPT_WALKS: Final = 1000
"""The last walks of each system, and the last cycles, that stay whatever their age."""


def purge_walks(work: Work, before: datetime) -> int:
    """Delete old walks in which no record was seen last; returns how many."""
    walk, record = tables.walks.c, tables.records.c
    other = tables.walks.alias("other")
    newest = select(func.max(other.c.number)).where(other.c.system == walk.system).scalar_subquery()
    return work.run(
        delete(tables.walks).where(
            walk.ended_at < before,
            walk.number <= newest - KEPT_WALKS,
            ~exists(select(record.walk).where(record.system == walk.system, record.walk == walk.walk)),
        )
    ).rowcount


def purge_cycles(work: Work, before: datetime) -> int:
    """Delete old cycles that nothing refers to: no walk, change, conflict, write or act; returns how many."""
    cycle = tables.cycles.c
    newest = select(func.max(tables.cycles.alias("other").c.number)).scalar_subquery()
    used = (
        exists(select(table.c.cycle).where(table.c.cycle == cycle.cycle))
        for table in (tables.walks, tables.changes, tables.conflicts, tables.writes, tables.audit)
    )
    return work.run(
        delete(tables.cycles).where(
            cycle.ended_at < before, cycle.number <= newest - KEPT_WALKS, *(~each for each in used)
        )
    ).rowcount


def purge_writes(work: Work, before: datetime) -> int:
    """Delete writes that were done or dropped before; returns how many."""
    write = tables.writes.c
    over = write.state.in_((WriteState.DONE, WriteState.DROPPED))
    return work.run(delete(tables.writes).where(over, write.done_at < before)).rowcount


def purge_conflicts(work: Work, before: datetime) -> int:
    """Delete conflicts that were logged before and are decided; returns how many."""
    conflict = tables.conflicts.c
    over = conflict.status != ConflictStatus.OPEN
    return work.run(delete(tables.conflicts).where(over, conflict.logged_at < before)).rowcount


def purge_history(work: Work, before: datetime, acts: Collection[str]) -> int:
    """Delete superseded values, and audit lines of these kinds; returns how many."""
    change, audit = tables.changes.c, tables.audit.c
    later = tables.changes.alias("later")
    superseded = exists(
        select(later.c.number).where(
            and_(later.c.client == change.client, later.c.unit == change.unit, later.c.number > change.number)
        )
    )
    gone = work.run(delete(tables.changes).where(change.at < before, superseded)).rowcount
    kinds = work.among(audit.kind, sorted(acts))
    return gone + work.run(delete(tables.audit).where(audit.at < before, kinds)).rowcount
