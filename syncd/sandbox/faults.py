"""The fault plan: which request is struck, at which phase, and by what.

A rule matches requests by system, method and path (a regular expression, searched in the path below the base URL), strikes from
its `nth` match on (or each match with `probability`), `times` times (0 = without end). The phases:

    before_parse    nothing was looked at
    before_commit   everything was checked, nothing was done
    after_commit    the change is done, the answer is not the good one
    mid_answer      the change is done, the answer breaks off in its middle
    late_commit     the answer goes out at once, the change follows after `delay` seconds
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from syncd.sandbox.wire import Request

PHASES = ("before_parse", "before_commit", "after_commit", "mid_answer", "late_commit")

REPLACING = {
    "status": "answer `status` in the system's own error body; 429 with `retry_after` (seconds, or form `date`)",
    "html": "a maintenance page with `status` (200)",
    "empty": "no body, `status` (200)",
    "redirect": "`status` (302) to the second host",
    "error_200": "200 with an error object",
    "bomb": "gzip that unpacks to `size` bytes (64 MiB)",
    "depth": "JSON nested `size` deep (100 000)",
    "digits": "JSON with a number of `size` digits (100 000)",
    "body": "`status` (200) with the text `value`",
}
MANGLING = {
    "null": "the envelope's list, or the whole body, is null",
    "missing": "the envelope's list is left out",
    "content_type": "the good body as `value` (text/plain)",
    "invalid_utf8": "bytes that are no UTF-8",
    "bom": "a byte order mark in front",
    "duplicate_keys": "the first member of the body twice",
    "next_host": "every `next` link points to the second host",
    "hide_field": "member `field` (dotted) is left out of every record, or of `record`",
    "null_field": "it is null",
    "text_field": "it is text instead of a number",
    "set_field": "it is `value`",
}
CUTTING = {
    "reset": "TCP reset",
    "close": "the connection is closed",
    "truncate": "half the body, then closed (`reset`: reset)",
}
SLOWING = {"stall": "a pause of `seconds`", "drip": "the body trickles over `seconds`"}
PAGING = {
    "duplicate_page": "the page before is shown again",
    "skip_page": "the next page is shown instead",
    "short_page": "`count` records are left out at the end (1)",
    "empty_page": "no records",
    "wrong_total": "the total is `count` too high (7)",
    "changed_total": "the total grows by `count` with each strike (1)",
    "endless": "the last page comes for ever",
    "stale": "what was true `seconds` ago",
}
ACTING = {
    "ignored_write": "answered as if done, not done",
    "revoke": "every token issued so far ends",
    "user": "a person does `act` (see `World.act`)",
}
EFFECTS = REPLACING | MANGLING | CUTTING | SLOWING | PAGING | ACTING
TERMINAL = REPLACING.keys() | {"reset", "close"}
"""Effects after which the good answer is not seen; in the first two phases they keep the change from happening."""


@dataclass(slots=True)
class Rule:
    """One entry of the fault plan; see the module's header and `EFFECTS`. hits: how often it matched, struck: how often it acted."""

    effect: str
    provider: str = "*"
    method: str = "*"
    path: str = ""
    phase: str = ""
    nth: int = 1
    probability: float | None = None
    times: int = 1
    status: int = 0
    retry_after: int | None = None
    retry_form: str = "seconds"
    delay: float = 0.5
    seconds: float = 1.0
    size: int = 0
    count: int = 0
    field: str = ""
    record: str = ""
    value: Any = None
    act: Any = dataclasses.field(default_factory=dict)
    reset: bool = False
    rule: str = ""
    hits: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.effect not in EFFECTS:
            message = f"unknown effect {self.effect!r}; known are {', '.join(EFFECTS)}"
            raise ValueError(message)
        if not self.phase:
            late = self.effect in MANGLING or self.effect == "drip"
            self.phase = "after_commit" if late else "mid_answer" if self.effect == "truncate" else "before_commit"
        if self.phase not in PHASES:
            message = f"unknown phase {self.phase!r}; known are {', '.join(PHASES)}"
            raise ValueError(message)
        if self.effect == "status" and not self.status:
            self.status = 503
        if self.retry_form not in {"seconds", "date"}:
            message = "retry_form is seconds or date"
            raise ValueError(message)
        re.compile(self.path)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Rule:
        """A rule from JSON. Raises ValueError for unknown keys, effects and phases."""
        known = {one.name for one in fields(cls)} - {"rule", "hits", "struck"}
        unknown = [name for name in values if name not in known]
        if unknown or "effect" not in values:
            message = f"unknown keys {unknown}" if unknown else "a rule needs an effect"
            raise ValueError(message)
        return cls(**values)

    def matches(self, request: Request) -> bool:
        """Whether this request is of the kind the rule strikes."""
        return (
            self.provider in {"*", request.provider}
            and self.method in {"*", request.method}
            and re.search(self.path, request.path) is not None
        )


class Plan:
    """The rules in force. Draws come from the seed, in the order of the requests."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"faults {seed}")
        self._number = 0
        self.rules: list[Rule] = []

    def add(self, rule: Rule) -> str:
        """Put a rule into force; returns its name."""
        self._number += 1
        rule.rule = f"f{self._number}"
        self.rules.append(rule)
        return rule.rule

    def clear(self) -> None:
        """No faults any more."""
        self.rules.clear()

    def strike(self, request: Request) -> list[Rule]:
        """The rules that strike this request, in the order they were added."""
        struck = []
        for rule in self.rules:
            if (rule.times and rule.struck >= rule.times) or not rule.matches(request):
                continue
            rule.hits += 1
            if rule.hits < rule.nth or (rule.probability is not None and self._chance.random() >= rule.probability):
                continue
            rule.struck += 1
            struck.append(rule)
        return struck

    def shown(self) -> list[dict[str, Any]]:
        """All rules as JSON."""
        return [asdict(rule) for rule in self.rules]
