"""Keeping house: once a day what is over goes, as the tenant's file says. The audit trail stays replayable to the last value."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from syncd import log
from syncd.core.model import Retention
from syncd.store import Store

EVERY: Final = timedelta(days=1)
PURGED_AT: Final = "purged_at"
"""The key in `meta` of when that was done last."""

ACTS: Final = frozenset(
    {
        "client_undone",
        "conflict_resolved",
        "hold_refused",
        "hold_released",
        "plan_applied",
        "undone",
        "write_dropped",
        "write_retried",
    }
)
"""The kinds of audit lines that only tell what a person did. Every other kind stays: something may be told again from it."""

_log = log.get("retention")


def purge(store: Store, keep: Retention, now: datetime, *, at_once: bool = False) -> int:
    """Delete what is over and older than that, in one short transaction per kind, unless it was done within a day.

    Returns how many rows went. The caller holds the store's lock.
    """
    with store.reading() as tx:
        last = tx.get_meta(PURGED_AT)
    if not at_once and last is not None and now - datetime.fromisoformat(last) < EVERY:
        return 0

    def before(seconds: float) -> datetime:
        return now - timedelta(seconds=seconds)

    gone = 0
    if keep.writes_seconds is not None:
        with store.writing() as tx:
            gone += tx.purge_writes(before(keep.writes_seconds))
    if keep.conflicts_seconds is not None:
        with store.writing() as tx:
            gone += tx.purge_conflicts(before(keep.conflicts_seconds))
    if keep.history_seconds is not None:
        with store.writing() as tx:
            gone += tx.purge_history(before(keep.history_seconds), ACTS)
    if keep.walks_seconds is not None:
        with store.writing() as tx:
            gone += tx.purge_walks(before(keep.walks_seconds))
        with store.writing() as tx:
            gone += tx.purge_cycles(before(keep.walks_seconds))
    with store.writing() as tx:
        tx.set_meta(PURGED_AT, now.isoformat())
    if gone:
        _log.info("purged", records=gone)
    return gone
