from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.merge import Decision, Move, Outcome, Side, absorb, merge
from syncd.core.model import UNKNOWN, FieldPolicy, Maybe, Rule, Value
from syncd.core.survivorship import CLOCK_UNCERTAINTY_SECONDS
from tests.core.strategies import agreed, cut, only, plain, seeing_parts, side, trust, upper

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RICH = "Wolfeschlegelsteinhausen"
SHORT = "Wolfeschleg"
ADDRESS: dict[str, Value] = {
    "address_line1": "1 Low Road",
    "address_line2": "Gate B",
    "postal_code": "75001",
    "city": "Paris",
    "region": "IDF",
    "country": "FR",
}
NARROW = only("address_line1", "postal_code", "city", "country")
ABC = trust("a", "b", "c", "d")


def decide(
    golden: Value, *sides: Side, unit: str = "phone", policy: FieldPolicy = ABC, origin: str | None = None
) -> Decision:
    return merge(unit, golden, sides, policy, equal=plain, origin=origin)


def moves(decision: Decision) -> dict[str, tuple[Move, bool]]:
    return {each.system: (each.move, each.write) for each in decision.sides}


def values(decision: Decision) -> list[tuple[str, Value]]:
    return [(each.system, each.value) for each in decision.candidates]


# --- the decision table, row by row


def test_same_same_same_is_settled() -> None:
    """Where nothing changed nothing happens."""
    decision = decide("x", agreed("a", "x", "x"), agreed("b", "x", "x"))
    assert decision.outcome is Outcome.SETTLED
    assert moves(decision) == {"a": (Move.STAY, False), "b": (Move.STAY, False)}
    assert decision.value == "x"


def test_a_short_form_that_was_agreed_is_settled() -> None:
    """A system that shows the form it can hold of what was agreed has changed nothing and is told nothing."""
    decision = decide(RICH, side("a", SHORT, SHORT, RICH), agreed("b", RICH, RICH))
    assert decision.outcome is Outcome.SETTLED
    assert decision.value == RICH
    assert not any(each.write for each in decision.sides)


def test_changed_same_differ_is_accepted_into_golden() -> None:
    """One system's edit becomes golden, is written to the others, and costs no write at its origin."""
    decision = decide("x", agreed("a", "x", "x"), agreed("b", "x", "y"), agreed("c", "x", "x"))
    assert decision.outcome is Outcome.ACCEPT
    assert (decision.before, decision.value, decision.winner, decision.base) == ("x", "y", "b", "x")
    assert moves(decision) == {"a": (Move.STAY, True), "b": (Move.AGREE, False), "c": (Move.STAY, True)}


def test_same_changed_differ_is_written_outward() -> None:
    """Where only golden changed it is written, and the base does not move before agreement was seen."""
    decision = decide("y", agreed("a", "x", "x"), agreed("b", "y", "y"))
    assert decision.outcome is Outcome.WRITE
    assert moves(decision) == {"a": (Move.STAY, True), "b": (Move.STAY, False)}


def test_changed_changed_same_converges_without_a_word() -> None:
    """A system that came to golden's value by itself moves its base; nothing is written or logged."""
    decision = decide("y", agreed("a", "x", "y"), agreed("b", "y", "y"))
    assert decision.outcome is Outcome.CONVERGED
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.STAY, False)}
    assert decision.candidates == ()


def test_changed_changed_differ_is_a_conflict() -> None:
    """A system that changed what it had agreed to, while golden changed too, competes with golden."""
    decision = decide("g", agreed("a", "x", "y"), agreed("b", "g", "g"), origin="b")
    assert decision.outcome is Outcome.CONFLICT
    assert (decision.kind, decision.winner, decision.value, decision.base) == ("edit", "a", "y", "x")
    assert values(decision) == [("a", "y"), ("golden", "g")]
    assert decision.candidates[1].external_id is None
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.STAY, True)}


@pytest.mark.parametrize("seen", [UNKNOWN, None, "x"])
@pytest.mark.parametrize("golden", [None, "x", "y"])
def test_unknown_is_not_this_systems_business(seen: Maybe, golden: Value) -> None:
    """A system that does not say what it shows is left out entirely, whatever it said before and whatever golden holds."""
    decision = decide(golden, side("a", UNKNOWN, seen, seen))
    assert decision.outcome is Outcome.SETTLED
    assert decision.sides == ()
    assert decision.value == golden


def test_unknown_takes_no_part_in_the_conflict_of_others() -> None:
    """Only systems that say something are candidates."""
    decision = decide("x", side("a", UNKNOWN, "x", "x"), agreed("b", "x", "y"), agreed("c", "x", "z"))
    assert decision.outcome is Outcome.CONFLICT
    assert values(decision) == [("b", "y"), ("c", "z")]


# --- several systems


def test_equal_edits_are_no_conflict() -> None:
    """Two systems that changed to the same value agree, and neither is written."""
    decision = decide("x", agreed("a", "x", "y"), agreed("b", "x", "y"), agreed("c", "x", "x"))
    assert decision.outcome is Outcome.ACCEPT
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.AGREE, False), "c": (Move.STAY, True)}


