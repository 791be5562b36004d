"""Clients that come to resemble each other because of what somebody typed: evidence that is weaker than an equal number.

The first look at a record weighs it against everybody who shares a key with it (`syncd.engine.linking`); this weighs a client again that has got a
new key by an edit, against who shares that key. A pair is asked about where the edit has made them alike: what an earlier look could have
proposed is not proposed a second time. It is never acted upon without a person, and lapses where they are made unlike again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from syncd.core.correlate import (
    SHARERS_MAX,
    STRONG_KEYS,
    STRONG_SHARERS_MAX,
    Identity,
    MatchKey,
    Verdict,
    identity,
    judge,
    keys_of,
)
from syncd.core.merge import Outcome
from syncd.core.model import UNKNOWN
from syncd.engine import merging
from syncd.engine.decide import Draft, Scope, present
from syncd.engine.gathering import COMMON
from syncd.engine.linking import PROPOSED, explained
from syncd.engine.recognising import TYPED, ask, is_of_likeness, names
from syncd.store import Base, Bundle, ClientState, HoldRow, HoldState

if TYPE_CHECKING:
    from syncd.core.model import Fields
    from syncd.store import Tx


@dataclass(frozen=True, slots=True)
class _Sharing:
    """Who shares which key. counts: at least how many clients do; keys that very many share have no sharers."""

    clients: Mapping[MatchKey, Collection[str]]
    counts: Mapping[MatchKey, int]

    def __call__(self, key: MatchKey) -> int:
        return self.counts.get(key, 1)


@dataclass(frozen=True, slots=True)
class _Moved:
    """A client before and after an edit, and the keys that it has got by it."""

    was: Identity
    now: Identity
    gained: Collection[MatchKey]


def propose_resembling(tx: Tx, bundles: Sequence[Bundle], drafts: Sequence[Draft], scope: Scope) -> int:
    """Propose the clients that an edit has made alike, and let go those that one has made unlike. bundles: as they were before. How many holds."""
    before = {bundle.client.client: bundle for bundle in bundles}
    moved = {each.client.client: each for each in drafts if each.changes and before[each.client.client].client.fields}
    if not moved:
        return 0
    asked = [hold for hold in tx.holds() if is_of_likeness(hold) and moved.keys() & names(hold)]
    if asked:
        _let_go(tx, asked, scope)
    views: dict[str, _Moved] = {}
    for client, draft in moved.items():
        if draft.client.state is ClientState.ACTIVE and _is_edited(before[client], draft):
            was, now = (_identity(fields, scope) for fields in (before[client].client.fields, draft.client.fields))
            if gained := _keys([now], scope) - _keys([was], scope):
                views[client] = _Moved(was, now, gained)
    return _propose(tx, views, scope) if views else 0


def _propose(tx: Tx, views: Mapping[str, _Moved], scope: Scope) -> int:
    found = _sharing(tx, {key for view in views.values() for key in view.gained})
    others = {
        client: {each for key in view.gained for each in found.clients.get(key, ())} - {client}
        for client, view in views.items()
    }
    rivals = {client: theirs for client, theirs in others.items() if theirs}
    if not rivals:
        return 0
    known = _bundles(tx, rivals.keys() | {each for theirs in rivals.values() for each in theirs})
    sharing = _sharing(tx, _keys([one for client in rivals for one in (views[client].was, views[client].now)], scope))
    opened = 0
    pairs = [
        (mine, other) for mine in sorted(rivals) for other in sorted(rivals[mine]) if {mine, other} <= known.keys()
    ]
    for client, other in pairs:
        verdict = _alike(views[client], _of(known[other], scope), sharing, scope)
        if verdict is None:
            continue
        pair = known[client], known[other]
        if all(present(each, scope.systems) for each in pair) and not merging.parted(tx, *pair):
            opened += ask(tx, *pair, _words(verdict), scope, _told(verdict, scope))
    return opened


def _alike(view: _Moved, theirs: Identity, sharing: _Sharing, scope: Scope) -> Verdict | None:
    """The verdict on two clients that an edit has made alike; None where they are not, or were so before."""
    verdict = judge(view.now, theirs, sharing, scope.policy.matching)
    if verdict.zone == "reject" or verdict.contradictions:
        return None
    return verdict if judge(view.was, theirs, sharing, scope.policy.matching).zone == "reject" else None


def _let_go(tx: Tx, asked: Iterable[HoldRow], scope: Scope) -> None:
    """A proposal ends by itself where the clients do not look alike any more."""
    known = {name: _of(each, scope) for name, each in _bundles(tx, {c for hold in asked for c in names(hold)}).items()}
    sharing = _sharing(tx, _keys(known.values(), scope))
    for hold in asked:
        pair = [known[client] for client in sorted(names(hold)) if client in known]
        if len(pair) != 2:  # noqa: PLR2004 - two clients; what else ends a proposal is seen elsewhere
            continue
        if judge(pair[0], pair[1], sharing, scope.policy.matching).zone == "reject":
            words = "they do not look alike any more"
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by=words))
            tx.mark_dirty(sorted(names(hold)))


def _is_edited(before: Bundle, draft: Draft) -> bool:
    """Whether something was typed into a record that had been looked at: what a new record brings, the first look at it has weighed."""
    bases = {(link.system, link.external_id): link.bases for link, _ in before.sides}
    return any(
        each.outcome in (Outcome.ACCEPT, Outcome.CONFLICT)
        and each.value != each.before
        and bases.get((each.winner or "", each.record or ""), {}).get(each.unit, Base()).seen is not UNKNOWN
        for each in draft.decisions
    )


def _keys(found: Iterable[Identity], scope: Scope) -> set[MatchKey]:
    return {key for each in found for key in keys_of(each, scope.policy.matching.extras)}


def _sharing(tx: Tx, keys: Collection[MatchKey]) -> _Sharing:
    """Who shares some keys, as far as the mirror shows it."""
    strong = {key for key in keys if key[0] in STRONG_KEYS}
    clients: dict[MatchKey, set[str]] = defaultdict(set)
    systems: dict[MatchKey, Counter[str]] = defaultdict(Counter)
    counts: dict[MatchKey, int] = {}
    for some, limit in ((strong, STRONG_SHARERS_MAX), (set(keys) - strong, SHARERS_MAX)):
        for hit in tx.sharers(some, limit) if some else ():
            key = (hit.kind, hit.value)
            if hit.records > limit:
                counts[key] = COMMON
                continue
            systems[key][hit.system] += 1
            if hit.client is not None:
                clients[key].add(hit.client)
    counts |= {key: max(len(clients[key]), *found.values()) for key, found in systems.items()}
    return _Sharing(clients, counts)


def _bundles(tx: Tx, clients: Collection[str]) -> dict[str, Bundle]:
    """Those of some clients that are in use."""
    found = tx.bundles(sorted(clients)) if clients else []
    return {
        each.client.client: each for each in found if each.client.state is ClientState.ACTIVE and each.client.fields
    }


def _identity(fields: Fields, scope: Scope) -> Identity:
    return identity(fields, scope.context, scope.policy.matching.extras)


def _of(bundle: Bundle, scope: Scope) -> Identity:
    return _identity(bundle.client.fields, scope)


def _words(verdict: Verdict) -> str:
    return (
        f"what was typed makes them alike: they may be one client (score {verdict.score}): {'; '.join(verdict.reasons)}"
    )


def _told(verdict: Verdict, scope: Scope) -> dict[str, Any]:
    return {
        "situation": PROPOSED,
        "score": str(verdict.score),
        "reasons": list(verdict.reasons),
        "evidence": explained(verdict.evidence, scope.policy.matching.weights.prior),
        TYPED: True,
    }
