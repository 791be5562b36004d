"""A system whose scope changed: another address, company or business. Nothing known there counts before it was read completely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.errors import Transient
from syncd.providers.memory import EVERYTHING, Call, Profile, World, forget, world
from syncd.store import HoldKind
from tests.engine.rig import Rig, make_rig

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


def test_a_list_of_nobody_but_strangers_ends_no_client(tmp_path: Path) -> None:
    """Credentials of another account, where the system cannot tell whose they are: its few clients are held, whatever the limit."""
    names = ("Alpha", "Bravo", "Charlie", "Delta")
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": Profile(capabilities=replace(EVERYTHING, account=False))})
    for name in names:
        rig.worlds["a"].add(name=f"{name} SARL", email=f"hello@{name.lower()}.example")
    rig.settle()
    for external_id in rig.worlds["b"].ids():
        rig.worlds["b"].remove(external_id)
    rig.worlds["b"].add(**STRANGER)
    for _ in range(4):
        rig.cycle()
    assert [rig.worlds["a"].record(each)["archived"] for each in ("1", "2", "3", "4")] == [False] * 4
    (hold,) = rig.holds()
    assert (hold.kind, len(hold.items)) == (HoldKind.BRAKE, 4)
    assert "another account" in hold.reason
    rig.operate().release(hold.hold)
    rig.settle()
    assert [rig.worlds["a"].record(each)["archived"] for each in ("1", "2", "3", "4")] == [True] * 4
