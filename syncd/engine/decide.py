"""Decide one client: merge every unit, move the bases, log conflicts, plan the writes. Rows in, rows out; no store, no network.

`decide` is a function of a bundle (golden record, links, mirrors) and a `Scope` (policy, time, what is held). It returns a `Draft` of
everything that is to be committed in one transaction, so that a crash leaves either all of a client's decisions or none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from syncd.core import normalize
from syncd.core.children import PREFIX, Removal
from syncd.core.merge import Decision, Outcome, merge
from syncd.core.model import (
    UNKNOWN,
    BrakeKind,
    Context,
    Policy,
    Value,
    is_group,
    parts_of,
    unit_fields,
    unit_value,
    units_in,
)
from syncd.core.plan import Extra
from syncd.engine.bases import move_bases, with_moved
from syncd.engine.children import Family, Sight, gather
from syncd.engine.echoes import Echo, echoes_of
from syncd.engine.hearing import at_rest, is_heard, still_typed
from syncd.engine.observe import SENT
from syncd.engine.systems import System, digest
from syncd.store import (
    Base,
    Bundle,
    ChangeRow,
    ClientRow,
    ClientState,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldRow,
    LinkRow,
    LinkState,
    RecordKey,
    RecordRow,
    RecordState,
)

GATHERED = ("contacts", "notes")
"""Units that are merged element by element rather than as one value (see `syncd.core.children`)."""

Barred = frozenset[tuple[str, str, str]]
"""(client, unit, system): changes that a brake or a person holds back."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a reconcile works with. blocked: system -> why nothing may be created there now. frozen: why nothing at all is written.

    closed: the systems that are blocked because a person is asked about them.
    held_clients: client -> why a person has to decide before it is created anywhere. held_ends: (client, system) -> why a person has to
    decide whether it was deleted there; as long as none of its records is there, it is created nowhere. absorbed: record -> the record of the same system that survives a merge of clients instead of it; unheard:
    those of them that were not read since.
    """

    systems: Mapping[str, System]
    policy: Policy
    cycle: str
    now: datetime
    blocked: Mapping[str, str] = field(default_factory=dict)
    frozen: str | None = None
    barred: Barred = frozenset()
    held_clients: Mapping[str, str] = field(default_factory=dict)
    held_ends: Mapping[tuple[str, str], str] = field(default_factory=dict)
    refused_lossy: frozenset[str] = frozenset()
    absorbed: Mapping[RecordKey, RecordKey] = field(default_factory=dict)
    unheard: frozenset[RecordKey] = frozenset()
    closed: frozenset[str] = frozenset()

    @property
    def context(self) -> Context:
        """The tenant's default region and locale."""
        return self.policy.context

    @property
    def unread(self) -> frozenset[str]:
        """The systems that could not be read completely."""
        return frozenset(self.blocked.keys() - self.closed)

    @property
    def only_observes(self) -> bool:
        """Whether nothing is ever written in any system: then there is no first run to be released."""
        return not any(system.mode.creates or system.mode.updates for system in self.systems.values())


@dataclass(slots=True)
class Draft:
    """Everything that the decision about one client changes. Ids of new rows are given by the caller when it commits.

    children: decisions about contacts. extras: record -> what it is to be told of contacts and notes. echoes: what else was typed.
    """

    client: ClientRow
    links: dict[tuple[str, str], LinkRow]
    decisions: list[Decision] = field(default_factory=list)
    children: list[Decision] = field(default_factory=list)
    extras: dict[tuple[str, str], Extra] = field(default_factory=dict)
    changes: list[ChangeRow] = field(default_factory=list)
    conflicts: list[ConflictRow] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    held_units: set[str] = field(default_factory=set)
    echoes: list[Echo] = field(default_factory=list)
    settles_at: datetime | None = None


def present(bundle: Bundle, systems: Mapping[str, System]) -> list[tuple[LinkRow, RecordRow]]:
    """The sides that take part in the merge: linked, and there when they were last seen."""
    return [
        (link, record)
        for link, record in bundle.sides
        if record is not None
        and link.system in systems
        and link.state is LinkState.LINKED
        and record.state is RecordState.PRESENT
    ]


