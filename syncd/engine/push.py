"""Push: one write to one record. Claim (committed before the first byte), read, send outside any transaction, observe the answer.

What happens to a write, by what its system does:

    done       the answer was read and observed; the base moves by the ordinary merge of that observation
    stale      the record is not what the plan saw: the write is dropped, the record observed, the client decided again
    waiting    nothing was sent or processed (out of reach, rate limit): again later, backing off
    in_doubt   a create (or the making of a child) may have taken effect: never simply sent again; see `syncd.engine.settling`
    parked     refused: the system's own words are kept for a person; the other writes go on
    dropped    no longer wanted, or the record is gone
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from syncd import log, spans
from syncd.core.model import (
    UNKNOWN,
    Action,
    Fields,
    Policy,
    Value,
    parts_of,
    unit_of,
    unit_value,
    units_in,
)
from syncd.engine import children, merging, trail
from syncd.engine.answers import FILLED_IN, baseline, resembles
from syncd.engine.observe import (
    SENT,
    created_memory,
    done_away,
    is_too_new,
    mark_missing,
    observe,
    sent_memory,
    written_memory,
)
from syncd.engine.pull import new_system
from syncd.engine.recognising import give_way
from syncd.engine.reports import Pushed
from syncd.engine.systems import digest, whole_groups
from syncd.engine.uniting import merge_records
from syncd.errors import (
    Duplicate,
    Gone,
    Malformed,
    OutOfReach,
    ProviderError,
    RateLimited,
    Rejected,
    Stale,
    Transient,
    Unauthorised,
    UnknownOutcome,
)
from syncd.store import (
    Base,
    HoldKind,
    HoldRow,
    HoldState,
    LinkRow,
    LinkState,
    SystemState,
    WriteRow,
    WriteState,
)

if TYPE_CHECKING:
    from syncd.engine.systems import System
    from syncd.providers import Listed
    from syncd.store import Store, Tx

CHILDREN = (children.CONTACTS, children.NOTES)

BATCH = 50
"""Writes fetched from the outbox at a time."""

BACKOFF_SECONDS_FIRST = 2.0
BACKOFF_SECONDS_MAX = 3600.0
LAG = timedelta(seconds=1)
"""Until a record that shows again what it showed before a write of ours is read anew."""
ATTEMPTS_MAX = 20
"""Attempts after which a write that nobody refused, but that never came through, is parked."""

_log = log.get("push")


@dataclass(frozen=True, slots=True)
class Lane:
    """One system's writes, sent one after the other. only: no others than these (None: all)."""

    store: Store
    system: System
    policy: Policy
    cycle: str
    clock: Callable[[], datetime]
    stopped: Callable[[], bool]
    only: frozenset[str] | None = None


def recover(store: Store, now: datetime, create_settle_seconds: float) -> int:
    """After a start: a write that was being sent when the process died. Creates are in doubt; others are read again first."""
    with store.writing() as tx:
        dying = tx.writes([WriteState.SENDING])
        settled = now + timedelta(seconds=create_settle_seconds)
        for row in dying:
            _note_unanswered(tx, row)
        rows = [
            replace(row, state=WriteState.IN_DOUBT, settle_at=settled)
            if row.action is Action.CREATE or _makes_child(row)
            else replace(row, state=WriteState.WAITING, sending_at=None)
            for row in dying
        ]
        if rows:
            tx.put_writes(rows)
    return len(dying)


def _note_unanswered(tx: Tx, row: WriteRow, golden: Fields | None = None) -> None:
    """Keep in mind what a write had told that may have taken effect: where the record shows it, it is nobody's edit.

    golden: what it was when the write was sent; where that is not known any more, a part that was not sent is as its record showed it.
    """
    client, record = tx.client(row.client), tx.records(row.system, [row.external_id or ""]).get(row.external_id or "")
    if client is None or record is None or row.action is Action.DELETE:
        return
    known = golden if golden is not None else {**client.fields, **record.fields}
    told = _told({**known, **row.fields}, row)
    tx.put_records([replace(record, memory=sent_memory(record.memory, told, answered=False))])


def _told(golden: Fields, row: WriteRow) -> dict[str, Value]:
    """Unit -> the value that golden wanted when the write was sent."""
    values = {unit: unit_value(golden, unit) for unit in dict.fromkeys(unit_of(name) for name in row.fields)}
    return {unit: None if value is UNKNOWN else value for unit, value in values.items()}


