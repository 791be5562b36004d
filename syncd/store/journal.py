"""What happened and what waits for a person: changes, conflicts, holds, the audit trail.

Functions of an open transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Text, case, select, type_coerce

from syncd.store import tables
from syncd.store.rows import (
    AuditRow,
    ChangeRow,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldRow,
    HoldState,
)
from syncd.store.work import Work, names_of


def add_changes(work: Work, rows: Iterable[ChangeRow]) -> None:
    """Log what moved."""
    work.add(tables.changes, rows)


def changes(
    work: Work,
    client: str | None = None,
    cycle: str | None = None,
    since: datetime | None = None,
    *,
    limit: int | None = None,
) -> list[ChangeRow]:
    """Changes, oldest first. since: at or after that time."""
    column = tables.changes.c
    where = [known == value for known, value in ((column.client, client), (column.cycle, cycle)) if value is not None]
    if since is not None:
        where.append(column.at >= since)
    return work.rows(ChangeRow, tables.changes, *where, order=[column.number], limit=limit)


def add_conflicts(work: Work, rows: Iterable[ConflictRow]) -> int:
    """Log conflicts that are not logged yet, told by their keys; returns how many were new."""
    by_key: dict[str, ConflictRow] = {}
    for row in rows:
        by_key.setdefault(row.key, row)
    key = tables.conflicts.c.key
    logged = set(work.run(select(key).where(work.among(key, by_key))).scalars())
    new = [row for row in by_key.values() if row.key not in logged]
    work.add(tables.conflicts, new)
    return len(new)


def put_conflict(work: Work, row: ConflictRow) -> None:
    """Insert or replace one conflict (a person resolved it)."""
    work.upsert(tables.conflicts, [row])


def conflicts(
    work: Work, status: ConflictStatus | None = None, client: str | None = None, *, limit: int | None = None
) -> list[ConflictRow]:
    """Conflicts, oldest first."""
    column = tables.conflicts.c
    where = [known == value for known, value in ((column.status, status), (column.client, client)) if value is not None]
    return work.rows(ConflictRow, tables.conflicts, *where, order=[column.number], limit=limit)


def conflict(work: Work, identifier: str) -> ConflictRow | None:
    """One conflict by id."""
    return work.row(ConflictRow, tables.conflicts, tables.conflicts.c.conflict == identifier)


def put_hold(work: Work, row: HoldRow) -> None:
    """Insert or replace a hold. StoreError where another hold with its key is open."""
    work.upsert(tables.holds, [row])


def holds(work: Work, state: HoldState | None = HoldState.OPEN, *, kind: HoldKind | None = None) -> list[HoldRow]:
    """Holds of one state (None: any), oldest first."""
    wanted = {name: value for name, value in (("state", state), ("kind", kind)) if value is not None}
    return work.with_values(HoldRow, tables.holds, "number", **wanted)


def hold(work: Work, identifier: str) -> HoldRow | None:
    """One hold by id."""
    return work.row(HoldRow, tables.holds, tables.holds.c.hold == identifier)


def holds_of(work: Work, client: str) -> list[HoldRow]:
    """Holds of every state that name a client, oldest first."""
    return work.rows(
        HoldRow, tables.holds, _names(tables.holds.c["items"], f'"{client}"'), order=[tables.holds.c.number]
    )


def is_held(work: Work, key: str) -> bool:
    """Whether a hold of this key is open."""
    column = tables.holds.c
    found = select(column.hold).where(column.key == key, column.state == HoldState.OPEN).limit(1)
    return work.run(found).first() is not None


def held_keys(work: Work, keys: Collection[str]) -> set[str]:
    """Of these keys, those of which a hold is open."""
    column = tables.holds.c
    found = select(column.key).where(work.among(column.key, keys), column.state == HoldState.OPEN)
    return {key for (key,) in work.run(found)}


def put_holds(work: Work, rows: Iterable[HoldRow]) -> None:
    """Insert or replace holds. StoreError where another hold with the key of one is open."""
    work.upsert(tables.holds, rows)


def hold_by_key(work: Work, key: str) -> HoldRow | None:
    """The open hold with that key, else the latest one that had it."""
    column = tables.holds.c
    order = [case((column.state == HoldState.OPEN, 0), else_=1), column.number.desc()]
    return next(iter(work.rows(HoldRow, tables.holds, column.key == key, order=order, limit=1)), None)


def add_audit(work: Work, rows: Iterable[AuditRow]) -> None:
    """Append to the audit trail; the store gives the `seq`."""
    columns = [name for name in names_of(AuditRow) if name != "seq"]
    values = [{name: getattr(row, name) for name in columns} for row in rows]
    work.add_values(tables.audit, values)


def audit(
    work: Work,
    client: str | None = None,
    cycle: str | None = None,
    *,
    kind: str | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[AuditRow]:
    """The audit trail in order, from behind the `seq` given."""
    column = tables.audit.c
    known = ((column.client, client), (column.cycle, cycle), (column.kind, kind))
    where = [name == value for name, value in known if value is not None]
    return work.rows(AuditRow, tables.audit, column.seq > after, *where, order=[column.seq], limit=limit)


def _names(column: Column[Any], quoted: str) -> ColumnElement[bool]:
    """Whether a JSON document has a text in it, given with its quotes."""
    return type_coerce(column, Text).contains(quoted, autoescape=True)