def decide(bundle: Bundle, scope: Scope) -> Draft:
    """Merge every unit of one client and move the bases of its links."""
    golden = dict(bundle.client.fields)
    origins = dict(bundle.client.origins)
    sides = [(_with_unanswered(link, record, golden, scope), record) for link, record in present(bundle, scope.systems)]
    draft = Draft(bundle.client, {(link.system, link.external_id): link for link, _ in (*bundle.sides, *sides)})
    _adopt_typed_split(golden, sides)
    fresh = still_typed(sides, scope)
    draft.settles_at = max(fresh.values(), default=None)
    records = {(link.system, link.external_id): record for link, record in sides}
    bases = {(link.system, link.external_id): dict(link.bases) for link, _ in sides}
    for unit in _units(golden, sides):
        decision = _merge_unit(unit, golden, origins, sides, scope, bundle.client.client, fresh)
        draft.decisions.append(decision)
        draft.echoes.extend(echoes_of(decision, golden, sides, scope.systems))
        _note_empties(golden, unit, sides)
        if decision.outcome in (Outcome.ACCEPT, Outcome.CONFLICT):
            golden.update(unit_fields(unit, decision.value))
            _note_origin(origins, unit, decision)
        move_bases(bases, decision, records)
        _log(draft, decision, scope)
    draft.links |= with_moved(draft.links, bases)
    _complete_name(golden)
    _take_children(draft, golden, origins, sides, scope, fresh)
    state = client_state(bundle.client, golden, draft.links.values())
    moved = golden != bundle.client.fields or state != bundle.client.state
    draft.client = replace(
        bundle.client,
        fields=golden,
        origins=origins,
        state=state,
        dirty=False,
        updated_at=scope.now if moved else bundle.client.updated_at,
    )
    return draft


def _with_unanswered(link: LinkRow, record: RecordRow, golden: Mapping[str, Value], scope: Scope) -> LinkRow:
    """The link, with what writes of ours whose answers were lost turn out to have done: it was agreed, and is nobody's edit."""
    sent = record.memory.get(SENT)
    bases = dict(link.bases)
    told = sent.items() if isinstance(sent, Mapping) else ()
    for unit, values in ((unit, values) for unit, values in told if unit not in GATHERED):
        shown, base = unit_value(record.fields, unit), bases.get(unit, Base())
        system = scope.systems[link.system]
        if shown is UNKNOWN or (base.seen is not UNKNOWN and system.same(unit, golden)(shown, base.seen)):
            continue
        if (arrived := system.arrived(unit, golden, shown, values)) is not None:
            bases[unit] = replace(base, seen=arrived[0], agreed=arrived[1])
    return link if bases == link.bases else replace(link, bases=bases)


def _note_empties(golden: dict[str, Value], unit: str, sides: Sequence[tuple[LinkRow, RecordRow]]) -> None:
    """A part that some system says is empty, and nobody knows a value of, is empty and not unknown."""
    for part in parts_of(unit):
        if part not in golden and any(part in record.fields for _, record in sides):
            golden[part] = None


def _units(golden: Mapping[str, Value], sides: Sequence[tuple[LinkRow, RecordRow]]) -> list[str]:
    """Every unit anybody knows of; `kind` first, because names are split by it, then the address, whose country reads phones."""
    known = dict(golden)
    for _, record in sides:
        known.update(record.fields)
    units = [unit for unit in units_in(known) if unit not in GATHERED]
    return sorted(units, key=lambda unit: (unit != "kind", unit != "address"))


def _merge_unit(
    unit: str,
    golden: Mapping[str, Value],
    origins: Mapping[str, str],
    sides: Sequence[tuple[LinkRow, RecordRow]],
    scope: Scope,
    client: str,
    fresh: Collection[str] = (),
) -> Decision:
    held = unit_value(golden, unit)
    golden_value = None if held is UNKNOWN else held
    heard = [
        (scope.systems[link.system], link, record)
        for link, record in sides
        if is_heard(client, unit, link, scope, fresh)
    ]
    if (settled := at_rest(unit, golden_value, heard, scope.policy)) is not None:
        return settled
    views = [system.side(unit, golden, link, record, scope.policy) for system, link, record in heard]
    context = scope.context.within(golden)
    return merge(
        unit,
        golden_value,
        views,
        scope.policy.field(unit),
        equal=lambda left, right: normalize.same(unit, left, right, context),
        origin=origins.get(unit),
        complete=_completer(unit, golden),
    )


def _completer(unit: str, golden: Mapping[str, Value]) -> Callable[[Value], Value]:
    person = golden.get("kind") == "person"

    def complete(value: Value) -> Value:
        if unit != "name" or not person or not isinstance(value, dict):
            return value
        return split_person(value)

    return complete


