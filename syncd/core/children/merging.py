"""Merging: what becomes of every contact of a client, value by value (rules 3, 4 and 5 of the package's header)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.core.children.roster import (
    PREFIX,
    UNITS,
    Contact,
    Roster,
    Tie,
    by_rank,
    elements,
    known_units,
    listed,
    same_unit,
)
from syncd.core.children.tying import Tied, tie
from syncd.core.merge import Decision, Move, Outcome, Side, SideOutcome, merge
from syncd.core.model import UNKNOWN, Context, FieldPolicy, Value, unit_fields, unit_value
from syncd.core.survivorship import Candidate

REMOVED = "removed in one system"
KEPT = "edited after another system removed it; the edit wins"
ARRIVED = "seen for the first time"


@dataclass(frozen=True, slots=True)
class Removal:
    """A contact was removed in one system while others edited it: a conflict of kind `delete`."""

    element: str
    candidates: tuple[Candidate, ...]
    base: Value
    winner: str
    value: Value


@dataclass(slots=True)
class Children:
    """What the contacts of one client came to.

    golden: the new list. moves: every element that changed, as (unit, list before, list after, system, external id, reason).
    decisions: of single units, with the unit `contacts.ELEMENT.UNIT`, and of removals, with `contacts.ELEMENT`. arrived: elements that
    golden did not hold before. edited: records in which a person changed something.
    """

    golden: Value
    tied: Tied
    decisions: list[Decision] = field(default_factory=list)
    moves: list[tuple[Value, Value, str, str | None, str]] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    arrived: set[str] = field(default_factory=set)
    edited: set[tuple[str, str]] = field(default_factory=set)
    origins: dict[str, str] = field(default_factory=dict)

    def side(self, element: str, unit: str, record: tuple[str, str]) -> SideOutcome | None:
        """What was decided for one value of one contact in one record."""
        name = f"{PREFIX}{element}.{unit}"
        found = (side for each in self.decisions if each.unit == name for side in each.sides)
        return next((side for side in found if (side.system, side.external_id) == record), None)


@dataclass(slots=True)
class _Work:
    context: Context
    policy: FieldPolicy
    complete: Callable[[Value], Value]
    rosters: Sequence[Roster]
    origins: Mapping[str, str]
    done: Children


def merge_contacts(
    golden: Value,
    email: Value,
    rosters: Iterable[Roster],
    policy: FieldPolicy,
    context: Context,
    *,
    origins: Mapping[str, str] | None = None,
    complete: Callable[[Value], Value] = lambda value: value,
) -> Children:
    """Decide every contact of one client. email: the client's own, after its merge. origins: unit -> system of golden's value.

    complete: derives the split of an accepted name.
    """
    ranked = by_rank(rosters, policy.order)
    held = elements(golden)
    tied = tie(held, email, ranked, policy.order, context)
    origins = dict(origins or {})
    work = _Work(context, policy, complete, ranked, origins, Children(listed(held), tied, origins=origins))
    had = {str(each["id"]): each for each in held}
    for element in [*had, *tied.new, *sorted(tied.buried)]:
        before = work.done.golden
        source = _element(work, element, had.get(element))
        _flag(work.done, element)
        if work.done.golden != before and source is not None:
            work.done.moves.append((before, work.done.golden, *source))
    return work.done


def _flag(done: Children, element: str) -> None:
    """Mark the primary contact; what the client's own fields carry is no part of it."""
    primary = element == done.tied.primary
    golden = elements(done.golden)
    for each in golden:
        if each["id"] == element:
            each.pop("primary", None)
            if primary:
                each["primary"] = True
                each.pop("email", None)
    done.golden = listed(golden)


