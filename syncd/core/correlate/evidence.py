"""The evidence that two records are one client: what is compared, how it weighs, and the verdict on a pair."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from syncd.core.model import Context, Fields, Kind
from syncd.core.normalize import (
    Registration,
    Vat,
    join_name,
    key,
    name_key,
    name_words,
    registration,
    vat,
)

MatchKey: TypeAlias = "tuple[str, str]"
"""What an index of records is searched by: (sort of key, normalised value)."""

Commonness: TypeAlias = Callable[[MatchKey], int]
"""How many clients share a key."""

Zone: TypeAlias = Literal["link", "propose", "reject"]

SHARED_LIMIT_CLIENTS: Final = 3
NUMBER_MINIMUM_CHARACTERS: Final = 5
PHONE_MINIMUM_DIGITS: Final = 6
NAME_MINIMUM_CHARACTERS: Final = 2
TYPO_MINIMUM_CHARACTERS: Final = 5
SIMILAR_PERCENT: Final = 88.0

_FREE_MAIL: Final = frozenset(
    {
        "gmail.com", "googlemail.com", "outlook.com", "outlook.fr", "hotmail.com", "hotmail.fr", "live.com",
        "live.fr", "msn.com", "yahoo.com", "yahoo.fr", "icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net",
        "web.de", "proton.me", "protonmail.com", "orange.fr", "wanadoo.fr", "free.fr", "sfr.fr", "laposte.net",
        "neuf.fr", "bbox.fr", "wp.pl", "o2.pl", "onet.pl", "interia.pl", "videotron.ca", "sympatico.ca",
    },
)  # fmt: skip
"""Mail providers: sharing one of these domains says nothing."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-odds that each observation adds to `prior`; a pair is proposed from a sum of `threshold` on.

    The `_differs` weights of a person's data are small on purpose: people move and change numbers, and a missed
    duplicate is created everywhere, while a wrong proposal costs one click.
    """

    prior: float = -4.75
    threshold: float = 0.0
    number_equal: float = 12.0
    number_differs: float = -9.0
    name_equal: float = 6.0
    name_agrees: float = 3.0
    name_near: float = 2.0
    name_differs: float = -2.0
    email_equal: float = 7.5
    email_differs: float = -0.25
    email_domain_equal: float = 1.5
    phone_equal: float = 3.5
    phone_differs: float = -0.25
    postal_code_equal: float = 1.5
    postal_code_differs: float = -0.25
    street_equal: float = 1.25
    country_differs: float = -0.25
    kind_differs: float = -0.25


WEIGHTS: Final = Weights()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation about a pair: the field, what was seen, and the log-odds it adds."""

    field: str
    seen: str
    weight: float

    def __str__(self) -> str:
        """Say it in one phrase, field first."""
        return f"{self.field}: {self.seen} ({self.weight:+g})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of a pair.

    score: from 0 to 1, proposed from 0.5 on. matched_by: the evidence that decided, or empty. contradictions:
    differences of numbers, one phrase each; a pair with one is never linked.
    """

    zone: Zone
    score: float
    reasons: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    matched_by: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """The comparable parts of one record; None where it is unknown, empty or unusable."""

    registration: Registration | None
    vat: Vat | None
    email: str | None
    phone: str | None
    name: str | None
    words: tuple[str, ...]
    postal_code: str | None
    street: str | None
    country: str | None
    kind: str | None


def _text(fields: Fields, field: str) -> str:
    value = fields.get(field)
    return value if isinstance(value, str) else ""


def _is_usable(number: str) -> bool:
    """Whether a number may identify anybody: long enough and not one character over and over."""
    return len(number) >= NUMBER_MINIMUM_CHARACTERS and len(set(number)) > 1


def identity(fields: Fields, context: Context) -> Identity:
    """The comparable parts of a record; its own country, where known, is the region of its numbers."""
    context = context.within(fields)
    name = _name(fields)
    street = " ".join(sorted(name_words(_text(fields, "address_line1"))))
    postal_code = key(Kind.REGISTRATION, _text(fields, "postal_code"), context)
    return Identity(
        registration=_registration(fields, context),
        vat=_vat(fields, context),
        email=_email(fields, context),
        phone=_phone(fields, context),
        name=_name_key(name),
        words=name_words(name) if name else (),
        postal_code=postal_code if isinstance(postal_code, str) else None,
        street=street or None,
        country=_text(fields, "country").upper() or None,
        kind=_text(fields, "kind") or None,
    )


def _name(fields: Fields) -> str:
    return _text(fields, "name") or join_name(_text(fields, "given_name"), _text(fields, "family_name"))


def _name_key(name: str) -> str | None:
    keyed = name_key(name) if name else ""
    return keyed if len(keyed) >= NAME_MINIMUM_CHARACTERS else None


def _registration(fields: Fields, context: Context) -> Registration | None:
    found = registration(fields.get("registration_number"), context)
    return found if found is not None and _is_usable(found.number) else None


def _vat(fields: Fields, context: Context) -> Vat | None:
    found = vat(fields.get("vat_number"), context)
    return found if found is not None and _is_usable(found.number) else None


def _email(fields: Fields, context: Context) -> str | None:
    found = key(Kind.EMAIL, _text(fields, "email"), context)
    if not isinstance(found, str):
        return None
    local, at, domain = found.rpartition("@")
    return found if at and local and domain else None


def _phone(fields: Fields, context: Context) -> str | None:
    found = key(Kind.PHONE, _text(fields, "phone"), context)
    if not isinstance(found, str) or sum(character.isdigit() for character in found) < PHONE_MINIMUM_DIGITS:
        return None
    return found


def match_keys(fields: Fields, context: Context) -> frozenset[MatchKey]:
    """The keys by which a record is found as a candidate: reg, siren, siret, vat, email, phone, name.

    Two records that `compare` would link or propose share at least one of them, but for names that are only similar.
    """
    context = context.within(fields)
    number, taxed = _registration(fields, context), _vat(fields, context)
    keys: set[MatchKey] = set()
    if number is not None:
        keys.add(("reg", number.number))
        if number.siren is not None:
            keys.add(("siren", number.siren))
        if number.scheme == "siret" and number.valid:
            keys.add(("siret", number.number))
    if taxed is not None:
        keys.add(("vat", taxed.number))
        if taxed.embedded is not None:
            keys.add(("reg", taxed.embedded))
            if taxed.scheme == "siren":
                keys.add(("siren", taxed.embedded))
    texts = (
        ("email", _email(fields, context)),
        ("phone", _phone(fields, context)),
        ("name", _name_key(_name(fields))),
    )
    keys.update((sort, value) for sort, value in texts if value)
    return frozenset(keys)


class _Numbers(StrEnum):
    """How the company numbers of two records stand to each other."""

    EQUAL = "equal"
    ESTABLISHMENTS = "two establishments of one company"
    DIFFERENT = "different"
    UNRELATED = "not comparable"


def _registrations(a: Registration, b: Registration) -> _Numbers:
    if a.number == b.number:
        return _Numbers.EQUAL
    if a.siren is not None and a.siren == b.siren:
        return _Numbers.ESTABLISHMENTS if a.scheme == b.scheme == "siret" else _Numbers.EQUAL
    if {a.scheme, b.scheme} <= {"siren", "siret"} or a.scheme == b.scheme or len(a.number) == len(b.number):
        return _Numbers.DIFFERENT
    return _Numbers.UNRELATED


def _embedded(number: Registration, taxed: Vat) -> _Numbers:
    """A registration number beside the one that the other record's VAT number contains."""
    if taxed.embedded is None:
        return _Numbers.UNRELATED
    if taxed.embedded in (number.siren, number.number):
        return _Numbers.EQUAL
    family = ("siren", "siret") if taxed.scheme == "siren" else (taxed.scheme,)
    return _Numbers.DIFFERENT if number.scheme in family else _Numbers.UNRELATED


