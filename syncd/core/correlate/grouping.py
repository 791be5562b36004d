"""Grouping: from verdicts on pairs to a partition of the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from syncd.core.correlate.evidence import Evidence, Verdict
from syncd.core.correlate.identity import Identity
from syncd.core.correlate.likeness import compare_numbers, contradictions_in

Ref: TypeAlias = "tuple[str, str]"
"""A record: (system, external id)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A record to be grouped. client: the client it already belongs to, if any. active: in use, not known to be archived."""

    ref: Ref
    identity: Identity
    client: str | None = None
    active: bool = True

    @property
    def system(self) -> str:
        """The system that holds the record."""
        return self.ref[0]


@dataclass(frozen=True, slots=True)
class Dispute:
    """Records that evidence joins and a contradiction parts: nothing is linked among them."""

    refs: tuple[Ref, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two records whose clients may be one."""

    a: Ref
    b: Ref
    score: float
    evidence: tuple[Evidence, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The evidence in words, without any value."""
        return tuple(str(one) for one in self.evidence)


@dataclass(frozen=True, slots=True)
class Grouping:
    """links: sets of records that are one client, each of two clients-to-be or more. All in order of their refs."""

    links: tuple[tuple[Ref, ...], ...]
    disputed: tuple[Dispute, ...]
    proposals: tuple[Proposal, ...]


class _Forest:
    """Disjoint sets of records; the smallest ref stands for its set."""

    def __init__(self, refs: Iterable[Ref]) -> None:
        self._above = {ref: ref for ref in refs}

    def top(self, ref: Ref) -> Ref:
        while self._above[ref] != ref:
            self._above[ref] = self._above[self._above[ref]]
            ref = self._above[ref]
        return ref

    def join(self, a: Ref, b: Ref) -> None:
        low, high = sorted((self.top(a), self.top(b)))
        self._above[high] = low

    def sets(self) -> dict[Ref, list[Ref]]:
        found: dict[Ref, list[Ref]] = defaultdict(list)
        for ref in sorted(self._above):
            found[self.top(ref)].append(ref)
        return found


def _pair(a: Ref, b: Ref) -> tuple[Ref, Ref]:
    return (a, b) if a <= b else (b, a)


def group(
    nodes: Iterable[Node],
    candidates: Mapping[tuple[Ref, Ref], Verdict],
    apart: AbstractSet[tuple[Ref, Ref]],
) -> Grouping:
    """Partition records into clients-to-be. The same records give the same grouping in any order.

    Records of one client belong together already. Evidence joins them with others; a set in which any two records of
    different clients contradict each other, are kept apart, or are active in one system, is disputed as a whole. Two
    clients that are kept apart are neither linked nor proposed, also not through a third. Pairs of unknown records
    are ignored; pairs may be given either way round.
    """
    known = {node.ref: node for node in nodes}
    verdicts = {_pair(*pair): verdict for pair, verdict in candidates.items() if pair[0] in known and pair[1] in known}
    kept_apart = {_pair(*pair) for pair in apart if pair[0] in known and pair[1] in known}
    seats = _seats(known)
    parted = {_pair(seats.top(a), seats.top(b)) for a, b in kept_apart}
    joined = _seats(known)
    for (a, b), verdict in verdicts.items():
        if verdict.zone == "link" and _pair(seats.top(a), seats.top(b)) not in parted:
            joined.join(a, b)
    links: list[tuple[Ref, ...]] = []
    disputed: list[Dispute] = []
    final = _seats(known)
    for members in joined.sets().values():
        if len({seats.top(ref) for ref in members}) == 1:
            continue
        reason = _fault([known[ref] for ref in members], seats, verdicts, parted)
        if reason:
            disputed.append(Dispute(tuple(members), reason))
            continue
        links.append(tuple(members))
        for ref in members[1:]:
            final.join(members[0], ref)
    return Grouping(tuple(links), tuple(disputed), _proposals(verdicts, kept_apart, joined, final))


def _seats(known: Mapping[Ref, Node]) -> _Forest:
    """The sets that the records form already: those of one client."""
    forest = _Forest(known)
    first: dict[str, Ref] = {}
    for ref in sorted(known):
        client = known[ref].client
        if client is not None:
            forest.join(first.setdefault(client, ref), ref)
    return forest


def _fault(
    members: list[Node],
    seats: _Forest,
    verdicts: Mapping[tuple[Ref, Ref], Verdict],
    parted: AbstractSet[tuple[Ref, Ref]],
) -> str:
    """Why these records cannot be one client, or empty."""
    tops = sorted({seats.top(node.ref) for node in members})
    if any(pair in parted for pair in combinations(tops, 2)):
        return "some of them are kept apart"
    holders: dict[str, set[Ref]] = defaultdict(set)
    for node in members:
        if node.active:
            holders[node.system].add(seats.top(node.ref))
    crowded = sorted(system for system, clients in holders.items() if len(clients) > 1)
    if crowded:
        return f"several active records of {', '.join(crowded)}"
    identities = {node.ref: node.identity for node in members}
    for a, b in combinations(sorted(identities), 2):
        if seats.top(a) == seats.top(b):
            continue
        verdict = verdicts.get((a, b))
        found = contradictions_in(compare_numbers(identities[a], identities[b]))
        found += verdict.contradictions if verdict is not None else ()
        if found:
            return found[0]
    return ""


def _proposals(
    verdicts: Mapping[tuple[Ref, Ref], Verdict],
    kept_apart: AbstractSet[tuple[Ref, Ref]],
    joined: _Forest,
    final: _Forest,
) -> tuple[Proposal, ...]:
    """The best proposal for each two sets that would become one, strongest first."""
    parted = {_pair(final.top(a), final.top(b)) for a, b in kept_apart}
    best: dict[tuple[Ref, Ref], Proposal] = {}
    for (a, b), verdict in sorted(verdicts.items(), key=lambda item: (-item[1].score, item[0])):
        ends = _pair(final.top(a), final.top(b))
        if verdict.zone == "propose" and joined.top(a) != joined.top(b) and ends not in parted:
            best.setdefault(ends, Proposal(a, b, verdict.score, verdict.evidence))
    return tuple(best.values())
