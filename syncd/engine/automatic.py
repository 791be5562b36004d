"""Merges that need no person: proposals of which the evidence is certain, where the tenant says `merges = "auto"`, within the brake.

Every merge begins as a proposal (`syncd.engine.linking`, `syncd.engine.deletes`), so that what a person would have been asked is known either
way. Two clients whose merge a person took back once are not merged without one again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core.correlate import are_certain
from syncd.core.model import BrakeKind
from syncd.engine import merging
from syncd.engine.brakes import RECORD, is_of_strangers, is_record_brake
from syncd.engine.decide import Scope, present
from syncd.engine.reconcile import Reconciled, Transactions, reconcile
from syncd.engine.systems import digest
from syncd.engine.taking_over import RETIRED
from syncd.engine.trail import SYNCD
from syncd.errors import UsageError
from syncd.store import HoldKind, HoldRow, HoldState, MergeRow, MergeState

if TYPE_CHECKING:
    from syncd.store import Bundle, Tx

BY = f"{SYNCD} (merges = auto)"

_log = log.get("merging")


def merge_certain(tx: Tx, scope: Scope) -> tuple[int, int]:
    """Carry out the open proposals that need no person. Returns how many merges were made, and how many holds were opened."""
    if scope.policy.merges != "auto" or scope.frozen is not None:
        return 0, 0
    proposals = [hold for hold in tx.holds(HoldState.OPEN) if _is_proposal(hold)]
    if not proposals:
        return 0, 0
    undone = _taken_back(tx)
    found: dict[str, list[tuple[HoldRow, list[str]]]] = {}
    for hold in proposals:
        clients = ranked(tx, hold)
        if len(clients) > 1 and not _again(tx, clients, undone) and _is_certain(tx, tx.bundles(clients), hold, scope):
            found.setdefault(str(hold.system), []).append((hold, clients))
    made, opened = 0, 0
    for system, sets in found.items():
        losers = {loser for _, clients in sets for loser in clients[1:]}
        if scope.policy.brake(BrakeKind.MERGES).stops(len(losers), tx.count_records(system)):
            _hold(tx, system, sets, scope)
            opened += 1
        else:
            made += sum(_carry_out(tx, hold, clients, scope) for hold, clients in sets)
    return made, opened


def _is_proposal(hold: HoldRow) -> bool:
    """Whether a hold asks about records of two clients; one that names a single record is a system's refusal, which a person judges."""
    return hold.kind in (HoldKind.LINK, HoldKind.MERGE) and len(hold.items) > 1


def _taken_back(tx: Tx) -> set[frozenset[str | None]]:
    """The pairs of clients that a person took apart again, as they are called now, and as their records belong now.

    One of them may have been merged since, or made two: whoever has a record of the one is not merged with whoever has one of the other.
    """
    found: set[frozenset[str | None]] = set()
    for row in tx.merges(MergeState.UNDONE):
        winner, *losers = ({tx.resolve_alias(each)} | _owners(tx, row, each) for each in (row.winner, *row.losers))
        found.update(frozenset((one, other)) for mine in losers for one in winner for other in mine if one != other)
    return found


def _owners(tx: Tx, row: MergeRow, client: str) -> set[str | None]:
    """Whose the records are now that a client had when it was merged."""
    links = (tx.link(str(each["system"]), str(each["external_id"])) for each in row.snapshot["links"].get(client, ()))
    return {link.client for link in links if link is not None}


def _again(tx: Tx, clients: Sequence[str], undone: Collection[frozenset[str | None]]) -> bool:
    """Whether to merge these would make two of them one that were taken apart, as all of them are called now."""
    winner, *losers = map(tx.resolve_alias, clients)
    return any(frozenset((winner, loser)) in undone for loser in losers)


def ranked(tx: Tx, hold: HoldRow) -> list[str]:
    """The clients of a proposal as its records are linked now, the one that survives first: one whose record is there, the oldest."""
    standing: dict[str, bool] = {}
    for item in hold.items:
        named = tx.resolve_alias(str(item["client"])) if item.get("client") else None
        link = tx.link(str(item["system"]), str(item["external_id"])) if item.get("external_id") else None
        if link is not None:
            stands = link.state.value != "gone" and not item.get(RETIRED)
            standing[link.client] = standing.get(link.client, True) and stands
        elif named is not None:
            standing.setdefault(named, True)
        if len(hold.items) == 1 and named is not None:
            standing.setdefault(named, True)
    return sorted(standing, key=lambda client: (not standing[client], int(client[1:])))


def _is_certain(tx: Tx, bundles: Sequence[Bundle], hold: HoldRow, scope: Scope) -> bool:
    """Whether the records of all clients, the vanished one's too, surely belong to one; a system's own word is as good."""
    if any(not bundle.client.fields for bundle in bundles):
        return False
    if any(merging.parted(tx, a, b) for a in bundles for b in bundles if a is not b):
        return False
    shown = {
        bundle.client.client: [bundle.client.fields, *(record.fields for _, record in present(bundle, scope.systems))]
        for bundle in bundles
    }
    return any(item.get("told") for item in hold.items) or are_certain(shown, scope.context)


