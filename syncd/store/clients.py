"""Golden records, their links, standings and merges, and the pairs to be kept apart.

Functions of an open transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Executable, RowMapping, and_, bindparam, delete, func, or_, select, text, tuple_, update

from syncd.core.model import CUSTOM_PREFIX, Value
from syncd.store import tables
from syncd.store.columns import plain
from syncd.store.forms import Forms
from syncd.store.rows import (
    Bundle,
    ClientRow,
    ClientState,
    LinkRow,
    LinkState,
    MergeRow,
    MergeState,
    RecordKey,
    RecordRow,
    Standing,
    StandingState,
)
from syncd.store.work import Work, names_of, number_of

ALIAS_LIMIT_STEPS: Final = 100
"""Longest chain of merges that is followed; a longer one is a circle."""

_PAIRS_MAX: Final = 200
"""Pairs of records named in one statement."""


def client(work: Work, identifier: str) -> ClientRow | None:
    """One client by id, whatever its state."""
    return next(iter(_clients_by_id(work, [identifier]).values()), None)


def clients(
    work: Work, state: ClientState | None = None, *, after: str = "", limit: int | None = None, text: str = ""
) -> list[ClientRow]:
    """Clients of one state or of all, in the order of their numbers, from behind the id `after`.

    text: only those whose id it is, or whose name, e-mail address, town, VAT or registration number has it in it.
    """
    column = tables.clients.c
    statement = select(tables.clients).order_by(column.number).limit(limit)
    if text:
        shown = (column.name, column.email, column.city, column.vat_number, column.registration_number)
        named = (each.icontains(plain(text), autoescape=True) for each in shown)
        statement = statement.where(or_(column.client == plain(text), *named))
    if state is not None:
        statement = statement.where(column.state == state)
    if after:
        statement = statement.where(column.number > number_of(after))
    return [_client_row(found) for found in work.run(statement).mappings()]


def count_clients(work: Work, state: ClientState | None = None) -> int:
    """How many clients are in a state; without one, all that are neither merged nor deleted."""
    column = tables.clients.c
    alive = [ClientState.ACTIVE, ClientState.ARCHIVED] if state is None else [state]
    counted = select(func.count()).select_from(tables.clients).where(column.state.in_(alive))
    return int(work.run(counted).scalar_one())


def put_clients(work: Work, rows: Iterable[ClientRow]) -> None:
    """Insert or replace clients. ValueError where a field is not canonical or its value not of its type."""
    work.upsert_values(tables.clients, [_client_values(row) for row in rows])


def dirty(work: Work, limit: int, after: str = "") -> list[str]:
    """Ids of clients to be reconciled, in the order of their numbers, from behind the id `after`."""
    column = tables.clients.c
    # Spelt as in the index, which holds the few that are due: SQLite does not see that `dirty = 1` is the same.
    statement = select(column.client).where(text("clients.dirty")).order_by(column.number).limit(limit)
    if after:
        statement = statement.where(column.number > number_of(after))
    return list(work.run(statement).scalars())


def mark_dirty(work: Work, ids: Collection[str]) -> None:
    """Have some clients reconciled again; unknown ids are passed over."""
    work.ask(_dirtied, ids=work.listed(ids))


def _dirtied(forms: Forms) -> Executable:
    column = tables.clients.c
    return update(tables.clients).where(forms.within(column.client, "ids"), ~column.dirty).values(dirty=True)


def mark_dirty_by_records(work: Work, system: str, ids: Collection[str]) -> None:
    """Have the clients of some records reconciled again; records without a client are passed over."""
    work.ask(_dirtied_by_records, of=system, ids=work.listed(ids))


def _dirtied_by_records(forms: Forms) -> Executable:
    link, column = tables.links.c, tables.clients.c
    owners = select(link.client).where(link.system == bindparam("of"), forms.within(link.external_id, "ids"))
    return update(tables.clients).where(column.client.in_(owners), ~column.dirty).values(dirty=True)


def mark_dirty_by_standing(work: Work, system: str, state: StandingState) -> None:
    """Have every client with this standing in a system reconciled again."""
    work.ask(_dirtied_by_standing, of=system, standing=state)


def _dirtied_by_standing(_forms: Forms) -> Executable:
    standing, column = tables.standings.c, tables.clients.c
    state = bindparam("standing", type_=standing.state.type)
    chosen = select(standing.client).where(standing.system == bindparam("of"), standing.state == state)
    return update(tables.clients).where(column.client.in_(chosen), ~column.dirty).values(dirty=True)


def mark_all_dirty(work: Work) -> None:
    """Have every client that is not an alias reconciled again."""
    column = tables.clients.c
    work.run(update(tables.clients).where(column.state != ClientState.MERGED, ~column.dirty).values(dirty=True))


def resolve_alias(work: Work, identifier: str) -> str | None:
    """The id of the client that survives: the given one, or what it was merged into. None for an unknown id."""
    current = identifier
    for _ in range(ALIAS_LIMIT_STEPS):
        found = work.ask(_alias, named=current).first()
        if found is None:
            return None
        if found[0] is None:
            return current
        current = found[0]
    message = f"the aliases of client {identifier} form a circle"
    raise ValueError(message)


def _alias(_forms: Forms) -> Executable:
    column = tables.clients.c
    return select(column.merged_into).where(column.client == bindparam("named"))


def aliases(work: Work, identifier: str) -> list[str]:
    """Ids of the clients that were merged into this one, directly."""
    column = tables.clients.c
    return list(
        work.run(select(column.client).where(column.merged_into == identifier).order_by(column.number)).scalars()
    )


def bundles(work: Work, ids: Collection[str]) -> list[Bundle]:
    """Clients with all their sides, in the order of the ids; unknown ids are left out."""
    found = _clients_by_id(work, ids)
    width = len(names_of(LinkRow))
    sides: dict[str, list[tuple[LinkRow, RecordRow | None]]] = {}
    for row in work.ask(_sides, ids=work.listed(ids)):
        held, shown = LinkRow(*row[:width]), row[width:]
        sides.setdefault(held.client, []).append((held, None if shown[0] is None else RecordRow(*shown)))
    order = dict.fromkeys(ids)
    return [Bundle(found[name], tuple(sides.get(name, ()))) for name in order if name in found]


def _sides(forms: Forms) -> Executable:
    record, link, said = tables.records.c, tables.links.c, tables.payloads.c
    # One join after the other: SQLite would put the two tables of `mirrored` together in full, for every look at one client.
    joined = tables.links.outerjoin(
        tables.records, and_(record.system == link.system, record.external_id == link.external_id)
    ).outerjoin(tables.payloads, and_(said.system == link.system, said.external_id == link.external_id))
    return (
        select(*(link[name] for name in names_of(LinkRow)), *tables.RECORD)
        .select_from(joined)
        .where(forms.within(link.client, "ids"))
        .order_by(link.system, link.external_id)
    )


def put_links(work: Work, rows: Iterable[LinkRow]) -> None:
    """Insert or replace links."""
    work.upsert(tables.links, rows)


def link(work: Work, system: str, external_id: str) -> LinkRow | None:
    """The link of one record."""
    found = work.ask(_link, of=system, record=external_id).first()
    return None if found is None else LinkRow(*found)


def _link(_forms: Forms) -> Executable:
    column = tables.links.c
    chosen = (column.system == bindparam("of"), column.external_id == bindparam("record"))
    return select(*(column[name] for name in names_of(LinkRow))).where(*chosen)


def owners(work: Work, system: str, ids: Collection[str]) -> dict[str, str]:
    """Record -> its client, for some records of one system; records without a client are left out."""
    column = tables.links.c
    found = select(column.external_id, column.client).where(
        column.system == system, work.among(column.external_id, ids)
    )
    return {row[0]: row[1] for row in work.run(found)}


def links_of(work: Work, ids: Collection[str]) -> dict[str, list[LinkRow]]:
    """Client -> its links by system and external id; clients without one are left out."""
    grouped: dict[str, list[LinkRow]] = {}
    for row in work.rows(LinkRow, tables.links, work.among(tables.links.c.client, ids)):
        grouped.setdefault(row.client, []).append(row)
    return grouped


def known_only_in(work: Work, system: str) -> list[str]:
    """The clients all of whose linked records are in one system."""
    link = tables.links.c
    places = select(link.client).where(link.state == LinkState.LINKED).group_by(link.client)
    alone = places.having(func.min(link.system) == system, func.max(link.system) == system)
    return list(work.run(alone.order_by(link.client)).scalars())


def forget_records(work: Work, system: str, ids: Collection[str]) -> None:
    """Forget records with their links and keys, as if they had never been seen; their clients are reconciled again."""
    mark_dirty_by_records(work, system, ids)
    for table in (tables.match_keys, tables.links, tables.records, tables.payloads):
        work.run(delete(table).where(table.c.system == system, work.among(table.c.external_id, ids)))


def links_since(work: Work, since: datetime) -> list[LinkRow]:
    """Links made at or after a time, by system and external id."""
    return work.rows(LinkRow, tables.links, tables.links.c.linked_at >= since)


def move_links(work: Work, source: str, target: str) -> int:
    """Give all links of one client to another; returns how many."""
    moved = work.run(update(tables.links).where(tables.links.c.client == source).values(client=target))
    return moved.rowcount


def put_standings(work: Work, rows: Iterable[Standing]) -> None:
    """Insert or replace where clients stand in systems."""
    work.upsert(tables.standings, rows)


def standings(work: Work, identifier: str | None = None) -> list[Standing]:
    """Where one client or all stand, by client and system."""
    where = [] if identifier is None else [tables.standings.c.client == identifier]
    return work.rows(Standing, tables.standings, *where)


def standings_in(work: Work, system: str, ids: Collection[str]) -> dict[str, Standing]:
    """Client -> where it stands in one system, for some clients."""
    column = tables.standings.c
    where = (column.system == system, work.among(column.client, ids))
    return {row.client: row for row in work.rows(Standing, tables.standings, *where)}


def counts(work: Work) -> dict[str, dict[str, int]]:
    """System -> how many clients stand in each of the five states, and `drift`."""
    column = tables.standings.c
    statement = select(column.system, column.state, column.drift, func.count())
    counted: dict[str, dict[str, int]] = {}
    for system, state, drift, count in work.run(statement.group_by(column.system, column.state, column.drift)):
        row = counted.setdefault(system, dict.fromkeys([*(name.value for name in StandingState), "drift"], 0))
        row[state.value] += count
        row["drift"] += count if drift else 0
    return counted


def drop_standings(work: Work, identifier: str) -> None:
    """Forget where a client stands (it is no client any more)."""
    work.run(tables.standings.delete().where(tables.standings.c.client == identifier))


def add_apart(work: Work, pairs: Iterable[tuple[RecordKey, RecordKey]]) -> None:
    """Remember for ever that records are not one client."""
    names = ("system_a", "external_id_a", "system_b", "external_id_b")
    ordered = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}
    work.upsert_values(
        tables.aparts, [dict(zip(names, (*first, *second), strict=True)) for first, second in sorted(ordered)]
    )


def remove_apart(work: Work, pairs: Iterable[tuple[RecordKey, RecordKey]]) -> None:
    """Forget that records are to be kept apart; pairs may be given either way round, and unknown ones are passed over."""
    column = tables.aparts.c
    ordered = [(*min(pair), *max(pair)) for pair in pairs]
    found = tuple_(column.system_a, column.external_id_a, column.system_b, column.external_id_b)
    for start in range(0, len(ordered), _PAIRS_MAX):
        work.run(delete(tables.aparts).where(found.in_(ordered[start : start + _PAIRS_MAX])))


def aparts(work: Work, records: Collection[RecordKey]) -> set[tuple[RecordKey, RecordKey]]:
    """The pairs to be kept apart with at least one of the given records; the smaller record comes first."""
    column = tables.aparts.c
    wanted = work.pairs(records)
    listed = select(wanted.c.a, wanted.c.b)
    statement = select(column.system_a, column.external_id_a, column.system_b, column.external_id_b).where(
        or_(
            tuple_(column.system_a, column.external_id_a).in_(listed),
            tuple_(column.system_b, column.external_id_b).in_(listed),
        )
    )
    return {((row[0], row[1]), (row[2], row[3])) for row in work.run(statement)}


def put_merge(work: Work, row: MergeRow) -> None:
    """Insert or replace a merge."""
    work.upsert(tables.merges, [row])


def merge(work: Work, identifier: str) -> MergeRow | None:
    """One merge by id."""
    return work.row(MergeRow, tables.merges, tables.merges.c.merge == identifier)


def merges(
    work: Work,
    state: MergeState | None = None,
    *,
    winner: str | None = None,
    winners: Collection[str] | None = None,
) -> list[MergeRow]:
    """Merges, oldest first. winner, winners: only those into this client, into any of these."""
    column = tables.merges.c
    where = [known == value for known, value in ((column.state, state), (column.winner, winner)) if value is not None]
    if winners is not None:
        where.append(work.among(column.winner, winners))
    return work.rows(MergeRow, tables.merges, *where, order=[column.number])


def _clients_by_id(work: Work, ids: Collection[str]) -> dict[str, ClientRow]:
    found = work.ask(_some_clients, ids=work.listed(ids)).mappings()
    return {each["client"]: _client_row(each) for each in found}


def _some_clients(forms: Forms) -> Executable:
    return select(tables.clients).where(forms.within(tables.clients.c.client, "ids"))


def _client_values(row: ClientRow) -> dict[str, Any]:
    """A client as columns: each canonical field in its own, with the list of those that are known."""
    known = [name for name in tables.FIELD_TYPES if name in row.fields]
    custom = {name: value for name, value in row.fields.items() if name.startswith(CUSTOM_PREFIX)}
    strange = row.fields.keys() - tables.FIELD_TYPES.keys() - custom.keys()
    if strange:
        message = f"client {row.client} has fields that are not canonical: {', '.join(sorted(strange))}"
        raise ValueError(message)
    values: dict[str, Any] = {name: _checked(row, name, row.fields.get(name)) for name in tables.FIELD_TYPES}
    return values | {
        "client": row.client,
        "number": number_of(row.client),
        "state": row.state,
        "merged_into": row.merged_into,
        "custom": custom,
        "known": known,
        "origins": row.origins,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "dirty": row.dirty,
    }


def _checked(row: ClientRow, name: str, value: Value) -> Value:
    """The value, if its column can hold it: SQLite would take anything."""
    wanted = tables.FIELD_TYPES[name]
    if value is None or type(value) is wanted:
        return value
    message = f"field {name} of client {row.client} is no {wanted.__name__}"
    raise ValueError(message)


def _client_row(found: RowMapping) -> ClientRow:
    fields: dict[str, Value] = {name: found[name] for name in found["known"]}
    return ClientRow(
        client=found["client"],
        fields=fields | found["custom"],
        created_at=found["created_at"],
        updated_at=found["updated_at"],
        state=found["state"],
        merged_into=found["merged_into"],
        dirty=found["dirty"],
        origins=found["origins"],
    )
