"""Reading the log back: which lines are wanted, the rotated files from the oldest on, and the last lines of all from their end.

For `syncd log` and the operator's page alike.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

from syncd.log.file import KEPT_FILES

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
POLL_SECONDS: Final = 0.25
"""Between two looks at a file that is followed."""

BLOCK_BYTES: Final = 65_536
"""Of a file that is read from its end."""

MAX_LOOKED_AT_BYTES: Final = 64 * 1024 * 1024
"""How much of the files is looked at, from the end, for the last lines that are wanted."""


_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.:/-]+")
"""Words that stand in JSON as they are."""


@dataclass(frozen=True)
class Filter:
    """Which lines are wanted; None and "" let everything through. level: this one and those above it."""

    tenant: str | None = None
    system: str | None = None
    client: str | None = None
    cycle: str | None = None
    event: str | None = None
    level: str = "debug"
    since: datetime | None = None

    def wants(self, line: dict[str, Any]) -> bool:
        """Whether a line passes."""
        for key in ("tenant", "system", "client", "cycle", "event"):
            wanted = getattr(self, key)
            if wanted is not None and line.get(key) != wanted:
                return False
        level = str(line.get("level", "info"))
        if level in LEVELS and LEVELS.index(level) < LEVELS.index(self.level):
            return False
        return self.since is None or self._is_recent(line)

    def may_want(self, text: str) -> bool:
        """Whether a line may pass, before it is read as JSON: what it has to name stands in it. Much quicker where few lines do."""
        return all(part in text for part in self._parts)

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        named = (self.tenant, self.system, self.client, self.cycle, self.event)
        return tuple(f'"{word}"' for word in named if word is not None and _PLAIN.fullmatch(word))

    def _is_recent(self, line: dict[str, Any]) -> bool:
        try:
            return self.since is None or moment(str(line.get("at"))) >= self.since
        except ValueError:
            return False


def moment(text: str) -> datetime:
    """A time in ISO 8601; one without a zone is in UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def parsed(text: str) -> dict[str, Any] | None:
    """A line as an object; None where it is none."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def picked(text: str, wanted: Filter) -> dict[str, Any] | None:
    """A line as an object if it is wanted; None where it is not, or is no object."""
    line = parsed(text) if wanted.may_want(text) else None
    return line if line is not None and wanted.wants(line) else None


def lines(path: Path, *, follow: bool = False) -> Iterator[str]:
    """The lines of the rotated files and of the one being written; with `follow` it waits for more and never ends.

    A rotation while following is noticed: the old file is read to its end, then the new one from its start.
    """
    for number in range(KEPT_FILES, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists():
            with old.open(encoding="utf-8", errors="replace") as file:
                yield from file
    if not path.exists() and not follow:
        return
    while True:
        while not path.exists():
            time.sleep(POLL_SECONDS)
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from _current(file, path, follow=follow)
        if not follow:
            return


def _current(file: IO[str], path: Path, *, follow: bool) -> Iterator[str]:
    """The lines of an open file; with `follow` until its name means another file. A line is told when its end is there."""
    half = ""
    while True:
        for text in file:
            half += text
            if half.endswith("\n"):
                yield half
                half = ""
        if not follow or _replaced(file, path):
            if half:
                yield half
            return
        time.sleep(POLL_SECONDS)


def _replaced(file: IO[str], path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return True
    ours = os.fstat(file.fileno())
    return (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev) and file.tell() >= ours.st_size


def latest(path: Path, wanted: Filter, limit: int) -> tuple[list[dict[str, Any]], str]:
    """The last `limit` lines that are wanted, oldest first, and the place behind them, from which `newer` goes on.

    The files are read from their end; nothing beyond `MAX_LOOKED_AT_BYTES` is looked at.
    """
    place = _end(path)
    found: list[dict[str, Any]] = []
    budget = MAX_LOOKED_AT_BYTES
    for number in range(KEPT_FILES + 1):
        name = path.with_name(f"{path.name}.{number}") if number else path
        for text in _backwards(name):
            budget -= len(text)
            line = picked(text.decode(errors="replace"), wanted)
            if line is not None:
                found.append(line)
            if len(found) >= limit or budget < 0:
                return found[::-1], place
    return found[::-1], place


def newer(path: Path, place: str, wanted: Filter, limit: int) -> tuple[list[dict[str, Any]], str]:
    """The lines that came behind a place that `latest` or `newer` gave, and the place behind them.

    After a rotation, and where the place is none, it goes on with the last lines of the file that is written now.
    """
    identity, _, offset = place.partition(":")
    try:
        with path.open("rb") as file:
            if f"{os.fstat(file.fileno()).st_ino}" != identity or not offset.isdigit():
                return latest(path, wanted, limit)
            file.seek(int(offset))
            content = file.read(MAX_LOOKED_AT_BYTES)
    except OSError:
        return [], place
    whole = content[: content.rfind(b"\n") + 1]
    told = [picked(text.decode(errors="replace"), wanted) for text in whole.splitlines()]
    return [line for line in told if line is not None][-limit:], f"{identity}:{int(offset) + len(whole)}"


def _end(path: Path) -> str:
    """The place behind the last whole line."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(size - BLOCK_BYTES, 0))
            end = start + file.read().rfind(b"\n") + 1
            return f"{os.fstat(file.fileno()).st_ino}:{end}"
    except OSError:
        return ""


def _backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file, last first, without what stands behind the last line break; none where there is no file."""
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            rest = b""
            ended = False
            while position > 0:
                size = min(BLOCK_BYTES, position)
                position -= size
                file.seek(position)
                pieces = (file.read(size) + rest).split(b"\n")
                rest, whole = pieces[0], pieces[1:]
                if whole and not ended:
                    whole, ended = whole[:-1], True
                yield from reversed(whole)
            if rest and ended:
                yield rest
    except FileNotFoundError:
        return
