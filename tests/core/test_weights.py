"""Scores: sums of weights that a tenant may set, explained in full, the same in either direction."""

from __future__ import annotations

import math
import random
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.correlate import (
    SHARERS_MAX,
    STRONG_SHARERS_MAX,
    Verdict,
    candidate_pairs,
    cluster,
    compare,
    identity,
    judge,
    keys_of,
    keys_signature,
    log_odds,
    match,
    match_keys,
    one_to_one,
)
from syncd.core.matching import MATCHING, Extra, Likeness, Matching, Weights
from syncd.core.model import Context

FR = Context()
SIREN, SIRET, OTHER = "732829320", "73282932000074", "303265045"
BORN = Extra("custom.born", Likeness.NUMBER, 8.0, 4.0, -3.0, key=True)
TOWN = Extra("region", Likeness.TEXT, 2.0, 1.0, -1.0)
FURTHER = Matching(extras=(BORN, TOWN))

VALUES: dict[str, list[Any]] = {
    "name": ["Acme", "Acme SARL", "Jean Martin", "MARTIN J.", "Żaneta Wójcik", "Zaneta Wojcik", "Client 1", "", None],
    "email": ["a@acme.example", "A@acme.example", "b@acme.example", "x@gmail.com", "", None],
    "phone": ["0612345678", "+33612345678", "0712345678", None],
    "registration_number": [SIREN, SIRET, OTHER, "732829321", "", None],
    "vat_number": ["FR44732829320", "FR40303265045", "PL5260250274", None],
    "postal_code": ["35000", "35 000", "29200", None],
    "address_line1": ["4 rue des Lilas", "rue des Lilas 4", "4 rue de Lila", "1 quai Sud", None],
    "city": ["Rennes", "RENNES", "Renne", "Brest", None],
    "country": ["FR", "PL", None],
    "kind": ["person", "company", None],
    "custom.born": ["19700101", "19700110", "1970-01-01", None],
    "region": ["Ille et Vilaine", "Vilaine, Ille et", "Ile et Vilaine", "Finistère", None],
}
RECORDS = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
WEIGHTS = st.builds(
    lambda numbers: Weights(**dict(zip([field.name for field in fields(Weights)], numbers, strict=True))),
    st.lists(st.floats(-10, 10), min_size=len(fields(Weights)), max_size=len(fields(Weights))),
)


@settings(max_examples=200, deadline=None)
@given(RECORDS, RECORDS, WEIGHTS, st.integers(0, 30))
def test_a_score_is_the_sum_of_what_explains_it(a: Any, b: Any, weights: Weights, count: int) -> None:
    """Prior and evidence add up to the total under any weights, in either direction, and reasons name no value."""
    matching = replace(FURTHER, weights=weights)
    verdict = compare(a, b, FR, lambda _key: count, matching)
    assert verdict.total == pytest.approx(weights.prior + sum(one.weight for one in verdict.evidence))
    turned = compare(b, a, FR, lambda _key: count, matching)
    assert (turned.zone, turned.contradictions, turned.evidence) == (
        verdict.zone,
        verdict.contradictions,
        verdict.evidence,
    )
    assert 0 <= verdict.score <= 1
    assert len({one.field for one in verdict.evidence}) == len(verdict.evidence)
    told = " ".join(verdict.reasons)
    assert not any(value in told for value in ("Acme", "Jean", "gmail", SIREN, "0612345678", "Lilas", "19700101"))


@settings(max_examples=200, deadline=None)
@given(RECORDS, RECORDS, WEIGHTS, st.integers(0, 30))
def test_weights_alone_never_link(a: Any, b: Any, weights: Weights, count: int) -> None:
    """Whatever the weights, a link has strong evidence and no contradiction, and its score reaches the tenant's threshold."""
    verdict = compare(a, b, FR, lambda _key: count, replace(FURTHER, weights=weights, propose=0.0, link=0.4))
    if verdict.contradictions:
        assert verdict.zone != "link"
    if verdict.zone == "link":
        assert verdict.matched_by in (
            "registration_number",
            "vat_number",
            "registration_number in vat_number",
            "email and name",
        )
        assert verdict.total >= log_odds(0.4)


@settings(max_examples=150, deadline=None)
@given(RECORDS, RECORDS, st.integers(1, 40), st.integers(1, 40))
def test_what_more_clients_share_proves_no_more(a: Any, b: Any, few: int, more: int) -> None:
    """A value shared by more clients never raises a score."""
    few, more = sorted((few, more))
    assert (
        compare(a, b, FR, lambda _key: more, FURTHER).total <= compare(a, b, FR, lambda _key: few, FURTHER).total + 1e-9
    )