def compare_numbers(a: Identity, b: Identity) -> list[tuple[str, _Numbers]]:
    """The numbers that both records have, and where one has only the other sort, what its VAT number contains."""
    found: list[tuple[str, _Numbers]] = []
    if a.registration is not None and b.registration is not None:
        found.append(("registration_number", _registrations(a.registration, b.registration)))
    if a.vat is not None and b.vat is not None:
        equal = a.vat.number == b.vat.number
        found.append(("vat_number", _Numbers.EQUAL if equal else _Numbers.DIFFERENT))
    if not found:
        for one, other in ((a, b), (b, a)):
            if one.registration is not None and other.vat is not None:
                found.append(("registration_number in vat_number", _embedded(one.registration, other.vat)))
    return [(field, relation) for field, relation in found if relation is not _Numbers.UNRELATED]


def contradictions_in(numbers: Iterable[tuple[str, _Numbers]]) -> tuple[str, ...]:
    """The differences among compared numbers, each in one phrase."""
    return tuple(f"{field}: {relation}" for field, relation in numbers if relation is not _Numbers.EQUAL)


class _Names(StrEnum):
    """How two names stand to each other."""

    EQUAL = "equal"
    AGREE = "agree"
    NEAR = "similar, not agreeing"
    DIFFERENT = "different"


