"""Settling: what became of writes whose answer was lost, judged by what a complete walk shows once their time is up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from syncd import log
from syncd.core.model import Action, Fields
from syncd.engine.answers import resembles
from syncd.engine.push import ATTEMPTS_MAX, Lane, adopt
from syncd.engine.systems import number_of
from syncd.providers import Listed
from syncd.store import RecordRow, WriteRow, WriteState

if TYPE_CHECKING:
    from datetime import datetime

    from syncd.engine.systems import System
    from syncd.store import Tx

TELLING = ("name", "email", "phone", "registration_number", "vat_number", "address_line1")
"""Fields by which clients are told apart."""

_log = log.get("push")


def settle(lane: Lane, *, walk_started: datetime | None) -> int:
    """Judge writes in doubt once their time is up and a complete walk began after it. Returns how many were judged.

    A create is ours if exactly one record, unknown before the intent and linked to nobody, shows what was sent: it is adopted. None:
    it is sent again under the same intent. Several: parked. The making of a child is decided again from what is there now.
    """
    with lane.store.writing() as tx:
        doubtful = [
            row
            for row in tx.writes([WriteState.IN_DOUBT], system=lane.system.name)
            if row.settle_at is not None and walk_started is not None and walk_started >= row.settle_at
        ]
        for row in doubtful:
            if row.action is not Action.CREATE:
                tx.put_writes(
                    [
                        replace(
                            row, state=WriteState.DROPPED, done_at=lane.clock(), reason=f"{row.reason}; decided again"
                        )
                    ]
                )
                tx.mark_dirty([row.client])
                continue
            _settle_create(tx, lane, row)
    return len(doubtful)


def _settle_create(tx: Tx, lane: Lane, row: WriteRow) -> None:
    ours = look_alikes(tx, lane.system, row)
    if len(ours) == 1:
        record = ours[0]
        golden = tx.client(row.client)
        adopt(
            tx,
            lane,
            row,
            Listed(record.external_id, record.raw, record.children),
            golden.fields if golden else row.fields,
            asked_at=record.observed_at,
            found=True,
        )
        _log.info("create_adopted", system=row.system, client=row.client, write=row.write, record=record.external_id)
    elif ours:
        said = {
            "code": "ambiguous",
            "message": f"{len(ours)} records look like the one whose creation was in doubt",
            "next": "Link the right one, or drop the write.",
        }
        tx.put_writes([replace(row, state=WriteState.PARKED, error=said)])
        tx.mark_dirty([row.client])
    else:
        again = WriteState.PARKED if row.attempts >= ATTEMPTS_MAX else WriteState.WAITING
        tx.put_writes([replace(row, state=again, next_attempt_at=None, settle_at=None)])
        tx.mark_dirty([row.client])


def look_alikes(tx: Tx, system: System, row: WriteRow) -> list[RecordRow]:
    """Records first seen after the cycle of the intent, linked to nobody, that show what the create had sent.

    The order of cycles tells, not the clock, which may have jumped back since: what a walk of that cycle had shown was there before.

    Where none shows all of it, those that show at least half of what tells clients apart: somebody may have edited it meanwhile.
    """
    since = row.sending_at or row.since
    free = set(tx.unlinked())
    young = [
        record
        for record in tx.recent(system.name, number_of(row.cycle), since)
        if (system.name, record.external_id) in free
    ]
    whole = [record for record in young if all(_shows(system, record.fields, row.fields).values())]
    return whole or [record for record in young if _mostly(_shows(system, record.fields, row.fields))]


def _shows(system: System, shown: Fields, sent: Fields) -> dict[str, bool]:
    """Of every field that a create had sent and that the system lets be read: whether the record shows its projection."""
    same = system.part_same(sent)
    readable = [name for name in sent if (spec := system.spec(name)) is not None and spec.read and not spec.remembered]
    return {
        name: name in shown and (same(name, shown[name], sent[name]) or resembles(shown[name], sent[name]))
        for name in readable
    }


def _mostly(shows: Mapping[str, bool]) -> bool:
    telling = [shows[name] for name in TELLING if name in shows]
    return any(telling) and sum(telling) * 2 >= len(telling)


def free_of_doubt(tx: Tx, systems: Sequence[System]) -> set[tuple[str, str]]:
    """Unlinked records that may be ours, made by a create in doubt: they are not correlated before that is settled."""
    reserved: set[tuple[str, str]] = set()
    for system in systems:
        for row in tx.writes([WriteState.IN_DOUBT], system=system.name):
            if row.action is Action.CREATE:
                reserved.update((system.name, record.external_id) for record in look_alikes(tx, system, row))
    return reserved
