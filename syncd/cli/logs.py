"""`syncd log`: the service's log files, oldest line first, filtered, in one readable line each or as they are."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

import click

from syncd.cli import output
from syncd.cli.frame import DONE, Call, now, options, usage
from syncd.config import find_folder, load
from syncd.config.shape import seconds
from syncd.log import EVENTS
from syncd.log.file import KEPT_FILES

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
POLL_SECONDS: Final = 0.25
"""Between two looks at a file that is followed."""

_TOLD_APART: Final = frozenset({"at", "level", "event", "logger", "tenant", "system", "frames"})


@dataclass(frozen=True, slots=True)
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

    def _is_recent(self, line: dict[str, Any]) -> bool:
        try:
            return self.since is None or moment(str(line.get("at"))) >= self.since
        except ValueError:
            return False


@click.command("log")
@click.option("--system", metavar="NAME", help="Only lines about this system.")
@click.option("--client", metavar="CLIENT", help="Only lines about this client.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="This level and those above it.")
@click.option("--event", metavar="EVENT", help="Only this event, such as conflict_logged.")
@click.option("--since", metavar="TIME", help="A duration (30m, 2h, 1d) or a time (2026-11-21T08:00, UTC).")
@click.option("--cycle", metavar="CYCLE", help="Only lines of this cycle.")
@click.option("--follow", is_flag=True, help="Go on with new lines as they are written.")
@options
def log_command(
    call: Call,
    system: str | None,
    client: str | None,
    level: str,
    event: str | None,
    since: str | None,
    cycle: str | None,
    *,
    follow: bool,
) -> int:
    r"""Look into the log. With --json every line comes as it was written.

    \b
    Example: syncd log --tenant acme --level warning --since 2h
             syncd log --event conflict_logged --follow
    """
    service = load(find_folder(call.config)).service
    if service.log_file is None:
        raise usage(fault="no log file is kept", step=f"Set log.file in {service.folder / 'syncd.toml'}.")
    if event is not None and event not in EVENTS:
        raise usage(fault=f"there is no event {event!r}", step=f"The events are: {', '.join(sorted(EVENTS))}.")
    start = None if since is None else _since(since)
    wanted = Filter(call.tenant, system, client, cycle, event, level, start)
    broken = 0
    for text in lines(service.log_file, follow=follow):
        line = _parsed(text)
        if line is None:
            broken += 1
        elif wanted.wants(line):
            click.echo(text.rstrip("\n") if call.json else one_line(line, _width()))
    if broken:
        output.note(
            f"{output.counted(broken, 'line')} could not be read as JSON and {'is' if broken == 1 else 'are'} left out"
        )
    return DONE


def _since(text: str) -> datetime:
    try:
        return now() - timedelta(seconds=seconds(text))
    except ValueError:
        pass
    try:
        return moment(text)
    except ValueError:
        fault = f"--since {text!r} is neither a duration nor a time"
        raise usage(fault=fault, step="Write 30m, 2h, 1d, or 2026-11-21T08:00 (UTC).") from None


def moment(text: str) -> datetime:
    """A time in ISO 8601; one without a zone is in UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


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


def _width() -> int:
    return max(output.WIDTH_COLUMNS, output.console().width)


def one_line(line: dict[str, Any], width: int) -> str:
    """A line for people, of at most `width` columns: time, level, where, event, and the rest as key=value."""
    at = str(line.get("at", ""))[:19].replace("T", " ")
    where = "/".join(str(line[key]) for key in ("tenant", "system") if line.get(key))
    rest = " ".join(
        f"{key}={_brief(value)}" for key, value in line.items() if key not in _TOLD_APART and value is not None
    )
    parts = (at, f"{line.get('level', '')!s:7}", where, str(line.get("event", "")), rest)
    text = output.plain(" ".join(part for part in parts if part).rstrip())
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _brief(value: object) -> str:
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return json.dumps(value, ensure_ascii=False)
