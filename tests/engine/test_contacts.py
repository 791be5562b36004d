"""Contacts as elements of their own, over worlds in memory: both worlds are looked at in the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from syncd.core.model import Context, FieldPolicy, Rule
from syncd.engine.systems import System
from syncd.engine.undo import Undo
from syncd.providers import Settings
from syncd.providers.memory import EVERY_FIELD, Memory, Profile
from syncd.store import ConflictKind, ConflictStatus
from tests.engine.rig import Rig, make_rig, writes
from tests.engine.test_trail import assert_complete

CONTEXT = Context("FR", "fr-FR")

ACME = {"name": "ACME", "registration_number": "552100554"}
ANNA = {"given_name": "Anna", "family_name": "Kern", "email": "anna@acme.fr", "phone": "+33 1 42 60 00 01"}
BOB = {"given_name": "Bob", "family_name": "Roy", "email": "bob@acme.fr"}


def contacts(rig: Rig, system: str, external_id: str = "1") -> list[dict[str, Any]]:
    """The contacts that a world holds, without their ids, by e-mail."""
    listed = rig.worlds[system].record(external_id)["contacts"] or []
    stripped = [{part: value for part, value in each.items() if value is not None and part != "id"} for each in listed]
    return sorted(stripped, key=lambda each: str(each.get("email")))


def emails(rig: Rig, system: str, external_id: str = "1") -> list[Any]:
    return [each.get("email") for each in contacts(rig, system, external_id)]


def change(rig: Rig, system: str, email: str, external_id: str = "1", **parts: Any) -> None:
    """A person changes one contact, found by its e-mail."""
    listed = rig.worlds[system].record(external_id)["contacts"]
    rig.worlds[system].edit(
        external_id, contacts=[{**each, **parts} if each["email"] == email else each for each in listed]
    )


def remove(rig: Rig, system: str, email: str, external_id: str = "1") -> None:
    listed = rig.worlds[system].record(external_id)["contacts"]
    rig.worlds[system].edit(external_id, contacts=[each for each in listed if each["email"] != email])


def golden(rig: Rig) -> list[dict[str, Any]]:
    (client,) = rig.clients()
    return list(client.fields.get("contacts") or [])  # type: ignore[arg-type]


def two(tmp_path: Path, *people: Any, **policy: Any) -> Rig:
    """Two systems that agree about a client with some contacts."""
    rig = make_rig(tmp_path, ("a", "b"), **policy)
    rig.worlds["a"].add(**ACME, contacts=[dict(each) for each in people])
    rig.settle()
    assert contacts(rig, "a") == contacts(rig, "b")
    assert writes(rig.cycle()) == 0
    return rig


def test_contacts_travel_with_a_new_client(tmp_path: Path) -> None:
    """What one system holds of contacts is made in the other, and then nothing is sent any more."""
    rig = two(tmp_path, ANNA, BOB)
    assert emails(rig, "b") == ["anna@acme.fr", "bob@acme.fr"]
    assert rig.conflicts() == []


def test_one_edit_of_a_contact_is_one_write(tmp_path: Path) -> None:
    """An edit of one contact costs one write to each other system, changes that part only, and is not echoed."""
    rig = two(tmp_path, ANNA, BOB)
    for here, there in (("a", "b"), ("b", "a")):
        change(rig, here, "bob@acme.fr", phone=f"+33 1 42 60 00 1{here == 'a':d}")
        assert [writes(report) for report in rig.settle()] == [1, 0]
        assert contacts(rig, here) == contacts(rig, there)
    assert rig.conflicts() == []


def test_an_added_contact_is_made_once(tmp_path: Path) -> None:
    """A contact that somebody adds is made once in the other system, in both directions."""
    rig = two(tmp_path, ANNA)
    for here in ("a", "b"):
        listed = rig.worlds[here].record("1")["contacts"]
        rig.worlds[here].edit("1", contacts=[*listed, {**BOB, "email": f"{here}@acme.fr", "given_name": here}])
        assert [writes(report) for report in rig.settle()] == [1, 0]
    assert emails(rig, "a") == emails(rig, "b") == ["a@acme.fr", "anna@acme.fr", "b@acme.fr"]


def test_order_means_nothing(tmp_path: Path) -> None:
    """A change of the order of contacts changes nothing anywhere."""
    rig = two(tmp_path, ANNA, BOB)
    listed = rig.worlds["a"].record("1")["contacts"]
    rig.worlds["a"].edit("1", contacts=list(reversed(listed)))
    assert writes(rig.cycle()) == 0
    assert rig.worlds["a"].record("1")["contacts"] == list(reversed(listed))


def test_equal_contacts_are_one_at_first_sight(tmp_path: Path) -> None:
    """Contacts with one e-mail are one, as are those with one name and phone; nothing is doubled."""
    rig = make_rig(tmp_path, ("a", "b"))
    nameless = {"given_name": "Léa", "family_name": "Sol", "phone": "0142600009"}
    rig.worlds["a"].add(**ACME, contacts=[dict(ANNA), dict(nameless)])
    rig.worlds["b"].add(**ACME, contacts=[{**nameless, "phone": "+33142600009"}, {**ANNA, "email": "ANNA@acme.fr"}])
    rig.settle()
    assert len(golden(rig)) == len(contacts(rig, "a")) == len(contacts(rig, "b")) == 2
    assert rig.conflicts() == []


def test_ambiguous_contacts_stay_apart(tmp_path: Path) -> None:
    """Where two contacts of one record fit one of another, none is taken for it: each becomes its own."""
    rig = make_rig(tmp_path, ("a", "b"))
    shared = {"given_name": "Desk", "family_name": "One", "email": "office@acme.fr"}
    rig.worlds["a"].add(**ACME, contacts=[dict(shared), {**shared, "given_name": "Other"}])
    rig.worlds["b"].add(**ACME, contacts=[dict(shared)])
    rig.settle()
    assert len(golden(rig)) == 3
    assert writes(rig.cycle()) == 0


def test_a_removal_follows_the_delete_policy(tmp_path: Path) -> None:
    """By default a removed contact stays elsewhere as drift and is never made again; with `delete` it is removed there too."""
    for policy, left in (("archive", ["anna@acme.fr", "bob@acme.fr"]), ("delete", ["anna@acme.fr"])):
        folder = tmp_path / policy
        folder.mkdir()
        rig = two(folder, ANNA, BOB)
        rig.systems = tuple(replace(each, on_delete=policy) for each in rig.systems)
        rig.change_policy(systems=rig.systems)
        remove(rig, "a", "bob@acme.fr")
        rig.settle()
        assert emails(rig, "a") == ["anna@acme.fr"]
        assert emails(rig, "b") == left
        assert [each["email"] for each in golden(rig)] == ["anna@acme.fr"]
        assert writes(rig.cycle()) == 0
        assert rig.conflicts() == []


def test_an_edit_wins_against_a_removal(tmp_path: Path) -> None:
    """A contact that one system removed and another edited is kept where it is, not made again, and logged once."""
    rig = two(tmp_path, ANNA, BOB)
    remove(rig, "a", "bob@acme.fr")
    change(rig, "b", "bob@acme.fr", title="CEO")
    rig.settle()
    (conflict,) = rig.conflicts()
    assert (conflict.kind, conflict.status, conflict.winner) == (ConflictKind.DELETE, ConflictStatus.DECIDED, "b")
    assert emails(rig, "a") == ["anna@acme.fr"]
    assert emails(rig, "b") == ["anna@acme.fr", "bob@acme.fr"]
    assert {each["email"]: each.get("title") for each in golden(rig)} == {"anna@acme.fr": None, "bob@acme.fr": "CEO"}
    assert writes(rig.cycle()) == 0
    assert len(rig.conflicts()) == 1


def test_an_edit_of_a_buried_contact_brings_it_back(tmp_path: Path) -> None:
    """Who edits a contact that was removed elsewhere keeps it: golden has it again, and that is logged."""
    rig = two(tmp_path, ANNA, BOB)
    remove(rig, "a", "bob@acme.fr")
    rig.settle()
    change(rig, "b", "bob@acme.fr", title="CEO")
    rig.settle()
    assert len(golden(rig)) == 2
    assert emails(rig, "a") == ["anna@acme.fr"]
    assert [each.kind for each in rig.conflicts()] == [ConflictKind.DELETE]
    assert writes(rig.cycle()) == 0


def test_unknown_removes_nothing(tmp_path: Path) -> None:
    """A system that stops telling its contacts removes none and is told none."""
    rig = two(tmp_path, ANNA, BOB)
    rig.worlds["a"].hide("1", "contacts")
    rig.worlds["a"].edit("1", city="Lyon")
    rig.settle()
    assert len(golden(rig)) == len(contacts(rig, "b")) == 2


def test_a_listing_alone_removes_nothing(tmp_path: Path) -> None:
    """A list answer with empty children is asked for singly before a contact counts as removed."""
    rig = two(tmp_path, ANNA, BOB)
    listing = rig.worlds["a"].listing

    def empty(offset: int, limit: int) -> Any:
        items, total = listing(offset, limit)
        return [{**each, "contacts": []} for each in items], total

    rig.worlds["a"].listing = empty  # type: ignore[method-assign]
    rig.settle()
    assert len(golden(rig)) == len(contacts(rig, "a")) == len(contacts(rig, "b")) == 2


def test_two_edits_of_one_part_are_one_conflict(tmp_path: Path) -> None:
    """Two systems that changed one part of one contact make one conflict row with all values; other parts are not touched."""
    rig = two(tmp_path, ANNA, BOB)
    change(rig, "a", "bob@acme.fr", title="CEO", mobile="+33 6 00 00 00 01")
    change(rig, "b", "bob@acme.fr", title="CTO")
    rig.settle()
    (conflict,) = rig.conflicts()
    element = next(each["id"] for each in golden(rig) if each["email"] == "bob@acme.fr")
    assert conflict.unit == f"contacts.{element}.title"
    assert {each["system"]: each["value"] for each in conflict.candidates} == {"a": "CEO", "b": "CTO"}
    assert (conflict.winner, conflict.base) == ("a", None)
    assert contacts(rig, "a") == contacts(rig, "b")
    assert {each["email"]: each.get("title") for each in contacts(rig, "b")}["bob@acme.fr"] == "CEO"


def test_a_held_part_waits_for_a_person(tmp_path: Path) -> None:
    """With the rule `hold` two edits wait; resolving the conflict writes the chosen value to both."""
    rig = two(tmp_path, BOB, fields={"contacts": FieldPolicy(Rule.HOLD)})
    change(rig, "a", "bob@acme.fr", title="CEO")
    change(rig, "b", "bob@acme.fr", title="CTO")
    rig.settle()
    (conflict,) = rig.conflicts()
    assert conflict.status is ConflictStatus.OPEN
    assert [each.get("title") for each in (*contacts(rig, "a"), *contacts(rig, "b"))] == ["CEO", "CTO"]
    rig.operate().resolve(conflict.conflict, take="b")
    rig.settle()
    assert [each.get("title") for each in (*contacts(rig, "a"), *contacts(rig, "b"))] == ["CTO", "CTO"]
    assert [each.status for each in rig.conflicts()] == [ConflictStatus.RESOLVED]


def test_a_losing_value_can_be_put_back(tmp_path: Path) -> None:
    """Resolving a decided conflict about a contact with the losing value, or a typed one, writes it everywhere."""
    rig = two(tmp_path, BOB)
    change(rig, "a", "bob@acme.fr", title="CEO")
    change(rig, "b", "bob@acme.fr", title="CTO")
    rig.settle()
    (conflict,) = rig.conflicts()
    rig.operate().resolve(conflict.conflict, take="b")
    rig.settle()
    assert [each["title"] for each in (*contacts(rig, "a"), *contacts(rig, "b"))] == ["CTO", "CTO"]
    rig.operate().resolve(conflict.conflict, value="Boss")
    rig.settle()
    assert [each["title"] for each in (*contacts(rig, "a"), *contacts(rig, "b"))] == ["Boss", "Boss"]


def test_a_removed_contact_is_made_again_when_a_person_says_so(tmp_path: Path) -> None:
    """Resolving a removal for the edit makes the contact where it was removed; for the removal, golden drops it."""
    for take, made in (("b", True), ("a", False)):
        folder = tmp_path / take
        folder.mkdir()
        rig = two(folder, ANNA, BOB)
        remove(rig, "a", "bob@acme.fr")
        change(rig, "b", "bob@acme.fr", title="CEO")
        rig.settle()
        (conflict,) = rig.conflicts()
        rig.operate().resolve(conflict.conflict, take=take)
        rig.settle()
        assert ("bob@acme.fr" in emails(rig, "a")) is made
        assert len(golden(rig)) == 1 + made
        assert emails(rig, "b") == ["anna@acme.fr", "bob@acme.fr"]
        assert writes(rig.cycle()) == 0


def test_a_system_that_is_told_no_contacts_keeps_its_own(tmp_path: Path) -> None:
    """Where contacts are read only, none is written, and the difference is told as drift only where it could be written."""
    specs = {**EVERY_FIELD, "contacts": type(EVERY_FIELD["contacts"])(update=False)}
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": Profile(specs=specs)})
    rig.worlds["a"].add(**ACME, contacts=[dict(ANNA)])
    rig.worlds["b"].add(**ACME, contacts=[dict(BOB)])
    rig.settle()
    assert emails(rig, "a") == ["anna@acme.fr", "bob@acme.fr"]
    assert emails(rig, "b") == ["bob@acme.fr"]


def test_notes_are_only_ever_added(tmp_path: Path) -> None:
    """A note is told to the other system once; what is edited or removed later stays as it is there, and nothing comes back."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(**ACME, notes=["Calls at noon", "Likes mail"])
    rig.settle()
    assert [each["text"] for each in rig.worlds["b"].record("1")["notes"]] == ["Calls at noon", "Likes mail"]  # type: ignore[index,union-attr]
    first, _ = rig.worlds["a"].record("1")["notes"]  # type: ignore[misc]
    rig.worlds["a"].edit("1", notes=[{**first, "text": "Calls at one"}])  # type: ignore[dict-item]
    theirs = rig.worlds["b"].record("1")["notes"]
    rig.worlds["b"].edit("1", notes=[*theirs, "From b"])  # type: ignore[misc]
    rig.settle()
    assert [each["text"] for each in rig.worlds["b"].record("1")["notes"]] == ["Calls at noon", "Likes mail", "From b"]  # type: ignore[index,union-attr]
    assert [each["text"] for each in rig.worlds["a"].record("1")["notes"]] == ["Calls at one", "From b"]  # type: ignore[index,union-attr]
    (client,) = rig.clients()
    assert client.fields["notes"] == ["Calls at noon", "Likes mail", "From b"]
    assert writes(rig.cycle()) == 0


