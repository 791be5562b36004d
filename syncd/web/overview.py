"""The first page: every tenant at a glance; and one tenant with its systems, budgets, breakers and figures over time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from syncd import report
from syncd.report import figures
from syncd.report.inbox import KINDS
from syncd.web.glances import modes
from syncd.web.site import Missing, Site, is_part

PAGE_SECONDS: Final = 0.05
"""How long a whole page reads tenants before it is shown; those it does not come to are told as they were."""
PART_SECONDS: Final = 0.25
"""The same for what is asked for while somebody looks at the page already."""

OLD: Final = timedelta(seconds=15)
"""From which age on a row says when it was read."""

SPANS: Final[Mapping[str, tuple[timedelta, int]]] = {
    "1h": (timedelta(hours=1), 60),
    "24h": (timedelta(hours=24), 96),
    "7d": (timedelta(days=7), 84),
    "30d": (timedelta(days=30), 90),
}
"""Name -> (length, pieces) of the time that the plots show."""


def overview(site: Site, request: Request) -> Response:
    """GET /: every tenant, those whose files are broken too."""
    names = site.tenants.names()
    rows = site.glances.look(names, PART_SECONDS if is_part(request) else PAGE_SECONDS)
    unread = sum(row["read_at"] is None for row in rows)
    template = "overview_part.html" if is_part(request) else "overview.html"
    rank = {"failing": 0, "paused": 1, "never": 2, "ok": 3}
    for row in rows:
        row["worst"] = min((system["state"] for system in row["systems"]), key=lambda s: rank[s], default="never")
        row["trouble"] = [system for system in row["systems"] if system["state"] in ("failing", "paused")]
        row["sums"] = _sums(row["systems"])
        row["old"] = row["read_at"] is not None and site.clock() - row["read_at"] > OLD
    return site.page(
        request, template, rows=rows, broken=site.tenants.broken, unread=unread, folder=str(site.tenants.folder)
    )


def _sums(systems: list[report.Document]) -> dict[str, int]:
    """The five counts of all systems together: places where a client could be."""
    return {state: sum(system["counts"][state] for system in systems) for state in report.STANDINGS}


def tenant(site: Site, request: Request) -> Response:
    """GET /t/TENANT: the systems of one tenant, and what waits."""
    name = known(site, request)
    config = site.tenants.config(name)
    with site.tenants.whole(name) as whole:
        status = report.status(whole.store, name, modes(config), whole.engine.quiet())
        limits = {settings.system: settings.requests_per_day for settings in config.systems}
        budgets = figures.budgets(whole.store, limits, site.clock())
    breakers = site.live.breakers(name)
    span = request.query_params.get("span", "24h")
    span = span if span in SPANS else "24h"
    template = "tenant_part.html" if is_part(request) else "tenant.html"
    return site.page(
        request,
        template,
        tenant=name,
        state=status,
        budgets=budgets,
        breakers=breakers,
        kinds=KINDS,
        span=span,
        spans=list(SPANS),
        figures=None if is_part(request) else _figures(site, name, span),
    )


def plots(site: Site, request: Request) -> Response:
    """GET /t/TENANT/figures: what the plots draw, as JSON."""
    name = known(site, request)
    span = request.query_params.get("span", "24h")
    if span not in SPANS:
        raise Missing(f"there is no span {span!r}; they are {', '.join(SPANS)}")
    return JSONResponse(_figures(site, name, span))


def _figures(site: Site, name: str, span: str) -> dict[str, Any]:
    length, pieces = SPANS[span]
    systems = list(modes(site.tenants.config(name)))
    with site.tenants.store(name) as store:
        return figures.over_time(store, systems, site.clock(), length, pieces)


def known(site: Site, request: Request) -> str:
    """The tenant in the address. Raises Missing where there is none of that name."""
    name = str(request.path_params["tenant"])
    if name not in site.tenants.names():
        raise Missing(f"there is no tenant {name!r} at work")
    return name
