"""The life of one client on one time line: changes, conflicts, holds, writes, links, and what people did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from syncd.core.model import UNKNOWN, Maybe
from syncd.report.rows import Document, conflict_document, hold_document, plain, write_document
from syncd.report.trace import family
from syncd.store import (
    AuditRow,
    ChangeRow,
    ConflictRow,
    ConflictStatus,
    HoldRow,
    HoldState,
    Store,
    WriteRow,
    WriteState,
)

_RANK = {kind: rank for rank, kind in enumerate(("link", "act", "change", "conflict", "golden", "hold", "write"))}
"""What happened in one transaction has one time: the cause is told before its effect."""

_ENDS = {WriteState.DONE: "done", WriteState.DROPPED: "dropped"}


def history(store: Store, tenant: str, client: str, *, limit: int | None = None) -> Document | None:
    """Everything that happened to a client and to those that were merged into it, oldest first; None for an unknown client.

    limit: the last so many. Each event has at, kind, id, client, cycle, by, system, external_id, field, what (a sentence without
    values) and detail.
    """
    with store.reading() as tx:
        survivor = tx.resolve_alias(client)
        if survivor is None:
            return None
        members = family(tx, survivor)
        row = tx.client(survivor)
        events: list[Document] = []
        holds: dict[str, HoldRow] = {}
        for each in members:
            events.extend(_of_change(change) for change in tx.changes(each))
            events.extend(event for found in tx.conflicts(client=each) for event in _of_conflict(tenant, found))
            events.extend(event for found in tx.writes(client=each) for event in _of_write(tenant, found))
            events.extend(event for found in tx.audit(each) if (event := _of_audit(found)) is not None)
            holds.update({found.hold: found for found in tx.holds_of(each)})
        events.extend(event for found in holds.values() for event in _of_hold(tenant, found, members))
    events.sort(key=lambda event: (event["at"], _RANK.get(event["kind"], len(_RANK))))
    return {
        "tenant": tenant,
        "client": survivor,
        "asked_for": client,
        "state": row.state.value if row is not None else None,
        "merged_from": members[1:],
        "events_total": len(events),
        "events": events[-limit:] if limit is not None else events,
    }


def _event(at: datetime, kind: str, identifier: str | None, client: str | None, what: str, **more: Any) -> Document:
    blank = dict.fromkeys(("cycle", "by", "system", "external_id", "field", "detail"))
    return {"at": at, "kind": kind, "id": identifier, "client": client, **blank, **more, "what": what}


def _of_change(row: ChangeRow) -> Document:
    source = f"{row.system} {row.external_id}" if row.external_id else row.system
    detail = {"before": plain(row.before), "after": plain(row.after), "before_known": _is_known(row.before)}
    return _event(
        row.at,
        "change",
        row.change,
        row.client,
        f"{row.unit} taken from {source}: {row.reason}" if row.system != "operator" else f"{row.unit}: {row.reason}",
        cycle=row.cycle,
        by=row.system,
        system=row.system if row.external_id else None,
        external_id=row.external_id,
        field=row.unit,
        detail=detail,
    )


def _is_known(value: Maybe) -> bool:
    return value is not UNKNOWN


def _of_conflict(tenant: str, row: ConflictRow) -> Iterator[Document]:
    sides = ", ".join(str(candidate["system"]) for candidate in row.candidates)
    taken = f"{row.winner or 'no value'} was taken"
    decided = {ConflictStatus.OPEN: "a person decides", ConflictStatus.RESOLVED: f"in the end {taken}"}
    yield _event(
        row.logged_at,
        "conflict",
        row.conflict,
        row.client,
        f"{row.unit} differs between {sides} (rule {row.rule}): {decided.get(row.status, taken)}",
        cycle=row.cycle,
        by=row.decided_by or None,
        field=row.unit,
        detail=conflict_document(tenant, row),
    )


def _of_write(tenant: str, row: WriteRow) -> Iterator[Document]:
    place = f"{row.system} {row.external_id}" if row.external_id else row.system
    names = ", ".join(row.fields) or "the record"
    common = {"cycle": row.cycle, "by": "syncd", "system": row.system, "external_id": row.external_id}
    detail = {**write_document(tenant, row), "before": row.before, "done_at": row.done_at}
    what = f"{row.action.value} in {place} decided: {names}"
    yield _event(row.since, "write", row.write, row.client, what, **common, detail=detail)
    if row.state in _ENDS and row.done_at is not None:
        said = str((row.error or {}).get("message", "")) or (row.reason if row.state is WriteState.DROPPED else "")
        why = f": {said}" if said else ""
        what = f"{row.action.value} in {place} {_ENDS[row.state]}{why}"
        yield _event(row.done_at, f"write_{_ENDS[row.state]}", row.write, row.client, what, **common, detail=detail)
    elif row.state is not WriteState.WAITING:
        said = str((row.error or {}).get("message", ""))
        what = f"{row.action.value} in {place} is {row.state.value.replace('_', ' ')}{': ' if said else ''}{said}"
        at = row.sending_at or row.since
        yield _event(at, f"write_{row.state.value}", row.write, row.client, what, **common, detail=detail)


def _of_hold(tenant: str, row: HoldRow, members: Iterable[str]) -> Iterator[Document]:
    mine = [item for item in row.items if item.get("client") in set(members)]
    client = str(mine[0]["client"]) if mine else None
    detail = {**hold_document(tenant, row), "items": mine}
    yield _event(
        row.since, "hold", row.hold, client, f"held ({row.kind.value}): {row.reason}", system=row.system, detail=detail
    )
    if row.state is not HoldState.OPEN and row.decided_at is not None:
        what = f"hold {row.hold} ({row.kind.value}) {row.state.value}"
        by = row.decided_by
        yield _event(row.decided_at, "hold_ended", row.hold, client, what, system=row.system, by=by, detail=detail)


def _of_audit(row: AuditRow) -> Document | None:
    """One line of the audit trail; those that only say again what an event above says are left out."""
    payload = row.payload
    records = ", ".join(f"{each[0]} {each[1]}" for each in payload.get("records", ()))
    match "erased" if payload.get("erased") else row.kind:
        case "erased":
            what = f"{row.kind.replace('_', ' ')} (erased)"
        case "records_linked":
            what = f"{'new client from' if payload['created'] else 'linked'} {records}"
        case "link_ended":
            what = f"{records} is {payload['state']}"
        case "clients_joined":
            what = f"{payload.get('loser')} merged into {payload.get('winner')}"
        case "golden_completed":
            moved = [f"now {payload['state']}"] if "state" in payload else []
            if payload.get("merged_into"):
                moved = [f"merged into {payload['merged_into']}"]
            filled = [f"known as well: {', '.join(sorted(payload['fields']))}"] if payload.get("fields") else []
            what = "; ".join([*moved, *filled]) or "completed"
        case "client_undone":
            what = f"undid {payload['what']}: {', '.join(payload['fields'])}"
        case _:
            told = ", ".join(f"{key} {value}" for key, value in payload.items() if isinstance(value, str | int))
            what = f"{row.kind.replace('_', ' ')}{': ' if told else ''}{told}"
    kind = "link" if row.kind in ("records_linked", "link_ended", "links_moved") else "act"
    kind = "golden" if row.kind == "golden_completed" else kind
    return _event(
        row.at,
        kind,
        None,
        row.client,
        what,
        cycle=row.cycle,
        by=row.actor,
        system=row.system,
        detail={"act": row.kind, **payload},
    )
