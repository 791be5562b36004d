"""Syncd dies at every point of some small lives, one life per point, and starts again from its file.

A point is each call of a connection, before and after its effect, and each end of a writing transaction, before and after its
commit. `python -m tests.simulation.crashes [--store sqlite] [SCENARIO ...]` dies at all of them.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import sys
import time
import traceback
from dataclasses import replace

from syncd.core.model import Mode
from tests.simulation.__main__ import silence
from tests.simulation.life import Life
from tests.simulation.oracle import Violation
from tests.simulation.plan import Plan, make_plan

SCENARIOS: dict[str, tuple[int, frozenset[str]]] = {
    "first run": (3, frozenset()),
    "edits during cycles": (5, frozenset({"edits_during"})),
    "deletes and archives": (8, frozenset({"deletes", "archives"})),
    "lost answers": (11, frozenset({"lost_answers", "edits_during"})),
    "late commits": (14, frozenset({"late_commits", "lost_answers"})),
    "failing writes": (17, frozenset({"write_faults", "rejections", "ignored_writes"})),
    "lists that lie": (20, frozenset({"lying_lists", "stale_lists", "deletes"})),
    "a person decides": (23, frozenset({"operator", "edits_during", "shortened"})),
    "twins": (26, frozenset({"twins", "edits_during", "lost_answers"})),
    "merge and unmerge": (60, frozenset({"archives"})),
    "merges inside systems": (37, frozenset({"lost_answers"})),
}
"""Name -> the seed of its tenant, and what goes wrong beside the crash."""

JOINS: dict[str, frozenset[str]] = {
    "merge and unmerge": frozenset({"by_hand", "unmerge"}),
    "merges inside systems": frozenset({"inside", "duplicates", "apart"}),
}
"""What people do there about who is one client."""

CLIENTS = 2
CYCLES = 3


def plan_of(scenario: str) -> Plan:
    """The small life that a scenario tells of."""
    seed, troubles = SCENARIOS[scenario]
    plan = make_plan(seed)
    systems = tuple(replace(each, mode=Mode.SYNC) for each in plan.policy.systems)
    return replace(
        plan,
        clients=CLIENTS,
        cycles=CYCLES,
        crashes=0,
        troubles=troubles,
        policy=replace(plan.policy, systems=systems, merges="auto" if scenario in JOINS else plan.policy.merges),
        modes=dict.fromkeys(plan.modes, Mode.SYNC),
        joins=JOINS.get(scenario, frozenset()),
    )


def points_of(scenario: str) -> int:
    """At how many points syncd can die in a scenario."""
    return Life(plan_of(scenario)).run().points


def die_at(point: tuple[str, int], store: str = "ledger") -> tuple[str, int, str | None]:
    """Live a scenario and die at one of its points, then go on from the file: what was violated, if anything."""
    scenario, number = point
    life = Life(plan_of(scenario), store=store, crash_at=number)
    found: str | None = None
    try:
        life.run()
    except Violation as error:
        found = f"violation: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be reported with its point
        found = "".join(traceback.format_exception(error)[-6:])
    if found is None and life.crashes != 1:
        found = f"syncd died {life.crashes} times"
    return scenario, number, found


def main(arguments: list[str]) -> int:
    """Die at every point of the scenarios; 0 if nothing was violated."""
    silence()
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.crashes", description="Die at every point.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--store", choices=("ledger", "sqlite"), default="ledger", help="in memory, or the real one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args(arguments)
    total = failed = 0
    with multiprocessing.Pool(asked.jobs, initializer=silence) as pool:
        for scenario in asked.scenarios or SCENARIOS:
            began = time.monotonic()
            points = [(scenario, number) for number in range(1, points_of(scenario) + 1)]
            found = [
                each for each in pool.imap_unordered(functools.partial(die_at, store=asked.store), points) if each[2]
            ]
            for _, number, what in sorted(found):
                sys.stdout.write(f"{scenario}, point {number}: {what}\n")
            total, failed = total + len(points), failed + len(found)
            seconds = time.monotonic() - began
            sys.stdout.write(f"{scenario}: {len(points)} points, {len(found)} violations, {seconds:.0f} s\n")
            sys.stdout.flush()
    sys.stdout.write(f"{total} points, {failed} violations\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
