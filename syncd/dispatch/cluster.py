"""A worker of a cluster: any number of them, on any machines, share the tenants of one PostgreSQL database.

Every worker does the same three things: it ticks (once a second one of them, whoever takes the leader's lock, takes back what the dead
had claimed and hands out the lanes that are due), it runs what the queue gives it, and it says that it lives. There is no scheduler
to fail: the schedule is a table, and a turn moves on only when its cycle has ended.

Two workers never work on one tenant. The queue's lane lock sees to that in the ordinary case; the working right of the tenant's store,
a lock that ends with its session, and the fence behind it in every other, such as a worker that was taken for dead and was not.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from procrastinate.exceptions import ProcrastinateException

from syncd import __version__, footprint, log, signals, systemd
from syncd.config import Loaded, fingerprint, load
from syncd.dispatch import SLOTS, queue
from syncd.dispatch.lanes import Lanes
from syncd.engine import CycleReport
from syncd.errors import ConfigError, StoreError
from syncd.store import Pool
from syncd.store.cluster import Desk
from syncd.tenant import Tenant

TICK_SECONDS: Final = 1.0
FOLLOW_SECONDS: Final = 2.0
SEEN_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 3.0
STALLED_SECONDS: Final = 15.0
"""A worker whose heart has not beaten for so long has died: what it had claimed is handed out again."""

POLL_SECONDS: Final = 2.0
"""How often the queue is asked although nothing was announced."""

RESTART_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 9.0
"""How long a stop waits for requests that are under way. What is cut off then is found again by its intent."""

HAND_OUT_MAX: Final = 1000
"""Lanes handed out in one tick."""

_log = log.get("worker")


def needs_postgres(database: str) -> None:
    """Raise ConfigError for a database that several machines cannot share."""
    if not database.startswith("postgresql"):
        raise ConfigError(
            [
                'syncd.toml: database: found a folder of SQLite files; allowed for `syncd worker` and `syncd run --cluster`: "postgresql://..."'
            ]
        )


def name_of_this() -> str:
    """A worker's name: its machine and its process."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Worker:
    """One worker process."""

    def __init__(
        self,
        folder: Path,
        *,
        slots: int = SLOTS,
        on_cycle: Callable[[Tenant, CycleReport], None] = lambda _tenant, _report: None,
    ) -> None:
        """Read the configuration. Raises ConfigError where it cannot be used, or names no database that machines can share."""
        self.folder = folder
        self.name = name_of_this()
        self.slots = slots
        self.started_at = datetime.now(UTC)
        self.slow: list[str] = []
        """What did not end in time when the worker ended."""
        self._seen = fingerprint(folder)
        loaded = load(folder)
        needs_postgres(loaded.service.database)
        self._url = loaded.service.database
        self._pool = Pool(self._url, slots)
        self._desk = Desk(self._pool)
        self._sender = queue.sender()
        self._lanes = Lanes(self.name, self._pool, self._desk, on_cycle)
        self._errands = ThreadPoolExecutor(1, thread_name_prefix="errand")
        self._stop = threading.Event()
        self._awake = threading.Event()
        self._unfollowed: dict[str, dict[str, float]] | None = None
        self._follow(loaded)
        self._receiving: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._receives = False
        self._thread = threading.Thread(target=self._receive, name="queue", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether this worker takes jobs."""
        return self._receives and not self._stop.is_set()

    def health(self) -> dict[str, Any]:
        """What /healthz and /readyz tell: no names of clients, no secrets. tenants: those that had a cycle in this worker."""
        return {
            "ready": self.ready,
            "worker": self.name,
            "tenants": {name: {"ready": well} for name, well in sorted(self._lanes.worked.items())},
            "started_at": self.started_at.isoformat(),
        }

    def between(self, tenant: str, errand: Callable[[Tenant], Any]) -> Future[Any]:
        """Have something done with a tenant between two of its cycles; the future has what comes of it, also where nothing can."""
        return self._errands.submit(self._lanes.errand, tenant, errand)

    def stop(self) -> None:
        """Begin to end, as a signal would."""
        self._stop.set()
        self._awake.set()

    def run(self) -> int:
        """Work until a signal ends it, or the database's address changes. Returns the exit code. Raises StoreError at the start only."""
        signals.listen(self.stop, self._reload)
        with log.context(worker=self.name):
            queue.prepare(self._desk)
            self._desk.seen(self.name, __version__, self.slots)
            self._thread.start()
            _log.info("service_started", slots=self.slots)
            systemd.tell(systemd.READY, systemd.status(f"worker {self.name}, {self.slots} slots"))
            self._tick_on()
            return self._end()

    # ---- the tick

    def _tick_on(self) -> None:
        followed = seen = time.monotonic()
        size = footprint.NowAndThen()
        while not self._stop.is_set():
            self._awake.wait(TICK_SECONDS)
            self._awake.clear()
            now = time.monotonic()
            try:
                if now - followed >= FOLLOW_SECONDS or not self._seen:
                    followed = now
                    self._look_at_files()
                if now - seen >= SEEN_SECONDS:
                    seen = now
                    self._desk.seen(self.name, __version__, self.slots)
                    systemd.tell(systemd.ALIVE)
                self._tick()
                size.tidy()
            except (StoreError, ProcrastinateException) as error:
                # Whoever lost the database lost the working right with it: what runs would only wait for its systems in vain.
                _log.error("job_failed", code=getattr(error, "code", "store"), reason=str(error))
                self._lanes.tenants.interrupt()

    def _tick(self) -> None:
        """Hand out what is due, unless another worker is doing that."""
        with self._desk.leading() as lead:
            if lead is None:
                return
            if self._unfollowed is not None:
                lead.follow(self._unfollowed)
                self._unfollowed = None
            for tenant in lead.forget_the_dead(STALLED_SECONDS):
                _log.warning("job_rescued", tenant=tenant)
            room = lead.slow_room()
            chosen = []
            for tenant, slow in lead.to_hand_out(HAND_OUT_MAX):
                room -= slow
                if not slow or room >= 0:
                    chosen.append((tenant, slow))
            queue.hand_out(lead, self._sender, chosen)

    def _look_at_files(self) -> None:
        found = fingerprint(self.folder)
        if found == self._seen:
            return
        systemd.tell(*systemd.reloading())
        self._seen = found
        try:
            loaded = load(self.folder)
        except ConfigError as error:
            _log.error("config_broken", problems=error.problems)
        else:
            self._follow(loaded)
        systemd.tell(systemd.READY)

    def _follow(self, loaded: Loaded) -> None:
        """Work by these files from now on; the next time this worker leads, the schedule follows them too."""
        if loaded.service.database != self._url:
            _log.warning("service_stopping", reason="the address of the database has changed")
            self.stop()
            return
        for name, problems in loaded.broken.items():
            _log.error("config_broken", tenant=name, problems=list(problems))
        wanted = {tenant.name: tenant for tenant in loaded.tenants if tenant.enabled}
        self._lanes.follow(loaded.service, wanted)
        self._unfollowed = {name: dict(tenant.poll_seconds) for name, tenant in wanted.items()}

    def _reload(self) -> None:
        self._seen = ""
        self._awake.set()

    def _tidy(self) -> None:
        with self._desk.leading() as lead:
            if lead is not None:
                lead.tidy()

    # ---- the queue

    def _receive(self) -> None:
        with log.context(worker=self.name):
            try:
                asyncio.run(self._receive_on())
            except Exception:  # noqa: BLE001 - without this thread the worker works on nothing: it ends, and is started again
                _log.exception("crashed")
                self.stop()

    async def _receive_on(self) -> None:
        """Our loop around the queue's worker, which ends whenever the database was away."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(self.slots, thread_name_prefix="lane"))
        ending = asyncio.Event()
        self._receiving = (loop, ending)
        while not (ending.is_set() or self._stop.is_set()):
            try:
                await self._receive_once(ending)
            except (ProcrastinateException, OSError) as error:
                _log.error("job_failed", code="store", reason=f"the queue cannot be reached ({type(error).__name__})")
            finally:
                self._receives = False
            if not ending.is_set():
                _log.warning("queue_lost")
                await asyncio.wait([asyncio.ensure_future(ending.wait())], timeout=RESTART_SECONDS)

    async def _receive_once(self, ending: asyncio.Event) -> None:
        app = queue.receiver(self._url, self._lanes.work, self._tidy)
        async with app.open_async():
            running = asyncio.ensure_future(
                app.run_worker_async(
                    name=self.name,
                    queues=[queue.QUEUE],
                    concurrency=self.slots,
                    install_signal_handlers=False,
                    delete_jobs="always",
                    fetch_job_polling_interval=POLL_SECONDS,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=STALLED_SECONDS,
                )
            )
            self._receives = True
            stopper = asyncio.ensure_future(ending.wait())
            await asyncio.wait([running, stopper], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                stopper.cancel()
            else:
                running.cancel()  # it takes no more jobs, and waits for those that run
            try:
                await running
            except asyncio.CancelledError:
                if not ending.is_set():
                    raise

    # ---- the end

    def _end(self) -> int:
        _log.info("service_stopping")
        systemd.tell(systemd.STOPPING)
        self._lanes.stop()
        self._errands.shutdown(wait=False, cancel_futures=True)
        if self._receiving is not None:
            loop, ending = self._receiving
            loop.call_soon_threadsafe(ending.set)
        self._thread.join(DRAIN_SECONDS)
        self.slow = [self.name] if self._thread.is_alive() else []
        try:
            self._desk.leave(self.name)
        except StoreError as error:
            _log.error("job_failed", code=error.code, reason=str(error))
        if not self.slow:
            self._pool.close()
        _log.info("service_stopped", slow=self.slow)
        return 0
