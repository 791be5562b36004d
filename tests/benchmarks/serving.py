"""The service at work, against the sandbox: writes, an edit on its way, a hundred tenants. `python -m tests.benchmarks serving`.

The sandbox runs in this process, syncd in processes of its own, whose CPU time alone is told.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from syncd.sandbox import Sandbox, start, write_config
from tests.benchmarks.place import machine
from tests.system.launcher import environment
from tests.system.place import PROVIDER

TITLE: Final = "## The service at work"
RUNS: Final = 3
CLIENTS: Final = 600
"""Of the sandbox; four in ten are in both systems whose writes are measured."""

RATE: Final = 20
"""Requests in a second that the tenant's file allows while the lane is measured."""

POLL_SECONDS: Final = 5
EDITS: Final = 40
"""Edits that are followed to the other system, in turns in each of two."""

EDITED: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "lsp": lambda town: {"address": {"city": town}},
    "erp": lambda town: {"addressCity": town},
}
"""What somebody types to change a town, by system."""

TENANTS: Final = 100
TENANTS_POLL: Final = "1h"
WATCHED: Final = ("books", "receipts")
IDLE_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 120.0
BRAKES: Final = {"brakes": {"overwrites": {"count": 1_000_000, "share": 1.0}}}
"""Somebody who edits everything at once is not held back here."""


Command = list[str]


def syncd(folder: Path, *words: str) -> Command:
    """The command line of a syncd over a folder."""
    return [sys.executable, "-m", "syncd", "--config", str(folder / "config"), *words]


