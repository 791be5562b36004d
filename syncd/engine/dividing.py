"""The golden records of two clients that were one: what each of them holds once a merge is taken back, field by field.

A field that nobody has edited since the merge is what it was before it. An edit made since stays with the client in whose record it was made,
also one that the other client's record overwrote later or won against, and one that said what the merged client said already
(`syncd.engine.echoes`: such edits move no golden record, so that no change tells of them). An opt-out stays with both. Contacts are divided
like that one by one: those that the merge brought to the other one's records are no contacts of its client any more, and what becomes of
them there the policy for deletes says. Notes are only ever added: those that were told stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from syncd.core import normalize
from syncd.core.children import PREFIX, element_of, elements
from syncd.core.children.roster import listed
from syncd.core.merge import absorb
from syncd.core.model import UNKNOWN, Context, Maybe, Value, parts_of, unit_fields, unit_value, units_in
from syncd.core.survivorship import CONSENT, OPERATOR
from syncd.engine.decide import GATHERED
from syncd.engine.echoes import ECHOES
from syncd.engine.systems import number_of
from syncd.store import ChangeRow, ClientRow, LinkRow, MergeRow, MergeState, RecordKey

if TYPE_CHECKING:
    from syncd.store import Tx


@dataclass(frozen=True, slots=True)
class Left:
    """A field that taking a merge back does not restore. client: who holds it now."""

    client: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A value that a unit got since the merge. client: who keeps it. system: where it was typed, "" where it was decided here.

    by_hand: a person decided it here.
    """

    number: int
    unit: str
    client: str
    value: Maybe
    system: str
    by_hand: bool = False


