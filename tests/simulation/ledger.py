"""A store that keeps its tables in dictionaries: the same verbs as `syncd.store`, a hundred times as fast.

It exists so that a seed of the simulation takes a tenth of a second. That it behaves as the real one does is not
assumed: `test_stores.py` runs the same seeds on both and compares every event.

A `Disk` outlives the process that uses it. A transaction works on copies of the tables that it changes and puts them
back as a whole when it ends, so a crash inside of it leaves nothing behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec

from syncd.core import model
from syncd.core.model import Action
from syncd.errors import Fenced, StoreBusy, StoreError
from syncd.store import (
    OPEN_WRITES,
    AuditRow,
    Bundle,
    ChangeRow,
    ClientRow,
    ClientState,
    ConflictRow,
    ConflictStatus,
    CycleRow,
    Digest,
    HoldKind,
    HoldRow,
    HoldState,
    KeyHit,
    LinkRow,
    LinkState,
    MergeRow,
    MergeState,
    PageRow,
    RecordRow,
    RecordState,
    Sharer,
    Standing,
    StandingState,
    SystemRow,
    WalkOutcome,
    WalkRow,
    WriteRow,
    WriteState,
    rows,
)

Table = dict[Any, Any]

_URGENCY = (WriteState.PARKED, WriteState.WAITING, WriteState.IN_DOUBT, WriteState.SENDING)


def number_of(identifier: str) -> int:
    """The number in an id: 7 for "w7"."""
    return int(identifier[1:])


@cache
def _enums(kind: type[Any]) -> tuple[tuple[str, type[StrEnum]], ...]:
    known = {**vars(rows), **vars(model)}
    return tuple(
        (each.name, found)
        for each in fields(kind)
        if isinstance(found := known.get(str(each.type)), type) and issubclass(found, StrEnum)
    )


@cache
def _documents(kind: type[Any]) -> tuple[str, ...]:
    documents = {
        RecordRow: ("raw", "children", "fields", "memory"),
        WriteRow: ("fields", "before", "error"),
        HoldRow: ("items",),
        ConflictRow: ("candidates",),
        ClientRow: ("fields", "origins"),
        AuditRow: ("payload",),
        MergeRow: ("losers", "snapshot"),
        SystemRow: ("learned",),
    }
    return documents.get(kind, ())


_ENCODER = msgspec.json.Encoder(order="deterministic")


def _kept(row: Any) -> Any:
    """The row as a database would give it back: enumerations as such, documents as new objects."""
    changes: dict[str, Any] = {
        name: kind(value) for name, kind in _enums(type(row)) if type(value := getattr(row, name)) is not kind
    }
    for name in _documents(type(row)):
        changes[name] = msgspec.json.decode(_ENCODER.encode(getattr(row, name)))
    return replace(row, **changes) if changes else row


class Disk:
    """What survives a crash: committed tables, and who has the working right."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = defaultdict(dict)
        self.tables["meta"] = {"fence": "0"}
        self.locked = False


class LedgerStore:
    """The same promises as `syncd.store.Store`, on a `Disk`."""

    def __init__(self, disk: Disk, clock: Callable[[], datetime]) -> None:
        self.tenant = "rig"
        self._disk = disk
        self._clock = clock
        self._fence: str | None = None
        self._writing = False

    @contextmanager
    def reading(self) -> Iterator[LedgerTx]:
        """One state of the store."""
        yield LedgerTx(dict(self._disk.tables), self._clock)

    @contextmanager
    def writing(self, *, operator: bool = False, lasting: bool = True) -> Iterator[LedgerTx]:  # noqa: ARG002 - nothing here is lost
        """A transaction that ends as a whole or not at all."""
        if self._writing:
            message = "a writing transaction within a writing transaction would wait for itself"
            raise RuntimeError(message)
        if not operator and self._disk.tables["meta"]["fence"] != self._fence:
            message = "no working right"
            raise Fenced(message)
        self._writing = True
        try:
            tx = LedgerTx(dict(self._disk.tables), self._clock)
            yield tx
            self._disk.tables.update(tx.changed())
        finally:
            self._writing = False

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """The working right; it ends with the process."""
        if self._disk.locked:
            message = "another syncd works on tenant rig"
            raise StoreBusy(message)
        self._disk.locked = True
        fence = str(int(self._disk.tables["meta"]["fence"]) + 1)
        self._disk.tables["meta"] = {**self._disk.tables["meta"], "fence": fence}
        self._fence = fence
        try:
            yield
        finally:
            self._fence = None
            self._disk.locked = False

    def close(self) -> None:
        """Nothing is open."""


