"""Matching as an operator and scripts see it: links explained, decisions counted, the first run's report. Reads only, decides nothing.

No document here holds a value of a client: fields, scores, ids and counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import NormalDist
from typing import Final

from syncd.core.correlate import Identity, Ref, Verdict, identity, judge, keys_of
from syncd.core.model import Policy
from syncd.engine.automatic import BY
from syncd.engine.first_run import REPORTED
from syncd.engine.linking import PROPOSED, explained
from syncd.report.rows import Document, hold_document, link_document
from syncd.store import Bundle, HoldKind, HoldRow, HoldState, LinkState, Store, Tx

BANDS: Final = (0.0, 0.5, 0.7, 0.9, 0.99, 0.999, 1.0)
"""Where one band of scores ends and the next begins."""

CONFIDENCE: Final = 0.95
Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

STATS_CLIENTS_MAX: Final = 50_000
"""Clients whose links are looked at for the statistics; beyond that they say that they are not complete."""

PAGE: Final = 500

_BY_OTHERS: Final = frozenset({"", "new", "created by syncd"})
"""What links say that no evidence made."""

_PROPOSALS: Final = (HoldKind.LINK, HoldKind.MERGE)


def links(store: Store, tenant: str, policy: Policy, *, limit: int | None = None) -> Iterator[Document]:
    """Every link with the score that its evidence has today, against the record of the same client that speaks most for it.

    Keys of `report.links`, and score (null where there is nobody to compare with), with{system, external_id}, evidence[]{field, seen, weight}.
    """
    for bundle, verdicts in _explained(store, policy, limit):
        for link, _ in bundle.sides:
            found = verdicts.get((link.system, link.external_id))
            told: Document = {"score": None, "with": None, "evidence": []}
            if found is not None:
                other, verdict = found
                told = {
                    "score": verdict.score,
                    "with": {"system": other[0], "external_id": other[1]},
                    "evidence": explained(verdict.evidence, policy.matching.weights.prior),
                }
            yield {
                "tenant": tenant,
                "client": link.client,
                **link_document(link),
                "linked_at": link.linked_at,
                **told,
            }


def _explained(
    store: Store, policy: Policy, limit: int | None
) -> Iterator[tuple[Bundle, Mapping[Ref, tuple[Ref, Verdict]]]]:
    """Clients, and the best verdict on each of their linked records today."""
    after, left = "", limit
    while left is None or left > 0:
        with store.reading() as tx:
            clients = tx.clients(after=after, limit=PAGE if left is None else min(PAGE, left))
            page = [(bundle, _verdicts(tx, bundle, policy)) for bundle in tx.bundles([row.client for row in clients])]
        if not clients:
            return
        yield from page
        after = clients[-1].client
        left = None if left is None else left - len(clients)


def _verdicts(tx: Tx, bundle: Bundle, policy: Policy) -> dict[Ref, tuple[Ref, Verdict]]:
    found: dict[Ref, Identity] = {
        (link.system, link.external_id): identity(record.fields, policy.context, policy.matching.extras)
        for link, record in bundle.sides
        if record is not None and link.state is not LinkState.APART
    }
    if len(found) < 2:  # noqa: PLR2004 - nobody to compare with
        return {}
    counts = tx.key_counts({key for one in found.values() for key in keys_of(one, policy.matching.extras)})
    best: dict[Ref, tuple[Ref, Verdict]] = {}
    for ref, mine in found.items():
        verdicts = [
            (other, judge(mine, theirs, lambda key: counts.get(key, 1), policy.matching))
            for other, theirs in sorted(found.items())
            if other != ref
        ]
        best[ref] = max(verdicts, key=lambda pair: pair[1].total)
    return best


# ---------------------------------------------------------------- how people decided


@dataclass(slots=True)
class _Band:
    """Proposals of one band of scores."""

    low: float
    high: float
    open: int = 0
    accepted: int = 0
    refused: int = 0
    scores: list[float] = field(default_factory=list)


def interval(wrong: int, of: int) -> tuple[float, float]:
    """Wilson's interval for a share of which so many of so few were seen: between which values it lies, at 95 % confidence."""
    if of == 0:
        return 0.0, 1.0
    share, z = wrong / of, Z * Z / of
    middle, reach = share + z / 2, Z * math.sqrt(share * (1 - share) / of + z / (4 * of))
    low, high = (middle - reach) / (1 + z), (middle + reach) / (1 + z)
    return (0.0 if wrong == 0 else max(0.0, low)), (1.0 if wrong == of else min(1.0, high))


def stats(store: Store, tenant: str, policy: Policy) -> Document:
    """How people decided on proposals, per band of scores, and how many automatic links they took back.

    error: the share that was refused (taken back), null where nobody decided; error_low and error_high: where it lies at 95 % confidence;
    predicted: the share that the scores themselves expect to be wrong.
    """
    with store.reading() as tx:
        rows = [row for row in tx.holds(None) if row.kind in _PROPOSALS]
    bands = [_Band(low, high) for low, high in pairwise(BANDS)]
    disputes = _Band(0.0, 1.0)
    for row in rows:
        _count(row, bands, disputes)
    return {
        "tenant": tenant,
        "thresholds": {"propose": policy.matching.propose, "link": policy.matching.link},
        "bands": [{"from": band.low, "to": band.high, **_told(band)} for band in bands],
        "proposals": _told(_sum(bands)),
        "disputes": _told(disputes),
        "links": _automatic(store, policy),
    }


