"""A slow system takes a write while the cycles of the others go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from syncd.engine import CycleReport, Engine
from syncd.engine.listing import Listings
from syncd.engine.pushing import Pushes
from syncd.errors import UnknownOutcome
from syncd.providers.memory import Call
from syncd.store import WalkOutcome, WriteState
from tests.engine.rig import Rig, make_rig, writes


@dataclass
class Slow:
    """A system that answers one kind of call when it is let go, before or after it took effect."""

    action: str
    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> None:
        if call.action == self.action:
            self.reached.set()
            assert self.let_go.wait(20)


@contextmanager
def service(rig: Rig, *, seconds: float = 2.0) -> Iterator[Engine]:
    """An engine as the service has it."""
    with rig.engine() as engine:
        pushes = Pushes(seconds=seconds)
        engine._pushes = pushes  # noqa: SLF001 - the rig makes engines as commands have them
        engine._listings = Listings(  # noqa: SLF001
            engine.store, rig.clock, seconds=seconds, hurried=lambda: pushes.any_ended, over=lambda: False
        )
        try:
            yield engine
        finally:
            engine.rest()


def agreed(tmp_path: Path) -> Rig:
    """Three systems that agree on five clients."""
    rig = make_rig(tmp_path)
    for number in range(1, 6):
        rig.worlds["a"].add(name=f"Client {number}", email=f"c{number}@example.fr", city="Paris")
    rig.settle()
    return rig


def cycle(rig: Rig, engine: Engine, *names: str) -> CycleReport:
    rig.wait(rig.step_seconds)
    return engine.cycle(set(names))


def cities(rig: Rig, client: str) -> list[object]:
    return [rig.worlds[name].record(client)["city"] for name in "abc"]


def test_the_others_do_not_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Edits travel between two systems while a third one has not answered a write; it gets them, too, once each, and the log says so."""
    rig, slow = agreed(tmp_path), Slow("update")
    caplog.set_level("INFO")
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        rig.worlds["a"].edit("1", city="Lyon")
        report = cycle(rig, engine, "a", "b", "c")
        assert "b" in report.under_way
        assert [each.levelname for each in caplog.records if "push_not_waited_for" in str(each.msg)] == ["INFO"]
        assert cities(rig, "1") == ["Lyon", "Paris", "Lyon"]
        rig.worlds["c"].edit("1", city="Nice")
        rig.worlds["c"].edit("2", city="Lille")
        assert "b" in cycle(rig, engine, "a", "c").under_way
        assert [cities(rig, each) for each in "12"] == [["Nice", "Paris", "Nice"], ["Lille", "Paris", "Lille"]]
        slow.let_go.set()
        last = cycle(rig, engine)
        while last.under_way:
            last = cycle(rig, engine)
    assert [cities(rig, each) for each in "12"] == [["Nice"] * 3, ["Lille"] * 3]
    assert rig.conflicts() == []
    assert writes(rig.cycle()) == 0


def test_what_took_effect_and_was_not_answered_yet_is_no_edit(tmp_path: Path) -> None:
    """A walk of a system is not taken in while it takes a write: our own value is not mistaken for somebody's, who typed another one elsewhere."""
    rig, slow = agreed(tmp_path), Slow("update")
    with service(rig) as engine:
        rig.worlds["b"].after.append(slow)
        rig.worlds["a"].edit("1", city="Lyon")
        cycle(rig, engine, "a", "b", "c")
        assert slow.reached.wait(10)
        assert cities(rig, "1") == ["Lyon"] * 3
        rig.worlds["c"].edit("1", city="Nice")
        rig.worlds["b"].edit("2", city="Lille")
        with engine.store.reading() as tx:
            before = tx.last_walks()["b"].walk
        assert "b" in cycle(rig, engine, "a", "b", "c").under_way
        with engine.store.reading() as tx:
            assert tx.last_walks()["b"].walk == before
        slow.let_go.set()
        while cycle(rig, engine).under_way:
            pass
        with engine.store.reading() as tx:
            assert tx.last_walks()["b"].outcome is WalkOutcome.COMPLETE  # its turn was not forgotten
            assert tx.last_walks()["b"].walk != before
        while cycle(rig, engine).under_way:
            pass
    assert [cities(rig, each) for each in "12"] == [["Nice"] * 3, ["Lille"] * 3]
    assert rig.conflicts() == []
    assert writes(rig.cycle()) == 0


