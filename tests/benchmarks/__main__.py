"""`python -m tests.benchmarks`, which is `make bench`: syncd beside loops by hand, and peers where they are installed.

`python -m tests.benchmarks reading` measures pulls and cycles alone and renews their part of the page.
`python -m tests.benchmarks PART` measures one of the others alone and renews its section: `memory`, `matching`, `cluster` (workers on one
PostgreSQL database), `waiting` (systems that take their time), `serving` (writes, an edit on its way, a hundred tenants) or `paint` (the
first paint of the operator's page in Chromium). Each is the module of that name.

Environment: BENCH_CLIENTS (20,000), BENCH_PAGE (1,000), BENCH_RUNS (3), BENCH_CYCLE (clients of each of four linked systems;
a quarter of BENCH_CLIENTS), BENCH_PEER_CLIENTS (BENCH_CLIENTS; fewer where a peer takes many times as long for many), BENCH_PEERS (Pythons of other environments, with
colons between them, in which the scripts of `peers` find what they compare with; the page tells how to make them, and a peer that none of them
has is left out with a line that says so), BENCH_WRITE (where to write the page, docs/benchmarks.md).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.benchmarks import cluster, matching, memory, paint, serving, waiting
from tests.benchmarks.compared import Found, peers
from tests.benchmarks.page import page_of
from tests.benchmarks.picture import FILE, drawn, lines_of
from tests.benchmarks.place import ROOT, machine, renewed, server, watched
from tests.benchmarks.subjects import Task

PAGE: Final = Path(os.environ.get("BENCH_WRITE", str(ROOT / "docs" / "benchmarks.md")))
PHASES: Final = ("first", "again", "churn")
FLOORS: Final = ("floor-page", "floor-record")
OWN: Final = ("syncd-pull", "syncd-cycle", "syncd-pull-postgresql", "syncd-cycle-postgresql")

Figures = dict[str, Any]


def told(subject: str, command: list[str]) -> Figures | None:
    """What a measurement prints last, or None where it cannot run here."""
    code, written, complained, peak = watched(command)
    if code:
        why = (complained.strip().splitlines() or [f"it ended with {code}"])[-1]
        print(f"{subject} is left out: {why}", file=sys.stderr)  # noqa: T201
        return None
    figures: Figures = json.loads(written.strip().splitlines()[-1])
    return {**figures, "peak_mb": max(figures["peak_mb"], peak)}


def task(subject: str, phase: str, url: str, database: str, clients: int, page: int) -> str:
    """One measurement as the child takes it."""
    folder = database.removeprefix("sqlite:///")
    return msgspec.json.encode(Task(subject, phase, url, folder, clients, page, database)).decode()


@contextmanager
def folder() -> Iterator[str]:
    """The URL of SQLite in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as path:
        yield f"sqlite:///{path}"


def run(subject: str, command: list[str], clients: int, page: int) -> dict[str, Figures] | None:
    """All three phases of one subject on an empty folder, each phase a process of its own."""
    found: dict[str, Figures] = {}
    on = cluster.database if subject.endswith("-postgresql") else folder
    with on() as database, server(clients, page) as url:
        for phase in PHASES:
            urllib.request.urlopen(f"{url}/phase/{'churn' if phase == 'churn' else 'first'}").close()  # noqa: S310
            figures = told(subject, [*command, task(subject, phase, url, database, clients, page)])
            if figures is None:
                return None
            found[phase] = figures
    return found


def medians(runs: list[dict[str, Figures]]) -> dict[str, Figures]:
    """Each figure of each phase as the median over the runs."""
    return {
        phase: {key: statistics.median(each[phase][key] for each in runs) for key in runs[0][phase]} for phase in PHASES
    }


def commands(found: list[Found]) -> dict[str, list[str]]:
    """How each subject is started."""
    own = [sys.executable, "-m", "tests.benchmarks.subjects"]
    return {**dict.fromkeys((*FLOORS, *OWN), own), **{each.peer.subject: each.command for each in found}}


def profiles(clients: int, page: int) -> dict[str, str]:
    """Where the time goes when nothing has changed, and at first sight."""
    found = {}
    with folder() as database, server(clients, page) as url:
        for phase in ("first", "again"):
            given = task("syncd-pull", phase, url, database, clients, page)
            command = [sys.executable, "-m", "tests.benchmarks.subjects", given, "profile"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            found[phase] = done.stdout
    return found


def reading() -> str:
    """The part of the page about reading and deciding, measured now."""
    clients = int(os.environ.get("BENCH_CLIENTS", "20000"))
    page = int(os.environ.get("BENCH_PAGE", "1000"))
    cycle = int(os.environ.get("BENCH_CYCLE", str(clients // 4)))
    times = int(os.environ.get("BENCH_RUNS", "3"))
    sizes = {"peer": int(os.environ.get("BENCH_PEER_CLIENTS", str(clients)))}
    runs: dict[str, list[dict[str, Figures]]] = {}
    began, compared = machine(), peers()
    for _ in range(times):  # in turns, so that a busy minute of the machine touches every subject
        for name, command in commands(compared).items():
            found = run(name, command, sizes.get(name.partition("-")[0], cycle if "cycle" in name else clients), page)
            if found is not None:
                runs.setdefault(name, []).append(found)
    figures = {name: medians(each) for name, each in runs.items()}
    names = {each.peer.subject: each.name for each in compared}
    return page_of(figures, names, profiles(clients, page), f"{datetime.now(UTC):%Y-%m-%d}", began, page, times)


def others(page: str) -> str:
    """What of the page was measured by other parts of this command, as it is."""
    return page[min(place for part in PARTS.values() if (place := page.find(f"\n{part.TITLE}\n")) >= 0) :]


def write(text: str) -> None:
    """Print the page and keep it, with its picture."""
    print(text)  # noqa: T201 - it is what was asked for
    PAGE.write_text(text, encoding="utf-8")
    PAGE.with_name(FILE).write_text(drawn(lines_of(text)), encoding="utf-8")


PARTS: Final = {
    "memory": memory,
    "matching": matching,
    "cluster": cluster,
    "waiting": waiting,
    "serving": serving,
    "paint": paint,
}
"""The sections behind the first, in order."""

if sys.argv[1:] == ["reading"]:
    write(reading() + others(PAGE.read_text(encoding="utf-8")))
elif sys.argv[1:]:
    part = PARTS[sys.argv[1]]
    write(renewed(PAGE.read_text(encoding="utf-8"), part.TITLE, part.section()))
else:
    write("\n".join([reading(), *(f"{part.section().rstrip()}\n" for part in PARTS.values())]))
