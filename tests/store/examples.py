"""A place for a store, and rows to begin with: each takes what a test is about and fills in the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.core.model import Action
from syncd.store import (
    ClientRow,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldRow,
    LinkRow,
    RecordRow,
    Store,
    WriteRow,
    open_store,
)

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


@dataclass(frozen=True)
class Database:
    """Where a test's tenant lives."""

    kind: str
    url: str
    tenant: str

    def open(self, tenant: str | None = None, *, upgrade: bool = True) -> Store:
        """The tenant's store, or another tenant's in the same database, with a clock that stands at noon."""
        return open_store(self.url, tenant or self.tenant, upgrade=upgrade, clock=lambda: NOON)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """An open store with the working right."""
        store = self.open()
        with store.hold_lock():
            yield store
        store.close()


def a_record(system: str = "books", external_id: str = "1", **given: Any) -> RecordRow:
    """A record that was seen at noon."""
    row: dict[str, Any] = {
        "raw": {"id": external_id},
        "children": None,
        "fields": {"name": "Acme"},
        "memory": {},
        "digest": "d1",
        "list_digest": None,
        "first_seen_at": NOON,
        "seen_at": NOON,
        "changed_at": NOON,
        "observed_at": NOON,
        "walk": "p1",
    }
    return RecordRow(system, external_id, **(row | given))


def a_client(client: str = "c1", **given: Any) -> ClientRow:
    """A golden record made at noon."""
    row: dict[str, Any] = {"fields": {"name": "Acme"}, "created_at": NOON, "updated_at": NOON}
    return ClientRow(client, **(row | given))


def a_link(system: str = "books", external_id: str = "1", client: str = "c1", **given: Any) -> LinkRow:
    """A link made at noon."""
    return LinkRow(system, external_id, client, NOON, **given)


def a_write(write: str = "w1", system: str = "books", client: str = "c1", **given: Any) -> WriteRow:
    """A waiting update planned at noon."""
    row: dict[str, Any] = {
        "external_id": "1",
        "action": Action.UPDATE,
        "fields": {"name": "Acme SA"},
        "before": {"name": "Acme"},
        "since": NOON,
        "cycle": "y1",
        "reason": "golden changed",
    }
    return WriteRow(write, system, client, **(row | given))


def a_conflict(conflict: str = "k1", key: str = "key1", **given: Any) -> ConflictRow:
    """A decided conflict about the name of client c1."""
    row: dict[str, Any] = {
        "client": "c1",
        "unit": "name",
        "kind": ConflictKind.EDIT,
        "base": {"name": "Acme"},
        "candidates": [{"system": "books", "external_id": "1", "value": {"name": "A"}, "seen_at": "x"}],
        "rule": "order",
        "status": ConflictStatus.DECIDED,
        "winner": "books",
        "value": {"name": "A"},
        "decided_by": "rule",
        "logged_at": NOON,
        "reason": "books is trusted most",
        "cycle": "y1",
    }
    return ConflictRow(conflict, key=key, **(row | given))


def a_hold(hold: str = "h1", key: str = "key1", **given: Any) -> HoldRow:
    """An open hold on a mass delete in books."""
    row: dict[str, Any] = {
        "kind": HoldKind.BRAKE,
        "system": "books",
        "reason": "7 of 10 records would be deleted",
        "items": [{"client": "c1", "external_id": "1"}],
        "since": NOON,
    }
    return HoldRow(hold, key=key, **(row | given))
