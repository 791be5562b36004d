"""A clock that jumps back: what came first is told by the order of cycles."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from syncd.core.model import Timing
from syncd.errors import UnknownOutcome
from syncd.store import ConflictKind, HoldKind, WriteState
from tests.engine.rig import make_rig
from tests.engine.test_lost_answers import fail_once

HOUR = timedelta(hours=1)


def test_a_create_in_doubt_finds_its_record_after_the_clock_jumped_back(tmp_path: Path) -> None:
    """The record was first seen at an earlier time than its create was sent at: it is found all the same, and not made twice."""
    rig = make_rig(tmp_path, ("a", "b"), timing=Timing(0.0, 60.0, 0.0, 0.0))
    rig.worlds["a"].add(name="Garage Petit")
    fail_once(rig, "b", "create", UnknownOutcome("b: cut after the request was sent"))
    rig.cycle()
    rig.now -= HOUR
    rig.cycle()
    rig.cycle()
    rig.now += HOUR
    for _ in range(12):
        rig.cycle()
    assert rig.worlds["b"].ids() == ["1"]
    assert rig.writes(WriteState.IN_DOUBT, WriteState.WAITING, WriteState.PARKED) == []
    assert [row.client for row in rig.clients()] == ["c1"]


def test_another_accounts_list_is_noticed_after_the_clock_jumped_back(tmp_path: Path) -> None:
    """Strangers that came after all others had been listed are that, also where the clock says that they came before."""
    rig = make_rig(tmp_path, ("a", "b"))
    for number in range(4):
        rig.worlds["a"].add(name=f"Firma {number}", email=f"f{number}@firma{number}.example")
    rig.settle()
    rig.now -= HOUR
    for number in rig.worlds["b"].ids():
        rig.worlds["b"].remove(number)
    rig.worlds["b"].add(name="Somebody Else")
    for _ in range(3):
        rig.cycle()
    assert "another account" in next(row.reason for row in rig.holds() if row.kind is HoldKind.BRAKE)
    assert not any(row.fields.get("archived") for row in rig.clients())


def test_an_edit_is_seen_and_wins_over_a_delete_after_the_clock_jumped_back(tmp_path: Path) -> None:
    """What is read after the jump is newer than what was read before it, and an edit seen then is against a delete of then."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="Garage Petit", phone="+33123456789")
    rig.worlds["a"].add(name="Boulangerie Durand")
    rig.settle()
    rig.now -= HOUR
    rig.worlds["b"].remove("1")
    rig.worlds["a"].edit("1", phone="+33199999999")
    for _ in range(3):
        rig.cycle()
    assert rig.worlds["a"].record("1")["archived"] is not True
    assert rig.clients()[0].fields["phone"] == "+33199999999"
    assert [row.kind for row in rig.conflicts()] == [ConflictKind.DELETE]
