"""Clients that were two at the first look, and that somebody makes look like one by what is typed later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.model import Mode
from syncd.providers.memory import Profile
from syncd.store import ClientState, HoldKind, HoldRow, StandingState
from tests.engine.rig import Rig, make_rig, writes
from tests.engine.test_merging import links
from tests.engine.test_trail import assert_complete

PHONE = "+33612345678"
OTHER = "+33612345699"


def two_martins(folder: Path, **policy: object) -> Rig:
    """Two clients of nearly one name in both systems, who have nothing else in common."""
    rig = make_rig(folder, ("a", "b"), **policy)  # type: ignore[arg-type]
    rig.worlds["a"].add(name="Jean Martin", phone=PHONE, city="Rennes", country="FR")
    rig.worlds["a"].add(name="Boulangerie Durand", phone=OTHER, city="Brest", country="FR")
    rig.settle()
    assert proposals(rig) == []
    return rig


def proposals(rig: Rig) -> list[HoldRow]:
    return [hold for hold in rig.holds() if hold.kind in (HoldKind.LINK, HoldKind.MERGE)]


def make_alike(rig: Rig, system: str = "b") -> None:
    rig.worlds[system].edit("2", name="Martin Jean", phone=PHONE)


def test_what_is_typed_later_makes_a_proposal_once(tmp_path: Path) -> None:
    """A name and a phone that are typed into a linked record make one proposal with its reasons; nothing is done without a person."""
    rig = two_martins(tmp_path, merges="auto")
    make_alike(rig)
    rig.settle()
    (hold,) = proposals(rig)
    assert (hold.kind, {item["client"] for item in hold.items}) == (HoldKind.MERGE, {"c1", "c2"})
    assert "phone: equal" in hold.reason
    assert float(hold.items[0]["score"]) > 0.5
    rig.worlds["a"].edit("2", city="Rennes")
    rig.settle()
    assert [each.hold for each in proposals(rig)] == [hold.hold]
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 2
    assert writes(rig.cycle()) == 0
    rig.operate().release(hold.hold)
    rig.settle()
    assert rig.clients()[1].merged_into == "c1"
    assert_complete(rig)


def test_a_refusal_is_for_ever(tmp_path: Path) -> None:
    """Refused, the two are not proposed again, whatever is typed."""
    rig = two_martins(tmp_path)
    make_alike(rig)
    rig.settle()
    rig.operate().refuse(proposals(rig)[0].hold)
    for phone in (OTHER, PHONE):
        rig.worlds["b"].edit("2", phone=phone)
        rig.settle()
    assert proposals(rig) == []


def test_a_proposal_ends_where_they_are_made_unlike(tmp_path: Path) -> None:
    """What is typed back takes the proposal with it; typed again, they are asked about again."""
    rig = two_martins(tmp_path)
    make_alike(rig)
    rig.settle()
    (first,) = proposals(rig)
    rig.worlds["a"].edit("1", name="Cordonnerie Petit", phone="+33612345600")
    rig.settle()
    assert proposals(rig) == []
    rig.worlds["a"].edit("1", name="Jean Martin", phone=PHONE)
    rig.settle()
    (again,) = proposals(rig)
    assert again.hold != first.hold


def test_a_client_that_waited_for_a_proposal_goes_on_when_it_ends(tmp_path: Path) -> None:
    """What was not created while a person was asked is created in the cycle in which the question ends by itself, and nothing is told as held."""
    needs = Profile(objects=lambda fields: None if fields.get("email") else "a client needs an e-mail")
    rig = make_rig(tmp_path, ("a", "b", "c"), profiles={"c": needs})
    rig.worlds["a"].add(name="Jean Martin", phone=PHONE, city="Rennes", country="FR")
    rig.worlds["a"].add(name="Boulangerie Durand", phone=OTHER, city="Brest", country="FR")
    rig.settle()
    make_alike(rig)
    rig.settle()
    rig.worlds["a"].edit("2", email="pain@durand.example")
    rig.settle()
    assert len(proposals(rig)) == 1
    assert rig.worlds["c"].ids() == []
    for system in (
        "a",
        "b",
    ):  # in both, so that nothing is to be written there that would have the client decided again
        rig.worlds[system].edit("2", name="Boulangerie Durand", phone=OTHER)
    rig.cycle()
    assert proposals(rig) == []
    store = rig.store()
    with store.reading() as tx:
        assert [each for each in tx.standings() if each.state is StandingState.HELD] == []
    store.close()
    assert [rig.worlds["c"].record(each)["email"] for each in rig.worlds["c"].ids()] == ["pain@durand.example"]


def test_who_resembled_before_is_not_proposed_again(tmp_path: Path) -> None:
    """A pair that the first look has proposed does not come up a second time because of an edit that keeps it as it was."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="Jean Martin", phone=PHONE, city="Rennes", country="FR")
    rig.worlds["b"].add(name="Martin Jean", phone=PHONE, city="Brest", country="FR")
    rig.settle()
    (hold,) = proposals(rig)
    rig.worlds["b"].edit("1", email="jean@martin.example")
    rig.settle()
    assert [each.hold for each in proposals(rig)] == [hold.hold]
    assert "typed" not in hold.items[0]


