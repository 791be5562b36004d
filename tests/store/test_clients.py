"""Golden records: dirt, aliases, links, standings, pairs kept apart, and erasure."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from syncd.errors import StoreError
from syncd.store import (
    AuditRow,
    ChangeRow,
    ClientState,
    LinkState,
    MergeRow,
    MergeState,
    Standing,
    StandingState,
    Tx,
    open_store,
)
from tests.store.examples import NOON, a_client, a_conflict, a_hold, a_link, a_record, a_write, at


def test_dirty_clients_come_in_the_order_of_their_numbers(store) -> None:
    """c2 comes before c10, pages begin behind an id, and what is put clean is clean."""
    with store.writing() as tx:
        tx.put_clients([a_client(f"c{number}", dirty=number != 3) for number in (10, 2, 3)])
        assert (tx.dirty(10), tx.dirty(1), tx.dirty(10, "c2")) == (["c2", "c10"], ["c2"], ["c10"])
        tx.put_clients([a_client("c2", dirty=False)])
        assert tx.dirty(10) == ["c10"]
        tx.mark_dirty(["c3", "c99"])
        assert tx.dirty(10) == ["c3", "c10"]
        assert [row.client for row in tx.clients(after="c2", limit=1)] == ["c3"]


def test_all_clients_but_aliases_can_be_made_dirty(store) -> None:
    """An alias is never reconciled; a tombstone may be."""
    with store.writing() as tx:
        tx.put_clients(
            [
                a_client("c1", dirty=False),
                a_client("c2", dirty=False, state=ClientState.MERGED, merged_into="c1"),
                a_client("c3", dirty=False, state=ClientState.DELETED),
            ]
        )
        tx.mark_all_dirty()
        assert tx.dirty(10) == ["c1", "c3"]


def test_clients_of_records_can_be_made_dirty(store) -> None:
    """Records without a client are passed over."""
    with store.writing() as tx:
        tx.put_clients([a_client("c1", dirty=False), a_client("c2", dirty=False)])
        tx.put_links([a_link(external_id="1"), a_link("other", "2", "c2")])
        tx.mark_dirty_by_records("books", ["1", "2", "3"])
        assert tx.dirty(10) == ["c1"]


def test_counts_leave_out_what_is_no_client_any_more(store) -> None:
    """Without a state, active and archived clients are counted."""
    states = [ClientState.ACTIVE, ClientState.ARCHIVED, ClientState.DELETED, ClientState.MERGED]
    with store.writing() as tx:
        tx.put_clients([a_client(f"c{number}", state=state) for number, state in enumerate(states)])
        assert (tx.count_clients(), tx.count_clients(ClientState.DELETED)) == (2, 1)
        assert [row.client for row in tx.clients(ClientState.MERGED)] == ["c3"]


def test_old_ids_resolve_to_the_survivor(store) -> None:
    """A chain of merges is followed; an unknown id is None; a circle is an error and no endless loop."""
    with store.writing() as tx:
        tx.put_clients(
            [
                a_client("c1", state=ClientState.MERGED, merged_into="c2"),
                a_client("c2", state=ClientState.MERGED, merged_into="c3"),
                a_client("c3"),
                a_client("c4", merged_into="c5"),
                a_client("c5", merged_into="c4"),
            ]
        )
        assert [tx.resolve_alias(name) for name in ("c1", "c2", "c3", "c9")] == ["c3", "c3", "c3", None]
        assert tx.aliases("c3") == ["c2"]
        with pytest.raises(ValueError, match="circle"):
            tx.resolve_alias("c4")


def test_links_move_and_are_told_since_a_time(store) -> None:
    """All links of a client go to another one at once."""
    with store.writing() as tx:
        tx.put_clients([a_client("c1"), a_client("c2")])
        tx.put_links([a_link("a", "1"), a_link("b", "2"), a_link("c", "3", "c2")])
        assert tx.move_links("c1", "c2") == 2
        assert [row.system for row in tx.links_of(["c2", "c1"])["c2"]] == ["a", "b", "c"]
        assert len(tx.links_since(NOON)) == 3
        assert tx.links_since(at(1)) == []


def test_a_link_to_no_client_cannot_be_committed(database) -> None:
    """Links may be put before their client, but not without it."""
    with database.store() as store:
        with pytest.raises(StoreError), store.writing() as tx:
            tx.put_links([a_link()])
        with store.reading() as tx:
            assert tx.link("books", "1") is None


def test_counts_of_standings_add_up(store) -> None:
    """Each system has the five counts, zeros too, and how many of them drift."""
    with store.writing() as tx:
        tx.put_clients([a_client(f"c{number}") for number in range(4)])
        tx.put_standings(
            [
                Standing("c0", "books", StandingState.IN_SYNC),
                Standing("c1", "books", StandingState.EXCLUDED, drift=True),
                Standing("c2", "books", StandingState.EXCLUDED),
                Standing("c0", "lsp", StandingState.HELD),
            ]
        )
        tx.put_standings([Standing("c0", "lsp", StandingState.PENDING, "new")])
        zero = dict.fromkeys(("in_sync", "pending", "held", "excluded", "failing", "drift"), 0)
        assert tx.counts() == {
            "books": zero | {"in_sync": 1, "excluded": 2, "drift": 1},
            "lsp": zero | {"pending": 1},
        }
        tx.drop_standings("c0")
        assert [row.client for row in tx.standings()] == ["c1", "c2"]


def test_pairs_kept_apart_are_remembered_once_in_either_order(store) -> None:
    """A pair is found from either side, smaller record first, and adding it again adds nothing."""
    one, two, three = ("a", "1"), ("b", "2"), ("c", "3")
    with store.writing() as tx:
        tx.add_apart([(two, one), (one, two), (two, three), (one, one)])
        tx.add_apart([(one, two)])
        assert tx.aparts([one]) == {(one, two)}
        assert tx.aparts([three, one]) == {(one, two), (two, three)}
        assert tx.aparts([("b", "1")]) == set()


def test_erasure_leaves_an_empty_tombstone(database) -> None:
    """Everything a person could be known by is out of the tables and, on SQLite, out of the files."""
    secret = "Zebedee Quill"
    with database.store() as store:
        with store.writing() as tx:
            tx.put_clients([a_client("c1", fields={"name": secret, "custom.x": secret}), a_client("c10")])
            tx.put_records([a_record(raw={"n": secret}, fields={"name": secret}), a_record(external_id="2")])
            tx.put_links([a_link(), a_link(external_id="2", client="c10")])
            tx.set_keys("books", {"1": {("name", secret)}, "2": {("name", "x")}})
            tx.put_writes([a_write(fields={"name": secret}), a_write("w2", client="c10")])
            tx.add_conflicts([a_conflict(value=secret), a_conflict("k2", "key2", client="c10")])
            tx.put_hold(a_hold(items=[{"client": "c1", "name": secret}]))
            tx.put_hold(a_hold("h2", "key2", items=[{"client": "c10"}]))
            tx.add_changes([ChangeRow("g1", None, "c1", "name", "books", "1", None, secret, "", NOON)])
            tx.put_merge(MergeRow("m1", "c10", ["c1"], MergeState.DONE, NOON, "a", "", {"n": secret}))
            tx.add_audit([AuditRow(NOON, "typed", "anna", {"n": secret}, client="c1")])
        with store.writing() as tx:
            assert tx.erase(["c1"]) == [("books", "1")]
            tx.add_suppressed(["digest"])
        store.scrub()
        with store.reading() as tx:
            client = tx.client("c1")
            assert (client.state, client.fields, client.dirty) == (ClientState.DELETED, {}, False)
            assert list(tx.records("books", ["1", "2"])) == ["2"]
            assert [hit.external_id for hit in tx.by_keys({("name", secret), ("name", "x")}, 9)] == ["2"]
            assert [row.write for row in tx.writes()] == ["w2"]
            assert [row.conflict for row in tx.conflicts()] == ["k2"]
            assert [row.hold for row in tx.holds()] == ["h2"]
            assert (tx.changes(), tx.merges()) == ([], [])
            assert [row.payload for row in tx.audit()] == [{"erased": True}]
            assert tx.suppressed(["digest", "other"]) == {"digest"}
    if database.kind == "sqlite":
        folder = database.url.removeprefix("sqlite:///")
        from pathlib import Path  # noqa: PLC0415 - only one of the databases has files

        assert all(secret.encode() not in path.read_bytes() for path in Path(folder).iterdir())


def test_keeping_apart_can_be_forgotten(store) -> None:
    """A pair that is no longer to be kept apart is forgotten, whichever way round it is named; others stay."""
    with store.writing(operator=True) as tx:
        tx.add_apart([(("b", "1"), ("a", "1")), (("a", "1"), ("a", "2"))])
        tx.remove_apart([(("b", "1"), ("a", "1")), (("z", "1"), ("z", "2"))])
    with store.reading() as tx:
        assert tx.aparts([("a", "1")]) == {(("a", "1"), ("a", "2"))}


def test_a_look_at_one_client_reads_no_other(tmp_path) -> None:
    """SQLite finds the sides of a client by their keys, however many records there are: it puts no tables together in full."""
    plans = plans_of(tmp_path, lambda tx: tx.bundles(["c1", "c2"]))
    assert any("payloads" in step for step in plans)
    assert [step for step in plans if "MATERIALIZE" in step or step.startswith(("SCAN payloads", "SCAN records"))] == []


def test_asking_who_is_due_looks_at_nobody_else(tmp_path) -> None:
    """SQLite answers from the index of those that are due; every cycle asks several times, and nearly nobody is."""
    assert plans_of(tmp_path, lambda tx: tx.dirty(1)) == ["SCAN clients USING INDEX ix_clients_dirty"]
    after = plans_of(tmp_path, lambda tx: tx.dirty(1, "c7"))
    assert after == ["SEARCH clients USING INDEX ix_clients_dirty (number>?)"]


def plans_of(folder: Path, ask: Callable[[Tx], object]) -> list[str]:
    """How SQLite goes about the queries of a question to an empty store, step by step."""
    store = open_store(f"sqlite:///{folder}", "acme")
    asked: list[tuple[str, tuple[object, ...]]] = []

    def keep(_connection: object, _cursor: object, statement: str, given: tuple[object, ...], *_rest: object) -> None:
        asked.append((statement, given))

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        with store.reading() as tx:
            ask(tx)
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
        store.close()
    with closing(sqlite3.connect(folder / "acme.db")) as connection:
        return [
            row[3]
            for statement, given in asked
            if statement.startswith("SELECT")
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", given)
        ]


def test_who_is_known_in_one_system_alone_is_found(store) -> None:
    """A client all of whose linked records are in one system; links that have ended do not count."""
    with store.writing() as tx:
        tx.put_clients([a_client(name) for name in ("c1", "c2", "c3")])
        tx.put_links([a_link(external_id="1", client="c1"), a_link(external_id="2", client="c1")])
        tx.put_links([a_link(external_id="3", client="c2"), a_link(system="lsp", external_id="3", client="c2")])
        tx.put_links(
            [
                a_link(external_id="4", client="c3"),
                a_link(system="lsp", external_id="4", client="c3", state=LinkState.GONE),
            ]
        )
    with store.reading() as tx:
        assert tx.known_only_in("books") == ["c1", "c3"]
        assert tx.known_only_in("lsp") == []
