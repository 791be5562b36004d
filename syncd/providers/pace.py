"""How fast one account may be called: so many requests per second, so many per day, and never inside a pause it asked for.

One `Pace` per connection, shared by all its threads. The windows slide (no burst at a window's edge); the counts live as
long as the process.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Final, Protocol

from pyrate_limiter import InMemoryBucket, Limiter, MonotonicClock, Rate, RateItem, SingleBucketFactory

from syncd.errors import OutOfReach, RateLimited

MILLISECONDS: Final = 1000
DAY_MILLISECONDS: Final = 24 * 3600 * MILLISECONDS
DAY_SECONDS: Final = 24 * 3600.0
_ITEM: Final = "request"


class Pacing(Protocol):
    """What lets requests go: `Pace` within one process, or something that several processes share."""

    def used_today(self) -> int | None:
        """Requests counted against the budget of the day (the last 24 hours), or None where there is none."""
        ...

    def pause(self, origin: str, seconds: float) -> None:
        """Let no request go to `origin` for so long: it said so with a 429."""
        ...

    def wait(self, origin: str) -> None:
        """Return when a request may go to `origin`.

        Raises `RateLimited` inside a pause and where the budget of the day is used up, `OutOfReach` when syncd stops.
        """
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class MakePacing(Protocol):
    """What makes one; `Pace` itself does."""

    def __call__(
        self, requests_per_second: float | None, requests_per_day: int | None, stop: threading.Event, who: str, /
    ) -> Pacing:
        """Budgets as the tenant's file or the provider says; `stop` interrupts every wait, `who` is the system's name."""
        ...


class _Window:
    """At most `limit` requests in any `interval_milliseconds`."""

    def __init__(self, limit: int, interval_milliseconds: int) -> None:
        self._bucket = InMemoryBucket([Rate(limit, interval_milliseconds)])
        # No leaker thread: the bucket is emptied of what has left the window whenever a request asks.
        self._limiter = Limiter(SingleBucketFactory(self._bucket, schedule_leak=False))
        self._clock = MonotonicClock()
        self._lock = threading.Lock()

    def take(self) -> float:
        """0 if the request may go now; else the seconds after which to ask again."""
        with self._lock:
            self._bucket.leak(self._clock.now())
            if self._limiter.try_acquire(_ITEM, blocking=False):
                return 0.0
            wait = self._bucket.waiting(RateItem(_ITEM, self._clock.now()))
            return max(int(wait) / MILLISECONDS, 0.001)  # type: ignore[arg-type]

    def used(self) -> int:
        with self._lock:
            self._bucket.leak(self._clock.now())
            return self._bucket.count()

    def close(self) -> None:
        self._limiter.close()


class Pace:
    """The budgets of one account. `stop` interrupts every wait."""

    def __init__(
        self, requests_per_second: float | None, requests_per_day: int | None, stop: threading.Event, who: str
    ) -> None:
        self._stop = stop
        self._who = who
        self._second: _Window | None = None
        if requests_per_second:
            whole = float(requests_per_second).is_integer()
            limit = int(requests_per_second) if whole else 1
            self._second = _Window(limit, math.ceil(limit * MILLISECONDS / requests_per_second))
        self._day_limit = requests_per_day
        self._day = _Window(requests_per_day or 1, DAY_MILLISECONDS) if requests_per_day else None
        self._pauses: dict[str, float] = {}

    def used_today(self) -> int | None:
        """Requests counted against the budget of the day (the last 24 hours), or None where there is none."""
        return None if self._day is None else self._day.used()

    def pause(self, origin: str, seconds: float) -> None:
        """Let no request go to `origin` for so long: it said so with a 429."""
        self._pauses[origin] = max(self._pauses.get(origin, 0.0), time.monotonic() + seconds)

    def wait(self, origin: str) -> None:
        """Return when a request may go to `origin`.

        Raises `RateLimited` inside a pause and where the budget of the day is used up, `OutOfReach` when syncd stops.
        """
        pause = self._pauses.get(origin, 0.0) - time.monotonic()
        if pause > 0:
            message = f"{self._who}: the system asked for a pause"
            raise RateLimited(message, retry_after_seconds=min(pause, DAY_SECONDS))
        while self._second is not None:
            seconds = self._second.take()
            if not seconds:
                break
            if self._stop.wait(seconds):
                message = f"{self._who}: syncd is stopping"
                raise OutOfReach(message)
        if self._day is not None and (seconds := self._day.take()):
            message = f"{self._who}: the budget of {self._day_limit} requests per day is used up"
            raise RateLimited(message, retry_after_seconds=min(seconds, DAY_SECONDS))

    def close(self) -> None:
        """Release the counters."""
        for window in (self._second, self._day):
            if window is not None:
                window.close()
