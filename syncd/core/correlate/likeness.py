"""How two numbers, two names, or two texts stand to each other. Symmetric."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rapidfuzz.distance.OSA import distance as osa
from rapidfuzz.fuzz import ratio, token_sort_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from syncd.core.correlate.identity import Identity
    from syncd.core.normalize import Registration, Vat

TYPO_MINIMUM_CHARACTERS: Final = 5
SIMILAR_PERCENT: Final = 88.0
RESEMBLING_PERCENT: Final = 75.0
TEXT_PERCENT: Final = 80.0
SLIP_MINIMUM_CHARACTERS: Final = 4


class Numbers(StrEnum):
    """How the company numbers of two records stand to each other."""

    EQUAL = "equal"
    ESTABLISHMENTS = "two establishments of one company"
    DIFFERENT = "different"
    UNRELATED = "not comparable"


class Names(StrEnum):
    """How two names stand to each other."""

    EQUAL = "equal"
    AGREE = "agree"
    NEAR = "similar, not agreeing"
    RESEMBLE = "somewhat alike"
    DIFFERENT = "different"


def compare_numbers(a: Identity, b: Identity) -> list[tuple[str, Numbers]]:
    """The numbers that both records have, and where one has only the other sort, what its VAT number contains."""
    found: list[tuple[str, Numbers]] = []
    if a.registration is not None and b.registration is not None:
        found.append(("registration_number", _registrations(a.registration, b.registration)))
    if a.vat is not None and b.vat is not None:
        equal = a.vat.number == b.vat.number
        found.append(("vat_number", Numbers.EQUAL if equal else Numbers.DIFFERENT))
    if not found:
        for one, other in ((a, b), (b, a)):
            if one.registration is not None and other.vat is not None:
                found.append(("registration_number in vat_number", _embedded(one.registration, other.vat)))
    return [(field, relation) for field, relation in found if relation is not Numbers.UNRELATED]


def contradictions_in(numbers: Iterable[tuple[str, Numbers]]) -> tuple[str, ...]:
    """The differences among compared numbers, each in one phrase."""
    return tuple(f"{field}: {relation}" for field, relation in numbers if relation is not Numbers.EQUAL)


def _registrations(a: Registration, b: Registration) -> Numbers:
    if a.number == b.number:
        return Numbers.EQUAL
    if a.siren is not None and a.siren == b.siren:
        return Numbers.ESTABLISHMENTS if a.scheme == b.scheme == "siret" else Numbers.EQUAL
    if {a.scheme, b.scheme} <= {"siren", "siret"} or a.scheme == b.scheme or len(a.number) == len(b.number):
        return Numbers.DIFFERENT
    return Numbers.UNRELATED


def _embedded(number: Registration, taxed: Vat) -> Numbers:
    """A registration number beside the one that the other record's VAT number contains."""
    if taxed.embedded is None:
        return Numbers.UNRELATED
    if taxed.embedded in (number.siren, number.number):
        return Numbers.EQUAL
    family = ("siren", "siret") if taxed.scheme == "siren" else (taxed.scheme,)
    return Numbers.DIFFERENT if number.scheme in family else Numbers.UNRELATED


def compare_names(a: Identity, b: Identity) -> Names | None:
    """How two names stand to each other; None where one is missing."""
    if a.name is None or b.name is None:
        return None
    if a.name == b.name:
        return Names.EQUAL
    return _names(a.words, b.words) if a.words <= b.words else _names(b.words, a.words)


@lru_cache(maxsize=8192)
def _names(left: tuple[str, ...], right: tuple[str, ...]) -> Names:
    rest = _without(left, right), _without(right, left)
    if any(not word.isalpha() and any(letter.isdigit() for letter in word) for words in rest for word in words):
        return Names.DIFFERENT
    if _rest_agrees(*rest, has_common=any(len(word) > 1 and word in right for word in left)):
        return Names.AGREE
    percent = ratio(" ".join(left), " ".join(right), score_cutoff=RESEMBLING_PERCENT)
    if percent >= SIMILAR_PERCENT:
        return Names.NEAR
    return Names.RESEMBLE if percent else Names.DIFFERENT


def _without(words: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    """The words that the others do not have, as often as they are more here."""
    if len(set(words)) == len(words):
        return [word for word in words if word not in others]
    return sorted((Counter(words) - Counter(others)).elements())


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
    if len(shorter) < TYPO_MINIMUM_CHARACTERS or osa(a, b, score_cutoff=1) > 1:
        return False
    return not longer.startswith(shorter) or longer[len(shorter) :] in ("s", "x")


def is_slip(a: str, b: str) -> bool:
    """Whether two different numbers are one character apart, or two that changed places."""
    return -1 <= len(a) - len(b) <= 1 and osa(a, b, score_cutoff=1) <= 1


def has_same_words(a: str, b: str) -> bool:
    """Whether two texts have the same words, in any order."""
    return a == b or (len(a) == len(b) and " " in a and sorted(a.split()) == sorted(b.split()))


def is_alike(a: str, b: str) -> bool:
    """Whether two different texts are spelt much the same: with other blanks, with a slip of the pen, or in another order."""
    left, right = a.replace(" ", ""), b.replace(" ", "")
    if ratio(left, right, score_cutoff=TEXT_PERCENT):
        return True
    if min(len(left), len(right)) >= SLIP_MINIMUM_CHARACTERS and is_slip(left, right):
        return True
    return " " in a and " " in b and token_sort_ratio(a, b, score_cutoff=TEXT_PERCENT) > 0
