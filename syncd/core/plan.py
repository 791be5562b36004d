"""From decisions to writes: what each system is to be told about one client, and how the client stands there.

A write is planned where the merge says that golden differs from what a system shows, the tenant lets syncd write there, and the
system can hold the field. Everything else has a standing with its reason, so that nothing is left out silently:

    failing   a write was refused, or the record cannot be read
    held      a person decides first: conflict, proposal, brake
    pending   a write waits, is on its way, or waits for a complete walk
    excluded  the client does not take part here (mode, `only`, an objection of the system), or differs where nobody can write (drift)
    in_sync   the system shows the projection of golden
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from syncd.core.merge import Decision, SideOutcome
from syncd.core.model import (
    UNKNOWN,
    Action,
    FieldPolicy,
    Fields,
    Maybe,
    SystemPolicy,
    Value,
    parts_of,
    unit_fields,
    unit_of,
    unit_value,
)


class Standing(StrEnum):
    """How one client stands in one system; the five counts of `status`."""

    IN_SYNC = "in_sync"
    PENDING = "pending"
    HELD = "held"
    EXCLUDED = "excluded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Target:
    """One system as a place where a client may be written.

    creates, updates: the fields the provider can send with a create, and change later. fixed: those of them that cannot be emptied. same: equality of one part as the system
    can tell. objection: why the system cannot hold this client, or None. blocked: why nothing is created there at present
    (no complete walk yet, first-run report waits), or None.
    """

    policy: SystemPolicy
    creates: frozenset[str]
    updates: frozenset[str]
    can_create: bool
    same: Callable[[str, Value, Value], bool]
    objection: str | None = None
    blocked: str | None = None
    fixed: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The system's name."""
        return self.policy.name


@dataclass(frozen=True, slots=True)
class Held:
    """The record a system holds of the client: its link's state, its canonical fields, what is wrong with it."""

    external_id: str
    state: str
    fields: Fields
    parked: str | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """One intended change to one record. fields: the values afterwards; before: what the record shows now."""

    system: str
    external_id: str | None
    action: Action
    fields: dict[str, Value]
    before: dict[str, Value]
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """The outcome for one client in one system."""

    system: str
    standing: Standing
    reason: str = ""
    drift: bool = False
    intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class Extra:
    """What one record is to be told of the client's contacts and notes (see `syncd.core.children`).

    fields: unit -> the steps. drift: in words, what differs and cannot be told. waiting: what a person decides about first.
    """

    fields: Mapping[str, Value] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


