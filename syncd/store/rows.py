"""What the store hands out and takes in: one frozen dataclass per kind of row.

Times are aware and in UTC. `UNKNOWN` and None are told apart wherever a type says `Maybe`. A field of type `dict` or
`list` is a JSON document: it comes back equal to what was put, with numbers that are not integers as `decimal.Decimal`.
Rows are values: to change one, `dataclasses.replace` it and put it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from syncd.core.model import UNKNOWN, Action, Maybe, Value

Document: TypeAlias = dict[str, Any]
"""A JSON object."""

RecordKey: TypeAlias = tuple[str, str]
"""(system, external id)"""

MatchKey: TypeAlias = tuple[str, str]
"""(kind, normalised value) by which records are found again, such as ("vat_number", "FR40303265045")."""


class SystemState(StrEnum):
    """How a system is doing."""

    OK = "ok"
    PAUSED = "paused"
    FAILING = "failing"
    NEVER = "never"


class WalkOutcome(StrEnum):
    """How a walk ended; only a complete one says anything about absence."""

    RUNNING = "running"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    SUSPICIOUS = "suspicious"


class ClientState(StrEnum):
    """The life of a golden record; `deleted` is a tombstone, `merged` an alias of the survivor."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"
    MERGED = "merged"


class RecordState(StrEnum):
    """What is known about a record's presence in its system."""

    PRESENT = "present"
    MISSING = "missing"
    GONE = "gone"
    QUARANTINED = "quarantined"


class LinkState(StrEnum):
    """What a link still stands for."""

    LINKED = "linked"
    MISSING = "missing"
    GONE = "gone"
    APART = "apart"


class ConflictKind(StrEnum):
    """edit: several changed it. first: it differed at first sight. delete: one deleted what another edited."""

    EDIT = "edit"
    FIRST = "first"
    DELETE = "delete"


class ConflictStatus(StrEnum):
    """decided by a rule, open for a person, resolved by a person."""

    DECIDED = "decided"
    OPEN = "open"
    RESOLVED = "resolved"


class HoldKind(StrEnum):
    """Why something waits for a person."""

    FIRST_RUN = "first_run"
    BRAKE = "brake"
    LINK = "link"
    MERGE = "merge"
    FIELD = "field"
    LOSSY = "lossy"
    DELETE = "delete"


class HoldState(StrEnum):
    """open: waits. released, refused: a person said so. done: carried out. lapsed: its reason went away."""

    OPEN = "open"
    RELEASED = "released"
    REFUSED = "refused"
    DONE = "done"
    LAPSED = "lapsed"


class WriteState(StrEnum):
    """Where an intended change of one record stands."""

    WAITING = "waiting"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    PARKED = "parked"
    DONE = "done"
    DROPPED = "dropped"


OPEN_WRITES: Final = (WriteState.WAITING, WriteState.SENDING, WriteState.IN_DOUBT, WriteState.PARKED)
"""The states of a write that is neither done nor dropped."""


class StandingState(StrEnum):
    """The five counts of a system: every client is in exactly one of them."""

    IN_SYNC = "in_sync"
    PENDING = "pending"
    HELD = "held"
    EXCLUDED = "excluded"
    FAILING = "failing"


