from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from syncd.core.merge import Decision, Move, Outcome, SideOutcome
from syncd.core.model import Action, FieldPolicy, Fields, Mode, SystemPolicy, Value, unit_value
from syncd.core.plan import Held, Intent, Place, Standing, Target, Wish, differing, place
from tests.core.strategies import cut, only, seeing_parts, whole

ALL = frozenset(
    {
        "name",
        "given_name",
        "family_name",
        "email",
        "phone",
        "address_line1",
        "postal_code",
        "city",
        "country",
        "currency",
        "archived",
    }
)
GOLDEN: dict[str, Value] = {"name": "Acme", "email": "a@acme.test", "phone": None, "archived": False}


def target(mode: Mode = Mode.SYNC, **more: Any) -> Target:
    policy = SystemPolicy("s", "memory", mode)
    given: dict[str, Any] = {
        "policy": policy,
        "creates": ALL,
        "updates": ALL,
        "can_create": True,
        "same": seeing_parts(whole),
        **more,
    }
    return Target(**given)


def told(unit: str, value: Value, *, write: bool = True, reason: str = "", external_id: str = "1") -> Decision:
    """A decision of the merge after which system `s` is to be told the value, or not."""
    outcome = SideOutcome("s", external_id, Move.STAY, write)
    return Decision(unit, Outcome.WRITE, value, value, (outcome,), reason=reason)


def wish(golden: Fields = GOLDEN, decisions: Sequence[Decision] = (), **more: Any) -> Wish:
    return Wish(golden, decisions, lambda _: FieldPolicy(), **more)


def linked(**fields: Value) -> Held:
    return Held("1", "linked", {**GOLDEN, **fields})


def intent_of(outcome: Place) -> Intent:
    assert outcome.intent is not None
    return outcome.intent


# --- a client that the system does not hold


def test_a_client_that_is_absent_is_created_with_its_values() -> None:
    """A create sends every value that the system takes at that time, and no empties."""
    outcome = place(wish(), target(creates=ALL - {"archived"}), None)
    assert outcome.standing is Standing.PENDING
    intent = intent_of(outcome)
    assert (intent.action, intent.external_id, intent.before) == (Action.CREATE, None, {})
    assert intent.fields == {"name": "Acme", "email": "a@acme.test"}
    assert intent.reason


def test_a_create_leaves_out_fields_that_are_written_elsewhere_only() -> None:
    """The tenant's `to` of a field holds for creates too."""
    policies = {"email": FieldPolicy(targets=frozenset({"other"}))}
    outcome = place(Wish(GOLDEN, (), lambda unit: policies.get(unit, FieldPolicy())), target(), None)
    assert "email" not in intent_of(outcome).fields
    assert "name" in intent_of(outcome).fields


def test_an_archived_client_is_not_created() -> None:
    """Nothing that is archived or deleted comes into being in another system."""
    outcome = place(wish(active=False), target(), None)
    assert (outcome.standing, outcome.intent) == (Standing.EXCLUDED, None)


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.UPDATE_ONLY])
def test_a_mode_that_does_not_create_excludes_who_is_absent(mode: Mode) -> None:
    """The mode is the reason that is shown."""
    outcome = place(wish(), target(mode), None)
    assert (outcome.standing, outcome.intent) == (Standing.EXCLUDED, None)
    assert mode.value in outcome.reason


def test_create_only_creates() -> None:
    """That mode creates."""
    assert intent_of(place(wish(), target(Mode.CREATE_ONLY), None)).action is Action.CREATE


def test_a_system_that_cannot_create_excludes_who_is_absent() -> None:
    """What the provider cannot do is never tried."""
    assert place(wish(), target(can_create=False), None).standing is Standing.EXCLUDED


def test_an_objection_excludes_with_its_own_words() -> None:
    """A client that the system cannot hold is excluded for the reason that the provider gave."""
    outcome = place(wish(), target(objection="no e-mail"), None)
    assert (outcome.standing, outcome.reason, outcome.intent) == (Standing.EXCLUDED, "no e-mail", None)


