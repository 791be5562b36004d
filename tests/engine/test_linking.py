"""How records find their client: all records of a client count, whatever the order and the size of the batches."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from syncd.core.matching import Extra, Matching
from syncd.engine import linking
from syncd.store import HoldKind
from tests.engine.rig import Rig, make_rig

VAT = "FR44732829320"
SIREN = "732829320"
OTHER_SIREN = "303265045"


def _rig(tmp_path: Path, names: tuple[str, ...] = ("a", "b")) -> Rig:
    """A tenant under review: records are linked, nothing is written."""
    rig = make_rig(tmp_path, names)
    rig.change_policy(first_run="review")
    return rig


def _owners(rig: Rig) -> dict[tuple[str, str], str]:
    store = rig.store()
    with store.reading() as tx:
        links = tx.links_of([row.client for row in tx.clients()])
    store.close()
    return {(link.system, link.external_id): client for client, mine in links.items() for link in mine}


def _partition(rig: Rig) -> set[frozenset[tuple[str, str]]]:
    owners = _owners(rig)
    return {frozenset(ref for ref, client in owners.items() if client == each) for each in owners.values()}


def _doubts(rig: Rig) -> list[str]:
    return [hold.reason for hold in rig.holds() if hold.kind in (HoldKind.LINK, HoldKind.MERGE)]


def test_a_second_record_of_a_system_is_disputed_whichever_record_it_resembles(tmp_path: Path) -> None:
    """A new record that shares its number with one record of a client that is in its own system already is not linked."""
    rig = _rig(tmp_path)
    rig.worlds["a"].add(name="ACME", email="info@acme.fr")
    rig.worlds["b"].add(name="ACME", email="info@acme.fr", vat_number=VAT)
    rig.cycle()
    assert len(set(_owners(rig).values())) == 1
    rig.worlds["a"].add(name="Something else", vat_number=VAT)
    rig.cycle()
    owners = _owners(rig)
    assert owners["a", "2"] != owners["a", "1"] == owners["b", "1"]
    assert _doubts(rig) == ["disputed: several active records of a"]


def test_a_number_that_another_record_of_the_client_contradicts_does_not_link(tmp_path: Path) -> None:
    """A contradiction counts although it is with a record of the client that shares nothing with the new one."""
    rig = _rig(tmp_path, ("a", "b", "c"))
    rig.worlds["a"].add(name="ACME", email="info@acme.fr", registration_number=SIREN)
    rig.worlds["b"].add(name="ACME", email="info@acme.fr")
    rig.cycle()
    rig.worlds["c"].add(name="ACME", email="info@acme.fr", registration_number=OTHER_SIREN)
    rig.cycle()
    owners = _owners(rig)
    assert owners["a", "1"] == owners["b", "1"] != owners["c", "1"]


def test_apart_from_one_record_is_apart_from_its_client(tmp_path: Path) -> None:
    """A record kept apart from one record of a client is not linked to the others, which share their number with it."""
    rig = _rig(tmp_path, ("a", "b", "c"))
    rig.worlds["a"].add(name="ACME", email="info@acme.fr", vat_number=VAT)
    rig.worlds["b"].add(name="ACME", email="info@acme.fr")
    rig.cycle()
    store = rig.store()
    with store.writing(operator=True) as tx:
        tx.add_apart([(("c", "1"), ("b", "1"))])
    store.close()
    rig.worlds["c"].add(name="ACME Conseil", vat_number=VAT)
    rig.cycle()
    owners = _owners(rig)
    assert owners["c", "1"] != owners["a", "1"] == owners["b", "1"]
    assert _doubts(rig) == []


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_batches_do_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """However many records are linked at a time, the clients are the same: strong evidence is followed to its end."""
    monkeypatch.setattr(linking, "BATCH", batch)
    rig = _rig(tmp_path, ("a", "b", "c"))
    rig.worlds["a"].add(name="ACME", vat_number=VAT)
    rig.worlds["a"].add(name="Jean Martin", email="jean@martin.example")
    rig.worlds["a"].add(name="Twice", registration_number=OTHER_SIREN)
    rig.worlds["b"].add(name="Jean Martin", email="jean@martin.example")
    rig.worlds["b"].add(name="Alone")
    rig.worlds["b"].add(name="Once", registration_number=OTHER_SIREN)
    rig.worlds["c"].add(name="Acme services", registration_number=SIREN)
    rig.worlds["c"].add(name="J. Martin", email="jean@martin.example")
    rig.worlds["a"].add(name="Twice again", registration_number=OTHER_SIREN)
    rig.cycle()
    assert {each for each in _partition(rig) if len(each) > 1} == {
        frozenset({("a", "1"), ("c", "1")}),
        frozenset({("a", "2"), ("b", "1"), ("c", "2")}),
    }
    assert sorted(_doubts(rig)) == ["disputed: several active records of a"]


def test_new_keys_are_made_for_records_that_are_there(tmp_path: Path) -> None:
    """A further field that becomes a key finds the records that were read before it was one."""
    rig = _rig(tmp_path)
    rig.worlds["a"].add(name="Boulangerie Kerlouan", iban="FR7630006000011234567890189")
    rig.cycle()
    rig.change_policy(matching=Matching(extras=(Extra("iban", equal=9.0, near=9.0, differs=0.0, key=True),)))
    rig.worlds["b"].add(name="Les Fournils d'Armor", iban="FR76 3000 6000 0112 3456 7890 189")
    rig.cycle()
    (reason,) = _doubts(rig)
    assert "iban: equal (+9.00)" in reason


def test_what_very_many_share_brings_nobody_together(tmp_path: Path) -> None:
    """An e-mail and a name that thirty records share propose nothing, and an equal number still links beside them."""
    rig = _rig(tmp_path)
    for number in range(30):
        vat = {"vat_number": VAT} if number == 7 else {}
        rig.worlds["a"].add(name="Accueil", email="office@tower.example", **vat)
    rig.worlds["b"].add(name="Accueil", email="office@tower.example", vat_number=VAT)
    rig.cycle()
    owners = _owners(rig)
    assert owners["b", "1"] == owners["a", "8"]
    assert len(set(owners.values())) == 30
    assert _doubts(rig) == []


def test_a_score_is_told_field_by_field(tmp_path: Path) -> None:
    """The weights kept with a proposal add up to its score."""
    rig = _rig(tmp_path)
    rig.worlds["a"].add(name="Jean Martin", phone="0612345678", city="Rennes", country="FR")
    rig.worlds["b"].add(name="Martin Jean", phone="06 12 34 56 78", city="Brest", country="FR")
    rig.cycle()
    (hold,) = [hold for hold in rig.holds() if hold.kind is HoldKind.LINK]
    for item in hold.items:
        total = sum(float(each["weight"]) for each in item["evidence"])
        assert float(item["score"]) == pytest.approx(1 / (1 + math.exp(-total)), abs=0.01)
        assert [each["field"] for each in item["evidence"]] == ["prior", "name", "phone", "city"]


def test_the_first_run_report_counts_every_record_once(tmp_path: Path) -> None:
    """Linked, proposed, ambiguous and new add up to the records of each system, with the evidence counted."""
    rig = _rig(tmp_path)
    rig.worlds["a"].add(name="ACME", vat_number=VAT)
    rig.worlds["b"].add(name="ACME", vat_number=VAT)
    rig.worlds["a"].add(name="Jean Martin")
    rig.worlds["b"].add(name="Jean Martin")
    rig.worlds["a"].add(name="Alone")
    rig.worlds["a"].add(name="Twice", registration_number=OTHER_SIREN)
    rig.worlds["b"].add(name="Once", registration_number=OTHER_SIREN)
    rig.worlds["b"].add(name="Once again", registration_number=OTHER_SIREN)
    rig.cycle()
    (report,) = [hold.items for hold in rig.holds() if hold.kind is HoldKind.FIRST_RUN]
    told = [
        {key: row[key] for key in ("system", "records", "linked", "proposed", "ambiguous", "new")} for row in report
    ]
    assert told == [
        {"system": "a", "records": 4, "linked": 1, "proposed": 1, "ambiguous": 1, "new": 1},
        {"system": "b", "records": 4, "linked": 1, "proposed": 1, "ambiguous": 2, "new": 0},
    ]
    assert report[1]["matched_by"] == {"vat_number": 1}
