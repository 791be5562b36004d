"""An engine on a real store and in-memory systems, with a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from syncd.core.model import Context, FieldPolicy, Mode, Policy, SystemPolicy, Timing
from syncd.engine import CycleReport, Engine
from syncd.engine.operate import Operator
from syncd.providers import Settings
from syncd.providers.memory import Memory, Profile, World, forget, world
from syncd.store import ClientRow, ConflictRow, HoldRow, Store, WriteRow, open_store

_NAMES = count(1)

INSTANT = Timing(0.0, 0.0, 0.0, 0.0)


@dataclass
class Rig:
    """A tenant with in-memory systems. `cycle` runs one cycle and lets some seconds pass."""

    folder: Path
    systems: tuple[SystemPolicy, ...]
    worlds: dict[str, World]
    policy: Policy
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    step_seconds: float = 10.0
    reports: list[CycleReport] = field(default_factory=list)

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """A fresh process on the same store."""
        store = open_store(f"sqlite:///{self.folder}", "rig", clock=self.clock)
        providers = {
            each.name: Memory(Settings(each.name, "memory", options={"world": self.worlds[each.name].name}))
            for each in self.systems
        }
        engine = Engine(self.policy, store, providers, clock=self.clock, sleep=self.wait, parallel=False)
        try:
            with store.hold_lock():
                yield engine
        finally:
            store.close()

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def cycle(self) -> CycleReport:
        self.wait(self.step_seconds)
        with self.engine() as engine:
            report = engine.cycle()
        self.reports.append(report)
        return report

    def settle(self, cycles: int = 6) -> list[CycleReport]:
        """Cycles until one sends nothing."""
        done = []
        for _ in range(cycles):
            done.append(self.cycle())
            if not writes(done[-1]):
                return done
        message = f"still writing after {cycles} cycles: {done[-1]}"
        raise AssertionError(message)

    def operate(self) -> Operator:
        return Operator(self.store(), self.clock, "tester")

    def store(self) -> Store:
        return open_store(f"sqlite:///{self.folder}", "rig", clock=self.clock)

    def clients(self) -> list[ClientRow]:
        store = self.store()
        with store.reading() as tx:
            found = tx.clients()
        store.close()
        return found

    def conflicts(self) -> list[ConflictRow]:
        store = self.store()
        with store.reading() as tx:
            found = tx.conflicts()
        store.close()
        return found

    def holds(self) -> list[HoldRow]:
        store = self.store()
        with store.reading() as tx:
            found = tx.holds()
        store.close()
        return found

    def matches(self) -> list[str]:
        """By what each record was linked."""
        store = self.store()
        with store.reading() as tx:
            links = tx.links_of([row.client for row in tx.clients()])
        store.close()
        return [link.matched_by for mine in links.values() for link in mine]

    def writes(self, *states: Any) -> list[WriteRow]:
        store = self.store()
        with store.reading() as tx:
            found = tx.writes(list(states))
        store.close()
        return found

    def change_policy(self, **changes: Any) -> None:
        self.policy = replace(self.policy, digest=f"{self.policy.digest}*", **changes)


def writes(report: CycleReport) -> int:
    return sum(each.writes for each in report.systems)


def make_rig(
    folder: Path,
    names: tuple[str, ...] = ("a", "b", "c"),
    *,
    profiles: Mapping[str, Profile] | None = None,
    fields: Mapping[str, FieldPolicy] | None = None,
    timing: Timing = INSTANT,
    **policy: Any,
) -> Rig:
    number = next(_NAMES)
    worlds = {}
    for name in names:
        forget(f"{name}-{number}")
        worlds[name] = world(f"{name}-{number}", (profiles or {}).get(name))
    systems = tuple(SystemPolicy(name, "memory", Mode.SYNC) for name in names)
    settings = Policy(
        "rig", systems, fields or {}, Context("FR", "fr-FR"), first_run="go", timing=timing, digest="0", **policy
    )
    return Rig(folder, systems, worlds, settings)
