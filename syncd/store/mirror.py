"""The mirror: what the systems last said, and the keys by which records are found again.

Functions of an open transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    distinct,
    func,
    null,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from syncd.store import tables
from syncd.store.clients import mark_dirty_by_records
from syncd.store.columns import KEY_LIMIT_CHARACTERS, plain
from syncd.store.forms import Forms
from syncd.store.rows import LinkState, MatchKey, RecordKey, RecordRow, RecordState
from syncd.store.work import Work, names_of

_SAID: Final = tuple(column.name for column in tables.payloads.c)
_SEEN: Final = tuple(name for name in names_of(RecordRow) if name in tables.records.c)
_said, _seen = attrgetter(*_SAID), attrgetter(*_SEEN)

_STATES: Final = {state.value: state for state in RecordState}


class Digest(NamedTuple):
    """What has to be known of a record to tell whether it changed."""

    digest: str
    list_digest: str | None
    state: RecordState


class Sharer(NamedTuple):
    """A record that shows a match key which others show, too, the client it is linked to, and how many records show it."""

    kind: str
    value: str
    system: str
    external_id: str
    client: str | None
    records: int


class KeyHit(NamedTuple):
    """A record that shows a match key, and the client it is linked to."""

    kind: str
    value: str
    system: str
    external_id: str
    client: str | None


def records(work: Work, system: str, ids: Collection[str]) -> dict[str, RecordRow]:
    """The mirror of some records of one system, by external id; unknown ids are left out."""
    found = work.ask(_some_records, mirrored=system, ids=work.listed(ids))
    return {(row := RecordRow(*each)).external_id: row for each in found}


def _some_records(forms: Forms) -> Executable:
    return _said_by(*_some(forms))


def _some(forms: Forms) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """That a record is of the system `mirrored`, and one of `ids`."""
    record = tables.records.c
    return record.system == bindparam("mirrored"), forms.within(record.external_id, "ids")


def _said_by(*where: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Records with what they say, by system and external id."""
    statement = select(*tables.RECORD).select_from(tables.mirrored).where(*where)
    return statement.order_by(*tables.records.primary_key)


def _records(work: Work, *where: ColumnElement[bool]) -> list[RecordRow]:
    return [RecordRow(*row) for row in work.run(_said_by(*where))]


def mirror(
    work: Work, system: str | None = None, *, after: RecordKey = ("", ""), limit: int | None = None
) -> list[tuple[RecordRow, str | None]]:
    """Records with the client they are linked to, by system and external id, from behind `after`."""
    record, link = tables.records.c, tables.links.c
    joined = tables.mirrored.outerjoin(tables.links, _of_record())
    statement = select(*tables.RECORD, link.client).select_from(joined)
    if system is not None:
        statement = statement.where(record.system == system)
    if after != ("", ""):
        statement = statement.where(tuple_(record.system, record.external_id) > tuple_(*after))
    statement = statement.order_by(record.system, record.external_id).limit(limit)
    return [(RecordRow(*row[:-1]), row[-1]) for row in work.run(statement)]


def digests(work: Work, system: str, ids: Collection[str]) -> dict[str, Digest]:
    """External id -> (digest, list digest, state) of the known ones."""
    found = work.ask(_digests, mirrored=system, ids=work.listed(ids)).all()
    return {key: Digest(digest, listed, _STATES[state]) for key, digest, listed, state in found}


def _digests(forms: Forms) -> Executable:
    record = tables.records.c
    # A look-up for each record of a page, cheaper than what the column's type does.
    state = type_coerce(record.state, Text)
    return select(record.external_id, record.digest, record.list_digest, state).where(*_some(forms))


def put_records(work: Work, rows: Iterable[RecordRow], page: int | None = None) -> None:
    """Insert or replace records. ValueError, and none is put, where one cannot be stored (see `storable`).

    page: of the walk that showed them so; none for any other door, after which their page has to be read again.
    """
    seen, said = [], []
    for row in rows:
        seen.append(dict(zip(_SEEN, _seen(row), strict=True)) | {"page": page})
        said.append(dict(zip(_SAID, _said(row), strict=True)))
    work.upsert_all([(tables.records, seen), (tables.payloads, said)])


def touch_records(
    work: Work,
    system: str,
    ids: Collection[str],
    walk: str | None,
    at: datetime,
    page: int | None = None,
    *,
    believed: bool = True,
) -> list[str]:
    """Note that unchanged records were seen again, in a walk or (None) by another door.

    believed: they showed what is kept of them; where not, they are there, and `seen_at` stays behind `observed_at`. page: of the walk that
    showed them as they are kept; none leaves that as it was. Those that were missing are present again: their clients become dirty and
    their ids are returned.
    """
    chosen = {"mirrored": system, "ids": work.listed(ids)}
    returned = sorted(work.ask(_missing_among, **chosen).scalars())
    seen: dict[str, Any] = {"observed_at": at} | ({"seen_at": at} if believed else {})
    seen |= ({} if walk is None else {"walk": walk}) | ({} if page is None else {"page": page})
    work.ask(_noted(tuple(seen)), **chosen, **{f"new_{name}": value for name, value in seen.items()})
    if returned:
        work.ask(_there_again, mirrored=system, ids=work.listed(returned))
        mark_dirty_by_records(work, system, returned)
    return returned