def test_two_different_edits_are_one_conflict_with_every_value() -> None:
    """The row names each system with its value and when it was seen; the loser is accounted for and written."""
    decision = decide(
        "x",
        agreed("b", "x", "z", seen_at=NOON),
        agreed("a", "x", "y", seen_at=NOON, external_id="7"),
        agreed("c", "x", "x"),
    )
    assert decision.outcome is Outcome.CONFLICT
    assert (decision.value, decision.winner, decision.rule, decision.base) == ("y", "a", "order", "x")
    assert [(each.system, each.external_id, each.value, each.seen_at) for each in decision.candidates] == [
        ("a", "7", "y", NOON),
        ("b", "1", "z", NOON),
    ]
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.ACCOUNT, True), "c": (Move.STAY, True)}
    assert decision.reason


def test_two_edits_conflict_whatever_golden_holds() -> None:
    """Golden that moved as well is one more candidate, and wins where its value was typed in the most trusted system."""
    decision = decide("g", agreed("c", "x", "z"), agreed("b", "x", "y"), agreed("a", "g", "g"), origin="a")
    assert decision.outcome is Outcome.CONFLICT
    assert values(decision) == [("b", "y"), ("c", "z"), ("golden", "g")]
    assert (decision.winner, decision.value) == ("golden", "g")
    assert moves(decision) == {"a": (Move.STAY, False), "b": (Move.ACCOUNT, True), "c": (Move.ACCOUNT, True)}


def test_golden_decided_by_a_person_ranks_before_every_system() -> None:
    """Without an origin golden is a person's own decision."""
    assert decide("g", agreed("a", "x", "y")).winner == "golden"


def test_golden_does_not_compete_where_the_editor_had_agreed_to_it() -> None:
    """An edit made in view of golden replaces it without a conflict, though another system has not got golden yet."""
    decision = decide("g", agreed("c", "g", "h"), agreed("a", "x", "x"), origin="a")
    assert decision.outcome is Outcome.ACCEPT
    assert decision.value == "h"


def test_golden_does_not_compete_where_somebody_replaced_it_in_view_of_it() -> None:
    """Of an edit made in view of golden and one made without, the two compete, and what the first replaced does not."""
    decision = decide("g", agreed("a", "x", "y"), agreed("b", "g", "h"), policy=trust("b", "a"), origin="b")
    assert decision.outcome is Outcome.CONFLICT
    assert values(decision) == [("b", "h"), ("a", "y")]
    equal = decide("g", agreed("a", "x", "h"), agreed("b", "g", "h"), origin="b")
    assert (equal.outcome, equal.value) == (Outcome.ACCEPT, "h")


def test_a_losing_value_counts_as_unchanged_and_is_written_until_golden_is_shown() -> None:
    """After a conflict the loser competes no more, adds no row, and is told golden again for as long as it does not show it."""
    accounted = side("b", "z", "z", UNKNOWN)
    decision = decide("y", agreed("a", "y", "y"), accounted, origin="a")
    assert decision.outcome is Outcome.WRITE
    assert moves(decision)["b"] == (Move.STAY, True)
    shown = decide("y", agreed("a", "y", "y"), side("b", "y", "z", UNKNOWN), origin="a")
    assert shown.outcome is Outcome.CONVERGED
    assert moves(shown)["b"] == (Move.AGREE, False)


def test_a_loser_to_an_unmoved_golden_is_written_until_it_shows_golden() -> None:
    """Where golden wins with the value that the loser had agreed to, a lost write is planned again."""
    policy = trust("a", "b", rule=Rule.FILL)
    first = decide("x", agreed("a", "x", "y"), agreed("b", "x", "z"), policy=policy)
    assert (first.outcome, first.value, first.winner) == (Outcome.CONFLICT, "x", "golden")
    assert moves(first) == {"a": (Move.ACCOUNT, True), "b": (Move.ACCOUNT, True)}
    again = decide("x", side("a", "y", "y", UNKNOWN), side("b", "z", "z", UNKNOWN), policy=policy)
    assert again.outcome is Outcome.WRITE
    assert moves(again) == {"a": (Move.STAY, True), "b": (Move.STAY, True)}


def test_a_loser_edited_again_before_it_was_written_competes_again() -> None:
    """An edit of a losing value was not made in view of golden, so it is a new conflict."""
    decision = decide("y", agreed("a", "y", "y"), side("b", "w", "z", UNKNOWN), origin="a")
    assert decision.outcome is Outcome.CONFLICT
    assert values(decision) == [("b", "w"), ("golden", "y")]
    assert decision.kind == "edit"


def test_a_short_form_does_not_compete_with_the_value_it_stands_for() -> None:
    """A truncating system that got the same new value as another is no rival: the full value is taken, without a conflict."""
    for order in ("ab", "ba"):
        decision = decide("x", agreed("a", "x", SHORT, form=cut(11)), agreed("b", "x", RICH), policy=trust(*order))
        assert decision.outcome is Outcome.ACCEPT
        assert (decision.value, decision.winner) == (RICH, "b")
        assert not any(each.write for each in decision.sides)