def test_a_client_about_whom_a_person_decides_is_not_created() -> None:
    """An open proposal keeps it from being created twice."""
    outcome = place(wish(held="may be c7"), target(), None)
    assert (outcome.standing, outcome.reason, outcome.intent) == (Standing.HELD, "may be c7", None)


def test_a_create_waits_for_what_blocks_it() -> None:
    """Before a complete walk, or the release of the first run, nothing is created."""
    outcome = place(wish(), target(blocked="no complete walk yet"), None)
    assert (outcome.standing, outcome.reason, outcome.intent) == (Standing.PENDING, "no complete walk yet", None)


def test_a_person_goes_before_a_walk() -> None:
    """Where both keep a client from being created, the one that needs somebody to act is shown."""
    assert place(wish(held="ask"), target(blocked="walk"), None).standing is Standing.HELD


# --- a client that takes no part


@pytest.mark.parametrize("held", [None, linked()])
def test_a_client_outside_only_is_excluded(held: Held | None) -> None:
    """It is neither created nor changed, and the tenant's own predicate is the reason."""
    policy = SystemPolicy("s", "memory", Mode.SYNC, only=lambda fields: fields["name"] == "x", only_text='name == "x"')
    outcome = place(wish(decisions=[told("email", "new")]), target(policy=policy), held)
    assert (outcome.standing, outcome.intent) == (Standing.EXCLUDED, None)
    assert 'name == "x"' in outcome.reason


def test_a_client_inside_only_takes_part() -> None:
    """The predicate sees the golden record."""
    policy = SystemPolicy("s", "memory", Mode.SYNC, only=lambda fields: fields["name"] == "Acme")
    assert place(wish(), target(policy=policy), None).standing is Standing.PENDING


@pytest.mark.parametrize("state", ["gone", "missing"])
def test_a_record_that_was_deleted_there_is_not_created_again(state: str) -> None:
    """A tombstone, and a record that may be one, take no writes."""
    outcome = place(wish(decisions=[told("email", "new")]), target(), Held("1", state, {}))
    assert (outcome.standing, outcome.intent) == (Standing.EXCLUDED, None)
    assert outcome.reason


def test_a_record_that_cannot_be_read_is_failing() -> None:
    """What is parked says why, and is not written."""
    outcome = place(wish(decisions=[told("email", "new")]), target(), replace(linked(), parked="bad record"))
    assert (outcome.standing, outcome.reason, outcome.intent) == (Standing.FAILING, "bad record", None)


# --- a client that the system holds


def test_a_record_that_shows_golden_is_in_sync() -> None:
    """Nothing to be told, nothing to be said."""
    outcome = place(wish(decisions=[told("email", "a@acme.test", write=False)]), target(), linked())
    assert outcome == Place("s", Standing.IN_SYNC)


def test_only_what_changed_is_written() -> None:
    """The patch holds the fields that differ, with what the record shows before and the reason."""
    decisions = [
        told("email", "new@acme.test", reason="changed in one system"),
        told("name", {"name": "Acme"}, write=False),
    ]
    outcome = place(wish(decisions=decisions), target(), linked())
    assert outcome.standing is Standing.PENDING
    intent = intent_of(outcome)
    assert (intent.action, intent.external_id) == (Action.UPDATE, "1")
    assert intent.fields == {"email": "new@acme.test"}
    assert intent.before == {"email": "a@acme.test"}
    assert intent.reason == "email: changed in one system"


def test_a_clear_is_written_as_an_empty() -> None:
    """An empty golden is sent as empty, and not left out."""
    assert intent_of(place(wish(decisions=[told("email", None)]), target(), linked())).fields == {"email": None}


