"""What must be true of a simulated life, judged from what people typed and what systems showed them, never from what syncd planned.

Every value that is typed is an *edit* of a cell (client, unit) and is unlike every other value. x < y (y was typed in view of x) if and
only if, when y was typed, the record in front of its author showed x or something typed in view of x. No clock is asked. At the end

    every edit that no other was typed in view of is golden, or equal to it, or the losing value of exactly one conflict row, or is
    waiting in an open hold, or was lost in the window between syncd's reading of the record and its writing of the same field
    (counted), or the record it was typed into was deleted.

A sight that syncd could not know of (its own write took effect, and the answer was lost) is `unsure`: whether it counts is left open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.core.model import ADDRESS_CORE, Mode, Rule, Value
from syncd.providers.memory import Profile
from tests.simulation.systems import ADDRESS, UNITS, parts_held

Cell = tuple[int, str]
"""(true client, unit)"""

Place = tuple[str, str, str]
"""(system, external id, unit)"""

Shown = Any
"""What a record shows of a unit: a value, or for the address the mapping of the parts that its system holds."""

Sight = tuple[Place, int | None, bool]
"""What syncd was shown: the edit in some place, and whether the record there is one that syncd itself had put away."""


class Violation(AssertionError):
    """Something happened that must not happen."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What one person typed into one record. sees: edits certainly in view; glimpses: those and the unsure ones."""

    number: int
    client: int
    unit: str
    system: str
    external_id: str
    value: Shown
    sees: frozenset[int]
    glimpses: frozenset[int]
    from_nothing: bool = False

    def __str__(self) -> str:
        return (
            f"edit {self.number} of client {self.client} {self.unit}={self.value!r} in {self.system}/{self.external_id}"
        )


@dataclass(slots=True)
class Facts:
    """What the oracle was told about the tenant."""

    profiles: dict[str, Profile]
    order: tuple[str, ...]
    modes: dict[str, Mode] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    targets: dict[str, frozenset[str]] = field(default_factory=dict)
    on_delete: dict[str, str] = field(default_factory=dict)


def plain(unit: str, value: Shown) -> Shown:
    """A value as it is compared here: an address without empty parts is None."""
    if unit == "address" and isinstance(value, Mapping):
        return dict(value) if any(part is not None for part in value.values()) else None
    return value


def alike(value: Shown) -> Shown:
    """An e-mail as it is compared: whatever its case."""
    return value.casefold() if isinstance(value, str) else value


