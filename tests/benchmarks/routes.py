"""From a value back to its cause, at 100,000 clients: `python -m tests.benchmarks.routes [CLIENTS]`.

A tenant with four systems and a history (edits, conflicts, writes) is made by the service itself on the sandbox; then its store is
multiplied by SQL, table by table, each copy with ids of its own, and a full log (60 MiB) is laid beside it. Each route is a whole command
as somebody types it, start-up included, three times; told are the median, and the CPU time of that run. BENCH_KEEP names a folder
that is kept, and used again if it is there.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from syncd import report
from syncd.config import load
from syncd.report.history import history
from syncd.report.trace import why
from syncd.sandbox import start
from syncd.tenant import open_tenant
from tests.system.launcher import Launcher, environment
from tests.system.place import Place

TEMPLATE: Final = 100
RUNS: Final = 3
LIMIT_SECONDS: Final = 1.0
LOG_FILES: Final = 6
LOG_BYTES: Final = 10 * 1024**2
NUMBERED: Final = {
    "clients": ("client", "c"),
    "changes": ("change", "g"),
    "conflicts": ("conflict", "k"),
    "writes": ("write", "w"),
}
"""Table -> its id and the id's letter; `number` is beside it."""


def template(folder: Path) -> None:
    """A tenant whose clients were linked, edited twice and disagreed upon once."""
    service = {"log": {"level": "info", "format": "json", "file": "state/log/syncd.jsonl"}}
    with start(seed=1, clients=TEMPLATE) as sandbox, Launcher() as launcher:
        place = Place(launcher, sandbox, folder, service=service)
        place.sync(code=None)
        for turn in range(3):
            for system, key in (("books", "city"), ("erp", "addressCity")):
                for raw in place.records(system)[turn :: 7 if system == "books" else 14]:
                    record = str(raw.get("id") or raw["@id"].rpartition("/")[2])
                    place.edit(system, record, {key: f"Ville {turn} {system}"})
            place.sync(code=None)


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def copied(table: str, names: list[str]) -> str:
    """The statement that copies a table's rows once per number of `copies`, ids and keys moved out of each other's way."""
    shown = dict.fromkeys(names, "")
    for name in names:
        shown[name] = name
    if "client" in shown:
        shown["client"] = "CASE WHEN client IS NULL THEN NULL ELSE 'c' || (substr(client, 2) + copy * :step) END"
    for name in ("external_id", "merged_into", "key", "winner_key"):
        if name in shown and table != "meta":
            shown[name] = f"{name} || '-' || copy"
    if table == "match_keys":
        shown["value"] = "value || '-' || copy"
    if table in NUMBERED:
        own, letter = NUMBERED[table]
        shown["number"] = "number + copy * :step"
        shown[own] = f"'{letter}' || (number + copy * :step)"
    if "seq" in shown:
        del shown["seq"]
    listed = ", ".join(f'"{name}"' for name in shown)
    return f"INSERT INTO {table} ({listed}) SELECT {', '.join(shown.values())} FROM {table}, copies"  # noqa: S608


