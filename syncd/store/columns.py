"""Column types: how a Python value is kept in a database, the same on SQLite and PostgreSQL.

All text is TEXT. Times are fixed-width ISO text in UTC, so that they sort as text. JSON documents are text too, written
with sorted keys and exact decimals, so that equal documents are equal text. Text that no database can hold (a lone
surrogate) raises ValueError before anything is sent; the caller quarantines the record it came from.
"""
# ruff: noqa: ARG002, D102 - the signatures, and what they promise, are those of SQLAlchemy's TypeDecorator

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from syncd.core.model import UNKNOWN, Maybe
from syncd.store.rows import Base

KEY_LIMIT_CHARACTERS: Final = 500
"""Longest identifier or match key; PostgreSQL cannot index a value of more than 2700 bytes."""

_ENCODER: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number")
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)


def encode(value: object) -> str:
    """JSON text of a document: sorted keys, exact decimals. ValueError where it holds a lone surrogate."""
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError:
        message = "text with a lone surrogate cannot be stored"
        raise ValueError(message) from None


def decode(text: str) -> Any:
    """The document behind JSON text; numbers that are not integers come as Decimal."""
    return _DECODER.decode(text)


def plain(text: str) -> str:
    """Text as a typed column keeps it: NUL, which PostgreSQL cannot hold, becomes U+FFFD.

    ValueError for a lone surrogate.
    """
    if text.isascii():
        return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        message = "text with a lone surrogate cannot be stored"
        raise ValueError(message) from None
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


@lru_cache(maxsize=1024)
def instant_text(moment: datetime) -> str:
    """`2026-11-21T01:44:35.123456Z`: always 27 characters, sorted as text is sorted in time."""
    if moment.tzinfo is None:
        message = "a time without a zone cannot be stored"
        raise ValueError(message)
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class PlainText(TypeDecorator[str]):
    """Text that a person may have typed; NUL becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else plain(value)


class Key(TypeDecorator[str]):
    """An identifier; ValueError where it is too long to be indexed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if len(value) > KEY_LIMIT_CHARACTERS:
            message = f"an identifier of {len(value)} characters cannot be stored (limit {KEY_LIMIT_CHARACTERS})"
            raise ValueError(message)
        return plain(value)


class Word(TypeDecorator[StrEnum]):
    """A member of one StrEnum, kept as its value. Plain strings are taken too if they are one of the values."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


class Instant(TypeDecorator[datetime]):
    """An aware time, kept as fixed-width text in UTC."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else instant_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class Json(TypeDecorator[Any]):
    """A JSON document; None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        return None if value is None else encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else decode(value)


class MaybeJson(TypeDecorator[Any]):
    """A value that may be unknown (NULL) or empty (JSON null)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        return None if value is UNKNOWN else encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Maybe:
        return UNKNOWN if value is None else decode(value)


class Bases(TypeDecorator[Any]):
    """unit -> Base, as one JSON object; what is unknown or unset is left out."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Base] | None, dialect: Dialect) -> str | None:
        return encode({unit: _base_document(base) for unit, base in (value or {}).items()})

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Base]:
        return {unit: _base(document) for unit, document in decode(value or "{}").items()}


def _base_document(base: Base) -> dict[str, Any]:
    document: dict[str, Any] = {
        name: value
        for name, value in (("seen", base.seen), ("agreed", base.agreed), ("before", base.before))
        if value is not UNKNOWN
    }
    if base.written_at is not None:
        document["written_at"] = instant_text(base.written_at)
    if base.writes:
        document["writes"] = base.writes
    if base.origin is not None:
        document["origin"] = base.origin
    return document


def _base(document: Mapping[str, Any]) -> Base:
    written_at = document.get("written_at")
    return Base(
        seen=document.get("seen", UNKNOWN),
        agreed=document.get("agreed", UNKNOWN),
        before=document.get("before", UNKNOWN),
        written_at=None if written_at is None else datetime.fromisoformat(written_at),
        writes=tuple(document.get("writes", ())),
        origin=document.get("origin"),
    )


def as_kept(kind: TypeEngine[Any], convert: Callable[[Any], Any] | None, values: list[Any]) -> list[Any]:
    """A whole column of values in the database's form. convert: what the type does with each of them, None for nothing.

    Most texts are plain ASCII, which is told for all of them at once; times and words are few and come again and again.
    """
    if convert is None or (isinstance(kind, Key | PlainText) and _are_plain(values, isinstance(kind, Key))):
        return values
    if isinstance(kind, Instant | Word):
        known = {value: convert(value) for value in set(values)}
        return [known[value] for value in values]
    return [convert(value) for value in values]


def _are_plain(values: list[Any], keys: bool) -> bool:  # noqa: FBT001 - only used above
    """Whether a column of texts can be stored as it stands."""
    texts = [value for value in values if value is not None]
    try:
        together = "".join(texts)
    except TypeError:
        return False
    short = not keys or max(map(len, texts), default=0) <= KEY_LIMIT_CHARACTERS
    return short and together.isascii() and "\0" not in together