def _makes_child(row: WriteRow) -> bool:
    """Whether sending it again could make a second contact or note: e-mail and phone may live on a contact."""
    carried = bool({"email", "phone"} & row.fields.keys()) and not any(
        row.before.get(name) for name in ("email", "phone")
    )
    return row.action not in (Action.CREATE, Action.DELETE) and (carried or children.makes_child(row.fields))


def push(lane: Lane) -> Pushed:
    """Send what waits for one system, in order, until nothing is due, the system pauses, or syncd stops."""
    pushed = Pushed()
    tried: set[str] = set()
    while not lane.stopped():
        with lane.store.reading() as tx:
            rows = tx.waiting(lane.system.name, lane.clock(), BATCH if lane.only is None else None)
            due = [row for row in rows if row.write not in tried and (lane.only is None or row.write in lane.only)]
        if not due:
            break
        for row in due:
            if lane.stopped() or pushed.paused:
                return pushed
            tried.add(row.write)
            _push_one(lane, row, pushed)
    return pushed


def _push_one(lane: Lane, waiting: WriteRow, pushed: Pushed) -> None:
    with lane.store.writing() as tx:
        if not tx.claim(waiting.write, lane.clock()):
            return
        row = tx.write(waiting.write)
        golden = tx.client(waiting.client)
    if row is None or golden is None:
        return
    context = {"system": row.system, "client": row.client, "write": row.write, "action": row.action.value}
    _log.info("write_sending", fields=sorted(row.fields), cycle=lane.cycle, **context)
    done = pushed.done
    with spans.span("write", **context) as told:
        try:
            if row.action is Action.CREATE:
                _create(lane, row, golden.fields, pushed)
            else:
                _change(lane, row, golden.fields, pushed)
        except ProviderError as error:
            told.tell(code=error.code)
            _failed(lane, row, golden.fields, error, pushed)
    if pushed.done > done:
        pushed.lags.append(max((lane.clock() - row.since).total_seconds(), 0.0))


def _create(lane: Lane, row: WriteRow, golden: Fields, pushed: Pushed) -> None:
    asked_at = lane.clock()
    pushed.sent += 1
    listed = lane.system.provider.create({**_context(lane.system, golden), **row.fields})
    with lane.store.writing() as tx:
        adopt(tx, lane, row, listed, golden, asked_at=asked_at)
    pushed.created += 1
    _log.info(
        "write_done", system=row.system, client=row.client, write=row.write, record=listed.external_id, cycle=lane.cycle
    )


def _whose(tx: Tx, row: WriteRow) -> WriteRow:
    """The write as its client's: a person may have merged that client into another one while it was on its way."""
    survivor = tx.resolve_alias(row.client)
    return row if survivor in (None, row.client) else replace(row, client=str(survivor))


def _context(system: System, golden: Fields) -> dict[str, Value]:
    """What is told with a create beside what is planned: only fields that this system is never sent."""
    return {name: value for name, value in golden.items() if (spec := system.spec(name)) is None or not spec.create}


def adopt(
    tx: Tx, lane: Lane, row: WriteRow, listed: Listed, golden: Fields, *, asked_at: datetime, found: bool = False
) -> None:
    """Make a record that syncd created (or found again) the client's: mirror, link, bases and write move together.

    What the answer to a create shows beyond what was sent are the system's own defaults, not somebody's edit: they become the
    baseline. A record that was found again people may have edited meanwhile: what was sent is the baseline.
    """
    now = lane.clock()
    memory = {**created_memory(row.write), **_remembered(lane.system, row)}
    observe(
        tx, lane.system, [listed], asked_at=asked_at, now=now, cycle=lane.cycle, memories={listed.external_id: memory}
    )
    record = tx.records(lane.system.name, [listed.external_id])[listed.external_id]
    told = {**golden, **row.fields}
    bases: dict[str, Base] = {}
    for unit in (each for each in units_in(record.fields) if each not in CHILDREN):
        shown, wanted = unit_value(record.fields, unit), unit_value(told, unit)
        agreed = None if wanted is UNKNOWN else wanted
        sent = any(part in row.fields for part in parts_of(unit))
        took = _took(lane, unit, shown, agreed, golden, respelled=sent or not found)
        if took or (agreed is None and not found):
            bases[unit] = Base(seen=shown, agreed=agreed)
        elif not found:
            bases[unit] = Base(seen=shown)
        elif sent:
            bases[unit] = baseline(lane.system.provider.project(unit, agreed, golden), shown, agreed)
        elif unit in FILLED_IN and shown is not True:
            bases[unit] = Base(seen=shown) if agreed is not None else Base(seen=shown, agreed=None)
    row = _whose(tx, row)
    link = LinkRow(lane.system.name, listed.external_id, row.client, now, LinkState.LINKED, "created by syncd", bases)
    tx.put_links([link])
    trail.linked(tx, [link], at=now, cycle=lane.cycle)
    tx.put_writes([replace(row, state=WriteState.DONE, external_id=listed.external_id, done_at=now, error=None)])
    tx.mark_dirty([row.client])


