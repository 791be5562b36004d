"""A customer in canonical words and back; pure.

A PUT replaces the whole customer. Its body therefore starts from the customer just read, without what the system computes
itself, and only the planned keys are changed. What a dialect accepts but never shows is taken from what syncd wrote last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.core.model import UNKNOWN, Fields, Maybe, Raw, Value, kind_of
from syncd.core.normalize import clean, join_name, locale_of, split_name
from syncd.providers.smartbills.dialects import ADDRESS_PARTS, Dialect

_ADDRESS_KEYS: Final[Mapping[str, str]] = {
    "address_line1": "line1",
    "address_line2": "line2",
    "postal_code": "postalCode",
    "city": "city",
}
_FLAGS: Final = ("tax_exempt", "marketing_consent")


def names(fields: Fields) -> tuple[str, str] | None:
    """(first, last) name of a person: as given in two parts, else split from the one text; None where it does not give both."""
    given, family = fields.get("given_name"), fields.get("family_name")
    if isinstance(given, str) and isinstance(family, str) and given and family:
        return given, family
    whole = fields.get("name")
    return split_name(whole) if isinstance(whole, str) else None


def primary_contact(golden: Fields) -> Fields:
    """The primary contact of a client if it has a name, else the first one listed that has, or nothing."""
    listed = golden.get("contacts")
    contacts = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    named = [each for each in contacts if names(each) is not None]
    return next(iter(sorted(named, key=lambda each: each.get("primary") is not True)), {})


def read(raw: Raw, dialect: Dialect, written: Fields, *, by_contact: bool) -> dict[str, Value]:
    """The canonical fields of a customer. A missing key is unknown; null and the empty text are empty.

    written: what syncd wrote last into the fields that are never shown. by_contact: the customer stands for a company under
    its contact's name, which is then not the client's name.
    """
    keys = {"email": "email", "phone": dialect.phone, "marketing_consent": "acceptsMarketing", "currency": "currency"}
    if not by_contact:
        keys |= {"given_name": "firstName", "family_name": "lastName"}
    if dialect.locale_shown:
        keys["language"] = "locale"
    if dialect.tax_shown:
        keys["tax_exempt"] = dialect.tax[1]
    fields: dict[str, Value] = {}
    for field, key in keys.items():
        value = clean(kind_of(field), raw[key]) if key in raw and dialect.fields[field].read else UNKNOWN
        if value is not UNKNOWN:
            fields[field] = value
    if "given_name" in fields and "family_name" in fields:
        fields["name"] = join_name(str(fields["given_name"] or ""), str(fields["family_name"] or "")) or None
    if not by_contact:
        fields["kind"] = "person"
    if dialect.locale_shown and "address" in raw:
        fields |= _read_address(raw["address"])
    fields |= {
        field: value for field, value in written.items() if field in dialect.fields and dialect.fields[field].remembered
    }
    return fields


def _read_address(address: Value) -> dict[str, Value]:
    """The parts of an address object; no object at all is an empty address."""
    if address is None:
        return dict.fromkeys(ADDRESS_PARTS)
    if not isinstance(address, dict):
        return {}
    shown: dict[str, Maybe] = {part: address.get(key, UNKNOWN) for part, key in _ADDRESS_KEYS.items()}
    shown["region"] = _first(address, "state", "stateCode")
    shown["country"] = _first(address, "countryCode", "country")
    cleaned = {part: UNKNOWN if value is UNKNOWN else clean(kind_of(part), value) for part, value in shown.items()}
    return {part: value for part, value in cleaned.items() if value is not UNKNOWN}


def _first(address: Raw, *keys: str) -> Maybe:
    """The first value that is not empty; empty if all shown keys are, UNKNOWN if none is shown."""
    shown = [address[key] for key in keys if key in address]
    return next((value for value in shown if value), None) if shown else UNKNOWN


def project(unit: str, value: Value, *, own: str, by_contact: bool) -> Value:
    """The form in which values are compared: a name in two parts, a language with its region, and false for a flag that nobody set.

    own: the tenant's locale.
    """
    if unit == "language" and isinstance(value, str):
        return locale_of(value, own)
    if unit in _FLAGS:
        return bool(value)
    if unit == "kind" and by_contact:
        return None
    if unit != "name" or not isinstance(value, dict):
        return value
    if by_contact:
        return {}
    parts = names(value)
    if parts is None:
        return dict(value)
    return {"name": join_name(*parts), "given_name": parts[0], "family_name": parts[1]}


def create_body(golden: Fields, dialect: Dialect, person: tuple[str, str], own: str, *, company: Value) -> Raw:
    """The body of a POST. own: the tenant's locale, for a client without one. company: its name where `person` is its contact."""
    body: Raw = {
        "firstName": person[0],
        "lastName": person[1],
        "email": golden.get("email"),
        dialect.phone: golden.get("phone"),
        "locale": locale_of(str(golden.get("language") or own), own),
        dialect.tax[0]: golden.get("tax_exempt"),
    }
    if dialect.fields["currency"].create:
        body["currency"] = golden.get("currency")
    if dialect.fields["notes"].create:
        notes = golden.get("notes")
        body["note"] = "\n\n".join(str(note) for note in notes) if isinstance(notes, list) else None
        body["companyName"] = company
    return {key: value for key, value in body.items() if value not in (None, "")}


