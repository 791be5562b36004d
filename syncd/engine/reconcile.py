"""Reconcile: from observations to decisions, for every client that something has happened to.

Level-based: it looks at what is, and may be done again at any time; a second look at the same facts changes nothing.

    1. deletes    believed absences become tombstones, or conflicts where somebody edited meanwhile
    2. linking    records that belong to nobody find their client (`syncd.engine.linking`)
    3. brakes     what would change too much at once is held as one named set
    4. decide     per client: merge, bases, conflicts, plan - one transaction for a batch of clients
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from syncd import log
from syncd.core.model import BrakeKind, unit_value, units_in
from syncd.engine import trail
from syncd.engine.absorbing import ARCHIVED, duplicates, progress, unheard
from syncd.engine.brakes import Mass, finish_released, settle_brakes
from syncd.engine.decide import Barred, Draft, Scope, decide, mass_changes
from syncd.engine.merging import note_echoes, running
from syncd.engine.planning import fill_ids, plan_client
from syncd.engine.recognising import propose_equal
from syncd.engine.resembling import propose_resembling
from syncd.engine.taking_over import in_question, propose_retired
from syncd.store import (
    Bundle,
    ClientState,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldRow,
    HoldState,
    LinkState,
    MergeRow,
    RecordKey,
    Standing,
    WriteRow,
)

if TYPE_CHECKING:
    from syncd.store import Tx

BATCH = 200
"""Clients decided in one transaction."""

SETTLES_AT = "settles_at"
"""Until when some value is still being typed (`settle`), ISO 8601."""

Transactions = Callable[[], AbstractContextManager["Tx"]]
"""Opens a writing transaction; a plan hands over one that is rolled back at the end."""

_log = log.get("reconcile")


@dataclass(slots=True)
class Reconciled:
    """What a reconcile came to."""

    clients: int = 0
    conflicts: int = 0
    holds: int = 0

    def add(self, other: Reconciled) -> None:
        """Count another reconcile with this one."""
        self.clients += other.clients
        self.conflicts += other.conflicts
        self.holds += other.holds


def reconcile(transactions: Transactions, scope: Scope) -> Reconciled:
    """Decide every client that is marked dirty. Deletes and linking come before (see `syncd.engine`)."""
    scope, held = _brake(transactions, scope)
    total = Reconciled(holds=held)
    while True:
        with transactions() as tx:
            clients = tx.dirty(BATCH)
            if not clients:
                finish_released(tx)
                return total
            total.add(_decide_batch(tx, clients, scope))


def _brake(transactions: Transactions, scope: Scope) -> tuple[Scope, int]:
    """Count what single systems' edits would replace, clear or archive; bar what is over a limit or already held."""
    mass = Mass()
    with transactions() as tx:
        holds = tx.holds()
        scope = replace(scope, barred=scope.barred | in_question(holds))
        held = {str(item["client"]) for hold in holds if hold.kind is HoldKind.BRAKE for item in hold.items}
        tx.mark_dirty(sorted(held))  # whether it still stands
        limit = min((scope.policy.brake(kind).count for kind in BrakeKind), default=0)
        after = ""
        while clients := tx.dirty(BATCH, after):
            after = clients[-1]
            if not held and len(clients) <= limit and not mass.counts:
                break
            merges = running(tx, clients)
            for bundle in tx.bundles(clients):
                if bundle.client.fields and (bundle.client.client in held or not is_still(bundle)):
                    absorbed = duplicates(bundle, merges.get(bundle.client.client, ()))
                    mass.add(mass_changes(decide(bundle, replace(scope, absorbed=absorbed))))
        barred, number = settle_brakes(tx, mass, scope)
    return replace(scope, barred=scope.barred | barred), number


def is_still(bundle: Bundle) -> bool:
    """Whether every system shows of a client exactly what it showed when it was last decided: then none of them edits it."""
    return all(
        unit in link.bases and link.bases[unit].seen == unit_value(record.fields, unit)
        for link, record in bundle.sides
        if record is not None
        for unit in units_in(record.fields)
    )


