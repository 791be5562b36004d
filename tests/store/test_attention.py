"""What a person looks at: pages, counts and searches, the same on both databases."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import product

from syncd.store import (
    ClientState,
    ConflictStatus,
    CycleRow,
    Failing,
    HoldKind,
    HoldState,
    Standing,
    StandingState,
    Store,
    WalkOutcome,
    WalkRow,
    WriteState,
)
from tests.store.examples import a_client, a_conflict, a_hold, a_write, at


def test_pages_of_what_waits(store: Store) -> None:
    """Open conflicts and holds and parked writes come page by page from behind a number, others never."""
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.add_conflicts(
            a_conflict(
                f"k{number}", f"key{number}", status=ConflictStatus.OPEN if number % 2 else ConflictStatus.DECIDED
            )
            for number in range(1, 9)
        )
        for number in range(1, 7):
            kind = HoldKind.LINK if number % 2 else HoldKind.BRAKE
            state = HoldState.OPEN if number < 6 else HoldState.REFUSED
            tx.put_hold(a_hold(f"h{number}", f"key{number}", kind=kind, state=state))
        tx.put_writes(a_write(f"w{number}", state=WriteState.PARKED) for number in range(1, 4))
        tx.put_writes([a_write("w9")])
    with store.reading() as tx:
        assert [row.conflict for row in tx.open_conflicts(limit=2)] == ["k1", "k3"]
        assert [row.conflict for row in tx.open_conflicts(after=3, limit=9)] == ["k5", "k7"]
        assert [row.hold for row in tx.open_holds(after=1)] == ["h2", "h3", "h4", "h5"]
        assert [row.hold for row in tx.open_holds([HoldKind.BRAKE])] == ["h2", "h4"]
        assert [row.write for row in tx.parked_writes(after=1, limit=1)] == ["w2"]
        counts = tx.waiting_for_a_person()
    assert {kind: count for kind, count in counts.items() if count} == {
        "conflict": 4,
        "link": 3,
        "brake": 2,
        "parked": 3,
    }
    assert set(counts) == {*HoldKind, "conflict", "parked"}


def test_the_worst_standing_counts(store: Store) -> None:
    """A client counts once, as the worst of its standings in the systems that are asked about."""
    order = (
        StandingState.FAILING,
        StandingState.HELD,
        StandingState.PENDING,
        StandingState.IN_SYNC,
        StandingState.EXCLUDED,
    )
    with store.writing() as tx:
        tx.put_clients(a_client(f"c{number}") for number in range(1, 5))
        tx.put_standings(
            [
                Standing("c1", "books", StandingState.IN_SYNC),
                Standing("c1", "crm", StandingState.HELD),
                Standing("c2", "books", StandingState.EXCLUDED),
                Standing("c2", "crm", StandingState.EXCLUDED),
                Standing("c3", "books", StandingState.IN_SYNC),
                Standing("c3", "old", StandingState.FAILING),
            ]
        )
    with store.reading() as tx:
        found = tx.worst_counts(["books", "crm"], order)
    assert found == {StandingState.HELD: 1, StandingState.EXCLUDED: 1, StandingState.IN_SYNC: 1}


def test_clients_that_fail(store: Store) -> None:
    """They are counted per system, the first by number told with its reason; a parked write tells its own, other systems do not count."""
    with store.writing() as tx:
        tx.put_clients(a_client(f"c{number}") for number in range(1, 11))
        tx.put_standings(Standing(f"c{n}", "crm", StandingState.FAILING, f"reason {n}") for n in (10, 9, 8))
        tx.put_standings([Standing("c1", "books", StandingState.HELD), Standing("c1", "old", StandingState.FAILING)])
        tx.put_standings([Standing("c2", "books", StandingState.FAILING, "refused")])
        tx.put_writes(
            a_write(f"w{n}", system=system, client=f"c{n}", state=state)
            for n, system, state in ((8, "crm", WriteState.PARKED), (2, "books", WriteState.PARKED), (9, "crm", WriteState.DONE))
        )  # fmt: skip
    with store.reading() as tx:
        assert tx.failing_clients(["books", "crm"]) == {"crm": Failing(2, "c9", "reason 9")}
        assert tx.failing_clients([]) == {}


def test_the_worst_of_many(store: Store) -> None:
    """Whatever the mixture of states, each client counts once, as the worst that it has in the systems asked about."""
    order = [
        StandingState.FAILING,
        StandingState.HELD,
        StandingState.PENDING,
        StandingState.IN_SYNC,
        StandingState.EXCLUDED,
    ]
    dice = random.Random(4)
    for most, share in product(StandingState, (0.6, 0.98)):
        standings = [
            Standing(f"c{number}", system, most if dice.random() < share else dice.choice(order))
            for number in range(1, 60)
            for system in ("books", "crm", "old")
            if dice.random() < 0.9
        ]
        with store.writing() as tx:
            tx.put_clients(a_client(f"c{number}") for number in range(1, 60))
            for number in range(1, 60):
                tx.drop_standings(f"c{number}")
            tx.put_standings(standings)
        of: dict[str, list[int]] = defaultdict(list)
        for each in standings:
            if each.system != "old":
                of[each.client].append(order.index(each.state))
        with store.reading() as tx:
            assert tx.worst_counts(["books", "crm"], order) == Counter(order[min(ranks)] for ranks in of.values())
            assert tx.worst_counts([], order) == {}


def test_figures_over_time(store: Store) -> None:
    """Done writes, walks and cycles since a time come latest first, from among the last so many."""
    with store.writing() as tx:
        tx.put_clients([a_client()])
        tx.put_writes(
            a_write(f"w{number}", system="crm", state=WriteState.DONE, since=at(number), done_at=at(number + 1))
            for number in range(1, 6)
        )
        tx.put_writes([a_write("w6"), a_write("w7", system="crm", state=WriteState.PARKED)])
        for number in range(1, 4):
            tx.put_cycle(CycleRow(f"y{number}", at(number)))
            tx.put_walk(WalkRow(f"p{number}", f"y{number}", "crm", at(number), outcome=WalkOutcome.COMPLETE))
    with store.reading() as tx:
        sent = tx.sent_since(at(4), limit=100)
        assert [(row.system, row.since, row.done_at - row.since) for row in sent] == [
            ("crm", at(number), timedelta(minutes=1)) for number in (5, 4, 3)
        ]
        assert len(tx.sent_since(at(0), limit=4)) == 2
        assert [row.walk for row in tx.walks_since(at(2), limit=10)] == ["p3", "p2"]
        assert [row.cycle for row in tx.cycles_before(None, 2)] == ["y3", "y2"]
        assert [row.cycle for row in tx.cycles_before(2, 2)] == ["y1"]
        assert tx.outbox_counts([WriteState.WAITING, WriteState.PARKED]) == {
            ("books", WriteState.WAITING): 1,
            ("crm", WriteState.PARKED): 1,
        }


def test_finding_clients(store: Store) -> None:
    """A text finds clients by id, name, address of e-mail, town or number, whatever its case, and is never a pattern."""
    with store.writing() as tx:
        tx.put_clients(
            [
                a_client("c1", fields={"name": "Élan 100% SARL", "email": "A@b.example"}),
                a_client("c2", fields={"name": "x", "city": "Paris", "vat_number": "FR40303265045"}),
                replace(a_client("c11", fields={"name": "paris_texas"}), state=ClientState.ARCHIVED),
            ]
        )

    def found(text: str, state: ClientState | None = None, after: str = "") -> list[str]:
        with store.reading() as tx:
            return [row.client for row in tx.clients(state, after=after, text=text)]

    assert found("paris") == ["c2", "c11"]
    assert found("paris", after="c2") == ["c11"]
    assert found("paris", ClientState.ARCHIVED) == ["c11"]
    assert found("c1") == ["c1"]
    assert found("a@B") == ["c1"]
    assert found("0303") == ["c2"]
    assert found("100%") == ["c1"]
    assert found("%") == ["c1"]
    assert found("s_t") == ["c11"]
    assert found("nobody\0") == []