def _took(lane: Lane, unit: str, shown: Any, wanted: Value, golden: Fields, *, respelled: bool = True) -> bool:
    """Whether what the system shows is a form of what it was asked to store: equal to it, or a shortened or re-spelled one.

    Not `respelled`: it was not asked, so that another spelling is one that somebody typed.
    """
    value = None if shown is UNKNOWN else shown
    return lane.system.same(unit, golden)(value, wanted) or (respelled and resembles(value, wanted))


def _remembered(system: System, row: WriteRow) -> dict[str, Any]:
    """Values that the system takes and never shows: remembered as last written."""
    written = {
        name: value for name, value in row.fields.items() if (spec := system.spec(name)) is not None and spec.remembered
    }
    return {"written": written} if written else {}


def _change(lane: Lane, row: WriteRow, golden: Fields, pushed: Pushed) -> None:
    external_id = row.external_id or ""
    with lane.store.reading() as tx:
        mirror = tx.records(lane.system.name, [external_id])[external_id]
    asked_at = lane.clock()
    contacts = children.contact_ids(mirror.fields)
    fetch = lane.system.provider.fetch
    current = fetch(external_id, contacts) if contacts else fetch(external_id)
    with lane.store.writing() as tx:
        before = tx.records(lane.system.name, [external_id])[external_id]
        reading = lane.system.provider.read(current, before.memory)
        saw = {**before.fields, **{name: value for name, value in row.before.items() if name in before.fields}}
        if not _is_what_the_plan_saw(lane.system, reading.fields, saw, golden):
            row = _whose(tx, row)
            window = lane.policy.timing.stale_read_seconds
            found = observe(
                tx,
                lane.system,
                [current],
                asked_at=asked_at,
                now=lane.clock(),
                cycle=lane.cycle,
                stale_read_seconds=window,
            )
            now = lane.clock()
            if found.unbelieved:  # the mirror knows better: again when the system shows it, too
                tx.put_writes([replace(row, state=WriteState.WAITING, next_attempt_at=now + LAG)])
            else:
                tx.put_writes([replace(row, state=WriteState.DROPPED, done_at=now, reason=f"{row.reason}; stale")])
            tx.mark_dirty([row.client])
            _log.info("write_stale", system=row.system, client=row.client, write=row.write, record=external_id)
            return
    sent_at = lane.clock()
    pushed.sent += 1
    patch = whole_groups(lane.system, row.fields, reading.fields)
    if row.action is Action.DELETE:
        lane.system.provider.delete(current)
        with lane.store.writing() as tx:
            _deleted(tx, lane, row, external_id)
        pushed.deleted += 1
    elif row.action is Action.MERGE:
        merge_records(lane, row, current, sent_at=sent_at)
        pushed.merged += 1
    else:
        answer = lane.system.provider.update(current, patch, golden, reading.memory)
        with lane.store.writing() as tx:
            _updated(tx, lane, row, answer, golden, sent_at=sent_at)
        if row.action is Action.ARCHIVE:
            pushed.archived += 1
        else:
            pushed.updated += 1
    _log.info("write_done", system=row.system, client=row.client, write=row.write, record=external_id, cycle=lane.cycle)


def _is_what_the_plan_saw(system: System, now: Fields, then: Fields, golden: Fields) -> bool:
    """Whether every field the mirror knew still shows the same."""
    for unit in units_in(then):
        left, right = unit_value(now, unit), unit_value(then, unit)
        if left is UNKNOWN or right is UNKNOWN:
            if left is not right:
                return False
        elif left != right and not system.same(unit, golden)(left, right):
            return False
    return True


