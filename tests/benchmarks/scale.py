"""How many tenants how many workers carry, on paper: a simulated day's hour of turns. `python -m tests.benchmarks.scale`.

A worker has one core (Python runs one thread at a time) and so many slots; a cycle takes a slot for the time its systems take to
answer, and the core for the CPU it costs. Turns are handed out once a second, oldest first; a system is due its interval, with jitter,
after it was due before, or when its cycle has ended, whichever is later. Costs are given, as measured by `make bench`.
"""

from __future__ import annotations

import heapq
import random
import sys
from dataclasses import dataclass
from typing import Final

TENANTS: Final = (100, 1_000, 3_000, 10_000)
WORKERS: Final = (1, 4, 16, 64)
SPAN_SECONDS: Final = 3600.0
TICK_SECONDS: Final = 1.0
JITTER_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one quiet cycle: seconds of CPU, of waiting for the systems. slots: cycles at a time in a worker. poll: seconds between turns."""

    cpu: float
    waiting: float
    slots: int = 8
    poll: float = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """late: seconds from due to done, at the median and at the 99th percentile. busy: share of the workers' cores in use."""

    median: float
    late: float
    busy: float


def simulate(tenants: int, workers: int, costs: Costs, seed: int = 1) -> Found:
    """One hour; the first half is not counted, in which what was due at once spreads out."""
    chance = random.Random(seed)
    due = [(chance.uniform(0, costs.poll), tenant) for tenant in range(tenants)]
    heapq.heapify(due)
    slots = [(0.0, worker) for worker in range(workers) for _ in range(costs.slots)]
    heapq.heapify(slots)
    core = [0.0] * workers
    lateness: list[float] = []
    used = 0.0
    while due:
        at, tenant = heapq.heappop(due)
        if at > SPAN_SECONDS:
            break
        free, worker = heapq.heappop(slots)
        begins = max(free, at - at % TICK_SECONDS + TICK_SECONDS)
        core[worker] = max(core[worker], begins) + costs.cpu
        ends = max(core[worker], begins + costs.cpu) + costs.waiting
        heapq.heappush(slots, (ends, worker))
        if at > SPAN_SECONDS / 2:
            lateness.append(ends - at)
            used += costs.cpu
        jitter = costs.poll * JITTER_SHARE
        heapq.heappush(due, (max(at + costs.poll + chance.uniform(-jitter, jitter), ends), tenant))
    lateness.sort()
    if not lateness:
        return Found(SPAN_SECONDS, SPAN_SECONDS, 1.0)
    return Found(
        lateness[len(lateness) // 2],
        lateness[int(len(lateness) * 0.99)],
        min(used / (SPAN_SECONDS / 2 * workers), 1.0),
    )


def table(costs: Costs) -> str:
    """Rows: tenants; columns: workers; cells: seconds from due to done at the 99th percentile, and how busy the cores are."""
    lines = [
        "| tenants | " + " | ".join(f"{workers} workers" for workers in WORKERS) + " |",
        "|---|" + "---|" * len(WORKERS),
    ]
    for tenants in TENANTS:
        cells = []
        for workers in WORKERS:
            found = simulate(tenants, workers, costs)
            lost = found.median > costs.poll / 2
            cells.append("falls behind" if lost else f"{found.late:.1f} s, {found.busy:.0%}")
        lines.append(f"| {tenants:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    cpu, waiting = (float(word) for word in sys.argv[1:3])
    print(table(Costs(cpu, waiting)))  # noqa: T201 - it is what was asked for
