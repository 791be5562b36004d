"""A merge that a person made inside a system: one record vanished, or was archived, and another one took its place.

It is looked for before a delete is believed. The other record may be named by the system itself (a redirect with an id), be another one of the
same client (a changed id), or have absorbed the identifiers of the vanished one since, be it as those of a contact. Nothing is archived because of it: the identifiers
of both stay with the client, whose other systems follow by a merge of clients, proposed or automatic.

Some systems keep the other record, archived. That archives nobody either, as long as a person is asked: only if they are two clients it was
an archive like any other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core import normalize
from syncd.core.correlate import MatchKey, compare
from syncd.core.model import UNKNOWN, Kind
from syncd.engine import merging, trail
from syncd.engine.absorbing import ARCHIVED, GONE_THERE, duplicates, set_apart
from syncd.engine.decide import Barred, Scope
from syncd.engine.observe import EARLIER, MOVED_TO, MOVED_UNREAD
from syncd.engine.systems import digest
from syncd.store import Base, Bundle, HoldKind, HoldRow, HoldState, LinkRow, LinkState, RecordRow, RecordState

if TYPE_CHECKING:
    from syncd.core.merge import Decision
    from syncd.core.model import Fields
    from syncd.engine.systems import System
    from syncd.store import Tx

    Hosts = Mapping[Hashable, Sequence[RecordRow]]
    """E-mail, as it is compared -> the records that show it as theirs or a contact's."""

NUMBERS = frozenset({"siren", "siret", "reg", "vat"})
STRONG_KEYS = NUMBERS | {"email"}
"""Identifiers by which the record that took another one's place is found."""

CANDIDATES_MAX = 10
"""Records looked at for one shared identifier; one that more of them share proves nothing."""

WALKS_BACK = 3
"""Walks looked back over for what a record took over before another one was archived."""

THERE = frozenset({RecordState.PRESENT, RecordState.QUARANTINED})
"""A record may have taken another one's place although it cannot be read for now."""

VANISHED = "vanished"
RETIRED = "retired"
"""What an item of a proposal says of the record that does not stand for its client any more: it is gone, or it is kept, archived."""

_log = log.get("deletes")


@dataclass(frozen=True, slots=True)
class Taker:
    """The record that took the place of one that vanished. client: None as long as it belongs to nobody. told: the system said so."""

    client: str | None
    external_id: str
    told: bool = False


def find_takers(tx: Tx, rows: Sequence[RecordRow], links: Mapping[str, LinkRow], scope: Scope) -> dict[str, Taker]:
    """Vanished record -> the record that took its place; those that none took the place of were deleted. rows: of one system."""
    hosts = _hosts(tx, rows, scope)
    found = {row.external_id: _find_taker(tx, row, links[row.external_id], hosts, scope) for row in rows}
    return {external_id: taker for external_id, taker in found.items() if taker is not None}


def _find_taker(tx: Tx, row: RecordRow, link: LinkRow, hosts: Hosts, scope: Scope) -> Taker | None:
    told = row.memory.get(MOVED_TO)
    found = tx.records(row.system, [told]).get(told) if isinstance(told, str) else None
    if found is not None and found.state in THERE:
        owner = tx.link(row.system, found.external_id)
        return Taker(owner.client if owner is not None else None, found.external_id, told=True)
    if isinstance(told, str) and found is None and row.memory.get(MOVED_UNREAD) is True:
        return Taker(None, told, told=True)  # it is waited for until it can be read, or is listed no more
    [bundle] = tx.bundles([link.client])
    for other, record in bundle.sides:
        same = other.system == row.system and other.external_id != row.external_id and other.state is LinkState.LINKED
        if same and record is not None and record.state in THERE:
            return Taker(link.client, other.external_id)
    return _absorber(tx, row, bundle, scope, row.seen_at) or _host(tx, row, bundle, hosts, scope)


def _present(tx: Tx, system: str, external_id: str) -> RecordRow | None:
    record = tx.records(system, [external_id]).get(external_id)
    return record if record is not None and record.state is RecordState.PRESENT else None