def multiply(file: Path, times: int) -> None:
    """Fill a store with so many copies of what is in it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")
        step = 1 + max(
            connection.execute(f"SELECT coalesce(max(number), 0) FROM {table}").fetchone()[0]  # noqa: S608
            for table in NUMBERED
        )
        connection.execute("CREATE TEMP TABLE copies (copy INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO copies VALUES (?)", ((number,) for number in range(1, times)))
        tables = (
            "clients",
            "records",
            "payloads",
            "match_keys",
            "links",
            "standings",
            "changes",
            "conflicts",
            "writes",
            "audit",
        )
        for table in tables:
            connection.execute(copied(table, columns(connection, table)), {"step": step})
        for table, (_, letter) in NUMBERED.items():
            top = connection.execute(f"SELECT max(number) FROM {table}").fetchone()[0]  # noqa: S608
            connection.execute("UPDATE counters SET value = ? WHERE kind = ?", (top, letter))
        connection.execute("PRAGMA journal_mode = WAL")


def fill_log(folder: Path) -> None:
    """As much log as the service keeps, of lines that it wrote, about other cycles and clients in every copy."""
    file = folder / "syncd.jsonl"
    written = file.read_bytes()
    for number in range(1, LOG_FILES):
        copies = LOG_BYTES // len(written)
        whole = b"".join(
            re.sub(rb'("c[a-z]+": ?"[yc])([0-9]+")', rb"\g<1>%d\2" % (number * copies + copy), written)
            for copy in range(1, copies)
        )
        (folder / f"{file.name}.{number}").write_bytes(whole)


def facts(file: Path) -> dict[str, Any]:
    """What the routes are asked about: a client with a decided conflict in the middle of the store, and ids that belong to it."""
    with closing(sqlite3.connect(file)) as connection:
        count = connection.execute("SELECT count(*) FROM clients").fetchone()[0]
        middle = connection.execute("SELECT number FROM clients ORDER BY number LIMIT 1 OFFSET ?", (count // 2,))
        (client,) = connection.execute(
            "SELECT client FROM conflicts WHERE substr(client, 2) + 0 > ? ORDER BY number LIMIT 1",
            middle.fetchone(),
        ).fetchone()
        system, record = connection.execute(
            "SELECT system, external_id FROM links WHERE client = ? AND system = 'books'", (client,)
        ).fetchone()
    return {"clients": count, "client": client, "record": f"{system}/{record}"}


def routes(about: Mapping[str, Any]) -> dict[str, list[str]]:
    """What somebody types who wants to know where a value comes from."""
    client, record = about["client"], about["record"]
    return {
        "a field of a client": ["why", client, "address"],
        "every field of a client": ["why", client],
        "a record's field": ["why", record, "address"],
        "what happened to a client": ["history", client],
        "the record's client, all sides": ["show", record],
        "a client's conflicts": ["conflicts", "--client", client],
        "open conflicts": ["conflicts", "--open", "--limit", "20"],
        "the last writes": ["outbox", "--state", "done", "--limit", "20"],
        "what was not written": ["outbox"],
        "what waits for a person": ["holds"],
        "a client in the log": ["log", "--client", "c7001"],
        "a cycle in the log": ["log", "--cycle", "y1502"],
        "clients, the first page": ["clients", "--limit", "20"],
        "how everything stands": ["status"],
    }


def timed(folder: Path, words: list[str]) -> tuple[float, float, int]:
    """Seconds on the clock, seconds of CPU, and lines told, of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "--config", str(folder / "config"), *words],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in {0, 1} or (done.returncode and not done.stdout):
        message = f"{words}: {done.stderr[-500:]}"
        raise AssertionError(message)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, cpu, len(done.stdout.splitlines())


def inside(folder: Path, about: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The same questions asked of an open store, as the page of a running service asks them: seconds of the first and of the next time."""
    loaded = load(folder / "config")
    client = str(about["client"])
    with open_tenant(loaded.service, loaded.tenants[0]) as one:
        store, systems = one.store, one.engine.systems
        asked: dict[str, Callable[[], object]] = {
            "why, a field": lambda: why(store, one.name, client, "address", systems),
            "why, every field": lambda: why(store, one.name, client, None, systems),
            "history": lambda: history(store, one.name, client),
            "show": lambda: report.show(store, one.name, client, systems),
            "outbox": lambda: list(report.outbox(store, one.name, limit=20)),
        }
        return {name: (clocked(ask), clocked(ask)) for name, ask in asked.items()}


def clocked(ask: Callable[[], object]) -> float:
    """Seconds that a question takes."""
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def main() -> int:
    """Make the store unless it is there, time every route, print the table; 1 where a route takes longer than it may."""
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="syncd-routes-") as temporary:
        folder = Path(os.environ.get("BENCH_KEEP", temporary)) / "place"
        file = folder / "state" / "demo.db"
        if not file.exists():
            template(folder)
            multiply(file, clients // TEMPLATE)
            fill_log(folder / "state" / "log")
        about = facts(file)
        lines = [
            f"{about['clients']:,} clients, a store of {file.stat().st_size / 1024**3:.1f} GiB",
            "",
            "| from | command | seconds | of CPU | lines |",
            "|---|---|---:|---:|---:|",
        ]
        slow = []
        for name, words in {"(starting at all)": ["--version"], **routes(about)}.items():
            runs = [timed(folder, words) for _ in range(RUNS)]
            seconds, cpu = (statistics.median(each[index] for each in runs) for index in (0, 1))
            if min(cpu, seconds) > LIMIT_SECONDS:
                slow.append(name)
            lines.append(f"| {name} | `syncd {' '.join(words)}` | {seconds:.2f} | {cpu:.2f} | {runs[0][2]} |")
        lines += ["", "| asked of an open store | first, ms | again, ms |", "|---|---:|---:|"]
        lines += [
            f"| {name} | {1000 * first:.0f} | {1000 * again:.0f} |"
            for name, (first, again) in inside(folder, about).items()
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(json.dumps({"slow": slow}) + "\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