def _count(row: HoldRow, bands: Sequence[_Band], disputes: _Band) -> None:
    """One proposal or dispute; what a rule decided, and what lapsed, is nobody's decision."""
    if row.state is HoldState.LAPSED or row.decided_by == BY or not row.items:
        return
    item = row.items[0]
    band = disputes
    if item.get("situation", PROPOSED) == PROPOSED and item.get("score") is not None:
        score = float(str(item["score"]))
        band = next(each for each in reversed(bands) if score >= each.low)
        band.scores.append(score)
    if row.state is HoldState.OPEN:
        band.open += 1
    elif row.state is HoldState.REFUSED:
        band.refused += 1
    else:
        band.accepted += 1


def _sum(bands: Sequence[_Band]) -> _Band:
    return _Band(
        0.0,
        1.0,
        sum(band.open for band in bands),
        sum(band.accepted for band in bands),
        sum(band.refused for band in bands),
        [score for band in bands for score in band.scores],
    )


def _told(band: _Band) -> Document:
    decided = band.accepted + band.refused
    predicted = round(1 - sum(band.scores) / len(band.scores), 4) if band.scores else None
    return {
        "open": band.open,
        "accepted": band.accepted,
        "refused": band.refused,
        **_error(band.refused, decided),
        "predicted": predicted,
    }


def _error(wrong: int, of: int) -> Document:
    low, high = interval(wrong, of)
    return {
        "error": round(wrong / of, 4) if of else None,
        "error_low": round(low, 4),
        "error_high": round(high, 4),
    }


def _automatic(store: Store, policy: Policy) -> Document:
    """Links that syncd made by itself, by their evidence, and how many of its kind people contradicted.

    The record that a client began with was linked to nobody. A link that was taken back left a pair of records that are kept apart although strong evidence joins them.
    """
    by: Counter[str] = Counter()
    scores: Counter[float] = Counter()
    parted: set[tuple[Ref, Ref]] = set()
    looked = 0
    for bundle, verdicts in _explained(store, policy, STATS_CLIENTS_MAX):
        looked += 1
        mine = [(link.system, link.external_id) for link, _ in bundle.sides]
        own = [link for link, _ in bundle.sides if link.matched_by not in _BY_OTHERS]
        for link in own if len(own) < len(bundle.sides) else own[1:]:
            found = verdicts.get((link.system, link.external_id))
            if found is not None and found[1].zone == "link":
                by[link.matched_by] += 1
                scores[max(band for band in BANDS[:-1] if found[1].score >= band)] += 1
        if mine:
            with store.reading() as tx:
                parted |= tx.aparts(mine)
    wrong = _contradicted(store, policy, parted)
    total = sum(by.values())
    return {
        "automatic": total,
        "by": dict(sorted(by.items())),
        "bands": {f"{band:g}": scores[band] for band in BANDS[:-1] if scores[band]},
        "taken_back": wrong,
        **_error(wrong, total + wrong),
        "complete": looked < STATS_CLIENTS_MAX,
    }


def _contradicted(store: Store, policy: Policy, parted: set[tuple[Ref, Ref]]) -> int:
    """How many pairs that people keep apart would be linked on their evidence: of two systems, and nobody had asked about them."""
    wrong = 0
    with store.reading() as tx:
        asked = {
            frozenset((str(item["system"]), str(item.get("external_id"))) for item in row.items)
            for row in tx.holds(None)
            if row.kind in _PROPOSALS and row.state is HoldState.REFUSED
        }
        for a, b in sorted(parted):
            if a[0] == b[0] or any({a, b} <= refs for refs in asked):
                continue
            rows = [tx.records(system, [external_id]).get(external_id) for system, external_id in (a, b)]
            pair = [identity(row.fields, policy.context, policy.matching.extras) for row in rows if row is not None]
            if len(pair) == len(rows) and judge(pair[0], pair[1], lambda _key: 1, policy.matching).zone == "link":
                wrong += 1
    return wrong


# ---------------------------------------------------------------- the first run


def first_run(store: Store, tenant: str) -> Document:
    """The first run's report: when it was made, whether it was released, and per system what was linked, proposed, ambiguous and new.

    `systems` is empty while it has not been made: not every system was read completely yet, or none may be written.
    """
    with store.reading() as tx:
        holds = [row for row in tx.holds(None) if row.kind is HoldKind.FIRST_RUN]
        made = tx.audit(kind=REPORTED, limit=1)
        state = tx.get_meta("first_run")
    systems = made[0].payload["systems"] if made else holds[-1].items if holds else []
    return {
        "tenant": tenant,
        "state": {"waiting": "waiting", "released": "released"}.get(state or "", "not made"),
        "made_at": made[0].at if made else None,
        "hold": hold_document(tenant, holds[-1])["hold"] if holds else None,
        "systems": systems,
    }