def split_person(name: Mapping[str, Value]) -> dict[str, Value]:
    """A person's name with given and family name filled in from its text where nobody typed them."""
    text = name.get("name")
    if name.get("given_name") or name.get("family_name") or not isinstance(text, str):
        return dict(name)
    parts = normalize.split_name(text)
    if parts is None:
        return dict(name)
    return {**name, "given_name": parts[0], "family_name": parts[1]}


def _complete_name(golden: dict[str, Value]) -> None:
    """Split the name of a client that turned out to be a person after its name was known."""
    if golden.get("kind") == "person" and isinstance(golden.get("name"), str):
        golden.update(split_person({part: golden.get(part) for part in ("name", "given_name", "family_name")}))


def _adopt_typed_split(golden: dict[str, Value], sides: Sequence[tuple[LinkRow, RecordRow]]) -> None:
    """Prefer a split that a person typed at first sight over one that was derived from the same text."""
    if any(
        "name" in link.bases
        and isinstance(link.bases["name"].seen, dict)
        and link.bases["name"].seen.get("family_name")
        for link, _ in sides
    ):
        return
    for _, record in sides:
        typed = record.fields
        if typed.get("family_name") and typed.get("name") == golden.get("name"):
            golden.update({"given_name": typed.get("given_name"), "family_name": typed.get("family_name")})
            return


def _note_origin(origins: dict[str, str], unit: str, decision: Decision) -> None:
    if decision.winner is not None and decision.winner != "golden":
        origins[unit] = decision.winner


def _log(draft: Draft, decision: Decision, scope: Scope) -> None:
    client = draft.client.client
    if decision.outcome is Outcome.HELD:
        draft.held_units.add(decision.unit)
    if decision.outcome is Outcome.HELD and decision.kind == "lossy":
        draft.holds.append(_lossy_hold(client, decision, scope))
    elif decision.outcome in (Outcome.CONFLICT, Outcome.HELD):
        draft.conflicts.append(_conflict(client, decision, scope))
    if decision.outcome in (Outcome.ACCEPT, Outcome.CONFLICT) and decision.value != decision.before:
        draft.changes.append(
            ChangeRow(
                change="",
                cycle=scope.cycle,
                client=client,
                unit=decision.unit,
                system=decision.winner or "golden",
                external_id=decision.record,
                before=decision.before,
                after=decision.value,
                reason=decision.reason,
                at=scope.now,
            )
        )


def conflict_key(client: str, decision: Decision) -> str:
    """What makes an undecided conflict this one: looking again at the same candidates adds no row."""
    return digest(
        [
            client,
            decision.unit,
            decision.kind,
            [[each.system, each.external_id, each.value] for each in decision.candidates],
        ]
    )


def _conflict(client: str, decision: Decision, scope: Scope) -> ConflictRow:
    held = decision.outcome is Outcome.HELD
    key = conflict_key(client, decision)
    return ConflictRow(
        conflict="",
        client=client,
        unit=decision.unit,
        kind=ConflictKind(decision.kind),
        base=decision.base,
        candidates=[
            {
                "system": each.system,
                "external_id": each.external_id,
                "value": each.value,
                "seen_at": each.seen_at.isoformat() if each.seen_at else None,
            }
            for each in decision.candidates
        ],
        rule=decision.rule,
        status=ConflictStatus.OPEN if held else ConflictStatus.DECIDED,
        winner=decision.winner,
        value=None if held else decision.value,
        decided_by="" if held else "rule",
        logged_at=scope.now,
        reason=decision.reason,
        cycle=scope.cycle,
        key=key if held else f"{key}:{scope.cycle}:{scope.now.isoformat()}",
    )


def _lossy_hold(client: str, decision: Decision, scope: Scope) -> HoldRow:
    items = [
        {
            "client": client,
            "field": decision.unit,
            "system": each.system,
            "external_id": each.external_id,
            "value": each.value,
            "golden": decision.value,
        }
        for each in decision.candidates
    ]
    return HoldRow(
        hold="",
        kind=HoldKind.LOSSY,
        system=decision.candidates[0].system,
        reason=decision.reason,
        items=items,
        since=scope.now,
        key=f"lossy:{conflict_key(client, decision)}",
    )


