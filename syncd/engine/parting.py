"""Taking clients apart: a merge is taken back, two clients are kept apart for ever, a record is split off from its client.

Taking a merge back restores who is who, and every field that nobody has edited since; an edit made since stays with the client in whose record
it was made. The systems follow by the ordinary plan: what the merge wrote is written back, what it archived is restored where it can be.
An opt-out is never taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from syncd.core.correlate import compare, match_keys
from syncd.core.model import UNKNOWN, Context, parts_of, unit_value
from syncd.core.survivorship import CONSENT, is_empty
from syncd.engine import trail, vanished
from syncd.engine.decide import GATHERED
from syncd.engine.dividing import Division, Left
from syncd.engine.merging import DEFAULTS, behind
from syncd.engine.observe import CREATED, EARLIER, is_confirmed
from syncd.errors import UsageError
from syncd.store import (
    AuditRow,
    Base,
    Bundle,
    ClientRow,
    ClientState,
    ConflictStatus,
    LinkRow,
    LinkState,
    MergeRow,
    MergeState,
    RecordKey,
    RecordRow,
    RecordState,
    WriteState,
)

if TYPE_CHECKING:
    from syncd.core.correlate import MatchKey
    from syncd.core.model import Fields
    from syncd.store import Tx


ABSENT = frozenset({RecordState.MISSING, RecordState.GONE})

TELLING = frozenset({"reg", "siren", "siret", "vat", "email"})
"""Sorts of keys by which a record under another id can be told to be the same."""


@dataclass(frozen=True, slots=True)
class Parted:
    """A merge that was taken back. records: those that belong to the other client again."""

    merge: MergeRow
    winner: str
    loser: str
    records: tuple[RecordKey, ...]
    left: tuple[Left, ...]

    @property
    def refused(self) -> bool:
        """Whether something was asked for that must not be done: an opt-out taken back."""
        return any(each.field == CONSENT for each in self.left)


# ---------------------------------------------------------------- finding it


def find_merge(tx: Tx, client: str) -> MergeRow:
    """The merge that `unmerge CLIENT` takes back: the one that took the client in, else the last that it took another in by.

    UsageError where there is none, or one made later stands above it.
    """
    row = tx.client(client)
    if row is None:
        error = UsageError(f"there is no client {client}")
        error.next_step = "`syncd clients` lists those that are there."
        raise error
    standing = [each for each in tx.merges() if each.state is not MergeState.UNDONE]
    taken_in = [each for each in standing if client in each.losers]
    took_in = [each for each in standing if each.winner == client]
    if not taken_in and not took_in:
        error = UsageError(f"{client} is not the result of a merge, and was not merged into another client")
        error.next_step = "`syncd clients --state merged` lists those that were merged."
        raise error
    found = (taken_in or took_in)[-1]
    winner = tx.client(found.winner)
    if winner is not None and winner.merged_into is not None:
        error = UsageError(f"{found.winner} itself was merged into {winner.merged_into} later")
        error.next_step = f"Take that back first: `syncd unmerge {found.winner}`."
        raise error
    return found


def _ancestry(tx: Tx, client: str) -> list[str]:
    """A client and what it was merged into, in order."""
    found = [client]
    while (row := tx.client(found[-1])) is not None and row.merged_into is not None and row.merged_into not in found:
        found.append(row.merged_into)
    return found


# ---------------------------------------------------------------- taking it back


def unmerge(tx: Tx, client: str, *, context: Context, actor: str, now: datetime) -> Parted:
    """Take a merge back, in one transaction; see the header. UsageError as of `find_merge`, or while a write is on its way."""
    row = find_merge(tx, client)
    [bundle] = tx.bundles([row.winner])
    loser = tx.client(row.losers[0])
    under_way = tx.writes([WriteState.SENDING, WriteState.IN_DOUBT], client=row.winner)
    if loser is None or under_way:
        error = UsageError(
            f"a write for {row.winner} is on its way or in doubt; who it is for must not change meanwhile"
        )
        error.next_step = "Try again after the next cycle (`syncd outbox`)."
        raise error
    waiting = tx.writes([WriteState.WAITING, WriteState.PARKED], client=row.winner)
    if waiting:
        words = f"decided again after {row.merge} was taken back"
        tx.put_writes([replace(each, state=WriteState.DROPPED, done_at=now, reason=words) for each in waiting])
    links = [link for link, _ in bundle.sides]
    moved = _links_back(tx, row, links, _successors(tx, row, bundle, context))
    mine = {(link.system, link.external_id) for link in moved if link.client == loser.client}
    here = frozenset((link.system, link.external_id) for link in links)
    split = Division(tx, row, bundle.client, loser, mine, here, context)
    back = {(link.system, link.external_id): link for link in moved}
    shown = {(link.system, link.external_id): record for link, record in bundle.sides}
    golden = {row.winner: split.winner, loser.client: split.loser}
    kept = [
        _with_defaults(link, shown[link.system, link.external_id], golden[link.client], row)
        for link in split.buried([back.get((link.system, link.external_id), link) for link in links])
    ]
    tx.put_links([_with_news(link, bundle, split.winner, row) for link in kept])
    winner_after = replace(bundle.client, fields=split.winner, origins=split.winner_origins, dirty=True, updated_at=now)
    loser_after = replace(
        loser,
        fields=split.loser,
        origins=split.loser_origins,
        state=ClientState(row.snapshot["clients"][loser.client]["state"]),
        merged_into=None,
        dirty=True,
        updated_at=now,
    )
    tx.put_clients([winner_after, loser_after])
    tx.put_merge(ended := replace(row, state=MergeState.UNDONE, ended_at=now))
    _resume(tx, row)
    for identifier in row.snapshot.get("conflicts", ()):
        conflict = tx.conflict(identifier)
        if conflict is not None and conflict.status is ConflictStatus.DECIDED:
            tx.put_conflict(replace(conflict, status=ConflictStatus.RESOLVED, decided_by=f"{actor}: taken apart again"))
    tx.add_conflicts(vanished.told(tx, row, bundle, [winner_after, loser_after], actor, now))
    tx.add_audit(
        [AuditRow(now, "clients_unmerged", actor, {"merge": row.merge, "loser": loser.client}, client=row.winner)]
    )
    trail.moved(tx, moved, at=now, cycle=None, actor=actor)
    moves = [(bundle.client, winner_after), (loser, loser_after)]
    trail.completed(tx, moves, (), at=now, cycle=None, actor=actor)
    return Parted(ended, row.winner, loser.client, tuple(sorted(mine)), tuple(split.left))


def _resume(tx: Tx, row: MergeRow) -> None:
    """Earlier merges of either client are to be carried out anew: this one may have absorbed what they had not come to."""
    for merges in behind(tx, [row.winner, *row.losers]).values():
        for each in merges:
            if each.state is MergeState.DONE:
                tx.put_merge(replace(each, state=MergeState.RUNNING, ended_at=None))


def _is_gone(link: LinkRow, record: RecordRow) -> bool:
    """Whether a record is there no more; of one that stood apart an absence was noted, and never judged."""
    absent = link.state is LinkState.APART and is_confirmed(record)
    return record.state is RecordState.GONE or (record.state is RecordState.MISSING and absent)


def _successors(tx: Tx, row: MergeRow, bundle: Bundle, context: Context) -> set[RecordKey]:
    """The records that one of the loser's became since the merge, under another id: they are the loser's, not the merged client's.

    Only what is certain: one record of its system came after the other one was seen last, is that one by what it showed at first, and had
    a number or an e-mail of the loser's own and none of the winner's, nor of others that were merged into it.
    """
    loser = row.losers[0]
    had = {key for found in row.snapshot["links"].values() for key in _places(found)}
    others = [row.snapshot["clients"][row.winner]["fields"]]
    for each in tx.merges(winner=row.winner):
        if each.merge != row.merge and each.state is not MergeState.UNDONE:
            others += [each.snapshot["clients"][name]["fields"] for name in each.losers]
            had.update(key for name in each.losers for key in _places(each.snapshot["links"][name]))
    strange = {key for fields in others for key in _telling(fields, context)}
    own = _telling(row.snapshot["clients"][loser]["fields"], context) - strange
    lost = _places(each for each in row.snapshot["links"][loser] if each["state"] == LinkState.LINKED.value)
    absent = [record for _, record in bundle.sides if record is not None and record.state in ABSENT]
    pairs: list[tuple[RecordKey, RecordKey]] = []
    for link, record in bundle.sides:
        key = (link.system, link.external_id)
        if key in had or link.state is LinkState.GONE or record is None or record.state in ABSENT:
            continue
        if CREATED in record.memory:
            continue  # made here, for the merged client
        shown = _at_first(record)
        keys = _telling(shown, context)
        mine = keys & own and not keys & strange
        if mine and all(_unlike(shown, fields, context) for fields in others):
            pairs += [
                ((each.system, each.external_id), key) for each in absent if _became(each, record, shown, context)
            ]
    counts = Counter(key for pair in pairs for key in pair)
    return {new for old, new in pairs if old in lost and counts[old] == counts[new] == 1}


def _places(links: Iterable[Mapping[str, object]]) -> set[RecordKey]:
    """The records of links as a merge keeps them."""
    return {_place(each) for each in links}


def _place(link: Mapping[str, object]) -> RecordKey:
    return str(link["system"]), str(link["external_id"])


def _telling(fields: Fields, context: Context) -> set[MatchKey]:
    return {key for key in match_keys(fields, context) if key[0] in TELLING}


def _at_first(record: RecordRow) -> Fields:
    """What a record showed when it was seen first, as far as it is remembered: the merged client's values may have been written to it since."""
    earlier = record.memory.get(EARLIER)
    found = earlier if isinstance(earlier, Mapping) else {}
    return {**record.fields, **{name: values[0][0] for name, values in found.items() if values}}