def spent(command: Command, folder: Path) -> float:
    """Seconds of CPU, user and system, of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def place(clients: int, **config: Any) -> Iterator[tuple[Sandbox, Path]]:
    """A sandbox, and a tenant of it whose clients are in sync."""
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as root, start(seed=7, clients=clients) as sandbox:
        folder = Path(root)
        write_config(sandbox, folder, **config)
        subprocess.run(
            syncd(folder, "sync", "--until-quiet"), cwd=folder, env=environment(), check=False, capture_output=True
        )
        yield sandbox, folder


def rows(sandbox: Sandbox, system: str) -> list[dict[str, Any]]:
    """The records of a system."""
    return sandbox.records(PROVIDER[system])


def edit_all(sandbox: Sandbox, system: str, field: str, number: int) -> int:
    """Somebody edits a field of every record; how many there are."""
    found = rows(sandbox, system)
    for count, row in enumerate(found):
        sandbox.edit(PROVIDER[system], str(row["id"]), {field: f"+3314{number:02d}{count:06d}"})
    return len(found)


def writing() -> tuple[float, int]:
    """Milliseconds of CPU that one write costs, from deciding it to the observed answer, and how many there were in a run."""
    found = []
    with place(CLIENTS, systems=("lsp", "receipts"), more=BRAKES) as (sandbox, folder):
        for number in range(RUNS):
            quiet = spent(syncd(folder, "sync"), folder)
            sandbox.clear_journal()
            edit_all(sandbox, "receipts", "phone", number)
            sandbox.clear_journal()
            busy = spent(syncd(folder, "sync"), folder)
            writes = len(sandbox.journal("lsp_expert", writes=True))
            if writes < CLIENTS // 4:
                raise SystemExit(f"only {writes} writes")
            found.append((busy - quiet) / writes * 1000)
    return statistics.median(found), writes


def lane() -> float:
    """The share of its configured rate at which a lane works while writes wait."""
    found = []
    slow = {**BRAKES, "systems.lsp": {"requests_per_second": RATE}}
    with place(CLIENTS // 2, systems=("lsp", "receipts"), more=slow) as (sandbox, folder):
        for number in range(RUNS):
            edit_all(sandbox, "receipts", "phone", 50 + number)
            sandbox.clear_journal()
            spent(syncd(folder, "sync"), folder)
            entries = sandbox.journal("lsp_expert")
            first = next(at for at, each in enumerate(entries) if each["committed"])
            times = [each["at"] for each in entries[first:]]
            found.append((len(times) - 1) / (times[-1] - times[0]) / RATE)
    return statistics.median(found)


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service over a folder, ended by SIGTERM."""
    with subprocess.Popen(syncd(folder, "run"), cwd=folder, env=environment(), stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def until(truth: Callable[[], bool], what: str) -> None:
    """Wait until something is true."""
    began = time.monotonic()
    while not truth():
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise SystemExit(f"not within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.01)


def on_its_way() -> list[float]:
    """Seconds from an edit in one system until the other shows it, at moments that have nothing to do with the poll."""
    chance = random.Random(3)
    found = []
    with place(40, poll=f"{POLL_SECONDS}s", systems=tuple(EDITED)) as (sandbox, folder):
        told = subprocess.run(
            syncd(folder, "clients", "--json"), cwd=folder, env=environment(), check=True, capture_output=True
        )
        records = [
            {link["system"]: link["external_id"] for link in each["links"]}
            for each in json.loads(told.stdout)["clients"]
        ]
        both = [each for each in records if each.keys() == EDITED.keys()]
        with running(folder):
            time.sleep(3 * POLL_SECONDS)
            for number in range(EDITS):
                time.sleep(chance.uniform(0, POLL_SECONDS))
                record, town = chance.choice(both), f"Ville {number} {chance.randrange(10**6)}"
                source, target = sorted(EDITED, reverse=bool(number % 2))
                sandbox.edit(PROVIDER[source], record[source], EDITED[source](town))
                began = time.monotonic()
                shown = partial(shows, sandbox, target, record[target], town)
                until(shown, f"{town} from {source} in {target}")
                found.append(time.monotonic() - began)
    return sorted(found)


def shows(sandbox: Sandbox, system: str, external_id: str, value: str) -> bool:
    """Whether a record of a system holds a value, in whichever field."""
    return value in str(sandbox.record(PROVIDER[system], external_id))


def jiffies(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: subprocess.Popen[bytes]) -> float:
    """MiB of memory that a process has now."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def tenants() -> dict[str, float]:
    """A hundred tenants: seconds to the first poll and to the last first one, the share of a core that they cost at rest, and memory."""
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as root, start(seed=7, clients=20) as sandbox:
        folder = Path(root)
        for number in range(TENANTS):
            # They all have the same account: none of them writes what the others would then find.
            only = {f"systems.{name}": {"mode": "observe"} for name in WATCHED}
            write_config(sandbox, folder, f"t{number:03d}", poll=TENANTS_POLL, systems=WATCHED, more=only)
        subprocess.run(
            syncd(folder, "sync", "--until-quiet"), cwd=folder, env=environment(), check=False, capture_output=True
        )
        sandbox.clear_journal()
        began = time.time()
        with running(folder) as process:

            def polls() -> list[float]:
                return [each["at"] for each in sandbox.journal("smartbills") if each["path"].endswith("/customers")]

            until(lambda: len(polls()) >= TENANTS, "every tenant was polled")
            times = polls()
            time.sleep(5)
            before = jiffies(process)
            time.sleep(IDLE_SECONDS)
            busy = (jiffies(process) - before) / IDLE_SECONDS
            return {"first": times[0] - began, "all": times[TENANTS - 1] - began, "busy": busy, "mb": resident(process)}


def section() -> str:
    """The section of the page, measured now."""
    began = machine()
    cost, writes = writing()
    share, way, many = lane(), on_its_way(), tenants()
    median, worst = statistics.median(way), way[-1]
    poll = POLL_SECONDS
    return f"""{TITLE}

Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m tests.benchmarks serving` ({began}), on the simulated systems, which share the machine.

| what | found | aim |
|---|---|---|
| a write: deciding, the record read just before, the answer taken in; {writes} in a command, median of {RUNS}, less the command without them | {cost:.1f} ms of CPU | 5 ms |
| a lane that may make {RATE} requests a second, while writes wait | {share:.1%} of its rate | 95 % |
| from an edit in one system until the other shows it, polled every {poll} s, {len(way)} edits: median | {median:.1f} s | {poll / 2 + 1:.1f} s |
| the same: the slowest | {worst:.1f} s | {poll + 3} s |
| {TENANTS} tenants of two systems: from the start of the process to the first poll | {many["first"]:.1f} s | 3 s |
| the same: until every tenant was polled | {many["all"]:.1f} s | |
| the same, in a minute in which no poll is due | {many["busy"]:.1%} of a core | 1 % |
| the same | {many["mb"]:.0f} MiB | 150 MiB |
"""
