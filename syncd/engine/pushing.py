"""Pushes beside the cycles: a system that takes long for a write holds up none of the others.

A push is a task of its own. The cycle that begins it waits some seconds for it and then goes on; while it is under way, the walk of its
system is not taken in and its outbox is not pushed a second time, so that one system's writes and readings stay in their order. Every
write keeps to the protocol of `syncd.engine.push`: what the cycles decide meanwhile for a client with a write on its way waits for its end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import datetime
from typing import TYPE_CHECKING, Final

from syncd import log
from syncd.engine.listing import LOOK_SECONDS, Start, in_a_thread
from syncd.engine.pull import verified
from syncd.engine.push import Lane, push
from syncd.engine.reports import Pushed
from syncd.store import SystemRow, SystemState, WalkOutcome

if TYPE_CHECKING:
    from syncd.engine.patience import Patience

LEAST_SECONDS: Final = 0.5
"""How long those that begin late in a cycle are waited for, so that quick ones are not left behind for the slow ones before them."""

_log = log.get("push")


def at_once(task: Callable[[], None], _name: str) -> None:
    """Run a task here and now."""
    task()


class Pushes:
    """The pushes under way of one engine. seconds: how long a cycle waits for those that it began, all in all; None: until they end."""

    def __init__(
        self,
        *,
        seconds: float | None = None,
        hurried: Callable[[], bool] = lambda: False,
        over: Callable[[], bool] = lambda: False,
        start: Start = in_a_thread,
    ) -> None:
        """hurried: whether something else is to be done. over: whether the engine is ending. start: runs a push."""
        self.seconds = seconds
        self._hurried, self._over, self._start = hurried, over, start
        self._under_way: dict[str, Future[Pushed]] = {}
        self.given_up = False
        """Whether no push is to begin another write."""

    @property
    def names(self) -> tuple[str, ...]:
        """The systems whose push was not taken account of yet."""
        return tuple(self._under_way)

    @property
    def busy(self) -> frozenset[str]:
        """The systems whose push has not ended yet."""
        return frozenset(name for name, each in list(self._under_way.items()) if not each.done())

    @property
    def any_ended(self) -> bool:
        """Whether a push has ended that was not taken account of yet."""
        return any(each.done() for each in list(self._under_way.values()))

    def begin(self, name: str, task: Callable[[], Pushed]) -> None:
        """Begin to push the outbox of a system that has no push under way."""
        future: Future[Pushed] = Future()

        def run() -> None:
            try:
                future.set_result(task())
            except Exception as error:  # noqa: BLE001 - it is raised again by `ended`
                future.set_exception(error)

        self._under_way[name] = future
        self._start(run, f"push-{name}")

    def wait(self, began: Collection[str], patience: Patience) -> None:
        """Wait for pushes that began in this cycle, as long as patience lasts; for a moment in any case."""
        mine = {name: self._under_way[name] for name in began}
        if mine:
            patience.begin()
        wait(mine.values(), timeout=None if (left := patience.remaining) is None else max(left, LEAST_SECONDS))
        for name in sorted(name for name, each in mine.items() if not each.done()):
            _log.info("push_not_waited_for", system=name)

    def idle(self) -> None:
        """Wait until a push has ended, or something else is to be done."""
        while self._under_way and not self._over() and not self._hurried():
            if wait(self._under_way.values(), timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED).done:
                return

    def ended(self) -> dict[str, Pushed]:
        """What the pushes came to that have ended; each is told once. Raises what one of them raised."""
        over = [name for name, each in self._under_way.items() if each.done()]
        return {name: each.result() for name, each in [(name, self._under_way.pop(name)) for name in over]}

    def join(self) -> None:
        """Wait for every push to end."""
        wait(self._under_way.values())

    def rest(self) -> None:
        """Wait for every push to end: the writes under way get their answers, and no other begins."""
        self.given_up = True
        self.join()
        self.given_up = False


def push_verified(lane: Lane) -> Pushed:
    """Push, if the account behind the credentials was verified in this cycle, by the system's walk or else now."""
    with lane.store.reading() as tx:
        walk = tx.walk_in(lane.cycle, lane.system.name)
    seen = walk is not None and walk.outcome in (WalkOutcome.COMPLETE, WalkOutcome.SUSPICIOUS)
    return push(lane) if seen or verified(lane.store, lane.system, lane.clock) else Pushed(paused=True)


def may_push(row: SystemRow, now: datetime) -> bool:
    """Whether a system is neither paused nor has asked to be left alone."""
    return row.state is not SystemState.PAUSED and (row.paused_until is None or row.paused_until <= now)
