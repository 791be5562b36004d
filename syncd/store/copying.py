"""A whole store as one SQLite file, and back: backups, whichever database the store is in."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, delete, func, insert, select, update

from syncd.errors import StoreError
from syncd.store import progress, tables
from syncd.store.database import Store, open_store
from syncd.store.rows import OPEN_WRITES, HoldKind, HoldState, LinkState, WriteState

if TYPE_CHECKING:
    from syncd.store.tx import Tx

LABEL: Final = "backup"
"""The key in `meta` of a backup: JSON, whose and of when it is."""

BATCH_ROWS: Final = 1000
_NAME: Final = "copy"


@dataclass(frozen=True, slots=True)
class Label:
    """Whose backup a file is, and of when. cycle: the last one in it."""

    tenant: str
    at: datetime
    cycle: str | None


def backup(store: Store, file: Path, now: datetime) -> Label:
    """Write one state of the store into a new file that only its owner can read, while others work on the store.

    Raises StoreError where the file exists or cannot be written. A file is whole or not there.
    """
    if file.exists():
        message = f"{file} exists already"
        raise StoreError(message)
    try:
        with tempfile.TemporaryDirectory(prefix=".syncd-", dir=file.parent) as folder:
            made = Path(folder) / f"{_NAME}.db"
            if not store.copy_file(made):
                _copy_rows_into(store, folder)
            label = _label(made, store.tenant, now)
            descriptor = os.open(made, os.O_RDONLY)
            try:
                os.fchmod(descriptor, 0o600)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.link(made, file)
    except OSError as error:
        message = f"{file}: {error.strerror}"
        raise StoreError(message) from error
    return label


def _copy_rows_into(store: Store, folder: str) -> None:
    target = open_store(f"sqlite:///{folder}", _NAME)
    try:
        with store.reading() as source, target.writing(operator=True) as into:
            copy_rows(source, into)
    finally:
        target.close()


def _label(file: Path, tenant: str, now: datetime) -> Label:
    """Write the label into the copy, make it one file without a write-ahead log, and check it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        row = connection.execute("SELECT cycle FROM cycles ORDER BY number DESC LIMIT 1").fetchone()
        label = Label(tenant, now, row[0] if row else None)
        document = json.dumps({"tenant": tenant, "at": now.isoformat(), "cycle": label.cycle})
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (LABEL, document))
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            message = f"{file}: the copy is damaged"
            raise StoreError(message)
    return label


@contextmanager
def opened(file: Path) -> Iterator[tuple[Store, Label]]:
    """A backup as a store of its own, brought up to date, and whose it is. The file itself is not changed.

    Raises StoreError where it is no backup, is damaged, or was made by a newer syncd.
    """
    with tempfile.TemporaryDirectory(prefix="syncd-restore-") as folder:
        copy = Path(folder) / f"{_NAME}.db"
        try:
            shutil.copyfile(file, copy)
            with closing(sqlite3.connect(copy)) as connection:
                row = connection.execute("SELECT value FROM meta WHERE key = ?", (LABEL,)).fetchone()
                sound = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            told = json.loads(row[0]) if row and sound else None
        except (OSError, sqlite3.Error, ValueError) as error:
            message = f"{file} cannot be read as a backup ({type(error).__name__})"
            raise StoreError(message) from error
        if told is None:
            message = f"{file} is no backup of syncd, or is damaged"
            raise StoreError(message)
        store = open_store(f"sqlite:///{folder}", _NAME)
        try:
            yield store, Label(told["tenant"], datetime.fromisoformat(told["at"]), told["cycle"])
        finally:
            store.close()


def copy_rows(source: Tx, target: Tx) -> None:
    """Make the rows of one store those of another, whose own are deleted; the fence stays that of the target."""
    fence = progress.get_meta(target, tables.FENCE)
    for table in reversed(tables.metadata.sorted_tables):
        target.run(delete(table))
    for table in tables.metadata.sorted_tables:
        for rows in source.run(select(table)).mappings().partitions(BATCH_ROWS):
            target.run(insert(table), [dict(row) for row in rows])
    target.backend.renumber(target.connection)
    if fence is not None:
        progress.set_meta(target, tables.FENCE, fence)


def raise_counters(work: Tx, least: Mapping[str, int]) -> None:
    """Give no id again that was given before: no counter stands lower than told."""
    known = counters(work)
    raised = {kind: value for kind, value in least.items() if value > known.get(kind, 0)}
    work.upsert_values(tables.counters, [{"kind": kind, "value": value} for kind, value in sorted(raised.items())])


def counters(work: Tx) -> dict[str, int]:
    """Kind of id -> the last number that was given."""
    column = tables.counters.c
    return {row[0]: row[1] for row in work.run(select(column.kind, column.value))}


# ---------------------------------------------------------------- what a restored store is told


def drop_open_writes(work: Tx, reason: str) -> int:
    """Drop every write that is not acknowledged; returns how many. What is still wanted is decided again."""
    write = tables.writes.c
    dropped = {"state": WriteState.DROPPED, "reason": reason, "done_at": work.now()}
    return work.run(update(tables.writes).where(write.state.in_(OPEN_WRITES)).values(**dropped)).rowcount


def lapse_holds(work: Tx, kind: HoldKind, by: str) -> None:
    """Close the open holds of a kind."""
    hold = tables.holds.c
    closed = {"state": HoldState.LAPSED, "decided_at": work.now(), "decided_by": by}
    work.run(update(tables.holds).where(hold.kind == kind, hold.state == HoldState.OPEN).values(**closed))


def gone_beside(work: Tx) -> list[tuple[str, str, str]]:
    """(system where a client's record is gone, system, external id of another record of the client), for all clients."""
    gone, other = tables.links.alias("gone"), tables.links.alias("other")
    same = and_(other.c.client == gone.c.client, other.c.system != gone.c.system)
    statement = select(gone.c.system, other.c.system, other.c.external_id).select_from(gone.join(other, same))
    return [(row[0], row[1], row[2]) for row in work.run(statement.where(gone.c.state == LinkState.GONE).distinct())]


def count_gone(work: Tx) -> int:
    """How many links stand for records that are gone."""
    return int(work.run(select(func.count()).where(tables.links.c.state == LinkState.GONE)).scalar_one())


def count_suppressed(work: Tx) -> int:
    """How many digests are remembered."""
    return int(work.run(select(func.count()).select_from(tables.suppressed)).scalar_one())


def linked_records(work: Tx) -> list[tuple[str, str, str]]:
    """(system, external id, client) of every link."""
    link = tables.links.c
    return [(row[0], row[1], row[2]) for row in work.run(select(link.system, link.external_id, link.client))]


def all_suppressed(work: Tx) -> list[str]:
    """Every digest of something erased, or remembered of a deletion."""
    column = tables.suppressed.c.digest
    return list(work.run(select(column).order_by(column)).scalars())
