"""The outbox: committed writes not yet acknowledged, and those that were. Functions of an open transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import BindParameter, Executable, Select, and_, bindparam, exists, or_, select, update

from syncd.core.model import Action
from syncd.store import tables
from syncd.store.forms import Forms
from syncd.store.rows import OPEN_WRITES, WriteRow, WriteState
from syncd.store.work import Work, names_of

REPLACED: Final = "replaced by a newer plan"

_URGENCY: Final = (WriteState.PARKED, WriteState.WAITING, WriteState.IN_DOUBT, WriteState.SENDING)


def put_writes(work: Work, rows: Iterable[WriteRow]) -> None:
    """Insert or replace writes. A waiting one drops the waiting one of the same client and system.

    ValueError where two of the given rows wait for the same client and system.
    """
    given = list(rows)
    waiting = [row for row in given if row.state == WriteState.WAITING]
    places = sorted((row.client, row.system) for row in waiting)
    twice = next((first for first, second in pairwise(places) if first == second), None)
    if twice is not None:
        message = f"two waiting writes for client {twice[0]} in {twice[1]}"
        raise ValueError(message)
    if waiting:
        _drop_waiting(work, waiting)
    work.upsert(tables.writes, given)


def _drop_waiting(work: Work, newer: Collection[WriteRow]) -> None:
    """Drop the waiting writes of the clients and systems of newer ones, but not those put again."""
    write = tables.writes.c
    wanted = work.pairs([(row.client, row.system) for row in newer])
    joined = tables.writes.join(wanted, and_(write.client == wanted.c.a, write.system == wanted.c.b))
    found = work.run(select(write.write).select_from(joined).where(write.state == WriteState.WAITING)).scalars()
    dropped = set(found) - {row.write for row in newer}
    if dropped:
        work.run(
            update(tables.writes)
            .where(work.among(write.write, dropped))
            .values(state=WriteState.DROPPED, reason=REPLACED, done_at=work.now())
        )


def writes(
    work: Work,
    states: Collection[WriteState] | None = None,
    system: str | None = None,
    client: str | None = None,
    *,
    cycle: str | None = None,
    limit: int | None = None,
) -> list[WriteRow]:
    """Writes in some states (None: any), oldest first."""
    given = {"system": system, "client": client, "cycle": cycle, "at_most": limit}
    values = {name: value for name, value in given.items() if value is not None}
    made = _writes(None if states is None else frozenset(states), tuple(values))
    return [WriteRow(*row) for row in work.ask(made, **values)]


@cache
def _writes(states: frozenset[WriteState] | None, names: tuple[str, ...]) -> Callable[[Forms], Executable]:
    """What makes the statement that finds the writes of some states, of which the named columns have a value each; `at_most`: so many."""

    def make(_forms: Forms) -> Executable:
        column = tables.writes.c
        statement = _selected_writes().order_by(column.number)
        if states is not None:
            statement = statement.where(column.state.in_(sorted(states)))
        for name in names:
            value: BindParameter[Any] = bindparam(name)
            statement = statement.limit(value) if name == "at_most" else statement.where(column[name] == value)
        return statement

    return make


def _selected_writes() -> Select[*tuple[Any, ...]]:
    return select(*(tables.writes.c[name] for name in names_of(WriteRow)))


def write(work: Work, identifier: str) -> WriteRow | None:
    """One write by id."""
    found = work.ask(_write, named=identifier).first()
    return None if found is None else WriteRow(*found)


def _write(_forms: Forms) -> Executable:
    return _selected_writes().where(tables.writes.c.write == bindparam("named"))


def waiting(work: Work, system: str, now: datetime, limit: int | None = None) -> list[WriteRow]:
    """The writes of a system that wait and may be attempted now, oldest first."""
    found = work.ask(
        _due if limit is None else _first_due, of=system, at=now, **({} if limit is None else {"at_most": limit})
    )
    return [WriteRow(*row) for row in found]


def _due(_forms: Forms) -> Select[*tuple[Any, ...]]:
    write = tables.writes.c
    due = or_(
        write.next_attempt_at.is_(None), write.next_attempt_at <= bindparam("at", type_=write.next_attempt_at.type)
    )
    chosen = _selected_writes().where(write.system == bindparam("of"), write.state == WriteState.WAITING, due)
    return chosen.order_by(write.number)


def _first_due(forms: Forms) -> Executable:
    return _due(forms).limit(bindparam("at_most"))


def claim(work: Work, identifier: str, now: datetime) -> bool:
    """Turn a waiting write into one being sent and count the attempt. False where that must not be.

    It must not be where the write does not wait (any more), where another write to the same record is being sent, or
    where it would create what another write of this client and system may have created already.
    """
    return work.ask(_claimed, named=identifier, at=now).rowcount == 1


def _claimed(_forms: Forms) -> Executable:
    write, other = tables.writes.c, tables.writes.alias("other").c
    same_record = and_(
        other.state == WriteState.SENDING, other.system == write.system, other.external_id == write.external_id
    )
    same_creation = and_(
        write.action == Action.CREATE,
        other.action == Action.CREATE,
        other.state.in_([WriteState.SENDING, WriteState.IN_DOUBT]),
        other.system == write.system,
        other.client == write.client,
    )
    running = exists().where(other.write != write.write, or_(same_record, same_creation))
    at = bindparam("at", type_=write.sending_at.type)
    return (
        update(tables.writes)
        .where(write.write == bindparam("named"), write.state == WriteState.WAITING, ~running)
        .values(state=WriteState.SENDING, attempts=write.attempts + 1, sending_at=at)
    )


def open_writes(work: Work, clients: Collection[str]) -> dict[tuple[str, str], WriteRow]:
    """(client, system) -> its open write; of several: sending, else in doubt, else waiting, else parked."""
    write = tables.writes.c
    where = (work.among(write.client, clients), write.state.in_(OPEN_WRITES))
    found = work.rows(WriteRow, tables.writes, *where, order=[write.number])
    return {(row.client, row.system): row for row in sorted(found, key=lambda row: _URGENCY.index(row.state))}
