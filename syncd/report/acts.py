"""The documents of what a person had syncd do: a plan applied, a cycle or a write undone, systems verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from syncd.engine.applying import Applied
from syncd.engine.undo import Fate, Step
from syncd.engine.verify import Verified
from syncd.report.rows import Document, write_document

VERDICTS: Final = ("different", "unreadable", "missing", "extra")


def applied(tenant: str, plan_id: str, cycle: str, outcomes: Iterable[Applied]) -> Document:
    """What became of each write of a plan: done, stale, waiting, in_doubt or parked."""
    writes = [
        {
            **(write_document(tenant, each.write) if each.write is not None else each.planned),
            "planned": each.planned["write"],
            "outcome": each.outcome,
            "outcome_reason": each.reason,
        }
        for each in outcomes
    ]
    counts = Counter(write["outcome"] for write in writes)
    totals = {
        "done": counts["done"],
        "stale": counts["stale"],
        "unfinished": counts.total() - counts["done"] - counts["stale"],
    }
    return {"tenant": tenant, "plan": plan_id, "cycle": cycle, **totals, "writes": writes}


def undone(tenant: str, what: str, steps: Iterable[Step]) -> Document:
    """What became of each value that a cycle or a write had changed. undone, left: how many were set back, and were not."""
    changes = [
        {
            "client": step.client,
            "field": step.field,
            "from": step.now,
            "to": step.back if step.fate is Fate.UNDONE else step.now,
            "fate": step.fate.value,
            "reason": step.reason,
            "write": step.write,
        }
        for step in steps
    ]
    done = sum(change["fate"] == Fate.UNDONE.value for change in changes)
    return {"tenant": tenant, "undo": what, "undone": done, "left": len(changes) - done, "changes": changes}


def verified(tenant: str, found: Iterable[Verified]) -> Document:
    """What the real systems show, compared with the store; `next` names the commands that lead to a repair."""
    systems = [
        {
            "system": each.system,
            "outcome": each.outcome,
            "reason": each.reason,
            "error": each.error,
            "records": each.records,
            "equal": each.equal,
            **{verdict: each.count(verdict) for verdict in VERDICTS},
            "explained": sum(bool(difference.explained) for difference in each.differences),
            "requests": each.requests,
            "sound": each.sound,
            "differences": [
                {
                    "external_id": difference.external_id,
                    "client": difference.client,
                    "verdict": difference.verdict,
                    "mirror": list(difference.mirror),
                    "golden": list(difference.golden),
                    "explained": difference.explained or None,
                }
                for difference in each.differences
            ],
        }
        for each in found
    ]
    sound = all(system["sound"] for system in systems)
    step = "" if sound else f"syncd plan --tenant {tenant} --out FILE, look at it, then syncd apply FILE"
    return {"tenant": tenant, "sound": sound, "next": step or None, "systems": systems}
