"""A slow system lists its clients while the cycles of the others go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from syncd.engine import CycleReport, Engine, listing
from syncd.engine.listing import Listings
from syncd.errors import Transient
from syncd.providers.memory import EVERYTHING, Call, Profile
from syncd.store import WalkOutcome
from tests.engine.rig import Rig, make_rig, writes


@dataclass
class Slow:
    """A system whose second page comes when it is let go."""

    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> None:
        if call.action == "list" and call.external_id == "2":
            self.reached.set()
            assert self.let_go.wait(20)


@contextmanager
def service(rig: Rig, *, seconds: float = 0.3) -> Iterator[Engine]:
    """An engine as the service has it."""
    over = threading.Event()
    with rig.engine() as engine:
        engine._listings = Listings(  # noqa: SLF001 - the rig makes engines as commands have them
            engine.store, rig.clock, seconds=seconds, hurried=lambda: False, over=over.is_set
        )
        try:
            yield engine
        finally:
            over.set()


def agreed(tmp_path: Path, **profile: object) -> Rig:
    """Three systems that agree on five clients; `b` shows two on a page."""
    rig = make_rig(tmp_path, profiles={"b": Profile(page_size=2, **profile)})  # type: ignore[arg-type]
    for number in range(1, 6):
        rig.worlds["a"].add(name=f"Client {number}", email=f"c{number}@example.fr", city="Paris")
    rig.settle()
    return rig


def walk_of(engine: Engine, system: str) -> WalkOutcome:
    with engine.store.reading() as tx:
        return tx.last_walks()[system].outcome


def cycle(rig: Rig, engine: Engine, *names: str) -> CycleReport:
    rig.wait(rig.step_seconds)
    return engine.cycle(set(names))


def test_the_others_do_not_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says that a list was not waited for; an edit goes from one system to another while a third one has not listed its clients yet; it gets it, too, and nothing is sent twice."""
    rig, slow = agreed(tmp_path), Slow()
    caplog.set_level("INFO")
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        rig.worlds["a"].edit("1", city="Lyon")
        report = cycle(rig, engine, "a", "b", "c")
        assert report.under_way == ("b",)
        assert [each.levelname for each in caplog.records if "list_not_waited_for" in str(each.msg)] == ["INFO"]
        assert [rig.worlds[name].record("1")["city"] for name in "abc"] == ["Lyon"] * 3
        rig.worlds["c"].edit("2", city="Nice")
        assert cycle(rig, engine, "a", "c").under_way == ("b",)
        assert [rig.worlds[name].record("2")["city"] for name in "abc"] == ["Nice"] * 3
        slow.let_go.set()
        last = cycle(rig, engine)
        assert (last.under_way, walk_of(engine, "b"), writes(last)) == ((), WalkOutcome.COMPLETE, 0)
    assert writes(rig.cycle()) == 0
    assert rig.conflicts() == []


def test_what_was_written_since_a_page_was_asked_for_stands(tmp_path: Path) -> None:
    """A page that is older than our own write is no edit: the written value stays, without a conflict, and counts as seen."""
    rig, slow = agreed(tmp_path), Slow()
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        cycle(rig, engine, "b")
        assert slow.reached.wait(10)  # the first page, with the first two clients, has been read
        rig.worlds["a"].edit("1", city="Lyon")
        cycle(rig, engine, "a")
        rig.worlds["b"].edit("2", city="Nice")
        slow.let_go.set()
        cycle(rig, engine)
        assert walk_of(engine, "b") is WalkOutcome.COMPLETE
        assert [rig.worlds[name].record("1")["city"] for name in "abc"] == ["Lyon"] * 3
        cycle(rig, engine, "b")
        cycle(rig, engine)
    assert [rig.worlds[name].record("2")["city"] for name in "abc"] == ["Nice"] * 3
    assert rig.conflicts() == []
    assert writes(rig.cycle()) == 0


def test_what_was_made_since_is_not_missing(tmp_path: Path) -> None:
    """A client that syncd made while a list was read, on a page that had been read, makes the walk no less complete and is not lost."""
    rig, slow = agreed(tmp_path), Slow()
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        cycle(rig, engine, "b")
        assert slow.reached.wait(10)
        before = rig.worlds["b"].snapshot()
        rig.worlds["a"].add(name="Newcomer", email="new@example.fr")
        made = cycle(rig, engine, "a")
        assert writes(made) == 2
        rig.worlds["b"].stale = before  # what comes still is as old as what came
        slow.let_go.set()
        cycle(rig, engine)
        assert walk_of(engine, "b") is WalkOutcome.COMPLETE
        rig.worlds["b"].stale = None
    for name in "abc":
        assert len(rig.worlds[name].ids()) == 6
    assert writes(rig.cycle()) == 0
    assert all(len(rig.worlds[name].ids()) == 6 for name in "abc")