def test_the_trusted_short_form_wins_in_full() -> None:
    """Where the most trusted system shows a short form of a rival's value, that value is taken in full."""
    decision = decide("x", agreed("a", "x", SHORT, form=cut(11)), agreed("b", "x", "other"), agreed("c", "x", RICH))
    assert decision.outcome is Outcome.CONFLICT
    assert (decision.value, decision.winner) == (RICH, "c")
    assert values(decision) == [("a", SHORT), ("b", "other"), ("c", RICH)]
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.ACCOUNT, True), "c": (Move.AGREE, False)}


def test_a_change_that_a_system_cannot_tell_is_no_change() -> None:
    """Re-casing by a system that always writes capitals leaves golden as it was typed."""
    decision = decide("Miller", side("a", "MILLER", "miller", "Miller", form=upper))
    assert decision.outcome is Outcome.SETTLED
    assert decision.value == "Miller"


def test_the_base_follows_golden_where_the_system_cannot_tell_the_difference() -> None:
    """What was agreed is always the full value of today, or a later edit of the short form would be judged by an old one."""
    decision = decide(RICH + " II", side("a", SHORT, SHORT, RICH, form=cut(11)))
    assert moves(decision) == {"a": (Move.AGREE, False)}


# --- first sight


def test_equal_at_first_sight_is_agreed() -> None:
    """Equal values need no decision, only a base."""
    decision = decide("x", side("a", "x"))
    assert decision.outcome is Outcome.CONVERGED
    assert moves(decision) == {"a": (Move.AGREE, False)}


def test_two_empties_at_first_sight_are_agreed() -> None:
    """Empty is a value like any other when nothing else is there."""
    decision = decide(None, side("a", None), side("b", None))
    assert decision.outcome is Outcome.CONVERGED
    assert decision.value is None


def test_an_empty_system_at_first_sight_is_filled() -> None:
    """An empty asks for nothing; it is written until it shows golden."""
    decision = decide("x", side("a", None))
    assert decision.outcome is Outcome.WRITE
    assert moves(decision) == {"a": (Move.ACCOUNT, True)}
    assert moves(decide("x", side("a", None, None, UNKNOWN))) == {"a": (Move.STAY, True)}


def test_an_empty_golden_at_first_sight_is_filled() -> None:
    """The only value there is becomes golden and fills the others."""
    decision = decide(None, side("a", None), side("b", "x"))
    assert decision.outcome is Outcome.ACCEPT
    assert decision.value == "x"
    assert moves(decision) == {"a": (Move.ACCOUNT, True), "b": (Move.AGREE, False)}


def test_different_values_at_first_sight_are_one_conflict_of_kind_first() -> None:
    """Nobody has changed anything, but two values are there: the rule decides and a row tells."""
    decision = decide(None, side("b", "y"), side("a", "x"))
    assert (decision.outcome, decision.kind, decision.value, decision.base) == (Outcome.CONFLICT, "first", "x", None)
    assert values(decision) == [("a", "x"), ("b", "y")]


def test_golden_competes_at_first_sight() -> None:
    """A new record does not replace golden's value without a conflict."""
    decision = decide("g", side("a", "x"), agreed("b", "g", "g"), origin="b")
    assert (decision.outcome, decision.kind, decision.value) == (Outcome.CONFLICT, "first", "x")
    assert values(decision) == [("a", "x"), ("golden", "g")]


def test_a_first_sight_among_edits_is_a_conflict_of_kind_edit() -> None:
    """Once somebody has edited, the row says so."""
    assert decide("x", agreed("a", "x", "y"), side("b", "z")).kind == "edit"


def test_nothing_is_cleared_at_first_sight() -> None:
    """A value in a system that may not change the field stays where golden has none."""
    decision = decide(None, side("a", "x", may_change=False))
    assert decision.value is None
    assert moves(decision) == {"a": (Move.STAY, False)}


def test_a_clear_reaches_a_record_that_is_seen_for_the_first_time() -> None:
    """A new record that shows what golden held is equal at first sight, so that it does not bring back what is cleared just now."""
    decision = decide("x", agreed("a", "x", None), side("b", "x"))
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, None)
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.ACCOUNT, True)}
    assert moves(decide(None, side("b", "x", "x", UNKNOWN))) == {"b": (Move.STAY, True)}


def test_a_part_that_golden_does_not_know_is_filled_at_first_sight() -> None:
    """An equal address that knows one part more completes golden without a conflict."""
    narrow = NARROW(ADDRESS)
    decision = decide(narrow, agreed("a", narrow, narrow, form=NARROW), side("b", ADDRESS), unit="address", origin="a")
    assert decision.outcome is Outcome.ACCEPT
    assert decision.value == ADDRESS
    assert not any(each.write for each in decision.sides)


