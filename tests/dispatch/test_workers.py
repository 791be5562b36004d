"""Workers as processes: two of them, three tenants with systems of their own, one killed in the middle of a write, a database that restarts."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest

from syncd.sandbox import start, write_config
from tests.system.judge import judge
from tests.system.launcher import Child, Launcher
from tests.system.place import Place

LONG = os.environ.get("SYSTEM_TESTS") == "long"
TENANTS = ("north", "south", "west")
HOLDERS = 3
QUIET_SECONDS = 60.0
"""How long the death of a worker and a restart of PostgreSQL may cost."""


def until(truth: Callable[[], bool], what: str, seconds: float, why: Callable[[], Any] = str) -> float:
    """Wait until something is true; how long that took."""
    began = time.monotonic()
    while not truth():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what} {why()}"
        time.sleep(0.1)
    return time.monotonic() - began


def lines(child: Child) -> list[dict[str, Any]]:
    """What a worker has logged so far."""
    log = child.folder / "err"
    text = log.read_text(errors="replace") if log.exists() else ""  # a child that was just started has none yet
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


class Cluster:
    """Three tenants in one database, each with a sandbox of its own, and workers in one folder."""

    def __init__(self, launcher: Launcher, url: str, folder: Path, stack: ExitStack) -> None:
        self.launcher = launcher
        self.url = url
        self.folder = folder
        self.places = {
            name: Place(
                launcher, stack.enter_context(start(clients=3, seed=number)), folder, url, tenant=name, poll="1s"
            )
            for number, name in enumerate(TENANTS, 1)
        }

    def worker(self, *words: str) -> Child:
        """Start one more."""
        words = ("--config", str(self.folder / "config"), "worker", "--slots", "3", *words)
        return self.launcher.start(*words, cwd=self.folder)

    def quiet(self) -> bool:
        """Whether nothing is pending anywhere."""
        told = self.places[TENANTS[0]].run("status", "--json")
        return told.code == 0 and all(each["quiescent"] for each in told.json["tenants"])

    def everywhere(self, name: str) -> bool:
        """Whether each tenant's systems have a company of this name; Smartbills takes persons only."""
        return all(self.holders(place, name) == HOLDERS for place in self.places.values())

    def holders(self, place: Place, name: str) -> int:
        """How many records of this name a tenant's systems hold together."""
        return sum(
            name in json.dumps(row) for system in ("books", "lsp", "receipts", "erp") for row in place.records(system)
        )

    def standing(self, name: str) -> Any:
        """Where a client is, and what is not quiet, for the words of a failure."""
        held = {place.name: self.holders(place, name) for place in self.places.values()}
        told = self.places[TENANTS[0]].run("status", "--json").json
        return (
            held,
            told.get("cluster"),
            [(each["tenant"], each.get("reasons"), each.get("error")) for each in told["tenants"]],
        )

    def judged(self, place: Place, before: int) -> list[str]:
        """Every violation in one tenant, looked at without the others. before: the number of the last request before the kill."""
        folder = self.folder / f"judge-{place.name}"
        alone = Place(self.launcher, place.sandbox, folder, self.url, tenant=place.name, poll="1s")
        alone.sync()  # the stop may have cut a listing off, which is told as that
        return judge(alone, cut=range(before, place.now + 1), quiet=False)


@pytest.fixture
def cluster(launcher: Launcher, url: str, tmp_path: Path) -> Iterator[Cluster]:
    """Nobody works there yet."""
    with ExitStack() as stack:
        yield Cluster(launcher, url, tmp_path, stack)


def create_everywhere(cluster: Cluster, name: str) -> None:
    """A person creates a client in one system of every tenant."""
    for place in cluster.places.values():
        email = f"{name.split(maxsplit=1)[0].lower()}@quai.example"
        raw = {
            "name": name,
            "email": email,
            "city": "Brest",
            "country_id": 75,
            "postal_code": "29200",
            "address": "1 quai Sud",
        }
        place.create("books", raw)


def under_way(child: Child) -> bool:
    """Whether a worker has begun a write that is not over."""
    sent = [line for line in lines(child) if line["event"].startswith("write_")]
    writes = {(line["tenant"], line["write"]): line["event"] for line in sent if "write" in line}
    return "write_sending" in writes.values()


