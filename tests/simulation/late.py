"""Slow systems: lists that are taken in cycles after they were read, writes that take several cycles; one thing at a time, so that it repeats."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from random import Random
from typing import Any

from syncd.engine.listing import Listing, Listings
from syncd.engine.patience import Patience
from syncd.engine.pushing import Pushes
from syncd.engine.systems import System
from tests.simulation.oracle import Oracle


class LateListings(Listings):
    """Every listing is read when it begins, and taken in when dice say so; when nothing is troubled, at once."""

    def __init__(
        self,
        store: Any,
        clock: Callable[[], datetime],
        rng: Random,
        oracle: Oracle,
        troubled: Callable[[], bool],
        number: Callable[[], int],
    ) -> None:
        """number: of the cycle."""
        super().__init__(
            store, clock, seconds=0.0, hurried=lambda: True, over=lambda: False, start=lambda task, _name: task()
        )
        self._rng, self._oracle, self._troubled, self._number = rng, oracle, troubled, number
        self._handed: dict[str, list[Any]] = {}
        self._began: dict[str, int | None] = {}
        oracle.listed_in = {}

    def begin(self, systems: Sequence[System], cycle: str, *, sweep: bool) -> None:
        """What a listing shows counts as handed over when it is taken in."""
        for system in systems:
            if system.name in self.names:
                continue
            before = len(self._oracle.handed)
            super().begin([system], cycle, sweep=sweep)
            self._handed[system.name] = self._oracle.handed[before:]
            del self._oracle.handed[before:]
            self._began[system.name] = None if system.name in self._oracle.stale_since else self._number()

    def take(self, began: Collection[str], *, idle: bool, later: Collection[str] = ()) -> list[Listing]:
        """Each with a chance of one half."""
        del began, idle
        asked = [name for name in self.names if name not in later]
        chosen = [name for name in asked if not self._troubled() or self._rng.random() < 0.5]  # noqa: PLR2004
        for name in chosen:
            self._oracle.handed.extend(self._handed.pop(name))
        self._oracle.listed_in = {name: self._began[name] for name in chosen}
        return [self.pop(name) for name in chosen]


class Beside:
    """Tasks of which one runs at a time, like the rest of a life: each goes on when it is told to, and pauses where dice say so."""

    def __init__(self) -> None:
        self._tasks: list[_Task] = []
        self._running: _Task | None = None

    @property
    def at_work(self) -> int:
        """The number of the task that runs; 0 while none of them does."""
        return self._running.number if self._running is not None else 0

    def start(self, task: Callable[[], None], name: str) -> None:
        """Begin a task: it goes on until it pauses for the first time."""
        self._tasks = [each for each in self._tasks if not each.ended]
        self._tasks.append(_Task(task, name, next(_NUMBERS)))
        self.step(self._tasks[-1])

    def pushes(self, system: str) -> bool:
        """Whether a push of a system has paused."""
        return any(each.name == f"push-{system}" for each in self.waiting())

    def waiting(self) -> list[_Task]:
        """The tasks that have paused."""
        return [each for each in self._tasks if not each.ended] if self._running is None else []

    def step(self, task: _Task) -> None:
        """Let one task go on until it pauses or ends. Raises what ended it."""
        self._running = task
        try:
            task.step()
        finally:
            self._running = None

    def pause(self) -> None:
        """The task that runs pauses here."""
        if self._running is not None:
            self._running.pause()

    def die(self) -> None:
        """Every task ends where it is."""
        for each in self._tasks:
            each.end()
        self._tasks.clear()


_NUMBERS = count(1)


class Ended(BaseException):
    """A task ends where it is, for its process died."""


class _Task:
    """A thread that runs only while somebody waits for it."""

    def __init__(self, work: Callable[[], None], name: str, number: int) -> None:
        self.name, self.number = name, number
        self.ended = False
        self._work = work
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._dies = False
        self._raised: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised again by `step`
            self._raised = error
        self.ended = True
        self._back.release()

    def step(self) -> None:
        self._go.release()
        self._back.acquire()
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def pause(self) -> None:
        self._back.release()
        self._go.acquire()
        if self._dies:
            raise Ended

    def end(self) -> None:
        self._dies = True
        if not self.ended:
            with suppress(Ended):
                self.step()


class LatePushes(Pushes):
    """Pushes that pause between any two steps and go on in other cycles; when nothing is troubled, they end at once."""

    def __init__(self, beside: Beside, rng: Random, troubled: Callable[[], bool]) -> None:
        super().__init__(seconds=0.0, start=beside.start)
        self._beside, self._rng, self._troubled = beside, rng, troubled

    def wait(self, began: Collection[str], patience: Patience) -> None:
        """Each goes on for as many steps as dice say."""
        del began, patience
        for task in self._beside.waiting():
            while not task.ended and (not self._troubled() or self._rng.random() < 0.6):  # noqa: PLR2004
                self._beside.step(task)

    def idle(self) -> None:
        """Time passes in the cycles of a life only."""

    def join(self) -> None:
        """All go on until they end."""
        for task in self._beside.waiting():
            while not task.ended:
                self._beside.step(task)
