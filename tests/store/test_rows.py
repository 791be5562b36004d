"""What is put is what comes back, on both databases."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from syncd.core.model import FIELDS, UNKNOWN
from syncd.store import (
    AuditRow,
    Base,
    ChangeRow,
    ClientState,
    ConflictStatus,
    CycleRow,
    HoldState,
    LinkState,
    MergeRow,
    MergeState,
    RecordState,
    Standing,
    StandingState,
    SystemRow,
    SystemState,
    WalkOutcome,
    WalkRow,
    WriteState,
    storable,
    storable_id,
)
from tests.store.examples import NOON, a_client, a_conflict, a_hold, a_link, a_record, a_write, at

WILD = {
    "id": 2**70,
    "amount": Decimal("12345678901234567.890"),
    "nested": [{"b": None, "a": [True, False]}, "\N{SNOWMAN}\0\u2028 '; DROP TABLE records; --"],
    "": "",
}


def test_systems_cycles_and_walks_come_back(store) -> None:
    """A system, a cycle and a walk are read back equal, also after they were put again."""
    system = SystemRow("books", "tiime", "acct", "scope", SystemState.PAUSED, "why", WILD, True, at(5), 3)
    cycle = CycleRow("y1", NOON, at(1), WILD)
    walk = WalkRow("p1", "y1", "books", NOON, at(1), WalkOutcome.SUSPICIOUS, 10, 3, "total changed")
    with store.writing() as tx:
        tx.put_system(SystemRow("books", "tiime"))
        tx.put_system(system)
        tx.put_cycle(replace(cycle, ended_at=None))
        tx.put_cycle(cycle)
        tx.put_walk(walk)
        tx.put_walk(replace(walk, walk="p2", ended_at=None, outcome=WalkOutcome.RUNNING))
    with store.reading() as tx:
        assert tx.systems() == {"books": system}
        assert (tx.last_cycle(), tx.cycles(5), tx.cycle("y1"), tx.cycle("y9")) == (cycle, [cycle], cycle, None)
        assert tx.last_walks() == {"books": walk}
        assert [row.walk for row in tx.walks("books")] == ["p2", "p1"]
        assert tx.walks("other") == []


def test_records_come_back(store) -> None:
    """A record is read back equal, whatever its JSON holds."""
    full = a_record(
        raw=WILD,
        children={"contacts": [WILD]},
        fields={"name": "A\0B", "email": None, "tax_exempt": False, "contacts": [{"email": "a@b.c"}], "custom.x": 5},
        memory={"memo": [1]},
        list_digest="l1",
        state=RecordState.MISSING,
        reason="r",
        missing_since=at(1),
        missing_cycle="y1",
        gone_count=2,
        changed_at=at(-1),
    )
    bare = a_record(external_id="2", walk=None)
    with store.writing() as tx:
        tx.put_records([a_record(), bare])
        tx.put_records([full])
    with store.reading() as tx:
        assert tx.records("books", ["1", "2", "3"]) == {"1": full, "2": bare}


def test_clients_links_and_bundles_come_back(store) -> None:
    """A client comes back with its sides, each with its record where there is one."""
    client = a_client(state=ClientState.ARCHIVED, dirty=False, origins={"name": "books"})
    bases = {
        "name": Base({"name": "A", "given_name": None}, None, UNKNOWN, NOON, ("y1", "y2"), "books"),
        "email": Base(),
    }
    linked = a_link(state=LinkState.LINKED, matched_by="vat number", bases=bases)
    lone = a_link("receipts", "9", state=LinkState.GONE)
    with store.writing() as tx:
        tx.put_links([lone, linked])
        tx.put_clients([client, a_client("c2")])
        tx.put_records([a_record()])
    with store.reading() as tx:
        both, other = tx.bundles(["c1", "c2", "c3"])
        assert both.client == client
        assert both.sides == ((linked, a_record()), (lone, None))
        assert (other.client.client, other.sides) == ("c2", ())
        assert tx.link("books", "1") == linked
        assert tx.link("books", "2") is None
        assert tx.links_of(["c1", "c2"]) == {"c1": [linked, lone]}


def test_log_holds_writes_and_standings_come_back(store) -> None:
    """Changes, conflicts, holds, writes, standings, merges and audit lines are read back equal."""
    change = ChangeRow("g1", "y1", "c1", "email", "books", "1", UNKNOWN, None, "typed there", NOON)
    conflict = a_conflict(base=UNKNOWN, value=None, status=ConflictStatus.OPEN, winner=None)
    hold = a_hold(items=[WILD], state=HoldState.RELEASED, decided_at=at(1), decided_by="anna")
    write = a_write(
        external_id=None,
        fields=WILD,
        state=WriteState.PARKED,
        attempts=2,
        error={"code": "rejected", "message": "no", "next": "mend"},
        sending_at=at(1),
        next_attempt_at=at(2),
        settle_at=at(3),
        done_at=at(4),
    )
    standing = Standing("c1", "books", StandingState.EXCLUDED, "only", True)
    merge = MergeRow("m1", "c1", ["c2"], MergeState.RUNNING, NOON, "anna", "same", WILD, at(1))
    audit = AuditRow(NOON, "release", "anna", WILD, "y1", "c1", "books")
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.add_changes([change])
        tx.put_conflict(conflict)
        tx.put_hold(hold)
        tx.put_writes([write])
        tx.put_standings([standing])
        tx.put_merge(merge)
        tx.add_audit([audit, audit])
    with store.reading() as tx:
        assert tx.changes("c1", "y1", NOON) == [change]
        assert (tx.conflict("k1"), tx.conflicts(ConflictStatus.OPEN, "c1")) == (conflict, [conflict])
        assert (tx.hold("h1"), tx.holds(HoldState.RELEASED), tx.holds()) == (hold, [hold], [])
        assert (tx.write("w1"), tx.writes([WriteState.PARKED])) == (write, [write])
        assert tx.standings("c1") == [standing]
        assert (tx.merge("m1"), tx.merges(MergeState.RUNNING, winner="c1"), tx.merges(MergeState.DONE)) == (
            merge,
            [merge],
            [],
        )
        assert (tx.merges(winners=["c2", "c1"]), tx.merges(winners=["c2"]), tx.merges(winners=[])) == ([merge], [], [])
        assert tx.audit("c1") == [replace(audit, seq=1), replace(audit, seq=2)]
        assert tx.audit(after=1, kind="release", cycle="y1") == [replace(audit, seq=2)]


def test_each_field_of_a_client_is_unknown_empty_or_a_value(store) -> None:
    """For every canonical field the three states are told apart, and a custom one too."""
    values = {str: "v\N{SNOWMAN}", int: 30, bool: False, list: [{"email": "a@b.c", "n": Decimal("1.50")}]}
    from syncd.store.tables import FIELD_TYPES  # noqa: PLC0415 - what kind of value a field holds is the store's own

    full = a_client("c1", fields={name: values[FIELD_TYPES[name]] for name in FIELDS} | {"custom.tier": "gold"})
    empty = a_client("c2", fields=dict.fromkeys([*FIELDS, "custom.tier"]))
    nothing = a_client("c3", fields={})
    with store.writing() as tx:
        tx.put_clients([empty, nothing, full])
    with store.reading() as tx:
        assert tx.clients() == [full, empty, nothing]
    with store.writing() as tx:
        tx.put_clients([replace(full, fields={"name": None})])
    with store.reading() as tx:
        assert tx.client("c1") == replace(full, fields={"name": None})


@pytest.mark.parametrize(
    "fields", [{"payment_terms_days": "30"}, {"tax_exempt": 1}, {"name": 5}, {"notes": "n"}, {"no_such_field": "x"}]
)
def test_a_client_takes_only_canonical_fields_of_their_type(store, fields) -> None:
    """A value of another type, or a field that is not canonical, is refused and the transaction goes on."""
    with store.writing() as tx:
        with pytest.raises(ValueError, match="c1"):
            tx.put_clients([a_client(fields=fields)])
        tx.put_clients([a_client("c2")])
    with store.reading() as tx:
        assert [row.client for row in tx.clients()] == ["c2"]


def test_text_that_no_database_can_hold_is_refused_before_it_is_sent(store) -> None:
    """A lone surrogate raises ValueError wherever it stands, and the transaction goes on without it."""
    with store.writing() as tx:
        for row in (a_record(raw={"a": ["\ud800"]}), a_record(external_id="\ud800"), a_record(reason="\ud800")):
            with pytest.raises(ValueError, match="surrogate"):
                tx.put_records([a_record(external_id="3"), row])
        with pytest.raises(ValueError, match="surrogate"):
            tx.put_clients([a_client(fields={"name": "\ud800"})])
        with pytest.raises(ValueError, match="characters"):
            tx.put_records([a_record(external_id="9" * 501)])
        tx.put_records([a_record()])
    with store.reading() as tx:
        assert list(tx.records("books", ["1", "3"])) == ["1"]
    assert storable({"a": "\0"}, [Decimal("1.0")], None)
    assert not storable("fine", {"\ud800": 1})
    assert [storable_id(text) for text in ("1", "", "\0", "\ud800", "9" * 501)] == [True, False, False, False, False]


def test_nul_in_a_typed_column_becomes_a_replacement_character(store) -> None:
    """PostgreSQL cannot hold NUL in text, so typed columns of both databases show U+FFFD."""
    with store.writing() as tx:
        tx.put_clients([a_client(fields={"name": "A\0B"})])
        tx.put_system(SystemRow("books", "tiime", reason="\0"))
    with store.reading() as tx:
        assert tx.client("c1").fields == {"name": "A\N{REPLACEMENT CHARACTER}B"}
        assert tx.systems()["books"].reason == "\N{REPLACEMENT CHARACTER}"


def test_equal_documents_are_equal_text(store) -> None:
    """The order of the keys of what is put leaves no trace."""
    with store.writing() as tx:
        tx.put_records([a_record(raw={"b": 1, "a": 2}), a_record(external_id="2", raw={"a": 2, "b": 1})])
    with store.reading() as tx:
        assert [list(row.raw) for row in tx.records("books", ["1", "2"]).values()] == [["a", "b"], ["a", "b"]]


def test_a_time_without_a_zone_is_refused(store) -> None:
    """Only aware times are stored."""
    with store.writing() as tx, pytest.raises(ValueError, match="zone"):
        tx.put_cycle(CycleRow("y1", NOON.replace(tzinfo=None)))


def test_ids_count_up_per_prefix_and_are_never_given_twice(store) -> None:
    """Each prefix has its own numbers, and they go on in the next transaction."""
    with store.writing() as tx:
        assert tx.new_ids("c", 2) == ["c1", "c2"]
        assert tx.new_ids("w", 1) == ["w1"]
        assert tx.new_ids("c", 0) == []
    with store.writing() as tx:
        assert tx.new_ids("c", 1) == ["c3"]


def test_meta_words_are_remembered(store) -> None:
    """A word under a key is replaced by the next one."""
    with store.writing() as tx:
        assert tx.get_meta("digest") is None
        tx.set_meta("digest", "a")
        tx.set_meta("digest", "b")
        assert tx.get_meta("digest") == "b"
