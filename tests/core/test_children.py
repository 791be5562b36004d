"""Contacts as elements: what holds whatever systems show, and the precise answers of the header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.children import (
    Children,
    ContactSpec,
    Roster,
    Tie,
    Told,
    elements,
    held,
    mark,
    merge_contacts,
    merge_notes,
    same_as_shown,
    steps,
    with_value,
)
from syncd.core.model import Context, FieldPolicy
from syncd.core.normalize import CONTACT_PARTS

CONTEXT = Context("FR", "fr-FR")
WHOLE = ContactSpec(frozenset(CONTACT_PARTS))
CARRYING = ContactSpec(
    frozenset({"name", "email", "phone", "title"}), frozenset({"name"}), frozenset({"email", "phone"})
)
STRICT = ContactSpec(frozenset({"name", "email", "phone"}), frozenset({"name", "email"}), frozenset({"email"}))
POLICY = FieldPolicy(order=("a", "b", "c"))
Raw = dict[str, Any]


def person(number: str, name: str | None, email: str | None = None, phone: str | None = None, **more: Any) -> Raw:
    """A contact as a system shows it, with all its parts."""
    return {**dict.fromkeys(CONTACT_PARTS), "id": number, "name": name, "email": email, "phone": phone, **more}


def roster(
    system: str,
    contacts: Sequence[Raw] | None,
    ties: Mapping[str, Tie] | None = None,
    spec: ContactSpec = WHOLE,
    **more: Any,
) -> Roster:
    shown = None
    if contacts is not None:
        flags = [{name: each[name] for name in ("id", "primary") if name in each} for each in contacts]
        shown = [{**flag, **held(each, spec)} for flag, each in zip(flags, contacts, strict=True)]
    return Roster(system, "1", shown, ties or {}, same_as_shown(spec, CONTEXT), **more)


def decide(golden: Any, *rosters: Roster, email: str | None = None) -> Children:
    return merge_contacts(golden, email, rosters, POLICY, CONTEXT)


def again(done: Children, *rosters: Roster, email: str | None = None) -> Children:
    """The next look at the same systems (or others), with what was remembered."""
    return decide(done.golden, *(replace(each, ties=done.tied.ties[each.record]) for each in rosters), email=email)


def primary(number: str, name: str | None, **more: Any) -> Raw:
    """A primary contact, whose e-mail and phone the client carries."""
    shown = person(number, name, **more)
    return {**{part: value for part, value in shown.items() if part not in ("email", "phone")}, "primary": True}


# ---------------------------------------------------------------- what always holds

NAMES = st.sampled_from(["Anna Kern", "Bob Roy", "Léa Sol", None])
EMAILS = st.sampled_from(["a@x.fr", "B@x.fr", "b@x.fr", None])
PHONES = st.sampled_from(["+33142600001", "01 42 60 00 01", None])


@st.composite
def shown(draw: st.DrawFn) -> list[Raw]:
    """Some contacts of one record."""
    count = draw(st.integers(0, 4))
    return [
        person(f"n{number}", draw(NAMES), draw(EMAILS), draw(PHONES), title=draw(st.sampled_from(["CEO", None])))
        for number in range(count)
    ]


SYSTEMS = st.lists(st.one_of(shown(), st.none()), min_size=1, max_size=3)
LAWS = settings(max_examples=150, deadline=None, derandomize=True)


def rosters_of(systems: Sequence[list[Raw] | None]) -> list[Roster]:
    return [roster(system, contacts) for system, contacts in zip("abc", systems, strict=False)]


def facts(done: Children) -> list[tuple[Any, ...]]:
    return sorted((tuple(sorted(each.items(), key=str)) for each in elements(done.golden)), key=str)


@LAWS
@given(SYSTEMS, st.randoms(use_true_random=False))
def test_the_order_of_systems_and_of_contacts_means_nothing(systems: list[list[Raw] | None], chance: Any) -> None:
    """Whatever the order in which systems are asked, the outcome is the same."""
    rosters = rosters_of(systems)
    mixed = list(rosters)
    chance.shuffle(mixed)
    assert facts(decide(None, *rosters)) == facts(decide(None, *mixed))


@LAWS
@given(SYSTEMS)
def test_no_contact_is_lost_or_counted_twice(systems: list[list[Raw] | None]) -> None:
    """Every contact that is shown stands for exactly one element, no two of one record for the same, and golden holds them all."""
    done = decide(None, *rosters_of(systems))
    held_now = {each["id"] for each in elements(done.golden)}
    for each, contacts in zip(rosters_of(systems), systems, strict=True):
        ties = done.tied.ties[each.record]
        assert sorted(tie.contact for tie in ties.values()) == sorted(contact["id"] for contact in contacts or [])
        assert ties.keys() <= held_now
    assert len(held_now) == len(elements(done.golden))


@LAWS
@given(SYSTEMS)
def test_looking_again_changes_nothing(systems: list[list[Raw] | None]) -> None:
    """A second look at the same facts moves nothing, ties nothing anew and logs nothing."""
    rosters = rosters_of(systems)
    once = decide(None, *rosters)
    twice = again(once, *rosters)
    assert (twice.golden, twice.tied.ties) == (once.golden, once.tied.ties)
    assert (twice.moves, twice.removals) == ([], [])
    assert not [each for each in twice.decisions if each.outcome.value in ("accept", "conflict")]


@LAWS
@given(SYSTEMS, st.integers(0, 2))
def test_unknown_removes_nothing(systems: list[list[Raw] | None], silent: int) -> None:
    """A record that says nothing about its contacts any more takes none away, and is told nothing."""
    rosters = rosters_of(systems)
    once = decide(None, *rosters)
    quiet = [replace(each, contacts=None) if n == silent else each for n, each in enumerate(rosters)]
    twice = again(once, *quiet)
    assert twice.golden == once.golden
    for each in quiet:
        if each.contacts is None:
            told = steps(twice, replace(each, ties=twice.tied.ties[each.record]), WHOLE, None, "ACME", deletes=True)
            assert told.steps == []


@LAWS
@given(SYSTEMS)
def test_telling_ends_in_agreement(systems: list[list[Raw] | None]) -> None:
    """When each system has done what it was told, all show the same contacts, and nothing more is told."""
    worlds = {
        name: [dict(each) for each in contacts]
        for name, contacts in zip("abc", systems, strict=False)
        if contacts is not None
    }
    golden, ties = None, {name: dict[str, Tie]() for name in worlds}
    for _ in range(4):
        rosters = [roster(name, contacts, ties[name]) for name, contacts in worlds.items()]
        done = decide(golden, *rosters)
        golden = done.golden
        ties = {name: dict(done.tied.ties[name, "1"]) for name in worlds}
        told = {each.system: steps(done, each, WHOLE, None, "ACME", deletes=False).steps for each in rosters}
        for name, wanted in told.items():
            _carry_out(worlds[name], ties[name], wanted)
        if not any(told.values()):
            break
    assert not any(told.values())
    for contacts in worlds.values():
        assert len(contacts) == len(elements(golden))
        for element in elements(golden):
            assert any(_alike(element, each) for each in contacts), (element, contacts)


def _carry_out(world: list[Raw], ties: dict[str, Tie], wanted: Sequence[Mapping[str, Any]]) -> None:
    for number, step in enumerate(wanted):
        parts = {part: value for part, value in step.items() if part in CONTACT_PARTS}
        if "element" in step:
            made = {**dict.fromkeys(CONTACT_PARTS), "id": f"m{len(world)}-{number}", **parts}
            world.append(made)
            ties[step["element"]] = Tie(made["id"])
        else:
            next(each for each in world if each["id"] == step["id"]).update(parts)


def _alike(element: Mapping[str, Any], contact: Mapping[str, Any]) -> bool:
    same = same_as_shown(WHOLE, CONTEXT)
    return all(same(part, element.get(part), contact.get(part)) for part in ("email", "phone", "title"))


# ---------------------------------------------------------------- the answers of the header


def test_a_tie_outlives_every_value() -> None:
    """A tied contact whose name, e-mail and phone all change is still the same element."""
    first = decide(None, roster("a", [person("1", "Anna", "a@x.fr")]), roster("b", [person("7", "Anna", "a@x.fr")]))
    later = again(
        first, roster("a", [person("1", "Zoé", "z@x.fr", "+33142600009")]), roster("b", [person("7", "Anna", "a@x.fr")])
    )
    (element,) = elements(later.golden)
    assert (element["id"], element["email"]) == (elements(first.golden)[0]["id"], "z@x.fr")
    assert later.tied.ties["b", "1"].keys() == {element["id"]}


def test_name_and_phone_count_only_together() -> None:
    """An equal name alone, or an equal phone alone, does not make two contacts one."""
    by_name = decide(None, roster("a", [person("1", "Anna")]), roster("b", [person("1", "Anna", phone="+33142600001")]))
    by_phone = decide(
        None,
        roster("a", [person("1", "Anna", phone="+33142600001")]),
        roster("b", [person("1", "Bob", phone="+33142600001")]),
    )
    both = decide(
        None,
        roster("a", [person("1", "Anna", phone="0142600001")]),
        roster("b", [person("1", "anna", phone="+33142600001")]),
    )
    assert [len(elements(each.golden)) for each in (by_name, by_phone, both)] == [2, 2, 1]


def test_primary_contacts_are_one_whatever_their_names() -> None:
    """The primary contacts of two systems are one element; the e-mail is the client's and no part of it."""
    done = decide(
        None,
        roster("a", [primary("1", "Anna")], spec=CARRYING, email="a@x.fr"),
        roster("b", [primary("1", None)], spec=STRICT, email="a@x.fr"),
        email="a@x.fr",
    )
    (element,) = elements(done.golden)
    assert element["primary"] is True
    assert element["name"] == "Anna"
    assert "email" not in element