def _missing_among(forms: Forms) -> Executable:
    record = tables.records.c
    return select(record.external_id).where(*_some(forms), record.state == RecordState.MISSING)


@cache
def _noted(names: tuple[str, ...]) -> Callable[[Forms], Executable]:
    """What makes the statement that sets some columns of some records, each to `new_` and its name."""

    def make(forms: Forms) -> Executable:
        new = {name: bindparam(f"new_{name}", type_=tables.records.c[name].type) for name in names}
        return update(tables.records).where(*_some(forms)).values(**new)

    return make


def _there_again(forms: Forms) -> Executable:
    there = {"state": RecordState.PRESENT, "missing_since": null(), "missing_cycle": null(), "gone_count": 0}
    return update(tables.records).where(*_some(forms)).values(**there)


def unseen(work: Work, system: str, walk: str) -> list[str]:
    """External ids of the records not known to be gone that the given walk did not show."""
    return list(work.ask(_not_shown, of=system, shown_in=walk).scalars())


def _not_shown(_forms: Forms) -> Executable:
    record = tables.records.c
    statement = select(record.external_id).where(
        record.system == bindparam("of"),
        record.state != RecordState.GONE,
        or_(record.walk.is_(None), record.walk != bindparam("shown_in")),
    )
    return statement.order_by(record.external_id)


def missing(work: Work, system: str) -> list[RecordRow]:
    """Missing records of a system that are still linked, by external id."""
    # Their ids first: they are few, and an index has them, where one statement would look at every record of the system.
    absent = work.ask(_absent, of=system).scalars().all()
    found = records(work, system, absent) if absent else {}
    return [found[external_id] for external_id in sorted(found)]


def _absent(_forms: Forms) -> Executable:
    record, link = tables.records.c, tables.links.c
    linked = select(link.external_id).where(_of_record(), link.state == LinkState.LINKED).exists()
    chosen = (record.system == bindparam("of"), record.state == RecordState.MISSING, linked)
    return select(record.external_id).where(*chosen)


def count_records(work: Work, system: str, state: RecordState = RecordState.PRESENT) -> int:
    """How many records of a system are in a state."""
    return int(work.ask(_in_state, of=system, state=state).scalar_one())


def _in_state(_forms: Forms) -> Executable:
    record = tables.records.c
    state = bindparam("state", type_=record.state.type)
    return (
        select(func.count()).select_from(tables.records).where(record.system == bindparam("of"), record.state == state)
    )


def recent(work: Work, system: str, cycle: int, since: datetime) -> list[RecordRow]:
    """Records of a system first seen after the cycle of a number, by external id.

    since: the time instead, for those of which the cycle was not noted.
    """
    return _records(work, tables.records.c.system == system, _is_recent(cycle, since))


def changed_since(work: Work, system: str, since: datetime) -> list[RecordRow]:
    """Records that a system has now and that were changed, or seen first, at a time or later, by external id."""
    record = tables.records.c
    return _records(work, record.system == system, record.state == RecordState.PRESENT, record.changed_at >= since)


def count_recent(work: Work, system: str, cycle: int, since: datetime) -> int:
    """How many records that a system has now were first seen after a cycle (see `recent`)."""
    record = tables.records.c
    chosen = and_(record.system == system, record.state == RecordState.PRESENT, _is_recent(cycle, since))
    return int(work.run(select(func.count()).select_from(tables.records).where(chosen)).scalar_one())


def _is_recent(cycle: int, since: datetime) -> ColumnElement[bool]:
    record = tables.records.c
    return or_(record.first_seen_in > cycle, and_(record.first_seen_in.is_(None), record.first_seen_at > since))


def _of_record() -> ColumnElement[bool]:
    """That a link is that of a record."""
    record, link = tables.records.c, tables.links.c
    return and_(record.system == link.system, record.external_id == link.external_id)


def unlinked(work: Work, limit: int | None = None, after: RecordKey = ("", "")) -> list[RecordKey]:
    """Records that are present and belong to no client, by system and external id, from behind `after`."""
    record = tables.records.c
    linked = select(tables.links.c.external_id).where(_of_record()).exists()
    statement = select(record.system, record.external_id).where(record.state == RecordState.PRESENT, ~linked)
    if after != ("", ""):
        statement = statement.where(tuple_(record.system, record.external_id) > tuple_(*after))
    statement = statement.order_by(record.system, record.external_id).limit(limit)
    return [(system, external_id) for system, external_id in work.run(statement)]