def test_an_edit_of_a_part_that_golden_does_not_know_is_an_edit() -> None:
    """A first gate number, typed where the others cannot hold one, reaches golden, and competes with other edits."""
    narrow, before = NARROW(ADDRESS), {**ADDRESS, "address_line2": None, "region": None}
    edited = {**before, "address_line2": "Gate B"}
    alone = decide(narrow, side("b", edited, before, narrow), unit="address", origin="a")
    assert (alone.outcome, alone.value) == (Outcome.ACCEPT, edited)
    moved = NARROW({**ADDRESS, "city": "Lyon"})
    both = decide(narrow, agreed("a", narrow, moved, form=NARROW), side("b", edited, before, narrow), unit="address")
    assert (both.outcome, both.value) == (Outcome.CONFLICT, {**moved, "address_line2": None, "region": None})
    quiet = decide(narrow, side("b", edited, edited, narrow), unit="address", origin="a")
    assert quiet.outcome is Outcome.SETTLED


def test_two_parts_that_golden_does_not_know_conflict_where_they_differ() -> None:
    """Completing golden in two different ways is a conflict, and the rule decides."""
    narrow = NARROW(ADDRESS)
    other = {**ADDRESS, "region": "elsewhere"}
    decision = decide(narrow, side("b", other), side("a", ADDRESS), unit="address")
    assert (decision.outcome, decision.kind, decision.value) == (Outcome.CONFLICT, "first", ADDRESS)
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.ACCOUNT, True)}


# --- unknown, empty, value


def test_clearing_is_an_edit() -> None:
    """A value that a person removed is removed everywhere."""
    decision = decide("x", agreed("a", "x", None), agreed("b", "x", "x"))
    assert decision.outcome is Outcome.ACCEPT
    assert decision.value is None
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.STAY, True)}


def test_a_value_beats_an_empty_against_the_order() -> None:
    """A clear in the most trusted system loses to an edit elsewhere, and is logged."""
    decision = decide("x", agreed("a", "x", None), agreed("b", "x", "y"))
    assert (decision.outcome, decision.value, decision.winner) == (Outcome.CONFLICT, "y", "b")
    assert values(decision) == [("a", None), ("b", "y")]
    assert moves(decision) == {"a": (Move.ACCOUNT, True), "b": (Move.AGREE, False)}


@pytest.mark.parametrize("rule", list(Rule))
def test_a_value_beats_an_empty_golden_under_every_rule(rule: Rule) -> None:
    """Golden that was cleared meanwhile does not take a newer value away, and nobody is asked."""
    decision = decide(
        None, agreed("a", "x", "y"), agreed("b", None, None), policy=trust("a", "b", rule=rule), origin="b"
    )
    assert (decision.outcome, decision.value) == (Outcome.CONFLICT, "y")


def test_golden_beats_a_clear_made_without_seeing_it() -> None:
    """The value that is on its way is written over the empty."""
    decision = decide("g", agreed("a", "x", None), agreed("b", "g", "g"), origin="b")
    assert (decision.outcome, decision.value, decision.winner) == (Outcome.CONFLICT, "g", "golden")
    assert moves(decision)["a"] == (Move.ACCOUNT, True)


def test_different_empties_are_one_empty() -> None:
    """Two systems that clear in different ways agree."""
    decision = decide("x", agreed("a", "x", None), agreed("b", "x", ""))
    assert decision.value in (None, "")


@pytest.mark.parametrize("value", [False, 0])
def test_no_and_nought_are_values(value: Value) -> None:
    """False and 0 are not empty: they win over an empty."""
    decision = decide("x", agreed("a", "x", None), agreed("b", "x", value), unit="payment_terms_days")
    assert decision.value is value


def test_an_unknown_part_of_an_address_is_never_made_empty() -> None:
    """Golden does not claim that there is no region because a system without regions was edited."""
    first = absorb("address", None, NARROW(ADDRESS), seeing_parts(NARROW))
    assert first == NARROW(ADDRESS)


# --- groups


def test_an_address_comes_whole_from_one_edit() -> None:
    """Two edits of different parts of an address are a conflict and are never mixed."""
    left = {**ADDRESS, "address_line1": "2 High Road"}
    right = {**ADDRESS, "city": "Lyon", "postal_code": "69001"}
    decision = decide(ADDRESS, agreed("a", ADDRESS, left), agreed("b", ADDRESS, right), unit="address")
    assert (decision.outcome, decision.value) == (Outcome.CONFLICT, left)


def test_parts_that_the_editor_cannot_hold_stay_where_the_place_is_the_same() -> None:
    """An edit outside the core of the address keeps what the editing system cannot show."""
    form = only("address_line1", "address_line2", "postal_code", "city", "country")
    edited = form({**ADDRESS, "address_line2": "Gate C"})
    assert isinstance(edited, dict)
    decision = decide(
        ADDRESS, agreed("a", form(ADDRESS), edited, form=form), agreed("b", ADDRESS, ADDRESS), unit="address"
    )
    assert decision.value == {**ADDRESS, "address_line2": "Gate C"}


