"""Pull: one walk over one system, page by page, each page one transaction; then judge what the walk proves.

A walk is complete, incomplete or suspicious. Only a complete walk says anything about records that were not in it, and even then
each of them is asked for by id: absence is `missing` after the first "gone", and believed after a second one in a later cycle,
while a record that is known to exist can still be read with the same credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from syncd import log
from syncd.core.correlate import STRONG_KEYS
from syncd.engine import trail
from syncd.engine.children import contact_ids
from syncd.engine.listing import Listing, sweeps, to_be_read, wanted
from syncd.engine.observe import is_too_new, mark_missing, observe
from syncd.engine.pages import Recollection, Shown
from syncd.engine.systems import digest
from syncd.engine.walks import Walk
from syncd.errors import Gone, ProviderError, RateLimited, Unauthorised
from syncd.store import RecordState, StandingState, SystemRow, SystemState, WalkOutcome, WalkRow

if TYPE_CHECKING:
    from syncd.core.correlate import MatchKey
    from syncd.core.model import Fields, Policy
    from syncd.engine.systems import System
    from syncd.providers import Listed, Page
    from syncd.store import RecordRow, Store, Tx

PAGES_MAX = 200_000
"""Pages in one walk; a system that goes on longer than this does not end."""

TELLING = STRONG_KEYS | {"email", "phone", "name"}
"""Sorts of match keys by which a record is known again after a change of scope; that two live in one place says nothing."""

_log = log.get("pull")


def pull(
    store: Store,
    system: System,
    policy: Policy,
    *,
    cycle: str,
    clock: Callable[[], datetime],
    sweep: bool = False,
    listing: Listing | None = None,
) -> WalkRow:
    """One complete listing of a system into its mirror. Never raises a ProviderError: the walk carries the reason.

    sweep: read all pages, and all records whose list items may show less than they hold. listing: that was begun before; the walk is as old.
    """
    requests = system.provider.requests - (listing.made if listing is not None else 0)
    with store.writing() as tx:
        known = tx.count_records(system.name)
        state = tx.systems().get(system.name)
        began_at = clock() if listing is None else listing.began_at
        began_in = cycle if listing is None else listing.cycle
        row = WalkRow(tx.new_ids("p", 1)[0], began_in, system.name, began_at)
        tx.put_walk(row)
        moved = bool(rebasing(tx, [system.name]))
    if state is not None and state.paused_until is not None and state.paused_until > clock():
        return _finish(
            store, system, Walk(row, cycle), WalkOutcome.INCOMPLETE, "the system asked for a pause", requests, clock()
        )
    walk = Walk(row, cycle, verified=began_in == cycle, rebasing=moved)
    outcome: WalkOutcome
    reason: str | None
    try:
        _pin_account(store, system, system.provider.account if listing is None else listing.account)
        _read_pages(store, system, policy, walk, clock, sweep=sweep, listing=listing)
    except ProviderError as error:
        _remember_failure(store, system, error, clock())
        outcome, reason = WalkOutcome.INCOMPLETE, f"{error.code}: {error}"
    else:
        outcome, reason = walk.judge(known)
        if outcome is WalkOutcome.COMPLETE and walk.rebasing:
            _forget_absent(store, system, walk)
        elif outcome is WalkOutcome.COMPLETE:
            outcome, reason = _ask_absent(store, system, policy, walk, cycle, clock)
    return _finish(store, system, walk, outcome, reason, requests, clock())


def rebasing(tx: Tx, systems: Iterable[str]) -> frozenset[str]:
    """The systems that moved to another scope and were not read completely since: an id known there may be somebody else's by now."""
    return frozenset(name for name in systems if tx.get_meta(f"rebase:{name}") == "yes")


def _pin_account(store: Store, system: System, ask: Callable[[], str | None]) -> None:
    """The account behind the credentials is pinned at first contact and verified before every walk."""
    if not system.provider.capabilities.account:
        return
    account = ask()
    with store.writing() as tx:
        row = tx.systems().get(system.name) or new_system(system)
        if row.account is None and account is not None:
            tx.put_system(replace(row, account=account))
            return
    if account is not None and row.account != account:
        message = "the credentials now belong to another account; nothing is read or written until that is settled"
        raise Unauthorised(message, operation="account")


def _fetch(store: Store, system: System, walk: Walk, external_id: str, known: Collection[str] = ()) -> Listed:
    """One record by its id, of the account that is pinned."""
    if not walk.verified:
        _pin_account(store, system, system.provider.account)
        walk.verified = True
    return system.provider.fetch(external_id, known) if known else system.provider.fetch(external_id)


