"""Pages that are the same again: what was taken in of a page is remembered with the digest of its bytes, and spares reading it.

A page is remembered where all of its records are in the mirror as it showed them, and holds as long as nothing else has put one of
them (the store sees to that). Where it changed, or one of its records came by another door, the others are still known by the digests of
their own bytes. What a walk proves is as strict as ever: a page that is recalled, as a whole or in part, counts with all of its ids.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from syncd import __version__
from syncd.engine.systems import digest
from syncd.providers import SLICE_BYTES, Known
from syncd.store import PageRow

if TYPE_CHECKING:
    from collections.abc import Generator

    from syncd.engine.systems import System
    from syncd.providers import Listed, Page, Recalls
    from syncd.seen import Seen
    from syncd.store import Store, Tx


@dataclass(frozen=True, slots=True)
class Shown:
    """A page, and a time before it was asked for. singly: external id -> what a single read showed after it; None: the record was gone."""

    page: Page
    asked_at: datetime
    singly: Mapping[str, Listed | None] = field(default_factory=dict)


class Recollection:
    """The pages of one system that are remembered, for one walk. seen: the ids that were shown so far."""

    def __init__(
        self, store: Store, system: System, *, walk: str | None, seen: Seen, clock: Callable[[], datetime]
    ) -> None:
        """Ask which pages are remembered. walk: in which what is shown is noted as seen; None where nothing is to be noted yet."""
        self._store, self._system, self._walk, self._seen, self._clock = store, system, walk, seen, clock
        self._read_as = _read_as(system)
        ahead = system.provider.settings.requests_at_once
        # A page is asked for at its turn at the latest, and at that of the page before which it may have been asked for at the earliest.
        self._turns: deque[datetime] = deque(maxlen=ahead + 1 if ahead > 1 else 1)
        with store.reading() as tx:
            self._known = tx.page_digests(system.name)

    def shown(self, *, afresh: bool) -> Generator[Shown, None, None]:
        """The pages of a walk, without reading those that are the same again. afresh: read all of them nevertheless."""
        provider = self._system.provider
        recalling: Recalls = provider  # type: ignore[assignment]  # what the capability says
        whole = afresh or not provider.capabilities.recall
        self._turns.append(self._clock())
        for page in provider.pull() if whole else recalling.pull(self):
            yield Shown(page, self._turns[0])
            if not provider.capabilities.gathers:
                self._turns.append(self._clock())

    def whole(self, number: int, digest: str) -> Known | None:
        """What is known of a page; in a walk it is thereby noted as seen. None where its records or its proof may be others."""
        named = self._named(digest)
        if self._known.get(number) != named:
            return None
        if self._walk is None:
            with self._store.reading() as tx:
                row = tx.kept_page(self._system.name, number, named)
        else:
            with self._store.writing(lasting=False) as tx:
                row = tx.recall_page(self._system.name, number, named, self._walk, self._clock())
        if row is None or not self._seen.isdisjoint(row.ids):
            return None
        return Known(row.ids, row.total, row.last)

    def slices(self, number: int) -> Mapping[bytes, str]:
        """Digest of a record's own bytes -> its id, of what a page showed that is in the mirror like that and was not shown in this walk."""
        if not self._known.get(number, "").startswith(self._named("")):
            return {}
        with self._store.reading() as tx:
            found = tx.sliced_page(self._system.name, number)
        if found is None:
            return {}
        row, still = found
        return {
            each: name
            for each, name in zip(_slices(row), row.ids, strict=False)
            if name in still and name not in self._seen
        }

    def remember(self, tx: Tx, page: Page, kept: Collection[str]) -> None:
        """Note what became of a page that was not recalled. kept: the records that are in the mirror as this page showed them."""
        ids = [*page.known, *(each.external_id for each in page.records)]
        named = self._named(page.digest)
        if page.digest and ids and not page.faults and len(ids) == len(kept) and set(ids) == set(kept):
            row = PageRow(self._system.name, page.number, named, ids, page.total, page.last)
            tx.put_page(replace(row, slices=_sealed(row, page.slices)))
            self._known[page.number] = named
        elif self._known.pop(page.number, None) is not None:
            tx.forget_page(self._system.name, page.number)

    def _named(self, found: str) -> str:
        """The digest of a page together with how it is read."""
        return f"{self._read_as}:{found}"


def _seal(row: PageRow) -> bytes:
    """Which page slices belong to: a row may have been written by code that knows nothing of them, and left those of an earlier page."""
    return bytes.fromhex(digest([row.digest, row.ids]))


def _sealed(row: PageRow, slices: Mapping[str, bytes]) -> str | None:
    """The digests of the records of a page in the order of its ids, as they are kept; None where they are not known."""
    found = [slices.get(name, b"") for name in row.ids]
    if any(len(each) != SLICE_BYTES for each in found):
        return None
    return b64encode(b"".join([_seal(row), *found])).decode()


def _slices(row: PageRow) -> list[bytes]:
    """The digests of the records of a page in the order of its ids; none where they are those of another page."""
    kept = b64decode(row.slices or "")
    found = [kept[start : start + SLICE_BYTES] for start in range(0, len(kept), SLICE_BYTES)]
    return found[1:] if len(found) == len(row.ids) + 1 and found[0] == _seal(row) else []


def _read_as(system: System) -> str:
    """A digest of what a page becomes depends on, beside its bytes: this code, what is listed, and how."""
    capabilities = system.provider.capabilities
    how = [capabilities.partial_list, capabilities.contacts is not None, system.provider.settings.page_size]
    return digest([__version__, system.scope, how])[:12]
