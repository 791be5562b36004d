"""LSP.expert: the documented public API v2 of a translation-business tool.

Flat names in form bodies, nested names on read, unset members left out, twenty records per page, contacts and notes by calls of
their own. Wire facts: docs.lsp.expert; `[E]` guesses are switches. Files are read only here: uploading and sharing them is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from syncd.sandbox.lsp_parts import CONTACT_FIELDS, NOTE_FIELDS, Field, Fields, account, blank, paragraphs
from syncd.sandbox.switches import LspSwitches, normalised
from syncd.sandbox.tables import Table, basic, hexadecimal, stamp, visible
from syncd.sandbox.wire import (
    JSON,
    Answer,
    Json,
    Refused,
    Request,
    Route,
    Router,
    Row,
    Write,
    cut,
    merged,
    parse_form,
    parse_json,
    positive,
)

PAGE_SIZE_RECORDS = 20
CHILDREN = ("contacts", "files", "labels", "marketings", "notes", "services")
SYMBOLS = {"EUR": "€", "PLN": "zł", "CAD": "$", "USD": "$", "GBP": "£", "CHF": "CHF"}


class LspExpert:
    """One LSP.expert account."""

    name = "lsp_expert"
    mount = "/lsp/v2"

    def __init__(self, clock: Callable[[], float], seed: int, credentials: dict[str, str]) -> None:
        self.seed = seed
        self.clock = clock
        self.switches = LspSwitches()
        self.credentials = credentials
        self.account = account(seed)
        self.fields = Fields(self.account, SYMBOLS)
        self.tables = {"clients": Table(clock)}
        self.counters = {"id": 0}
        self.router = Router(self._routes())

    def _routes(self) -> list[Route]:
        one, contact = "/clients/{id}", "/clients/{id}/contacts/{child}"
        return [
            Route("GET", "/clients", self._list, frozenset({"page", "sort", "direction"}), listing=True),
            Route("POST", "/clients", self._create),
            Route("GET", one, self._read),
            Route("PUT", one, self._update),
            Route("DELETE", one, self._delete),
            Route("GET", f"{one}/contacts", self._contacts),
            Route("POST", f"{one}/contacts", self._contact_create),
            Route("GET", contact, self._contact_read),
            Route("PUT", contact, self._contact_update),
            Route("DELETE", contact, self._contact_delete),
            Route("POST", f"{one}/notes", self._note_create),
            Route("PUT", f"{one}/notes/{{child}}", self._note_update),
            Route("POST", f"{one}/labels/{{child}}", self._label),
            Route("DELETE", f"{one}/labels/{{child}}", self._label),
            Route("GET", f"{one}/files", self._files),
            *(Route("GET", f"/account/{kind}", self._account) for kind in ("taxes", "services", "matches")),
        ]

    def offered(self, _: Route) -> bool:
        """Whether the switches let this call exist: all do."""
        return True

    def problem(self, status: int, message: str = "", code: str = "") -> Answer:
        """The error body of this API; `id` looks like a request id of 21 characters."""
        names = {
            400: ("BadRequest", "parameter_invalid"), 401: ("NotAuthenticated", "authentication_required"),
            403: ("Forbidden", "forbidden"), 404: ("NotFound", "resource_missing"), 405: ("MethodNotAllowed", "method_not_allowed"),
            409: ("Conflict", "resource_in_use"), 429: ("TooManyRequests", "rate_limit"),
        }  # fmt: skip
        name, known = names.get(
            status, ("GeneralError", "internal_error") if status >= 500 else ("BadRequest", "parameter_invalid")
        )
        request_id = hexadecimal(self.seed, "request", self.clock(), length=21)
        return Answer(status, {"message": message or name, "name": name, "code": code or known, "id": request_id})

    def authenticate(self, request: Request) -> None:
        """Refuses anything but the account's key as user name with an empty password."""
        pair = basic(request.headers.get("authorization", ""))
        if pair != (self.credentials["api_key"], ""):
            raise Refused(self.problem(401, "Not authenticated"))
        request.credential = "api key"

    def revoke(self) -> None:
        """Keys of this API do not expire."""

    # ---------------------------------------------------------------- reading

    def _full(self, row: Row) -> Row:
        return {**self.shown("clients", row), "object": "client"}

    def _stored(self, request: Request, *, now: bool = False) -> Row:
        request.external_id = request.params["id"]
        row = self.tables["clients"].view(None if now else request.tilt.as_of).get(request.params["id"])
        if row is None:
            raise Refused(self.problem(404, "Item not found"))
        return row

    def _read(self, request: Request) -> Answer:
        return Answer(200, self._full(self._stored(request)))

    def _list(self, request: Request) -> Answer:
        sort, direction = request.query.get("sort"), request.query.get("direction", "asc")
        try:
            page = positive(request.query.get("page", "1"))
        except ValueError as error:
            raise Refused(self.problem(400, "page must be an integer of at least 1"), "page") from error
        if (sort is not None and sort not in self.switches.sorts) or direction not in {"asc", "desc"}:
            raise Refused(self.problem(400, "sort or direction is not known"), "sort")
        key = sort or "createdAt"
        rows = self.tables["clients"].ordered(
            key, lambda row: (row[key], row["id"]), down=direction == "desc", as_of=request.tilt.as_of
        )
        if not self.switches.archived_in_list:
            rows = [row for row in rows if not row["archived"]]
        shown, total, more = cut(rows, (page - 1) * PAGE_SIZE_RECORDS, PAGE_SIZE_RECORDS, request.tilt)
        pages = max(1, -(-total // PAGE_SIZE_RECORDS))
        return Answer(200, {
            "items": [self.shown("clients", row, form="list") for row in shown], "pageSize": PAGE_SIZE_RECORDS, "page": page,
            "totalPages": pages, "totalItems": total, "hasNextPage": more, "hasPreviousPage": page > 1,
        })  # fmt: skip

    def _contacts(self, request: Request) -> Answer:
        return Answer(200, self._stored(request)["contacts"])

    def _files(self, request: Request) -> Answer:
        return Answer(200, self._stored(request)["files"])

    def _account(self, request: Request) -> Answer:
        return Answer(200, self.account[request.path.rpartition("/")[2]])

    # ---------------------------------------------------------------- writing

    def _body(self, request: Request) -> dict[str, Json]:
        kind = request.content_type()
        try:
            if kind == "application/x-www-form-urlencoded":
                body: Json = parse_form(request.body)
            elif kind == JSON and self.switches.json_bodies:
                body = parse_json(request.body)
            else:
                raise Refused(self.problem(415, f"Content type {kind or 'none'} is not supported"), "content type")
        except ValueError as error:
            raise Refused(self.problem(400, "The body cannot be read"), "unreadable body") from error
        if not isinstance(body, dict):
            raise Refused(self.problem(400, "The body must be an object"), "body is not an object")
        request.sent = body
        return body

    def _values(self, request: Request, table: dict[str, Field], *, create: bool) -> dict[str, Json]:
        """The body's values in their types; None clears. Refuses what the documentation does not allow."""
        body = _nested(self._body(request))
        values = {}
        for name, given in body.items():
            field = table.get(name)
            if field is None or not (field.create if create else field.update):
                if self.switches.unknown_parameters == "refuse":
                    raise Refused(
                        self.problem(400, f"Parameter {name} is not known here", "parameter_unknown"), f"unknown {name}"
                    )
                request.ignored.append(name)
                continue
            if given == "" and self.switches.empty_value == "ignore":
                continue
            clears = given is None or (given == "" and self.switches.empty_value == "clear")
            if clears and not (field.null_on_create if create else field.null_on_update):
                raise Refused(self.problem(400, f"{name} must not be empty"), f"{name} is empty")
            try:
                values[name] = None if clears else normalised(self.switches, name, self.fields.typed(field, given))
            except ValueError as error:
                raise Refused(self.problem(400, f"{name}: {error}"), f"value of {name}") from error
        missing = [name for name, field in table.items() if create and field.required and not values.get(name)]
        if missing:
            raise Refused(
                self.problem(400, f"{missing[0]} is required", "parameter_missing"), f"{missing[0]} is missing"
            )
        return values

    def _new_id(self) -> str:
        self.counters["id"] += 1
        return hexadecimal(self.seed, "lsp", self.counters["id"])

    def _store(self, row: Row, *, touch: bool) -> Row:
        if touch:
            row = {**row, "updatedAt": stamp(self.clock())}
        self.tables["clients"].put(row["id"], row)
        return row

    def _create(self, request: Request) -> Write:
        values = self._values(request, self.fields.client, create=True)

        def commit() -> Answer:
            row = self._new(values["name"])
            row = self._store(self.fields.apply(row, values), touch=False)
            request.external_id = row["id"]
            return Answer(self.switches.create_status, self._full(row))

        return Write(commit)

    def _new(self, name: str) -> Row:
        """A client with what the server fills in by itself."""
        row = blank(self._new_id(), name, self.account, stamp(self.clock()), stamp(self.clock() + 0.012))
        if not self.switches.default_tax:
            del row["invoice"]["tax1"]
        return row

    def _update(self, request: Request) -> Write:
        self._stored(request, now=True)
        values = self._values(request, self.fields.client, create=False)

        def commit() -> Answer:
            row = self.fields.apply(self._stored(request, now=True), values)
            return Answer(200, self._full(self._store(row, touch=self.switches.touch_on_update)))

        return Write(commit)

    def _delete(self, request: Request) -> Write:
        self._stored(request, now=True)

        def commit() -> Answer:
            row = self._stored(request, now=True)
            if self.switches.refuse_delete_in_use and row.get("_in_use"):
                return self.problem(409, "The client has jobs or invoices")
            self.tables["clients"].drop(row["id"])
            return self._deleted(row["id"])

        return Write(commit)

    def _deleted(self, row_id: str) -> Answer:
        return Answer(204) if self.switches.delete_status == 204 else Answer(200, {"id": row_id, "deleted": True})

    # ---------------------------------------------------------------- children

    def _child(self, request: Request, kind: str, *, now: bool = False) -> tuple[Row, int]:
        row = self._stored(request, now=now)
        for index, child in enumerate(row[kind]):
            if child["id"] == request.params["child"]:
                return row, index
        raise Refused(self.problem(404, "Item not found"))

    def _with_child(self, row: Row, kind: str, index: int, child: Row | None) -> Row:
        """The stored client with one child replaced, added (index past the end) or removed (None)."""
        children = list(row[kind])
        children[index : index + 1] = [] if child is None else [child]
        return self._store({**row, kind: children}, touch=self.switches.touch_on_child)

    def _contact_create(self, request: Request) -> Write:
        self._stored(request, now=True)
        values = self._values(request, CONTACT_FIELDS, create=True)

        def commit() -> Answer:
            row = self._stored(request, now=True)
            contact = self.fields.contact(self.blank_contact(), values)
            self._with_child(row, "contacts", len(row["contacts"]), contact)
            return Answer(self.switches.create_status, contact)

        return Write(commit)

    def blank_contact(self) -> Row:
        """A contact of which only the server's own defaults are known."""
        emails = {"invoice": False, "quote": False, "ccInvoice": False, "ccQuote": False}
        return {"emails": emails, "fullName": "", "nickname": "", "notes": "<p></p>", "id": self._new_id()}

    def _contact_read(self, request: Request) -> Answer:
        row, index = self._child(request, "contacts")
        return Answer(200, row["contacts"][index])

    def _contact_update(self, request: Request) -> Write:
        self._child(request, "contacts", now=True)
        values = self._values(request, CONTACT_FIELDS, create=False)

        def commit() -> Answer:
            row, index = self._child(request, "contacts", now=True)
            contact = self.fields.contact(row["contacts"][index], values)
            self._with_child(row, "contacts", index, contact)
            return Answer(200, contact)

        return Write(commit)

    def _contact_delete(self, request: Request) -> Write:
        self._child(request, "contacts", now=True)

        def commit() -> Answer:
            row, index = self._child(request, "contacts", now=True)
            self._with_child(row, "contacts", index, None)
            return self._deleted(request.params["child"])

        return Write(commit)

    def _note_create(self, request: Request) -> Write:
        self._stored(request, now=True)
        values = self._values(request, NOTE_FIELDS, create=True)

        def commit() -> Answer:
            row = self._stored(request, now=True)
            row = self._with_child(row, "notes", len(row["notes"]), self.note(values["content"]))
            return Answer(self.switches.create_status, self._full(row))

        return Write(commit)

    def note(self, text: str) -> Row:
        """A new note by the account's user."""
        return {
            "id": self._new_id(),
            "content": paragraphs(text),
            "user": self.account["user"],
            "createdAt": stamp(self.clock()),
        }

    def _note_update(self, request: Request) -> Write:
        self._child(request, "notes", now=True)
        values = self._values(request, NOTE_FIELDS, create=False)

        def commit() -> Answer:
            row, index = self._child(request, "notes", now=True)
            note = {**row["notes"][index], "editedByUser": self.account["user"], "updatedAt": stamp(self.clock())}
            if values.get("content"):
                note["content"] = paragraphs(values["content"])
            return Answer(200, self._full(self._with_child(row, "notes", index, note)))

        return Write(commit)

    def _label(self, request: Request) -> Write:
        self._stored(request, now=True)
        label = next((one for one in self.account["labels"] if one["id"] == request.params["child"]), None)
        if label is None:
            raise Refused(self.problem(404, "Item not found"))

        def commit() -> Answer:
            row = self._stored(request, now=True)
            rest = [one for one in row["labels"] if one["id"] != label["id"]]
            rest += [label] if request.method == "POST" else []
            return Answer(200, self._full(self._store({**row, "labels": rest}, touch=self.switches.touch_on_child)))

        return Write(commit)

    # ---------------------------------------------------------------- the app's users

    def shown(self, table: str, row: Row, *, form: str = "single") -> Row:  # noqa: ARG002 - it has one table
        """A stored row as the API shows it; form `list` follows the switch about children."""
        if form == "children":
            return {"contacts": row["contacts"]}
        seen = visible(row)
        if form == "list" and self.switches.list_children == "empty":
            seen |= {name: [] for name in CHILDREN}
        if self.switches.country_shape == "object" and isinstance(seen["address"].get("country"), str):
            code = seen["address"]["country"]
            seen["address"] = {**seen["address"], "country": {"code": code, "name": code}}
        return seen

    def user_create(self, table: str, raw: Row) -> str:
        """A person creates a client in the app; raw in the names of the read shape."""
        self._only_clients(table)
        row = self._new(str(raw.get("name", "")))
        self.tables["clients"].put(row["id"], row)
        self.user_edit("clients", row["id"], raw)
        return str(row["id"])

    def user_edit(self, table: str, row_id: str, raw: Row) -> None:
        """A person edits a client: raw is laid over the read shape, None removes a member, lists replace whole lists."""
        self._only_clients(table)
        raw, old = dict(raw), self.tables["clients"].rows[row_id]
        for kind, new in (("contacts", self.blank_contact), ("notes", lambda: self.note(""))):
            if kind in raw:
                known = {child["id"]: child for child in old[kind]}
                raw[kind] = [merged(known.get(child.get("id")) or new(), child) for child in raw[kind]]
        row = _without_none(merged(old, raw))
        self._store({**row, "address": row.get("address", {})}, touch="updatedAt" not in raw)

    def user_delete(self, table: str, row_id: str) -> None:
        """A person removes a client in the app."""
        self._only_clients(table)
        self.tables["clients"].drop(row_id)

    def user_archive(self, row_id: str, *, archived: bool) -> None:
        """A person archives a client, or takes it back."""
        self.user_edit("clients", row_id, {"archived": archived})

    def _only_clients(self, table: str) -> None:
        if table != "clients":
            message = f"lsp_expert has no table {table!r}"
            raise KeyError(message)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(member) for key, member in value.items() if member is not None}
    return value


def _nested(body: dict[str, Json]) -> dict[str, Json]:
    """`emails[invoice]=true` of a form and `{"emails": {"invoice": true}}` of JSON, both as `emails.invoice`."""
    flat: dict[str, Json] = {}
    for name, value in body.items():
        if name == "emails" and isinstance(value, dict):
            flat |= {f"emails.{key}": member for key, member in value.items()}
        else:
            flat[re.sub(r"^emails\[(\w+)\]$", r"emails.\1", name)] = value
    return flat