def verified(store: Store, system: System, clock: Callable[[], datetime]) -> bool:
    """Whether the account is the pinned one; a failure to tell is remembered."""
    try:
        _pin_account(store, system, system.provider.account)
    except ProviderError as error:
        _remember_failure(store, system, error, clock())
        return False
    return True


def new_system(system: System) -> SystemRow:
    """The row of a system that was never pulled."""
    return SystemRow(system.name, system.policy.provider)


def _read_pages(
    store: Store,
    system: System,
    policy: Policy,
    walk: Walk,
    clock: Callable[[], datetime],
    *,
    sweep: bool,
    listing: Listing | None,
) -> None:
    remembered = Recollection(store, system, walk=walk.row.walk, seen=walk.seen, clock=clock)
    sweep = sweeps(system, asked=sweep) if listing is None else listing.sweep
    shown = remembered.shown(afresh=sweep or walk.rebasing) if listing is None else listing.shown()
    with closing(shown) as pages:
        for number, each in enumerate(pages, start=1):
            if number > PAGES_MAX:
                walk.doubts.append(f"more than {PAGES_MAX} pages")
                return
            walk.note(each.page)
            walk.ended = each.page.last
            if not each.page.recalled:
                shown_at = None if listing is None else each.asked_at
                _take_in(store, system, policy, walk, clock, each, remembered, sweep=sweep, shown_at=shown_at)
            elif listing is not None:
                with store.writing() as tx:
                    tx.touch_shown(system.name, each.page.number, each.page.known, walk.row.walk, each.asked_at)


def _take_in(
    store: Store,
    system: System,
    policy: Policy,
    walk: Walk,
    clock: Callable[[], datetime],
    shown: Shown,
    remembered: Recollection,
    *,
    sweep: bool,
    shown_at: datetime | None,
) -> None:
    """One page that was read, or as much of it as was not known. shown_at: when, where that is a while ago."""
    page = shown.page
    listed = wanted(store, system, page.records)
    walk.suppressed += len(page.records) - len(listed)
    unchanged: list[str] = []
    if system.provider.capabilities.partial_list:
        records, unchanged, digests = _complete(store, system, listed, walk, sweep=sweep, singly=shown.singly)
    else:
        records, digests = _with_vanished_contacts(store, system, listed, walk), None
    # What was read singly shows more than the page, or something else: such a page tells nothing of the record.
    alike = {each.external_id for each in listed} if digests is not None or records == listed else set()
    with store.writing(lasting=False) as tx:
        known = _touch_known(tx, system, walk, page, shown_at or clock())
        if unchanged:
            tx.touch_records(system.name, unchanged, walk.row.walk, walk.row.started_at, page.number)
        if walk.rebasing:
            _part_strangers(tx, system, records, at=clock(), cycle=walk.row.cycle)
        _quarantine(tx, system, page.faults)
        observed = observe(
            tx,
            system,
            records,
            asked_at=shown.asked_at,
            now=clock(),
            cycle=walk.cycle,
            shown_at=shown_at,
            walk=walk.row.walk,
            list_digests=digests,
            stale_read_seconds=policy.timing.stale_read_seconds,
            page=page.number,
        )
        remembered.remember(tx, page, known | alike.intersection((*unchanged, *observed.kept)))
        _keep_learned(tx, system)
    walk.changed += len(observed.changed)
    walk.unbelieved += len(observed.unbelieved)


def _touch_known(tx: Tx, system: System, walk: Walk, page: Page, at: datetime) -> set[str]:
    """Note the records of a page as seen that had not to be read; none of them counts as kept where one was put by another door since."""
    if not page.known:
        return set()
    still = tx.touch_shown(system.name, page.number, page.known, walk.row.walk, at)
    return set(page.known) if still == len(page.known) else set()


def _keep_learned(tx: Tx, system: System) -> None:
    """What a page taught is kept with it: it may not be read again."""
    row = tx.systems().get(system.name) or new_system(system)
    if row.learned != system.provider.learned:
        tx.put_system(replace(row, learned=dict(system.provider.learned)))


def _part_strangers(tx: Tx, system: System, records: Sequence[Listed], *, at: datetime, cycle: str) -> None:
    """After a change of scope an id may stand for somebody else: a mirror that shares no name and no number with it is forgotten."""

    def keys(fields: Fields) -> set[MatchKey]:
        return {key for key in system.match_keys(fields) if key[0] in TELLING}

    stored = tx.records(system.name, [each.external_id for each in records])
    strangers = [
        each.external_id
        for each in records
        if (old := stored.get(each.external_id)) is not None
        and not keys(old.fields) & keys(system.provider.read(each, old.memory).fields)
    ]
    if strangers:
        tx.forget_records(system.name, strangers)
        trail.forgotten(tx, system.name, strangers, at=at, cycle=cycle)
        _log.warning("records_rebased", system=system.name, records=len(strangers))


