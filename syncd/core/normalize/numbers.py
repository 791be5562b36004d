"""Identifiers: e-mail addresses, phones, company and VAT numbers, bank accounts.

Comparison keys never judge: what the libraries cannot read is compared by its letters and digits. Validity is asked for
separately, and only a valid number says what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import stdnum
from stdnum import bic, iban
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.fr import rcs as fr_rcs
from stdnum.fr import siren as fr_siren
from stdnum.fr import siret as fr_siret
from stdnum.pl import nip as pl_nip

from syncd.core.model import Context
from syncd.core.normalize.text import alphanumeric, tidy

SIREN_DIGITS: Final = 9
SIRET_DIGITS: Final = 14
NIP_DIGITS: Final = 10

_FRENCH: Final = frozenset({"FR", "BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "WF", "YT"})
"""France and the territories whose companies are in its register."""

_LABEL: Final = re.compile(r"^\s*(?:siren|siret|nip|kvk)\b[\s:.°nN]*", re.IGNORECASE)
_DIALLED: Final = re.compile(r"~\+?[0-9]+")
_PHONE_LIMIT_CHARACTERS: Final = 250
_EU_PREFIXES: Final = frozenset(code.upper() for code in eu_vat.MEMBER_STATES) | {"EL"}
_VAT_SPELLING: Final = {"GR": "EL"}
_VAT_LIMIT_CHARACTERS: Final = 32
_MONACO: Final = "000"
"""French VAT numbers that go on so after their check digits are of Monaco and contain no SIREN; all others do."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A company number. number: letters and digits only. scheme: siren | siret | nip | other.

    valid: its check digits are right (never for `other`: nobody can tell). siren: the company's number, where the
    number is a valid SIREN or SIRET.
    """

    number: str
    scheme: str
    valid: bool
    siren: str | None = None


@dataclass(frozen=True, slots=True)
class Vat:
    """A VAT number. number: with country prefix where it is known. embedded: the company number that it contains.

    scheme: what the embedded number is (siren | nip), empty where nothing is known to be in it.
    """

    number: str
    valid: bool
    scheme: str = ""
    embedded: str | None = None


@lru_cache(maxsize=16384)
def email_key(text: str) -> str:
    """An e-mail address to compare by: case does not count, an international domain is in its ASCII form."""
    folded = tidy(tidy(text).casefold())
    local, at, domain = folded.rpartition("@")
    if not at or domain.isascii():
        return folded
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - slow to load, rarely needed

    try:
        ascii_domain = validate_email(f"x@{domain}", check_deliverability=False, test_environment=True).ascii_domain
    except (EmailNotValidError, UnicodeError):
        return folded
    return f"{local}@{ascii_domain.lower()}"


@lru_cache(maxsize=16384)
def phone_key(text: str, country: str) -> str:
    """A phone number to compare by: E.164 (with `;ext=` where there is one), or `~` and the digits where it is none.

    country: ISO alpha-2 region in which a number without prefix is dialled.
    """
    typed = tidy(text)
    if _DIALLED.fullmatch(typed):
        return typed
    import phonenumbers  # noqa: PLC0415 - slow to load, and not every command compares phones

    if len(typed) <= _PHONE_LIMIT_CHARACTERS:
        try:
            number = phonenumbers.parse(typed, country)
        except phonenumbers.NumberParseException:
            number = None
        if number is not None and phonenumbers.is_possible_number(number):
            dialled = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            return f"{dialled};ext={number.extension}" if number.extension else dialled
    digits = phonenumbers.normalize_digits_only(typed)
    if not digits:
        return typed.casefold()
    return f"~+{digits}" if typed.startswith("+") else f"~{digits}"


def registration_key(text: str) -> str:
    """A company number to compare by: letters and digits only, upper case."""
    return alphanumeric(text) or tidy(text)


@lru_cache(maxsize=16384)
def _registration(text: str, country: str) -> Registration | None:
    number = alphanumeric(_LABEL.sub("", text, count=1))
    if text.isascii() and not number.isdigit() and fr_rcs.is_valid(text):
        number = number[-SIREN_DIGITS:]
    if not any(character.isdigit() for character in number):
        return None
    if not (number.isascii() and number.isdigit()):
        return Registration(number, "other", valid=False)
    if country == "PL" and len(number) == NIP_DIGITS:
        return Registration(number, "nip", valid=pl_nip.is_valid(number))
    if country != "PL" and len(number) == SIREN_DIGITS:
        valid = fr_siren.is_valid(number)
        if valid or country in _FRENCH:
            return Registration(number, "siren", valid, number if valid else None)
    if country != "PL" and len(number) == SIRET_DIGITS:
        valid = fr_siret.is_valid(number)
        if valid or country in _FRENCH:
            return Registration(number, "siret", valid, number[:SIREN_DIGITS] if valid else None)
    return Registration(number, "other", valid=False)


def registration(value: object, context: Context) -> Registration | None:
    """What a company number is; None where the text holds no number at all.

    Nine or fourteen digits are a SIREN or SIRET in France, and elsewhere (but in Poland, whose REGON looks the same)
    where their check digits are right. Establishments of La Poste have their own check. Ten digits in Poland are a
    NIP.
    """
    return _registration(value, context.country.upper()) if isinstance(value, str) else None


@lru_cache(maxsize=16384)
def _vat(text: str, country: str) -> Vat | None:
    number = alphanumeric(text)
    if not any(character.isdigit() for character in number):
        return None
    if not number.isascii() or len(number) > _VAT_LIMIT_CHARACTERS:
        return Vat(number, valid=False)
    prefix = _VAT_SPELLING.get(country, country)
    for candidate in (number,) if number.startswith(prefix) else (number, f"{prefix}{number}"):
        known = _known_vat(candidate)
        if known is not None:
            return known
    return Vat(number, valid=False)


def _known_vat(number: str) -> Vat | None:
    """The VAT number behind a text that starts with a country prefix; None where it is not valid there."""
    prefix, rest = number[:2], number[2:]
    prefix = _VAT_SPELLING.get(prefix, prefix)
    try:
        if prefix in _EU_PREFIXES:
            valid = eu_vat.validate(f"{prefix}{rest}")
        else:
            module = stdnum.get_cc_module(prefix, "vat") if prefix.isalpha() else None
            if module is None or not module.is_valid(number):
                return None
            valid = number
    except (ValidationError, ValueError):
        return None
    if prefix == "FR" and not valid[-SIREN_DIGITS:].startswith(_MONACO):
        return Vat(valid, valid=True, scheme="siren", embedded=valid[-SIREN_DIGITS:])
    if prefix == "PL":
        return Vat(valid, valid=True, scheme="nip", embedded=valid[2:])
    return Vat(valid, valid=True)


def vat(value: object, context: Context) -> Vat | None:
    """What a VAT number is; None where the text holds no number at all.

    Without country prefix it gets the context's country, where it is valid there.
    """
    return _vat(value, context.country.upper()) if isinstance(value, str) else None


def vat_key(text: str, country: str) -> str:
    """A VAT number to compare by: no blanks, with country prefix."""
    known = _vat(text, country)
    return known.number if known is not None else registration_key(text)


def iban_valid(value: object) -> bool:
    """Whether the text is an IBAN with right check digits."""
    number = alphanumeric(value) if isinstance(value, str) else ""
    return number.isascii() and bool(number) and bool(iban.is_valid(number))


def bic_valid(value: object) -> bool:
    """Whether the text has the form of a BIC."""
    number = alphanumeric(value) if isinstance(value, str) else ""
    return number.isascii() and bool(number) and bool(bic.is_valid(number))


def bic_key(text: str) -> str:
    """A BIC to compare by: `XXX` (the head office) is the same as no branch."""
    number = alphanumeric(text) or tidy(text)
    return number[:8] if len(number) == 11 and number.endswith("XXX") else number  # noqa: PLR2004 (ISO 9362)
