"""Flowtly: clients, their contacts and notes, and counterparties, on API Platform.

Hydra collections of thirty, JSON-LD or bare JSON, nulls left out, merge-patch only, relations as IRIs, no DELETE on clients. Wire
facts: the vendor's schema pages and the framework's behaviour; `[E]` guesses are switches.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from syncd.sandbox.flowtly_bodies import Bodies
from syncd.sandbox.flowtly_parts import LD, PATCH, RESOURCES, Manners
from syncd.sandbox.switches import FlowtlySwitches
from syncd.sandbox.tables import Table, Tokens, bearer, hexadecimal, stamp
from syncd.sandbox.wire import JSON, NOTHING, Answer, Refused, Request, Route, Router, Row, Write, cut, positive


class Flowtly:
    """One Flowtly organisation."""

    name = "flowtly"

    def __init__(self, clock: Callable[[], float], seed: int, credentials: dict[str, str]) -> None:
        self.seed = seed
        self.clock = clock
        self.switches = FlowtlySwitches()
        self.credentials = credentials
        self.tables = {name: Table(clock) for name in RESOURCES}
        self.counters = dict.fromkeys(RESOURCES, 0)
        self.tokens = Tokens("flowtly", clock, {credentials["token"]: "ready token"})
        self.manners = Manners(self.switches)
        self.bodies = Bodies(self.manners, self.switches, self.tables)
        self.router = Router(self._routes())

    @property
    def mount(self) -> str:
        """Where the API lives; the switch `iri_prefix` moves it as well as its IRIs."""
        return f"/flowtly{self.switches.iri_prefix}"

    def _routes(self) -> list[Route]:
        pages = frozenset({"page", "itemsPerPage"})
        routes = [
            Route("POST", "/login", self._login, open=True),
            Route("GET", "/clients/search", self._list, pages | {"query"}, listing=True),
            Route("POST", "/counterparties/enrich-branding-ai", self._enrich),
            Route("POST", "/counterparty", self._both_create),
            Route("PATCH", "/counterparty/{id}", self._both_update),
            Route("POST", "/counterparties/{id}/merge", self._merge),
            Route("POST", "/counterparties/{id}/enrich-branding-ai", self._enrich),
            Route("GET", "/clients/{id}/documents", self._read),
        ]
        for name in RESOURCES:
            routes += [
                Route("GET", f"/{name}", self._list, pages, listing=True),
                Route("POST", f"/{name}", self._create),
                Route("GET", f"/{name}/{{id}}", self._read),
                Route("PATCH", f"/{name}/{{id}}", self._update),
            ]
            if name != "clients":
                routes.append(Route("DELETE", f"/{name}/{{id}}", self._delete))
        return routes

    def offered(self, _: Route) -> bool:
        """Whether the switches let this call exist: all do."""
        return True

    def problem(self, status: int, message: str = "", _code: str = "") -> Answer:
        """The error body of this API."""
        return self.manners.problem(status, message)

    # ---------------------------------------------------------------- access

    def authenticate(self, request: Request) -> None:
        """Refuses a request without a good token, and without the tenant selector where the switch asks for it."""
        token = bearer(request.headers.get("authorization", ""))
        if token is None:
            raise Refused(self.problem(401, "JWT Token not found"))
        state = self.tokens.state(token)
        if state != "ok":
            raise Refused(self.problem(401, "Expired JWT Token" if state == "expired" else "Invalid JWT Token"))
        request.credential = self.tokens.holder(token)
        if self.switches.require_instance and not request.headers.get("instance"):
            raise Refused(self.problem(403, "The instance header is missing."), "instance header is missing")

    def _login(self, request: Request) -> Answer:
        body = self.manners.body(request, (JSON, LD))
        request.sent = None
        if (body.get("username"), body.get("password")) != (self.credentials["username"], self.credentials["password"]):
            raise Refused(self.problem(401, "Invalid credentials."))
        return Answer(
            200, {"token": self.tokens.issue("service", self.switches.token_seconds, {"roles": ["ROLE_USER"]})}
        )

    def revoke(self) -> None:
        """Every token that was issued ends now."""
        self.tokens.expire()

    # ---------------------------------------------------------------- reading

    def _resource(self, request: Request) -> str:
        name = request.path.split("/")[1]
        return "counterparties" if name == "counterparty" else name

    def _stored(self, request: Request, resource: str = "", *, now: bool = False) -> Row:
        request.external_id = request.params["id"]
        view = self.tables[resource or self._resource(request)].view(None if now else request.tilt.as_of)
        row = view.get(request.params["id"])
        if row is None or row.get("_merged_into"):
            raise Refused(self.problem(404))
        return row

    def _single(self, resource: str, row: Row) -> Row:
        return {
            "@context": f"{self.switches.iri_prefix}/contexts/{RESOURCES[resource][0]}",
            **self._linked(resource, row),
        }

    def _read(self, request: Request) -> Answer:
        row = self._stored(request)
        return self.manners.say(request, 200, self._single(self._resource(request), row))

    def _list(self, request: Request) -> Answer:
        resource = self._resource(request)
        page, size = self._paging(request)
        rows = self.tables[resource].ordered("id", lambda row: row["_number"], as_of=request.tilt.as_of)
        words = request.query.get("query", "").casefold() if request.path.endswith("/search") else ""
        if words:
            rows = [row for row in rows if words in row["name"].casefold() or words in (row["tin"] or "").casefold()]
        if resource == "counterparties":
            rows = [row for row in rows if not row["_merged_into"]]
        shown, total, more = cut(rows, (page - 1) * size, size, request.tilt)
        members = [self._linked(resource, row) for row in shown]
        if self.manners.plain(request):
            return self.manners.say(request, 200, members)
        return self.manners.say(
            request, 200, self._collection(request, resource, members, (page, size, total), more=more)
        )

    def _paging(self, request: Request) -> tuple[int, int]:
        try:
            page = positive(request.query.get("page", "1"))
        except ValueError as error:
            raise Refused(self.problem(400, "Page should not be less than 1"), "page") from error
        size = self.switches.page_size
        if self.switches.items_per_page and "itemsPerPage" in request.query:
            try:
                size = min(positive(request.query["itemsPerPage"]), self.switches.max_items_per_page)
            except ValueError as error:
                raise Refused(self.problem(400, "Limit should not be less than 1"), "itemsPerPage") from error
        return page, size

    def _collection(
        self, request: Request, resource: str, members: list[Row], counts: tuple[int, int, int], *, more: bool
    ) -> Row:
        page, size, total = counts
        hydra = "hydra:" if self.switches.hydra_prefix else ""
        path = f"{self.switches.iri_prefix}{request.path}"
        body: Row = {
            "@context": f"{self.switches.iri_prefix}/contexts/{RESOURCES[resource][0]}", "@id": path, "@type": f"{hydra}Collection",
            f"{hydra}totalItems": total, f"{hydra}member": members,
        }  # fmt: skip
        if total <= size and page == 1 and not more and "query" not in request.query:
            return body
        last = max(1, -(-total // size))

        def link(number: int) -> str:
            return f"{path}?{urlencode({**request.query, 'page': number})}"

        view: Row = {
            "@id": link(page),
            "@type": f"{hydra}PartialCollectionView",
            f"{hydra}first": link(1),
            f"{hydra}last": link(last),
        }
        if page > 1:
            view[f"{hydra}previous"] = link(page - 1)
        if more:
            view[f"{hydra}next"] = link(page + 1)
        return {**body, f"{hydra}view": view}

    def shown(self, table: str, row: Row, *, form: str = "single") -> Row:
        """A stored row as the API shows it in JSON-LD; form `children` has the contacts and notes of a client."""
        if form == "children":
            notes = [note for note in self.tables["client-notes"].rows.values() if note["client"] == str(row["id"])]
            contacts = [self.tables["client-contacts"].rows[key] for key in row["_contacts"]]
            return {"contacts": [self.shown("client-contacts", one) for one in contacts],
                    "notes": [self.shown("client-notes", one) for one in notes]}  # fmt: skip
        cleaned: Row = self.manners.cleaned(self._linked(table, row), plain=False)
        return cleaned

    def _linked(self, resource: str, row: Row) -> Row:
        """A stored row with IRIs for its relations, nulls still in it."""
        kind, members = RESOURCES[resource]
        seen: Row = {"@id": self.manners.iri(resource, str(row["id"])), "@type": kind, "id": row["id"]}
        for name, member in members.items():
            value = row[name]
            linked = value is not None and member.kind in {
                "countries",
                "currencies",
                "clients",
                "employees",
                "costs",
                "attribute-sets",
            }
            seen[name] = self.manners.iri(member.kind, value) if linked else value
        if resource == "clients" and self.switches.embedded_contacts != "none":
            contacts = self.tables["client-contacts"].rows
            seen["clientContacts"] = [self._embedded(contacts[key]) for key in row["_contacts"] if key in contacts]
        return seen

    def _embedded(self, row: Row) -> Row:
        contact = self._linked("client-contacts", row)
        names = ["@id", "@type", "id", "type", "email", "name"]
        if self.switches.embedded_contacts == "full":
            names += ["position", "title", "phone"]
        return {name: contact[name] for name in names}

    # ---------------------------------------------------------------- writing

    def _post_kinds(self) -> tuple[str, ...]:
        return (LD, JSON) if self.switches.json_format else (LD,)

    def _create(self, request: Request) -> Write:
        resource = self._resource(request)
        self.manners.plain(request)
        values = self.bodies.values(request, resource, self.manners.body(request, self._post_kinds()), create=True)

        def commit() -> Answer:
            row = self.insert(resource, values)
            request.external_id = str(row["id"])
            if resource == "clients" and self.switches.counterparty_auto_create:
                self.insert("counterparties", {"displayName": row["name"], "_client": str(row["id"])})
            place = self.manners.iri(resource, str(row["id"]))
            return self.manners.say(
                request, 201, self._single(resource, row), {"Location": place, "Content-Location": place}
            )

        return Write(commit)

    def insert(self, resource: str, values: Row) -> Row:
        """Store a new row of a resource with its defaults; ties a contact to its client."""
        self.counters[resource] += 1
        number = self.counters[resource]
        now = stamp(self.clock())
        row: Row = {name: member.default for name, member in RESOURCES[resource][1].items()}
        row |= {
            "id": hexadecimal(self.seed, "note", number, length=26) if resource == "client-notes" else number,
            "_number": number,
        }
        if "createdAt" in row:
            row |= {"createdAt": now, "updatedAt": now}
        if resource == "clients":
            row["_contacts"] = []
        elif resource == "counterparties":
            row |= {"_client": None, "_merged_into": None}
        if resource == "client-contacts":
            row["possibleTypes"] = ",".join(self.switches.contact_types)
        self._put(resource, {**row, **values})
        return self.tables[resource].rows[str(row["id"])]

    def _put(self, resource: str, row: Row) -> None:
        """Store a row with what the server derives; a contact that moves takes its place with its new client."""
        if resource == "clients":
            taxed = row["tin"] and row["tinCountry"] and row["tinType"] in {"nip", "vat_eu"}
            country = row["tinCountry"] or ""
            row = {**row, "vatNumber": f"{country}{row['tin'].removeprefix(country)}" if taxed else None}
        key = str(row["id"])
        before = self.tables[resource].rows.get(key)
        self.tables[resource].put(key, row)
        if resource == "client-contacts" and (before is None or before["client"] != row["client"]):
            self._tie(key, before["client"] if before else None, row["client"])

    def _tie(self, contact: str, old: str | None, new: str | None) -> None:
        clients = self.tables["clients"]
        if old in clients.rows:
            row = clients.rows[old]
            clients.put(old, {**row, "_contacts": [key for key in row["_contacts"] if key != contact]})
        if new in clients.rows:
            row = clients.rows[new]
            clients.put(new, {**row, "_contacts": [*row["_contacts"], contact]})

    def _update(self, request: Request) -> Write:
        resource = self._resource(request)
        self.manners.plain(request)
        self._stored(request, now=True)
        values = self.bodies.values(request, resource, self.manners.body(request, (PATCH,)), create=False)

        def commit() -> Answer:
            row = self.edit(resource, self._stored(request, now=True), values)
            return self.manners.say(request, 200, self._single(resource, row))

        return Write(commit)

    def edit(self, resource: str, row: Row, values: Row) -> Row:
        """Lay stored values over a row; contacts that left the client's collection are removed with it."""
        if "updatedAt" in row:
            values = {"updatedAt": stamp(self.clock()), **values}
        lost = [key for key in row.get("_contacts", []) if "_contacts" in values and key not in values["_contacts"]]
        self._put(resource, {**row, **values})
        for key in lost:
            self.tables["client-contacts"].drop(key)
        return self.tables[resource].rows[str(row["id"])]

    def _delete(self, request: Request) -> Write:
        resource = self._resource(request)
        self._stored(request, now=True)

        def commit() -> Answer:
            self.remove(resource, self._stored(request, now=True))
            return Answer(204, NOTHING)

        return Write(commit)

    def remove(self, resource: str, row: Row) -> None:
        """Drop a row; a client's contacts and notes go with it, a contact leaves its client."""
        key = str(row["id"])
        if resource == "client-contacts":
            self._tie(key, row["client"], None)
        self.tables[resource].drop(key)
        if resource == "clients":
            for contact in row["_contacts"]:
                self.tables["client-contacts"].drop(contact)
            for note in [one for one in self.tables["client-notes"].rows.values() if one["client"] == key]:
                self.tables["client-notes"].drop(note["id"])

    # ---------------------------------------------------------------- counterparties

    def _enrich(self, request: Request) -> Answer:
        if "id" in request.params:
            self._stored(request)
        return self.manners.say(request, 202, {"status": "queued"})

    def _merge(self, request: Request) -> Write:
        """Body (unpublished, proposed here): {"counterparties": [IRI, ...]}; the named ones go up in the one of the path."""
        self._stored(request, now=True)
        body = self.manners.body(request, self._post_kinds())
        given = body.get("counterparties")
        if not isinstance(given, list) or not given or not all(isinstance(iri, str) for iri in given):
            found = [
                {
                    "propertyPath": "counterparties",
                    "message": "This value should not be blank.",
                    "code": "c1051bb4-blank",
                }
            ]
            raise Refused(
                self.manners.problem(422, "counterparties: This value should not be blank.", found),
                "counterparties is missing",
            )
        keys = [self.manners.key("counterparties", iri, self.tables["counterparties"].rows) for iri in given]

        def commit() -> Answer:
            winner = self._stored(request, now=True)
            for key in keys:
                row = self.tables["counterparties"].rows.get(key)
                if row is not None and key != str(winner["id"]) and self.switches.merge_retires:
                    self.tables["counterparties"].put(key, {**row, "_merged_into": str(winner["id"])})
            return self.manners.say(request, 201, self._single("counterparties", winner))

        return Write(commit)

    def _both_create(self, request: Request) -> Write:
        """POST /counterparty: a client and its counterparty together; `type` is `client` or `supplier`."""
        body = self.manners.body(request, self._post_kinds())
        kind = body.get("type", "client")
        inner = {name: value for name, value in body.items() if name != "type"}
        values = self.bodies.values(request, "clients", inner, create=True) if kind == "client" else {}

        def commit() -> Answer:
            client = str(self.insert("clients", values)["id"]) if kind == "client" else None
            row = self.insert(
                "counterparties", {"type": kind, "displayName": str(body.get("name", "")), "_client": client}
            )
            request.external_id = str(row["id"])
            return self.manners.say(request, 201, self._single("counterparties", row))

        return Write(commit)

    def _both_update(self, request: Request) -> Write:
        row = self._stored(request, now=True)
        body = self.manners.body(request, (PATCH,))
        inner = {name: value for name, value in body.items() if name != "type"}
        values = self.bodies.values(request, "clients", inner, create=False)

        def commit() -> Answer:
            client = self.tables["clients"].rows.get(row["_client"] or "")
            if client is not None:
                self.edit("clients", client, values)
            name = {"displayName": values["name"]} if "name" in values else {}
            return self.manners.say(
                request, 200, self._single("counterparties", self.edit("counterparties", row, name))
            )

        return Write(commit)

    # ---------------------------------------------------------------- the app's users

    def user_create(self, table: str, raw: Row) -> str:
        """A person creates something in the app; relations as IRIs or bare keys, `clientContacts` as whole objects."""
        defaults: Row = {}
        if table == "clients":
            defaults = {"name": "", "country": "PL", "currency": "PLN", "status": "active", "tinType": "none"}
        row = self.insert(table, {**defaults, **self._raw(table, raw)})
        self._raw_contacts(str(row["id"]), raw)
        return str(row["id"])

    def user_edit(self, table: str, row_id: str, raw: Row) -> None:
        """A person edits something; a `clientContacts` list is the whole new list, items with an `id` keep what they do not name."""
        self.edit(table, self.tables[table].rows[row_id], self._raw(table, raw))
        self._raw_contacts(row_id, raw)

    def _raw(self, table: str, raw: Row) -> Row:
        values: Row = {}
        for name, value in raw.items():
            member = RESOURCES[table][1].get(name)
            if member is None:
                if name.startswith("_") and name != "_contacts":
                    values[name] = value
                continue
            iri = (
                isinstance(value, str)
                and "/" in value
                and member.kind not in {"text", "long", "email", "bool", "integer"}
            )
            values[name] = self.manners.key(member.kind, value, self.bodies.known().get(member.kind)) if iri else value
        return values

    def _raw_contacts(self, client: str, raw: Row) -> None:
        if "clientContacts" not in raw:
            return
        keys = []
        for contact in raw["clientContacts"]:
            values = self._raw("client-contacts", contact)
            if str(contact.get("id", "")) in self.tables["client-contacts"].rows:
                self.edit("client-contacts", self.tables["client-contacts"].rows[str(contact["id"])], values)
                keys.append(str(contact["id"]))
            else:
                row = self.insert(
                    "client-contacts", {"type": self.switches.contact_types[0], "client": client, **values}
                )
                keys.append(str(row["id"]))
        self.edit("clients", self.tables["clients"].rows[client], {"_contacts": keys})

    def user_delete(self, table: str, row_id: str) -> None:
        """A person removes something for good."""
        self.remove(table, self.tables[table].rows[row_id])

    def user_archive(self, row_id: str, *, archived: bool) -> None:
        """A person sets a client inactive (the last known status), or active (the first)."""
        self.user_edit("clients", row_id, {"status": self.switches.statuses[-1 if archived else 0]})
