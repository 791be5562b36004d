"""Taking merges back: what was typed around a merge stays with whose record it was typed into, and what vanished meanwhile is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.model import Mode
from syncd.errors import Transient, UsageError
from syncd.providers import Capabilities
from syncd.providers.memory import EVERY_FIELD, Call, Profile
from syncd.store import ClientState, ConflictKind, LinkState, MergeState, WriteState
from tests.engine.rig import INSTANT, Rig, make_rig, writes
from tests.engine.test_merging import NO_ARCHIVE, links, merges, two_clients
from tests.engine.test_trail import assert_complete


def record_of(rig: Rig, client: str, system: str) -> str:
    """The record of a client in a system."""
    return next(key[1] for key, link in links(rig).items() if link.client == client and key[0] == system)


def test_an_edit_that_said_what_the_winner_says_stays(tmp_path: Path) -> None:
    """A name typed into the loser's record just before the merge, equal to the winner's, is the loser's name after the unmerge."""
    rig = two_clients(tmp_path)
    theirs = record_of(rig, "c2", "b")
    rig.worlds["b"].edit(theirs, name="ACME Europe")
    rig.operate().merge("c1", "c2")
    rig.settle()
    parted = rig.operate().unmerge("c2")
    assert [(each.client, each.field) for each in parted.left] == [("c2", "name")]
    rig.settle()
    assert [row.fields["name"] for row in rig.clients()] == ["ACME Europe", "ACME Europe"]
    assert rig.worlds["b"].record(theirs)["name"] == "ACME Europe"
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_an_edit_that_said_what_the_loser_brought_stays(tmp_path: Path) -> None:
    """A city that the winner has from the loser, and that somebody then types into the winner's record, stays when the merge is taken back."""
    rig = two_clients(tmp_path)
    mine = record_of(rig, "c1", "a")
    rig.operate().merge("c1", "c2")
    rig.worlds["a"].edit(mine, city="Lyon", postal_code="69001", country="FR")
    rig.settle()
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields["city"] for row in rig.clients()] == ["Lyon", "Lyon"]
    assert rig.worlds["a"].record(mine)["city"] == "Lyon"
    assert_complete(rig)


def test_what_a_merge_wrote_is_nobodys_edit(tmp_path: Path) -> None:
    """A value that the merge wrote into the other's records, and that is seen there again, goes when the merge is taken back."""
    rig = two_clients(tmp_path, profiles={"b": NO_ARCHIVE})
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert [row.snapshot.get("echoes") for row in merges(rig)] == [None]
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields.get("city") for row in rig.clients()] == [None, "Lyon"]
    assert_complete(rig)


def test_an_edit_that_the_other_one_won_against_is_there_again(tmp_path: Path) -> None:
    """A phone typed into the loser's record loses against the winner's as long as they are one, and is the loser's after the unmerge."""
    rig = two_clients(tmp_path)
    theirs = record_of(rig, "c2", "b")
    rig.operate().merge("c1", "c2")
    rig.worlds["b"].edit(theirs, phone="+33155555555")
    rig.settle()
    assert rig.clients()[0].fields["phone"] == "+33123456789"
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields["phone"] for row in rig.clients()] == ["+33123456789", "+33155555555"]
    assert rig.worlds["b"].record(theirs)["phone"] == "+33155555555"
    assert_complete(rig)


def test_an_edit_that_the_other_one_overwrote_is_there_again(tmp_path: Path) -> None:
    """Details typed into the loser's record, and later others into the winner's: after the unmerge each has its own."""
    rig = two_clients(tmp_path)
    mine, theirs = record_of(rig, "c1", "a"), record_of(rig, "c2", "b")
    rig.operate().merge("c1", "c2")
    rig.worlds["b"].edit(theirs, details="pays late")
    rig.settle()
    rig.worlds["a"].edit(mine, details="pays at once")
    rig.settle()
    assert rig.clients()[0].fields["details"] == "pays at once"
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields["details"] for row in rig.clients()] == ["pays at once", "pays late"]
    assert rig.worlds["b"].record(theirs)["details"] == "pays late"
    assert_complete(rig)


