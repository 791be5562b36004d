"""Flowtly's API Platform manners: IRIs, JSON-LD and Hydra shapes, merge-patch, violations, problem bodies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from syncd.sandbox.switches import FlowtlySwitches
from syncd.sandbox.wire import JSON, Answer, Json, Nothing, Refused, Request, Row, encode, parse_json

LD = "application/ld+json"
PATCH = "application/merge-patch+json"
TEXT_LIMIT_CHARACTERS = 255
LONG_TEXT_LIMIT_CHARACTERS = 65_000
COUNTRIES = ("FR", "PL", "CA", "BE", "CH", "DE", "ES", "GB", "IT", "LU", "US", "NL", "PT", "CZ", "SK")
CURRENCIES = ("EUR", "PLN", "CAD", "USD", "GBP", "CHF", "CZK")
EMPLOYEES = ("1", "2", "3")
TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
          409: "Conflict", 415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a resource. kind: text, long, email, bool, integer, or the collection an IRI points to; `*` required."""

    kind: str
    required: bool = False
    null: bool = False
    readonly: bool = False
    default: Json = None


def _texts(*names: str) -> dict[str, Member]:
    return {name: Member("text", null=True) for name in names}


RESOURCES: dict[str, tuple[str, dict[str, Member]]] = {
    "clients": ("Client", {
        "name": Member("text", required=True),
        "country": Member("countries", required=True),
        "currency": Member("currencies", required=True),
        "status": Member("text", required=True),
        "tinType": Member("text", required=True),
        **_texts("tinCountry", "tin"),
        "vatNumber": Member("text", null=True, readonly=True),
        "defaultCost": Member("costs", null=True),
        "attributeSet": Member("attribute-sets", null=True),
        "dueDays": Member("integer"),
        "externalPaymentCustomerId": Member("text", null=True),
        "invoiceComment": Member("long", null=True),
        **_texts("defaultTaxRate"),
        "documentsLanguage": Member("text"),
        **_texts("addressStreetLine", "addressBuildingNumber", "addressLocaleNumber", "addressPostCode", "addressCity",
                 "addressPhoneNumber"),
        "addressCountry": Member("countries", null=True),
        "costGroup": Member("text", null=True, readonly=True),
        "costGroupIcon": Member("text", null=True, readonly=True),
    }),
    "client-contacts": ("ClientContact", {
        "client": Member("clients"),
        "type": Member("text", required=True),
        "position": Member("integer", default=0),
        "email": Member("email", required=True),
        "name": Member("text", required=True),
        **_texts("title", "phone"),
        "createdAt": Member("text", readonly=True),
        "updatedAt": Member("text", readonly=True),
        "possibleTypes": Member("text", readonly=True),
    }),
    "client-notes": ("ClientNote", {
        "client": Member("clients", required=True),
        "employee": Member("employees", required=True),
        "note": Member("long", required=True),
        "createdAt": Member("text", readonly=True),
        "updatedAt": Member("text", readonly=True),
    }),
    "counterparties": ("Counterparty", {
        "type": Member("text", default="client"),
        "requireAttachment": Member("bool", default=False),
        "cyclic": Member("bool", default=False),
        "budgetNeutral": Member("bool", default=False),
        **_texts("logoUrl", "corporateWebsiteUrl"),
        "displayName": Member("text", default=""),
        "costGroupIcon": Member("text", null=True, readonly=True),
    }),
}  # fmt: skip
SCALARS = {"text": str, "long": str, "email": str, "bool": bool, "integer": int}
NAMES = {
    "str": "string",
    "int": "integer",
    "bool": "bool",
    "float": "double",
    "NoneType": "NULL",
    "list": "array",
    "dict": "array",
}


