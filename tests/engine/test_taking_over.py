"""Merges made inside a system, duplicates in one system, and merges that need no person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Brake, BrakeKind
from syncd.errors import Gone, UsageError
from syncd.providers.memory import Call, Profile
from syncd.store import ClientState, HoldKind, HoldState, LinkState
from tests.engine.rig import Rig, make_rig, writes
from tests.engine.test_merging import links, merges
from tests.engine.test_trail import assert_complete

FIRST, SECOND = "FR40303265045", "FR83404833048"


def typed_twice(folder: Path, *, email: str = "hello@acme.example", **options: Any) -> Rig:
    """Two clients that a person typed in one system, and a third one."""
    rig = make_rig(folder, ("a", "b"), **options)
    rig.worlds["a"].add(name="ACME Europe", email=email, vat_number=FIRST)
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example", vat_number=SECOND)
    rig.worlds["a"].add(name="Somebody Else", email="else@else.example")
    rig.settle()
    return rig


def merge_inside(rig: Rig) -> None:
    """A person merges record 2 of a into record 1, which gets its e-mail."""
    rig.worlds["a"].edit("1", email="b@durand.example")
    rig.worlds["a"].edit("1", vat_number=None)
    rig.worlds["a"].remove("2")


def test_a_merge_inside_a_system_is_proposed_and_no_delete(tmp_path: Path) -> None:
    """A record that vanished while another one took over its identifiers archives nobody; a person joins the clients."""
    rig = typed_twice(tmp_path)
    merge_inside(rig)
    for _ in range(4):
        rig.cycle()
    (hold,) = rig.holds()
    assert hold.kind is HoldKind.MERGE
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 3
    rig.operate().release(hold.hold)
    rig.settle()
    first, second, _ = rig.clients()
    assert (first.state, second.merged_into) == (ClientState.ACTIVE, "c1")
    found = links(rig)
    assert {key: link.client for key, link in found.items() if key in (("a", "1"), ("a", "2"))} == {
        ("a", "1"): "c1",
        ("a", "2"): "c1",
    }
    assert found["a", "2"].state is LinkState.GONE
    theirs = [key for key, link in found.items() if key[0] == "b" and link.client == "c1"]
    assert sorted(rig.worlds["b"].record(each)["archived"] for _, each in theirs) == [False, True]
    assert_complete(rig)
    for _ in range(3):
        assert writes(rig.cycle()) == 0
    assert rig.clients()[0].state is ClientState.ACTIVE


def test_a_refused_proposal_keeps_them_apart(tmp_path: Path) -> None:
    """Refused, the two clients stay two for ever."""
    rig = typed_twice(tmp_path)
    merge_inside(rig)
    for _ in range(4):
        rig.cycle()
    (hold,) = rig.holds()
    rig.operate().refuse(hold.hold)
    rig.settle()
    assert rig.holds() == [] or all(each.state is not HoldState.OPEN for each in rig.holds())
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().merge("c1", "c2")


def test_a_changed_id_is_no_delete(tmp_path: Path) -> None:
    """A record that comes back under another id is the same client's: nothing is archived, the old id leads to it."""
    rig = typed_twice(tmp_path)
    rig.worlds["a"].remove("1")
    new = rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example", vat_number=FIRST)
    for _ in range(4):
        rig.cycle()
    rig.settle()
    found = links(rig)
    assert (found["a", new].client, found["a", new].state) == ("c1", LinkState.LINKED)
    assert (found["a", "1"].client, found["a", "1"].state) == ("c1", LinkState.GONE)
    assert rig.clients()[0].state is ClientState.ACTIVE
    assert rig.worlds["b"].record("1")["archived"] is False
    assert_complete(rig)


