"""The merge: who changed a field, and what the client's value is now. This header is the specification.

For each unit (a field, or an atomic group of fields) of one client, and for each system that holds a record of it:

    base    the last value at which this system and the golden record agreed, as a pair: what the system showed (`seen`)
            and what the golden record held (`agreed`). The two differ where a system cannot hold the full value; the pair is
            what keeps its short form from ever overwriting the rich one.
    mirror  what the system says now
    golden  what we hold

Same and changed are always judged as this system can tell (`Side.same`): two values are the same for a system if it
would show both in the same form.

    mirror vs base | golden vs base | mirror vs golden | decision
    -------------- | -------------- | ---------------- | ----------------------------------------------------------
    same           | same           | same             | settled (also where they differ by what the system can hold)
    changed        | same           | differ           | accept into golden
    same           | changed        | differ           | write outward
    changed        | changed        | same             | converged: move the base, write nothing, log nothing
    changed        | changed        | differ           | conflict: the rule decides or the field is held; logged once
    unknown        | any            | any              | not this system's business

1.  Two systems that changed to different values are a conflict whatever golden holds. A short form of the value that another
    system shows in full is not a different value: the full one is taken.
2.  Golden is itself a candidate wherever a changing system has not yet agreed to it: else a value that is on its way
    would be replaced without a word. Not where another changing system had agreed to it: that edit was made in view of it.
3.  The base moves only on agreement that was seen, per unit. A losing value is *accounted for*: `seen` moves, and there is
    no agreement any more (`agreed` is unknown), so that it is not mistaken for a system's own short form. The system counts as
    unchanged until somebody edits it again, and golden is written to it until it shows it.
4.  First sight (no base): equal is agreed; empty is filled, also a part of a group that golden does not know; different values
    are one conflict of kind `first`. Nothing is cleared at first sight that golden did not hold.
5.  On a conflict between a value and an empty, the value wins. An opt-out of marketing wins over everything, whoever made it,
    and no system's edit reverses it: golden competes with every opt-in, and only a person's decision here undoes it.
6.  A value that a system cannot have typed (`weak`: a constant of that system) fills an empty golden and never competes, also
    not as golden.
7.  The result does not depend on the order of the sides: rank comes from the tenant's order, never from arrival. Golden
    competes with the rank of the system where its value was typed.
8.  A group comes whole from one edit. Parts that the editing system cannot hold are kept only if it changed none of
    line 1, postal code, city and country; otherwise they are cleared with it. A name typed as one text drops the old split.
    A part that nobody ever knew stays unknown; one that some system still shows of a group that was emptied is empty.
9.  An edit of a shortened form that only shortens or lengthens it would destroy the tail elsewhere: it is held as `lossy`.
    What is held is held for every system that changed the unit: none of their values is lost meanwhile.

Unknown, empty and a value are never confused (see `syncd.core.model`). Nothing here knows of time, network or storage.

Decisions
    2026-11: the base is a pair and not one value. The rejected alternative, comparing the mirror with a projection of
    golden only, cannot tell a truncating system whose limit nobody declared from a person who shortened a name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from syncd.core.model import ADDRESS_CORE, UNKNOWN, FieldPolicy, Maybe, Rule, Value, is_group, parts_of
from syncd.core.survivorship import CONSENT, GOLDEN, Alike, Candidate, Same, choose, is_empty, parts_shown, rank_of

LOSSY = "the edit only shortens or lengthens a form that was already cut; taking it would lose the rest elsewhere"


@dataclass(frozen=True, slots=True)
class Side:
    """One system's view of one unit. `part_same` compares one part of a group as this system can tell."""

    system: str
    external_id: str
    mirror: Maybe
    seen: Maybe
    agreed: Maybe
    same: Same
    part_same: Callable[[str, Value, Value], bool] | None = None
    weak: bool = False
    may_change: bool = True
    seen_at: datetime | None = None
    modified_at: datetime | None = None


class Outcome(StrEnum):
    """What the merge of one unit came to."""

    SETTLED = "settled"
    CONVERGED = "converged"
    ACCEPT = "accept"
    WRITE = "write"
    CONFLICT = "conflict"
    HELD = "held"


