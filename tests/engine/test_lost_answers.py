"""Records that a create made without an answer, and that people touched before they were found again."""

from __future__ import annotations

from pathlib import Path

from syncd.errors import ProviderError, Transient, UnknownOutcome
from syncd.providers.memory import Call
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
