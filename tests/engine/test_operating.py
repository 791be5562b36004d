"""What a person decides while syncd is at work: an edit that came in meanwhile is not lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.engine.undo import Undo
from syncd.providers.memory import Call
from tests.engine.rig import Rig, make_rig

FIRST, FROM_A, FROM_B, MEANWHILE = "+33142685300", "+33142685301", "+33142685302", "+33142685399"


class Killed(BaseException):
    """The process dies here."""


def seen_and_not_decided(folder: Path) -> Rig:
    """A conflict about a phone is decided; b shows another one by now, and syncd died after it had read that."""
    rig = make_rig(folder)
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example", phone=FIRST)
    rig.settle()
    rig.worlds["a"].edit("1", phone=FROM_A)
    rig.worlds["b"].edit("1", phone=FROM_B)
    rig.settle()
    rig.worlds["b"].edit("1", phone=MEANWHILE)

    def die(_call: Call) -> None:
        raise Killed

    rig.worlds["c"].before.append(die)
    with pytest.raises(Killed):
        rig.cycle()
    rig.worlds["c"].before.clear()
    return rig


def assert_told(rig: Rig) -> None:
    """The edit is a candidate of a conflict, and both systems show the same."""
    assert MEANWHILE in [each["value"] for row in rig.conflicts() for each in row.candidates]
    shown = {world.record("1")["phone"] for world in rig.worlds.values()}
    assert shown == {rig.clients()[0].fields["phone"]}


def test_a_conflict_that_is_resolved_takes_nothing_that_nobody_has_seen(tmp_path: Path) -> None:
    """What was read since the conflict was shown competes with the person's value, and the loser is kept."""
    rig = seen_and_not_decided(tmp_path)
    rig.operate().resolve(rig.conflicts()[0].conflict, take="b")
    rig.settle()
    assert rig.clients()[0].fields["phone"] == FROM_B
    assert_told(rig)


def test_an_undo_takes_nothing_that_nobody_has_seen(tmp_path: Path) -> None:
    """Nor does a value that is set back."""
    rig = seen_and_not_decided(tmp_path)
    cycle = next(report.cycle for report in rig.reports if report.conflicts)
    with rig.engine() as engine:
        Undo(engine.store, rig.clock, "tester").undo(cycle, engine.systems, rig.policy.context)
    rig.settle()
    assert rig.clients()[0].fields["phone"] == FIRST
    assert_told(rig)
