"""The mirror: sets of records are put, touched, missed and found by their keys."""

from __future__ import annotations

import time

from syncd.store import ClientRow, KeyHit, RecordState, Sharer
from tests.store.examples import NOON, a_client, a_link, a_record, at


def test_touching_notes_the_walk_and_brings_missing_records_back(store) -> None:
    """An unchanged record gets the walk and the time; a missing one is present again and its client is dirty."""
    missing = {"state": RecordState.MISSING, "missing_since": NOON, "missing_cycle": "y1", "gone_count": 1}
    with store.writing() as tx:
        tx.put_clients([a_client("c1", dirty=False), a_client("c2", dirty=False)])
        tx.put_links([a_link(external_id="1"), a_link(external_id="2", client="c2")])
        tx.put_records([a_record(external_id="1"), a_record(external_id="2", **missing), a_record(external_id="3")])
        assert tx.touch_records("books", ["1", "2", "unknown"], "p2", at(1)) == ["2"]
        assert tx.touch_records("books", [], "p2", at(1)) == []
    with store.reading() as tx:
        rows = tx.records("books", ["1", "2", "3"])
        assert rows["1"] == a_record(external_id="1", walk="p2", seen_at=at(1), observed_at=at(1))
        assert rows["2"] == a_record(external_id="2", walk="p2", seen_at=at(1), observed_at=at(1))
        assert rows["3"] == a_record(external_id="3")
        assert tx.dirty(10) == ["c2"]
    with store.writing() as tx:
        tx.touch_records("books", ["3"], None, at(2))
        assert tx.records("books", ["3"])["3"].walk == "p1"


def test_a_record_that_was_not_believed_is_there_and_was_not_seen(store) -> None:
    """It gets the walk and the time of the request; when what is kept of it was seen last stays as it was."""
    with store.writing() as tx:
        tx.put_records([a_record(external_id="1")])
        assert tx.touch_records("books", ["1"], "p2", at(1), believed=False) == []
        assert tx.records("books", ["1"])["1"] == a_record(external_id="1", walk="p2", observed_at=at(1))


def test_unseen_are_the_living_records_that_a_walk_did_not_show(store) -> None:
    """Records that are gone are not missed, and neither are those of other systems; one that could not be read is."""
    with store.writing() as tx:
        tx.put_records(
            [
                a_record(external_id="1"),
                a_record(external_id="2", walk="p2"),
                a_record(external_id="3", state=RecordState.MISSING),
                a_record(external_id="4", state=RecordState.GONE),
                a_record(external_id="5", state=RecordState.QUARANTINED),
                a_record(external_id="6", walk=None),
                a_record("other", "7"),
            ]
        )
    with store.reading() as tx:
        assert tx.unseen("books", "p2") == ["1", "3", "5", "6"]
        assert tx.count_records("books") == 3
        assert tx.count_records("books", RecordState.GONE) == 1
        assert tx.count_records("nowhere") == 0


def test_missing_records_are_found_as_long_as_they_are_linked(store) -> None:
    """However often it was gone, a record that is missing and linked is found; one that is there, or nobody's, is not."""
    missing = {"state": RecordState.MISSING, "missing_since": NOON, "missing_cycle": "y1"}
    twice = a_record(external_id="2", gone_count=2, **missing)
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.put_links([a_link(external_id=number) for number in ("1", "2", "3")])
        tx.put_records([once := a_record(external_id="1", gone_count=1, **missing), twice])
        tx.put_records([a_record(external_id="3", gone_count=2), a_record(external_id="4", gone_count=2, **missing)])
    with store.reading() as tx:
        assert tx.missing("books") == [once, twice]


def test_digests_tell_what_is_known(store) -> None:
    """Unknown ids are left out; the answer is digest, list digest and state."""
    with store.writing() as tx:
        tx.put_records([a_record(digest="d", list_digest="l")])
    with store.reading() as tx:
        assert tx.digests("books", ["1", "2"]) == {"1": ("d", "l", RecordState.PRESENT)}


def test_recent_records_and_those_without_a_client_are_found(store) -> None:
    """Recent means first seen after a time; unlinked means present and without a link."""
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.put_records(
            [
                a_record(external_id="1", first_seen_at=at(2)),
                a_record(external_id="2", first_seen_at=at(1)),
                a_record(external_id="3", state=RecordState.GONE),
            ]
        )
        tx.put_links([a_link(external_id="1")])
    with store.reading() as tx:
        assert [row.external_id for row in tx.recent("books", 0, at(1))] == ["1"]
        assert tx.unlinked() == [("books", "2")]


def test_records_that_changed_since_a_moment_are_found(store) -> None:
    """At the moment or later, those of one system that it has now, by their ids."""
    with store.writing() as tx:
        tx.put_records(
            [
                a_record(external_id="1", changed_at=at(3)),
                a_record(external_id="2", changed_at=at(2)),
                a_record(external_id="3", changed_at=at(1)),
                a_record(external_id="4", changed_at=at(3), state=RecordState.MISSING),
                a_record(system="erp", external_id="5", changed_at=at(3)),
            ]
        )
    with store.reading() as tx:
        assert [row.external_id for row in tx.changed_since("books", at(2))] == ["1", "2"]