NO_EXTRA = Extra()


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be planned for one client.

    golden: its fields after the merge. active: neither archived nor deleted. held: why a person has to decide before it is created
    anywhere, or None. held_units: units that wait for a person (conflict, lossy edit, brake, frozen field). extras: (system,
    external id) -> what is to be told of contacts and notes.
    """

    golden: Fields
    decisions: Sequence[Decision]
    policies: Callable[[str], FieldPolicy]
    active: bool = True
    held: str | None = None
    held_units: frozenset[str] = frozenset()
    extras: Mapping[tuple[str, str], Extra] = field(default_factory=dict)


def place(wish: Wish, target: Target, held: Held | None) -> Place:
    """Where the client stands in one system, and the write that is to be made there, if any."""
    if target.policy.only is not None and not target.policy.only(wish.golden):
        return Place(target.name, Standing.EXCLUDED, f"outside `only`: {target.policy.only_text}")
    if held is None:
        return _place_absent(wish, target)
    if held.state in ("gone", "missing"):
        reason = "deleted there; never created again" if held.state == "gone" else "missing there; not confirmed yet"
        return Place(target.name, Standing.EXCLUDED, reason)
    if held.parked is not None:
        return Place(target.name, Standing.FAILING, held.parked)
    return _place_present(wish, target, held)


def _place_absent(wish: Wish, target: Target) -> Place:
    if not wish.active:
        return Place(target.name, Standing.EXCLUDED, "archived, and not held by this system")
    if not (target.policy.mode.creates and target.can_create):
        return Place(target.name, Standing.EXCLUDED, f"mode {target.policy.mode.value} creates nothing")
    if target.objection is not None:
        return Place(target.name, Standing.EXCLUDED, target.objection)
    if wish.held is not None:
        return Place(target.name, Standing.HELD, wish.held)
    if target.blocked is not None:
        return Place(target.name, Standing.PENDING, target.blocked)
    fields: dict[str, Value] = {
        name: value
        for name, value in wish.golden.items()
        if name in target.creates and value is not None and _may_write(wish, target, unit_of(name))
    }
    intent = Intent(target.name, None, Action.CREATE, fields, {}, "the client is not in this system")
    return Place(target.name, Standing.PENDING, "to be created", intent=intent)


def _may_write(wish: Wish, target: Target, unit: str) -> bool:
    targets = wish.policies(unit).targets
    return targets is None or target.name in targets


def _place_present(wish: Wish, target: Target, held: Held) -> Place:
    wanted: dict[str, Value] = {}
    drift: list[str] = []
    waiting: list[str] = []
    for decision in wish.decisions:
        side = _side(decision, target.name, held.external_id)
        if decision.unit in wish.held_units and unit_value(held.fields, decision.unit) is not UNKNOWN:
            waiting.append(decision.unit)
        elif side is not None and _may_write(wish, target, decision.unit):
            fields = differing(decision.unit, decision.value, held.fields, target.same)
            if side.write:
                wanted.update(_writable(fields, target))
            drift.extend(_unwritable(fields, target, differs=side.write))
    extra = wish.extras.get((target.name, held.external_id), NO_EXTRA)
    _tell_extra(extra, wish, target, wanted, drift, waiting)
    if wanted and target.objection is not None:
        return Place(target.name, Standing.EXCLUDED, target.objection, drift=True)
    if wanted:
        before = {field: held.fields.get(field) for field in wanted}
        reason = "; ".join(filter(None, (_reason(wish.decisions, wanted), _extra_reason(extra, wanted))))
        intent = Intent(target.name, held.external_id, _action(wanted), wanted, before, reason)
        return Place(
            target.name,
            Standing.HELD if waiting else Standing.PENDING,
            _names(waiting) or "to be written",
            bool(drift),
            intent,
        )
    if waiting:
        return Place(target.name, Standing.HELD, _names(waiting), bool(drift))
    if drift:
        return Place(
            target.name,
            Standing.EXCLUDED,
            f"differs and cannot be written there: {', '.join(sorted(set(drift)))}",
            drift=True,
        )
    return Place(target.name, Standing.IN_SYNC)


def _tell_extra(
    extra: Extra, wish: Wish, target: Target, wanted: dict[str, Value], drift: list[str], waiting: list[str]
) -> None:
    """Contacts and notes go with the client's own write, where they may be written at all."""
    for unit, value in extra.fields.items():
        if unit in wish.held_units:
            waiting.append(unit)
        elif _may_write(wish, target, unit):
            wanted.update(_writable({unit: value}, target))
            drift.extend(_unwritable({unit: value}, target, differs=True))
    if _may_write(wish, target, "contacts") and "contacts" in target.updates:
        drift.extend(extra.drift)
    waiting.extend(extra.waiting)


def _extra_reason(extra: Extra, wanted: Mapping[str, Value]) -> str:
    return "; ".join(reason for reason in extra.reasons if reason.partition(":")[0] in wanted)


def _side(decision: Decision, system: str, external_id: str) -> SideOutcome | None:
    return next((side for side in decision.sides if (side.system, side.external_id) == (system, external_id)), None)


def differing(unit: str, golden: Value, shown: Fields, same: Callable[[str, Value, Value], bool]) -> dict[str, Value]:
    """The fields of a unit that a record shows otherwise than golden. A name always goes whole, an address part by part."""
    wanted = unit_fields(unit, golden)
    known = {field: value for field, value in wanted.items() if field in shown}
    parts = {field: value for field, value in known.items() if not same(field, shown[field], value)}
    if unit == "name" and parts:
        return {part: wanted.get(part) for part in parts_of("name") if part in shown}
    return parts


def _writable(fields: Mapping[str, Value], target: Target) -> dict[str, Value]:
    if not target.policy.mode.updates:
        return {}
    return {field: value for field, value in fields.items() if _can_be(field, value, target)}


def _unwritable(fields: Mapping[str, Value], target: Target, *, differs: bool) -> list[str]:
    """Fields that differ, that this provider can be told at least once, and that can not be written now: drift."""
    if not differs:
        return []
    tellable = target.creates | target.updates
    now = _writable(fields, target)
    return [field for field in fields if field in tellable and field not in now]


def _can_be(field: str, value: Value, target: Target) -> bool:
    """Whether a field of a record that is there can be given a value."""
    return field in target.updates and not (value is None and field in target.fixed)


def _action(fields: Mapping[str, Value]) -> Action:
    archived: Maybe = fields.get("archived", UNKNOWN)
    if archived is UNKNOWN:
        return Action.UPDATE
    return Action.ARCHIVE if archived is True else Action.RESTORE


def _reason(decisions: Sequence[Decision], fields: Mapping[str, Value]) -> str:
    units = {unit_of(field) for field in fields}
    reasons = [
        f"{decision.unit}: {decision.reason or 'golden has changed since this system agreed'}"
        for decision in decisions
        if decision.unit in units
    ]
    return "; ".join(reasons)


def _names(units: Sequence[str]) -> str:
    return f"a person decides about: {', '.join(sorted(units))}" if units else ""
