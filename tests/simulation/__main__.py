"""Run many seeds: `python -m tests.simulation SEEDS [START [JOBS]]`; `--store sqlite`: on the real store, `--workers 3`: as in a cluster.

`--late`, `--slow`: with systems that take long to list, or to write. Every failure prints its seed; `python -m tests.simulation show SEED [--workers N] [--joins] [--late] [--slow]` its plan and its timeline.
"""

from __future__ import annotations

import argparse
import functools
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


def one(
    seed: int,
    store: str = "ledger",
    workers: int = 1,
    joins: bool | None = None,
    *,
    late: bool = False,
    slow: bool = False,
) -> tuple[int, str | None, Counter[str]]:
    """Live one seed: what was violated, if anything, and some figures."""
    life = Life(make_plan(seed, joins=joins), store=store, workers=workers, late=late, slow=slow)
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
        merges=life.joiner.merges,
        unmerges=life.joiner.unmerges,
        aparts=life.joiner.parted,
        merged_inside=len(life.oracle.absorbed),
    )
    return seed, found, figures


def timeline(seed: int, workers: int = 1, joins: bool | None = None, *, late: bool = False, slow: bool = False) -> str:
    """The plan of a seed and everything that happened."""
    life = Life(make_plan(seed, joins=joins), workers=workers, late=late, slow=slow)
    try:
        life.run()
    except Exception as error:  # noqa: BLE001
        life.tell(f"!! {type(error).__name__}: {error}")
    life.events.extend(remains(life))
    plan = life.plan
    head = [
        f"seed {seed}: {dict(plan.characters)} pages {dict(plan.page_sizes)} troubles {sorted(plan.troubles)}",
        f"joins {sorted(plan.joins)} merges {plan.policy.merges}",
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
            *(f"{row.merge} {row.losers} into {row.winner} {row.state.value} ({row.reason})" for row in tx.merges()),
            *(f"standing {row.client} {row.system} {row.state.value} {row.reason}" for row in tx.standings()),
        ]


def show(arguments: list[str]) -> int:
    """Print what happened in the life of one seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation show", description="Tell one life.")
    parser.add_argument("seed", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--joins", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--late", action="store_true")
    parser.add_argument("--slow", action="store_true")
    asked = parser.parse_args(arguments)
    sys.stdout.write(timeline(asked.seed, asked.workers, asked.joins, late=asked.late, slow=asked.slow) + "\n")
    return 0


def main(arguments: list[str]) -> int:
    """Run the seeds; 0 if none was violated."""
    silence()
    if arguments[:1] == ["show"]:
        return show(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Live many seeds, and judge them.")
    parser.add_argument("seeds", type=int, nargs="?", default=1000, help="how many")
    parser.add_argument("start", type=int, nargs="?", default=1, help="the first")
    parser.add_argument("jobs", type=int, nargs="?", default=0, help="processes; 0: one per core")
    parser.add_argument("--store", choices=("ledger", "sqlite"), default="ledger", help="in memory, or the real one")
    parser.add_argument("--workers", type=int, default=1, help="processes that share each tenant, as in a cluster")
    joins = {"action": argparse.BooleanOptionalAction, "default": None}
    parser.add_argument(
        "--joins", help="people say who is one client in each life, or in none; else in every third", **joins
    )
    parser.add_argument("--late", action="store_true", help="lists are taken in some cycles after they were read")
    parser.add_argument("--slow", action="store_true", help="writes take several cycles")
    parser.add_argument("--until-failure", action="store_true", help="stop at the first violation")
    asked = parser.parse_args(arguments)
    jobs = asked.jobs or os.cpu_count() or 1
    began = time.monotonic()
    figures: Counter[str] = Counter()
    failed: list[int] = []
    live = functools.partial(
        one, store=asked.store, workers=asked.workers, joins=asked.joins, late=asked.late, slow=asked.slow
    )
    with multiprocessing.Pool(jobs, initializer=silence) as pool:
        for seed, found, counted in pool.imap_unordered(live, range(asked.start, asked.start + asked.seeds), 4):
            figures += counted
            if found is not None:
                failed.append(seed)
                sys.stdout.write(f"seed {seed}: {found}\n")
                sys.stdout.flush()
                if asked.until_failure:
                    break
    seconds = time.monotonic() - began
    if failed and os.environ.get("TIMELINE"):
        sys.stdout.write(timeline(min(failed), asked.workers, asked.joins, late=asked.late, slow=asked.slow) + "\n")
    rate = figures["seeds"] / seconds / jobs
    sys.stdout.write(f"{dict(figures)} failed={len(failed)} {seconds:.0f} s {rate:.1f} seeds/s/core\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