@pytest.mark.parametrize("part", ["address_line1", "postal_code", "city", "country"])
def test_parts_that_the_editor_cannot_hold_go_with_the_place(part: str) -> None:
    """An edit of line 1, postal code, city or country clears what the editing system cannot show."""
    edited = {**ADDRESS, part: "changed"}
    assert absorb("address", ADDRESS, NARROW(edited), seeing_parts(NARROW)) == {
        **edited,
        "address_line2": None,
        "region": None,
    }


def test_an_address_that_is_cleared_is_cleared_whole() -> None:
    """No part survives a clear, also not those that the clearing system cannot hold."""
    decision = decide(
        ADDRESS, agreed("a", NARROW(ADDRESS), None, form=NARROW), agreed("b", ADDRESS, ADDRESS), unit="address"
    )
    assert decision.value is None
    assert moves(decision)["b"] == (Move.STAY, True)


def test_an_address_typed_after_a_clear_takes_nothing_of_what_a_slow_system_still_shows() -> None:
    """What a system has not been told yet is cleared with the rest, also where the new address cannot hold that part."""
    typed: dict[str, Value] = {"address_line1": "9 High St", "postal_code": "10115", "city": "Berlin", "country": "DE"}
    slow = agreed("b", ADDRESS, ADDRESS)
    decision = decide(None, side("a", typed, None, None, form=NARROW), slow, unit="address")
    assert decision.outcome is Outcome.ACCEPT
    assert decision.value == {**typed, "address_line2": None, "region": None}


def test_a_shortened_part_keeps_its_full_text_when_another_part_is_edited() -> None:
    """The editing system's short form of a part that it did not touch does not replace the full one."""
    full = {**ADDRESS, "address_line1": "1 Lower Rotherhithe Road"}
    edited = cut(10)({**full, "city": "Lyon"})
    decision = decide(
        full, side("a", edited, cut(10)(full), full, form=cut(10)), agreed("b", full, full), unit="address"
    )
    assert decision.outcome is Outcome.ACCEPT
    assert decision.value == {**full, "city": "Lyon"}


def test_a_name_typed_as_one_text_drops_the_old_split() -> None:
    """The parts of the old name do not stay beside the new one."""
    old: Value = {"name": "Ann Moor", "given_name": "Ann", "family_name": "Moor"}
    new = absorb("name", old, {"name": "Bea Moor"}, seeing_parts(only("name")))
    assert new == {"name": "Bea Moor", "given_name": None, "family_name": None}
    assert absorb("name", old, {"name": "Ann Moor"}, seeing_parts(only("name"))) == old


def test_an_accepted_name_is_completed_by_the_caller() -> None:
    """What follows from the text of a name is derived when, and only when, the name changes."""

    def complete(value: Value) -> Value:
        return {**value, "family_name": "derived"} if isinstance(value, dict) else value

    base: Value = {"name": "x"}
    edited = agreed("a", base, {"name": "y"}, form=only("name"))
    decision = merge("name", base, [edited], ABC, equal=plain, complete=complete)
    assert decision.value == {"name": "y", "family_name": "derived"}
    quiet = merge("name", base, [agreed("a", base, base)], ABC, equal=plain, complete=complete)
    assert quiet.value == base


# --- rules


def test_order_may_differ_from_the_order_of_the_systems() -> None:
    """The first of the rule's order wins, whoever comes first in the list of sides."""
    for order, value in (("ab", "y"), ("ba", "z")):
        assert decide("x", agreed("a", "x", "y"), agreed("b", "x", "z"), policy=trust(*order)).value == value


def newest(*seconds: float | None, values: Sequence[Value] = ("y", "z", "w")) -> Decision:
    sides = [
        agreed(system, "x", value, modified_at=None if at is None else NOON + timedelta(seconds=at))
        for system, value, at in zip("abc", values, seconds, strict=False)
    ]
    return decide("x", *sides, policy=trust("a", "b", "c", rule=Rule.NEWEST))


def test_newest_takes_the_latest_edit() -> None:
    """Where all systems tell the time and one is clearly later, it wins."""
    decision = newest(0, CLOCK_UNCERTAINTY_SECONDS + 1)
    assert (decision.value, decision.rule, decision.winner) == ("z", "newest", "b")


@pytest.mark.parametrize("lead", [0, 1, CLOCK_UNCERTAINTY_SECONDS])
def test_newest_falls_to_order_within_the_uncertainty_of_the_clocks(lead: float) -> None:
    """Times that are too close tell nothing, and the row says so."""
    decision = newest(0, lead)
    assert (decision.value, decision.rule) == ("y", "order")
    assert "too close" in decision.reason


def test_newest_falls_to_order_where_a_time_is_missing() -> None:
    """A system without a time cannot be compared, and the row says so."""
    decision = newest(None, 3600)
    assert (decision.value, decision.rule) == ("y", "order")
    assert "not every candidate has a time" in decision.reason