def test_an_archive_typed_just_before_a_merge_is_not_undone(tmp_path: Path) -> None:
    """A record that a person archived, and that a merge then found archived, archives its client once the merge is taken back."""
    rig = two_clients(tmp_path)
    theirs = record_of(rig, "c2", "b")
    rig.worlds["b"].edit(theirs, archived=True)
    rig.operate().merge("c1", "c2")
    rig.settle()
    rig.operate().unmerge("c2")
    rig.settle()
    first, second = rig.clients()
    assert (first.fields["archived"], second.fields["archived"]) == (False, True)
    assert rig.worlds["b"].record(theirs)["archived"] is True
    assert all(rig.worlds[name].record(record_of(rig, "c2", name))["archived"] for name in rig.worlds)
    assert_complete(rig)


def test_a_merge_inside_a_merge_is_carried_out_after_the_outer_one_was_taken_back(tmp_path: Path) -> None:
    """The outer merge absorbs all records where nothing can be archived; taken back, the inner one still leaves one record of its client."""
    rig = two_clients(tmp_path, profiles={"b": NO_ARCHIVE})
    rig.worlds["c"].add(name="Cordonnerie Petit", email="c@petit.example")
    rig.settle()
    rig.operate().merge("c1", "c2")
    rig.operate().merge("c3", "c1")
    rig.settle()
    rig.operate().unmerge("c1")
    rig.settle()
    mine = [link for (system, _), link in links(rig).items() if link.client == "c1" and system == "b"]
    assert sorted(link.state for link in mine) == [LinkState.APART, LinkState.LINKED]
    assert [row.state for row in merges(rig)] == [MergeState.DONE, MergeState.UNDONE]
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_an_edit_during_an_outer_merge_goes_with_its_record_when_the_inner_one_is_taken_back(tmp_path: Path) -> None:
    """What was typed into a record while its client was two merges deep is still that client's when both are taken back."""
    rig = two_clients(tmp_path, profiles={"b": NO_ARCHIVE})
    rig.worlds["c"].add(name="Cordonnerie Petit", email="c@petit.example")
    rig.settle()
    theirs = record_of(rig, "c2", "b")
    rig.operate().merge("c1", "c2")
    rig.operate().merge("c3", "c1")
    rig.worlds["b"].edit(theirs, phone="+33155555555")
    rig.settle()
    rig.operate().unmerge("c1")
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields.get("phone") for row in rig.clients()] == ["+33123456789", "+33155555555", None]
    assert_complete(rig)


def test_what_vanished_while_two_were_one_is_told(tmp_path: Path) -> None:
    """A record that is deleted beside another one of the merged client archives nobody; after the unmerge a conflict tells of it, once."""
    rig = two_clients(tmp_path, profiles={"b": NO_ARCHIVE})
    mine, theirs = record_of(rig, "c1", "b"), record_of(rig, "c2", "b")
    rig.operate().merge("c1", "c2")
    rig.cycle()
    rig.worlds["b"].remove(theirs)
    for _ in range(4):
        rig.cycle()
    rig.operate().unmerge("c2")
    rig.settle()
    told = [row for row in rig.conflicts() if row.kind is ConflictKind.DELETE]
    assert [(row.client, row.candidates[0]["external_id"], row.winner) for row in told] == [("c2", theirs, "golden")]
    assert rig.worlds["b"].ids() == [mine]
    assert [row.fields["archived"] for row in rig.clients()] == [False, False]
    assert_complete(rig)


