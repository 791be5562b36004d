"""Contacts and notes between the rows of the store and the pure decisions of `syncd.core.children`.

A tie of an element is kept in the bases of its link, under `contacts.ELEMENT`: what was seen (with the contact's id there, and whether it
is gone or buried) and what was agreed. The bases `contacts` and `notes` keep the whole list as it was when it was last looked at; that of
`notes` also the marks of the notes by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from syncd.core.children import (
    PREFIX,
    Children,
    Contact,
    Roster,
    Steps,
    Tie,
    Told,
    held,
    merge_contacts,
    merge_notes,
    same_as_shown,
    steps,
)
from syncd.core.model import UNKNOWN, Context, Fields, Policy, Value, unit_value
from syncd.core.plan import Extra
from syncd.engine.answers import resembles
from syncd.engine.observe import SENT
from syncd.store import Base, Bundle, LinkRow, RecordRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncd.engine.systems import System

CONTACTS = "contacts"
NOTES = "notes"

RecordKey = tuple[str, str]
Side = tuple[LinkRow, RecordRow]


@dataclass(slots=True)
class Family:
    """What the contacts and notes of one client came to. bases: record -> its new bases. extras: record -> what it is to be told."""

    contacts: Children
    golden: dict[str, Value] = field(default_factory=dict)
    bases: dict[RecordKey, dict[str, Base]] = field(default_factory=dict)
    moves: list[tuple[str, Value, Value, str, str | None, str]] = field(default_factory=list)
    extras: dict[RecordKey, Extra] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a decision about children works with: the systems, the policy, who is not heard now (barred units, systems still typing).

    absorbed: records that another record of their system survives; their primary contact is one like the others.
    """

    systems: Mapping[str, System]
    policy: Policy
    context: Context
    barred: frozenset[tuple[str, str]] = frozenset()
    typing: frozenset[str] = frozenset()
    absorbed: frozenset[RecordKey] = frozenset()


def gather(
    golden: Fields,
    origins: Mapping[str, str],
    links: Iterable[LinkRow],
    sides: Sequence[Side],
    sight: Sight,
    complete: Callable[[Value], Value],
) -> Family:
    """Decide the contacts and notes of one client. golden: after the merge of its fields. sides: the records that take part."""
    present = {(link.system, link.external_id): record for link, record in sides}
    taking = [link for link in links if _spec(sight, link.system) is not None]
    rosters = [_roster(link, present.get((link.system, link.external_id)), golden, sight) for link in taking]
    contacts = merge_contacts(
        golden.get(CONTACTS),
        golden.get("email"),
        rosters,
        sight.policy.field(CONTACTS),
        sight.context,
        origins={name: system for name, system in origins.items() if name.startswith(PREFIX)},
        complete=complete,
    )
    family = Family(contacts)
    if CONTACTS in golden or any(roster.contacts is not None for roster in rosters):
        family.golden[CONTACTS] = contacts.golden
    family.moves = [(CONTACTS, *move) for move in contacts.moves]
    for link, roster in zip(taking, rosters, strict=True):
        family.bases[roster.record] = _with_ties(link, contacts.tied.ties[roster.record])
        record = present.get(roster.record)
        if record is not None and roster.contacts is not None:
            family.bases[roster.record] |= _seen(link, record, CONTACTS, reset=roster.record in contacts.edited)
            family.extras[roster.record] = _extra(contacts, roster, golden, sight)
    _gather_notes(family, golden, sides, sight)
    return family


def _spec(sight: Sight, system: str) -> object | None:
    found = sight.systems.get(system)
    return found.provider.capabilities.contacts if found is not None else None


def _roster(link: LinkRow, record: RecordRow | None, golden: Fields, sight: Sight) -> Roster:
    system = sight.systems[link.system]
    spec = system.provider.capabilities.contacts
    ties = ties_of(link)
    listed = record.fields.get(CONTACTS, UNKNOWN) if record is not None else UNKNOWN
    heard = record is not None and listed is not UNKNOWN and not (link.system in sight.typing and ties)
    contacts = None
    if spec is not None and heard and record is not None:
        contacts = shown(system, record, absorbed=(link.system, link.external_id) in sight.absorbed)
        ties = _with_unanswered(ties, contacts, record, same_as_shown(spec, sight.context))
    sources = sight.policy.field(CONTACTS).sources
    return Roster(
        system=link.system,
        external_id=link.external_id,
        contacts=contacts,
        ties=ties,
        same=same_as_shown(spec, sight.context.within(golden)) if spec is not None else _never,
        email=record.fields.get("email", UNKNOWN) if record is not None else UNKNOWN,
        barred=frozenset(unit for unit, name in sight.barred if name == link.system),
        may_change=sources is None or link.system in sources,
        seen_at=record.changed_at if record is not None else None,
    )