def test_newest_falls_to_order_where_golden_competes() -> None:
    """Golden has no time of a system's clock."""
    decision = decide(
        "g", agreed("a", "x", "y", modified_at=NOON), policy=trust("b", "a", rule=Rule.NEWEST), origin="b"
    )
    assert (decision.value, decision.rule) == ("g", "order")


def test_newest_compares_with_the_latest_different_value() -> None:
    """Two systems that were given the same value at about the same time do not make each other doubtful."""
    decision = newest(0, 3600, 3610, values=("y", "z", "z"))
    assert (decision.value, decision.rule) == ("z", "newest")


def test_newest_with_a_tie_of_different_values_falls_to_order() -> None:
    """A tie at the top is a tie, though a third value is old."""
    decision = newest(0, 3600, 3610)
    assert (decision.value, decision.rule) == ("y", "order")


def test_fill_keeps_golden() -> None:
    """A conflict does not replace a value under `fill`."""
    policy = trust("a", "b", rule=Rule.FILL)
    assert decide("g", agreed("a", "x", "y"), agreed("b", "g", "g"), policy=policy, origin="b").value == "g"
    assert decide("g", side("a", "y"), policy=policy, origin="b").value == "g"


def test_fill_fills_an_empty_golden_by_order() -> None:
    """Two values for an empty field are a conflict that the order decides."""
    decision = decide(None, side("b", "z"), side("a", "y"), policy=trust("a", "b", rule=Rule.FILL))
    assert (decision.outcome, decision.value, decision.rule) == (Outcome.CONFLICT, "y", "fill")


def test_hold_decides_nothing_and_leaves_the_bases_of_those_who_changed() -> None:
    """Golden and the changed systems stay as they are until a person decides; nothing is written to them."""
    decision = decide(
        "x", agreed("a", "x", "y"), agreed("b", "x", "z"), agreed("c", "x", "x"), policy=trust("a", "b", rule=Rule.HOLD)
    )
    assert (decision.outcome, decision.kind, decision.value, decision.winner) == (Outcome.HELD, "edit", "x", None)
    assert moves(decision) == dict.fromkeys("abc", (Move.STAY, False))
    assert values(decision) == [("a", "y"), ("b", "z")]


def test_hold_lets_a_single_edit_through() -> None:
    """Without a conflict there is nothing to ask."""
    assert decide("x", agreed("a", "x", "y"), policy=trust("a", rule=Rule.HOLD)).outcome is Outcome.ACCEPT


# --- who may change


def test_a_system_that_is_no_source_is_told_golden_until_it_shows_it() -> None:
    """An edit where the tenant allows none never reaches golden, and is put right also after a lost write."""
    decision = decide("x", agreed("a", "x", "y", may_change=False), agreed("b", "x", "x"))
    assert (decision.outcome, decision.value) == (Outcome.WRITE, "x")
    assert moves(decision)["a"] == (Move.ACCOUNT, True)
    assert moves(decide("x", side("a", "y", "y", UNKNOWN, may_change=False)))["a"] == (Move.STAY, True)


def test_a_constant_fills_an_empty_golden() -> None:
    """A value that nobody typed is better than none."""
    decision = decide(None, side("a", "CA", weak=True), side("b", None))
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, "CA")
    assert moves(decision)["b"] == (Move.ACCOUNT, True)


def test_a_constant_never_competes() -> None:
    """A typed value is taken without a conflict, and the constant is neither a candidate nor written."""
    decision = decide(None, side("a", "CA", weak=True), side("b", "FR"))
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, "FR")
    assert values(decision) == [("b", "FR")]
    assert moves(decision)["a"] == (Move.ACCOUNT, False)


def test_a_constant_never_competes_as_golden() -> None:
    """What filled golden only because nothing was there gives way to the first typed value, as if both had come at once."""
    decision = decide("CA", agreed("a", "CA", "CA", weak=True), side("b", "FR"), origin="a")
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, "FR")


def test_a_constant_that_a_person_typed_elsewhere_is_a_typed_value() -> None:
    """Who types what the constant said makes it his own: it is golden's origin now, and competes."""
    constant = agreed("a", "CA", "CA", weak=True)
    alone = decide("CA", constant, side("b", "CA"), origin="a")
    assert (alone.outcome, alone.value, alone.winner) == (Outcome.ACCEPT, "CA", "b")
    decision = decide("CA", constant, side("b", "CA"), side("c", "FR"), origin="a")
    assert (decision.outcome, decision.value) == (Outcome.CONFLICT, "CA")
    assert values(decision) == [("b", "CA"), ("c", "FR")]


def test_a_constant_that_filled_golden_can_be_cleared() -> None:
    """A clear is an edit also where golden came from a constant."""
    decision = decide("CA", agreed("a", "CA", "CA", weak=True), agreed("b", "CA", None), origin="a")
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, None)


