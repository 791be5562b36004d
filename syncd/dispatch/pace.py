"""The budgets of one account, kept in PostgreSQL: however many workers use it, together they stay within them.

Requests of one account go out evenly spaced, so that no second of any worker holds more than it may. The day is the last 24 hours,
counted in slices of five minutes, the oldest of them whole: never one request more than allowed, at worst a few minutes late.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Final

from syncd.errors import OutOfReach, RateLimited, StoreError
from syncd.store.cluster import Desk

PAUSE_LIMIT_SECONDS: Final = 24 * 3600.0


class SharedPace:
    """The same promises as `syncd.providers.pace.Pace`; the counts outlive the process."""

    def __init__(
        self,
        desk: Desk,
        account: str,
        *,
        requests_per_second: float | None,
        requests_per_day: int | None,
        stop: threading.Event,
        who: str,
    ) -> None:
        self._desk = desk
        self._account = account
        self._interval_seconds = 1 / requests_per_second if requests_per_second else 0.0
        self._per_day = requests_per_day
        self._counts = bool(requests_per_second or requests_per_day)
        self._stop = stop
        self._who = who
        self._pauses: dict[str, float] = {}

    def used_today(self) -> int | None:
        """Requests counted against the budget of the day by all workers, or None where there is none."""
        return None if self._per_day is None else self._desk.used_today(self._account)

    def pause(self, origin: str, seconds: float) -> None:
        """Let no request of any worker go to `origin` for so long: it said so with a 429."""
        self._pauses[origin] = max(self._pauses.get(origin, 0.0), time.monotonic() + seconds)
        if self._counts:
            with suppress(StoreError):  # this process keeps to it anyway
                self._desk.pause(self._account, origin, min(seconds, PAUSE_LIMIT_SECONDS))

    def wait(self, origin: str) -> None:
        """Return when a request may go to `origin`; see `Pace.wait`.

        Without the database nothing goes out: what nobody counts could be too much.
        """
        own = self._pauses.get(origin, 0.0) - time.monotonic()
        verdict, seconds = ("paused", own) if own > 0 else ("go", 0.0)
        if own <= 0 and self._counts:
            try:
                verdict, seconds = self._desk.take(self._account, origin, self._interval_seconds, self._per_day)
            except StoreError:
                message = f"{self._who}: the shared budgets cannot be asked"
                raise OutOfReach(message) from None
        if verdict == "paused":
            message = f"{self._who}: the system asked for a pause"
            raise RateLimited(message, retry_after_seconds=min(seconds, PAUSE_LIMIT_SECONDS))
        if verdict == "spent":
            message = f"{self._who}: the budget of {self._per_day} requests per day is used up"
            raise RateLimited(message, retry_after_seconds=min(seconds, PAUSE_LIMIT_SECONDS))
        if seconds > 0 and self._stop.wait(seconds):
            message = f"{self._who}: syncd is stopping"
            raise OutOfReach(message)

    def close(self) -> None:
        """Nothing is held; the counts stay."""