def _became(old: RecordRow, new: RecordRow, shown: Fields, context: Context) -> bool:
    after = old.system == new.system and new.first_seen_at > old.seen_at
    return after and compare(old.fields, shown, context, lambda _key: 0).zone == "link"


def _unlike(one: Fields, other: Fields, context: Context) -> bool:
    return compare(one, other, context, lambda _key: 0).zone == "reject"


def _links_back(tx: Tx, row: MergeRow, links: Sequence[LinkRow], successors: Collection[RecordKey]) -> list[LinkRow]:
    """The links that this merge moved or set apart, as they were before it; a record that is gone since stays so.

    successors: records that came since the merge and go with the loser.
    """
    before = {
        (str(each["system"]), str(each["external_id"])): (client, LinkState(each["state"]))
        for client, found in row.snapshot["links"].items()
        for each in found
    } | dict.fromkeys(successors, (row.losers[0], LinkState.LINKED))
    back: list[LinkRow] = []
    for link in links:
        client, state = before.get((link.system, link.external_id), (link.client, link.state))
        record = tx.records(link.system, [link.external_id]).get(link.external_id)
        vanished = state is LinkState.LINKED and record is not None and _is_gone(link, record)
        if vanished and record is not None and record.state is not RecordState.GONE:
            tx.put_records([replace(record, state=RecordState.GONE)])
        state = LinkState.GONE if link.state is LinkState.GONE or vanished else state
        if (client, state) == (link.client, link.state):
            continue
        bases = {unit: replace(base, writes=()) for unit, base in link.bases.items()}
        matched = link.matched_by
        if link.state is LinkState.APART and state is LinkState.LINKED:
            matched = matched.split("; merged into ")[0]
            shown = record.fields.get("archived", UNKNOWN) if record is not None else UNKNOWN
            # That it is archived was the merge's doing; where it is not, that is an edit, yet to be heard.
            if bases.get("archived", Base()).seen in (shown, UNKNOWN):
                bases["archived"] = Base(seen=shown)
        back.append(replace(link, client=client, state=state, bases=bases, matched_by=matched))
    return back


