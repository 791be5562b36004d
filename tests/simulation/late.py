"""Listings that are taken in cycles after they were read, as those of slow systems are; everything in one thread, so that it repeats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from random import Random
from typing import Any

from syncd.engine.listing import Listing, Listings
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

    def take(self, began: Collection[str], *, idle: bool) -> list[Listing]:
        """Each with a chance of one half."""
        del began, idle
        chosen = [name for name in self.names if not self._troubled() or self._rng.random() < 0.5]  # noqa: PLR2004
        for name in chosen:
            self._oracle.handed.extend(self._handed.pop(name))
        self._oracle.listed_in = {name: self._began[name] for name in chosen}
        return [self.pop(name) for name in chosen]
