"""Merges of clients: two clients become one, in one transaction; the systems follow by the ordinary plan, record by record.

The winner keeps its id, the loser becomes an alias of it; every link of the loser is the winner's from then on, so every old id and every
record leads to the survivor. Field by field the winner's value stays and is filled from the loser's where it is empty; where both had one, a
conflict is logged, by which the losing value can be put back. An opt-out wins, and so does being active over being archived.

What this asks of the systems is carried out by `syncd.engine.absorbing`: the merge is `running` until every system is through. What it was
before is kept with the merge (`MergeRow.snapshot`), so that `syncd.engine.parting` can take it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core import normalize
from syncd.core.children import PREFIX, join_contacts
from syncd.core.model import UNKNOWN, Context, Maybe, Value, parts_of, unit_fields, unit_value, units_in
from syncd.core.survivorship import CONSENT, GOLDEN, is_empty
from syncd.engine import trail
from syncd.engine.decide import GATHERED
from syncd.engine.echoes import ECHOES, Echo
from syncd.errors import UsageError
from syncd.store import (
    AuditRow,
    Bundle,
    ChangeRow,
    ClientRow,
    ClientState,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    HoldKind,
    HoldState,
    LinkRow,
    LinkState,
    MergeRow,
    MergeState,
    RecordKey,
    WriteState,
)

if TYPE_CHECKING:
    from syncd.store import Tx

CONTACTS = "contacts"

RULE = "merge"
"""The rule of a conflict that a merge of clients decided."""

DEFAULTS = "defaults"
"""Key in a link as a merge keeps it: the units that its system showed of itself beside an empty golden value."""

_log = log.get("merging")


@dataclass(frozen=True, slots=True)
class Rivals:
    """Both clients had a value. kept: what golden holds afterwards; lost: what it does not."""

    unit: str
    kept: Value
    lost: Value
    loser_kept: bool = False


@dataclass(slots=True)
class Survivorship:
    """What the merged client holds.

    filled: units that only the loser had. equal: that both had alike; enriched: those of them of which only the loser knew some part.
    alike: a contact of the loser -> the one that it is.
    """

    fields: dict[str, Value]
    origins: dict[str, str]
    filled: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    enriched: list[str] = field(default_factory=list)
    rivals: list[Rivals] = field(default_factory=list)
    alike: dict[str, str] = field(default_factory=dict)


def survive(winner: ClientRow, loser: ClientRow, context: Context) -> Survivorship:
    """The golden record of two clients that are one. Groups come whole from one of them; contacts are those of both."""
    found = Survivorship(dict(winner.fields), dict(winner.origins))
    for unit in units_in({**winner.fields, **loser.fields}):
        mine, theirs = unit_value(winner.fields, unit), unit_value(loser.fields, unit)
        if unit in GATHERED:
            continue
        if unit == "archived":
            _live(found, mine, theirs)
        elif unit == CONSENT and theirs is False and mine is not False:
            _take(found, loser, unit, theirs)
            if mine is True:
                found.rivals.append(Rivals(unit, theirs, mine, loser_kept=True))
        elif is_empty(theirs):
            continue
        elif is_empty(mine):
            _take(found, loser, unit, theirs)
        elif not normalize.same(unit, _value(mine), _value(theirs), context.within(winner.fields)):
            found.rivals.append(Rivals(unit, _value(mine), _value(theirs)))
            for part in set(parts_of(unit)) & loser.fields.keys() - found.fields.keys():
                found.fields[part] = (
                    None  # what only the other one knows of its group stands beside no part of this one
                )
        else:
            found.equal.append(unit)
            _enrich(found, loser, unit)
    if isinstance(loser.fields.get(CONTACTS), list):
        joined, found.alike = join_contacts(
            winner.fields.get(CONTACTS, UNKNOWN), loser.fields.get(CONTACTS, UNKNOWN), context
        )
        found.fields[CONTACTS] = joined
        found.origins.update((name, system) for name, system in loser.origins.items() if name.startswith(PREFIX))
    return found


def _live(found: Survivorship, mine: Maybe, theirs: Maybe) -> None:
    """Of an archived and an active client the merged one is active."""
    if mine is True and theirs is not True:
        found.fields["archived"] = False
        found.origins.pop("archived", None)
        found.rivals.append(Rivals("archived", kept=False, lost=True, loser_kept=True))
    elif theirs is True and mine is not True:
        found.rivals.append(Rivals("archived", kept=False, lost=True))


def _take(found: Survivorship, loser: ClientRow, unit: str, theirs: Maybe) -> None:
    found.fields.update(unit_fields(unit, _value(theirs)))
    found.filled.append(unit)
    found.origins.pop(unit, None)
    if unit in loser.origins:
        found.origins[unit] = loser.origins[unit]


def _enrich(found: Survivorship, loser: ClientRow, unit: str) -> None:
    """Of a group that both have alike the merged client holds every part that one of them knew: no record is emptied of it."""
    unknown = [part for part in parts_of(unit) if part not in found.fields and not is_empty(loser.fields.get(part))]
    if unknown:
        found.fields.update({part: loser.fields[part] for part in unknown})
        found.enriched.append(unit)


def _value(maybe: Maybe) -> Value:
    return None if maybe is UNKNOWN else maybe


def parted(tx: Tx, first: Bundle, second: Bundle) -> bool:
    """Whether two clients are to be kept apart: any record of one against any of the other."""
    mine, theirs = _keys(first), _keys(second)
    return any((a in mine and b in theirs) or (a in theirs and b in mine) for a, b in tx.aparts(sorted(mine | theirs)))


def _keys(bundle: Bundle) -> set[RecordKey]:
    return {(link.system, link.external_id) for link, _ in bundle.sides}


def pair(tx: Tx, winner: str, loser: str) -> tuple[Bundle, Bundle]:
    """The two clients of a merge, old ids resolved. UsageError where they cannot become one."""
    found: list[Bundle] = []
    for identifier in (winner, loser):
        survivor = tx.resolve_alias(identifier)
        if survivor is None:
            error = UsageError(f"there is no client {identifier}")
            error.next_step = "`syncd clients` lists those that are there."
            raise error
        found.extend(tx.bundles([survivor]))
    first, second = found
    if first.client.client == second.client.client:
        error = UsageError(f"{winner} and {loser} are one client already: {first.client.client}")
        error.next_step = f"`syncd show {first.client.client}` shows it, and what was merged into it."
        raise error
    if first.client.state is ClientState.DELETED and second.client.state is not ClientState.DELETED:
        error = UsageError(f"{winner} is deleted and cannot take in {loser}, which is not")
        error.next_step = f"`syncd merge {loser} {winner}` keeps the other one."
        raise error
    for bundle in found:
        if bundle.sides and not bundle.client.fields:
            error = UsageError(f"{bundle.client.client} is so new that nothing is decided about it yet")
            error.next_step = "Try again after the next cycle (`syncd sync`)."
            raise error
    if parted(tx, first, second):
        error = UsageError(f"{winner} and {loser} are kept apart")
        error.next_step = f"`syncd apart {winner} {loser} --undo` takes that back."
        raise error
    return first, second


def join(
    tx: Tx,
    winner: str,
    loser: str,
    *,
    context: Context,
    actor: str,
    now: datetime,
    reason: str,
    cycle: str | None = None,
) -> MergeRow:
    """Make two clients one. UsageError as of `pair`. The next reconcile brings the systems into line."""
    first, second = pair(tx, winner, loser)
    kept, gone = first.client, second.client
    found = survive(kept, gone, context)
    merge = tx.new_ids("m", 1)[0]
    after = replace(kept, fields=found.fields, origins=found.origins, dirty=True, updated_at=now)
    alias = replace(gone, state=ClientState.MERGED, merged_into=kept.client, dirty=False, updated_at=now)
    _move_links(tx, first, second)
    _clear_outbox(tx, kept.client, gone.client, merge, now)
    tx.drop_standings(gone.client)
    tx.put_clients([after, alias])
    words = f"{gone.client} was merged into {kept.client} by {actor}"
    changes = _changes(tx, kept, found, words, now, cycle)
    tx.add_changes(changes)
    brought = [Echo(unit, _record_of(second, unit), _value(unit_value(found.fields, unit))) for unit in found.equal]
    note_echoes(tx, {kept.client: brought})  # to an earlier merge of the winner what this one brings is no less an edit
    conflicts = _conflicts(tx, merge, first, second, found, actor, now, cycle)
    tx.add_conflicts(conflicts)
    _close_matters(tx, kept.client, gone.client, words, now)
    payload = {"winner": kept.client, "loser": gone.client, "merge": merge, "fields": sorted(found.filled)}
    tx.add_audit([AuditRow(now, trail.CLIENTS_JOINED, actor, payload, cycle=cycle, client=kept.client)])
    trail.completed(tx, [(kept, after), (gone, alias)], changes, at=now, cycle=cycle, actor=actor)
    snapshot = {
        "number": tx.new_ids("g", 1)[0],
        "clients": {row.client: _kept_client(row) for row in (kept, gone)},
        "after": _kept_client(after),
        "links": {bundle.client.client: [_kept_link(side) for side in bundle.sides] for bundle in (first, second)},
        "conflicts": [row.conflict for row in conflicts],
        "filled": sorted(found.filled),
        "alike": found.alike,
        "steps": [],
    }
    row = MergeRow(merge, kept.client, [gone.client], MergeState.RUNNING, now, actor, reason, snapshot)
    tx.put_merge(row)
    return row


def told(row: MergeRow, cycle: str | None = None) -> MergeRow:
    """Log a merge that is committed, or is about to be."""
    conflicts = len(row.snapshot["conflicts"])
    _log.info(
        "clients_merged", client=row.winner, loser=row.losers[0], merge=row.merge, conflicts=conflicts, cycle=cycle
    )
    return row


def _kept_client(row: ClientRow) -> dict[str, Any]:
    return {"fields": dict(row.fields), "origins": dict(row.origins), "state": row.state.value}


def _kept_link(side: tuple[LinkRow, Any]) -> dict[str, Any]:
    link, record = side
    return {
        "system": link.system,
        "external_id": link.external_id,
        "state": link.state.value,
        "archived": record is not None and record.fields.get("archived") is True,
        DEFAULTS: sorted(
            unit
            for unit, base in link.bases.items()
            if base.agreed is None and not (base.seen is UNKNOWN or is_empty(base.seen))
        ),
    }


def _move_links(tx: Tx, first: Bundle, second: Bundle) -> None:
    """The loser's links are the winner's; that both are written anew is a person's doing and no oscillation."""
    tx.move_links(second.client.client, first.client.client)
    rested: list[LinkRow] = []
    for link, _ in (*first.sides, *second.sides):
        if any(base.writes for base in link.bases.values()):
            bases = {unit: replace(base, writes=()) for unit, base in link.bases.items()}
            rested.append(replace(link, client=first.client.client, bases=bases))
    if rested:
        tx.put_links(rested)


