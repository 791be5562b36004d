"""What each provider can hold, and how its records read: written from the providers' documentation alone, not from syncd.

`seen` turns a raw record into canonical fields; `HOLDS` says which of them the provider lets be changed, or sent once; `alike` whether
two values are one for a person who looks at them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import phonenumbers

Raw = Mapping[str, Any]
ADDRESS = ("address_line1", "address_line2", "postal_code", "city", "region", "country")

HOLDS: dict[str, dict[str, str]] = {
    "tiime": dict.fromkeys(
        ("name", "kind", "email", "phone", "address_line1", "postal_code", "city", "country", "registration_number"), "once"
    ),
    "lsp_expert": dict.fromkeys(
        ("name", "email", "phone", *ADDRESS, "registration_number", "vat_number", "currency", "payment_terms_days", "details", "archived"),
        "always",
    ),
    "smartbills": dict.fromkeys(("given_name", "family_name", "email", "phone", "language", "tax_exempt", *ADDRESS), "always"),
    "flowtly": dict.fromkeys(
        ("name", "email", "phone", "address_line1", "postal_code", "city", "country", "registration_number", "currency",
         "payment_terms_days", "language", "archived"), "always",
    ),
}  # fmt: skip
"""provider -> field -> always (can be changed) or once (only with a create)."""

NEVER_EMPTIED = {
    "tiime": set(),
    "lsp_expert": {"name", "currency", "archived"},
    "smartbills": {"given_name", "family_name", "language"},
    "flowtly": {"name", "currency", "payment_terms_days", "language", "archived"},
}
"""Fields that a provider's documentation shows no way to empty."""

UNIT = {**dict.fromkeys(ADDRESS, "address"), "given_name": "name", "family_name": "name"}
"""Field -> the field under which a conflict about it is told, where that is another."""


def unit(field: str) -> str:
    """The field under which conflicts about a field are told."""
    return UNIT.get(field, field)


def seen(provider: str, raw: Raw, children: Raw | None = None) -> dict[str, Any]:
    """Canonical fields of a record; empty is None, what the record does not say is absent."""
    fields = {
        "tiime": _tiime, "lsp_expert": _lsp_expert, "smartbills": _smartbills, "flowtly": _flowtly,
    }[provider](raw, children or {})  # fmt: skip
    return {name: None if value in ("", [], {}) else value for name, value in fields.items()}


def _tiime(raw: Raw, _: Raw) -> dict[str, Any]:
    country = raw.get("country") or {}
    return {
        "name": raw["name"], "kind": "company" if raw["professional"] else "person", "email": raw["email"], "phone": raw["phone"],
        "address_line1": raw["address"], "address_line2": raw["address_complement"], "postal_code": raw["postal_code"],
        "city": raw["city"], "country": country.get("code") or raw.get("country_code"), "registration_number": raw["siren_or_siret"],
        "vat_number": raw["intracom_vat_number"], "details": raw["note"], "iban": raw["iban"], "bic": raw["bic"],
        "archived": raw["archived"],
    }  # fmt: skip


def _lsp_expert(raw: Raw, _: Raw) -> dict[str, Any]:
    address, invoice = raw.get("address", {}), raw.get("invoice", {})
    first = (raw.get("contacts") or [{}])[0]
    country = address.get("country")
    return {
        "name": raw["name"], "email": first.get("email"), "phone": first.get("phone"), "address_line1": address.get("line1"),
        "address_line2": address.get("line2"), "postal_code": address.get("postalCode"), "city": address.get("city"),
        "region": address.get("state"), "country": country.get("code") if isinstance(country, dict) else country,
        "registration_number": raw.get("nationalIdentificationNumber"), "vat_number": raw.get("vatNumber"),
        "currency": invoice.get("currency", {}).get("code"), "payment_terms_days": invoice.get("paymentTerms"),
        "details": raw.get("details"), "archived": raw["archived"],
    }  # fmt: skip


