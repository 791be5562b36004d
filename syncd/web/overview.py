"""The first page: every tenant at a glance; and one tenant with its systems, budgets, breakers and figures over time."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from syncd import report
from syncd.config import TenantConfig
from syncd.errors import StoreError
from syncd.report import figures
from syncd.report.inbox import KINDS
from syncd.web.site import Missing, Site, is_part
from syncd.web.tenants import absent

FRESH_SECONDS: Final = 2.0
"""How old what the first page tells of a tenant may be."""

READ_SECONDS: Final = 0.12
"""How long one request reads tenants; those it does not come to are told as they were, with their time."""

SPANS: Final[Mapping[str, tuple[timedelta, int]]] = {
    "1h": (timedelta(hours=1), 60),
    "24h": (timedelta(hours=24), 96),
    "7d": (timedelta(days=7), 84),
    "30d": (timedelta(days=30), 90),
}
"""Name -> (length, pieces) of the time that the plots show."""


class Glances:
    """What was last read of each tenant, and when; the oldest is read first."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: dict[str, tuple[float, report.Document]] = {}

    def look(self, site: Site, names: list[str]) -> list[report.Document]:
        """A document per tenant: what `figures.glance` tells, or only its name and why there is no more."""
        deadline = time.monotonic() + READ_SECONDS
        if self._guard.acquire(
            blocking=False
        ):  # somebody else's request is reading already: then what there is will do
            try:
                known = {name: self._known[name] for name in names if name in self._known}
                for name in sorted(names, key=lambda name: known[name][0] if name in known else 0.0):
                    now = time.monotonic()
                    if now > deadline:
                        break
                    if name not in known or now - known[name][0] > FRESH_SECONDS:
                        known[name] = (now, _glance(site, name))
                self._known = known
            finally:
                self._guard.release()
        blank: report.Document = {"note": "not read yet", "systems": [], "waiting_total": 0, "read_at": None}
        return [self._known.get(name, (0.0, {"tenant": name, **blank}))[1] for name in names]

    def forget(self, name: str) -> None:
        """Something was decided there: read it anew."""
        known = dict(self._known)
        known.pop(name, None)
        self._known = known


def _glance(site: Site, name: str) -> report.Document:
    try:
        with site.tenants.store(name) as store:
            found = figures.glance(store, name, modes(site.tenants.config(name)))
            return {**found, "note": None, "read_at": site.clock()}
    except StoreError as error:
        note = "no store yet: the first cycle makes it" if absent(error) else f"{error} ({error.code})"
        return {"tenant": name, "note": note, "systems": [], "waiting_total": 0, "read_at": site.clock()}


def modes(config: TenantConfig) -> dict[str, tuple[str, str]]:
    """The systems of a tenant in the order of its file -> (provider, mode)."""
    return {system.name: (system.provider, system.mode.value) for system in config.policy.systems}


GLANCES: Final = Glances()


def overview(site: Site, request: Request) -> Response:
    """GET /: every tenant, those whose files are broken too."""
    names = site.tenants.names()
    rows = GLANCES.look(site, names)
    unread = sum(row["read_at"] is None for row in rows)
    template = "overview_part.html" if is_part(request) else "overview.html"
    rank = {"failing": 0, "paused": 1, "never": 2, "ok": 3}
    for row in rows:
        row["worst"] = min((system["state"] for system in row["systems"]), key=lambda s: rank[s], default="never")
        row["trouble"] = [system for system in row["systems"] if system["state"] in ("failing", "paused")]
        row["sums"] = _sums(row["systems"])
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