def test_the_cycle_tells_what_is_recent_and_not_the_clock(store) -> None:
    """A record first seen in a later cycle is recent, whatever its time says; those that are there now are counted alike."""
    with store.writing() as tx:
        tx.put_records(
            [
                a_record(external_id="1", first_seen_at=at(1), first_seen_in=7),
                a_record(external_id="2", first_seen_at=at(9), first_seen_in=6),
                a_record(external_id="3", first_seen_at=at(9), first_seen_in=7, state=RecordState.GONE),
                a_record(external_id="4", first_seen_at=at(9)),
                a_record(external_id="5", first_seen_at=at(1)),
                a_record(system="lsp", external_id="6", first_seen_in=7),
            ]
        )
    with store.reading() as tx:
        assert [row.external_id for row in tx.recent("books", 6, at(5))] == ["1", "3", "4"]
        assert tx.count_recent("books", 6, at(5)) == 2


def test_the_mirror_is_listed_in_pages_with_clients(store) -> None:
    """Records come by system and external id, from behind the last one, each with its client."""
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.put_records([a_record("b", "1"), a_record("a", "2"), a_record("a", "1")])
        tx.put_links([a_link("a", "2")])
    with store.reading() as tx:
        first = tx.mirror(limit=2)
        rest = tx.mirror(after=("a", "2"))
        assert [(row.system, row.external_id, client) for row, client in first] == [("a", "1", None), ("a", "2", "c1")]
        assert [(row.system, row.external_id) for row, _ in rest] == [("b", "1")]
        assert [row.external_id for row, _ in tx.mirror("b")] == ["1"]


def test_records_are_found_by_their_keys(store) -> None:
    """Keys are replaced as a set per record; hits name the client and are limited per key."""
    email, vat = ("email", "a@b.c"), ("vat_number", "FR1")
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.put_links([a_link(external_id="1"), a_link("other", "9")])
        tx.set_keys("books", {"1": {email, vat}, "2": {email}, "3": {email}})
        tx.set_keys("other", {"9": {email}})
        tx.set_keys("books", {"1": {email}, "3": set()})
    with store.reading() as tx:
        hits = tx.by_keys({email, vat, ("email", "nobody@b.c")}, 10)
        assert hits == [
            KeyHit("email", "a@b.c", "books", "1", "c1"),
            KeyHit("email", "a@b.c", "books", "2", None),
            KeyHit("email", "a@b.c", "other", "9", "c1"),
        ]
        assert [hit.external_id for hit in tx.by_keys({email}, 2)] == ["1", "2"]
        assert tx.by_keys(set(), 2) == []
        assert tx.key_counts({email, vat}) == {email: 2}


def test_sharers_are_told_only_where_a_key_is_shared_by_few(store) -> None:
    """A key of one record gives nothing, one of few gives all of them with their clients, one of many a single row with their number."""
    lone, few, many = ("email", "1@b.c"), ("name", "acme"), ("name", "office")
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.put_links([a_link(external_id="1")])
        tx.set_keys("books", {"1": {lone, few, many}, "2": {few, many}, "3": {many}})
    with store.reading() as tx:
        found = tx.sharers({lone, few, many, ("name", "nobody")}, 2)
        assert tx.sharers(set(), 2) == []
    assert [each for each in found if each.value == "acme"] == [
        Sharer("name", "acme", "books", "1", "c1", 2),
        Sharer("name", "acme", "books", "2", None, 2),
    ]
    assert [each.records for each in found if each.value == "office"] == [3]
    assert {each.value for each in found} == {"acme", "office"}


def test_records_without_a_client_are_told_page_by_page(store) -> None:
    """Unlinked records come by system and external id, from behind the last one of the page before."""
    with store.writing() as tx:
        tx.put_records([a_record(external_id=number) for number in ("1", "2", "3")])
        tx.put_records([a_record("other", "1")])
        tx.put_clients([a_client()])
        tx.put_links([a_link(external_id="2")])
    with store.reading() as tx:
        assert tx.unlinked(2) == [("books", "1"), ("books", "3")]
        assert tx.unlinked(2, ("books", "3")) == [("other", "1")]
        assert tx.unlinked(2, ("other", "1")) == []


def test_a_key_too_long_to_be_indexed_proves_nothing(store) -> None:
    """Such a key is neither stored nor found, and disturbs no other."""
    long = ("name", "\N{SNOWMAN}" * 5000)
    with store.writing() as tx:
        tx.set_keys("books", {"1": {long, ("name", "\N{SNOWMAN}" * 500)}})
    with store.reading() as tx:
        assert tx.by_keys({long}, 5) == []
        assert len(tx.by_keys({("name", "\N{SNOWMAN}" * 500)}, 5)) == 1


def test_thousands_of_records_cost_few_statements(store) -> None:
    """Putting, comparing and touching 5000 records takes seconds at most, and any number of ids may be asked for."""
    rows = [a_record(external_id=str(number), raw={"pad": "x" * 500, "id": number}) for number in range(5000)]
    ids = [row.external_id for row in rows]
    began = time.monotonic()
    with store.writing() as tx:
        tx.put_records(rows)
        tx.put_clients([ClientRow(f"c{number + 1}", {"name": "x"}, NOON, NOON) for number in range(5000)])
        tx.put_links([a_link(external_id=number, client=f"c{int(number) + 1}") for number in ids])
    with store.writing() as tx:
        assert len(tx.digests("books", ids)) == 5000
        tx.touch_records("books", ids, "p2", at(1))
        assert tx.unseen("books", "p2") == []
        assert len(tx.bundles([f"c{number + 1}" for number in range(5000)])) == 5000
    assert time.monotonic() - began < 20
