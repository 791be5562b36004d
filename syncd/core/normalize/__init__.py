"""What a value is kept as, and when two values are the same. Pure, total and idempotent: nothing here ever raises.

`clean` is what we keep: the text a person typed, in Unicode NFC and without stray blanks. `key` is what is compared.
`same` compares the values of a merge unit. The three states of a field (unknown, empty, a value) pass through
unmixed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final

from syncd.core.model import UNKNOWN, Context, Kind, Maybe, Value, is_group, kind_of, parts_of
from syncd.core.normalize.names import join_name, name_key, name_words, split_name
from syncd.core.normalize.numbers import (
    Registration,
    Vat,
    bic_key,
    bic_valid,
    email_key,
    iban_valid,
    phone_key,
    registration,
    registration_key,
    vat,
    vat_key,
)
from syncd.core.normalize.places import (
    bare_language,
    country_code,
    currency_code,
    language_tag,
    locale_of,
    postal_code_valid,
)
from syncd.core.normalize.text import is_hollow, markup_key, tidy, trim

__all__ = [
    "CONTACT_PARTS",
    "Registration",
    "Vat",
    "bare_language",
    "bic_valid",
    "clean",
    "country_code",
    "iban_valid",
    "identical",
    "join_name",
    "key",
    "locale_of",
    "name_key",
    "name_words",
    "postal_code_valid",
    "registration",
    "registration_key",
    "same",
    "split_name",
    "vat",
]

CONTACT_PARTS: Final[Mapping[str, Kind]] = {
    "name": Kind.TEXT,
    "given_name": Kind.TEXT,
    "family_name": Kind.TEXT,
    "email": Kind.EMAIL,
    "phone": Kind.PHONE,
    "mobile": Kind.PHONE,
    "title": Kind.TEXT,
    "role": Kind.TEXT,
}
"""What is known of a contact; other keys are kept, but not compared."""

_SPLIT: Final = ("given_name", "family_name")
_NOT_TEXTS: Final = frozenset({Kind.FLAG, Kind.DAYS, Kind.CONTACTS, Kind.NOTES})
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False}


def clean(kind: Kind, value: object) -> Maybe:
    """The value as it is kept: empty text is None, an impossible value (a mapping for an e-mail) is UNKNOWN.

    Countries become ISO alpha-2, currencies ISO 4217, languages BCP 47; one that is none of these is UNKNOWN, never
    guessed.
    """
    if value is None:
        return None
    if type(value) is str and kind not in _NOT_TEXTS:
        return _clean_text(kind, value)
    match kind:
        case Kind.FLAG:
            return _flag(value)
        case Kind.DAYS:
            return _days(value)
        case Kind.CONTACTS | Kind.NOTES:
            return _listed(kind, value)
    text = _text(value)
    if text is None:
        return UNKNOWN
    return _clean_text(kind, text)


def _text(value: object) -> str | None:
    """The text behind a JSON scalar; None for anything that is no scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | Decimal) else None


@lru_cache(maxsize=16384)
def _clean_text(kind: Kind, text: str) -> Maybe:
    if kind is Kind.HTML:
        return None if is_hollow(text) else trim(text) or None
    kept = tidy(text)
    if not kept:
        return None
    match kind:
        case Kind.CHOICE:
            return unicodedata.normalize("NFC", kept.casefold())
        case Kind.COUNTRY:
            return country_code(kept) or UNKNOWN
        case Kind.CURRENCY:
            return currency_code(kept) or UNKNOWN
        case Kind.LANGUAGE:
            return language_tag(kept) or UNKNOWN
        case _:
            return kept


def _flag(value: object) -> Maybe:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and not value.strip():
        return None
    known = _FLAGS.get(value.strip().casefold()) if isinstance(value, str) else None
    if isinstance(value, int) and value in (0, 1):
        known = bool(value)
    return UNKNOWN if known is None else known


def _days(value: object) -> Maybe:
    if isinstance(value, str):
        digits = value.strip()
        if not digits:
            return None
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else UNKNOWN  # noqa: PLR2004
    if isinstance(value, Decimal) and value.is_finite() and abs(value) < 10**9 and value == value.to_integral_value():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else UNKNOWN


def _listed(kind: Kind, value: object) -> Maybe:
    """A list of contacts or notes without its empty elements; an empty list is empty (None)."""
    if not isinstance(value, list | tuple):
        return UNKNOWN
    kept: list[Value] = []
    for element in value:
        if element is None:
            continue
        if kind is Kind.CONTACTS:
            if not isinstance(element, Mapping):
                return UNKNOWN
            contact = _contact(element)
            if any(contact.get(part) is not None for part in ("id", *CONTACT_PARTS)):
                kept.append(contact)
        else:
            note = _note(element)
            if note is UNKNOWN:
                return UNKNOWN
            if note is not None:
                kept.append(note)
    return kept or None


def _contact(contact: Mapping[object, object]) -> dict[str, Value]:
    kept: dict[str, Value] = {}
    for part, value in contact.items():
        if not isinstance(part, str):
            continue
        cleaned = clean(Kind.FLAG if part == "primary" else CONTACT_PARTS.get(part, Kind.TEXT), value)
        if cleaned is not UNKNOWN:
            kept[part] = cleaned
    return kept


