"""From bytes on the wire to JSON values, within limits: what a hostile or broken system sends ends here as `Unreadable`.

Numbers with a fraction or an exponent become `Decimal`, integers stay `int`: an id or an amount never passes through a float.
Strings are taken as they are, also those that a database or a log could not hold (NUL, lone surrogates); `unsound` tells
them, so that the record is quarantined and its neighbours are not.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import chain
from typing import Final, NoReturn
from urllib.parse import quote

import msgspec

from syncd.core.model import Raw, Value
from syncd.errors import Malformed

MAX_WIRE_BYTES: Final = 16 * 1024 * 1024
MAX_DECODED_BYTES: Final = 32 * 1024 * 1024
MAX_RATIO: Final = 200
"""Decoded bytes per wire byte, judged once a body is larger than `RATIO_FREE_BYTES`."""
RATIO_FREE_BYTES: Final = 4 * 1024 * 1024
MAX_VALUES: Final = 1_000_000
"""Values in one document, counted by its commas: `[{},{},...]` takes 60 times its own size in memory."""
MAX_DEPTH: Final = 50
MAX_DIGITS: Final = 60
MAX_EXPONENT: Final = 300
MAX_TEXT_BYTES: Final = 100_000
MAX_ID_CHARACTERS: Final = 200
NOTHING: Final[Mapping[str, str]] = {}
"""No headers, no parameters."""
_STRETCH_BYTES: Final = MAX_TEXT_BYTES // 2
"""A text beyond `MAX_TEXT_BYTES` fills at least one of the stretches of this length into which its body can be cut."""

_LONG_RUN: Final = b"0" * (MAX_DIGITS + 1)
_TOO_LONG: Final = 10**MAX_DIGITS
_DIGITS: Final = bytes(ord("0") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))
_UNSOUND_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNSOUND_TEXT = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Unreadable(Exception):
    """The body is not JSON within the limits; the message says which limit or rule, never what was in it."""


class Cut(Exception):
    """The body ends before its end."""


def inflate(chunks: Iterable[bytes], encoding: str) -> bytes:
    """The whole body, unpacked where `encoding` is gzip.

    Raises `Unreadable` over the limits or for another encoding, `Cut` for a gzip stream that stops too early.
    """
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        message = "its content encoding is neither identity nor gzip"
        raise Unreadable(message)
    packed = encoding in {"gzip", "x-gzip"}
    parts: list[bytes] = []
    wire = decoded = 0
    unpacker = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        wire += len(chunk)
        if wire > MAX_WIRE_BYTES:
            message = f"it is larger than {MAX_WIRE_BYTES} bytes on the wire"
            raise Unreadable(message)
        part = _unpack(unpacker, chunk, MAX_DECODED_BYTES - decoded) if packed else chunk
        decoded += len(part)
        if decoded > RATIO_FREE_BYTES and decoded > wire * MAX_RATIO:
            message = f"it unpacks to more than {MAX_RATIO} times its size"
            raise Unreadable(message)
        parts.append(part)
    if packed and wire and not unpacker.eof:
        raise Cut
    return b"".join(parts)


def _unpack(unpacker: zlib._Decompress, chunk: bytes, room: int) -> bytes:
    """Unpack one chunk into at most `room` bytes."""
    try:
        part = unpacker.decompress(chunk, room + 1)
    except zlib.error as error:
        message = "its gzip stream is broken"
        raise Unreadable(message) from error
    if len(part) > room:
        message = f"it unpacks to more than {MAX_DECODED_BYTES} bytes"
        raise Unreadable(message)
    if unpacker.unused_data:
        message = "bytes follow the end of its gzip stream"
        raise Unreadable(message)
    return part


def _number(text: str) -> Decimal:
    """A number with a fraction or an exponent, refused where calculating with it would hurt."""
    number = Decimal(text)
    if len(text) > MAX_DIGITS or abs(number.adjusted()) > MAX_EXPONENT:
        message = "a number in it has too many digits"
        raise Unreadable(message)
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        message = "a number in it has too many digits"
        raise Unreadable(message)
    return int(text)


def _constant(text: str) -> NoReturn:
    message = f"{text} is no JSON"
    raise Unreadable(message)


_DECODER = msgspec.json.Decoder(float_hook=_number)
_LENIENT = json.JSONDecoder(parse_float=_number, parse_int=_integer, parse_constant=_constant)


def parse(body: bytes) -> Value:
    """The JSON value of a body. Raises `Unreadable` for anything else, and beyond the limits of this module."""
    if body.count(b",") > MAX_VALUES:
        message = f"it holds more than {MAX_VALUES} values"
        raise Unreadable(message)
    try:
        value: Value = _DECODER.decode(body)
    except RecursionError:
        message = "it is nested too deeply"
        raise Unreadable(message) from None
    except msgspec.ValidationError:
        message = "a number in it has too many digits"
        raise Unreadable(message) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = _parse_leniently(body)
    _check(value, body)
    return value


def _parse_leniently(body: bytes) -> Value:
    """Decode once more where only the escape of a lone surrogate kept the strict decoder from it."""
    if _UNSOUND_ESCAPE.search(body) is None:
        message = "it is not JSON"
        raise Unreadable(message)
    try:
        value: Value = _LENIENT.decode(body.decode("utf-8"))
    except RecursionError:
        message = "it is nested too deeply"
        raise Unreadable(message) from None
    except ValueError:
        message = "it is not JSON"
        raise Unreadable(message) from None
    return value


def _check(value: Value, body: bytes) -> None:
    """Refuse nesting beyond `MAX_DEPTH` and integers beyond `MAX_DIGITS`, level by level (no recursion).

    Integers are only looked at where the body has a run of so many digits at all: every page passes here.
    """
    level = [value] if isinstance(value, dict | list) else []
    long_run = _LONG_RUN in body.translate(_DIGITS)
    if long_run and _is_long(value):
        message = "a number in it has too many digits"
        raise Unreadable(message)
    for _ in range(MAX_DEPTH):
        values: Iterable[Value] = chain.from_iterable(
            item.values() if isinstance(item, dict) else item for item in level
        )
        if long_run:
            values = list(values)
            if any(map(_is_long, values)):
                message = "a number in it has too many digits"
                raise Unreadable(message)
        level = [inner for inner in values if type(inner) is dict or type(inner) is list]
        if not level:
            return
    message = "it is nested too deeply"
    raise Unreadable(message)


def _is_long(value: Value) -> bool:
    return isinstance(value, int) and abs(value) >= _TOO_LONG


def doubtful(body: bytes) -> bool:
    """Whether any string of this body could be unsound, told from its bytes; spares looking at every string of a page."""
    if b"\\u" in body and _UNSOUND_ESCAPE.search(body) is not None:
        return True
    return len(body) > MAX_TEXT_BYTES and _has_stretch_of_text(body)


def _has_stretch_of_text(body: bytes) -> bool:
    """Whether some stretch of the body has no quotation mark that begins or ends a string, as in any text that is too long."""
    if b'\\"' in body:
        body = body.replace(rb"\\", b"__").replace(b'\\"', b"__")
    whole = len(body) - len(body) % _STRETCH_BYTES
    return any(body.find(b'"', start, start + _STRETCH_BYTES) < 0 for start in range(0, whole, _STRETCH_BYTES))


def unsound(raw: Value) -> str | None:
    """Why a record cannot be kept (a text with NUL or a lone surrogate, or of more than 100 kB), or None."""
    waiting: list[Value] = [raw]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            if _UNSOUND_TEXT.search(item):
                return "a text in it has a NUL or a lone surrogate"
            if len(item) > MAX_TEXT_BYTES or len(item.encode()) > MAX_TEXT_BYTES:
                return f"a text in it is longer than {MAX_TEXT_BYTES} bytes"
    return None


def identity(value: Value) -> str | None:
    """An id as text (integers and short texts without control characters are ids), or None where it is no id."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS and not _CONTROL.search(value):
        return value if value.strip() == value and value not in {".", ".."} else None
    return None


def segment(text: object) -> str:
    """An id percent-encoded as one path segment. Raises `Malformed` for what cannot be one (empty, `.`, `..`, too long)."""
    known = identity(text) if isinstance(text, str | int) else None
    if known is None:
        message = "an id cannot be part of an address"
        raise Malformed(message)
    return quote(known, safe="")


def sift(items: list[Value], *, doubtful: bool, position: int) -> tuple[list[tuple[str, Raw]], list[tuple[str, str]]]:
    """Sort the items of a page into records with their ids, and faults (id, or `#position` from 1, and the reason).

    doubtful: whether the texts have to be looked at. position: how many items came before this page.
    """
    records: list[tuple[str, Raw]] = []
    faults: list[tuple[str, str]] = []
    for number, item in enumerate(items, position + 1):
        if not isinstance(item, dict):
            faults.append((f"#{number}", "it is no record but something else"))
            continue
        external_id = identity(item.get("id"))
        if external_id is None:
            faults.append((f"#{number}", "it has no id"))
        elif doubtful and (reason := unsound(item)) is not None:
            faults.append((external_id, reason))
        else:
            records.append((external_id, item))
    return records, faults
