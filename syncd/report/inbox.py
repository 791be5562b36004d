"""What waits for a person, as one list in pages: holds, then conflicts, then parked writes, each oldest first.

Every entry comes with what a person has to see to decide: the clients it is about, what every system shows, the base, and a digest of it
all. An act that names the digest is done only while the entry still is what was seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from syncd.core.model import UNKNOWN, parts_of, unit_value
from syncd.report.rows import Document, conflict_document, hold_document, plain, write_document
from syncd.store import (
    Bundle,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldRow,
    HoldState,
    LinkState,
    Store,
    Tx,
    WriteRow,
    WriteState,
)

KINDS: Final = (*(kind.value for kind in HoldKind), "conflict", "parked")
"""What an entry may be, in the order in which they are listed (all kinds of holds together, by age)."""

ITEMS_SHOWN: Final = 12
"""Of one hold, in a list; the entry by itself shows them all."""

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", order="deterministic")
_LETTERS: Final = {"h": "hold", "k": "conflict", "w": "write"}

Row = HoldRow | ConflictRow | WriteRow


def inbox(
    store: Store, tenant: str, *, kinds: Collection[str] = (), after: str = "", limit: int, client: str | None = None
) -> list[Document]:
    """The entries behind the id `after` ("" for the first page). kinds: of `KINDS`, none for all. client: only about this one."""
    with store.reading() as tx:
        rows = list(_rows(tx, kinds, after, limit)) if client is None else _about(tx, client)
        return _documents(tx, tenant, rows, ITEMS_SHOWN)


def entry(store: Store, tenant: str, identifier: str) -> Document | None:
    """One entry with all its items, whether it still waits or not; None where there is none of this id."""
    with store.reading() as tx:
        if not identifier[1:].isdigit():
            return None
        found: Row | None
        match _LETTERS.get(identifier[:1]):
            case "hold":
                found = tx.hold(identifier)
            case "conflict":
                found = tx.conflict(identifier)
            case "write":
                found = tx.write(identifier)
            case _:
                found = None
        return _documents(tx, tenant, [found], None)[0] if found is not None else None


def _rows(tx: Tx, kinds: Collection[str], after: str, limit: int) -> Iterator[Row]:
    """One page. The order of the sections is that of the letters: h, k, w."""
    wanted = [HoldKind(kind) for kind in kinds if kind in {*HoldKind}]
    sections: list[tuple[str, bool, Callable[[int, int], Sequence[Row]]]] = [
        ("h", not kinds or bool(wanted), lambda number, size: tx.open_holds(wanted, after=number, limit=size)),
        ("k", not kinds or "conflict" in kinds, lambda number, size: tx.open_conflicts(after=number, limit=size)),
        ("w", not kinds or "parked" in kinds, lambda number, size: tx.parked_writes(after=number, limit=size)),
    ]
    left = limit
    for letter, asked, look in sections:
        if not asked or letter < after[:1] or left <= 0:
            continue
        number = int(after[1:]) if letter == after[:1] else 0
        found = look(number, left)
        left -= len(found)
        yield from found


def _about(tx: Tx, client: str) -> list[Row]:
    held = (row for row in tx.holds_of(client) if row.state is HoldState.OPEN)
    holds: list[Row] = [row for row in held if row.kind is not HoldKind.FIRST_RUN]  # it names clients as samples only
    return [*holds, *tx.conflicts(ConflictStatus.OPEN, client), *tx.writes((WriteState.PARKED,), client=client)]


def _documents(tx: Tx, tenant: str, rows: Sequence[Row], items: int | None) -> list[Document]:
    named = dict.fromkeys(client for row in rows for client in _clients(row, items))
    bundles = {bundle.client.client: bundle for bundle in tx.bundles(list(named))}
    return [_document(tenant, row, bundles, items) for row in rows]


def _clients(row: Row, items: int | None) -> Iterator[str]:
    if isinstance(row, HoldRow):
        yield from (str(item["client"]) for item in row.items[:items] if item.get("client"))
    else:
        yield row.client


def _document(tenant: str, row: Row, bundles: Mapping[str, Bundle], items: int | None) -> Document:
    match row:
        case HoldRow():
            told = hold_document(tenant, row)
            body: Document = {"entry": row.hold, "kind": row.kind.value, "since": row.since, "reason": row.reason}
            body["open"] = row.state is HoldState.OPEN
            body["state"] = row.state.value
            body["items_total"] = len(row.items)
            body["items"] = row.items[:items]
            body["system"] = row.system
        case ConflictRow():
            told = conflict_document(tenant, row)
            body = {"entry": row.conflict, "kind": "conflict", "since": row.logged_at, "reason": row.reason}
            body["open"] = row.status is ConflictStatus.OPEN
            body["state"] = row.status.value
            body["system"] = None
            body["conflict"] = {**told, "parts": list(parts_of(row.unit)), "takes": takes(told)}
            body["sides"] = _sides(row, bundles.get(row.client))
        case WriteRow():
            told = write_document(tenant, row)
            body = {"entry": row.write, "kind": "parked", "since": row.since, "reason": row.reason}
            body["open"] = row.state is WriteState.PARKED
            body["state"] = row.state.value
            body["system"] = row.system
            body["write"] = {**told, "before": row.before, "after": row.fields}
    members = list(dict.fromkeys(_clients(row, items)))
    return {
        **body,
        "tenant": tenant,
        "seen": seen(told),
        "clients": [_client(bundles[client], row) for client in members if client in bundles],
    }


def seen(document: Document) -> str:
    """A digest of what a person was shown: an act that names it is not done to something else."""
    return hashlib.blake2b(_ENCODER.encode(document), digest_size=12).hexdigest()


def takes(conflict: Document) -> list[str]:
    """What `resolve` may take: the systems that compete, golden, and the base where it is known."""
    systems = [str(each["system"]) for each in conflict["candidates"]]
    if conflict["kind"] == "delete":
        return list(dict.fromkeys([systems[0], "golden"])) if systems else ["golden"]
    return list(dict.fromkeys([*systems, "golden", *(["base"] if conflict["base_known"] else [])]))


def _sides(row: ConflictRow, bundle: Bundle | None) -> list[Document]:
    """Golden and every record of the client: what it shows, and whether it competes."""
    rivals: dict[tuple[str, str | None], Document] = {
        (str(each["system"]), each.get("external_id")): each for each in row.candidates
    }
    golden = unit_value(bundle.client.fields, row.unit) if bundle is not None else UNKNOWN
    rival = rivals.pop(("golden", None), None)
    told: list[Document] = [
        {
            "system": "golden",
            "external_id": None,
            "known": rival is not None or golden is not UNKNOWN,
            "value": rival["value"] if rival is not None else plain(golden),
            "seen_at": None,
            "competes": rival is not None,
            "base_known": row.base is not UNKNOWN,
            "base": plain(row.base),
        }
    ]
    for (system, external_id), each in rivals.items():
        told.append(_side(system, external_id, each["value"], row, bundle, competes=True, seen_at=each.get("seen_at")))
    for link, record in bundle.sides if bundle is not None else ():
        if (link.system, link.external_id) in rivals or link.state is LinkState.APART or record is None:
            continue
        shown = unit_value(record.fields, row.unit)
        if shown is not UNKNOWN:
            told.append(
                _side(link.system, link.external_id, shown, row, bundle, competes=False, seen_at=record.seen_at)
            )
    return told


def _side(
    system: str,
    external_id: str | None,
    value: Any,
    row: ConflictRow,
    bundle: Bundle | None,
    *,
    competes: bool,
    seen_at: object,
) -> Document:
    """One system's side, with the value it last agreed on with golden."""
    link = (
        next((each for each, _ in bundle.sides if (each.system, each.external_id) == (system, external_id)), None)
        if bundle is not None
        else None
    )
    base = link.bases.get(row.unit) if link is not None else None
    agreed = base.agreed if base is not None else UNKNOWN
    return {
        "system": system,
        "external_id": external_id,
        "known": True,
        "value": value,
        "seen_at": seen_at,
        "competes": competes,
        "base_known": agreed is not UNKNOWN,
        "base": plain(agreed),
    }


def _client(bundle: Bundle, row: Row) -> Document:
    """A client as far as an entry needs it: for a proposal, all it holds and where its records are."""
    client = bundle.client
    whole = isinstance(row, HoldRow) and row.kind in (HoldKind.LINK, HoldKind.MERGE)
    return {
        "client": client.client,
        "name": client.fields.get("name"),
        "state": client.state.value,
        "merged_into": client.merged_into,
        "fields": client.fields if whole else {},
        "records": _records(bundle) if whole else [],
    }


def _records(bundle: Bundle) -> list[Document]:
    return [
        {
            "system": link.system,
            "external_id": link.external_id,
            "state": link.state.value,
            "fields": record.fields if record is not None else {},
        }
        for link, record in bundle.sides
    ]


def differing(clients: Iterable[Document]) -> dict[str, bool]:
    """Field -> whether clients that both tell it tell it differently; only fields that somebody has a value for."""
    found: dict[str, list[Any]] = {}
    for client in clients:
        for name, value in client["fields"].items():
            if value not in (None, "", []):
                found.setdefault(name, []).append(value)
    return {name: any(value != values[0] for value in values[1:]) for name, values in found.items()}
