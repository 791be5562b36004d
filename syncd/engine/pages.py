"""Pages that are the same again: what was taken in of a page is remembered with the digest of its bytes, and spares reading it.

A page is remembered where all of its records are in the mirror as it showed them, and holds as long as nothing else has put one of
them (the store sees to that). What a walk proves is as strict as ever: a page that is recalled counts with all of its ids.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from syncd import __version__
from syncd.engine.systems import digest
from syncd.providers import Known
from syncd.store import PageRow

if TYPE_CHECKING:
    from collections.abc import Generator

    from syncd.engine.systems import System
    from syncd.providers import Listed, Page, Recalls
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
        self, store: Store, system: System, *, walk: str | None, seen: set[str], clock: Callable[[], datetime]
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
        for page in provider.pull() if whole else recalling.pull(self._recall):
            yield Shown(page, self._turns[0])
            if not provider.capabilities.gathers:
                self._turns.append(self._clock())

    def _recall(self, number: int, found: str) -> Known | None:
        """What is known of a page; in a walk it is thereby noted as seen. None where its records or its proof may be others."""
        named = self._named(found)
        if self._known.get(number) != named:
            return None
        if self._walk is None:
            with self._store.reading() as tx:
                row = tx.kept_page(self._system.name, number, named)
        else:
            with self._store.writing() as tx:
                row = tx.recall_page(self._system.name, number, named, self._walk, self._clock())
        if row is None or not self._seen.isdisjoint(row.ids):
            return None
        return Known(row.ids, row.total, row.last)

    def remember(self, tx: Tx, page: Page, kept: Collection[str]) -> None:
        """Note what became of a page that was read. kept: the records that are in the mirror as this page showed them."""
        ids = [each.external_id for each in page.records]
        named = self._named(page.digest)
        if page.digest and ids and not page.faults and len(ids) == len(kept) and set(ids) == set(kept):
            tx.put_page(PageRow(self._system.name, page.number, named, ids, page.total, page.last))
            self._known[page.number] = named
        elif self._known.pop(page.number, None) is not None:
            tx.forget_page(self._system.name, page.number)

    def _named(self, found: str) -> str:
        """The digest of a page together with how it is read."""
        return f"{self._read_as}:{found}"


def _read_as(system: System) -> str:
    """A digest of what a page becomes depends on, beside its bytes: this code, what is listed, and how."""
    capabilities = system.provider.capabilities
    how = [capabilities.partial_list, capabilities.contacts is not None, system.provider.settings.page_size]
    return digest([__version__, system.scope, how])[:12]