def _absorber(tx: Tx, row: RecordRow, bundle: Bundle, scope: Scope, moment: datetime) -> Taker | None:
    """Another record of the system that shows identifiers of the vanished one: the same number, or ones it has got since a moment."""
    system = scope.systems[row.system]
    keys = {key for key in system.match_keys(row.fields) if key[0] in STRONG_KEYS}
    hits = tx.by_keys(keys, CANDIDATES_MAX) if keys else []
    for external_id in dict.fromkeys(hit.external_id for hit in hits if hit.system == row.system):
        found = _present(tx, row.system, external_id) if external_id != row.external_id else None
        if found is None or not _took_over(system, row, found, keys, scope, moment):
            continue
        owner = tx.link(row.system, external_id)
        if owner is None:
            return Taker(None, external_id)
        if owner.state is LinkState.LINKED and not merging.parted(tx, bundle, tx.bundles([owner.client])[0]):
            return Taker(owner.client, external_id)
    return None


def _hosts(tx: Tx, rows: Sequence[RecordRow], scope: Scope) -> Hosts:
    """The records that changed since the first of some others of their system was seen last, by the e-mails that they show; asked once for all."""
    hosts: dict[Hashable, list[RecordRow]] = {}
    for found in tx.changed_since(rows[0].system, min(row.seen_at for row in rows)) if rows else ():
        for mail in _mails(found.fields, scope):
            hosts.setdefault(mail, []).append(found)
    return hosts


def _host(tx: Tx, row: RecordRow, bundle: Bundle, hosts: Hosts, scope: Scope) -> Taker | None:
    """Another client's record that got the vanished one's e-mail as that of a contact: a merge of which a system keeps nothing else."""
    sought = _mails({"email": row.fields.get("email")}, scope) or _mails(row.fields, scope)
    shown = {found.external_id: found for mail in sought for found in hosts.get(mail, ())}
    for external_id, found in sorted(shown.items()):
        gained = _mails(found.fields, scope) - _mails(_before(found, row.seen_at), scope)
        owner = tx.link(row.system, external_id) if gained & sought else None
        if owner is None or owner.state is not LinkState.LINKED or owner.client == bundle.client.client:
            continue
        if not merging.parted(tx, bundle, tx.bundles([owner.client])[0]):
            return Taker(owner.client, external_id)
    return None


def _mails(fields: Fields, scope: Scope) -> set[Hashable]:
    """The e-mail of a record and those of its contacts, in the form in which they are compared."""
    contacts = fields.get("contacts")
    listed = contacts if isinstance(contacts, list) else ()
    shown = [fields.get("email"), *(each.get("email") for each in listed if isinstance(each, dict))]
    return {normalize.key(Kind.EMAIL, each, scope.context) for each in shown if each}


def _took_over(
    system: System, row: RecordRow, found: RecordRow, keys: Iterable[MatchKey], scope: Scope, moment: datetime
) -> bool:
    verdict = compare(row.fields, found.fields, scope.context, lambda _key: 0, scope.policy.matching)
    if verdict.contradictions:
        return False
    shared = set(keys) & system.match_keys(found.fields)
    gained = shared - system.match_keys(_before(found, moment))
    equal_numbers = any(kind in NUMBERS for kind, _ in shared)
    return equal_numbers or bool(gained)


def _before(record: RecordRow, moment: datetime) -> Fields:
    """What a record showed at a moment, as far as it is remembered; nothing where it was not there yet."""
    if record.first_seen_at >= moment:
        return {}
    fields = dict(record.fields)
    earlier = record.memory.get(EARLIER)
    for name, values in earlier.items() if isinstance(earlier, Mapping) else ():
        then = next((value for value, until in values if datetime.fromisoformat(str(until)) >= moment), None)
        if any(datetime.fromisoformat(str(until)) >= moment for _, until in values):
            fields[name] = then
    return fields


