"""Contacts of Flowtly's clients: which endpoint tells them, and whose they are.

The contact endpoint is authoritative; what a client embeds may be cut or missing. A pull therefore lists all contacts first and joins
them to the clients. Where the credentials may not use the endpoint (403, 404, 405) that is learned, and the embedded ones serve.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from syncd.core.model import Raw, Value
from syncd.errors import Malformed, ProviderError, Transient
from syncd.providers.decoding import identity, unsound
from syncd.providers.flowtly.calls import Calls
from syncd.providers.flowtly.deeds import Deed

EMBEDDED: Final = "clientContacts"
"""Where a client shows its contacts."""

WALKS: Final = 3
"""So often contacts are listed anew when somebody adds or removes one meanwhile."""

_NOT_OFFERED: Final = frozenset({403, 404, 405})
NOT_FOUND: Final = 404


@dataclass(slots=True)
class Roll:
    """All contacts, by id and by the client they name. faults: by client id, what is wrong with one of its contacts.

    ownerless: some contact does not tell its client, so that a client without any may well have some. faulty: how many
    items are no usable contacts.
    """

    by_id: dict[str, Raw] = field(default_factory=dict)
    by_client: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    loose_faults: list[tuple[str, str]] = field(default_factory=list)
    ownerless: bool = False
    faulty: int = 0

    def add(self, item: Value, place: str) -> None:
        """Take in one item of the listing."""
        contact_id = identity(item.get("id")) if isinstance(item, dict) else None
        owner = owner_of(item) if isinstance(item, dict) else None
        reason = "no usable contact" if contact_id is None else unsound(item)
        if reason is not None or contact_id is None or not isinstance(item, dict):
            self.faulty += 1
            if owner is not None:
                self.faults[owner] = f"a contact of it: {reason}"
            else:
                self.loose_faults.append((place, str(reason)))
            return
        self.by_id[contact_id] = item
        if owner is None:
            self.ownerless = True
        else:
            self.by_client.setdefault(owner, []).append(contact_id)


class Contacts:
    """Reads contacts through the calls; `learned` tells what was found out about the endpoint, and is added to."""

    def __init__(self, calls: Calls, learned: Callable[[], dict[str, Any]]) -> None:
        self._calls = calls
        self._learned = learned

    @property
    def embedded_only(self) -> bool:
        """Whether the contact endpoint was found not to be offered to these credentials."""
        return self._learned().get("contacts") == "embedded"

    def notice(self, raw: Raw) -> None:
        """Learn that clients embed their contacts, when one does."""
        if isinstance(raw.get(EMBEDDED), list):
            self._learned()["embedded"] = True

    def roll(self) -> Roll | None:
        """All contacts, listed anew while their number changes under our hands; None where the endpoint is not offered."""
        if self.embedded_only:
            return None
        for _ in range(WALKS):
            roll, total = Roll(), None
            try:
                for leaf in self._calls.list_contacts():
                    total = leaf.total
                    for position, item in enumerate(leaf.items, 1):
                        roll.add(item, f"contacts page {leaf.number} item {position}")
            except ProviderError as error:
                if error.status not in _NOT_OFFERED:
                    raise
                self._learned()["contacts"] = "embedded"
                return None
            if total is None or total == len(roll.by_id) + roll.faulty:
                return roll
        message = "the contacts changed all the time while they were listed"
        raise Transient(message, operation="GET client-contacts")

    def of(self, client_id: str, raw: Raw, roll: Roll | None) -> Raw | None:
        """The contacts of one client as children, from a roll of all; None where nothing but the embedded ones is known."""
        if roll is None:
            return None
        embedded = embedded_ids(raw)
        if roll.ownerless and embedded is None:
            return None
        ids = dict.fromkeys([*roll.by_client.get(client_id, ()), *(embedded or ())])
        found = [roll.by_id.get(each) or self._single(each) for each in ids]
        return {"contacts": [*_ordered([each for each in found if each is not None])]}

    def fetch(self, client_id: str, raw: Raw, known: Collection[str] = ()) -> Raw | None:
        """The contacts of one client as children, each read by itself; None where only the embedded ones are known.

        known: contacts that it had, which are asked for by their ids even where nothing shows them.
        """
        if self.embedded_only:
            return None
        embedded = embedded_ids(raw)
        if embedded is None or not self._learned().get("embedded"):
            children = self.of(client_id, raw, self.roll())
            listed = children.get("contacts") if children is not None else None
            shown = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else None
            return (
                None if shown is None else {"contacts": [*_ordered([*shown, *self._others(client_id, shown, known)])]}
            )
        try:
            found = [each for name in embedded if (each := self._single(name)) is not None]
            found += self._others(client_id, found, known)
        except ProviderError as error:
            if error.status not in _NOT_OFFERED:
                raise
            self._learned()["contacts"] = "embedded"
            return None
        return {"contacts": [*_ordered(found)]}

    def _others(self, client_id: str, shown: Sequence[Raw], known: Collection[str]) -> list[Raw]:
        """Known contacts that nothing shows any more, and that are there all the same and still this client's."""
        there = {identity(each.get("id")) for each in shown}
        found = [self._single(each) for each in known if each not in there]
        return [each for each in found if each is not None and owner_of(each) in (client_id, None)]

    def _single(self, contact_id: str) -> Raw | None:
        """One contact; None where it was deleted meanwhile."""
        try:
            body = self._calls.get_contact(contact_id)
        except ProviderError as error:
            if error.status != NOT_FOUND:
                raise
            return None
        if not isinstance(body, dict) or identity(body.get("id")) != contact_id or unsound(body) is not None:
            message = "the answer is not the contact that was asked for"
            raise Malformed(message, operation="GET client-contacts")
        return without_context(body)