def _element(work: _Work, element: str, held: Contact | None) -> tuple[str, str | None, str] | None:
    """Merge one element. Returns who moved it (system, external id, why), or None."""
    sides = [(roster, contact) for roster in work.rosters if (contact := _shown(work, roster, element)) is not None]
    removed = [roster for roster in work.rosters if _is_removed(work, roster, element)]
    edits = [roster for roster, contact in sides if _edits(work, roster, element, contact)]
    if held is None and element in work.done.tied.buried:
        for roster in removed:
            _set(work, roster, element, gone=True)
        if not edits:
            return None
        _log_removal(work, element, {"id": element}, edits, [r for r in work.rosters if _is_gone(work, r, element)])
        return _values(work, element, {"id": element}, [(r, c) for r, c in sides if r in edits]) or _by(edits[0], KEPT)
    heard = [roster for roster in removed if roster.may_change and f"{PREFIX}{element}" not in roster.barred]
    if (
        held is not None
        and heard
        and not edits
        and not any(_golden_moved(work, roster, element, held) for roster in heard)
    ):
        return _bury(work, element, held, heard, sides)
    for roster in removed:
        if roster in heard or not roster.may_change:
            _set(work, roster, element, gone=True)
    if held is not None and heard:
        _log_removal(work, element, held, edits, heard)
    if held is None:
        work.done.arrived.add(element)
        first = sides[0][0] if sides else None
        moved = _values(work, element, {"id": element}, sides)
        return None if first is None else moved or _by(first, ARRIVED)
    return _values(work, element, held, sides)


def _by(roster: Roster, reason: str) -> tuple[str, str | None, str]:
    return roster.system, roster.external_id, reason


def _shown(work: _Work, roster: Roster, element: str) -> Contact | None:
    found = work.done.tied.ties[roster.record].get(element)
    return roster.by_id(found.contact) if found is not None else None


def _is_removed(work: _Work, roster: Roster, element: str) -> bool:
    """Whether a contact that was there is not in an authoritative list any more."""
    found = work.done.tied.ties[roster.record].get(element)
    return found is not None and not found.gone and roster.contacts is not None and roster.by_id(found.contact) is None


def _is_gone(work: _Work, roster: Roster, element: str) -> bool:
    found = work.done.tied.ties[roster.record].get(element)
    return found is not None and found.gone


def _set(work: _Work, roster: Roster, element: str, *, gone: bool = False, buried: bool = False) -> None:
    ties = work.done.tied.ties[roster.record]
    ties[element] = Tie(ties[element].contact, gone=gone) if gone else replace(ties[element], buried=buried)


def _edits(work: _Work, roster: Roster, element: str, contact: Contact) -> bool:
    """Whether this system changed anything about a contact since it was last looked at. What comes back was edited."""
    found = work.done.tied.ties[roster.record][element]
    if not roster.may_change or f"{PREFIX}{element}" in roster.barred:
        return False
    return found.gone or any(
        unit in found.seen and not roster.same(unit, _known(contact, unit), found.seen[unit])
        for unit in known_units(contact)
        if f"{PREFIX}{element}.{unit}" not in roster.barred
    )


def _golden_moved(work: _Work, roster: Roster, element: str, held: Contact) -> bool:
    """Whether golden holds a value that this system has not seen yet: then the removal was made without knowing it."""
    found = work.done.tied.ties[roster.record][element]
    return any(
        unit in found.seen
        and (unit not in found.agreed or not roster.same(unit, _known(held, unit), found.agreed[unit]))
        for unit in known_units(held)
    )


def _known(contact: Contact, unit: str) -> Value:
    value = unit_value(contact, unit)
    return None if value is UNKNOWN else value


def _bury(
    work: _Work, element: str, held: Contact, removed: Sequence[Roster], sides: Sequence[tuple[Roster, Contact]]
) -> tuple[str, str | None, str]:
    for roster in removed:
        _set(work, roster, element, gone=True)
    for roster, _ in sides:
        _set(work, roster, element, buried=True)
    first = removed[0]
    work.done.golden = listed(each for each in elements(work.done.golden) if each["id"] != element)
    work.done.edited.update(roster.record for roster in removed)
    for unit in UNITS:
        work.done.origins.pop(f"{PREFIX}{element}.{unit}", None)
    unit = f"{PREFIX}{element}"
    work.done.decisions.append(
        Decision(unit, Outcome.ACCEPT, dict(held), None, (), winner=first.system, reason=REMOVED)
    )
    return _by(first, REMOVED)


