"""The two dialects of Smartbills as tables: which keys, which order, which fields, and how refusals are worded.

`v1` is the documented `/v1/customers` (the contract), with whatever the newer pages add to it understood on read.
`business` is `/v1/businesses/{businessId}/customers` of the current SDKs. Unknown names are ignored silently by such systems,
so a key of one dialect never appears in a request of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncd.core.model import FIELDS, Value
from syncd.providers import ABSENT, FieldSpec
from syncd.providers.decoding import identity
from syncd.providers.outcomes import Explained

ADDRESS_PARTS: Final = ("address_line1", "address_line2", "postal_code", "city", "region", "country")

_BOTH: Final = FieldSpec(create=True, update=True)
_NAME: Final = FieldSpec(create=True, update=True, required=True, note="first and last name; persons only")
_COMMON: Final[Mapping[str, FieldSpec]] = {
    **dict.fromkeys(FIELDS, ABSENT),
    "name": FieldSpec(create=True, update=True, note="joined from first and last name"),
    "given_name": _NAME,
    "family_name": _NAME,
    "kind": FieldSpec(weak=True, note="every customer is a person"),
    "email": FieldSpec(create=True, update=True, note="an e-mail or a phone is required"),
    "phone": FieldSpec(create=True, update=True, note="an e-mail or a phone is required"),
    "marketing_consent": FieldSpec(update=True, note="never sent with a new customer: the default is no consent"),
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one generation of the API calls things.

    order: query for oldest first. required: keys that every PUT carries, null where there is no value. computed: keys of an
    answer that no PUT carries. locale: None where no answer has it. tax: its key in (create, update); tax_shown: whether
    answers have it. max_page_size: more is answered with 400.
    """

    name: str
    phone: str
    order: Mapping[str, str]
    required: tuple[str, ...]
    computed: frozenset[str]
    locale_shown: bool
    tax: tuple[str, str]
    tax_shown: bool
    fields: Mapping[str, FieldSpec]
    max_page_size: int = 100


_COMPUTED: Final = frozenset({"id", "createdAt", "updatedAt", "deletedAt", "totalSpent", "totalOrders"})

V1: Final = Dialect(
    name="v1",
    phone="phone",
    order={"orderBy": "createdAt", "sortOrder": "asc"},
    required=("firstName", "lastName", "email", "phone", "locale"),
    computed=_COMPUTED,
    locale_shown=True,
    tax=("taxExempt", "taxExempt"),
    tax_shown=True,
    fields={
        **_COMMON,
        "language": FieldSpec(
            create=True,
            update=True,
            note="`locale`, with a region (`pl` is sent as `pl-PL` and is the same); the tenant's language where the client has none",
        ),
        "tax_exempt": _BOTH,
    },
)

ADDRESS: Final[Mapping[str, FieldSpec]] = dict.fromkeys(
    ADDRESS_PARTS, FieldSpec(create=True, update=True, note="once a customer with an `address` was seen")
)

BUSINESS: Final = Dialect(
    name="business",
    phone="phoneNumber",
    order={"sortBy": "createdAt", "sortDirection": "asc"},
    required=("firstName", "lastName", "email", "phoneNumber"),
    computed=_COMPUTED | {"billingAddress", "shippingAddress", "locale", "isTaxExempt"},
    locale_shown=False,
    tax=("isTaxExempt", "taxExempt"),
    tax_shown=False,
    fields={
        **_COMMON,
        "language": FieldSpec(
            read=False, create=True, remembered=True, note="`locale`, with a region: sent once and never shown"
        ),
        "tax_exempt": FieldSpec(
            read=False, create=True, update=True, remembered=True, note="never shown; sent again with every change"
        ),
        "currency": _BOTH,
        "notes": FieldSpec(read=False, create=True, remembered=True, note="sent once as one note and never shown"),
    },
)

DIALECTS: Final[Mapping[str, Dialect]] = {"v1": V1, "business": BUSINESS}


def explain(status: int, body: Value) -> Explained:
    """The words of a refusal in any of the published forms.

    `{error: {code, message, details[]}}`; `{code, message}` of a 429; `{status, code, error, message}` of the old pages;
    problem details `{type, title, detail, code, errors}` with a list or ASP.NET's mapping of lists; `{statusCode, errors[]}`.
    """
    del status
    if not isinstance(body, dict):
        return Explained(body if isinstance(body, str) else "")
    inner = body.get("error")
    source = inner if isinstance(inner, dict) else body
    parts = [next((text for key in ("message", "detail", "title", "error") if (text := _text(source.get(key)))), "")]
    existing = identity(source.get("existingCustomerId"))
    for detail in _details(source):
        where = _text(detail.get("field")) or _text(detail.get("parameter"))
        parts.append(": ".join(text for text in (where, _text(detail.get("message"))) if text))
        existing = existing or identity(detail.get("existingCustomerId"))
    code = _text(source.get("code")) or _text(source.get("type"))
    return Explained("; ".join(part for part in parts if part), code, existing)


def _text(value: Value | None) -> str:
    return value if isinstance(value, str) else ""


def _details(source: dict[str, Value]) -> list[dict[str, Value]]:
    """The single complaints of a refusal, each with `field` and `message`."""
    found = source.get("details") or source.get("errors")
    if isinstance(found, dict):
        return [
            {"field": field, "message": message}
            for field, messages in found.items()
            for message in (messages if isinstance(messages, list) else [messages])
        ]
    return [detail for detail in found if isinstance(detail, dict)] if isinstance(found, list) else []
