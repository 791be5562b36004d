"""A long life in a short time: `python -m tests.system.soak MINUTES` (`make soak MINUTES=60`).

The real service, at short intervals, beside people who edit, systems that fail, files that change, commands that look on. In the first part
it is restarted and killed again and again; in the second one process lives through everything, and its memory, threads and open files
must stay flat, and what its store gained is told by table. At the end the faults stop, and the judge of the system tests must find
nothing wrong. Writes a page to build/soak.md.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

from syncd.sandbox import start
from tests.system.judge import judge
from tests.system.launcher import ROOT, Launcher, environment
from tests.system.place import Place

CLIENTS = 60
TICK_SECONDS = 0.5
SAMPLE_SECONDS = 5.0
RESTARTING_SHARE = 0.3
"""Of the whole time; the rest is one process's life."""
WARM_UP_SHARE = 0.25
"""Of that life; what it loads and caches first is no leak."""
MEMORY_MARGIN_MIB = 8.0
MEMORY_MARGIN_SHARE = 0.06
FILES_MARGIN = 6
THREADS_MARGIN = 6

EDITS: dict[str, Callable[[str], dict[str, Any]]] = {
    "books": lambda word: {"city": word},
    "lsp": lambda word: {"address": {"city": word}},
    "erp": lambda word: {"addressCity": word},
}
FAULTS: list[dict[str, Any]] = [
    {"effect": "status", "status": 500, "times": 3},
    {"effect": "status", "status": 429, "retry_after": 1, "times": 2},
    {"effect": "status", "status": 401, "times": 1},
    {"effect": "reset", "times": 2},
    {"effect": "truncate", "times": 2},
    {"effect": "stall", "seconds": 2, "times": 1},
    {"effect": "drip", "seconds": 3, "times": 1},
    {"effect": "html", "times": 1},
    {"effect": "short_page", "times": 1},
    {"effect": "close", "phase": "after_commit", "times": 1},
]


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment. seconds: since the soak began. store_mib, wal_mib: the database, and the log of writes beside it."""

    seconds: float
    memory_mib: float
    files: int
    threads: int
    store_mib: float
    wal_mib: float
    log_mib: float
    cycles: int


@dataclass(slots=True)
class Told:
    """What happened and what was measured."""

    counts: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    one_life_from: float = 0.0
    tables: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    """Table -> rows and bytes (its indexes included), when the one life began and when it ended."""

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


class Service:
    """`python -m syncd run` as people start it."""

    def __init__(self, place: Place, port: int) -> None:
        self.place = place
        self.port = port
        self.cycles_before = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "syncd", "--config", str(self.place.config), "run"]
        log = (self.place.folder / "stderr").open("ab")
        with log:
            self._process = subprocess.Popen(words, cwd=self.place.folder, env=environment(), stderr=log)
        for _ in range(600):
            with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                return
            time.sleep(0.1)
        message = "the service does not answer"
        raise AssertionError(message)

    def end(self, number: int) -> int:
        assert self._process is not None
        self.cycles_before += self._cycles()
        self._process.send_signal(number)
        return self._process.wait(20)

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def _cycles(self) -> int:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("syncd_cycles_total"):
                    return int(float(line.rpartition(" ")[2]))
        return 0

    def sample(self, seconds: float) -> Sample:
        assert self._process is not None
        root = Path(f"/proc/{self._process.pid}")
        status = dict(line.split(":", 1) for line in (root / "status").read_text().splitlines())
        state = self.place.folder / "state"
        wal = sum(path.stat().st_size for path in state.glob("demo.*-wal"))
        store = sum(path.stat().st_size for path in state.glob("demo.*")) - wal
        log = sum(path.stat().st_size for path in (state / "log").glob("*"))
        return Sample(
            seconds=seconds,
            memory_mib=int(status["VmRSS"].split()[0]) / 1024,
            files=len(list((root / "fd").iterdir())),
            threads=int(status["Threads"]),
            store_mib=store / 1024**2,
            wal_mib=wal / 1024**2,
            log_mib=log / 1024**2,
            cycles=self.cycles_before + self._cycles(),
        )


class World:
    """People at work, systems that fail, files that change."""

    def __init__(self, place: Place, rng: Random, told: Told) -> None:
        self.place = place
        self.rng = rng
        self.told = told
        self._names = iter(range(1_000_000))
        self._ids = {system: self._listed(system) for system in EDITS}

    def _listed(self, system: str) -> list[str]:
        return [str(raw.get("id") or raw["@id"].rpartition("/")[2]) for raw in self.place.records(system)]

    def tick(self) -> None:
        """What happens in half a second."""
        for chance, act in (
            (0.5, self.edit),
            (0.06, self.fault),
            (0.02, self.create),
            (0.01, self.touch),
            (0.02, self.look),
        ):
            if self.rng.random() < chance:
                act()
                self.told.count(act.__name__)

    def edit(self) -> None:
        """Somebody types another city, now and then two people at once."""
        system = self.rng.choice(list(EDITS))
        number = self.rng.randrange(len(self._ids[system]))
        for name in {system, self.rng.choice([system, system, *EDITS])}:
            if number < len(self._ids[name]):
                with suppress(LookupError, ValueError):
                    self.place.edit(name, self._ids[name][number], EDITS[name](f"Ville {next(self._names)}"))

    def fault(self) -> None:
        """A system fails for a request or two."""
        rule = dict(self.rng.choice(FAULTS))
        effect = rule.pop("effect")
        self.place.sandbox.fault(
            effect, provider=self.rng.choice(["tiime", "lsp_expert", "smartbills", "flowtly"]), **rule
        )

    def create(self) -> None:
        """A new client in LSP.expert."""
        number = next(self._names)
        raw = {
            "name": f"Nouveau client {number}",
            "contacts": [{"name": f"Nouveau {number}", "email": f"n{number}@nouveau.example"}],
        }
        with suppress(LookupError, ValueError):
            self.place.create("lsp", raw)

    def touch(self) -> None:
        """The tenant's file changes: another interval."""
        file = self.place.config / "tenants" / "demo.toml"
        text = file.read_text()
        for old, new in (('poll = "1s"', 'poll = "900ms"'), ('poll = "900ms"', 'poll = "1s"')):
            if old in text:
                file.write_text(text.replace(old, new))
                return

    def look(self) -> None:
        """Somebody looks on."""
        self.place.run(self.rng.choice(["status", "holds", "conflicts", "outbox"]), "--json", code=None)

    def forget_reads(self) -> None:
        """Drop what the sandbox remembers of readings, which the judge does not ask for; it is our own memory."""
        world = self.place.sandbox.world
        with world.lock:
            world.journal[:] = [entry for entry in world.journal if entry.method != "GET"]