def test_what_was_deleted_since_stays_deleted(tmp_path: Path) -> None:
    """A record that syncd deleted or archived while an older list was read does not come back with it."""
    rig, slow = agreed(tmp_path), Slow()
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        cycle(rig, engine, "b")
        assert slow.reached.wait(10)
        rig.worlds["a"].remove("1")
        for _ in range(3):
            cycle(rig, engine, "a")
        before = (
            [rig.worlds[name].ids() for name in "abc"],
            [rig.worlds[name].record("1").get("archived") for name in "bc" if "1" in rig.worlds[name].ids()],
        )
        slow.let_go.set()
        for _ in range(3):
            cycle(rig, engine, "a", "b", "c")
            cycle(rig, engine)
        after = (
            [rig.worlds[name].ids() for name in "abc"],
            [rig.worlds[name].record("1").get("archived") for name in "bc" if "1" in rig.worlds[name].ids()],
        )
    assert before == after
    assert len(rig.worlds["a"].ids()) == 4
    assert writes(rig.cycle()) == 0


def test_a_list_that_breaks_off_proves_nothing(tmp_path: Path) -> None:
    """An error in the middle ends the walk as incomplete, with the pages before it taken in; the next one is whole again."""
    rig = agreed(tmp_path)

    def broken(call: Call) -> None:
        if call.action == "list" and call.external_id == "2":
            message = "b: no answer"
            raise Transient(message)

    with service(rig) as engine:
        rig.worlds["b"].edit("1", city="Nice")
        rig.worlds["b"].edit("5", city="Lille")
        rig.worlds["b"].before.append(broken)
        cycle(rig, engine, "b")
        assert walk_of(engine, "b") is WalkOutcome.INCOMPLETE
        assert [rig.worlds["a"].record(each)["city"] for each in "15"] == ["Nice", "Paris"]
        rig.worlds["b"].before.clear()
        cycle(rig, engine, "b")
        assert walk_of(engine, "b") is WalkOutcome.COMPLETE
    assert [rig.worlds["a"].record(each)["city"] for each in "15"] == ["Nice", "Lille"]


def test_an_engine_that_ends_waits_for_nobody(tmp_path: Path) -> None:
    """What a slow system would have listed is left behind; the next engine lists it anew."""
    rig, slow = agreed(tmp_path), Slow()
    rig.worlds["b"].edit("5", city="Lille")
    with service(rig) as engine:
        rig.worlds["b"].before.append(slow)
        assert cycle(rig, engine, "b").under_way == ("b",)
    slow.let_go.set()
    rig.worlds["b"].before.clear()
    rig.settle()
    assert [rig.worlds[name].record("5")["city"] for name in "abc"] == ["Lille"] * 3


def test_more_than_may_be_kept_is_taken_in_while_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing with as much in hand as it may keep is taken in at once, and goes on meanwhile."""
    monkeypatch.setattr(listing, "KEPT_MAX", 2)
    rig = agreed(tmp_path)
    for number in range(1, 6):
        rig.worlds["b"].edit(str(number), city="Lille")
    with service(rig) as engine:
        assert cycle(rig, engine, "b").under_way == ()
        assert walk_of(engine, "b") is WalkOutcome.COMPLETE
    assert [rig.worlds["a"].record(str(number))["city"] for number in range(1, 6)] == ["Lille"] * 5


def test_records_that_are_read_singly_are_read_ahead(tmp_path: Path) -> None:
    """Where lists show less than records hold, the single reads go on beside the cycles of the others, too."""
    rig = agreed(tmp_path, partial=frozenset({"city"}), capabilities=replace(EVERYTHING, partial_list=True))
    let_go = threading.Event()

    def slow(call: Call) -> None:
        if call.action == "fetch":
            assert let_go.wait(20)

    with service(rig) as engine:
        cycle(rig, engine, "b")
        rig.worlds["b"].edit("1", name="Client One", city="Lille")
        rig.worlds["a"].edit("2", name="Client Two")
        rig.worlds["b"].before.append(slow)
        assert cycle(rig, engine, "b").under_way == ("b",)
        let_go.set()
        cycle(rig, engine, "a")
        cycle(rig, engine)
    rig.settle()
    assert [rig.worlds[name].record("1")["city"] for name in "abc"] == ["Lille"] * 3
    assert [rig.worlds[name].record("2")["name"] for name in "abc"] == ["Client Two"] * 3
    assert rig.conflicts() == []


def test_a_value_typed_back_is_seen_where_lists_tell_little(tmp_path: Path) -> None:
    """Somebody who types back what a record showed before our write makes its list item the same as before; that is an edit all the same."""
    rig = agreed(tmp_path, partial=frozenset({"phone"}), capabilities=replace(EVERYTHING, partial_list=True))
    rig.worlds["a"].edit("1", city="Lyon")
    assert writes(rig.cycle()) == 2
    rig.worlds["b"].edit("1", city="Paris")
    rig.settle()
    assert [rig.worlds[name].record("1")["city"] for name in "abc"] == ["Paris"] * 3
