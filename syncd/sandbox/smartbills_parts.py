"""Smartbills' shapes: what each profile shows, accepts, requires and says when it refuses."""

from __future__ import annotations

import re
from typing import Any

from syncd.sandbox.switches import SmartbillsSwitches, normalised
from syncd.sandbox.tables import hexadecimal, stamp
from syncd.sandbox.wire import Answer, Json, Refused, Request, Row

TEXT_LIMIT_CHARACTERS = 255
ORDER_KEYS = {"id", "firstName", "lastName", "email", "createdAt", "updatedAt", "totalSpent"}
BASE = ("id", "firstName", "lastName", "email", "taxExempt", "phone", "locale", "acceptsMarketing")
EXTRA = ("tags", "address", "metadata", "totalSpent", "totalOrders", "createdAt", "updatedAt")
THIRD = ("id", "firstName", "lastName", "email", "phoneNumber", "acceptsMarketing", "tags", "currency", "billingAddress", "shippingAddress",
         "createdAt", "updatedAt")  # fmt: skip
ADDRESS = ("line1", "line2", "city", "state", "stateCode", "country", "countryCode", "postalCode")
TEXTS = {"firstName", "lastName", "email", "phone", "locale", "note", "currency", "companyName", "accountNumber", "customerNumber",
         "nickname", "birthDate"}  # fmt: skip
FLAGS = {"taxExempt", "acceptsMarketing"}
DEFAULTS: Row = {"taxExempt": False, "acceptsMarketing": False, "tags": [], "address": None, "metadata": {}}
TAKEN = {
    "A": {"firstName", "lastName", "email", "phone", "locale", "taxExempt", "acceptsMarketing"},
    "B": {"firstName", "lastName", "email", "phone", "locale", "taxExempt", "acceptsMarketing", "tags", "address", "metadata", "notes"},
    "C": {"firstName", "lastName", "email", "phoneNumber", "locale", "isTaxExempt", "taxExempt", "acceptsMarketing", "tags", "address",
          "metadata", "note", "currency", "companyName", "accountNumber", "customerNumber", "nickname", "birthDate"},
}  # fmt: skip
UPDATED_BY_C = {"firstName", "lastName", "email", "phoneNumber", "taxExempt", "acceptsMarketing", "tags"}
CODES = {
    400: "VALIDATION_ERROR", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 409: "CONFLICT",
    422: "VALIDATION_ERROR", 429: "RATE_LIMIT_EXCEEDED", 503: "SERVICE_UNAVAILABLE",
}  # fmt: skip


def blank(row_id: int, now: str) -> Row:
    """A customer of which nothing is known, with all that any profile can hold."""
    return {
        "id": row_id, "firstName": "", "lastName": "", "email": None, "taxExempt": False, "phone": None, "locale": "en-CA",
        "acceptsMarketing": False, "tags": [], "address": None, "metadata": {}, "totalSpent": 0, "totalOrders": 0, "createdAt": now,
        "updatedAt": now, "note": None, "currency": "CAD", "companyName": None, "accountNumber": None, "customerNumber": None,
        "nickname": None, "birthDate": None, "_orders": 0,
    }  # fmt: skip


class Shape:
    """How the chosen profile shows things."""

    def __init__(self, switches: SmartbillsSwitches) -> None:
        self._switches = switches

    def names(self) -> tuple[str, ...]:
        """The members of a customer in the chosen profile."""
        return {"A": BASE, "AB": BASE + EXTRA, "B": BASE + EXTRA, "C": THIRD}[self._switches.profile]

    def read(self, row: Row) -> Row:
        """A stored customer as the API shows it."""
        names = self.names()
        if names is not THIRD:
            shown = {name: row[name] for name in names}
            if shown.get("address"):
                shown["address"] = _formatted(shown["address"])
            return shown
        whole = {**row, "phoneNumber": row["phone"], "shippingAddress": None, "billingAddress": None}
        if row["address"]:
            person = {
                "firstName": row["firstName"],
                "lastName": row["lastName"],
                "name": f"{row['firstName']} {row['lastName']}",
            }
            contact = {"company": row["companyName"], "email": row["email"], "phoneNumber": row["phone"]}
            whole["billingAddress"] = {**person, **contact, "address": _formatted(row["address"])}
        return {name: whole[name] for name in THIRD}

    def canonical(self, raw: Row) -> Row:
        """The stored names of members given in any profile's names."""
        other = {"phoneNumber": "phone", "isTaxExempt": "taxExempt", "notes": "note", "activeOrders": "_orders"}
        return {other.get(name, name): value for name, value in raw.items()}

    def envelope(self, items: list[Row], page: int, size: int, total: int, *, more: bool) -> Row:
        """One page of the list."""
        pages = -(-total // size)
        if self._switches.profile == "C":
            counts = {"count": total, "pageCount": pages, "currentPage": page, "limit": size}
            return {"data": items, "pagination": counts}
        if self._switches.envelope == "pagination":
            counts = {"page": page, "pageSize": size, "totalPages": pages, "totalCount": total}
            return {"data": items, "pagination": {**counts, "hasNext": more, "hasPrevious": page > 1}}
        return {"data": items, "metadata": {"page": page, "pageSize": size, "totalPages": pages, "count": total}}

    def problem(self, status: int, message: str, code: str, details: list[Row] | None, at: float) -> Answer:
        """The error body; 429 has a shape of its own."""
        word = code or CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "INVALID_PARAMETER")
        text = message or word.replace("_", " ").capitalize()
        if status == 429:
            return Answer(429, {"code": "RATE_LIMITED", "message": text})
        if self._switches.profile == "C":
            errors = [
                {"code": one.get("code", word), "field": one["field"], "message": one["message"]}
                for one in details or []
            ]
            more: dict[str, Any] = {
                name: one[name] for one in details or [] for name in ("existingCustomerId",) if name in one
            }
            body = {"type": f"https://api.smartbills.io/problems/{word.lower()}", "title": text, "status": status, "detail": text,
                    "instance": "/v1", "code": word, "errors": errors, **more}  # fmt: skip
            return Answer(status, body, {"Content-Type": "application/problem+json"})
        error = {
            "code": word,
            "message": text,
            "details": details or [],
            "requestId": f"req_{hexadecimal(0, at)}",
            "timestamp": stamp(at),
        }
        return Answer(status, {"error": error})


