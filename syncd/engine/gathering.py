"""Gathering: which records have to be looked at together to find the clients of some, and how each two of them stand.

Candidates are found in the store by the keys they share, never by comparing everybody with everybody. A key that too many records share
brings nobody together. What strong evidence joins is followed to its end, through records that belong to nobody yet and through the other
records of the clients it leads to; so it does not matter with which record one begins.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from syncd.core.correlate import (
    SHARERS_MAX,
    STRONG_KEYS,
    STRONG_SHARERS_MAX,
    Identity,
    MatchKey,
    Node,
    Ref,
    Verdict,
    judge,
    keys_of,
)
from syncd.store import RecordRow, RecordState

if TYPE_CHECKING:
    from syncd.engine.decide import Scope
    from syncd.store import Tx


COMMON = STRONG_SHARERS_MAX + 1
"""What counts as the number of clients behind a key that too many records share to be counted."""


class Gathering:
    """Some records without a client, and everything that their linking depends on.

    free: the records to be linked, those that strong evidence added among them. nodes: they, and the records of every client that one of
    them may belong to. verdicts: of the pairs that are not rejected.
    """

    def __init__(self, tx: Tx, scope: Scope, reserved: Collection[Ref], common: set[MatchKey]) -> None:
        self.free: set[Ref] = set()
        self.nodes: dict[Ref, Node] = {}
        self.verdicts: dict[tuple[Ref, Ref], Verdict] = {}
        self._tx = tx
        self._scope = scope
        self._reserved = reserved
        self._common = common
        self._matching = scope.policy.matching
        self._known: dict[Ref, Node | None] = {}
        self._keys: dict[Ref, frozenset[MatchKey]] = {}
        self._sharers: dict[MatchKey, list[Ref]] = {}
        self._searched: set[MatchKey] = set()
        self._counts: dict[MatchKey, int] = {}
        self._judged: set[tuple[Ref, Ref]] = set()
        self._clients: set[str] = set()

    def gather(self, refs: Iterable[Ref]) -> None:
        """Look at some records that belong to nobody."""
        todo = set(refs)
        self._load(dict.fromkeys(todo))
        while todo:
            todo = {ref for ref in todo if self._known[ref] is not None}
            self.free |= todo
            for ref in todo:
                self._take(ref)
            self._search(todo)
            todo = self._judge(todo)

    def _take(self, ref: Ref) -> None:
        node = self._known[ref]
        if node is not None:
            self.nodes[ref] = node

    def _load(self, owners: dict[Ref, str | None]) -> None:
        """Read records that are not known yet, given the client of each; those that take no part are noted as None."""
        fresh = [ref for ref in owners if ref not in self._known]
        rows = records_of(self._tx, fresh)
        for ref in fresh:
            row = rows.get(ref)
            free = owners[ref] is None
            barred = ref in self._reserved or (row is not None and row.state is not RecordState.PRESENT)
            if row is None or ref[0] not in self._scope.systems or (free and barred):
                self._known[ref] = None
                continue
            found: Identity = self._scope.systems[ref[0]].identity(row.fields)
            self._known[ref] = Node(ref, found, owners[ref], active=is_active(row))

    def _search(self, refs: Iterable[Ref]) -> None:
        """Find who shares a key with these records."""
        fresh = {key for ref in refs for key in self._keys_of(ref)} - self._searched - self._common
        self._searched |= fresh
        strong = {key for key in fresh if key[0] in STRONG_KEYS}
        owners: dict[Ref, str | None] = {}
        sharers: dict[MatchKey, list[Ref]] = defaultdict(list)
        clients: dict[MatchKey, set[str]] = defaultdict(set)
        for keys, limit in ((strong, STRONG_SHARERS_MAX), (fresh - strong, SHARERS_MAX)):
            for hit in self._tx.sharers(keys, limit) if keys else ():
                key = (hit.kind, hit.value)
                if hit.records > limit:
                    self._common.add(key)
                    continue
                ref = (hit.system, hit.external_id)
                sharers[key].append(ref)
                owners[ref] = hit.client
                if hit.client is not None:
                    clients[key].add(hit.client)
        for key, found in sharers.items():
            systems = Counter(system for system, _ in found)
            self._counts[key] = max(len(clients[key]), *systems.values())
        self._sharers.update(sharers)
        self._load(owners)

    def _keys_of(self, ref: Ref) -> frozenset[MatchKey]:
        """The keys of a record that is known."""
        node = self._known[ref]
        if ref not in self._keys:
            self._keys[ref] = keys_of(node.identity, self._matching.extras) if node is not None else frozenset()
        return self._keys[ref]

    def _judge(self, refs: Collection[Ref]) -> set[Ref]:
        """The verdicts on these records and everybody they share a key with; returns who has to be looked at because of them."""
        more: set[Ref] = set()
        clients: set[str] = set()
        for ref in refs:
            for other in self._others(ref):
                verdict = self._verdict(ref, other)
                node = self._known[other]
                if verdict is None or node is None or verdict.zone == "reject":
                    continue
                if node.client is not None:
                    clients.add(node.client)
                elif verdict.zone == "link" and other not in self.free:
                    more.add(other)
                self.verdicts[pair_of(ref, other)] = verdict
        return more | self._meet(clients - self._clients)

    def _others(self, ref: Ref) -> set[Ref]:
        """Who shares a key with a record that was searched for."""
        return {other for key in self._keys_of(ref) for other in self._sharers.get(key, ())} - {ref}

    def _verdict(self, ref: Ref, other: Ref) -> Verdict | None:
        """The verdict on a pair, once."""
        pair = pair_of(ref, other)
        left, right = self._known.get(pair[0]), self._known.get(pair[1])
        if ref == other or pair in self._judged or left is None or right is None:
            return None
        self._judged.add(pair)
        return judge(left.identity, right.identity, self._commonness, self._matching)

    def _commonness(self, key: MatchKey) -> int:
        """How many clients share a key, at least: those of linked records, or the records of one system; several may well be one client."""
        return COMMON if key in self._common else self._counts.get(key, 1)

    def _meet(self, clients: set[str]) -> set[Ref]:
        """Take in all records of these clients; returns the records without a client that strong evidence joins to one of them."""
        self._clients |= clients
        links = self._tx.links_of(sorted(clients)) if clients else {}
        mine = {(link.system, link.external_id): client for client, found in links.items() for link in found}
        self._load(dict(mine))
        theirs = [ref for ref in mine if self._known[ref] is not None]
        for ref in theirs:
            self._take(ref)
        self._search(theirs)
        more: set[Ref] = set()
        for ref in theirs:
            for other in self._others(ref):
                node = self._known[other]
                if node is None or node.client is not None or other in self.free:
                    continue
                verdict = self._verdict(ref, other)
                if verdict is not None and verdict.zone != "reject":
                    self.verdicts[pair_of(ref, other)] = verdict
                    if verdict.zone == "link":
                        more.add(other)
        return more


def pair_of(a: Ref, b: Ref) -> tuple[Ref, Ref]:
    """Two records, the smaller one first."""
    return (a, b) if a <= b else (b, a)


def is_active(row: RecordRow) -> bool:
    """Whether a record is in use; one that vanished still tells whose client it was, so that nobody deleted comes back as new."""
    return row.state is RecordState.PRESENT and row.fields.get("archived") is not True


def records_of(tx: Tx, refs: Iterable[Ref]) -> dict[Ref, RecordRow]:
    """The mirror of some records."""
    by_system: dict[str, list[str]] = defaultdict(list)
    for system, external_id in refs:
        by_system[system].append(external_id)
    return {
        (system, external_id): row
        for system, ids in by_system.items()
        for external_id, row in tx.records(system, ids).items()
    }