def _take_children(
    draft: Draft,
    golden: dict[str, Value],
    origins: dict[str, str],
    sides: Sequence[tuple[LinkRow, RecordRow]],
    scope: Scope,
    fresh: Collection[str],
) -> None:
    """Contacts and notes, after the fields of the client that the primary contacts carry."""
    client = draft.client.client
    current = [(draft.links[link.system, link.external_id], record) for link, record in sides]
    barred = frozenset(
        (unit, system) for owner, unit, system in scope.barred if owner == client and unit.startswith(PREFIX)
    )
    sight = Sight(
        scope.systems, scope.policy, scope.context.within(golden), barred, frozenset(fresh), frozenset(scope.absorbed)
    )

    def complete(name: Value) -> Value:
        return split_person(name) if isinstance(name, dict) else name

    family = gather(golden, origins, draft.links.values(), current, sight, complete)
    golden.update(family.golden)
    for name in [name for name in origins if name.startswith(PREFIX)]:
        del origins[name]
    origins.update(family.contacts.origins)
    for key, bases in family.bases.items():
        if bases != draft.links[key].bases:
            draft.links[key] = replace(draft.links[key], bases=bases)
    draft.extras = family.extras
    draft.children = family.contacts.decisions
    _log_children(draft, family, scope)


def _log_children(draft: Draft, family: Family, scope: Scope) -> None:
    client = draft.client.client
    for decision in draft.children:
        if decision.outcome is Outcome.HELD:
            draft.held_units.add(decision.unit)
        if decision.outcome in (Outcome.CONFLICT, Outcome.HELD):
            kind = "edit" if decision.kind == "lossy" else decision.kind
            draft.conflicts.append(_conflict(client, replace(decision, kind=kind), scope))
    draft.conflicts.extend(_conflict(client, _as_decision(removal), scope) for removal in family.contacts.removals)
    draft.changes.extend(
        ChangeRow("", scope.cycle, client, unit, system, external_id, before, after, reason, scope.now)
        for unit, before, after, system, external_id, reason in family.moves
    )


def _as_decision(removal: Removal) -> Decision:
    """A contact that one system removed and another edited, as the conflict it is."""
    return Decision(
        f"{PREFIX}{removal.element}",
        Outcome.CONFLICT,
        removal.base,
        removal.value,
        (),
        "delete",
        removal.base,
        removal.candidates,
        removal.winner,
        "delete",
        "the edit wins; where the contact was removed it is not made again without a person",
    )


def client_state(client: ClientRow, golden: Mapping[str, Value], links: Collection[LinkRow]) -> ClientState:
    """The client's life: merged stays merged; deleted when no system holds it any more; else as `archived` says.

    A deleted one that has no link at all was erased, and stays deleted.
    """
    if client.state is ClientState.MERGED:
        return ClientState.MERGED
    if client.state is ClientState.DELETED and not links:
        return ClientState.DELETED
    states = [link.state for link in links if link.state is not LinkState.APART]
    if states and all(state is LinkState.GONE for state in states):
        return ClientState.DELETED
    return ClientState.ARCHIVED if golden.get("archived") is True else ClientState.ACTIVE


def mass_changes(draft: Draft) -> list[tuple[BrakeKind, str, str, str, Value]]:
    """What a brake counts: (kind, system, client, unit, value) for every value that one system's edit replaced or cleared."""
    found: list[tuple[BrakeKind, str, str, str, Value]] = []
    for decision in (*draft.decisions, *draft.children):
        accepted = decision.outcome in (Outcome.ACCEPT, Outcome.CONFLICT) and decision.kind != "first"
        kind = _mass_kind(decision) if accepted else None
        if kind is not None and decision.winner not in (None, "golden"):
            found.append((kind, str(decision.winner), draft.client.client, decision.unit, decision.value))
    return found


def _mass_kind(decision: Decision) -> BrakeKind | None:
    """What an accepted edit does to a value that was there: archive, clear or overwrite; None where it only adds."""
    before, after = decision.before, decision.value
    if decision.unit == "archived":
        return BrakeKind.DELETES if after is True else None
    if isinstance(before, dict) and isinstance(after, dict):
        replaced = [part for part, value in before.items() if not _empty(value) and after.get(part) != value]
        return BrakeKind.OVERWRITES if replaced else None
    if _empty(before) or before == after:
        return None
    return BrakeKind.CLEARS if _empty(after) else BrakeKind.OVERWRITES


def _empty(value: Value) -> bool:
    return value in (None, "", False) if not is_container(value) else not value


def is_container(value: Value) -> bool:
    """Whether a value is a group or a list."""
    return isinstance(value, dict | list)


__all__ = ["Barred", "Draft", "Scope", "client_state", "decide", "is_container", "is_group", "mass_changes", "present"]