def _never(_unit: str, _left: Value, _right: Value) -> bool:
    return False


def shown(system: System, record: RecordRow, *, absorbed: bool = False) -> list[Contact]:
    """The contacts of a record, with their ids, as the system holds them. absorbed: what the client carries is its contact's own."""
    spec = system.provider.capabilities.contacts
    listed = record.fields.get(CONTACTS)
    found: list[Contact] = []
    for each in listed if isinstance(listed, list) and spec is not None else []:
        if not isinstance(each, dict) or not isinstance(each.get("id"), str) or spec is None:
            continue
        own: Contact = {"id": each["id"], **held(each, spec)}
        if each.get("primary") is True and absorbed:
            own = {**own, **{part: record.fields.get(part) for part in spec.carried}}
        elif each.get("primary") is True:
            own = {**own, "primary": True}
        found.append(own)
    return found


def _extra(contacts: Children, roster: Roster, golden: Fields, sight: Sight) -> Extra:
    system = sight.systems[roster.system]
    spec = system.provider.capabilities.contacts
    told = Steps()
    if spec is not None:
        deletes = system.policy.on_delete == "delete"
        told = steps(contacts, roster, spec, golden.get("email"), golden.get("name"), deletes=deletes)
    listed: list[Value] = [dict(each) for each in told.steps]
    undecided = [each.unit for each in contacts.decisions if each.outcome.value == "held"]
    return Extra(
        fields={CONTACTS: listed} if listed else {},
        reasons=tuple(dict.fromkeys(told.reasons)),
        drift=tuple(dict.fromkeys(told.drift)),
        waiting=tuple(undecided),
    )


def _seen(link: LinkRow, record: RecordRow, unit: str, *, reset: bool) -> dict[str, Base]:
    """The base of the whole list: what was looked at, and the writes that answered it with no person's edit between."""
    base = link.bases.get(unit, Base())
    return {unit: replace(base, seen=record.fields[unit], writes=() if reset else base.writes)}


# ---------------------------------------------------------------- ties


def ties_of(link: LinkRow) -> dict[str, Tie]:
    """Element -> its tie to a contact of this record."""
    ties = {}
    for unit, base in link.bases.items():
        if unit.startswith(PREFIX) and isinstance(base.seen, dict):
            marks = {name: base.seen.get(name) is True for name in ("gone", "buried")}
            seen = {name: value for name, value in base.seen.items() if name not in ("id", "gone", "buried")}
            agreed = base.agreed if isinstance(base.agreed, dict) else {}
            ties[unit.removeprefix(PREFIX)] = Tie(str(base.seen["id"]), **marks, seen=seen, agreed=agreed)
    return ties


def base_of(tie: Tie) -> Base:
    """A tie as it is kept."""
    marks = {name: True for name, told in (("gone", tie.gone), ("buried", tie.buried)) if told}
    return Base(seen={"id": tie.contact, **marks, **tie.seen}, agreed=dict(tie.agreed))


def _with_ties(link: LinkRow, ties: Mapping[str, Tie]) -> dict[str, Base]:
    rest = {unit: base for unit, base in link.bases.items() if not unit.startswith(PREFIX)}
    return rest | {f"{PREFIX}{element}": base_of(tie) for element, tie in ties.items()}


def _with_unanswered(
    ties: Mapping[str, Tie], contacts: Sequence[Contact], record: RecordRow, same: Callable[[str, Value, Value], bool]
) -> dict[str, Tie]:
    """The ties, with what writes of ours whose answers were lost turn out to have done: it is nobody's edit."""
    sent = record.memory.get(SENT)
    told = sent.get(CONTACTS, ()) if isinstance(sent, Mapping) else ()
    found = dict(ties)
    for step in (each for steps_told in told for each in steps_told):
        if step.get("removed") is True:
            continue
        if "element" in step:
            _made_unanswered(found, step, contacts, same)
        else:
            _changed_unanswered(found, step, contacts, same)
    return found


