"""Clients that turn out to be one because of what somebody typed: a number of theirs became equal to another client's.

Linking looks at records that belong to nobody; this looks at clients that are known, and only at those whose registration or VAT number
has just changed. What it finds is a proposal like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core.correlate import SHARERS_MAX, are_certain
from syncd.engine import merging
from syncd.engine.decide import Draft, Scope, present
from syncd.engine.gathering import is_active
from syncd.engine.systems import digest
from syncd.store import Bundle, HoldKind, HoldRow, HoldState, RecordKey

if TYPE_CHECKING:
    from syncd.store import Tx

UNITS = frozenset({"registration_number", "vat_number"})
KEYS = frozenset({"reg", "siret", "vat"})
"""Keys of equal numbers; two establishments of one company (an equal SIREN alone) are two clients."""

TYPED = "typed"
"""Mark of the items of a proposal that is made because an edit has made two clients alike."""

_log = log.get("linking")


def propose_equal(tx: Tx, bundles: Sequence[Bundle], drafts: Sequence[Draft], scope: Scope) -> int:
    """Propose the clients that have just come to have the number of another one. bundles: as they were before. How many holds."""
    moved = [
        draft.client.client
        for bundle, draft in zip(bundles, drafts, strict=True)
        if bundle.client.fields and any(change.unit in UNITS for change in draft.changes)
    ]
    return sum(_propose(tx, bundle, scope) for bundle in tx.bundles(moved)) if moved else 0


def _propose(tx: Tx, bundle: Bundle, scope: Scope) -> int:
    systems = {link.system for link, _ in present(bundle, scope.systems)}
    keys = {key for name in systems for key in scope.systems[name].match_keys(bundle.client.fields) if key[0] in KEYS}
    hits = tx.by_keys(keys, SHARERS_MAX) if keys else []
    others = sorted({hit.client for hit in hits if hit.client is not None} - {bundle.client.client})
    opened = 0
    for other in tx.bundles(others):
        if _are_one(bundle, other, scope) and not merging.parted(tx, bundle, other):
            opened += ask(tx, bundle, other, "a number was typed that makes them equal: they may be one client", scope)
    return opened


def _are_one(first: Bundle, second: Bundle, scope: Scope) -> bool:
    sides = {
        each.client.client: [record.fields for _, record in present(each, scope.systems)] for each in (first, second)
    }
    shown = {each.client.client: [each.client.fields, *sides[each.client.client]] for each in (first, second)}
    return all(sides.values()) and are_certain(shown, scope.context)


def ask(
    tx: Tx, first: Bundle, second: Bundle, reason: str, scope: Scope, extra: Mapping[str, Any] | None = None
) -> int:
    """Propose two clients, unless an open proposal is about both. extra: what each item tells beside its record. How many holds."""
    refs: list[tuple[RecordKey, str]] = []
    active: list[set[str]] = []
    for bundle in (first, second):
        sides = present(bundle, scope.systems)
        refs.extend(((link.system, link.external_id), bundle.client.client) for link, _ in sides)
        active.append({link.system for link, record in sides if is_active(record)})
    shared = sorted(active[0] & active[1])
    kind = HoldKind.MERGE if shared else HoldKind.LINK
    key = f"{kind.value}:{digest(sorted(ref for ref, _ in refs))}"
    clients = {first.client.client, second.client.client}
    if any(_is_about(tx, hold, clients) for hold in tx.holds()) or tx.is_held(key):
        return 0
    items: list[dict[str, Any]] = [
        {"client": client, "system": system, "external_id": external_id, **(extra or {})}
        for (system, external_id), client in sorted(refs)
    ]
    system = shared[0] if shared else items[-1]["system"]
    tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], kind, system, reason, items, scope.now, key))
    _log.warning("hold_opened", kind=kind.value, system=system, reason=reason)
    return 1


def _is_about(tx: Tx, hold: HoldRow, clients: Collection[str]) -> bool:
    """Whether a proposal is about these clients; of a system's refusal it names one of them, and a record of the other."""
    if hold.kind not in (HoldKind.LINK, HoldKind.MERGE) or names(hold).isdisjoint(clients):
        return False
    refs = [(str(item["system"]), str(item["external_id"])) for item in hold.items if item.get("external_id")]
    owners = {link.client for ref in refs if (link := tx.link(*ref)) is not None} if len(hold.items) == 1 else set()
    return names(hold) | owners >= set(clients)


def give_way(tx: Tx, clients: Collection[str], now: datetime) -> None:
    """A system's own word about two clients says more than their likeness: what was asked because of that is asked with it."""
    for hold in tx.holds():
        if is_of_likeness(hold) and names(hold) == set(clients):
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=now, decided_by="asked about anew"))


def is_of_likeness(hold: HoldRow) -> bool:
    """Whether a proposal was made because an edit has made two clients alike (`syncd.engine.resembling`)."""
    return bool(hold.items) and hold.items[0].get(TYPED) is True


def names(hold: HoldRow) -> set[str]:
    """The clients that a hold names."""
    return {str(item["client"]) for item in hold.items if item.get("client")}