def test_the_constants_of_two_systems_do_not_conflict() -> None:
    """The most trusted constant fills golden; the other is left alone."""
    decision = decide(None, side("b", "NL", weak=True), side("a", "CA", weak=True))
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, "CA")
    assert moves(decision)["b"] == (Move.ACCOUNT, False)


def test_a_constant_does_not_refill_what_a_person_cleared() -> None:
    """An unchanged constant is no news."""
    decision = decide("CA", agreed("a", "CA", "CA", weak=True), agreed("b", "CA", None), origin="a")
    assert decision.value is None
    assert decide(None, agreed("a", "CA", "CA", weak=True), agreed("b", None, None)).value is None


# --- consent


def consent(golden: Value, *sides: Side, **more: Any) -> Decision:
    return decide(golden, *sides, unit="marketing_consent", **more)


@pytest.mark.parametrize("rule", list(Rule))
def test_an_opt_out_wins_over_everything(rule: Rule) -> None:
    """An opt-out in the least trusted system beats an opt-in under every rule."""
    sides = [agreed("a", None, True), agreed("b", None, False)]
    decision = consent(None, *sides, policy=trust("a", "b", rule=rule))
    assert (decision.outcome, decision.value, decision.rule) == (Outcome.CONFLICT, False, "opt-out")


@pytest.mark.parametrize("edited", [True, None])
def test_an_opt_out_is_never_reversed_by_an_edit(edited: Value) -> None:
    """Neither an opt-in nor a clear that was made in view of the opt-out takes it away; the row lets a person do that."""
    decision = consent(False, agreed("a", False, edited), agreed("b", False, False), origin="b")
    assert (decision.outcome, decision.value, decision.winner) == (Outcome.CONFLICT, False, "golden")
    assert moves(decision) == {"a": (Move.ACCOUNT, True), "b": (Move.STAY, False)}


def test_an_opt_out_is_never_reversed_at_first_sight() -> None:
    """A new record with an opt-in is told of the opt-out, and the other way round."""
    assert consent(False, side("a", True)).value is False
    assert consent(True, side("a", False), origin="b").value is False


def test_an_opt_out_is_heard_where_no_edit_is() -> None:
    """A system that is no source of the field may still not be told to market to who refused there."""
    decision = consent(True, agreed("a", True, False, may_change=False), agreed("b", True, True))
    assert decision.value is False
    assert moves(decision) == {"a": (Move.AGREE, False), "b": (Move.STAY, True)}


def test_a_persons_decision_here_reverses_an_opt_out() -> None:
    """Only an operator's act makes golden opt in again; it is written like any other value."""
    decision = consent(True, agreed("a", False, False))
    assert moves(decision) == {"a": (Move.STAY, True)}


# --- lossy edits


@pytest.mark.parametrize("edited", [SHORT[:5], SHORT + "xyz", SHORT.lower()[:5]])
@pytest.mark.parametrize("form", [str, cut(20)])
def test_an_edit_that_only_shortens_or_lengthens_a_cut_form_is_held(edited: str, form: Any) -> None:
    """Taking it would lose the rest of the text elsewhere, so a person decides."""
    form = form if form is not str else cut(100)
    decision = decide(RICH, side("a", edited, SHORT, RICH, form=form), agreed("b", RICH, RICH))
    assert (decision.outcome, decision.kind, decision.value) == (Outcome.HELD, "lossy", RICH)
    assert values(decision) == [("a", edited)]
    assert moves(decision) == {"a": (Move.STAY, False), "b": (Move.STAY, False)}


def test_a_new_text_in_a_cut_form_is_an_edit() -> None:
    """A person who types another name into a truncating system has changed the name."""
    decision = decide(RICH, side("a", "Meier", SHORT, RICH, form=cut(11)), agreed("b", RICH, RICH))
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, "Meier")


def test_typing_the_full_text_into_a_cut_form_converges() -> None:
    """A system whose limit was lifted may show the full value."""
    assert decide(RICH, side("a", RICH, SHORT, RICH)).outcome is Outcome.CONVERGED


def test_clearing_a_cut_form_is_a_clear() -> None:
    """An empty is no shortened form."""
    decision = decide(RICH, side("a", None, SHORT, RICH, form=cut(11)), agreed("b", RICH, RICH))
    assert (decision.outcome, decision.value) == (Outcome.ACCEPT, None)


def test_a_lossy_edit_holds_the_edits_of_others_too() -> None:
    """An honest edit beside a lossy one is neither lost nor written over: it waits with it."""
    decision = decide(RICH, agreed("a", RICH, "Meier"), side("b", SHORT[:5], SHORT, RICH, form=cut(11)))
    assert (decision.outcome, decision.kind) == (Outcome.HELD, "lossy")
    assert values(decision) == [("b", SHORT[:5]), ("a", "Meier")]
    assert moves(decision) == {"a": (Move.STAY, False), "b": (Move.STAY, False)}