def _smartbills(raw: Raw, _: Raw) -> dict[str, Any]:
    fields = {
        "given_name": raw["firstName"], "family_name": raw["lastName"], "email": raw["email"],
        "phone": raw["phone"] if "phone" in raw else raw["phoneNumber"], "marketing_consent": raw["acceptsMarketing"],
    }  # fmt: skip
    if "locale" in raw:
        fields |= {"language": raw["locale"], "tax_exempt": raw["taxExempt"]}
    else:
        fields |= {"currency": raw["currency"]}
    if "address" in raw:
        parts = raw["address"] or {}
        fields |= {
            "address_line1": parts.get("line1"), "address_line2": parts.get("line2"), "postal_code": parts.get("postalCode"),
            "city": parts.get("city"), "region": parts.get("state") or parts.get("stateCode"),
            "country": parts.get("countryCode") or parts.get("country"),
        }  # fmt: skip
    return fields


COUNTRIES = ("FR", "PL", "CA", "BE", "CH", "DE", "ES", "GB", "IT", "LU", "US", "NL", "PT", "CZ", "SK")
CURRENCIES = ("EUR", "PLN", "CAD", "USD", "GBP", "CHF", "CZK")


def _flowtly(raw: Raw, children: Raw) -> dict[str, Any]:
    contacts = sorted(children.get("contacts", []), key=lambda each: (each.get("position") or 0, each["id"]))
    number = "/".join(filter(None, (raw.get("addressBuildingNumber"), raw.get("addressLocaleNumber"))))
    country = _code(raw.get("addressCountry"), COUNTRIES)
    return {
        "name": raw["name"], "email": contacts[0]["email"] if contacts else None, "phone": raw.get("addressPhoneNumber"),
        "address_line1": " ".join(filter(None, (raw.get("addressStreetLine"), number))), "postal_code": raw.get("addressPostCode"),
        "city": raw.get("addressCity"), "country": country, "registration_number": raw.get("tin"), "vat_number": raw.get("vatNumber"),
        "currency": _code(raw.get("currency"), CURRENCIES), "payment_terms_days": raw.get("dueDays"),
        "language": raw.get("documentsLanguage"), "archived": raw["status"] == "inactive",
    }  # fmt: skip


def _code(iri: str | None, pool: tuple[str, ...]) -> str | None:
    last = (iri or "").rpartition("/")[2]
    return pool[int(last) - 1] if last.isdigit() else last or None


def alike(provider: str, field: str, golden: Any, shown: Any, country: str | None) -> bool:
    """Whether a record shows what golden says, as far as this provider can show it."""
    left, right = _plain(field, golden, country), _plain(field, shown, country)
    if left == right:
        return True
    if field in {"tax_exempt", "archived", "marketing_consent"}:
        return bool(left) == bool(right)
    if field == "address_line1" and provider == "flowtly" and left and right:
        return _tokens(left) == _tokens(right)
    if field == "language" and left and right:
        told = left.partition("-"), right.partition("-")
        return told[0][0] == told[1][0] and (provider == "flowtly" or not (told[0][2] and told[1][2]))
    if field == "registration_number" and provider == "tiime" and right is None:
        return re.fullmatch("[0-9]{9}(?:[0-9]{5})?", left) is None
    if field == "vat_number" and left and right:
        return left[-9:] == right[-9:] and {left[:-9], right[:-9]} <= {"", *(str(each)[:-9] for each in (left, right))}
    return False


def _tokens(line: str) -> list[str]:
    return sorted(re.split(r"[\s,;]+", re.sub(r"\s*/\s*", "/", line).strip()))


def _plain(field: str, value: Any, country: str | None) -> Any:
    if value in (None, "", [], {}):
        return None
    if not isinstance(value, str):
        return value
    text = " ".join(unicodedata.normalize("NFC", value).split())
    if field == "email":
        return text.casefold()
    if field == "phone":
        try:
            number = phonenumbers.parse(text, country or "FR")
        except phonenumbers.NumberParseException:
            return re.sub(r"\D", "", text) or text
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if field in {"registration_number", "vat_number", "iban", "bic"}:
        return re.sub(r"[^0-9A-Za-z]", "", text).upper()
    if field in {"country", "currency"}:
        return text.upper()
    if field == "details":
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split()) or None
    if field == "language":
        return text.replace("_", "-").casefold()
    return text
