"""How long a cycle goes on sending."""

from __future__ import annotations

from pathlib import Path

from syncd.engine.patience import ENDLESS, Patience
from tests.engine.rig import make_rig, writes


def test_time_runs_from_the_first_push() -> None:
    """Before anything is pushed no time passes; afterwards it is over when the seconds are, however often a round begins."""
    now = [100.0]
    patience = Patience(10.0, lambda: now[0])
    now[0] = 500.0
    assert not patience.over
    patience.begin()
    now[0] = 509.0
    patience.begin()
    assert not patience.over
    assert patience.over_or(lambda: True)()
    now[0] = 510.0
    assert patience.over
    assert patience.over_or(lambda: False)()


def test_without_a_limit_it_is_never_over() -> None:
    """A command sends for as long as it takes."""
    ENDLESS.begin()
    assert not ENDLESS.over


def test_what_is_left_is_sent_by_the_next_cycle(tmp_path: Path) -> None:
    """A cycle whose time is over at once sends nothing, says so and loses nothing: the next one, with time, sends it all."""
    rig = make_rig(tmp_path, ("a", "b"))
    for number in range(3):
        rig.worlds["a"].add(name=f"Client {number}", email=f"c{number}@example.fr")
    with rig.engine() as engine:
        engine.push_seconds = 0.0
        report = engine.cycle()
        assert (writes(report), report.unfinished) == (0, True)
        assert rig.worlds["b"].ids() == []
        engine.push_seconds = 60.0
        report = engine.cycle(set())
        assert (writes(report), report.unfinished) == (3, False)
    assert sorted(rig.worlds["b"].record(each)["name"] for each in rig.worlds["b"].ids()) == [
        "Client 0",
        "Client 1",
        "Client 2",
    ]
    assert writes(rig.cycle()) == 0