def _log_removal(work: _Work, element: str, held: Contact, edits: Sequence[Roster], removed: Sequence[Roster]) -> None:
    """Rule 5: one conflict, with who removed the contact and who edited it (golden, where the edit is on its way)."""
    gone = [Candidate(roster.system, roster.external_id, None, roster.seen_at) for roster in removed]
    kept = [
        Candidate(roster.system, roster.external_id, dict(contact), roster.seen_at)
        for roster in edits
        if (contact := _shown(work, roster, element)) is not None
    ]
    kept = kept or [Candidate("golden", None, dict(held))]
    base = dict(held) if len(held) > 1 else None
    removal = Removal(element, (*kept, *gone), base, kept[0].system, kept[0].value)
    work.done.removals.append(removal)


def _values(
    work: _Work, element: str, held: Contact, sides: Sequence[tuple[Roster, Contact]]
) -> tuple[str, str | None, str] | None:
    """Merge every unit of an element; returns the first who moved a value."""
    parts = dict(held)
    moved: tuple[str, str | None, str] | None = None
    for unit in UNITS:
        if unit == "email" and element == work.done.tied.primary:
            continue
        before = unit_value(parts, unit)
        decision = _merge(work, element, unit, parts, sides)
        if decision is None:
            continue
        if decision.outcome in (Outcome.ACCEPT, Outcome.CONFLICT):
            parts.update(unit_fields(unit, decision.value))
            if decision.winner not in (None, "golden"):
                work.done.origins[decision.unit] = str(decision.winner)
                source = next(roster for roster, _ in sides if roster.system == decision.winner)
                moved = moved or _by(source, decision.reason)
        elif before is UNKNOWN:
            parts.update(unit_fields(unit, None) if unit != "name" else {"name": None})
        work.done.decisions.append(decision)
        _move_ties(work, element, unit, decision, sides)
    golden = elements(work.done.golden)
    if all(each["id"] != element for each in golden):
        golden.append(parts)
    work.done.golden = listed(parts if each["id"] == element else each for each in golden)
    return moved


def _merge(
    work: _Work, element: str, unit: str, parts: Contact, sides: Sequence[tuple[Roster, Contact]]
) -> Decision | None:
    name = f"{PREFIX}{element}.{unit}"
    views = []
    for roster, contact in sides:
        found = work.done.tied.ties[roster.record][element]
        heard = name not in roster.barred and PREFIX + element not in roster.barred
        views.append(
            Side(
                system=roster.system,
                external_id=roster.external_id,
                mirror=unit_value(contact, unit) if heard else UNKNOWN,
                seen=found.seen.get(unit, UNKNOWN),
                agreed=found.agreed.get(unit, UNKNOWN),
                same=_for_unit(roster, unit),
                part_same=_part_same if unit == "name" else None,
                may_change=roster.may_change,
                seen_at=roster.seen_at,
                modified_at=roster.modified_at,
            )
        )
    if all(view.mirror is UNKNOWN for view in views):
        return None
    decision = merge(
        unit,
        _known(parts, unit),
        views,
        work.policy,
        equal=lambda left, right: same_unit(unit, left, right, work.context),
        origin=work.origins.get(name),
        complete=work.complete if unit == "name" else lambda value: value,
    )
    return replace(decision, unit=name)


def _part_same(_part: str, left: Value, right: Value) -> bool:
    return left == right


def _for_unit(roster: Roster, unit: str) -> Callable[[Value, Value], bool]:
    return lambda left, right: roster.same(unit, left, right)


def _move_ties(
    work: _Work, element: str, unit: str, decision: Decision, sides: Sequence[tuple[Roster, Contact]]
) -> None:
    contacts = {roster.record: (roster, contact) for roster, contact in sides}
    for side in decision.sides:
        roster, contact = contacts[side.system, side.external_id]
        ties = work.done.tied.ties[roster.record]
        found, mirror = ties[element], _known(contact, unit)
        if side.move is Move.STAY:
            continue
        if unit in found.seen and not roster.same(unit, mirror, found.seen[unit]):
            work.done.edited.add(roster.record)
        agreed = {name: value for name, value in found.agreed.items() if name != unit}
        if side.move is Move.AGREE:
            agreed[unit] = decision.value
        ties[element] = replace(found, gone=False, buried=False, seen={**found.seen, unit: mirror}, agreed=agreed)
    for roster, _ in sides:
        ties = work.done.tied.ties[roster.record]
        if ties[element].gone or ties[element].buried:
            ties[element] = replace(ties[element], gone=False, buried=False)


__all__ = ["Children", "Removal", "merge_contacts"]