def test_who_carries_the_clients_e_mail_stands_for_the_primary_contact() -> None:
    """Two systems that list the same two people in another order have two elements, and nobody's e-mail is written over."""
    here = roster("a", [primary("1", "Bob"), person("2", "Anna", "a@x.fr")], spec=CARRYING, email="b@x.fr")
    there = roster("b", [primary("7", "Anna"), person("8", "Bob", "b@x.fr")], spec=STRICT, email="a@x.fr")
    done = decide(None, here, there, email="b@x.fr")
    named = {each["name"]: str(each["id"]) for each in elements(done.golden)}
    assert named.keys() == {"Anna", "Bob"}
    assert done.tied.primary == named["Bob"]
    assert {name: tie.contact for name, tie in done.tied.ties["b", "1"].items()} == {
        named["Bob"]: "8",
        named["Anna"]: "7",
    }
    for each, spec in ((here, CARRYING), (there, STRICT)):
        assert steps(done, each, spec, "b@x.fr", "ACME", deletes=False).steps == []


def test_a_replaced_primary_contact_was_edited() -> None:
    """Where the only contact was deleted and another typed, the primary element is edited, not removed and added."""
    first = decide(None, roster("a", [primary("1", "Anna")], spec=CARRYING, email="a@x.fr"), email="a@x.fr")
    later = again(first, roster("a", [primary("2", "Carl")], spec=CARRYING, email="c@x.fr"), email="c@x.fr")
    (element,) = elements(later.golden)
    assert (element["id"], element["name"]) == (elements(first.golden)[0]["id"], "Carl")
    assert later.removals == []


