"""The reference provider: a business system that lives in memory, complete, deterministic, and as difficult as a test wants it.

A `World` is the system itself: records with integer ids from 1, a profile that says what the system can do, users who edit, and faults.
`Memory` is the connection to it, a `Provider` like any other; all connections that name one world share it. Nothing is sent anywhere.

    world("books").add(name="ACME")                    a person types a client
    world("books").before.append(fault)                called with every `Call` before it takes effect; what it raises, the caller gets
    world("books").after.append(fault)                 the same, after the effect: an answer that is lost

A fault that keeps `call.commit` and calls it later makes a late commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from syncd.core.children import ContactSpec
from syncd.core.model import FIELDS, UNKNOWN, Fields, Raw, Value, kind_of
from syncd.core.normalize import CONTACT_PARTS, clean
from syncd.errors import Duplicate, Gone, Malformed, Rejected, Stale
from syncd.providers import ABSENT, Capabilities, FieldSpec, Listed, Page, Reading, Recall, Settings
from syncd.providers.decoding import unsound
from syncd.providers.memory_pages import page_of

if TYPE_CHECKING:
    from syncd.providers.http import Http

Form = Callable[[Value], Value]

CHILDREN: Final = ("contacts", "notes")

EVERY_FIELD: Final[Mapping[str, FieldSpec]] = {
    name: FieldSpec(create=name not in ("archived", *CHILDREN), update=True, required=name == "name") for name in FIELDS
}
"""A system that holds every canonical field exactly."""

EVERY_CONTACT: Final = ContactSpec(frozenset(CONTACT_PARTS))
"""Contacts that hold every part exactly; none of them is the primary one."""

EVERYTHING: Final = Capabilities(
    create=True, update=True, archive=True, delete=True, restore=True, account=True, contacts=EVERY_CONTACT
)


def truncated(characters: int) -> Form:
    """The form of a system that cuts texts after so many characters."""
    return lambda value: (value[:characters].strip() or None) if isinstance(value, str) else value


def upper_cased(value: Value) -> Value:
    """The form of a system that shouts."""
    return value.upper() if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Profile:
    """What a world's system can do.

    specs: its fields. forms: field -> the form in which it keeps a value (idempotent). page_size: records per page. partial: fields
    that listings leave out and single reads show. unique: fields of which no two records may have the same value. told_total:
    whether listings tell the number of records. objects: why a client cannot exist there, beyond missing required fields.
    """

    specs: Mapping[str, FieldSpec] = field(default_factory=lambda: EVERY_FIELD)
    capabilities: Capabilities = EVERYTHING
    forms: Mapping[str, Form] = field(default_factory=dict)
    page_size: int = 50
    partial: frozenset[str] = frozenset()
    unique: frozenset[str] = frozenset()
    told_total: bool = True
    objects: Callable[[Fields], str | None] = lambda _golden: None

    def spec(self, name: str) -> FieldSpec:
        """What the system can do with a field."""
        return self.specs.get(name, ABSENT)

    def form(self, name: str, value: Value) -> Value:
        """A value as the system keeps it."""
        return self.forms[name](value) if name in self.forms else value


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a connection, as faults see it.

    number: 1 for the world's first call. action: list | fetch | create | update | merge | delete | account. external_id: the record,
    or the page for `list`. commit: takes the effect now (writes only), once however often it is called.
    """

    number: int
    action: str
    external_id: str | None
    commit: Callable[[], None] | None = None


