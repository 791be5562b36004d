"""Contacts and notes of LSP.expert's clients: how they read, and the calls that a write of them asks for.

A contact has one name (`fullName`, required). The primary contact carries the client's e-mail and phone, which are therefore no parts
of it; its name is its own only where it is not the client's. Only what differs from the contact just read is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from syncd.core.children import ContactSpec
from syncd.core.model import Context, Fields, Kind, Raw, Value
from syncd.core.normalize import key
from syncd.providers.decoding import identity

SPEC: Final = ContactSpec(
    parts=frozenset({"name", "email", "phone", "mobile", "title"}),
    needs=frozenset({"name"}),
    carried=frozenset({"email", "phone"}),
)

WIRE: Final[Mapping[str, str]] = {
    "name": "fullName",
    "email": "email",
    "phone": "phone",
    "mobile": "mobile",
    "title": "title",
}
"""Part of a contact -> its key, read and written."""

ON_CONTACT: Final[Mapping[str, str]] = {"email": "email", "phone": "phone"}
"""Canonical field of the client -> key of its primary contact."""

NAMED_AFTER: Final = "contact_named_after"
"""Key in a record's memory: the client's name that the primary contact bore when it had none of its own."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One call about a contact. contact: its id, None for a new one. form: the parameters; None removes. element: whose new one it is."""

    contact: str | None
    form: dict[str, str] | None
    element: str | None = None


@dataclass(slots=True)
class Deeds:
    """The calls of one write, in the order in which they are sent. promoted: the contact that is the primary one from now on."""

    calls: list[Deed] = field(default_factory=list)
    promoted: str | None = None


def listed(raw: Raw) -> list[Raw]:
    """The contacts of a client that can be told apart."""
    contacts = raw.get("contacts")
    found = [each for each in contacts if isinstance(each, dict)] if isinstance(contacts, list) else []
    return [each for each in found if identity(each.get("id")) is not None]


def primary(contacts: Sequence[Raw], memory: Mapping[str, Any]) -> Raw | None:
    """The remembered contact; at first sight, or where that one was deleted, the first listed."""
    known = [each for each in contacts if identity(each.get("id")) == memory.get("primary_contact")]
    return next(iter(known or contacts), None)


def is_placeholder(contact: Raw, raw: Raw, memory: Mapping[str, Any]) -> bool:
    """Whether a primary contact bears the client's name (or the one it had) for want of its own."""
    name = contact.get("fullName")
    return bool(name) and name in (raw.get("name"), memory.get(NAMED_AFTER))


def shown(contact: Raw, *, is_primary: bool, nameless: bool) -> Value:
    """A contact as an element of the canonical `contacts`; what the client's fields carry is left out of the primary one."""
    carried = SPEC.carried if is_primary else frozenset[str]()
    parts: dict[str, Value] = {part: contact.get(name) or None for part, name in WIRE.items() if part not in carried}
    if nameless:
        parts["name"] = None
    return {"id": identity(contact.get("id")), **({"primary": True} if is_primary else {}), **parts}


def notes(raw: Raw) -> list[Value] | None:
    """The notes of a client with their ids; None where it shows none."""
    found = raw.get("notes")
    if not isinstance(found, list):
        return None
    return [
        {"id": identity(each.get("id")), "text": each.get("content")}
        for each in found
        if isinstance(each, dict) and identity(each.get("id")) is not None
    ]