def _decide_batch(tx: Tx, clients: Sequence[str], scope: Scope) -> Reconciled:
    bundles = tx.bundles(clients)
    merges = running(tx, clients)
    open_writes = tx.open_writes(clients)
    undecided = _open_conflicts(tx, clients)
    frozen = _frozen_units(tx, clients)
    drafts: list[Draft] = []
    asked = 0
    writes: list[WriteRow] = []
    standings = []
    holds: list[HoldRow] = []
    for bundle in bundles:
        client = bundle.client.client
        absorbed = duplicates(bundle, merges.get(client, ()))
        unread = unheard(bundle, merges.get(client, ()), scope.unread, scope.now) if absorbed else frozenset()
        mine_only = replace(scope, absorbed=absorbed, unheard=unread) if absorbed else scope
        draft = decide(bundle, mine_only)
        if retired := _retired(tx, bundle, draft, scope):
            asked += 1
            mine_only = replace(mine_only, barred=mine_only.barred | retired)
            draft = decide(bundle, mine_only)
        drafts.append(draft)
        mine = {system: row for (owner, system), row in open_writes.items() if owner == client}
        barred = frozenset(unit for owner, unit, _ in mine_only.barred if owner == client)
        outbound = plan_client(bundle, draft, mine_only, mine, barred | frozen.get(client, frozenset()))
        if client in merges or absorbed:
            _progress(tx, bundle, draft, merges.get(client, ()), absorbed, outbound.standings, scope)
        writes.extend(outbound.writes)
        standings.extend(outbound.standings)
        holds.extend([*draft.holds, *outbound.holds])
    _commit(tx, bundles, drafts, writes, scope)
    settling = [draft.settles_at for draft in drafts if draft.settles_at is not None]
    if settling:
        tx.set_meta(SETTLES_AT, max(settling).isoformat())
    tx.put_standings(standings)
    ended = [draft.client.client for draft in drafts if draft.client.state is ClientState.DELETED]
    for client in ended:
        tx.drop_standings(client)
    _lapse_lossy(tx, drafts, scope)
    added = _add_conflicts(tx, [row for draft in drafts for row in draft.conflicts])
    _close_conflicts(tx, drafts, undecided)
    asked += _add_holds(tx, holds) + propose_equal(tx, bundles, drafts, scope)
    asked += propose_resembling(tx, bundles, drafts, scope)
    return Reconciled(len(bundles), added, asked)


def _retired(tx: Tx, bundle: Bundle, draft: Draft, scope: Scope) -> Barred:
    """What is not heard because the record that says so was merged inside its system."""
    asked = next((each for each in draft.decisions if each.unit == ARCHIVED and each.record is not None), None)
    return propose_retired(tx, bundle, asked, scope) if asked is not None else frozenset()


def _progress(
    tx: Tx,
    bundle: Bundle,
    draft: Draft,
    merges: Sequence[MergeRow],
    absorbed: Mapping[RecordKey, RecordKey],
    standings: Sequence[Standing],
    scope: Scope,
) -> None:
    """Keep how far the merges of a client are, and tell the trail which records stand apart now."""
    before = {(link.system, link.external_id): link for link, _ in bundle.sides}
    parted = [link for key, link in draft.links.items() if link.state is LinkState.APART and before[key] != link]
    trail.ended(tx, parted, at=scope.now, cycle=scope.cycle)
    left = {key: into for key, into in absorbed.items() if draft.links[key].state is LinkState.LINKED}
    for row in progress(merges, before, draft.links, standings, left, scope.now):
        tx.put_merge(row)


