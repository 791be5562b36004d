"""Records that a create made without an answer, and that people touched before they were found again."""

from __future__ import annotations

from pathlib import Path

from syncd.core.model import Timing
from syncd.errors import ProviderError, Transient, UnknownOutcome
from syncd.providers.memory import Call
from syncd.store import WriteState
from tests.engine.rig import Rig, make_rig, writes


def fail_once(rig: Rig, name: str, action: str, error: ProviderError) -> None:
    """The next call of that kind fails in that system: a create after its effect, so that only the answer is lost."""
    faults = rig.worlds[name].after if action == "create" else rig.worlds[name].before

    def fault(call: Call) -> None:
        if call.action == action:
            faults.remove(fault)
            raise error

    faults.append(fault)


def test_a_spelling_typed_into_a_found_record_is_not_taken_for_the_systems_own(tmp_path: Path) -> None:
    """The create had not sent the text: that two people typed it in other letters is told to both systems."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME", email="info@acme.fr")
    fail_once(rig, "b", "create", UnknownOutcome("b: cut after the request was sent"))
    rig.cycle()
    rig.worlds["a"].edit("1", details="GARDEN AND POOL")
    rig.worlds["b"].edit("1", details="garden and pool")
    fail_once(rig, "b", "list", Transient("b: no answer"))
    for _ in range(3):
        rig.cycle()
    assert len(rig.worlds["b"].ids()) == 1
    shown = {rig.worlds[name].record("1")["details"] for name in "ab"}
    assert shown == {rig.clients()[0].fields["details"]}
    assert writes(rig.cycle()) == 0


def test_a_dropped_create_is_told_where_its_record_is_proposed(tmp_path: Path) -> None:
    """A create that was given up while in doubt may have made its record: the proposal says so, and its release links the two."""
    rig = make_rig(tmp_path, ("a", "b"), timing=Timing(600.0, 0.0, 0.0, 0.0))
    rig.worlds["a"].add(name="Garage Petit")
    fail_once(rig, "b", "create", UnknownOutcome("b: cut after the request was sent"))
    rig.cycle()
    (doubtful,) = rig.writes(WriteState.IN_DOUBT)
    rig.operate().drop(doubtful.write)
    rig.cycle()
    (hold,) = rig.holds()
    assert hold.reason.endswith(
        "record 1 of b may be what w1 made for c1, a create that was dropped while it was in doubt"
    )
    rig.operate().release(hold.hold)
    rig.settle()
    assert (rig.worlds["a"].ids(), rig.worlds["b"].ids()) == (["1"], ["1"])
    assert rig.holds() == []
