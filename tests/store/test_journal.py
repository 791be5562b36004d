"""Conflicts are logged once, holds are open once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.core.model import UNKNOWN
from syncd.errors import StoreError
from syncd.store import ChangeRow, ConflictStatus, HoldKind, HoldState
from tests.store.examples import NOON, a_conflict, a_hold, at


def test_looking_at_a_conflict_again_adds_no_row(store) -> None:
    """The key decides: an equal one is not added, neither from the same list nor later, and stays as it was settled."""
    with store.writing() as tx:
        assert tx.add_conflicts([a_conflict("k1"), a_conflict("k2"), a_conflict("k3", "other")]) == 2
        tx.put_conflict(a_conflict("k1", status=ConflictStatus.RESOLVED))
    with store.writing() as tx:
        assert tx.add_conflicts([a_conflict("k4")]) == 0
        assert tx.add_conflicts([]) == 0
        assert [row.conflict for row in tx.conflicts()] == ["k1", "k3"]
        assert [row.conflict for row in tx.conflicts(ConflictStatus.RESOLVED)] == ["k1"]
        assert tx.conflict("k4") is None


def test_open_holds_are_told_by_their_keys(store) -> None:
    """Of many keys, those of which a hold is open; several holds are put at once."""
    with store.writing() as tx:
        tx.put_holds([a_hold("h1", "a"), a_hold("h2", "b"), a_hold("h3", "c", state=HoldState.REFUSED)])
    with store.reading() as tx:
        assert tx.held_keys(["a", "b", "c", "d"]) == {"a", "b"}
        assert [row.hold for row in tx.holds()] == ["h1", "h2"]


def test_a_key_has_one_open_hold(store) -> None:
    """A second open hold with the key is refused; a settled one is remembered, and a new one may be opened."""
    with store.writing() as tx:
        tx.put_hold(a_hold("h1"))
    with pytest.raises(StoreError), store.writing() as tx:
        tx.put_hold(a_hold("h2"))
    with store.writing() as tx:
        tx.put_hold(replace(a_hold("h1"), state=HoldState.REFUSED, decided_by="anna", decided_at=at(1)))
        assert tx.hold_by_key("key1").state is HoldState.REFUSED
        tx.put_hold(a_hold("h2"))
        tx.put_hold(a_hold("h3", state=HoldState.LAPSED))
        assert tx.hold_by_key("key1").hold == "h2"
        assert tx.hold_by_key("nothing") is None
        assert tx.hold("h9") is None
        assert [row.hold for row in tx.holds(None)] == ["h1", "h2", "h3"]
        assert [row.hold for row in tx.holds(kind=HoldKind.BRAKE)] == ["h2"]
        assert tx.holds(kind=HoldKind.MERGE) == []


def test_changes_are_told_by_client_cycle_and_time(store) -> None:
    """Changes come oldest first, and an unknown value before is not an empty one."""
    rows = [
        ChangeRow(f"g{number}", f"y{number % 2}", "c1", "name", "books", "1", UNKNOWN, {"name": None}, "r", at(number))
        for number in (2, 10)
    ]
    with store.writing() as tx:
        tx.add_changes(reversed(rows))
        tx.add_changes([])
        assert tx.changes("c1") == rows
        assert tx.changes(cycle="y1") == []
        assert tx.changes(since=at(3)) == rows[1:]
        assert tx.changes(since=NOON, limit=1) == rows[:1]