def test_what_the_system_itself_says_is_believed(tmp_path: Path) -> None:
    """A system that answers the old id with another one merges the clients by itself where the tenant lets it."""
    rig = typed_twice(tmp_path, merges="auto")

    def redirect(call: Call) -> None:
        if call.action == "fetch" and call.external_id == "2":
            raise Gone("a: moved", external_id="2", moved_to="1", status=301)

    rig.worlds["a"].remove("2")
    rig.worlds["a"].before.append(redirect)
    for _ in range(5):
        rig.cycle()
    assert rig.clients()[1].merged_into == "c1"
    assert_complete(rig)


def test_what_the_system_says_is_believed_of_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    """An old id that leads to a record which cannot be read for now is a merge all the same, and archives nobody."""
    rig = typed_twice(tmp_path)

    def redirect(call: Call) -> None:
        if call.action == "fetch" and call.external_id == "2":
            raise Gone("a: moved", external_id="2", moved_to="1", status=301)

    rig.worlds["a"].remove("2")
    rig.worlds["a"].before.append(redirect)
    rig.worlds["a"].edit("1", x_note="\x00")
    for _ in range(4):
        rig.cycle()
    (hold,) = rig.holds()
    assert hold.kind is HoldKind.MERGE
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 3
    rig.operate().release(hold.hold)
    rig.settle()
    assert (rig.clients()[0].state, rig.clients()[1].merged_into) == (ClientState.ACTIVE, "c1")
    assert_complete(rig)


def test_what_the_system_says_is_believed_of_a_record_that_was_never_read(tmp_path: Path) -> None:
    """An old id that leads to a listed record which could not be read yet archives nobody; once it is read, their merge is proposed."""
    rig = typed_twice(tmp_path)
    new = rig.worlds["a"].add(name="Cordonnerie Petit", email="c@petit.example", x_note="\x00")

    def redirect(call: Call) -> None:
        if call.action == "fetch" and call.external_id == "2":
            raise Gone("a: moved", external_id="2", moved_to=new, status=301)

    rig.worlds["a"].remove("2")
    rig.worlds["a"].before.append(redirect)
    for _ in range(4):
        rig.cycle()
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 3
    assert rig.worlds["b"].record("2")["archived"] is False
    rig.worlds["a"].edit(new, x_note=None)
    for _ in range(3):
        rig.cycle()
    (hold,) = rig.holds()
    assert (hold.kind, {item["client"] for item in hold.items}) == (HoldKind.MERGE, {"c2", "c4"})
    assert rig.worlds["b"].record("2")["archived"] is False
    assert_complete(rig)


def test_an_old_id_that_leads_to_nothing_any_more_is_a_delete(tmp_path: Path) -> None:
    """Where the record that was never read vanishes in turn, there is nobody who took the place of the first one."""
    rig = typed_twice(tmp_path)
    new = rig.worlds["a"].add(name="Cordonnerie Petit", x_note="\x00")

    def redirect(call: Call) -> None:
        if call.action == "fetch" and call.external_id == "2":
            raise Gone("a: moved", external_id="2", moved_to=new, status=301)

    rig.worlds["a"].remove("2")
    rig.worlds["a"].before.append(redirect)
    for _ in range(4):
        rig.cycle()
    rig.worlds["a"].remove(new)
    rig.settle()
    assert rig.worlds["b"].record("2")["archived"] is True


def twins(folder: Path, number: int, **options: Any) -> Rig:
    """So many clients that are twice in one system, with the same VAT number."""
    rig = make_rig(folder, ("a", "b"), **options)
    valid = ("732829320", "552100554", "542051180", "775670417", "380129866", "562082909", "444608442")
    for each in valid[:number]:
        for _ in range(2):
            rig.worlds["a"].add(name=f"Maison {each}", registration_number=each)
    rig.settle()
    return rig


