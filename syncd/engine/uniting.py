"""A write of the kind `merge`: the system itself joins two of its records, where its API can and the tenant lets it.

The survivor is read at the moment of writing like the loser, so what the system is asked is told by what is there. Asking twice does no harm:
what was joined stays so, and a loser that the system has retired is gone, which is then noticed like any other absence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from syncd.engine import trail
from syncd.engine.absorbing import ARCHIVED, MERGED, duplicates, set_apart
from syncd.engine.merging import running
from syncd.engine.observe import done_away, observe, written_memory
from syncd.errors import Stale
from syncd.store import Base, WriteState

if TYPE_CHECKING:
    from datetime import datetime

    from syncd.engine.push import Lane
    from syncd.providers import Listed, Merges
    from syncd.store import Tx, WriteRow


def merge_records(lane: Lane, row: WriteRow, loser: Listed, *, sent_at: datetime) -> None:
    """Join a record into the one that survives it, and observe what is left of it. Raises ProviderError; Stale where none survives it."""
    system = lane.system.name
    with lane.store.reading() as tx:
        client = tx.resolve_alias(row.client) or row.client
        [bundle] = tx.bundles([client])
        survivor = duplicates(bundle, running(tx, [client]).get(client, ())).get((system, loser.external_id))
    if survivor is None:
        message = "the merge that wanted it was taken back, or the record survives"
        raise Stale(message, operation="merge", external_id=loser.external_id)
    into = lane.system.provider.fetch(survivor[1])
    left = cast("Merges", lane.system.provider).merge(into, loser)
    with lane.store.writing() as tx:
        now = lane.clock()
        if left is None:
            _retired(tx, lane, loser.external_id, survivor[1], now)
        else:
            memories = {left.external_id: written_memory(now)}
            observe(tx, lane.system, [left], asked_at=sent_at, now=now, cycle=lane.cycle, memories=memories)
            _account(tx, lane, left.external_id)
        tx.put_writes([replace(row, client=client, state=WriteState.DONE, done_at=now, error=None)])
        tx.mark_dirty([client])


def _account(tx: Tx, lane: Lane, external_id: str) -> None:
    """That the record is archived now is the system's answer to the merge, and nobody's edit."""
    link, record = tx.link(lane.system.name, external_id), tx.records(lane.system.name, [external_id]).get(external_id)
    if link is not None and record is not None and ARCHIVED in record.fields:
        tx.put_links([replace(link, bases={**link.bases, ARCHIVED: Base(seen=record.fields[ARCHIVED])})])


def _retired(tx: Tx, lane: Lane, external_id: str, survivor: str, now: datetime) -> None:
    """The system has no such record any more: its id leads to the survivor."""
    record = tx.records(lane.system.name, [external_id]).get(external_id)
    if record is not None:
        tx.put_records([done_away(record, now)])
    link = tx.link(lane.system.name, external_id)
    if link is not None:
        tx.put_links([parted := set_apart(link, survivor, MERGED)])
        trail.ended(tx, [parted], at=now, cycle=lane.cycle)