def _clear_outbox(tx: Tx, winner: str, loser: str, merge: str, now: datetime) -> None:
    """What waits is decided again. What is on its way or in doubt is the winner's from now on."""
    changed = [
        replace(row, state=WriteState.DROPPED, done_at=now, reason=f"{row.reason}; decided again after {merge}")
        for client in (winner, loser)
        for row in tx.writes([WriteState.WAITING, WriteState.PARKED], client=client)
    ]
    under_way = tx.writes([WriteState.SENDING, WriteState.IN_DOUBT], client=loser)
    changed.extend(replace(row, client=winner) for row in under_way)
    if changed:
        tx.put_writes(changed)


def _changes(
    tx: Tx, kept: ClientRow, found: Survivorship, words: str, now: datetime, cycle: str | None
) -> list[ChangeRow]:
    moved = [
        *found.filled,
        *found.enriched,
        *(each.unit for each in found.rivals if each.loser_kept and each.unit not in found.filled),
    ]
    ids = tx.new_ids("g", len(moved)) if moved else []
    return [
        ChangeRow(
            change=number,
            cycle=cycle,
            client=kept.client,
            unit=unit,
            system=GOLDEN,
            external_id=None,
            before=unit_value(kept.fields, unit),
            after=_value(unit_value(found.fields, unit)),
            reason=words,
            at=now,
        )
        for number, unit in zip(ids, moved, strict=True)
    ]


