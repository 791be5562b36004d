"""One life: a tenant is set up, people type, systems fail, syncd dies and starts again, then it is left in peace and judged.

Everything that happens follows from the plan. Time is a number that the life moves. Every call of a connection and every end of a
store's transaction is a *point*: there people may type, systems may fail, and syncd may die.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from syncd.core.model import Action, BrakeKind
from syncd.engine import CycleReport, Engine
from syncd.errors import (
    Malformed,
    OutOfReach,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    Unauthorised,
    UnknownOutcome,
)
from syncd.providers import Settings
from syncd.providers.memory import Call, Snapshot, World, forget, world
from syncd.store import ConflictKind, HoldKind, HoldState, LinkState, WriteState, open_store
from tests.simulation.joining import Joiner
from tests.simulation.late import Beside, LateListings, LatePushes
from tests.simulation.ledger import Disk, LedgerStore
from tests.simulation.operator import Person
from tests.simulation.oracle import Facts, Oracle, Violation
from tests.simulation.plan import Plan, Typist
from tests.simulation.systems import CHARACTERS, Line, Listing, Witness
from tests.simulation.users import Users

_LIVES = count(1)
_TAIL_STEP_SECONDS = 7200.0
CONVERGE_CYCLES = 3
"""Cycles after the last fault in which everything has to have come right."""
QUIET_CYCLES = 2
"""Cycles after that in which nothing may happen."""
CALLS_MAX = 20_000
LIES = (
    Listing(drop=1),
    Listing(repeat=True),
    Listing(total=1),
    Listing(empty=True),
    Listing(oldest=1, total=-1),
    Listing(oldest=1, total=-1),
)
"""How listings lie."""


class Crash(BaseException):
    """The process dies here. No `except Exception` may survive it."""


@dataclass(frozen=True, slots=True)
class Process:
    """What one process of syncd has open."""

    store: Any
    lines: dict[str, Line]
    writing: Callable[..., Any]
    """The store's own `writing`, without points."""


