"""Undo below the command line: rich values and tombstones."""

from __future__ import annotations

from pathlib import Path

from syncd.engine.undo import Fate, Step, Undo
from syncd.providers.memory import Profile, truncated
from syncd.store import WriteState
from tests.engine.rig import Rig, make_rig


def undo(rig: Rig, what: str) -> list[Step]:
    with rig.engine() as engine:
        return Undo(engine.store, rig.clock, "tester").undo(what, engine.systems, rig.policy.context)


def test_undo_of_a_write_to_a_system_that_cuts_brings_the_whole_value_back(tmp_path: Path) -> None:
    """The record showed a cut form before the write; golden gets its own earlier value, and nobody loses the tail."""
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": Profile(forms={"city": truncated(5)})})
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example", city="Montpellier")
    rig.settle()
    rig.worlds["a"].edit("1", city="Villeurbanne")
    rig.settle()
    write = rig.writes(WriteState.DONE)[-1]
    assert (write.system, write.before["city"], write.fields["city"]) == ("b", "Montp", "Villeurbanne")
    (step,) = undo(rig, write.write)
    assert step.fate is Fate.UNDONE
    rig.settle()
    assert rig.clients()[0].fields["city"] == "Montpellier"
    assert [rig.worlds[name].record("1")["city"] for name in "ab"] == ["Montpellier", "Montp"]
    assert undo(rig, write.write) == []


def test_a_tombstone_is_not_undone(tmp_path: Path) -> None:
    """What a cycle changed of a client that is deleted everywhere since stays as it is."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example", phone="+33142685300")
    rig.settle()
    rig.worlds["a"].edit("1", phone="+33142685301")
    named = rig.cycle().cycle
    for name in "ab":
        rig.worlds[name].remove("1")
        rig.worlds[name].add(name="Another Client", email=f"{name}@other.example")
    for _ in range(4):
        rig.cycle()
    assert [(step.field, step.fate) for step in undo(rig, named) if step.field == "phone"] == [("phone", Fate.REFUSED)]