def _names(a: Identity, b: Identity) -> _Names | None:
    """None where a name is missing."""
    if a.name is None or b.name is None:
        return None
    if a.name == b.name:
        return _Names.EQUAL
    left, right = Counter(a.words), Counter(b.words)
    common = left & right
    rest = sorted((left - common).elements()), sorted((right - common).elements())
    if any(character.isdigit() for word in (*rest[0], *rest[1]) for character in word):
        return _Names.DIFFERENT
    if _rest_agrees(*rest, has_common=any(len(word) > 1 for word in common)):
        return _Names.AGREE
    return _Names.NEAR if fuzz.ratio(a.name, b.name) >= SIMILAR_PERCENT else _Names.DIFFERENT


def _rest_agrees(left: list[str], right: list[str], *, has_common: bool) -> bool:
    """Whether the words that two names do not share may be missing, initials, or misspelt."""
    if not left or not right:
        return has_common
    if len(left) != len(right):
        return False
    pairs = list(zip(left, right, strict=True))
    if all(_is_typo(*pair) for pair in pairs):
        return True
    return has_common and all(_is_initial(*pair) or _is_typo(*pair) for pair in pairs)


def _is_initial(a: str, b: str) -> bool:
    return (len(a) == 1 or len(b) == 1) and a[0] == b[0]


def _is_typo(a: str, b: str) -> bool:
    """One letter off in a long word. A longer ending is another name (Daniel, Daniela) but for a plural."""
    shorter, longer = sorted((a, b), key=len)
    if len(shorter) < TYPO_MINIMUM_CHARACTERS or OSA.distance(a, b, score_cutoff=1) > 1:
        return False
    return not longer.startswith(shorter) or longer[len(shorter) :] in ("s", "x")


