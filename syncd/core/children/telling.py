"""Telling: what one record's system is to be told about the contacts of a client (rule 8 of the package's header)."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.core.children.merging import Children
from syncd.core.children.roster import (
    UNITS,
    Contact,
    ContactSpec,
    Roster,
    elements,
    held,
    known_units,
    whole_name,
)
from syncd.core.model import UNKNOWN, Value, unit_fields, unit_value


@dataclass(slots=True)
class Steps:
    """The contacts of one record that are to be changed, as a write tells them, and why some cannot be.

    steps: `{"id": its id, changed parts}`, `{"element": ours, all parts}` for one to be made (`primary` where it is that one), and
    `{"id": its id, "removed": true}`. reasons: in words. drift: what differs and cannot be told.
    """

    steps: list[dict[str, Value]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)


def steps(done: Children, roster: Roster, spec: ContactSpec, email: Value, name: Value, *, deletes: bool) -> Steps:
    """What differs in one record. email, name: the client's own. deletes: whether the tenant has contacts removed there."""
    told = Steps()
    if roster.contacts is None:
        return told
    ties = done.tied.ties[roster.record]
    for each in elements(done.golden):
        element = str(each["id"])
        tie = ties.get(element)
        if tie is None:
            _add(told, done, each, spec, roster, email, name)
        elif roster.by_id(tie.contact) is not None:
            _change(told, done, each, spec, roster)
        else:
            told.drift.append("a contact that was removed there is not made again")
    for element, tie in ties.items():
        if element in done.tied.buried or (tie.buried and not tie.gone):
            _remove(told, roster, tie.contact, deletes=deletes)
    return told


def _add(
    told: Steps, done: Children, element: Contact, spec: ContactSpec, roster: Roster, email: Value, name: Value
) -> None:
    parts: dict[str, Value] = {part: value for part, value in held(element, spec).items() if value is not None}
    primary = element["id"] == done.tied.primary and spec.primary
    if primary:
        if roster.flagged() is not None or not parts.keys() - {"role"}:
            return
        parts |= {"name": whole_name(element) or name} if "name" in spec.needs else {}
    elif element["id"] == done.tied.primary and email is not None and "email" in spec.parts:
        parts["email"] = email
    lacks = sorted(part for part in spec.needs if not parts.get(part) and not (primary and part == "email" and email))
    if not parts:
        return
    if lacks:
        told.drift.append(f"a contact cannot be held there without {' and '.join(lacks)}")
        return
    told.steps.append({"element": element["id"], **({"primary": True} if primary else {}), **parts})
    told.reasons.append("contacts: one is not in this system")


def _change(told: Steps, done: Children, element: Contact, spec: ContactSpec, roster: Roster) -> None:
    contact_id = done.tied.ties[roster.record][str(element["id"])].contact
    shown = roster.by_id(contact_id) or {}
    parts: dict[str, Value] = {}
    for unit in UNITS:
        side = done.side(str(element["id"]), unit, roster.record)
        if side is None or not side.write or unit not in known_units(held(element, spec)):
            continue
        value = unit_value(held(element, spec), unit)
        wanted = unit_fields(unit, None if value is UNKNOWN else value)
        wanted = {part: each for part, each in wanted.items() if part in spec.parts}
        placeheld = unit == "name" and shown.get("primary") is True
        if unit in spec.needs and not any(wanted.values()) and not placeheld:
            told.drift.append(f"{unit} of a contact cannot be emptied there")
        else:
            parts |= wanted
    if parts:
        told.steps.append({"id": contact_id, **parts})
        told.reasons.append("contacts: one was changed elsewhere")


def _remove(told: Steps, roster: Roster, contact_id: str, *, deletes: bool) -> None:
    if roster.by_id(contact_id) is None:
        return
    if deletes:
        told.steps.append({"id": contact_id, "removed": True})
        told.reasons.append("contacts: one was removed elsewhere")
    else:
        told.drift.append("a contact that was removed elsewhere is still there")


__all__ = ["Steps", "steps"]
