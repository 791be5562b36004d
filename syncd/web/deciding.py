"""The inbox: what waits for a person, and what they decide, for one entry or for many.

An entry comes with a digest of what was shown; a decision is made only while the entry still is that. Many at once, and what is large or
cannot be taken back easily, are listed once more before they are done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from syncd import report
from syncd.core.model import parts_of
from syncd.engine.operate import Operator
from syncd.errors import SyncdError, UsageError
from syncd.report import inbox as inbox_report
from syncd.store import Store
from syncd.web.access import Session
from syncd.web.joining import lasting_in
from syncd.web.overview import PAGE_SECONDS, known
from syncd.web.site import Form, Missing, Site, actor_of, back, is_part

PAGE_ENTRIES: Final = 15
SIZES: Final = (PAGE_ENTRIES, 25, 100)
WEIGHTY: Final = frozenset({"first_run", "brake"})
"""Kinds whose release is listed once more, however few were chosen."""

DONE_WORDS: Final[Mapping[str, str]] = {
    "release": "released",
    "refuse": "refused",
    "resolve": "resolved",
    "retry": "to be sent again",
    "drop": "dropped",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person wants done with entries. do: release | refuse | resolve | retry | drop; take or value for a conflict.

    again: they know that the conflict is decided, and decide it otherwise.
    """

    do: str
    take: str | None = None
    value: str | None = None
    again: bool = False

    def fits(self, entry: report.Document) -> str | None:
        """Why this cannot be done with an entry, or None."""
        if not entry["open"] and not (self.again and (entry["kind"], self.do) == ("conflict", "resolve")):
            return f"it is {entry['state']} already"
        match entry["kind"], self.do:
            case "conflict", "resolve":
                if self.take is not None and self.take not in entry["conflict"]["takes"]:
                    return f"it has no value of {self.take}"
                return None if (self.take is None) != (self.value is None) else "no value was chosen"
            case "parked", "retry" | "drop":
                return None
            case "conflict" | "parked", _:
                return f"this is nothing to {self.do}"
            case _, "release" | "refuse":
                return None
        return f"this is nothing to {self.do}"

    def carry_out(self, hand: Operator, entry: report.Document) -> None:
        """Do it. Raises UsageError."""
        identifier = entry["entry"]
        match self.do:
            case "release":
                hand.release(identifier)
            case "refuse":
                hand.refuse(identifier)
            case "retry":
                hand.retry(identifier)
            case "drop":
                hand.drop(identifier)
            case _:
                hand.resolve(identifier, take=self.take, value=self.value)

    @property
    def words(self) -> str:
        """What becomes of the entry."""
        taken = f" by {self.take}" if self.take else ""
        return f"{DONE_WORDS.get(self.do, self.do)}{taken}"


def inbox(site: Site, request: Request) -> Response:
    """GET /inbox, GET /t/TENANT/inbox: one page of what waits, of one tenant or of all."""
    query = request.query_params
    tenants = [known(site, request)] if "tenant" in request.path_params else site.tenants.names()
    kinds = [kind for kind in query.getlist("kind") if kind in inbox_report.KINDS]
    size = int(query["size"]) if query.get("size") in {str(each) for each in SIZES} else PAGE_ENTRIES
    entries, unread = _page(site, tenants, kinds, query.get("after", ""), size + 1)
    more = len(entries) > size
    entries = entries[:size]
    last = f"{entries[-1]['tenant']}/{entries[-1]['entry']}" if entries and more else ""
    counts = _counts(site, tenants)
    one = tenants[0] if "tenant" in request.path_params else None
    here = f"/t/{one}/inbox" if one else "/inbox"

    def link(**changes: Any) -> str:
        given = {"kind": kinds, "size": size if size != PAGE_ENTRIES else None, **changes}
        asked = {name: each for name, each in given.items() if each}
        return f"{here}?{urlencode(asked, doseq=True)}" if asked else here

    return site.page(
        request,
        "inbox.html",
        tenant=one,
        entries=[_shown(each) for each in entries],
        counts=counts,
        kinds=kinds,
        link=link,
        here=here,
        after=query.get("after", ""),
        next_link=link(after=last) if last else None,
        size=size,
        sizes=SIZES,
        unread=unread,
        done=query.get("done", ""),
        all_kinds=inbox_report.KINDS,
    )


