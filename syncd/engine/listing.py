"""Listings: what a system lists, read ahead of the walk that takes it in, so that nobody has to wait for a slow system.

A listing makes requests and reads the store; it writes nothing, so it goes on while cycles of the other systems come and go. When it has
ended, or has as much in hand as it may keep, a cycle takes it in as a walk, which is then as long ago as its listing: every page is dated
with the time at which it was asked for, and whatever was seen or written since is newer and stands.

What a walk still asks for itself while a cycle waits: records that were not listed, and contacts that are missing in a list.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from syncd import log
from syncd.engine.erasing import erased_records
from syncd.engine.pages import Recollection, Shown
from syncd.engine.systems import digest
from syncd.errors import Gone
from syncd.seen import Seen

if TYPE_CHECKING:
    from syncd.engine.systems import System
    from syncd.providers import Listed, Page
    from syncd.store import Store

_log = log.get("pull")

KEPT_MAX: Final = 5_000
"""Records of pages that are kept in memory for one walk; with more of them in hand a listing waits until it is taken in."""

Start: TypeAlias = Callable[[Callable[[], None], str], None]
"""Runs a task, given a name for it."""

LOOK_SECONDS: Final = 0.2
"""How often somebody who waits looks whether there is something else to do."""


def sweeps(system: System, *, asked: bool) -> bool:
    """Whether a walk reads every page and record: where it is asked to, or where the tenant's file says that list items tell nothing."""
    provider = system.provider
    return asked or (provider.capabilities.partial_list and provider.settings.options.get("children") == "always")


def wanted(store: Store, system: System, records: Sequence[Listed]) -> list[Listed]:
    """The records of a page without those that were erased: they are not asked for, and not looked at."""
    with store.reading() as tx:
        erased = erased_records(tx, [(system.name, each.external_id) for each in records])
    return [each for each in records if (system.name, each.external_id) not in erased]


def to_be_read(store: Store, system: System, records: Sequence[Listed], *, sweep: bool) -> tuple[set[str], set[str]]:
    """Where a list item may show less than the record holds: the ids of those to be read singly, and of those whose item is the same."""
    incomplete = {each.external_id: digest(each.raw) for each in records if not each.complete}
    with store.reading() as tx:
        stored = tx.digests(system.name, list(incomplete))
    same = {
        external_id
        for external_id, found in incomplete.items()
        if not sweep and (known := stored.get(external_id)) is not None and known[1] == found and known[2] == "present"
    }
    return incomplete.keys() - same, same


def in_a_thread(task: Callable[[], None], name: str) -> None:
    """Run a task in a thread of its own, which keeps no process from ending."""
    threading.Thread(target=contextvars.copy_context().run, args=(task,), name=name, daemon=True).start()


