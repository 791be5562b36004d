"""One line of an address here; street name, house number and flat number in Flowtly. Pure.

Splitting loses how a person wrote the line, so three things keep it: the text is remembered with its split and shown again while
the split stands; lines are compared as the collection of their words; a line that a join would not give back in the
same words is not split at all and goes whole into the street name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NUMBER_FIRST: Final = frozenset({"AU", "CA", "FR", "GB", "IE", "IN", "LU", "MC", "NZ", "US"})
"""Countries where the house number is written before the street."""

_NUMBER = r"(?P<number>\d{1,5}(?:\s?[a-zA-Z])?(?:\s(?:bis|ter|quater))?(?:-\d{1,5}[a-zA-Z]?)?)(?:/(?P<local>\w{1,6}))?"
_LEADING: Final = re.compile(rf"^{_NUMBER},?\s(?P<street>.*[^\W\d].*)$", re.IGNORECASE)
_TRAILING: Final = re.compile(rf"^(?P<street>.*[^\W\d].*?),?\s{_NUMBER}$", re.IGNORECASE)
_SLASH: Final = re.compile(r"\s*/\s*")
_BETWEEN_WORDS: Final = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class Street:
    """The three parts as Flowtly holds them (None: empty), and whether the number was written first."""

    street: str | None
    number: str | None = None
    local: str | None = None
    number_first: bool = False

    def text(self) -> str | None:
        """The parts as one line, or None where all are empty; blanks are nothing."""
        street, number, local = ((part or "").strip() for part in (self.street, self.number, self.local))
        number = "/".join(part for part in (number, local) if part)
        ordered = (number, street) if self.number_first else (street, number)
        return " ".join(part for part in ordered if part) or None


def number_first(country: object) -> bool:
    """Whether the house number comes first in this country (ISO 3166-1 alpha-2); last where it is unknown."""
    return country in NUMBER_FIRST


def words(line: str) -> str:
    """The words of a line in an order of their own: equal for two lines with the same words; idempotent."""
    return " ".join(sorted(_BETWEEN_WORDS.sub(" ", _SLASH.sub("/", line)).split()))


def split(line: str, country: object) -> Street:
    """The parts of a line; all of it is the street where no house number can be told, or a join would lose words.

    In a country that writes the number first only a leading number counts ("Rue du 8 mai 1945" has none).
    """
    tidy = " ".join(_SLASH.sub("/", line).split())
    leading, trailing = _LEADING.match(tidy), _TRAILING.match(tidy)
    found = leading if number_first(country) else trailing or leading
    if found is None:
        return Street(line)
    parts = Street(found["street"].strip(" ,"), found["number"], found["local"], found is leading)
    return parts if words(parts.text() or "") == words(line) else Street(line)
