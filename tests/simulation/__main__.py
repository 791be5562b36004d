"""Run many seeds: `python -m tests.simulation SEEDS [START [JOBS]]`. Every failure prints its seed, its plan and its timeline."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter

from tests.simulation.life import Life
from tests.simulation.oracle import Violation
from tests.simulation.plan import make_plan


def silence() -> None:
    """No log lines: the timeline tells more, and a line costs more than what it tells of."""
    logging.disable(logging.CRITICAL)


def one(seed: int) -> tuple[int, str | None, Counter[str]]:
    """Live one seed: what was violated, if anything, and some figures."""
    life = Life(make_plan(seed))
    found: str | None = None
    try:
        life.run()
    except Violation as error:
        found = f"violation: {error}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be reported with its seed
        found = "".join(traceback.format_exception(error)[-6:])
    figures = Counter(
        seeds=1,
        cycles=life.cycle_number,
        edits=len(life.oracle.edits),
        writes=life.oracle.writes,
        points=life.points,
        crashes=life.crashes,
        window_losses=len(life.oracle.window),
    )
    return seed, found, figures


def timeline(seed: int) -> str:
    """The plan of a seed and everything that happened."""
    life = Life(make_plan(seed))
    try:
        life.run()
    except Exception as error:  # noqa: BLE001
        life.tell(f"!! {type(error).__name__}: {error}")
    life.events.extend(remains(life))
    plan = life.plan
    head = [
        f"seed {seed}: {dict(plan.characters)} pages {dict(plan.page_sizes)} troubles {sorted(plan.troubles)}",
        f"modes {dict(plan.modes)} on_delete {[each.on_delete for each in plan.policy.systems]}",
        f"fields {plan.policy.fields} brakes {plan.policy.brakes} timing {plan.policy.timing} {plan.policy.first_run}",
    ]
    return "\n".join([*head, *life.events])


def remains(life: Life) -> list[str]:
    """What the store holds at the end of a life, one line per row."""
    with life.open().reading() as tx:
        clients = tx.clients()
        links = tx.links_of([row.client for row in clients])
        return [
            "",
            *(f"{row.client} {row.state.value} {row.fields} {row.origins}" for row in clients),
            *(
                f"link {each.client} {each.system}/{each.external_id} {each.state.value} {each.bases}"
                for mine in links.values()
                for each in mine
            ),
            *(
                f"{row.conflict} {row.client} {row.unit} {row.status.value} {row.winner} {row.candidates}"
                for row in tx.conflicts()
            ),
            *(f"{row.hold} {row.kind.value} {row.state.value} {row.decided_by} {row.items}" for row in tx.holds(None)),
            *(
                f"{row.write} {row.client} {row.system}/{row.external_id} {row.action.value} {row.state.value} {row.fields} {row.error}"
                for row in tx.writes()
            ),
            *(f"standing {row.client} {row.system} {row.state.value} {row.reason}" for row in tx.standings()),
        ]


def main(arguments: list[str]) -> int:
    """Run the seeds; 0 if none was violated."""
    silence()
    if arguments[:1] == ["show"]:
        sys.stdout.write(timeline(int(arguments[1])) + "\n")
        return 0
    seeds, start, jobs = (
        (int(text) for text in [*arguments, "1000", "1", "0"][:3]) if len(arguments) < 3 else map(int, arguments[:3])
    )
    jobs = jobs or os.cpu_count() or 1
    began = time.monotonic()
    figures: Counter[str] = Counter()
    failed: list[tuple[int, str]] = []
    with multiprocessing.Pool(jobs, initializer=silence) as pool:
        for seed, found, counted in pool.imap_unordered(one, range(start, start + seeds), chunksize=4):
            figures += counted
            if found is not None:
                failed.append((seed, found))
                sys.stdout.write(f"seed {seed}: {found}\n")
                sys.stdout.flush()
    seconds = time.monotonic() - began
    if failed and os.environ.get("TIMELINE"):
        sys.stdout.write(timeline(min(failed)[0]) + "\n")
    sys.stdout.write(
        f"{dict(figures)} failed={len(failed)} {seconds:.0f} s {seeds / seconds / jobs:.1f} seeds/s/core\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
