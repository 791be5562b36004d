"""The outbox: at most one waiting write per client and system, at most one running per record."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, update

from syncd.core.model import Action
from syncd.errors import StoreError
from syncd.store import OPEN_WRITES, WriteState, tables
from tests.store.examples import NOON, a_client, a_write, at


@pytest.fixture
def clients(store) -> None:
    """Three clients that writes may be about."""
    with store.writing() as tx:
        tx.put_clients([a_client(f"c{number}") for number in (1, 2, 3)])


@pytest.mark.usefixtures("clients")
def test_a_newer_plan_replaces_the_waiting_write(store) -> None:
    """The old waiting row is dropped with a reason; other systems, clients and states are left alone."""
    with store.writing() as tx:
        tx.put_writes([a_write("w1"), a_write("w2", "lsp"), a_write("w3", client="c2")])
        tx.put_writes([a_write("w4", state=WriteState.PARKED)])
        tx.put_writes([a_write("w5")])
        tx.put_writes([a_write("w5", attempts=1)])
    with store.reading() as tx:
        assert tx.write("w1") == a_write(
            "w1", state=WriteState.DROPPED, reason="replaced by a newer plan", done_at=NOON
        )
        assert [row.write for row in tx.writes([WriteState.WAITING])] == ["w2", "w3", "w5"]
        assert tx.write("w5").attempts == 1
        assert [row.write for row in tx.writes(OPEN_WRITES, system="books", client="c1")] == ["w4", "w5"]
        assert [row.write for row in tx.writes(cycle="y1", limit=2)] == ["w1", "w2"]


@pytest.mark.usefixtures("clients")
def test_two_waiting_writes_for_one_place_are_refused(store) -> None:
    """A plan with two writes for one client and system is a mistake and nothing of it is put."""
    with store.writing() as tx:
        with pytest.raises(ValueError, match="two waiting writes for client c1 in books"):
            tx.put_writes([a_write("w1"), a_write("w2")])
        assert tx.writes() == []


@pytest.mark.usefixtures("clients")
def test_the_database_itself_refuses_a_second_waiting_and_a_second_running_write(database, store) -> None:
    """The partial unique indexes hold even against SQL that goes around the verbs."""

    def forced(state: str) -> None:
        with store.writing() as tx:
            tx.put_writes([a_write("w1", state=state), a_write("w2", state="parked")])
            tx.run(update(tables.writes).where(tables.writes.c.write == "w2").values(state=state))

    for state in ("waiting", "sending"):
        with pytest.raises(StoreError) as caught:
            forced(state)
        assert "Acme" not in str(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(StoreError), store.writing() as tx:
        tx.run(insert(tables.meta), [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}])
    with store.reading() as tx:
        assert (tx.writes(), tx.get_meta("a")) == ([], None)


@pytest.mark.usefixtures("clients")
def test_waiting_writes_come_when_they_are_due_in_order(store) -> None:
    """w2 is before w10; what is to be tried later is left out until then."""
    with store.writing() as tx:
        tx.put_writes([a_write("w10"), a_write("w2", client="c2"), a_write("w3", "lsp")])
        tx.put_writes([a_write("w4", client="c3", next_attempt_at=at(5))])
        assert [row.write for row in tx.waiting("books", at(4))] == ["w2", "w10"]
        assert [row.write for row in tx.waiting("books", at(5), 2)] == ["w2", "w4"]


@pytest.mark.usefixtures("clients")
def test_a_write_is_claimed_once(store) -> None:
    """Claiming counts the attempt and notes the time; a second claim and an unknown write are refused."""
    with store.writing() as tx:
        tx.put_writes([a_write()])
        assert tx.claim("w1", at(1))
        assert not tx.claim("w1", at(2))
        assert not tx.claim("w9", at(2))
        assert tx.write("w1") == replace(a_write(), state=WriteState.SENDING, attempts=1, sending_at=at(1))


@pytest.mark.usefixtures("clients")
def test_a_record_is_written_by_one_write_at_a_time(store) -> None:
    """Another write to the record waits until the first is acknowledged; other records do not wait."""
    with store.writing() as tx:
        tx.put_writes([a_write("w1"), a_write("w2", client="c2"), a_write("w3", client="c3", external_id="3")])
        assert [tx.claim(write, NOON) for write in ("w1", "w2", "w3")] == [True, False, True]
        tx.put_writes([replace(tx.write("w1"), state=WriteState.DONE, done_at=at(1))])
        assert tx.claim("w2", NOON)


@pytest.mark.parametrize("state", [WriteState.SENDING, WriteState.IN_DOUBT])
@pytest.mark.usefixtures("clients")
def test_a_client_is_not_created_twice(store, state) -> None:
    """While a creation may have happened, no other creation of the client in that system is claimed."""
    create = {"action": Action.CREATE, "external_id": None}
    with store.writing() as tx:
        tx.put_writes([a_write("w1", state=state, **create)])
        tx.put_writes([a_write("w2", **create), a_write("w3", client="c2", **create), a_write("w4", "lsp", **create)])
        assert [tx.claim(write, NOON) for write in ("w2", "w3", "w4")] == [False, True, True]
        tx.put_writes([a_write("w1", state=WriteState.DROPPED, **create)])
        assert tx.claim("w2", NOON)


@pytest.mark.usefixtures("clients")
def test_the_open_write_of_a_place_is_the_most_urgent_one(store) -> None:
    """Sending comes before in doubt, waiting and parked; done and dropped ones are not open."""
    with store.writing() as tx:
        tx.put_writes([a_write("w1"), a_write("w2", state=WriteState.PARKED)])
        tx.put_writes([a_write("w3", "lsp", state=WriteState.IN_DOUBT), a_write("w4", "lsp")])
        tx.put_writes([a_write("w5", client="c2", state=WriteState.DONE)])
        found = tx.open_writes(["c1", "c2"])
        assert {place: row.write for place, row in found.items()} == {("c1", "books"): "w1", ("c1", "lsp"): "w3"}
