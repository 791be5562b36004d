"""Which ids a walk has shown, in a few bytes for each: a walk over a million records keeps no million texts. Pure.

Kept is a number of 64 bits for each id, made with a word that is another one for every walk. An id that was shown is always known again.
Two ids may have the same number, in one of some thirty million walks over a million records; then one that was not shown looks as if it had been.
Whoever asks must do the careful thing on a yes: doubt the walk, read the page, leave the record to the next walk, delete nothing. The next walk has
other numbers.
"""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Iterable
from typing import Final

FIRST_SLOTS: Final = 1 << 10
"""A power of two, as every later number of slots."""

FULL: Final = 0.6
"""The share of slots in use above which there will be twice as many: 13 to 27 bytes for each id."""


class Seen:
    """The ids that were shown so far. Read by any thread, added to by one."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._word = secrets.token_hex(8)
        self._slots = array("q", [0]) * FIRST_SLOTS
        self._count = 0
        self.least: str | None = None
        """The first of them in the order of their letters."""
        self.add(ids)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, external_id: str) -> bool:
        return self._any((external_id,))

    def isdisjoint(self, ids: Iterable[str]) -> bool:
        """Whether none of these was shown."""
        return not self._any(ids)

    def add(self, ids: Iterable[str]) -> int:
        """Note what a page shows; how many of these were shown before it."""
        fresh = dict.fromkeys(ids)
        if not fresh:
            return 0
        least = min(fresh)
        self.least = least if self.least is None else min(self.least, least)
        while self._count + len(fresh) > len(self._slots) * FULL:
            self._slots = _more(self._slots)
        added = _put(self._slots, [hash(self._word + each) or 1 for each in fresh])
        self._count += added
        return len(fresh) - added

    def _any(self, ids: Iterable[str]) -> bool:
        slots, word = self._slots, self._word
        mask = len(slots) - 1
        for each in ids:
            number = hash(word + each) or 1
            at = number & mask
            while (found := slots[at]) != 0:
                if found == number:
                    return True
                at = (at + 1) & mask
        return False


def _put(slots: array[int], numbers: Iterable[int]) -> int:
    """Put numbers other than 0 into the first free slots from their own on; how many were not there yet."""
    mask = len(slots) - 1
    added = 0
    for number in numbers:
        at = number & mask
        while (found := slots[at]) not in (0, number):
            at = (at + 1) & mask
        if found == 0:
            slots[at] = number
            added += 1
    return added


def _more(slots: array[int]) -> array[int]:
    """The same numbers in twice as many slots."""
    larger = array("q", [0]) * (2 * len(slots))
    _put(larger, filter(None, slots))
    return larger