def test_what_a_person_said_about_a_merged_client_outranks_systems_after_the_merge_was_taken_back(
    tmp_path: Path,
) -> None:
    """A name that a person chose while two were one does not fall to a more trusted system that had not seen it yet."""
    rig = make_rig(tmp_path)
    rig.worlds["b"].add(name="ACME Europe", email="hello@acme.example")
    rig.worlds["c"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.settle()
    rig.operate().merge("c1", "c2")
    rig.worlds["b"].edit(record_of(rig, "c1", "b"), name="ACME Overseas")
    rig.settle()
    name = next(row for row in rig.conflicts() if row.unit == "name" and row.rule == "merge")
    rig.operate().resolve(name.conflict, take="golden")
    rig.operate().unmerge("c2")
    rig.worlds["a"].edit(record_of(rig, "c1", "a"), name="ACME Over")
    rig.settle()
    assert rig.clients()[0].fields["name"] == "ACME Europe"
    assert {world.record(record_of(rig, "c1", key))["name"] for key, world in rig.worlds.items()} == {"ACME Europe"}
    asked = [row for row in rig.conflicts() if row.unit == "name" and row.rule != "merge"]
    assert [(row.winner, [each["value"]["name"] for each in row.candidates]) for row in asked][-1] == (
        "golden",
        ["ACME Over", "ACME Europe"],
    )
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_what_was_typed_into_a_record_that_stands_apart_is_not_decided_with_the_others(tmp_path: Path) -> None:
    """What a person says about two that are one leaves what was typed meanwhile into the record of one of them, which nobody was shown."""
    rig = two_clients(tmp_path)
    theirs = record_of(rig, "c2", "b")
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert links(rig)["b", theirs].state is LinkState.APART
    rig.worlds["b"].edit(theirs, email="office@durand.example")
    rig.settle()
    email = next(row for row in rig.conflicts() if row.unit == "email")
    rig.operate().resolve(email.conflict, take="golden")
    rig.settle()
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields["email"] for row in rig.clients()] == ["hello@acme.example", "office@durand.example"]
    assert {world.record(record_of(rig, "c2", key))["email"] for key, world in rig.worlds.items()} == {
        "office@durand.example"
    }
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_what_was_typed_before_a_merge_is_heard_where_its_record_is_left_standing(tmp_path: Path) -> None:
    """A record that nothing is written to stands apart only once it was read after the merge, so that an edit of just before is not lost."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example")
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.settle()
    first, second = rig.policy.systems
    rig.change_policy(systems=(first, replace(second, mode=Mode.CREATE_ONLY)))
    rig.settle()
    theirs = next(key[1] for key, link in links(rig).items() if link.client == "c2" and key[0] == "b")
    rig.worlds["b"].edit(theirs, details="pays late")
    rig.operate().merge("c1", "c2")

    def fails(call: Call) -> None:
        if call.action == "list":
            message = "out of order"
            raise Transient(message)

    rig.worlds["b"].before.append(fails)
    rig.cycle()
    rig.worlds["b"].before.clear()
    rig.settle()
    assert [row.fields.get("details") for row in rig.clients() if row.client == "c1"] == ["pays late"]
    assert links(rig)["b", theirs].state is LinkState.APART


def test_what_a_record_shows_is_believed_before_it_stands_apart(tmp_path: Path) -> None:
    """A record that may be an old copy, because one field shows an earlier value, is heard out first: what else was typed there is not lost."""
    rig = make_rig(tmp_path, ("a", "b"), timing=replace(INSTANT, stale_read_seconds=60.0))
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example")
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.settle()
    first, second = rig.policy.systems
    theirs = record_of(rig, "c2", "b")
    rig.worlds["b"].edit(theirs, phone="+33612345678")
    rig.settle()
    rig.change_policy(systems=(first, replace(second, mode=Mode.CREATE_ONLY)))
    rig.worlds["b"].edit(theirs, phone=None, details="pays late")
    rig.operate().merge("c1", "c2")
    rig.cycle()
    assert links(rig)["b", theirs].state is LinkState.LINKED
    rig.wait(60)
    rig.settle()
    assert [row.fields.get("details") for row in rig.clients() if row.client == "c1"] == ["pays late"]
    assert links(rig)["b", theirs].state is LinkState.APART


def one_in_each(folder: Path) -> Rig:
    """Two clients; only the second one has a record in b, where none is created."""
    rig = make_rig(folder, ("a", "b"))
    first, second = rig.policy.systems
    rig.change_policy(systems=(first, replace(second, mode=Mode.UPDATE_ONLY)))
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example", phone="+33123456789")
    rig.worlds["b"].add(
        name="Boulangerie Durand", email="b@durand.example", city="Lyon", postal_code="69001", country="FR"
    )
    rig.settle()
    return rig


def test_a_record_whose_id_changed_while_two_were_one_goes_back_with_its_client(tmp_path: Path) -> None:
    """The loser's record gets another id during a merge: taken back, it is the loser's, what was typed there too, and nobody is deleted."""
    rig = one_in_each(tmp_path)
    theirs, world = record_of(rig, "c2", "b"), rig.worlds["b"]
    rig.operate().merge("c1", "c2")
    world.remove(theirs)
    new = world.add(name="Boulangerie Durand", email="b@durand.example", city="Lyon", postal_code="69001", country="FR")
    rig.cycle()
    assert links(rig)["b", new].client == "c1"
    world.edit(new, phone="+33155555555")
    rig.cycle()
    parted = rig.operate().unmerge("c2")
    assert ("b", new) in parted.records
    for _ in range(4):
        rig.cycle()
    rig.settle()
    found = links(rig)
    assert (found["b", new].client, found["b", new].state) == ("c2", LinkState.LINKED)
    assert (found["b", theirs].client, found["b", theirs].state) == ("c2", LinkState.GONE)
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ACTIVE]
    assert [row.fields["email"] for row in rig.clients()] == ["hello@acme.example", "b@durand.example"]
    assert [row.fields.get("city") for row in rig.clients()] == [None, "Lyon"]
    assert [row.fields.get("phone") for row in rig.clients()] == ["+33123456789", "+33155555555"]
    shown = [world.record(new), *(rig.worlds["a"].record(record_of(rig, name, "a")) for name in ("c2", "c1"))]
    assert [each["name"] for each in shown] == ["Boulangerie Durand", "Boulangerie Durand", "ACME Europe"]
    assert not any(each["archived"] for each in shown)
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_a_new_record_that_may_be_either_clients_stays_where_it_is(tmp_path: Path) -> None:
    """A record that came during a merge with the winner's own e-mail does not go with the loser, although one of the loser's vanished."""
    rig = one_in_each(tmp_path)
    theirs = record_of(rig, "c2", "b")
    rig.operate().merge("c1", "c2")
    rig.worlds["b"].remove(theirs)
    new = rig.worlds["b"].add(name="ACME Europe", email="hello@acme.example", phone="+33123456789")
    rig.cycle()
    assert links(rig)["b", new].client == "c1"
    parted = rig.operate().unmerge("c2")
    assert ("b", new) not in parted.records
    assert links(rig)["b", new].client == "c1"
    assert_complete(rig)


@pytest.mark.parametrize("act", ["unmerge", "apart"])
def test_a_record_that_may_live_on_under_another_id_archives_nobody(tmp_path: Path, act: str) -> None:
    """The loser's record is missing, and another one came, when a merge is taken back: that the old id ends then is told, and no delete."""
    rig = one_in_each(tmp_path)
    theirs, world = record_of(rig, "c2", "b"), rig.worlds["b"]
    rig.operate().merge("c1", "c2")
    world.remove(theirs)
    new = world.add(name="ACME Europe", email="hello@acme.example", phone="+33123456789")
    rig.cycle()
    _part(rig, act)
    rig.settle()
    for _ in range(4):
        rig.cycle()
    found = links(rig)
    assert (found["b", new].client, found["b", new].state) == ("c1", LinkState.LINKED)
    assert (found["b", theirs].client, found["b", theirs].state) == ("c2", LinkState.GONE)
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ACTIVE]
    assert not any(rig.worlds["a"].record(each)["archived"] for each in rig.worlds["a"].ids())
    assert world.ids() == [new]
    told = [row for row in rig.conflicts() if row.kind is ConflictKind.DELETE]
    assert [(row.client, row.candidates[0]["external_id"], row.winner) for row in told] == [("c2", theirs, "golden")]
    assert_complete(rig)
    if act == "unmerge":
        rig.operate().merge("c1", "c2")
        with pytest.raises(UsageError, match="merged into c1 since"):
            rig.operate().resolve(told[0].conflict, take="b")
        rig.operate().unmerge("c2")
    rig.operate().resolve(told[0].conflict, take="b")
    rig.settle()
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ARCHIVED]
    assert_complete(rig)