def _with_defaults(link: LinkRow, record: RecordRow | None, golden: Fields, row: MergeRow) -> LinkRow:
    """A link on which what its system shows of itself stands beside an empty golden value, as it did before the merge.

    Golden came to hold the same meanwhile, so that they agreed; nobody wrote it there.
    """
    kept = (each for each in row.snapshot["links"][link.client] if _place(each) == (link.system, link.external_id))
    bases = dict(link.bases)
    for unit in next((each.get(DEFAULTS, ()) for each in kept), ()):
        base = bases.get(unit, Base())
        unwritten = base.written_at is None or base.written_at < row.started_at
        if record is None or not unwritten or not is_empty(unit_value(golden, unit)):
            continue
        if base.seen == unit_value(record.fields, unit) and not _has_moved(record, unit, row.started_at):
            bases[unit] = replace(base, agreed=None)
    return replace(link, bases=bases)


def _with_news(link: LinkRow, bundle: Bundle, golden: Fields, row: MergeRow) -> LinkRow:
    """A link of the winner on which what a record that came since said from the start is compared anew, where golden says something else again.

    It said what golden held, so that no change tells of it; a person typed it there nevertheless, and what is restored is no answer to it. Not
    what syncd wrote there, nor what the merge wrote to a record of that system that vanished since: it may be that one, under another id.
    """
    key = (link.system, link.external_id)
    had = {place for found in row.snapshot["links"].values() for place in _places(found)}
    record = next((each for mine, each in bundle.sides if (mine.system, mine.external_id) == key), None)
    if key in had or link.client != row.winner or link.state is not LinkState.LINKED or record is None:
        return link
    vanished = [
        other
        for other, each in bundle.sides
        if other.system == link.system and each is not None and each.state in ABSENT
    ]
    bases = dict(link.bases)
    for unit, base in link.bases.items():
        held = unit_value(bundle.client.fields, unit)
        if unit == "archived" or unit in GATHERED or is_empty(base.seen) or base.agreed != held:
            continue
        written = (each.bases.get(unit, Base()).written_at for each in (link, *vanished))
        ours = CREATED in record.memory or any(moment is not None and moment >= row.started_at for moment in written)
        if unit_value(golden, unit) != held and not ours and not _has_moved(record, unit, row.started_at):
            bases[unit] = Base()
    return replace(link, bases=bases)