@dataclass(slots=True)
class Division:
    """The golden records of two clients that were one, field by field."""

    tx: Tx
    row: MergeRow
    now: ClientRow
    gone: ClientRow
    mine: set[RecordKey]
    records: frozenset[RecordKey]
    context: Context
    winner: dict[str, Value] = field(init=False)
    loser: dict[str, Value] = field(init=False)
    winner_origins: dict[str, str] = field(init=False)
    loser_origins: dict[str, str] = field(init=False)
    left: list[Left] = field(default_factory=list)
    theirs: set[str] = field(default_factory=set)
    ours: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        clients, after = self.row.snapshot["clients"], self.row.snapshot["after"]
        first, second = clients[self.row.winner], clients[self.gone.client]
        self.winner, self.winner_origins = dict(self.now.fields), dict(self.now.origins)
        self.loser, self.loser_origins = dict(second["fields"]), dict(second["origins"])
        edits = self._edits()
        for unit in units_in({**self.now.fields, **after["fields"], **first["fields"], **second["fields"]}):
            if unit not in GATHERED:
                self._divide(unit, first, after, edits.get(unit, []))
        self._divide_contacts(first, second)
        if self.now.fields.get("notes") != first["fields"].get("notes"):
            self._note(self.row.winner, "notes", "notes are only ever added; those that the merge brought stay")

    def _divide(self, unit: str, first: Mapping[str, Any], after: Mapping[str, Any], edits: Sequence[Edit]) -> None:
        """One unit of both: what was edited last in the records of each, else what it was before the merge."""
        present, then = unit_value(self.now.fields, unit), unit_value(after["fields"], unit)
        ours, theirs = (
            [each for each in edits if each.client == client] for client in (self.row.winner, self.gone.client)
        )
        last = edits[-1] if edits else None
        if last is not None and last.client == self.gone.client:
            self._restore(unit, first, present)
            if ours and not (unit == CONSENT and present is False):
                _set(self.winner, self.winner_origins, ours[-1])
        elif self._same(unit, present, then) and not (last is not None and last.system):
            self._restore(unit, first, present)
            if last is not None and last.by_hand and self._same(unit, present, unit_value(self.winner, unit)):
                # A person said since that this is the value: it ranks before all systems.
                self.winner_origins.pop(unit, None)
        else:
            self._note(self.row.winner, unit, "edited since the merge; the edit stays")
        if theirs:
            _set(self.loser, self.loser_origins, theirs[-1])
            self._note(self.gone.client, unit, "edited since the merge, in one of its records; the edit goes with it")
        if theirs and self._same(unit, present, theirs[-1].value):
            _copy(self.loser, unit, self.now.fields)
        if unit == CONSENT and present is False and self.loser.get(unit) is not False:
            self.loser[unit] = False
            self._note(self.gone.client, unit, "an opt-out is never taken back")

    def _divide_contacts(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
        """Who keeps which contact, by its element; the other one's are buried in the records to which the merge brought them."""
        alike: Mapping[str, str] = self.row.snapshot.get("alike", {})
        mine, other = (_by_id(each["fields"].get("contacts")) for each in (first, second))
        now, since = _by_id(self.now.fields.get("contacts")), self._added_in()
        self.theirs = {
            element
            for element in now
            if element not in mine and (element in other or since.get(element) == self.gone.client)
        }
        own = {element for element, each in (now | other).items() if each.get("primary") is True}
        self.ours = now.keys() - self.theirs - set(alike.values()) - own
        back = [
            each if element in alike or element in own else now[element]
            for element, each in other.items()
            if element in now or element in alike or element in own
        ]
        added = [
            now[element] for element in sorted(self.theirs - other.keys()) if not self._is_primary(now[element], second)
        ]
        if "contacts" in self.now.fields:
            self.winner["contacts"] = listed(each for element, each in now.items() if element not in self.theirs)
        if "contacts" in second["fields"] or added:
            self.loser["contacts"] = listed([*back, *added])
        for name in [name for name in self.winner_origins if name.startswith(PREFIX)]:
            if element_of(name)[0] in self.theirs:
                del self.winner_origins[name]
        if self.theirs:
            words = "the merge brought some to its records; they are the other one's again, and go there by `on_delete`"
            self._note(self.row.winner, "contacts", words)

    def _is_primary(self, contact: Mapping[str, Value], second: Mapping[str, Any]) -> bool:
        """Whether a contact stands for the one that was merged away itself: it bears its e-mail, or its name and no other e-mail."""
        email, name = second["fields"].get("email"), second["fields"].get("name")
        if email and contact.get("email"):
            return self._same("email", contact["email"], email)
        return bool(name) and contact.get("name") == name

    def _added_in(self) -> dict[str, str]:
        """Contact -> the client in whose record it was seen first, of those that came since the merge."""
        owners: dict[str, str] = {}
        for change in self._since():
            if change.unit == "contacts":
                for element in _by_id(change.after).keys() - _by_id(change.before).keys():
                    owners[element] = self._owner(change.system, change.external_id)
        return owners

    def _since(self) -> list[ChangeRow]:
        """What changed since the merge in the merged client, or in its records while they were another one's by a later merge."""
        number, here = number_of(self.row.snapshot["number"]), self.row.winner
        found = [change for change in self.tx.changes(here) if number_of(change.change) > number]
        for row in self.tx.merges(MergeState.UNDONE):
            if here in row.losers and number_of(row.snapshot["number"]) > number:
                found += [
                    change
                    for change in self.tx.changes(row.winner)
                    if number_of(change.change) > number_of(row.snapshot["number"])
                    and (change.system, change.external_id) in self.records
                    and change not in found
                ]
        return sorted(found, key=lambda change: number_of(change.change))

    def _owner(self, system: str, external_id: str | None) -> str:
        return self.gone.client if (system, external_id) in self.mine else self.row.winner

    def _edits(self) -> dict[str, list[Edit]]:
        """Unit -> its edits since the merge, in order."""
        echoes = self.row.snapshot.get(ECHOES, ())
        found = [
            *(
                Edit(
                    number_of(each["number"]),
                    each["unit"],
                    self._owner(each["system"], each["external_id"]),
                    each["value"],
                    each["system"],
                )
                for each in echoes
            ),
            *(
                Edit(
                    number_of(change.change),
                    change.unit,
                    self._owner(change.system, change.external_id),
                    change.after,
                    change.system if change.external_id is not None else "",
                    by_hand=change.system == OPERATOR,
                )
                for change in self._since()
            ),
        ]
        lost = {number_of(each["number"]): each.get("against") for each in echoes if each.get("lost")}
        filled = frozenset(self.row.snapshot["filled"])
        edits: dict[str, list[Edit]] = {}
        holds: dict[str, str] = {}
        for each in sorted(found, key=lambda each: each.number):
            held = holds.get(each.unit, self.gone.client if each.unit in filled else self.row.winner)
            rival = lost.get(each.number)
            if each.number not in lost:
                holds[each.unit] = each.client
            elif each.client == (self._owner(*rival) if rival else held):
                continue  # it lost against a value of its own client
            edits.setdefault(each.unit, []).append(each)
        return edits

    def buried(self, links: Iterable[LinkRow]) -> list[LinkRow]:
        """The links of both clients, with the ties to the other one's contacts marked as dropped by golden."""
        found: list[LinkRow] = []
        for link in links:
            strange = self.ours if link.client == self.gone.client else self.theirs
            bases = dict(link.bases)
            for element in strange:
                base = bases.get(f"{PREFIX}{element}")
                if base is not None and isinstance(base.seen, dict) and base.seen.get("gone") is not True:
                    bases[f"{PREFIX}{element}"] = replace(base, seen={**base.seen, "buried": True})
            found.append(replace(link, bases=bases))
        return found

    def _restore(self, unit: str, first: Mapping[str, Any], present: Maybe) -> None:
        before = unit_value(first["fields"], unit)
        if unit == CONSENT and present is False and before is not False:
            self._note(self.row.winner, unit, "an opt-out is never taken back")
            return
        _copy(self.winner, unit, first["fields"])
        _move_origin(self.winner_origins, first["origins"], unit)

    def _note(self, client: str, unit: str, reason: str) -> None:
        self.left.append(Left(client, unit, reason))

    def _same(self, unit: str, left: Maybe, right: Maybe) -> bool:
        if left is UNKNOWN or right is UNKNOWN:
            return left is right or (left in (UNKNOWN, None) and right in (UNKNOWN, None))
        return normalize.same(unit, left, right, self.context.within(self.now.fields))


def _by_id(contacts: Maybe) -> dict[str, dict[str, Value]]:
    return {str(each["id"]): each for each in elements(contacts)}


def _set(fields: dict[str, Value], origins: dict[str, str], edit: Edit) -> None:
    """The unit of an edit as the edit left it: of a group its system may hold only some parts."""
    before = unit_value(fields, edit.unit)
    if edit.value is not UNKNOWN:
        fields.update(
            unit_fields(edit.unit, absorb(edit.unit, None if before is UNKNOWN else before, edit.value, None))
        )
    origins.pop(edit.unit, None)
    if edit.system:
        origins[edit.unit] = edit.system


def _copy(fields: dict[str, Value], unit: str, source: Mapping[str, Value]) -> None:
    """The unit as another golden record has it, part by part: what is unknown there is unknown here."""
    for part in parts_of(unit):
        fields.pop(part, None)
        if part in source:
            fields[part] = source[part]


def _move_origin(origins: dict[str, str], source: Mapping[str, str], unit: str) -> None:
    origins.pop(unit, None)
    if unit in source:
        origins[unit] = str(source[unit])
