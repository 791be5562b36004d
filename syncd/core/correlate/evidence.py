"""The evidence that two records are one client: what is compared, how it weighs, and the verdict on a pair."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

from syncd.core.correlate.identity import Identity, MatchKey, identity, key_of
from syncd.core.correlate.likeness import (
    Names,
    Numbers,
    compare_names,
    compare_numbers,
    contradictions_in,
    has_same_words,
    is_alike,
    is_slip,
)
from syncd.core.matching import MATCHING, Extra, Likeness, Matching, Weights
from syncd.core.model import Context, Fields
from syncd.core.normalize import Registration, Vat

Commonness: TypeAlias = Callable[[MatchKey], int]
"""How many clients share a key."""

Zone: TypeAlias = Literal["link", "propose", "reject"]

Level: TypeAlias = Literal["equal", "near", "differs"]

SHARED_LIMIT_CLIENTS: Final = 3

SCORE_DECIMALS: Final = 4

_SHARED: Final = f"equal, but shared by more than {SHARED_LIMIT_CLIENTS} clients"


Observation: TypeAlias = "tuple[str, str, float]"
"""The parts of an `Evidence`, which is made of the few pairs that are told to somebody."""


class Evidence(NamedTuple):
    """One observation about a pair: the field, what was seen, and the log-odds it adds."""

    field: str
    seen: str
    weight: float

    def __str__(self) -> str:
        """Say it in one phrase, field first."""
        return f"{self.field}: {self.seen} ({self.weight:+.2f})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of a pair.

    score: from 0 to 1, made of `total`: the tenant's `prior` and the weight of every piece of evidence. matched_by: the evidence that
    decided, or empty. contradictions: differences of numbers, one phrase each; a pair with one is never linked.
    """

    zone: Zone
    total: float
    observed: tuple[Observation, ...] = ()
    contradictions: tuple[str, ...] = ()
    matched_by: str = ""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What was observed, field by field."""
        return tuple(Evidence(*one) for one in self.observed)

    @property
    def score(self) -> float:
        """The total as a probability."""
        return round(likelihood(self.total), SCORE_DECIMALS)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The evidence in words, without any value."""
        return tuple(str(one) for one in self.evidence)


def likelihood(total: float) -> float:
    """The probability behind a sum of log-odds."""
    return 1 / (1 + math.exp(-total)) if total > -700 else 0.0  # noqa: PLR2004 - beyond that exp() overflows


def log_odds(probability: float) -> float:
    """The sum of log-odds behind a probability; endless at 0 and 1."""
    if probability <= 0:
        return -math.inf
    return math.inf if probability >= 1 else math.log(probability / (1 - probability))


def compare(a: Fields, b: Fields, context: Context, commonness: Commonness, matching: Matching = MATCHING) -> Verdict:
    """Whether two records (or clients) are one, from their fields; see `judge`."""
    return judge(identity(a, context, matching.extras), identity(b, context, matching.extras), commonness, matching)


def judge(a: Identity, b: Identity, commonness: Commonness, matching: Matching = MATCHING) -> Verdict:
    """Whether two records (or clients) are one: a verdict with its reasons. Symmetric.

    commonness: how many clients share a key of `keys_of`. A contradiction forbids the link; beside strong evidence of another kind it is
    proposed, except that two companies (both numbers valid) may share an e-mail and a name. Strong evidence whose score is below the
    tenant's threshold for links is proposed.
    """
    weights = matching.weights
    numbers = compare_numbers(a, b) if (a.registration or a.vat) and (b.registration or b.vat) else []
    if numbers:
        hollow = _placeholders(a, b, commonness)
        numbers = [(field, relation) for field, relation in numbers if field not in hollow]
    observed: list[Observation] = [
        (field, relation, weights.number_differs if relation is Numbers.DIFFERENT else weights.number_equal)
        for field, relation in numbers
    ]
    _weigh(a, b, matching, commonness, observed)
    total = weights.prior
    for _, _, weight in observed:
        total += weight
    contradictions = contradictions_in(numbers) if numbers else ()
    strong = _strong(_sure(a, b, numbers, observed), observed)
    other_company = strong in ("", "email and name") and (not strong or _surely_different(a, b))
    zone: Zone
    if contradictions:
        zone = "reject" if other_company else "propose"
    elif strong:
        zone = "link" if total >= log_odds(matching.link) else "propose"
    else:
        zone = "propose" if total >= log_odds(matching.propose) else "reject"
    matched_by = "" if zone == "reject" else strong or "similarity"
    return Verdict(zone, total, tuple(observed), contradictions, matched_by)


