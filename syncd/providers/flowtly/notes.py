"""Notes of Flowtly's clients: read from the listing of all notes, and only ever added.

A note needs an employee; so notes are read and written only where the tenant names one (`defaults.employee`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from syncd.core.model import Raw, Value
from syncd.errors import Malformed, Rejected, UnknownOutcome
from syncd.providers.decoding import identity, unsound
from syncd.providers.flowtly.calls import Calls
from syncd.providers.flowtly.contacts import NOT_FOUND, owner_of, without_context
from syncd.providers.flowtly.contacts import with_answers as contacts_with_answers
from syncd.providers.flowtly.deeds import Deed

SINGLES_MAX: Final = 5
"""Notes of one client that are read one by one; where it has more, all notes are listed."""


class Notes:
    """Reads and adds notes through the calls. employee: the IRI under which new ones are written; None: notes are not touched."""

    def __init__(self, calls: Calls, employee: str | None) -> None:
        self._calls = calls
        self._employee = employee
        self._of: dict[str, list[str]] | None = None

    @property
    def offered(self) -> bool:
        """Whether notes are read and written at all."""
        return self._employee is not None

    def roll(self) -> dict[str, list[Raw]]:
        """Client -> its notes, from the listing of all. Raises `Malformed` for one that cannot be kept."""
        found: dict[str, list[Raw]] = {}
        for leaf in self._calls.list_notes():
            for item in leaf.items:
                owner = owner_of(item) if isinstance(item, dict) else None
                if not isinstance(item, dict) or owner is None or identity(item.get("id")) is None or unsound(item):
                    message = "the listing of notes has one that cannot be kept"
                    raise Malformed(message, operation="GET client-notes")
                found.setdefault(owner, []).append(item)
        self._of = {owner: [str(identity(each.get("id"))) for each in notes] for owner, notes in found.items()}
        return found

    def fetch(self, client_id: str) -> list[Raw]:
        """The notes of one client: those that were listed last, each read by itself, where they are few."""
        known = self._of.get(client_id, []) if self._of is not None else None
        if known is None or len(known) > SINGLES_MAX:
            return ordered(self.roll().get(client_id, []))
        return ordered([note for each in known if (note := self._single(each)) is not None])

    def _single(self, note_id: str) -> Raw | None:
        try:
            body = self._calls.get_note(note_id)
        except (Malformed, Rejected) as error:
            if error.status != NOT_FOUND:
                raise
            return None
        if not isinstance(body, dict) or identity(body.get("id")) != note_id or unsound(body) is not None:
            message = "the answer is not the note that was asked for"
            raise Malformed(message, operation="GET client-notes")
        return without_context(body)

    def add(self, client_id: str, client_iri: str, text: str) -> Raw:
        """Add one note; the note as it was answered. Where the answer is lost, what was listed does not count any more."""
        listed, self._of = self._of, None
        body = self._calls.create_note({"client": client_iri, "employee": self._employee, "note": text})
        made = identity(body.get("id")) if isinstance(body, dict) else None
        if not isinstance(body, dict) or made is None:
            message = "the answer to the creation is no note"
            raise UnknownOutcome(message, operation="POST client-notes", external_id=client_id)
        if listed is not None:
            listed.setdefault(client_id, []).append(made)
        self._of = listed
        return body


def ordered(notes: list[Raw]) -> list[Raw]:
    """Notes as they were written, the oldest first."""
    return sorted(notes, key=lambda each: (str(each.get("createdAt") or ""), str(each.get("id"))))


def shown(children: Mapping[str, Any] | None) -> list[Value] | None:
    """The notes of a client with their ids; None where nothing is known of them."""
    found = children.get("notes") if children is not None else None
    if not isinstance(found, list):
        return None
    return [{"id": identity(each.get("id")), "text": each.get("note")} for each in found if isinstance(each, dict)]


def with_answers(children: Raw | None, said: Sequence[tuple[Deed, Value]], told: Sequence[Raw]) -> Raw | None:
    """What was read after calls about contacts and notes, with what only their answers showed.

    A copy of the system that lags behind does not show yet what was made just now; it would be made once more.
    """
    found = dict(children or {})
    contacts, notes = found.get("contacts"), found.get("notes")
    if said and isinstance(contacts, list):
        found["contacts"] = contacts_with_answers([each for each in contacts if isinstance(each, dict)], said)
    if told and isinstance(notes, list):
        read = [each for each in notes if isinstance(each, dict)]
        there = {identity(each.get("id")) for each in read}
        new = [without_context(each) for each in told if identity(each.get("id")) not in there]
        found["notes"] = [*ordered([*read, *new])]
    return found or None
