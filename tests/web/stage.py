"""A service's page with something of everything in it, served in a thread of this process over systems that live in memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette

from syncd import web
from syncd.config import load
from syncd.errors import Rejected
from syncd.store import HoldKind, HoldRow, Store, open_store
from syncd.web.access import Role
from tests.cli.place import Place

SCRIPT = "<script>window.__hacked = 1</script>"
HOSTILE = (
    SCRIPT,
    '"><img src=x onerror="window.__hacked = 2">',
    "Evil \u202egnitekram\u202c \u200bLtd\x07",
    "'+alert(1)+'</td></table><svg onload=window.__hacked=3>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "javascript:window.__hacked=4",
)
"""Names of clients that would like to be more than that."""

RULES = """
[fields.email]   # a person decides
rule = "hold"
[fields.phone]
rule = "order"
order = ["crm", "books"]
"""


class Stage:
    """The page of one config folder, and who may log in."""

    def __init__(self, place: Place, live: web.Live | None = None) -> None:
        self.place = place
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        log_file = place.root / "state" / "log" / "syncd.jsonl"
        (place.folder / "syncd.toml").write_text(
            f'[web]\nlisten = "127.0.0.1:{self.port}"\n[log]\nfile = "{log_file}"\n', encoding="utf-8"
        )
        self.site = web.Site(place.folder, live=live)
        self.app: Starlette = web.application(lambda: {"ready": True, "tenants": {}}, site=self.site)
        now = datetime.now(UTC)
        self.tokens = {role: self.site.tokens.make(f"{role.value}-anna", role, now) for role in Role}

    @contextmanager
    def served(self) -> Iterator[Stage]:
        server = web.Server(f"127.0.0.1:{self.port}", self.app)
        assert server.start()
        try:
            yield self
        finally:
            server.stop()
            self.site.close()

    @contextmanager
    def store(self, tenant: str = "acme") -> Iterator[Store]:
        service = load(self.place.folder).service
        store = open_store(service.database, tenant)
        try:
            yield store
        finally:
            store.close()


def furnish(place: Place) -> None:
    """Fill tenant acme: clients with hostile names, conflicts, proposals, parked writes, cycles; and one hold of each other kind."""
    place.tenant("acme", more=RULES)
    books, crm = place.world("books"), place.world("crm")
    books.add(name="ACME SARL", email="a@acme.example", vat_number="FR40303265045", phone="+33142685300",
              address_line1="1 rue de la Paix", postal_code="75002", city="Paris", country="FR",
              contacts=[{"given_name": "Ada", "family_name": "Martin", "email": "ada@acme.example", "phone": None,
                         "mobile": None, "title": "Dr", "role": None}],
              details="Pays late.\nAsk for Ada.")  # fmt: skip
    crm.add(name="ACME SARL", email="a@acme.example", vat_number="FR40303265045", city="Lyon")
    books.add(name="Boulangerie Fictive", email="b@fictive.example", phone="+33142685399", postal_code="69001")
    crm.add(name="Boulangerie Fictve", phone="+33142685399", postal_code="69001")
    for number, name in enumerate(HOSTILE):
        books.add(name=name, email=f"h{number}@hostile.example", details=name, city=name)
    place.run("sync", exit_code=1)
    place.run("sync", exit_code=1)
    ids = {row["fields"]["name"]: row for row in place.json("clients")["clients"]}
    for name in ("ACME SARL", SCRIPT, HOSTILE[1]):
        for link in ids[name]["links"]:
            system = link["system"]
            place.world(system).edit(
                link["external_id"],
                email=f"{system}@changed.example",
                phone="+331426853" + ("01" if system == "crm" else "02"),
            )

    def refuses(call: object) -> None:
        if getattr(call, "action", "") in ("create", "update"):
            raise Rejected("the town is not known", operation="update", words="town unknown: <b>Paris</b>")

    acme = ids["ACME SARL"]["links"]
    books.edit(
        next(link["external_id"] for link in acme if link["system"] == "books"), details="Pays in time.\nAsk for Ada."
    )
    crm.before.append(refuses)
    place.run("sync", exit_code=1)
    crm.before.remove(refuses)
    service = load(place.folder).service
    store = open_store(service.database, "acme")
    try:
        more_holds(store, [row["client"] for row in ids.values()])
    finally:
        store.close()


def more_holds(store: Store, clients: list[str]) -> None:
    """One hold of each kind that the systems do not bring about here."""
    now = datetime.now(UTC)
    with store.writing(operator=True) as tx:
        links = tx.links_of(clients)
        first, second = links[clients[0]][0], links[clients[1]][0]
        item = {"client": first.client, "system": first.system, "external_id": first.external_id}
        other = {"client": second.client, "system": second.system, "external_id": second.external_id}
        brake = [
            {**item, "kind": "overwrites", "field": "city", "value": "Paris"},
            {**other, "kind": "overwrites", "field": "city", "value": SCRIPT},
        ]
        kinds = [
            (HoldKind.BRAKE, brake, "overwrites: 8 of 12 records of books at once; the limit is 5 and 10%"),
            (HoldKind.LOSSY, [{**item, "field": "details", "value": "Pays", "golden": "Pays in time."}], "books shows a shorter form"),
            (HoldKind.FIELD, [{**item, "field": "city"}], "written 3 times in 10 cycles"),
            (HoldKind.FIRST_RUN, [{"system": "books", "linked": 2, "proposed": 1, "new": 5, "records": 8, "samples": {}}], "first run: look at what was linked"),
            (HoldKind.MERGE, [item, other], "may be one client (score 0.84): like names"),
        ]  # fmt: skip
        for kind, items, reason in kinds:
            [hold] = tx.new_ids("h", 1)
            tx.put_hold(HoldRow(hold, kind, first.system, reason, items, now, f"stage:{kind.value}"))


def make(root: Path) -> Stage:
    """A furnished place and its page, not served yet."""
    place = Place(root)
    furnish(place)
    return Stage(place)