def test_a_lossy_edit_of_one_part_holds_the_group() -> None:
    """The address is one unit, so a shortened street holds all of it."""
    full = {**ADDRESS, "address_line1": "1 Lower Rotherhithe Road"}
    short = {**full, "address_line1": "1 Lower Ro"}
    edited = {**short, "address_line1": "1 Lower"}
    decision = decide(full, side("a", edited, short, full, form=cut(10)), unit="address")
    assert (decision.outcome, decision.kind) == (Outcome.HELD, "lossy")


# --- properties

TEXTS = st.sampled_from([None, "x", "y", "Wolfe", "Wolfeschlegel", "wolfeschlegel"])
MAYBES = st.one_of(st.just(UNKNOWN), TEXTS)
FORMS = st.sampled_from([cut(100), cut(5), upper])


@st.composite
def side_of(draw: st.DrawFn, system: str) -> Side:
    return side(
        system,
        draw(MAYBES),
        draw(MAYBES),
        draw(MAYBES),
        form=draw(FORMS),
        external_id=draw(st.sampled_from("12")),
        weak=draw(st.sampled_from([False, False, True])),
        may_change=draw(st.sampled_from([True, True, False])),
        modified_at=draw(st.sampled_from([None, NOON, NOON + timedelta(seconds=30), NOON + timedelta(hours=1)])),
    )


SIDES = st.tuples(side_of("a"), side_of("b"), side_of("c"))
POLICIES = st.builds(FieldPolicy, st.sampled_from(list(Rule)), st.lists(st.sampled_from("abc"), unique=True).map(tuple))
ORIGINS = st.sampled_from([None, "a", "b", "c"])


@given(SIDES, TEXTS, POLICIES, ORIGINS)
def test_the_order_of_the_sides_does_not_matter(
    sides: tuple[Side, ...], golden: Value, policy: FieldPolicy, origin: str | None
) -> None:
    """Every permutation of the sides gives the very same decision."""
    first, *others = [decide(golden, *order, policy=policy, origin=origin) for order in permutations(sides)]
    assert all(other == first for other in others)


@given(SIDES, TEXTS, POLICIES, ORIGINS)
def test_no_value_appears_that_nobody_had(
    sides: tuple[Side, ...], golden: Value, policy: FieldPolicy, origin: str | None
) -> None:
    """Golden afterwards is golden before or what one of the systems shows, and it changes only with a winner."""
    decision = decide(golden, *sides, policy=policy, origin=origin)
    assert decision.value in [golden, *(each.mirror for each in sides if each.mirror is not UNKNOWN)]
    assert decision.value == golden or decision.winner in {"a", "b", "c"}


@given(SIDES, TEXTS, POLICIES, ORIGINS)
def test_no_side_is_written_what_it_shows_and_agreement_is_what_is_shown(
    sides: tuple[Side, ...], golden: Value, policy: FieldPolicy, origin: str | None
) -> None:
    """A write goes only where the system can tell the difference; a base moves to golden only where it cannot."""
    decision = decide(golden, *sides, policy=policy, origin=origin)
    outcomes = {each.system: each for each in decision.sides}
    assert outcomes.keys() == {each.system for each in sides if each.mirror is not UNKNOWN}
    for each in sides:
        if isinstance(each.mirror, str) or each.mirror is None:
            shown = each.same(each.mirror, decision.value)
            assert not (outcomes[each.system].write and shown)
            assert outcomes[each.system].move is not Move.AGREE or shown


@given(SIDES, TEXTS, POLICIES, ORIGINS)
def test_a_value_that_is_replaced_is_a_candidate(
    sides: tuple[Side, ...], golden: Value, policy: FieldPolicy, origin: str | None
) -> None:
    """A write over a value that somebody typed since he last agreed names that value in a conflict."""
    decision = decide(golden, *sides, policy=policy, origin=origin)
    named = {each.system for each in decision.candidates}
    for each in decision.sides:
        view = next(view for view in sides if view.system == each.system)
        assert view.mirror is not UNKNOWN
        typed = view.seen is UNKNOWN or not view.same(view.mirror, view.seen)
        if each.write and typed and view.may_change and view.mirror is not None and not view.same(view.mirror, golden):
            assert decision.outcome is Outcome.CONFLICT
            assert each.system in named


FLAGS = st.sampled_from([None, True, False])
FLAG_SIDES = st.lists(
    st.builds(
        side,
        st.just("a"),
        FLAGS,
        st.one_of(st.just(UNKNOWN), FLAGS),
        st.one_of(st.just(UNKNOWN), FLAGS),
        may_change=st.booleans(),
        external_id=st.sampled_from("123456"),
    ),
    max_size=4,
    unique_by=lambda each: each.external_id,
)


@given(FLAG_SIDES, FLAGS, POLICIES)
def test_consent_only_ever_falls(sides: list[Side], golden: Value, policy: FieldPolicy) -> None:
    """Golden's opt-out stays, and an opt-out that a system has just been given becomes golden and is not written over."""
    decision = consent(golden, *sides, policy=policy)
    if golden is False or any(each.mirror is False and each.seen is not False for each in sides):
        assert decision.value is False
