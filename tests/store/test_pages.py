"""Pages that are remembered, and when they hold no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.store import PageRow, RecordState
from tests.store.examples import NOON, a_client, a_link, a_record, at

PAGE = PageRow("books", 3, "d", ["1", "2"], 40, last=False)


def remembered(store) -> None:
    """A page of two records, taken in as it was shown."""
    with store.writing() as tx:
        tx.put_records([a_record(external_id="1"), a_record(external_id="2")], 3)
        tx.put_page(PAGE)


def recalled(store, digest: str = "d") -> PageRow | None:
    """The page, asked for in a later walk."""
    with store.writing() as tx:
        return tx.recall_page("books", 3, digest, "p2", at(5))


def test_a_page_that_is_the_same_again_is_recalled_and_its_records_are_seen(store) -> None:
    """Everything that was remembered of it comes back, and its records count as shown by the later walk, with nothing else changed."""
    remembered(store)
    assert recalled(store) == PAGE
    with store.reading() as tx:
        assert tx.unseen("books", "p2") == []
        assert tx.page_digests("books") == {3: "d"}
        assert tx.page_digests("erp") == {}
        row = tx.records("books", ["1"])["1"]
        assert row == replace(a_record(external_id="1"), walk="p2", seen_at=at(5), observed_at=at(5))


def test_another_digest_is_another_page(store) -> None:
    """Nothing is seen where the bytes are not the same."""
    remembered(store)
    assert recalled(store, "e") is None
    with store.reading() as tx:
        assert tx.unseen("books", "p2") == ["1", "2"]


@pytest.mark.parametrize("state", [RecordState.PRESENT, RecordState.MISSING, RecordState.QUARANTINED])
def test_a_record_that_came_by_another_door_makes_its_page_be_read_again(store, state) -> None:
    """A single read, a write's answer, an absence, a quarantine: whatever puts the record, even as it was."""
    remembered(store)
    with store.writing() as tx:
        tx.put_records([a_record(external_id="2", state=state)])
    assert recalled(store) is None
    with store.reading() as tx:
        assert tx.unseen("books", "p2") == ["2"]


def test_a_record_that_another_page_showed_makes_its_page_be_read_again(store) -> None:
    """A page holds while its records are on it: one that moved is known by its new page."""
    remembered(store)
    with store.writing() as tx:
        tx.touch_records("books", ["2"], "p2", NOON, 4)
    assert recalled(store) is None


def test_being_seen_by_another_door_leaves_a_page_as_it_is(store) -> None:
    """A single read that shows what is known already changes nothing."""
    remembered(store)
    with store.writing() as tx:
        tx.touch_records("books", ["2"], None, at(1))
    assert recalled(store) == PAGE


def test_a_forgotten_record_makes_its_page_be_read_again(store) -> None:
    """As if it had never been seen, so it has to be taken in again."""
    remembered(store)
    with store.writing() as tx:
        tx.forget_records("books", ["1"])
    assert recalled(store) is None
    remembered(store)
    with store.writing() as tx:
        tx.forget_page("books", 3)
    assert recalled(store) is None


def test_pages_of_a_system_are_forgotten_with_an_erased_client(store) -> None:
    """No list of ids names the record any more."""
    remembered(store)
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.put_links([a_link()])
        tx.put_page(replace(PAGE, system="erp"))
        assert tx.erase(["c1"]) == [("books", "1")]
        assert tx.page_digests("books") == {}
        assert tx.page_digests("erp") == {3: "d"}


def test_what_cannot_be_stored_leaves_nothing_of_the_record(store) -> None:
    """What is noted of a record and what it says are put together or not at all."""
    for wrong in (a_record(raw={"name": "\ud800"}), a_record(reason="\ud800")):
        with store.writing() as tx, pytest.raises(ValueError, match="lone surrogate"):
            tx.put_records([a_record(external_id="7"), wrong])
    with store.reading() as tx:
        assert tx.mirror() == []
        assert tx.count_records("books") == 0


def test_a_page_tells_which_of_its_records_are_as_it_showed_them(store) -> None:
    """Whatever bytes it has now: those that no other door has put since and that are there; nothing is noted by that."""
    remembered(store)
    with store.reading() as tx:
        assert tx.sliced_page("books", 3) is None
        assert tx.sliced_page("books", 4) is None
    sliced = replace(PAGE, slices="c2xpY2Vz")
    with store.writing() as tx:
        tx.put_page(sliced)
    with store.reading() as tx:
        assert tx.sliced_page("books", 3) == (sliced, {"1", "2"})
        assert tx.sliced_page("erp", 3) is None
    for state in (RecordState.PRESENT, RecordState.MISSING):
        with store.writing() as tx:
            tx.put_records([a_record(external_id="2", state=state)], None if state is RecordState.PRESENT else 3)
        with store.reading() as tx:
            assert tx.sliced_page("books", 3) == (sliced, {"1"})
            assert tx.unseen("books", "p2") == ["1", "2"]


def test_only_records_that_are_as_a_page_showed_them_are_seen_with_it(store) -> None:
    """One that another door put since keeps the time at which that was."""
    remembered(store)
    with store.writing() as tx:
        tx.put_records([a_record(external_id="3"), a_record(external_id="4")], 3)
        tx.put_records([a_record(external_id="2")])
        assert tx.touch_shown("books", 3, ["1", "2", "3"], "p2", at(5)) == 2
        assert tx.touch_shown("books", 4, ["1", "2", "3"], "p2", at(5)) == 0
        assert tx.touch_shown("books", 3, [], "p2", at(5)) == 0
    with store.reading() as tx:
        assert tx.unseen("books", "p2") == ["2", "4"]
        rows = tx.records("books", ["1", "2"])
        assert rows["2"] == a_record(external_id="2")
        assert rows["1"] == replace(a_record(external_id="1"), walk="p2", seen_at=at(5), observed_at=at(5))


def test_a_page_that_was_read_whole_is_of_no_slices_any_more(store) -> None:
    """What is remembered of it anew takes the place of all that was."""
    remembered(store)
    with store.writing() as tx:
        tx.put_page(replace(PAGE, slices="c2xpY2Vz"))
        tx.put_page(PAGE)
        assert tx.sliced_page("books", 3) is None
