"""Pairing: from records that share keys to the pairs worth judging, and from judged pairs to clusters of one set of records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, TypeVar

from syncd.core.correlate.evidence import Verdict, judge
from syncd.core.correlate.identity import STRONG_KEYS, Identity, MatchKey, keys_of
from syncd.core.matching import MATCHING, Matching

SHARERS_MAX: Final = 24
"""Records compared with each other because they share one key; a key that more of them share proves nothing."""

STRONG_SHARERS_MAX: Final = 240
"""The same for a number that identifies a company."""

R = TypeVar("R", bound="int | str | tuple[str, str]")


def sharers_max(key: MatchKey) -> int:
    """How many records may share a key before it brings none of them together."""
    return STRONG_SHARERS_MAX if key[0] in STRONG_KEYS else SHARERS_MAX


def candidate_pairs(sharers: Mapping[MatchKey, Collection[R]], wanted: Callable[[R, R], bool]) -> Iterator[tuple[R, R]]:
    """Every two records that share a key, once, the smaller one first; keys that too many share bring nobody together."""
    seen: set[tuple[R, R]] = set()
    for key, refs in sharers.items():
        if len(refs) <= sharers_max(key):
            for pair in combinations(sorted(refs), 2):
                if pair not in seen and wanted(*pair):
                    seen.add(pair)
                    yield pair


def match(
    found: Sequence[Identity], matching: Matching = MATCHING, *, sides: Sequence[int] | None = None
) -> Iterator[tuple[int, int, Verdict]]:
    """Every pair of a set of records that is not rejected, by their positions, with its verdict.

    sides: to which set each record belongs; then only pairs of two sets are judged.
    """
    sharers: dict[MatchKey, list[int]] = defaultdict(list)
    for number, one in enumerate(found):
        for key in keys_of(one, matching.extras):
            sharers[key].append(number)
    counts = {key: _clients(numbers, sides) for key, numbers in sharers.items() if len(numbers) > 1}

    def wanted(a: int, b: int) -> bool:
        return sides is None or sides[a] != sides[b]

    def commonness(key: MatchKey) -> int:
        return counts.get(key, 1)

    for a, b in candidate_pairs(sharers, wanted):
        verdict = judge(found[a], found[b], commonness, matching)
        if verdict.zone != "reject":
            yield a, b, verdict


def _clients(numbers: Iterable[int], sides: Sequence[int] | None) -> int:
    """At least how many clients these records are, if any two of them are one: in two sets one client may be in both."""
    if sides is None:
        return max(1, sum(1 for _ in numbers) - 1)
    each: dict[int, int] = defaultdict(int)
    for number in numbers:
        each[sides[number]] += 1
    return max(each.values())


def cluster(count: int, pairs: Iterable[tuple[int, int, Verdict]]) -> list[list[int]]:
    """The sets that pairs join, of so many records; every record is in one."""
    above = list(range(count))

    def top(number: int) -> int:
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    for a, b, _ in pairs:
        low, high = sorted((top(a), top(b)))
        above[high] = low
    found: dict[int, list[int]] = defaultdict(list)
    for number in range(count):
        found[top(number)].append(number)
    return list(found.values())


def one_to_one(pairs: Iterable[tuple[int, int, Verdict]]) -> list[tuple[int, int, Verdict]]:
    """The best pair of each record, where none is twice in its own system: the strongest pairs whose two records are still free."""
    taken: set[int] = set()
    kept: list[tuple[int, int, Verdict]] = []
    for a, b, verdict in sorted(pairs, key=lambda pair: (-pair[2].total, pair[0], pair[1])):
        if a not in taken and b not in taken:
            taken.update((a, b))
            kept.append((a, b, verdict))
    return kept