def _conflicts(
    tx: Tx,
    merge: str,
    first: Bundle,
    second: Bundle,
    found: Survivorship,
    actor: str,
    now: datetime,
    cycle: str | None,
) -> list[ConflictRow]:
    """One row per field in which the two differed; the losing value is a candidate that `syncd resolve` can take."""
    ids = tx.new_ids("k", len(found.rivals)) if found.rivals else []
    return [
        ConflictRow(
            conflict=number,
            client=first.client.client,
            unit=rivals.unit,
            kind=ConflictKind.FIRST,
            base=UNKNOWN,
            candidates=_candidates(first, second, rivals, now),
            rule=RULE,
            status=ConflictStatus.DECIDED,
            winner=GOLDEN,
            value=rivals.kept,
            decided_by=actor,
            logged_at=now,
            reason=f"{second.client.client} was merged into {first.client.client}: {_words(rivals)}",
            cycle=cycle,
            key=f"{merge}:{rivals.unit}",
        )
        for number, rivals in zip(ids, found.rivals, strict=True)
    ]


def _words(rivals: Rivals) -> str:
    if rivals.unit == CONSENT:
        return "an opt-out wins"
    return "active wins over archived" if rivals.unit == "archived" else "the value of the one that stays is kept"


def _candidates(first: Bundle, second: Bundle, rivals: Rivals, now: datetime) -> list[dict[str, Any]]:
    losing = first if rivals.loser_kept else second
    system, external_id = _source(losing, rivals.unit)
    at = now.isoformat()
    return [
        {"system": GOLDEN, "external_id": None, "value": rivals.kept, "seen_at": at},
        {"system": system, "external_id": external_id, "value": rivals.lost, "seen_at": at},
    ]


