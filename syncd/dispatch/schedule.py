"""When a system is due: the triggers of APScheduler, here for both ways of running."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.triggers.interval import IntervalTrigger

JITTER_SHARE: Final = 0.1
"""By how much of its interval a pull may be moved, so that many systems do not stay in step."""

SHORTEST_SECONDS: Final = 0.1


def trigger(poll_seconds: float) -> IntervalTrigger:
    """What says when to pull a system that is pulled every so many seconds."""
    interval = max(poll_seconds, SHORTEST_SECONDS)
    return IntervalTrigger(seconds=interval, jitter=interval * JITTER_SHARE, timezone=UTC)


def following(poll_seconds: float, due_at: datetime, now: datetime) -> datetime:
    """The first turn after `now` of a system that was due at `due_at`: the rhythm is kept, and turns that were missed are one."""
    interval = max(poll_seconds, SHORTEST_SECONDS)
    missed = max((now - due_at).total_seconds(), 0.0) // interval
    last = due_at + timedelta(seconds=missed * interval)
    found: datetime = trigger(poll_seconds).get_next_fire_time(last, now)
    return max(found, now)
