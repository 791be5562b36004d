"""Systems whose reads lag behind their writes: what syncd wrote is not undone, made twice or taken for deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.core.model import FieldPolicy
from syncd.errors import UnknownOutcome
from syncd.providers.memory import Call
from syncd.store import RecordState
from tests.engine.rig import INSTANT, Rig, make_rig

LAGGING = replace(INSTANT, stale_read_seconds=60.0)
ONLY_A = {"email": FieldPolicy(order=("a", "b"), sources=frozenset({"a"}))}
"""What b types there is taken back, so that b shows an earlier value again."""


def lose_an_answer(rig: Rig, name: str, *, arrives: bool) -> None:
    """The answer to the next update in that system is lost, after it took effect or before it arrived."""
    faults = rig.worlds[name].after if arrives else rig.worlds[name].before

    def fault(call: Call) -> None:
        if call.action == "update":
            faults.remove(fault)
            message = f"{name}: cut"
            raise UnknownOutcome(message)

    faults.append(fault)


def test_a_read_before_a_write_that_shows_an_earlier_value_is_no_edit(tmp_path: Path) -> None:
    """What was typed in one system is not set back there, because another does not show yet that it was told."""
    rig = make_rig(tmp_path, ("a", "b"), timing=LAGGING)
    rig.worlds["a"].add(name="ACME", email="old@acme.fr", city="Lyon")
    rig.settle()
    rig.wait(60)
    earlier = rig.worlds["b"].snapshot()
    rig.worlds["a"].edit("1", email="new@acme.fr")
    rig.cycle()
    assert rig.worlds["b"].record("1")["email"] == "new@acme.fr"
    rig.worlds["b"].stale = earlier
    rig.worlds["a"].edit("1", city="Nantes")
    for _ in range(2):
        rig.cycle()
    rig.worlds["b"].stale = None
    rig.settle()
    for name in "ab":
        assert rig.worlds[name].record("1")["email"] == "new@acme.fr"
        assert rig.worlds[name].record("1")["city"] == "Nantes"
    assert rig.conflicts() == []
    assert rig.holds() == []


def test_a_record_just_made_that_is_not_shown_yet_is_not_missing(tmp_path: Path) -> None:
    """A change of a record that its system does not find yet waits, and nobody takes the record for deleted."""
    rig = make_rig(tmp_path, ("a", "b"), timing=LAGGING)
    rig.worlds["a"].add(name="ACME", email="old@acme.fr")
    rig.worlds["b"].add(name="Bar", email="x@bar.fr")
    earlier = rig.worlds["b"].snapshot()
    rig.cycle()
    assert len(rig.worlds["b"].ids()) == 2
    rig.worlds["b"].stale = earlier
    rig.worlds["a"].edit("1", email="new@acme.fr")
    for _ in range(3):
        rig.cycle()
    store = rig.store()
    with store.reading() as tx:
        assert tx.records("b", ["2"])["2"].state is RecordState.PRESENT
    store.close()
    rig.worlds["b"].stale = None
    rig.settle()
    assert rig.worlds["b"].record("2")["email"] == "new@acme.fr"
    assert [rig.worlds[name].record(number)["archived"] for name, number in (("a", "1"), ("b", "2"))] == [False, False]
    assert rig.conflicts() == []


def test_what_an_unanswered_write_told_is_seen_although_a_field_shows_an_earlier_value(tmp_path: Path) -> None:
    """A record that shows a new value of our own is no old copy: what is typed there next is typed in view of it, and stands."""
    rig = make_rig(tmp_path, ("a", "b"), timing=LAGGING, fields=ONLY_A)
    rig.worlds["a"].add(name="ACME", email="hello@acme.fr")
    rig.settle()
    rig.worlds["a"].edit("1", name="ACME SA")
    rig.worlds["b"].edit("1", email="other@acme.fr")
    lose_an_answer(rig, "b", arrives=True)
    rig.cycle()
    assert (rig.worlds["b"].record("1")["name"], rig.worlds["b"].record("1")["email"]) == ("ACME SA", "hello@acme.fr")
    rig.cycle()
    rig.worlds["b"].edit("1", name="ACME Group")
    rig.wait(60)
    rig.settle()
    for name in "ab":
        assert rig.worlds[name].record("1")["name"] == "ACME Group"
        assert rig.worlds[name].record("1")["email"] == "hello@acme.fr"
    assert rig.conflicts() == []


def test_an_old_copy_is_not_believed_after_a_write_that_never_arrived(tmp_path: Path) -> None:
    """That a write told a field to be what it was before does not make an old copy of the record a new one."""
    rig = make_rig(tmp_path, ("a", "b"), timing=LAGGING, fields=ONLY_A)
    rig.worlds["a"].add(name="ACME", email="hello@acme.fr")
    rig.settle()
    earlier = rig.worlds["b"].snapshot()
    rig.worlds["a"].edit("1", name="ACME SA")
    rig.worlds["b"].edit("1", email="other@acme.fr")
    lose_an_answer(rig, "b", arrives=False)
    rig.cycle()
    rig.worlds["b"].stale = earlier
    rig.cycle()
    store = rig.store()
    with store.reading() as tx:
        assert tx.records("b", ["1"])["1"].fields["email"] == "other@acme.fr"
    store.close()
    rig.worlds["b"].stale = None
    rig.wait(60)
    rig.settle()
    for name in "ab":
        assert rig.worlds[name].record("1")["name"] == "ACME SA"
        assert rig.worlds[name].record("1")["email"] == "hello@acme.fr"
    assert rig.conflicts() == []
