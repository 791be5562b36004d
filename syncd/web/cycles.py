"""Cycles and what they sent, the plan that waits, and the map of a tenant: which field flows where."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from syncd import report
from syncd.errors import UsageError
from syncd.report import figures
from syncd.report.flow import flow
from syncd.store import OPEN_WRITES, Store
from syncd.web.overview import known
from syncd.web.site import Asked, Form, Missing, Site, actor_of, back

PAGE_CYCLES: Final = 50
WRITES_SHOWN: Final = 200
PATIENCE: Final = timedelta(minutes=30)
"""After which a plan in the making may be asked for again."""
ROW_HEIGHT: Final = 34
COLUMNS: Final = (150, 430, 710)
"""The right edge of the sources, the middle of the fields and the left edge of the targets, in the map's own units."""


def cycles(site: Site, request: Request) -> Response:
    """GET /t/TENANT/cycles: newest first."""
    name = known(site, request)
    text = request.query_params.get("before", "")
    before = int(text[1:]) if text[:1] == "y" and text[1:].isdigit() else None
    with site.tenants.store(name) as store:
        rows = figures.cycle_page(store, name, before=before, limit=PAGE_CYCLES + 1)
    more = len(rows) > PAGE_CYCLES
    rows = rows[:PAGE_CYCLES]
    next_link = f"/t/{name}/cycles?before={rows[-1]['cycle']}" if more else None
    return site.page(
        request, "cycles.html", tenant=name, rows=rows, next_link=next_link, before=text, counted=report.COUNTED
    )


def cycle(site: Site, request: Request) -> Response:
    """GET /t/TENANT/cycles/CYCLE: what one cycle read, changed and sent, with before and after."""
    name, identifier = known(site, request), str(request.path_params["cycle"])
    if identifier[:1] != "y" or not identifier[1:].isdigit():
        raise Missing(f"{identifier!r} is no cycle")
    with site.tenants.store(name) as store:
        found = figures.cycle_page(store, name, before=int(identifier[1:]) + 1, limit=1)
        if not found or found[0]["cycle"] != identifier:
            raise Missing(f"there is no cycle {identifier} in tenant {name}")
        writes, total = _writes(store, name, identifier)
        with store.reading() as tx:
            changes = tx.changes(cycle=identifier, limit=WRITES_SHOWN)
    return site.page(
        request,
        "cycle.html",
        tenant=name,
        cycle=found[0],
        counted=report.COUNTED,
        writes=writes,
        writes_total=total,
        changes=changes,
        shown=WRITES_SHOWN,
    )


def _writes(store: Store, tenant: str, cycle: str) -> tuple[list[report.Document], int]:
    with store.reading() as tx:
        rows = tx.writes(cycle=cycle)
    shown = [
        {**report.write_document(tenant, row), "before": row.before, "after": row.fields, "done_at": row.done_at}
        for row in rows[:WRITES_SHOWN]
    ]
    return shown, len(rows)


def plan(site: Site, request: Request) -> Response:
    """GET /t/TENANT/plan: what is in the outbox, and the plan that somebody asked for."""
    name = known(site, request)
    with site.tenants.store(name) as store, store.reading() as tx:
        rows = tx.writes(OPEN_WRITES, limit=WRITES_SHOWN + 1)
    waiting = [
        {**report.write_document(name, row), "before": row.before, "after": row.fields} for row in rows[:WRITES_SHOWN]
    ]
    asked = site.plans.get(name)
    document = asked.ready() if asked is not None else None
    return site.page(
        request,
        "plan.html",
        tenant=name,
        waiting=waiting,
        more=len(rows) > WRITES_SHOWN,
        can_plan=site.live.plan is not None,
        state="none" if asked is None else "making" if document is None else "made",
        plan=document,
        asked_at=asked.at if asked is not None else None,
        shown=WRITES_SHOWN,
    )


def make_plan(site: Site, request: Request, form: Form) -> Response:
    """POST /t/TENANT/plan: have the service read every system and decide, without sending anything."""
    del form
    name = known(site, request)
    asked = site.plans.get(name)
    if site.live.plan is None:
        raise UsageError("no service runs in this process that could make a plan")
    if asked is None or asked.ready() is not None or site.clock() - asked.at > PATIENCE:
        site.plans[name] = Asked(site.live.plan(name), site.clock())
        site.audit(actor_of(request), name, "plan")
    return back(f"/t/{name}/plan")


def field_map(site: Site, request: Request) -> Response:
    """GET /t/TENANT/map: which field flows where, drawn and as a table."""
    name = known(site, request)
    with site.tenants.whole(name) as whole:
        document = flow(whole.policy, whole.engine.systems)
    return site.page(request, "map.html", tenant=name, flow=document, drawing=_drawing(document))


def _drawing(document: report.Document) -> dict[str, Any]:
    """Where everything stands in the drawing: sources left, fields in the middle, targets right."""
    fields, systems = document["fields"], document["systems"]
    height = max(len(fields), len(systems)) * ROW_HEIGHT + 2 * ROW_HEIGHT
    left, middle, right = COLUMNS
    gap = (height - ROW_HEIGHT) / max(len(systems), 1)
    places = {system["system"]: ROW_HEIGHT + gap * (index + 0.5) for index, system in enumerate(systems)}
    rows = []
    for index, field in enumerate(fields):
        y = ROW_HEIGHT * (index + 1.5)
        reads = [
            {"system": each["system"], "kind": each["reads"], "d": _curve(left, places[each["system"]], middle - 90, y)}
            for each in field["systems"]
            if each["reads"] != "no"
        ]
        writes = [
            {
                "system": each["system"],
                "kind": each["writes"],
                "d": _curve(middle + 90, y, right, places[each["system"]]),
            }
            for each in field["systems"]
            if each["writes"] != "no"
        ]
        rows.append({"field": field["field"], "y": y, "reads": reads, "writes": writes})
    return {
        "height": height,
        "width": right + left,
        "left": left,
        "middle": middle,
        "right": right,
        "systems": [{"system": name, "y": y} for name, y in places.items()],
        "rows": rows,
    }


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x1 + x2) / 2
    return f"M{x1:.0f} {y1:.1f}C{bend:.0f} {y1:.1f} {bend:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"