class Move(StrEnum):
    """What happens to one side's base. AGREE: (mirror, golden). ACCOUNT: `seen` becomes the mirror, `agreed` unknown."""

    STAY = "stay"
    AGREE = "agree"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class SideOutcome:
    """What becomes of one side: its base's move, and whether golden differs from it and is to be written there."""

    system: str
    external_id: str
    move: Move
    write: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a merge for one unit, with its reason. `value` is golden afterwards, `before` golden before.

    kind: `edit` | `first` for conflicts, `lossy` for a held shortening, "" otherwise. base: the value last agreed. winner, record: the
    system, and its record, whose value this is.
    """

    unit: str
    outcome: Outcome
    before: Value
    value: Value
    sides: tuple[SideOutcome, ...]
    kind: str = ""
    base: Value = None
    candidates: tuple[Candidate, ...] = ()
    winner: str | None = None
    rule: str = ""
    reason: str = ""
    record: str | None = None


def merge(
    unit: str,
    golden: Value,
    sides: Sequence[Side],
    policy: FieldPolicy,
    *,
    equal: Same,
    origin: str | None = None,
    complete: Callable[[Value], Value] = lambda value: value,
) -> Decision:
    """Decide one unit of one client.

    golden: what we hold (None: empty). equal: the canonical equality of the unit. origin: the system where golden's value was
    typed, None where no system did (a person decided it here): it then ranks before all systems. complete: derives the parts of an
    accepted group that follow from the others (the split of a person's name).
    """
    known = sorted((side for side in sides if side.mirror is not UNKNOWN), key=lambda side: _identity(side, policy))
    constant = any(side.weak and side.system == origin and side.same(_value(side.mirror), golden) for side in known)
    changing = [side for side in known if _changes(side, golden) or (constant and _changes(side, None))]
    consent = unit == CONSENT
    strong = [s for s in changing if not s.weak and (s.may_change or (consent and s.mirror is False))]
    if not strong and is_empty(golden):
        strong = [side for side in changing if side.weak and side.may_change][:1]
    if not strong:
        return _unchanged(unit, golden, known)
    if any(_shortens(side) for side in strong):
        asking = [_candidate(side) for side in sorted(strong, key=lambda side: not _shortens(side))]
        return _held(unit, golden, known, strong, asking, "lossy", policy.rule.value, LOSSY)
    was = golden if golden is not None else _emptied(unit, known, strong)
    options = [(side, complete(absorb(unit, was, _value(side.mirror), side.part_same))) for side in strong]
    contested = (consent and golden is False) or (
        not constant
        and any(_golden_competes(side, golden) for side in strong if not side.weak)
        and not any(_supersedes_golden(side, golden) for side in strong)
    )
    if agreed := _agreed_by_all(options, golden, equal, contested=contested):
        return _accepted(unit, golden, known, strong, *agreed)
    candidates = [_candidate(side) for side in strong]
    if contested or (policy.rule is Rule.FILL and not is_empty(golden)):
        candidates.append(Candidate(GOLDEN, None, golden))
    return _conflict(unit, golden, known, options, candidates, policy, equal, origin)


def absorb(unit: str, golden: Value, edited: Value, part_same: Callable[[str, Value, Value], bool] | None) -> Value:
    """Golden after one system's value was accepted: rule 8 of the header for groups, the value itself otherwise."""
    if not is_group(unit) or not isinstance(edited, dict):
        return edited
    old = golden if isinstance(golden, dict) else {}

    def same(part: str, left: Value, right: Value) -> bool:
        return part_same(part, left, right) if part_same else left == right

    merged: dict[str, Value] = {}
    for part in parts_of(unit):
        if part in edited:
            kept = part in old and same(part, edited[part], old[part])
            merged[part] = old[part] if kept else edited[part]
    lost = [part for part in parts_of(unit) if part in old and part not in edited]
    decisive = ("name",) if unit == "name" else ADDRESS_CORE
    moved = any(part in edited and not same(part, edited[part], old.get(part)) for part in decisive)
    for part in lost:
        merged[part] = None if moved else old[part]
    return None if all(value is None for value in merged.values()) else merged


def _emptied(unit: str, known: Sequence[Side], strong: Sequence[Side]) -> Value:
    """A group that golden holds nothing of, as its parts that are still shown where nobody has changed it: they are empty, not unknown."""
    shown = [part for side in known if side not in strong for part in parts_shown(side.mirror)]
    return dict.fromkeys(shown) if shown and is_group(unit) else None


def _identity(side: Side, policy: FieldPolicy) -> tuple[int, str, str]:
    return (rank_of(side.system, policy), side.system, side.external_id)


def _value(maybe: Maybe) -> Value:
    return None if maybe is UNKNOWN else maybe


def _moved(side: Side) -> bool:
    """Whether the mirror differs from what was last accounted for; at first sight it always does."""
    return side.seen is UNKNOWN or not side.same(_value(side.mirror), side.seen)


def _golden_moved(side: Side, golden: Value) -> bool:
    """Whether golden differs from what this side last agreed to; with no agreement it always does."""
    return side.agreed is UNKNOWN or not side.same(side.agreed, golden)


def _changes(side: Side, golden: Value) -> bool:
    """Whether this side asks for another golden value. An empty at first sight asks for nothing: it is filled."""
    if not _moved(side):
        return False
    if side.same(_value(side.mirror), golden):
        return _enriches(side, golden)
    return not (side.seen is UNKNOWN and is_empty(side.mirror))


def _enriches(side: Side, golden: Value) -> bool:
    """Whether a group that equals golden otherwise has got a value for a part that golden does not know."""
    if not isinstance(side.mirror, dict) or not isinstance(golden, dict):
        return False
    new = [part for part, value in side.mirror.items() if part not in golden and not is_empty(value)]
    return any(side.mirror[part] != _part(side.seen, part) for part in new)


def _supersedes_golden(side: Side, golden: Value) -> bool:
    """Whether this side changed a value to which it had agreed, that is in view of golden as it is."""
    had_agreed = side.seen is not UNKNOWN and not _golden_moved(side, golden)
    return had_agreed and not side.same(_value(side.mirror), golden)


def _golden_competes(side: Side, golden: Value) -> bool:
    """Whether golden is itself a candidate against this side: it changed without having agreed to golden."""
    if side.same(_value(side.mirror), golden):
        return False
    if side.seen is UNKNOWN or side.agreed is UNKNOWN:
        return not is_empty(golden)
    return _golden_moved(side, golden)


def _agreed_by_all(
    options: Sequence[tuple[Side, Value]], golden: Value, equal: Same, *, contested: bool
) -> tuple[Side, Value] | None:
    """The change that is every changing side's own as that side can tell, with the value it makes; None: they conflict.

    Of several the one with most known parts; the first in the tenant's order among those.
    """
    if len(options) == 1 and not contested:
        return options[0]
    shared = [
        (source, value)
        for source, value in options
        if all(side.same(_value(side.mirror), value) or equal(_value(side.mirror), value) for side, _ in options)
        and (not contested or equal(golden, value))
    ]
    if not shared:
        return None
    source, value = max(shared, key=lambda option: len(parts_shown(option[0].mirror)))
    return source, _with_rest(source, value, options)


def _with_rest(source: Side, value: Value, options: Sequence[tuple[Side, Value]]) -> Value:
    """The value with what other sides show of the same group, and the source cannot hold."""
    if not isinstance(value, dict) or not isinstance(source.mirror, dict):
        return value
    mirrors = [side.mirror for side, _ in options if isinstance(side.mirror, dict)]
    rest = {part: each for mirror in mirrors for part, each in mirror.items() if part not in source.mirror}
    return {**value, **{part: each for part, each in rest.items() if not is_empty(each)}}


def _shortens(side: Side) -> bool:
    """Whether this edit only cuts or prolongs a form that was already shorter than what golden agreed to."""
    if side.seen is UNKNOWN or side.agreed is UNKNOWN:
        return False
    return any(
        _text_shortens(_part(side.mirror, part), _part(side.seen, part), _part(side.agreed, part))
        for part in (parts_shown(side.mirror) or ("",))
    )


def is_shortened(shown: Value, form: Value, value: Value) -> bool:
    """Whether somebody only cut or prolonged the form in which a system keeps a value, where that form is cut; of a group nothing else."""
    parts = parts_shown(shown) or ("",)
    shorter = [part for part in parts if _text_shortens(*(_part(each, part) for each in (shown, form, value)))]
    return bool(shorter) and all(_part(shown, part) == _part(form, part) for part in parts if part not in shorter)


def _part(maybe: Maybe, part: str) -> Value:
    if isinstance(maybe, dict):
        return maybe.get(part)
    return None if part else _value(maybe)


def _text_shortens(mirror: Value, seen: Value, agreed: Value) -> bool:
    if not (isinstance(mirror, str) and isinstance(seen, str) and isinstance(agreed, str)) or not seen:
        return False
    now, then, full = mirror.casefold(), seen.casefold(), agreed.casefold()
    cut = len(then) < len(full) and full.startswith(then)
    return cut and bool(now) and now not in (then, full) and (now.startswith(then) or then.startswith(now))


def _candidate(side: Side) -> Candidate:
    return Candidate(side.system, side.external_id, _value(side.mirror), side.seen_at, side.modified_at)


def _unchanged(unit: str, golden: Value, known: Sequence[Side]) -> Decision:
    sides = tuple(_outcome(side, golden, golden) for side in known)
    quiet = Outcome.CONVERGED if any(side.move is Move.AGREE for side in sides) else Outcome.SETTLED
    outcome = Outcome.WRITE if any(side.write for side in sides) else quiet
    return Decision(unit, outcome, golden, golden, sides)


def _outcome(side: Side, before: Value, golden: Value) -> SideOutcome:
    """What becomes of a side once golden is decided. At first sight it is only cleared of what golden held before."""
    mirror = _value(side.mirror)
    moved = _moved(side)
    move = Move.ACCOUNT if moved else Move.STAY
    write = moved or _golden_moved(side, golden)
    if side.same(mirror, golden):
        move, write = (Move.AGREE if moved or side.agreed != golden else Move.STAY), False
    elif side.seen is UNKNOWN and is_empty(golden) and not side.same(mirror, before):
        move, write = Move.STAY, False
    return SideOutcome(side.system, side.external_id, move, write=write and not side.weak)


def _accepted(
    unit: str, golden: Value, known: Sequence[Side], strong: Sequence[Side], source: Side, value: Value
) -> Decision:
    sides = tuple(_outcome(side, golden, value) for side in known)
    reason = "changed in one system" if len(strong) == 1 else "changed to the same value in several systems"
    asking = tuple(_candidate(side) for side in strong)
    return Decision(
        unit,
        Outcome.ACCEPT,
        golden,
        value,
        sides,
        base=_base(strong),
        candidates=asking,
        winner=source.system,
        reason=reason,
        record=source.external_id,
    )


def _base(strong: Sequence[Side]) -> Value:
    """The value last agreed with the changing systems, the most trusted one's where they differ."""
    return next((_value(side.agreed) for side in strong if side.agreed is not UNKNOWN), None)


def _conflict(
    unit: str,
    golden: Value,
    known: Sequence[Side],
    options: Sequence[tuple[Side, Value]],
    candidates: Sequence[Candidate],
    policy: FieldPolicy,
    equal: Same,
    origin: str | None,
) -> Decision:
    strong = [side for side, _ in options]
    kind = "first" if all(side.seen is UNKNOWN for side in strong) else "edit"
    chosen, rule, reason = choose(unit, candidates, policy, _alike(strong, equal), origin)
    if chosen is None:
        return _held(unit, golden, known, strong, candidates, kind, rule, reason)
    winner, record, value = GOLDEN, None, golden
    if chosen.system != GOLDEN:
        source = _in_full(chosen, strong)
        winner, record = source.system, source.external_id
        value = next(value for side, value in options if side is source)
    value = _whole(value, candidates)
    sides = tuple(_outcome(side, golden, value) for side in known)
    base, asking = _base(strong), tuple(candidates)
    return Decision(unit, Outcome.CONFLICT, golden, value, sides, kind, base, asking, winner, rule, reason, record)


def _whole(value: Value, candidates: Sequence[Candidate]) -> Value:
    """A group that won comes whole: what only its rivals had of it is empty, and not left standing beside the winner's parts."""
    rivals = [part for each in candidates for part in parts_shown(each.value)]
    return {**dict.fromkeys(rivals), **value} if isinstance(value, dict) else value


def _in_full(chosen: Candidate, strong: Sequence[Side]) -> Side:
    """The side that shows in full what the chosen one shows in a short form; the chosen one where there is none."""
    own = next(side for side in strong if (side.system, side.external_id) == (chosen.system, chosen.external_id))
    for side in strong:
        mirror = _value(side.mirror)
        whole = set(parts_shown(chosen.value)) <= set(parts_shown(mirror))
        if whole and not is_empty(mirror) and own.same(chosen.value, mirror) and not side.same(mirror, chosen.value):
            return side
    return own


def _alike(strong: Sequence[Side], equal: Same) -> Alike:
    """Equality of candidates: canonical, or as one of the two systems can tell. Two empties are always equal."""
    tells = {(side.system, side.external_id): side.same for side in strong}

    def alike(left: Candidate, right: Candidate) -> bool:
        if is_empty(left.value) or is_empty(right.value):
            return is_empty(left.value) and is_empty(right.value)
        views = [tells.get((each.system, each.external_id or ""), equal) for each in (left, right)]
        return any(same(left.value, right.value) for same in (equal, *views))

    return alike


def _held(
    unit: str,
    golden: Value,
    known: Sequence[Side],
    strong: Sequence[Side],
    candidates: Sequence[Candidate],
    kind: str,
    rule: str,
    reason: str,
) -> Decision:
    """Nothing happens to the sides that changed until a person decides; the others are as without them."""
    sides = tuple(
        SideOutcome(side.system, side.external_id, Move.STAY, write=False)
        if side in strong
        else _outcome(side, golden, golden)
        for side in known
    )
    return Decision(
        unit, Outcome.HELD, golden, golden, sides, kind, _base(strong), tuple(candidates), None, rule, reason
    )
