"""What a person decides: releases and refusals of holds, resolutions of conflicts, the fate of parked writes.

Each act is one short transaction with its line in the audit trail. What follows from it is decided by the next reconcile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core import normalize
from syncd.core.model import UNKNOWN, Context, Value, is_group, kind_of, parts_of, unit_fields, unit_value
from syncd.core.survivorship import OPERATOR
from syncd.engine import by_hand, merging, parting, refusing, trail
from syncd.engine.automatic import is_merge_brake, ranked
from syncd.engine.brakes import RECORD, let_go
from syncd.engine.children import CONTACTS
from syncd.engine.decide import split_person
from syncd.errors import UsageError
from syncd.store import (
    AuditRow,
    Base,
    Bundle,
    ChangeRow,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldRow,
    HoldState,
    LinkRow,
    LinkState,
    MergeRow,
    RecordState,
    Standing,
    StandingState,
    WriteRow,
    WriteState,
)

if TYPE_CHECKING:
    from syncd.store import Store, Tx

_log = log.get("operate")


class Operator:
    """A person's hand on one tenant's store.

    actor: names the person in the audit trail. context: the tenant's region and locale, by which values are compared.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], actor: str, context: Context | None = None) -> None:
        self.store = store
        self.clock = clock
        self.actor = actor
        self.context = context or Context()

    def release(self, hold: str) -> HoldRow:
        """Let a held set go, exactly as it was shown, once. UsageError if it is not open."""
        with self.store.writing(operator=True) as tx:
            row = _open_hold(tx, hold)
            now = self.clock()
            match row.kind:
                case HoldKind.FIRST_RUN:
                    tx.set_meta("first_run", "released")
                    tx.mark_all_dirty()
                    state = HoldState.DONE
                case HoldKind.BRAKE if is_merge_brake(row):
                    for item in row.items:
                        self._join_pair(tx, str(item["into"]), str(item["client"]), row, now)
                    state = HoldState.DONE
                case HoldKind.BRAKE:
                    let_go(tx, row)
                    state = HoldState.RELEASED
                case HoldKind.LINK | HoldKind.MERGE:
                    self._join(tx, row, now)
                    state = HoldState.DONE
                case HoldKind.LOSSY:
                    for item in row.items:
                        self._set(
                            tx,
                            str(item["client"]),
                            str(item["field"]),
                            item["value"],
                            now,
                            f"released {hold}",
                            row.items,
                        )
                    state = HoldState.DONE
                case HoldKind.FIELD:
                    _thaw(tx, row, agree=False)
                    state = HoldState.DONE
                case _:
                    state = HoldState.DONE
            return self._end(tx, row, state, now, "released")

    def refuse(self, hold: str) -> HoldRow:
        """Decide against a held set. UsageError if it is not open, or cannot be refused."""
        with self.store.writing(operator=True) as tx:
            row = _open_hold(tx, hold)
            now = self.clock()
            match row.kind:
                case HoldKind.FIRST_RUN:
                    message = (
                        "the first-run report cannot be refused; until it is released, nothing is written anywhere"
                    )
                    raise UsageError(message)
                case HoldKind.BRAKE if is_merge_brake(row):
                    for item in row.items:
                        parting.keep_apart(tx, str(item["into"]), str(item["client"]))
                case HoldKind.BRAKE if row.items and row.items[0].get("field") == RECORD:
                    trail.ended(tx, refusing.forget_records(tx, row), at=now, cycle=None, actor=self.actor)
                case HoldKind.BRAKE | HoldKind.LOSSY:
                    refusing.account(tx, row)
                case HoldKind.LINK | HoldKind.MERGE:
                    self._keep_apart(tx, row)
                case HoldKind.FIELD:
                    _thaw(tx, row, agree=True)
                case _:
                    pass
            let_go(tx, row)
            return self._end(tx, row, HoldState.REFUSED, now, "refused")

    def resolve(self, conflict: str, *, take: str | None = None, value: str | None = None) -> ConflictRow:
        """Settle a conflict, or put a losing value back. take: a system, `golden` or `base`; value: text typed by the person."""
        with self.store.writing(operator=True) as tx:
            row = tx.conflict(conflict)
            if row is None:
                message = f"there is no conflict {conflict}"
                raise UsageError(message)
            now = self.clock()
            if row.kind is ConflictKind.DELETE:
                settled = self._resolve_delete(tx, row, take, now)
            else:
                chosen = _chosen(tx, row, take, value)
                self._set(
                    tx,
                    tx.resolve_alias(row.client) or row.client,
                    row.unit,
                    chosen,
                    now,
                    f"resolved {conflict}",
                    row.candidates,
                )
                settled = replace(row, winner=take or OPERATOR, value=chosen)
            key = row.key if row.status is not ConflictStatus.OPEN else f"{row.key}:{row.conflict}"
            settled = replace(settled, status=ConflictStatus.RESOLVED, decided_by=self.actor, key=key)
            tx.put_conflict(settled)
            payload = {"conflict": conflict, "field": row.unit, "take": take or "value"}
            tx.add_audit([AuditRow(now, "conflict_resolved", self.actor, payload, client=row.client)])
            return settled

    def retry(self, write: str) -> WriteRow:
        """Send a parked write again."""
        with self.store.writing(operator=True) as tx:
            row = _write(tx, write, (WriteState.PARKED,))
            row = replace(row, state=WriteState.WAITING, next_attempt_at=None, attempts=0)
            tx.put_writes([row])
            tx.put_standings([Standing(row.client, row.system, StandingState.PENDING, "to be sent again")])
            tx.add_audit(
                [
                    AuditRow(
                        self.clock(),
                        "write_retried",
                        self.actor,
                        {"write": write},
                        client=row.client,
                        system=row.system,
                    )
                ]
            )
            return row

    def drop(self, write: str) -> WriteRow:
        """Give a write up. It is planned again only when something changes about the client."""
        with self.store.writing(operator=True) as tx:
            row = _write(tx, write, (WriteState.PARKED, WriteState.WAITING, WriteState.IN_DOUBT))
            row = replace(
                row, state=WriteState.DROPPED, done_at=self.clock(), reason=f"{row.reason}; dropped by {self.actor}"
            )
            tx.put_writes([row])
            tx.put_standings(
                [Standing(row.client, row.system, StandingState.EXCLUDED, f"{write} was dropped by {self.actor}")]
            )
            tx.add_audit(
                [
                    AuditRow(
                        self.clock(),
                        "write_dropped",
                        self.actor,
                        {"write": write},
                        client=row.client,
                        system=row.system,
                    )
                ]
            )
            return row

    def merge(self, winner: str, loser: str, agreed: Callable[[Tx, MergeRow], None] | None = None) -> MergeRow:
        """Make two clients one; the winner keeps its id. UsageError where they cannot become one (see `merging.pair`).

        agreed: is shown what was done before it counts, and ends it by an error.
        """
        with self.store.writing(operator=True) as tx:
            row = self.merge_in(tx, winner, loser)
            if agreed is not None:
                agreed(tx, row)
        return merging.told(row)

    def merge_in(self, tx: Tx, winner: str, loser: str) -> MergeRow:
        """The same within a transaction, such as a rehearsal."""
        reason = "a person said that they are one"
        return merging.join(tx, winner, loser, context=self.context, actor=self.actor, now=self.clock(), reason=reason)

    def unmerge(self, client: str, agreed: Callable[[Tx, parting.Parted], None] | None = None) -> parting.Parted:
        """Take a merge back: that by which the client was merged away, or the last that it took another in by. UsageError where none.

        agreed: see `merge`.
        """
        with self.store.writing(operator=True) as tx:
            parted = self.unmerge_in(tx, client)
            if agreed is not None:
                agreed(tx, parted)
        _log.info("clients_unmerged", client=parted.winner, loser=parted.loser, merge=parted.merge.merge)
        return parted

    def unmerge_in(self, tx: Tx, client: str) -> parting.Parted:
        """The same within a transaction, such as a rehearsal."""
        return parting.unmerge(tx, client, context=self.context, actor=self.actor, now=self.clock())

    def apart(
        self, first: str, second: str, *, undo: bool = False, agreed: Callable[[Tx, parting.Apart], None] | None = None
    ) -> parting.Apart:
        """Keep two clients apart for ever, or two records of one client (`SYSTEM/ID`): then they are made two first.

        undo: forget that they were to be kept apart. agreed: see `merge`. UsageError where there is nothing to do.
        """
        with self.store.writing(operator=True) as tx:
            done = self.apart_in(tx, first, second, undo=undo)
            if agreed is not None:
                agreed(tx, done)
            return done

    def apart_in(self, tx: Tx, first: str, second: str, *, undo: bool = False) -> parting.Apart:
        """The same within a transaction, such as a rehearsal."""
        if undo:
            return parting.may_join(tx, first, second, actor=self.actor, now=self.clock())
        return parting.take_apart(tx, first, second, context=self.context, actor=self.actor, now=self.clock())

    def note(self, kind: str, payload: dict[str, object]) -> None:
        """Tell the audit trail what a person did beside the store: a rule that was changed."""
        with self.store.writing(operator=True) as tx:
            tx.add_audit([AuditRow(self.clock(), kind, self.actor, payload)])

    def _end(self, tx: Tx, row: HoldRow, state: HoldState, now: datetime, verb: str) -> HoldRow:
        ended = replace(row, state=state, decided_at=now, decided_by=self.actor)
        tx.put_hold(ended)
        payload = {"hold": row.hold, "kind": row.kind.value, "items": len(row.items)}
        tx.add_audit([AuditRow(now, f"hold_{verb}", self.actor, payload, system=row.system)])
        return ended

    def _set(
        self,
        tx: Tx,
        client: str,
        unit: str,
        value: Value,
        now: datetime,
        reason: str,
        told: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """A person's value for one unit: golden takes it, and what the systems show at this moment is accounted for.

        told: what the person was shown, each with its `value`. What came in since and is not decided yet, the person has not seen:
        it competes with the person's value and is not lost in silence.
        """
        bundle = tx.bundles([client])[0]
        golden = dict(bundle.client.fields)
        own_links: list[LinkRow] | None = None
        shown = [each.get("value") for each in told]
        if by_hand.is_about_contacts(unit):
            value, own_links = by_hand.decided(bundle, unit, value, shown)
            unit = CONTACTS
        before = unit_value(golden, unit)
        golden.update(unit_fields(unit, value))
        if unit == "name" and golden.get("kind") == "person":
            golden.update(split_person({part: golden.get(part) for part in ("name", "given_name", "family_name")}))
        origins = {name: system for name, system in bundle.client.origins.items() if name != unit}
        after = replace(bundle.client, fields=golden, origins=origins, dirty=True, updated_at=now)
        tx.put_clients([after])
        tx.put_links(_as_seen(bundle, unit, shown) if own_links is None else own_links)
        number = tx.new_ids("g", 1)[0]
        words = f"{reason} by {self.actor}"
        change = ChangeRow(number, None, client, unit, OPERATOR, None, before, value, words, now)
        tx.add_changes([change])
        trail.completed(tx, [(bundle.client, after)], [change], at=now, cycle=None, actor=self.actor)

    def _join(self, tx: Tx, row: HoldRow, now: datetime) -> None:
        """The clients of a proposal are one: the one with a living record survives, then the oldest."""
        clients = ranked(tx, row)
        for loser in clients[1:]:
            self._join_pair(tx, clients[0], loser, row, now)

    def _join_pair(self, tx: Tx, winner: str, loser: str, row: HoldRow, now: datetime) -> None:
        if tx.resolve_alias(winner) != tx.resolve_alias(loser):
            reason = f"{row.hold}: {row.reason}"
            merging.told(
                merging.join(tx, winner, loser, context=self.context, actor=self.actor, now=now, reason=reason)
            )

    def _keep_apart(self, tx: Tx, row: HoldRow) -> None:
        """A refusal holds for ever: every record of one client against every record of the other."""
        owners = sorted(ranked(tx, row))
        links = tx.links_of(owners)
        pairs = [
            ((a.system, a.external_id), (b.system, b.external_id))
            for left, right in combinations(owners, 2)
            for a in links.get(left, [])
            for b in links.get(right, [])
        ]
        for item in row.items:
            if item.get("external_id") and len(row.items) == 1:
                pairs.extend(
                    ((link.system, link.external_id), (str(item["system"]), str(item["external_id"])))
                    for link in links.get(str(item["client"]), [])
                )
        tx.add_apart(pairs)
        tx.mark_dirty(owners)

    def _resolve_delete(self, tx: Tx, row: ConflictRow, take: str | None, now: datetime) -> ConflictRow:
        """Delete against edit: taking the system that deleted archives the client; taking golden creates it there again."""
        if by_hand.is_about_contacts(row.unit):
            return self._resolve_contact(tx, row, take, now)
        deleted = row.candidates[0]
        link = tx.link(str(deleted["system"]), str(deleted["external_id"]))
        _is_still_so(tx, link, take, str(deleted["system"]))
        if take == deleted["system"]:
            if (survivor := tx.resolve_alias(row.client) or row.client) != row.client:
                message = f"{row.client} was merged into {survivor} since, which is not archived because of a record of one of them"
                error = UsageError(message)
                error.next_step = f"`syncd unmerge {row.client}` makes them two again; then it can be decided."
                raise error
            self._set(tx, row.client, "archived", True, now, f"resolved {row.conflict}")
        elif link is not None and take is not None:
            tx.put_links([parted := replace(link, state=LinkState.APART)])
            trail.ended(tx, [parted], at=now, cycle=None, actor=self.actor)
            tx.mark_dirty([link.client])
        else:
            message = f"say --take {deleted['system']} (the delete) or --take golden (create it there again)"
            raise UsageError(message)
        return replace(row, winner=take)

    def _resolve_contact(self, tx: Tx, row: ConflictRow, take: str | None, now: datetime) -> ConflictRow:
        """A removed contact that was edited elsewhere: taking the removal drops it, anything else makes it again."""
        chosen = _chosen(tx, row, take, None)
        client = tx.client(row.client)
        held = by_hand.value_of(client.fields, row.unit) if client is not None else UNKNOWN
        if isinstance(chosen, dict) and isinstance(held, dict):
            chosen = held
        self._set(tx, row.client, row.unit, chosen, now, f"resolved {row.conflict}")
        return replace(row, winner=take, value=chosen)


def _is_still_so(tx: Tx, link: LinkRow | None, take: str | None, system: str) -> None:
    """UsageError where the record of which it is asked whether it was deleted is there again, or is to be made anew and may be there yet."""
    if link is None or link.state is not LinkState.LINKED:
        return
    record = tx.records(link.system, [link.external_id]).get(link.external_id)
    if record is None or record.state is not RecordState.MISSING:
        error = UsageError(f"record {link.external_id} of {link.system} is there again; nothing is to be decided")
        error.next_step = f"`syncd show {link.client}` shows what each system says now."
        raise error
    if take != system:
        error = UsageError(f"that record {link.external_id} of {link.system} is gone is not confirmed yet")
        error.next_step = "Try again after the next cycles (`syncd sync`)."
        raise error


def _as_seen(bundle: Bundle, unit: str, told: Sequence[Value]) -> list[LinkRow]:
    """The links, with what the systems show of a unit at this moment accounted for, but for edits that nobody has decided or seen.

    What is typed into a record that stands apart is decided by nobody, and heard once its merge is taken back.
    """
    links = []
    for link, record in bundle.sides:
        shown = unit_value(record.fields, unit) if record is not None else UNKNOWN
        base = link.bases.get(unit, Base())
        undecided = bundle.client.dirty or link.state is LinkState.APART
        fresh = undecided and shown != base.seen and shown not in told
        if shown is not UNKNOWN and not fresh:
            base = replace(base, seen=shown, agreed=UNKNOWN, writes=())
            links.append(replace(link, bases={**link.bases, unit: base}))
    return links


def _open_hold(tx: Tx, hold: str) -> HoldRow:
    row = tx.hold(hold)
    if row is None:
        message = f"there is no hold {hold}"
        raise UsageError(message)
    if row.state is not HoldState.OPEN:
        message = f"hold {hold} is {row.state.value} and not open; what is held now is told by `syncd holds`"
        raise UsageError(message)
    return row


def _write(tx: Tx, write: str, states: Sequence[WriteState]) -> WriteRow:
    row = tx.write(write)
    if row is None:
        message = f"there is no write {write}"
        raise UsageError(message)
    if row.state not in states:
        allowed = " or ".join(state.value for state in states)
        message = f"write {write} is {row.state.value}; this needs one that is {allowed}"
        raise UsageError(message)
    return row


def _clients(row: HoldRow) -> list[str]:
    return sorted({str(item["client"]) for item in row.items if item.get("client")})


def _thaw(tx: Tx, row: HoldRow, *, agree: bool) -> None:
    """A field that oscillated: try again (agree False), or live with what the system shows (agree True)."""
    for item in row.items:
        link = tx.link(str(item["system"]), str(item["external_id"]))
        client = tx.client(str(item["client"]))
        if link is None or client is None:
            continue
        unit = str(item["field"])
        base = replace(link.bases.get(unit, Base()), writes=())
        if agree and by_hand.is_about_contacts(unit):
            record = tx.records(link.system, [link.external_id]).get(link.external_id)
            link = by_hand.lived_with(link, record, client.fields) if record is not None else link
        elif agree:
            golden = unit_value(client.fields, unit)
            base = replace(base, agreed=None if golden is UNKNOWN else golden)
        tx.put_links([replace(link, bases={**link.bases, unit: base})])
    tx.mark_dirty(_clients(row))


def _chosen(tx: Tx, row: ConflictRow, take: str | None, value: str | None) -> Value:
    """The value that a resolution names. UsageError where it names none."""
    if value is not None:
        return _typed(row.unit, value)
    if take == "base":
        return None if row.base is UNKNOWN else row.base
    for candidate in row.candidates:  # golden too, where it competed
        if candidate["system"] == take:
            chosen: Value = candidate["value"]
            return chosen
    if take == "golden":
        client = tx.client(tx.resolve_alias(row.client) or row.client)
        golden = by_hand.value_of(client.fields, row.unit) if client is not None else UNKNOWN
        return None if golden is UNKNOWN else golden
    names = ", ".join(sorted({str(candidate["system"]) for candidate in row.candidates}))
    message = (
        f"conflict {row.conflict} has no candidate of {take}; take one of {names}, golden or base, or give --value"
    )
    raise UsageError(message)


def _typed(unit: str, text: str) -> Value:
    if unit == "name":
        return {"name": text, "given_name": None, "family_name": None}
    if is_group(unit):
        return _typed_group(unit, text)
    contact = by_hand.is_about_contacts(unit)
    cleaned = by_hand.typed(unit, text) if contact else normalize.clean(kind_of(unit), text)
    if cleaned is UNKNOWN:
        message = f"{text!r} is no value for {unit}"
        raise UsageError(message)
    return cleaned


def _typed_group(unit: str, text: str) -> Value:
    """A group typed as a JSON object of its parts; parts that are left out are emptied with it."""
    example = ", ".join(f'"{part}": "..."' for part in parts_of(unit))
    try:
        typed = json.loads(text)
    except ValueError:
        typed = None
    if not isinstance(typed, dict) or not typed or set(typed) - set(parts_of(unit)):
        message = f"{unit} is a group; write it as JSON: {{{example}}}"
        raise UsageError(message)
    cleaned = {part: normalize.clean(kind_of(part), typed.get(part)) for part in parts_of(unit)}
    return {part: None if value is UNKNOWN else value for part, value in cleaned.items()}
