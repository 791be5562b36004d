"""The one door into the mirror: a page of a walk, a single read and the answer to a write all come in here.

What we wrote is thereby what we have already seen, so an echo needs no flag. An older observation never replaces a newer one,
and a listing that shows again what a field showed until a moment ago is not believed until it has had time to settle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from syncd.core.model import UNKNOWN, Fields, Value, parts_of, unit_value
from syncd.engine.erasing import KEY as ERASURE_KEY
from syncd.engine.erasing import erased_again
from syncd.engine.systems import digest, number_of
from syncd.store import RecordRow, RecordState

if TYPE_CHECKING:
    from syncd.engine.systems import System
    from syncd.providers import Listed
    from syncd.store import Tx

WRITTEN = "_written"
"""Key in a record's memory: our own last write, {"at": ISO time}."""

EARLIER = "_earlier"
"""Key in a record's memory: what its fields showed before they changed, {field: [[value, until when (ISO)], ...]}."""

SENT = "_sent"
"""Key in a record's memory: what writes had told whose answers were lost, {unit: [value, ...]}. Where the record shows one, it is no edit."""

SENT_VALUES_MAX = 4
"""Unanswered values of one unit that are remembered; a later one may never have left, so that the earlier ones still count."""

MOVED_TO = "_moved_to"
"""Key in a record's memory: the id to which its system sent whoever asked for it."""

MOVED_UNREAD = "_moved_unread"
"""Key in a record's memory: that this other id was listed then, and its record could not be read."""

EARLIER_VALUES_MAX = 4
"""Earlier values of one field that are remembered."""

CREATED = "_created"
"""Key in a record's memory: the write by which syncd made this record."""

GONE_CONFIRMATIONS = 2
"""How often, in as many cycles, a system must have said that a record is gone before it is believed."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What an observation came to: records that changed or are new, and those that were not believed yet.

    kept: the records that are in the mirror exactly as they were shown, and present.
    """

    changed: tuple[str, ...] = ()
    unbelieved: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def observe(
    tx: Tx,
    system: System,
    listed: Sequence[Listed],
    *,
    asked_at: datetime,
    now: datetime,
    cycle: str,
    walk: str | None = None,
    list_digests: Mapping[str, str] | None = None,
    stale_read_seconds: float = 0.0,
    memories: Mapping[str, Mapping[str, Any]] | None = None,
    page: int | None = None,
    shown_at: datetime | None = None,
) -> Observed:
    """Record what a system said about some of its records, as one set.

    asked_at: when the request was sent. cycle: in which it is taken in. shown_at: when they were shown, where that is not now. walk: the walk in which they were
    listed, page: on which page of it. list_digests: of the list items, where a record was then read singly. memories: what to remember about
    a record from now on (merged into what is remembered already).
    """
    digests = {each.external_id: digest([each.raw, each.children]) for each in listed}
    stored = tx.digests(system.name, list(digests))
    same = [
        external_id
        for external_id, found in digests.items()
        if external_id in stored
        and stored[external_id][0] == found
        and stored[external_id][2] in ("present", "missing")
        and not (list_digests and list_digests.get(external_id) not in (None, stored[external_id][1]))
        and not (memories and external_id in memories)
    ]
    seen_at = shown_at or now
    if same and (returned := tx.touch_records(system.name, same, walk, seen_at, page)):
        tx.mark_dirty_by_records(system.name, returned)
    known = set(same)
    fresh = [each for each in listed if each.external_id not in known]
    if not fresh:
        return Observed(kept=tuple(same))
    before = tx.records(system.name, [each.external_id for each in fresh])
    rows, unbelieved, moved = list[RecordRow](), list[str](), list[str]()
    for each in fresh:
        old = before.get(each.external_id)
        row = _row(
            system,
            each,
            old,
            digests[each.external_id],
            (list_digests or {}).get(each.external_id),
            asked_at=asked_at,
            now=now,
            seen_at=seen_at,
            cycle=cycle,
            walk=walk,
            memories=memories or {},
        )
        if old is not None and asked_at < old.observed_at <= now:  # later than now: the clock has jumped back since
            continue
        if old is not None and _is_stale(system, old, row, asked_at, stale_read_seconds):
            unbelieved.append(each.external_id)
            continue
        rows.append(row)
        if old is None or old.fields != row.fields or old.state != row.state:
            moved.append(each.external_id)
    if unbelieved:
        tx.touch_records(system.name, unbelieved, walk, seen_at, believed=False)
    rows = _not_erased(tx, system, rows, before)
    _store(tx, system, rows, before, page)
    kept = {row.external_id for row in rows}
    return Observed(tuple(each for each in moved if each in kept), tuple(unbelieved), (*same, *kept))


