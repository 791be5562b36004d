"""What the workers of a cluster share in PostgreSQL, beside the tenants' stores: whose turn it is, who works, what was spent.

All of it lies in the schema `syncd`, which no tenant can have, together with the tables of Procrastinate. Every time in it is the
database's, so that the clocks of the machines need not agree. It may be lost: it is derived from the configuration and made again;
nothing that a tenant's store promises depends on it.

A *lane* is a tenant; a *turn* is one system that is to be pulled when `due_at` has come. A turn moves on when its cycle has ended
and not before: what a worker had begun when it died is still due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, text

from syncd.store.dialects import translated
from syncd.store.pool import Pool

SCHEMA: Final = "syncd"
"""Tenants' schemas are called `syncd_TENANT`."""

SLOW_SECONDS: Final = 30.0
"""A lane whose last cycle took longer is slow: it waits behind the others, and slow ones take half of the slots at most."""

GONE_SECONDS: Final = 60.0
"""A worker that was not seen for so long is no longer told of."""

_LEADER: Final = 0x73796E6364
"""The number of the leader's advisory lock."""

_PREPARING: Final = 0x73796E6365

STEPS: Final = (
    """
    CREATE TABLE lanes (
      tenant text PRIMARY KEY,
      not_before timestamptz NOT NULL DEFAULT now(),
      seconds double precision NOT NULL DEFAULT 0
    );
    CREATE TABLE turns (
      tenant text NOT NULL REFERENCES lanes ON DELETE CASCADE,
      system text NOT NULL,
      poll_seconds double precision NOT NULL,
      due_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant, system)
    );
    CREATE INDEX turns_due ON turns (due_at);
    CREATE TABLE workers (
      name text PRIMARY KEY,
      version text NOT NULL,
      slots integer NOT NULL,
      started_at timestamptz NOT NULL DEFAULT now(),
      seen_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE budgets (
      account text PRIMARY KEY,
      next_at timestamptz NOT NULL
    );
    CREATE TABLE pauses (
      account text NOT NULL,
      origin text NOT NULL,
      until timestamptz NOT NULL,
      PRIMARY KEY (account, origin)
    );
    CREATE TABLE spent (
      account text NOT NULL,
      slice timestamptz NOT NULL,
      requests integer NOT NULL,
      PRIMARY KEY (account, slice)
    );
    CREATE FUNCTION take_request(of_account text, of_origin text, interval_seconds float8, per_day integer)
    RETURNS TABLE (verdict text, seconds float8) LANGUAGE plpgsql AS $$
    DECLARE
      free_at timestamptz;
      moment timestamptz;
      pause_until timestamptz;
      used bigint;
      oldest timestamptz;
    BEGIN
      INSERT INTO budgets VALUES (of_account, clock_timestamp()) ON CONFLICT DO NOTHING;
      SELECT next_at INTO free_at FROM budgets WHERE account = of_account FOR UPDATE;
      moment := clock_timestamp();
      SELECT until INTO pause_until FROM pauses WHERE account = of_account AND origin = of_origin;
      IF pause_until > moment THEN
        RETURN QUERY SELECT 'paused', extract(epoch FROM pause_until - moment)::float8;
        RETURN;
      END IF;
      IF per_day IS NOT NULL THEN
        SELECT sum(requests), min(slice) INTO used, oldest FROM spent
          WHERE account = of_account AND slice > moment - interval '1 day 5 minutes';
        IF used >= per_day THEN
          RETURN QUERY SELECT 'spent', extract(epoch FROM oldest + interval '1 day 5 minutes' - moment)::float8;
          RETURN;
        END IF;
        INSERT INTO spent VALUES (of_account, date_bin('5 minutes', moment, 'epoch'), 1)
          ON CONFLICT (account, slice) DO UPDATE SET requests = spent.requests + 1;
      END IF;
      free_at := greatest(free_at, moment);
      UPDATE budgets SET next_at = free_at + make_interval(secs => interval_seconds) WHERE account = of_account;
      RETURN QUERY SELECT 'go', extract(epoch FROM free_at - moment)::float8;
    END $$;
    """,
)
"""The schema of this module, step by step. A released step is never edited; a new one may only add what older workers can ignore."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One system that is due. at: the database's time when it was asked."""

    system: str
    poll_seconds: float
    due_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that works. slots: how many cycles it runs at a time."""

    name: str
    version: str
    slots: int
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """How the cluster stands. late_seconds: for how long the oldest turn that waits has been due, 0 where none is."""

    workers: tuple[Worker, ...]
    lanes: int
    waiting: int
    running: int
    late_seconds: float


class Desk:
    """The shared tables, for one process. Errors: StoreError where the database cannot be used."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with translated(self._pool.place), self._pool.engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL search_path TO {SCHEMA}")
            yield connection

    def prepare(self, queue: str, changes: Sequence[tuple[str, str]]) -> None:
        """Make the schema, or bring it up to date; may be repeated, and by several processes at once.

        queue: the SQL that makes the queue's own tables in an empty schema. changes: name and SQL of every change that its authors
        made since their first version, in order; those that came after what is there are applied.
        """
        with translated(self._pool.place), self._pool.engine.begin() as connection:
            _run(connection, "SELECT pg_advisory_xact_lock(:key)", key=_PREPARING)
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            connection.exec_driver_sql(f"SET LOCAL search_path TO {SCHEMA}")
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS applied (name text PRIMARY KEY, at timestamptz)")
            applied = {row.name for row in _run(connection, "SELECT name FROM applied")}
            fresh = not any(name.startswith("queue ") for name in applied)
            if fresh:
                _script(connection, queue)
            for name, change in changes:
                if f"queue {name}" not in applied and not fresh:
                    _script(connection, change)
            for number, step in enumerate(STEPS, 1):
                if f"step {number}" not in applied:
                    _script(connection, step)
            names = [f"queue {name}" for name, _ in changes] + [f"step {number + 1}" for number in range(len(STEPS))]
            for name in set(names) - applied:
                _run(connection, "INSERT INTO applied VALUES (:name, now())", name=name)

    @contextmanager
    def leading(self) -> Iterator[Lead | None]:
        """A transaction in which this process alone hands out work; None where another one is doing so at this moment."""
        with self._transaction() as connection:
            first = _run(connection, "SELECT pg_try_advisory_xact_lock(:key)", key=_LEADER).scalar_one()
            yield Lead(connection) if first else None

    def seen(self, name: str, version: str, slots: int) -> None:
        """This worker lives."""
        statement = (
            "INSERT INTO workers (name, version, slots) VALUES (:name, :version, :slots)"
            " ON CONFLICT (name) DO UPDATE SET seen_at = now(), version = :version, slots = :slots"
        )
        with self._transaction() as connection:
            _run(connection, statement, name=name, version=version, slots=slots)

    def leave(self, name: str) -> None:
        """This worker ends."""
        with self._transaction() as connection:
            _run(connection, "DELETE FROM workers WHERE name = :name", name=name)

    def due(self, tenant: str) -> list[Turn]:
        """The tenant's systems whose turn it is."""
        statement = "SELECT system, poll_seconds, due_at, now() AS at FROM turns WHERE tenant = :tenant AND due_at <= now() ORDER BY system"
        with self._transaction() as connection:
            return [Turn(*row) for row in _run(connection, statement, tenant=tenant)]

    def ended(self, tenant: str, next_turns: Mapping[str, datetime], seconds: float) -> None:
        """A cycle ended well after so many seconds; its systems are due again when `next_turns` says."""
        moved = (
            "UPDATE turns SET due_at = given.next_at FROM unnest(CAST(:systems AS text[]), CAST(:times AS timestamptz[])) AS given (system, next_at)"
            " WHERE turns.tenant = :tenant AND turns.system = given.system"
        )
        with self._transaction() as connection:
            _run(connection, moved, tenant=tenant, systems=list(next_turns), times=list(next_turns.values()))
            _run(
                connection, "UPDATE lanes SET seconds = :seconds WHERE tenant = :tenant", tenant=tenant, seconds=seconds
            )

    def put_off(self, tenant: str, seconds: float) -> None:
        """The tenant's turns stay due, and nobody begins with them for so long."""
        statement = "UPDATE lanes SET not_before = now() + make_interval(secs => :seconds) WHERE tenant = :tenant"
        with self._transaction() as connection:
            _run(connection, statement, tenant=tenant, seconds=seconds)

    def take(
        self, account: str, origin: str, interval_seconds: float, per_day: int | None
    ) -> tuple[Literal["go", "paused", "spent"], float]:
        """Claim one request of an account's budgets.

        go: it may be sent after so many seconds, and counts. paused: the system asked for a pause, which lasts so long. spent: the
        budget of the last 24 hours (counted in slices of 5 minutes) is used up; ask again after so many seconds.
        """
        statement = "SELECT verdict, seconds FROM take_request(:account, :origin, :interval, :day)"
        with self._transaction() as connection:
            row = _run(
                connection, statement, account=account, origin=origin, interval=interval_seconds, day=per_day
            ).one()
            return row.verdict, float(row.seconds)

    def pause(self, account: str, origin: str, seconds: float) -> None:
        """No request of this account goes there for so long."""
        statement = (
            "INSERT INTO pauses VALUES (:account, :origin, now() + make_interval(secs => :seconds))"
            " ON CONFLICT (account, origin) DO UPDATE SET until = greatest(pauses.until, excluded.until)"
        )
        with self._transaction() as connection:
            _run(connection, statement, account=account, origin=origin, seconds=seconds)

    def used_today(self, account: str) -> int:
        """Requests of the account that count against its budget of the day."""
        statement = "SELECT coalesce(sum(requests), 0) FROM spent WHERE account = :account AND slice > now() - interval '1 day 5 minutes'"
        with self._transaction() as connection:
            return int(_run(connection, statement, account=account).scalar_one())

    def look(self) -> Look | None:
        """How the cluster stands, None where this database has none."""
        with self._transaction() as connection:
            if _run(connection, "SELECT to_regclass(:name)", name=f"{SCHEMA}.lanes").scalar() is None:
                return None
            alive = (
                "SELECT name, version, slots, started_at, seen_at FROM workers"
                " WHERE seen_at > now() - make_interval(secs => :gone) ORDER BY name"
            )
            workers = tuple(Worker(*row) for row in _run(connection, alive, gone=GONE_SECONDS))
            counts = _run(
                connection,
                "SELECT (SELECT count(*) FROM lanes) AS lanes,"
                " (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo') AS waiting,"
                " (SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing') AS running,"
                " (SELECT extract(epoch FROM now() - min(due_at)) FROM turns JOIN lanes USING (tenant)"
                "   WHERE due_at <= now() AND not_before <= now() AND NOT EXISTS"
                "     (SELECT 1 FROM procrastinate_jobs WHERE lock = tenant AND status = 'doing')) AS late",
            ).one()
        return Look(workers, counts.lanes, counts.waiting, counts.running, float(counts.late or 0))