class Manners:
    """How this API names, shows and refuses things, by its switches."""

    def __init__(self, switches: FlowtlySwitches) -> None:
        self._switches = switches

    def iri(self, collection: str, key: str) -> str:
        """The IRI of an item; countries and currencies are keyed by ISO code or by number."""
        pool = {"countries": COUNTRIES, "currencies": CURRENCIES}.get(collection)
        if pool is not None and self._switches.iri_keys == "integer":
            key = str(pool.index(key) + 1)
        return f"{self._switches.iri_prefix}/{collection}/{key}"

    def key(self, collection: str, iri: str, known: Row | None) -> str:
        """The stored key behind an IRI (also as a full URL). Refuses one that is malformed or points to nothing."""
        path = iri.split("://", 1)[1].partition("/")[2] if "://" in iri else iri
        path = "/" + path.lstrip("/")
        prefix = f"{self._switches.iri_prefix}/{collection}/"
        cut = path.find(prefix)
        if (
            cut < 0
            or ("://" not in iri and cut != 0)
            or "/" in path[cut + len(prefix) :]
            or not path[cut + len(prefix) :]
        ):
            raise Refused(self.problem(400, f'Invalid IRI "{iri}".'), f"IRI {collection}")
        key = path[cut + len(prefix) :]
        pool = {"countries": COUNTRIES, "currencies": CURRENCIES, "employees": EMPLOYEES}.get(collection)
        if pool is not None and collection != "employees" and self._switches.iri_keys == "integer":
            key = pool[int(key) - 1] if key.isdigit() and 0 < int(key) <= len(pool) else ""
        if not key or (key not in pool if pool is not None else known is not None and key not in known):
            raise Refused(self.problem(400, f'Item not found for "{iri}".'))
        return key

    def problem(self, status: int, detail: str = "", violations: list[Row] | None = None) -> Answer:
        """A problem body; a refused login or token has the shape of the JWT bundle instead."""
        if status == 401:
            text = detail or "JWT Token not found"
            return Answer(401, {"code": 401, "message": text}, {"WWW-Authenticate": "Bearer"})
        title = "An error occurred"
        detail = detail or TITLES.get(status, "Internal Server Error")
        body: Row = {"@id": f"/errors/{status}", "@type": "hydra:Error" if self._switches.hydra_prefix else "Error",
                     "title": title, "detail": detail, "status": status, "type": f"/errors/{status}"}  # fmt: skip
        if violations is not None:
            code = violations[0]["code"]
            body |= {
                "@id": f"/validation_errors/{code}",
                "@type": "ConstraintViolation",
                "type": f"/validation_errors/{code}",
            }
            body["violations"] = violations
        if self._switches.hydra_prefix:
            body |= {"hydra:title": title, "hydra:description": detail}
        return Answer(status, body, {"Content-Type": "application/problem+json; charset=utf-8"})

    def plain(self, request: Request) -> bool:
        """True where the caller wants application/json, False for JSON-LD. Refuses what is not offered."""
        wanted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
        for kind in wanted:
            if kind in {LD, "*/*", "application/*", ""}:
                return False
            if kind == JSON and self._switches.json_format:
                return True
        raise Refused(
            self.problem(406, f'Requested format "{", ".join(wanted)}" is not supported.'), "Accept is not offered"
        )

    def say(self, request: Request, status: int, body: Json, headers: dict[str, str] | None = None) -> Answer:
        """An answer in the wanted format; nulls are left out where the switch says so, plain JSON has no `@` members."""
        plain = self.plain(request)
        if not isinstance(body, Nothing):
            body = self.cleaned(body, plain=plain)
        answer = Answer(status, body, {"Content-Type": f"{JSON if plain else LD}; charset=utf-8", **(headers or {})})
        if self._switches.etag and request.method == "GET":
            answer.headers["ETag"] = f'"{hashlib.md5(encode(body), usedforsecurity=False).hexdigest()}"'
        return answer

    def cleaned(self, value: Json, *, plain: bool) -> Json:
        """A body without nulls, where the switch says so, and without `@` members, where plain JSON is wanted."""
        if isinstance(value, list):
            return [self.cleaned(item, plain=plain) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self.cleaned(member, plain=plain)
            for name, member in value.items()
            if not (plain and name.startswith("@")) and not (member is None and self._switches.omit_nulls)
        }

    def body(self, request: Request, kinds: tuple[str, ...]) -> dict[str, Any]:
        """The body as an object. Refuses other content types with 415, bad JSON with 400."""
        kind = request.content_type()
        if kind not in kinds:
            offered = '", "'.join(kinds)
            text = f'The content-type "{kind}" is not supported. Supported MIME types are "{offered}".'
            raise Refused(self.problem(415, text), f"content type {kind or 'none'}")
        try:
            body = parse_json(request.body)
        except ValueError as error:
            raise Refused(self.problem(400, "Syntax error"), "malformed JSON") from error
        if not isinstance(body, dict):
            raise Refused(self.problem(400, "Syntax error"), "body is not an object")
        request.sent = body
        return body

    def typed(self, name: str, member: Member, value: Json, tables: dict[str, Row]) -> Json:
        """The stored value of one member. Refuses wrong types and bad IRIs with 400."""
        if value is None:
            if member.null:
                return None
            raise self._wrong_type(name, member, value)
        if member.kind in SCALARS:
            if type(value) is not SCALARS[member.kind]:
                raise self._wrong_type(name, member, value)
            return value
        if not isinstance(value, str):
            raise self._wrong_type(name, member, value)
        return self.key(member.kind, value, tables.get(member.kind))

    def _wrong_type(self, name: str, member: Member, value: Json) -> Refused:
        wanted = NAMES[SCALARS[member.kind].__name__] if member.kind in SCALARS else "string"
        given = NAMES.get(type(value).__name__, "mixed")
        return Refused(
            self.problem(400, f'The type of the "{name}" attribute must be "{wanted}", "{given}" given.'),
            f"type of {name}",
        )
