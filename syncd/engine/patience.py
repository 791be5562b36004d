"""How long one cycle goes on sending before the others have their turn.

A system that takes half a minute for a write and has a hundred of them waiting would keep its tenant busy for an hour. So the service
gives a cycle's pushes some seconds; then no lane begins another write, what is left stays in the outbox, and the next cycle, which follows
at once, first pulls whatever became due meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final


@dataclass(slots=True)
class Patience:
    """Of one cycle. seconds: from its first push on; None for as long as it takes."""

    seconds: float | None
    clock: Callable[[], float] = time.monotonic
    _began: float | None = field(default=None, init=False)

    def begin(self) -> None:
        """A round of pushes begins; the first one counts."""
        if self._began is None:
            self._began = self.clock()

    @property
    def over(self) -> bool:
        """Whether no other write is to begin in this cycle."""
        return self.seconds is not None and self._began is not None and self.clock() - self._began >= self.seconds

    @property
    def remaining(self) -> float | None:
        """Seconds until it is over; None: it never is."""
        if self.seconds is None or self._began is None:
            return self.seconds
        return max(self.seconds - (self.clock() - self._began), 0.0)

    def over_or(self, stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Whether it is over or something else says so."""
        return lambda: self.over or stopped()


ENDLESS: Final = Patience(None)
