"""Names of persons and companies: splitting, joining, and the key by which two spellings of one name are found.

The person name library does the reading; added are French titles and the habit of writing the family name in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from anyascii import anyascii

from syncd.core.normalize.text import tidy

if TYPE_CHECKING:
    from nameparser import Parser

_TITLES: Final = frozenset(
    {
        "m",
        "mm",
        "mme",
        "mmes",
        "mlle",
        "mlles",
        "me",
        "mes",
        "maître",
        "maitre",
        "dr",
        "docteur",
        "pr",
        "professeur",
        "mgr",
        "veuve",
        "vve",
    },
)
_COURTESY: Final = frozenset(
    {"m", "mm", "mr", "mrs", "ms", "mme", "mmes", "mlle", "mlles", "monsieur", "madame", "mademoiselle"}
)
"""Titles that say nothing about who it is; left out where names are matched."""

_FAMILY_ROLES: Final = frozenset({"family", "suffix", "maiden"})
_NAME_LIMIT_CHARACTERS: Final = 200
"""Longer texts are no person's name and are never split."""


@cache
def _parser() -> Parser:
    """The person name library, which is slow to load and not needed by every command."""
    from nameparser import Lexicon, Parser, Policy  # noqa: PLC0415

    return Parser(lexicon=Lexicon.default().add(titles=_TITLES), policy=Policy(segment_scripts=frozenset()))


_PREFIX_FORMS: Final = frozenset(
    {
        "sa", "sas", "sasu", "sarl", "eurl", "sci", "scp", "scm", "scop", "snc", "gie", "gaec", "earl", "selarl",
        "selas", "selasu", "selca", "sccv", "scea", "sprl", "eirl",
    },
)  # fmt: skip
"""Legal forms that are also written before the name. Only these are taken off there: `co`, `se` and `as` are words."""

_MORE_FORMS: Final = (
    "ltee", "ltd", "inc", "enr", "senc", "sencrl", "sp z oo", "sp zoo", "spzoo", "sp j", "sp k", "sp p",
    "sp z oo sp k", "spolka z oo", "spolka akcyjna", "spolka z ograniczona odpowiedzialnoscia", "psa", "ska", "sc",
    "societe anonyme", "asbl", "vzw", "srl", "bv", "nv",
)  # fmt: skip
_LINKING: Final = frozenset({"et", "and", "und"})
_DOTTED: Final = re.compile(r"(?<![a-z0-9])(?:[a-z0-9]\.){2,}|(?<![a-z0-9])(?:[a-z0-9]\.)+[a-z0-9](?![a-z0-9])")
_APOSTROPHES: Final = str.maketrans("", "", "'`")
_WORD: Final = re.compile(r"[a-z0-9]+")


@cache
def _forms() -> dict[int, frozenset[tuple[str, ...]]]:
    """Legal forms by their number of words, longest first."""
    from cleanco import prepare_default_terms  # noqa: PLC0415 - slow to load

    terms = {tuple(part for part in parts if part != "&") for _, parts in prepare_default_terms()}
    terms |= {tuple(form.split()) for form in (*_MORE_FORMS, *_PREFIX_FORMS)}
    ascii_terms = {tuple(anyascii(part) for part in term) for term in terms if term}
    sizes = sorted({len(term) for term in ascii_terms}, reverse=True)
    return {size: frozenset(term for term in ascii_terms if len(term) == size) for size in sizes}


def join_name(given: str, family: str) -> str:
    """The name of a person as one text: given name, then family name."""
    return tidy(f"{given} {family}")


def split_name(text: str) -> tuple[str, str] | None:
    """(given, family) of a person's name written as one text; None where it does not give both.

    No word gets lost: titles, middle and nicknames stay with the given name, suffixes with the family name, each in
    the order in which they were typed. Joined again the parts are the text itself, unless the family name came first;
    then they have the same words (a comma that only marked that order is left out).
    """
    return _split(tidy(text)) if len(text) <= _NAME_LIMIT_CHARACTERS else None


@lru_cache(maxsize=8192)
def _split(text: str) -> tuple[str, str] | None:
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004 (a given and a family name)
        return None
    roles = _roles(text, words)
    capitals = _capitals(words, roles)
    if capitals is not None:
        on_family_side = [number in capitals or role == "suffix" for number, role in enumerate(roles)]
    else:
        on_family_side = [role in _FAMILY_ROLES for role in roles]
    family_first = "given" in roles and on_family_side[0]
    given = [word for word, is_family in zip(words, on_family_side, strict=True) if not is_family]
    family = [word for word, is_family in zip(words, on_family_side, strict=True) if is_family]
    named = any(role not in ("title", "suffix") for role, side in zip(roles, on_family_side, strict=True) if not side)
    if not named or not any(side and role != "suffix" for role, side in zip(roles, on_family_side, strict=True)):
        return None
    if family_first:
        family[-1] = family[-1].rstrip(",") or family[-1]
    return " ".join(given), " ".join(family)


def _roles(text: str, words: Sequence[str]) -> list[str]:
    """The role of each word; a word the library drops (an emoji) goes with the word before it."""
    parsed = _parser().parse(text)
    spans = [(token.span.start, token.role.value) for token in parsed.tokens if token.span is not None]
    roles: list[str] = []
    start = 0
    for word in words:
        start = text.index(word, start)
        end = start + len(word)
        within = [role for position, role in spans if start <= position < end]
        roles.append(within[0] if within else (roles[-1] if roles else "given"))
        start = end
    return roles


def _capitals(words: Sequence[str], roles: Sequence[str]) -> frozenset[int] | None:
    """The words of a family name written in capitals beside a given name that is not; None where that is not so."""
    plain = [number for number, role in enumerate(roles) if role not in ("title", "suffix", "nickname")]
    shouted = [number for number in plain if words[number].isupper() and len(words[number].replace(".", "")) > 1]
    if not shouted or len(shouted) == len(plain) or shouted != list(range(shouted[0], shouted[-1] + 1)):
        return None
    if shouted[0] == plain[0]:
        initials = max(len(words[number]) for number in shouted) < 3  # noqa: PLR2004 ("JP Martin")
        return None if initials else frozenset(shouted)
    return frozenset(shouted) if shouted[-1] == plain[-1] else None


def _without_forms(words: list[str]) -> list[str]:
    """The words without legal forms at either end, as long as a word is left."""
    changed = True
    while changed and len(words) > 1:
        changed = False
        for size, forms in _forms().items():
            if size < len(words) and tuple(words[-size:]) in forms:
                words = words[:-size]
                changed = True
                break
        if len(words) > 1 and words[0] in _PREFIX_FORMS:
            words = words[1:]
            changed = True
    return words


@lru_cache(maxsize=32768)
def name_words(text: str) -> tuple[str, ...]:
    """The words of a name in typed order, in ASCII lower case, without legal form, courtesy title and punctuation."""
    folded = anyascii(tidy(text)).casefold().translate(_APOSTROPHES)
    folded = _DOTTED.sub(lambda match: match.group().replace(".", "") + " ", folded)
    words = [word for word in _WORD.findall(folded) if word not in _LINKING] or _WORD.findall(folded)
    words = _without_forms(words)
    if len(words) > 2 and words[0] in _COURTESY:  # noqa: PLR2004 (a title before a given and a family name)
        words = words[1:]
    return tuple(words)


@lru_cache(maxsize=32768)
def name_key(text: str) -> str:
    """A name to find its other spellings by: `name_words`, sorted. Never for display; empty only for an empty text."""
    return " ".join(sorted(name_words(text))) or tidy(text).casefold()