def _forget_absent(store: Store, system: System, walk: Walk) -> None:
    """After a change of scope: what the new scope does not list was not deleted, it is only out of sight."""
    with store.writing() as tx:
        absent = [each for each in tx.unseen(system.name, walk.row.walk) if each not in walk.quarantined]
        tx.forget_records(system.name, absent)
        trail.forgotten(tx, system.name, absent, at=walk.row.started_at, cycle=walk.row.cycle)
        tx.set_meta(f"rebase:{system.name}", "")
    _log.warning("system_rebased", system=system.name, records=len(absent))


def _quarantine(tx: Tx, system: System, faults: Sequence[tuple[str, str]]) -> None:
    """Records that cannot be read are set aside with the reason; the mirror keeps what it knew."""
    reasons = dict(faults)
    known = tx.records(system.name, list(reasons)) if reasons else {}
    if known:
        tx.put_records(
            [
                replace(row, state=RecordState.QUARANTINED, reason=reasons[external_id])
                for external_id, row in known.items()
            ]
        )
        tx.mark_dirty_by_records(system.name, list(known))


def _complete(
    store: Store,
    system: System,
    records: Sequence[Listed],
    walk: Walk,
    *,
    sweep: bool,
    singly: Mapping[str, Listed | None],
) -> tuple[list[Listed], list[str], dict[str, str]]:
    """Where a list item may show less than the record holds: read those singly whose list item changed.

    singly: what was read so already. Returns the records that are whole, the ids of those whose list item is the same again, and the
    digests of list items.
    """
    needed, same = to_be_read(store, system, records, sweep=sweep)
    whole: list[Listed] = []
    for each in records:
        external_id = each.external_id
        if external_id not in needed:
            whole.extend([each] if external_id not in same else [])
            continue
        try:
            found = singly[external_id] if external_id in singly else _fetch(store, system, walk, external_id)
        except Gone:
            found = None
        if found is None:
            walk.doubts.append(f"record {external_id} was listed and then gone")
        else:
            whole.append(found)
    digests = {each.external_id: digest(each.raw) for each in records}
    unchanged = [each.external_id for each in records if each.external_id in same]
    return (
        whole,
        unchanged,
        {each.external_id: digests[each.external_id] for each in whole if each.external_id in digests},
    )


def _with_vanished_contacts(store: Store, system: System, records: Sequence[Listed], walk: Walk) -> list[Listed]:
    """A listing alone removes no contact: a record that lacks one which it had is read by itself, asking for that contact."""
    if system.provider.capabilities.contacts is None:
        return list(records)
    with store.reading() as tx:
        stored = tx.digests(system.name, [each.external_id for each in records])
        moved = [
            each for each in records if stored.get(each.external_id, ("",))[0] != digest([each.raw, each.children])
        ]
        before = tx.records(system.name, [each.external_id for each in moved])
    whole = {each.external_id: each for each in records}
    for each in moved:
        old = before.get(each.external_id)
        had = contact_ids(old.fields) if old is not None else []
        fields = system.provider.read(each, old.memory).fields if old is not None else {}
        if old is None or "contacts" not in fields or set(had) <= set(contact_ids(fields)):
            continue
        try:
            whole[each.external_id] = _fetch(store, system, walk, each.external_id, had)
        except Gone:
            walk.doubts.append(f"record {each.external_id} was listed and then gone")
            del whole[each.external_id]
    return list(whole.values())


