"""The audit trail, complete: replaying it with the log of changes gives back golden records, links and tombstones.

A change of one unit is a row of `changes`. What no such row tells is an audit row, written in the same transaction:

    records_linked     {"records": [[system, external id, matched by], ...], "created": bool}   to `client`; made by whom: `actor`
    link_ended         {"records": [[system, external id], ...], "state": "gone" | "apart" | ...}
    records_forgotten  {"records": [[system, external id], ...]}   links that were taken back as if never made (a change of scope)
    links_moved        {"records": [[system, external id], ...]}   to `client`, from wherever they were (an unmerge, a split)
    clients_joined     {"winner": client, "loser": client}         every link of the loser is the winner's now
    golden_completed   {"fields": {...}, "unknown": [...], "state", "merged_into", "after": change}   what the changes do not tell

Fields are replayed in the order of the numbers of changes; `after` is such a number, taken from the same counter. Links and states
are replayed in the order of the audit trail. Both orders are those of the transactions, whatever the clocks said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd.core.model import UNKNOWN, Value, unit_fields
from syncd.store import AuditRow, ChangeRow, ClientRow, ClientState, LinkRow, LinkState, RecordKey

if TYPE_CHECKING:
    from syncd.store import Tx

RECORDS_LINKED = "records_linked"
LINK_ENDED = "link_ended"
RECORDS_FORGOTTEN = "records_forgotten"
LINKS_MOVED = "links_moved"
CLIENTS_JOINED = "clients_joined"
GOLDEN_COMPLETED = "golden_completed"

SYNCD = "syncd"
"""The actor where no person decided."""


# ---------------------------------------------------------------- writing it


def linked(
    tx: Tx, links: Iterable[LinkRow], *, at: datetime, cycle: str | None, made: Iterable[str] = (), actor: str = SYNCD
) -> None:
    """Records came to belong to clients. made: the clients that are new."""
    new = frozenset(made)
    records: dict[str, list[list[str]]] = {}
    for link in links:
        records.setdefault(link.client, []).append([link.system, link.external_id, link.matched_by])
    tx.add_audit(
        AuditRow(at, RECORDS_LINKED, actor, {"records": found, "created": client in new}, cycle=cycle, client=client)
        for client, found in records.items()
    )


def ended(tx: Tx, links: Iterable[LinkRow], *, at: datetime, cycle: str | None, actor: str = SYNCD) -> None:
    """Links stand for something else now: the record is gone, or a person keeps it apart. Give the links as they are put."""
    records: dict[tuple[str, LinkState], list[list[str]]] = {}
    for link in links:
        records.setdefault((link.client, link.state), []).append([link.system, link.external_id])
    tx.add_audit(
        AuditRow(at, LINK_ENDED, actor, {"records": found, "state": state.value}, cycle=cycle, client=client)
        for (client, state), found in records.items()
    )


def moved(tx: Tx, links: Iterable[LinkRow], *, at: datetime, cycle: str | None, actor: str = SYNCD) -> None:
    """Records belong to another client now, or again. Give the links as they are put; they may be in any state."""
    found = list(links)
    records: dict[str, list[list[str]]] = {}
    for link in found:
        records.setdefault(link.client, []).append([link.system, link.external_id])
    tx.add_audit(
        AuditRow(at, LINKS_MOVED, actor, {"records": keys}, cycle=cycle, client=client)
        for client, keys in records.items()
    )
    ended(tx, [link for link in found if link.state is not LinkState.LINKED], at=at, cycle=cycle, actor=actor)


def forgotten(tx: Tx, system: str, ids: Sequence[str], *, at: datetime, cycle: str | None) -> None:
    """Records and their links are forgotten as if they had never been seen."""
    if ids:
        payload = {"records": [[system, external_id] for external_id in ids]}
        tx.add_audit([AuditRow(at, RECORDS_FORGOTTEN, SYNCD, payload, cycle=cycle, system=system)])


def completed(
    tx: Tx,
    moves: Iterable[tuple[ClientRow, ClientRow]],
    changes: Iterable[ChangeRow],
    *,
    at: datetime,
    cycle: str | None,
    actor: str = SYNCD,
) -> None:
    """Tell what became of golden records beyond their changes. moves: (before, after). changes: those of the same transaction."""
    told: dict[str, list[ChangeRow]] = {}
    for change in changes:
        told.setdefault(change.client, []).append(change)
    rests = [(after.client, _rest(before, after, told.get(after.client, ()))) for before, after in moves]
    rests = [(client, rest) for client, rest in rests if rest]
    if not rests:
        return
    number = tx.new_ids("g", 1)[0]
    tx.add_audit(
        AuditRow(at, GOLDEN_COMPLETED, actor, {**rest, "after": number}, cycle=cycle, client=client)
        for client, rest in rests
    )


def _rest(before: ClientRow, after: ClientRow, changes: Iterable[ChangeRow]) -> dict[str, Any]:
    """What replaying the changes on the golden record before does not give."""
    told = dict(before.fields)
    for change in changes:
        _apply(told, change)
    rest: dict[str, Any] = {}
    fields = {name: value for name, value in after.fields.items() if name not in told or told[name] != value}
    unknown = sorted(told.keys() - after.fields.keys())
    if fields:
        rest["fields"] = fields
    if unknown:
        rest["unknown"] = unknown
    if (before.state, before.merged_into) != (after.state, after.merged_into):
        rest["state"] = after.state.value
        rest["merged_into"] = after.merged_into
    return rest


def _apply(fields: dict[str, Value], change: ChangeRow) -> None:
    fields.update(unit_fields(change.unit, None if change.after is UNKNOWN else change.after))


# ---------------------------------------------------------------- replaying it


@dataclass(slots=True)
class Golden:
    """A golden record as the trail tells it."""

    fields: dict[str, Value] = field(default_factory=dict)
    state: ClientState = ClientState.ACTIVE
    merged_into: str | None = None


@dataclass(slots=True)
class Replayed:
    """What the trail tells: client -> golden record, record -> (client, state of its link)."""

    clients: dict[str, Golden] = field(default_factory=dict)
    links: dict[RecordKey, tuple[str, LinkState]] = field(default_factory=dict)


def replay(changes: Iterable[ChangeRow], audit: Iterable[AuditRow]) -> Replayed:
    """Golden records, links and tombstones, from nothing but the log of changes and the audit trail (both oldest first)."""
    told = Replayed()
    steps: list[tuple[int, str, ChangeRow | Mapping[str, Any]]] = [
        (int(change.change[1:]), change.client, change) for change in changes
    ]
    for row in audit:
        if row.kind == GOLDEN_COMPLETED and row.client is not None and "after" in row.payload:
            steps.append((int(row.payload["after"][1:]), row.client, row.payload))
        _replay_links(told, row)
    for _, client, step in sorted(steps, key=lambda each: each[0]):
        fields = told.clients.setdefault(client, Golden()).fields
        if isinstance(step, ChangeRow):
            _apply(fields, step)
        else:
            fields.update(step.get("fields", {}))
            for name in step.get("unknown", ()):
                fields.pop(name, None)
    return told


def _replay_links(told: Replayed, row: AuditRow) -> None:
    """One audit row about links and states; a row that was emptied by an erasure tells nothing."""
    records: list[RecordKey] = [(each[0], each[1]) for each in row.payload.get("records", ())]
    match row.kind:
        case "records_linked" | "links_moved" if row.client is not None:
            told.clients.setdefault(row.client, Golden())
            told.links.update(dict.fromkeys(records, (row.client, LinkState.LINKED)))
        case "link_ended":
            for record in records:
                if record in told.links:
                    told.links[record] = (told.links[record][0], LinkState(row.payload["state"]))
        case "records_forgotten":
            for record in records:
                told.links.pop(record, None)
        case "clients_joined":
            winner, loser = str(row.payload.get("winner")), str(row.payload.get("loser"))
            for record, (client, state) in told.links.items():
                if client == loser:
                    told.links[record] = (winner, state)
        case "golden_completed" if row.client is not None and "state" in row.payload:
            golden = told.clients.setdefault(row.client, Golden())
            golden.state = ClientState(row.payload["state"])
            golden.merged_into = row.payload.get("merged_into")
        case _:
            pass