def _made_unanswered(
    ties: dict[str, Tie], step: Contact, contacts: Sequence[Contact], same: Callable[[str, Value, Value], bool]
) -> None:
    """A contact that nobody knew and that shows what was sent is the one that was made."""
    element = str(step["element"])
    if element in ties:
        return
    taken = {tie.contact for tie in ties.values()}
    units = [unit for unit in _units(step) if unit != "role"]
    alike = [
        each
        for each in contacts
        if str(each["id"]) not in taken and all(same(unit, _of(each, unit), _of(step, unit)) for unit in units)
    ]
    if units and len(alike) >= 1:
        ties[element] = _made(alike[0], step, same)


def _changed_unanswered(
    ties: dict[str, Tie], step: Contact, contacts: Sequence[Contact], same: Callable[[str, Value, Value], bool]
) -> None:
    contact = next((each for each in contacts if each["id"] == step.get("id")), None)
    element = next((name for name, tie in ties.items() if tie.contact == step.get("id")), None)
    if contact is None or element is None:
        return
    for unit in _units(step):
        tie, now, value = ties[element], _of(contact, unit), _of(step, unit)
        if unit in tie.seen and not same(unit, now, tie.seen[unit]) and same(unit, now, value):
            ties[element] = replace(tie, seen={**tie.seen, unit: now}, agreed={**tie.agreed, unit: value})


def _units(step: Contact) -> list[str]:
    parts = {name: value for name, value in step.items() if name not in ("id", "element", "primary", "removed")}
    return list(dict.fromkeys("name" if name in ("given_name", "family_name") else name for name in parts))


def _of(contact: Contact, unit: str) -> Value:
    value = unit_value(contact, unit)
    return None if value is UNKNOWN else value


def _made(contact: Contact, step: Contact, same: Callable[[str, Value, Value], bool]) -> Tie:
    """The tie of a contact that syncd made: what it shows beyond what was sent are the system's own defaults."""
    seen = {unit: _of(contact, unit) for unit in _units(contact)}
    agreed = {}
    for unit, value in seen.items():
        wanted = _of(step, unit)
        if wanted is None or same(unit, value, wanted) or resembles(value, wanted):
            agreed[unit] = wanted
    return Tie(str(contact["id"]), seen=seen, agreed=agreed)


def answered(
    link: LinkRow,
    record: RecordRow,
    system: System,
    told: Fields,
    made: Mapping[str, str],
    golden: Fields,
    cycle: str,
    now: datetime,
) -> dict[str, Base]:
    """The bases of a link after the answer to a write of contacts or notes was observed. told: the write's fields."""
    bases = dict(link.bases)
    for unit in (CONTACTS, NOTES):
        if unit in told:
            base = bases.get(unit, Base())
            bases[unit] = replace(base, seen=record.fields.get(unit), written_at=now, writes=(*base.writes, cycle))
    spec = system.provider.capabilities.contacts
    if CONTACTS not in told or spec is None:
        return bases
    same = same_as_shown(spec, system.context.within(golden))
    contacts = {str(each["id"]): each for each in shown(system, record)}
    ties = ties_of(link)
    steps_told = told[CONTACTS]
    for step in steps_told if isinstance(steps_told, list) else []:
        if isinstance(step, dict):
            _answer(ties, step, contacts, made, same)
    return bases | {f"{PREFIX}{element}": base_of(tie) for element, tie in ties.items()}


def _answer(
    ties: dict[str, Tie],
    step: Contact,
    contacts: Mapping[str, Contact],
    made: Mapping[str, str],
    same: Callable[[str, Value, Value], bool],
) -> None:
    if "element" in step:
        contact = contacts.get(made.get(str(step["element"]), ""))
        if contact is not None:
            ties[str(step["element"])] = _made(contact, step, same)
        return
    element = next((name for name, tie in ties.items() if tie.contact == step.get("id")), None)
    if element is None:
        return
    contact = contacts.get(str(step["id"]))
    if contact is None:
        ties[element] = Tie(ties[element].contact, gone=True)
        return
    for unit in _units(step):
        tie, now, wanted = ties[element], _of(contact, unit), _of(step, unit)
        if same(unit, now, wanted) or resembles(now, wanted):
            ties[element] = replace(tie, seen={**tie.seen, unit: now}, agreed={**tie.agreed, unit: wanted})