def test_duplicates_in_one_system_are_proposed(tmp_path: Path) -> None:
    """Two active records of one system with one number are a proposal; released, one survives and the other is archived."""
    rig = twins(tmp_path, 1)
    (hold,) = rig.holds()
    assert (hold.kind, len(rig.clients())) == (HoldKind.MERGE, 2)
    assert rig.worlds["b"].ids() == []
    rig.operate().release(hold.hold)
    rig.settle()
    assert [rig.worlds["a"].record(each)["archived"] for each in ("1", "2")] == [False, True]
    assert len(rig.worlds["b"].ids()) == 1
    assert_complete(rig)


def test_auto_merges_what_is_certain_and_nothing_else(tmp_path: Path) -> None:
    """With merges = auto an equal valid number needs no person; two establishments of one company do."""
    rig = twins(tmp_path, 1, merges="auto")
    assert [row.merged_into for row in rig.clients()] == [None, "c1"]
    assert [rig.worlds["a"].record(each)["archived"] for each in ("1", "2")] == [False, True]
    for siret in ("55210055400013", "55210055400021"):
        rig.worlds["a"].add(name="Etablissement", registration_number=siret)
    rig.settle()
    assert [row.state for row in rig.clients()[2:]] == [ClientState.ACTIVE] * 2
    assert rig.holds()[-1].state is HoldState.OPEN
    assert_complete(rig)


def test_a_merge_taken_back_is_not_made_again_by_itself(tmp_path: Path) -> None:
    """What a person took apart stays so, although the evidence is certain."""
    rig = twins(tmp_path, 1, merges="auto")
    rig.operate().unmerge("c2")
    for _ in range(3):
        rig.cycle()
    assert [row.merged_into for row in rig.clients()] == [None, None]
    assert [rig.worlds["a"].record(each)["archived"] for each in ("1", "2")] == [False, False]


def test_a_merge_taken_back_is_not_made_again_with_the_survivor_of_another(tmp_path: Path) -> None:
    """The one client went into a third one since: what was taken apart is not joined by that way."""
    rig = make_rig(tmp_path, ("a", "b"), merges="auto")
    rig.worlds["a"].add(name="Boulangerie Durand", vat_number=FIRST)
    rig.worlds["a"].add(name="Maison Petit", email="petit@petit.example")
    rig.worlds["a"].add(name="Garage Blanc", email="blanc@blanc.example")
    rig.settle()
    operator = rig.operate()
    operator.merge("c2", "c3")
    rig.settle()
    operator.unmerge("c3")
    rig.settle()
    operator.merge("c1", "c2")
    rig.settle()
    rig.worlds["a"].edit("3", vat_number=FIRST)
    rig.settle()
    rig.cycle()
    assert [row.merged_into for row in rig.clients()] == [None, "c1", None]
    assert [each.kind for each in rig.holds()] == [HoldKind.MERGE]


def test_a_number_typed_later_makes_a_proposal(tmp_path: Path) -> None:
    """Two known clients that come to have one number are proposed, once; without a person only where the tenant says so."""
    for merges_are, merged in (("propose", None), ("auto", "c1")):
        rig = make_rig(tmp_path / merges_are, ("a", "b"), merges=merges_are)
        rig.worlds["a"].add(name="ACME Europe", vat_number=FIRST)
        rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
        rig.settle()
        rig.worlds["a"].edit("2", vat_number=FIRST)
        rig.settle()
        rig.cycle()
        assert [row.merged_into for row in rig.clients()] == [None, merged]
        held = [each for each in rig.holds() if each.kind is HoldKind.MERGE]
        assert len(held) == (merged is None)
        if merged is None:
            rig.operate().refuse(held[0].hold)
            rig.worlds["a"].edit("2", vat_number=SECOND)
            rig.settle()
            rig.worlds["a"].edit("2", vat_number=FIRST)
            rig.settle()
            assert [each.state for each in rig.holds()] == []
        assert_complete(rig)


