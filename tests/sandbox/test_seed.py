"""The seed data: reproducible, valid, overlapping, and without ambiguity unless asked for."""

from __future__ import annotations

import time
from collections import Counter

import phonenumbers
import pytest
from stdnum import iban
from stdnum.ca import bn
from stdnum.fr import siren, siret, tva
from stdnum.pl import nip

from syncd.sandbox.world import PROVIDERS, World


@pytest.fixture(scope="module")
def world():
    return World(7, 300, adversarial=False)


def all_records(world):
    return {provider: world.records(provider, form="single") for provider in PROVIDERS}


def test_the_seed_decides_everything(world):
    """The same seed gives the same records; another seed gives others."""
    assert all_records(World(7, 300, adversarial=False)) == all_records(world)
    assert all_records(World(8, 300, adversarial=False)) != all_records(world)


def test_numbers_are_valid(world):
    """Every SIREN, SIRET, VAT number, NIP, business number, IBAN and phone number is valid."""
    for row in world.records("tiime"):
        assert not row["siret"] or siret.is_valid(row["siret"])
        assert not row["iban"] or iban.is_valid(row["iban"])
        number = row["intracom_vat_number"]
        assert not number or (tva.is_valid(number) if number.startswith("FR") else nip.is_valid(number[2:]))
        if row["phone"]:
            assert phonenumbers.is_valid_number(phonenumbers.parse(row["phone"], row["country_code"]))
    check = {"FR": siren.is_valid, "PL": nip.is_valid, "CA": bn.is_valid}
    for row in world.records("flowtly"):
        assert "tin" not in row or check[row["tinCountry"]](row["tin"])
    for row in world.records("smartbills"):
        if row["phone"]:
            country = "CA" if row["locale"] == "fr-CA" else "FR"
            assert phonenumbers.is_valid_number(phonenumbers.parse(row["phone"], country))


def test_overlap_gaps_and_archived(world):
    """Parties are in one, two or three systems; some are archived, lack an address or a phone, have notes and contacts."""
    spread = Counter(len(party["records"]) for party in world.truth)
    assert set(spread) == {1, 2, 3}
    assert all(len(ids) == 1 for party in world.truth for ids in party["records"].values())
    lsp = world.records("lsp_expert")
    assert any(row["archived"] for row in lsp)
    assert any("line1" not in row["address"] for row in lsp)
    assert any(row["notes"] for row in lsp)
    assert any(len(row["contacts"]) > 1 for row in lsp)
    assert any(row["status"] == "inactive" for row in world.records("flowtly"))
    assert any(row["phone"] is None for row in world.records("smartbills"))
    assert any(not row["name"].isascii() for row in lsp)


def test_no_ambiguity_by_default(world):
    """Numbers, e-mails and names are each of one party, and parties of two systems share a number or an e-mail."""
    owners = {}
    for party in world.truth:
        for provider, ids in party["records"].items():
            for row_id in ids:
                owners[provider, row_id] = party["party"]
    emails, numbers = {}, {}
    for provider in PROVIDERS:
        for row in world.records(provider):
            owner = owners[provider, str(row["id"])]
            contacts = row.get("contacts", row.get("clientContacts", []))
            for email in [row.get("email"), *(contact.get("email") for contact in contacts)]:
                if email:
                    emails.setdefault(email.casefold(), set()).add(owner)
            number = row.get("siren") or row.get("nationalIdentificationNumber") or row.get("tin")
            if number:
                numbers.setdefault(number.replace(" ", ""), set()).add(owner)
    assert all(len(found) == 1 for found in (*emails.values(), *numbers.values()))
    assert len(emails) > 250


def test_adversarial_parties_come_on_top():
    """The misleading pairs are added to the honest ones and labelled with the truth."""
    world = World(7, 12, adversarial=True)
    truth = {party["party"]: party["records"] for party in world.truth}
    assert len(truth["twice"]["smartbills"]) == 2
    assert set(truth["renamed"]) == {"tiime", "lsp_expert"}
    first, second = (
        world.systems["tiime"].tables["clients"].rows[truth[label]["tiime"][0]] for label in ("site-a", "site-b")
    )
    assert first["siren"] == second["siren"]
    assert first["siret"] != second["siret"]
    shared = [row for row in world.records("tiime") if row["email"] == "accueil@pepiniere.example"]
    assert len(shared) == 2
    assert {"father", "son", "twin-lea", "twin-leo", "transliterated", "namesake-person"} <= set(truth)


def test_size_scales():
    """clients=0 is an empty world; thousands are made quickly."""
    assert all(World(1, 0, adversarial=False).records(provider) == [] for provider in PROVIDERS)
    began = time.process_time()
    assert len(World(1, 3000, adversarial=False).truth) == 3000
    assert time.process_time() - began < 5
