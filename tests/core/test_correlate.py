"""Which records are one client."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.correlate import Grouping, Node, Verdict, compare, group, identity, judge, match_keys
from syncd.core.model import Context

FR = Context()
SIREN, OTHER_SIREN = "732829320", "303265045"
SIRET, OTHER_SIRET = "73282932000074", "73282932000017"
VAT, NIP = "FR44732829320", "5260250274"

JEAN = {"name": "Jean Martin", "email": "jean@martin.example"}


def _alone(_key: tuple[str, str]) -> int:
    return 1


def _judge(a: dict[str, Any], b: dict[str, Any], count: int = 1) -> Verdict:
    verdict = compare(a, b, FR, lambda _key: count)
    mirrored = compare(b, a, FR, lambda _key: count)
    assert (mirrored.zone, mirrored.score, mirrored.contradictions) == (
        verdict.zone,
        verdict.score,
        verdict.contradictions,
    )
    return verdict


@pytest.mark.parametrize(
    "a, b, matched_by",
    [
        ({"registration_number": SIREN}, {"registration_number": "732 829 320"}, "registration_number"),
        ({"registration_number": SIREN}, {"registration_number": SIRET}, "registration_number"),
        ({"registration_number": "12345678A"}, {"registration_number": "12345678-a"}, "registration_number"),
        ({"vat_number": VAT}, {"vat_number": "fr 44 732 829 320"}, "vat_number"),
        ({"vat_number": VAT}, {"registration_number": SIRET}, "registration_number in vat_number"),
        (
            {"vat_number": "PL" + NIP},
            {"registration_number": NIP, "country": "PL"},
            "registration_number in vat_number",
        ),
        (JEAN, {"name": "MARTIN Jean", "email": "JEAN@Martin.example"}, "email and name"),
        (JEAN, {"given_name": "J.", "family_name": "Martin", "email": "jean@martin.example"}, "email and name"),
        (
            {"name": "Acme Translations SARL", "email": "a@acme.example"},
            {"name": "Acme Translation", "email": "a@acme.example"},
            "email and name",
        ),
        (
            {"registration_number": SIREN, "vat_number": VAT, "name": "Old name"},
            {"registration_number": SIREN, "vat_number": VAT, "name": "New name"},
            "registration_number",
        ),
    ],
)
def test_strong_evidence_links(a: dict[str, Any], b: dict[str, Any], matched_by: str) -> None:
    """Equal registration numbers, equal VAT numbers, or equal e-mail with agreeing names link by themselves."""
    verdict = _judge(a, b)
    assert verdict.zone == "link"
    assert verdict.matched_by == matched_by
    assert not verdict.contradictions


@pytest.mark.parametrize(
    "a, b",
    [
        ({"name": "Acme SARL"}, {"name": "SAS ACME"}),
        (
            {"name": "Jean Martin", "email": "a@b.c", "phone": "0612345678", "postal_code": "75001", "country": "FR"},
            {"name": "Jean Martin", "email": "d@e.f", "phone": "0712345678", "postal_code": "69001", "country": "BE"},
        ),
        ({"email": "a@acme.example"}, {"email": "a@acme.example", "name": "Acme"}),
        ({"email": "jean@acme.example", "name": "Acme"}, {"email": "jean@acme.example", "name": "Jean Martin"}),
        (
            {"name": "Jean Martin", "email": "both@martin.example"},
            {"name": "Jeanne Martin", "email": "both@martin.example"},
        ),
        ({"name": "Boulangerie Durand", "phone": "0612345678"}, {"name": "Boulangerie Durant", "phone": "0612345678"}),
        ({"name": "Acme", "registration_number": SIREN}, {"name": "Acme", "registration_number": NIP}),
        (
            {"registration_number": SIREN, "vat_number": "DE136695976"},
            {"registration_number": SIREN, "vat_number": VAT},
        ),
        ({**JEAN, "registration_number": SIREN}, {**JEAN, "registration_number": "732829321"}),
        (
            {"name": "Boulangerie Durand", "vat_number": "TVA non applicable, art. 293 B du CGI"},
            {"name": "Garage Petit", "vat_number": "TVA non applicable, art. 293 B du CGI"},
        ),
        (
            {"name": "Boulangerie Durand", "vat_number": "FR00000000000"},
            {"name": "Garage", "vat_number": "FR00000000000"},
        ),
        ({"name": "Durand", "registration_number": "12345678"}, {"name": "Garage", "registration_number": "12345678"}),
    ],
)
def test_weaker_evidence_is_proposed(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Equal names, an e-mail without agreeing name, strong evidence beside a contradiction, or a number that is none is asked about."""
    verdict = _judge(a, b)
    assert verdict.zone == "propose"
    assert verdict.reasons