class LedgerTx:
    """The verbs of `syncd.store.Tx`; see there for what they promise."""

    def __init__(self, tables: dict[str, Table], now: Callable[[], datetime]) -> None:
        self._tables = tables
        self._own: set[str] = set()
        self.now = now

    def changed(self) -> dict[str, Table]:
        """The tables that this transaction has changed."""
        return {name: self._tables[name] for name in self._own}

    def _read(self, name: str) -> Table:
        return self._tables.get(name, {})

    def _write(self, name: str) -> Table:
        if name not in self._own:
            self._tables[name] = dict(self._tables.get(name, {}))
            self._own.add(name)
        return self._tables[name]

    def _put(self, name: str, key: Any, row: Any) -> None:
        self._write(name)[key] = _kept(row)

    def _numbered(self, name: str) -> list[Any]:
        table = self._read(name)
        return [table[key] for key in sorted(table, key=number_of)]

    # -- meta, systems, cycles, walks ------------------------------------------------------------------------------

    def get_meta(self, key: str) -> str | None:
        return self._read("meta").get(key)

    def set_meta(self, key: str, value: str) -> None:
        self._write("meta")[key] = value

    def new_ids(self, prefix: str, count: int) -> list[str]:
        if count <= 0:
            return []
        counters = self._write("counters")
        last = counters.get(prefix, 0) + count
        counters[prefix] = last
        return [f"{prefix}{number}" for number in range(last - count + 1, last + 1)]

    def systems(self) -> dict[str, SystemRow]:
        return dict(sorted(self._read("systems").items()))

    def put_system(self, row: SystemRow) -> None:
        self._put("systems", row.system, row)

    def put_cycle(self, row: CycleRow) -> None:
        self._put("cycles", row.cycle, row)

    def last_cycle(self) -> CycleRow | None:
        return next(iter(self.cycles(1)), None)

    def cycles(self, limit: int | None = None) -> list[CycleRow]:
        return self._numbered("cycles")[::-1][:limit]

    def cycle(self, identifier: str) -> CycleRow | None:
        return self._read("cycles").get(identifier)

    def put_walk(self, row: WalkRow) -> None:
        self._put("walks", row.walk, row)

    def last_walks(self) -> dict[str, WalkRow]:
        return {row.system: row for row in self._numbered("walks") if row.outcome != WalkOutcome.RUNNING}

    def walks(self, system: str | None = None, limit: int | None = None) -> list[WalkRow]:
        return [row for row in self._numbered("walks")[::-1] if system in (None, row.system)][:limit]

    def walk_in(self, cycle: str, system: str) -> WalkRow | None:
        return next((row for row in self.walks(system) if row.cycle == cycle), None)

    # -- mirror ----------------------------------------------------------------------------------------------------

    def _records(self, system: str) -> list[RecordRow]:
        table = self._read("records")
        return [table[key] for key in sorted(table) if key[0] == system]

    def records(self, system: str, ids: Collection[str]) -> dict[str, RecordRow]:
        table = self._read("records")
        return {each: table[(system, each)] for each in sorted(set(ids)) if (system, each) in table}

    def digests(self, system: str, ids: Collection[str]) -> dict[str, Digest]:
        found = self.records(system, ids)
        return {each: Digest(row.digest, row.list_digest, row.state) for each, row in found.items()}

    def put_records(self, rows: Iterable[RecordRow], page: int | None = None) -> None:
        pages = self._write("pages of records")
        for row in rows:
            self._put("records", (row.system, row.external_id), row)
            pages[(row.system, row.external_id)] = page

    def page_digests(self, system: str) -> dict[int, str]:
        return {number: row.digest for (name, number), row in self._read("pages").items() if name == system}

    def put_page(self, row: PageRow) -> None:
        self._put("pages", (row.system, row.page), row)

    def forget_page(self, system: str, number: int) -> None:
        self._write("pages").pop((system, number), None)

    def kept_page(self, system: str, number: int, digest: str) -> PageRow | None:
        page = self._read("pages").get((system, number))
        if page is None or page.digest != digest:
            return None
        return page if len(self._as_shown(system, number, page.ids)) == len(page.ids) else None

    def recall_page(self, system: str, number: int, digest: str, walk: str, at: datetime) -> PageRow | None:
        page = self._read("pages").get((system, number))
        if page is None or page.digest != digest:
            return None
        return page if self.touch_shown(system, number, page.ids, walk, at) == len(page.ids) else None

    def touch_shown(self, system: str, number: int, ids: Collection[str], walk: str, at: datetime) -> int:
        still = self._as_shown(system, number, ids)
        self.touch_records(system, still, walk, at)
        return len(still)

    def sliced_page(self, system: str, number: int) -> tuple[PageRow, set[str]] | None:
        page = self._read("pages").get((system, number))
        if page is None or page.slices is None:
            return None
        return page, set(self._as_shown(system, number, page.ids))

    def _as_shown(self, system: str, number: int, ids: Collection[str]) -> list[str]:
        of = self._read("pages of records")
        return [
            row.external_id
            for row in self.records(system, ids).values()
            if row.state == RecordState.PRESENT and of.get((system, row.external_id)) == number
        ]

    def touch_records(
        self,
        system: str,
        ids: Collection[str],
        walk: str | None,
        at: datetime,
        page: int | None = None,
        *,
        believed: bool = True,
    ) -> list[str]:
        table = self._write("records")
        if page is not None:
            self._write("pages of records").update({(system, each): page for each in ids})
        returned: list[str] = []
        for external_id, row in self.records(system, ids).items():
            changes: dict[str, Any] = {"observed_at": at} | ({} if walk is None else {"walk": walk})
            changes |= {"seen_at": at} if believed else {}
            if row.state == RecordState.MISSING:
                there = {"state": RecordState.PRESENT, "missing_since": None, "missing_cycle": None, "gone_count": 0}
                changes |= there
                returned.append(external_id)
            table[(system, external_id)] = replace(row, **changes)
        self.mark_dirty_by_records(system, returned)
        return returned

    def unseen(self, system: str, walk: str) -> list[str]:
        rows = self._records(system)
        return [row.external_id for row in rows if row.state != RecordState.GONE and row.walk != walk]

    def missing(self, system: str) -> list[RecordRow]:
        links = self._read("links")
        return [
            row
            for row in self._records(system)
            if row.state == RecordState.MISSING
            and (link := links.get((system, row.external_id))) is not None
            and link.state == LinkState.LINKED
        ]

    def count_records(self, system: str, state: RecordState = RecordState.PRESENT) -> int:
        return sum(row.state == state for row in self._records(system))

    def recent(self, system: str, cycle: int, since: datetime) -> list[RecordRow]:
        return [
            row
            for row in self._records(system)
            if (row.first_seen_at > since if row.first_seen_in is None else row.first_seen_in > cycle)
        ]

    def changed_since(self, system: str, since: datetime) -> list[RecordRow]:
        return [row for row in self._records(system) if row.state == RecordState.PRESENT and row.changed_at >= since]

    def count_recent(self, system: str, cycle: int, since: datetime) -> int:
        return sum(row.state == RecordState.PRESENT for row in self.recent(system, cycle, since))

    def mirror(
        self, system: str | None = None, *, after: tuple[str, str] = ("", ""), limit: int | None = None
    ) -> list[tuple[RecordRow, str | None]]:
        table, links = self._read("records"), self._read("links")
        wanted = [key for key in sorted(table) if key > after and system in (None, key[0])][:limit]
        return [(table[key], links[key].client if key in links else None) for key in wanted]

    def unlinked(self, limit: int | None = None, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        table, links = self._read("records"), self._read("links")
        free = [
            key for key in sorted(table) if key > after and table[key].state == RecordState.PRESENT and key not in links
        ]
        return free[:limit]

    def set_keys(self, system: str, keys: Mapping[str, Collection[tuple[str, str]]]) -> None:
        table = self._write("keys")
        for external_id, wanted in keys.items():
            table[(system, external_id)] = frozenset(wanted)

    def by_keys(self, keys: Collection[tuple[str, str]], limit_per_key: int) -> list[KeyHit]:
        table, links = self._read("keys"), self._read("links")
        hits: list[KeyHit] = []
        for key in sorted(set(keys)):
            refs = [ref for ref in sorted(table) if key in table[ref]][:limit_per_key]
            hits.extend(KeyHit(*key, *ref, links[ref].client if ref in links else None) for ref in refs)
        return hits

    def sharers(self, keys: Collection[tuple[str, str]], limit_per_key: int) -> list[Sharer]:
        found: list[Sharer] = []
        for key in sorted(set(keys)):
            hits = self.by_keys([key], 1_000_000)
            if len(hits) > 1:
                found.extend(Sharer(*hit, len(hits)) for hit in (hits if len(hits) <= limit_per_key else hits[:1]))
        return found

    def key_counts(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
        table, links = self._read("keys"), self._read("links")
        counted: dict[tuple[str, str], int] = {}
        for key in set(keys):
            owners = {links[ref].client if ref in links else ref for ref, mine in table.items() if key in mine}
            if owners:
                counted[key] = len(owners)
        return counted

    # -- clients, links --------------------------------------------------------------------------------------------

    def client(self, identifier: str) -> ClientRow | None:
        return self._read("clients").get(identifier)

    def clients(
        self, state: ClientState | None = None, *, after: str = "", limit: int | None = None
    ) -> list[ClientRow]:
        behind = number_of(after) if after else 0
        found = [row for row in self._numbered("clients") if number_of(row.client) > behind]
        return [row for row in found if state in (None, row.state)][:limit]

    def count_clients(self, state: ClientState | None = None) -> int:
        alive = [ClientState.ACTIVE, ClientState.ARCHIVED] if state is None else [state]
        return sum(row.state in alive for row in self._read("clients").values())

    def put_clients(self, rows: Iterable[ClientRow]) -> None:
        for row in rows:
            self._put("clients", row.client, row)

    def dirty(self, limit: int, after: str = "") -> list[str]:
        return [row.client for row in self.clients(after=after) if row.dirty][:limit]

    def mark_dirty(self, ids: Collection[str]) -> None:
        table = self._read("clients")
        for each in sorted(set(ids)):
            if each in table and not table[each].dirty:
                table = self._write("clients")
                table[each] = replace(table[each], dirty=True)

    def mark_dirty_by_records(self, system: str, ids: Collection[str]) -> None:
        links = self._read("links")
        self.mark_dirty([links[(system, each)].client for each in ids if (system, each) in links])

    def mark_dirty_by_standing(self, system: str, state: StandingState) -> None:
        rows = self._read("standings").values()
        self.mark_dirty([row.client for row in rows if row.system == system and row.state == state])

    def mark_all_dirty(self) -> None:
        self.mark_dirty([row.client for row in self.clients() if row.state != ClientState.MERGED])

    def resolve_alias(self, identifier: str) -> str | None:
        table = self._read("clients")
        current = identifier
        while current in table and table[current].merged_into is not None:
            current = table[current].merged_into
        return current if current in table else None

    def aliases(self, identifier: str) -> list[str]:
        return [row.client for row in self._numbered("clients") if row.merged_into == identifier]

    def bundles(self, ids: Collection[str]) -> list[Bundle]:
        table, links, records = self._read("clients"), self._read("links"), self._read("records")
        sides: dict[str, list[Any]] = defaultdict(list)
        wanted = set(ids)
        for key in sorted(links):
            if links[key].client in wanted:
                sides[links[key].client].append((links[key], records.get(key)))
        return [Bundle(table[each], tuple(sides[each])) for each in dict.fromkeys(ids) if each in table]

    def put_links(self, rows: Iterable[LinkRow]) -> None:
        for row in rows:
            self._put("links", (row.system, row.external_id), row)

    def link(self, system: str, external_id: str) -> LinkRow | None:
        return self._read("links").get((system, external_id))

    def owners(self, system: str, ids: Collection[str]) -> dict[str, str]:
        links = self._read("links")
        return {each: links[(system, each)].client for each in sorted(set(ids)) if (system, each) in links}

    def known_only_in(self, system: str) -> list[str]:
        places: dict[str, set[str]] = defaultdict(set)
        for (name, _), link in self._read("links").items():
            if link.state == LinkState.LINKED:
                places[link.client].add(name)
        return sorted(client for client, names in places.items() if names == {system})

    def links_of(self, ids: Collection[str]) -> dict[str, list[LinkRow]]:
        links = self._read("links")
        found: dict[str, list[LinkRow]] = {}
        for key in sorted(links):
            if links[key].client in ids:
                found.setdefault(links[key].client, []).append(links[key])
        return found

    def links_since(self, since: datetime) -> list[LinkRow]:
        links = self._read("links")
        return [links[key] for key in sorted(links) if links[key].linked_at >= since]

    def forget_records(self, system: str, ids: Collection[str]) -> None:
        self.mark_dirty_by_records(system, ids)
        for name in ("keys", "links", "records"):
            table = self._write(name)
            for each in ids:
                table.pop((system, each), None)

    def move_links(self, source: str, target: str) -> int:
        moved = [row for row in self._read("links").values() if row.client == source]
        self.put_links([replace(row, client=target) for row in moved])
        return len(moved)

    def put_standings(self, rows: Iterable[Standing]) -> None:
        for row in rows:
            self._put("standings", (row.client, row.system), row)

    def standings(self, identifier: str | None = None) -> list[Standing]:
        table = self._read("standings")
        return [table[key] for key in sorted(table) if identifier in (None, key[0])]

    def standings_in(self, system: str, ids: Collection[str]) -> dict[str, Standing]:
        table = self._read("standings")
        return {each: table[(each, system)] for each in sorted(set(ids)) if (each, system) in table}

    def drop_standings(self, identifier: str) -> None:
        table = self._write("standings")
        for key in [key for key in table if key[0] == identifier]:
            del table[key]

    def add_apart(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        table = self._write("aparts")
        for pair in pairs:
            if pair[0] != pair[1]:
                table[(min(pair), max(pair))] = True

    def remove_apart(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        table = self._write("aparts")
        for pair in pairs:
            table.pop((min(pair), max(pair)), None)

    def aparts(self, records: Collection[Any]) -> set[tuple[Any, Any]]:
        wanted = set(records)
        return {pair for pair in self._read("aparts") if pair[0] in wanted or pair[1] in wanted}

    def put_merge(self, row: MergeRow) -> None:
        self._put("merges", row.merge, row)

    def merge(self, identifier: str) -> MergeRow | None:
        return self._read("merges").get(identifier)

    def merges(
        self,
        state: MergeState | None = None,
        *,
        winner: str | None = None,
        winners: Collection[str] | None = None,
    ) -> list[MergeRow]:
        rows = [row for row in self._numbered("merges") if winners is None or row.winner in winners]
        return [row for row in rows if state in (None, row.state) and winner in (None, row.winner)]

    # -- outbox ----------------------------------------------------------------------------------------------------

    def put_writes(self, rows: Iterable[WriteRow]) -> None:
        given = list(rows)
        waiting = {(row.client, row.system): row.write for row in given if row.state == WriteState.WAITING}
        if len(waiting) < sum(row.state == WriteState.WAITING for row in given):
            message = "two waiting writes for one client and system"
            raise ValueError(message)
        table = self._write("writes")
        for key, row in list(table.items()):
            newer = waiting.get((row.client, row.system))
            if row.state == WriteState.WAITING and newer is not None and newer != key:
                dropped = WriteState.DROPPED
                table[key] = replace(row, state=dropped, reason="replaced by a newer plan", done_at=self.now())
        for row in given:
            self._put("writes", row.write, row)

    def writes(
        self,
        states: Collection[WriteState] | None = None,
        system: str | None = None,
        client: str | None = None,
        *,
        cycle: str | None = None,
        limit: int | None = None,
    ) -> list[WriteRow]:
        found = [
            row
            for row in self._numbered("writes")
            if (states is None or row.state in states)
            and system in (None, row.system)
            and client in (None, row.client)
            and cycle in (None, row.cycle)
        ]
        return found[:limit]

    def write(self, identifier: str) -> WriteRow | None:
        return self._read("writes").get(identifier)

    def waiting(self, system: str, now: datetime, limit: int | None = None) -> list[WriteRow]:
        rows = self.writes([WriteState.WAITING], system)
        return [row for row in rows if row.next_attempt_at is None or row.next_attempt_at <= now][:limit]

    def claim(self, identifier: str, now: datetime) -> bool:
        row = self.write(identifier)
        if row is None or row.state != WriteState.WAITING:
            return False
        for other in self._read("writes").values():
            if other.write == identifier or other.system != row.system:
                continue
            if other.state == WriteState.SENDING and row.external_id is not None:
                if other.external_id == row.external_id:
                    return False
            elif (
                row.action == other.action == Action.CREATE
                and other.client == row.client
                and other.state in (WriteState.SENDING, WriteState.IN_DOUBT)
            ):
                return False
        self._put(
            "writes", identifier, replace(row, state=WriteState.SENDING, attempts=row.attempts + 1, sending_at=now)
        )
        return True

    def open_writes(self, clients: Collection[str]) -> dict[tuple[str, str], WriteRow]:
        rows = [row for row in self.writes(OPEN_WRITES) if row.client in clients]
        return {(row.client, row.system): row for row in sorted(rows, key=lambda row: _URGENCY.index(row.state))}

    # -- journal ---------------------------------------------------------------------------------------------------

    def add_changes(self, rows: Iterable[ChangeRow]) -> None:
        for row in rows:
            self._put("changes", row.change, row)

    def changes(
        self,
        client: str | None = None,
        cycle: str | None = None,
        since: datetime | None = None,
        *,
        limit: int | None = None,
    ) -> list[ChangeRow]:
        found = [
            row
            for row in self._numbered("changes")
            if client in (None, row.client) and cycle in (None, row.cycle) and (since is None or row.at >= since)
        ]
        return found[:limit]

    def add_conflicts(self, rows: Iterable[ConflictRow]) -> int:
        known = {row.key for row in self._read("conflicts").values()}
        added = 0
        for row in rows:
            if row.key not in known:
                known.add(row.key)
                self._put("conflicts", row.conflict, row)
                added += 1
        return added

    def put_conflict(self, row: ConflictRow) -> None:
        if any(other.key == row.key and other.conflict != row.conflict for other in self._read("conflicts").values()):
            message = f"conflict {row.conflict} has the key of another"
            raise StoreError(message)
        self._put("conflicts", row.conflict, row)

    def conflicts(
        self, status: ConflictStatus | None = None, client: str | None = None, *, limit: int | None = None
    ) -> list[ConflictRow]:
        rows = self._numbered("conflicts")
        return [row for row in rows if status in (None, row.status) and client in (None, row.client)][:limit]

    def conflict(self, identifier: str) -> ConflictRow | None:
        return self._read("conflicts").get(identifier)

    def put_hold(self, row: HoldRow) -> None:
        for other in self._read("holds").values():
            if row.state == other.state == HoldState.OPEN and other.key == row.key and other.hold != row.hold:
                message = f"another hold with the key of {row.hold} is open"
                raise StoreError(message)
        self._put("holds", row.hold, row)

    def holds(self, state: HoldState | None = HoldState.OPEN, *, kind: HoldKind | None = None) -> list[HoldRow]:
        return [row for row in self._numbered("holds") if state in (None, row.state) and kind in (None, row.kind)]

    def holds_of(self, client: str) -> list[HoldRow]:
        return [row for row in self.holds(None) if f'"{client}"' in _ENCODER.encode(row.items).decode()]

    def hold(self, identifier: str) -> HoldRow | None:
        return self._read("holds").get(identifier)

    def held_keys(self, keys: Collection[str]) -> set[str]:
        return {row.key for row in self.holds(HoldState.OPEN)} & set(keys)

    def put_holds(self, rows: Iterable[HoldRow]) -> None:
        for row in rows:
            self.put_hold(row)

    def is_held(self, key: str) -> bool:
        return any(row.key == key for row in self.holds(HoldState.OPEN))

    def hold_by_key(self, key: str) -> HoldRow | None:
        rows = [row for row in self._numbered("holds")[::-1] if row.key == key]
        return next(iter(sorted(rows, key=lambda row: row.state != HoldState.OPEN)), None)

    def add_audit(self, rows: Iterable[AuditRow]) -> None:
        table = self._write("audit")
        for row in rows:
            seq = len(table) + 1
            table[seq] = replace(_kept(row), seq=seq)

    def audit(
        self,
        client: str | None = None,
        cycle: str | None = None,
        *,
        kind: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[AuditRow]:
        found = [
            row
            for row in self._read("audit").values()
            if client in (None, row.client)
            and cycle in (None, row.cycle)
            and kind in (None, row.kind)
            and row.seq > after
        ]
        return found[:limit]

    def suppressed(self, digests: Collection[str]) -> set[str]:
        return {each for each in digests if each in self._read("suppressed")}
