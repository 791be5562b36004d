"""The log while it is written, with the filters of `syncd log`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from syncd.config.shape import seconds
from syncd.log import EVENTS
from syncd.log.reading import LEVELS, Filter, latest, moment, newer
from syncd.web.site import Site, is_part

LINES_SHOWN: Final = 200
FILTERS: Final = ("tenant", "system", "client", "cycle", "event")
TOLD_APART: Final = frozenset({"at", "level", "event", "logger", "tenant", "system", "frames"})


def log_page(site: Site, request: Request) -> Response:
    """GET /log: the last lines that are wanted; asked by script with `place`, those that came since."""
    query = request.query_params
    wanted, trouble = _wanted(site, request)
    path = site.tenants.service.log_file
    lines: list[dict[str, Any]] = []
    place = query.get("place", "")
    if path is not None and not trouble:
        more = is_part(request) and place
        lines, place = newer(path, place, wanted, LINES_SHOWN) if more else latest(path, wanted, LINES_SHOWN)
    asked = {key: query[key] for key in (*FILTERS, "level", "since") if query.get(key)}
    return site.page(
        request,
        "log_part.html" if is_part(request) else "log.html",
        tenant=asked.get("tenant") if asked.get("tenant") in site.tenants.names() else None,
        lines=[_shown(line) for line in reversed(lines)],
        follow=f"/log?{urlencode({**asked, 'place': place})}",
        asked=asked,
        trouble=trouble,
        kept=path is not None,
        levels=LEVELS,
        events=sorted(EVENTS),
        tenants=site.tenants.names(),
        limit=LINES_SHOWN,
    )


def _wanted(site: Site, request: Request) -> tuple[Filter, str]:
    """The filter of the address, and what is wrong with it."""
    query = request.query_params
    given = {key: query.get(key) or None for key in FILTERS}
    wanted = Filter(given["tenant"], given["system"], given["client"], given["cycle"], given["event"])
    level = query.get("level") or "info"
    if level not in LEVELS:
        return Filter(), f"There is no level {level!r}."
    if given["event"] is not None and given["event"] not in EVENTS:
        return Filter(), f"There is no event {given['event']!r}."
    since = query.get("since", "").strip()
    if not since:
        return replace(wanted, level=level), ""
    try:
        return replace(wanted, level=level, since=site.clock() - timedelta(seconds=seconds(since))), ""
    except ValueError:
        pass
    try:
        return replace(wanted, level=level, since=moment(since)), ""
    except ValueError:
        return Filter(), "Write a time as 30m, 2h, 1d, or 2026-11-21T08:00 (UTC)."


def _shown(line: dict[str, Any]) -> dict[str, Any]:
    """A line as the table shows it: what stands in columns, and the rest as pairs."""
    rest = [(key, each) for key, each in line.items() if key not in TOLD_APART and each is not None]
    client = line.get("client")
    return {
        "at": line.get("at"),
        "level": str(line.get("level", "")),
        "event": str(line.get("event", "")),
        "tenant": line.get("tenant"),
        "system": line.get("system"),
        "client": client if isinstance(client, str) and client[:1] == "c" and client[1:].isdigit() else None,
        "rest": [(key, _brief(each)) for key, each in rest],
        "means": EVENTS.get(str(line.get("event", "")), ""),
    }


def _brief(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(each) for each in value)
    return str(value)