def tables(place: Place) -> dict[str, tuple[int, int]]:
    """Rows and bytes of every table of the store, each with its indexes."""
    file = place.folder / "state" / "demo.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as connection:
        sizes = dict(
            connection.execute(
                "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) GROUP BY tbl_name"
            ).fetchall()
        )
        return {
            name: (connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0], size)  # noqa: S608 - its own tables
            for name, size in sizes.items()
        }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def soak(minutes: float, seed: int, folder: Path) -> tuple[Told, list[str]]:
    """Live for so many minutes; what was measured, and what is wrong."""
    told, rng = Told(), Random(seed)  # noqa: S311 - it has to be repeatable
    port = free_port()
    service_keys = {
        "web": {"listen": f"127.0.0.1:{port}"},
        "log": {"level": "info", "format": "json", "file": "state/log/syncd.jsonl"},
    }
    wide = {"count": 10_000, "share": 1.0}
    more = {
        "brakes": dict.fromkeys(("deletes", "clears", "overwrites"), wide)
        | {"write_budget": {"writes": 1000, "cycles": 10}},
        "retention": {"walks": "1d"},
    }
    with start(seed=seed, clients=CLIENTS) as sandbox, Launcher() as launcher:
        place = Place(
            launcher, sandbox, folder, poll="1s", more=more, service=service_keys,
            timing={"create_settle": "2s", "stale_read": "0s", "confirm_delete_after": "1s"},
        )  # fmt: skip
        place.sync(code=None)
        world, service = World(place, rng, told), Service(place, port)
        service.start()
        for _ in _moments(minutes * 60, world, service, told, rng):
            pass
        told.tables.append(tables(place))
        sandbox.clear_faults()
        time.sleep(5)
        wrong = [] if (code := service.end(signal.SIGTERM)) == 0 else [f"the service ended with {code}"]
        time.sleep(3)
        place.sync("--cycles", "20", code=None)
        wrong += [line for line in judge(place, rest=False) if not is_of_the_soak(line)]
    return told, [*wrong, *leaks(told)]


