"""The contacts of two clients that become one: elements keep their ids, so that every tie to them still holds."""

from __future__ import annotations

from collections.abc import Hashable

from syncd.core.children.roster import Contact, elements, listed, whole_name
from syncd.core.model import Context, Kind, Maybe, Value
from syncd.core.normalize import key, name_key


def join_contacts(mine: Maybe, theirs: Maybe, context: Context) -> tuple[Value, dict[str, str]]:
    """The contacts of both, and which of theirs is one of mine: its element -> mine.

    What a primary contact stands for is the client itself: theirs is none of the merged client's, and is found again where it is shown.
    """
    joined = elements(mine)
    known = {mark: str(each["id"]) for each in joined for mark in _marks(each, context)}
    alike: dict[str, str] = {}
    for each in elements(theirs):
        if each.get("primary") is True:
            continue
        found = next((known[mark] for mark in _marks(each, context) if mark in known), None)
        if found is None:
            joined.append(each)
        else:
            alike[str(each["id"])] = found
    return listed(joined), alike


def _marks(contact: Contact, context: Context) -> list[Hashable]:
    """By what a contact is known: its e-mail, and its name and phone where there are both."""
    name, phone = whole_name(contact), contact.get("phone") or contact.get("mobile")
    marks: list[Hashable] = []
    if contact.get("email"):
        marks.append(("email", key(Kind.EMAIL, contact["email"], context)))
    if name and phone:
        marks.append(("person", name_key(name), key(Kind.PHONE, phone, context)))
    return marks
