"""A merge in the systems: where two records of one system belong to one client, one survives there and the others are archived.

It needs no memory of its own steps: what is to be done next is read off the records, so it goes on wherever it was stopped.

    1. all records of the client are heard, also those that will not survive: an edit typed into one of them is not lost
    2. the survivor is written and read back, by the ordinary plan; nothing else is written in that system meanwhile
    3. then the next of the others is archived (or merged, where the API can and the tenant says so), by an ordinary write
    4. seen archived, it stands `apart`: its link leads to the survivor, it is never written again and asks for nothing any more

Where a system cannot archive, step 3 is left out and told. The survivor is the winner's record; else the better filled, then the older.
An archived record survives only if there is none in use.

Without a merge of clients there is something to absorb, too, where somebody who was archived was typed again in the same system: the record
in use stands for the client, and the archived ones are only names of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core.model import Action
from syncd.core.plan import Intent, Place, Standing
from syncd.core.survivorship import is_empty
from syncd.engine.merging import came_from_losers
from syncd.engine.observe import SENT
from syncd.store import (
    Bundle,
    LinkRow,
    LinkState,
    MergeRow,
    MergeState,
    RecordKey,
    RecordRow,
    RecordState,
    StandingState,
)
from syncd.store import Standing as StandingRow

if TYPE_CHECKING:
    from datetime import datetime

    from syncd.engine.systems import System

ARCHIVED = "archived"
MERGED = "merged there"
GONE_THERE = "gone there"

_log = log.get("merging")


def duplicates(bundle: Bundle, merges: Sequence[MergeRow]) -> dict[RecordKey, RecordKey]:
    """Record -> the record of the same system that survives it, for every linked record that does not survive."""
    came = came_from_losers(merges)
    sides: dict[str, list[tuple[LinkRow, RecordRow | None]]] = {}
    for link, record in bundle.sides:
        if link.state is LinkState.LINKED:
            sides.setdefault(link.system, []).append((link, record))
    live = bundle.client.fields.get(ARCHIVED) is not True
    found: dict[RecordKey, RecordKey] = {}
    for rivals in sides.values():
        if len(rivals) == 1:
            continue
        ranked = sorted(rivals, key=lambda side: _rank(side, came, live=live or not merges))
        first = ranked[0][0]
        for link, record in ranked[1:]:
            if merges or _is_archived(record):  # two that are in use are two clients until a person says otherwise
                found[link.system, link.external_id] = (first.system, first.external_id)
    return found


def _is_archived(record: RecordRow | None) -> bool:
    return record is not None and record.state is RecordState.PRESENT and record.fields.get(ARCHIVED) is True


def _rank(
    side: tuple[LinkRow, RecordRow | None], came: frozenset[RecordKey], *, live: bool
) -> tuple[bool, bool, bool, int, int, str]:
    link, record = side
    present = record is not None and record.state is RecordState.PRESENT
    archived = live and record is not None and record.fields.get(ARCHIVED) is True
    loser = (link.system, link.external_id) in came
    filled = sum(not is_empty(value) for value in record.fields.values()) if record is not None else 0
    return (not present, archived, loser, -filled, len(link.external_id), link.external_id)


def objection(system: System) -> str | None:
    """Why the record of a client that was merged away cannot be archived in a system, None where it can."""
    if not system.mode.updates:
        return f"mode {system.mode.value} changes nothing in {system.name}"
    spec = system.spec(ARCHIVED)
    if system.provider.capabilities.merge:
        return None
    if not system.provider.capabilities.archive or spec is None or not spec.update:
        return f"{system.name} cannot archive"
    return None


def unheard(
    bundle: Bundle, merges: Sequence[MergeRow], blocked: Collection[str], now: datetime
) -> frozenset[RecordKey]:
    """Records of which it is not known what they show since their clients were merged: something typed there may still have to be heard.

    Such are those not read since, and those that showed last what is not believed yet (`syncd.engine.observe`).
    blocked: the systems that could not be read completely. now: when this cycle began to decide; what it merges it has just read.
    """
    began = max((row.started_at for row in merges if row.started_at < now), default=None)
    return frozenset(
        (link.system, link.external_id)
        for link, record in bundle.sides
        if link.system in blocked
        or (began is not None and record is not None and record.seen_at < began <= now)
        or (record is not None and record.seen_at < record.observed_at <= now)
    )


def is_ready(outcome: Place) -> bool:
    """Whether the survivor shows what it is to show, as far as its system can be told."""
    return outcome.intent is None and outcome.standing in (Standing.IN_SYNC, Standing.EXCLUDED)


def retirement(
    link: LinkRow,
    record: RecordRow | None,
    system: System,
    outcome: Place,
    survivor: str,
    targets: frozenset[str] | None,
) -> Intent | str | None:
    """What becomes of a record beside its survivor: a write, a word why none (`apart` at once), or None: it waits.

    targets: the only systems where `archived` may be written (None: all).
    """
    if record is None or record.state is not RecordState.PRESENT:
        return None
    if record.fields.get(ARCHIVED) is True and not _may_be_restored(record):
        return ARCHIVED
    if outcome.standing is Standing.EXCLUDED and not outcome.drift:
        return outcome.reason
    refusal = objection(system)
    if refusal is None and targets is not None and system.name not in targets:
        refusal = f"archived is not written to {system.name}"
    if refusal is not None:
        return refusal
    action = Action.MERGE if system.provider.capabilities.merge else Action.ARCHIVE
    before = {ARCHIVED: record.fields.get(ARCHIVED)} if ARCHIVED in record.fields else {}
    reason = f"its client was merged; record {survivor} stands for it from now on"
    return Intent(system.name, link.external_id, action, {ARCHIVED: True}, before, reason)


def _may_be_restored(record: RecordRow) -> bool:
    """Whether a write of ours may have restored it, whose answer was lost: then it is archived only once that was answered anew."""
    sent = record.memory.get(SENT)
    told = sent.get(ARCHIVED, ()) if isinstance(sent, Mapping) else ()
    return any(value is not True for value in told)


def set_apart(link: LinkRow, survivor: str, word: str) -> LinkRow:
    """The link of a record that survives only as a name of another one."""
    outcome = word if word in (ARCHIVED, MERGED, GONE_THERE) else f"left as it is: {word}"
    _log.info("record_absorbed", system=link.system, client=link.client, record=link.external_id, into=survivor)
    matched = link.matched_by.split("; merged into ")[0]
    return replace(link, state=LinkState.APART, matched_by=f"{matched}; merged into {survivor} ({outcome})")


def progress(
    merges: Sequence[MergeRow],
    before: Mapping[RecordKey, LinkRow],
    after: Mapping[RecordKey, LinkRow],
    standings: Sequence[StandingRow],
    left: Mapping[RecordKey, RecordKey],
    now: datetime,
) -> list[MergeRow]:
    """The merges of one client with what was just done; they are done when every system is through and nothing waits."""
    apart = [link for key, link in after.items() if link.state is LinkState.APART and before[key] != link]
    steps: list[dict[str, Any]] = [
        {
            "system": link.system,
            "external_id": link.external_id,
            "what": link.matched_by.rpartition("; ")[2],
            "at": now.isoformat(),
        }
        for link in apart
    ]
    waits = (StandingState.PENDING, StandingState.HELD, StandingState.FAILING)
    through = not left and not any(row.state in waits for row in standings)
    changed: list[MergeRow] = []
    for row in merges:
        mine = [step for step in steps if _concerns(row, step)]
        new = replace(row, snapshot={**row.snapshot, "steps": [*row.snapshot.get("steps", []), *mine]}) if mine else row
        if through:
            new = replace(new, state=MergeState.DONE, ended_at=now)
            _log.info("merge_done", client=row.winner, merge=row.merge)
        if new != row:
            changed.append(new)
    return changed


def _concerns(row: MergeRow, step: Mapping[str, Any]) -> bool:
    links = [link for found in row.snapshot.get("links", {}).values() for link in found]
    return any((link["system"], link["external_id"]) == (step["system"], step["external_id"]) for link in links)