def _has_moved(record: RecordRow, unit: str, since: datetime) -> bool:
    """Whether a record showed another value of a unit at some time since, as far as it is remembered."""
    earlier = record.memory.get(EARLIER)
    found = earlier if isinstance(earlier, Mapping) else {}
    return any(
        datetime.fromisoformat(str(until)) >= since for part in parts_of(unit) for _, until in found.get(part, ())
    )


# ---------------------------------------------------------------- for ever


def keep_apart(tx: Tx, first: str, second: str) -> int:
    """Remember for ever that two clients are not one: every record of one against every record of the other. How many pairs.

    Old ids are resolved; two that have become one client are left so.
    """
    first, second = (tx.resolve_alias(each) or each for each in (first, second))
    if first == second:
        return 0
    links = tx.links_of([first, second])
    pairs = [
        ((a.system, a.external_id), (b.system, b.external_id))
        for a in links.get(first, ())
        for b in links.get(second, ())
    ]
    tx.add_apart(pairs)
    tx.mark_dirty([first, second])
    return len(pairs)


@dataclass(frozen=True, slots=True)
class Apart:
    """Two clients that are kept apart, or no longer. pairs: of records. made: the client that a record was split off into."""

    first: str
    second: str
    pairs: int
    made: str | None = None
    parted: Parted | None = None


def take_apart(tx: Tx, first: str, second: str, *, context: Context, actor: str, now: datetime) -> Apart:
    """Keep two clients (or the clients of two records, `SYSTEM/ID`) apart for ever; those that are one are made two first.

    UsageError where that cannot be.
    """
    refs = [_record(tx, name) for name in (first, second)]
    clients = _clients_of(tx, (first, second), refs)
    made: str | None = None
    parted: Parted | None = None
    if clients[0] == clients[1]:
        line = _taken_in(tx, first, second) if None in refs else _brought_by(tx, clients[0], refs)
        if line is not None:
            parted = unmerge(tx, line, context=context, actor=actor, now=now)
        elif refs[1] is not None and refs[0] != refs[1]:
            made = split(tx, refs[1], actor=actor, now=now)
        else:
            error = UsageError(f"{first} and {second} are the same client, and no merge made them so")
            error.next_step = "To split a record off, name two records: `syncd apart SYSTEM/ID SYSTEM/ID`."
            raise error
        clients = _clients_of(tx, (first, second), refs)
    if clients[0] == clients[1]:
        message = f"{first} and {second} still belong to one client"
        raise UsageError(message)
    pairs = keep_apart(tx, clients[0], clients[1])
    _tell(tx, "kept_apart", clients, actor, now)
    return Apart(clients[0], clients[1], pairs, made, parted)