# ---------------------------------------------------------------- notes


def _gather_notes(family: Family, golden: Fields, sides: Sequence[Side], sight: Sight) -> None:
    policy = sight.policy.field(NOTES)
    taking = [
        (link, record)
        for link, record in sides
        if (spec := sight.systems[link.system].spec(NOTES)) is not None and spec.read and not spec.remembered
    ]
    order = {system: place for place, system in enumerate(policy.order)}
    taking.sort(key=lambda side: (order.get(side[0].system, len(order)), side[0].system, side[0].external_id))
    told = [
        Told(
            link.system,
            link.external_id,
            _notes_shown(record),
            note_marks(link),
            may_add=policy.sources is None or link.system in policy.sources,
        )
        for link, record in taking
    ]
    done = merge_notes(golden.get(NOTES), told)
    if NOTES in golden or any(each.notes is not None for each in told):
        family.golden[NOTES] = done.golden
    family.moves += [(NOTES, before, after, system, ext, "added there") for before, after, system, ext in done.moves]
    for link, record in taking:
        key = (link.system, link.external_id)
        if key not in done.ties:
            continue
        base = (family.bases.get(key) or link.bases).get(NOTES, Base())
        edited = any(move[2] == link.system for move in done.moves)
        bases = family.bases.get(key, dict(link.bases))
        ties: dict[str, Value] = dict(done.ties[key])
        writes = () if edited else base.writes
        family.bases[key] = {**bases, NOTES: replace(base, seen=record.fields[NOTES], agreed=ties, writes=writes)}
        if done.missing[key]:
            extra = family.extras.get(key, Extra())
            family.extras[key] = replace(
                extra,
                fields={**extra.fields, NOTES: done.missing[key]},
                reasons=(*extra.reasons, "notes: added in another system"),
            )


def differing(bundle: Bundle, link: LinkRow, record: RecordRow, system: System, policy: Policy) -> list[str]:
    """Of contacts and notes, those that a record does not show as golden holds them, as far as its system can be told."""
    golden, links = bundle.client.fields, [each for each, _ in bundle.sides if each.system == system.name]
    sight = Sight({system.name: system}, policy, policy.context.within(golden))
    family = gather(golden, bundle.client.origins, links, [(link, record)], sight, lambda name: name)
    extra = family.extras.get((link.system, link.external_id), Extra())
    moved = [
        unit for unit in (CONTACTS, NOTES) if family.golden.get(unit) != golden.get(unit) and unit in family.golden
    ]
    drift = [CONTACTS] if extra.drift else []
    return [unit for unit in dict.fromkeys([*moved, *extra.fields, *drift]) if _is_told(system, unit)]


def _is_told(system: System, unit: str) -> bool:
    spec = system.spec(unit)
    return spec is not None and spec.update


def contact_ids(fields: Fields) -> list[str]:
    """The ids of the contacts that a record shows."""
    listed = fields.get(CONTACTS)
    found = [each.get("id") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, str)]


def note_marks(link: LinkRow) -> dict[str, str]:
    """Note id -> the mark of the text that it had at first."""
    agreed = link.bases.get(NOTES, Base()).agreed
    return {name: str(value) for name, value in agreed.items()} if isinstance(agreed, dict) else {}


def _notes_shown(record: RecordRow) -> list[tuple[str, str]] | None:
    listed = record.fields.get(NOTES, UNKNOWN)
    if listed is UNKNOWN:
        return None
    found = listed if isinstance(listed, list) else []
    return [(str(each["id"]), str(each["text"])) for each in found if isinstance(each, dict)]


def makes_child(told: Fields) -> bool:
    """Whether sending it again could make a second contact or note."""
    made = told.get(CONTACTS)
    contacts = made if isinstance(made, list) else []
    return bool(told.get(NOTES)) or any(isinstance(each, dict) and "element" in each for each in contacts)
