"""Who is one client: people type clients twice, merge them by hand or inside a system, take merges back, and keep clients apart.

All of it draws from a stream of its own, so that lives without merges are what they were. Every act is told to the oracle; what an act
promises (who is who afterwards, and what is restored) is judged at once, and what it promises for ever after every cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any

from syncd.core.model import UNKNOWN, unit_value
from syncd.engine.automatic import is_merge_brake
from syncd.engine.operate import Operator
from syncd.errors import Gone, UsageError
from syncd.providers.memory import Call
from syncd.store import ClientState, HoldKind, HoldState, LinkState, MergeState, WriteState
from tests.simulation.oracle import Violation, plain
from tests.simulation.systems import UNITS, parts_held
from tests.simulation.users import TYPED

if TYPE_CHECKING:
    from syncd.engine import CycleReport
    from tests.simulation.life import Life

Ref = tuple[str, str]
"""(system, external id)"""

UNSEEN = frozenset({"read_faults", "lying_lists", "stale_lists", "strangers", "crashes", "poison"})
"""Troubles by which syncd may see the second of two records first."""

NUMBERS = ("552100554", "542051180", "775670417", "380129866", "562082909", "444608442", "732829320")
"""Valid company numbers, which no other client has."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a merge by hand has to give back. settled: how many edits syncd had surely taken in. certain: nothing was open then.

    doubted: what records showed then, and syncd did not hold: a record one of whose fields shows again what it showed a moment
    ago is not believed for a while, although its list was read to the end, and with it waits whatever else was typed into it.
    """

    merge: str
    winner: str
    loser: str
    refs: Mapping[Ref, str]
    fields: Mapping[str, Mapping[str, Any]]
    settled: int
    certain: bool
    doubted: frozenset[tuple[Ref, str]]


@dataclass(frozen=True, slots=True)
class Parting:
    """Records that belong to different clients from some moment on. for_ever: even if a person wants to join them."""

    these: frozenset[Ref]
    those: frozenset[Ref]
    words: str
    for_ever: bool


class Joiner:
    """Everybody who says who is one client, in the systems and at syncd's command line."""

    def __init__(self, life: Life, rng: Random) -> None:
        self.life = life
        self.rng = rng
        self.joins = life.plan.joins
        self.typist = life.users.typist.beside(rng)
        self.moved: dict[Ref, str] = {}
        self.home: dict[str, int] = {}
        self.numbers = iter(NUMBERS)
        self.promises: list[Promise] = []
        self.partings: list[Parting] = []
        self.linked: set[Ref] = set()
        self.apart: dict[Ref, int] = {}
        self.numbered: dict[Ref, int] = {}
        """Record -> the number of the whole cycle by which syncd knows its number; until then nobody types its client again."""
        self.whole_cycles = 0
        self.merges = 0
        self.unmerges = self.parted = 0
        self._begun_at = [0]
        """How many edits there were when each cycle began; the first is the time before syncd."""
        self._listed = dict.fromkeys(life.worlds, 0)
        """System -> the cycle in which the last list began that was surely taken in."""
        self._taken = dict.fromkeys(life.worlds, 0)
        """System -> the cycle in which the last list began that was taken in, to its end or not."""
        self.asked: set[str] = set()
        """Systems that were listed in this cycle: one whose writes are still on their way from the last one is not."""
        self._retired: dict[Ref, int] = {}
        """Record that a merge has archived beside the one that stands for its client -> how many edits there were then."""
        self._whole_at = 0
        self._settled = 0
        self._crashes = 0

    # -- the course of things --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Somebody is in a system twice before syncd is."""
        if "duplicates" in self.joins and self.rng.random() < 0.6 and not self.life.plan.troubles & UNSEEN:  # noqa: PLR2004
            self.duplicate()

    def act(self) -> None:
        """What happens between two cycles."""
        if not self.joins:
            return
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            self._something()

    def during(self) -> None:
        """What happens while syncd is at work."""
        if self.joins and self.life.plan.has("edits_during") and self.rng.random() < 0.02:  # noqa: PLR2004
            self._something()

    def _something(self) -> None:
        chances: list[tuple[int, Callable[[], None]]] = []
        for name, weight, deed in (
            ("duplicates", 2, self.duplicate),
            ("numbers", 1, self.number),
            ("inside", 3, self.inside),
            ("by_hand", 3, self.merge),
            ("unmerge", 3, self.unmerge),
            ("apart", 2, self.keep_apart),
            ("apart", 1, self.join_parted),
        ):
            if name in self.joins:
                chances.append((weight, deed))
        chances.append((3, self.proposal))
        self.rng.choices([deed for _, deed in chances], [weight for weight, _ in chances])[0]()

    # -- in the systems --------------------------------------------------------------------------------------------

    def _known(self) -> list[Ref]:
        """Records that syncd knows, that are there and can be read."""
        life = self.life
        return [
            (name, each)
            for name, world in life.worlds.items()
            for each in world.ids()
            if (name, each) in life.oracle.owner
            and (name, each) in life.oracle.first_known
            and (name, each) not in life.users.poisoned
            and not any((name, each, unit) in life.oracle.hidden for unit in UNITS)
        ]

    def _number_of(self, ref: Ref) -> str | None:
        world = self.life.worlds[ref[0]]
        number = world.record(ref[1]).get("registration_number")
        if number is None and (number := next(self.numbers, None)) is not None:
            world.edit(ref[1], registration_number=number)
            self.numbered[ref] = self.whole_cycles + 1
        return str(number) if number is not None else None

    def duplicate(self) -> None:
        """Somebody types a client a second time, into a system that has it."""
        life = self.life
        refs = self._known() if life.cycle_number else list(life.oracle.owner)
        refs = [ref for ref in refs if "email" not in life.worlds[ref[0]].profile.unique]
        refs = [ref for ref in refs if ref[1] in life.worlds[ref[0]].ids()]
        if not refs:
            return
        ref = self.rng.choice(refs)
        number = self._number_of(ref)
        if number is not None and (not life.cycle_number or self.numbered.get(ref, 0) < self.whole_cycles):
            self._type_again(ref, registration_number=number)

    def _type_again(self, ref: Ref, **more: Any) -> None:
        oracle, world = self.life.oracle, self.life.worlds[ref[0]]
        units = ["name", *(unit for unit in TYPED[1:] if self.rng.random() < 0.6)]  # noqa: PLR2004
        values = {unit: self.typist.value(unit) for unit in units}
        if self.rng.random() < 0.5:  # noqa: PLR2004
            values["name"] = world.record(ref[1])["name"]
        fields = self.life.users.fields_of(ref[0], values)
        client = oracle.owner[ref]
        external_id = world.add(**{**fields, **more}, x_note=self.typist.word())
        self.life.tell(f"{ref[0]}: a person types client {client} again as {external_id}: {fields} {more}")
        oracle.typed_records.add((ref[0], external_id))
        oracle.touched(ref[0], external_id, world.record(external_id)["x_note"])
        oracle.typed(client, ref[0], external_id, world.record(external_id), units)

    def number(self) -> None:
        """Two records turn out to have one number: somebody types it into the second."""
        refs = self._known()
        if len(refs) < 2:  # noqa: PLR2004
            return
        one, other = self.rng.sample(refs, 2)
        if self.life.worlds[other[0]].record(other[1]).get("registration_number") is not None:
            return  # by it the record may belong to its client
        number = self._number_of(one)
        if number is None:
            return
        self.life.oracle.join({self.life.oracle.owner[one], self.life.oracle.owner[other]})
        self.life.worlds[other[0]].edit(other[1], registration_number=number)
        self.life.tell(f"{other[0]}: a person types the number of {one} into {other[1]}")

    def inside(self) -> None:
        """A person merges two records inside a system, or a record gets another id."""
        refs = self._known()
        lost = self.rng.choice(refs) if refs else None
        if lost is None:
            return
        others = [ref for ref in refs if ref[0] == lost[0] and ref != lost]
        if not others or self.rng.random() < 0.3:  # noqa: PLR2004
            self._change_id(lost)
        else:
            {0: self._redirect, 1: self._absorb, 2: self._retire}[self.rng.randrange(3)](lost, self.rng.choice(others))

    def _change_id(self, lost: Ref) -> None:
        life, world = self.life, self.life.worlds[lost[0]]
        before = world.record(lost[1])
        told = [(*lost, unit) for unit in ("name", "email")]
        mirrored = self._read("records", lost[0], [lost[1]]).get(lost[1])
        if (
            before.get("email") is None
            or any(life.oracle.known.get(each) != life.oracle.shown.get(each) for each in told)
            or mirrored is None
            or mirrored.raw.get("email") != world.profile.form("email", before["email"])
        ):
            return  # nobody could tell that it is the same one; what syncd only tried to read by id it did not take in
        self._remove(lost)
        new = world.add(**{key: value for key, value in before.items() if key != "id"})
        life.tell(f"{lost[0]}: {lost[1]} has the id {new} from now on")
        oracle, client = life.oracle, life.oracle.owner[lost]
        oracle.absorbed[lost] = new
        oracle.typed_records.add((lost[0], new))
        oracle.renamed.add((lost[0], new))
        oracle.touched(lost[0], new, before.get("x_note"))
        held = [unit for unit in UNITS if parts_held(world.profile, unit)]
        filled = [each for each in held if self._filled(lost[0], each, before)]
        for edit in oracle.typed(client, lost[0], new, world.record(new), filled):
            source = oracle.shown.get((*lost, edit.unit))
            if source is not None:
                oracle.carried[edit.number] = oracle.carried.get(source, source)

    def _filled(self, system: str, unit: str, raw: Mapping[str, Any]) -> bool:
        return self.life.oracle.shape(system, unit, raw) not in (None, False)

    def _absorb(self, lost: Ref, kept: Ref) -> None:
        """One record vanishes, and another one gets its e-mail."""
        email = self._email(lost)
        if email is not None:
            self._into(lost, kept, "it vanishes")
            self._remove(lost)
            self.life.users.types(*kept, {"email": email})

    def _redirect(self, lost: Ref, kept: Ref) -> None:
        """One record vanishes, and its id leads to another one."""
        self._into(lost, kept, "its id leads there")
        self._remove(lost)
        self.moved[lost] = kept[1]

    def _retire(self, lost: Ref, kept: Ref) -> None:
        """One record is kept, archived, and another one gets its e-mail."""
        email = self._email(lost)
        if email is not None and parts_held(self.life.worlds[lost[0]].profile, "archived"):
            self._into(lost, kept, "it is kept, archived")
            self.life.users.types(*lost, {"archived": True})
            self.life.users.types(*kept, {"email": email})

    def _email(self, ref: Ref) -> Any:
        world = self.life.worlds[ref[0]]
        return world.record(ref[1]).get("email") if parts_held(world.profile, "email") else None

    def _into(self, lost: Ref, kept: Ref, words: str) -> None:
        oracle = self.life.oracle
        oracle.join({oracle.owner[lost], oracle.owner[kept]})
        oracle.absorbed[lost] = kept[1]
        self.life.tell(f"{lost[0]}: a person merges {lost[1]} into {kept[1]}: {words}")

    def _remove(self, lost: Ref) -> None:
        self.life.oracle.deleted_by_person(*lost)
        self.life.worlds[lost[0]].remove(lost[1])

    def redirect(self, name: str, call: Call) -> None:
        """What a system answers that knows where a record went."""
        moved_to = self.moved.get((name, call.external_id or ""))
        if call.action == "fetch" and moved_to is not None:
            raise Gone(f"{name}: moved", external_id=call.external_id, moved_to=moved_to, status=301)

    # -- at the command line ---------------------------------------------------------------------------------------

    def _read(self, verb: str, *arguments: Any) -> Any:
        store = self.life.open()
        try:
            with store.reading() as tx:
                return getattr(tx, verb)(*arguments)
        finally:
            store.close()

    def _operate(self, verb: str, *arguments: Any, **options: Any) -> Any:
        """An act at the command line; None where syncd says that it cannot be."""
        store = self.life.open()
        try:
            done = getattr(Operator(store, self.life.clock, "joiner"), verb)(*arguments, **options)
        except UsageError as error:
            self.life.tell(f"joiner: {verb} {arguments} {options or ''} is refused: {error}")
            return None
        finally:
            store.close()
        self.life.tell(f"joiner: {verb} {arguments} {options or ''}")
        self._void()
        return done

    def _clients(self) -> list[str]:
        alive = (ClientState.ACTIVE, ClientState.ARCHIVED)
        return [row.client for row in self._read("clients") if row.state in alive]

    def _refs_of(self, client: str) -> dict[Ref, str]:
        return {(link.system, link.external_id): client for link in self._read("links_of", [client]).get(client, ())}

    def _whose(self, clients: Iterable[str]) -> set[int]:
        """The true clients of the records of some clients of syncd."""
        owner = self.life.oracle.owner
        return {owner[ref] for client in clients for ref in self._refs_of(client) if ref in owner}

    def merge(self) -> None:
        """`syncd merge` of two clients."""
        clients = self._clients()
        if len(clients) < 2:  # noqa: PLR2004
            return
        winner, loser = self.rng.sample(clients, 2)
        whose = self._whose((winner, loser))
        rows = {each: self._read("client", each) for each in (winner, loser)}
        refs = {**self._refs_of(winner), **self._refs_of(loser)}
        certain = self._is_calm((winner, loser))
        done = self._operate("merge", winner, loser)
        if done is not None:
            self.merges += 1
            self.life.oracle.join(whose)
            fields = {each: dict(row.fields) for each, row in rows.items()}
            doubted = self._doubted(refs)
            self.promises.append(Promise(done.merge, winner, loser, refs, fields, self._settled, certain, doubted))

    def _doubted(self, refs: Iterable[Ref]) -> frozenset[tuple[Ref, str]]:
        """The units of some records that show something else than syncd's copies of them."""
        found: set[tuple[Ref, str]] = set()
        for name, external_id in refs:
            copy = self._read("records", name, [external_id]).get(external_id)
            if copy is None:
                continue
            try:
                shown = self.life.worlds[name].shown(external_id)
            except Gone:
                continue
            shape = self.life.oracle.shape
            found.update(
                ((name, external_id), unit) for unit in UNITS if shape(name, unit, shown) != shape(name, unit, copy.raw)
            )
        return frozenset(found)

    def _is_calm(self, clients: Iterable[str]) -> bool:
        """Whether nothing about these clients waits for anybody."""
        wanted = set(clients)
        asked = any(
            item.get("client") in wanted
            for hold in self._read("holds", None)
            if hold.state in (HoldState.OPEN, HoldState.RELEASED)
            for item in hold.items
        )
        undecided = any(row.client in wanted and row.status.value == "open" for row in self._read("conflicts"))
        return not asked and not undecided

    def unmerge(self) -> None:
        """`syncd unmerge`, of one that was merged away or of one that took another in."""
        rows = [row for row in self._read("merges") if row.state is not MergeState.UNDONE]
        if not rows:
            return
        row = self.rng.choice(rows)
        named = self.rng.choice((row.winner, row.losers[0]))
        now = self._refs_of(self._read("resolve_alias", row.winner))
        parted = self._operate("unmerge", named)
        if parted is not None:
            self._taken_back(parted, now)

    def _taken_back(self, parted: Any, before: Mapping[Ref, str]) -> None:
        self.unmerges += 1
        mine, theirs = self._refs_of(parted.winner), self._refs_of(parted.loser)
        self.life.oracle.torn |= self._whose((parted.winner, parted.loser))
        words = f"{parted.merge.merge} was taken back"
        self.partings.append(Parting(frozenset(mine), frozenset(theirs), words, for_ever=False))
        promise = next((each for each in self.promises if each.merge == parted.merge.merge), None)
        if promise is not None:
            self._judge_partition(promise, before)
            if promise.certain and before.keys() == promise.refs.keys():
                self._judge_fields(promise)

    def _judge_partition(self, promise: Promise, before: Mapping[Ref, str]) -> None:
        """Every record that was the merged client's, and not brought there by another merge, is whose it was."""
        for ref, client in promise.refs.items():
            if ref not in before:
                continue
            link = self._read("link", *ref)
            if link is None or link.client != client:
                message = f"{promise.merge} was taken back: {ref} was {client}'s, and is {link and link.client}'s"
                raise Violation(message)

    def _judge_fields(self, promise: Promise) -> None:
        """Every field that nobody has edited since is what it was; what syncd took in only after the merge was edited since."""
        oracle = self.life.oracle
        whose = self._whose((promise.winner, promise.loser))
        kin = {each for client in whose for each in oracle.kin(client)}
        for client, fields in promise.fields.items():
            now = self._read("client", client).fields
            for unit in UNITS:
                if any(
                    edit.number >= promise.settled or ((edit.system, edit.external_id), unit) in promise.doubted
                    for edit in oracle.cell(kin, unit)
                ):
                    continue
                was, there = (_value(unit, each) for each in (fields, now))
                opted_out = (
                    unit == "marketing_consent" and now.get(unit) is False
                )  # the merged client's stays with both
                if was != there and not opted_out:
                    message = f"{promise.merge} was taken back: {unit} of {client} was {was!r}, and is {there!r}"
                    raise Violation(message)

    def join_parted(self) -> None:
        """Somebody who does not know of it tries to make those one that are kept apart."""
        pairs = [each for each in self.partings if each.for_ever and each.these and each.those]
        if pairs:
            parting = self.rng.choice(pairs)
            links = [self._read("link", *min(refs)) for refs in (parting.these, parting.those)]
            self._operate("merge", links[0].client, links[1].client)

    def keep_apart(self) -> None:
        """`syncd apart` of two clients, or of two that were one."""
        clients = self._clients()
        merged = [row.client for row in self._read("clients", ClientState.MERGED)]
        if self.rng.random() < 0.3 and merged:  # noqa: PLR2004
            first = self.rng.choice(merged)
            names = [first, str(self._read("resolve_alias", first))]
        elif len(clients) >= 2:  # noqa: PLR2004
            names = self.rng.sample(clients, 2)
        else:
            return
        before = {ref: name for name in names for ref in self._refs_of(str(self._read("resolve_alias", name)))}
        done = self._operate("apart", *names)
        if done is None:
            return
        self.parted += 1
        self._part([done.first, done.second], f"apart {names}")
        if done.parted is not None:
            self._taken_back(done.parted, before)

    def _part(self, clients: list[str], words: str) -> None:
        self.life.oracle.torn |= self._whose(clients)
        for position, one in enumerate(clients):
            for other in clients[position + 1 :]:
                these, those = (frozenset(self._refs_of(each)) for each in (one, other))
                self.partings.append(Parting(these, those, words, for_ever=True))

    def proposal(self) -> None:
        """Decide about one open proposal."""
        rows = [row for row in self._read("holds", HoldState.OPEN) if self.decides(row)]
        if rows:
            self.decide(self.rng.choice(rows), release=self.rng.random() < 0.75)  # noqa: PLR2004

    def decides(self, row: Any) -> bool:
        """Whether a hold is one about who is one client, in a life where that is judged."""
        return bool(self.joins) and (row.kind in (HoldKind.LINK, HoldKind.MERGE) or is_merge_brake(row))

    def decide(self, row: Any, *, release: bool) -> None:
        """Release or refuse a proposal."""
        clients = sorted(self._clients_in(row))
        whose = self._whose(clients)
        done = self._operate("release" if release else "refuse", row.hold)
        if done is None:
            return
        if release:
            self.merges += 1
            self.life.oracle.join(whose)
        elif not is_merge_brake(row):
            self._part(clients, f"refused {row.hold}")
        else:
            for item in row.items:
                self._part([str(item["into"]), str(item["client"])], f"refused {row.hold}")

    def _clients_in(self, row: Any) -> set[str]:
        """The clients that a proposal is about as its records are linked now."""
        found: set[str] = set()
        for item in row.items:
            link = (
                self._read("link", str(item["system"]), str(item["external_id"])) if item.get("external_id") else None
            )
            named = [link.client] if link is not None else [item.get("client"), item.get("into")]
            if len(row.items) == 1:
                named.append(item.get("client"))
            found |= {str(self._read("resolve_alias", each)) for each in named if each}
        return found

    # -- what is true for ever -------------------------------------------------------------------------------------

    def _void(self) -> None:
        """A person may join again what a person took apart by an unmerge; never what is to be kept apart."""
        self.partings = [each for each in self.partings if each.for_ever or not self._broken(each)]

    def _broken(self, parting: Parting) -> tuple[Ref, Ref] | None:
        store = self.life.open()
        try:
            with store.reading() as tx:
                return self._broken_in(tx, parting)
        finally:
            store.close()

    def _broken_in(self, tx: Any, parting: Parting) -> tuple[Ref, Ref] | None:
        owner = {ref: link.client for ref in parting.these | parting.those if (link := tx.link(*ref)) is not None}
        pairs = product(sorted(parting.these & owner.keys()), sorted(parting.those & owner.keys()))
        return next(((a, b) for a, b in pairs if owner[a] == owner[b]), None)

    def cycle_begins(self) -> None:
        """Note what syncd cannot know yet."""
        self._begun_at.append(len(self.life.oracle.edits))
        if self.life.oracle.listed_in is not None:
            self.life.oracle.listed_in = {}
        self._crashes = self.life.crashes
        self.asked.clear()

    def watch(self, tx: Any, report: CycleReport) -> None:
        """After a cycle: who was parted is parted, every id leads somewhere, no record was forgotten."""
        links = {
            (link.system, link.external_id): link
            for mine in tx.links_of([row.client for row in tx.clients()]).values()
            for link in mine
        }
        for parting in self.partings:
            if (pair := self._broken_in(tx, parting)) is not None:
                message = f"{pair[0]} and {pair[1]} are one client again: {parting.words}"
                raise Violation(message)
        if missing := self.linked - links.keys():
            message = f"{sorted(missing)} belong to no client any more"
            raise Violation(message)
        self.linked = set(links)
        self._note_homes(tx, links)
        listed_in = self.life.oracle.listed_in
        now = dict.fromkeys(self.asked, self.life.cycle_number) if listed_in is None else listed_in
        self._taken.update({system: began for system, began in now.items() if began is not None})
        self._note_apart(links)
        self._note_lists(report)

    def _note_lists(self, report: CycleReport) -> None:
        """What syncd has surely taken in: what was typed before the lists began that it has read to their ends.

        A cycle is whole with the lists that began with it; where lists are slow, with all that began since the last whole one ended.
        """
        oracle, number = self.life.oracle, self.life.cycle_number
        if self._crashes != self.life.crashes:
            return
        whole = not report.under_way and all(each.walk == "complete" and not each.failed for each in report.systems)
        if oracle.listed_in is None:
            if whole and not oracle.stale_since:
                self._listed = dict.fromkeys(self._listed, number)
        else:
            for each in report.systems:
                began = oracle.listed_in.get(each.system)
                if began is not None and each.walk == "complete" and not each.failed:
                    self._listed[each.system] = began
        oldest = min(self._listed.values())
        self._settled = self._begun_at[oldest]
        if oldest > self._whole_at:
            self.whole_cycles += 1
            self._whole_at = number

    def _note_homes(self, tx: Any, links: Mapping[Ref, Any]) -> None:
        owner = self.life.oracle.owner
        for ref, link in links.items():
            if ref in owner:
                self.home.setdefault(link.client, owner[ref])
        for row in tx.clients(ClientState.MERGED):
            end = tx.resolve_alias(row.client)
            if end is None or tx.client(end).state is ClientState.MERGED:
                message = f"{row.client} was merged, and leads to {end}"
                raise Violation(message)
            if any(link.client == row.client for link in links.values()):
                message = f"{row.client} was merged into {end}, and has records of its own"
                raise Violation(message)

    def _note_apart(self, links: Mapping[Ref, Any]) -> None:
        """What is typed into a record that stands apart after a merge asks for nothing; nor what its list did not show yet when it came to.

        That is from the moment in which the merge archived it, whenever syncd comes to note it. Where there was nothing to archive, or
        no way, no reading before a write says what it shows by now: it stands apart as it was listed last.
        """
        still, begun = self.life.oracle.still_since, self._begun_at[-1]
        for ref, link in links.items():
            if link.state is LinkState.APART:
                heard = self._retired.get(ref, self._begun_at[self._taken[ref[0]]])
                began = min(begun, heard, still.get(ref[0], begun))
                self.apart.setdefault(ref, began)
            else:
                self.apart.pop(ref, None)
        edits = self.life.oracle.edits
        first = min(self.apart.values(), default=len(edits))
        self.life.oracle.unheard.update(
            edit.number
            for edit in edits[first:]
            if edit.number >= self.apart.get((edit.system, edit.external_id), len(edits))
        )

    def updating(self, system: str, external_id: str, patch: Mapping[str, Any]) -> None:
        """Syncd has just changed a record: it may have archived one of two of a merged client."""
        link = self._read("link", system, external_id) if self.joins and patch.get("archived") is True else None
        if link is None:
            return
        merging = any(row.winner == link.client and row.state is MergeState.RUNNING for row in self._read("merges"))
        mine = self._read("links_of", [link.client]).get(link.client, ())
        if merging and any(
            each.system == system and each.external_id != external_id and each.state is LinkState.LINKED
            for each in mine
        ):
            self._retired[(system, external_id)] = len(self.life.oracle.edits)

    def creating(self, system: str, raw: Mapping[str, Any]) -> int | None:
        """The true client for whom syncd has just made a record; None where only its name can tell."""
        if not self.joins:
            return None
        rows = self._read("writes", [WriteState.SENDING, WriteState.IN_DOUBT])
        rows = [row for row in rows if row.system == system and row.action.value == "create"]
        form = self.life.worlds[system].profile.form
        rows = [row for row in rows if form("name", row.fields.get("name")) == raw.get("name")]
        whose = {self.home[row.client] for row in rows if row.client in self.home}
        whose |= {owner for row in rows if row.client not in self.home for owner in self._whose([row.client])}
        kin = {each for client in whose for each in self.life.oracle.kin(client)}
        named = [
            edit.client
            for edit in self.life.oracle.edits
            if edit.unit == "name" and edit.client in kin and form("name", edit.value) == raw.get("name")
        ]
        if len(whose) == 1 and (not named or whose & set(named)):
            return min(whose)
        return named[-1] if named else None


def _value(unit: str, fields: Mapping[str, Any]) -> Any:
    value = unit_value(fields, unit)
    return None if value is UNKNOWN or value is False else plain(unit, value)
