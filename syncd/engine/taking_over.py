"""A merge that a person made inside a system: one record vanished, and another one took its place.

It is looked for before a delete is believed. The other record may be named by the system itself (a redirect with an id), be another one of the
same client (a changed id), or have absorbed the identifiers of the vanished one since. Nothing is archived because of it: the identifiers
of both stay with the client, whose other systems follow by a merge of clients, proposed or automatic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core.correlate import MatchKey, compare
from syncd.engine import merging, trail
from syncd.engine.absorbing import GONE_THERE, duplicates, set_apart
from syncd.engine.decide import Scope
from syncd.engine.observe import EARLIER, MOVED_TO
from syncd.engine.systems import digest
from syncd.store import Bundle, HoldKind, HoldRow, HoldState, LinkRow, LinkState, RecordRow, RecordState

if TYPE_CHECKING:
    from syncd.core.model import Fields
    from syncd.engine.systems import System
    from syncd.store import Tx

NUMBERS = frozenset({"siren", "siret", "reg", "vat"})
STRONG_KEYS = NUMBERS | {"email"}
"""Identifiers by which the record that took another one's place is found."""

CANDIDATES_MAX = 10
"""Records looked at for one shared identifier; one that more of them share proves nothing."""

_log = log.get("deletes")


@dataclass(frozen=True, slots=True)
class Taker:
    """The record that took the place of one that vanished. client: None as long as it belongs to nobody. told: the system said so."""

    client: str | None
    external_id: str
    told: bool = False


def find_taker(tx: Tx, row: RecordRow, link: LinkRow, scope: Scope) -> Taker | None:
    """The record that took the place of a vanished one, None where there is none: then it was deleted."""
    told = row.memory.get(MOVED_TO)
    if isinstance(told, str) and (found := _present(tx, row.system, told)) is not None:
        owner = tx.link(row.system, found.external_id)
        return Taker(owner.client if owner is not None else None, found.external_id, told=True)
    [bundle] = tx.bundles([link.client])
    for other, record in bundle.sides:
        same = other.system == row.system and other.external_id != row.external_id and other.state is LinkState.LINKED
        if same and record is not None and record.state is RecordState.PRESENT:
            return Taker(link.client, other.external_id)
    return _absorber(tx, row, bundle, scope)


def _present(tx: Tx, system: str, external_id: str) -> RecordRow | None:
    record = tx.records(system, [external_id]).get(external_id)
    return record if record is not None and record.state is RecordState.PRESENT else None


def _absorber(tx: Tx, row: RecordRow, bundle: Bundle, scope: Scope) -> Taker | None:
    """Another record of the system that shows identifiers of the vanished one: the same number, or ones it has got since."""
    system = scope.systems[row.system]
    keys = {key for key in system.match_keys(row.fields) if key[0] in STRONG_KEYS}
    hits = tx.by_keys(keys, CANDIDATES_MAX) if keys else []
    for external_id in dict.fromkeys(hit.external_id for hit in hits if hit.system == row.system):
        found = _present(tx, row.system, external_id) if external_id != row.external_id else None
        if found is None or not _took_over(system, row, found, keys, scope):
            continue
        owner = tx.link(row.system, external_id)
        if owner is None:
            return Taker(None, external_id)
        if owner.state is LinkState.LINKED and not merging.parted(tx, bundle, tx.bundles([owner.client])[0]):
            return Taker(owner.client, external_id)
    return None


def _took_over(system: System, row: RecordRow, found: RecordRow, keys: Iterable[MatchKey], scope: Scope) -> bool:
    verdict = compare(row.fields, found.fields, scope.context, lambda _key: 0, scope.policy.matching)
    if verdict.contradictions:
        return False
    shared = set(keys) & system.match_keys(found.fields)
    gained = shared - system.match_keys(_before(found, row.seen_at))
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
    items: list[dict[str, Any]] = [
        {"client": link.client, "system": row.system, "external_id": row.external_id, "vanished": True},
        {"client": taker.client, "system": row.system, "external_id": taker.external_id},
    ]
    items = [{**item, "told": True} for item in items] if taker.told else items
    key = f"merge:{digest(items)}"
    if not tx.is_held(key):
        _ask_anew(tx, {str(link.client), str(taker.client)}, scope)
        reason = f"{row.system} seems to have merged its record {row.external_id} into {taker.external_id}"
        tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], HoldKind.MERGE, row.system, reason, items, scope.now, key))


def _ask_anew(tx: Tx, clients: set[str], scope: Scope) -> None:
    """An open proposal about just these two is overtaken: it does not know that one of the records is gone."""
    for hold in tx.holds(HoldState.OPEN):
        if hold.kind in (HoldKind.LINK, HoldKind.MERGE) and {item.get("client") for item in hold.items} == clients:
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="asked about anew"))


def _stand_apart(tx: Tx, row: RecordRow, link: LinkRow, taker: Taker, scope: Scope) -> None:
    """In the course of a merge of clients: the record was to be archived, and is gone instead."""
    [bundle] = tx.bundles([link.client])
    key = (row.system, row.external_id)
    as_it_was = tuple((link if (each.system, each.external_id) == key else each, shown) for each, shown in bundle.sides)
    merges = merging.running(tx, [link.client]).get(link.client, ())
    if key in duplicates(Bundle(bundle.client, as_it_was), merges):
        tx.put_links([parted := set_apart(link, taker.external_id, GONE_THERE)])
        trail.ended(tx, [parted], at=scope.now, cycle=scope.cycle)
