"""The judgement over a life that has come to rest: the store and the worlds against what the oracle was told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from syncd.core.model import ADDRESS_CORE, UNKNOWN, Rule, unit_value
from syncd.errors import Gone
from syncd.store import (
    ClientState,
    ConflictKind,
    ConflictStatus,
    HoldKind,
    HoldState,
    LinkState,
    MergeState,
    RecordState,
    StandingState,
    WriteState,
)
from tests.simulation.oracle import Edit, Shown, Violation, alike, plain
from tests.simulation.systems import ADDRESS, UNITS, parts_held

if TYPE_CHECKING:
    from tests.simulation.life import Life

FILLED_IN = ("payment_terms_days", "marketing_consent", "archived")
SUPERSEDED = "superseded by a newer edit"


def told(value: Shown) -> str:
    """A value as text, whatever the order of its parts."""
    return repr(sorted(value.items())) if isinstance(value, Mapping) else repr(value)


def may_be_a_form(shown: Shown, value: Shown) -> bool:
    """Whether a system that cuts or re-cases texts could show a value so; of an address every part."""
    if isinstance(shown, Mapping) and isinstance(value, Mapping):
        return all(may_be_a_form(shown.get(part), value.get(part)) for part in shown)
    if isinstance(shown, str) and isinstance(value, str):
        return bool(shown) and value.casefold().startswith(shown.casefold())
    return shown == value


class Judge:
    """Judges one life; `judge` raises the first Violation."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.oracle = life.oracle
        self.worlds = life.worlds
        engine = life.engine
        assert engine is not None
        with engine.store.reading() as tx:
            self.clients = {row.client: row for row in tx.clients()}
            self.links = {
                (link.system, link.external_id): link
                for links in tx.links_of(list(self.clients)).values()
                for link in links
            }
            self.records = {
                (name, row.external_id): row
                for name, each in self.worlds.items()
                for row in tx.records(name, [str(number) for number in range(1, 200)]).values()
            }
            self.conflicts = tx.conflicts()
            self.holds = tx.holds(None)
            self.writes = tx.writes()
            self.standings = {(row.client, row.system): row for row in tx.standings()}
            self.ends = {identifier: tx.resolve_alias(identifier) or identifier for identifier in self.clients}
            self.merges = tx.merges()
        self.quiet = engine.quiet()
        self.owners = self._owners()

    def _owners(self) -> dict[str, set[int]]:
        owners: dict[str, set[int]] = defaultdict(set)
        for ref, link in self.links.items():
            if ref in self.oracle.owner:
                owners[link.client].add(self.oracle.owner[ref])
        return owners

    def judge(self) -> None:
        """Everything, the plainest first."""
        self._mirror()
        self._outbox()
        self._partition()
        self._unmapped()
        self._tombstones()
        self._merged()
        for identifier, whose in sorted(self.owners.items()):
            if not whose & self.oracle.joined:
                self._golden(identifier, whose)
                self._convergence(identifier, whose)
        self._conflicts()
        self._edits()
        self._counts()

    def _fail(self, message: str) -> None:
        raise Violation(message)

    # -- the store and the worlds ----------------------------------------------------------------------------------

    def _mirror(self) -> None:
        for name, each in self.worlds.items():
            there = set(each.ids())
            mirrored = {
                ref[1] for ref, row in self.records.items() if ref[0] == name and row.state is RecordState.PRESENT
            }
            if there != mirrored:
                self._fail(f"{name} holds {sorted(there)}, its mirror {sorted(mirrored)}")
            for external_id in there:
                try:
                    shown = each.shown(external_id)
                except Gone:  # pragma: no cover - it is there
                    continue
                if self.records[(name, external_id)].raw != shown:
                    self._fail(f"the mirror of {name}/{external_id} is not what the system shows")

    def _outbox(self) -> None:
        open_states = (WriteState.WAITING, WriteState.SENDING, WriteState.IN_DOUBT)
        for row in self.writes:
            if row.state in open_states:
                self._fail(f"{row.write} is still {row.state.value} ({row.action.value} in {row.system}, {row.error})")
            if row.state is WriteState.PARKED and not self._may_park(row):
                self._fail(f"{row.write} is parked without a reason: {row.error}")
        if not self.quiet.quiescent:
            self._fail(f"it is not quiescent: {self.quiet.reasons}")

    def _may_park(self, row: Any) -> bool:
        code = (row.error or {}).get("code")
        if code == "rejected":
            return self.life.plan.has("rejections")
        if code == "duplicate":
            # Two whom a person keeps apart may have been given one e-mail, which the system has once.
            refused = [hold for hold in self.holds if hold.kind is HoldKind.LINK and hold.state is HoldState.REFUSED]
            apart = {str(item.get("client")) for hold in refused for item in hold.items}
            return bool(self.life.plan.joins) or row.client in apart
        return False

    def _partition(self) -> None:
        told = {
            str(item["client"])
            for hold in self.holds
            if hold.kind in (HoldKind.LINK, HoldKind.MERGE)
            for item in hold.items
            if item.get("client")
        }
        for identifier, whose in self.owners.items():
            if len(whose) > 1 and not whose <= self.oracle.joined and not whose <= self.oracle.kin(min(whose)):
                self._fail(f"{identifier} has records of clients {sorted(whose)}")
        mine: dict[int, set[str]] = defaultdict(set)
        for ref, link in self.links.items():
            if ref in self.oracle.owner:
                mine[self.oracle.owner[ref]].add(link.client)
        for client, identifiers in mine.items():
            excused = client in self.oracle.joined | self.oracle.torn
            if len(identifiers - self._whose_end_is_asked()) > 1 and not identifiers & told and not excused:
                self._fail(f"client {client} is torn into {sorted(identifiers)}")
        for name, each in self.worlds.items():
            for external_id in each.ids():
                if (name, external_id) not in self.links:
                    self._fail(f"{name}/{external_id} belongs to no client")

    def _whose_end_is_asked(self) -> set[str]:
        """Clients that exist only in records of which a person is asked whether they were deleted.

        Of a record that got another id, and other words in every field before it was read again, nobody can tell that it is the same. One that
        stands in another system too, and so is there twice, is none of them; neither is one whose end was believed.
        """
        asked = {
            (item.get("system"), item.get("external_id"))
            for hold in self.holds
            if hold.kind is HoldKind.BRAKE and hold.state is HoldState.OPEN and hold.items[0].get("field") == "record"
            for item in hold.items
        }
        return {link.client for link in self.links.values()} - {
            link.client for ref, link in self.links.items() if ref not in asked
        }

    def _merged(self) -> None:
        """A merge has reached every system: one record stands for the client there, the others are archived where that can be done."""
        policy = self.life.plan.policy
        for identifier in {self.ends[row.winner] for row in self.merges if row.state is not MergeState.UNDONE}:
            mine = [(ref, link) for ref, link in self.links.items() if link.client == identifier]
            for name, world in self.worlds.items():
                standing = self.standings.get((identifier, name))
                waits = standing is not None and standing.state in (StandingState.FAILING, StandingState.HELD)
                # where a person dropped what the merge asks of a system, its other record is still needed there
                dropped = any((str(client), name) in self.oracle.dropped for client in self.owners.get(identifier, ()))
                ids = set(world.ids())  # one that vanished is judged with the tombstones: it may wait for a brake
                there = [
                    ref for ref, link in mine if ref[0] == name and link.state is LinkState.LINKED and ref[1] in ids
                ]
                if len(there) > 1 and not waits and not dropped and not self._held_units(identifier):
                    self._fail(f"{identifier} was merged, and has {there} in {name}: {standing}")
                able = world.profile.capabilities.archive and policy.system(name).mode.updates
                for ref in [ref for ref, link in mine if ref[0] == name and link.matched_by.endswith("(archived)")]:
                    there = ref[1] in world.ids()
                    if able and there and world.record(ref[1])["archived"] is not True and not self._touched(ref):
                        self._fail(f"{ref} was absorbed by another record of {identifier}, and is not archived")

        for ref, kept in self.life.joiner.moved.items():
            self._followed(ref, (ref[0], kept))

    def _followed(self, ref: tuple[str, str], kept: tuple[str, str]) -> None:
        """Where a system itself says into which record another one was merged, that is known, and is no delete."""
        link, other = self.links.get(ref), self.links.get(kept)
        if (
            link is None
            or other is None
            or link.state is not LinkState.GONE
            or kept[1] not in self.worlds[kept[0]].ids()
        ):
            return
        told = any(
            (item.get("system"), item.get("external_id")) == ref
            for hold in self.holds
            if hold.kind in (HoldKind.MERGE, HoldKind.BRAKE)
            for item in hold.items
        )
        taken_back = any(
            ref in each.these | each.those and kept in each.these | each.those for each in self.life.joiner.partings
        )  # a person said since that the two are not one
        if not told and link.client != other.client and not taken_back:
            self._fail(f"{ref} was merged into {kept} by its system, and counts as deleted")

    def _touched(self, ref: tuple[str, str]) -> bool:
        """Whether somebody has said of an absorbed record since that it is in use."""
        return any(edit.unit == "archived" for edit in self.oracle.edits if (edit.system, edit.external_id) == ref)

    def _unmapped(self) -> None:
        for (name, external_id), value in self.oracle.unmapped.items():
            if external_id in self.worlds[name].ids() and self.worlds[name].record(external_id).get("x_note") != value:
                self._fail(f"{name}/{external_id}: what no field maps has changed")

    def _tombstones(self) -> None:
        braked = {
            (str(item["system"]), str(item["external_id"]))
            for hold in self.holds
            if hold.kind is HoldKind.BRAKE and hold.state is HoldState.OPEN
            for item in hold.items
            if item.get("field") == "record"
        }
        for ref, link in self.links.items():
            exists = ref[1] in self.worlds[ref[0]].ids()
            if link.state is LinkState.GONE and exists:
                self._fail(f"{ref[0]}/{ref[1]} counts as gone, and it is there")
            if link.state is LinkState.LINKED and not exists and ref not in braked:
                self._fail(f"{ref[0]}/{ref[1]} is gone, and syncd has not taken it in")

    def _counts(self) -> None:
        for identifier, row in self.clients.items():
            for name in self.worlds:
                standing = self.standings.get((identifier, name))
                alive = row.state.value in ("active", "archived")
                if alive and standing is None:
                    self._fail(f"{identifier} has no standing in {name}")
                if not alive and standing is not None and row.state.value == "deleted":
                    self._fail(f"{identifier} is deleted and still counted in {name}")

    # -- golden records --------------------------------------------------------------------------------------------

    def _value(self, identifier: str, unit: str) -> Shown:
        value = unit_value(self.clients[identifier].fields, unit)
        if value is UNKNOWN:
            return None
        if unit == "name" and isinstance(value, Mapping):
            return value.get("name")
        return plain(unit, value)

    def _is(self, edit: Edit, value: Shown) -> bool:
        """Whether a golden value is that edit's, as the system in which it was typed can tell."""
        if edit.system == "operator":
            return bool(alike(plain(edit.unit, edit.value)) == alike(plain(edit.unit, value)))
        return self.oracle.matches(edit.system, edit.unit, self._form(edit.system, edit.unit, value), edit.value)

    def _form(self, system: str, unit: str, value: Shown) -> Shown:
        """What a system would show of a golden value: parts that golden does not know are empty there."""
        if unit == "address":
            full = {part: (value or {}).get(part) for part in ADDRESS}
            return self.oracle.form(system, unit, full)
        return self.oracle.form(system, unit, value)

    def _golden(self, identifier: str, whose: set[int]) -> None:
        kin = self._kin(whose)
        for unit in UNITS:
            value = self._value(identifier, unit)
            cell = self.oracle.cell(kin, unit)
            typed = any(self._is(edit, value) for edit in cell)
            empty = value is None or (unit == "archived" and value is False)
            if not typed and not empty:
                self._fail(f"golden {unit} of {identifier} is {value!r}, which nobody typed for {sorted(kin)}")
            if unit == "address" and isinstance(value, dict):
                self._whole(identifier, kin, value)

    def _kin(self, whose: Iterable[int]) -> set[int]:
        """Some true clients, and everybody whom people ever made one with them."""
        return {each for client in whose for each in self.oracle.kin(client)}

    def _whole(self, identifier: str, kin: set[int], value: Mapping[str, Any]) -> None:
        """Each part of an address was typed by somebody for this client."""
        for part, text in value.items():
            known = {(edit.value or {}).get(part) for edit in self.oracle.cell(kin, "address")}
            if text is not None and text not in known:
                self._fail(f"{part} of {identifier} is {text!r}, which nobody typed")

    def _held_units(self, identifier: str) -> set[str]:
        held = {row.unit for row in self.conflicts if row.client == identifier and row.status is ConflictStatus.OPEN}
        for hold in self.holds:
            if hold.state is HoldState.OPEN and hold.kind in (HoldKind.BRAKE, HoldKind.LOSSY, HoldKind.FIELD):
                held.update(str(item["field"]) for item in hold.items if item.get("client") == identifier)
            if hold.state is HoldState.OPEN and any(
                item.get("retired") and item["client"] == identifier for item in hold.items
            ):
                held.add("archived")  # whether it was archived or merged, a person is to say
        return held

    def _convergence(self, identifier: str, whose: set[int]) -> None:
        held = self._held_units(identifier)
        linked = {
            ref for ref, link in self.links.items() if link.client == identifier and link.state is LinkState.LINKED
        }
        for name, each in self.worlds.items():
            standing = self.standings.get((identifier, name))
            mine = [ref for ref in linked if ref[0] == name and ref[1] in each.ids()]
            if standing is not None and standing.state is StandingState.PENDING:
                self._fail(f"{identifier} is still pending in {name}: {standing.reason}")
            for ref in mine if len(mine) < 2 else ():  # noqa: PLR2004 - what a merge waits for is judged with the merges
                for unit in UNITS:
                    if unit not in held and not self._excused(whose, identifier, ref, unit):
                        self._shows(identifier, whose, ref, unit)
                self._remembered(identifier, whose, ref)
            if not mine:
                self._absent(identifier, whose, name, standing)

    def _excused(self, whose: set[int], identifier: str, ref: tuple[str, str], unit: str) -> bool:
        name = ref[0]
        policy = self.life.plan.policy
        profile = self.worlds[name].profile
        parts = parts_held(profile, unit)
        targets = policy.field(unit).targets
        standing = self.standings.get((identifier, name))
        failing = standing is not None and standing.state is StandingState.FAILING
        objected = standing is not None and standing.state is StandingState.EXCLUDED and "e-mail" in standing.reason
        vanished = any(
            item.get("field") == "record" and (item.get("client"), item.get("system")) == (identifier, name)
            for hold in self.holds
            if hold.kind is HoldKind.BRAKE and hold.state is HoldState.OPEN
            for item in hold.items
        )  # whether one of its records there was deleted, or this one has taken its place, a person is to say
        return (
            (not parts and not profile.spec(unit).remembered)
            or not all(profile.spec(part).update for part in parts)
            or not profile.capabilities.update
            or not policy.system(name).mode.updates
            or (targets is not None and name not in targets)
            or (*ref, unit) in self.oracle.hidden
            or any((str(client), name) in self.oracle.dropped for client in whose)
            or any((client, unit, name) in self.oracle.lived_with for client in whose)
            or (unit == "archived" and policy.system(name).on_delete == "ignore")
            or failing
            or objected
            or vanished
        )

    def _shows(self, identifier: str, whose: set[int], ref: tuple[str, str], unit: str) -> None:
        name, external_id = ref
        golden = self._value(identifier, unit)
        shown = self.oracle.shape(name, unit, self.worlds[name].record(external_id))
        wanted = self._form(name, unit, golden)
        sources = self.life.plan.policy.field(unit).sources
        if golden is None and (sources is not None or (unit in FILLED_IN and ref not in self.oracle.typed_records)):
            return
        if unit == "email":
            wanted, shown = alike(wanted), alike(shown)
        if self.life.plan.has("ignored_writes") and may_be_a_form(shown, golden):
            return  # an ignored write cannot be told from a system that cuts or spells by itself
        if plain(unit, wanted) != plain(unit, shown) and not (unit == "archived" and not wanted and not shown):
            self._fail(
                f"{unit} of {identifier} (client {sorted(whose)}) is {golden!r}; {name}/{external_id} shows {shown!r}"
            )

    def _remembered(self, identifier: str, whose: set[int], ref: tuple[str, str]) -> None:
        """What a system takes and never shows is there as golden says, once syncd has made the record."""
        name, external_id = ref
        world = self.worlds[name]
        if self.life.plan.has("ignored_writes"):
            return  # nobody can see whether what is never shown was taken
        for unit in ("details", "payment_terms_days"):
            told = world.profile.spec(unit).remembered and ref not in self.oracle.typed_records
            wanted = self._value(identifier, unit)
            if told and unit not in self._held_units(identifier) and not self._excused(whose, identifier, ref, unit):
                shown = world.record(external_id)[unit]
                if wanted is not None and shown is not None and shown != wanted:
                    self._fail(f"{unit} of {identifier} is {wanted!r}; {name}/{external_id} was told {shown!r}")

    def _absent(self, identifier: str, whose: set[int], name: str, standing: Any) -> None:
        """A client that is not in a system has to have a reason."""
        policy = self.life.plan.policy
        row = self.clients[identifier]
        world = self.worlds[name]
        provider_objects = world.profile.objects(row.fields) is not None or row.fields.get("name") is None
        gone = any(ref[0] == name and link.client == identifier for ref, link in self.links.items())
        held = standing is not None and standing.state in (StandingState.HELD, StandingState.FAILING)
        if (
            held
            and standing.state is StandingState.HELD
            and not any(hold.state is HoldState.OPEN for hold in self.holds)
        ):
            self._fail(f"{identifier} is held in {name}, and there is no hold: {standing.reason}")
        if (
            row.state.value == "active"
            and policy.system(name).mode.creates
            and not provider_objects
            and not gone
            and not held
            and not any((str(client), name) in self.oracle.dropped for client in whose)
        ):
            self._fail(f"{identifier} (client {sorted(whose)}) is not in {name}: {standing}")

    # -- conflicts -------------------------------------------------------------------------------------------------

    def _whose(self, identifier: str) -> set[int]:
        """The true clients of a client of syncd, also of one that was merged away."""
        home = self.life.joiner.home.get(identifier)
        mine = self.owners.get(identifier) or self.owners.get(self.ends[identifier], set())
        return mine if home is None else mine | {home}

    def _candidates(self, row: Any, client: int) -> list[tuple[str, Shown, list[Edit]]]:
        found = []
        for each in row.candidates:
            value = each["value"]
            if row.unit == "name" and isinstance(value, Mapping):
                value = value.get("name")
            value = plain(row.unit, value)
            name = each["system"]
            cell = self.oracle.cell(self.oracle.kin(client), row.unit)
            if name == "golden":
                edits = [edit for edit in cell if self._is(edit, value)]
            else:
                here = [edit for edit in cell if edit.system == name and plain(row.unit, edit.value) == value]
                edits = here or [
                    edit
                    for edit in cell
                    if self.oracle.matches(name, row.unit, self._form(name, row.unit, value), edit.value)
                ]
                edits += [edit for edit in cell if edit not in edits and self._is(edit, value)]
            found.append((name, value, edits))
        return found

    def _conflicts(self) -> None:
        for row in self.conflicts:
            whose = self._whose(row.client)
            if not whose or whose & self.oracle.joined or row.kind is ConflictKind.DELETE or row.unit not in UNITS:
                continue
            candidates = self._candidates(row, min(whose))
            for name, value, edits in candidates:
                if not edits and value is not None and not (row.unit == "archived" and value is False):
                    self._fail(f"{row.conflict} has the candidate {value!r} of {name}, which nobody typed")
            if len({repr(value) for _, value, _ in candidates}) < 2:  # noqa: PLR2004
                self._fail(f"{row.conflict} has one value only: {row.candidates}")
            if row.unit not in ("marketing_consent", "archived") and row.rule not in ("fill", "merge"):
                if not whose & self.oracle.torn:
                    self._concurrent(row, candidates)  # what is restored when a merge is taken back, nobody had in view
                self._winner(row, candidates)

    def _concurrent(self, row: Any, candidates: list[tuple[str, Shown, list[Edit]]]) -> None:
        for position, (name, value, edits) in enumerate(candidates):
            for other, rival, rivals in candidates[position + 1 :]:
                if value == rival or not edits or not rivals:
                    continue
                if all(a.number in b.sees or b.number in a.sees for a in edits for b in rivals):
                    a = edits[0]
                    self._fail(
                        f"{row.conflict} ({row.unit} of {row.client}, client {a.client}) is none: {name} {value!r} and {other} {rival!r} "
                        f"were typed in view of each other"
                    )

    def _winner(self, row: Any, candidates: list[tuple[str, Shown, list[Edit]]]) -> None:
        """Without golden among the candidates, the rule `order` names the first in order that has a value."""
        policy = self.life.plan.policy.field(row.unit)
        full = {name for name, value, _ in candidates if value is not None}
        if row.status is not ConflictStatus.DECIDED or policy.rule is not Rule.ORDER or not full or "golden" in full:
            return
        first = min(full, key=policy.order.index)
        if row.winner != first and not self._fuller(row, candidates, first):
            self._fail(f"{row.conflict}: {row.winner} won, and {first} comes first in the order")

    def _fuller(self, row: Any, candidates: list[tuple[str, Shown, list[Edit]]], first: str) -> bool:
        """Whether the winner says in full what the first in order says; of several records there, the one of the first id speaks."""
        ids = [str(each["external_id"]) for each in row.candidates]
        speaking = [
            (ids[at], at) for at, (name, value, _) in enumerate(candidates) if name == first and value is not None
        ]
        theirs = candidates[min(speaking)[1]][1]
        for ours in [value for name, value, _ in candidates if name == row.winner]:
            if isinstance(ours, Mapping) and isinstance(theirs, Mapping) and len(ours) > len(theirs):
                return True  # the same address, and more of it
            if self._form(first, row.unit, ours) == theirs:
                return True
        return False

    # -- edits -----------------------------------------------------------------------------------------------------

    def _edits(self) -> None:
        rows: dict[tuple[int, str], list[Any]] = defaultdict(list)
        for row in self.conflicts:
            for client in self._kin(self._whose(row.client)):
                if row.kind is not ConflictKind.DELETE and row.decided_by != SUPERSEDED:
                    rows[(client, row.unit)].append(row)
        for cell, own in list(self.oracle.cells.items()):
            if cell[0] in self.oracle.joined or cell[1] not in UNITS:
                continue
            kin = self.oracle.kin(cell[0])
            edits = self.oracle.cell(kin, cell[1]) if len(kin) > 1 else own
            viewed = {number for edit in edits for number in edit.glimpses}
            self._once(cell, edits, rows[cell])
            for edit in own:
                if not self._viewed(edit, edits, viewed) and not self._accounted(edit, rows[cell]):
                    self._fail(f"{edit} is lost: it is neither golden nor in a conflict nor held")

    def _viewed(self, edit: Edit, edits: Iterable[Edit], viewed: set[int]) -> bool:
        """Whether something was typed in view of it, or of the same value typed elsewhere and not in view of each other."""
        empty = edit.value is None or (edit.unit == "archived" and not edit.value)
        if empty and any(other.from_nothing for other in edits):
            return True  # who types into an empty field sees that it is empty
        seen_as = self.oracle.form
        if any(
            seen_as(late.system, edit.unit, self.oracle.edits[number].value)
            == seen_as(late.system, edit.unit, edit.value)
            for late in edits
            if late.system != "operator" and late.number != edit.number
            for number in late.glimpses
            if number != edit.number
        ):
            return True  # typed in view of another value that is the same one there
        if edit.unit == "address" and any(
            self._moved_on(self.oracle.edits[number], late) and self._one_address(edit, self.oracle.edits[number])
            for late in edits
            for number in late.glimpses
            if edit.number not in (number, late.number)
            and late.number > edit.number
            and "operator" not in (late.system, edit.system, self.oracle.edits[number].system)
        ):
            return True
        return edit.number in viewed or any(
            other.number in viewed
            and (other.number not in edit.glimpses or other.system != edit.system)
            and (self._is(edit, other.value) or self._is(other, edit.value))
            for other in edits
        )

    def _one_address(self, edit: Edit, other: Edit) -> bool:
        """Whether two people typed one address, in every part that both their systems hold, however one of them cuts it.

        Such a pair is no conflict, and who knows one of them knows both. Parts that only one system holds are in view of nobody else.
        """
        mine, theirs = (
            self._form(late.system, "address", early.value) for late, early in ((edit, other), (other, edit))
        )
        if not (isinstance(edit.value, Mapping) and isinstance(other.value, Mapping) and mine and theirs):
            return False
        both = edit.value.keys() & other.value.keys()
        return all(mine[part] == edit.value[part] or theirs[part] == other.value[part] for part in both)

    def _moved_on(self, early: Edit, late: Edit) -> bool:
        """Whether an address was typed over another one that differs in what clears the parts that its author could not see.

        One that keeps line 1, postal code, city and country does not: a part that is lost by it is a loss.
        """
        before = self._form(late.system, "address", early.value)
        return not isinstance(late.value, Mapping) or (
            isinstance(before, Mapping) and any(before.get(part) != late.value.get(part) for part in ADDRESS_CORE)
        )

    def _losers(self, row: Any, client: int) -> Iterable[tuple[str, Shown, list[Edit]]]:
        candidates = self._candidates(row, client)
        won = next((value for name, value, _ in candidates if name == row.winner), None) if row.winner else None
        if row.status is ConflictStatus.RESOLVED:
            won = (
                row.value.get("name")
                if row.unit == "name" and isinstance(row.value, Mapping)
                else plain(row.unit, row.value)
            )
        return [each for each in candidates if row.status is ConflictStatus.OPEN or each[1] != won]

    def _once(self, cell: tuple[int, str], edits: list[Edit], rows: list[Any]) -> None:
        lost = Counter(
            (name, told(value))
            for row in rows
            for name, value, _ in self._losers(row, cell[0])
            if name != "golden" and row.decided_by in ("", "rule")
        )
        typed = Counter((edit.system, told(plain(edit.unit, edit.value))) for edit in edits)
        for key, number in lost.items():
            if number > max(typed[key], 1) and cell[1] not in ("marketing_consent", "archived"):
                self._fail(f"client {cell[0]} {cell[1]}: {key[1]} of {key[0]} lost {number} times")

    def _accounted(self, edit: Edit, rows: list[Any]) -> bool:
        oracle = self.oracle
        ref = (edit.system, edit.external_id)
        if edit.value is None and edit.number < oracle.first_known.get(ref, len(oracle.edits)):
            return True  # an empty field asks for nothing at first sight
        if edit.value is None and any(row.kind is ConflictKind.FIRST for row in rows):
            return True  # nor while its first sight is undecided
        if edit.unit in FILLED_IN and edit.number < oracle.first_known.get(ref, 0) and ref not in oracle.typed_records:
            return True  # what a system fills in by itself cannot be told from what a person types before the record is known
        braked = any(
            item.get("client") in self._identifiers(edit)
            and item.get("field") == edit.unit
            and item.get("system") == edit.system
            for hold in self.holds
            if hold.kind is HoldKind.BRAKE and hold.state is HoldState.LAPSED
            for item in hold.items
        )
        if braked and edit.glimpses:
            return True  # what was held was taken back by who had typed it: to the merge nothing has happened
        taken_back = any(row.decided_by == "the systems came to agree" for row in rows)
        if edit.number in oracle.back or (taken_back and edit.glimpses):
            return True
        if edit.number in oracle.echoes:
            return True  # a write whose answer was lost had told the record the same: to syncd it is that write's late effect
        if edit.number in oracle.window or edit.number in oracle.refused or (*ref, edit.unit) in oracle.hidden:
            return True
        if edit.client in oracle.torn and (self._is_anothers(edit) or self._stays_at_its_source(edit)):
            return True  # when they were parted it went with the one for whom it was typed, and there it is judged
        link = self.links.get(ref)
        if edit.number in oracle.unheard and link is not None and link.state is LinkState.APART:
            return True  # its record stands apart after a merge; one that was taken back is heard again, with what was typed meanwhile
        if ref in oracle.removed or ref in oracle.syncd_removed:
            if edit.unit != "archived" or self._delete_told(ref):
                return True
        identifiers = self._identifiers(edit)
        if any(self._is(edit, self._value(each, edit.unit)) for each in (*identifiers, *self._replaced(ref))):
            return True
        asked = any(
            item.get("retired") and (item["system"], item["external_id"]) == ref
            for hold in self.holds
            if hold.state is HoldState.OPEN
            for item in hold.items
        )
        if edit.unit == "archived" and edit.value and (asked or self._stands_beside(ref) or ref in oracle.absorbed):
            return True  # who is archived and typed again in the same system is in use
        if edit.unit == "archived" and not edit.value:
            return any(self._value(each, "archived") in (None, False) for each in identifiers) or bool(rows)
        sources = self.life.plan.policy.field(edit.unit).sources
        if sources is not None and edit.system not in sources:
            return True
        if edit.unit == "marketing_consent" and edit.value is not False:
            return any(self._value(identifier, edit.unit) is False for identifier in identifiers)
        if any(edit in edits for row in rows for _, _, edits in self._losers(row, edit.client)):
            return True
        return any(
            item.get("client") in identifiers and item.get("field") == edit.unit and item.get("system") == edit.system
            for hold in self.holds
            if hold.kind in (HoldKind.BRAKE, HoldKind.LOSSY) and hold.state in (HoldState.OPEN, HoldState.REFUSED)
            for item in hold.items
        )

    def _is_anothers(self, edit: Edit) -> bool:
        """Whether it is no typing: a record got another id while it showed what was typed for another true client."""
        source = self.oracle.carried.get(edit.number)
        return source is not None and self.oracle.edits[source].client != edit.client

    def _stays_at_its_source(self, edit: Edit) -> bool:
        """Whether it is no typing: a record got another id while it showed what was typed into a record of a client that holds it still."""
        source = self.oracle.carried.get(edit.number)
        if source is None:
            return False
        typed = self.oracle.edits[source]
        holding = [each for each in self._identifiers(typed) if self.clients[each].state is ClientState.ACTIVE]
        return any(self._is(typed, self._value(each, typed.unit)) for each in holding)

    def _stands_beside(self, ref: tuple[str, str]) -> bool:
        """Whether a client has another record in the same system."""
        link = self.links.get(ref)
        return link is not None and any(
            other != ref and other[0] == ref[0] and each.client == link.client for other, each in self.links.items()
        )

    def _identifiers(self, edit: Edit) -> list[str]:
        """The clients of syncd that an edit may be found in."""
        link = self.links.get((edit.system, edit.external_id))
        return (
            [link.client] if link is not None else [each for each, whose in self.owners.items() if edit.client in whose]
        )

    def _replaced(self, ref: tuple[str, str]) -> list[str]:
        """The clients of whose vanished records a person is asked whether this one took their place: it may be theirs."""
        asked = [
            hold.items
            for hold in self.holds
            if hold.kind is HoldKind.MERGE
            and hold.state is HoldState.OPEN
            and any((item.get("system"), item.get("external_id")) == ref for item in hold.items)
        ]
        return [str(item["client"]) for items in asked for item in items if item.get("vanished")]

    def _delete_told(self, ref: tuple[str, str]) -> bool:
        """Whether a delete that did not archive its client has a row that says why."""
        told = f"delete:{ref[0]}:{ref[1]}"
        link = self.links.get(ref)
        if link is None or ref in self.oracle.syncd_removed or ref in self.oracle.absorbed:
            return True
        held = any(
            item.get("system") == ref[0] and item.get("external_id") == ref[1]
            for hold in self.holds
            for item in hold.items
        )
        row = self.clients[link.client]
        others = [each for other, each in self.links.items() if each.client == link.client and other != ref]
        if self._stands_beside(ref):
            return True  # one of two records of a client is gone, and the other one stands for it
        alive = [each for each in others if each.state is LinkState.LINKED]
        heeding = [each for each in alive if self.life.plan.policy.system(each.system).on_delete != "ignore"]
        return (
            held
            or row.fields.get("archived") is True
            or row.state.value == "deleted"
            or any(f"{each.key}:".startswith(f"{told}:") for each in self.conflicts)
            or (bool(alive) and len(heeding) < len(alive))
        )
