"""Section [matching] of a tenant's file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from syncd import config as configuration
from syncd.core.matching import MATCHING, Extra, Likeness, Matching, Weights
from syncd.errors import ConfigError

ROOT = Path(__file__).parents[2]


def _problem(config, shop: str, text: str) -> str:
    config.tenant(shop + text)
    with pytest.raises(ConfigError) as caught:
        configuration.load_strict(config.folder)
    (line,) = caught.value.problems
    return line


def test_without_the_section_the_defaults_hold(config, shop) -> None:
    """A file without [matching] has the weights and thresholds that syncd ships."""
    config.tenant(shop)
    (tenant,) = configuration.load_strict(config.folder).tenants
    assert tenant.policy.matching == MATCHING


def test_the_example_states_the_defaults(config) -> None:
    """The commented example names every weight with its default."""
    text = (ROOT / "config" / "tenants" / "example.toml").read_text()
    config.tenant(text, "example.toml")
    (tenant,) = configuration.load_strict(config.folder).tenants
    assert tenant.policy.matching.weights == Weights()
    assert (tenant.policy.matching.propose, tenant.policy.matching.link) == (MATCHING.propose, MATCHING.link)
    assert [name for name in asdict(Weights()) if f"\n{name} = " not in text] == []


def test_the_section_arrives_in_the_policy(config, shop) -> None:
    """Thresholds, weights and further fields arrive where the core looks for them, and change what a plan is bound to."""
    config.tenant(shop)
    before = configuration.load_strict(config.folder).tenants[0].policy.digest
    config.tenant(
        f"{shop}\n[matching]\npropose = 0.4\nlink = 0.99\n[matching.weights]\nname_equal = 5.5\n"
        '[matching.fields."custom.born"]\nlikeness = "number"\nequal = 8\nnear = 4\ndiffers = -3\nkey = true\n'
    )
    policy = configuration.load_strict(config.folder).tenants[0].policy
    born = Extra("custom.born", Likeness.NUMBER, 8.0, 4.0, -3.0, key=True)
    assert policy.matching == Matching(Weights(name_equal=5.5), 0.4, 0.99, (born,))
    assert policy.digest != before


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[matching]\npropose = 1.5\n", "matching.propose: "),
        ("[matching]\npropose = 0.8\nlink = 0.7\n", "matching.link: found 0.7, below matching.propose"),
        ("[matching.weights]\nname_equals = 1.0\n", "did you mean `name_equal`?"),
        ("[matching.weights]\nphone_equal = 99.0\n", "matching.weights.phone_equal: "),
        ("[matching.weights]\nphone_equal = -1.0\n", "matching.weights.phone_differs: found more than phone_equal"),
        ("[matching.weights]\nname_common = 1.0\n", "matching.weights.name_common: found 1.0"),
        (
            "[matching.fields]\nemail = { equal = 2.0 }\n",
            "matching.fields.email: found a field that is compared anyway",
        ),
        ("[matching.fields]\nnotes = { equal = 2.0 }\n", "matching.fields.notes: found"),
        (
            "[matching.fields]\nbic = { equal = 1.0, near = 2.0 }\n",
            "matching.fields.bic: found weights in another order",
        ),
        ('[matching.fields]\nbic = { likeness = "sounds" }\n', "matching.fields.bic.likeness: "),
    ],
)
def test_what_makes_no_sense_is_refused(config, shop, text: str, expected: str) -> None:
    """A threshold, weight or field that cannot be meant is told with what is allowed."""
    assert expected in _problem(config, shop, text)