def _not_erased(tx: Tx, system: System, rows: list[RecordRow], before: Mapping[str, RecordRow]) -> list[RecordRow]:
    """The records without those that are new here and show somebody who was erased; but for what syncd made itself."""
    new = [row for row in rows if row.external_id not in before and CREATED not in row.memory]
    if not new or tx.get_meta(ERASURE_KEY) is None:
        return rows
    again = erased_again(tx, system.name, {row.external_id: system.match_keys(row.fields) for row in new})
    return [row for row in rows if row.external_id not in again]


def _store(
    tx: Tx, system: System, rows: Sequence[RecordRow], before: Mapping[str, RecordRow], page: int | None
) -> None:
    if not rows:
        return
    tx.put_records(rows, page)
    changed = [row for row in rows if row.external_id not in before or before[row.external_id].fields != row.fields]
    if changed:
        tx.set_keys(system.name, {row.external_id: system.match_keys(row.fields) for row in changed})
    stirred = [
        row.external_id
        for row in rows
        if row.external_id not in before
        or before[row.external_id].fields != row.fields
        or before[row.external_id].state != row.state
    ]
    tx.mark_dirty_by_records(system.name, stirred)


def _row(
    system: System,
    listed: Listed,
    old: RecordRow | None,
    found: str,
    list_found: str | None,
    *,
    asked_at: datetime,
    now: datetime,
    seen_at: datetime,
    cycle: str,
    walk: str | None,
    memories: Mapping[str, Mapping[str, Any]],
) -> RecordRow:
    kept = _kept(old.memory if old else {}, memories.get(listed.external_id, {}))
    engine_own = {key: kept.pop(key) for key in (WRITTEN, CREATED, EARLIER, SENT) if key in kept}
    kept.pop(MOVED_TO, None)  # it is there after all
    kept.pop(MOVED_UNREAD, None)
    reading = system.provider.read(listed, kept)
    fields = reading.fields
    unchanged = old is not None and old.fields == fields and old.state is RecordState.PRESENT
    if old is not None and old.fields != fields:
        engine_own[EARLIER] = _earlier(old, fields, now)
        engine_own[SENT] = _still_sent(system, engine_own.get(SENT, {}), old.fields, fields)
    return RecordRow(
        system=system.name,
        external_id=listed.external_id,
        raw=listed.raw,
        children=listed.children,
        fields=fields,
        memory={**reading.memory, **engine_own},
        digest=found,
        # Of a record that shows something else by another door, the list item that was read before tells nothing any more.
        list_digest=list_found or (old.list_digest if old is not None and old.digest == found else None),
        state=RecordState.PRESENT,
        reason=None,
        first_seen_at=old.first_seen_at if old else now,
        first_seen_in=old.first_seen_in if old else number_of(cycle) + (walk is None),
        seen_at=seen_at,
        changed_at=old.changed_at if old is not None and unchanged else now,
        observed_at=asked_at,
        walk=walk or (old.walk if old else None),
        missing_since=None,
        missing_cycle=None,
        gone_count=0,
    )