_FOLLOW: Final = (
    "DELETE FROM lanes WHERE tenant <> ALL (CAST(:tenants AS text[]))",
    "INSERT INTO lanes (tenant) SELECT DISTINCT unnest(CAST(:tenants AS text[])) ON CONFLICT DO NOTHING",
    """
    DELETE FROM turns WHERE (tenant, system) NOT IN
      (SELECT * FROM unnest(CAST(:tenants AS text[]), CAST(:systems AS text[])))
    """,
    """
    INSERT INTO turns (tenant, system, poll_seconds)
    SELECT * FROM unnest(CAST(:tenants AS text[]), CAST(:systems AS text[]), CAST(:polls AS float8[]))
    ON CONFLICT (tenant, system) DO UPDATE SET poll_seconds = excluded.poll_seconds,
      due_at = least(turns.due_at, now() + make_interval(secs => excluded.poll_seconds))
    WHERE turns.poll_seconds <> excluded.poll_seconds
    """,
)


class Lead:
    """What the one process may do that hands out work at this moment; all of it happens, or nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def driver_connection(self) -> Any:
        """Psycopg's own connection, for the queue's authors' code to take part in this transaction."""
        return self._connection.connection.driver_connection

    def follow(self, wanted: Mapping[str, Mapping[str, float]]) -> None:
        """Have exactly these lanes: tenant -> system -> seconds between pulls. What is new is due at once."""
        pairs = [(tenant, system, poll) for tenant, systems in wanted.items() for system, poll in systems.items()]
        names = {
            "tenants": [pair[0] for pair in pairs],
            "systems": [pair[1] for pair in pairs],
            "polls": [pair[2] for pair in pairs],
        }
        for statement in _FOLLOW:
            _run(self._connection, statement, **names)

    def forget_the_dead(self, stalled_seconds: float) -> list[str]:
        """Take back what workers had claimed that have not been heard of for so long; the lanes that this frees.

        The turns of these lanes are still due, so that they are handed out again; the claim itself is worth nothing.
        """
        _run(self._connection, "SELECT procrastinate_prune_stalled_workers_v1(:seconds)", seconds=stalled_seconds)
        freed = _run(
            self._connection,
            "DELETE FROM procrastinate_jobs WHERE status = 'doing' AND worker_id IS NULL RETURNING lock",
        )
        return sorted(row.lock for row in freed if row.lock)

    def to_hand_out(self, limit: int) -> list[tuple[str, bool]]:
        """Lanes with a turn that is due and nobody at work or waiting to be: (tenant, whether it is slow), the oldest first."""
        rows = _run(
            self._connection,
            "SELECT tenant, lanes.seconds > :slow AS slow FROM lanes JOIN"
            " (SELECT tenant, min(due_at) AS due_at FROM turns WHERE due_at <= now() GROUP BY tenant) AS due USING (tenant)"
            " WHERE not_before <= now() AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs"
            "   WHERE lock = tenant AND status IN ('todo', 'doing'))"
            " ORDER BY due.due_at, tenant LIMIT :limit",
            slow=SLOW_SECONDS,
            limit=limit,
        )
        return [(row.tenant, row.slow) for row in rows]

    def slow_room(self) -> int:
        """How many more slow lanes may be handed out: half of all slots, one at least, without those that are out already."""
        return int(
            _run(
                self._connection,
                "SELECT greatest((SELECT coalesce(sum(slots), 0) / 2 FROM workers WHERE seen_at > now() - make_interval(secs => :gone)), 1)"
                " - (SELECT count(*) FROM procrastinate_jobs WHERE priority < 0 AND status IN ('todo', 'doing'))",
                gone=GONE_SECONDS,
            ).scalar_one()
        )

    def tidy(self) -> None:
        """Delete what is of no use any more: workers that are gone, counts of days past, pauses that are over."""
        _run(
            self._connection,
            "DELETE FROM workers WHERE seen_at < now() - make_interval(secs => :gone)",
            gone=GONE_SECONDS,
        )
        _run(self._connection, "DELETE FROM spent WHERE slice < now() - interval '2 days'")
        _run(self._connection, "DELETE FROM pauses WHERE until < now()")


def _run(connection: Connection, statement: str, **parameters: Any) -> Any:
    return connection.execute(text(statement), parameters)


def _script(connection: Connection, script: str) -> None:
    """Several statements as their authors wrote them: without parameters, so that no sign in them is taken for one."""
    connection.execution_options(no_parameters=True).exec_driver_sql(script)
    connection.execution_options(no_parameters=False)