def test_a_create_under_way_is_not_made_again(tmp_path: Path) -> None:
    """A client whose record is being made is changed and merged with what is known; the record is made once."""
    rig, slow = agreed(tmp_path), Slow("create")
    with service(rig) as engine:
        rig.worlds["b"].after.append(slow)
        new = rig.worlds["a"].add(name="Newcomer", email="new@example.fr", city="Paris")
        cycle(rig, engine, "a", "b", "c")
        assert slow.reached.wait(10)
        rig.worlds["a"].edit(new, city="Lyon")
        for _ in range(3):
            assert "b" in cycle(rig, engine, "a", "b", "c").under_way
        slow.let_go.set()
        while cycle(rig, engine).under_way:
            pass
    rig.settle()
    assert all(len(rig.worlds[name].ids()) == 6 for name in "abc")
    assert cities(rig, new) == ["Lyon"] * 3
    assert rig.conflicts() == []


def test_an_answer_that_is_lost_late_is_settled(tmp_path: Path) -> None:
    """A slow create whose answer is lost is in doubt like any other, and found again."""
    rig, slow = agreed(tmp_path), Slow("create")

    def lost(call: Call) -> None:
        if call.action == "create":
            message = "b: no answer"
            raise UnknownOutcome(message)

    with service(rig) as engine:
        rig.worlds["b"].after.extend((slow, lost))
        rig.worlds["a"].add(name="Newcomer", email="new@example.fr", city="Paris")
        assert "b" in cycle(rig, engine, "a").under_way
        slow.let_go.set()
        while cycle(rig, engine).under_way:
            pass
        with engine.store.reading() as tx:
            assert [row.state for row in tx.writes([WriteState.IN_DOUBT])] == [WriteState.IN_DOUBT]
        rig.worlds["b"].after.clear()
    rig.wait(3600)
    rig.settle()
    assert all(len(rig.worlds[name].ids()) == 6 for name in "abc")


def test_an_end_waits_for_the_answer_and_begins_no_other_write(tmp_path: Path) -> None:
    """The lock is given back when the write under way was answered; what waited behind it still waits."""
    rig, slow = agreed(tmp_path), Slow("update")
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        for each in "12":
            rig.worlds["a"].edit(each, city="Lyon")
        cycle(rig, engine, "a")
        assert slow.reached.wait(10)
        threading.Timer(0.3, slow.let_go.set).start()
    assert sorted(rig.worlds["b"].record(each)["city"] for each in "12") == ["Lyon", "Paris"]
    with rig.engine() as engine, engine.store.reading() as tx:
        open_there = tx.writes([WriteState.WAITING, WriteState.SENDING], system="b")
        assert [row.state for row in open_there] == [WriteState.WAITING]
    rig.settle()
    assert [cities(rig, each) for each in "12"] == [["Lyon"] * 3] * 2


def test_a_plan_waits_for_what_is_under_way(tmp_path: Path) -> None:
    """What a plan shows is what is left to do when the write under way has been answered."""
    rig, slow = agreed(tmp_path), Slow("update")
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        rig.worlds["a"].edit("1", city="Lyon")
        assert "b" in cycle(rig, engine, "a").under_way
        threading.Timer(0.3, slow.let_go.set).start()
        assert engine.plan().writes == []
    assert cities(rig, "1") == ["Lyon"] * 3


def test_a_fault_of_a_push_ends_a_cycle(tmp_path: Path) -> None:
    """What goes wrong in a push beside the cycles is not lost: the cycle that would count it raises it."""
    rig = agreed(tmp_path)

    def broken(call: Call) -> None:
        if call.action == "update":
            message = "the disk is full"
            raise OSError(message)

    with service(rig) as engine:
        rig.worlds["b"].before.append(broken)
        rig.worlds["a"].edit("1", city="Lyon")
        with pytest.raises(OSError, match="the disk is full"):
            cycle(rig, engine, "a")
    rig.worlds["b"].before.clear()
    rig.settle()
    assert cities(rig, "1") == ["Lyon"] * 3


def test_a_late_echo_is_known_although_golden_moved_on(tmp_path: Path) -> None:
    """A slow change of part of an address whose answer is lost, while another address came from elsewhere: what it left is nobody's edit."""
    rig, slow = agreed(tmp_path), Slow("update")

    def lost(call: Call) -> None:
        if call.action == "update":
            message = "b: no answer"
            raise UnknownOutcome(message)

    with service(rig) as engine:
        rig.worlds["b"].after.extend((slow, lost))
        rig.worlds["a"].edit("1", city="Lyon", address_line1="1 rue Haute")
        assert "b" in cycle(rig, engine, "a", "c").under_way
        rig.worlds["c"].edit("1", city="Nice", address_line1="2 rue Basse", region="Sud")
        cycle(rig, engine, "a", "c")
        slow.let_go.set()
        while cycle(rig, engine).under_way:
            pass
        rig.worlds["b"].after.clear()
    rig.wait(3600)
    rig.settle()
    assert cities(rig, "1") == ["Nice"] * 3
    assert rig.conflicts() == []