def test_strong_evidence_below_the_threshold_is_proposed() -> None:
    """An equal e-mail with an agreeing name links from the tenant's threshold on; below it a person is asked."""
    a = {"name": "Jean Martin", "email": "jean@martin.example"}
    b = {"name": "J. Martin", "email": "jean@martin.example"}
    score = compare(a, b, FR, lambda _key: 1).score
    assert compare(a, b, FR, lambda _key: 1, replace(MATCHING, link=score - 0.001)).zone == "link"
    verdict = compare(a, b, FR, lambda _key: 1, replace(MATCHING, link=score + 0.001))
    assert (verdict.zone, verdict.matched_by) == ("propose", "email and name")


def test_further_fields_take_part() -> None:
    """A further field adds its weight for equal, near and different values, and finds candidates where it is a key."""
    a, near, far = ({"custom.born": value} for value in ("1970-01-01", "1970-01-10", "1985-05-05"))
    told = [compare(a, other, FR, lambda _key: 1, FURTHER).evidence for other in (a, near, far)]
    assert [(each[0].field, each[0].weight) for each in told] == [
        ("custom.born", 8.0),
        ("custom.born", 4.0),
        ("custom.born", -3.0),
    ]
    assert ("custom.born", "19700101") in match_keys(a, FR, FURTHER)
    assert not match_keys(a, FR)
    assert compare({"region": "Ille et Vilaine"}, {"region": "vilaine ILLE et"}, FR, lambda _key: 1, FURTHER).total == (
        Weights().prior + 2.0
    )
    assert keys_signature(FR, FURTHER) != keys_signature(FR) != keys_signature(Context("PL"))


def test_misspelt_records_share_a_key() -> None:
    """A slip in the name, in the postal code, or another script still leaves a key in common."""
    base = {"name": "Boulangerie Kerlouan SARL", "postal_code": "29890"}
    for other in (
        {"name": "Boulangerie Kerluan", "postal_code": "29890"},
        {"name": "Boulangerie Kerlouan", "postal_code": "28990"},
        {"name": "Boulangerrie Kerlouan"},
        {"name": "KERLOUAN boulangerie"},
    ):
        assert match_keys(base, FR) & match_keys(other, FR), other
    assert match_keys({"name": "Żaneta Wójcik"}, FR) & match_keys({"name": "zaneta wojcik"}, FR)


def test_a_key_of_too_many_brings_nobody_together() -> None:
    """Beyond the limit a key gives no pair at all; company numbers have a wider one; each pair comes once."""
    many = {
        ("email", "office@x.example"): list(range(SHARERS_MAX + 1)),
        ("name", "acme"): [3, 1],
        ("phone", "1"): [1, 3],
    }
    assert list(candidate_pairs(many, lambda _a, _b: True)) == [(1, 3)]
    assert list(candidate_pairs(many, lambda a, b: a + b > 4)) == []
    assert len(list(candidate_pairs({("reg", SIREN): list(range(30))}, lambda _a, _b: True))) == 435
    assert not list(candidate_pairs({("reg", SIREN): list(range(STRONG_SHARERS_MAX + 1))}, lambda _a, _b: True))


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, max_size=8), st.randoms(use_true_random=False))
def test_matching_a_set_ignores_its_order(records: list[Any], chance: random.Random) -> None:
    """The same records give the same pairs in any order, each sharing a key; clusters are a partition of them."""
    order = list(range(len(records)))
    chance.shuffle(order)
    identities = [identity(record, FR, FURTHER.extras) for record in records]
    found = {(a, b): verdict.zone for a, b, verdict in match(identities, FURTHER)}
    turned = {
        tuple(sorted((order[a], order[b]))): verdict.zone
        for a, b, verdict in match([identities[number] for number in order], FURTHER)
    }
    assert turned == found
    for a, b in found:
        assert keys_of(identities[a], FURTHER.extras) & keys_of(identities[b], FURTHER.extras)
    groups = cluster(
        len(records), [(a, b, judge(identities[a], identities[b], lambda _key: 1, FURTHER)) for a, b in found]
    )
    assert sorted(number for group in groups for number in group) == list(range(len(records)))
    sides = [number % 2 for number in range(len(records))]
    assert all(sides[a] != sides[b] for a, b, _ in match(identities, FURTHER, sides=sides))


def test_the_best_pair_of_each_record() -> None:
    """Of pairs that share a record the stronger one is kept."""
    pairs = [(0, 5, Verdict("propose", 1.0)), (1, 5, Verdict("propose", 3.0)), (0, 6, Verdict("propose", 0.5))]
    assert [(a, b) for a, b, _ in one_to_one(pairs)] == [(1, 5), (0, 6)]


def test_odds_and_probabilities_are_inverse() -> None:
    """Log-odds of a probability lead back to it; certain ones are endless."""
    assert log_odds(0.5) == 0
    assert log_odds(0.0) == -math.inf
    assert log_odds(1.0) == math.inf