def _source(bundle: Bundle, unit: str) -> tuple[str, str | None]:
    """The record that a client's value of a unit came from, as far as it is known."""
    origin = bundle.client.origins.get(unit)
    links = [link for link, _ in bundle.sides]
    ranked = sorted(links, key=lambda link: (link.system != origin, link.state is not LinkState.LINKED, link.system))
    return (ranked[0].system, ranked[0].external_id) if ranked else (bundle.client.client, None)


def _record_of(bundle: Bundle, unit: str) -> RecordKey:
    system, external_id = _source(bundle, unit)
    return system, external_id or ""


def _close_matters(tx: Tx, winner: str, loser: str, words: str, now: datetime) -> None:
    """What waited for a person about the loser is asked about the winner, if it is still to be asked."""
    for row in tx.conflicts(status=ConflictStatus.OPEN, client=loser):
        tx.put_conflict(replace(row, status=ConflictStatus.RESOLVED, decided_by=words, key=f"{row.key}:{row.conflict}"))
    for hold in tx.holds_of(loser):
        if hold.state is not HoldState.OPEN:
            continue
        if hold.kind in (HoldKind.FIELD, HoldKind.LOSSY):
            tx.put_hold(replace(hold, state=HoldState.LAPSED, decided_at=now, decided_by=words))
        elif hold.kind in (HoldKind.LINK, HoldKind.MERGE):
            items = [{**item, "client": winner} if item.get("client") == loser else item for item in hold.items]
            tx.put_hold(replace(hold, items=items))


def came_from_losers(rows: Iterable[MergeRow]) -> frozenset[RecordKey]:
    """The records that merges brought to their winner."""
    return frozenset(
        (str(link["system"]), str(link["external_id"]))
        for row in rows
        for loser in row.losers
        for link in row.snapshot.get("links", {}).get(loser, ())
    )


def running(tx: Tx, clients: Sequence[str]) -> Mapping[str, tuple[MergeRow, ...]]:
    """Client -> the merges that are not through yet and made it what it is."""
    found: dict[str, tuple[MergeRow, ...]] = {}
    wanted = frozenset(clients)
    for row in tx.merges(MergeState.RUNNING):
        owner = tx.resolve_alias(row.winner)
        if owner in wanted:
            found[owner] = (*found.get(owner, ()), row)
    return found


def behind(tx: Tx, clients: Iterable[str]) -> dict[str, list[MergeRow]]:
    """Client -> the merges that stand and made it what it is, also those of clients that it took in."""
    found: dict[str, list[MergeRow]] = {}
    ends = {client: client for client in clients}
    while ends:
        took_in: dict[str, str] = {}
        for row in tx.merges(winners=sorted(ends)):
            if row.state is not MergeState.UNDONE:
                found.setdefault(ends[row.winner], []).append(row)
                took_in.update(dict.fromkeys(row.losers, ends[row.winner]))
        ends = took_in
    return found


def note_echoes(tx: Tx, echoes: Mapping[str, Sequence[Echo]]) -> None:
    """Keep with the merges of clients what was typed into their records and moved no golden record; the last of each unit and record."""
    rows = behind(tx, [client for client, found in echoes.items() if found])
    for client, merges in rows.items():
        numbers = tx.new_ids("g", len(echoes[client]))
        new = [
            {
                "number": number,
                "unit": each.unit,
                "system": each.record[0],
                "external_id": each.record[1],
                "value": each.value,
                "lost": each.lost,
                "against": each.against,
            }
            for number, each in zip(numbers, echoes[client], strict=True)
        ]
        fresh = {(each["unit"], each["system"], each["external_id"]) for each in new}
        for row in merges:
            old = [each for each in row.snapshot.get(ECHOES, []) if _place(each) not in fresh]
            tx.put_merge(replace(row, snapshot={**row.snapshot, ECHOES: [*old, *new]}))


def _place(echo: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(echo["unit"]), str(echo["system"]), str(echo["external_id"])