def test_the_trail_tells_contacts_and_notes(tmp_path: Path) -> None:
    """Additions, edits, removals, conflicts and a person's decisions about contacts come back from the audit trail."""
    rig = two(tmp_path, ANNA, BOB)
    change(rig, "a", "bob@acme.fr", title="CEO")
    change(rig, "b", "bob@acme.fr", title="CTO")
    rig.worlds["b"].edit("1", notes=["From b"])
    rig.settle()
    assert_complete(rig)
    (conflict,) = rig.conflicts()
    rig.operate().resolve(conflict.conflict, take="b")
    assert_complete(rig)
    remove(rig, "a", "anna@acme.fr")
    rig.settle()
    (golden_record,) = assert_complete(rig).clients.values()
    assert [each["email"] for each in golden_record.fields["contacts"]] == ["bob@acme.fr"]  # type: ignore[index,union-attr]
    assert golden_record.fields["notes"] == ["From b"]


def test_an_undo_takes_an_edit_of_a_contact_back(tmp_path: Path) -> None:
    """Undoing the cycle of an edit writes the earlier value again; undoing an addition or a removal takes that back."""
    rig = two(tmp_path, ANNA)
    change(rig, "a", "anna@acme.fr", title="CEO")
    rig.settle()
    undo(rig, rig.reports[-2].cycle)
    rig.settle()
    assert [each.get("title") for each in (*contacts(rig, "a"), *contacts(rig, "b"))] == [None, None]
    remove(rig, "a", "anna@acme.fr")
    rig.settle()
    undo(rig, rig.reports[-1].cycle)
    rig.settle()
    assert emails(rig, "a") == emails(rig, "b") == ["anna@acme.fr"]
    assert writes(rig.cycle()) == 0