def _weak(a: Identity, b: Identity, weights: Weights, commonness: Commonness) -> list[Evidence]:
    """What the name and the ways to reach two records say, field by field."""
    found: list[Evidence] = []
    names = _names(a, b)
    if names is not None:
        weight = {
            _Names.EQUAL: weights.name_equal,
            _Names.AGREE: weights.name_agrees,
            _Names.NEAR: weights.name_near,
            _Names.DIFFERENT: weights.name_differs,
        }[names]
        found.append(Evidence("name", names, weight))
    for field, left, right, equal, differs in (
        ("email", a.email, b.email, weights.email_equal, weights.email_differs),
        ("phone", a.phone, b.phone, weights.phone_equal, weights.phone_differs),
    ):
        if left is None or right is None:
            continue
        if left != right:
            found.append(Evidence(field, "different", differs))
        elif commonness((field, left)) > SHARED_LIMIT_CLIENTS:
            found.append(Evidence(field, f"equal, but shared by more than {SHARED_LIMIT_CLIENTS} clients", 0.0))
        else:
            found.append(Evidence(field, "equal", equal))
    domain = a.email.rpartition("@")[2] if a.email else ""
    if a.email and b.email and a.email != b.email and domain == b.email.rpartition("@")[2] and domain not in _FREE_MAIL:
        found.append(Evidence("email domain", "equal", weights.email_domain_equal))
    for field, left, right, equal, differs in (
        ("postal_code", a.postal_code, b.postal_code, weights.postal_code_equal, weights.postal_code_differs),
        ("address_line1", a.street, b.street, weights.street_equal, 0.0),
        ("country", a.country, b.country, 0.0, weights.country_differs),
        ("kind", a.kind, b.kind, 0.0, weights.kind_differs),
    ):
        weight = equal if left == right else differs
        if left is not None and right is not None and weight:
            found.append(Evidence(field, "equal" if left == right else "different", weight))
    return found


def _is_placeholder(a: Identity, b: Identity, commonness: Commonness) -> bool:
    """Whether two records share a registration number that nobody was given: not valid, and of too many clients."""
    return (
        a.registration is not None
        and b.registration is not None
        and a.registration.number == b.registration.number
        and not (a.registration.valid or b.registration.valid)
        and commonness(("reg", a.registration.number)) > SHARED_LIMIT_CLIENTS
    )


def _strong(numbers: Iterable[tuple[str, _Numbers]], weak: Iterable[Evidence]) -> str:
    """The evidence that may link by itself: the field that matched, or empty."""
    for field, relation in numbers:
        if relation is not _Numbers.DIFFERENT:
            return field
    told = {one.field: one.seen for one in weak}
    names_agree = told.get("name") in (_Names.EQUAL, _Names.AGREE)
    return "email and name" if told.get("email") == "equal" and names_agree else ""


def _surely_different(a: Identity, b: Identity) -> bool:
    """Whether two different numbers are both valid, so that neither is a slip of the pen."""
    pairs = ((a.registration, b.registration), (a.vat, b.vat))
    return all(one.valid and other.valid for one, other in pairs if one is not None and other is not None)


def compare(
    a: Fields,
    b: Fields,
    context: Context,
    commonness: Commonness,
    weights: Weights = WEIGHTS,
) -> Verdict:
    """Whether two records (or clients) are one: a verdict with its reasons. Symmetric.

    commonness: how many clients share a key of `match_keys`. A contradiction forbids the link; beside strong evidence
    of another kind it is proposed, except that two companies (both numbers valid) may share an e-mail and a name.
    """
    left, right = identity(a, context), identity(b, context)
    numbers = compare_numbers(left, right)
    if _is_placeholder(left, right, commonness):
        numbers = [(field, relation) for field, relation in numbers if field != "registration_number"]
    weak = _weak(left, right, weights, commonness)
    contradictions = contradictions_in(numbers)
    strong = _strong(numbers, weak)
    other_company = strong in ("", "email and name") and (not strong or _surely_different(left, right))
    evidence = [
        Evidence(field, relation, weights.number_differs if relation is _Numbers.DIFFERENT else weights.number_equal)
        for field, relation in numbers
    ] + weak
    total = weights.prior + sum(one.weight for one in evidence)
    zone: Zone
    if contradictions:
        zone = "reject" if other_company else "propose"
    elif strong:
        zone = "link"
    else:
        zone = "propose" if total >= weights.threshold else "reject"
    score = round(1 / (1 + math.exp(-total)), 3)
    matched_by = "" if zone == "reject" else strong or "similarity"
    return Verdict(zone, score, tuple(str(one) for one in evidence), contradictions, matched_by)
