"""Clients: the list, one with all its sides and its time line, why a field is what it is, and taking back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from syncd import report
from syncd.engine.undo import Undo
from syncd.errors import UsageError
from syncd.report import figures
from syncd.report import inbox as inbox_report
from syncd.report.acts import undone
from syncd.report.history import history
from syncd.report.merging import apart_from, records_of
from syncd.report.trace import known_field, why
from syncd.store import ClientState
from syncd.web.overview import known
from syncd.web.show import field_order
from syncd.web.site import Form, Missing, Site, actor_of, is_part

PAGE_CLIENTS: Final = 50
EVENTS_SHOWN: Final = 100
MAX_QUERY_CHARACTERS: Final = 200


def clients(site: Site, request: Request) -> Response:
    """GET /t/TENANT/clients: golden records, by text and state, in pages."""
    name = known(site, request)
    query = request.query_params
    text = query.get("q", "").strip()[:MAX_QUERY_CHARACTERS]
    state = query.get("state", "")
    after = query.get("after", "")
    if after and not (after[:1] == "c" and after[1:].isdigit()):
        raise Missing("this place in the list is none")
    wanted = ClientState(state) if state in {*ClientState} else None
    with site.tenants.store(name) as store:
        rows = figures.client_page(store, name, text=text, state=wanted, after=after, limit=PAGE_CLIENTS + 1)
    more = len(rows) > PAGE_CLIENTS
    rows = rows[:PAGE_CLIENTS]
    asked = {key: each for key, each in (("q", text), ("state", state)) if each}
    next_link = f"/t/{name}/clients?{urlencode({**asked, 'after': rows[-1]['client']})}" if more else None
    return site.page(
        request,
        "clients.html",
        tenant=name,
        rows=rows,
        q=text,
        wanted=state,
        states=[each.value for each in ClientState],
        after=after,
        next_link=next_link,
    )


def client(site: Site, request: Request) -> Response:
    """GET /t/TENANT/clients/CLIENT: golden with origins, all sides, contacts, what waits, the time line."""
    name, identifier = known(site, request), str(request.path_params["client"])
    whole_line = request.query_params.get("line") == "all"
    with site.tenants.whole(name) as whole:
        document = report.show(whole.store, name, identifier, whole.engine.systems)
        line = history(whole.store, name, identifier, limit=None if whole_line else EVENTS_SHOWN)
        if document is None or line is None:
            raise Missing(f"there is no client {identifier} in tenant {name}")
        waiting = inbox_report.inbox(whole.store, name, limit=EVENTS_SHOWN, client=document["client"])
        with whole.store.reading() as tx:
            strangers = apart_from(tx, document["client"])
            records = records_of(tx, document["client"])
    sides = [side for side in document["sides"] if side["state"] != "apart"]
    shown = [document["fields"], *(side["fields"] for side in sides)]
    told = {field for fields in shown for field, each in fields.items() if each not in (None, "", [])}
    return site.page(
        request,
        "client.html",
        tenant=name,
        client=document,
        sides=sides,
        apart=[side for side in document["sides"] if side["state"] == "apart"],
        fields=[field for field in field_order(told) if field not in ("contacts", "notes")],
        contacts=_contacts(document, sides),
        notes=document["fields"].get("notes") or [],
        unit_of=_unit_of,
        standings={row["system"]: row for row in document["standings"]},
        waiting=waiting,
        line=list(reversed(line["events"])),
        line_total=line["events_total"],
        merged_from=line["merged_from"],
        strangers=strangers,
        records=records,
        systems=[system.name for system in whole.policy.systems],
    )


def _unit_of(field: str) -> str:
    from syncd.core.model import unit_of  # noqa: PLC0415 - one function, for the template

    return unit_of(field)


def _contacts(document: report.Document, sides: list[report.Document]) -> list[report.Document]:
    """Every contact of golden, with the systems whose record lists one of that address or name."""
    told = []
    for contact in document["fields"].get("contacts") or []:
        keys = _keys(contact)
        places = [
            side["system"] for side in sides for other in side["fields"].get("contacts") or [] if keys & _keys(other)
        ]
        told.append({**contact, "places": list(dict.fromkeys(places))})
    return told


def _keys(contact: Mapping[str, Any]) -> set[str]:
    """By what a contact is recognised on this page."""
    return {str(contact[key]).casefold() for key in ("email", "name", "family_name") if contact.get(key)}


def why_field(site: Site, request: Request) -> Response:
    """GET /t/TENANT/clients/CLIENT/why/FIELD: from the value back to its cause, and forward to its writes."""
    name = known(site, request)
    identifier, field = str(request.path_params["client"]), str(request.path_params["field"])
    with site.tenants.whole(name) as whole:
        document = why(whole.store, name, identifier, field, whole.engine.systems)
        if document is None or not known_field(field, document):
            raise Missing(f"there is no field {field!r} of a client {identifier} in tenant {name}")
    template = "why_part.html" if is_part(request) else "why.html"
    return site.page(request, template, tenant=name, client=document, entry=document["fields"][0])


def undo(site: Site, request: Request) -> Response:
    """GET /t/TENANT/undo/WHAT: what taking back a cycle or a write would do."""
    name, what = known(site, request), _what(request)
    with site.tenants.whole(name) as whole:
        hand = Undo(whole.store, site.clock, "nobody yet")
        steps = hand.inverse(what, whole.engine.systems, whole.policy.context)
    return site.page(request, "undo.html", tenant=name, undo=undone(name, what, steps), done=False)


def undo_now(site: Site, request: Request, form: Form) -> Response:
    """POST /t/TENANT/undo/WHAT: take it back."""
    del form
    name, what = known(site, request), _what(request)
    session = actor_of(request)
    with site.tenants.whole(name) as whole:
        hand = Undo(whole.store, site.clock, session.actor)
        steps = hand.undo(what, whole.engine.systems, whole.policy.context)
    site.audit(session, name, f"undo {what}")
    site.glances.forget(name)
    return site.page(request, "undo.html", tenant=name, undo=undone(name, what, steps), done=True)


def _what(request: Request) -> str:
    what: Any = request.path_params["what"]
    if str(what)[:1] not in ("y", "w") or not str(what)[1:].isdigit():
        raise UsageError(f"{what!r} is neither a cycle nor a write")
    return str(what)