def test_a_deleted_primary_contact_hands_over() -> None:
    """Where the primary contact was deleted, the next one takes the role in every system, and the deleted one is buried."""
    here = [primary("1", "Anna"), person("2", "Bob", "b@x.fr")]
    there = [primary("7", "Anna"), person("8", "Bob", "b@x.fr")]
    first = decide(
        None,
        roster("a", here, spec=CARRYING, email="a@x.fr"),
        roster("b", there, spec=STRICT, email="a@x.fr"),
        email="a@x.fr",
    )
    later = again(
        first,
        roster("a", [primary("2", "Bob")], spec=CARRYING, email="b@x.fr"),
        roster("b", there, spec=STRICT, email="a@x.fr"),
        email="b@x.fr",
    )
    (bob,) = elements(later.golden)
    assert (bob["name"], bob["primary"]) == ("Bob", True)
    assert later.tied.ties["b", "1"][str(bob["id"])].contact == "8"
    told = steps(later, roster("b", there, later.tied.ties["b", "1"], STRICT), STRICT, "b@x.fr", "ACME", deletes=False)
    assert told.steps == []
    assert told.drift == ["a contact that was removed elsewhere is still there"]


def test_a_tie_to_an_unknown_element_is_none() -> None:
    """Ties to an element that golden does not hold and nobody removed are forgotten: two clients became one."""
    strange = Tie("1", seen={"email": "a@x.fr"}, agreed={"email": "a@x.fr"})
    golden = [{"id": "e1", "name": "Anna", "email": "a@x.fr"}]
    done = decide(golden, roster("a", [person("1", "Anna", "a@x.fr")], {"e9": strange}))
    assert done.tied.ties["a", "1"].keys() == {"e1"}
    assert [each["id"] for each in elements(done.golden)] == ["e1"]