def test_a_field_that_cannot_be_emptied_there_is_drift() -> None:
    """It keeps its value and is told as a difference; another value, and another field, are written as ever."""
    there = Held("1", "present", {**GOLDEN, "currency": "EUR", "phone": "+33142600011"})
    emptied = place(wish({}, [told("currency", None)]), target(fixed=frozenset({"currency"})), there)
    assert (emptied.standing, emptied.drift, emptied.intent) == (Standing.EXCLUDED, True, None)
    assert emptied.reason == "differs and cannot be written there: currency"
    both = [told("currency", None), told("phone", None)]
    beside = place(wish({}, both), target(fixed=frozenset({"currency"})), there)
    assert beside.intent is not None
    assert (beside.intent.fields, beside.drift) == ({"phone": None}, True)
    changed = place(wish({}, [told("currency", "USD")]), target(fixed=frozenset({"currency"})), there)
    assert changed.intent is not None
    assert changed.intent.fields == {"currency": "USD"}


def test_a_field_that_the_record_does_not_show_is_not_written() -> None:
    """What the system does not say is not its business."""
    outcome = place(wish(decisions=[told("phone", "1")]), target(), Held("1", "linked", {"name": "Acme"}))
    assert (outcome.standing, outcome.intent) == (Standing.IN_SYNC, None)


def test_nothing_is_written_that_the_system_could_not_tell_apart() -> None:
    """A field whose form in that system is the same already is left out of the patch."""
    short = target(same=seeing_parts(cut(4)))
    assert place(wish(decisions=[told("email", "a@acme.example")]), short, linked()).intent is None


def test_an_address_is_written_part_by_part() -> None:
    """Of an address only the parts that differ, and that the system can hold and shows, are sent."""
    shown: dict[str, Value] = {"address_line1": "1 Low Road", "postal_code": "75001", "city": "Paris", "country": None}
    golden: dict[str, Value] = {**shown, "city": "Lyon", "postal_code": "69001", "region": "ARA"}
    narrow = target(same=seeing_parts(only("address_line1", "postal_code", "city", "country")))
    outcome = place(wish(golden, [told("address", golden)]), narrow, Held("1", "linked", shown))
    assert intent_of(outcome).fields == {"postal_code": "69001", "city": "Lyon"}


def test_a_cleared_address_clears_every_part_that_is_shown() -> None:
    """An empty group empties its parts; parts that are empty already are left out."""
    shown: dict[str, Value] = {"address_line1": "1 Low Road", "address_line2": None, "city": "Paris"}
    outcome = place(wish({}, [told("address", None)]), target(), Held("1", "linked", shown))
    assert intent_of(outcome).fields == {"address_line1": None, "city": None}


def test_a_name_is_written_whole() -> None:
    """Names go with all the parts that the record shows, so that no mixture of two names is ever there."""
    golden: Value = {"name": "Ann Poe", "given_name": "Ann", "family_name": "Poe"}
    shown: dict[str, Value] = {"given_name": "Ann", "family_name": "Roe"}
    assert differing("name", golden, shown, seeing_parts(whole)) == {"given_name": "Ann", "family_name": "Poe"}
    same: dict[str, Value] = {"given_name": "Ann", "family_name": "Poe"}
    assert differing("name", golden, same, seeing_parts(whole)) == {}


def test_a_write_elsewhere_is_not_written_here() -> None:
    """Only the side of this very record counts, also where the system holds two records of the client."""
    decisions = [told("email", "new", external_id="2")]
    assert place(wish(decisions=decisions), target(), linked()).standing is Standing.IN_SYNC


def test_a_field_that_is_written_nowhere_is_not_written() -> None:
    """The tenant's `to = []` is obeyed."""
    given = Wish(GOLDEN, [told("email", "new")], lambda _: FieldPolicy(targets=frozenset()))
    assert place(given, target(), linked()).intent is None


@pytest.mark.parametrize("value, action", [(True, Action.ARCHIVE), (False, Action.RESTORE)])
def test_the_lifecycle_has_its_own_actions(*, value: bool, action: Action) -> None:
    """Archiving and restoring are told apart from other changes."""
    outcome = place(wish(decisions=[told("archived", value)]), target(), linked(archived=not value))
    assert intent_of(outcome).action is action
    assert intent_of(outcome).fields == {"archived": value}


