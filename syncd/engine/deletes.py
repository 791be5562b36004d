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
from syncd.engine.brakes import RECORD, STRANGERS, let_go
from syncd.engine.decide import Scope
from syncd.engine.observe import is_confirmed
from syncd.engine.planning import DELETED_IN, TO_BE_DELETED
from syncd.engine.systems import digest, number_of
from syncd.engine.taking_over import find_takers, follow
from syncd.engine.vanished import is_told
from syncd.store import (
    Base,
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

KINDS = (BrakeKind.DELETES, BrakeKind.UNLINKS)
"""What may have become of a record that vanished: deleted, or another record took its place."""

WALKS_BACK = 500
"""Walks looked back over for the one in which a deleted record was listed last."""

WHOLE_LIST_MINIMUM_RECORDS = 3
"""So many records that vanish at once are held, whatever the limit, where nobody is left who was listed beside them."""

THROUGH = "through"
"""Mark of an item of a released set: the release counts for it no more."""

_log = log.get("deletes")


def accept_deletes(tx: Tx, scope: Scope) -> int:
    """Turn believed absences into tombstones, conflicts, merges or holds. Returns how many records were accepted as deleted."""
    accepted = 0
    for name in scope.systems:
        missing = tx.missing(name)
        strangers = _nobody_is_left(tx, name, missing)
        if strangers or any(is_confirmed(row) for row in missing):
            accepted += _accept(tx, name, [row for row in missing if strangers or is_confirmed(row)], scope)
        else:
            for kind in KINDS:
                _lapse(tx, name, kind, frozenset(), scope)
        _finish_released(tx, name)
    return accepted


def _finish_released(tx: Tx, system: str) -> None:
    """A release counts once: for each of its records until that is believed to be gone and accepted, or is there again.

    What waits until the record can be read to which its id leads now is neither.
    """
    released = [hold for hold in tx.holds(HoldState.RELEASED) if any(_is_mine(hold, system, kind) for kind in KINDS)]
    missing = {row.external_id for row in tx.missing(system)} if released else set()
    for hold in released:
        items = [item if item["external_id"] in missing else {**item, THROUGH: True} for item in hold.items]
        through = all(item.get(THROUGH) for item in items)
        if through or items != hold.items:
            tx.put_hold(replace(hold, items=items, state=HoldState.DONE if through else HoldState.RELEASED))


def _accept(tx: Tx, system: str, gone: Sequence[RecordRow], scope: Scope) -> int:
    links = {row.external_id: link for row in gone if (link := tx.link(system, row.external_id)) is not None}
    apart = [row for row in gone if row.external_id in links and links[row.external_id].state is LinkState.APART]
    tx.put_records([replace(row, state=RecordState.GONE) for row in apart if is_confirmed(row)])
    rows = [row for row in gone if row.external_id in links and row not in apart]
    takers = find_takers(tx, rows, links, scope)
    plain = [row for row in rows if row.external_id not in takers]
    replaced = [row for row in rows if row.external_id in takers and takers[row.external_id].client]
    held = _held(tx, system, BrakeKind.DELETES, plain, links, scope)
    held |= _held(tx, system, BrakeKind.UNLINKS, replaced, links, scope)
    seen_in = {walk.walk: walk.cycle for walk in tx.walks(system, WALKS_BACK)}
    accepted = 0
    for row in (*plain, *replaced):
        if row.external_id in held or not is_confirmed(row):
            continue
        link = links[row.external_id]
        tx.put_records([replace(row, state=RecordState.GONE)])
        tx.put_links([ended := replace(link, state=LinkState.GONE)])
        trail.ended(tx, [ended], at=scope.now, cycle=scope.cycle)
        tx.mark_dirty([link.client])
        bundle = tx.bundles([link.client])[0]
        taker = takers.get(row.external_id)
        if taker is not None:
            follow(tx, row, link, taker, scope)
        elif is_told(row):
            pass  # whether it was a delete a person says, by the conflict that was logged when a merge was taken back
        elif edited := _edited_since(tx, bundle, row, seen_in.get(row.walk or "")):
            _edit_wins(tx, bundle, row, edited, scope)
        else:
            _archive(tx, bundle, row, scope)
        _log.info("delete_accepted", system=system, client=link.client, record=row.external_id, cycle=scope.cycle)
        accepted += 1
    return accepted


def _is_mine(hold: HoldRow, system: str, kind: BrakeKind) -> bool:
    return (
        hold.kind is HoldKind.BRAKE
        and hold.system == system
        and bool(hold.items)
        and hold.items[0].get("field") == RECORD
        and hold.items[0].get("kind") == kind.value
    )


def _held(
    tx: Tx, system: str, kind: BrakeKind, gone: Sequence[RecordRow], links: Mapping[str, LinkRow], scope: Scope
) -> frozenset[str]:
    """The records whose end is held: already in an open hold, or too many at once and not released.

    The share is one of the records that were there before: those present, and those that vanish now. What an earlier wave took, and a
    hold keeps back, is not there any more, and lets no later wave through.
    """
    standing = next((hold for hold in tx.holds(HoldState.OPEN) if _is_mine(hold, system, kind)), None)
    released = {
        str(item["external_id"])
        for hold in tx.holds(HoldState.RELEASED)
        if _is_mine(hold, system, kind)
        for item in hold.items
        if not item.get(THROUGH)
    }
    before = {str(item["external_id"]) for item in standing.items} if standing else set()
    ids = {row.external_id for row in gone} - released
    waiting = [row for row in gone if row.external_id in ids]
    strangers = _nobody_is_left(tx, system, waiting)
    new = {row.external_id for row in waiting if strangers or is_confirmed(row)} - before
    present = tx.count_records(system)
    over = strangers or scope.policy.brake(kind).stops(len(new), present + len(new))
    whole = frozenset((ids & before) | (new if over else set()))
    if standing is not None and whole == before:
        return whole
    _lapse(tx, system, kind, whole, scope)
    if whole:
        limit = scope.policy.brake(kind)
        items: list[dict[str, Any]] = [
            {
                "kind": kind.value,
                "client": links[external_id].client,
                "field": RECORD,
                "system": system,
                "external_id": external_id,
            }
            | ({STRANGERS: True} if strangers else {})
            for external_id in sorted(whole)
        ]
        reason = f"{kind.value}: {len(whole)} of {present + len(whole)} records of {system} at once; the limit is {limit.count} and {limit.share:.0%}"
        if strangers:
            reason = (
                f"{kind.value}: none of the {len(whole)} records known before is left in {system}; are the credentials another account's? "
                f"Until that is said, nothing is created in {system}, and who is only there is created nowhere else"
            )
        tx.put_hold(
            HoldRow(tx.new_ids("h", 1)[0], HoldKind.BRAKE, system, reason, items, scope.now, f"brake:{digest(items)}")
        )
        _log.warning("brake_set", system=system, kind=kind.value, records=len(whole))
    return whole


def _nobody_is_left(tx: Tx, system: str, gone: Sequence[RecordRow]) -> bool:
    """Whether every record that a system has now came after these (some at least) were listed last: it may be another account's list.

    That is asked as soon as they are missing: before their end is believed, strangers would be clients in every other system.
    """
    if len(gone) < WHOLE_LIST_MINIMUM_RECORDS:
        return False
    cycles = {walk.walk: number_of(walk.cycle) for walk in tx.walks(system, WALKS_BACK)}
    before = min(cycles.values(), default=0) - 1
    last = min(cycles.get(row.walk, before) if row.walk else (row.first_seen_in or 0) - 1 for row in gone)
    return tx.count_records(system) <= tx.count_recent(system, last, min(row.seen_at for row in gone))


def _lapse(tx: Tx, system: str, kind: BrakeKind, whole: frozenset[str], scope: Scope) -> None:
    for hold in tx.holds(HoldState.OPEN):
        if _is_mine(hold, system, kind) and {str(item["external_id"]) for item in hold.items} != whole:
            let_go(tx, hold)
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="the set changed"))


