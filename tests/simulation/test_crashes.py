"""Syncd dies at points of small lives; `make simulate` dies at all of them."""

from __future__ import annotations

import pytest

from tests.simulation.crashes import SCENARIOS, die_at, points_of

EVERY = 40
"""Of the points of a scenario one in so many is a test here."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crash_at_any_point_ends_as_if_there_had_been_none(scenario: str) -> None:
    """Whatever syncd was doing when it died: nothing is lost, doubled or invented, and a person has nothing to do."""
    points = range(1 + len(scenario) % EVERY, points_of(scenario) + 1, EVERY)
    assert [found for number in points if (found := die_at((scenario, number)))[2] is not None] == []
    assert len(points) >= 10


@pytest.mark.parametrize("number", range(204, 210))
def test_an_unanswered_value_is_remembered_beside_a_later_one(number: int) -> None:
    """A value whose answer was lost is no edit, also where a later value was about to be sent when syncd died."""
    assert die_at(("twins", number))[2] is None


@pytest.mark.parametrize("number", [40, 120, 200, 280])
def test_a_crash_leaves_the_real_store_whole(number: int) -> None:
    """The same on SQLite, where a crash is a connection that is never committed."""
    assert die_at(("late commits", number), store="sqlite")[2] is None