def _weigh(a: Identity, b: Identity, matching: Matching, commonness: Commonness, found: list[Observation]) -> None:
    """Add what the name and the ways to reach two records say, field by field."""
    weights = matching.weights
    names = compare_names(a, b)
    if names is not None:
        found.append(_named(names, a, weights, commonness))
    _reached(a, b, weights, commonness, found)
    if a.postal_code is not None and b.postal_code is not None:
        equal = a.postal_code == b.postal_code
        _add(found, "postal_code", equal, weights.postal_code_equal if equal else weights.postal_code_differs)
    if a.street is not None and b.street is not None:
        given = weights.street_equal, weights.street_near, weights.street_differs
        _spelt(found, "address_line1", a.street, b.street, given)
    if a.city is not None and b.city is not None:
        _spelt(found, "city", a.city, b.city, (weights.city_equal, weights.city_near, weights.city_differs))
    if a.country is not None and b.country is not None and a.country != b.country:
        _add(found, "country", equal=False, weight=weights.country_differs)
    if a.kind is not None and b.kind is not None and a.kind != b.kind:
        _add(found, "kind", equal=False, weight=weights.kind_differs)
    for extra, left, right in zip(matching.extras, a.extras, b.extras, strict=True):
        if left is not None and right is not None:
            found.append(_further(extra, left, right, commonness))


def _named(names: Names, a: Identity, weights: Weights, commonness: Commonness) -> Observation:
    match names:
        case Names.EQUAL:
            sharers = commonness(("name", a.name or ""))
            seen = names if sharers <= 1 else f"{names}, as {sharers} clients are called"
            return ("name", seen, weights.name_equal + _rare(sharers, weights.name_common))
        case Names.AGREE:
            return ("name", names, weights.name_agrees)
        case Names.NEAR:
            return ("name", names, weights.name_near)
        case Names.RESEMBLE:
            return ("name", names, weights.name_resembles)
        case Names.DIFFERENT:
            return ("name", names, weights.name_differs)
        case _:
            assert_never(names)


def _reached(a: Identity, b: Identity, weights: Weights, commonness: Commonness, found: list[Observation]) -> None:
    """Add what e-mail and phone say."""
    if a.email is not None and b.email is not None:
        found.append(_shared("email", a.email, b.email, (weights.email_equal, weights.email_differs), commonness))
        if a.email != b.email and a.domain is not None and a.domain == b.domain:
            weight = max(0.0, weights.email_domain_equal + _rare(commonness(("domain", a.domain))))
            found.append(("email domain", "equal", weight))
    if a.phone is not None and b.phone is not None:
        found.append(_shared("phone", a.phone, b.phone, (weights.phone_equal, weights.phone_differs), commonness))


def _rare(sharers: int, floor: float = -math.inf) -> float:
    """What a value loses that so many clients share: the logarithm of their number, at most `floor`."""
    return max(floor, -math.log(max(sharers, 1)))


def _shared(field: str, left: str, right: str, weights: tuple[float, float], commonness: Commonness) -> Observation:
    """An e-mail or a phone: equal ones prove less the more clients share them, and nothing beyond the limit."""
    equal, differs = weights
    if left != right:
        return (field, "different", differs)
    sharers = commonness((field, left))
    if sharers > SHARED_LIMIT_CLIENTS:
        return (field, _SHARED, 0.0)
    return (field, "equal", max(0.0, equal + _rare(sharers)))