def test_too_many_merges_at_once_are_held_as_one_set(tmp_path: Path) -> None:
    """Over the limit nothing is merged; the set is one hold, and releasing it merges exactly it."""
    rig = twins(tmp_path, 3, merges="auto", brakes={BrakeKind.MERGES: Brake(2, 0.1)})
    (hold,) = [each for each in rig.holds() if each.state is HoldState.OPEN]
    assert (hold.kind, len(hold.items)) == (HoldKind.BRAKE, 3)
    assert merges(rig) == []
    assert rig.worlds["b"].ids() == []
    rig.operate().release(hold.hold)
    rig.settle()
    assert len(merges(rig)) == 3
    assert [rig.worlds["a"].record(each)["archived"] for each in rig.worlds["a"].ids()] == [False, True] * 3
    assert_complete(rig)


def test_too_many_changed_ids_at_once_are_held_as_one_set(tmp_path: Path) -> None:
    """Records that are replaced by others in great number are held as unlinks; the set is released by its name."""
    rig = twins(tmp_path, 0, brakes={BrakeKind.UNLINKS: Brake(2, 0.1)})
    for number in range(4):
        rig.worlds["a"].add(name=f"Nom {chr(65 + number)}", email=f"n{number}@n.example")
    rig.settle()
    for number in range(4):
        rig.worlds["a"].remove(str(number + 1))
        rig.worlds["a"].add(name=f"Nom {chr(65 + number)}", email=f"n{number}@n.example")
    for _ in range(4):
        rig.cycle()
    (hold,) = rig.holds()
    assert {item["kind"] for item in hold.items} == {"unlinks"}
    assert all(links(rig)["a", str(number)].state is LinkState.LINKED for number in range(1, 5))
    rig.operate().release(hold.hold)
    rig.settle()
    assert all(links(rig)["a", str(number)].state is LinkState.GONE for number in range(1, 5))
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 4
    assert_complete(rig)


def test_apart_survives_a_third_record(tmp_path: Path) -> None:
    """A new record that matches two clients kept apart joins neither, and no release brings the two together."""
    rig = make_rig(tmp_path, ("a", "b", "c"))
    rig.worlds["a"].add(name="ACME", vat_number=FIRST)
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.settle()
    rig.operate().apart("c1", "c2")
    rig.worlds["b"].add(name="Boulangerie Durand", email="b@durand.example", vat_number=FIRST)
    rig.settle()
    held = [
        each for each in rig.holds() if each.state is HoldState.OPEN and each.kind in (HoldKind.LINK, HoldKind.MERGE)
    ]
    assert held
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().release(held[0].hold)
    assert [row.merged_into for row in rig.clients()] == [None] * 3
    rig.operate().merge("c1", "c3")
    rig.settle()
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().merge("c1", "c2")
    assert all(each.state is not HoldState.OPEN for each in rig.holds())
    assert_complete(rig)


