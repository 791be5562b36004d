"""Systems whose reads lag behind their writes: what syncd wrote is not undone, made twice or taken for deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.store import RecordState
from tests.engine.rig import INSTANT, make_rig

LAGGING = replace(INSTANT, stale_read_seconds=60.0)


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
