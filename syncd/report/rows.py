"""One row of the store as a plain document, for each kind of row that is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncd.core.model import UNKNOWN, Maybe, Value
from syncd.store import ClientRow, ConflictRow, HoldRow, LinkRow, RecordRow, WriteRow

Document = dict[str, Any]


def client_document(tenant: str, row: ClientRow, found: Iterable[LinkRow]) -> Document:
    """A golden record; fields that nobody knows are absent, fields known to be empty are null."""
    return {
        "client": row.client,
        "tenant": tenant,
        "state": row.state.value,
        "merged_into": row.merged_into,
        "fields": row.fields,
        "links": [link_document(link) for link in found],
    }


def link_document(row: LinkRow) -> Document:
    """That a record belongs to a client."""
    return {
        "system": row.system,
        "external_id": row.external_id,
        "state": row.state.value,
        "matched_by": row.matched_by,
    }


def record_document(tenant: str, row: RecordRow, client: str | None) -> Document:
    """What a system last said about one record."""
    return {
        "tenant": tenant,
        "system": row.system,
        "external_id": row.external_id,
        "client": client,
        "raw": row.raw,
        "children": row.children,
        "fields": row.fields,
        "seen_at": row.seen_at,
        "changed_at": row.changed_at,
        "state": row.state.value,
        "reason": row.reason,
    }


def conflict_document(tenant: str, row: ConflictRow) -> Document:
    """Several sides said different things. `base_known` tells an unknown base from an empty one."""
    return {
        "conflict": row.conflict,
        "tenant": tenant,
        "client": row.client,
        "field": row.unit,
        "kind": row.kind.value,
        "base": plain(row.base),
        "base_known": row.base is not UNKNOWN,
        "candidates": row.candidates,
        "rule": row.rule,
        "status": row.status.value,
        "winner": row.winner,
        "value": plain(row.value),
        "decided_by": row.decided_by,
        "logged_at": row.logged_at,
        "reason": row.reason,
        "cycle": row.cycle,
    }


def hold_document(tenant: str, row: HoldRow) -> Document:
    """What no rule may decide."""
    return {
        "hold": row.hold,
        "tenant": tenant,
        "kind": row.kind.value,
        "system": row.system,
        "reason": row.reason,
        "items": row.items,
        "since": row.since,
        "state": row.state.value,
        "decided_at": row.decided_at,
        "decided_by": row.decided_by,
    }


def write_document(tenant: str, row: WriteRow) -> Document:
    """One intended change to one record."""
    return {
        "write": row.write,
        "tenant": tenant,
        "system": row.system,
        "client": row.client,
        "external_id": row.external_id,
        "action": row.action.value,
        "fields": row.fields,
        "state": row.state.value,
        "attempts": row.attempts,
        "error": row.error,
        "since": row.since,
        "reason": row.reason,
        "next_attempt_at": row.next_attempt_at,
        "settle_at": row.settle_at,
        "cycle": row.cycle,
    }


def plain(value: Maybe) -> Value:
    """A value that may be unknown, as JSON: null where it is."""
    return None if value is UNKNOWN else value
