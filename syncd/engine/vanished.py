"""Records that vanished while a merge had another one of their system stand for their client, once that merge is taken back.

What became of them nobody can tell: somebody deleted them, or they live on as the other one, under another id. So a person is told of each, by a
conflict that archives nobody and by which the delete can be taken. That holds for an absence that was believed meanwhile as for one that is
yet to be believed; who is there again, and vanishes another time, is deleted like anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from syncd.core.survivorship import GOLDEN
from syncd.engine.merging import RULE
from syncd.engine.taking_over import THERE
from syncd.store import (
    Bundle,
    ClientRow,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    LinkRow,
    LinkState,
    MergeRow,
    RecordKey,
    RecordRow,
    RecordState,
)

if TYPE_CHECKING:
    from syncd.store import Tx

ASKED = "_asked_of"
"""Key in a record's memory: since when (ISO) the absence lasts of which a person was told in this way."""


def is_told(record: RecordRow) -> bool:
    """Whether a person was told of the present absence of a record, so that nobody is archived because of it."""
    return record.missing_since is not None and record.memory.get(ASKED) == record.missing_since.isoformat()


def told(
    tx: Tx, row: MergeRow, merged: Bundle, clients: Sequence[ClientRow], actor: str, now: datetime
) -> list[ConflictRow]:
    """The conflicts that tell of such records, of the clients as they are after a merge was taken back. merged: the client that they were.

    What is missing and not believed to be gone yet is marked (`is_told`).
    """
    links = tx.links_of([each.client for each in clients])
    found: list[ConflictRow] = []
    for client in clients:
        before = row.snapshot["links"][client.client]
        had = {(each["system"], each["external_id"]) for each in before if each["state"] == LinkState.LINKED.value}
        mine = links.get(client.client, ())
        for link in mine:
            beside = any(_is_beside(each, link) for each in mine)
            was_there = (link.system, link.external_id) in had
            if not was_there or beside or client.fields.get("archived") is True:
                continue
            if _is_to_be_told(tx, row, merged, link):
                found.append(_conflict(tx, link, actor, now))
    ids = tx.new_ids("k", len(found)) if found else []
    return [replace(each, conflict=number) for each, number in zip(found, ids, strict=True)]


def _is_beside(other: LinkRow, link: LinkRow) -> bool:
    one = (other.system, other.external_id) == (link.system, link.external_id)
    return not one and other.system == link.system and other.state is LinkState.LINKED


def _is_to_be_told(tx: Tx, row: MergeRow, merged: Bundle, link: LinkRow) -> bool:
    """Whether a record is gone, or is missing while another one stood for it or may have come; that is remembered with it then.

    Nobody is told twice of one absence.
    """
    record = _record(tx, link)
    if record is None or record.missing_since is None or link.state is LinkState.GONE:
        return link.state is LinkState.GONE and (record is None or not is_told(record))
    missing = link.state is LinkState.LINKED and record.state is RecordState.MISSING
    if not missing or is_told(record) or not _stood(row, merged, link, since=record.missing_since):
        return False
    tx.put_records([replace(record, memory={**record.memory, ASKED: record.missing_since.isoformat()})])
    return True


def _record(tx: Tx, link: LinkRow) -> RecordRow | None:
    return tx.records(link.system, [link.external_id]).get(link.external_id)


def _stood(row: MergeRow, merged: Bundle, link: LinkRow, *, since: datetime) -> bool:
    """Whether another record of the system stood for the merged client; one that was there before counts for what vanished since the merge."""
    had: set[RecordKey] = {
        (str(each["system"]), str(each["external_id"])) for found in row.snapshot["links"].values() for each in found
    }
    return any(
        _is_beside(other, link)
        and record is not None
        and record.state in THERE
        and (since >= row.started_at or (other.system, other.external_id) not in had)
        for other, record in merged.sides
    )


def _conflict(tx: Tx, link: LinkRow, actor: str, now: datetime) -> ConflictRow:
    record = _record(tx, link)
    absence = f":{record.memory[ASKED]}" if record is not None and is_told(record) else ""
    place = {"system": link.system, "external_id": link.external_id, "value": None, "seen_at": now.isoformat()}
    kept = {"system": GOLDEN, "external_id": None, "value": None, "seen_at": now.isoformat()}
    return ConflictRow(
        conflict="",
        client=link.client,
        unit="record",
        kind=ConflictKind.DELETE,
        base=None,
        candidates=[place, kept],
        rule=RULE,
        status=ConflictStatus.DECIDED,
        winner=GOLDEN,
        value=None,
        decided_by=actor,
        logged_at=now,
        reason="it vanished while a merge had another record stand for its client; it stays missing, and archives nobody",
        cycle=None,
        key=f"delete:{link.system}:{link.external_id}{absence}",
    )
