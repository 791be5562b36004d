"""The documents of merges of clients: one merge, one taken back, two clients kept apart; and a digest of what a person agrees to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from syncd.engine.foresight import Fate
from syncd.engine.parting import Apart, Parted
from syncd.report.inbox import seen
from syncd.report.rows import Document
from syncd.store import LinkState, MergeRow, Tx

MADE: Final = frozenset(
    {"merge", "made", "started_at", "ended_at", "decided_by", "conflicts", "state", "reason", "steps"}
)
"""Keys of a document that are another one each time."""


def merge_document(tenant: str, row: MergeRow) -> Document:
    """A merge: who, when, by whom, and how far the systems are. steps: the records that stand apart already."""
    return {
        "merge": row.merge,
        "tenant": tenant,
        "winner": row.winner,
        "losers": row.losers,
        "state": row.state.value,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "decided_by": row.decided_by,
        "reason": row.reason,
        "filled": row.snapshot.get("filled", []),
        "conflicts": row.snapshot.get("conflicts", []),
        "steps": row.snapshot.get("steps", []),
    }


def merged(tenant: str, tx: Tx, row: MergeRow, fates: Iterable[Fate]) -> Document:
    """A merge that is made, or would be: what becomes of every record and field. lasting: what cannot be undone in the systems."""
    found = list(fates)
    conflicts = [conflict for each in row.snapshot["conflicts"] if (conflict := tx.conflict(each)) is not None]
    return {
        **merge_document(tenant, row),
        "records": [{"system": each.system, "external_id": each.external_id, "what": each.what} for each in found],
        "rivals": [
            {
                "field": conflict.unit,
                "kept": conflict.value,
                "lost": conflict.candidates[-1]["value"],
                "conflict": conflict.conflict,
            }
            for conflict in conflicts
        ],
        "lasting": [each.lasting for each in found if each.lasting],
    }


def unmerged(tenant: str, parted: Parted, lasting: Iterable[str]) -> Document:
    """A merge that is taken back, or would be. left: fields that stay as they are; lasting: what the systems cannot bring back."""
    return {
        **merge_document(tenant, parted.merge),
        "winner": parted.winner,
        "loser": parted.loser,
        "records": [{"system": system, "external_id": external_id} for system, external_id in parted.records],
        "left": [{"client": each.client, "field": each.field, "reason": each.reason} for each in parted.left],
        "lasting": list(lasting),
    }


def kept_apart(tenant: str, done: Apart, lasting: Iterable[str] = ()) -> Document:
    """Two clients that are kept apart, or no longer. made: the client that a record became; unmerged: the merge taken back for it."""
    return {
        "tenant": tenant,
        "first": done.first,
        "second": done.second,
        "pairs": done.pairs,
        "made": done.made,
        "unmerged": unmerged(tenant, done.parted, lasting) if done.parted is not None else None,
    }


def agreement(document: Document) -> str:
    """A digest of what a person agrees to: all of a document but the ids and times that the act itself makes."""
    told = {key: each for key, each in document.items() if key not in MADE}
    told["splits"] = document.get("made") is not None
    told["rivals"] = [(each["field"], each["kept"], each["lost"]) for each in document.get("rivals", ())]
    if document.get("unmerged") is not None:
        told["unmerged"] = agreement(document["unmerged"])
    return seen(told)


def apart_from(tx: Tx, client: str) -> list[str]:
    """The clients that one is to be kept apart from, now that records are linked as they are."""
    links = tx.links_of([client]).get(client, [])
    own = {(link.system, link.external_id) for link in links}
    others = {key for pair in tx.aparts(sorted(own)) for key in pair} - own
    by_system: dict[str, list[str]] = {}
    for system, external_id in others:
        by_system.setdefault(system, []).append(external_id)
    found = {owner for system, ids in by_system.items() for owner in tx.owners(system, ids).values()}
    return sorted(found - {client}, key=lambda each: int(each[1:]))


def records_of(tx: Tx, client: str) -> list[str]:
    """The records that a client is linked with, as `SYSTEM/ID`."""
    links = tx.links_of([client]).get(client, [])
    return [f"{link.system}/{link.external_id}" for link in links if link.state is LinkState.LINKED]
