"""What a person's decision about contacts does to golden and to the ties: they are neither fields nor whole lists. Pure.

A value that a person chose is written to every system that does not show it: what each shows at this moment counts as seen. A contact
that a person takes out is buried where it still is; one that a person puts back is made again where it was removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncd.core import normalize
from syncd.core.children import PREFIX, Contact, Tie, element_of, elements, with_value
from syncd.core.model import UNKNOWN, Fields, Maybe, Value, unit_value
from syncd.engine.children import CONTACTS, base_of, ties_of
from syncd.store import Base, Bundle, LinkRow, LinkState, RecordRow


def is_about_contacts(unit: str) -> bool:
    """Whether a unit is the list of contacts, one of them, or one of its values."""
    return unit == CONTACTS or unit.startswith(PREFIX)


def value_of(fields: Fields, unit: str) -> Maybe:
    """The value of a unit of a golden record, also where it is (one value of) one contact."""
    if not unit.startswith(PREFIX):
        return unit_value(fields, unit)
    element, part = element_of(unit)
    found = next((each for each in elements(fields.get(CONTACTS, UNKNOWN)) if each["id"] == element), None)
    if found is None:
        return UNKNOWN
    return unit_value(found, part) if part else found


def typed(unit: str, text: str) -> Maybe:
    """A value of one contact as a person typed it; UNKNOWN where it is none."""
    part = element_of(unit)[1]
    if part == "name":
        return {"name": text, "given_name": None, "family_name": None}
    return normalize.clean(normalize.CONTACT_PARTS[part], text) if part in normalize.CONTACT_PARTS else UNKNOWN


def decided(bundle: Bundle, unit: str, value: Value, told: Sequence[Value] = ()) -> tuple[Value, list[LinkRow]]:
    """Golden contacts after a person's decision about a unit, and the links with what it does to their ties.

    told: what the person was shown. An edit that nobody has decided or seen is not accounted for; what is typed into a record that stands
    apart is decided by nobody, and heard once its merge is taken back.
    """
    before = bundle.client.fields.get(CONTACTS)
    after = value if unit == CONTACTS else with_value(before, unit, value)
    had, has = ({str(each["id"]): each for each in elements(each_list)} for each_list in (before, after))
    element, part = element_of(unit) if unit != CONTACTS else ("", "")
    again = {name for name in has if name not in had or (name == element and not part)}
    links = []
    for link, record in bundle.sides:
        ties = dict(ties_of(link))
        undecided = bundle.client.dirty or link.state is LinkState.APART
        known = told if undecided else None
        for name, tie in list(ties.items()):
            if name in had and name not in has:
                ties[name] = tie if tie.gone else replace(tie, buried=True)
            elif name in again and tie.gone:
                del ties[name]
            elif name in has and has[name] != had.get(name):
                ties[name] = _seen(replace(tie, buried=False), _shown(record, tie), had.get(name, {}), has[name], known)
            elif name == element and part:
                ties[name] = _accounted(tie, _shown(record, tie), part, known)
        links.append(_put(link, ties))
    return after, [link for link, (old, _) in zip(links, bundle.sides, strict=True) if link != old]


def shown(link: LinkRow, record: RecordRow, unit: str) -> Value:
    """What a record shows of one contact or of one of its values, or of all contacts; None where it shows nothing."""
    if unit == CONTACTS:
        return _known(record.fields, CONTACTS)
    element, part = element_of(unit)
    tie = ties_of(link).get(element)
    contact = _shown(record, tie) if tie is not None else None
    if contact is None:
        return None
    return _known(contact, part) if part else dict(contact)


def accounted(link: LinkRow, record: RecordRow, unit: str) -> LinkRow:
    """A refused edit counts as seen, and golden is written back over it; a refused removal is no tie any more."""
    element, part = element_of(unit)
    ties = dict(ties_of(link))
    if element not in ties:
        return link
    if part:
        ties[element] = _accounted(ties[element], _shown(record, ties[element]), part)
    else:
        del ties[element]
    return _put(link, ties)


def lived_with(link: LinkRow, record: RecordRow, golden: Fields) -> LinkRow:
    """What a system shows of contacts is lived with, however it differs from golden."""
    has = {str(each["id"]): each for each in elements(golden.get(CONTACTS, UNKNOWN))}
    ties = {}
    for name, tie in ties_of(link).items():
        shown, parts = _shown(record, tie), has.get(name, {})
        both = [unit for unit in tie.seen if shown is not None and unit_value(shown, unit) is not UNKNOWN]
        seen = {unit: _known(shown or {}, unit) for unit in both}
        agreed = {unit: _known(parts, unit) for unit in both}
        ties[name] = replace(tie, seen={**tie.seen, **seen}, agreed={**tie.agreed, **agreed})
    return _put(link, ties)


def _put(link: LinkRow, ties: dict[str, Tie]) -> LinkRow:
    rest = {unit: base for unit, base in link.bases.items() if not unit.startswith(PREFIX)}
    if CONTACTS in rest:
        rest[CONTACTS] = replace(rest[CONTACTS], writes=())
    bases: dict[str, Base] = rest | {f"{PREFIX}{element}": base_of(tie) for element, tie in ties.items()}
    return link if bases == link.bases else replace(link, bases=bases)


def _shown(record: RecordRow | None, tie: Tie) -> Contact | None:
    listed = record.fields.get(CONTACTS) if record is not None else None
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return next((each for each in found if each.get("id") == tie.contact), None)


def _known(contact: Contact, unit: str) -> Value:
    value = unit_value(contact, unit)
    return None if value is UNKNOWN else value


def _seen(tie: Tie, shown: Contact | None, had: Contact, has: Contact, known: Sequence[Value] | None) -> Tie:
    """Every unit that the decision changed counts as seen."""
    for unit in tie.seen:
        if _known(had, unit) != _known(has, unit):
            tie = _accounted(tie, shown, unit, known)
    return tie


def _accounted(tie: Tie, shown: Contact | None, unit: str, known: Sequence[Value] | None = None) -> Tie:
    """What is shown of a unit counts as seen. known: of what moved since it was looked at only this; None for all of it."""
    if shown is None or unit_value(shown, unit) is UNKNOWN:
        return tie
    value = _known(shown, unit)
    if known is not None and value != tie.seen.get(unit) and value not in known:
        return tie
    agreed = {name: value for name, value in tie.agreed.items() if name != unit}
    return replace(tie, seen={**tie.seen, unit: value}, agreed=agreed)