def _updated(tx: Tx, lane: Lane, row: WriteRow, answer: Listed, golden: Fields, *, sent_at: datetime) -> None:
    """Observe the answer. A unit that shows a form of what was sent is agreed; one that did not move is tried again within its budget."""
    now = lane.clock()
    row = _whose(tx, row)
    known = tx.records(lane.system.name, [answer.external_id]).get(answer.external_id)
    sent = sent_memory(known.memory if known is not None else {}, _told(row.fields, row), answered=True)
    memory = {SENT: sent[SENT], **written_memory(now), **_remembered(lane.system, row)}
    observe(
        tx, lane.system, [answer], asked_at=sent_at, now=now, cycle=lane.cycle, memories={answer.external_id: memory}
    )
    record = tx.records(lane.system.name, [answer.external_id])[answer.external_id]
    link = tx.link(lane.system.name, answer.external_id)
    if link is not None:
        bases = children.answered(link, record, lane.system, row.fields, answer.made, golden, lane.cycle, now)
        for unit in dict.fromkeys(unit_of(name) for name in row.fields if name not in CHILDREN):
            base = bases.get(unit, Base())
            shown = unit_value(record.fields, unit)
            wanted = unit_value({**golden, **row.fields}, unit)
            agreed = None if wanted is UNKNOWN else wanted
            writes = (*base.writes, lane.cycle)
            if _took(lane, unit, shown, agreed, golden):
                bases[unit] = Base(shown, agreed, base.seen, now, writes)
            else:
                bases[unit] = replace(base, before=base.seen, written_at=now, writes=writes)
        tx.put_links([replace(link, bases=bases)])
    tx.put_writes([replace(row, state=WriteState.DONE, done_at=now, error=None)])
    tx.mark_dirty([row.client])


def _deleted(tx: Tx, lane: Lane, row: WriteRow, external_id: str) -> None:
    now = lane.clock()
    row = _whose(tx, row)
    record = tx.records(lane.system.name, [external_id]).get(external_id)
    if record is not None:
        tx.put_records([done_away(record, now)])
    link = tx.link(lane.system.name, external_id)
    if link is not None:
        tx.put_links([gone := replace(link, state=LinkState.GONE)])
        trail.ended(tx, [gone], at=now, cycle=lane.cycle)
    tx.put_writes([replace(row, state=WriteState.DONE, done_at=now, error=None)])
    tx.mark_dirty([row.client])


def _failed(lane: Lane, row: WriteRow, golden: Fields, error: ProviderError, pushed: Pushed) -> None:
    """Errors by what happens next (see the header of `syncd.errors`)."""
    now = lane.clock()
    said = {"code": error.code, "message": error.words or str(error), "next": error.next_step}
    settle = now + timedelta(seconds=lane.policy.timing.create_settle_seconds)
    with lane.store.writing() as tx:
        row = _whose(tx, row)
        match error:
            case Duplicate():
                changed = _taken(tx, lane, row, error, said, now)
            case Gone() if row.action is not Action.CREATE:
                changed = _gone(tx, lane, row, said, now)
            case UnknownOutcome() if row.action is Action.CREATE or _makes_child(row):
                changed = replace(row, state=WriteState.IN_DOUBT, settle_at=settle, error=said)
            case RateLimited():
                later = now + timedelta(seconds=error.retry_after_seconds)
                changed = replace(row, state=WriteState.WAITING, next_attempt_at=later, error=said)
                pushed.paused = True
            case Unauthorised():
                changed = replace(row, state=WriteState.WAITING, error=said)
                _pause(tx, lane, error)
                pushed.paused = True
            case Transient():
                changed = _later(row, said, now)
                pushed.paused = isinstance(error, OutOfReach)
            case Malformed():
                changed = _later(row, said, now)
            case Rejected():
                changed = replace(row, state=WriteState.PARKED, error=said)
            case Stale():
                changed = replace(row, state=WriteState.DROPPED, done_at=now, error=said)
            case _:
                changed = _later(row, said, now)
        if isinstance(error, UnknownOutcome):
            _note_unanswered(tx, row, golden)
        tx.put_writes([changed])
        tx.mark_dirty([row.client])
    pushed.failed += 1
    _tell_failure(changed, error)


