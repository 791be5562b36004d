"""The bases of a client's links while it is decided: what of them moves with each unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.core.merge import Decision, Move, Outcome
from syncd.core.model import UNKNOWN, unit_value
from syncd.store import Base

if TYPE_CHECKING:
    from syncd.store import LinkRow, RecordKey, RecordRow

    Bases = dict[RecordKey, dict[str, Base]]
    """Record -> unit -> base, while the units of one client are decided one after the other."""

NO_BASE = Base()
"""That nothing was agreed yet."""


def move_bases(moved: Bases, decision: Decision, records: Mapping[RecordKey, RecordRow]) -> None:
    """Move the bases of every side of a decided unit, in place; an edit also forgets which cycles wrote the unit before."""
    edited = decision.outcome in (Outcome.ACCEPT, Outcome.CONFLICT)
    for side in decision.sides:
        key = (side.system, side.external_id)
        bases = moved[key]
        old = bases.get(decision.unit, NO_BASE)
        agree, account = side.move is Move.AGREE, side.move is Move.ACCOUNT
        fresh = edited and bool(old.writes)
        if not (agree or account or fresh):
            continue
        mirror = unit_value(records[key].fields, decision.unit)
        bases[decision.unit] = Base(
            seen=mirror if agree or account else old.seen,
            agreed=decision.value if agree else UNKNOWN if account else old.agreed,
            before=old.before,
            written_at=old.written_at,
            writes=() if edited else old.writes,
            origin=old.origin,
        )


def with_moved(links: Mapping[RecordKey, LinkRow], moved: Bases) -> dict[RecordKey, LinkRow]:
    """The links whose bases moved, with them."""
    return {key: replace(links[key], bases=bases) for key, bases in moved.items() if bases != links[key].bases}
