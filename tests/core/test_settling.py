"""A small model of the whole loop around the merge, and what holds for it whatever people, crashes and timing do.

A world has one client, some systems that each hold a record of it, and two units. Every text that a person types is unique, so that
a value tells which edit it came from. Systems show the form of a value that they can hold; `declared` systems are compared by that form,
the others (whose limits nobody knew) by plain equality, as syncd would have to.

People edit what systems show; syncd pulls, reconciles (merges every unit and moves the bases as the header of the merge says), and pushes:
it reads before writing, drops what is stale, writes the minimal patch, and agrees on what it reads back. A crash comes after a
write was sent and before its answer was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from syncd.core.merge import Decision, Move, Outcome, Side, merge
from syncd.core.model import UNKNOWN, FieldPolicy, Maybe, Rule, Value, unit_value
from syncd.core.plan import differing
from syncd.core.survivorship import Same
from tests.core.strategies import Form, PartSame, cut, fields_of, lower, only, plain, seeing, seeing_parts, upper, whole

TEXT, ADDRESS = "details", "address"
UNITS = (TEXT, ADDRESS)
CORE = ("address_line1", "postal_code", "city")
PARTS = (*CORE, "address_line2", "region")
ROUNDS = 3
"""Within so many rounds a world without edits and crashes comes to rest."""

Base = tuple[Maybe, Maybe]


@dataclass(frozen=True)
class Kind:
    """How a system shows values, and whether syncd was told."""

    form: Form
    declared: bool = True


DECLARED = [Kind(whole), Kind(cut(6)), Kind(upper), Kind(lower), Kind(only(*CORE)), Kind(only(*CORE, "region"))]
UNDECLARED = [Kind(cut(6), declared=False), Kind(upper, declared=False), Kind(lower, declared=False)]


@dataclass
class Place:
    """One system: what it shows, what syncd has of it, and the edit (`author`) that each of the two values came from."""

    name: str
    kind: Kind
    shown: dict[str, Maybe]
    author: dict[str, int | None]
    mirror: dict[str, Maybe] = field(default_factory=dict)
    mirrored: dict[str, int | None] = field(default_factory=dict)
    bases: dict[str, Base] = field(default_factory=dict)
    outbox: dict[str, tuple[Value, int | None]] = field(default_factory=dict)
    planned: dict[str, Maybe] = field(default_factory=dict)

    def same(self, left: Maybe, right: Maybe) -> bool:
        if left is UNKNOWN or right is UNKNOWN:
            return left is right
        return self.side_same()(left, right)

    def side_same(self) -> Same:
        return seeing(self.kind.form) if self.kind.declared else plain

    def part_same(self) -> PartSame:
        return seeing_parts(self.kind.form if self.kind.declared else whole)


@dataclass(frozen=True)
class Typed:
    """One edit in one system: what it showed afterwards, and the edits it was made in view of.

    An edit that was made in several systems at once is in the list once for each, with the same number. visible: it differs from what
    syncd had accounted for there; a clear before first sight, or of a text that syncd never saw, cannot be told from no edit at all.
    """

    number: int
    place: Place
    unit: str
    value: Value
    parents: frozenset[int]
    before: Maybe
    visible: bool

    def replaces(self, other: Typed) -> bool:
        """Whether it was typed over the other edit, or over the form in which that system would have shown it."""
        if self.unit != other.unit or self.number == other.number:
            return False
        return other.number in self.parents or (other.value is not None and self.place.same(self.before, other.value))


Entry = tuple[str, int]
"""A value in a conflict: the system that showed it (or `golden`), and the number of the edit that it came from."""


@dataclass
class World:
    places: list[Place]
    policy: FieldPolicy
    turn: int = 0
    golden: dict[str, Value] = field(default_factory=lambda: dict.fromkeys(UNITS))
    author: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(UNITS))
    origin: dict[str, str] = field(default_factory=dict)
    edits: list[Typed] = field(default_factory=list)
    lost: list[frozenset[Entry]] = field(default_factory=list)
    open: dict[str, frozenset[Entry]] = field(default_factory=dict)
    filled: set[int] = field(default_factory=set)
    writes: list[tuple[str, str]] = field(default_factory=list)

    def order(self) -> list[Place]:
        """The systems in the order in which they are polled, merged and pushed; no result may depend on it."""
        return self.places[self.turn :] + self.places[: self.turn]

    # --- people

    def type(self, places: Iterable[Place], unit: str, how: str) -> None:
        """One edit with a new text, in one system or the same in several at once."""
        known = [place for place in places if place.shown[unit] is not UNKNOWN]
        number = self.last() + 1
        parents = frozenset(author for place in known if (author := place.author[unit]) is not None)
        for place in known:
            value = edited(place, unit, how, f"{number:03d}-Long-Tail")
            before = place.shown[unit]
            if value == before:
                continue
            visible = unit in place.bases and not place.same(value, place.bases[unit][0])
            place.shown[unit], place.author[unit] = value, number
            self.edits.append(Typed(number, place, unit, value, parents, before, visible))

    def last(self) -> int:
        return max((typed.number for typed in self.edits), default=0)

    # --- syncd

    def pull(self, place: Place) -> None:
        place.mirror, place.mirrored = dict(place.shown), dict(place.author)

    def reconcile(self) -> None:
        """Merge both units of the client and derive all writes anew."""
        views = [place for place in self.order() if place.mirror]
        for place in views:
            place.outbox, place.planned = {}, dict(place.mirror)
        self.open = {}
        for unit in UNITS:
            sides = [self._side(place, unit) for place in views]
            decision = merge(unit, self.golden[unit], sides, self.policy, equal=plain, origin=self.origin.get(unit))
            self._apply(unit, decision, {place.name: place for place in views})

    def _side(self, place: Place, unit: str) -> Side:
        seen, agreed = place.bases.get(unit, (UNKNOWN, UNKNOWN))
        return Side(place.name, "1", place.mirror[unit], seen, agreed, place.side_same(), place.part_same())

    def _apply(self, unit: str, decision: Decision, places: dict[str, Place]) -> None:
        authors = {name: place.mirrored[unit] for name, place in places.items()}
        authors["golden"] = self.author[unit]
        named = frozenset(
            (each.system, author) for each in decision.candidates if (author := authors[each.system]) is not None
        )
        if decision.outcome is Outcome.HELD:
            self.open[unit] = named
        if decision.winner is not None:
            if self.golden[unit] is None and unit not in places[decision.winner].bases:
                self.filled |= {number for number in [self.author[unit]] if number is not None}
            self.golden[unit], self.author[unit] = decision.value, authors[decision.winner]
            if decision.winner != "golden":
                self.origin[unit] = decision.winner
        if decision.outcome is Outcome.CONFLICT:
            self.lost.append(frozenset(entry for entry in named if entry[1] != self.author[unit]))
        for side in decision.sides:
            place = places[side.system]
            if side.move is Move.AGREE:
                place.bases[unit] = (place.mirror[unit], decision.value)
            elif side.move is Move.ACCOUNT:
                place.bases[unit] = (place.mirror[unit], UNKNOWN)
            if place.shown[unit] == place.mirror[unit] and place.same(place.mirror[unit], decision.value):
                # who edits this form from now on has seen golden
                place.author[unit] = place.mirrored[unit] = self.author[unit]
            if side.write:
                assert side.system != decision.winner, "the origin of an edit is told its own edit"
                if decision.outcome is not Outcome.HELD:
                    place.outbox[unit] = (decision.value, self.author[unit])

    def push(self, place: Place, *, crash: bool = False) -> None:
        """Send what waits for one system, if it still shows what the plan saw."""
        waiting, place.outbox = place.outbox, {}
        if not waiting:
            return
        if not all(place.same(place.shown[unit], place.planned[unit]) for unit in UNITS):
            self.pull(place)
            return
        for unit, (value, author) in waiting.items():
            shown = fields_of([(unit, place.shown[unit])])
            patch = differing(unit, value, shown, place.part_same())
            self.writes.append((place.name, unit))
            after = unit_value({**shown, **patch}, unit)
            place.shown[unit] = UNKNOWN if after is UNKNOWN else place.kind.form(after)
            place.author[unit] = author
            if not crash:
                place.mirror[unit], place.mirrored[unit] = place.shown[unit], author
                place.bases[unit] = (place.shown[unit], value)

    def round(self) -> None:
        """One cycle without faults."""
        for place in self.order():
            self.pull(place)
        self.reconcile()
        for place in self.order():
            self.push(place)

    def settle(self) -> None:
        for _ in range(ROUNDS):
            self.round()

    def state(self) -> tuple[Any, ...]:
        shown = {place.name: (place.shown, place.mirror, place.bases) for place in self.places}
        return self.golden, self.author, shown, sorted(map(sorted, self.lost)), self.open


def edited(place: Place, unit: str, how: str, text: str) -> Value:
    """What a system shows after a person typed into it. how: whole | part | place | clear | shorter."""
    old, form = place.shown[unit], place.kind.form
    if how == "clear":
        return None
    if unit == TEXT:
        return old[:-1] if how == "shorter" and isinstance(old, str) else form(text)
    before = old if isinstance(old, dict) else {}
    parts = {"part": ("address_line2",), "place": ("city",)}.get(how, PARTS)
    after: dict[str, Value] = {**dict.fromkeys(PARTS), **before, **dict.fromkeys(parts, text)}
    if how == "shorter" and isinstance(city := before.get("city"), str):
        return {**before, "city": city[:-1]}
    shown = unit_value(fields_of([(unit, form(after))]), unit)
    return None if shown is UNKNOWN else shown


# --- what happens

Op = tuple[str, int, int]
"""What is done, to which system (or systems, as bits), and in which unit."""

OPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["whole"] * 4
            + ["part", "place", "clear", "shorter", "both"]
            + ["pull", "reconcile", "push"] * 3
            + ["crash", "round"]
        ),
        st.integers(0, 15),
        st.integers(0, 1),
    ),
    max_size=30,
)
STARTS = st.lists(
    st.tuples(st.sampled_from(["unknown", "empty", "1", "2"]), st.sampled_from(["empty", "1", "2"])),
    min_size=4,
    max_size=4,
)
RULES = st.sampled_from([Rule.ORDER, Rule.FILL, Rule.NEWEST])


def kinds(*pools: list[Kind]) -> st.SearchStrategy[list[Kind]]:
    return st.lists(st.sampled_from([kind for pool in pools for kind in pool]), min_size=2, max_size=4)


def world(given_kinds: list[Kind], starts: list[tuple[str, str]], rule: Rule, turn: int = 0) -> World:
    """A world before the first pull: some systems show the same values already, some are empty, some do not hold a unit."""
    names = "abcd"[: len(given_kinds)]
    made = World([], FieldPolicy(rule, tuple(names[::-1])), turn % len(names))
    made.places = [
        Place(name, kind, dict.fromkeys(UNITS), dict.fromkeys(UNITS))
        for name, kind in zip(names, given_kinds, strict=True)
    ]
    for index, unit in enumerate(UNITS):
        for word in ("1", "2"):
            chosen = [place for place, start in zip(made.places, starts, strict=False) if start[index] == word]
            if chosen:
                made.type(chosen, unit, "whole")
        for place, start in zip(made.places, starts, strict=False):
            if start[index] == "unknown":
                place.shown[unit] = UNKNOWN
    return made


def play(made: World, ops: list[Op]) -> None:
    for what, number, index in ops:
        place, unit = made.places[number % len(made.places)], UNITS[index]
        match what:
            case "pull":
                made.pull(place)
            case "reconcile":
                made.reconcile()
            case "push" | "crash":
                made.push(place, crash=what == "crash")
            case "round":
                made.round()
            case "both":
                made.type([each for bit, each in enumerate(made.places) if number >> bit & 1], unit, "whole")
            case _:
                made.type([place], unit, what)


def check_rest(made: World) -> None:
    """A world at rest: it shows golden everywhere, and another two rounds do nothing at all."""
    before, writes = made.state(), len(made.writes)
    made.round()
    made.round()
    assert len(made.writes) == writes
    assert made.state() == before
    for place in made.places:
        for unit in UNITS:
            shown = place.shown[unit]
            if shown is not UNKNOWN and unit not in made.open:
                assert plain(shown, place.kind.form(made.golden[unit]))


# --- what holds


@given(kinds(DECLARED, UNDECLARED), STARTS, st.sampled_from(list(Rule)), OPS)
def test_a_world_settles_within_three_rounds_and_is_silent_then(
    given_kinds: list[Kind], starts: list[tuple[str, str]], rule: Rule, ops: list[Op]
) -> None:
    """Whatever happened, without new edits every system soon shows golden, and nothing is written or logged any more."""
    made = world(given_kinds, starts, rule)
    play(made, ops)
    made.settle()
    check_rest(made)


@given(kinds(DECLARED, UNDECLARED), STARTS, st.sampled_from(list(Rule)), OPS, st.integers(1, 3))
def test_the_order_of_the_systems_changes_nothing(
    given_kinds: list[Kind], starts: list[tuple[str, str]], rule: Rule, ops: list[Op], turn: int
) -> None:
    """The same happenings with the systems taken in another order end in the same state, bases and conflicts too."""
    first, second = world(given_kinds, starts, rule), world(given_kinds, starts, rule, turn)
    for made in (first, second):
        play(made, ops)
        made.settle()
    assert first.state() == second.state()


@given(kinds(DECLARED), STARTS, RULES, OPS)
def test_no_edit_is_replaced_in_silence(
    given_kinds: list[Kind], starts: list[tuple[str, str]], rule: Rule, ops: list[Op]
) -> None:
    """Every edit is golden, or was replaced by a person who saw it, or waits for a person, or lost in exactly one conflict.

    Two clears are no edits in this sense: one of a text that syncd had not seen yet, and one that a new record's value filled again.
    """
    made = world(given_kinds, starts, rule)
    play(made, ops)
    made.settle()
    for typed in made.edits:
        if typed.value is None and (not typed.visible or typed.number in made.filled):
            continue
        entries = {(typed.place.name, typed.number), ("golden", typed.number)}
        losses = sum(bool(entries & row) for row in made.lost)
        waits = bool(entries & made.open.get(typed.unit, frozenset()))
        is_golden = any(
            each.place.same(each.value, made.golden[each.unit])
            for each in made.edits
            if each is typed or each.number == typed.number == made.author[typed.unit]
        )
        assert losses <= sum(each.number == typed.number for each in made.edits)
        assert is_golden or waits or losses or any(each.replaces(typed) for each in made.edits)


@given(kinds(DECLARED, UNDECLARED), STARTS, st.sampled_from(list(Rule)), OPS)
def test_no_value_is_made_up(given_kinds: list[Kind], starts: list[tuple[str, str]], rule: Rule, ops: list[Op]) -> None:
    """Golden is, for the system where it was typed, exactly what a person saw there after typing; other parts were typed once."""
    made = world(given_kinds, starts, rule)
    play(made, ops)
    made.settle()
    texts = [text for typed in made.edits for text in texts_of(typed.value)]
    for unit in UNITS:
        value = made.golden[unit]
        assert all(text is None or text in texts for text in texts_of(value))
        assert value is None or any(
            plain(typed.place.kind.form(value), typed.value) for typed in made.edits if typed.unit == unit
        )


def texts_of(value: Value) -> list[Value]:
    return list(value.values()) if isinstance(value, dict) else [value]


@given(
    kinds(DECLARED, UNDECLARED),
    STARTS,
    RULES,
    st.integers(0, 3),
    st.integers(0, 1),
    st.sampled_from(["whole", "place", "clear"]),
)
def test_one_edit_costs_one_write_per_other_system_and_no_conflict(
    given_kinds: list[Kind], starts: list[tuple[str, str]], rule: Rule, number: int, index: int, how: str
) -> None:
    """In a world at rest an edit travels to each other system once, is not written back, and is golden afterwards."""
    made = world(given_kinds, starts, rule)
    made.settle()
    made.writes.clear()
    made.lost.clear()
    place, unit = made.places[number % len(made.places)], UNITS[index]
    assume(place.shown[unit] is not UNKNOWN)
    number = made.last()
    made.type([place], unit, how)
    assume(made.last() > number)
    made.settle()
    assert len(made.writes) == len(set(made.writes))
    assert {each for _, each in made.writes} <= {unit}
    assert (place.name, unit) not in made.writes
    assert made.lost == []
    assert made.author[unit] == made.last()


@given(st.lists(st.sampled_from(["type", "crash"]), max_size=4), st.integers(0, 1), STARTS)
def test_two_systems_that_respell_each_other_never_play_ping_pong(
    happenings: list[str], declared: int, starts: list[tuple[str, str]]
) -> None:
    """Capitals here and small letters there settle at once, though neither form was declared, and after a lost answer too."""
    made = world([Kind(upper, declared=bool(declared)), Kind(lower, declared=bool(declared))], starts, Rule.ORDER)
    for turn, what in enumerate(happenings):
        place = made.places[turn % 2]
        if what == "type":
            made.type([place], TEXT, "whole")
            made.settle()
            continue
        made.type([place], TEXT, "whole")
        made.pull(place)
        made.reconcile()
        made.push(made.places[(turn + 1) % 2], crash=True)
        made.settle()
    made.settle()
    check_rest(made)
    assert len(made.writes) <= 2 * (len(made.edits) + len(made.places))


def test_the_full_value_survives_any_number_of_round_trips() -> None:
    """Edits of other fields, re-reads and rewrites never let the short form replace what was typed in full."""
    made = world(
        [Kind(whole), Kind(cut(6), declared=False), Kind(cut(6))],
        [("1", "1"), ("empty", "empty"), ("empty", "empty")],
        Rule.ORDER,
    )
    made.settle()
    full = made.golden[TEXT]
    for number in range(9):
        made.type([made.places[number % 3]], ADDRESS, "place")
        made.settle()
    assert made.golden[TEXT] == full == "001-Long-Tail"
    assert [place.shown[TEXT] for place in made.places] == [full, "001-Lo", "001-Lo"]


def test_a_lost_answer_is_found_again() -> None:
    """A write that arrived although nobody recorded it converges: it is neither repeated nor a conflict."""
    made = world([Kind(whole), Kind(cut(6))], [("1", "1"), ("empty", "empty")], Rule.ORDER)
    made.pull(made.places[0])
    made.pull(made.places[1])
    made.reconcile()
    made.push(made.places[1], crash=True)
    made.writes.clear()
    made.settle()
    assert made.writes == []
    assert made.lost == []
    check_rest(made)


def test_a_write_that_was_planned_and_lost_is_planned_again() -> None:
    """Golden that won with the value the losers had agreed to reaches them also where the first plan was never carried out."""
    made = world([Kind(whole), Kind(whole)], [("1", "1"), ("1", "1")], Rule.FILL)
    made.settle()
    for place in made.places:
        made.type([place], TEXT, "whole")
        made.pull(place)
    made.reconcile()
    assert len(made.lost) == 1
    made.reconcile()
    made.settle()
    assert len(made.lost) == 1
    assert [place.shown[TEXT] for place in made.places] == [made.golden[TEXT]] * 2 == ["001-Long-Tail"] * 2
