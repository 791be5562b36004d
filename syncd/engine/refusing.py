"""What a person's refusal of a held set does. It concerns what was shown: what was read since and is not decided yet, nobody has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from syncd.core.model import UNKNOWN, unit_value
from syncd.engine import by_hand
from syncd.engine.brakes import SHOWN, shown
from syncd.store import Base, HoldRow, LinkRow, LinkState, RecordRow, RecordState

if TYPE_CHECKING:
    from syncd.store import Tx


def account(tx: Tx, hold: HoldRow) -> None:
    """A refused edit counts as seen: golden is written back over it. A later one that nobody has seen stands, and is decided by itself."""
    for item in hold.items:
        # Read anew for each item: the one before may have been the same client's.
        for bundle in tx.bundles([str(item["client"])]):
            tx.put_links(
                [_accounted(item, *side) for side in bundle.sides if _is_meant(item, *side, dirty=bundle.client.dirty)]
            )


def _accounted(item: Mapping[str, Any], link: LinkRow, record: RecordRow | None) -> LinkRow:
    unit = str(item["field"])
    if record is None:
        return link
    if by_hand.is_about_contacts(unit):
        return by_hand.accounted(link, record, unit)
    base = replace(link.bases.get(unit, Base()), seen=unit_value(record.fields, unit), agreed=UNKNOWN)
    return replace(link, bases={**link.bases, unit: base})


def _is_meant(item: Mapping[str, Any], link: LinkRow, record: RecordRow | None, *, dirty: bool) -> bool:
    """Whether a record of the system shows what it showed when the hold was opened; of what is decided the hold is never behind.

    What is typed into a record that stands apart was no part of the set, unless a merge has set it apart since.
    """
    if link.system != item["system"] or record is None:
        return False
    seen = item.get(SHOWN, {})
    if link.state is LinkState.APART and link.external_id not in seen:
        return False
    # A hold that does not say tells what golden would become.
    then = seen.get(link.external_id, item.get("value"))
    dirty = dirty or link.state is LinkState.APART
    return not dirty or bool(shown(link, record, str(item["field"])) == then)


def forget_records(tx: Tx, hold: HoldRow) -> list[LinkRow]:
    """A refused mass delete: the records are gone where they were deleted, and nothing follows from it elsewhere.

    One that was read again since is there. Returns the links that ended.
    """
    ended: list[LinkRow] = []
    for item in hold.items:
        system, external_id = str(item["system"]), str(item["external_id"])
        record = tx.records(system, [external_id]).get(external_id)
        link = tx.link(system, external_id)
        if record is not None and record.state is not RecordState.MISSING:
            continue
        if record is not None:
            tx.put_records([replace(record, state=RecordState.GONE)])
        if link is not None:
            ended.append(replace(link, state=LinkState.GONE))
    tx.put_links(ended)
    return ended
