"""A page by the bytes of its records: those that came with the same bytes before need not be decoded.

A slice that was accepted once is as sound as it was then: it was decoded within all limits of `decoding`. What stands between the slices is
looked at whenever a body is cut, and what is new among them is decoded as a body of its own. Where anything about such a page is out of
order (an id twice, an item that is no record, a text that cannot be kept) nothing is taken for known: then the page is read as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from syncd.core.model import Value
from syncd.providers import SLICE_BYTES, decoding

_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Slices:
    """The digests of the items of an array. read: of those that were decoded, in their order. known: id -> digest of the others."""

    read: Sequence[bytes]
    known: Mapping[str, bytes]

    def named(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Record -> digest, the known ones first. ids: of the items that were decoded, in their order."""
        return {**self.known, **dict(zip(ids, self.read, strict=True))}


@dataclass(frozen=True, slots=True)
class Part:
    """The items of an array that had to be decoded. doubtful: as in `Answer`."""

    body: Value
    doubtful: bool
    slices: Slices


@dataclass(frozen=True, slots=True)
class Items:
    """A JSON array, cut into its items and not decoded."""

    body: bytes
    items: Sequence[msgspec.Raw]
    digests: Sequence[bytes]

    @property
    def whole(self) -> Slices:
        """None of them is known."""
        return Slices(self.digests, {})

    def without(self, known: Mapping[bytes, str]) -> Part | None:
        """The array without the items that are known (digest -> id); None where none is, and where it has to be read as a whole."""
        ids = [known.get(digest) for digest in self.digests]
        recalled = {name: digest for name, digest in zip(ids, self.digests, strict=True) if name is not None}
        new = [item for item, name in zip(self.items, ids, strict=True) if name is None]
        if not recalled or self.body.count(b",") > decoding.MAX_VALUES:
            return None
        joined = b"[" + b",".join(new) + b"]"
        try:
            body = decoding.parse(joined)
        except decoding.Unreadable:
            return None
        if not isinstance(body, list) or len(body) != len(new):
            return None
        doubtful = decoding.doubtful(joined)
        records, faults = decoding.sift(body, doubtful=doubtful, position=0)
        if faults or len({*recalled, *(name for name, _ in records)}) != len(ids):
            return None
        read = [digest for digest, name in zip(self.digests, ids, strict=True) if name is None]
        return Part(body, doubtful, Slices(read, recalled))


def cut(body: bytes) -> Items | None:
    """The items of a body; None where it is no array, or not to be cut."""
    try:
        items = _ITEMS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Items(body, items, [hashlib.blake2b(item, digest_size=SLICE_BYTES).digest() for item in items])
