"""What a rule would do: the conflicts of a field as the rule would decide them, told before the rule is in force."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from syncd.core import normalize
from syncd.core.model import Policy, Rule
from syncd.core.survivorship import Candidate, choose
from syncd.engine.merging import RULE as MERGED
from syncd.report.rows import Document, plain
from syncd.store import ConflictKind, ConflictRow, ConflictStatus, Store

LOOKED_AT: Final = 200
"""The latest conflicts of a field that are judged again."""


def foresee(store: Store, policy: Policy, unit: str) -> Document:
    """Every open conflict of a unit, and the latest decided ones, as `policy` would decide them.

    winner: the system that would win, None where a person would be asked. changed: whether that differs from what was decided. certain:
    false for the rule `newest`, which goes by times of the systems that the conflict does not keep.
    """
    with store.reading() as tx:
        rows = [
            row
            for row in tx.conflicts()
            if row.unit == unit and row.kind is not ConflictKind.DELETE and row.rule != MERGED
        ][-LOOKED_AT:]
        origins = {bundle.client.client: bundle.client.origins for bundle in tx.bundles({row.client for row in rows})}
    judged = [_judged(row, policy, origins.get(row.client, {}).get(unit)) for row in reversed(rows)]
    return {
        "field": unit,
        "rule": policy.field(unit).rule.value,
        "order": list(policy.field(unit).order),
        "certain": policy.field(unit).rule is not Rule.NEWEST,
        "open": [each for each in judged if each["status"] == ConflictStatus.OPEN],
        "decided": [each for each in judged if each["status"] != ConflictStatus.OPEN],
        "changed": sum(each["changed"] for each in judged),
    }


def _judged(row: ConflictRow, policy: Policy, origin: str | None) -> Document:
    candidates = [
        Candidate(str(each["system"]), each.get("external_id"), each["value"], _moment(each.get("seen_at")))
        for each in row.candidates
    ]

    def alike(left: Candidate, right: Candidate) -> bool:
        return normalize.same(row.unit, left.value, right.value, policy.context)

    chosen, rule, why = choose(row.unit, candidates, policy.field(row.unit), alike, origin)
    winner = chosen.system if chosen is not None else None
    return {
        "conflict": row.conflict,
        "client": row.client,
        "status": row.status.value,
        "was": row.winner,
        "was_value": plain(row.value),
        "winner": winner,
        "value": chosen.value if chosen is not None else None,
        "rule": rule,
        "why": why,
        "changed": winner != row.winner,
    }


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