def _edited_since(tx: Tx, bundle: Bundle, row: RecordRow, seen_in: str | None) -> list[ChangeRow]:
    """Edits of the client seen in other systems after the cycle in which the deleted record was listed for the last time.

    seen_in: that cycle. What was decided in it (such as the first data of the others) the record may never have shown, because its
    system cannot hold it; that is nobody's edit against the delete. Where one of the two cycles is not known, the time tells.
    """

    def is_later(change: ChangeRow) -> bool:
        if change.cycle is None or seen_in is None:
            return change.at > row.seen_at
        return number_of(change.cycle) > number_of(seen_in)

    changes = tx.changes(client=bundle.client.client)
    return [each for each in changes if each.system not in (row.system, "golden") and is_later(each)]


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
    tx.put_links([_sentenced(link, scope) for link in others])
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


def _sentenced(link: LinkRow, scope: Scope) -> LinkRow:
    """The link of a record elsewhere, with what the tenant's file says at this moment: whether it is to be deleted, too.

    So a file that says otherwise later ends no record because of an old delete, and neither one that is made anew.
    """
    bases = {unit: base for unit, base in link.bases.items() if unit != RECORD}
    system = scope.systems.get(link.system)
    if system is not None and system.deletes:
        bases[RECORD] = Base(agreed=TO_BE_DELETED, written_at=scope.now)
    return replace(link, bases=bases)
