"""Records that a create made without an answer, and that people touched before they were found again."""

from __future__ import annotations

from pathlib import Path

from syncd.core.model import FieldPolicy, Timing
from syncd.errors import ProviderError, Transient, UnknownOutcome
from syncd.providers.memory import Call, Profile, truncated
from syncd.store import HoldKind, WriteState
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


def test_a_form_shortened_after_an_unanswered_write_is_asked_about(tmp_path: Path) -> None:
    """Who shortens the cut form of a text that our unanswered write left there does not take the rest of it away elsewhere unasked."""
    rig = make_rig(
        tmp_path,
        ("a", "b"),
        profiles={"b": Profile(forms={"details": truncated(11)})},
        fields={"details": FieldPolicy(order=("b", "a"))},
    )
    rig.worlds["a"].add(name="ACME", email="info@acme.fr")
    rig.settle()
    rig.worlds["a"].edit("1", details="Garden and pool, by appointment")

    def cut_off(call: Call) -> None:
        if call.action == "update":
            rig.worlds["b"].after.remove(cut_off)
            message = "b: cut after the request was sent"
            raise UnknownOutcome(message)

    rig.worlds["b"].after.append(cut_off)
    rig.cycle()
    assert rig.worlds["b"].record("1")["details"] == "Garden and"
    rig.worlds["b"].edit("1", details="Garden")
    for _ in range(3):
        rig.cycle()
    assert [(hold.kind, hold.items[0]["value"]) for hold in rig.holds()] == [(HoldKind.LOSSY, "Garden")]
    assert rig.worlds["a"].record("1")["details"] == "Garden and pool, by appointment"
    assert rig.worlds["b"].record("1")["details"] == "Garden"
    assert rig.conflicts() == []
    rig.operate().release(rig.holds()[0].hold)
    rig.settle()
    assert {rig.worlds[name].record("1")["details"] for name in "ab"} == {"Garden"}