def _kept(before: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What is remembered about a record, old and new; values that were written are remembered field by field."""
    kept = {**before, **new}
    if isinstance(before.get("written"), Mapping) and isinstance(new.get("written"), Mapping):
        kept["written"] = {**before["written"], **new["written"]}
    return kept


def _is_stale(system: System, old: RecordRow, new: RecordRow, asked_at: datetime, stale_read_seconds: float) -> bool:
    """Whether a field shows again what it showed until a moment ago, too soon to be believed: a copy of the system may lag behind.

    Not so where a write of ours told it that whose answer was lost, and the record shows that it arrived.
    """
    earlier = old.memory.get(EARLIER)
    if not isinstance(earlier, Mapping):
        return False
    window = timedelta(seconds=stale_read_seconds)
    again = {
        field
        for field, values in earlier.items()
        if new.fields.get(field, UNKNOWN) != old.fields.get(field, UNKNOWN)
        for value, until in values
        if new.fields.get(field, UNKNOWN) == value and asked_at - datetime.fromisoformat(str(until)) < window
    }
    return bool(again) and not again <= _arrived(system, old, new.fields, earlier)


def _arrived(system: System, old: RecordRow, new: Fields, earlier: Mapping[str, Any]) -> set[str]:
    """The fields that show what unanswered writes told them; none of them unless one shows what it never showed before, as no old copy can."""
    sent = old.memory.get(SENT)
    told = {
        part
        for unit, values in (sent.items() if isinstance(sent, Mapping) else ())
        if unit != "contacts" and (shown := unit_value(new, unit)) is not UNKNOWN
        if any(system.same(unit, new)(shown, value) for value in values)
        for part in parts_of(unit)
        if part in new
    }
    is_new = any(
        new[part] != old.fields.get(part, UNKNOWN) and all(new[part] != value for value, _ in earlier.get(part, ()))
        for part in told
    )
    return told if is_new else set()


def _earlier(old: RecordRow, fields: Fields, now: datetime) -> dict[str, list[list[Value]]]:
    """What the fields of a record showed before they changed, and until when; the last few values of each."""
    known = old.memory.get(EARLIER)
    kept: dict[str, list[list[Value]]] = (
        {field: list(values) for field, values in known.items()} if isinstance(known, Mapping) else {}
    )
    for field, value in old.fields.items():
        if fields.get(field, UNKNOWN) != value:
            kept[field] = [*kept.get(field, []), [value, now.isoformat()]][-EARLIER_VALUES_MAX:]
    return kept


def _still_sent(system: System, sent: Mapping[str, list[Value]], old: Fields, new: Fields) -> dict[str, list[Value]]:
    """What may still come of unanswered writes: what was shown once and then changed again has come already."""

    def came(unit: str, value: Value) -> bool:
        before, after = unit_value(old, unit), unit_value(new, unit)
        return before is not UNKNOWN and before != after and system.same(unit, old)(before, value)

    left = {unit: [value for value in values if not came(unit, value)] for unit, values in sent.items()}
    left["contacts"] = [_steps_left(steps, old, new) for steps in sent.get("contacts", ())]
    return {unit: values for unit, values in left.items() if any(value != [] for value in values)}


def _steps_left(steps: Value, old: Fields, new: Fields) -> Value:
    """The steps of a write of contacts that were not shown once and then changed again."""
    return [step for step in steps if not _step_came(step, old, new)] if isinstance(steps, list) else []


def _step_came(step: Value, old: Fields, new: Fields) -> bool:
    """Whether a change of a contact was shown once and then changed again."""

    def shows(fields: Fields) -> bool:
        listed = fields.get("contacts")
        return isinstance(step, dict) and any(
            isinstance(each, dict) and all(each.get(part) == value for part, value in step.items())
            for each in (listed if isinstance(listed, list) else [])
        )

    return shows(old) and not shows(new)


def sent_memory(memory: Mapping[str, Any], told: Mapping[str, Value], *, answered: bool) -> dict[str, Any]:
    """A record's memory after a write that told `told` (unit -> value): kept in mind where its answer was lost."""
    before = memory.get(SENT)
    kept = {unit: list(values) for unit, values in before.items()} if isinstance(before, Mapping) else {}
    for unit, value in told.items():
        earlier = [] if answered else [each for each in kept.get(unit, []) if each != value]
        kept[unit] = [] if answered else [*earlier, value][-SENT_VALUES_MAX:]
    return {**memory, SENT: {unit: values for unit, values in kept.items() if values}}


def written_memory(at: datetime) -> dict[str, Any]:
    """What to remember of our own write: nobody is still typing what changed with it."""
    return {WRITTEN: {"at": at.isoformat()}}


def created_memory(write: str) -> dict[str, Any]:
    """What to remember of a record that syncd made."""
    return {CREATED: write}


def is_too_new(row: RecordRow, now: datetime, stale_read_seconds: float) -> bool:
    """Whether a record that syncd made may not be there yet for whoever asks for it: a copy of the system may lag behind.

    Where the clock has jumped back since, nobody can tell, and it counts as there long since.
    """
    window = timedelta(seconds=stale_read_seconds)
    return CREATED in row.memory and row.first_seen_at <= now < row.first_seen_at + window


def is_confirmed(row: RecordRow) -> bool:
    """Whether the absence of a record is believed."""
    return row.gone_count >= GONE_CONFIRMATIONS


def done_away(row: RecordRow, now: datetime) -> RecordRow:
    """The row of a record that is known to be there no more, for the system did away with it when it was told to."""
    return replace(row, state=RecordState.GONE, gone_count=GONE_CONFIRMATIONS, missing_since=now, observed_at=now)


def mark_missing(
    tx: Tx,
    rows: Iterable[RecordRow],
    *,
    cycle: str,
    now: datetime,
    moved: Mapping[str, str] | None = None,
    unread: Collection[str] = (),
) -> None:
    """Remember that records were absent from a complete walk and gone by id: once more in a later cycle, and it is believed.

    moved: external id -> the id to which the system sent whoever asked for it. unread: ids that were listed and could not be read.
    """

    def told(row: RecordRow) -> dict[str, Any]:
        if not moved or row.external_id not in moved:
            return row.memory
        into = moved[row.external_id]
        return {**row.memory, MOVED_TO: into, MOVED_UNREAD: into in unread}

    changed = [
        replace(
            row,
            memory=told(row),
            state=RecordState.MISSING,
            missing_since=row.missing_since or now,
            missing_cycle=cycle,
            gone_count=row.gone_count + 1,
        )
        for row in rows
    ]
    if changed:
        tx.put_records(changed)
        for system in {row.system for row in changed}:
            tx.mark_dirty_by_records(system, [row.external_id for row in changed if row.system == system])