def _commit(
    tx: Tx, bundles: Sequence[Bundle], drafts: Sequence[Draft], writes: Sequence[WriteRow], scope: Scope
) -> None:
    tx.put_clients([draft.client for draft in drafts])
    before = {(link.system, link.external_id): link for bundle in bundles for link, _ in bundle.sides}
    moved = [link for draft in drafts for key, link in draft.links.items() if before[key] != link]
    if moved:
        tx.put_links(moved)
    note_echoes(tx, {draft.client.client: draft.echoes for draft in drafts if draft.echoes})
    # Their numbers come after those of echoes: what won is later than what lost.
    changes = [row for draft in drafts for row in draft.changes]
    if changes:
        ids = tx.new_ids("g", len(changes))
        tx.add_changes([replace(row, change=number) for row, number in zip(changes, ids, strict=True)])
    moves = [(bundle.client, draft.client) for bundle, draft in zip(bundles, drafts, strict=True)]
    trail.completed(tx, moves, changes, at=scope.now, cycle=scope.cycle)
    new = [row for row in writes if not row.write]
    ended = [row for row in writes if row.write]
    if ended:
        tx.put_writes(ended)
    if new:
        tx.put_writes(fill_ids(new, tx.new_ids("w", len(new))))


def _add_conflicts(tx: Tx, rows: Sequence[ConflictRow]) -> int:
    if not rows:
        return 0
    known = {row.key for row in tx.conflicts(status=ConflictStatus.OPEN)}
    fresh = [row for row in rows if row.key not in known]
    ids = tx.new_ids("k", len(fresh)) if fresh else []
    numbered = [replace(row, conflict=number) for row, number in zip(fresh, ids, strict=True)]
    added = tx.add_conflicts(numbered) if numbered else 0
    for row in numbered:
        _log.info(
            "conflict_logged",
            client=row.client,
            conflict=row.conflict,
            field=row.unit,
            kind=row.kind.value,
            status=row.status.value,
            winner=row.winner,
            rule=row.rule,
            cycle=row.cycle,
        )
    return added


def _open_conflicts(tx: Tx, clients: Iterable[str]) -> dict[tuple[str, str], ConflictRow]:
    wanted = set(clients)
    return {
        (row.client, row.unit): row
        for row in tx.conflicts(status=ConflictStatus.OPEN)
        if row.client in wanted and row.kind is not ConflictKind.DELETE
    }


def _close_conflicts(tx: Tx, drafts: Sequence[Draft], undecided: dict[tuple[str, str], ConflictRow]) -> None:
    """An open conflict ends by itself when its systems came to agree, or when a newer edit made it another conflict."""
    for draft in drafts:
        client = draft.client.client
        now_open = {row.unit: row.key for row in draft.conflicts if row.status is ConflictStatus.OPEN}
        for (owner, unit), row in undecided.items():
            if owner != client or now_open.get(unit) == row.key:
                continue
            by = "superseded by a newer edit" if unit in now_open else "the systems came to agree"
            value = draft.client.fields.get(unit)
            tx.put_conflict(
                replace(
                    row, status=ConflictStatus.RESOLVED, decided_by=by, value=value, key=f"{row.key}:{row.conflict}"
                )
            )


def _frozen_units(tx: Tx, clients: Iterable[str]) -> dict[str, frozenset[str]]:
    """Units of clients that a person has to look at: fields that oscillate, and edits that would cut a value."""
    wanted = set(clients)
    found: dict[str, set[str]] = {}
    for hold in tx.holds(HoldState.OPEN):
        if hold.kind is HoldKind.FIELD:
            for item in hold.items:
                if item["client"] in wanted:
                    found.setdefault(str(item["client"]), set()).add(str(item["field"]))
    return {client: frozenset(units) for client, units in found.items()}


def _lapse_lossy(tx: Tx, drafts: Sequence[Draft], scope: Scope) -> None:
    """A held shortening ends by itself when the text that asked for it is gone."""
    still = {row.key for draft in drafts for row in draft.holds}
    looked_at = {draft.client.client for draft in drafts}
    for hold in tx.holds(HoldState.OPEN):
        mine = hold.kind is HoldKind.LOSSY and str(hold.items[0]["client"]) in looked_at
        if mine and hold.key not in still:
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="the edit is gone"))


def _add_holds(tx: Tx, rows: Sequence[HoldRow]) -> int:
    added = 0
    for row in rows:
        if not tx.is_held(row.key):
            tx.put_hold(replace(row, hold=tx.new_ids("h", 1)[0]))
            _log.warning("hold_opened", kind=row.kind.value, system=row.system, reason=row.reason)
            added += 1
    return added
