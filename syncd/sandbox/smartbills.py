"""Smartbills: customers in the three dialects of its published material, chosen by the switch `profile`.

A is the seed's page, AB (default) the same contract with the fields of the current pages, B the current pages, C the current
SDKs (business in the path, other names, problem details). PUT replaces everything; DELETE is permanent and answers with the body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from syncd.sandbox.smartbills_access import Access
from syncd.sandbox.smartbills_parts import ORDER_KEYS, Rules, Shape, blank
from syncd.sandbox.smartbills_webhooks import Webhooks
from syncd.sandbox.switches import SmartbillsSwitches
from syncd.sandbox.tables import Table, folded, stamp
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
    parse_json,
    positive,
)

BUSINESS_ID = "881"
IDEMPOTENCY_SECONDS = 86_400
A_LIST = frozenset({"page", "pageSize", "orderBy", "sortOrder"})
B_LIST = A_LIST | {"search", "email", "taxExempt", "acceptsMarketing", "tags", "sortBy"}
C_LIST = frozenset({"page", "pageSize", "sortBy", "sortDirection", "Email"})


class Smartbills:
    """One Smartbills business with its customers."""

    name = "smartbills"
    mount = "/smartbills/v1"

    def __init__(self, clock: Callable[[], float], seed: int, credentials: dict[str, str]) -> None:
        self.seed = seed
        self.clock = clock
        self.switches = SmartbillsSwitches()
        self.credentials = credentials
        self.tables = {"customers": Table(clock, unique=lambda row: folded(row["email"]))}
        self.counters = {"customer": 1000}
        self.shape = Shape(self.switches)
        self.rules = Rules(self.switches, self.shape)
        self.access = Access(clock, self.switches, credentials, self.shape, BUSINESS_ID)
        self.tokens = self.access.tokens
        self.replays: dict[str, tuple[float, str, Answer]] = {}
        self.webhooks = Webhooks(self.switches, clock, self._json, self.problem)
        self.router = Router(self._routes())

    def _routes(self) -> list[Route]:
        routes = [Route("POST", "/connect/token", self.access.token, open=True)]
        for base, query in (("/customers", A_LIST | B_LIST), ("/businesses/{bid}/customers", C_LIST)):
            routes += [
                Route("GET", base, self._list, query, listing=True),
                Route("POST", base, self._create),
                Route("POST", f"{base}/batch", self._create_batch),
                Route("PUT", f"{base}/batch", self._update_batch),
                Route("GET", base + "/{id}", self._read),
                Route("PUT", base + "/{id}", self._update),
                Route("DELETE", base + "/{id}", self._delete),
            ]
        return routes + self.webhooks.routes()

    def offered(self, route: Route) -> bool:
        """Whether the chosen profile has this path."""
        return (
            route.open
            or route.path.startswith("/webhooks")
            or route.path.startswith("/businesses") == (self.switches.profile == "C")
        )

    def problem(self, status: int, message: str = "", code: str = "", details: list[Row] | None = None) -> Answer:
        """The error body of the chosen profile."""
        return self.shape.problem(status, message, code, details, self.clock())

    def authenticate(self, request: Request) -> None:
        """Refuses a request without a good key or token, with the wrong scope, or for another business."""
        self.access.check(request)

    def revoke(self) -> None:
        """Every token that was issued ends now; API keys stay."""
        self.tokens.expire()

    # ---------------------------------------------------------------- reading

    def _stored(self, request: Request, *, now: bool = False) -> Row:
        request.external_id = request.params["id"]
        row = self.tables["customers"].view(None if now else request.tilt.as_of).get(request.params["id"])
        if row is None:
            raise Refused(self.problem(404, "Customer not found"))
        return row

    def _read(self, request: Request) -> Answer:
        return Answer(200, self.shape.read(self._stored(request)))

    def _list(self, request: Request) -> Answer:
        query = request.query
        page, size = (
            self._whole(query, "page", 1),
            self._whole(query, "pageSize", 25 if self.switches.profile == "C" else 100),
        )
        if size > self.switches.max_page_size:
            raise Refused(self.problem(400, "pageSize is too large", "INVALID_PARAMETER"), "pageSize")
        rows = self._filtered(request, self._sorted(request))
        shown, total, more = cut(rows, (page - 1) * size, size, request.tilt)
        return Answer(200, self.shape.envelope([self.shape.read(row) for row in shown], page, size, total, more=more))

    def _whole(self, query: dict[str, str], name: str, default: int) -> int:
        try:
            return positive(query[name]) if name in query else default
        except ValueError as error:
            raise Refused(self.problem(400, f"{name} must be a positive integer", "INVALID_PARAMETER"), name) from error

    def _sorted(self, request: Request) -> list[Row]:
        third = self.switches.profile == "C"
        order = request.query.get("sortBy" if third else "orderBy") or request.query.get("sortBy", "createdAt")
        direction = request.query.get("sortDirection" if third else "sortOrder", "desc").lower()
        known = ORDER_KEYS if self.switches.profile == "B" else ORDER_KEYS | set(self.shape.names())
        if order not in known or direction not in {"asc", "desc"}:
            raise Refused(self.problem(400, "unknown order", "INVALID_PARAMETER"), "orderBy")
        name = "phone" if order == "phoneNumber" else order

        def key(row: Row) -> tuple[bool, Any, int]:
            value = row[name]
            plain = value if isinstance(value, int | str) else str(value)
            return value is not None, "" if value is None else plain, row["id"]

        return self.tables["customers"].ordered(order, key, down=direction == "desc", as_of=request.tilt.as_of)

    def _filtered(self, request: Request, rows: list[Row]) -> list[Row]:
        query = request.query
        if self.switches.profile == "A":
            return rows
        if email := query.get("Email" if self.switches.profile == "C" else "email"):
            rows = [row for row in rows if folded(row["email"]) == folded(email)]
        if self.switches.profile == "C":
            return rows
        if words := query.get("search", "").casefold():
            rows = [
                row for row in rows if words in f"{row['firstName']} {row['lastName']} {row['email'] or ''}".casefold()
            ]
        for name in ("taxExempt", "acceptsMarketing"):
            if name in query:
                rows = [row for row in rows if row[name] == (query[name] == "true")]
        if tags := query.get("tags"):
            rows = [row for row in rows if set(tags.split(",")) & set(row["tags"])]
        return rows

    # ---------------------------------------------------------------- writing

    def _json(self, request: Request) -> Json:
        if request.content_type() != JSON:
            raise Refused(
                self.problem(415, "The body must be application/json"), "content type is not application/json"
            )
        try:
            body = parse_json(request.body)
        except ValueError as error:
            raise Refused(self.problem(400, "The body is not JSON"), "malformed JSON") from error
        request.sent = body
        return body

    def _checked(self, request: Request, body: Json, row_id: str | None) -> Row:
        """The values of one body; the e-mail must not belong to another customer."""
        values = self.rules.values(request, body, create=row_id is None)
        self._unique(values, row_id)
        return values

    def _unique(self, values: Row, row_id: str | None) -> None:
        email = folded(values.get("email"))
        owner = self.tables["customers"].owner(email) if email and self.switches.unique_email else None
        if owner is not None and owner != row_id:
            code = "DUPLICATE_CUSTOMER" if row_id is None else "DUPLICATE_EMAIL"
            detail: Row = {"field": "email", "message": "A customer with this email already exists", "code": code}
            if row_id is None:
                detail["existingCustomerId"] = int(owner)
            raise Refused(self.problem(409, "A customer with this email already exists", code, [detail]))

    def _create(self, request: Request) -> Answer | Write:
        body = self._json(request)
        replay = self._replayed(request)
        if replay is not None:
            return replay
        values = self._checked(request, body, None)

        def commit() -> Answer:
            self._unique(values, None)
            row = self._insert(values)
            request.external_id = str(row["id"])
            answer = Answer(self.switches.create_status, self.shape.read(row))
            self._remember(request, answer)
            return answer

        return Write(commit)

    def _replayed(self, request: Request) -> Answer | None:
        key = request.headers.get("idempotency-key")
        if key is None or not self.switches.idempotency or key not in self.replays:
            return None
        at, digest, answer = self.replays[key]
        if self.clock() - at > IDEMPOTENCY_SECONDS:
            return None
        if digest != hashlib.sha256(request.body).hexdigest():
            raise Refused(
                self.problem(409, "The key was used with another body", "IDEMPOTENCY_MISMATCH"),
                "idempotency key reused",
            )
        return answer

    def _remember(self, request: Request, answer: Answer) -> None:
        if (key := request.headers.get("idempotency-key")) and self.switches.idempotency:
            self.replays[key] = (self.clock(), hashlib.sha256(request.body).hexdigest(), answer)

    def _insert(self, values: Row) -> Row:
        self.counters["customer"] += 1
        row = {**blank(self.counters["customer"], stamp(self.clock())), **values}
        self.tables["customers"].put(str(row["id"]), row)
        self.webhooks.happened("created", self.shape.read(row))
        return row

    def _update(self, request: Request) -> Write:
        self._stored(request, now=True)
        values = self._checked(request, self._json(request), request.params["id"])

        def commit() -> Answer:
            row = self._stored(request, now=True)
            self._unique(values, request.params["id"])
            return Answer(200, self.shape.read(self._replace(row, values)))

        return Write(commit)

    def _replace(self, row: Row, values: Row) -> Row:
        new = {**row, **self.rules.replaced(values), "updatedAt": stamp(self.clock())}
        self.tables["customers"].put(str(row["id"]), new)
        self.webhooks.happened("updated", self.shape.read(new))
        return new

    def _delete(self, request: Request) -> Write:
        self._stored(request, now=True)

        def commit() -> Answer:
            row = self._stored(request, now=True)
            if row["_orders"]:
                detail = {
                    "field": "id",
                    "message": "The customer has active orders",
                    "activeOrdersCount": row["_orders"],
                }
                return self.problem(409, "The customer has active orders", "CONFLICT", [detail])
            self.user_delete("customers", str(row["id"]))
            if self.switches.delete_status == 204:
                return Answer(204)
            gone = {} if self.switches.profile == "A" else {"deletedAt": stamp(self.clock())}
            return Answer(200, {**self.shape.read(row), **gone})

        return Write(commit)

    def _batch(self, request: Request) -> list[Json]:
        body = self._json(request)
        if not isinstance(body, list) or not body:
            raise Refused(self.problem(400, "The body must be an array", "VALIDATION_ERROR"), "body is not an array")
        return body

    def _create_batch(self, request: Request) -> Write:
        items = [self._checked(request, item, None) for item in self._batch(request)]

        def commit() -> Answer:
            return Answer(self.switches.create_status, [self.shape.read(self._insert(values)) for values in items])

        return Write(commit)

    def _update_batch(self, request: Request) -> Write:
        items = []
        for item in self._batch(request):
            row_id = str(item.get("id")) if isinstance(item, dict) else ""
            if row_id not in self.tables["customers"].rows:
                raise Refused(self.problem(404, "Customer not found"))
            items.append((row_id, self._checked(request, item, row_id)))

        def commit() -> Answer:
            rows = self.tables["customers"].rows
            return Answer(200, [self.shape.read(self._replace(rows[row_id], values)) for row_id, values in items])

        return Write(commit)

    # ---------------------------------------------------------------- the app's users

    def shown(self, table: str, row: Row, *, form: str = "single") -> Row:  # noqa: ARG002 - it has one table
        """A stored row as the API shows it; form `stored` also has what it never returns."""
        return dict(row) if form == "stored" else self.shape.read(row)

    def user_create(self, table: str, raw: Row) -> str:
        """A person creates a customer in the app; raw in the names of any profile."""
        self._only_customers(table)
        values = {name: value for name, value in self.shape.canonical(raw).items() if name != "id"}
        return str(self._insert(values)["id"])

    def user_edit(self, table: str, row_id: str, raw: Row) -> None:
        """A person edits a customer: raw is laid over what is stored."""
        self._only_customers(table)
        values = {"updatedAt": stamp(self.clock()), **self.shape.canonical(raw)}
        row = dict(merged(self.tables["customers"].rows[row_id], values))
        self.tables["customers"].put(row_id, row)
        self.webhooks.happened("updated", self.shape.read(row))

    def user_delete(self, table: str, row_id: str) -> None:
        """A person removes a customer for good."""
        self._only_customers(table)
        row = self.tables["customers"].rows[row_id]
        self.tables["customers"].drop(row_id)
        self.webhooks.happened("deleted", self.shape.read(row))

    def user_archive(self, row_id: str, *, archived: bool) -> None:
        """There is no archive: a KeyError says so."""
        message = f"smartbills cannot archive {row_id} ({archived})"
        raise KeyError(message)

    def _only_customers(self, table: str) -> None:
        if table != "customers":
            message = f"smartbills has no table {table!r}"
            raise KeyError(message)
