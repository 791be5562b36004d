"""The schema: one set of tables per tenant, the same on SQLite and PostgreSQL.

Columns bear the names of the fields of `rows.py`. Tables whose ids are human readable ("w7") have a `number` (7)
beside, by which they are sorted. A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, and_, text
from sqlalchemy.types import TypeEngine

from syncd.core.model import FIELDS, Action, Kind
from syncd.store.columns import Bases, Instant, Json, Key, MaybeJson, PlainText, Word
from syncd.store.rows import (
    ClientState,
    ConflictKind,
    ConflictStatus,
    HoldKind,
    HoldState,
    LinkState,
    MergeState,
    RecordRow,
    RecordState,
    StandingState,
    SystemState,
    WalkOutcome,
    WriteState,
)

NAMING: Final = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
metadata: Final = MetaData(naming_convention=NAMING)

FENCE: Final = "fence"
"""The key in `meta` of the number of the process that has the working right; it only rises."""


def _id(name: str) -> tuple[Column[Any], Column[Any]]:
    """A human readable id and the number in it."""
    return Column(name, Key, primary_key=True), Column("number", BigInteger, nullable=False, unique=True)


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, PlainText, nullable=null)


def _key(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Key, nullable=null)


def _word(name: str, words: type[StrEnum]) -> Column[Any]:
    return Column(name, Word(words), nullable=False)


def _time(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Instant, nullable=null)


def _json(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Json, nullable=null)


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _client(name: str = "client", *, primary_key: bool = False, null: bool = False) -> Column[Any]:
    """A reference to a client, checked at the end of the transaction so that rows may be put in any order."""
    reference = ForeignKey("clients.client", deferrable=True, initially="DEFERRED")
    return Column(name, Key, reference, primary_key=primary_key, nullable=null)


def _record() -> tuple[Column[Any], Column[Any]]:
    return Column("system", Key, primary_key=True), Column("external_id", Key, primary_key=True)


FIELD_TYPES: Final[Mapping[str, type]] = {
    name: {Kind.DAYS: int, Kind.FLAG: bool, Kind.CONTACTS: list, Kind.NOTES: list}.get(field.kind, str)
    for name, field in FIELDS.items()
}
"""Canonical field -> the Python type of its value where it is not empty."""

_COLUMN_TYPES: Final[Mapping[type, type[TypeEngine[Any]]]] = {
    str: PlainText,
    int: BigInteger,
    bool: Boolean,
    list: Json,
}

meta = Table("meta", metadata, Column("key", Key, primary_key=True), _text("value"))

counters = Table("counters", metadata, Column("kind", Key, primary_key=True), _count("value"))

systems = Table(
    "systems",
    metadata,
    Column("system", Key, primary_key=True),
    _key("provider"),
    _text("account", null=True),
    _text("scope", null=True),
    _word("state", SystemState),
    _text("reason", null=True),
    _json("learned"),
    Column("baseline", Boolean, nullable=False),
    _time("paused_until", null=True),
    _count("failures"),
)

cycles = Table(
    "cycles",
    metadata,
    *_id("cycle"),
    _time("started_at"),
    _time("ended_at", null=True),
    _json("summary"),
)

walks = Table(
    "walks",
    metadata,
    *_id("walk"),
    _key("cycle"),
    _key("system"),
    _time("started_at"),
    _time("ended_at", null=True),
    _word("outcome", WalkOutcome),
    _count("records"),
    _count("requests"),
    _text("reason", null=True),
    Index(None, "system", "number"),
)

records = Table(
    "records",
    metadata,
    *_record(),
    _key("digest"),
    _key("list_digest", null=True),
    _time("first_seen_at"),
    _time("seen_at"),
    _time("changed_at"),
    _time("observed_at"),
    _word("state", RecordState),
    _text("reason", null=True),
    _key("walk", null=True),
    _time("missing_since", null=True),
    _key("missing_cycle", null=True),
    _count("gone_count"),
    Column("page", BigInteger, nullable=True),
    Column("first_seen_in", BigInteger, nullable=True),
    Index(None, "system", "state"),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": 50},
)
"""What is noted of each record whenever it is seen; what it says is in `payloads`, so that a walk over what has not changed rewrites
little, and half of each of PostgreSQL's pages stays free for that, so that no index is touched. page: the page of a walk that last
showed it as it is kept; NULL once anything else has put it. first_seen_in: the number of the first cycle whose walk showed it, or
could have; NULL where it was seen before that was noted."""

payloads = Table(
    "payloads",
    metadata,
    *_record(),
    _json("raw"),
    _json("children", null=True),
    _json("fields"),
    _json("memory"),
)

pages = Table(
    "pages",
    metadata,
    Column("system", Key, primary_key=True),
    Column("page", BigInteger, primary_key=True, autoincrement=False),
    _key("digest"),
    _json("ids"),
    Column("total", BigInteger, nullable=True),
    Column("last", Boolean, nullable=False),
    _text("slices", null=True),
)
"""The pages of the last walks all of whose records were taken into the mirror: ids is a JSON list of their external ids."""

mirrored: Final = records.join(
    payloads, and_(records.c.system == payloads.c.system, records.c.external_id == payloads.c.external_id)
)
"""Records with what they say."""

RECORD: Final = tuple(
    (payloads if each.name in payloads.c and each.name not in records.c else records).c[each.name]
    for each in fields(RecordRow)
)
"""The columns of `mirrored` that are a `RecordRow`, in its order."""

match_keys = Table(
    "match_keys",
    metadata,
    *_record(),
    Column("kind", Key, primary_key=True),
    Column("value", Key, primary_key=True),
    Index(None, "kind", "value"),
)

clients = Table(
    "clients",
    metadata,
    *_id("client"),
    _word("state", ClientState),
    _client("merged_into", null=True),
    *(Column(name, _COLUMN_TYPES[kind], nullable=True) for name, kind in FIELD_TYPES.items()),
    _json("custom"),
    _json("known"),
    _json("origins"),
    _time("created_at"),
    _time("updated_at"),
    Column("dirty", Boolean, nullable=False),
    Index("ix_clients_dirty", "number", sqlite_where=text("dirty"), postgresql_where=text("dirty")),
    Index(None, "merged_into"),
    Index(None, "state"),
)
"""Golden records. known: JSON list of the canonical fields that are not unknown; a known NULL is empty.
custom: JSON object of the `custom.*` fields that are known."""

links = Table(
    "links",
    metadata,
    *_record(),
    _client(),
    _time("linked_at"),
    _word("state", LinkState),
    _text("matched_by"),
    Column("bases", Bases, nullable=False),
    Index(None, "client"),
)

changes = Table(
    "changes",
    metadata,
    *_id("change"),
    _key("cycle", null=True),
    _key("client"),
    _key("unit"),
    _key("system"),
    _key("external_id", null=True),
    Column("before", MaybeJson, nullable=True),
    Column("after", MaybeJson, nullable=True),
    _text("reason"),
    _time("at"),
    Index(None, "client", "number"),
    Index(None, "cycle"),
)

conflicts = Table(
    "conflicts",
    metadata,
    *_id("conflict"),
    _key("client"),
    _key("unit"),
    _word("kind", ConflictKind),
    Column("base", MaybeJson, nullable=True),
    _json("candidates"),
    _text("rule"),
    _word("status", ConflictStatus),
    _text("winner", null=True),
    Column("value", MaybeJson, nullable=True),
    _text("decided_by"),
    _time("logged_at"),
    _text("reason"),
    _key("cycle", null=True),
    Column("key", Key, nullable=False, unique=True),
    Index(None, "client"),
    Index(None, "status", "number"),
)

holds = Table(
    "holds",
    metadata,
    *_id("hold"),
    _word("kind", HoldKind),
    _key("system", null=True),
    _text("reason"),
    _json("items"),
    _time("since"),
    _key("key"),
    _word("state", HoldState),
    _time("decided_at", null=True),
    _text("decided_by", null=True),
    Index(
        "uq_holds_open_key",
        "key",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index(None, "state", "number"),
    Index(None, "key"),
)

writes = Table(
    "writes",
    metadata,
    *_id("write"),
    _key("system"),
    _client(),
    _key("external_id", null=True),
    _word("action", Action),
    _json("fields"),
    _json("before"),
    _time("since"),
    _key("cycle", null=True),
    _text("reason"),
    _word("state", WriteState),
    _count("attempts"),
    _json("error", null=True),
    _time("sending_at", null=True),
    _time("next_attempt_at", null=True),
    _time("settle_at", null=True),
    _time("done_at", null=True),
    Index(
        "uq_writes_waiting",
        "client",
        "system",
        unique=True,
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "uq_writes_sending",
        "system",
        "external_id",
        unique=True,
        sqlite_where=text("state = 'sending'"),
        postgresql_where=text("state = 'sending'"),
    ),
    Index(None, "state", "system", "number"),
    Index(None, "client", "system"),
    Index(None, "cycle"),
)

standings = Table(
    "standings",
    metadata,
    _client(primary_key=True),
    Column("system", Key, primary_key=True),
    _word("state", StandingState),
    _text("reason"),
    Column("drift", Boolean, nullable=False),
    Index(None, "system", "state", "drift", "client"),
)

aparts = Table(
    "aparts",
    metadata,
    Column("system_a", Key, primary_key=True),
    Column("external_id_a", Key, primary_key=True),
    Column("system_b", Key, primary_key=True),
    Column("external_id_b", Key, primary_key=True),
    Index(None, "system_b", "external_id_b"),
)
"""Pairs of records that a person wants kept apart, the smaller one first."""

merges = Table(
    "merges",
    metadata,
    *_id("merge"),
    _key("winner"),
    _json("losers"),
    _word("state", MergeState),
    _time("started_at"),
    _text("decided_by"),
    _text("reason"),
    _json("snapshot"),
    _time("ended_at", null=True),
    Index(None, "state"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _time("at"),
    _text("kind"),
    _text("actor"),
    _json("payload"),
    _key("cycle", null=True),
    _key("client", null=True),
    _key("system", null=True),
    Index(None, "client", "seq"),
    Index(None, "cycle"),
    sqlite_autoincrement=True,
)

suppressed = Table("suppressed", metadata, Column("digest", Key, primary_key=True), _time("at"))
"""Keyed digests of erased identifiers: a record that shows one is not taken in again."""
