"""Survivorship: the rule of a tenant that names the winning value of a field in a conflict.

A rule never sees a base or a write: only the values that compete, the order of trust and the times that the systems themselves
gave. An opt-out wins before any rule, and a value wins over an empty before any rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from syncd.core.model import UNKNOWN, FieldPolicy, Maybe, Rule, Value

GOLDEN = "golden"
"""The name under which the golden record competes."""

OPERATOR = "operator"
"""In the place of a system, where a person decided a value here; no system may bear this name."""

CLOCK_UNCERTAINTY_SECONDS = 60.0
"""Times of two systems that lie closer than this do not tell which edit was later."""

CONSENT = "marketing_consent"
"""The unit in which `False` is an opt-out."""

Same = Callable[[Value, Value], bool]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that competes for golden. For the golden record itself: system `golden`, no external id."""

    system: str
    external_id: str | None
    value: Value
    seen_at: datetime | None = None
    modified_at: datetime | None = None


Alike = Callable[[Candidate, Candidate], bool]


def rank_of(system: str, policy: FieldPolicy) -> int:
    """The place of a system in the order of trust of a field, 0 first; those not named come last."""
    return policy.order.index(system) if system in policy.order else len(policy.order)


def is_empty(value: Maybe) -> bool:
    """Whether nothing is said: unknown, or an empty of any shape."""
    return value is UNKNOWN or value is None or value in ("", [], {})


def parts_shown(maybe: Maybe) -> tuple[str, ...]:
    """The parts of a group that a value speaks of; none for a value that is no group."""
    return tuple(maybe) if isinstance(maybe, dict) else ()


def _distinct(candidates: Sequence[Candidate], alike: Alike) -> int:
    """How many different values compete. Equality is not transitive for partial groups, so every pair must be equal."""
    groups: list[list[Candidate]] = []
    for candidate in candidates:
        for group in groups:
            if all(alike(candidate, other) for other in group):
                group.append(candidate)
                break
        else:
            groups.append([candidate])
    return len(groups)


def choose(
    unit: str, candidates: Sequence[Candidate], policy: FieldPolicy, alike: Alike, origin: str | None
) -> tuple[Candidate | None, str, str]:
    """The winning candidate (None: held), the rule that named it, and why in words."""

    def rank(candidate: Candidate) -> int:
        if candidate.system != GOLDEN:
            return rank_of(candidate.system, policy)
        return -1 if origin is None else rank_of(origin, policy)

    ordered = sorted(candidates, key=lambda candidate: (rank(candidate), candidate.system, candidate.external_id or ""))
    if unit == CONSENT and (refusals := [each for each in ordered if each.value is False]):
        return refusals[0], "opt-out", "an opt-out wins over everything"
    full = [each for each in ordered if not is_empty(each.value)]
    if _distinct(full, alike) <= 1:
        return (
            max(full or ordered, key=lambda each: len(parts_shown(each.value))),
            policy.rule.value,
            "a value wins over an empty",
        )
    match policy.rule:
        case Rule.HOLD:
            return None, Rule.HOLD.value, "the tenant's rule asks a person"
        case Rule.FILL:
            return _fill(full)
        case Rule.NEWEST:
            return _newest(full, alike)
        case Rule.ORDER:
            return full[0], Rule.ORDER.value, f"{full[0].system} comes first in the order of trust"


def _fill(ordered: Sequence[Candidate]) -> tuple[Candidate, str, str]:
    golden = next((each for each in ordered if each.system == GOLDEN), None)
    if golden is not None:
        return golden, Rule.FILL.value, "only an empty field is filled, and golden has a value"
    return ordered[0], Rule.FILL.value, f"{ordered[0].system} comes first in the order of trust among those that fill"


def _newest(ordered: Sequence[Candidate], alike: Alike) -> tuple[Candidate, str, str]:
    """The latest by the systems' own times, where all have one and no other value comes close; else by order, and says so."""
    timed = [(each.modified_at, each) for each in ordered if each.modified_at is not None]
    if len(timed) == len(ordered):
        latest, winner = max(timed, key=lambda pair: pair[0])
        others = [at for at, each in timed if not alike(winner, each)]
        if all((latest - at).total_seconds() > CLOCK_UNCERTAINTY_SECONDS for at in others):
            return winner, Rule.NEWEST.value, f"{winner.system} was edited last"
        why = "the times lie too close together"
    else:
        why = "not every candidate has a time of its system"
    return ordered[0], Rule.ORDER.value, f"{why}, so the order decides: {ordered[0].system}"