def set_keys(work: Work, system: str, keys: Mapping[str, Collection[MatchKey]]) -> None:
    """Replace the match keys of some records: external id -> keys. Keys too long to be indexed are left out."""
    work.ask(_without_keys, of=system, ids=work.listed(keys))
    values = [
        {"system": system, "external_id": external_id, "kind": kind, "value": value}
        for external_id, wanted in keys.items()
        for kind, value in sorted(_indexable(wanted))
    ]
    work.upsert_values(tables.match_keys, values)


def _without_keys(forms: Forms) -> Executable:
    key = tables.match_keys.c
    return delete(tables.match_keys).where(key.system == bindparam("of"), forms.within(key.external_id, "ids"))


def by_keys(work: Work, keys: Collection[MatchKey], limit_per_key: int) -> list[KeyHit]:
    """The records that show any of the keys, at most so many per key, with the client of each."""
    record, link = tables.match_keys.c, tables.links.c
    rank = func.row_number().over(
        partition_by=(record.kind, record.value), order_by=(record.system, record.external_id)
    )
    wanted = work.pairs(_indexable(keys))
    hits = (
        select(record.kind, record.value, record.system, record.external_id, rank.label("rank"))
        .select_from(tables.match_keys.join(wanted, and_(record.kind == wanted.c.a, record.value == wanted.c.b)))
        .subquery("hits")
    )
    same: ColumnElement[bool] = and_(hits.c.system == link.system, hits.c.external_id == link.external_id)
    statement = (
        select(hits.c.kind, hits.c.value, hits.c.system, hits.c.external_id, link.client)
        .select_from(hits.outerjoin(tables.links, same))
        .where(hits.c.rank <= limit_per_key)
        .order_by(hits.c.kind, hits.c.value, hits.c.system, hits.c.external_id)
    )
    return [KeyHit(*row) for row in work.run(statement)]


def sharers(work: Work, keys: Collection[MatchKey], limit_per_key: int) -> list[Sharer]:
    """The records that show a key which another one shows, too, with the client of each and how many show it.

    A key that more than so many records show gives a single row, of which only the number counts: who they are tells nothing.
    """
    record, link = tables.match_keys.c, tables.links.c
    wanted = work.pairs(_indexable(keys))
    shown = tables.match_keys.join(wanted, and_(record.kind == wanted.c.a, record.value == wanted.c.b))
    first, records = func.min(record.external_id), func.count()
    counted = select(record.kind, record.value, func.min(record.system), first, records).select_from(shown)
    counted = counted.group_by(record.kind, record.value).having(records > 1)
    few: dict[MatchKey, int] = {}
    found: list[Sharer] = []
    for kind, value, system, external_id, number in work.run(counted):
        if number > limit_per_key:
            found.append(Sharer(kind, value, system, external_id, None, number))
        else:
            few[(kind, value)] = number
    if not few:
        return found
    wanted = work.pairs(few)
    shown = tables.match_keys.join(wanted, and_(record.kind == wanted.c.a, record.value == wanted.c.b))
    same: ColumnElement[bool] = and_(record.system == link.system, record.external_id == link.external_id)
    statement = select(record.kind, record.value, record.system, record.external_id, link.client)
    statement = statement.select_from(shown.outerjoin(tables.links, same)).order_by(*tables.match_keys.primary_key)
    rows = work.run(statement)
    found += [
        Sharer(kind, value, system, external_id, client, few[(kind, value)])
        for kind, value, system, external_id, client in rows
    ]
    return found


def key_counts(work: Work, keys: Collection[MatchKey]) -> dict[MatchKey, int]:
    """Key -> at least how many clients show it; a key that no record shows is left out.

    That is the larger of the number of clients that linked records belong to, and of the records of one system: records of
    several systems that belong to nobody yet may well be one client.
    """
    record, link = tables.match_keys.c, tables.links.c
    wanted = work.pairs(_indexable(keys))
    shown = tables.match_keys.join(wanted, and_(record.kind == wanted.c.a, record.value == wanted.c.b))
    linked = shown.join(tables.links, and_(record.system == link.system, record.external_id == link.external_id))
    clients = select(record.kind, record.value, func.count(distinct(link.client))).select_from(linked)
    systems = select(record.kind, record.value, record.system, func.count()).select_from(shown)
    counts: dict[MatchKey, int] = {}
    for kind, value, count in work.run(clients.group_by(record.kind, record.value)):
        counts[(kind, value)] = count
    for kind, value, _, count in work.run(systems.group_by(record.kind, record.value, record.system)):
        counts[(kind, value)] = max(counts.get((kind, value), 0), count)
    return counts


def _indexable(keys: Collection[MatchKey]) -> set[MatchKey]:
    """Keys as they are stored, without those that are too long to prove anything."""
    return {(plain(kind), plain(value)) for kind, value in keys if len(value) <= KEY_LIMIT_CHARACTERS}