def test_a_record_that_is_there_again_after_a_merge_was_taken_back_can_be_deleted(tmp_path: Path) -> None:
    """Only the absence that a person was told of archives nobody: who is there again and then deleted is deleted like anybody."""
    rig = two_clients(tmp_path, profiles={"b": NO_ARCHIVE})
    theirs, world = record_of(rig, "c2", "b"), rig.worlds["b"]
    rig.operate().merge("c1", "c2")
    rig.cycle()
    before = world.snapshot()
    world.remove(theirs)
    rig.cycle()
    rig.operate().unmerge("c2")
    [told] = [row for row in rig.conflicts() if row.kind is ConflictKind.DELETE]
    with pytest.raises(UsageError, match="not confirmed"):
        rig.operate().resolve(told.conflict, take="golden")
    world.restore(before)
    rig.settle()
    for take in ("golden", "b"):
        with pytest.raises(UsageError, match="there again"):
            rig.operate().resolve(told.conflict, take=take)
    assert links(rig)["b", theirs].state is LinkState.LINKED
    assert len(world.ids()) == 2
    world.remove(theirs)
    for _ in range(4):
        rig.cycle()
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ARCHIVED]
    assert_complete(rig)


def test_a_delete_of_the_only_record_in_a_system_is_one_after_a_merge_was_taken_back(tmp_path: Path) -> None:
    """Where no other record stood for the merged client in the system, what is missing there is deleted like anybody's."""
    rig = one_in_each(tmp_path)
    rig.operate().merge("c1", "c2")
    rig.worlds["b"].remove(record_of(rig, "c1", "b"))
    rig.cycle()
    rig.operate().unmerge("c2")
    for _ in range(4):
        rig.cycle()
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ARCHIVED]
    assert [row for row in rig.conflicts() if row.kind is ConflictKind.DELETE] == []
    assert_complete(rig)