def test_what_many_share_proposes_nobody(tmp_path: Path) -> None:
    """A phone of five clients, typed into a sixth one's record, makes no proposal: it proves nothing."""
    rig = make_rig(tmp_path, ("a", "b"))
    for name in ("Alpha", "Bravo", "Charlie", "Delta", "Echo"):
        rig.worlds["a"].add(name=f"{name} Conseil", phone=PHONE)
    rig.worlds["a"].add(name="Foxtrot Conseil", phone=OTHER)
    rig.settle()
    before = [each.hold for each in proposals(rig)]
    rig.worlds["b"].edit("6", phone=PHONE)
    rig.settle()
    assert [each.hold for each in proposals(rig)] == before


def test_what_a_new_record_brings_was_weighed_with_it(tmp_path: Path) -> None:
    """A record of a system that is read later, and fills a client, is weighed by its own first look and not by this one."""
    rig = make_rig(tmp_path, ("a", "b"))
    modes = rig.systems
    rig.change_policy(systems=(modes[0], replace(modes[1], mode=Mode.OBSERVE)))
    rig.worlds["a"].add(name="Jean Martin", registration_number="732829320")
    rig.worlds["a"].add(name="J. Martin", phone=PHONE)
    rig.settle()
    rig.worlds["b"].add(name="Accueil", registration_number="732829320", phone=PHONE)
    rig.settle()
    assert rig.clients()[0].fields["phone"] == PHONE
    assert proposals(rig) == []
    rig.worlds["a"].edit("1", phone=OTHER)
    rig.settle()
    rig.worlds["a"].edit("1", phone=PHONE)
    rig.settle()
    assert len(proposals(rig)) == 1


def test_two_companies_that_share_a_name_and_a_phone_stay_two(tmp_path: Path) -> None:
    """Different numbers say that they are two, whatever is typed."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME Europe", registration_number="732829320", phone=PHONE)
    rig.worlds["a"].add(name="Durand", registration_number="552100554", phone=OTHER)
    rig.settle()
    rig.worlds["a"].edit("2", name="ACME Europe", phone=PHONE)
    rig.settle()
    assert proposals(rig) == []


@pytest.mark.parametrize("system", ["a", "b"])
def test_the_order_of_the_systems_means_nothing(tmp_path: Path, system: str) -> None:
    """Whichever record it is typed into, the same pair is proposed, with the records of both."""
    rig = two_martins(tmp_path)
    make_alike(rig, system)
    rig.settle()
    (hold,) = proposals(rig)
    assert {(item["system"], item["external_id"]) for item in hold.items} == set(links(rig))


def test_both_edited_in_one_cycle_are_proposed_once(tmp_path: Path) -> None:
    """Where each of the two gets one half of what makes them alike, there is one proposal."""
    rig = two_martins(tmp_path)
    rig.worlds["a"].edit("1", phone="+33612345611")
    rig.worlds["b"].edit("2", name="Jean Martin", phone="+33612345611")
    rig.settle()
    assert len(proposals(rig)) == 1


def test_two_of_whom_a_system_asks_are_not_asked_about_a_second_time(tmp_path: Path) -> None:
    """A proposal that a system's refusal made names one client and a record; whose record that is is asked about with it, once."""
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": Profile(unique=frozenset({"email"}))})
    rig.worlds["a"].add(name="Jean Martin", phone=PHONE, email="jean@martin.example", city="Rennes", country="FR")
    rig.worlds["a"].add(name="Boulangerie Durand", phone=OTHER, email="b@durand.example", city="Brest", country="FR")
    rig.settle()
    rig.worlds["a"].edit("2", email="jean@martin.example")
    rig.settle()
    (hold,) = proposals(rig)
    assert {item["client"] for item in hold.items} == {"c2"}
    rig.worlds["a"].edit("2", name="Martin Jean", phone=PHONE)
    rig.settle()
    assert [each.hold for each in proposals(rig)] == [hold.hold]
    rig.operate().refuse(hold.hold)
    for phone in (OTHER, PHONE):
        rig.worlds["a"].edit("2", phone=phone)
        rig.settle()
    assert proposals(rig) == []