class Rules:
    """What a body may say."""

    def __init__(self, switches: SmartbillsSwitches, shape: Shape) -> None:
        self._switches = switches
        self._shape = shape

    def _refuse(self, name: str, message: str, code: str) -> Refused:
        detail = {"field": name, "message": message, "code": code}
        return Refused(self._shape.problem(400, f"{name}: {message}", code, [detail], 0.0), f"{name}: {message}")

    def values(self, request: Request, body: Json, *, create: bool) -> Row:
        """The body's values in stored names. Refuses missing and wrong ones; unknown names are ignored, as such servers do."""
        if not isinstance(body, dict):
            raise self._refuse("body", "must be an object", "VALIDATION_ERROR")
        third = self._switches.profile == "C"
        taken = TAKEN["B" if self._switches.profile in {"AB", "B"} else self._switches.profile]
        if not create:
            taken = UPDATED_BY_C if third else taken - {"notes"}
        readable = {*self._shape.names(), "deletedAt"}
        request.ignored += [name for name in body if name not in taken]
        request.violations += [f"unknown member {name}" for name in body if name not in taken and name not in readable]
        values = self._shape.canonical({name: value for name, value in body.items() if name in taken})
        self._required(values, create=create)
        for name, value in values.items():
            self._check(name, value)
        if values.get("address"):
            values["address"] = {name: value for name, value in values["address"].items() if name in ADDRESS}
        return {name: normalised(self._switches, name, value) for name, value in values.items()}

    def _required(self, values: Row, *, create: bool) -> None:
        first_profile = self._switches.profile in {"A", "AB"}
        strict = first_profile and not create and self._switches.strict_update != "one_of"
        needed = {"firstName", "lastName"} if self._switches.profile != "C" else set()
        if self._switches.profile != "C" and (create or strict):
            needed |= {"locale"}
        for name in sorted(needed):
            if not str(values.get(name) or "").strip():
                raise self._refuse(name, "is required", "MISSING_REQUIRED_FIELD")
        if strict:
            for name in ("email", "phone"):
                if name not in values or (self._switches.strict_update == "values" and not values[name]):
                    raise self._refuse(name, "is required", "MISSING_REQUIRED_FIELD")
        if not values.get("email") and not values.get("phone"):
            raise self._refuse("email", "email or phone is required", "MISSING_REQUIRED_FIELD")

    def _check(self, name: str, value: Json) -> None:
        if name in TEXTS:
            fits = value is None or (isinstance(value, str) and len(value) <= TEXT_LIMIT_CHARACTERS)
        elif name in FLAGS:
            fits = isinstance(value, bool)
        elif name == "tags":
            fits = isinstance(value, list) and all(isinstance(tag, str) for tag in value)
        elif name == "metadata":
            fits = isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
        else:
            fits = value is None or (
                isinstance(value, dict) and all(text is None or isinstance(text, str) for text in value.values())
            )
        if not fits:
            raise self._refuse(name, "has the wrong type or is too long", "VALIDATION_ERROR")
        if name == "email" and value and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value.strip()):
            raise self._refuse(name, "is not an email address", "VALIDATION_ERROR")
        if name == "locale" and value and not re.fullmatch(r"[a-z]{2,3}-([A-Z]{2}|\d{3})", value):
            raise self._refuse(name, "is not a locale", "VALIDATION_ERROR")

    def replaced(self, values: Row) -> Row:
        """What a PUT stores: omitted optional members fall back to their default, unless the switch keeps them."""
        contact = {"email": None, "phone": None}
        if self._switches.omitted == "keep":
            return values
        if self._switches.profile == "C":
            return {**contact, "acceptsMarketing": False, "tags": [], **values}
        reset = DEFAULTS if self._switches.profile != "A" else {name: DEFAULTS[name] for name in FLAGS}
        return {**contact, **reset, **values}


def _formatted(address: Row) -> Row:
    place = f"{address.get('postalCode') or ''} {address.get('city') or ''}".strip()
    parts = [address.get("line1"), address.get("line2"), place, address.get("country") or address.get("countryCode")]
    whole = {name: address.get(name) for name in ADDRESS}
    return {**whole, "formattedAddress": ", ".join(part for part in parts if part)}