def deeds(raw: Raw, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Deeds:
    """The calls that a patch asks for: changes, then new contacts, then removals.

    An e-mail that exactly one other contact of the client carries makes that one the primary contact; nobody's is overwritten.
    """
    contacts = listed(raw)
    first = primary(contacts, memory)
    done = Deeds()
    forms: dict[str, dict[str, str]] = {}
    wanted = {name: patch[name] for name in ON_CONTACT if name in patch}
    other = _carrying(contacts, first, wanted.get("email"))
    if other is not None:
        done.promoted, first = identity(other.get("id")), other
    new: list[Deed] = []
    made_primary: dict[str, str] = {
        ON_CONTACT[name]: _text(value) for name, value in wanted.items() if value is not None
    }
    if first is not None:
        forms[str(identity(first.get("id")))] = {ON_CONTACT[name]: _text(value) for name, value in wanted.items()}
        made_primary = {}
        _rename(first, raw, patch, forms[str(identity(first.get("id")))])
    steps = patch.get("contacts")
    for step in steps if isinstance(steps, list) else []:
        if not isinstance(step, dict):
            continue
        if step.get("primary") is True and first is None:
            made_primary = {**_form(step), **made_primary}
            new.append(Deed(None, made_primary, str(step["element"])))
        elif "element" in step:
            new.append(Deed(None, _form(step), str(step["element"])))
        elif step.get("removed") is True:
            done.calls.append(Deed(str(step["id"]), None))
        else:
            forms.setdefault(str(step["id"]), {}).update(_form(step, nameless=_text(golden.get("name"))))
    if made_primary and not any(deed.form is made_primary for deed in new):
        new.insert(0, Deed(None, made_primary))
    for deed in new:
        if deed.form is not None and not deed.form.get("fullName"):
            deed.form["fullName"] = _text(golden.get("name") or raw.get("name"))
    changes = [Deed(name, rest) for name, form in forms.items() if (rest := _differing(contacts, name, form))]
    done.calls = [*changes, *new, *done.calls]
    return done


def with_answers(raw: Raw, answers: Sequence[tuple[Deed, Value]], notes_answers: Sequence[Value]) -> Raw:
    """A client read after calls about its contacts and notes, with those new ones that only the answers showed.

    A copy of the system that lags behind does not show yet what was made just now; it would be made once more. What was read counts.
    """
    contacts = {str(identity(each.get("id"))): dict(each) for each in listed(raw)}
    for deed, answer in answers:
        if not isinstance(answer, dict) or deed.form is None or "fullName" not in answer:
            continue
        name = identity(answer.get("id"))
        if name is not None and deed.contact in (None, name) and name not in contacts:
            contacts[name] = dict(answer)
    found = notes(raw)
    there = {each["id"] for each in found or [] if isinstance(each, dict)}
    added: dict[str, Raw] = {}
    for answer in notes_answers:
        told = answer.get("notes") if isinstance(answer, dict) else None
        for note in told if isinstance(told, list) else []:
            if isinstance(note, dict) and (name := identity(note.get("id"))) is not None and name not in there:
                added[name] = note
    whole = dict(raw)
    if answers:
        whole["contacts"] = list(contacts.values())
    before_notes = raw.get("notes")
    if added and isinstance(before_notes, list):
        whole["notes"] = [*before_notes, *added.values()]
    return whole


def _carrying(contacts: Sequence[Raw], first: Raw | None, email: Value) -> Raw | None:
    """The one other contact that shows an e-mail already, where the primary one does not."""
    if not email or first is None:
        return None
    wanted = key(Kind.EMAIL, email, Context())
    if key(Kind.EMAIL, first.get("email"), Context()) == wanted:
        return None
    others = [
        each for each in contacts if each is not first and key(Kind.EMAIL, each.get("email"), Context()) == wanted
    ]
    return others[0] if len(others) == 1 else None


def _rename(first: Raw, raw: Raw, patch: Fields, form: dict[str, str]) -> None:
    """The primary contact's name follows a rename of the client only if it was the client's name."""
    name = patch.get("name")
    if isinstance(name, str) and name and first.get("fullName") == raw.get("name"):
        form["fullName"] = name


def _form(step: Mapping[str, Value], *, nameless: str = "") -> dict[str, str]:
    form = {name: _text(step[part]) for part, name in WIRE.items() if part in step}
    if "fullName" in form and not form["fullName"]:
        form["fullName"] = nameless
    return form


def _differing(contacts: Sequence[Raw], contact: str, form: Mapping[str, str]) -> dict[str, str]:
    """The parameters that the contact does not show already."""
    before = next((each for each in contacts if identity(each.get("id")) == contact), {})
    return {name: value for name, value in form.items() if _text(before.get(name)) != value}


def _text(value: Value) -> str:
    return "" if value is None else str(value)
