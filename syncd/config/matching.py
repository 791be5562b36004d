"""Section [matching] of a tenant's file: checked as a whole and turned into what the core takes."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from syncd.config.problems import dotted, shown, unknown
from syncd.core.matching import Extra, Likeness, Matching, Weights
from syncd.core.model import FIELDS, Kind

if TYPE_CHECKING:
    from syncd.config.problems import Problems
    from syncd.config.shape import MatchingKeys

CUSTOM: Final = "custom."

WEIGHTS: Final = tuple(field.name for field in fields(Weights))

BUILT_IN: Final = frozenset(
    {"name", "email", "phone", "registration_number", "vat_number", "postal_code", "address_line1", "country", "kind"}
)
"""Fields that are compared anyway, each in its own way."""

_LEVELS: Final = ("equal", "agrees", "near", "resembles", "differs")
"""The endings of weights, what proves most first: none may weigh more than the one before it."""

_COMPARABLE: Final = frozenset(
    {Kind.TEXT, Kind.HTML, Kind.REGISTRATION, Kind.IBAN, Kind.BIC, Kind.CURRENCY, Kind.LANGUAGE}
)


def check_matching(keys: MatchingKeys, problems: Problems) -> None:
    """Tell what is wrong with the section beyond the shape of single keys."""
    if keys.link < keys.propose:
        problems.add("matching.link", f"found {keys.link}, below matching.propose", f"from {keys.propose} to 1")
    for name in keys.weights:
        if name not in WEIGHTS:
            _, allowed = unknown(name, WEIGHTS)
            problems.add(dotted(("matching", "weights", name)), "unknown key", allowed)
    weights = matching_of(keys).weights
    if weights.name_common > 0:
        problems.add("matching.weights.name_common", f"found {weights.name_common}", "at most 0")
    for family in dict.fromkeys(name.rpartition("_")[0] for name in WEIGHTS):
        told = [name for level in _LEVELS if (name := f"{family}_{level}") in WEIGHTS]
        for more, less in pairwise(told):
            if getattr(weights, more) < getattr(weights, less):
                place = dotted(("matching", "weights", less))
                problems.add(place, f"found more than {more} ({getattr(weights, more)})", f"at most {more}")
    for name, further in keys.fields.items():
        place = dotted(("matching", "fields", name))
        if name in BUILT_IN:
            problems.add(place, "found a field that is compared anyway", "its weights in [matching.weights]")
        elif not name.startswith(CUSTOM) and (name not in FIELDS or FIELDS[name].kind not in _COMPARABLE):
            others = (each for each in FIELDS if each not in BUILT_IN and FIELDS[each].kind in _COMPARABLE)
            problems.add(place, f"found {shown(name)}", f"{', '.join(sorted(others))}, or custom.NAME")
        if not further.equal >= further.near >= further.differs:
            problems.add(place, "found weights in another order", "equal >= near >= differs")


def matching_of(keys: MatchingKeys) -> Matching:
    """The section as the core takes it; unknown weights are left out."""
    given = {name: weight for name, weight in keys.weights.items() if name in WEIGHTS}
    extras = tuple(
        Extra(name, Likeness(each.likeness), each.equal, each.near, each.differs, each.key)
        for name, each in sorted(keys.fields.items())
    )
    return Matching(Weights(**given), keys.propose, keys.link, extras)