class Listing:
    """One listing of one system, for the walk that takes it in.

    cycle, began_at: no page was asked for before. made: HTTP requests that were made for it so far.
    """

    def __init__(
        self,
        store: Store,
        system: System,
        clock: Callable[[], datetime],
        *,
        cycle: str,
        sweep: bool,
        over: Callable[[], bool],
        told: Callable[[], None],
        start: Start,
    ) -> None:
        """Begin. cycle: with which it begins. sweep: read every page and record.

        over: whether nobody will take it in any more. told: called when it becomes ready.
        """
        self.system = system
        self.sweep = sweeps(system, asked=sweep)
        self.cycle = cycle
        self.began_at = clock()
        self.made = 0
        self._store, self._clock, self._told = store, clock, told
        self._ending = over
        self._account: str | None = None
        self._kept: deque[Shown] = deque()
        self._records = 0
        self._error: Exception | None = None
        self._ended = False
        self._taken = self._dropped = False
        self._turn = threading.Condition()
        start(self._read, f"listing-{system.name}")

    @property
    def ready(self) -> bool:
        """Whether a walk can take it in without waiting, or it waits for that itself."""
        with self._turn:
            return self._ended or self._records >= KEPT_MAX

    def account(self) -> str | None:
        """The account behind the credentials with which the pages were asked for, where the provider can tell it.

        Raises what the provider raised instead of telling it.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._kept or self._ended)
            if self._error is not None and not self._kept:
                raise self._error
            return self._account

    def shown(self) -> Generator[Shown, None, None]:
        """The pages in their order, those that are still to come too. Raises what the provider raised in the place of the next one."""
        self._taken = True
        try:
            while True:
                with self._turn:
                    self._turn.wait_for(lambda: self._kept or self._ended)
                    if not self._kept:
                        break
                    shown = self._kept.popleft()
                    self._records -= len(shown.page.records)
                    self._turn.notify_all()
                yield shown
            if self._error is not None:
                raise self._error
        finally:
            self._dropped = True

    def _over(self) -> bool:
        return self._dropped or self._ending()

    def _read(self) -> None:
        """The thread: what goes wrong is kept for whoever takes the listing in."""
        try:
            if self.system.provider.capabilities.account:
                self._account = self.system.provider.account()
                self.made += 1
            with closing(self._shown()) as pages:
                for shown in pages:
                    self._keep(shown)
                    if self._over():
                        return
        except Exception as error:  # noqa: BLE001 - it is raised again by `shown`
            self._error = error
        finally:
            with self._turn:
                self._ended = True
                self._turn.notify_all()
            self._told()

    def _shown(self) -> Generator[Shown, None, None]:
        capabilities = self.system.provider.capabilities
        seen = Seen()
        remembered = Recollection(self._store, self.system, walk=None, seen=seen, clock=self._clock)
        with closing(remembered.shown(afresh=self.sweep)) as pages:
            for shown in pages:
                page = shown.page
                seen.add([*page.known, *(each.external_id for each in page.records)])
                singly = self._singly(page) if capabilities.partial_list and page.records else {}
                self.made += page.requests + len(singly)
                yield replace(shown, singly=singly)

    def _singly(self, page: Page) -> dict[str, Listed | None]:
        """Single reads of the records whose list items do not tell enough."""
        listed = wanted(self._store, self.system, page.records)
        needed, _ = to_be_read(self._store, self.system, listed, sweep=self.sweep)
        read: dict[str, Listed | None] = {}
        for external_id in sorted(needed):
            try:
                read[external_id] = self.system.provider.fetch(external_id)
            except Gone:
                read[external_id] = None
            if self._over():
                break
        return read

    def _keep(self, shown: Shown) -> None:
        with self._turn:
            self._kept.append(shown)
            self._records += len(shown.page.records)
            self._turn.notify_all()
            full = self._records >= KEPT_MAX and not self._taken
        if full:
            self._told()
        with self._turn:
            while self._records >= KEPT_MAX and not self._over():
                self._turn.wait(LOOK_SECONDS)


class Listings:
    """The listings under way of one engine. seconds: how long a cycle waits for those that began with it."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        *,
        seconds: float,
        hurried: Callable[[], bool],
        over: Callable[[], bool],
        start: Start = in_a_thread,
    ) -> None:
        """hurried: whether something else is to be done. over: whether the engine is ending. start: runs what reads a listing."""
        self._start = start
        self._store, self._clock, self._seconds, self._hurried, self._over = store, clock, seconds, hurried, over
        self._under_way: dict[str, Listing] = {}
        self._told = threading.Event()

    @property
    def names(self) -> tuple[str, ...]:
        """The systems whose listing goes on."""
        return tuple(self._under_way)

    def begin(self, systems: Sequence[System], cycle: str, *, sweep: bool) -> None:
        """Begin to list systems, but for those whose listing goes on."""
        for system in systems:
            if system.name not in self._under_way:
                self._under_way[system.name] = Listing(
                    self._store,
                    system,
                    self._clock,
                    cycle=cycle,
                    sweep=sweep,
                    over=self._over,
                    told=self._told.set,
                    start=self._start,
                )

    def take(self, began: Collection[str], *, idle: bool, later: Collection[str] = ()) -> list[Listing]:
        """Those that are ready, to be taken in now.

        began: the systems whose listing began with this cycle; they are waited for as long as patience lasts. idle: there is nothing else to
        do in this cycle, so that waiting for any listing lasts until there is. later: systems whose listing is not taken in now.
        """
        deadline = time.monotonic() + self._seconds
        asked = {name: each for name, each in self._under_way.items() if name not in later}
        while asked and not self._over():
            self._told.clear()
            waiting = [name for name, each in asked.items() if not each.ready]
            if idle:
                over = len(waiting) < len(asked) or self._hurried()
            else:
                over = not set(waiting) & set(began) or time.monotonic() >= deadline
            if over:
                break
            self._told.wait(min(LOOK_SECONDS, max(deadline - time.monotonic(), 0.0)) if not idle else LOOK_SECONDS)
        ready = [each for each in asked.values() if each.ready and not self._over()]
        for name in sorted(set(began) & asked.keys() - {each.system.name for each in ready}):
            _log.info("list_not_waited_for", system=name)
        return [self.pop(each.system.name) for each in ready]

    def pop(self, name: str) -> Listing:
        """Hand over one listing: it is no longer under way here."""
        return self._under_way.pop(name)
