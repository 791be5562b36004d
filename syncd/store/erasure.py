"""Erasure: taking a person out of the tables, and remembering by keyed digests alone whom not to take in again.

Functions of an open transaction. `Store.scrub` then takes what was deleted out of the database's files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Text, delete, or_, select, type_coerce, update

from syncd.store import tables
from syncd.store.rows import AuditRow, ClientState, HoldKind, HoldRow, RecordKey
from syncd.store.work import Work

ERASED: Final = {"erased": True}
"""What is left of the payload of an audit line about an erased client."""


def add_suppressed(work: Work, digests: Iterable[str]) -> None:
    """Remember keyed digests of erased identifiers."""
    at = work.now()
    work.upsert_values(tables.suppressed, [{"digest": digest, "at": at} for digest in sorted(set(digests))])


def suppressed(work: Work, digests: Collection[str]) -> set[str]:
    """Which of the digests stand for something erased."""
    column = tables.suppressed.c.digest
    return set(work.run(select(column).where(work.among(column, digests))).scalars())


def erase(work: Work, clients: Collection[str]) -> list[RecordKey]:
    """Take everything a person could be known by out of the tables; returns the records that were linked.

    The clients stay as empty tombstones, their audit lines without payload; mirror, links, changes, conflicts, writes,
    holds and merges that name them are deleted. Where a hold or a line of the audit trail names others too, only these
    clients and their records are taken out of it. `Store.scrub` then takes it all out of the files.
    """
    link = tables.links
    mine = select(link.c.system, link.c.external_id).where(work.among(link.c.client, clients))
    erased = [(system, external_id) for system, external_id in work.run(mine)]
    if erased:
        for table in (tables.records, tables.payloads, tables.match_keys, link):
            wanted = work.pairs(erased)
            chosen = select(wanted.c.a).where(wanted.c.a == table.c.system, wanted.c.b == table.c.external_id)
            work.run(delete(table).where(chosen.exists()))
        lists = work.among(tables.pages.c.system, {system for system, _ in erased})
        work.run(delete(tables.pages).where(lists))
        _forget_apart(work, erased)
    for table in (tables.changes, tables.conflicts, tables.writes, tables.standings):
        work.run(delete(table).where(work.among(table.c.client, clients)))
    for name in clients:
        quoted = f'"{name}"'
        named = or_(tables.merges.c.winner == name, _names(tables.merges.c.losers, quoted))
        work.run(delete(tables.merges).where(named))
    _clear_holds(work, frozenset(clients), frozenset(erased))
    work.run(update(tables.audit).where(work.among(tables.audit.c.client, clients)).values(payload=ERASED))
    _clear_audit(work, frozenset(clients), frozenset(erased))
    empty = dict.fromkeys(tables.FIELD_TYPES) | {"custom": {}, "known": [], "origins": {}}
    state = {"state": ClientState.DELETED, "dirty": False, "updated_at": work.now(), "merged_into": None}
    work.run(update(tables.clients).where(work.among(tables.clients.c.client, clients)).values(**empty, **state))
    return erased


def _forget_apart(work: Work, erased: Collection[RecordKey]) -> None:
    """A record that is not taken in again needs to be kept apart from nobody."""
    column = tables.aparts.c
    for system, external_id in ((column.system_a, column.external_id_a), (column.system_b, column.external_id_b)):
        wanted = work.pairs(erased)
        chosen = select(wanted.c.a).where(wanted.c.a == system, wanted.c.b == external_id)
        work.run(delete(tables.aparts).where(chosen.exists()))


def _clear_holds(work: Work, clients: frozenset[str], erased: frozenset[RecordKey]) -> None:
    """Take the clients out of every hold that names them; one that is about them, or about nobody else, goes whole."""
    for name in sorted(clients):
        for hold in work.rows(HoldRow, tables.holds, _names(tables.holds.c["items"], f'"{name}"')):
            rest = without(hold.items, clients, erased)
            pair = hold.kind in (HoldKind.LINK, HoldKind.MERGE)
            if hold.kind is HoldKind.FIRST_RUN or (rest and not pair):
                change = update(tables.holds).where(tables.holds.c.hold == hold.hold).values(items=rest)
                work.run(change)
            else:
                work.run(delete(tables.holds).where(tables.holds.c.hold == hold.hold))


def _clear_audit(work: Work, clients: frozenset[str], erased: frozenset[RecordKey]) -> None:
    """Lines about others, or about nobody in particular, that name the clients or their records among others."""
    names = sorted({*clients, *(external_id for _, external_id in erased)})
    payload = tables.audit.c.payload
    for start in range(0, len(names), 50):
        some = or_(*(_names(payload, f'"{name}"') for name in names[start : start + 50]))
        for row in work.rows(AuditRow, tables.audit, some):
            rest = without(row.payload, clients, erased)
            if rest != row.payload:
                work.run(update(tables.audit).where(tables.audit.c.seq == row.seq).values(payload=rest))


def without(document: Any, clients: frozenset[str], records: frozenset[RecordKey]) -> Any:
    """A JSON document without the list items that are about these clients or records.

    Such an item is an object with `client`, or with `system` and `external_id`; or a list that begins with system and id; or,
    in a list of names, a client's id itself.
    """
    match document:
        case dict():
            return {key: without(value, clients, records) for key, value in document.items()}
        case list():
            return [without(item, clients, records) for item in document if not _is_about(item, clients, records)]
        case _:
            return document


def _is_about(item: Any, clients: frozenset[str], records: frozenset[RecordKey]) -> bool:
    match item:
        case {"client": str(client)} if client in clients:
            return True
        case {"system": str(system), "external_id": str(external_id)}:
            return (system, external_id) in records
        case [str(system), str(external_id), *_]:
            return (system, external_id) in records
        case str():
            return item in clients
        case _:
            return False


def _names(column: Column[Any], quoted: str) -> ColumnElement[bool]:
    """Whether a JSON document has a text in it, given with its quotes."""
    return type_coerce(column, Text).contains(quoted, autoescape=True)
