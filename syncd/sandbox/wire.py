"""Requests, answers and routes: the words in which the four simulated systems speak to the HTTP edge.

A system's endpoint is a function from `Request` to `Answer` (it only read) or to `Write` (it validated everything and would
now change its state). Splitting a write in two is what lets a fault strike between the check and the commit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.routing import compile_path

Json = Any
Row = dict[str, Any]

JSON = "application/json"
BODY_LIMIT_BYTES = 10_000_000


class Nothing:
    """The type of `NOTHING`: an answer without any body."""


NOTHING = Nothing()


@dataclass(slots=True)
class Tilt:
    """How faults bend one listing. shift: pages; drop: records cut off the end of a page; as_of: epoch seconds of the view."""

    shift: int = 0
    drop: int = 0
    extra_total: int = 0
    empty: bool = False
    endless: bool = False
    as_of: float | None = None


@dataclass(slots=True)
class Request:
    """One HTTP request to one system. path: below the system's base URL, still percent-encoded."""

    seq: int
    provider: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    repeated: frozenset[str] = frozenset()
    params: dict[str, str] = field(default_factory=dict)
    tilt: Tilt = field(default_factory=Tilt)
    at: float = 0.0
    credential: str = ""
    external_id: str | None = None
    sent: Json = None
    violations: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def content_type(self) -> str:
        """The media type of the body, lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(slots=True)
class Answer:
    """What a system says. `body` is used where given, else `json` is encoded."""

    status: int
    json: Json = NOTHING
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def encoded(self) -> bytes:
        """The bytes of the body; empty where there is none."""
        if self.body is not None:
            return self.body
        return b"" if isinstance(self.json, Nothing) else encode(self.json)


@dataclass(frozen=True, slots=True)
class Write:
    """A validated change: `commit` applies it and says what the system answers."""

    commit: Callable[[], Answer]


class Refused(Exception):
    """Raised by an endpoint to answer at once; `violation` tells what the caller did against the documentation."""

    def __init__(self, answer: Answer, violation: str | None = None) -> None:
        super().__init__(violation or str(answer.status))
        self.answer = answer
        self.violation = violation


Endpoint = Callable[[Request], "Answer | Write"]


@dataclass(frozen=True, slots=True)
class Route:
    """One documented call. query: the parameter names it knows; open: needs no credentials; listing: pages of records."""

    method: str
    path: str
    endpoint: Endpoint
    query: frozenset[str] = frozenset()
    listing: bool = False
    open: bool = False


class Router:
    """The documented calls of one system; templates are Starlette's."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(_pattern(route.path), route) for route in routes]

    def find(
        self, method: str, path: str, offered: Callable[[Route], bool]
    ) -> tuple[Route | None, dict[str, str], list[str]]:
        """The route, its path parameters decoded one segment at a time, and the methods that the path does know."""
        allowed: list[str] = []
        for pattern, route in self._routes:
            found = pattern.match(path)
            if found is None or not offered(route):
                continue
            if route.method == method:
                return route, {name: unquote(value) for name, value in found.groupdict().items()}, []
            allowed.append(route.method)
        return None, {}, allowed


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return compile_path(template)[0]


def encode(value: Json) -> bytes:
    """Compact UTF-8 JSON. A lone surrogate (a fault may ask for one) is written as an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def parse_json(body: bytes) -> Json:
    """The JSON value of a body. Raises ValueError; NaN and Infinity are no JSON."""

    def refuse(text: str) -> Json:
        message = f"{text} is not JSON"
        raise ValueError(message)

    return json.loads(body.decode(), parse_constant=refuse)


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; blank values are kept. Raises ValueError, also for a name given twice."""
    pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        message = "a parameter is given twice"
        raise ValueError(message)
    return fields


def cut(rows: Sequence[Row], first: int, count: int, tilt: Tilt) -> tuple[Sequence[Row], int, bool]:
    """One page: the rows shown, the total told, and whether more follow. first: zero-based index; faults bend all three."""
    total = len(rows)
    start = max(0, first + tilt.shift * count)
    if tilt.endless and start >= total:
        start = max(0, total - count)
    shown = rows[start : start + count]
    if tilt.drop:
        shown = shown[: -tilt.drop]
    if tilt.empty:
        shown = []
    return shown, total + tilt.extra_total, tilt.endless or first + count < total + tilt.extra_total


def merged(old: Json, new: Json) -> Json:
    """`new` laid over `old`: objects merge key by key, None removes nothing but is stored, all else replaces."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def positive(text: str) -> int:
    """A whole number of at least 1. Raises ValueError."""
    number = int(text)
    if number < 1 or not text.isascii() or not text.isdigit():
        raise ValueError(text)
    return number
