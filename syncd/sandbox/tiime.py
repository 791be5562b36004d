"""Tiime: the internal API of a French invoicing app, as its community clients have seen it.

A company's clients can be listed (through a Range header), read and created. Nothing changes or removes a client unless the
switches `update` and `delete` say so. Wire facts: tiime-sdk, steampipe-plugin-tiime, ruby-tiime; `[E]` guesses are switches.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from syncd.sandbox.switches import TiimeSwitches, normalised
from syncd.sandbox.tables import Table, Tokens, bearer, pick, visible
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
)

COMPANY_ID = 4242
CLIENT_ID = "sandbox-web-app"
AUDIENCE = "https://chronos/"
TEXT_LIMIT_CHARACTERS = 255
PARIS = timezone(timedelta(hours=1), "Europe/Paris in winter")
COUNTRIES = {
    "FR": (75, "France"), "BE": (22, "Belgique"), "CA": (40, "Canada"), "CH": (45, "Suisse"), "DE": (58, "Allemagne"),
    "ES": (69, "Espagne"), "GB": (78, "Royaume-Uni"), "IT": (109, "Italie"), "LU": (129, "Luxembourg"), "PL": (175, "Pologne"),
    "US": (233, "États-Unis"),
}  # fmt: skip
COLOURS = ("#FFC681", "#7FD1AE", "#8FB8ED", "#E59BB0", "#C3A6E0", "#F2DD6E")
ACCEPTED = {
    "application/vnd.tiime.timeline.v2+json",
    "application/vnd.tiime.companies.v2+json",
    JSON,
    "*/*",
    "application/*",
    "",
}
WRITABLE = ("name", "email", "phone", "address", "postal_code", "city", "country_id", "siren_or_siret", "professional")
READ_ONLY = {
    "id", "slug", "address_complement", "country", "country_code", "siren", "siret", "intracom_vat_number", "archived", "archived_at",
    "color", "acronym", "note", "bic", "iban", "invoicing_use_email", "payment_status", "balance_including_taxes",
    "billed_including_taxes", "billed_excluding_taxes",
}  # fmt: skip
NEVER_NULL = {"address", "postal_code", "city", "siren_or_siret"}
REALM_GRANT = "http://auth0.com/oauth/grant-type/password-realm"


def blank(client_id: int) -> Row:
    """A client of which nothing is known; the members every read shows, in their order."""
    return {
        "id": client_id, "name": "", "slug": "", "address": "", "address_complement": None, "postal_code": "", "city": "",
        "country": None, "country_code": None, "email": None, "phone": None, "siren_or_siret": "", "siret": None, "siren": None,
        "intracom_vat_number": None, "archived": False, "archived_at": None, "professional": True, "color": "", "acronym": "",
        "note": None, "bic": None, "iban": None, "invoicing_use_email": False, "payment_status": None,
        "balance_including_taxes": 0, "billed_including_taxes": 0, "billed_excluding_taxes": 0, "_contacts": [],
    }  # fmt: skip


class Tiime:
    """One Tiime company with its users and clients."""

    name = "tiime"
    mount = "/tiime/v1"

    def __init__(self, clock: Callable[[], float], seed: int, credentials: dict[str, str]) -> None:
        self.seed = seed
        self.clock = clock
        self.switches = TiimeSwitches()
        self.credentials = credentials
        self.tables = {"clients": Table(clock)}
        self.counters = {"client": 100_000, "contact": 500_000}
        self.tokens = Tokens("https://auth0.tiime.fr/", clock, {credentials["token"]: "ready token"})
        self.refresh_tokens: set[str] = set()
        self.router = Router(self._routes())

    def _routes(self) -> list[Route]:
        one = "/companies/{cid}/clients/{id}"
        known = frozenset({"archived", "search", "sorts"})
        return [
            Route("POST", "/oauth/token", self._login, open=True),
            Route("GET", "/users/me", self._me),
            Route("GET", "/companies", self._companies),
            Route("GET", "/companies/{cid}/clients", self._list, known, listing=True),
            Route("POST", "/companies/{cid}/clients", self._create),
            Route("GET", one, self._read),
            Route("GET", f"{one}/contacts", self._contacts),
            Route("PATCH", one, self._update),
            Route("PUT", one, self._update),
            Route("DELETE", one, self._delete),
        ]

    def offered(self, route: Route) -> bool:
        """Whether the switches let this call exist."""
        if route.method in {"PATCH", "PUT"}:
            return self.switches.update == route.method
        if route.path.endswith("/contacts"):
            return self.switches.contacts
        return route.method != "DELETE" or self.switches.delete

    def problem(self, status: int, message: str = "", code: str = "") -> Answer:
        """The error body of this API."""
        codes = {401: "unauthorized", 403: "access_denied", 404: "not_found", 405: "method_not_allowed", 422: "validation_error",
                 429: "too_many_requests"}  # fmt: skip
        word = code or codes.get(status, "bad_request" if status < 500 else "server_error")
        return Answer(
            status, {"error": status, "error_code": word, "error_description": message or word.replace("_", " ")}
        )

    # ---------------------------------------------------------------- access

    def authenticate(self, request: Request) -> None:
        """Refuses a request without a token that is still good."""
        token = bearer(request.headers.get("authorization", ""))
        state = self.tokens.state(token) if token else "unknown"
        if state != "ok" or token is None:
            raise Refused(self.problem(401, "The access token is missing, invalid or expired."))
        request.credential = self.tokens.holder(token)
        if self.switches.require_app_headers and not {"tiime-app", "tiime-app-version", "tiime-app-platform"} <= set(
            request.headers
        ):
            raise Refused(self.problem(400, "The tiime-app headers are missing."), "tiime-app headers are missing")
        accepted = {part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")}
        if not accepted & ACCEPTED:
            raise Refused(self.problem(406, "No representation for this Accept header."), "Accept is not offered")

    def _login(self, request: Request) -> Answer:
        form = self._auth_body(request)
        grant = form.get("grant_type", "")
        if not form.get("client_id"):
            raise Refused(_auth0(401, "invalid_client", "Unknown client."), "client_id is missing")
        if grant == "refresh_token":
            if form.get("refresh_token") not in self.refresh_tokens:
                raise Refused(_auth0(403, "invalid_grant", "Unknown or invalid refresh token."))
            return self._token(form, refresh=False)
        if grant not in {"password", REALM_GRANT}:
            raise Refused(_auth0(403, "unauthorized_client", "Grant type not allowed for the client."), "grant_type")
        if form.get("audience", AUDIENCE if grant == REALM_GRANT else "") != AUDIENCE:
            raise Refused(_auth0(403, "access_denied", "Service not found."), "audience is not https://chronos/")
        if (form.get("username"), form.get("password")) != (self.credentials["username"], self.credentials["password"]):
            raise Refused(_auth0(403, "invalid_grant", "Wrong email or password."))
        return self._token(form, refresh="offline_access" in str(form.get("scope", "")).split())

    def _auth_body(self, request: Request) -> dict[str, Any]:
        try:
            form = parse_json(request.body) if request.content_type() == JSON else parse_form(request.body)
        except ValueError:
            form = None
        if not isinstance(form, dict):
            raise Refused(_auth0(400, "invalid_request", "The body cannot be read."), "unreadable login body")
        return form

    def _token(self, form: dict[str, Any], *, refresh: bool) -> Answer:
        user = self.credentials["username"]
        token = self.tokens.issue("auth0|1", self.switches.token_seconds, {"aud": AUDIENCE, "tiime/userEmail": user})
        body: Row = {"access_token": token, "id_token": self.tokens.issue("auth0|1", 0), "scope": str(form.get("scope", "openid email")),
                     "expires_in": int(self.switches.token_seconds), "token_type": "Bearer"}  # fmt: skip
        if refresh:
            body["refresh_token"] = f"v1.refresh-{self.tokens.number}"
            self.refresh_tokens.add(body["refresh_token"])
        return Answer(200, body)

    def revoke(self) -> None:
        """Every token that was issued ends now."""
        self.tokens.expire()

    # ---------------------------------------------------------------- reading

    def _me(self, _: Request) -> Answer:
        user = {"id": 17, "email": self.credentials["username"], "firstname": "Camille", "lastname": "Démo"}
        return Answer(200, {**user, "active_company": COMPANY_ID})

    def _companies(self, _: Request) -> Answer:
        company = {"id": COMPANY_ID, "name": "Cabinet Démo", "legal_status": "SAS", "siret": "55210055400013"}
        return Answer(200, [company], {"Content-Range": "items 0-0/1"})

    def _company(self, request: Request) -> None:
        if request.params["cid"] != str(COMPANY_ID):
            raise Refused(self.problem(403, "You have no access to this company."))

    def _found(self, request: Request) -> Row:
        self._company(request)
        request.external_id = request.params["id"]
        row = self.tables["clients"].view(request.tilt.as_of).get(request.params["id"])
        if row is None:
            raise Refused(self.problem(404, "Client not found."))
        return row

    def _read(self, request: Request) -> Answer:
        return Answer(200, visible(self._found(request)))

    def _contacts(self, request: Request) -> Answer:
        return Answer(200, list(self._found(request)["_contacts"]))

    def _list(self, request: Request) -> Answer:
        self._company(request)
        rows = self._selected(request)
        first, last = self._range(request, len(rows))
        count = last - first + 1
        shown, total, more = cut(rows, first, count, request.tilt)
        if first >= len(rows) and not request.tilt.endless:
            if self.switches.past_the_end == "416" and first > 0:
                return self.problem(416, "The range starts after the last item.")
            return Answer(200, [], {"Content-Range": f"items */{total}"})
        told = "*" if more and self.switches.total_style == "star" else str(total)
        if self.switches.moving_billing:
            shown = [{**row, "billed_including_taxes": row["billed_including_taxes"] + request.seq} for row in shown]
        header = f"items {first}-{first + max(len(shown), 1) - 1}/{told}"
        return Answer(206 if more else 200, [visible(row) for row in shown], {"Content-Range": header})

    def _selected(self, request: Request) -> list[Row]:
        field, _, direction = request.query.get("sorts", "name:asc").partition(":")
        if field not in {"name", "id"} or direction not in {"asc", "desc"}:
            raise Refused(self.problem(400, "Unknown sort."), "sorts")
        rows = self.tables["clients"].ordered(
            field, lambda row: (row["id"] if field == "id" else row["name"].casefold(), row["id"]),
            down=direction == "desc", as_of=request.tilt.as_of,
        )  # fmt: skip
        if "archived" in request.query:
            if request.query["archived"] not in {"true", "false"}:
                raise Refused(self.problem(400, "archived must be true or false."), "archived")
            rows = [row for row in rows if row["archived"] == (request.query["archived"] == "true")]
        if "search" in request.query:
            words = request.query["search"].casefold()
            rows = [row for row in rows if words in row["name"].casefold()]
        return rows

    def _range(self, request: Request, total: int) -> tuple[int, int]:
        header = request.headers.get("range")
        if header is None:
            return 0, self.switches.default_window - 1
        found = re.fullmatch(r"items=(\d+)-(\d+|\*)", header)
        if found is None or (found[2] != "*" and int(found[2]) < int(found[1])):
            raise Refused(self.problem(400, "The Range header must be items=<first>-<last>."), "Range header")
        first = int(found[1])
        return first, max(total - 1, first) if found[2] == "*" else int(found[2])

    # ---------------------------------------------------------------- writing

    def _body(self, request: Request, *, create: bool) -> Row:
        if request.content_type() != JSON:
            raise Refused(
                self.problem(415, "The body must be application/json."), "content type is not application/json"
            )
        try:
            body = parse_json(request.body)
        except ValueError as error:
            raise Refused(self.problem(400, "The body is not JSON."), "malformed JSON") from error
        if not isinstance(body, dict):
            raise Refused(self.problem(400, "The body is not an object."), "body is not an object")
        request.sent = body
        taken = (
            WRITABLE
            if create
            else (*WRITABLE, "archived", "intracom_vat_number", "address_complement", "note", "iban", "bic")
        )
        request.ignored += [name for name in body if name not in taken]
        request.violations += [f"unknown member {name}" for name in body if name not in taken and name not in READ_ONLY]
        values = pick(body, taken)
        if (create or "name" in values) and not str(values.get("name") or "").strip():
            raise Refused(self.problem(422, "name: this value should not be blank."), "name is missing")
        for name, value in values.items():
            self._check(name, value)
        return {name: normalised(self.switches, name, value) for name, value in values.items()}

    def _check(self, name: str, value: Json) -> None:
        if name in {"professional", "archived"}:
            fits = isinstance(value, bool)
        elif name == "country_id":
            fits = value is None or (type(value) is int and value in {number for number, _ in COUNTRIES.values()})
        else:
            fits = value is None or (isinstance(value, str) and len(value) <= TEXT_LIMIT_CHARACTERS)
        if not fits:
            raise Refused(self.problem(422, f"{name}: this value is not valid."), f"value of {name}")
        if name == "email" and value and "@" not in value:
            raise Refused(self.problem(422, "email: this value is not a valid email address."))
        if name == "siren_or_siret" and value and not re.fullmatch(r"\d{9}(\d{5})?", "".join(value.split())):
            raise Refused(self.problem(422, "siren_or_siret: this value should have 9 or 14 digits."))

    def _create(self, request: Request) -> Write:
        self._company(request)
        values = self._body(request, create=True)

        def commit() -> Answer:
            request.external_id = self.user_create("clients", values)
            row = self.tables["clients"].rows[request.external_id]
            return Answer(self.switches.create_status, visible(row))

        return Write(commit)

    def _update(self, request: Request) -> Write:
        self._found(request)
        values = self._body(request, create=False)

        def commit() -> Answer:
            self._found(request)
            self.user_edit("clients", request.params["id"], values)
            return Answer(200, visible(self.tables["clients"].rows[request.params["id"]]))

        return Write(commit)

    def _delete(self, request: Request) -> Write:
        self._found(request)

        def commit() -> Answer:
            self._found(request)
            self.tables["clients"].drop(request.params["id"])
            return Answer(204)

        return Write(commit)

    # ---------------------------------------------------------------- the web app's users

    def shown(self, table: str, row: Row, *, form: str = "single") -> Row:  # noqa: ARG002 - it has one table
        """A stored row as the API shows it; form `children` shows what other calls tell about it."""
        return {"contacts": row["_contacts"]} if form == "children" else visible(row)

    def user_create(self, table: str, raw: Row) -> str:
        """A person creates a client in the web app; raw in the names of the API."""
        self._only_clients(table)
        self.counters["client"] += 1
        row = blank(self.counters["client"])
        row["color"] = COLOURS[row["id"] % len(COLOURS)]
        self.tables["clients"].put(str(row["id"]), self._derived(row, raw))
        return str(row["id"])

    def user_edit(self, table: str, row_id: str, raw: Row) -> None:
        """A person edits a client; raw is laid over what is stored, `contacts` replaces its contacts."""
        self._only_clients(table)
        self.tables["clients"].put(row_id, self._derived(self.tables["clients"].rows[row_id], raw))

    def user_delete(self, table: str, row_id: str) -> None:
        """A person removes a client in the web app."""
        self._only_clients(table)
        self.tables["clients"].drop(row_id)

    def user_archive(self, row_id: str, *, archived: bool) -> None:
        """A person archives a client, or takes it back."""
        self.user_edit("clients", row_id, {"archived": archived})

    def _only_clients(self, table: str) -> None:
        if table != "clients":
            message = f"tiime has no table {table!r}"
            raise KeyError(message)

    def _derived(self, old: Row, raw: Row) -> Row:
        """`raw` over `old`, with everything that the server makes itself."""
        raw = dict(raw)
        row = dict(old)
        if "contacts" in raw:
            row["_contacts"] = [self._contact(contact) for contact in raw.pop("contacts")]
        row |= _country(raw)
        row = dict(merged(row, raw))
        row |= {name: "" for name in NEVER_NULL if row[name] is None}
        digits = re.sub(r"\D", "", row["siren_or_siret"])
        row["siren"] = digits[:9] if len(digits) in {9, 14} else None
        row["siret"] = digits if len(digits) == 14 else None
        plain = unicodedata.normalize("NFKD", row["name"]).encode("ascii", "ignore").decode()
        row["slug"] = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
        row["acronym"] = plain[:2].upper()
        if row["archived"] != old["archived"] and "archived_at" not in raw:
            now = datetime.fromtimestamp(self.clock(), UTC).astimezone(PARIS)
            row["archived_at"] = now.strftime("%Y-%m-%d %H:%M:%S") if row["archived"] else None
        return row

    def _contact(self, raw: Row) -> Row:
        contact = {
            "firstname": None,
            "lastname": None,
            "email": None,
            "phone": None,
            "job": None,
            "invoicing_use_email": False,
        }
        if "id" not in raw:
            self.counters["contact"] += 1
        return {"id": self.counters["contact"], **contact, **raw}


def _country(raw: Row) -> Row:
    """Takes every way of naming a country out of `raw`; the members that show it."""
    given = raw.pop("country", None)
    code = raw.pop("country_code", None) or (given or {}).get("code")
    if "country_id" in raw:
        number = raw.pop("country_id")
        code = next((iso for iso, (known, _) in COUNTRIES.items() if known == number), None)
        if number is None:
            return {"country": None, "country_code": None}
    if code is None:
        return {}
    number, name = COUNTRIES[code]
    area = "national" if code == "FR" else "eu" if code in {"BE", "DE", "ES", "IT", "LU", "PL"} else "world"
    return {
        "country": {"id": number, "name": name, "code": code, "invoicing_vat_exoneration_area": area},
        "country_code": code,
    }


def _auth0(status: int, error: str, description: str) -> Answer:
    return Answer(status, {"error": error, "error_description": description})