def _note(note: object) -> Maybe:
    """A text, or a text with the id that it has in its system."""
    if not isinstance(note, Mapping):
        return clean(Kind.HTML, note)
    text, name = clean(Kind.HTML, note.get("text")), clean(Kind.TEXT, note.get("id"))
    if text is UNKNOWN or not isinstance(name, str):
        return UNKNOWN
    return None if text is None else {"id": name, "text": text}


def key(kind: Kind, value: object, context: Context) -> Hashable:
    """What a value is compared by: two values of one kind are the same if their keys are equal. None for empty.

    A value that `clean` does not understand is compared by its representation.
    """
    if value is None or value is UNKNOWN:
        return value
    kept = clean(kind, value)
    if kept is None or isinstance(kept, bool | int):
        return kept
    if isinstance(kept, str):
        return _text_key(kind, kept, context.country.upper())
    if isinstance(kept, list):
        return _list_key(kind, kept, context, tuple(CONTACT_PARTS))
    return tidy(value).casefold() if isinstance(value, str) else ("?", repr(value))


def _list_key(kind: Kind, elements: list[Value], context: Context, parts: tuple[str, ...]) -> Hashable:
    """Contacts and notes are compared element by element, whatever their order."""
    keys: list[Hashable] = []
    for element in elements:
        if isinstance(element, dict) and kind is Kind.NOTES:
            keys.append(markup_key(str(element.get("text"))))
        elif isinstance(element, dict):
            keys.append(tuple(key(CONTACT_PARTS[part], element.get(part), context) for part in parts))
        elif kind is Kind.NOTES and isinstance(element, str):
            keys.append(markup_key(element))
    return tuple(sorted(keys, key=repr))


_NATIONAL_KEYS: Final[Mapping[Kind, Callable[[str, str], Hashable]]] = {Kind.PHONE: phone_key, Kind.VAT: vat_key}
_TEXT_KEYS: Final[Mapping[Kind, Callable[[str], Hashable]]] = {
    Kind.EMAIL: email_key,
    Kind.REGISTRATION: registration_key,
    Kind.IBAN: registration_key,
    Kind.BIC: bic_key,
    Kind.LANGUAGE: str.casefold,
    Kind.HTML: markup_key,
}


def _text_key(kind: Kind, text: str, country: str) -> Hashable:
    if kind in _NATIONAL_KEYS:
        return _NATIONAL_KEYS[kind](text, country)
    return _TEXT_KEYS[kind](text) if kind in _TEXT_KEYS else text


def identical(a: Value, b: Value) -> bool:
    """Whether two values are equal as they stand; what is, is the same under every projection and in every context."""
    return a is b or (type(a) is type(b) and a == b)


def same(unit: str, a: Value, b: Value, context: Context) -> bool:
    """Whether two values of a merge unit are the same. Reflexive and symmetric.

    Of a group only the parts known on both sides are compared; an empty group is one whose parts are all empty. A name
    without its split (given and family name empty or unknown) is compared by its text, which a split without text
    gives joined.
    """
    if identical(a, b):
        return True
    if not is_group(unit):
        return _same_contacts(a, b, context) if unit == "contacts" else _same_field(unit, a, b, context)
    left, right = _parts(unit, a), _parts(unit, b)
    if left is None or right is None:
        return repr(a) == repr(b)
    if unit == "name":
        left, right = _comparable_name(left), _comparable_name(right)
    shared = left.keys() & right.keys()
    if unit == "name" and not shared:
        return _same_split(left, right)
    return all(_same_field(part, left[part], right[part], context) for part in shared)


def _same_field(field: str, a: Value, b: Value, context: Context) -> bool:
    if isinstance(a, str) and a == b:
        return True
    kind = kind_of(field)
    if a is None or b is None:
        return key(kind, a if b is None else b, context) is None
    return key(kind, a, context) == key(kind, b, context)


def _parts(unit: str, value: Value) -> dict[str, Value] | None:
    if value is None:
        return dict.fromkeys(parts_of(unit))
    return {part: value[part] for part in parts_of(unit) if part in value} if isinstance(value, dict) else None


def _filled(value: Value) -> str:
    return tidy(value) if isinstance(value, str) else ""


def _comparable_name(parts: dict[str, Value]) -> dict[str, Value]:
    """The name without an empty split beside a text, and with the text of a split that has none."""
    given, family = (_filled(parts.get(part)) for part in _SPLIT)
    if not given and not family:
        return {"name": parts["name"]} if _filled(parts.get("name")) else parts
    if all(part in parts for part in _SPLIT) and not _filled(parts.get("name")):
        return {**parts, "name": join_name(given, family)}
    return parts


def _same_split(left: dict[str, Value], right: dict[str, Value]) -> bool:
    """Whether two names with no part in common may be one: there is nothing in which they differ."""
    return not (left and right) or all(not _filled(value) for value in (*left.values(), *right.values()))


def _same_contacts(a: Value, b: Value, context: Context) -> bool:
    left, right = clean(Kind.CONTACTS, a), clean(Kind.CONTACTS, b)
    if not (isinstance(left, list) and isinstance(right, list)):
        return key(Kind.CONTACTS, a, context) == key(Kind.CONTACTS, b, context)
    known = [{part for contact in side if isinstance(contact, dict) for part in contact} for side in (left, right)]
    parts = tuple(part for part in CONTACT_PARTS if part in known[0] & known[1])
    return len(left) == len(right) and _list_key(Kind.CONTACTS, left, context, parts) == _list_key(
        Kind.CONTACTS,
        right,
        context,
        parts,
    )