def _ask_absent(
    store: Store, system: System, policy: Policy, walk: Walk, cycle: str, clock: Callable[[], datetime]
) -> tuple[WalkOutcome, str | None]:
    """Ask by id for every known record that was not listed; remember those that the system says are gone."""
    with store.reading() as tx:
        unseen = [each for each in tx.unseen(system.name, walk.row.walk) if each not in walk.quarantined]
        # Shown, and not to be taken in: of an erased client, say, or changed by another door meanwhile.
        absent = [each for each in unseen if each not in walk.seen]
        rows = tx.records(system.name, absent)
    if walk.row.cycle != cycle:
        # What showed itself after the list was asked for, by the answer to a write, say, was there; the next walk tells more.
        now = clock()
        absent = [each for each in absent if not walk.row.started_at <= rows[each].observed_at <= now]
    if not absent:
        return WalkOutcome.COMPLETE, None
    canary = walk.seen.least
    gone: list[RecordRow] = []
    moved: dict[str, str] = {}
    for external_id in absent:
        asked_at = clock()
        try:
            listed = _fetch(store, system, walk, external_id)
        except Gone as answer:
            gone.append(rows[external_id])
            if answer.moved_to is not None:
                moved[external_id] = answer.moved_to
            continue
        except ProviderError as error:
            return WalkOutcome.INCOMPLETE, f"{error.code}: {error}"
        # A system may leave archived records out of its list; any other record that exists proves that the list was short.
        hidden = system.provider.read(listed, rows[external_id].memory).fields.get("archived") is True
        with store.writing() as tx:
            seen_in = walk.row.walk if hidden else None
            window = policy.timing.stale_read_seconds
            observe(
                tx,
                system,
                [listed],
                asked_at=asked_at,
                now=clock(),
                cycle=cycle,
                walk=seen_in,
                stale_read_seconds=window,
            )
        if not hidden:
            return WalkOutcome.SUSPICIOUS, f"record {external_id} was not listed, yet it exists"
    if canary is not None and not _readable(system, canary):
        return WalkOutcome.SUSPICIOUS, "a record that was listed cannot be read by id, so 'gone' proves nothing"
    with store.writing() as tx:
        counted = [row for row in gone if _counts(row, cycle, policy, clock())]
        mark_missing(tx, counted, cycle=cycle, now=clock(), moved=moved, unread=walk.quarantined)
    return WalkOutcome.COMPLETE, None


def _counts(row: RecordRow, cycle: str, policy: Policy, now: datetime) -> bool:
    """Whether this "gone" is a first one, or comes late enough and in another cycle than the one before."""
    if is_too_new(row, now, policy.timing.stale_read_seconds):
        return False
    if row.gone_count == 0 or row.missing_since is None:
        return True
    waited = now - row.missing_since >= timedelta(seconds=policy.timing.confirm_delete_after_seconds)
    return row.missing_cycle != cycle and waited


def _readable(system: System, external_id: str) -> bool:
    try:
        system.provider.fetch(external_id)
    except ProviderError:
        return False
    return True


def _remember_failure(store: Store, system: System, error: ProviderError, now: datetime) -> None:
    with store.writing() as tx:
        row = tx.systems().get(system.name) or new_system(system)
        until = now + timedelta(seconds=error.retry_after_seconds) if isinstance(error, RateLimited) else None
        state = SystemState.PAUSED if isinstance(error, Unauthorised) else SystemState.FAILING
        if state is SystemState.PAUSED and row.state is not SystemState.PAUSED:
            _log.error("system_paused", system=system.name, error=error)
        tx.put_system(
            replace(row, state=state, reason=f"{error.code}: {error}", paused_until=until, failures=row.failures + 1)
        )


def suppressed_in(tx: Tx, system: str) -> int:
    """How many records of erased clients a system's last complete walk showed."""
    return int(tx.get_meta(f"suppressed:{system}") or 0)


def _finish(
    store: Store, system: System, walk: Walk, outcome: WalkOutcome, reason: str | None, requests: int, now: datetime
) -> WalkRow:
    row = replace(
        walk.row,
        ended_at=now,
        outcome=outcome,
        records=len(walk.seen),
        requests=system.provider.requests - requests,
        reason=reason,
    )
    with store.writing() as tx:
        tx.put_walk(row)
        state = tx.systems().get(system.name) or new_system(system)
        learned = dict(system.provider.learned)
        if outcome is WalkOutcome.COMPLETE:
            tx.mark_dirty_by_standing(system.name, StandingState.PENDING)
            if walk.suppressed != suppressed_in(tx, system.name):
                tx.set_meta(f"suppressed:{system.name}", str(walk.suppressed))
            if state.state in (SystemState.PAUSED, SystemState.FAILING):
                _log.info("system_resumed", system=system.name)
            state = replace(state, state=SystemState.OK, reason=None, paused_until=None, failures=0, baseline=True)
        elif outcome is WalkOutcome.SUSPICIOUS:
            state = replace(state, state=SystemState.FAILING, reason=reason)
        tx.put_system(replace(state, learned=learned))
        tx.set_meta(f"unbelieved:{system.name}", str(walk.unbelieved))
    level = _log.info if outcome == WalkOutcome.COMPLETE else _log.warning
    level(
        "walk_ended",
        system=system.name,
        outcome=outcome.value,
        records=row.records,
        requests=row.requests,
        reason=reason,
        changed=walk.changed,
    )
    return row
