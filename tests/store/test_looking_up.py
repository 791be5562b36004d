"""Look-ups by client, by record and by cycle: what tracing a value is made of."""

from __future__ import annotations

from syncd.store import HoldState, Standing, StandingState, WalkOutcome, WalkRow
from tests.store.examples import a_client, a_hold, a_link, at


def test_holds_that_name_a_client(store) -> None:
    """Holds of every state are found by a client in their items; an id that another begins with is not that client."""
    with store.writing() as tx:
        tx.put_hold(a_hold("h1", "one", items=[{"client": "c1"}, {"client": "c2"}]))
        tx.put_hold(a_hold("h2", "two", items=[{"client": "c11"}]))
        tx.put_hold(a_hold("h3", "three", items=[{"client": "c1"}], state=HoldState.LAPSED))
        assert [row.hold for row in tx.holds_of("c1")] == ["h1", "h3"]
        assert [row.hold for row in tx.holds_of("c2")] == ["h1"]
        assert tx.holds_of("c9") == []


def test_the_walk_of_a_system_in_a_cycle(store) -> None:
    """A walk is found by its cycle and system."""
    with store.writing() as tx:
        for number, system in enumerate(("books", "crm", "books"), start=1):
            cycle = "y1" if number < 3 else "y2"
            tx.put_walk(WalkRow(f"p{number}", cycle, system, at(number), outcome=WalkOutcome.COMPLETE))
        assert tx.walk_in("y1", "books").walk == "p1"
        assert tx.walk_in("y2", "books").walk == "p3"
        assert tx.walk_in("y2", "crm") is None


def test_owners_and_standings_of_some(store) -> None:
    """Records tell their clients, and clients where they stand in one system; those that have neither are left out."""
    with store.writing() as tx:
        tx.put_clients([a_client("c1"), a_client("c2")])
        tx.put_links([a_link("books", "1", "c1"), a_link("books", "2", "c2"), a_link("crm", "1", "c2")])
        tx.put_standings([Standing("c1", "books", StandingState.HELD), Standing("c1", "crm", StandingState.IN_SYNC)])
        assert tx.owners("books", ["1", "2", "3"]) == {"1": "c1", "2": "c2"}
        assert tx.owners("crm", []) == {}
        assert tx.standings_in("books", ["c1", "c2"]) == {"c1": Standing("c1", "books", StandingState.HELD)}
