"""A refusal concerns what was shown, and nothing that came in since."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.model import Brake, BrakeKind
from syncd.errors import UsageError
from syncd.providers.memory import Call
from syncd.store import HoldKind, HoldState
from tests.engine.rig import Rig, make_rig

NUMBERS = [str(number) for number in range(1, 21)]


class Killed(BaseException):
    """The process dies here."""


def twenty(folder: Path) -> Rig:
    """Twenty clients in two systems."""
    rig = make_rig(folder, ("a", "b"))
    for number in NUMBERS:
        name = f"Maison {chr(64 + int(number))}{chr(96 + int(number))}x"
        rig.worlds["a"].add(name=name, email=f"c{number}@example.fr", phone=f"+331426853{int(number):02}", city="Lyon")
    rig.settle()
    return rig


def read_and_not_decided(rig: Rig) -> None:
    """Everything of a is read, and syncd dies before it decides."""

    def die(_call: Call) -> None:
        raise Killed

    rig.worlds["b"].before.append(die)
    with pytest.raises(Killed):
        rig.cycle()
    rig.worlds["b"].before.clear()


def test_a_refused_set_takes_no_edit_that_nobody_has_seen(tmp_path: Path) -> None:
    """An edit that was read after the set was shown stands; what was shown is written back, also where another field was edited since."""
    rig = twenty(tmp_path)
    for number in NUMBERS[:8]:
        rig.worlds["a"].edit(number, city="Paris")
    rig.cycle()
    (hold,) = rig.holds()
    rig.worlds["a"].edit("1", city="Lille")
    rig.worlds["a"].edit("2", phone="+33142685399")
    read_and_not_decided(rig)
    rig.operate().refuse(hold.hold)
    rig.settle()
    for name in ("a", "b"):
        assert [rig.worlds[name].record(number)["city"] for number in NUMBERS] == ["Lille", *["Lyon"] * 19]
        assert rig.worlds[name].record("2")["phone"] == "+33142685399"
    assert rig.holds() == []


def test_a_refused_set_of_contacts_takes_no_edit_that_nobody_has_seen(tmp_path: Path) -> None:
    """The same goes for a value of a contact."""
    rig = make_rig(tmp_path, ("a", "b"))
    for number in NUMBERS:
        contact = {"given_name": "Ada", "family_name": f"Byron {number}", "role": "buyer"}
        rig.worlds["a"].add(name=f"Firma {number}", email=f"f{number}@example.fr", contacts=[contact])
    rig.settle()

    def become(number: str, role: str) -> None:
        (contact,) = rig.worlds["a"].record(number)["contacts"]
        rig.worlds["a"].edit(number, contacts=[{**contact, "role": role}])

    for number in NUMBERS[:8]:
        become(number, "owner")
    rig.cycle()
    (hold,) = rig.holds()
    become("1", "partner")
    read_and_not_decided(rig)
    rig.operate().refuse(hold.hold)
    rig.settle()
    for name in ("a", "b"):
        roles = [rig.worlds[name].record(number)["contacts"][0]["role"] for number in NUMBERS]
        assert roles == ["partner", *["buyer"] * 19]


def test_a_refused_mass_delete_ends_no_record_that_is_back(tmp_path: Path) -> None:
    """A record that was read again after the set was shown is there: it stays linked, and the others are gone."""
    rig = twenty(tmp_path)
    before = rig.worlds["a"].snapshot()
    for number in NUMBERS[:8]:
        rig.worlds["a"].remove(number)
    for _ in range(3):
        rig.cycle()
    (hold,) = rig.holds()
    rig.worlds["a"].restore(before)
    for number in NUMBERS[1:8]:
        rig.worlds["a"].remove(number)
    read_and_not_decided(rig)
    assert rig.operate().refuse(hold.hold).state is HoldState.REFUSED
    rig.settle()
    rig.worlds["a"].edit("1", city="Lille")
    rig.settle()
    assert rig.worlds["b"].record("1")["city"] == "Lille"
    assert [rig.worlds["b"].record(number)["archived"] for number in NUMBERS] == [False] * 20


def test_a_refused_set_of_merges_holds_for_who_was_merged_meanwhile(tmp_path: Path) -> None:
    """Of a set of merges that is refused, a client that a person merged into a third one since is kept apart under its new name."""
    rig = make_rig(tmp_path, ("a", "b"), merges="auto", brakes={BrakeKind.MERGES: Brake(0, 0.0)})
    for name in ("Alpha SARL", "Alpha SARL"):
        rig.worlds["a"].add(name=name, registration_number="732829320")
    rig.worlds["a"].add(name="Zulu SAS", email="z@zulu.example")
    rig.settle()
    (hold,) = rig.holds()
    assert hold.kind is HoldKind.BRAKE
    (item,) = hold.items
    (third,) = {row.client for row in rig.clients()} - {item["client"], item["into"]}
    rig.operate().merge(third, item["into"])
    rig.operate().refuse(hold.hold)
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().merge(third, item["client"])