def _part(rig: Rig, act: str) -> None:
    if act == "apart":
        rig.operate().apart("c1", "c2")
    else:
        rig.operate().unmerge("c2")


@pytest.mark.parametrize("winner", ["c1", "c2"])
def test_a_default_that_a_merge_came_to_agree_with_is_not_cleared_by_taking_it_back(
    tmp_path: Path, winner: str
) -> None:
    """What a system shows of itself, and golden came to hold while two were one, was written by nobody: it stays there as it was."""
    rig = make_rig(tmp_path, ("a", "b"))
    world = rig.worlds["b"]
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example")
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")

    def fill_in(call: Call) -> None:
        if call.action == "create":
            world.edit(world.ids()[-1], currency="EUR")

    world.after.append(fill_in)
    rig.settle()
    world.after.clear()
    assert [row.fields.get("currency") for row in rig.clients()] == [None, None]
    rig.operate().merge(winner, {"c1": "c2", "c2": "c1"}[winner])
    rig.worlds["a"].edit(record_of(rig, "c1", "a") if winner == "c1" else "2", currency="EUR")
    rig.settle()
    rig.operate().unmerge(winner)
    rig.settle()
    held = {row.client: row.fields.get("currency") for row in rig.clients()}
    assert held == {winner: "EUR", **{each: None for each in ("c1", "c2") if each != winner}}
    assert [world.record(each)["currency"] for each in world.ids()] == ["EUR", "EUR"]
    assert not any("currency" in row.fields and row.fields["currency"] is None for row in rig.writes(WriteState.DONE))
    assert_complete(rig)


NO_CREATE = Profile(specs=EVERY_FIELD, capabilities=Capabilities(update=True, account=True))


def test_what_a_new_record_said_during_a_merge_is_not_cleared_by_taking_it_back(tmp_path: Path) -> None:
    """A city that a person typed into a new record of the merged client, as golden had it from the loser, counts as typed there."""
    rig = two_clients(tmp_path, profiles={"c": NO_CREATE})
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert rig.clients()[0].fields["city"] == "Lyon"
    address = {"city": "Lyon", "postal_code": "69001", "country": "FR"}
    new = rig.worlds["c"].add(name="ACME Europe", email="hello@acme.example", phone="+33123456789", **address)
    rig.settle()
    assert links(rig)["c", new].client == "c1"
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields["city"] for row in rig.clients()] == ["Lyon", "Lyon"]
    assert rig.worlds["c"].record(new)["city"] == "Lyon"
    assert rig.worlds["a"].record(record_of(rig, "c1", "a"))["city"] == "Lyon"
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_what_a_merge_wrote_is_nobodys_edit_under_another_id_either(tmp_path: Path) -> None:
    """A city that the merge wrote to the winner's record, and that the one shows which took its place there, goes with the merge."""
    rig = two_clients(tmp_path, profiles={"c": NO_CREATE})
    old = rig.worlds["c"].add(name="ACME Europe", email="hello@acme.example", phone="+33123456789")
    rig.settle()
    rig.operate().merge("c1", "c2")
    rig.settle()
    shown = dict(rig.worlds["c"].record(old))
    assert (shown.pop("city"), shown.pop("id") is not None) == ("Lyon", True)
    rig.worlds["c"].remove(old)
    new = rig.worlds["c"].add(**shown, city="Lyon")
    rig.settle()
    assert links(rig)["c", new].client == "c1"
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields["city"] for row in rig.clients()] == [None, "Lyon"]
    assert rig.worlds["c"].record(new)["city"] is None
    assert_complete(rig)