Fault = Callable[[Call], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state of a world at one moment; nobody changes it."""

    records: Mapping[int, Raw]
    hidden: Mapping[int, frozenset[str]]
    next_id: int
    next_child: int = 1


class World:
    """One business system in memory. Every method is safe to call from any thread; records go in and out as copies."""

    def __init__(self, name: str, profile: Profile | None = None) -> None:
        self.name = name
        self.profile = profile or Profile()
        self.account: str | None = name
        self.before: list[Fault] = []
        self.after: list[Fault] = []
        self.calls: list[Call] = []
        self.stale: Snapshot | None = None
        """Where set, connections read this state instead of the present one; writes still reach the present one."""
        self._lock = threading.RLock()
        self._next_child = 1
        self._records: dict[int, Raw] = {}
        self._hidden: dict[int, frozenset[str]] = {}
        self._next_id = 1

    # -- what its users do -----------------------------------------------------------------------------------------

    def add(self, **fields: Value) -> str:
        """A person types a client; the id it gets."""
        with self._lock:
            number = self._next_id
            self._next_id += 1
            held = {name: None for name, spec in self.profile.specs.items() if spec.read or spec.remembered}
            self._records[number] = {"id": number, **held, "archived": False, **self._kept(fields)}
            return str(number)

    def edit(self, external_id: str, **fields: Value) -> None:
        """A person changes some fields; any key may be given, also one that no field maps."""
        with self._lock:
            self._record(external_id).update(self._kept(fields))

    def remove(self, external_id: str) -> None:
        """A person deletes the client for ever."""
        with self._lock:
            self._record(external_id)
            del self._records[int(external_id)]

    def hide(self, external_id: str, *names: str) -> None:
        """From now on the system does not say anything about these fields of this record."""
        with self._lock:
            self._hidden[int(external_id)] = self._hidden.get(int(external_id), frozenset()) | set(names)

    # -- what tests look at ----------------------------------------------------------------------------------------

    def ids(self) -> list[str]:
        """The ids of all records, oldest first."""
        with self._lock:
            return [str(number) for number in sorted(self._records)]

    def record(self, external_id: str) -> Raw:
        """The record as the system holds it, hidden and never shown fields too. Raises `Gone`."""
        with self._lock:
            return deepcopy(self._record(external_id))

    def snapshot(self) -> Snapshot:
        """The present state, to return to."""
        with self._lock:
            return Snapshot(deepcopy(self._records), dict(self._hidden), self._next_id, self._next_child)

    def restore(self, snapshot: Snapshot) -> None:
        """Return to an earlier state."""
        with self._lock:
            self._records = deepcopy(dict(snapshot.records))
            self._hidden, self._next_id = dict(snapshot.hidden), snapshot.next_id
            self._next_child = max(self._next_child, snapshot.next_child)

    # -- what connections do ---------------------------------------------------------------------------------------

    def shown(self, external_id: str) -> Raw:
        """The record as a single read shows it: without what the system never returns. Raises `Gone`."""
        with self._lock:
            state = self.stale or Snapshot(self._records, self._hidden, self._next_id)
            number = _number(external_id)
            if number not in state.records:
                raise _gone(self.name, external_id)
            return self._visible(state, number)

    def listing(self, offset: int, limit: int) -> tuple[list[Raw], int]:
        """Some records in order of their ids, and how many there are in all."""
        with self._lock:
            state = self.stale or Snapshot(self._records, self._hidden, self._next_id)
            chosen = sorted(state.records)[offset : offset + limit]
            partial = self.profile.partial
            shown = [self._visible(state, number) for number in chosen]
            return [{k: v for k, v in raw.items() if k not in partial} for raw in shown], len(state.records)

    def check_unique(self, fields: Fields, but: str | None = None) -> None:
        """Raise `Duplicate` where another record has the same value of a unique field."""
        with self._lock:
            for number, record in sorted(self._records.items()):
                for name in self.profile.unique & fields.keys():
                    value = self.profile.form(name, fields[name])
                    if value is not None and record.get(name) == value and str(number) != but:
                        message = f"{self.name}: {name} is taken"
                        raise Duplicate(message, existing_id=str(number), status=409)

    def happen(self, action: str, external_id: str | None, commit: Callable[[], None] | None = None) -> None:
        """One call: faults before, the effect (once), faults after."""
        done = threading.Event()

        def once() -> None:
            with self._lock:
                if commit is not None and not done.is_set():
                    done.set()
                    commit()

        with self._lock:
            call = Call(len(self.calls) + 1, action, external_id, once if commit is not None else None)
            self.calls.append(call)
        for fault in list(self.before):
            fault(call)
        once()
        for fault in list(self.after):
            fault(call)

    def _record(self, external_id: str) -> Raw:
        number = _number(external_id)
        if number not in self._records:
            raise _gone(self.name, external_id)
        return self._records[number]

    def _kept(self, fields: Mapping[str, Value]) -> Raw:
        kept = {name: deepcopy(self.profile.form(name, value)) for name, value in fields.items()}
        for name in kept.keys() & set(CHILDREN):
            kept[name] = self._with_ids(kept[name])
        return kept

    def _with_ids(self, children: Value) -> Value:
        """Contacts and notes, each with an id of its own; a note that is typed as a text becomes one."""
        if not isinstance(children, list):
            return children
        named: list[Value] = []
        for each in children:
            child: Value = {"text": each} if isinstance(each, str) else each
            if isinstance(child, dict) and "id" not in child:
                child = {"id": f"n{self._next_child}", **child}
                self._next_child += 1
            named.append(_whole(child) if isinstance(child, dict) and "text" not in child else child)
        return named

    def apply_steps(self, external_id: str, steps: Value) -> dict[str, str]:
        """Carry out the steps of a write of contacts, as one; element -> id of those that were made. Raises `Gone`."""
        with self._lock:
            record, made = self._record(external_id), dict[str, str]()
            listed = record.get("contacts")
            contacts = {str(each["id"]): each for each in (listed or []) if isinstance(each, dict)}  # type: ignore[union-attr]
            for step in steps if isinstance(steps, list) else []:
                if isinstance(step, dict):
                    self._apply(contacts, dict(step), made)
            record["contacts"] = [*contacts.values()] or None
            return made

    def _apply(self, contacts: dict[str, Raw], step: Raw, made: dict[str, str]) -> None:
        if "element" in step:
            element = str(step.pop("element"))
            made[element] = name = f"n{self._next_child}"
            self._next_child += 1
            contacts[name] = _whole({"id": name, **{part: value for part, value in step.items() if part != "primary"}})
        elif step.get("removed") is True:
            contacts.pop(str(step["id"]), None)
        elif str(step["id"]) in contacts:
            contacts[str(step["id"])].update(step)
        else:
            message = f"{self.name}: no such contact"
            raise Stale(message)

    def add_notes(self, external_id: str, texts: Value) -> None:
        """Add notes to a record. Raises `Gone`."""
        with self._lock:
            record = self._record(external_id)
            listed = record.get("notes")
            added = self._with_ids(list(texts) if isinstance(texts, list) else [])
            record["notes"] = [
                *(listed if isinstance(listed, list) else []),
                *(added if isinstance(added, list) else []),
            ]

    def _visible(self, state: Snapshot, number: int) -> Raw:
        hidden = state.hidden.get(number, frozenset())
        silent = {name for name, spec in self.profile.specs.items() if not spec.read}
        raw = {key: value for key, value in state.records[number].items() if key not in hidden | silent}
        return deepcopy(raw)


_WORLDS: Final[dict[str, World]] = {}
_WORLDS_LOCK: Final = threading.Lock()


def world(name: str, profile: Profile | None = None) -> World:
    """The world of this name, made when first asked for; a profile given later replaces the one it has."""
    with _WORLDS_LOCK:
        found = _WORLDS.setdefault(name, World(name))
        if profile is not None:
            found.profile = profile
        return found


def forget(name: str) -> None:
    """End a world; its name may be used anew."""
    with _WORLDS_LOCK:
        _WORLDS.pop(name, None)


class Memory:
    """One connection to a world; see `syncd.providers.Provider` for the promises."""

    default_base_url: ClassVar[str] = "http://127.0.0.1"
    option_keys: ClassVar[Mapping[str, str]] = {"world": "The name of the world; the system's own name if left out."}
    secret_keys: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> list[str]:
        """What is wrong with the tenant's options, in words; empty if nothing is."""
        return [] if isinstance(options.get("world", ""), str) else ["world is a text"]

    def __init__(self, settings: Settings, http: Http | None = None) -> None:
        self.settings = settings
        self.world = world(str(settings.options.get("world") or settings.system))
        self.learned: dict[str, Any] = {}
        self._http = http
        self._requests = 0

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """What the world's profile says of each canonical field."""
        return {name: self.world.profile.spec(name) for name in FIELDS}

    @property
    def capabilities(self) -> Capabilities:
        """What the world's profile says of whole records."""
        return replace(self.world.profile.capabilities, recall=True)

    @property
    def requests(self) -> int:
        """How many calls this connection has made so far."""
        return self._requests

    def _call(self, action: str, external_id: str | None, commit: Callable[[], None] | None = None) -> None:
        self._requests += 1
        self.world.happen(action, external_id, commit)

    def account(self) -> str | None:
        """The name of the world's account."""
        self._call("account", None)
        return self.world.account

    def pull(self, recall: Recall | None = None) -> Iterator[Page]:
        """Every record in order of ids, each once; pages by offset, so that deletions meanwhile move the rest up."""
        profile, seen, number = self.world.profile, set[str](), 0
        size = self.settings.page_size or profile.page_size
        while True:
            self._call("list", str(number + 1))
            items, total = self.world.listing(number * size, size)
            number += 1
            last = number * size >= total
            page = Page((), number, total if profile.told_total else None, last)
            yield page_of(items, seen, recall, page, complete=not profile.partial)
            if last:
                return

    def fetch(self, external_id: str, known: Collection[str] = ()) -> Listed:
        """One record, complete. Raises `Gone`."""
        del known
        self._call("fetch", external_id)
        raw = self.world.shown(external_id)
        if (reason := unsound(raw)) is not None:
            raise Malformed(reason, operation="fetch", external_id=external_id)
        return Listed(external_id, raw)

    def read(self, listed: Listed, memory: Mapping[str, Any]) -> Reading:
        """The shown fields, cleaned; raw keys are canonical names, so nothing is translated or remembered."""
        fields: dict[str, Value] = {}
        for name in FIELDS:
            if self.world.profile.spec(name).read and name in listed.raw:
                value = clean(kind_of(name), listed.raw[name])
                if value is not UNKNOWN:
                    fields[name] = value
        return Reading(fields, dict(memory))

    def project(self, unit: str, value: Value, golden: Fields) -> Value:
        """The value in the world's forms, without the parts that it does not hold."""
        del golden
        profile = self.world.profile
        if isinstance(value, dict):
            return {part: profile.form(part, each) for part, each in value.items() if profile.spec(part).read}
        return profile.form(unit, value)

    def objection(self, golden: Fields) -> str | None:
        """Missing required fields, then what the profile objects to."""
        missing = [n for n, spec in self.fields.items() if spec.required and golden.get(n) is None]
        return f"needs {', '.join(missing)}" if missing else self.world.profile.objects(golden)

    def create(self, golden: Fields) -> Listed:
        """Create a record from all fields with `create`."""
        if (reason := self.objection(golden)) is not None:
            raise Rejected(reason, operation="create")
        wanted = {n: value for n, value in golden.items() if value is not None and self.world.profile.spec(n).create}
        made: list[str] = []

        def commit() -> None:
            self.world.check_unique(wanted)
            made.append(self.world.add(**wanted))

        self._call("create", None, commit)
        return Listed(made[0], self.world.shown(made[0]))

    def update(self, current: Listed, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Listed:
        """Change exactly the fields of `patch` that the world lets be changed."""
        del golden, memory
        wanted = {name: value for name, value in patch.items() if self.world.profile.spec(name).update}
        contacts, notes = (wanted.pop(name, None) for name in CHILDREN)
        made: dict[str, str] = {}

        def commit() -> None:
            self.world.check_unique(wanted, but=current.external_id)
            self.world.edit(current.external_id, **wanted)
            if contacts is not None:
                made.update(self.world.apply_steps(current.external_id, contacts))
            if notes is not None:
                self.world.add_notes(current.external_id, notes)

        self._call("update", current.external_id, commit)
        return Listed(current.external_id, self.world.shown(current.external_id), made=made)

    def merge(self, survivor: Listed, loser: Listed) -> Listed | None:
        """Have the world join two records: the survivor is filled from the loser, and the loser is retired."""

        def commit() -> None:
            kept, lost = self.world.record(survivor.external_id), self.world.record(loser.external_id)
            filled = {name: lost[name] for name in FIELDS if kept.get(name) in (None, []) and lost.get(name)}
            self.world.edit(survivor.external_id, **{name: filled[name] for name in filled if name != "archived"})
            self.world.remove(loser.external_id)

        if not self.capabilities.merge:
            raise Rejected("this system cannot merge", operation="merge", external_id=loser.external_id)
        self._call("merge", loser.external_id, commit)
        return None

    def delete(self, current: Listed) -> None:
        """Delete the record for ever. Raises `Rejected` where the world has no deletes."""
        if not self.capabilities.delete:
            raise Rejected("this system cannot delete", operation="delete", external_id=current.external_id)
        self._call("delete", current.external_id, lambda: self.world.remove(current.external_id))

    def close(self) -> None:
        """Release the connection; the world stays."""
        if self._http is not None:
            self._http.close()


def _whole(contact: Raw) -> Raw:
    """A contact with all its parts, those that nobody typed empty; a name that was typed in two is told as one text, too."""
    texts = [text for part in ("given_name", "family_name") if isinstance(text := contact.get(part), str)]
    return {**dict.fromkeys(CONTACT_PARTS), "name": " ".join(texts) or None, **contact}


def _gone(system: str, external_id: str) -> Gone:
    return Gone(f"{system}: no such record", external_id=external_id, status=404)


def _number(external_id: str) -> int:
    """The id as the world counts; 0, which no record has, for what is no id."""
    return int(external_id) if external_id.isascii() and external_id.isdigit() else 0
