"""What Flowtly holds of a client: the field table, and the plain keys on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.providers import ABSENT, FieldSpec

PLAIN: Final[Mapping[str, str]] = {
    "name": "name",
    "phone": "addressPhoneNumber",
    "postal_code": "addressPostCode",
    "city": "addressCity",
    "registration_number": "tin",
    "payment_terms_days": "dueDays",
    "language": "documentsLanguage",
}
"""Canonical field -> key that holds the same value, read and written."""

STREET: Final = ("addressStreetLine", "addressBuildingNumber", "addressLocaleNumber")

NOT_CLEARABLE: Final = frozenset({"name", "currency", "payment_terms_days", "language", "archived"})
"""Documented without `null`: these can be changed and never emptied."""

REQUIRED_DEFAULTS: Final = {"country": "country", "currency": "currency", "status": "status", "tin_type": "tinType"}
"""Key of `defaults` -> required key of a new client."""

DEFAULT_KEYS: Final = frozenset({*REQUIRED_DEFAULTS, "contact_type", "employee"})

_BOTH: Final = FieldSpec(create=True, update=True)


def field_table(options: Mapping[str, Any]) -> dict[str, FieldSpec]:
    """What Flowtly can do with each field; the lifecycle only where the tenant names the status that means archived."""
    lifecycle = (
        FieldSpec(update=True, note="the status named by `archived_status`; `defaults.status` restores")
        if options.get("archived_status")
        else FieldSpec(read=False, note="unknown unless `archived_status` is set")
    )
    fixed = FieldSpec(create=True, update=True, fixed=True, note="cannot be emptied")
    return {
        "name": FieldSpec(create=True, update=True, required=True),
        "given_name": ABSENT,
        "family_name": ABSENT,
        "kind": ABSENT,
        "email": FieldSpec(
            update=True,
            fixed=True,
            note="of the primary contact, which is created where there is none; cannot be emptied",
        ),
        "phone": _BOTH,
        "address_line1": FieldSpec(create=True, update=True, note="split into street, house number and flat number"),
        "address_line2": ABSENT,
        "postal_code": _BOTH,
        "city": _BOTH,
        "region": ABSENT,
        "country": FieldSpec(create=True, update=True, note="`addressCountry`; left out where its IRI is not known"),
        "registration_number": FieldSpec(create=True, update=True, note="`tin`"),
        "vat_number": FieldSpec(note="derived by Flowtly; read only"),
        "currency": fixed,
        "payment_terms_days": fixed,
        "language": FieldSpec(
            create=True,
            update=True,
            fixed=True,
            note="the language alone (`fr-CA` is sent as `fr` and is the same); cannot be emptied",
        ),
        "tax_exempt": ABSENT,
        "marketing_consent": ABSENT,
        "details": ABSENT,
        "iban": ABSENT,
        "bic": ABSENT,
        "archived": lifecycle,
        "contacts": _contacts(options),
        "notes": FieldSpec(update=True, note="only ever added; needs `defaults.employee`")
        if _default(options, "employee")
        else FieldSpec(read=False, note="read and written only with `defaults.employee`"),
    }


COUNTERPARTIES = ("keep", "merge")
"""What becomes of the counterparties when clients are merged: nothing, or Flowtly's own merge."""


def _contacts(options: Mapping[str, Any]) -> FieldSpec:
    if _default(options, "contact_type"):
        return FieldSpec(update=True, note="added, changed and removed one by one; needs `defaults.contact_type`")
    return FieldSpec(note="read only without `defaults.contact_type`, which a new contact needs")


def _default(options: Mapping[str, Any], key: str) -> Any:
    defaults = options.get("defaults", {})
    return defaults.get(key) if isinstance(defaults, Mapping) else None


def problems_with(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the tenant's options, in words; empty if nothing is."""
    problems = []
    if not options.get("token") and not (options.get("username") and options.get("password")):
        problems.append("username: needed together with password, unless there is a token")
    defaults = options.get("defaults", {})
    if not isinstance(defaults, Mapping):
        problems.append("defaults: must be a table")
        defaults = {}
    allowed = ", ".join(sorted(DEFAULT_KEYS))
    problems += [f"defaults.{key}: unknown key; allowed are {allowed}" for key in sorted(set(defaults) - DEFAULT_KEYS)]
    problems += [
        f"defaults.{key}: must be a text that is not empty"
        for key in sorted(DEFAULT_KEYS & set(defaults))
        if not _is_text(defaults[key])
    ]
    for key in ("country_iris", "currency_iris"):
        table = options.get(key, {})
        if not isinstance(table, Mapping) or not all(_is_text(code) and _is_text(iri) for code, iri in table.items()):
            problems.append(f'{key}: must be a table of codes and IRIs, such as {{ FR = "/countries/75" }}')
    for key in ("archived_status", "instance", "auth_url"):
        if key in options and not _is_text(options[key]):
            problems.append(f"{key}: must be a text that is not empty")
    if options.get("counterparties", COUNTERPARTIES[0]) not in COUNTERPARTIES:
        problems.append(f"counterparties: must be one of {', '.join(COUNTERPARTIES)}")
    elif options.get("counterparties") == "merge" and not options.get("archived_status"):
        problems.append('counterparties: "merge" needs archived_status, which the client that was merged away gets')
    if _is_text(options.get("archived_status")) and defaults.get("status") == options["archived_status"]:
        problems.append("archived_status: the same as defaults.status, so that every new client would be archived")
    return problems


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
