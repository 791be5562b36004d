"""`syncd log`: the service's log files, oldest line first, filtered, in one readable line each or as they are."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

import click

from syncd.cli import output
from syncd.cli.frame import DONE, Call, now, options, usage
from syncd.config import find_folder, load
from syncd.config.shape import seconds
from syncd.log import EVENTS
from syncd.log.reading import LEVELS, Filter, lines, moment, parsed

_TOLD_APART: Final = frozenset({"at", "level", "event", "logger", "tenant", "system", "frames"})

_BELOW_COLUMNS: Final = output.WIDTH_COLUMNS - 4


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
        if not wanted.may_want(text):
            continue
        line = parsed(text)
        if line is None:
            broken += 1
        elif wanted.wants(line):
            if call.json:
                click.echo(text.rstrip("\n"))
            else:
                for piece in output.wrapped(in_words(line), max(output.WIDTH_COLUMNS, output.console().width)):
                    click.echo(piece)
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


def in_words(line: dict[str, Any]) -> str:
    """A line for people: time, level, where, event, and the rest as key=value; a value alone as wide as the screen is cut."""
    at = str(line.get("at", ""))[:19].replace("T", " ")
    where = "/".join(str(line[key]) for key in ("tenant", "system") if line.get(key))
    rest = (
        _cut(f"{key}={_brief(value)}") for key, value in line.items() if key not in _TOLD_APART and value is not None
    )
    parts = (at, f"{line.get('level', '')!s:7}", where, str(line.get("event", "")), *rest)
    return output.plain(" ".join(part for part in parts if part))


def _cut(text: str) -> str:
    """What fits into an indented line below; a text with blanks is broken there instead."""
    return text if " " in text or len(text) <= _BELOW_COLUMNS else f"{text[: _BELOW_COLUMNS - 3]}..."


def _brief(value: object) -> str:
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return json.dumps(value, ensure_ascii=False)