def test_an_objection_to_a_record_that_is_there_is_drift() -> None:
    """A change that the system cannot take is not sent, and the difference is told."""
    outcome = place(wish(decisions=[told("email", None)]), target(objection="no e-mail"), linked())
    assert outcome == Place("s", Standing.EXCLUDED, "no e-mail", drift=True)


def test_an_objection_does_not_matter_where_nothing_is_to_be_written() -> None:
    """A record that shows golden is in sync."""
    assert place(wish(), target(objection="no e-mail"), linked()).standing is Standing.IN_SYNC


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.CREATE_ONLY])
def test_a_mode_that_does_not_update_leaves_drift(mode: Mode) -> None:
    """The difference is told and not written."""
    outcome = place(wish(decisions=[told("email", "new")]), target(mode), linked())
    assert (outcome.standing, outcome.drift, outcome.intent) == (Standing.EXCLUDED, True, None)
    assert "email" in outcome.reason


def test_update_only_updates() -> None:
    """That mode writes to what is there."""
    assert intent_of(place(wish(decisions=[told("email", "new")]), target(Mode.UPDATE_ONLY), linked())).fields


def test_a_field_that_was_only_sent_with_the_create_is_drift() -> None:
    """What can no longer be changed there is told, beside the write of what can be."""
    limited = target(updates=ALL - {"email"})
    only_drift = place(wish(decisions=[told("email", "new")]), limited, linked())
    assert (only_drift.standing, only_drift.drift, only_drift.intent) == (Standing.EXCLUDED, True, None)
    both = place(wish(decisions=[told("email", "new"), told("phone", "1")]), limited, linked())
    assert (both.standing, both.drift, intent_of(both).fields) == (Standing.PENDING, True, {"phone": "1"})


def test_a_difference_that_was_accounted_for_is_no_drift() -> None:
    """Where the merge sees no need to write, a different form in the system is none of the plan's business."""
    assert place(wish(decisions=[told("email", "A@ACME.TEST", write=False)]), target(), linked()) == Place(
        "s", Standing.IN_SYNC
    )


# --- what a person decides first


def test_a_held_unit_is_not_written() -> None:
    """Its standing names it."""
    outcome = place(wish(decisions=[told("email", "new")], held_units=frozenset({"email"})), target(), linked())
    assert (outcome.standing, outcome.intent) == (Standing.HELD, None)
    assert "email" in outcome.reason


def test_a_held_unit_holds_that_unit_only() -> None:
    """The others are written meanwhile, while the client's standing stays held."""
    decisions = [told("email", "new"), told("phone", "1")]
    outcome = place(wish(decisions=decisions, held_units=frozenset({"email"})), target(), linked())
    assert (outcome.standing, intent_of(outcome).fields) == (Standing.HELD, {"phone": "1"})
    assert "email" in outcome.reason


def test_a_held_unit_does_not_hold_a_system_that_does_not_show_it() -> None:
    """A system without the field has nothing to wait for."""
    outcome = place(
        wish(decisions=[told("email", "new")], held_units=frozenset({"email"})),
        target(),
        Held("1", "linked", {"name": "Acme"}),
    )
    assert outcome.standing is Standing.IN_SYNC


def test_a_proposal_about_the_client_does_not_stop_its_updates() -> None:
    """Only creates wait for the answer to a proposal."""
    assert intent_of(place(wish(decisions=[told("email", "new")], held="may be c7"), target(), linked())).fields


@pytest.mark.parametrize("golden", ["x", None])
def test_what_was_written_is_not_written_again(golden: Value) -> None:
    """Applying a patch leaves nothing that differs."""
    shown: dict[str, Value] = {"email": "old"}
    shown.update(differing("email", golden, shown, seeing_parts(whole)))
    assert unit_value(shown, "email") == golden
    assert differing("email", golden, shown, seeing_parts(whole)) == {}
