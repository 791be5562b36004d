"""What is measured: one phase of one subject in a process of its own, `python -m tests.benchmarks.subjects NAME PHASE ...`.

Each prints one line of JSON: clients, seconds of CPU and on the wall from the moment everything is imported, the peak of the
resident memory of the process, and what else it counted.
"""

from __future__ import annotations

import cProfile
import hashlib
import json
import logging
import os
import pstats
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from sqlalchemy import Engine as Database
from sqlalchemy import event

from syncd import footprint
from syncd.core.model import Context, Mode, Policy, SystemPolicy, Timing
from syncd.engine import Engine
from syncd.engine.pull import pull
from syncd.engine.systems import System
from syncd.providers import Settings
from syncd.store import Store, open_store, utc_now
from syncd.tenant import connect
from tests.benchmarks.place import own_peak

CYCLE_SYSTEMS: Final = 4
INSTANT: Final = Timing(0.0, 0.0, 0.0, 0.0)


class Task(msgspec.Struct, frozen=True):
    """One measurement. folder: where its state lies, kept from phase to phase; database: the same as syncd names it. url: the server's."""

    subject: str
    phase: str
    url: str
    folder: str
    clients: int
    page: int
    database: str


class Named(msgspec.Struct):
    """As much of a client as a loop needs that only looks whether it changed."""

    id: int


def pages(task: Task) -> Iterator[bytes]:
    """The bodies of a whole listing, by httpx as its documentation shows it."""
    with httpx.Client(base_url=task.url) as client:
        for first in range(0, task.clients, task.page):
            headers = {"Range": f"items={first}-{first + task.page - 1}"}
            yield client.get("/v1/companies/1/clients", headers=headers).content


def floor(task: Task, *, by_page: bool) -> dict[str, Any]:
    """A loop by hand: what differs from the digest that is known goes into one table as it came, in one transaction a page."""
    with sqlite3.connect(f"{task.folder}/floor.db", isolation_level=None) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE IF NOT EXISTS pages (page INTEGER PRIMARY KEY, digest BLOB)")
        base.execute("CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, digest BLOB, raw BLOB)")
        known_pages = dict(base.execute("SELECT page, digest FROM pages"))
        known = dict(base.execute("SELECT id, digest FROM records")) if not by_page else {}
        slices, named = msgspec.json.Decoder(list[msgspec.Raw]), msgspec.json.Decoder(Named)
        for number, body in enumerate(pages(task)):
            found = hashlib.blake2b(body, digest_size=16).digest() if by_page else b""
            if by_page and known_pages.get(number) == found:
                continue
            rows = []
            for raw in slices.decode(body):
                digest = hashlib.blake2b(raw, digest_size=16).digest()
                identity = named.decode(raw).id
                if known.get(identity) != digest:
                    rows.append((identity, digest, bytes(raw)))
            base.execute("BEGIN")
            base.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)
            base.execute("INSERT OR REPLACE INTO pages VALUES (?, ?)", (number, found))
            base.execute("COMMIT")
    base.close()
    return {}


def make_engine(task: Task, store: Store, systems: int) -> Engine:
    """A tenant whose systems are all Tiime, each a company of its own with the same clients in it."""
    names = [f"books{number}" for number in range(1, systems + 1)]
    policy = Policy(
        "bench",
        tuple(SystemPolicy(name, "tiime", Mode.SYNC) for name in names),
        {},
        Context("FR", "fr-FR"),
        first_run="go",
        timing=INSTANT,
        digest="bench",
    )
    providers = {
        name: connect(
            Settings(
                name,
                "tiime",
                base_url=f"{task.url}/v1",
                page_size=task.page,
                insecure_loopback=True,
                options={"company_id": number, "token": "bench"},
            )
        )[0]
        for number, name in enumerate(names, 1)
    }
    return Engine(policy, store, providers, clock=utc_now, sleep=time.sleep)


def syncd(task: Task, *, systems: int = 0) -> dict[str, Any]:
    """The product itself: one system pulled into the mirror, or (systems > 0) the whole cycle of so many linked systems."""
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(Database, "before_cursor_execute", count)
    store = open_store(task.database, f"bench{systems}")
    with store.hold_lock():
        engine = make_engine(task, store, systems or 1)
        engine._prepare()
        before = statements
        if systems:
            report = engine.cycle()
            outcomes = [each.walk for each in report.systems]
        else:
            system: System = engine.systems["books1"]
            outcomes = [pull(store, system, engine.policy, cycle="y1", clock=utc_now).outcome.value]
    store.close()
    if set(outcomes) != {"complete"}:
        raise SystemExit(f"{task.subject}: {outcomes}")
    return {"statements": statements - before}


SUBJECTS: Final[dict[str, Callable[[Task], dict[str, Any]]]] = {
    "floor-page": lambda task: floor(task, by_page=True),
    "floor-record": lambda task: floor(task, by_page=False),
    "syncd-pull": syncd,
    "syncd-cycle": lambda task: syncd(task, systems=CYCLE_SYSTEMS),
    "syncd-pull-postgresql": syncd,
    "syncd-cycle-postgresql": lambda task: syncd(task, systems=CYCLE_SYSTEMS),
}


def measured(task: Task, work: Callable[[Task], dict[str, Any]]) -> dict[str, Any]:
    """Do one phase and tell what it took."""
    before, began = os.times(), time.perf_counter()
    told = work(task)
    after, ended = os.times(), time.perf_counter()
    cpu = after.user + after.system - before.user - before.system
    return {"clients": task.clients, "cpu": cpu, "wall": ended - began, "peak_mb": own_peak(), **told}


def profiled(task: Task, folder: Path) -> str:
    """The functions in which a subject spends the most time of its own, as a table."""
    profiler = cProfile.Profile()
    profiler.runcall(SUBJECTS[task.subject], task)
    with (folder / "profile.txt").open("w") as file:
        pstats.Stats(profiler, stream=file).strip_dirs().sort_stats("tottime").print_stats(18)
    return (folder / "profile.txt").read_text()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    given = msgspec.json.decode(sys.argv[1], type=Task)
    footprint.settle()  # as the program does once it is loaded
    if sys.argv[2:] == ["profile"]:
        print(profiled(given, Path(given.folder)))  # noqa: T201 - it tells its parent
    else:
        print(json.dumps(measured(given, SUBJECTS[given.subject])))  # noqa: T201