def test_a_client_that_is_typed_again_has_one_record(tmp_path: Path) -> None:
    """Who is archived and typed anew in the same system is one client: the new record stands for it, the old one is only a name of it."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME Europe", vat_number=FIRST)
    rig.settle()
    rig.worlds["a"].edit("1", archived=True)
    rig.settle()
    new = rig.worlds["a"].add(name="ACME Europe", vat_number=FIRST, phone="+33123456789")
    rig.settle()
    rig.worlds["b"].edit("1", phone="+33199999999")
    rig.settle()
    found = links(rig)
    assert {link.client for link in found.values()} == {"c1"}
    assert (found["a", "1"].state, found["a", new].state) == (LinkState.APART, LinkState.LINKED)
    assert rig.worlds["a"].record(new)["phone"] == "+33199999999"
    assert len(rig.worlds["b"].ids()) == 1
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_two_records_of_one_system_that_are_not_both_in_use_are_one(tmp_path: Path) -> None:
    """At first sight already: of an archived and an active record of one client the active one stands for it, and both ids lead to it."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME Europe", vat_number=FIRST, archived=True)
    rig.worlds["a"].add(name="ACME Europe", vat_number=FIRST)
    rig.settle()
    found = links(rig)
    assert (found["a", "1"].state, found["a", "2"].state) == (LinkState.APART, LinkState.LINKED)
    assert {link.client for link in found.values()} == {"c1"}
    assert len(rig.worlds["b"].ids()) == 1
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_a_merge_inside_a_system_that_keeps_the_other_record_archived(tmp_path: Path) -> None:
    """A record that is archived while another one takes over its e-mail archives nobody: the merge is proposed, and released it is one client."""
    rig = typed_twice(tmp_path)
    rig.worlds["a"].edit("1", email="b@durand.example", vat_number=None)
    rig.worlds["a"].edit("2", archived=True)
    rig.settle()
    (hold,) = rig.holds()
    assert (hold.kind, hold.system) == (HoldKind.MERGE, "a")
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 3
    assert [rig.worlds["b"].record(each)["archived"] for each in rig.worlds["b"].ids()] == [False] * 3
    rig.operate().release(hold.hold)
    rig.settle()
    first, second, _ = rig.clients()
    assert (first.state, second.merged_into) == (ClientState.ACTIVE, "c1")
    found = links(rig)
    assert (found["a", "1"].state, found["a", "2"].state) == (LinkState.LINKED, LinkState.APART)
    assert [rig.worlds["a"].record(each)["archived"] for each in ("1", "2", "3")] == [False, True, False]
    assert sorted(rig.worlds["b"].record(each)["archived"] for each in rig.worlds["b"].ids()) == [False, False, True]
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_refused_the_archive_is_one(tmp_path: Path) -> None:
    """If a person says that they are two, the record was archived like any other, and its client is; nothing asks again."""
    rig = typed_twice(tmp_path)
    rig.worlds["a"].edit("1", email="b@durand.example", vat_number=None)
    rig.worlds["a"].edit("2", archived=True)
    rig.settle()
    (hold,) = rig.holds()
    rig.operate().refuse(hold.hold)
    rig.settle()
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ARCHIVED, ClientState.ACTIVE]
    assert rig.holds() == []
    assert_complete(rig)


def test_an_archive_is_heard_when_its_question_is_overtaken(tmp_path: Path) -> None:
    """If the record that an archived one was merged into vanishes into that one in turn, nobody is asked about the archive any more: it is one."""
    rig = typed_twice(tmp_path)
    rig.worlds["a"].edit("1", email="b@durand.example", vat_number=None)
    rig.worlds["a"].edit("2", archived=True)
    rig.settle()
    (overtaken,) = rig.holds()
    assert [item.get("retired") for item in overtaken.items] == [True, None]
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 3
    rig.worlds["a"].edit("1", vat_number=SECOND)
    rig.settle()
    rig.worlds["a"].remove("1")
    for _ in range(6):
        rig.cycle()
    (hold,) = rig.holds()
    assert [item.get("vanished") for item in hold.items] == [True, None]
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ARCHIVED, ClientState.ACTIVE]
    assert [rig.worlds["b"].record(each)["archived"] for each in rig.worlds["b"].ids()] == [False, True, False]
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_a_duplicate_that_a_person_archives_is_the_same_client(tmp_path: Path) -> None:
    """Of two records with one number somebody archives one: they are one client that stays in use, without any archive elsewhere."""
    rig = make_rig(tmp_path, ("a", "b"), merges="auto", brakes={BrakeKind.MERGES: Brake(0, 0.0)})
    rig.worlds["a"].add(name="ACME Europe", vat_number=FIRST)
    rig.settle()
    rig.worlds["a"].add(name="ACME Europe", vat_number=FIRST)
    rig.settle()
    rig.worlds["a"].edit("2", archived=True)
    rig.settle()
    for hold in [each for each in rig.holds() if each.state is HoldState.OPEN]:
        rig.operate().release(hold.hold)
    rig.settle()
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.MERGED]
    assert rig.worlds["b"].record("1")["archived"] is False
    assert_complete(rig)


