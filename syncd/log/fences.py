"""What a line passes through before it is rendered: a chain of structlog processors."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import structlog

from syncd.log.catalogue import CONTEXT_KEYS, EVENTS, KEYS
from syncd.log.redaction import clean

MAX_TEXT_CHARACTERS: Final = 500
MAX_ITEMS: Final = 50
MAX_FRAMES: Final = 40

_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,62}")

Event = MutableMapping[str, Any]


class UnknownEvent(ValueError):
    """The code logs an event that `EVENTS` does not explain; raised in tests only."""


class Strictness:
    """Whether an event that the catalogue does not explain is an error."""

    on = False


def _known_event(_logger: object, _method: str, event: Event) -> Event:
    name = event.get("event")
    if name not in EVENTS:
        if Strictness.on:
            message = f"{name!r} is no event of syncd.log.EVENTS"
            raise UnknownEvent(message)
        event["event"] = "library"
        event["message"] = name if isinstance(name, str) else type(name).__name__
    return event


def _explain_errors(_logger: object, _method: str, event: Event) -> Event:
    """`error=EXCEPTION` becomes code, cause, next step and the rest of what syncd's errors carry; `exc_info` frames."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()[1]
    elif isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event["frames"] = _frames(given)
        event.setdefault("error", given)
    error = event.get("error")
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        for key, value in _facts(error).items():
            event.setdefault(key, value)
    return event


def _facts(error: BaseException) -> dict[str, object]:
    """What may be told about an error: its own words only where syncd wrote them or the operating system did."""
    code, next_step = getattr(error, "code", None), getattr(error, "next_step", None)
    if isinstance(code, str) and isinstance(next_step, str):
        facts: dict[str, object] = {"code": code, "cause": str(error), "next": next_step}
        for key in ("operation", "external_id", "status"):
            value = getattr(error, key, None)
            if value not in (None, ""):
                facts[key] = value
        return facts
    if isinstance(error, OSError) and error.strerror:
        return {"cause": error.strerror}
    return {}


def _frames(error: BaseException) -> list[str]:
    """`module.py:12 function`, outermost first; no source, no values."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    chain = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [*chain, *([f"caused by {type(cause).__name__}"] if cause is not None else [])]


def _allowed_keys(_logger: object, _method: str, event: Event) -> Event:
    dropped = sorted(key for key in event if key not in KEYS and key not in _ENVELOPE)
    for key in dropped:
        del event[key]
    if dropped:
        event["dropped"] = [key if _FIELD_NAME.fullmatch(key) else "?" for key in dropped]
    for key in ("field", "fields", "unit"):
        if key in event:
            event[key] = _field_names(event[key])
    return event


_ENVELOPE: Final = ("at", "level", "event", "logger", "dropped", "_record", "_from_structlog")


def _field_names(value: object) -> object:
    if isinstance(value, str):
        return value if _FIELD_NAME.fullmatch(value) else "?"
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        names = value if isinstance(value, (list, tuple)) else sorted(map(str, value))
        return [_field_names(name) for name in names]
    return "?"


def clean_values(_logger: object, _method: str, event: Event) -> Event:
    """The last fence before a line is rendered, and the only one that looks into values."""
    order = dict.fromkeys(key for key in ("at", "level", "event", "logger", *CONTEXT_KEYS) if key in event)
    return {key: _clean_value(event[key]) for key in order | dict.fromkeys(sorted(event))}


def _clean_value(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            shown = clean(str(value))
            return shown if len(shown) <= MAX_TEXT_CHARACTERS else shown[:MAX_TEXT_CHARACTERS] + "..."
        case Mapping():
            return {clean(str(key)): _clean_value(item) for key, item in list(value.items())[:MAX_ITEMS]}
        case list() | tuple() | set() | frozenset():
            items = value if isinstance(value, (list, tuple)) else sorted(value, key=str)
            return [_clean_value(item) for item in items[:MAX_ITEMS]]
        case os.PathLike():
            return clean(str(value))
        case _:
            return f"[{type(value).__name__}]"


def from_library(_logger: object, _method: str, event: Event) -> Event:
    """A line of another library: its message is kept, as a message."""
    return {
        "event": "library",
        "message": event.get("event"),
        **{key: event[key] for key in ("_record", "_from_structlog")},
    } | {"exc_info": event.get("exc_info")}


FENCES: Final[tuple[Any, ...]] = (
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    _known_event,
    _explain_errors,
    _allowed_keys,
)