def test_what_a_system_cannot_hold_is_drift() -> None:
    """A contact without e-mail cannot be made where an e-mail is needed; that is told and not tried."""
    done = decide(None, roster("a", [person("1", "Anna")]), roster("b", [], spec=STRICT))
    told = steps(done, roster("b", [], spec=STRICT), STRICT, None, "ACME", deletes=False)
    assert told.steps == []
    assert told.drift == ["a contact cannot be held there without email"]


def test_setting_one_value_by_hand() -> None:
    """One value of one contact, or one contact, is set in the list; the others stay."""
    golden: Any = [{"id": "e1", "title": "CEO"}, {"id": "e2", "title": None}]
    assert with_value(golden, "contacts.e1.title", "CTO") == [{"id": "e1", "title": "CTO"}, {"id": "e2", "title": None}]
    assert with_value(golden, "contacts.e1", None) == [{"id": "e2", "title": None}]
    assert with_value(golden, "contacts.e3", {"title": "x"}) == [*golden, {"id": "e3", "title": "x"}]


# ---------------------------------------------------------------- notes

TEXTS = st.lists(st.sampled_from(["one", "two", "<p>one</p>", "three"]), max_size=4)


@LAWS
@given(TEXTS, TEXTS)
def test_notes_are_told_once_and_never_doubled(here: list[str], there: list[str]) -> None:
    """When both systems were told what they lack, they lack nothing, and golden has every text once."""
    shown = {"a": list(enumerate(here)), "b": list(enumerate(there))}
    golden, ties = None, {"a": dict[str, str](), "b": dict[str, str]()}
    for _ in range(2):
        told = [Told(name, "1", [(str(n), text) for n, text in notes], ties[name]) for name, notes in shown.items()]
        done = merge_notes(golden, told)
        golden, ties = done.golden, {name: done.ties[name, "1"] for name in shown}
        missing = {name: done.missing[name, "1"] for name in shown}
        for name, texts in missing.items():
            shown[name] += [(100 + n, str(text)) for n, text in enumerate(texts)]
    assert not any(missing.values())
    marks = [mark(str(each)) for each in (golden if isinstance(golden, list) else [])]
    assert len(marks) == len(set(marks))
    assert set(marks) == {mark(text) for text in (*here, *there)}


def test_an_edited_note_is_not_a_new_one() -> None:
    """A note is known by its id: edited or removed, it changes nothing elsewhere."""
    first = merge_notes(None, [Told("a", "1", [("7", "Calls at noon")], {})])
    edited = merge_notes(first.golden, [Told("a", "1", [("7", "Calls at one")], first.ties["a", "1"])])
    gone = merge_notes(edited.golden, [Told("a", "1", [], edited.ties["a", "1"]), Told("b", "1", None, {})])
    assert first.golden == edited.golden == gone.golden == ["Calls at noon"]
    assert (edited.moves, gone.moves, gone.missing["a", "1"]) == ([], [], [])
