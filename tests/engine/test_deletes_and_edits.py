"""Which edits stand against a delete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.providers import ABSENT
from syncd.providers.memory import EVERY_FIELD, Profile
from syncd.store import ClientState, ConflictKind, HoldKind, HoldState
from tests.engine.rig import make_rig


def test_what_was_known_in_the_cycle_that_last_saw_the_record_is_no_edit_against_its_delete(tmp_path: Path) -> None:
    """First data of another system in a field that the deleting system cannot hold does not keep the client from being archived."""
    narrow = Profile(specs={**EVERY_FIELD, "language": ABSENT})
    rig = make_rig(tmp_path, ("a", "b"), profiles={"a": narrow})
    rig.worlds["a"].add(name="ACME", vat_number="FR40303265045")
    rig.worlds["b"].add(name="ACME", vat_number="FR40303265045", language="fr-FR")
    rig.worlds["a"].add(name="Somebody else")
    rig.settle()
    rig.worlds["a"].remove("1")
    for _ in range(3):
        rig.cycle()
    assert [row for row in rig.conflicts() if row.kind is ConflictKind.DELETE] == []
    assert {client.state for client in rig.clients() if client.fields["name"] == "ACME"} == {ClientState.ARCHIVED}


def test_an_edit_of_a_later_cycle_stands_against_a_delete(tmp_path: Path) -> None:
    """An edit that the deleted record never showed wins, in a field that its system cannot hold, too."""
    narrow = Profile(specs={**EVERY_FIELD, "language": ABSENT})
    rig = make_rig(tmp_path, ("a", "b"), profiles={"a": narrow})
    rig.worlds["a"].add(name="ACME", vat_number="FR40303265045")
    rig.worlds["b"].add(name="ACME", vat_number="FR40303265045", language="fr-FR")
    rig.worlds["a"].add(name="Somebody else")
    rig.settle()
    rig.worlds["a"].remove("1")
    rig.worlds["b"].edit("1", language="de-DE")
    for _ in range(3):
        rig.cycle()
    assert len([row for row in rig.conflicts() if row.kind is ConflictKind.DELETE]) == 1
    assert {client.state for client in rig.clients()} == {ClientState.ACTIVE}


@pytest.mark.parametrize("answer, in_a", [("release", ["2"]), ("refuse", ["2", "3"])])
def test_whether_a_deleted_client_is_meant_is_still_asked(tmp_path: Path, answer: str, in_a: list[str]) -> None:
    """A client that may be one that was just deleted is not created there again before a person has said that it is another one."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="Maison Durand Paris", postal_code="75001", city="Paris", country="FR")
    rig.worlds["a"].add(name="Somebody else", email="else@else.example")
    rig.worlds["b"].add(name="Durand Maison", postal_code="75001", city="Paris", country="FR")
    rig.settle()
    rig.worlds["a"].remove("1")
    for _ in range(3):
        rig.cycle()
    [hold] = rig.holds()
    assert (hold.kind, hold.state) == (HoldKind.LINK, HoldState.OPEN)
    assert rig.worlds["a"].ids() == ["2"]
    getattr(rig.operate(), answer)(hold.hold)
    for _ in range(3):
        rig.cycle()
    assert rig.worlds["a"].ids() == in_a
    assert rig.worlds["b"].record("1")["archived"] is False


@pytest.mark.parametrize("answer, in_a", [("release", ["2"]), ("refuse", ["2", "3"])])
def test_whether_a_deleted_client_was_typed_again_is_still_asked(tmp_path: Path, answer: str, in_a: list[str]) -> None:
    """Who is typed again where syncd is about to delete the first record is not created unasked where a person deleted it."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.systems = (rig.systems[0], replace(rig.systems[1], on_delete="delete"))
    rig.change_policy(systems=rig.systems)
    for name in "ab":
        rig.worlds[name].add(name="ACME", registration_number="552100554")
        rig.worlds[name].add(name="Somebody else", email="else@else.example")
    rig.settle()
    rig.worlds["a"].remove("1")
    rig.cycle()
    rig.worlds["b"].add(name="Zenith", email="info@zenith.example", registration_number="552100554")
    for _ in range(3):
        rig.cycle()
    assert rig.worlds["b"].ids() == ["2", "3"]
    [hold] = rig.holds()
    assert (hold.kind, hold.state) == (HoldKind.MERGE, HoldState.OPEN)
    assert rig.worlds["a"].ids() == ["2"]
    getattr(rig.operate(), answer)(hold.hold)
    for _ in range(3):
        rig.cycle()
    assert rig.worlds["a"].ids() == in_a
    assert rig.worlds["b"].record("3")["archived"] is False


@pytest.mark.parametrize("answer, in_b", [("release", ["1", "2"]), ("refuse", ["1", "2", "3"])])
def test_whether_a_record_stands_for_one_that_was_deleted_beside_it_is_still_asked(
    tmp_path: Path, answer: str, in_b: list[str]
) -> None:
    """Two records of one system may be one client, and one of them is deleted: the other is not made a second time where that client is."""
    rig = make_rig(tmp_path, ("a", "b"))
    shown = {"name": "Garage Petit", "phone": "+33123456789", "postal_code": "69001", "city": "Lyon"}
    rig.worlds["a"].add(**shown, email="g@petit.example")
    rig.worlds["a"].add(name="Somebody else", email="else@else.example")
    rig.settle()
    rig.worlds["a"].add(**shown, email="garage@petit.example")
    rig.cycle()
    [hold] = rig.holds()
    assert [(item["system"], item["external_id"]) for item in hold.items] == [("a", "1"), ("a", "3")]
    rig.worlds["a"].remove("1")
    for _ in range(5):
        rig.cycle()
    assert rig.worlds["b"].ids() == ["1", "2"]
    [asked] = rig.holds()
    assert (asked.hold, asked.state) == (hold.hold, HoldState.OPEN)
    getattr(rig.operate(), answer)(hold.hold)
    for _ in range(4):
        rig.cycle()
    assert rig.worlds["b"].ids() == in_b
    in_use = [each for each in in_b if rig.worlds["b"].record(each)["archived"] is False]
    assert [rig.worlds["b"].record(each)["email"] for each in in_use if each != "2"] == ["garage@petit.example"]
