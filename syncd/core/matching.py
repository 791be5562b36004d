"""How a tenant wants its records matched: weights, thresholds, and further fields that take part. Data only.

A weight is log-odds: what one observation adds to the sum from which a pair's score is made, `1 / (1 + exp(-sum))`. So +2.3 makes
a pair ten times as likely to be one client, and -2.3 ten times less.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WEIGHT_LIMIT: Final = 50.0
"""No weight is larger than this, up or down."""


class Likeness(StrEnum):
    """How two values of a further field are compared."""

    EXACT = "exact"
    """Letters and digits are equal, or not."""
    NUMBER = "number"
    """As `exact`; one character mistyped, or two that changed places, is near."""
    TEXT = "text"
    """Words are equal in any order; similar spelling is near."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A further field that takes part in matching, such as `custom.date_of_birth`; it never links by itself.

    key: records that show the same value are compared with each other, whatever else they have in common.
    """

    field: str
    likeness: Likeness = Likeness.EXACT
    equal: float = 3.0
    near: float = 1.5
    differs: float = -1.0
    key: bool = False


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds that each observation adds to `prior`.

    The `_differs` weights of a person's data are small on purpose: people move and change numbers, and a missed duplicate is created
    everywhere, while a wrong proposal costs one click. A value that several clients share adds its weight less the logarithm of
    their number; `name_common` is the most that a name loses so.
    """

    prior: float = -4.75
    number_equal: float = 12.0
    number_differs: float = -9.0
    name_equal: float = 6.0
    name_agrees: float = 3.0
    name_near: float = 2.0
    name_resembles: float = -0.5
    name_differs: float = -2.0
    name_common: float = -1.25
    email_equal: float = 7.5
    email_differs: float = -0.25
    email_domain_equal: float = 1.5
    phone_equal: float = 3.5
    phone_differs: float = -0.25
    postal_code_equal: float = 1.5
    postal_code_differs: float = -0.25
    street_equal: float = 1.25
    street_near: float = 0.75
    street_differs: float = 0.0
    city_equal: float = 0.25
    city_near: float = 0.0
    city_differs: float = -0.25
    country_differs: float = -0.25
    kind_differs: float = -0.25


@dataclass(frozen=True, slots=True)
class Matching:
    """A tenant's wishes. propose: a person is asked from this score on. link: strong evidence links from this score on."""

    weights: Weights = Weights()
    propose: float = 0.5
    link: float = 0.9
    extras: tuple[Extra, ...] = ()


MATCHING: Final = Matching()
"""What holds where a tenant's file says nothing."""