def _page(
    site: Site, tenants: list[str], kinds: list[str], after: str, limit: int
) -> tuple[list[report.Document], list[str]]:
    """Entries of the tenants in their order, from behind `TENANT/ENTRY`; and the tenants that could not be read."""
    start, _, identifier = after.partition("/")
    if identifier and not (identifier[:1] in "hkw" and identifier[1:].isdigit()):
        raise Missing("this place in the list is none")
    found: list[report.Document] = []
    unread: list[str] = []
    for name in tenants:
        if name < start or len(found) >= limit:
            continue
        try:
            with site.tenants.store(name) as store:
                behind = identifier if name == start else ""
                found.extend(inbox_report.inbox(store, name, kinds=kinds, after=behind, limit=limit - len(found)))
        except SyncdError:
            unread.append(name)
    return found, unread


def _counts(site: Site, tenants: list[str]) -> dict[str, int]:
    sums = dict.fromkeys(inbox_report.KINDS, 0)
    for row in site.glances.look(tenants, PAGE_SECONDS) if len(tenants) > 1 else _exact(site, tenants):
        for kind, count in row.get("waiting", {}).items():
            sums[kind] += count
    return sums


def _exact(site: Site, tenants: list[str]) -> list[report.Document]:
    rows = []
    for name in tenants:
        with site.tenants.store(name) as store, store.reading() as tx:
            rows.append({"waiting": tx.waiting_for_a_person()})
    return rows


def _shown(entry: report.Document) -> report.Document:
    """An entry with what its template asks for: for a proposal, which fields differ."""
    differing = inbox_report.differing(entry["clients"]) if entry["kind"] in ("link", "merge") else {}
    return {"result": None, "trouble": None, "lasting": [], **entry, "differing": differing}


def single(site: Site, request: Request) -> Response:
    """GET /t/TENANT/inbox/ENTRY: one entry with all its items."""
    name = known(site, request)
    with site.tenants.store(name) as store:
        entry = _entry(store, name, str(request.path_params["entry"]))
    return site.page(request, "entry.html", tenant=name, entry=_shown(entry), here=f"/t/{name}/inbox")


def _entry(store: Store, tenant: str, identifier: str) -> report.Document:
    entry = inbox_report.entry(store, tenant, identifier)
    if entry is None:
        raise Missing(f"there is nothing called {identifier} in tenant {tenant}")
    return entry


def decide_one(site: Site, request: Request, form: Form) -> Response:
    """POST /t/TENANT/inbox/ENTRY: decide one entry; what is weighty is listed once more first."""
    name = known(site, request)
    identifier = str(request.path_params["entry"])
    with site.tenants.store(name) as store:
        entry = _entry(store, name, identifier)
        decision = decision_of(form, entry)
        if decision.do == "release" and not form.one("confirmed") and decision.fits(entry) is None:
            lasting = lasting_in(site, actor_of(request), name, entry)
            if lasting and is_part(request):
                shown = {**_shown(entry), "lasting": lasting}
                return site.page(
                    request, "entry_part.html", tenant=name, entry=shown, here=_home(form, name), alone=False
                )
            if lasting or entry["kind"] in WEIGHTY:
                place = {f"{name}/{identifier}": form.one("seen")}
                return _ask(site, request, form, decision, [{**entry, "lasting": lasting}], place)
        trouble = _carry_out(site, store, actor_of(request), decision, entry, form.one("seen"))
        entry = _entry(store, name, identifier)
    if is_part(request):
        shown = {**_shown(entry), "result": None if trouble else decision.words, "trouble": trouble}
        return site.page(request, "entry_part.html", tenant=name, entry=shown, here=f"/t/{name}/inbox", alone=False)
    if trouble:
        raise UsageError(f"{identifier}: {trouble}")
    return back(f"{_home(form, name)}?{urlencode({'done': f'{identifier} is {decision.words}.'})}")


def _home(form: Form, tenant: str) -> str:
    """Where a person came from: the inbox of all, or of one tenant."""
    return "/inbox" if form.one("here") == "/inbox" else f"/t/{tenant}/inbox"