@pytest.mark.parametrize(
    "a, b",
    [
        ({}, {}),
        ({"name": None, "email": ""}, {"name": None, "email": ""}),
        ({"name": "Client 17"}, {"name": "Client 18"}),
        ({"name": "Client 17", "phone": "0612345678"}, {"name": "Client 18", "phone": "0612345678"}),
        ({"name": "Jean Martin"}, {"name": "Jeanne Martin"}),
        ({"name": "Jean Martin", "phone": "0612345678"}, {"name": "Anna Nowak", "phone": "0612345678"}),
        (
            {"name": "Jean Martin", "postal_code": "75001", "address_line1": "1 rue X"},
            {"name": "Paul Martin", "postal_code": "75001", "address_line1": "1 rue X"},
        ),
        ({"name": "Acme", "registration_number": SIREN}, {"name": "Acme", "registration_number": OTHER_SIREN}),
        ({**JEAN, "registration_number": SIREN}, {**JEAN, "registration_number": OTHER_SIREN}),
        ({**JEAN, "vat_number": VAT}, {**JEAN, "vat_number": "FR40303265045"}),
        ({"name": "Acme", "vat_number": VAT}, {"name": "Acme", "registration_number": OTHER_SIREN}),
        ({"registration_number": "00000"}, {"registration_number": "00000"}),
        ({"name": "A", "email": "x@gmail.com"}, {"name": "B", "email": "y@gmail.com"}),
    ],
)
def test_the_rest_is_rejected(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Similar names alone, a shared phone of different names, and contradicting numbers prove nothing."""
    assert _judge(a, b).zone == "reject"


def test_two_establishments_are_disputed() -> None:
    """Two SIRETs of one SIREN are proposed as two establishments and never linked, whatever else is equal."""
    verdict = _judge(
        {**JEAN, "registration_number": SIRET, "vat_number": VAT},
        {**JEAN, "registration_number": OTHER_SIRET, "vat_number": VAT},
    )
    assert verdict.zone == "propose"
    assert "two establishments" in verdict.reasons[0]
    assert verdict.contradictions


def test_what_many_share_proves_nothing() -> None:
    """An e-mail or phone of more than three clients is no evidence, nor is a made-up number of as many."""
    contact = {"email": "office@acme.example", "phone": "0612345678"}
    assert _judge(contact, contact, 3).zone == "propose"
    assert _judge(contact, contact, 4).zone == "reject"
    assert _judge(JEAN, JEAN, 4).zone == "propose"
    assert _judge({"registration_number": "12345"}, {"registration_number": "12345"}, 4).zone == "reject"
    exempt = {"vat_number": "TVA non applicable, art. 293 B du CGI"}
    assert _judge(exempt, exempt, 4).zone == "reject"
    assert _judge({"registration_number": SIREN}, {"registration_number": SIREN}, 400).zone == "link"


def test_reasons_show_no_values() -> None:
    """Reasons and contradictions name fields and never show what is in them."""
    a = {"name": "Zygmunt", "email": "z@zyg.example", "phone": "0612345678", "registration_number": SIREN}
    b = {"name": "Zygmund", "email": "z@zyg.example", "phone": "0612345679", "registration_number": OTHER_SIREN}
    verdict = _judge(a, b)
    told = " ".join((*verdict.reasons, *verdict.contradictions)).casefold()
    assert not any(value.casefold() in told for value in (*a.values(), *b.values(), "zyg"))


def test_match_keys() -> None:
    """A record is found by its numbers, those inside them, its e-mail, phone and name; unusable values give no key."""
    fields = {
        "name": "Acme SARL",
        "email": "A@B.fr",
        "phone": "06 12 34 56 78",
        "registration_number": SIRET,
        "vat_number": VAT,
    }
    assert match_keys(fields, FR) == {
        ("reg", SIRET),
        ("reg", SIREN),
        ("siren", SIREN),
        ("siret", SIRET),
        ("vat", VAT),
        ("email", "a@b.fr"),
        ("phone", "+33612345678"),
        ("name", "acme"),
        ("domain", "b.fr"),
    }
    assert match_keys({"vat_number": "PL" + NIP}, FR) == {("vat", "PL" + NIP), ("reg", NIP)}
    assert match_keys({"registration_number": "732829321"}, FR) == {("reg", "732829321")}
    assert not match_keys(
        {"name": "", "email": "x", "phone": "12", "registration_number": "0000", "vat_number": {}}, FR
    )


NAMES = ["Acme", "Acme SARL", "Jean Martin", "MARTIN Jean", "Client 1", "Client 2"]
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(NAMES) | st.text(max_size=5),
        "email": st.sampled_from(["a@b.c", "A@b.c", "d@e.f", "", None, "x"]),
        "phone": st.sampled_from(["0612345678", "+33612345678", None]),
        "registration_number": st.sampled_from([SIREN, SIRET, OTHER_SIRET, OTHER_SIREN, NIP, "732829321", "", None]),
        "vat_number": st.sampled_from([VAT, "PL" + NIP, NIP, "FR40303265045", None]),
        "country": st.sampled_from(["FR", "PL", None]),
        "archived": st.booleans(),
    },
)


@settings(max_examples=200, deadline=None)
@given(RECORDS, RECORDS, st.integers(0, 5))
def test_verdicts_are_symmetric_and_found_by_keys(a: dict[str, Any], b: dict[str, Any], count: int) -> None:
    """A verdict has no direction; a contradiction never links; a link always shares a key; scores are from 0 to 1."""
    verdict = _judge(a, b, count)
    assert 0 <= verdict.score <= 1
    if verdict.contradictions:
        assert verdict.zone != "link"
    if verdict.zone == "link":
        assert match_keys(a, FR) & match_keys(b, FR)


def _node(system: str, number: int, fields: dict[str, Any], client: str | None = None) -> Node:
    return Node((system, str(number)), identity(fields, FR), client, active=fields.get("archived") is not True)


def _all_pairs(nodes: list[Node]) -> dict[Any, Verdict]:
    return {(a.ref, b.ref): judge(a.identity, b.identity, _alone) for a, b in combinations(nodes, 2)}


def _grouped(nodes: list[Node], apart: set[Any] | None = None) -> Grouping:
    return group(nodes, _all_pairs(nodes), apart or set())


def test_three_systems_are_one_client() -> None:
    """Records of three systems with equal numbers are one client."""
    nodes = [_node(system, 1, {"registration_number": SIREN}) for system in "abc"]
    assert _grouped(nodes).links == (tuple(node.ref for node in nodes),)


def test_two_records_of_one_system_are_disputed() -> None:
    """Two active records of one system are never linked by themselves; an archived one does not count."""
    nodes = [_node("a", 1, {"vat_number": VAT}), _node("a", 2, {"vat_number": VAT}), _node("b", 1, {"vat_number": VAT})]
    found = _grouped(nodes)
    assert not found.links
    assert found.disputed[0].refs == tuple(node.ref for node in nodes)
    assert "active records of a" in found.disputed[0].reason
    nodes[0] = _node("a", 1, {"vat_number": VAT, "archived": True})
    assert len(_grouped(nodes).links) == 1


def test_clients_count_all_their_systems() -> None:
    """A client that already has a record in a system does not get a second one through another of its records."""
    nodes = [
        _node("a", 1, {"name": "Acme"}, "c1"),
        _node("b", 1, {"vat_number": VAT}, "c1"),
        _node("a", 2, {"vat_number": VAT}),
    ]
    found = _grouped(nodes)
    assert not found.links
    assert len(found.disputed) == 1
    assert _grouped(nodes[:2]) == Grouping((), (), ())


def test_establishments_do_not_meet_through_their_company() -> None:
    """Two SIRETs that would each link to one SIREN are disputed together."""
    nodes = [
        _node("a", 1, {"registration_number": SIRET}),
        _node("b", 1, {"registration_number": SIREN}),
        _node("c", 1, {"registration_number": OTHER_SIRET}),
    ]
    pairs = {(nodes[0].ref, nodes[1].ref), (nodes[1].ref, nodes[2].ref)}
    candidates = {pair: verdict for pair, verdict in _all_pairs(nodes).items() if pair in pairs}
    found = group(nodes, candidates, set())
    assert not found.links
    assert "two establishments" in found.disputed[0].reason


def test_apart_holds_for_ever() -> None:
    """Records kept apart are neither linked nor proposed again, and a third that fits both links with neither."""
    a, b, c = (_node(system, 1, {"vat_number": VAT}) for system in "abc")
    assert _grouped([a, b], {(b.ref, a.ref)}) == Grouping((), (), ())
    found = _grouped([a, b, c], {(a.ref, b.ref)})
    assert not found.links
    assert found.disputed[0].refs == (a.ref, b.ref, c.ref)


def test_apart_forbids_proposals_through_a_third() -> None:
    """Nothing is proposed that would bring together what is kept apart."""
    a = _node("a", 1, {"vat_number": VAT, "name": "Acme"})
    b = _node("b", 1, {"vat_number": VAT})
    c = _node("c", 1, {"name": "Acme"})
    assert len(_grouped([a, b, c]).proposals) == 1
    assert not _grouped([a, b, c], {(b.ref, c.ref)}).proposals


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[list[Node], set[Any]]:
    count = draw(st.integers(0, 7))
    nodes = [
        _node(draw(st.sampled_from("abc")), number, draw(RECORDS), draw(st.sampled_from([None, None, "c1", "c2"])))
        for number in range(count)
    ]
    pairs = list(combinations([node.ref for node in nodes], 2))
    return nodes, draw(st.sets(st.sampled_from(pairs), max_size=2)) if pairs else set()


@settings(max_examples=120, deadline=None)
@given(_worlds(), st.randoms(use_true_random=False))
def test_grouping_laws(world: tuple[list[Node], set[Any]], chance: random.Random) -> None:
    """Grouping ignores order and direction, is a partition, and never links contradictory, crowded or apart records."""
    nodes, apart = world
    found = _grouped(nodes, apart)
    pairs = list(_all_pairs(nodes).items())
    shuffled = list(nodes)
    chance.shuffle(shuffled)
    chance.shuffle(pairs)
    turned = {pair if chance.random() < 0.5 else pair[::-1]: verdict for pair, verdict in pairs}
    assert group(shuffled, turned, {pair[::-1] for pair in apart}) == found

    known = {node.ref: node for node in nodes}
    linked = [ref for refs in found.links for ref in refs]
    told = linked + [ref for dispute in found.disputed for ref in dispute.refs]
    assert len(told) == len(set(told))
    assert set(told) <= known.keys()
    for refs in found.links:
        for a, b in combinations([known[ref] for ref in refs], 2):
            if a.client is None or a.client != b.client:
                assert (a.ref, b.ref) not in apart
                assert (b.ref, a.ref) not in apart
                assert not judge(a.identity, b.identity, _alone).contradictions
                assert not (a.system == b.system and a.active and b.active)
    for client in ("c1", "c2"):
        own = {node.ref for node in nodes if node.client == client}
        assert all(not own & set(refs) or own <= set(refs) for refs in found.links)
    for proposal in found.proposals:
        assert (proposal.a, proposal.b) not in apart
        assert proposal.reasons
