"""What a provider is: it talks and translates; it never decides.

A provider module holds one class with the members of `Provider` below, a table of `FieldSpec`s, and nothing else that
the rest of syncd could see. It is registered by name in `REGISTRY` (or by an entry point of the group
`syncd.providers`) and built by `build`.

The engine's promises to a provider: `pull` runs in one thread at a time; `fetch` may run in several beside it, and precedes every `update`, `archive`,
`restore`, `delete` and hands over exactly what it read; no database transaction is open during any call.

A provider's promises to the engine: every failure is one of `syncd.errors.ProviderError`; a write whose outcome is not known
raises `UnknownOutcome`; nothing that a person did not type is sent, but declared defaults; only documented endpoints are called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from syncd.core.children import ContactSpec
from syncd.core.model import Context, Fields, Raw, Value

if TYPE_CHECKING:
    from syncd.providers.http import Http


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What one provider can do with one canonical field.

    read: shown on read. create: sent with the create call. update: can be changed later.
    required: a create without it is impossible. remembered: accepted but never returned, so the last written value is
    kept and never counted as drift. weak: a constant of the system rather than something a person typed there; it fills an
    empty golden value and never competes. fixed: a value can be changed and never emptied. note: one sentence for the operator's page about this provider.
    """

    read: bool = True
    create: bool = False
    update: bool = False
    required: bool = False
    remembered: bool = False
    weak: bool = False
    fixed: bool = False
    note: str = ""


ABSENT = FieldSpec(read=False, note="not held by this system")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do with whole records."""

    create: bool = False
    update: bool = False
    archive: bool = False
    delete: bool = False
    restore: bool = False
    merge: bool = False
    """`Merges.merge` joins two records of one client, and the tenant lets it."""
    account: bool = False
    """`account()` names the account behind the credentials."""
    partial_list: bool = False
    """List items may lack children: the engine fetches a record singly when its list item changed."""
    recall: bool = False
    """`Recalls.pull` takes what is known of pages, so that one that is the same again is not read."""
    gathers: bool = False
    """What a page tells of its records may have been read when the first page was."""
    contacts: ContactSpec | None = None
    """What contacts of a client are there; None where there are none. They are written where the field `contacts` can be updated."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One record as a listing (or a single read) showed it.

    raw: the record exactly as the system's JSON says. children: what was read about it by other calls (contacts,
    notes), or None where nothing was. complete: False where the listing may show less than a single read would.
    remember: what the write that was just answered adds to the memory of the record (the text behind a split street); `read`
    works it into the memory it returns. made: element -> id of the contacts that the write made. Both are empty for everything that
    was only read.
    """

    external_id: str
    raw: Raw
    children: Raw | None = None
    complete: bool = True
    remember: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)


SLICE_BYTES = 16
"""Of a digest of a record's own bytes."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a walk. total: how many records the system says there are in all, where it says so.

    last: the system said that this is the end. faults: what was wrong with single records (external id or position, reason);
    such records are quarantined and the walk goes on, but counts as incomplete for them. requests: calls made for this page.
    digest: of all that the page was made of, where every item in it became a record; else "". known: ids of the records that were
    recalled instead of read; where that is the whole page, `records` is empty. slices: record -> the digest of its own bytes, for all
    records of a page that was looked at record by record; where it is given, nothing of the page was noted as seen.
    """

    records: Sequence[Listed]
    number: int
    total: int | None = None
    last: bool = False
    faults: Sequence[tuple[str, str]] = ()
    requests: int = 1
    digest: str = ""
    known: Sequence[str] = ()
    slices: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def recalled(self) -> bool:
        """It was known as a whole and is noted as seen."""
        return bool(self.known) and not self.slices


@dataclass(frozen=True, slots=True)
class Known:
    """A page that is in the mirror as it is: the ids of its records, and what `Page` says of total and last."""

    ids: Sequence[str]
    total: int | None
    last: bool


class Recall(Protocol):
    """What is known of the pages of a listing, for one walk. number: of the page, from 1."""

    def whole(self, number: int, digest: str) -> Known | None:
        """A page with this digest of its bytes; None where it has to be read. It is thereby noted as seen."""
        ...

    def slices(self, number: int) -> Mapping[bytes, str]:
        """Digest of a record's own bytes (of `SLICE_BYTES`) -> its id, of what the page showed when it was read last.

        Only of records that are in the mirror as it showed them, and were on no page before it in this walk. Asked where `whole` does not
        know the page; nothing is noted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A record in canonical words: `fields` (absent = unknown, None = empty) and what to remember about it."""

    fields: dict[str, Value]
    memory: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the tenant's file says about one system, secrets resolved, durations in seconds."""

    system: str
    provider: str
    base_url: str | None = None
    timeout_seconds: float = 30.0
    requests_per_second: float | None = None
    requests_per_day: int | None = None
    page_size: int | None = None
    requests_at_once: int = 1
    """How many requests that read may be under way at once. A page is asked for when so many pages before it at most are not handed over yet."""
    insecure_loopback: bool = False
    context: Context = field(default_factory=Context)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The provider's own keys (company_id, dialect, defaults, archived_status, ...), secrets as plain strings."""