def test_who_turns_out_to_be_somebody_is_not_created_meanwhile(tmp_path: Path) -> None:
    """An edit that proves two clients to be one, and lets the second be created elsewhere, makes a question and no record."""
    needs = Profile(objects=lambda golden: None if golden.get("email") is not None else "needs an e-mail")
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": needs})
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example", vat_number=FIRST)
    rig.worlds["a"].add(name="Boulangerie Durand")
    rig.settle()
    rig.worlds["a"].edit("2", vat_number=FIRST, email="b@durand.example")
    rig.settle()
    (hold,) = rig.holds()
    assert hold.kind is HoldKind.MERGE
    assert len(rig.worlds["b"].ids()) == 1
    rig.operate().refuse(hold.hold)
    rig.settle()
    assert len(rig.worlds["b"].ids()) == 2
    assert_complete(rig)


def test_who_was_merged_without_a_person_waits_for_nobody(tmp_path: Path) -> None:
    """Who can be created elsewhere since the cycle of a merge that needs no person is created, and waits for no proposal that is done."""
    needs = Profile(objects=lambda golden: None if golden.get("phone") else "needs a phone")
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": needs}, merges="auto")
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example")
    rig.worlds["a"].add(name="Boulangerie Durand")
    rig.settle()

    def redirect(call: Call) -> None:
        if call.action == "fetch" and call.external_id == "2":
            raise Gone("a: moved", external_id="2", moved_to="1", status=301)

    rig.worlds["a"].remove("2")
    rig.worlds["a"].before.append(redirect)
    rig.cycle()
    rig.worlds["a"].edit("1", phone="+33123456789")
    for _ in range(3):
        rig.cycle()
    assert rig.clients()[1].merged_into == "c1"
    assert len(rig.worlds["b"].ids()) == 1
    assert_complete(rig)


def test_a_record_that_vanished_during_a_merge_stays_gone(tmp_path: Path) -> None:
    """A merge that is taken back does not bring back a record that a person merged away inside its system meanwhile."""
    rig = typed_twice(tmp_path)
    rig.operate().merge("c1", "c2")
    merge_inside(rig)
    for _ in range(4):
        rig.cycle()
    assert links(rig)["a", "2"].state is LinkState.APART
    rig.operate().unmerge("c2")
    rig.settle()
    found = links(rig)["a", "2"]
    assert (found.client, found.state) == ("c2", LinkState.GONE)
    assert rig.clients()[1].state is ClientState.ACTIVE
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_a_merge_that_only_a_contact_tells_of_is_proposed(tmp_path: Path) -> None:
    """A system that keeps of a merged record nothing but a contact with its e-mail archives nobody; one that had the contact before tells nothing."""
    rig = typed_twice(tmp_path)
    bob = {"id": "k1", "name": "Bob", "email": "b@durand.example"}
    rig.worlds["a"].edit("1", contacts=[bob])
    rig.worlds["a"].remove("2")
    for _ in range(4):
        rig.cycle()
    (hold,) = rig.holds()
    assert (hold.kind, {item["client"] for item in hold.items}) == (HoldKind.MERGE, {"c1", "c2"})
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE] * 3
    rig.operate().release(hold.hold)
    rig.settle()
    assert rig.clients()[1].merged_into == "c1"
    assert rig.clients()[0].state is ClientState.ACTIVE


def test_a_contact_of_long_ago_makes_no_merge_of_a_delete(tmp_path: Path) -> None:
    """Who had the e-mail among its contacts before the other record vanished has taken nothing over."""
    rig = typed_twice(tmp_path)
    rig.worlds["a"].edit("1", contacts=[{"id": "k1", "name": "Bob", "email": "b@durand.example"}])
    rig.settle()
    rig.worlds["a"].edit("1", city="Brest")
    rig.worlds["a"].remove("2")
    rig.settle()
    assert rig.holds() == []
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ARCHIVED, ClientState.ACTIVE]