@pytest.mark.skipif(not LONG, reason="takes more than a minute: `make system` runs it")
@pytest.mark.timeout(280)
def test_a_killed_worker_and_a_restarted_database_lose_and_double_nothing(cluster: Cluster, server: Any) -> None:
    """Killed in the middle of a write, and PostgreSQL restarted: within 60 s everything is everywhere once, and the judge is content."""
    workers = [cluster.worker(), cluster.worker()]
    try:
        until(cluster.quiet, "the first cycles", 100)
        before = {name: place.now for name, place in cluster.places.items()}
        for place in cluster.places.values():
            for provider in ("lsp_expert", "flowtly"):
                place.sandbox.fault("stall", provider=provider, method="POST", seconds=1.5, times=2)
        create_everywhere(cluster, "Atelier du Quai")
        victim: list[Child] = []

        def one_writes() -> bool:
            victim.extend(worker for worker in workers if under_way(worker))
            return bool(victim)

        until(one_writes, "a write that is under way", 60)
        time.sleep(0.3)
        victim[0].kill()
        workers.remove(victim[0])
        took = until(
            lambda: cluster.everywhere("Atelier du Quai") and cluster.quiet(),
            "quiet after the kill",
            60,
            lambda: cluster.standing("Atelier du Quai"),
        )
        assert took <= QUIET_SECONDS

        create_everywhere(cluster, "Comptoir Nord")
        server.stop()
        time.sleep(1)
        server.start()
        took = until(
            lambda: cluster.everywhere("Comptoir Nord") and cluster.quiet(),
            "quiet after the restart",
            60,
            lambda: cluster.standing("Comptoir Nord"),
        )
        assert took <= QUIET_SECONDS
    finally:
        codes = []
        for worker in workers:
            began = time.monotonic()
            worker.signal(signal.SIGTERM)
            codes.append((worker.wait(20).code, time.monotonic() - began < 12))
    assert codes == [(0, True)]
    for name, place in cluster.places.items():
        assert (name, cluster.judged(place, before[name])) == (name, [])
        for client in ("Atelier du Quai", "Comptoir Nord"):
            assert cluster.holders(place, client) == HOLDERS


def test_two_workers_share_the_tenants_and_status_tells_them(cluster: Cluster) -> None:
    """Both take part, the log names the worker, a slow tenant delays no other, and a stop leaves no claim behind."""
    for provider in ("tiime", "lsp_expert"):
        cluster.places["north"].sandbox.fault("stall", provider=provider, method="GET", seconds=4, times=0)
    workers = [cluster.worker(), cluster.worker()]

    def cycles(tenant: str) -> int:
        return sum(
            line["event"] == "cycle_ended" and line["tenant"] == tenant for child in workers for line in lines(child)
        )

    until(lambda: cycles("south") >= 4 and cycles("west") >= 4, "cycles of the others", 60)
    assert cycles("north") <= 1
    told = cluster.places["south"].ask("status")["cluster"]
    assert (len(told["workers"]), told["tenants"]) == (2, 3)
    names = {line["worker"] for child in workers for line in lines(child) if line["event"] == "cycle_ended"}
    assert names <= {worker["worker"] for worker in told["workers"]}
    for worker in workers:
        worker.signal(signal.SIGTERM)
    assert [worker.wait(20).code for worker in workers] == [0, 0]
    with psycopg.connect(cluster.url) as connection:
        left = connection.execute("SELECT count(*) FROM syncd.procrastinate_jobs WHERE status = 'doing'").fetchone()
        assert left == (0,)


def test_a_folder_of_files_is_no_cluster(launcher: Launcher, tmp_path: Path) -> None:
    """With SQLite `worker` and `run --cluster` are refused as what they are, a fault of the configuration."""
    with start(clients=1) as sandbox:
        write_config(sandbox, tmp_path)
        for words in (["worker"], ["run", "--cluster"]):
            result = launcher.run("--config", str(tmp_path / "config"), *words, cwd=tmp_path)
            assert result.code == 2
            assert "database: found a folder of SQLite files" in result.err


@pytest.mark.timeout(150)
def test_a_worker_tells_its_health_and_figures(cluster: Cluster) -> None:
    """With --listen a worker answers /healthz, /readyz and /metrics, and nothing of the page; with SIGTERM it stops answering."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = int(door.getsockname()[1])
    worker = cluster.worker("--listen", f"127.0.0.1:{port}")

    def answer(path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as told:
                return told.status, told.read().decode()
        except HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    until(lambda: answer("/readyz")[0] == 200, "ready", 60)
    until(lambda: f'syncd_cycles_total{{tenant="{TENANTS[0]}"' in answer("/metrics")[1], "a cycle is counted", 60)
    assert answer("/healthz")[0] == 200
    assert json.loads(answer("/readyz")[1])["worker"].endswith(f"-{worker.pid}")
    assert answer("/")[0] == 404
    worker.signal(signal.SIGTERM)
    assert worker.wait(15).code == 0
    assert answer("/healthz")[0] == 0