class Provider(Protocol):
    """One configured connection. See the module's header for the promises on both sides."""

    settings: Settings
    capabilities: Capabilities
    learned: dict[str, Any]
    """What was learned from records already read (ids of countries, shown keys). JSON; kept by the engine between runs."""

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """What can be done with each canonical field; may grow with what was learned."""
        ...

    @property
    def requests(self) -> int:
        """How many HTTP requests this connection has made so far."""
        ...

    def account(self) -> str | None:
        """A stable name of the account behind the credentials, or None where the API cannot tell."""
        ...

    def pull(self) -> Iterator[Page]:
        """Every record, page by page. Raises on anything that makes the walk unusable; ends after the last page."""
        ...

    def fetch(self, external_id: str, known: Collection[str] = ()) -> Listed:
        """One record, complete. Raises `Gone` where the system says it does not exist.

        known: ids of contacts that it had; where reading the record may show less than there is, each of them is asked for by itself.
        """
        ...

    def read(self, listed: Listed, memory: Mapping[str, Any]) -> Reading:
        """Translate a record; pure. `memory` is what was remembered about this record before ({} at first sight)."""
        ...

    def project(self, unit: str, value: Value, golden: Fields) -> Value:
        """The form in which this system's values of a unit are compared; pure and idempotent.

        Two values are the same for this system if their projections are equal. `golden` gives the other fields of the
        client (kind, country). Parts of a group that the system cannot hold are left out.
        """
        ...

    def objection(self, golden: Fields) -> str | None:
        """Why this client cannot exist in this system (a required field is missing, not a person ...), or None; pure."""
        ...

    def create(self, golden: Fields) -> Listed:
        """Create a record from all fields with `create`; what it needs further calls for is left to later updates.

        Returns the record as the system answered. Raises `Duplicate`, `Rejected`, `RateLimited`, `OutOfReach`,
        `UnknownOutcome`, `Unauthorised`.
        """
        ...

    def update(self, current: Listed, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Listed:
        """Change exactly the fields of `patch` (whole units; None clears) and return the record as it now is.

        `current` is what `fetch` has just read. Also archives and restores, where `patch` has `archived`. `contacts` are the steps of
        `syncd.core.children.Steps`, `notes` the texts that are to be added; contacts that were made are named in `made`.
        """
        ...

    def delete(self, current: Listed) -> None:
        """Delete the record for ever."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...


class Recalls(Protocol):
    """What a provider with the capability `recall` has in place of `Provider.pull`."""

    def pull(self, recall: Recall | None = None) -> Iterator[Page]:
        """Every record, page by page; a page that `recall` knows is not read, but counts with its ids like any other.

        It is asked once for each page, in order, where the bytes are those of a whole, good answer; what proves that the walk is complete
        (repeats, ends, totals) is looked at as if the page had been read. A page that it does not know may be looked at record by record:
        those whose bytes are known need not be read. Where anything about such a page is out of order, it is read as if nothing were known.
        """
        ...


class Merges(Protocol):
    """What a provider with the capability `merge` has beside the members of `Provider`."""

    def merge(self, survivor: Listed, loser: Listed) -> Listed | None:
        """Have the system itself join `loser` into `survivor` (both as `fetch` has just read them), for ever.

        Returns the loser as it now is, archived; None where the system has retired it. May be repeated: what was joined already
        stays so.
        """
        ...


Factory: TypeAlias = "Callable[[Settings, Http], Provider]"

REGISTRY: Mapping[str, str] = {
    "tiime": "syncd.providers.tiime:Tiime",
    "lsp_expert": "syncd.providers.lsp_expert:LspExpert",
    "smartbills": "syncd.providers.smartbills:Smartbills",
    "flowtly": "syncd.providers.flowtly:Flowtly",
    "memory": "syncd.providers.memory:Memory",
}
"""Provider name -> where its class is; loaded when first used."""


def known() -> list[str]:
    """The names of all providers that can be configured, shipped and plugged in."""
    return sorted({*REGISTRY, *(point.name for point in entry_points(group="syncd.providers"))})


def load(name: str) -> Any:
    """The class of a provider. Raises KeyError for an unknown name."""
    if name in REGISTRY:
        module, _, attribute = REGISTRY[name].partition(":")
        return getattr(import_module(module), attribute)
    for point in entry_points(group="syncd.providers"):
        if point.name == name:
            return point.load()
    raise KeyError(name)