def decision_of(form: Form, entry: report.Document | None) -> Decision:
    """What a form asks for. The parts of a group come as fields of their own and go on as JSON."""
    do = form.one("do")
    if do not in DONE_WORDS:
        raise UsageError("nothing was chosen to be done")
    if do != "resolve":
        return Decision(do)
    take, again = form.one("take"), bool(form.one("again"))
    if take and take != "value":
        return Decision(do, take=take, again=again)
    if entry is None or entry["kind"] != "conflict":
        raise UsageError("no value was chosen")
    field = str(entry["conflict"]["field"])
    if field == "address":
        parts = {part: form.one(f"value_{part}") or None for part in parts_of(field)}
        return Decision(do, value=json.dumps(parts), again=again)
    return Decision(do, value=form.one("value"), again=again)


def _carry_out(
    site: Site, store: Store, session: Session, decision: Decision, entry: report.Document, seen: str
) -> str | None:
    """Do it, if the entry still is what was seen; why it was not done, or None."""
    if seen != entry["seen"]:
        return "it has changed since it was shown; look at it again"
    if (fault := decision.fits(entry)) is not None:
        return fault
    try:
        decision.carry_out(site.hand(session, entry["tenant"], store), entry)
    except UsageError as error:
        return str(error)
    site.glances.forget(entry["tenant"])
    site.audit(session, entry["tenant"], f"{decision.do} {entry['entry']}")
    return None


def decide_many(site: Site, request: Request, form: Form) -> Response:
    """POST /inbox: decide the chosen entries; they are listed first, and done when that is confirmed."""
    chosen = dict(_named(text) for text in form.all("item"))
    if not chosen:
        raise UsageError("nothing was chosen: tick the entries first")
    wanted = form.one("do")
    do, _, take = wanted.partition(":")
    decision = Decision(do, take=take or None)
    if do not in DONE_WORDS or (do == "resolve") != bool(take):
        raise UsageError("nothing was chosen to be done")
    confirmed = bool(form.one("confirmed"))
    results: list[report.Document] = []
    for place, seen in chosen.items():
        tenant, _, identifier = place.partition("/")
        results.append(_one_of_many(site, request, decision, tenant, identifier, seen, confirmed=confirmed))
    if not confirmed:
        return _ask(site, request, form, decision, results, chosen)
    done = sum(each["trouble"] is None for each in results)
    here = form.one("here") if form.one("here").startswith(("/inbox", "/t/")) else "/inbox"
    return site.page(request, "decided.html", decision=decision, results=results, done=done, here=here)


def _named(text: str) -> tuple[str, str]:
    """`TENANT/ENTRY:SEEN` -> (`TENANT/ENTRY`, SEEN)."""
    place, _, seen = text.rpartition(":")
    return place, seen


def _one_of_many(
    site: Site,
    request: Request,
    decision: Decision,
    tenant: str,
    identifier: str,
    seen: str,
    *,
    confirmed: bool,
) -> report.Document:
    """What becomes, or would become, of one of the chosen entries; nothing that happens to it stops the others."""
    if tenant not in site.tenants.names():
        return {"entry": identifier, "tenant": tenant, "trouble": "there is no such tenant", "kind": "", "clients": []}
    try:
        with site.tenants.store(tenant) as store:
            entry = _entry(store, tenant, identifier)
            if confirmed:
                trouble = _carry_out(site, store, actor_of(request), decision, entry, seen)
            else:
                trouble = decision.fits(entry)
                trouble = "it has changed since it was shown" if trouble is None and seen != entry["seen"] else trouble
                if decision.do == "release" and trouble is None:
                    entry["lasting"] = lasting_in(site, actor_of(request), tenant, entry)
            return {**_shown(entry), "trouble": trouble}
    except SyncdError as error:
        return {"entry": identifier, "tenant": tenant, "trouble": str(error), "kind": "", "clients": []}


def _ask(
    site: Site,
    request: Request,
    form: Form,
    decision: Decision,
    entries: list[report.Document],
    chosen: Mapping[str, str],
) -> Response:
    """The list of what would be done, with one button to do it."""
    shown = [each if "trouble" in each else {**_shown(each)} for each in entries]
    items = [f"{place}:{seen}" for place, seen in chosen.items()]
    wanted = f"{decision.do}:{decision.take}" if decision.take else decision.do
    return site.page(
        request,
        "confirm.html",
        decision=decision,
        entries=shown,
        items=items,
        wanted=wanted,
        here=form.one("here") or "/inbox",
        ready=sum(each["trouble"] is None for each in shown),
    )
