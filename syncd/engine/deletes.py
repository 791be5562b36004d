"""Believed absences: a record that was gone by id in two cycles becomes a tombstone of its client in that system.

A delete is a change like any other: it archives the client where that can be done (or what the tenant says), it competes with edits
made meanwhile (the edit wins, logged once), it may turn out to be a merge made inside the system, and many at once are held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core.model import BrakeKind, Value
from syncd.engine import trail
from syncd.engine.brakes import RECORD
from syncd.engine.decide import Scope
from syncd.engine.observe import digest
from syncd.engine.planning import DELETED_IN
from syncd.store import (
    Bundle,
    ChangeRow,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldRow,
    HoldState,
    LinkRow,
    LinkState,
    RecordRow,
    RecordState,
)

if TYPE_CHECKING:
    from syncd.store import Tx

STRONG_KEYS = frozenset({"siren", "siret", "reg", "vat", "email"})
"""Identifiers by which the survivor of a merge made inside a system is found."""

WALKS_BACK = 500
"""Walks looked back over for the one in which a deleted record was listed last."""

_log = log.get("deletes")


def accept_deletes(tx: Tx, scope: Scope) -> int:
    """Turn believed absences into tombstones, conflicts or holds. Returns how many records were accepted as deleted."""
    accepted = 0
    for name in scope.systems:
        gone = tx.confirmed_gone(name)
        if gone:
            accepted += _accept(tx, name, gone, scope)
        else:
            _lapse(tx, name, frozenset(), scope)
    return accepted


def _accept(tx: Tx, system: str, gone: Sequence[RecordRow], scope: Scope) -> int:
    clients = {(row.system, row.external_id): row for row in gone}
    links = {external_id: tx.link(system, external_id) for _, external_id in clients}
    held = _held(tx, system, gone, links, scope)
    seen_in = {walk.walk: walk.cycle for walk in tx.walks(system, WALKS_BACK)}
    accepted = 0
    for row in gone:
        link = links[row.external_id]
        if link is None or row.external_id in held:
            continue
        tx.put_records([replace(row, state=RecordState.GONE)])
        tx.put_links([ended := replace(link, state=LinkState.GONE)])
        trail.ended(tx, [ended], at=scope.now, cycle=scope.cycle)
        tx.mark_dirty([link.client])
        bundle = tx.bundles([link.client])[0]
        survivor = _survivor(tx, row, scope)
        if survivor is not None:
            _propose_merge(tx, bundle, row, survivor, scope)
        elif edited := _edited_since(tx, bundle, row, seen_in.get(row.walk or "")):
            _edit_wins(tx, bundle, row, edited, scope)
        else:
            _archive(tx, bundle, row, scope)
        _log.info("delete_accepted", system=system, client=link.client, record=row.external_id, cycle=scope.cycle)
        accepted += 1
    for hold in tx.holds(HoldState.RELEASED):
        if _is_mine(hold, system):
            tx.put_hold(replace(hold, state=HoldState.DONE))
    return accepted


def _is_mine(hold: HoldRow, system: str) -> bool:
    return (
        hold.kind is HoldKind.BRAKE
        and hold.system == system
        and bool(hold.items)
        and hold.items[0].get("field") == RECORD
    )


def _held(
    tx: Tx, system: str, gone: Sequence[RecordRow], links: Mapping[str, LinkRow | None], scope: Scope
) -> frozenset[str]:
    """The records whose delete is held: already in an open hold, or too many at once and not released."""
    standing = next((hold for hold in tx.holds(HoldState.OPEN) if _is_mine(hold, system)), None)
    released = {
        str(item["external_id"])
        for hold in tx.holds(HoldState.RELEASED)
        if _is_mine(hold, system)
        for item in hold.items
    }
    before = {str(item["external_id"]) for item in standing.items} if standing else set()
    ids = {row.external_id for row in gone} - released
    new = ids - before
    records = tx.count_records(system) + len(gone)
    over = scope.policy.brake(BrakeKind.DELETES).stops(len(new), records)
    whole = frozenset((ids & before) | (new if over else set()))
    if standing is not None and whole == before:
        return whole
    _lapse(tx, system, whole, scope)
    if whole:
        limit = scope.policy.brake(BrakeKind.DELETES)
        items: list[dict[str, Any]] = [
            {
                "kind": BrakeKind.DELETES.value,
                "client": link.client if (link := links[external_id]) is not None else None,
                "field": RECORD,
                "system": system,
                "external_id": external_id,
            }
            for external_id in sorted(whole)
        ]
        reason = f"deletes: {len(whole)} of {records} records of {system} at once; the limit is {limit.count} and {limit.share:.0%}"
        tx.put_hold(
            HoldRow(tx.new_ids("h", 1)[0], HoldKind.BRAKE, system, reason, items, scope.now, f"brake:{digest(items)}")
        )
        _log.warning("brake_set", system=system, kind="deletes", records=len(whole))
    return whole


def _lapse(tx: Tx, system: str, whole: frozenset[str], scope: Scope) -> None:
    for hold in tx.holds(HoldState.OPEN):
        if _is_mine(hold, system) and {str(item["external_id"]) for item in hold.items} != whole:
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="the set changed"))


def _survivor(tx: Tx, row: RecordRow, scope: Scope) -> tuple[str, str] | None:
    """Another record of the same system that carries the identifiers of the one that vanished: (client or "", external id)."""
    system = scope.systems[row.system]
    keys = {key for key in system.match_keys(row.fields) if key[0] in STRONG_KEYS}
    for _, _, other, external_id, client in tx.by_keys(keys, 10) if keys else []:
        if other == row.system and external_id != row.external_id:
            found = tx.records(other, [external_id]).get(external_id)
            if found is not None and found.state is RecordState.PRESENT and found.changed_at >= row.seen_at:
                return client or "", external_id
    return None


def _propose_merge(tx: Tx, bundle: Bundle, row: RecordRow, survivor: tuple[str, str], scope: Scope) -> None:
    client, external_id = survivor
    items: list[dict[str, Any]] = [
        {"client": bundle.client.client, "system": row.system, "external_id": row.external_id},
        {"client": client or None, "system": row.system, "external_id": external_id},
    ]
    key = f"merge:{digest(items)}"
    if not tx.is_held(key):
        reason = f"{row.system} seems to have merged its record {row.external_id} into {external_id}"
        tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], HoldKind.MERGE, row.system, reason, items, scope.now, key))


def _edited_since(tx: Tx, bundle: Bundle, row: RecordRow, seen_in: str | None) -> list[ChangeRow]:
    """Edits of the client seen in other systems after the cycle in which the deleted record was listed for the last time.

    seen_in: that cycle. What was decided in it (such as the first data of the others) the record may never have shown, because its
    system cannot hold it; that is nobody's edit against the delete.
    """
    return [
        change
        for change in tx.changes(client=bundle.client.client, since=row.seen_at)
        if change.system not in (row.system, "golden") and change.at > row.seen_at and change.cycle != seen_in
    ]


def _edit_wins(tx: Tx, bundle: Bundle, row: RecordRow, edited: Sequence[ChangeRow], scope: Scope) -> None:
    client = bundle.client.client
    candidates: list[dict[str, Any]] = [
        {"system": row.system, "external_id": row.external_id, "value": None, "seen_at": scope.now.isoformat()}
    ]
    candidates.extend(
        {
            "system": change.system,
            "external_id": change.external_id,
            "value": _plain(change.after),
            "seen_at": change.at.isoformat(),
        }
        for change in edited
    )
    tx.add_conflicts(
        [
            ConflictRow(
                conflict=tx.new_ids("k", 1)[0],
                client=client,
                unit="record",
                kind=ConflictKind.DELETE,
                base=None,
                candidates=candidates,
                rule="edit-over-delete",
                status=ConflictStatus.DECIDED,
                winner=edited[-1].system,
                value=None,
                decided_by="rule",
                logged_at=scope.now,
                reason="an edit made meanwhile wins over a delete; the record stays missing where it was deleted",
                cycle=scope.cycle,
                key=f"delete:{row.system}:{row.external_id}",
            )
        ]
    )
    _log.warning("delete_against_edit", system=row.system, client=client, record=row.external_id, cycle=scope.cycle)


def _plain(value: object) -> Value:
    return value if isinstance(value, str | int | bool | list | dict) else None


def _archive(tx: Tx, bundle: Bundle, row: RecordRow, scope: Scope) -> None:
    """The client is archived, and written so wherever the policy of that system lets it."""
    others = [link for link, _ in bundle.sides if link.state is LinkState.LINKED and link.system != row.system]
    heed = [
        link
        for link in others
        if link.system in scope.systems and scope.systems[link.system].policy.on_delete != "ignore"
    ]
    golden = bundle.client
    if golden.fields.get("archived") is True or (others and not heed):
        return
    fields = {**golden.fields, "archived": True}
    origins = {**golden.origins, "archived": f"{DELETED_IN}{row.system}"}
    tx.put_clients([replace(golden, fields=fields, origins=origins, dirty=True, updated_at=scope.now)])
    tx.add_changes(
        [
            ChangeRow(
                change=tx.new_ids("g", 1)[0],
                cycle=scope.cycle,
                client=golden.client,
                unit="archived",
                system=row.system,
                external_id=row.external_id,
                before=golden.fields.get("archived"),
                after=True,
                reason=f"{DELETED_IN}{row.system}",
                at=scope.now,
            )
        ]
    )
