"""The memory of one system: tables of records with an undo log, and the tokens it has issued."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from syncd.sandbox.wire import Row

UNDO_LIMIT_ROWS = 20_000
"""How many past changes a stale view may reach back over."""


def visible(row: Row) -> Row:
    """The row without the members that only the system itself knows (their names start with an underscore)."""
    return {key: value for key, value in row.items() if not key.startswith("_")}


class Table:
    """Records by id, in order of creation. Rows are never changed in place, so an old view and a snapshot cost nothing."""

    def __init__(self, clock: Callable[[], float], unique: Callable[[Row], str | None] | None = None) -> None:
        self._clock = clock
        self._unique = unique
        self._owners: dict[str, str] = {}
        self._undo: deque[tuple[float, str, Row | None]] = deque(maxlen=UNDO_LIMIT_ROWS)
        self._ordered: dict[object, list[Row]] = {}
        self.rows: dict[str, Row] = {}

    def put(self, row_id: str, row: Row) -> None:
        """Store a row (a new object, never one already stored and changed)."""
        self._forget(row_id)
        self.rows[row_id] = row
        if self._unique is not None and (key := self._unique(row)) is not None:
            self._owners.setdefault(key, row_id)

    def drop(self, row_id: str) -> None:
        """Remove a row that exists."""
        self._forget(row_id)
        del self.rows[row_id]

    def _forget(self, row_id: str) -> None:
        before = self.rows.get(row_id)
        self._undo.append((self._clock(), row_id, before))
        self._ordered.clear()
        if before is not None and self._unique is not None:
            key = self._unique(before)
            if key is not None and self._owners.get(key) == row_id:
                del self._owners[key]

    def owner(self, key: str) -> str | None:
        """The id of the row that holds this unique key."""
        return self._owners.get(key)

    def view(self, as_of: float | None = None) -> dict[str, Row]:
        """All rows now, or as they were at a time (epoch seconds)."""
        if as_of is None:
            return self.rows
        past = dict(self.rows)
        for at, row_id, before in reversed(self._undo):
            if at <= as_of:
                break
            if before is None:
                past.pop(row_id, None)
            else:
                past[row_id] = before
        return past

    def ordered(
        self, name: object, key: Callable[[Row], Any], *, down: bool = False, as_of: float | None = None
    ) -> list[Row]:
        """All rows sorted; kept until the next change under `name`."""
        if as_of is not None:
            return sorted(self.view(as_of).values(), key=key, reverse=down)
        known = self._ordered.get((name, down))
        if known is None:
            known = self._ordered[name, down] = sorted(self.rows.values(), key=key, reverse=down)
        return known

    def snapshot(self) -> dict[str, Row]:
        """The rows as they are; cheap, because rows are never changed in place."""
        return dict(self.rows)

    def restore(self, rows: Mapping[str, Row], *, forget: bool = True) -> None:
        """Put a snapshot back; the undo log starts anew, unless only the last change is taken back."""
        self.rows = dict(rows)
        if forget:
            self._undo.clear()
        self._ordered.clear()
        self._owners.clear()
        if self._unique is not None:
            for row_id, row in rows.items():
                key = self._unique(row)
                if key is not None:
                    self._owners.setdefault(key, row_id)


@dataclass(slots=True)
class Tokens:
    """Bearer tokens of one system. fixed: those that never expire; issued: token -> (end in epoch seconds, holder)."""

    issuer: str
    clock: Callable[[], float]
    fixed: dict[str, str] = field(default_factory=dict)
    issued: dict[str, tuple[float, str]] = field(default_factory=dict)
    number: int = 0

    def issue(self, holder: str, seconds: float, claims: dict[str, Any] | None = None) -> str:
        """A new token in the shape of a JWT, valid for so many seconds."""
        self.number += 1
        now = self.clock()
        head = _segment({"alg": "RS256", "typ": "JWT"})
        load = _segment(
            {"iss": self.issuer, "sub": holder, "iat": int(now), "exp": int(now + seconds), **(claims or {})}
        )
        seal = hashlib.sha256(f"{self.issuer}:{self.number}:{head}.{load}".encode()).digest()
        token = f"{head}.{load}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"
        self.issued[token] = (now + seconds, holder)
        return token

    def state(self, token: str) -> str:
        """`ok`, `expired` or `unknown`."""
        if token in self.fixed:
            return "ok"
        end, _ = self.issued.get(token, (None, ""))
        if end is None:
            return "unknown"
        return "ok" if self.clock() < end else "expired"

    def holder(self, token: str) -> str:
        """Whose token it is; empty where it is not known."""
        return self.fixed.get(token) or self.issued.get(token, (0.0, ""))[1]

    def expire(self) -> None:
        """Every issued token ends now; the fixed ones stay."""
        self.issued = dict.fromkeys(self.issued, (0.0, "expired"))


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def bearer(authorization: str) -> str | None:
    """The token of a Bearer header, or None."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def basic(authorization: str) -> tuple[str, str] | None:
    """User name and password of a Basic header, or None."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if colon else None


def stamp(at: float) -> str:
    """Epoch seconds as ISO-8601 UTC with milliseconds, the way LSP.expert and Smartbills show times."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(at * 1000) % 1000:03d}Z"


def hexadecimal(seed: int, *parts: object, length: int = 24) -> str:
    """A reproducible opaque id."""
    return hashlib.sha256(":".join(str(part) for part in (seed, *parts)).encode()).hexdigest()[:length]


def folded(text: str | None) -> str | None:
    """An e-mail address as a uniqueness key: no blanks around, case-folded; None where there is none."""
    return text.strip().casefold() if text and text.strip() else None


def pick(row: Row, names: Iterable[str]) -> Row:
    """The named members that the row has."""
    return {name: row[name] for name in names if name in row}