class MergeState(StrEnum):
    """running: not all systems are through. done. undone: by `syncd unmerge`."""

    RUNNING = "running"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class SystemRow:
    """One configured connection.

    account: pinned at first contact. scope: digest of the settings that define what is listed. learned: the provider's
    own memory. baseline: a complete walk was seen once. failures: cycles in a row that failed.
    """

    system: str
    provider: str
    account: str | None = None
    scope: str | None = None
    state: SystemState = SystemState.NEVER
    reason: str | None = None
    learned: Document = field(default_factory=dict)
    baseline: bool = False
    paused_until: datetime | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class CycleRow:
    """One pull of every system, one reconcile, one push. summary: what `syncd sync --json` tells about it."""

    cycle: str
    started_at: datetime
    ended_at: datetime | None = None
    summary: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WalkRow:
    """One listing of a system. records, requests: counts."""

    walk: str
    cycle: str
    system: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: WalkOutcome = WalkOutcome.RUNNING
    records: int = 0
    requests: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A golden record. fields: canonical, absent = unknown, None = empty. dirty: to be reconciled again.

    origins: unit -> the system where its value was typed; absent where a person decided it here.
    """

    client: str
    fields: dict[str, Value]
    created_at: datetime
    updated_at: datetime
    state: ClientState = ClientState.ACTIVE
    merged_into: str | None = None
    dirty: bool = True
    origins: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordRow:
    """The mirror of one record.

    raw: exactly what the system said. children: what other calls said about it, None if none were made. fields: the
    same in canonical words. memory: what the provider asked to remember. digest: of raw and children. list_digest: of
    the list item alone. observed_at: when it was last read by any door. missing_since, missing_cycle, gone_count: the
    confirmation of an absence. first_seen_in: the number of the first cycle whose walk showed it, or could have; None where
    that was not noted.
    """

    system: str
    external_id: str
    raw: Document
    children: Document | None
    fields: dict[str, Value]
    memory: Document
    digest: str
    list_digest: str | None
    first_seen_at: datetime
    seen_at: datetime
    changed_at: datetime
    observed_at: datetime
    state: RecordState = RecordState.PRESENT
    reason: str | None = None
    walk: str | None = None
    missing_since: datetime | None = None
    missing_cycle: str | None = None
    gone_count: int = 0
    first_seen_in: int | None = None


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page of a walk all of whose records are in the mirror. page: its number, from 1. ids: of its records. total, last: as the page told.

    slices: a digest of each record's own bytes, as the engine writes them; None where a page was not looked at record by record.
    """

    system: str
    page: int
    digest: str
    ids: list[str]
    total: int | None
    last: bool
    slices: str | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """The memory of one link about one unit.

    seen: the mirror value last accounted for by a decision. agreed: the golden value at the last seen agreement.
    before: what the record showed before our last write (a stale read shows it again). written_at: of that write.
    writes: the cycles that wrote this unit with no person's edit between them, oldest first. origin: the system whose
    edit the agreed value is.
    """

    seen: Maybe = UNKNOWN
    agreed: Maybe = UNKNOWN
    before: Maybe = UNKNOWN
    written_at: datetime | None = None
    writes: tuple[str, ...] = ()
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A record belongs to a client. bases: unit -> Base."""

    system: str
    external_id: str
    client: str
    linked_at: datetime
    state: LinkState = LinkState.LINKED
    matched_by: str = ""
    bases: dict[str, Base] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """One client with all its sides, by system and external id."""

    client: ClientRow
    sides: tuple[tuple[LinkRow, RecordRow | None], ...]


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One unit of a golden record or of a record moved. system: where it came from, or "golden", or "operator"."""

    change: str
    cycle: str | None
    client: str
    unit: str
    system: str
    external_id: str | None
    before: Maybe
    after: Maybe
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """Several candidates for one unit.

    candidates: mappings with system, external_id, value, seen_at (ISO text). key: digest of what makes it this
    conflict; unique in the store, so that looking again adds no row.
    """

    conflict: str
    client: str
    unit: str
    kind: ConflictKind
    base: Maybe
    candidates: list[Document]
    rule: str
    status: ConflictStatus
    winner: str | None
    value: Maybe
    decided_by: str
    logged_at: datetime
    reason: str
    cycle: str | None
    key: str


@dataclass(frozen=True, slots=True)
class HoldRow:
    """Something that no rule may decide. items: what it is about. key: unique among the open holds."""

    hold: str
    kind: HoldKind
    system: str | None
    reason: str
    items: list[Document]
    since: datetime
    key: str
    state: HoldState = HoldState.OPEN
    decided_at: datetime | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class WriteRow:
    """One intended change to one record.

    fields: the values after; before: the values the plan saw. error: code, message, next. settle_at: when the outcome
    of a write in doubt may be judged.
    """

    write: str
    system: str
    client: str
    external_id: str | None
    action: Action
    fields: dict[str, Value]
    before: dict[str, Value]
    since: datetime
    cycle: str | None
    reason: str
    state: WriteState = WriteState.WAITING
    attempts: int = 0
    error: Document | None = None
    sending_at: datetime | None = None
    next_attempt_at: datetime | None = None
    settle_at: datetime | None = None
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one client stands in one system. drift: it differs there and cannot be written."""

    client: str
    system: str
    state: StandingState
    reason: str = ""
    drift: bool = False


@dataclass(frozen=True, slots=True)
class MergeRow:
    """A merge of clients. snapshot: everything needed to take it apart again (fields, links, aliases before it)."""

    merge: str
    winner: str
    losers: list[str]
    state: MergeState
    started_at: datetime
    decided_by: str
    reason: str
    snapshot: Document = field(default_factory=dict)
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit trail. seq: given by the store, rising; what is passed in is ignored."""

    at: datetime
    kind: str
    actor: str
    payload: Document
    cycle: str | None = None
    client: str | None = None
    system: str | None = None
    seq: int = 0
