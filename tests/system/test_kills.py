"""kill -9 at some requests; `python -m tests.system.kills` does it at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.kills import VARIANTS, Stand
from tests.system.launcher import Launcher
from tests.system.scenarios import SCENARIOS

SAMPLE = {
    "first-run": (("after", 14), ("middle", 21)),
    "creates": (("twice", 17), ("before", 20)),
    "conflicts": (("after", 10), ("twice", 12)),
    "merges": (("after", 8), ("before", 12), ("middle", 15)),
    "unmerges": (("twice", 9), ("after", 11)),
}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_process_that_is_killed(launcher: Launcher, tmp_path: Path, name: str):
    """A run that was killed and started again ends as one that was not: nothing lost, doubled, or left for a person."""
    stand = Stand(launcher, SCENARIOS[name], tmp_path)
    try:
        assert stand.measure() == []
        for variant, k in SAMPLE[name]:
            assert variant in VARIANTS
            assert stand.kill(variant, k) == (True, [])
    finally:
        stand.close()


@pytest.mark.parametrize(
    "name, variant, k", [("creates", "twice", 15), ("merges", "after", 9), ("unmerges", "before", 8)]
)
def test_a_process_that_is_killed_on_postgresql(
    launcher: Launcher, tmp_path: Path, postgres: str, name: str, variant: str, k: int
):
    """The same on PostgreSQL: a lock of a dead process holds nobody up."""
    stand = Stand(launcher, SCENARIOS[name], tmp_path, postgres)
    try:
        assert stand.measure() == []
        assert stand.kill(variant, k) == (True, [])
    finally:
        stand.close()


def test_a_worker_that_is_killed(launcher: Launcher, tmp_path: Path, postgres: str):
    """The same in a cluster: another worker takes over what a dead one left, and it ends as without the death."""
    stand = Stand(launcher, SCENARIOS["creates"], tmp_path, postgres, workers=True)
    try:
        assert stand.measure() == []
        assert stand.kill("after", 17) == (True, [])
    finally:
        stand.close()
