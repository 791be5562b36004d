"""What of a record is compared, in the one form in which it is compared, and the keys by which candidates are found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from syncd.core.matching import MATCHING, Extra, Likeness, Matching
from syncd.core.model import Context, Fields, Kind
from syncd.core.normalize import (
    Registration,
    Vat,
    join_name,
    key,
    name_key,
    name_words,
    registration,
    registration_key,
    vat,
)

MatchKey: TypeAlias = "tuple[str, str]"
"""What an index of records is searched by: (sort of key, normalised value)."""

STRONG_KEYS: Final = frozenset({"reg", "siren", "siret", "vat"})
"""Sorts of keys that identify a company."""

KEYS_EDITION: Final = 2
"""Counted up when records get other keys than before."""

NUMBER_MINIMUM_CHARACTERS: Final = 5
PHONE_MINIMUM_DIGITS: Final = 6
NAME_MINIMUM_CHARACTERS: Final = 2
PLACE_PREFIX_CHARACTERS: Final = 3
PLACE_WORDS: Final = 2
SOUND_MINIMUM_CHARACTERS: Final = 5

_FREE_MAIL: Final = frozenset(
    {
        "gmail.com", "googlemail.com", "outlook.com", "outlook.fr", "hotmail.com", "hotmail.fr", "live.com",
        "live.fr", "msn.com", "yahoo.com", "yahoo.fr", "icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net",
        "web.de", "proton.me", "protonmail.com", "orange.fr", "wanadoo.fr", "free.fr", "sfr.fr", "laposte.net",
        "neuf.fr", "bbox.fr", "wp.pl", "o2.pl", "onet.pl", "interia.pl", "videotron.ca", "sympatico.ca",
    },
)  # fmt: skip
"""Mail providers: sharing one of these domains says nothing."""

_VOWELS: Final = str.maketrans("", "", "aeiouyhw")
_DOUBLED: Final = re.compile(r"([a-z])\1+")


@dataclass(frozen=True, slots=True)
class Identity:
    """The comparable parts of one record; None where one is unknown, empty or unusable.

    domain: of the e-mail, unless it is a mail provider's. words: of the name, sorted. extras: in the order of the tenant's further
    fields.
    """

    registration: Registration | None
    vat: Vat | None
    email: str | None
    domain: str | None
    phone: str | None
    name: str | None
    words: tuple[str, ...]
    postal_code: str | None
    street: str | None
    city: str | None
    country: str | None
    kind: str | None
    extras: tuple[str | None, ...] = ()


def identity(fields: Fields, context: Context, extras: tuple[Extra, ...] = ()) -> Identity:
    """The comparable parts of a record; its own country, where known, is the region of its numbers."""
    context = context.within(fields)
    email = _email(fields, context)
    domain = email.rpartition("@")[2] if email else None
    name = _name(fields)
    return Identity(
        registration=_registration(fields, context),
        vat=_vat(fields, context),
        email=email,
        domain=None if domain in _FREE_MAIL else domain,
        phone=_phone(fields, context),
        name=name,
        words=tuple(name.split()) if name else (),
        postal_code=_characters(_text(fields, "postal_code")),
        street=_words(_text(fields, "address_line1")),
        city=_words(_text(fields, "city")),
        country=_text(fields, "country").upper() or None,
        kind=_text(fields, "kind") or None,
        extras=tuple(_extra(fields, extra) for extra in extras),
    )


def keys_of(found: Identity, extras: tuple[Extra, ...] = ()) -> frozenset[MatchKey]:
    """The keys by which a record is found as a candidate.

    reg, siren, siret, vat, email, phone, name: two records that would be linked share at least one. domain (of an e-mail that is no mail
    provider's), sound (the consonants of the name), place (postal code and the beginning of one of the two longest words of the name),
    and the tenant's further fields: the way to most of what would be proposed.
    """
    keys: set[MatchKey] = _number_keys(found)
    texts = (("email", found.email), ("phone", found.phone), ("name", found.name), ("domain", found.domain))
    keys.update((sort, value) for sort, value in texts if value)
    if found.name is not None:
        sound = _sound(found.words)
        if len(sound) >= SOUND_MINIMUM_CHARACTERS:
            keys.add(("sound", sound))
        if found.postal_code is not None:
            longest = sorted(found.words, key=lambda word: (-len(word), word))[:PLACE_WORDS]
            digits = "".join(sorted(found.postal_code))
            keys.update(("place", f"{digits} {word[:PLACE_PREFIX_CHARACTERS]}") for word in longest)
    for extra, value in zip(extras, found.extras, strict=True):
        if extra.key and value is not None:
            keys.add(key_of(extra, value))
    return frozenset(keys)


def keys_signature(context: Context, matching: Matching = MATCHING) -> str:
    """What the keys of a store were made with: where it differs, they are made anew."""
    further = ",".join(f"{extra.field}:{extra.likeness}" for extra in matching.extras if extra.key)
    return f"{KEYS_EDITION};{context.country.upper()};{further}"


def match_keys(fields: Fields, context: Context, matching: Matching = MATCHING) -> frozenset[MatchKey]:
    """The keys of a record as it is kept; see `keys_of`."""
    return keys_of(identity(fields, context, matching.extras), matching.extras)


def key_of(extra: Extra, value: str) -> MatchKey:
    """The key that a value of a further field gives: its words in one order, or its letters and digits."""
    return extra.field, " ".join(sorted(value.split())) if extra.likeness is Likeness.TEXT else value


def _number_keys(found: Identity) -> set[MatchKey]:
    keys: set[MatchKey] = set()
    number, taxed = found.registration, found.vat
    if number is not None:
        keys.add(("reg", number.number))
        if number.siren is not None:
            keys.add(("siren", number.siren))
        if number.scheme == "siret" and number.valid:
            keys.add(("siret", number.number))
    if taxed is not None:
        keys.add(("vat", taxed.number))
        if taxed.embedded is not None:
            keys.add(("reg", taxed.embedded))
            if taxed.scheme == "siren":
                keys.add(("siren", taxed.embedded))
    return keys


@lru_cache(maxsize=8192)
def _sound(words: tuple[str, ...]) -> str:
    """The first letters and the consonants of a name's words, doubled ones once: what most slips of the pen leave as it was."""
    return _DOUBLED.sub(r"\1", " ".join(word[0] + word[1:].translate(_VOWELS) for word in words))


def _text(fields: Fields, field: str) -> str:
    value = fields.get(field)
    return value if isinstance(value, str) else ""


def _words(text: str) -> str | None:
    """Words in one form, in typed order."""
    return " ".join(name_words(text)) or None if text else None


@lru_cache(maxsize=8192)
def _characters(text: str) -> str | None:
    """Letters and digits alone, in capitals; another text as it is."""
    return registration_key(text) or None if text else None


def _is_usable(number: str) -> bool:
    """Whether a number may identify anybody: long enough and not one character over and over."""
    return len(number) >= NUMBER_MINIMUM_CHARACTERS and len(set(number)) > 1


def _name(fields: Fields) -> str | None:
    name = _text(fields, "name") or join_name(_text(fields, "given_name"), _text(fields, "family_name"))
    keyed = name_key(name) if name else ""
    return keyed if len(keyed) >= NAME_MINIMUM_CHARACTERS else None


def _registration(fields: Fields, context: Context) -> Registration | None:
    found = registration(fields.get("registration_number"), context)
    return found if found is not None and _is_usable(found.number) else None


def _vat(fields: Fields, context: Context) -> Vat | None:
    found = vat(fields.get("vat_number"), context)
    return found if found is not None and _is_usable(found.number) else None


def _email(fields: Fields, context: Context) -> str | None:
    found = key(Kind.EMAIL, _text(fields, "email"), context)
    if not isinstance(found, str):
        return None
    local, at, domain = found.rpartition("@")
    return found if at and local and domain else None


def _phone(fields: Fields, context: Context) -> str | None:
    found = key(Kind.PHONE, _text(fields, "phone"), context)
    if not isinstance(found, str) or sum(map(str.isdigit, found)) < PHONE_MINIMUM_DIGITS:
        return None
    return found


def _extra(fields: Fields, extra: Extra) -> str | None:
    """A further field as it is compared: its words, or its letters and digits."""
    value = fields.get(extra.field)
    text = str(value) if isinstance(value, str | int) else ""
    if extra.likeness is Likeness.TEXT:
        return _words(text)
    return _characters(text)