def undo(rig: Rig, cycle: str) -> None:
    """Take a cycle back, by hand."""
    systems = {
        each.name: System(
            each, Memory(Settings(each.name, "memory", options={"world": rig.worlds[each.name].name})), CONTEXT
        )
        for each in rig.systems
    }
    store = rig.store()
    Undo(store, rig.clock, "tester").undo(cycle, systems, CONTEXT)
    store.close()


def test_a_merge_keeps_every_contact_once(tmp_path: Path) -> None:
    """Clients that become one hold the contacts of both, equal ones once, and every surviving record shows them."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.fr", contacts=[dict(ANNA)], notes=["one"])
    rig.worlds["b"].add(
        name="Durand", email="b@durand.fr", contacts=[{**ANNA, "title": "CEO"}, dict(BOB)], notes=["two"]
    )
    rig.settle()
    first, second = (each.client for each in rig.clients())
    rig.operate().merge(first, second)
    rig.settle(12)
    (survivor,) = [each for each in rig.clients() if each.merged_into is None]
    held = {each["email"]: each for each in survivor.fields["contacts"]}  # type: ignore[index,union-attr,call-overload]
    assert sorted(held) == ["anna@acme.fr", "bob@acme.fr"]
    assert held["anna@acme.fr"]["title"] == "CEO"
    assert sorted(survivor.fields["notes"]) == ["one", "two"]  # type: ignore[type-var,arg-type]
    for name in ("a", "b"):
        [alive] = [each for each in rig.worlds[name].ids() if rig.worlds[name].record(each)["archived"] is not True]
        assert emails(rig, name, alive) == ["anna@acme.fr", "bob@acme.fr"]
        assert sorted(each["text"] for each in rig.worlds[name].record(alive)["notes"]) == ["one", "two"]  # type: ignore[index,union-attr]
    assert writes(rig.cycle()) == 0


def test_many_removals_at_once_are_held(tmp_path: Path) -> None:
    """Contacts that vanish from many clients of one system are one held set, cycle after cycle; refused, they are written back."""
    for release in (True, False):
        folder = tmp_path / str(release)
        folder.mkdir()
        rig = make_rig(folder, ("a", "b"))
        rig.systems = tuple(replace(each, on_delete="delete") for each in rig.systems)
        rig.change_policy(systems=rig.systems)
        ids = [
            rig.worlds["a"].add(name=f"Client {n}", email=f"c{n}@x.fr", contacts=[{**ANNA, "email": f"anna{n}@x.fr"}])
            for n in range(8)
        ]
        rig.settle()
        for each in ids[1:]:
            rig.worlds["a"].edit(each, contacts=[])
        rig.settle()
        (hold,) = rig.holds()
        for _ in range(3):
            rig.cycle()
        assert [each.hold for each in rig.holds()] == [hold.hold]
        assert len(hold.items) == 7
        assert [len(contacts(rig, "b", each)) for each in ids] == [1] * 8
        if release:
            rig.operate().release(hold.hold)
        else:
            rig.operate().refuse(hold.hold)
        rig.settle()
        left = 0 if release else 1
        for name in ("a", "b"):
            assert [len(contacts(rig, name, each)) for each in ids] == [1] + [left] * 7
        assert writes(rig.cycle()) == 0
