"""`python -m tests.benchmarks`, which is `make bench`: syncd beside loops by hand, and peers where they are installed.

`python -m tests.benchmarks reading` measures pulls and cycles alone and renews their part of the page.
`python -m tests.benchmarks matching` measures matching alone and renews its section of the page; see `matching.py`.
`python -m tests.benchmarks cluster` does the same for workers on one PostgreSQL database; see `cluster.py`.
`python -m tests.benchmarks waiting` does the same for systems that take their time; see `waiting.py`.
`python -m tests.benchmarks paint` does the same for the first paint of the operator's page in Chromium; see `paint.py`.

Environment: BENCH_CLIENTS (20,000), BENCH_PAGE (1,000), BENCH_RUNS (3), BENCH_CYCLE (clients of each of four linked systems;
a quarter of BENCH_CLIENTS), BENCH_PEERS (a Python of another environment, in which `peers/*.py` find what they compare with,
such as `dlt[sqlalchemy]`; a peer whose import fails is left out), BENCH_WRITE (where to write the page, docs/benchmarks.md).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import cluster, matching, paint, waiting
from tests.benchmarks.page import page_of
from tests.benchmarks.place import ROOT, machine, server

HERE: Final = Path(__file__).parent
PAGE: Final = Path(os.environ.get("BENCH_WRITE", str(ROOT / "docs" / "benchmarks.md")))
PHASES: Final = ("first", "again", "churn")
FLOORS: Final = ("floor-page", "floor-record")

Figures = dict[str, Any]


def told(command: list[str]) -> Figures | None:
    """What a measurement prints last, or None where it cannot run here."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode, file=sys.stderr)  # noqa: T201
        return None
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def task(subject: str, phase: str, url: str, folder: str, clients: int, page: int) -> str:
    """One measurement as the child takes it."""
    names = ("subject", "phase", "url", "folder", "clients", "page")
    return json.dumps(dict(zip(names, (subject, phase, url, folder, clients, page), strict=True)))


def run(subject: str, command: list[str], clients: int, page: int) -> dict[str, Figures] | None:
    """All three phases of one subject on an empty folder, each phase a process of its own."""
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder, server(clients, page) as url:
        for phase in PHASES:
            urllib.request.urlopen(f"{url}/phase/{'churn' if phase == 'churn' else 'first'}").close()  # noqa: S310
            figures = told([*command, task(subject, phase, url, folder, clients, page)])
            if figures is None:
                return None
            found[phase] = figures
    return found


def medians(runs: list[dict[str, Figures]]) -> dict[str, Figures]:
    """Each figure of each phase as the median over the runs."""
    return {
        phase: {key: statistics.median(each[phase][key] for each in runs) for key in runs[0][phase]} for phase in PHASES
    }


def commands() -> dict[str, list[str]]:
    """How each subject is started."""
    own = [sys.executable, "-m", "tests.benchmarks.subjects"]
    found = dict.fromkeys((*FLOORS, "syncd-pull", "syncd-cycle"), own)
    python = os.environ.get("BENCH_PEERS")
    if python:
        found.update({f"peer-{path.stem}": [python, str(path)] for path in sorted((HERE / "peers").glob("*.py"))})
    return found


def profiles(clients: int, page: int) -> dict[str, str]:
    """Where the time goes when nothing has changed, and at first sight."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder, server(clients, page) as url:
        for phase in ("first", "again"):
            given = task("syncd-pull", phase, url, folder, clients, page)
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
    runs: dict[str, list[dict[str, Figures]]] = {}
    began = machine()
    for _ in range(times):  # in turns, so that a busy minute of the machine touches every subject
        for name, command in commands().items():
            found = run(name, command, cycle if name == "syncd-cycle" else clients, page)
            if found is not None:
                runs.setdefault(name, []).append(found)
    figures = {name: medians(each) for name, each in runs.items()}
    return page_of(figures, profiles(clients, page), f"{datetime.now(UTC):%Y-%m-%d}", began, page, times)


def others(page: str) -> str:
    """What of the page was measured by other parts of this command, as it is."""
    return page[page.index(f"\n{matching.TITLE}\n") :]


def write(text: str) -> None:
    """Print the page and keep it."""
    print(text)  # noqa: T201 - it is what was asked for
    PAGE.write_text(text, encoding="utf-8")


if sys.argv[1:] == ["matching"]:
    write(matching.renewed(PAGE.read_text(encoding="utf-8"), matching.section()))
elif sys.argv[1:] == ["cluster"]:
    write(cluster.renewed(PAGE.read_text(encoding="utf-8"), cluster.section()))
elif sys.argv[1:] == ["reading"]:
    write(reading() + others(PAGE.read_text(encoding="utf-8")))
elif sys.argv[1:] == ["waiting"]:
    write(waiting.renewed(PAGE.read_text(encoding="utf-8"), waiting.section()))
elif sys.argv[1:] == ["paint"]:
    write(paint.renewed(PAGE.read_text(encoding="utf-8"), paint.section()))
else:
    write(f"{reading()}\n{matching.section()}\n{cluster.section()}\n{waiting.section()}\n{paint.section()}")