class Oracle:
    """Told of every edit, effect and sight while they happen; judges at the end."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.edits: list[Edit] = []
        self.cells: dict[Cell, list[Edit]] = defaultdict(list)
        self.owner: dict[tuple[str, str], int] = {}
        self.shown: dict[Place, int | None] = {}
        self.first_known: dict[tuple[str, str], int] = {}
        self.known: dict[Place, int | None] = {}
        self.put_away: set[Place] = set()
        """Where a record is archived because syncd archived it for another one of its client: nobody typed that it is."""
        self.known_put_away: set[Place] = set()
        """Of those the ones that syncd knows to be so: it was shown it, and nothing else since."""
        self.at_work: Callable[[], int] = lambda: 0
        """Who of those that go on side by side is at work: what each of them sees counts when it has committed."""
        self._sighted: dict[int, list[Sight]] = defaultdict(list)
        self.created: dict[tuple[int, str], list[str]] = defaultdict(list)
        self.typed_records: set[tuple[str, str]] = set()
        self.removed: dict[tuple[str, str], int] = {}
        self.syncd_removed: set[tuple[str, str]] = set()
        self.unmapped: dict[tuple[str, str], Any] = {}
        self.hidden: set[Place] = set()
        self.window: set[int] = set()
        self.refused: set[int] = set()
        self.allowed_creates: dict[tuple[int, str], int] = defaultdict(int)
        self.dropped: set[tuple[str, str]] = set()
        self.lived_with: set[tuple[int, str, str]] = set()
        self.paged: list[Sight] = []
        self._handed: dict[int, list[Sight]] = defaultdict(list)
        self.joined: set[int] = set()
        self.torn: set[int] = set()
        """Clients of whom people said that some of their records are somebody else: they may have more than one record in a system."""
        self.kinship: dict[int, set[int]] = {}
        self.absorbed: dict[tuple[str, str], str] = {}
        """Record that a person merged away inside its system -> the one that took its place there."""
        self.renamed: set[tuple[str, str]] = set()
        """Records that got another id: only by name and e-mail can syncd tell whose they are, until it has seen them."""
        self.carried: dict[int, int] = {}
        """What a record that got another id shows from its first moment there -> the edit that it showed under its former id."""
        self.unheard: set[int] = set()
        """Edits typed into a record that stands apart after a merge: it asks for nothing any more."""
        self.writes = 0
        self.clock = 0
        self.quiet = False
        self.forbidden: set[str] = set()
        self.overwritten: dict[int, int] = {}
        self.stale_since: dict[str, int] = {}
        self.still_since: dict[str, int] = {}
        """Systems whose lists stand still -> how many edits there were when what they show was so."""
        self.late = False
        self.back: set[int] = set()
        """Edits that give a record the value again that syncd knows it to have: to syncd nothing has happened."""
        self._told: dict[Place, list[Shown]] = defaultdict(list)
        """What updates told a record whose outcome nobody knows, since the last one of the same field that was answered."""
        self.echoes: set[int] = set()
        """Edits that give a record a value that such an update told it: nobody can tell them from its late effect."""
        self.read_edits: set[int | None] = set()
        self.listed_in: dict[str, int | None] | None = None
        """System -> the cycle in which the list began that this cycle took in, None where it stood still. None: all lists begin with it."""

    @property
    def sighted(self) -> list[Sight]:
        """What the answer to the last write showed."""
        return self._sighted[self.at_work()]

    @property
    def handed(self) -> list[Sight]:
        """What readings showed since the last commit."""
        return self._handed[self.at_work()]

    # -- who may be one client -------------------------------------------------------------------------------------

    def join(self, clients: Iterable[int]) -> None:
        """From now on these may be one client: a person said so, or typed what proves it."""
        whole: set[int] = set()
        for client in clients:
            whole |= self.kin(client)
        for client in whole:
            self.kinship[client] = whole

    def kin(self, client: int) -> set[int]:
        """A client and everybody whom people ever made one with it."""
        return self.kinship.get(client, {client})

    def cell(self, whose: Iterable[int], unit: str) -> list[Edit]:
        """Everything that was typed for a unit of some clients, in order."""
        return sorted((edit for each in whose for edit in self.cells[(each, unit)]), key=lambda edit: edit.number)

    # -- what is told ----------------------------------------------------------------------------------------------

    def tick(self) -> int:
        """The number of the next thing that happens."""
        self.clock += 1
        return self.clock

    def shape(self, system: str, unit: str, raw: Mapping[str, Value]) -> Shown:
        """What a raw record shows of a unit."""
        parts = parts_held(self.facts.profiles[system], unit)
        if unit == "address":
            return plain(unit, {part: raw.get(part) for part in parts})
        return raw.get(parts[0]) if parts else None

    def form(self, system: str, unit: str, value: Shown) -> Shown:
        """A value as a system would show it."""
        profile = self.facts.profiles[system]
        parts = parts_held(profile, unit)
        if unit == "address":
            if value is None:
                return None
            return plain(unit, {part: profile.form(part, value[part]) for part in parts if part in value})
        return profile.form(parts[0], value) if parts else None

    def typed(
        self, client: int, system: str, external_id: str, raw: Mapping[str, Value], units: Iterable[str]
    ) -> list[Edit]:
        """A person typed units of a record, which now is `raw`."""
        self.owner[(system, external_id)] = client
        made = []
        for unit in units:
            place = (system, external_id, unit)
            if not parts_held(self.facts.profiles[system], unit):
                continue
            before = self.shown.get(place)
            sees, glimpses = self._views(place, before)
            edit = Edit(
                len(self.edits),
                client,
                unit,
                system,
                external_id,
                self.shape(system, unit, raw),
                sees,
                glimpses,
                before is None,
            )
            self._add(edit)
            if edit.value == self._known_to_show(place):
                self.back.add(edit.number)
            self.shown[place] = edit.number
            self.put_away.discard(place)
            made.append(edit)
        return made

    def _known_to_show(self, place: Place) -> Shown:
        """What syncd knows a record to show, as far as the oracle was told. Archived by syncd itself it is no less archived."""
        system, _, unit = place
        known = self.known.get(place)
        if known is None:
            return True if place in self.known_put_away else self.shape(system, unit, {})
        return self.form(system, unit, self.edits[known].value)

    def syncd_told(self, system: str, external_id: str, patch: Mapping[str, Value], *, answered: bool) -> None:
        """Syncd sent an update: its outcome is known, or is not."""
        for unit in UNITS:
            parts = set(ADDRESS) if unit == "address" else {unit}
            place = (system, external_id, unit)
            if not parts & patch.keys() or not parts_held(self.facts.profiles[system], unit):
                continue
            if answered:
                self._told.pop(place, None)
            else:
                self._told[place].append(self.shape(system, unit, patch))

    def _add(self, edit: Edit) -> None:
        self.tick()
        if edit.value in self._told.get((edit.system, edit.external_id, edit.unit), ()):
            self.echoes.add(edit.number)
        self.edits.append(edit)
        self.cells[(edit.client, edit.unit)].append(edit)
        self.overwritten[edit.number] = self.clock

    def _views(self, place: Place, before: int | None) -> tuple[frozenset[int], frozenset[int]]:
        if before is None:
            return frozenset(), frozenset()
        old = self.edits[before]
        mine = (old.system, old.external_id, old.unit) == place
        glimpses = old.glimpses | {before}
        sure = mine or self.known.get(place) == before
        return (old.sees | {before} if sure else frozenset()), glimpses

    def decided(self, client: int, unit: str, value: Shown, over: Iterable[int]) -> Edit:
        """A person decided a value in syncd itself, in view of some edits."""
        seen: set[int] = set()
        for number in over:
            seen |= self.edits[number].glimpses | {number}
        edit = Edit(len(self.edits), client, unit, "operator", "", value, frozenset(), frozenset(seen))
        self._add(edit)
        self.read_edits.add(edit.number)
        return edit

    def deleted_by_person(self, system: str, external_id: str) -> None:
        """A person deleted a record."""
        client = self.owner[(system, external_id)]
        self.removed[(system, external_id)] = self.tick()
        if (system, external_id) not in self.first_known:
            self.allowed_creates[(client, system)] += 1  # nobody could tell that it was ever there
        place = (system, external_id, "archived")
        sees, glimpses = self._views(place, self.shown.get(place))
        self._add(Edit(len(self.edits), client, "archived", system, external_id, True, sees, glimpses))

    def touched(self, system: str, external_id: str, value: Any) -> None:
        """A person changed something that no field maps."""
        self.unmapped[(system, external_id)] = value

    def read(self, system: str, external_id: str, complete: bool) -> int:
        """A record was handed to syncd; what it shows counts as known when the cycle has ended."""
        if complete and system not in self.stale_since:
            for unit in UNITS:
                place = (system, external_id, unit)
                if place in self.shown:
                    self.handed.append((place, self.shown[place], place in self.put_away))
                    self.read_edits.add(self.shown[place])
        return self.stale_since.get(system, self.clock)

    def committed(self) -> None:
        """Syncd's store committed: the answer to its last write is known."""
        self._know(self.sighted)
        self.sighted.clear()
        self.paged.extend(self.handed)
        self.handed.clear()

    def failed(self, system: str) -> None:
        """A reading failed: what else was handed out for the same page is not taken in."""
        self.handed[:] = [each for each in self.handed if each[0][0] != system]

    def unanswered(self) -> None:
        """The answer to the last write was lost."""
        self.sighted.clear()

    def crashed(self) -> None:
        """What was read and not decided about is forgotten."""
        self._sighted.clear()
        self._handed.clear()
        self.paged.clear()

    def ended(self, linked: Collection[tuple[str, str]]) -> None:
        """A cycle ended: what its walks showed of records that belong to a client has been taken in."""
        self._know(each for each in self.paged if each[0][:2] in linked)
        self.paged.clear()

    def _know(self, sights: Iterable[Sight]) -> None:
        for place, number, put_away in sights:
            self.first_known.setdefault(place[:2], len(self.edits))
            self.known[place] = number
            (self.known_put_away.add if put_away else self.known_put_away.discard)(place)

    # -- effects of syncd ------------------------------------------------------------------------------------------

    def _effect(self, system: str) -> None:
        self.writes += 1
        self.tick()
        if self.quiet:
            message = f"a write to {system} after everything had become quiet"
            raise Violation(message)
        if system in self.forbidden and not self.late:
            message = f"a write to {system} while its credentials belong to another account"
            raise Violation(message)
        if self.facts.modes[system] is Mode.OBSERVE:
            message = f"a write to {system}, which is only observed"
            raise Violation(message)

    def syncd_created(self, system: str, external_id: str, raw: Mapping[str, Value], whose: int | None = None) -> int:
        """Syncd made a record; returns whose it is, told by the name that somebody typed unless it is known."""
        self._effect(system)
        if not self.facts.modes[system].creates:
            message = f"{system}: a create, and the mode is {self.facts.modes[system].value}"
            raise Violation(message)
        name = raw.get("name")
        named = [e.client for e in self.edits if e.unit == "name" and self.form(system, "name", e.value) == name]
        if not named:
            message = f"{system}/{external_id} was created with the name {name!r}, which nobody typed"
            raise Violation(message)
        client = named[-1] if whose is None else whose
        earlier = [ref for ref, owner in self.owner.items() if owner == client and ref[0] == system]
        self.owner[(system, external_id)] = client
        self.created[(client, system)].append(external_id)
        allowed = self.allowed_creates[(client, system)]
        if len(earlier) > allowed and client not in self.joined | self.torn:
            message = f"{system}/{external_id} was created for client {client}, who had {earlier} there already"
            raise Violation(message)
        for unit in UNITS:
            place = (system, external_id, unit)
            self.shown[place] = None
            value = self.shape(system, unit, raw)
            if value is not None and not (unit == "archived" and value is False):
                self.shown[place] = self._source(client, unit, system, external_id, value)
            elif value is None:
                cleared = [edit.number for edit in self.cell(self.kin(client), unit) if edit.value is None]
                self.shown[place] = max((number for number in cleared if number in self.read_edits), default=None)
            self._may_send(system, unit, value)
            self.sighted.append((place, self.shown[place], False))
        return client

    def _may_send(self, system: str, unit: str, value: Shown) -> None:
        targets = self.facts.targets.get(unit)
        if value not in (None, False) and targets is not None and system not in targets:
            message = f"{unit} was written to {system}, although it is written only to {sorted(targets)}"
            raise Violation(message)

    def _source(self, client: int, unit: str, system: str, external_id: str, value: Shown) -> int | None:
        """The latest edit of the cell that a value in a system descends from, of those that syncd has read if there are any."""
        cell = self.cell(self.kin(client), unit)
        typed = [edit.number for edit in cell if self.matches(system, unit, value, edit.value)]
        if typed:
            return max(typed, key=lambda number: (number in self.read_edits, number))
        if value is None and unit in self.facts.sources:
            return None  # what somebody typed who may not is taken back
        if value is None and client in self.torn:
            return None  # a field that nobody ever filled is empty again when a merge is taken back
        if unit == "archived" and not value:
            return None  # nobody has to type that a client is not archived
        if unit == "archived" and self._has_another(client, system, external_id):
            return None  # of two records of one client in one system one is archived
        message = f"{system}/{external_id}: {unit} became {value!r}, which nobody typed for client {client}"
        raise Violation(message)

    def _has_another(self, client: int, system: str, external_id: str) -> bool:
        """Whether the client, or one that it may have been merged with, has another record in a system."""
        kin = self.kin(client)
        return any(
            ref[0] == system and ref[1] != external_id and ref not in self.removed
            for ref, owner in self.owner.items()
            if owner in kin
        )

    def matches(self, system: str, unit: str, shown: Shown, typed: Shown) -> bool:
        """Whether a system that was told `typed` may show `shown`."""
        form = self.form(system, unit, typed)
        if unit == "email":
            return bool(alike(form) == alike(shown))
        if unit != "address":
            return bool(form == shown or (unit == "archived" and not form and not shown))
        if form is None or shown is None:
            return bool(form is None and shown is None)
        rest = {part for part, value in shown.items() if value is not None and part not in form}
        return all(
            shown.get(part) == value or self._spelt(system, part, shown.get(part), value)
            for part, value in form.items()
        ) and (not rest or self._kept(shown, form, rest))

    def _spelt(self, system: str, part: str, shown: Value, typed: Value) -> bool:
        """Whether a part of an address is in the spelling of an earlier address: one that says the same keeps its letters."""
        return alike(shown) == alike(typed) and any(
            edit.unit == "address" and (self.form(system, "address", edit.value) or {}).get(part) == shown
            for edit in self.edits
        )

    def _kept(self, shown: Mapping[str, Value], form: Mapping[str, Value], rest: Collection[str]) -> bool:
        """Whether the parts of an address that its author's system cannot hold are those of an address that is otherwise the same."""
        core = [part for part in ADDRESS_CORE if part in form]
        return any(
            edit.unit == "address"
            and isinstance(edit.value, Mapping)
            and all(
                alike(edit.value.get(part)) in (alike(shown.get(part)), alike(self._there(edit, shown).get(part)))
                for part in [*core, *rest]
            )
            for edit in self.edits
        )

    def _there(self, edit: Edit, shown: Mapping[str, Value]) -> Mapping[str, Value]:
        """An address as the system of an edit would show it."""
        form = self.form(edit.system, "address", shown) if edit.system in self.facts.profiles else None
        return form if isinstance(form, Mapping) else {}

    def syncd_updated(
        self,
        system: str,
        external_id: str,
        before: Mapping[str, Value],
        after: Mapping[str, Value],
        patch: Iterable[str],
        since: int,
    ) -> None:
        """Syncd changed a record that it had read at `since`."""
        self._effect(system)
        if not self.facts.modes[system].updates:
            message = f"{system}: an update, and the mode is {self.facts.modes[system].value}"
            raise Violation(message)
        client = self.owner[(system, external_id)]
        planned = set(patch)
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key) and key not in planned:
                message = f"{system}/{external_id}: {key} changed with a write of {sorted(planned)}"
                raise Violation(message)
        for unit in UNITS:
            parts = set(ADDRESS) if unit == "address" else {unit}
            if not parts & planned or not parts_held(self.facts.profiles[system], unit):
                continue
            place = (system, external_id, unit)
            value = self.shape(system, unit, after)
            self._may_send(system, unit, value)
            last = self.shown.get(place)
            seen = last is None or self.overwritten[last] <= since
            if (
                unit == "marketing_consent"
                and seen
                and self.shape(system, unit, before) is False
                and value is not False
            ):
                self._opt_out_holds(client, system, external_id)
            source = self._source(client, unit, system, external_id, value)
            old = self.shown.get(place)
            mine = old is not None and self.edits[old].system == system and self.edits[old].external_id == external_id
            if old is not None and mine and self.overwritten[old] > since:
                self.window.add(old)
            if old == source and mine and self.overwritten[old] <= since and value == self.shape(system, unit, before):
                message = f"{system}/{external_id}: {unit} of client {client} was written to where it was typed"
                raise Violation(message)
            self.shown[place] = source
            put_away = unit == "archived" and value is True and source is None
            (self.put_away.add if put_away else self.put_away.discard)(place)
            self.sighted.append((place, source, put_away))
        self.read_edits.update(
            self.shown.get((system, external_id, unit)) for unit in UNITS
        )  # the answer shows all of it

    def _opt_out_holds(self, client: int, system: str, external_id: str) -> None:
        decided = any(e.system == "operator" for e in self.cell(self.kin(client), "marketing_consent"))
        if not decided:
            message = f"{system}/{external_id}: an opt-out was reversed"
            raise Violation(message)

    def syncd_deleted(self, system: str, external_id: str) -> None:
        """Syncd deleted a record."""
        self._effect(system)
        client = self.owner[(system, external_id)]
        self.syncd_removed.add((system, external_id))
        if self.facts.on_delete.get(system) != "delete":
            message = f"{system}/{external_id} was deleted, and the tenant's file does not say so"
            raise Violation(message)
        if not any(self.owner[ref] in self.kin(client) for ref in self.removed):
            message = f"{system}/{external_id} was deleted, and nobody deleted client {client} anywhere"
            raise Violation(message)
