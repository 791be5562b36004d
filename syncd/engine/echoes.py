"""Echoes: edits that moved no golden record, because they said what it said already, or lost against another value.

As long as a client is one, the first make no difference and the others are conflicts. When a merge is taken back they count: what was typed
into a record since is its client's, whatever the record of another client said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.core.merge import Decision, Move
from syncd.core.model import UNKNOWN, Value, unit_value

if TYPE_CHECKING:
    from syncd.engine.systems import System
    from syncd.store import LinkRow, RecordKey, RecordRow

ECHOES = "echoes"
"""Key in a merge's snapshot: the echoes since, the last of each unit and record: [{number, unit, system, external_id, value, lost, against}]."""


@dataclass(frozen=True, slots=True)
class Echo:
    """An edit of one unit in one record. value: what golden holds where it says the same, else what the record shows.

    lost: against another value. against: the record that showed that one, None where it was golden's.
    """

    unit: str
    record: RecordKey
    value: Value
    lost: bool = False
    against: RecordKey | None = None


def echoes_of(
    decision: Decision,
    golden: Mapping[str, Value],
    sides: Sequence[tuple[LinkRow, RecordRow]],
    systems: Mapping[str, System],
) -> list[Echo]:
    """The records that came by an edit of their own to show what golden holds, or what lost; not by a write whose effect was late to be seen.

    The most trusted system's come last.
    """
    moves = {
        (side.system, side.external_id): side.move for side in reversed(decision.sides) if side.move is not Move.STAY
    }
    winner = (decision.winner or "", decision.record or "")
    moves.pop(winner, None)
    shows = {(link.system, link.external_id): (link, record) for link, record in sides}
    found: list[Echo] = []
    for key, move in moves.items():
        link, record = shows[key]
        base = link.bases.get(decision.unit)
        if base is None or base.seen is UNKNOWN:
            continue
        same, shown = systems[link.system].same(decision.unit, golden), unit_value(record.fields, decision.unit)
        awaited = base.before is not UNKNOWN and same(base.before, base.seen)
        if shown is not UNKNOWN and not awaited and not same(shown, base.seen):
            if move is Move.AGREE:
                found.append(Echo(decision.unit, key, decision.value))
            else:
                found.append(Echo(decision.unit, key, shown, lost=True, against=winner if decision.record else None))
    return found
