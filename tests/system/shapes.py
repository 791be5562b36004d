"""The JSON that scripts rely on, as tables: every promised key, its type, and the words it may take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

Check = Callable[[Any], bool]
Shape = "Mapping[str, Any] | list[Any] | Check"


def text(value: Any) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and value != ""


def number(value: Any) -> bool:
    """A whole number that counts something."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def table(value: Any) -> bool:
    """An object."""
    return isinstance(value, dict)


def anything(_: Any) -> bool:
    """Whatever a value may be."""
    return True


def time(value: Any) -> bool:
    """ISO 8601 with its zone."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def maybe(check: Check) -> Check:
    """Null, or what the check wants."""
    return lambda value: value is None or check(value)


def word(*allowed: str) -> Check:
    """One of these."""
    return lambda value: value in allowed


def numbered(letter: str) -> Check:
    """An id such as c12."""
    return lambda value: isinstance(value, str) and re.fullmatch(rf"{letter}[1-9]\d*", value) is not None


FIVE = dict.fromkeys(("in_sync", "pending", "held", "excluded", "failing"), number)
ERROR = {"code": text, "message": text, "next": text}
LINK = {"system": text, "external_id": text, "state": word("linked", "missing", "gone", "apart"), "matched_by": text}
CANDIDATE = {"system": text, "external_id": maybe(text), "value": anything, "seen_at": maybe(time)}
WRITE = {
    "write": numbered("w"), "tenant": text, "system": text, "client": numbered("c"), "external_id": maybe(text),
    "action": word("create", "update", "archive", "restore", "delete", "merge"), "fields": table,
    "state": word("waiting", "sending", "in_doubt", "parked", "done", "dropped"), "attempts": number,
    "error": lambda value: value is None or not list(faults(ERROR, value)), "since": time,
}  # fmt: skip
CONFLICT = {
    "conflict": numbered("k"), "tenant": text, "client": numbered("c"), "field": text, "kind": word("edit", "first", "delete"),
    "base": anything, "candidates": [CANDIDATE], "rule": text, "status": word("decided", "open", "resolved"), "winner": maybe(text),
    "value": anything, "decided_by": maybe(anything), "logged_at": time,
}  # fmt: skip
HOLD = {
    "hold": numbered("h"), "tenant": text, "kind": word("first_run", "brake", "link", "merge", "field", "lossy", "delete"),
    "system": maybe(text), "reason": text, "items": [table], "since": time,
}  # fmt: skip
CLIENT = {
    "client": numbered("c"), "tenant": text, "state": word("active", "archived", "deleted", "merged"), "merged_into": maybe(numbered("c")),
    "fields": table, "links": [LINK],
}  # fmt: skip
RECORD = {
    "tenant": text, "system": text, "external_id": text, "client": maybe(numbered("c")), "raw": table, "fields": table, "seen_at": time,
    "changed_at": time, "state": text,
}  # fmt: skip
WALK = {
    "at": time, "outcome": word("complete", "incomplete", "suspicious"), "records": number, "requests": number, "reason": maybe(text),
}  # fmt: skip
STATUS = {
    "tenants": [{
        "tenant": text, "quiescent": flag, "clients": {"total": number, **FIVE}, "conflicts_open": number, "holds_open": number,
        "systems": [{
            "system": text, "provider": text, "mode": word("observe", "create-only", "update-only", "sync"),
            "state": word("ok", "paused", "failing", "never"), "records": number,
            "last_walk": lambda value: value is None or not list(faults(WALK, value)), "counts": FIVE,
            "outbox": {"waiting": number, "in_doubt": number, "parked": number},
        }],
    }],
}  # fmt: skip
SYNC = {
    "tenants": [{
        "tenant": text,
        "cycles": [{
            "cycle": text,
            "systems": [{"system": text, "walk": text, **dict.fromkeys(
                ("created", "updated", "archived", "merged", "deleted", "failed", "requests"), number)}],
            "conflicts": number, "holds": number,
        }],
        "quiescent": flag,
    }],
}  # fmt: skip
PLAN = {
    "tenant": text, "plan": text, "config_digest": text, "expires_at": time,
    "writes": [{**WRITE, "before": table, "after": table, "reason": text, "calls": number}], "conflicts": [CONFLICT], "links": [table],
    "holds": [HOLD], "calls": number,
}  # fmt: skip


def faults(shape: Any, value: Any, path: str = "$") -> Iterator[str]:
    """Where a value is not of its shape. More keys than promised are allowed."""
    if callable(shape):
        if not shape(value):
            yield f"{path} is {str(value)[:80]!r}"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for index, item in enumerate(value):
            yield from faults(shape[0], item, f"{path}[{index}]")
    elif not isinstance(value, dict):
        yield f"{path} is no object"
    else:
        for key, inner in shape.items():
            if key not in value:
                yield f"{path}.{key} is missing"
            else:
                yield from faults(inner, value[key], f"{path}.{key}")
