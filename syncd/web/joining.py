"""Which clients are one: merge, take back, keep apart; each is shown first, with all that the systems cannot undo.

What is shown is a rehearsal of the act itself. The form carries a digest of it, and the act is done only if it comes to the same; where
something cannot be undone, the person has to say that they have read it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from syncd import report
from syncd.engine.foresight import lasting_of, lasting_of_release, of_merge
from syncd.engine.operate import Operator
from syncd.engine.parting import Apart, Parted
from syncd.errors import UsageError
from syncd.report.merging import agreement, kept_apart, merged, records_of, unmerged
from syncd.store import MergeRow, Tx
from syncd.tenant import Tenant
from syncd.web.access import Session
from syncd.web.overview import known
from syncd.web.show import field_order
from syncd.web.site import Form, Missing, Site, actor_of

MAX_NAME_CHARACTERS = 300
NOBODY = "nobody yet"
"""Who acts in a rehearsal."""


@dataclass(frozen=True, slots=True)
class Act:
    """What is asked for. do: merge | unmerge | apart | together; first, second: clients, or records as SYSTEM/ID."""

    do: str
    first: str
    second: str = ""

    def rehearsed(self, one: Tenant, hand: Operator, tx: Tx) -> report.Document:
        """What doing it would come to, within a transaction that leaves nothing behind. Raises UsageError."""
        match self.do:
            case "merge":
                return merge_told(one, tx, hand.merge_in(tx, self.first, self.second))
            case "unmerge":
                return unmerge_told(one, tx, hand.unmerge_in(tx, self.first))
        return apart_told(one, tx, hand.apart_in(tx, self.first, self.second, undo=self.do == "together"))

    def carried_out(self, one: Tenant, hand: Operator, consent: Callable[[report.Document], None]) -> report.Document:
        """Do it, if `consent` has nothing against what it comes to. Raises UsageError."""
        told: list[report.Document] = []

        def asked(document: report.Document) -> None:
            consent(document)
            told.append(document)

        match self.do:
            case "merge":
                hand.merge(self.first, self.second, lambda tx, row: asked(merge_told(one, tx, row)))
            case "unmerge":
                hand.unmerge(self.first, lambda tx, parted: asked(unmerge_told(one, tx, parted)))
            case _:
                undo = self.do == "together"
                hand.apart(self.first, self.second, undo=undo, agreed=lambda tx, done: asked(apart_told(one, tx, done)))
        return told[0]

    @property
    def words(self) -> str:
        """The act as the log tells it."""
        return " ".join(each for each in (self.do, self.first, self.second) if each)


def merge_told(one: Tenant, tx: Tx, row: MergeRow) -> report.Document:
    """A merge, with the golden record that comes of it."""
    document = merged(one.name, tx, row, of_merge(tx, row, one.engine.systems))
    [bundle] = tx.bundles([row.winner])
    return {**document, "after": dict(bundle.client.fields)}


def unmerge_told(one: Tenant, tx: Tx, parted: Parted) -> report.Document:
    """A merge that is taken back."""
    return unmerged(one.name, parted, lasting_of(tx, parted, one.engine.systems))


def apart_told(one: Tenant, tx: Tx, done: Apart) -> report.Document:
    """Two clients kept apart, or no longer. lasting: of a merge that is taken back for it."""
    lasting = lasting_of(tx, done.parted, one.engine.systems) if done.parted is not None else []
    return {**kept_apart(one.name, done, lasting), "lasting": lasting}


def merge(site: Site, request: Request) -> Response:
    """GET /t/TENANT/merge: two clients (`winner`, `loser`) side by side, and what making them one would do."""
    return _shown(site, request, Act("merge", _asked(request, "winner"), _asked(request, "loser")))


def merge_now(site: Site, request: Request, form: Form) -> Response:
    """POST /t/TENANT/merge: make them one."""
    return _done(site, request, form, Act("merge", form.one("winner"), form.one("loser")))


def unmerge(site: Site, request: Request) -> Response:
    """GET /t/TENANT/unmerge/CLIENT: what taking a merge back would do."""
    return _shown(site, request, Act("unmerge", str(request.path_params["client"])))


def unmerge_now(site: Site, request: Request, form: Form) -> Response:
    """POST /t/TENANT/unmerge/CLIENT: take it back."""
    return _done(site, request, form, Act("unmerge", str(request.path_params["client"])))


def apart(site: Site, request: Request) -> Response:
    """GET /t/TENANT/apart: what keeping two clients or records (`first`, `second`) apart would do; `undo`: what forgetting that would."""
    do = "together" if request.query_params.get("undo") else "apart"
    return _shown(site, request, Act(do, _asked(request, "first"), _asked(request, "second")))


def apart_now(site: Site, request: Request, form: Form) -> Response:
    """POST /t/TENANT/apart: keep them apart, or forget that."""
    do = "together" if form.one("undo") else "apart"
    return _done(site, request, form, Act(do, form.one("first"), form.one("second")))


def _asked(request: Request, name: str) -> str:
    return request.query_params.get(name, "").strip()[:MAX_NAME_CHARACTERS]


def _shown(site: Site, request: Request, act: Act) -> Response:
    """The rehearsal, or a form to name the two."""
    name = known(site, request)
    if act.do != "unmerge" and not (act.first and act.second):
        return _page(site, request, name, act, status=200)
    with site.tenants.whole(name) as one:
        act = _by_records(one, act)
        hand = Operator(one.store, site.clock, NOBODY, one.policy.context)
        before = _before(one, act)
        try:
            with one.store.rehearsing(operator=True) as tx:
                document = act.rehearsed(one, hand, tx)
        except UsageError as error:
            if act.do == "unmerge":
                raise Missing(str(error)) from None
            return _page(site, request, name, act, trouble=error, status=409)
    return _page(site, request, name, act, told=document, before=before)


def _done(site: Site, request: Request, form: Form, act: Act) -> Response:
    """The act, and what came of it."""
    name, session = known(site, request), actor_of(request)

    def consent(document: report.Document) -> None:
        if form.one("agreed") != agreement(document):
            raise UsageError("it would do something else than was shown")
        if document["lasting"] and not form.one("understood"):
            raise UsageError("it cannot be undone everywhere, and nobody said that they have read that")

    with site.tenants.whole(name) as one:
        before = _before(one, act)
        document = act.carried_out(one, site.hand(session, name, one.store), consent)
    site.glances.forget(name)
    site.audit(session, name, act.words)
    return _page(site, request, name, act, told=document, before=before, done=True)


def _by_records(one: Tenant, act: Act) -> Act:
    """A record that is to leave its client is told apart from another record of it, whichever."""
    if act.do != "apart" or ":" not in act.second or ":" in act.first:
        return act
    with one.store.reading() as tx:
        others = [record for record in records_of(tx, act.first) if record != act.second]
        mine = act.second in records_of(tx, act.first)
    return Act(act.do, others[0], act.second) if mine and others else act


def _before(one: Tenant, act: Act) -> list[report.Document]:
    """The clients of a merge as they are now."""
    if act.do != "merge":
        return []
    with one.store.reading() as tx:
        rows = [tx.client(tx.resolve_alias(each) or each) for each in (act.first, act.second)]
    return [{"client": row.client, "fields": row.fields} for row in rows if row is not None]


def _page(
    site: Site,
    request: Request,
    name: str,
    act: Act,
    *,
    told: report.Document | None = None,
    before: list[report.Document] | None = None,
    trouble: UsageError | None = None,
    done: bool = False,
    status: int = 200,
) -> Response:
    shown: dict[str, Any] = {"after": {}, "lasting": [], **(told or {})}
    fields = [each["fields"] for each in before or []] + [shown["after"]]
    present = {name for each in fields for name, content in each.items() if content not in (None, "", [])}
    return site.page(
        request,
        f"{'apart' if act.do == 'together' else act.do}.html",
        status,
        tenant=name,
        act=act,
        told=shown if told is not None else None,
        before=before or [],
        fields=[field for field in field_order(present) if field not in ("contacts", "notes")],
        agreed=agreement(told) if told is not None else "",
        trouble=str(trouble) if trouble is not None else "",
        step=trouble.next_step if trouble is not None else "",
        done=done,
    )


def lasting_in(site: Site, session: Session, tenant: str, entry: report.Document) -> list[str]:
    """What releasing an entry of the inbox would do that cannot be undone in the systems; nothing where it cannot be released."""
    if entry["kind"] not in ("link", "merge", "brake"):
        return []
    with site.tenants.whole(tenant) as one:
        hand = site.hand(session, tenant, one.store)
        try:
            with one.store.rehearsing(operator=True) as tx:
                hold = tx.hold(entry["entry"])
                if hold is None:
                    return []
                return lasting_of_release(
                    tx, hold, lambda winner, loser: hand.merge_in(tx, winner, loser), one.engine.systems
                )
        except UsageError:
            return []
