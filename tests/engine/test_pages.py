"""Pages that are the same again are not read; nothing that a walk would have shown is missed by that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.engine.pages import Recollection
from syncd.providers.memory import Call, Profile
from syncd.seen import Seen
from syncd.store import RecordState, WalkOutcome
from tests.engine.rig import INSTANT, Rig, make_rig, writes

SMALL = {"a": Profile(page_size=2)}


def read_pages(rig: Rig, *, afresh: bool = False) -> list[int]:
    """The pages of `a` that a walk would read now."""
    with rig.engine() as engine:
        engine._prepare()
        remembered = Recollection(engine.store, engine.systems["a"], walk="p99", seen=Seen(), clock=rig.clock)
        return [each.page.number for each in remembered.shown(afresh=afresh) if not each.page.recalled]


def five_clients(folder: Path, **given: object) -> Rig:
    """Three pages of one system, taken in."""
    rig = make_rig(folder, ("a",), profiles=SMALL, **given)
    for number in range(5):
        rig.worlds["a"].add(name=f"Client {number}", city="Paris")
    rig.settle()
    return rig


def golden(rig: Rig, field: str) -> set[object]:
    return {row.fields.get(field) for row in rig.clients()}


def test_only_pages_that_changed_are_read(tmp_path: Path) -> None:
    """Nothing is read where nothing changed; an edit has its page read and no other, unless all are to be read."""
    rig = five_clients(tmp_path)
    assert read_pages(rig) == []
    assert read_pages(rig, afresh=True) == [1, 2, 3]
    rig.worlds["a"].edit("3", city="Lyon")
    assert read_pages(rig) == [2]
    rig.cycle()
    assert golden(rig, "city") == {"Paris", "Lyon"}
    assert read_pages(rig) == []


def test_a_walk_over_known_pages_proves_as_much(tmp_path: Path) -> None:
    """It is complete with all of its records; a record that left the list is asked for and missed although all other pages are known."""
    rig = five_clients(tmp_path)
    rig.cycle()
    with rig.store().reading() as tx:
        walk = tx.last_walks()["a"]
        assert (walk.outcome, walk.records, tx.unseen("a", walk.walk)) == (WalkOutcome.COMPLETE, 5, [])
    rig.worlds["a"].remove("5")
    rig.cycle()
    with rig.store().reading() as tx:
        assert tx.records("a", ["5"])["5"].state is RecordState.MISSING
        assert tx.last_walks()["a"].outcome is WalkOutcome.COMPLETE


def test_an_edit_back_to_what_a_page_showed_before_our_write_is_seen(tmp_path: Path) -> None:
    """The bytes are those that were remembered, but the record was written since: it is an edit and travels."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME", city="Paris")
    rig.settle()
    rig.worlds["b"].edit("1", city="Lyon")
    assert writes(rig.cycle()) == 1
    assert rig.worlds["a"].record("1")["city"] == "Lyon"
    rig.worlds["a"].edit("1", city="Paris")
    rig.settle()
    assert rig.worlds["b"].record("1")["city"] == "Paris"
    assert golden(rig, "city") == {"Paris"}


def test_a_page_that_is_not_believed_yet_is_read_again(tmp_path: Path) -> None:
    """A value that came back too soon is believed once it has stood long enough, although the page is the same as the last time."""
    rig = five_clients(tmp_path, timing=replace(INSTANT, stale_read_seconds=15.0))
    rig.worlds["a"].edit("1", city="Lyon")
    rig.cycle()
    rig.worlds["a"].edit("1", city="Paris")
    rig.cycle()
    assert golden(rig, "city") == {"Paris", "Lyon"}
    assert read_pages(rig) == [1]
    rig.settle()
    rig.cycle()
    assert golden(rig, "city") == {"Paris"}


def test_a_page_with_a_record_that_cannot_be_read_is_read_again(tmp_path: Path) -> None:
    """What is set aside is looked at in every walk."""
    rig = five_clients(tmp_path)
    rig.worlds["a"].edit("2", details="a\0b")
    rig.cycle()
    assert read_pages(rig) == [1]
    rig.worlds["a"].edit("2", details="fine")
    rig.cycle()
    assert read_pages(rig) == []
    assert "fine" in golden(rig, "details")


def test_another_way_of_reading_reads_all(tmp_path: Path) -> None:
    """Pages are remembered with how they were read: another scope is another list."""
    rig = five_clients(tmp_path)
    with rig.engine() as engine:
        provider = engine.systems["a"].provider
        provider.settings = replace(provider.settings, base_url="http://127.0.0.2")
        remembered = Recollection(engine.store, engine.systems["a"], walk="p99", seen=Seen(), clock=rig.clock)
        assert [each.page.number for each in remembered.shown(afresh=False) if not each.page.known] == [1, 2, 3]


def test_a_record_that_is_on_two_pages_has_them_read(tmp_path: Path) -> None:
    """A page none of which is new to the walk proves nothing by being known: it is read, and the walk doubts itself."""
    rig = five_clients(tmp_path)
    with rig.engine() as engine:
        engine._prepare()
        remembered = Recollection(engine.store, engine.systems["a"], walk="p99", seen=Seen(["4"]), clock=rig.clock)
        assert [each.page.number for each in remembered.shown(afresh=False) if not each.page.recalled] == [2]


def test_what_a_page_taught_is_kept_with_it(tmp_path: Path) -> None:
    """A process that dies in a later page has lost nothing of what the provider learned from one that will not be read again."""
    rig = make_rig(tmp_path, ("a",), profiles=SMALL)
    for number in range(5):
        rig.worlds["a"].add(name=f"Client {number}")

    def die(call: Call) -> None:
        if call.action == "list" and call.external_id == "2":
            raise SystemExit

    rig.worlds["a"].before.append(die)
    with rig.engine() as engine:
        engine.systems["a"].provider.learned["countries"] = {"FR": 75}
        with pytest.raises(SystemExit):
            engine.cycle()
    rig.worlds["a"].before.clear()
    assert read_pages(rig) == [2, 3]
    with rig.store().reading() as tx:
        assert tx.systems()["a"].learned == {"countries": {"FR": 75}}


@pytest.mark.parametrize("at_once, ahead", [(1, 0), (3, 3)])
def test_a_page_is_no_later_than_its_request(tmp_path: Path, at_once: int, ahead: int) -> None:
    """Where pages are asked for ahead, one is taken for as old as the turn of the page before which it may have been asked for."""
    rig = make_rig(tmp_path, ("a",), profiles=SMALL)
    for number in range(12):
        rig.worlds["a"].add(name=f"Client {number}")
    with rig.engine() as engine:
        engine._prepare()
        provider = engine.systems["a"].provider
        provider.settings = replace(provider.settings, requests_at_once=at_once)
        remembered = Recollection(engine.store, engine.systems["a"], walk="p99", seen=Seen(), clock=rig.clock)
        turns, asked = [], []
        began = rig.clock()
        for shown in remembered.shown(afresh=True):
            asked.append(shown.asked_at)
            assert shown.page.records
            turns.append(rig.clock())
    assert asked[0] >= began
    for number in range(1, len(asked)):
        first = number - ahead
        assert asked[number] == asked[0] if first <= 0 else turns[first - 1] <= asked[number] <= turns[first]