def _gone(tx: Tx, lane: Lane, row: WriteRow, said: dict[str, Any], now: datetime) -> WriteRow:
    """The record is missing, and the write is dropped; a record just made may only not be shown yet, and is asked for later."""
    records = tx.records(row.system, [row.external_id or ""])
    if any(is_too_new(each, now, lane.policy.timing.stale_read_seconds) for each in records.values()):
        return _later(row, said, now)
    mark_missing(tx, records.values(), cycle=lane.cycle, now=now)
    return replace(row, state=WriteState.DROPPED, done_at=now, error=said)


def _tell_failure(row: WriteRow, error: ProviderError) -> None:
    """The log tells the same next step as the write itself: what is to be done may depend on more than the error."""
    where = {"system": row.system, "client": row.client, "write": row.write, "record": row.external_id}
    step = (row.error or {}).get("next", error.next_step)
    _log.warning("write_failed", state=row.state.value, error=error, next=step, **where)
    if row.state is WriteState.PARKED:
        _log.warning("write_parked", **where)
    elif row.state is WriteState.IN_DOUBT:
        _log.warning("write_in_doubt", **where)


def _later(row: WriteRow, said: dict[str, Any], now: datetime) -> WriteRow:
    if row.attempts >= ATTEMPTS_MAX:
        step = f"It was tried {row.attempts} times: look whether the system works, then send it again (`syncd retry {row.write}`)."
        return replace(row, state=WriteState.PARKED, error={**said, "next": step})
    wait = min(BACKOFF_SECONDS_FIRST * 2 ** max(row.attempts - 1, 0), BACKOFF_SECONDS_MAX)
    return replace(row, state=WriteState.WAITING, next_attempt_at=now + timedelta(seconds=wait), error=said)


def _pause(tx: Tx, lane: Lane, error: ProviderError) -> None:
    row = tx.systems().get(lane.system.name) or new_system(lane.system)
    tx.put_system(replace(row, state=SystemState.PAUSED, reason=f"{error.code}: {error}", failures=row.failures + 1))


def _taken(tx: Tx, lane: Lane, row: WriteRow, error: Duplicate, said: Mapping[str, str], now: datetime) -> WriteRow:
    """Another record has a value that the system lets only one of them have.

    A create waits for a person's word about the two. An update, and what is refused although that was decided, is parked: it would only
    be refused again.
    """
    there, again = f"record {error.existing_id} there", f"then send this again (`syncd retry {row.write}`)."
    key = f"link:{digest([row.client, lane.system.name, error.existing_id])}"
    link, asked = tx.link(row.system, error.existing_id), tx.hold_by_key(key)
    step = ""
    if link is not None and link.client == row.client:
        step = f"Remove {there}, which is the same client's, {again}"
    elif link is not None and merging.parted(tx, *tx.bundles([row.client, link.client])):
        apart = f"is client {link.client}'s, which is kept apart from {row.client}"
        step = f"{there.capitalize()} {apart}: give one of them another value, {again}"
    elif asked is not None and asked.state is HoldState.REFUSED:
        step = f"It was decided ({asked.hold}) that {there} is another client: give one of them another value, {again}"
    if step:
        return replace(row, state=WriteState.PARKED, error={**said, "next": step})
    if asked is None or asked.state is not HoldState.OPEN:
        give_way(tx, [row.client, *([link.client] if link is not None else [])], now)
        _propose_link(tx, row, error, key, now)
    if row.action is Action.CREATE:
        return replace(row, state=WriteState.DROPPED, done_at=now, error=dict(said))
    return replace(row, state=WriteState.PARKED, error=dict(said))


def _propose_link(tx: Tx, row: WriteRow, error: Duplicate, key: str, now: datetime) -> None:
    """The system says that it holds such a client already: a person decides whether it is this one."""
    items = [{"client": row.client, "system": row.system, "external_id": error.existing_id}]
    reason = f"{row.system} refused to create the client: its record {error.existing_id} is there already"
    if row.action is not Action.CREATE:
        reason = f"{row.system} refused to change record {row.external_id}: its record {error.existing_id} has such a value already"
    tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], HoldKind.LINK, row.system, reason, items, now, key))
