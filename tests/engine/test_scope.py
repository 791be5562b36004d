"""A system whose scope changed: another address, company or business. Nothing known there counts before it was read completely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.model import Brake, BrakeKind
from syncd.errors import Transient
from syncd.providers.memory import EVERYTHING, Call, Profile, World, forget, world
from syncd.store import HoldKind, LinkState, MergeState, StandingState
from tests.engine.rig import INSTANT, Rig, make_rig, writes

CLIENT = {"name": "ACME SARL", "email": "a@acme.example", "phone": "+33142685300"}
STRANGER = {"name": "Zebra GmbH", "email": "z@zebra.example", "phone": "+33199999999"}


def moved(folder: Path, **known: str) -> tuple[Rig, World]:
    """A tenant whose system b was moved to a place where the id of its client is somebody else's, while a change waits."""
    rig = make_rig(folder, ("a", "b"))
    rig.worlds["a"].add(**{**CLIENT, **known})
    rig.settle()
    forget("elsewhere")
    rig.worlds["b"] = world("elsewhere")
    rig.worlds["a"].edit("1", phone="+33142685301")
    return rig, rig.worlds["b"]


def assert_two_clients(rig: Rig, **known: str) -> None:
    """The client and the stranger are two, in both systems, and each is what was typed for it."""
    first = {**CLIENT, **known, "phone": "+33142685301"}
    for name, ids in (("a", ("1", "2")), ("b", ("2", "1"))):
        for external_id, wanted in zip(ids, (first, STRANGER), strict=True):
            shown = rig.worlds[name].record(external_id)
            assert {field: shown[field] for field in STRANGER} == {field: wanted[field] for field in STRANGER}
    assert len(rig.clients()) == 2


def test_a_system_that_moved_is_read_before_anything_is_written_there(tmp_path: Path) -> None:
    """Also where another system's turn comes first: an id of the old place is never written to the new one."""
    rig, elsewhere = moved(tmp_path)
    elsewhere.add(**STRANGER)
    rig.wait(10)
    with rig.engine() as engine:
        engine.cycle({"a"})
    rig.settle()
    assert_two_clients(rig)


@pytest.mark.parametrize("broken", ["list", "account"])
def test_a_system_that_moved_and_cannot_be_read_is_not_written(tmp_path: Path, broken: str) -> None:
    """An interrupted first walk of the new place leaves its records alone; what the old one showed is nobody's there."""
    rig, elsewhere = moved(tmp_path)
    elsewhere.add(**STRANGER)

    def fails(call: Call) -> None:
        if call.action == broken:
            raise Transient("out of order")

    elsewhere.before.append(fails)
    rig.cycle()
    rig.cycle()
    assert elsewhere.record("1")["name"] == STRANGER["name"]
    assert rig.worlds["a"].record("1")["name"] == CLIENT["name"]
    assert {call.action for call in elsewhere.calls} <= {"account", "list"}
    elsewhere.before.clear()
    rig.settle()
    assert_two_clients(rig)


def test_a_neighbour_in_the_new_place_is_not_taken_for_the_client(tmp_path: Path) -> None:
    """An equal postal code and the beginning of a name are no reason to believe that an id is the same client's."""
    rig, elsewhere = moved(tmp_path, postal_code="75001", city="Paris")
    elsewhere.add(**{**STRANGER, "name": "Acmena Zebra"}, postal_code="75001", city="Paris")
    rig.settle()
    assert [row.fields["name"] for row in rig.clients()] == ["ACME SARL", "Acmena Zebra"]
    assert rig.worlds["a"].record("1")["name"] == "ACME SARL"
    assert elsewhere.record("1")["name"] == "Acmena Zebra"


def four_in_two(folder: Path) -> Rig:
    """Four clients in both systems, of which b cannot tell whose its credentials are."""
    rig = make_rig(folder, ("a", "b"), profiles={"b": Profile(capabilities=replace(EVERYTHING, account=False))})
    for name in ("Alpha", "Bravo", "Charlie", "Delta"):
        rig.worlds["a"].add(name=f"{name} SARL", email=f"hello@{name.lower()}.example")
    rig.settle()
    return rig


def become_strangers(rig: Rig) -> None:
    """The list of b is another account's from now on."""
    for external_id in rig.worlds["b"].ids():
        rig.worlds["b"].remove(external_id)
    rig.worlds["b"].add(**STRANGER)


def archived_in_a(rig: Rig) -> list[object]:
    return [rig.worlds["a"].record(each)["archived"] for each in ("1", "2", "3", "4")]


def test_a_list_of_nobody_but_strangers_ends_no_client(tmp_path: Path) -> None:
    """Credentials of another account, where the system cannot tell whose they are: its few clients are held, whatever the limit."""
    rig = four_in_two(tmp_path)
    become_strangers(rig)
    for _ in range(4):
        rig.cycle()
    assert archived_in_a(rig) == [False] * 4
    (hold,) = rig.holds()
    assert (hold.kind, len(hold.items)) == (HoldKind.BRAKE, 4)
    assert "another account" in hold.reason
    rig.operate().release(hold.hold)
    rig.settle()
    assert archived_in_a(rig) == [True] * 4