def update_body(raw: Raw, patch: Fields, dialect: Dialect, written: Fields, own: str) -> Raw:
    """The body of a PUT: the customer as just read, with the fields of `patch` changed and every required key present.

    A flag that is emptied is left out, which sets it to its default. `patch` holds names in two parts. own: the tenant's locale, by which
    a language gets its region; one that the customer has already stays as it is spelled there.
    """
    body: Raw = {key: value for key, value in raw.items() if key not in dialect.computed}
    address = body.get("address")
    if isinstance(address, dict):
        body["address"] = _without(address, "formattedAddress")
    for key in dialect.required:
        body.setdefault(key, None)
    if not dialect.tax_shown and isinstance(written.get("tax_exempt"), bool):
        body[dialect.tax[1]] = written["tax_exempt"]
    keys = {"given_name": "firstName", "family_name": "lastName", "email": "email", "phone": dialect.phone}
    keys |= {"marketing_consent": "acceptsMarketing", "tax_exempt": dialect.tax[1]}
    if dialect.fields["language"].update and "language" in patch:
        body["locale"] = _locale(raw.get("locale"), patch["language"], own)
    if dialect.fields["currency"].update:
        keys["currency"] = "currency"
    for field, key in keys.items():
        if field in patch:
            body[key] = patch[field]
            if field in _FLAGS and patch[field] is None:
                del body[key]
    parts = {part: patch[part] for part in ADDRESS_PARTS if part in patch}
    if parts and dialect.locale_shown:
        body["address"] = write_address(body.get("address"), parts)
    return body


def write_address(address: Value | None, parts: Fields) -> Value:
    """The address object with `parts` changed; null where nothing is left in it.

    The names of state and country that stand beside the codes are dropped with the code they belong to, never guessed.
    """
    changed: dict[str, Any] = _without(address, "formattedAddress") if isinstance(address, dict) else {}
    before = _read_address(changed)
    for part, key in _ADDRESS_KEYS.items():
        if part in parts:
            changed[key] = parts[part]
    if "region" in parts and parts["region"] != before.get("region"):
        changed["state"] = parts["region"]
        changed.pop("stateCode", None)
    if "country" in parts and parts["country"] != before.get("country"):
        changed["countryCode"] = parts["country"]
        changed.pop("country", None)
    return changed if any(changed.values()) else None


def _locale(shown: Value | None, language: Value, own: str) -> Value:
    """The locale to send: a region is added, but not to what the customer shows."""
    if not isinstance(language, str):
        return language
    wanted = locale_of(language, own)
    return shown if isinstance(shown, str) and locale_of(shown, own) == wanted else wanted


def _without(mapping: Raw, key: str) -> Raw:
    return {name: value for name, value in mapping.items() if name != key}