def _carry_out(tx: Tx, hold: HoldRow, clients: Sequence[str], scope: Scope) -> int:
    made = 0
    for loser in clients[1:]:
        if _again(tx, (clients[0], loser), _taken_back(tx)):
            return made  # an earlier one of this cycle has made it another's: a person is asked
        try:
            row = merging.join(
                tx,
                clients[0],
                loser,
                context=scope.context,
                actor=BY,
                now=scope.now,
                reason=f"{hold.hold}: {hold.reason}",
                cycle=scope.cycle,
            )
            merging.told(row, scope.cycle)
        except UsageError:  # an earlier one of this cycle has made them one already, or one of them another's
            continue
        made += 1
    _close(tx, hold, clients, scope)
    return made


def _close(tx: Tx, hold: HoldRow, clients: Sequence[str], scope: Scope) -> None:
    """A proposal is done where all are one, and over where those that are left are kept apart; a person is asked about any others."""
    left = tx.bundles(sorted({tx.resolve_alias(client) or client for client in clients}))
    if len(left) == 1:
        tx.put_hold(replace(hold, state=HoldState.DONE, decided_at=scope.now, decided_by=BY))
    elif all(merging.parted(tx, first, second) for first, second in combinations(left, 2)):
        tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="they are kept apart"))
        tx.mark_dirty([each.client.client for each in left])


def _hold(tx: Tx, system: str, sets: Sequence[tuple[HoldRow, list[str]]], scope: Scope) -> None:
    """Too many at once: the proposals become one named set."""
    items: list[dict[str, Any]] = [
        {"kind": BrakeKind.MERGES.value, "client": loser, "into": clients[0], "field": RECORD, "system": system}
        for _, clients in sets
        for loser in clients[1:]
    ]
    for hold in tx.holds(HoldState.OPEN):
        if is_merge_brake(hold) and hold.system == system:
            items = [*hold.items, *(item for item in items if item not in hold.items)]
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="the set changed"))
    number = tx.new_ids("h", 1)[0]
    limit = scope.policy.brake(BrakeKind.MERGES)
    reason = f"merges: {len(items)} clients with records in {system} at once; the limit is {limit.count} and {limit.share:.0%}"
    tx.put_hold(HoldRow(number, HoldKind.BRAKE, system, reason, items, scope.now, f"brake:{digest(items)}"))
    for hold, _ in sets:
        tx.put_hold(
            replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by=f"asked about as one set: {number}")
        )
    _log.warning("brake_set", system=system, kind="merges", records=len(items), hold=number)


def is_merge_brake(hold: HoldRow) -> bool:
    """Whether a hold is a set of merges that were too many at once."""
    return hold.kind is HoldKind.BRAKE and bool(hold.items) and hold.items[0].get("kind") == BrakeKind.MERGES.value


def held_clients(tx: Tx) -> dict[str, str]:
    """Clients that are not created anywhere while a person decides whether they are another client."""
    held: dict[str, str] = {}
    for hold in tx.holds(HoldState.OPEN):
        if hold.kind in (HoldKind.LINK, HoldKind.MERGE) or is_merge_brake(hold):
            for item in hold.items:
                if item.get("client"):
                    held[str(item["client"])] = f"{hold.hold}: {hold.reason}"
        elif is_of_strangers(hold):
            held.update(dict.fromkeys(tx.known_only_in(str(hold.system)), f"{hold.hold}: {hold.reason}"))
    return held


def held_ends(tx: Tx) -> dict[tuple[str, str], str]:
    """(client, system) of a record that vanished with so many others that a person decides whether it was deleted, and why."""
    return {
        (str(item["client"]), str(hold.system)): f"{hold.hold}: {hold.reason}"
        for hold in tx.holds(HoldState.OPEN)
        if is_record_brake(hold)
        for item in hold.items
    }


def closed_systems(tx: Tx) -> dict[str, str]:
    """Systems in which nothing is created while a person decides whether they are another account's, and why."""
    return {
        str(hold.system): f"{hold.hold}: {hold.reason}" for hold in tx.holds(HoldState.OPEN) if is_of_strangers(hold)
    }


def decide_all(transactions: Transactions, scope: Scope) -> Reconciled:
    """Decide what is to be decided, and again those about whom it turned out meanwhile that a person is asked, or is not any more."""
    total = reconcile(transactions, scope)
    if not total.clients:
        return total
    held = _turned(transactions, scope)
    if held is not None:
        again = replace(scope, held_clients=held)
        total.add(reconcile(transactions, again))
        _turned(transactions, again)  # those are for the next cycle
    return total


def _turned(transactions: Transactions, scope: Scope) -> dict[str, str] | None:
    """Have those decided again whose questions are others than when this was decided. What is asked now; None where nothing has changed."""
    with transactions() as tx:
        held = held_clients(tx)
        turned = {client for client, _ in held.items() ^ scope.held_clients.items()}
        if turned:
            tx.mark_dirty(sorted(turned))
    return held if turned else None