def is_of_the_soak(line: str) -> bool:
    """Whether the judge speaks of what these edits and faults do by themselves.

    Requests that were cut, notes (which have no row of their own in the outbox), and phones that are read in another country since
    somebody typed another city.
    """
    return line.startswith(("violation", "intent: POST /client-notes")) or " phone in " in line


def _moments(seconds: float, world: World, service: Service, told: Told, rng: Random) -> Iterator[None]:
    began = time.monotonic()
    sampled = restarted = 0.0
    while (now := time.monotonic() - began) < seconds:
        world.tick()
        if now < seconds * RESTARTING_SHARE:
            if now - restarted > max(seconds * RESTARTING_SHARE / 12, 10):
                restarted = now
                number = rng.choice([signal.SIGTERM, signal.SIGKILL])
                service.end(number)
                service.start()
                told.count("restart" if number == signal.SIGTERM else "kill")
        elif told.one_life_from == 0.0:
            told.one_life_from = now
            told.tables.append(tables(world.place))
        if now - sampled > SAMPLE_SECONDS:
            sampled = now
            told.samples.append(service.sample(now))
            world.forget_reads()
            if rng.random() < 0.05:
                service.reload()
                told.count("reload")
        time.sleep(TICK_SECONDS)
        yield


def leaks(told: Told) -> list[str]:
    """What grew in the life of the one process, from the quarter after its warm-up to its last quarter."""
    life = [sample for sample in told.samples if sample.seconds >= told.one_life_from]
    warm = life[int(len(life) * WARM_UP_SHARE) :]
    if len(warm) < 8:
        return ["too short to tell whether anything grows: soak for some minutes"]
    quarter = len(warm) // 4
    first, last = warm[:quarter], warm[-quarter:]
    found = []
    for name, margin in (("memory_mib", MEMORY_MARGIN_MIB), ("files", FILES_MARGIN), ("threads", THREADS_MARGIN)):
        before, after = (statistics.median(getattr(each, name) for each in part) for part in (first, last))
        allowed = max(margin, before * MEMORY_MARGIN_SHARE) if name == "memory_mib" else margin
        if after - before > allowed:
            found.append(f"{name} grew from {before:.1f} to {after:.1f}")
    return found


def gains(told: Told) -> list[str]:
    """What the store gained in the life of the one process, by table, the largest first."""
    if len(told.tables) < 2:
        return []
    before, after = told.tables
    grown = {
        name: (rows - before.get(name, (0, 0))[0], size - before.get(name, (0, 0))[1], rows)
        for name, (rows, size) in after.items()
    }
    lines = ["| table | rows gained | KiB gained | rows at the end |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {more} | {size / 1024:.0f} | {rows} |"
        for name, (more, size, rows) in sorted(grown.items(), key=lambda item: -item[1][1])
        if more or size
    ]
    return [*lines, ""]


def page(told: Told, wrong: list[str], minutes: float, seed: int) -> str:
    """The table, some twenty moments of it."""
    lines = [
        f"# Soak: {minutes:g} minutes, seed {seed}",
        "",
        "| minute | memory MiB | files | threads | store MiB | WAL MiB | log MiB | cycles |",
    ]
    lines.append("| ---: " * 8 + "|")
    step = max(len(told.samples) // 20, 1)
    lines += [
        f"| {each.seconds / 60:.1f} | {each.memory_mib:.1f} | {each.files} | {each.threads} | {each.store_mib:.2f} | {each.wal_mib:.2f} | {each.log_mib:.2f} | {each.cycles} |"
        for each in told.samples[::step]
    ]
    happened = ", ".join(f"{count} x {what}" for what, count in sorted(told.counts.items()))
    lines += ["", f"One process lives from minute {told.one_life_from / 60:.1f} on. What happened: {happened}.", ""]
    lines += gains(told)
    lines += [f"* wrong: {line}" for line in wrong] or ["Nothing was wrong at the end, and nothing grew."]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Soak, print the table and keep it."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.soak", description="A long life in a short time.")
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="syncd-soak-") as folder:
        told, wrong = soak(asked.minutes, asked.seed, Path(folder) / "place")
    text = page(told, wrong, asked.minutes, asked.seed)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "soak.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
