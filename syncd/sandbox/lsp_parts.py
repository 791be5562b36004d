"""LSP.expert's parameter tables: flat write names, what each call takes, and where each reads back."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncd.sandbox.tables import hexadecimal
from syncd.sandbox.wire import Json, Row

TEXT_LIMIT_CHARACTERS = 255
LONG_TEXT_LIMIT_CHARACTERS = 65_000


@dataclass(frozen=True, slots=True)
class Field:
    """One documented parameter. kind: text, long, bool, number, country, currency, document, tax or cat; read: dotted path."""

    kind: str
    read: str
    create: bool = True
    update: bool = True
    required: bool = False
    null_on_create: bool = False
    null_on_update: bool = False


def _nullable(kind: str, read: str) -> Field:
    return Field(kind, read, null_on_create=True, null_on_update=True)


def _later(kind: str, read: str) -> Field:
    return Field(kind, read, null_on_update=True)


CLIENT_FIELDS: dict[str, Field] = {
    "name": Field("text", "name", required=True),
    "addressName": _nullable("text", "address.name"),
    "addressLine1": _nullable("text", "address.line1"),
    "addressLine2": _nullable("text", "address.line2"),
    "addressCity": _nullable("text", "address.city"),
    "addressPostalCode": _nullable("text", "address.postalCode"),
    "addressState": _nullable("text", "address.state"),
    "addressCountry": _nullable("country", "address.country"),
    "archived": Field("bool", "archived", create=False),
    "pinned": Field("bool", "pinned", create=False),
    "applyVATReverseCharge": Field("bool", "invoice.applyVATReverseCharge"),
    "catConfiguration": _later("cat", "catConfiguration"),
    "currency": Field("currency", "invoice.currency"),
    "document": Field("document", "invoice.document"),
    "tax1": _nullable("tax", "invoice.tax1"),
    "tax2": _nullable("tax", "invoice.tax2"),
    "creditNoteFilenameFormat": _later("text", "filenameFormats.creditNote"),
    "invoiceFilenameFormat": _later("text", "filenameFormats.invoice"),
    "quoteFilenameFormat": _later("text", "filenameFormats.quote"),
    "details": _nullable("long", "details"),
    "minimumFee": _later("number", "invoice.minimumFee"),
    "paymentTerms": _later("number", "invoice.paymentTerms"),
    "paymentTermsEndOfMonth": _later("bool", "invoice.paymentTermsEndOfMonth"),
    "overrideGroupMatches": Field("bool", "invoice.overrideGroupMatches"),
    "rappenRounding": Field("bool", "invoice.rappenRounding"),
    "showExchangeRateOnInvoice": _later("bool", "invoice.showExchangeRateOnInvoice"),
    "validityDays": Field("number", "invoice.validityDays", update=False),
    "nationalIdentificationNumber": _nullable("text", "nationalIdentificationNumber"),
    "vatNumber": _nullable("text", "vatNumber"),
}

CONTACT_FIELDS: dict[str, Field] = {
    "fullName": Field("text", "fullName", required=True),
    "email": _nullable("text", "email"),
    "mobile": _nullable("text", "mobile"),
    "nickname": _nullable("text", "nickname"),
    "notes": _nullable("long", "notes"),
    "phone": _nullable("text", "phone"),
    "title": _nullable("text", "title"),
    **{f"emails.{name}": Field("bool", f"emails.{name}") for name in ("invoice", "quote", "ccInvoice", "ccQuote")},
}

NOTE_FIELDS: dict[str, Field] = {"content": Field("long", "content", required=True)}


class Fields:
    """Reads parameters by their kind and puts them where they read back."""

    def __init__(self, known: Mapping[str, Any], symbols: Mapping[str, str]) -> None:
        self._known = known
        self._symbols = symbols
        self.client = CLIENT_FIELDS

    def typed(self, field: Field, given: Json) -> Json:
        """The stored value of a parameter, from a form's text or a JSON value. Raises ValueError with the reason."""
        if field.kind == "bool":
            return _boolean(given)
        if field.kind == "number":
            return _number(given)
        if not isinstance(given, str):
            raise ValueError("must be a string")  # noqa: TRY004 - the caller answers 400 with this reason
        if len(given) > (LONG_TEXT_LIMIT_CHARACTERS if field.kind == "long" else TEXT_LIMIT_CHARACTERS):
            raise ValueError("is too long")
        return self._reference(field, given)

    def _reference(self, field: Field, given: str) -> Json:
        if field.kind == "country" and not re.fullmatch("[A-Za-z]{2}", given):
            raise ValueError("must be a two-letter country code")
        if field.kind == "currency":
            if given not in self._symbols:
                raise ValueError("must be a currency code")
            return {"code": given, "symbol": self._symbols[given]}
        if field.kind in {"document", "tax", "cat"}:
            kinds = {"document": "documents", "tax": "taxes", "cat": "catConfigurations"}
            found = next((one for one in self._known[kinds[field.kind]] if one["id"] == given), None)
            if found is None:
                raise ValueError("no such item")
            return {name: found[name] for name in ("id", "name", "value") if name in found}
        return given.upper() if field.kind == "country" else given

    def apply(self, row: Row, values: Mapping[str, Json]) -> Row:
        """A copy of a client with the values at the places where they read back."""
        changed = {**row}
        for name, value in values.items():
            path = self.client[name].read.split(".")
            if len(path) == 1:
                _put(changed, path[0], value)
            else:
                inner = dict(changed.get(path[0], {}))
                _put(inner, path[1], value)
                changed[path[0]] = inner
        if not changed.get("filenameFormats", True):
            del changed["filenameFormats"]
        return changed

    def contact(self, row: Row, values: Mapping[str, Json]) -> Row:
        """A copy of a contact with the values; plain notes are wrapped into paragraphs."""
        changed = {**row, "emails": dict(row["emails"])}
        for name, value in values.items():
            if name.startswith("emails."):
                changed["emails"][name.removeprefix("emails.")] = value
            elif name == "notes":
                changed["notes"] = paragraphs(value or "")
            elif name == "nickname":
                changed["nickname"] = value or ""
            else:
                _put(changed, name, value)
        return changed


