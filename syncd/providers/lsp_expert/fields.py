"""What LSP.expert holds of a client: the field table, and the names on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncd.providers import ABSENT, FieldSpec

WRITE_NAMES: Final[Mapping[str, str]] = {
    "name": "name",
    "address_line1": "addressLine1",
    "address_line2": "addressLine2",
    "postal_code": "addressPostalCode",
    "city": "addressCity",
    "region": "addressState",
    "country": "addressCountry",
    "currency": "currency",
    "payment_terms_days": "paymentTerms",
    "details": "details",
    "registration_number": "nationalIdentificationNumber",
    "vat_number": "vatNumber",
    "archived": "archived",
}
"""Canonical field -> form parameter of create and update. Nothing else is ever sent but `addressName`."""

READ_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "address_line1": ("address", "line1"),
    "address_line2": ("address", "line2"),
    "postal_code": ("address", "postalCode"),
    "city": ("address", "city"),
    "region": ("address", "state"),
    "country": ("address", "country"),
    "currency": ("invoice", "currency"),
    "payment_terms_days": ("invoice", "paymentTerms"),
    "details": ("details",),
    "registration_number": ("nationalIdentificationNumber",),
    "vat_number": ("vatNumber",),
}
"""Canonical field -> where an answer shows it; `name` and `archived` are always shown and read on their own."""

NOT_CLEARABLE: Final = frozenset({"name", "currency", "archived"})
"""Documented without `null`: these can be changed and never emptied."""

_BOTH: Final = FieldSpec(create=True, update=True)
_ON_CONTACT: Final = FieldSpec(update=True, note="of the primary contact, which is created where there is none")

FIELDS: Final[Mapping[str, FieldSpec]] = {
    "name": FieldSpec(create=True, update=True, required=True),
    "given_name": ABSENT,
    "family_name": ABSENT,
    "kind": ABSENT,
    "email": _ON_CONTACT,
    "phone": _ON_CONTACT,
    "address_line1": _BOTH,
    "address_line2": _BOTH,
    "postal_code": _BOTH,
    "city": _BOTH,
    "region": _BOTH,
    "country": _BOTH,
    "registration_number": _BOTH,
    "vat_number": _BOTH,
    "currency": FieldSpec(
        create=True, update=True, fixed=True, note="cannot be emptied; the account's own is the default"
    ),
    "payment_terms_days": _BOTH,
    "language": ABSENT,
    "tax_exempt": ABSENT,
    "marketing_consent": ABSENT,
    "details": _BOTH,
    "iban": ABSENT,
    "bic": ABSENT,
    "archived": FieldSpec(update=True, note="only by update: an archived client takes two calls"),
    "contacts": FieldSpec(update=True, note="added, changed and removed one by one"),
    "notes": FieldSpec(update=True, note="only ever added"),
}
