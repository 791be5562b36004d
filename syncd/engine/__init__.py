"""The engine: pull, reconcile, push; three verbs without opinions. What is decided is decided in `syncd.core`.

A cycle is one pull of every system (side by side), one reconcile, one push of every outbox (side by side); what the pushes observed is
reconciled again until nothing new is due. The caller holds the store's lock.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from syncd import log, spans
from syncd.core.model import Action, Policy
from syncd.engine.applying import sights
from syncd.engine.automatic import closed_systems, decide_all, held_clients, held_ends, merge_certain
from syncd.engine.checking import Finding, check
from syncd.engine.decide import Scope
from syncd.engine.deletes import accept_deletes
from syncd.engine.first_run import REPORTED, first_run, why_frozen
from syncd.engine.linking import link_records, settle_proposals
from syncd.engine.listing import Listing, Listings, in_a_thread
from syncd.engine.operate import Operator
from syncd.engine.patience import ENDLESS, Patience
from syncd.engine.pull import new_system, pull, rebasing
from syncd.engine.push import Lane, recover
from syncd.engine.pushing import Pushes, at_once, may_push, push_verified
from syncd.engine.reconcile import SETTLES_AT, Reconciled, Transactions
from syncd.engine.reports import CycleReport, PlanReport, Pushed, Quiet, SystemReport
from syncd.engine.settling import settle
from syncd.engine.systems import System, digest, number_of
from syncd.errors import ProviderError
from syncd.store import (
    ConflictRow,
    CycleRow,
    HoldRow,
    HoldState,
    Store,
    SystemState,
    WalkOutcome,
    WalkRow,
    WriteRow,
    WriteState,
)

if TYPE_CHECKING:
    from syncd.providers import Provider
    from syncd.store import Tx

ROUNDS_MAX = 6
"""Rounds of reconcile and push within one cycle; what is left then waits for the next cycle."""

SWEEP_EVERY_CYCLES = 24
"""Every so many cycles all pages are read, and all records of systems whose lists show less than single reads are read singly."""

_log = log.get("engine")


class Engine:
    """One tenant's loop over facts.

    push_seconds: how long a cycle begins writes; None for as long as it takes; see `syncd.engine.patience`. listings, pushes: what lets a cycle
    go on while a slow system still lists its clients, or takes writes; None: it waits; see `syncd.engine.listing`, `syncd.engine.pushing`.
    """

    def __init__(
        self,
        policy: Policy,
        store: Store,
        providers: Mapping[str, Provider],
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        stopped: Callable[[], bool] = lambda: False,
        parallel: bool = True,
        keep_report: Callable[[list[dict[str, Any]]], None] = lambda _report: None,
        push_seconds: float | None = None,
        listings: Listings | None = None,
        pushes: Pushes | None = None,
    ) -> None:
        self.policy = policy
        self.store = store
        self.clock = clock
        self.sleep = sleep
        self.stopped = stopped
        self.parallel = parallel
        self.systems: dict[str, System] = {
            each.name: System(each, providers[each.name], policy.context, policy.matching) for each in policy.systems
        }
        self.push_seconds = push_seconds
        self._listings = listings
        self._pushes = pushes or Pushes(start=in_a_thread if parallel else at_once)
        self._put_off: frozenset[str] = frozenset()
        """Systems whose turn it was to be pulled while their push was under way: pulled before anything else is pushed there."""
        self._keep_report = keep_report
        self._recovered = False

    def cycle(
        self, only: Collection[str] | None = None, *, choose: Callable[[str], Collection[str]] | None = None
    ) -> CycleReport:
        """Pull, decide, push, until nothing new is due. The caller holds the store's lock.

        only: the systems whose turn it is to be pulled (default: all). Of the others, what their last walk said still counts.
        choose: asked once, with the cycle, when everything is decided: the only writes that may be sent (default: all).
        """
        self._prepare()
        cycle = self._begin()
        with log.context(cycle=cycle), spans.span("cycle", tenant=self.policy.tenant) as told:
            report = self._run(cycle, only, choose)
            writes = sum(each.writes for each in report.systems)
            told.tell(writes=writes, conflicts=report.conflicts, holds=report.holds)
            return report

    def _run(
        self, cycle: str, only: Collection[str] | None, choose: Callable[[str], Collection[str]] | None
    ) -> CycleReport:
        requests = {name: system.provider.requests for name, system in self.systems.items()}
        if choose is not None:
            self._pushes.join()
        pushed = self._ended({name: Pushed() for name in self.systems})
        walks = self._pull(cycle, only, self._listings)
        blocked = _blocked(walks)
        self._settle(cycle, walks)
        with self.store.writing() as tx:
            settle_proposals(tx, self._scope(cycle, blocked))
        with spans.span("decide") as told:
            total = self._decide(self.store.writing, cycle, walks, blocked)
            told.tell(clients=total.clients, conflicts=total.conflicts, holds=total.holds)
        chosen = frozenset(choose(cycle)) if choose is not None else None
        waits = Patience(self._pushes.seconds if choose is None else None)
        patience = Patience(self.push_seconds)
        for _ in range(ROUNDS_MAX):
            if self._frozen() or self.stopped() or not self._push(cycle, pushed, patience, waits, chosen):
                break
            total.add(decide_all(self.store.writing, self._scope(cycle, blocked)))
        report = self._end(cycle, walks, pushed, total, requests)
        under_way = {*self._pushes.names, *self._put_off, *(self._listings.names if self._listings else ())}
        return replace(report, unfinished=patience.over, under_way=tuple(sorted(under_way)))

    def rest(self) -> None:
        """Wait for the writes that are under way, and begin no other: to be called before the store's lock is given back."""
        self._pushes.rest()

    def sync(self, *, until_quiet: bool = False, cycles: int = 10, wait_seconds: float = 5.0) -> list[CycleReport]:
        """One cycle, or cycles until nothing is pending; waits for timers that end within `wait_seconds` in all."""
        reports: list[CycleReport] = []
        patience = wait_seconds
        while len(reports) < (cycles if until_quiet else 1) and not self.stopped():
            reports.append(self.cycle())
            quiet = self.quiet()
            if quiet.quiescent or not until_quiet:
                break
            if quiet.only_timers and quiet.next_timer is not None:
                wait = max((quiet.next_timer - self.clock()).total_seconds(), 0.0)
                if wait > patience:
                    break
                patience -= wait
                self.sleep(wait)
        return reports

    def quiet(self) -> Quiet:
        """Whether nothing is pending: no undecided client, no open write, every system's last walk complete."""
        reasons: list[str] = []
        timers: list[datetime] = []
        now = self.clock()
        with self.store.reading() as tx:
            writes = tx.writes([WriteState.WAITING, WriteState.SENDING, WriteState.IN_DOUBT])
            waits = [row for row in writes if (row.settle_at or row.next_attempt_at or now) > now]
            timers.extend(at for row in waits if (at := row.settle_at or row.next_attempt_at) is not None)
            if writes:
                reasons.append(f"{len(writes)} writes are pending")
            dirty = bool(tx.dirty(1))
            if dirty:
                reasons.append("clients are to be decided again")
            walks = tx.last_walks()
            for name in self.systems:
                walk = walks.get(name)
                if walk is None or walk.outcome is not WalkOutcome.COMPLETE:
                    reasons.append(f"{name}: {walk.reason if walk else 'never pulled'}")
                if int(tx.get_meta(f"unbelieved:{name}") or 0):
                    reasons.append(f"{name}: a reading is not believed yet")
            settles_at = datetime.fromisoformat(tx.get_meta(SETTLES_AT) or now.isoformat())
            if settles_at > now:
                reasons.append("a value is still being typed somewhere")
                timers.append(settles_at)
            row = tx.systems()
            timers.extend(each.paused_until for each in row.values() if each.paused_until and each.paused_until > now)
        only_timers = bool(timers) and not dirty and len(waits) == len(writes)
        return Quiet(not reasons, tuple(reasons), min(timers, default=None), only_timers)

    def plan(self) -> PlanReport:
        """Pull, decide and show every write that would be made now. Sends nothing and leaves no decision behind."""
        self._pushes.join()
        self._prepare()
        cycle = self._begin()
        walks = self._pull(cycle)
        with self.store.rehearsing() as tx:
            before = {row.conflict for row in tx.conflicts()}
            began = self.clock()
            self._decide(lambda: _same(tx), cycle, walks, _blocked(walks), planning=True)
            writes = tx.writes([WriteState.WAITING])
            conflicts = [row for row in tx.conflicts() if row.conflict not in before]
            told = ("client", "system", "external_id", "matched_by")
            links = [{key: getattr(link, key) for key in told} for link in tx.links_since(began)]
            holds = tx.holds(HoldState.OPEN)
            seen = sights(tx, writes)
        plan = f"plan-{digest([[row.system, row.client, row.action, row.fields] for row in writes])[:12]}"
        with self.store.writing() as tx:
            if (row := tx.cycle(cycle)) is not None:
                tx.put_cycle(replace(row, ended_at=self.clock(), summary={"plan": plan}))
        return PlanReport(plan, writes, conflicts, links, holds, sum(calls(row) for row in writes), seen)

    def release(self, hold: str, actor: str) -> HoldRow:
        """See `syncd.engine.operate.Operator.release`."""
        return Operator(self.store, self.clock, actor).release(hold)

    def refuse(self, hold: str, actor: str) -> HoldRow:
        """See `syncd.engine.operate.Operator.refuse`."""
        return Operator(self.store, self.clock, actor).refuse(hold)

    def resolve(self, conflict: str, *, take: str | None = None, value: str | None = None, actor: str) -> ConflictRow:
        """See `syncd.engine.operate.Operator.resolve`."""
        return Operator(self.store, self.clock, actor).resolve(conflict, take=take, value=value)

    def retry(self, write: str, actor: str) -> WriteRow:
        """See `syncd.engine.operate.Operator.retry`."""
        return Operator(self.store, self.clock, actor).retry(write)

    def drop(self, write: str, actor: str) -> WriteRow:
        """See `syncd.engine.operate.Operator.drop`."""
        return Operator(self.store, self.clock, actor).drop(write)

    def check(self) -> list[Finding]:
        """Whether each system answers with these credentials, and what syncd can do there. Sends no write."""
        return [finding for system in self.systems.values() for finding in check(system)]

    def _prepare(self) -> None:
        """Once per start: writes that were on their way when a process died, what providers had learned, what the policy changed."""
        if self._recovered:
            return
        recover(self.store, self.clock(), self.policy.timing.create_settle_seconds)
        with self.store.writing() as tx:
            rows = tx.systems()
            for name, system in self.systems.items():
                row = rows.get(name) or new_system(system)
                system.provider.learned.update(row.learned)
                scope = system.scope
                if row.scope not in (None, scope):
                    tx.set_meta(f"rebase:{name}", "yes")
                    row = replace(row, account=None, baseline=False)
                    _log.warning("scope_changed", system=name)
                tx.put_system(replace(row, scope=scope))
            if tx.get_meta("policy") != self.policy.digest:
                tx.mark_all_dirty()
                tx.set_meta("policy", self.policy.digest)
        self._recovered = True

    def _begin(self) -> str:
        with self.store.writing() as tx:
            cycle = tx.new_ids("y", 1)[0]
            tx.put_cycle(CycleRow(cycle, self.clock()))
        return cycle

    def _pull(
        self, cycle: str, only: Collection[str] | None = None, listings: Listings | None = None
    ) -> dict[str, WalkRow]:
        with self.store.reading() as tx:
            last = tx.last_walks()
            rows, moved, now = tx.systems(), rebasing(tx, self.systems), self.clock()
            busy, turn = self._pushes.busy, {*(self.systems if only is None else only), *moved, *self._put_off}
            asked, self._put_off = turn - busy, frozenset(turn & busy)
            awaited = {
                name for name in asked - moved if name in last and rows[name].baseline and may_push(rows[name], now)
            }
        due = [system for name, system in self.systems.items() if name in asked or name not in last]
        sweep = number_of(cycle) % SWEEP_EVERY_CYCLES == 0
        listed: dict[str, Listing] = {}
        if listings is not None:
            ahead = [system for system in due if system.name in awaited]
            listed = self._listed(listings, ahead, cycle, sweep=sweep, alone=len(ahead) == len(due))
            due = [each for name, each in self.systems.items() if name in listed or (each in due and each not in ahead)]

        def walk(system: System) -> WalkRow:
            with spans.span("walk", system=system.name) as told:
                row = pull(
                    self.store,
                    system,
                    self.policy,
                    cycle=cycle,
                    clock=self.clock,
                    sweep=sweep,
                    listing=listed.get(system.name),
                )
                told.tell(walk=row.walk, outcome=row.outcome.value, records=row.records)
            return row

        pulled = dict(zip([system.name for system in due], self._each(walk, due), strict=True))
        return {name: pulled[name] if name in pulled else last[name] for name in self.systems}

    def _listed(
        self, listings: Listings, due: Sequence[System], cycle: str, *, sweep: bool, alone: bool
    ) -> dict[str, Listing]:
        """The listings that are taken in now. alone: whether no system is pulled in another way."""
        fresh = [system for system in due if system.name not in listings.names]
        listings.begin(fresh, cycle, sweep=sweep)
        with self.store.reading() as tx:
            now = self.clock()
            rows, busy = tx.systems(), self._pushes.busy
            able = [name for name in self.systems if name not in busy and may_push(rows[name], now)]
            idle = alone and not fresh and not tx.dirty(1) and not any(tx.waiting(name, now, 1) for name in able)
        if idle and not set(listings.names) - busy:
            self._pushes.idle()
        taken = listings.take([each.name for each in fresh], idle=idle, later=self._pushes.busy)
        return {each.system.name: each for each in taken}

    def _each(self, task: Callable[[System], Any], systems: Sequence[System]) -> list[Any]:
        """Run a task for each system, side by side unless the engine is told not to."""
        if not self.parallel or len(systems) < 2:  # noqa: PLR2004
            return [task(system) for system in systems]
        with ThreadPoolExecutor(len(systems), thread_name_prefix="lane") as pool:
            futures = [pool.submit(contextvars.copy_context().run, task, system) for system in systems]
            return [future.result() for future in futures]

    def _settle(self, cycle: str, walks: Mapping[str, WalkRow]) -> None:
        for name, system in self.systems.items():
            complete = walks[name].outcome is WalkOutcome.COMPLETE
            settle(self._lane(system, cycle), walk_started=walks[name].started_at if complete else None)

    def _decide(
        self,
        transactions: Transactions,
        cycle: str,
        walks: Mapping[str, WalkRow],
        blocked: Mapping[str, str],
        *,
        planning: bool = False,
    ) -> Reconciled:
        scope = self._scope(cycle, blocked)
        with transactions() as tx:
            accept_deletes(tx, scope)
        holds = link_records(transactions, scope)
        everything = all(walk.outcome is WalkOutcome.COMPLETE for walk in walks.values())
        frozen = None if planning and everything else self._frozen()
        opened = 0
        if frozen and everything:
            # The report tells of links only, so that one pass over all clients does where nobody has to release it.
            with transactions() as tx:
                waiting = len(tx.holds(HoldState.OPEN))
                frozen = None if first_run(tx, self._scope(cycle, blocked)) else why_frozen(tx)
                opened = len(tx.holds(HoldState.OPEN)) - waiting
                made = tx.audit(cycle=cycle, kind=REPORTED, limit=1)
            for row in made:
                self._keep_report(row.payload["systems"])
        with transactions() as tx:
            scope = replace(self._scope_in(tx, cycle, blocked), frozen=frozen)
        total = decide_all(transactions, scope)
        total.holds += holds + opened
        if not frozen:
            total.add(self._merge_certain(transactions, scope))
        return total

    def _merge_certain(self, transactions: Transactions, scope: Scope) -> Reconciled:
        """Merge what needs no person, and decide again what follows from it."""
        with transactions() as tx:
            made, opened = merge_certain(tx, scope)
            scope = replace(scope, held_clients=held_clients(tx))
        total = decide_all(transactions, scope) if made else Reconciled()
        total.holds += opened
        return total

    def _frozen(self) -> str | None:
        with self.store.reading() as tx:
            return why_frozen(tx)

    def _scope(self, cycle: str, blocked: Mapping[str, str]) -> Scope:
        with self.store.reading() as tx:
            return self._scope_in(tx, cycle, blocked)

    def _scope_in(self, tx: Tx, cycle: str, blocked: Mapping[str, str]) -> Scope:
        """What is held at this moment: nothing is created in a system, or for a client, that a person is asked about."""
        closed = closed_systems(tx)
        return Scope(
            self.systems,
            self.policy,
            cycle,
            self.clock(),
            {**closed, **blocked},
            held_clients=held_clients(tx),
            held_ends=held_ends(tx),
            closed=frozenset(closed.keys() - blocked.keys()),
        )

    def _lane(self, system: System, cycle: str, patience: Patience = ENDLESS) -> Lane:
        over = patience.over_or(lambda: self._pushes.given_up or self.stopped())
        return Lane(self.store, system, self.policy, cycle, self.clock, over)

    def _push(
        self,
        cycle: str,
        pushed: dict[str, Pushed],
        patience: Patience,
        waits: Patience,
        only: frozenset[str] | None,
    ) -> int:
        """Push every outbox once; returns how many writes were tried. waits: for pushes that go on beside the cycle."""
        if patience.over:
            return 0
        patience.begin()
        before = sum(each.sent + each.failed for each in pushed.values())
        self._ended(pushed)
        now = self.clock()
        with self.store.reading() as tx:
            rows, busy = tx.systems(), rebasing(tx, self.systems) | self._pushes.busy | self._put_off
            free = [name for name in self.systems if name not in busy and not pushed[name].paused]
            due = [self.systems[name] for name in free if may_push(rows[name], now) and tx.waiting(name, now, 1)]
        lanes = [replace(self._lane(each, cycle, patience), only=only) for each in due]
        for lane in lanes:
            self._pushes.begin(lane.system.name, partial(push_verified, lane))
        self._pushes.wait([each.name for each in due], waits)
        self._ended(pushed)
        with self.store.reading() as tx:
            dirty = bool(tx.dirty(1))
        return dirty or sum(each.sent + each.failed for each in pushed.values()) - before

    def _ended(self, pushed: dict[str, Pushed]) -> dict[str, Pushed]:
        """Count the pushes that have ended beside the cycle."""
        for name, result in self._pushes.ended().items():
            pushed[name].add(result)
        return pushed

    def _end(
        self,
        cycle: str,
        walks: Mapping[str, WalkRow],
        pushed: Mapping[str, Pushed],
        total: Reconciled,
        requests: Mapping[str, int],
    ) -> CycleReport:
        systems = tuple(
            SystemReport(
                system=name,
                walk=walks[name].outcome.value,
                created=pushed[name].created,
                updated=pushed[name].updated,
                archived=pushed[name].archived,
                merged=pushed[name].merged,
                deleted=pushed[name].deleted,
                failed=pushed[name].failed,
                requests=system.provider.requests - requests[name],
                reason=walks[name].reason,
                lags=tuple(pushed[name].lags),
            )
            for name, system in self.systems.items()
        )
        report = CycleReport(cycle, systems, total.conflicts, total.holds)
        with self.store.writing() as tx:
            row = next(each for each in tx.cycles(5) if each.cycle == cycle)
            writes = sum(each.writes for each in systems)
            counts = {"conflicts": total.conflicts, "holds": total.holds, "writes": writes, "clients": total.clients}
            summary = {**counts, "systems": [asdict(replace(each, lags=())) for each in systems]}
            tx.put_cycle(replace(row, ended_at=self.clock(), summary=summary))
            for name, system in self.systems.items():
                state = tx.systems()[name]
                tx.put_system(replace(state, learned=dict(system.provider.learned)))
        _log.info("cycle_ended", cycle=cycle, writes=writes, conflicts=total.conflicts, holds=total.holds)
        return report


@contextmanager
def _same(tx: Tx) -> Iterator[Tx]:
    """The transaction that is open already, for a plan that is rolled back at its end."""
    yield tx


def _blocked(walks: Mapping[str, WalkRow]) -> dict[str, str]:
    """Systems in which nothing may be created now: what is there is not known."""
    return {
        name: f"waits for a complete walk of {name}: {walk.reason or walk.outcome.value}"
        for name, walk in walks.items()
        if walk.outcome is not WalkOutcome.COMPLETE
    }


def calls(row: WriteRow) -> int:
    """HTTP requests that a write costs at least: a create is one, anything else reads first; each contact and note is a call of its own."""
    children = sum(len(steps) for name in ("contacts", "notes") if isinstance(steps := row.fields.get(name), list))
    fields = bool(row.fields.keys() - {"contacts", "notes"}) or not children
    return 1 if row.action is Action.CREATE else 1 + fields + children


__all__ = ["CycleReport", "Engine", "Finding", "PlanReport", "ProviderError", "Quiet", "SystemReport", "SystemState"]
