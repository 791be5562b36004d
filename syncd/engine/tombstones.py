"""What a restored store has forgotten of deletions, told to it by the digests that were remembered beside it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Final

from syncd.engine import trail
from syncd.engine.erasing import KEY, digest_of
from syncd.store import LinkRow, LinkState

if TYPE_CHECKING:
    from syncd.store import Tx

RESTORED: Final = "restored"
"""The state of the first run after the store was restored; and the key in `meta` under which it is remembered that it was."""


def respect_tombstones(tx: Tx, links: Collection[LinkRow], systems: Collection[str], now: datetime, cycle: str) -> int:
    """For records that are new here: where they are known to have been deleted beside, they count as gone there.

    Only a restored store has forgotten such deletions. Returns how many were remembered.
    """
    key = tx.get_meta(KEY) if links and tx.get_meta(RESTORED) is not None else None
    if key is None:
        return 0
    wanted = {
        digest_of(key, "gone", system, link.system, link.external_id): (system, link)
        for link in links
        for system in systems
        if system != link.system
    }
    found = sorted(tx.suppressed(list(wanted)))
    gone = [
        LinkRow(wanted[each][0], f"deleted:{each}", wanted[each][1].client, now, LinkState.GONE, "remembered")
        for each in found
    ]
    held = {(link.client, link.system) for mine in tx.links_of([row.client for row in gone]).values() for link in mine}
    gone = [row for row in gone if (row.client, row.system) not in held]
    tx.put_links(gone)
    trail.linked(tx, gone, at=now, cycle=cycle)
    trail.ended(tx, gone, at=now, cycle=cycle)
    return len(gone)
