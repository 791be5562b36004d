"""An answer becomes a rule: the change of the tenant's file and what it would decide are shown first, then it is made."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from syncd import report
from syncd.config.editing import propose_rule, save
from syncd.core.model import UNITS, Rule
from syncd.errors import UsageError
from syncd.report import inbox as inbox_report
from syncd.report.foresight import foresee
from syncd.web.overview import known
from syncd.web.site import Form, Missing, Site, actor_of, back


def rule(site: Site, request: Request) -> Response:
    """GET /t/TENANT/rules/FIELD: the rule as it is, and another one (`take`, `rule`, `order`) with all that it would change."""
    query = request.query_params
    name, unit = known(site, request), _unit(request)
    chosen, order = _asked(site, name, unit, query.get("rule", ""), query.getlist("order"), query.get("take", ""))
    config = site.tenants.config(name)
    edit = propose_rule(site.tenants.service, config, unit, chosen, order)
    foresight: report.Document | None = None
    entry: report.Document | None = None
    with site.tenants.store(name) as store:
        if edit.config is not None:
            foresight = foresee(store, edit.config.policy, unit)
        if query.get("conflict"):
            entry = inbox_report.entry(store, name, query["conflict"])
    return site.page(
        request,
        "rule.html",
        tenant=name,
        unit=unit,
        now_rule=config.policy.field(unit),
        chosen=chosen.value,
        order=list(order),
        rules=[each.value for each in Rule],
        edit=edit,
        foresight=foresight,
        conflict=entry if entry is not None and entry["open"] else None,
        take=query.get("take", ""),
    )


def _unit(request: Request) -> str:
    unit = str(request.path_params["field"])
    if unit not in UNITS:
        raise Missing(f"there is no rule for {unit!r}: custom fields follow the order of the systems")
    return unit


def _asked(
    site: Site, name: str, unit: str, rule_text: str, order: Sequence[str], take: str
) -> tuple[Rule, tuple[str, ...]]:
    """The rule that is asked for. take: the system that is to come first from now on."""
    policy = site.tenants.config(name).policy
    now = policy.field(unit)
    systems = [system.name for system in policy.systems]
    wanted = Rule(rule_text) if rule_text in {*Rule} else (Rule.ORDER if take else now.rule)
    given = [system for system in dict.fromkeys(order) if system in systems]
    if not given:
        given = list(now.order)
    if take in systems and not order:
        given = [take, *(system for system in given if system != take)]
    return wanted, tuple(given)


def make_rule(site: Site, request: Request, form: Form) -> Response:
    """POST /t/TENANT/rules/FIELD: change the file, and settle the conflict that it began with."""
    name, unit = known(site, request), _unit(request)
    session = actor_of(request)
    chosen, order = _asked(site, name, unit, form.one("rule"), form.all("order"), "")
    edit = propose_rule(site.tenants.service, site.tenants.config(name), unit, chosen, order)
    conflict, take = form.one("conflict"), form.one("take")
    with site.tenants.store(name) as store:
        entry = inbox_report.entry(store, name, conflict) if conflict else None
        if entry is not None and entry["seen"] != form.one("seen"):
            raise UsageError(f"{conflict} has changed since it was shown; look at it again")
        save(edit, form.one("digest"))
        site.audit(session, name, f"rule {unit} {chosen.value}")
        site.hand(session, name, store).note(
            "rule_changed", {"field": unit, "rule": chosen.value, "order": list(order)}
        )
        if entry is not None and entry["open"] and take in entry["conflict"]["takes"]:
            site.hand(session, name, store).resolve(conflict, take=take)
            site.audit(session, name, f"resolve {conflict}")
    site.tenants.look()
    site.glances.forget(name)
    told = f"{unit} goes by the rule {chosen.value} from the next cycle on."
    return back(f"/t/{name}/inbox?{urlencode({'done': told})}")