def follow(tx: Tx, row: RecordRow, link: LinkRow, taker: Taker, scope: Scope) -> None:
    """The client of a vanished record follows the record that took its place: it is that client already, or their merge is proposed."""
    _log.info("merge_noticed", system=row.system, client=link.client, record=row.external_id, into=taker.external_id)
    if taker.client == link.client:
        _stand_apart(tx, row, link, taker, scope)
        return
    _propose(tx, link, taker, VANISHED, scope)


def _propose(tx: Tx, link: LinkRow, taker: Taker, mark: str, scope: Scope) -> bool:
    """Propose the clients of a record and of the one that took its place, unless that was asked before. Whether it was not."""
    items: list[dict[str, Any]] = [
        {"client": link.client, "system": link.system, "external_id": link.external_id, mark: True},
        {"client": taker.client, "system": link.system, "external_id": taker.external_id},
    ]
    items = [{**item, "told": True} for item in items] if taker.told else items
    key = f"merge:{digest(items)}"
    if tx.is_held(key):
        return False
    _ask_anew(tx, {str(link.client), str(taker.client)}, scope)
    reason = f"{link.system} seems to have merged its record {link.external_id} into {taker.external_id}"
    tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], HoldKind.MERGE, link.system, reason, items, scope.now, key))
    return True


def propose_retired(tx: Tx, bundle: Bundle, decision: Decision, scope: Scope) -> Barred:
    """Propose a merge where the record by which a client would be archived was merged inside its system, and is kept there.

    decision: about `archived`. Returns what is not heard until a person has decided; nothing where it is an archive like any other.
    """
    key = (decision.winner, decision.record)
    link, record = next((side for side in bundle.sides if (side[0].system, side[0].external_id) == key), (None, None))
    if link is None or record is None or decision.value is not True or decision.before is True:
        return frozenset()
    if link.bases.get(ARCHIVED, Base()).seen in (UNKNOWN, True):
        return frozenset()  # at first sight it may have been archived for years
    moment = tx.walks(link.system, WALKS_BACK)[-1].started_at
    taker = _absorber(tx, record, bundle, scope, moment)
    found = _present(tx, link.system, taker.external_id) if taker is not None else None
    in_use = found is not None and found.fields.get(ARCHIVED) is not True
    if (
        taker is None
        or taker.client in (None, link.client)
        or not in_use
        or not _propose(tx, link, taker, RETIRED, scope)
    ):
        return frozenset()
    _log.info("merge_noticed", system=link.system, client=link.client, record=link.external_id, into=taker.external_id)
    return frozenset({(link.client, ARCHIVED, link.system)})


def in_question(holds: Iterable[HoldRow]) -> Barred:
    """The archives that are not heard while a person decides whether they were merges."""
    return frozenset(
        (str(item["client"]), ARCHIVED, str(item["system"]))
        for hold in holds
        if hold.kind is HoldKind.MERGE and hold.state is HoldState.OPEN
        for item in hold.items
        if item.get(RETIRED)
    )


def _ask_anew(tx: Tx, clients: set[str], scope: Scope) -> None:
    """An open proposal about just these two is overtaken: it does not know that one of the records is gone.

    An archive that was not heard because of it is decided now: whose other record has gone does not stand behind that any more.
    """
    for hold in tx.holds(HoldState.OPEN):
        if hold.kind in (HoldKind.LINK, HoldKind.MERGE) and {item.get("client") for item in hold.items} == clients:
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="asked about anew"))
            tx.mark_dirty([str(item["client"]) for item in hold.items if item.get(RETIRED)])


def _stand_apart(tx: Tx, row: RecordRow, link: LinkRow, taker: Taker, scope: Scope) -> None:
    """In the course of a merge of clients: the record was to be archived, and is gone instead."""
    [bundle] = tx.bundles([link.client])
    key = (row.system, row.external_id)
    as_it_was = tuple((link if (each.system, each.external_id) == key else each, shown) for each, shown in bundle.sides)
    merges = merging.running(tx, [link.client]).get(link.client, ())
    if key in duplicates(Bundle(bundle.client, as_it_was), merges):
        tx.put_links([parted := set_apart(link, taker.external_id, GONE_THERE)])
        trail.ended(tx, [parted], at=scope.now, cycle=scope.cycle)