def without_context(raw: Raw) -> Raw:
    """A single read without JSON-LD's `@context`, which belongs to the document and is not shown in listings."""
    return {key: value for key, value in raw.items() if key != "@context"}


def owner_of(contact: Raw) -> str | None:
    """The id of the client that a contact names: the last segment of its IRI."""
    client = contact.get("client")
    iri = client.get("@id") if isinstance(client, dict) else client
    return (iri.rstrip("/").rpartition("/")[2] or None) if isinstance(iri, str) else None


def embedded_ids(raw: Raw) -> list[str] | None:
    """The ids of the contacts that a client embeds (as objects or IRIs); None where it shows no such key."""
    contacts = raw.get(EMBEDDED)
    if not isinstance(contacts, list):
        return None
    ids: list[str] = []
    for each in contacts:
        name: Value = each
        if isinstance(each, dict):
            name = each.get("id", each.get("@id"))
        found = identity(name.rstrip("/").rpartition("/")[2] if isinstance(name, str) else name)
        if found is not None:
            ids.append(found)
    return ids


def known(raw: Raw, children: Raw | None) -> list[Raw] | None:
    """The contacts of a client in their order: from the endpoint, else the embedded ones; None: unknown."""
    told = children is not None and "contacts" in children
    contacts: Value = children["contacts"] if children is not None and told else raw.get(EMBEDDED)
    if not isinstance(contacts, list):
        return None
    return _ordered([each for each in contacts if isinstance(each, dict) and identity(each.get("id")) is not None])


def with_answers(contacts: Sequence[Raw], said: Sequence[tuple[Deed, Value]]) -> list[Value]:
    """Contacts that were read after calls about them, with those new ones that only the answers showed. What was read is what counts."""
    found = {str(identity(each.get("id"))): dict(each) for each in contacts}
    for deed, answer in said:
        if not isinstance(answer, dict) or deed.body is None or "email" not in answer or "name" not in answer:
            continue
        name = identity(answer.get("id"))
        if name is not None and deed.contact in (None, name) and name not in found:
            found[name] = without_context(answer)
    return [*_ordered([*found.values()])]


def primary(contacts: Sequence[Raw], memory: Mapping[str, Any]) -> Raw | None:
    """The remembered contact; at first sight, or where that one was deleted, the one of lowest position, then id."""
    same = [each for each in contacts if identity(each.get("id")) == memory.get("primary_contact")]
    return next(iter(same or contacts), None)


def _ordered(contacts: Sequence[Raw]) -> list[Raw]:
    return sorted(contacts, key=_place)


def _place(contact: Raw) -> tuple[int, int, str]:
    position, number = contact.get("position"), contact.get("id")
    return (
        position if isinstance(position, int) else 0,
        number if isinstance(number, int) else 0,
        str(number),
    )
