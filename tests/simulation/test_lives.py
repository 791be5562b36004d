"""Whole lives of a tenant, in process: seeded people, faults, crashes and operators, judged by an oracle of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.__main__ import one, timeline

SEEDS = 60
"""How many lives the ordinary suite runs; `make simulate SEEDS=N` runs more."""


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", [*range(1, SEEDS + 1), 6000575, 7000871, 7003429])
def test_a_life_keeps_every_promise(seed: int) -> None:
    """Nothing is lost, doubled, invented or deleted by mistake, whatever happens; and it is quiet in the end."""
    _, violation, figures = one(seed)
    assert violation is None, f"{violation}\n{timeline(seed)[-6000:]}"
    assert figures["cycles"] > 0


@pytest.mark.parametrize("seed", [7, 21, 39])
def test_a_life_on_the_real_store_is_the_same_life(seed: int) -> None:
    """The store in memory that most lives are lived on behaves as the one on disk: the same cycles, writes and points."""
    on_disk = one(seed, "sqlite")
    assert on_disk[1] is None
    assert on_disk == one(seed)


@pytest.mark.parametrize("seed", range(101, 121))
def test_a_life_among_workers_keeps_every_promise(seed: int) -> None:
    """Three processes take turns with the tenant, as in a cluster, each for the systems that are due: the same promises."""
    _, violation, _ = one(seed, workers=3)
    assert violation is None, f"{violation}\n{timeline(seed, 3)[-6000:]}"


@pytest.mark.parametrize("seed", [*range(201, 221), 4000228, 4000251, 4000412])
def test_a_life_of_slow_systems_keeps_every_promise(seed: int) -> None:
    """Lists are taken in cycles after they were read, when much has been written since: the same promises."""
    _, violation, _ = one(seed, late=True)
    assert violation is None, f"{violation}\n{timeline(seed, late=True)[-6000:]}"


@pytest.mark.parametrize("seed", [4300018, 4300033, 4300048, 4300285, 4500383, 4500390, 4500393])
def test_a_life_of_merges_and_slow_systems_keeps_every_promise(seed: int) -> None:
    """Clients are merged while lists are on their way that were read before: the same promises."""
    _, violation, _ = one(seed, joins=True, late=True)
    assert violation is None, f"{violation}\n{timeline(seed, joins=True, late=True)[-6000:]}"


@pytest.mark.parametrize("seed", range(301, 321))
def test_a_life_of_slow_writes_keeps_every_promise(seed: int) -> None:
    """Writes take several cycles, in which people type, other systems write and syncd dies: the same promises."""
    _, violation, _ = one(seed, slow=True)
    assert violation is None, f"{violation}\n{timeline(seed, slow=True)[-6000:]}"


@pytest.mark.parametrize("seed", [9440055, 9440094])
def test_a_life_of_merges_and_slow_writes_keeps_every_promise(seed: int) -> None:
    """Records are merged, and get other ids, while writes that were sent before are on their way: the same promises."""
    _, violation, _ = one(seed, joins=True, slow=True)
    assert violation is None, f"{violation}\n{timeline(seed, joins=True, slow=True)[-6000:]}"


KEPT = (
    2431,
    520360,
    521356,
    900037,
    900057,
    900160,
    900226,
    900325,
    900545,
    900622,
    900956,
    901063,
    901473,
    902095,
    902491,
    902668,
    902834,
    902889,
    903067,
    903167,
    3000513,
    3006488,
    3013625,
    3014166,
    3014502,
    3016510,
    3019628,
    7000135,
    7000350,
    7001263,
    7001486,
    7001727,
    7001833,
    7002354,
    9200067,
    9301070,
    9410244,
    9501630,
    9502298,
    9601962,
    9602521,
    9620379,
    9610075,
)
"""Lives in which people say who is one client, and in which something once was lost, doubled or undone."""


@pytest.mark.parametrize("seed", KEPT)
def test_a_life_of_merges_keeps_every_promise(seed: int) -> None:
    """Merges and what takes them back lose, double and undo nothing that somebody typed around them."""
    _, violation, figures = one(seed, joins=True)
    assert violation is None, f"{violation}\n{timeline(seed, joins=True)[-6000:]}"
    assert figures["cycles"] > 0