def may_join(tx: Tx, first: str, second: str, *, actor: str, now: datetime) -> Apart:
    """Forget that two clients are to be kept apart. UsageError where they were not."""
    refs = [_record(tx, name) for name in (first, second)]
    clients = _clients_of(tx, (first, second), refs)
    links = tx.links_of(clients)
    mine, theirs = ({(link.system, link.external_id) for link in links.get(client, ())} for client in clients)
    pairs = [
        (a, b)
        for a, b in tx.aparts(sorted(mine | theirs))
        if (a in mine and b in theirs) or (a in theirs and b in mine)
    ]
    if not pairs:
        message = f"{first} and {second} are not kept apart"
        raise UsageError(message)
    tx.remove_apart(pairs)
    _tell(tx, "apart_undone", clients, actor, now)
    return Apart(clients[0], clients[1], len(pairs))


def _tell(tx: Tx, kind: str, clients: Sequence[str], actor: str, now: datetime) -> None:
    payload = {"first": clients[0], "second": clients[1]}
    tx.add_audit(AuditRow(now, kind, actor, payload, client=client) for client in clients)


def _record(tx: Tx, name: str) -> RecordKey | None:
    """The record that `SYSTEM/ID` names; None for the id of a client. UsageError for a record that nobody knows."""
    system, slash, external_id = name.partition("/")
    if not slash:
        return None
    if tx.link(system, external_id) is None:
        message = f"there is no record {external_id} of {system}"
        raise UsageError(message)
    return system, external_id


def _clients_of(tx: Tx, names: Sequence[str], refs: Sequence[RecordKey | None]) -> list[str]:
    found: list[str] = []
    for name, ref in zip(names, refs, strict=True):
        link = tx.link(*ref) if ref is not None else None
        client = link.client if link is not None else tx.resolve_alias(name)
        if client is None:
            message = f"there is no client {name}"
            raise UsageError(message)
        found.append(client)
    return found


def _taken_in(tx: Tx, first: str, second: str) -> str | None:
    """Of two ids that lead to one client: the one whose merge is to be taken back to make them two again."""
    one, other = _ancestry(tx, first), _ancestry(tx, second)
    common = next((client for client in one if client in other), None)
    for line in (one, other):
        if common in line[1:]:
            return line[line.index(common) - 1]
    return None


def _brought_by(tx: Tx, client: str, records: Sequence[RecordKey | None]) -> str | None:
    """The loser of the merge that brought exactly one of two records to a client; None where no merge did."""
    for row in reversed(tx.merges(winner=client)):
        links = row.snapshot["links"].get(row.losers[0], ())
        brought = {(str(each["system"]), str(each["external_id"])) for each in links}
        if row.state is not MergeState.UNDONE and len([each for each in records if each in brought]) == 1:
            return row.losers[0]
    return None


def split(tx: Tx, record: RecordKey, *, actor: str, now: datetime) -> str:
    """Make a client of its own of a record that belongs to another one; the new client's id. UsageError where it is the only one.

    What golden holds stays with the client; the new one begins with what its record shows.
    """
    link = tx.link(*record)
    if link is None:
        message = f"there is no record {record[1]} of {record[0]}"
        raise UsageError(message)
    [bundle] = tx.bundles([link.client])
    if sum(each.state is LinkState.LINKED for each, _ in bundle.sides) < 2:  # noqa: PLR2004 - nobody would be left
        message = f"{record[0]} {record[1]} is the only record of {link.client}"
        raise UsageError(message)
    under_way = tx.writes([WriteState.SENDING, WriteState.IN_DOUBT], system=record[0], client=link.client)
    if under_way:
        error = UsageError(f"a write for {link.client} in {record[0]} is on its way or in doubt")
        error.next_step = "Try again after the next cycle (`syncd outbox`)."
        raise error
    client = tx.new_ids("c", 1)[0]
    waiting = tx.writes([WriteState.WAITING, WriteState.PARKED], system=record[0], client=link.client)
    if waiting:
        words = f"decided again after {record[0]} {record[1]} was split off"
        tx.put_writes([replace(each, state=WriteState.DROPPED, done_at=now, reason=words) for each in waiting])
    tx.put_clients([ClientRow(client, {}, now, now)])
    parted = replace(
        link, client=client, state=LinkState.LINKED, linked_at=now, matched_by=f"split off by {actor}", bases={}
    )
    tx.put_links([parted])
    trail.moved(tx, [parted], at=now, cycle=None, actor=actor)
    tx.mark_dirty([link.client])
    return client
