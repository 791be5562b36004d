"""The calls that a write of contacts and notes asks for in Flowtly.

A contact cannot be without name, e-mail and type; the type of a new one is the tenant's `defaults.contact_type`. The primary contact
carries the client's e-mail, which is therefore no part of it; its name is its own only where it is not the client's. A client is never
patched with its contacts. Only what differs from the contact just read is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from syncd.core.children import ContactSpec
from syncd.core.model import UNKNOWN, Context, Fields, Kind, Raw, Value
from syncd.core.normalize import key
from syncd.providers.decoding import identity

SPEC: Final = ContactSpec(
    parts=frozenset({"name", "email", "phone", "title"}),
    needs=frozenset({"name", "email"}),
    carried=frozenset({"email"}),
)

PARTS: Final = ("name", "email", "phone", "title")
"""Parts of a contact, which have the same names on the wire."""

NAMED_AFTER: Final = "contact_named_after"
"""Key in a record's memory: the client's name that the primary contact bore when it had none of its own."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One call about a contact. contact: its id, None for a new one. body: what is sent; None deletes. element: whose new one it is."""

    contact: str | None
    body: Raw | None
    element: str | None = None


@dataclass(slots=True)
class Deeds:
    """The calls of one write, in the order in which they are sent. promoted: the contact that is the primary one from now on."""

    calls: list[Deed] = field(default_factory=list)
    promoted: str | None = None


def is_placeholder(contact: Raw, raw: Raw, memory: Mapping[str, Any]) -> bool:
    """Whether a primary contact bears the client's name (or the one it had) for want of its own."""
    name = contact.get("name")
    return bool(name) and name in (raw.get("name"), memory.get(NAMED_AFTER))


def shown(contact: Raw, *, is_primary: bool, nameless: bool) -> Value:
    """A contact as an element of the canonical `contacts`; the e-mail of the primary one is the client's."""
    carried = SPEC.carried if is_primary else frozenset[str]()
    parts: dict[str, Value] = {part: contact.get(part) or None for part in PARTS if part not in carried}
    if nameless:
        parts["name"] = None
    flag: dict[str, Value] = {"primary": True} if is_primary else {}
    return {"id": identity(contact.get("id")), **flag, **parts, "role": contact.get("type") or None}


def deeds(raw: Raw, contacts: Sequence[Raw], first: Raw | None, patch: Fields, golden: Fields) -> Deeds:
    """The calls that a patch asks for: changes, then new contacts (without `client` and `type`), then removals.

    An e-mail that exactly one other contact of the client carries makes that one the primary contact; nobody's is overwritten.
    Clearing the e-mail removes a contact that says nothing else, if it is the only one; anything more is a person's to decide.
    """
    done = Deeds()
    email = patch.get("email", UNKNOWN)
    wanted = email if isinstance(email, str) and email else None
    other = _carrying(contacts, first, wanted)
    if other is not None:
        done.promoted, first = identity(other.get("id")), other
    bodies: dict[str, Raw] = {}
    removed: list[Deed] = []
    if first is not None:
        bodies[str(identity(first.get("id")))] = _primary(first, raw, patch, wanted)
        if email is None and len(contacts) == 1 and _says_nothing(first, raw):
            removed.append(Deed(identity(first.get("id")), None))
    new: list[Deed] = []
    steps = patch.get("contacts")
    for step in steps if isinstance(steps, list) else []:
        if not isinstance(step, dict):
            continue
        if "element" in step:
            body = {part: step[part] for part in PARTS if step.get(part) is not None}
            if step.get("primary") is True:
                body["email"] = wanted or golden.get("email")
            new.append(Deed(None, body, str(step["element"])))
        elif step.get("removed") is True:
            removed.append(Deed(str(step["id"]), None))
        else:
            body = bodies.setdefault(str(step["id"]), {})
            body |= {part: step[part] for part in PARTS if part in step}
            if "name" in body and not body["name"]:
                body["name"] = golden.get("name") or raw.get("name")
    if first is None and wanted and not any(deed.body is not None and deed.body.get("email") == wanted for deed in new):
        new.insert(0, Deed(None, {"name": golden.get("name") or raw.get("name"), "email": wanted}))
    changes = [Deed(name, rest) for name, body in bodies.items() if (rest := _differing(contacts, name, body))]
    done.calls = [*changes, *new, *removed]
    return done


def _carrying(contacts: Sequence[Raw], first: Raw | None, email: str | None) -> Raw | None:
    """The one other contact that shows an e-mail already, where the primary one does not."""
    if email is None or first is None:
        return None
    wanted = key(Kind.EMAIL, email, Context())
    if key(Kind.EMAIL, first.get("email"), Context()) == wanted:
        return None
    others = [
        each for each in contacts if each is not first and key(Kind.EMAIL, each.get("email"), Context()) == wanted
    ]
    return others[0] if len(others) == 1 else None


def _primary(first: Raw, raw: Raw, patch: Fields, email: str | None) -> Raw:
    """What the e-mail and a rename ask of the primary contact: its name follows only if it was the client's."""
    body: Raw = {"email": email} if email else {}
    name = patch.get("name")
    if isinstance(name, str) and name and first.get("name") and first.get("name") == raw.get("name"):
        body["name"] = name
    return body


def _says_nothing(contact: Raw, raw: Raw) -> bool:
    return not (contact.get("phone") or contact.get("title")) and contact.get("name") == raw.get("name")


def _differing(contacts: Sequence[Raw], contact: str, body: Raw) -> Raw:
    """The parts that the contact does not show already."""
    before = next((each for each in contacts if identity(each.get("id")) == contact), {})
    return {part: value for part, value in body.items() if before.get(part) != value}