def test_who_said_that_the_strangers_are_right_is_not_asked_again(tmp_path: Path) -> None:
    """A released set counts until its records are believed to be gone, however long that takes, and is not asked about a second time."""
    rig = four_in_two(tmp_path)
    rig.change_policy(timing=replace(INSTANT, confirm_delete_after_seconds=60.0))
    become_strangers(rig)
    rig.cycle()
    (hold,) = rig.holds()
    rig.operate().release(hold.hold)
    for _ in range(9):
        rig.cycle()
        assert rig.holds() == []
    assert archived_in_a(rig) == [True] * 4


def test_a_released_set_that_came_back_is_asked_about_again(tmp_path: Path) -> None:
    """What was let go, and was there again before anything followed, is held like any other set when it vanishes later."""
    rig = four_in_two(tmp_path)
    rig.change_policy(brakes={BrakeKind.DELETES: Brake(1, 0.1)})
    known = rig.worlds["b"].snapshot()
    become_strangers(rig)
    rig.cycle()
    (first,) = rig.holds()
    rig.operate().release(first.hold)
    rig.worlds["b"].restore(known)
    rig.settle()
    become_strangers(rig)
    for _ in range(3):
        rig.cycle()
    (again,) = rig.holds()
    assert again.hold != first.hold
    assert archived_in_a(rig) == [False] * 4


def test_strangers_are_created_nowhere_before_a_person_said_so(tmp_path: Path) -> None:
    """From the first listing of another account on, nothing goes from it to other systems, nor to it; the release lets it go once."""
    rig = four_in_two(tmp_path)
    become_strangers(rig)
    rig.cycle()
    (hold,) = rig.holds()
    rig.worlds["a"].add(name="Foxtrot SAS", email="f@foxtrot.example")
    rig.worlds["b"].add(name="Yak GmbH", email="y@yak.example")
    for _ in range(3):
        assert writes(rig.cycle()) == 0
    assert [each.hold for each in rig.holds()] == [hold.hold]
    assert (len(rig.worlds["a"].ids()), len(rig.worlds["b"].ids())) == (5, 2)
    store = rig.store()
    with store.reading() as tx:
        (stranger,) = [row for row in tx.clients() if row.fields["name"] == STRANGER["name"]]
        told = [row for row in tx.standings(stranger.client) if row.system == "a"]
    store.close()
    assert [row.state for row in told] == [StandingState.HELD]
    assert hold.hold in (told[0].reason or "")
    rig.operate().release(hold.hold)
    rig.settle()
    assert archived_in_a(rig) == [True] * 4
    assert sorted(str(rig.worlds["a"].record(each)["name"]) for each in rig.worlds["a"].ids()[5:]) == [
        "Yak GmbH",
        "Zebra GmbH",
    ]
    assert len(rig.worlds["b"].ids()) == 3
    assert rig.holds() == []


def test_when_the_right_credentials_are_back_nothing_of_the_strangers_is_left(tmp_path: Path) -> None:
    """The hold ends by itself, and who was another account's is created nowhere, also while its end is not believed yet."""
    rig = four_in_two(tmp_path)
    before = rig.worlds["b"].snapshot()
    become_strangers(rig)
    rig.cycle()
    assert len(rig.holds()) == 1
    rig.cycle()
    rig.worlds["b"].restore(before)
    for _ in range(4):
        rig.cycle()
    assert rig.holds() == []
    assert rig.worlds["a"].ids() == rig.worlds["b"].ids() == ["1", "2", "3", "4"]
    assert archived_in_a(rig) == [False] * 4


def test_nothing_is_created_among_strangers_after_something_was_written_elsewhere(tmp_path: Path) -> None:
    """A client that was just created in one system is decided again, and is still not created in the one that is asked about."""
    rig = make_rig(tmp_path, profiles={"b": Profile(capabilities=replace(EVERYTHING, account=False))})
    for name in ("Alpha", "Bravo", "Charlie", "Delta"):
        rig.worlds["a"].add(name=f"{name} SARL", email=f"hello@{name.lower()}.example")
    rig.settle()
    become_strangers(rig)
    rig.cycle()
    assert len(rig.holds()) == 1
    rig.worlds["a"].add(name="Foxtrot SAS", email="f@foxtrot.example")
    for _ in range(3):
        rig.cycle()
    assert [len(rig.worlds[name].ids()) for name in ("a", "b", "c")] == [5, 1, 5]


def test_two_strangers_whom_a_person_merges_are_one_while_it_is_asked_whose_they_are(tmp_path: Path) -> None:
    """Only what would be created waits for that question: what was read completely was read, and a merge there comes to its end."""
    rig = four_in_two(tmp_path)
    become_strangers(rig)
    rig.worlds["b"].add(name="Yak GmbH", email="y@yak.example")
    rig.cycle()
    (hold,) = rig.holds()
    first, second = (row.client for row in rig.clients()[4:])
    rig.operate().merge(first, second)
    rig.settle()
    rig.cycle()
    assert [each.hold for each in rig.holds()] == [hold.hold]
    assert [rig.worlds["b"].record(each)["archived"] for each in rig.worlds["b"].ids()] == [False, True]
    store = rig.store()
    with store.reading() as tx:
        (merge,) = tx.merges()
        states = [link.state for link in tx.links_of([first])[first]]
    store.close()
    assert states == [LinkState.LINKED, LinkState.APART]
    assert merge.state is MergeState.RUNNING  # it is to be seen yet whether the one that is left is created in a
