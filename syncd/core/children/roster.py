"""What one record says of its contacts, and how two of their values are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from syncd.core.model import UNKNOWN, Context, Maybe, Value, parts_of, unit_fields, unit_value
from syncd.core.normalize import CONTACT_PARTS, join_name, key, same

UNITS: Final = ("name", "email", "phone", "mobile", "title", "role")
"""What is merged as one within a contact; `name` is a group."""

PREFIX: Final = "contacts."
"""Of the unit `contacts.ELEMENT.UNIT` of one value of one contact, and of `contacts.ELEMENT`, its being there."""

Contact = Mapping[str, Value]
"""Parts of a contact: absent = unknown, None = empty. `id`: in golden the element, in a record the contact's own. `primary`: a flag."""

UnitSame = Callable[[str, Value, Value], bool]


@dataclass(frozen=True, slots=True)
class ContactSpec:
    """What a provider can do with the contacts of a client.

    parts: what it holds; a `name` without given and family name is one text. needs: parts without which there can be no contact.
    carried: parts of the primary contact that the client's own fields carry. primary: whether it has a primary contact at all.
    """

    parts: frozenset[str]
    needs: frozenset[str] = frozenset()
    carried: frozenset[str] = frozenset()

    @property
    def primary(self) -> bool:
        """Whether one contact of each record carries fields of the client."""
        return bool(self.carried)


@dataclass(frozen=True, slots=True)
class Tie:
    """An element and one contact of a record. seen, agreed: unit -> value as in a base; a unit that is not there is unknown.

    gone: the contact was removed there, and is not to be made again. buried: golden dropped the element while it was still there.
    """

    contact: str
    gone: bool = False
    buried: bool = False
    seen: Mapping[str, Value] = field(default_factory=dict)
    agreed: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Roster:
    """One record's contacts (None: it says nothing about them), its ties by element, and how its system tells values.

    email: the client's e-mail as this record says. barred: units (`contacts.E`, `contacts.E.U`) that are not heard from here now.
    """

    system: str
    external_id: str
    contacts: Sequence[Contact] | None
    ties: Mapping[str, Tie]
    same: UnitSame
    email: Maybe = UNKNOWN
    barred: frozenset[str] = frozenset()
    may_change: bool = True
    seen_at: datetime | None = None
    modified_at: datetime | None = None

    @property
    def record(self) -> tuple[str, str]:
        """The record's key."""
        return (self.system, self.external_id)

    def by_id(self, contact: str) -> Contact | None:
        """The contact of this id, if it is there."""
        return next((each for each in self.contacts or () if each.get("id") == contact), None)

    def flagged(self) -> Contact | None:
        """The contact that the system calls the primary one."""
        return next((each for each in self.contacts or () if each.get("primary") is True), None)


def elements(golden: Maybe) -> list[dict[str, Value]]:
    """The contacts of a golden record; what has no id of ours was never tied, and is found again by whoever shows it."""
    held = golden if isinstance(golden, list) else []
    return [dict(each) for each in held if isinstance(each, dict) and isinstance(each.get("id"), str)]


def element_of(unit: str) -> tuple[str, str]:
    """(element, unit within it) of `contacts.ELEMENT.UNIT`; the second is "" where the element itself is meant."""
    element, _, rest = unit.removeprefix(PREFIX).partition(".")
    return element, rest


def listed(contacts: Iterable[Mapping[str, Value]]) -> Value:
    """Some contacts as the value of the field: none is empty."""
    found: list[Value] = [dict(each) for each in contacts]
    return found or None


def with_value(golden: Value, unit: str, value: Value) -> Value:
    """The golden contacts with one value set (`contacts.E.U`), or one contact put (`contacts.E`; None takes it out)."""
    element, part = element_of(unit)
    held = elements(golden)
    if part:
        return listed({**each, **unit_fields(part, value)} if each["id"] == element else each for each in held)
    rest = [each for each in held if each["id"] != element]
    return listed([*rest, {**value, "id": element}] if isinstance(value, dict) else rest)


def same_unit(unit: str, left: Value, right: Value, context: Context) -> bool:
    """Canonical equality of two values of one unit of a contact."""
    if unit == "name":
        return same("name", left, right, context)
    kind = CONTACT_PARTS[unit]
    return key(kind, left, context) == key(kind, right, context)


def held(contact: Contact, spec: ContactSpec) -> dict[str, Value]:
    """A contact as a system holds it: only its parts, a name as one text where that is all it has, or in two."""
    shown = {part: value for part, value in contact.items() if part in spec.parts}
    if "name" in spec.parts and "given_name" not in spec.parts:
        text = whole_name(contact)
        if any(part in contact for part in parts_of("name")):
            shown["name"] = text
    return shown


def whole_name(contact: Contact) -> str | None:
    """The name of a contact as one text."""
    text = contact.get("name")
    if isinstance(text, str) and text:
        return text
    given, family = (str(contact.get(part) or "") for part in ("given_name", "family_name"))
    return join_name(given, family) or None


def same_as_shown(spec: ContactSpec, context: Context) -> UnitSame:
    """Equality of two values of a unit as a system with this spec can tell."""

    def alike(unit: str, left: Value, right: Value) -> bool:
        shown = [unit_value(held(unit_fields(unit, value), spec), unit) for value in (left, right)]
        values = [None if value is UNKNOWN else value for value in shown]
        return same_unit(unit, values[0], values[1], context)

    return alike


def known_units(contact: Contact) -> list[str]:
    """The units that a contact says anything about."""
    return [unit for unit in UNITS if unit_value(contact, unit) is not UNKNOWN]


def by_rank(rosters: Iterable[Roster], order: Sequence[str]) -> list[Roster]:
    """The rosters in the order of trust, whatever the order in which they came."""
    places = {system: place for place, system in enumerate(order)}
    return sorted(rosters, key=lambda each: (places.get(each.system, len(places)), each.system, each.external_id))