def _spelt(found: list[Observation], field: str, left: str, right: str, weights: tuple[float, float, float]) -> None:
    """A text that is equal, spelt much the same, or different."""
    equal, near, differs = weights
    if has_same_words(left, right):
        _add(found, field, equal=True, weight=equal)
    elif near != differs and is_alike(left, right):
        found.append((field, "similar", near))
    else:
        _add(found, field, equal=False, weight=differs)


def _add(found: list[Observation], field: str, equal: bool, weight: float) -> None:  # noqa: FBT001 - named where it is not plain
    if weight:
        found.append((field, "equal" if equal else "different", weight))


def compare_extra(extra: Extra, left: str, right: str) -> Level:
    """How two values of a further field stand to each other."""
    if left == right:
        return "equal"
    if extra.likeness is Likeness.TEXT:
        if len(left) == len(right) and has_same_words(left, right):
            return "equal"
        return "near" if is_alike(left, right) else "differs"
    return "near" if extra.likeness is Likeness.NUMBER and is_slip(left, right) else "differs"


def _further(extra: Extra, left: str, right: str, commonness: Commonness) -> Observation:
    """One of the tenant's further fields."""
    match compare_extra(extra, left, right):
        case "equal" if extra.key:
            weight = max(min(extra.equal, 0.0), extra.equal + _rare(commonness(key_of(extra, left))))
            return extra.field, "equal", weight
        case "equal":
            return extra.field, "equal", extra.equal
        case "near":
            return extra.field, "similar" if extra.likeness is Likeness.TEXT else "one character off", extra.near
        case _:
            return extra.field, "different", extra.differs


def _placeholders(a: Identity, b: Identity, commonness: Commonness) -> set[str]:
    """The fields in which two records share a number that nobody was given: not valid, and of too many clients."""
    keys = {field: (sort, one.number) for field, sort, one in _hollow(a, b)}
    return {field for field, key in keys.items() if commonness(key) > SHARED_LIMIT_CLIENTS}


def _hollow(a: Identity, b: Identity) -> Iterator[tuple[str, str, Registration | Vat]]:
    """Equal numbers of two records that no check digit vouches for: (field, sort of key, number)."""
    pairs = (("registration_number", "reg", a.registration, b.registration), ("vat_number", "vat", a.vat, b.vat))
    for field, sort, one, other in pairs:
        if one is not None and other is not None and one.number == other.number and not (one.valid or other.valid):
            yield field, sort, one


def _sure(
    a: Identity, b: Identity, numbers: Sequence[tuple[str, Numbers]], observed: Iterable[Observation]
) -> list[tuple[str, Numbers]]:
    """The numbers that may link: beside different names one that no check digit vouches for may be a remark or a placeholder."""
    if not numbers or ("name", Names.DIFFERENT) not in {(field, seen) for field, seen, _ in observed}:
        return list(numbers)
    hollow = {field for field, _, _ in _hollow(a, b)}
    return [(field, relation) for field, relation in numbers if field not in hollow]


def _strong(numbers: Iterable[tuple[str, Numbers]], observed: Iterable[Observation]) -> str:
    """The evidence that may link by itself: the field that matched, or empty."""
    for field, relation in numbers:
        if relation is not Numbers.DIFFERENT:
            return field
    email = names = False
    for field, seen, _ in observed:
        if field == "email":
            email = seen == "equal"
        elif field == "name":
            names = seen == Names.AGREE or seen.startswith(Names.EQUAL)
    return "email and name" if email and names else ""


def _surely_different(a: Identity, b: Identity) -> bool:
    """Whether two different numbers are both valid, so that neither is a slip of the pen."""
    pairs = ((a.registration, b.registration), (a.vat, b.vat))
    return all(one.valid and other.valid for one, other in pairs if one is not None and other is not None)