class Life:
    """The life that a plan tells of.

    crash_at: the number of the point at which syncd dies, whatever else the plan says. workers: how many processes share the tenant;
    more than one take turns as those of a cluster do, each cycle is the work of any of them, for the systems that are due. late: lists are
    taken in later than they were read, as those of slow systems; slow: writes take several cycles; both with one worker only.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        store: str = "ledger",
        crash_at: int | None = None,
        workers: int = 1,
        late: bool = False,
        slow: bool = False,
    ) -> None:
        self.plan = plan
        self.workers = workers
        self._late_lists = late and workers == 1
        self._slow_writes = slow and workers == 1
        self._beside = Beside()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.points = 0
        self.calls = 0
        self.cycle_number = 0
        self._cycle_began = self.now
        self.troubled = True
        self.events: list[str] = []
        self.late: list[tuple[datetime, str, Callable[[], None]]] = []
        self.reports: list[CycleReport] = []
        self.crashes = 0
        self._stack = ExitStack()
        self._processes: dict[int, Process] = {}
        self._at_work = 0
        self.engine: Engine | None = None
        chances = ("edits", "faults", "crash", "users", "operator", "workers", "listings", "pushes")
        self._rng = {name: Random(f"{name} {plan.seed}") for name in chances}  # noqa: S311
        self._crash_at = crash_at
        self._crashes_left = plan.crashes if crash_at is None else 1
        self._dies_after_create = 0.15 if crash_at is None else 0.0
        if crash_at is None and plan.crashes:
            self._crash_at = self._rng["crash"].randint(1, 150)
        number = next(_LIVES)
        self.worlds: dict[str, World] = {}
        for name, kind in plan.characters.items():
            known_as = f"sim-{number}-{name}"
            forget(known_as)
            self.worlds[name] = world(known_as, CHARACTERS[kind](plan.page_sizes[name]))
        policy = plan.policy
        self.oracle = Oracle(
            Facts(
                profiles={name: each.profile for name, each in self.worlds.items()},
                order=tuple(self.worlds),
                modes={each.name: each.mode for each in policy.systems},
                rules={unit: each.rule for unit, each in policy.fields.items()},
                sources={unit: each.sources for unit, each in policy.fields.items() if each.sources is not None},
                targets={unit: each.targets for unit, each in policy.fields.items() if each.targets is not None},
                on_delete={each.name: each.on_delete for each in policy.systems},
            )
        )
        self.oracle.at_work = lambda: self._beside.at_work
        effects = (self._created, self._updated, self._deleted)
        self.witness = Witness(*effects, self.oracle.read, self.oracle.unanswered, self.oracle.syncd_told)
        self.users = Users(self.worlds, self.oracle, Typist(self._rng["users"]), plan, self.tell)
        self.person = Person(self, self._rng["operator"])
        self.joiner = Joiner(self, Random(f"{plan.seed}/merges lived"))  # noqa: S311
        self._folder = tempfile.mkdtemp(prefix="syncd-sim-", dir="/dev/shm") if store == "sqlite" else ""  # noqa: S108
        self._disk = Disk()
        self._gone: set[tuple[str, str]] = set()
        self._removed: set[tuple[str, str]] = set()
        self._lies: dict[str, Listing] = {}
        self._snapshots: dict[str, tuple[datetime, Snapshot]] = {}
        self._watch()

    # -- the course of a life --------------------------------------------------------------------------------------

    def run(self) -> Life:
        """Live, and be judged. Raises Violation."""
        try:
            self._begin()
            for _ in range(self.plan.cycles):
                self._between()
                self.cycle()
            self._calm()
            self._converge()
        except Violation:
            raise
        except AssertionError as error:
            raise Violation(str(error)) from error
        finally:
            self._end()
        return self

    def _begin(self) -> None:
        for _ in range(self.plan.clients):
            self.users.begin()
        self.joiner.begin()

    def _between(self) -> None:
        self.now += timedelta(seconds=self.plan.step_seconds)
        self._pass_time()
        for _ in range(self._rng["edits"].choice((0, 1, 1, 2, 3))):
            self.users.act()
        self.users.between()
        if self.plan.has("operator") and self.cycle_number:
            self.person.act()
        self.joiner.act()
        self._plan_lies()

    def _plan_lies(self) -> None:
        rng = self._rng["faults"]
        if self.engine is not None:
            for name in self.engine.systems:
                lie = self._lie(name, rng) if self.plan.has("lying_lists") else None
                for process in self._processes.values():
                    process.lines[name].listing = lie
                if lie is not None:
                    self.tell(f"the next listing of {name} lies: {lie}")
        for name, each in self.worlds.items():
            if self.plan.has("strangers"):
                if rng.random() < 0.1:  # noqa: PLR2004
                    self._swap(name, each)
                else:
                    self._swap_back(name, each)
            if self.plan.has("stale_lists"):
                self._age(name, each, rng)

    def _lie(self, name: str, rng: Random) -> Listing | None:
        """How the next listing of a system lies, if it does: one that leaves out the oldest record may do so for a while."""
        last = self._lies.pop(name, None)
        if last is not None and last.oldest and rng.random() < 0.85:  # noqa: PLR2004
            lie = last
        elif rng.random() < 0.2:  # noqa: PLR2004
            lie = rng.choice(LIES)
        else:
            return None
        if not self._can_be_seen_through(name, lie):
            return None
        self._lies[name] = lie
        return lie

    def _can_be_seen_through(self, name: str, lie: Listing) -> bool:
        """Whether the lie leaves a trace: what was never seen, nobody can miss."""
        each, known = self.worlds[name], self.oracle.first_known
        if lie.oldest:
            return (name, next(iter(each.ids()), "")) in known
        if lie.empty:
            return any(ref[0] == name for ref in known)
        return each.profile.told_total or not lie.drop

    def _swap(self, name: str, each: World) -> None:
        """The credentials suddenly belong to another account, but not between the look at the account and a write."""
        if self._beside.pushes(name):
            return
        if each.account == each.name and name not in self._snapshots and self._pinned(name):
            self.tell(f"the credentials of {name} belong to a stranger")
            each.account = "stranger"
            raw = {"id": 1, "name": f"Stranger {name}", "email": f"stranger@{name}.example", "archived": False}
            each.stale = Snapshot({1: raw}, {}, 2)
            self.oracle.forbidden.add(name)

    def _pinned(self, name: str) -> bool:
        """Whether syncd knows the account: at first contact it has to believe what it sees."""
        store = self.open()
        try:
            with store.reading() as tx:
                row = tx.systems().get(name)
        finally:
            store.close()
        return row is not None and row.account is not None

    def _swap_back(self, name: str, each: World) -> None:
        if each.account != each.name:
            each.account, each.stale = each.name, None
            self.oracle.forbidden.discard(name)

    def _age(self, name: str, each: World, rng: Random) -> None:
        """Lists may show the state of some seconds ago, for a while that syncd was told of."""
        taken = self._snapshots.get(name)
        limit = self.plan.policy.timing.stale_read_seconds
        if taken is not None and (rng.random() < 0.5 or (self.now - taken[0]).total_seconds() > limit * 0.5):  # noqa: PLR2004
            del self._snapshots[name]
            self.oracle.stale_since.pop(name, None)
            self.oracle.still_since.pop(name, None)
        elif taken is None and rng.random() < 0.25 and each.account == each.name:  # noqa: PLR2004
            self._snapshots[name] = (self.now, each.snapshot())
            self.oracle.still_since[name] = len(self.oracle.edits)
            self.tell(f"the lists of {name} stand still")

    def cycle(self) -> CycleReport | None:
        """One cycle, with as many starts as it takes. None: syncd died and its successor did not finish a cycle."""
        self.cycle_number += 1
        self._cycle_began = self.now
        self.tell(f"== cycle {self.cycle_number}")
        self.joiner.cycle_begins()
        while True:
            try:
                report = self._work()
            except Crash:
                self._die()
                continue
            assert self.engine is not None
            with self.engine.store.reading() as tx:
                links = tx.links_of([row.client for row in tx.clients()])
                self._judge_holds(tx)
                self._judge_deletes(tx)
                self.joiner.watch(tx, report)
            self.oracle.ended({(link.system, link.external_id) for mine in links.values() for link in mine})
            self.reports.append(report)
            self.tell(f"-- {[(each.system, each.walk, each.writes, each.reason) for each in report.systems]}")
            return report

    def _judge_holds(self, tx: Any) -> None:
        """What an open hold names has not reached the golden record. Only values that nobody types twice can tell."""
        holds = tx.holds(None)
        for hold in holds:
            for item in hold.items if hold.kind is HoldKind.BRAKE and hold.state is HoldState.OPEN else ():
                if item["field"] not in ("email", "phone", "details", "payment_terms_days") or item["value"] is None:
                    continue
                elsewhere = [
                    edit
                    for edit in self.oracle.edits
                    if edit.unit == item["field"] and edit.system != item["system"] and edit.value == item["value"]
                ]
                if not elsewhere and tx.client(item["client"]).fields.get(item["field"]) == item["value"]:
                    message = f"{hold.hold} holds {item['field']} of {item['client']} back, and golden has it: {item}"
                    raise Violation(message)
        asked = [hold for hold in holds if hold.kind is HoldKind.LOSSY]
        for unit, text in self.users.cut:
            if self._typed_in_full(unit, text):
                continue
            owners = [row.client for row in tx.clients() if row.fields.get(unit) == text]
            if owners and not any(hold.items[0]["field"] == unit and text in str(hold.items) for hold in asked):
                message = f"{unit} of {owners} became {text!r}, the shortened form of a text that its system had cut"
                raise Violation(message)

    def _typed_in_full(self, unit: str, text: str) -> bool:
        """Whether somebody meant a short text: typed it where nothing is cut."""
        edits = [edit for edit in self.oracle.edits if (edit.unit, edit.value) == (unit, text)]
        return any(self.plan.characters.get(edit.system) != "cutting" for edit in edits)

    def _judge_deletes(self, tx: Any) -> None:
        """No more records are taken for deleted at once than the brake lets through, or a person released."""
        limit = self.plan.policy.brake(BrakeKind.DELETES)
        links = [link for mine in tx.links_of([row.client for row in tx.clients()]).values() for link in mine]
        standing = {(link.client, link.system) for link in links if link.state is LinkState.LINKED}
        gone = {(link.system, link.external_id) for link in links if link.state is LinkState.GONE}
        beside = {
            (link.system, link.external_id) for link in links if (link.client, link.system) in standing
        }  # another record stands for its client: that one of them is gone is no delete, but an unlink
        released = {
            (item.get("system"), item.get("external_id"))
            for hold in tx.holds(None)
            if hold.kind is HoldKind.BRAKE and hold.state in (HoldState.RELEASED, HoldState.DONE, HoldState.REFUSED)
            for item in hold.items
        }
        replaced = {
            (item.get("system"), item.get("external_id"))
            for hold in tx.holds(None)
            for item in hold.items
            if item.get("vanished")
        }
        parted = {
            (row.candidates[0]["system"], row.candidates[0]["external_id"])
            for row in tx.conflicts()
            if row.kind is ConflictKind.DELETE
            and row.rule == "merge"
            and tx.client(row.client).fields.get("archived") is not True
        }  # it vanished while a merge had another record stand for its client, and archives nobody since that was taken back
        for name in self.worlds:
            known = self._gone | released | replaced | parted | self.oracle.syncd_removed | self.oracle.absorbed.keys()
            new = [ref for ref in gone - known - beside if ref[0] == name]
            removed = [ref for ref in self.oracle.syncd_removed - self._removed if ref[0] == name]
            records = tx.count_records(name) + len(new) + len(removed)
            if len(new) > limit.count and len(new) > limit.share * records:
                message = f"{new} were taken for deleted at once, of {records} records; the limit is {limit}"
                raise Violation(message)
        self._gone, self._removed = gone, set(self.oracle.syncd_removed)

    def _work(self) -> CycleReport:
        if self.workers == 1:
            if self.engine is None:
                process = self._process()
                self._stack.enter_context(self._right(process))
                self.engine = self._engine(process)
            return self.engine.cycle()
        rng = self._rng["workers"]
        self._at_work = rng.randrange(self.workers)
        process = self._process()
        due = rng.sample(list(self.worlds), rng.randint(1, len(self.worlds)))
        self.tell(f"worker {self._at_work} has the tenant, for {due if self.troubled else 'all'}")
        with self._right(process):
            self.engine = self._engine(process)
            return self.engine.cycle(due if self.troubled else None)

    @contextmanager
    def _right(self, process: Process) -> Iterator[None]:
        """The working right. To take it is no point, for not every store makes a transaction of it."""
        points, process.store.writing = process.store.writing, process.writing
        with process.store.hold_lock():
            process.store.writing = points
            yield

    def _process(self) -> Process:
        """The process at work, started where it does not run."""
        if self._at_work not in self._processes:
            lines = {
                name: Line(Settings(name, "memory", options={"world": each.name, "children": "always"}), self.witness)
                for name, each in self.worlds.items()
            }
            store = self.open()
            self._stack.callback(store.close)
            self._processes[self._at_work] = Process(store, lines, store.writing)
            store.writing = self._breakable(store.writing)
        return self._processes[self._at_work]

    def _engine(self, process: Process) -> Engine:
        listings = (
            LateListings(
                process.store,
                self.clock,
                self._rng["listings"],
                self.oracle,
                lambda: self.troubled,
                lambda: self.cycle_number,
            )
            if self._late_lists
            else None
        )
        pushes = LatePushes(self._beside, self._rng["pushes"], lambda: self.troubled) if self._slow_writes else None
        return Engine(
            self.plan.policy,
            process.store,
            process.lines,
            clock=self.clock,
            sleep=self.wait,
            parallel=False,
            listings=listings,
            pushes=pushes,
        )

    def open(self) -> Any:
        """The tenant's store."""
        if self._folder:
            return open_store(f"sqlite:///{self._folder}", "rig", clock=self.clock)
        return LedgerStore(self._disk, self.clock)

    def _breakable(self, writing: Callable[..., Any]) -> Callable[..., Any]:
        """A store's `writing`, with a point before and after the end of each transaction."""

        @contextmanager
        def points(*, operator: bool = False, lasting: bool = True) -> Iterator[Any]:
            with writing(operator=operator, lasting=lasting) as tx:
                yield tx
                self._point("before a commit")
            self.oracle.committed()
            self._point("after a commit")

        return points

    def _die(self) -> None:
        self.crashes += 1
        self.oracle.crashed()
        self._beside.die()
        self.tell("-- syncd died and starts again")
        if self.workers == 1:
            self._stack.close()
        self._processes.pop(self._at_work)
        self.engine = None
        self._crashes_left -= 1
        if self._crashes_left > 0:
            self._crash_at = self.points + self._rng["crash"].randint(1, 120)

    def _end(self) -> None:
        self._beside.die()
        self._stack.close()
        for each in self.worlds.values():
            forget(each.name)
        if self._folder:
            for path in Path(self._folder).iterdir():
                path.unlink()
            Path(self._folder).rmdir()

    # -- time and points -------------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        """The time; it never stands still."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def wait(self, seconds: float) -> None:
        """What the engine does instead of sleeping."""
        self.now += timedelta(seconds=seconds)

    def tell(self, event: str) -> None:
        """Note an event."""
        self.events.append(f"{self.points:5} {self.now:%H:%M:%S.%f} {event}")

    def _point(self, what: str) -> None:
        self.points += 1
        if self._crash_at is not None and self.points >= self._crash_at and self._crashes_left > 0:
            self._crash_at = None
            self.tell(f"dies {what}")
            raise Crash(what)

    def _pass_time(self) -> None:
        due = [each for each in self.late if each[0] <= self.now]
        self.late = [each for each in self.late if each[0] > self.now]
        for _, name, commit in due:
            self.tell(f"{name}: a late commit takes effect")
            stale, self.worlds[name].stale = self.worlds[name].stale, None
            self.oracle.late = True
            try:
                commit()
            except ProviderError as error:
                self.tell(f"the late commit was refused: {error.code}")
            self.worlds[name].stale = stale
            self.oracle.late = False
            self.oracle.unanswered()

    # -- calls -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        for name, each in self.worlds.items():
            each.before.append(lambda call, name=name: self._before(name, call))
            each.after.append(lambda call, name=name: self._after(name, call))

    def _before(self, name: str, call: Call) -> None:
        self.calls += 1
        if self.calls > CALLS_MAX:
            message = "there is no end of calls"
            raise Violation(message)
        if call.action == "list":
            self.joiner.asked.add(name)
        each = self.worlds[name]
        if each.account == each.name:
            taken = self._snapshots.get(name)
            each.stale = taken[1] if taken is not None and call.action == "list" else None
            if each.stale is not None:
                self.oracle.stale_since[name] = -1
            else:
                self.oracle.stale_since.pop(name, None)
        self._pass_time()
        self._side_step()
        self._point(f"before {call.action} {name}/{call.external_id}")
        self.joiner.redirect(name, call)
        if not self.troubled:
            return
        self.joiner.during()
        if self.plan.has("edits_during") and self._rng["edits"].random() < 0.06:  # noqa: PLR2004
            self.users.act()
        if call.commit is not None and self.plan.has("edits_during") and self._rng["edits"].random() < 0.1:  # noqa: PLR2004
            self.users.act(name, call.external_id)
        self._fail_before(name, call)

    def _side_step(self) -> None:
        """Here a push that takes long may pause, or go on while a list is read."""
        if not self._slow_writes or not self.troubled:
            return
        rng = self._rng["pushes"]
        if self._beside.at_work:
            if rng.random() < 0.4:  # noqa: PLR2004
                self.tell("   pauses")
                self._beside.pause()
        elif (waiting := self._beside.waiting()) and rng.random() < 0.15:  # noqa: PLR2004
            self._beside.step(rng.choice(waiting))

    def _fail_before(self, name: str, call: Call) -> None:
        rng = self._rng["faults"]
        error: ProviderError | None = None
        if call.commit is None and self.plan.has("read_faults") and rng.random() < 0.05:  # noqa: PLR2004
            error = rng.choice(
                (
                    Transient("503"),
                    RateLimited("429", retry_after_seconds=rng.choice((1.0, 90.0))),
                    Unauthorised("401"),
                    Malformed("an HTML page"),
                    OutOfReach("refused"),
                )
            )
        elif call.commit is not None:
            error = self._write_fault(rng, name, call)
        if error is not None:
            self.tell(f"{name}: {call.action} {call.external_id} fails: {error.code}")
            self.oracle.failed(name)
            raise error

    def _write_fault(self, rng: Random, name: str, call: Call) -> ProviderError | None:
        assert call.commit is not None
        settle = self.plan.policy.timing.create_settle_seconds
        if self.plan.has("rejections") and rng.random() < 0.05:  # noqa: PLR2004
            return Rejected("422: no", words="no")
        if self.plan.has("late_commits") and call.action == "create" and settle and rng.random() < 0.2:  # noqa: PLR2004
            delay = timedelta(seconds=rng.choice((0.005, 0.2 * settle, 0.4 * settle)))
            self.late.append((self.now + delay, name, call.commit))
            return UnknownOutcome("time-out; it takes effect later")
        if self.plan.has("lost_answers") and rng.random() < 0.08:  # noqa: PLR2004
            return UnknownOutcome("time-out before it took effect")
        if self.plan.has("write_faults") and rng.random() < 0.08:  # noqa: PLR2004
            return rng.choice(
                (
                    OutOfReach("refused"),
                    RateLimited("429", retry_after_seconds=rng.choice((1.0, 90.0))),
                    Unauthorised("401"),
                )
            )
        if self.plan.has("ignored_writes") and call.action == "update" and rng.random() < 0.1 and self.engine:  # noqa: PLR2004
            self.tell(f"{name}: the next write is answered and ignored")
            self.engine.systems[name].provider.ignore_next_write = True  # type: ignore[attr-defined]
        return None

    def _after(self, name: str, call: Call) -> None:
        self.tell(f"   {name}: {call.action} {call.external_id or ''}")
        if (
            call.action == "create"
            and self._crash_at is not None
            and self._rng["crash"].random() < self._dies_after_create
        ):
            self._crash_at = self.points + 1
        self._side_step()
        self._point(f"after {call.action} {name}/{call.external_id}")
        if not self.troubled:
            return
        rng = self._rng["faults"]
        if call.commit is not None and self.plan.has("lost_answers") and rng.random() < 0.12:  # noqa: PLR2004
            self.tell(f"{name}: the answer is lost")
            self.oracle.unanswered()
            raise UnknownOutcome("the answer is lost")
        if self.plan.has("edits_during") and self._rng["edits"].random() < 0.05:  # noqa: PLR2004
            self.users.act()

    def _created(self, name: str, external_id: str, raw: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        self.tell(f"   {name}: created {external_id} {dict(wanted)}")
        self._judge_create(name)
        self.oracle.syncd_created(name, external_id, raw, self.joiner.creating(name, raw))

    def _judge_create(self, name: str) -> None:
        """Nothing is made for a client of which a person has yet to say whether it is another one, and was asked before the cycle."""
        if self.engine is None or self.oracle.late:
            return
        with self.engine.store.reading() as tx:
            doubtful = {
                item.get("client")
                for hold in tx.holds(HoldState.OPEN)
                if hold.kind in (HoldKind.LINK, HoldKind.MERGE) and hold.since < self._cycle_began
                for item in hold.items
            }
            made = [row.client for row in tx.writes([WriteState.SENDING], system=name) if row.action is Action.CREATE]
        if doubtful.intersection(made):
            message = f"{made} was created in {name}, and a person was asked whether it is another client"
            raise Violation(message)

    def _updated(
        self,
        name: str,
        external_id: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        patch: Mapping[str, Any],
        since: int,
    ) -> None:
        self.tell(f"   {name}: updated {external_id} {dict(patch)}")
        self.oracle.syncd_updated(name, external_id, before, after, patch, since)
        self.joiner.updating(name, external_id, patch)

    def _deleted(self, name: str, external_id: str) -> None:
        self.tell(f"   {name}: deleted {external_id}")
        self.oracle.syncd_deleted(name, external_id)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """From here on nothing goes wrong any more."""
        self.tell("== from here on nothing goes wrong")
        self.troubled = False
        self.now += timedelta(seconds=_TAIL_STEP_SECONDS)
        self._pass_time()
        self._crashes_left = 0 if self.plan.crashes else self._crashes_left
        self._snapshots.clear()
        self.oracle.stale_since.clear()
        self.oracle.still_since.clear()
        for name, each in self.worlds.items():
            self._swap_back(name, each)
            each.stale = None
        self.users.mend()
        for process in self._processes.values():
            for line in process.lines.values():
                line.listing, line.ignore_next_write = None, False
        self.person.let_go()

    def _converge(self) -> None:
        from tests.simulation.judge import Judge  # noqa: PLC0415 - it judges lives

        for _ in range(
            2 if self._late_lists else 0
        ):  # a list that broke while things went wrong, and may have asked for a pause
            self.cycle()
            self.now += timedelta(seconds=_TAIL_STEP_SECONDS)
        self.person.let_go()
        if self.person.waits():
            self.cycle()
            self.person.let_go()
        for _ in range(CONVERGE_CYCLES):
            self.now += timedelta(seconds=_TAIL_STEP_SECONDS)
            self.cycle()
        before = self._rows()
        self.oracle.quiet = True
        for _ in range(QUIET_CYCLES):
            self.now += timedelta(seconds=_TAIL_STEP_SECONDS)
            self.cycle()
        after = self._rows()
        if before != after:
            message = f"rows were added after everything had become quiet: {before} became {after}"
            raise Violation(message)
        Judge(self).judge()

    def _rows(self) -> dict[str, int]:
        assert self.engine is not None
        with self.engine.store.reading() as tx:
            return {
                "changes": len(tx.changes()),
                "conflicts": len(tx.conflicts()),
                "holds": len(tx.holds(None)),
                "writes": len(tx.writes()),
                "clients": len(tx.clients()),
            }
