"""A tenant on a ledger in memory, over worlds in memory: fast enough to be lived hundreds of times, and to be killed at every point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from syncd.core.model import Context, Mode, Policy, SystemPolicy
from syncd.engine import Engine
from syncd.engine.operate import Operator
from syncd.providers import Settings
from syncd.providers.memory import Memory, Profile, Snapshot, World, forget, world
from tests.engine.rig import INSTANT
from tests.simulation.ledger import Disk, LedgerStore, LedgerTx

SYSTEMS = ("a", "b", "c")
CALM_CYCLES = 3


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Scene:
    """A tenant on a ledger, whose process dies at the point of a number. A copy begins where the original stands."""

    disk: Disk = field(default_factory=Disk)
    shots: Mapping[str, Snapshot] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    points: int = 0
    die_at: int = 0

    def copy(self) -> Scene:
        """The state of this moment, to begin from again and again."""
        self.shots = {name: self.world(name).snapshot() for name in SYSTEMS}
        return self.again()

    def again(self, die_at: int = 0) -> Scene:
        """A tenant in the state that was copied, whose process dies at a point."""
        disk = Disk()
        disk.tables.update(self.disk.tables)
        return Scene(disk, self.shots, self.profiles, self.now, die_at=die_at)

    def begin(self) -> None:
        for name in SYSTEMS:
            forget(f"crash-{name}")
            here = world(f"crash-{name}", self.profiles.get(name))
            if name in self.shots:
                here.restore(self.shots[name])
            here.before.append(lambda _call: self.point())
            here.after.append(lambda _call: self.point())

    def world(self, name: str) -> World:
        return world(f"crash-{name}")

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def point(self) -> None:
        self.points += 1
        if self.points == self.die_at:
            raise Killed

    def store(self) -> LedgerStore:
        return _Mortal(self.disk, self.clock, self.point)

    def operate(self) -> Operator:
        return Operator(self.store(), self.clock, "tester")  # type: ignore[arg-type]

    def cycle(self) -> int:
        self.now += timedelta(seconds=10)
        store = self.store()
        policies = tuple(SystemPolicy(name, "memory", Mode.SYNC) for name in SYSTEMS)
        policy = Policy("rig", policies, {}, Context("FR", "fr-FR"), first_run="go", timing=INSTANT, digest="0")
        connected = {name: Memory(Settings(name, "memory", options={"world": f"crash-{name}"})) for name in SYSTEMS}
        engine = Engine(policy, store, connected, clock=self.clock, sleep=lambda _: None, parallel=False)  # type: ignore[arg-type]
        with store.hold_lock():
            report = engine.cycle()
        return sum(each.writes for each in report.systems)

    def settle(self) -> None:
        """Cycles until three in a row have sent nothing: what vanished is believed by then."""
        still = 0
        for _ in range(20):
            still = 0 if self.cycle() else still + 1
            if still == CALM_CYCLES:
                return
        raise AssertionError("still writing")

    def run(self, act: Callable[[Scene], None]) -> int:
        """The act and its cycles, begun again where they are killed; how many points were passed."""
        self.begin()
        for _ in range(3):
            try:
                act(self)
                self.settle()
            except Killed:
                self.disk.locked = False
                continue
            return self.points
        raise AssertionError("killed twice")

    def end(self) -> dict[str, Any]:
        """What is compared: every system's records, golden records, links, merges and conflicts."""
        with self.store().reading() as tx:
            clients = tx.clients()
            links = [link for mine in tx.links_of([row.client for row in clients]).values() for link in mine]
            return {
                "records": {name: dict(self.world(name).snapshot().records) for name in SYSTEMS},
                "clients": [(row.client, row.fields, row.state, row.merged_into, row.origins) for row in clients],
                "links": {(link.system, link.external_id): (link.client, link.state) for link in links},
                "merges": [(row.winner, row.losers, row.state) for row in tx.merges()],
                "conflicts": [(row.unit, row.status, row.value, len(row.candidates)) for row in tx.conflicts()],
                "open": [row for row in tx.writes() if row.state not in ("done", "dropped")],
            }


class _Mortal(LedgerStore):
    """A store whose process may die just before and just after each commit."""

    def __init__(self, disk: Disk, clock: Callable[[], datetime], point: Callable[[], None]) -> None:
        super().__init__(disk, clock)
        self.point = point

    @contextmanager
    def writing(self, *, operator: bool = False, lasting: bool = True) -> Iterator[LedgerTx]:
        with super().writing(operator=operator, lasting=lasting) as tx:
            yield tx
            self.point()
        self.point()