def _put(row: Row, name: str, value: Json) -> None:
    if value is None:
        row.pop(name, None)
    else:
        row[name] = value


def _boolean(given: Json) -> bool:
    if given in (True, "true"):
        return True
    if given in (False, "false"):
        return False
    raise ValueError("must be true or false")


def _number(given: Json) -> float | int:
    if isinstance(given, bool) or not re.fullmatch(r"-?\d+(\.\d+)?", str(given)):
        raise ValueError("must be a number")
    return float(given) if "." in str(given) else int(given)


def paragraphs(text: str) -> str:
    """Plain text as the app stores it: wrapped into a paragraph; HTML is left as it is."""
    return text if text.lstrip().startswith("<") else f"<p>{html.escape(text, quote=False)}</p>"


def account(seed: int) -> dict[str, Any]:
    """The account's own lists: user, documents, taxes, labels, services, matches, CAT configurations."""

    def item(kind: str, number: int, **members: Json) -> Row:
        return {"id": hexadecimal(seed, "lsp", kind, number), **members}

    return {
        "user": item("user", 1, name="Cédric Démo"),
        "documents": [
            item("document", 1, name="English"),
            item("document", 2, name="Français"),
            item("document", 3, name="Polski"),
        ],
        "taxes": [
            item("tax", 1, name="VAT", value=0.21, disabled=False, isDefaultTax1=True, isDefaultTax2=False),
            item("tax", 2, name="TVA", value=0.2, disabled=False, isDefaultTax1=False, isDefaultTax2=False),
        ],
        "labels": [item("label", 1, name="VIP", color="#991b1b"), item("label", 2, name="Prospect", color="#1d4ed8")],
        "services": [item("service", 1, name="Translation"), item("service", 2, name="Revision")],
        "matches": [item("match", 1, name="100%")],
        "catConfigurations": [item("cat", 1, name="Standard")],
    }


def blank(row_id: str, name: str, known: Mapping[str, Any], created: str, updated: str) -> Row:
    """A client as the server makes it from a name alone; unset members are left out."""
    tax = {key: known["taxes"][0][key] for key in ("id", "name", "value")}
    return {
        "id": row_id, "name": name, "address": {"name": name}, "archived": False, "contacts": [], "files": [],
        "invoice": {
            "applyVATReverseCharge": False, "currency": {"code": "EUR", "symbol": "€"}, "document": dict(known["documents"][0]),
            "overrideGroupMatches": False, "paymentTermsEndOfMonth": False, "rappenRounding": False,
            "showExchangeRateOnInvoice": False, "tax1": tax,
        },
        "labels": [], "marketings": [], "notes": [], "pinned": False, "services": [], "users": [dict(known["user"])],
        "createdAt": created, "updatedAt": updated,
    }  # fmt: skip
