"""When a system is due next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from syncd.dispatch.lanes import next_turns
from syncd.dispatch.schedule import JITTER_SHARE, SHORTEST_SECONDS, following
from syncd.store.cluster import Turn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.floats(0.0, 86_400.0), st.floats(0.0, 1_000_000.0))
def test_the_next_turn_is_never_past_and_never_further_than_one_interval(poll: float, late: float) -> None:
    """However late a turn was taken, the next one lies between now and one interval, with its jitter, from now."""
    now = NOON + timedelta(seconds=late)
    found = following(poll, NOON, now)
    interval = max(poll, SHORTEST_SECONDS)
    assert now <= found <= now + timedelta(seconds=interval * (1 + JITTER_SHARE) + 1e-3)


@given(st.integers(0, 50))
def test_missed_turns_are_one(missed: int) -> None:
    """The rhythm is kept: what was due every minute is due at a whole minute again, give or take the jitter."""
    now = NOON + timedelta(seconds=60 * missed + 30)
    found = following(60, NOON, now)
    beyond = (found - NOON - timedelta(seconds=60 * (missed + 1))).total_seconds()
    assert abs(beyond) <= 60 * JITTER_SHARE + 1e-3


def test_systems_do_not_stay_in_step() -> None:
    """A hundred systems that were due at one moment are not due at one moment again."""
    assert len({following(300, NOON, NOON) for _ in range(100)}) > 90


def test_systems_of_a_tenant_stay_together() -> None:
    """Systems of one interval that were pulled in one cycle are due at one moment again, others at their own."""
    turns = [Turn(name, poll, NOON, NOON) for name, poll in (("books", 60.0), ("lsp", 60.0), ("erp", 300.0))]
    found = next_turns(turns)
    assert found["books"] == found["lsp"] < found["erp"]
