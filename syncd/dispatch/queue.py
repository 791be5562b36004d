"""The queue: Procrastinate's tables in the schema of the cluster, its worker, and the few words syncd says to it.

A job is "work on this tenant", nothing more: what is due, and whether anything is, is asked when it begins. The lane lock is the
tenant's name: one cycle of a tenant at a time, over all workers. Jobs are deleted when they end; how a cycle ended is in the tenant's
store. What syncd must know of Procrastinate, beside its documentation:

* its worker ends without an error when the database was away, so that it runs in a loop of ours;
* that loop notices a lost listener or heartbeat only while a periodic task is registered: `tidy` is one, and useful besides;
* nothing takes back what a dead worker had claimed: the leader does (`Lead.forget_the_dead`), and it needs no lock for that;
* from synchronous code, inside a transaction of ours, it defers by an `App` that has no tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.jobs import Job
from procrastinate.schema import SchemaManager

from syncd.store import address
from syncd.store.cluster import SCHEMA, Desk, Lead

QUEUE: Final = "lanes"
TASK: Final = "cycle"
TIDY: Final = "tidy"
TIDY_CRON: Final = "7 * * * *"
SLOW_PRIORITY: Final = -1
CONNECTIONS_MAX: Final = 6
CONNECT_SECONDS: Final = 10.0


def prepare(desk: Desk) -> None:
    """Make the tables that the workers share, the queue's and ours, or bring them up to date; may be repeated."""
    folder = Path(SchemaManager.get_migrations_path())
    changes = [(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))]
    desk.prepare(SchemaManager.get_schema(), changes)


def hand_out(lead: Lead, sender: App, lanes: Iterable[tuple[str, bool]]) -> None:
    """Put lanes (tenant, whether it is slow) into the queue, as a part of the leader's transaction."""
    jobs = [
        Job(
            queue=QUEUE,
            lock=tenant,
            queueing_lock=tenant,
            task_name=TASK,
            task_kwargs={"tenant": tenant},
            priority=priority,
        )
        for tenant, slow in lanes
        for priority in [SLOW_PRIORITY if slow else 0]
    ]
    if jobs:
        sender.job_manager.batch_defer_jobs(jobs, connection=lead.driver_connection)


def sender() -> App:
    """What defers jobs over a connection that it is given."""
    return App(connector=SyncPsycopgConnector())


def receiver(url: str, work: Callable[[str], None], tidy: Callable[[], None]) -> App:
    """What fetches jobs and runs them. work: given the tenant's name. tidy: once an hour, by one worker of all."""
    place, told = address(url, f"-csearch_path={SCHEMA}")
    app = App(
        connector=PsycopgConnector(
            conninfo=place, kwargs=told, min_size=1, max_size=CONNECTIONS_MAX, timeout=CONNECT_SECONDS
        )
    )

    @app.task(name=TASK, queue=QUEUE)
    def cycle(tenant: str) -> None:
        work(tenant)

    @app.periodic(cron=TIDY_CRON)
    @app.task(name=TIDY, queue=QUEUE, queueing_lock=TIDY)
    def tidying(timestamp: int) -> None:
        del timestamp
        tidy()

    return app
