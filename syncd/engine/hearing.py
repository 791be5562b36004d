"""Whose word counts now, and whether anybody says anything at all: what is asked before a unit of a client is merged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from syncd.core.merge import Decision, Move, Outcome, SideOutcome
from syncd.core.model import UNKNOWN, unit_value
from syncd.core.normalize import identical
from syncd.core.survivorship import rank_of
from syncd.engine.observe import CREATED, WRITTEN

if TYPE_CHECKING:
    from syncd.core.model import Policy, Value
    from syncd.engine.decide import Scope
    from syncd.engine.systems import System
    from syncd.store import LinkRow, RecordRow


def still_typed(sides: Sequence[tuple[LinkRow, RecordRow]], scope: Scope) -> dict[str, datetime]:
    """System -> when its record will have stood still for the tenant's `settle`; until then it is not heard."""
    settle = timedelta(seconds=scope.policy.timing.settle_seconds)
    return {
        link.system: record.changed_at + settle
        for link, record in sides
        if record.changed_at + settle > scope.now and not _is_our_own(record)
    }


def _is_our_own(record: RecordRow) -> bool:
    """Whether the record's last change is a write of syncd's, which nobody is still typing."""
    written = record.memory.get(WRITTEN)
    if isinstance(written, Mapping):
        return datetime.fromisoformat(str(written["at"])) == record.changed_at
    return CREATED in record.memory and record.changed_at == record.first_seen_at


def is_heard(client: str, unit: str, link: LinkRow, scope: Scope, fresh: Collection[str]) -> bool:
    """Whether what a record shows of a unit counts: nothing holds it back, nobody is still typing it, and no merge made it so."""
    if (client, unit, link.system) in scope.barred:
        return False
    if link.system in fresh and unit in link.bases and link.bases[unit].seen is not UNKNOWN:
        return False
    # The record of a merged client is archived because it is to be; golden should not follow.
    return unit != "archived" or (link.system, link.external_id) not in scope.absorbed


def at_rest(
    unit: str, golden: Value, heard: Sequence[tuple[System, LinkRow, RecordRow]], policy: Policy
) -> Decision | None:
    """The decision about a unit that every system shows as it was last seen there, and agreed to as golden holds it; None for any other.

    It is the one that `merge` comes to, told without asking what systems can tell apart: most units of most clients are at rest.
    """
    known: list[tuple[str, str]] = []
    for system, link, record in heard:
        shown = unit_value(record.fields, unit)
        if shown is UNKNOWN or not system.shows(unit):
            continue
        base = link.bases.get(unit)
        if base is None or base.seen is UNKNOWN or base.agreed is UNKNOWN:
            return None
        if not (identical(shown, base.seen) and identical(golden, base.agreed)):
            return None
        known.append((system.name, record.external_id))
    ranking = policy.field(unit)
    known.sort(key=lambda each: (rank_of(each[0], ranking), *each))
    sides = tuple(SideOutcome(name, external_id, Move.STAY, write=False) for name, external_id in known)
    return Decision(unit, Outcome.SETTLED, golden, golden, sides)
