"""Merges of clients: one client with every record and value of both, in every system, and back again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncd.core.model import FIELDS, Context, Mode
from syncd.engine.merging import survive
from syncd.errors import UsageError
from syncd.providers import ABSENT, Capabilities
from syncd.providers.memory import EVERY_FIELD, Profile
from syncd.store import (
    ClientRow,
    ClientState,
    ConflictStatus,
    HoldKind,
    LinkRow,
    LinkState,
    MergeRow,
    MergeState,
    WriteState,
)
from tests.engine.rig import Rig, make_rig, writes
from tests.engine.test_trail import assert_complete

NO_ARCHIVE = Profile(
    specs={**EVERY_FIELD, "archived": EVERY_FIELD["archived"].__class__(read=True)},
    capabilities=Capabilities(create=True, update=True, account=True),
)


def two_clients(folder: Path, **options: object) -> Rig:
    """Two clients, each with a record in every system."""
    rig = make_rig(folder, **options)  # type: ignore[arg-type]
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example", phone="+33123456789")
    rig.worlds["b"].add(
        name="Boulangerie Durand", email="b@durand.example", city="Lyon", postal_code="69001", country="FR"
    )
    rig.settle()
    assert len(rig.clients()) == 2
    return rig


def links(rig: Rig) -> dict[tuple[str, str], LinkRow]:
    store = rig.store()
    with store.reading() as tx:
        found = tx.links_of([row.client for row in tx.clients()])
    store.close()
    return {(link.system, link.external_id): link for mine in found.values() for link in mine}


def merges(rig: Rig) -> list[MergeRow]:
    store = rig.store()
    with store.reading() as tx:
        found = tx.merges()
    store.close()
    return found


def test_two_clients_become_one_in_every_system(tmp_path: Path) -> None:
    """The winner's records survive with what only the loser had, the loser's are archived, every id leads to the winner."""
    rig = two_clients(tmp_path)
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert_complete(rig)
    first, second = rig.clients()
    assert (first.state, second.state, second.merged_into) == (ClientState.ACTIVE, ClientState.MERGED, "c1")
    assert (first.fields["email"], first.fields["city"]) == ("hello@acme.example", "Lyon")
    found = links(rig)
    assert {link.client for link in found.values()} == {"c1"}
    assert sorted(link.state for link in found.values()) == [LinkState.APART] * 3 + [LinkState.LINKED] * 3
    for name, world in rig.worlds.items():
        for external_id in world.ids():
            record = world.record(external_id)
            survives = found[name, external_id].state is LinkState.LINKED
            assert record["archived"] is not survives
            assert record["name"] == ("ACME Europe" if survives else "Boulangerie Durand")
            assert record["city"] == "Lyon"
    assert [row.state for row in merges(rig)] == [MergeState.DONE]
    assert len(merges(rig)[0].snapshot["steps"]) == 3
    assert writes(rig.cycle()) == 0


def test_losing_values_are_conflicts_and_can_be_put_back(tmp_path: Path) -> None:
    """Every field in which the two differed is one decided conflict whose losing value can be taken."""
    rig = two_clients(tmp_path)
    rig.operate().merge("c1", "c2")
    rig.settle()
    rows = {row.unit: row for row in rig.conflicts()}
    assert set(rows) == {"name", "email"}
    assert all((row.status, row.rule) == (ConflictStatus.DECIDED, "merge") for row in rows.values())
    rig.operate().resolve(rows["email"].conflict, take="b")
    rig.settle()
    assert rig.clients()[0].fields["email"] == "b@durand.example"
    standing = [key for key, link in links(rig).items() if link.state is LinkState.LINKED]
    assert {rig.worlds[name].record(each)["email"] for name, each in standing} == {"b@durand.example"}
    assert_complete(rig)


def test_an_edit_in_a_losing_record_meanwhile_is_not_lost(tmp_path: Path) -> None:
    """What is typed into a record between the merge and its archiving reaches the survivor."""
    rig = two_clients(tmp_path)
    losing = next(key for key, link in links(rig).items() if link.client == "c2" and key[0] == "c")
    rig.operate().merge("c1", "c2")
    rig.worlds["c"].edit(losing[1], phone="+33199999999", bic="BNPAFRPP")
    rig.settle()
    assert rig.clients()[0].fields["bic"] == "BNPAFRPP"
    kept = {row.unit: row for row in rig.conflicts()}
    phones = {rig.clients()[0].fields["phone"], *(each["value"] for each in kept["phone"].candidates)}
    assert "+33199999999" in phones
    assert_complete(rig)


def test_where_a_system_cannot_archive_it_is_told(tmp_path: Path) -> None:
    """Without archiving, the second record stays as it is, stands apart, and the merge says so."""
    rig = two_clients(tmp_path, profiles={"b": NO_ARCHIVE})
    rig.operate().merge("c1", "c2")
    rig.settle()
    apart = [link for link in links(rig).values() if link.system == "b" and link.state is LinkState.APART]
    assert len(apart) == 1
    assert "cannot archive" in apart[0].matched_by
    assert rig.worlds["b"].record(apart[0].external_id)["archived"] is False
    assert [row.state for row in merges(rig)] == [MergeState.DONE]
    rig.worlds["b"].edit(apart[0].external_id, name="Edited")
    assert writes(rig.cycle()) == 0
    assert rig.clients()[0].fields["name"] == "ACME Europe"


def test_the_system_own_merge_is_used_where_there_is_one(tmp_path: Path) -> None:
    """A system that merges by itself is asked to; its retired record's id leads to the survivor."""
    able = Profile(
        capabilities=Capabilities(create=True, update=True, archive=True, restore=True, account=True, merge=True)
    )
    rig = two_clients(tmp_path, profiles={"b": able})
    before = len(rig.worlds["b"].ids())
    rig.operate().merge("c1", "c2")
    reports = rig.settle()
    assert sum(each.merged for report in reports for each in report.systems if each.system == "b") == 1
    assert len(rig.worlds["b"].ids()) == before - 1
    for _ in range(3):
        rig.cycle()
    assert rig.clients()[0].state is ClientState.ACTIVE
    assert len([link for link in links(rig).values() if link.system == "b"]) == 2
    assert_complete(rig)


def test_a_merge_taken_back_restores_everything(tmp_path: Path) -> None:
    """After merge and unmerge links, golden records and every system's records are what they were."""
    rig = two_clients(tmp_path)
    goldens = [(row.client, row.fields, row.state) for row in rig.clients()]
    linked = {key: (link.client, link.state, link.matched_by) for key, link in links(rig).items()}
    shown = {name: {each: world.record(each) for each in world.ids()} for name, world in rig.worlds.items()}
    rig.operate().merge("c1", "c2")
    rig.settle()
    parted = rig.operate().unmerge("c2")
    assert (parted.winner, parted.loser, parted.left) == ("c1", "c2", ())
    rig.settle()
    assert [(row.client, row.fields, row.state) for row in rig.clients()] == goldens
    assert {key: (link.client, link.state, link.matched_by) for key, link in links(rig).items()} == linked
    assert {name: {each: world.record(each) for each in world.ids()} for name, world in rig.worlds.items()} == shown
    assert [row.state for row in merges(rig)] == [MergeState.UNDONE]
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_an_edit_since_the_merge_stays_with_whose_record_it_was_made_in(tmp_path: Path) -> None:
    """Taking a merge back keeps what was edited since, and says so."""
    rig = two_clients(tmp_path)
    survivor = next(key for key, link in links(rig).items() if link.client == "c1" and key[0] == "a")
    rig.operate().merge("c1", "c2")
    rig.settle()
    rig.worlds["a"].edit(survivor[1], phone="+33155555555")
    rig.settle()
    parted = rig.operate().unmerge("c1")
    assert [(each.client, each.field) for each in parted.left] == [("c1", "phone")]
    rig.settle()
    first, second = rig.clients()
    assert (first.fields["phone"], second.fields.get("phone")) == ("+33155555555", None)
    assert_complete(rig)


def test_an_opt_out_wins_and_is_never_taken_back(tmp_path: Path) -> None:
    """Whoever opted out, the merged client has, and taking the merge back reverses it for nobody."""
    rig = two_clients(tmp_path)
    losing = next(key for key, link in links(rig).items() if link.client == "c2" and key[0] == "a")
    keeping = next(key for key, link in links(rig).items() if link.client == "c1" and key[0] == "a")
    rig.worlds["a"].edit(keeping[1], marketing_consent=True)
    rig.worlds["a"].edit(losing[1], marketing_consent=False)
    rig.settle()
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert rig.clients()[0].fields["marketing_consent"] is False
    parted = rig.operate().unmerge("c1")
    assert parted.refused
    rig.settle()
    assert [row.fields["marketing_consent"] for row in rig.clients()] == [False, False]


def test_kept_apart_is_for_ever_and_can_be_taken_back_explicitly(tmp_path: Path) -> None:
    """Two clients kept apart refuse a merge, by whatever third; only the explicit undo lets it."""
    rig = two_clients(tmp_path)
    rig.worlds["c"].add(name="Somebody Else", email="else@else.example")
    rig.settle()
    rig.operate().apart("c1", "c2")
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().merge("c1", "c2")
    rig.operate().merge("c1", "c3")
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().merge("c2", "c3")
    rig.operate().apart("c1", "c2", undo=True)
    rig.operate().merge("c2", "c1")
    rig.settle()
    assert [row.merged_into for row in rig.clients()] == ["c2", None, "c1"]
    assert_complete(rig)


def test_apart_of_two_records_of_one_client_splits_them(tmp_path: Path) -> None:
    """A record that is kept apart from another of its client becomes a client of its own, for ever."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME", vat_number="FR40303265045")
    rig.worlds["b"].add(name="Acme Paris", vat_number="FR40303265045")
    rig.settle()
    assert len(rig.clients()) == 1
    done = rig.operate().apart("a/1", "b/1")
    assert (done.first, done.second) == ("c1", done.made)
    rig.settle()
    assert_complete(rig)
    found = links(rig)
    assert (found["a", "1"].client, found["b", "1"].client) == ("c1", done.made)
    assert rig.clients()[1].fields["vat_number"] == "FR40303265045"
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().merge("c1", str(done.made))


def test_apart_of_merged_clients_takes_the_merge_back(tmp_path: Path) -> None:
    """Ids that became one by a merge are two again, and stay so."""
    rig = two_clients(tmp_path)
    rig.operate().merge("c1", "c2")
    rig.settle()
    done = rig.operate().apart("c1", "c2")
    assert done.parted is not None
    rig.settle()
    assert [row.state for row in rig.clients()] == [ClientState.ACTIVE, ClientState.ACTIVE]
    with pytest.raises(UsageError, match="kept apart"):
        rig.operate().merge("c2", "c1")
    assert_complete(rig)


def test_what_cannot_be_merged_is_refused_in_words(tmp_path: Path) -> None:
    """Unknown ids, one client twice, and a merge below another one are refused, each with its reason."""
    rig = two_clients(tmp_path)
    rig.worlds["c"].add(name="Somebody Else", email="else@else.example")
    rig.settle()
    hand = rig.operate()
    for act, words in (
        (lambda: hand.merge("c1", "c9"), "no client c9"),
        (lambda: hand.merge("c1", "c1"), "one client already"),
        (lambda: hand.unmerge("c1"), "not the result of a merge"),
        (lambda: hand.apart("c1", "c1"), "same client"),
        (lambda: hand.apart("c1", "c2", undo=True), "not kept apart"),
        (lambda: hand.apart("a/99", "c2"), "no record 99"),
    ):
        with pytest.raises(UsageError, match=words):
            act()
    hand.merge("c1", "c2")
    hand.merge("c3", "c1")
    with pytest.raises(UsageError, match="merged into c3 later"):
        hand.unmerge("c2")
    hand.unmerge("c1")
    hand.unmerge("c2")
    rig.settle()
    assert [row.merged_into for row in rig.clients()] == [None, None, None]
    assert_complete(rig)
    assert set(FIELDS) >= set(rig.clients()[0].fields)


def test_a_value_that_the_absorbed_record_holds_alone_is_told_once(tmp_path: Path) -> None:
    """Where no two records may have one e-mail, the survivor cannot take it from the other one: a person is told, and nothing goes in circles."""
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": Profile(unique=frozenset({"email"}))})
    rig.worlds["a"].add(name="ACME Europe")
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.settle()
    rig.operate().merge("c1", "c2")
    for _ in range(4):
        rig.cycle()
    parked = rig.writes("parked")
    assert [(row.system, row.error["code"]) for row in parked if row.error] == [("b", "duplicate")]
    rows = len(rig.writes())
    rig.cycle()
    assert len(rig.writes()) == rows
    assert rig.holds() == []
    other = next(key for key, link in links(rig).items() if key[0] == "b" and rig.worlds["b"].record(key[1])["email"])
    rig.worlds["b"].remove(other[1])
    rig.operate().retry(parked[0].write)
    for _ in range(3):
        rig.cycle()
    assert [row.state for row in merges(rig)] == [MergeState.DONE]
    assert rig.worlds["b"].record("1")["email"] == "b@durand.example"
    assert_complete(rig)


def test_an_edit_made_while_both_records_are_there_goes_with_its_own(tmp_path: Path) -> None:
    """Before the second record of a system is archived, an edit in either belongs to whose record it is, and goes with it."""
    rig = two_clients(tmp_path)
    rig.operate().merge("c1", "c2")
    mine, theirs = ("b", "1"), ("b", "2")
    rig.worlds["b"].edit(mine[1], details="pays late")
    rig.worlds["b"].edit(theirs[1], phone="+33155555555")
    rig.settle()
    parted = rig.operate().unmerge("c2")
    rig.settle()
    owners = {key: link.client for key, link in links(rig).items()}
    values = {row.client: (row.fields.get("details"), row.fields.get("phone")) for row in rig.clients()}
    assert {(each.client, each.field) for each in parted.left} == {(owners[mine], "details"), (owners[theirs], "phone")}
    assert values[owners[mine]][0] == "pays late"
    assert values[owners[theirs]][1] == "+33155555555"
    assert values[owners[theirs]][0] is None
    assert_complete(rig)


def test_no_part_of_the_other_address_stays_beside_the_one_that_is_kept(tmp_path: Path) -> None:
    """A record that moves to the winner shows the winner's address whole, also where nobody knew of a part that it had."""
    short = Profile(specs={**EVERY_FIELD, "address_line2": ABSENT})
    needs = Profile(objects=lambda golden: None if golden.get("phone") else "needs a phone")
    rig = make_rig(tmp_path, ("a", "b"), profiles={"a": short, "b": needs})
    rig.worlds["a"].add(name="ACME Europe", address_line1="1 rue du Nord", postal_code="59000", city="Lille")
    rig.worlds["b"].add(
        name="Boulangerie Durand", address_line1="2 quai", address_line2="Bat C", city="Lyon", phone="+33123456789"
    )
    rig.settle()
    assert rig.worlds["b"].ids() == ["1"]
    rig.operate().merge("c1", "c2")
    rig.settle()
    shown = rig.worlds["b"].record("1")
    assert (shown["address_line1"], shown["address_line2"], shown["city"]) == ("1 rue du Nord", None, "Lille")
    rig.operate().unmerge("c2")
    rig.settle()
    shown = rig.worlds["b"].record("1")
    assert (shown["address_line1"], shown["address_line2"], shown["city"]) == ("2 quai", "Bat C", "Lyon")
    assert_complete(rig)


def test_what_only_the_other_one_knows_of_an_equal_address_is_kept(tmp_path: Path) -> None:
    """Two with one address are made one: the part that the system of the winner cannot hold is neither lost nor emptied anywhere."""
    short = Profile(specs={**EVERY_FIELD, "address_line2": ABSENT})
    needs = Profile(objects=lambda golden: None if golden.get("phone") else "needs a phone")
    rig = make_rig(tmp_path, ("a", "b"), profiles={"a": short, "b": needs})
    rig.worlds["a"].add(name="ACME Europe", address_line1="1 rue du Nord", postal_code="59000", city="Lille")
    rig.worlds["b"].add(
        name="Boulangerie Durand",
        address_line1="1 rue du Nord",
        address_line2="Bat C",
        postal_code="59000",
        city="Lille",
        phone="+33123456789",
    )
    rig.settle()
    assert rig.worlds["b"].ids() == ["1"]
    assert "address_line2" not in rig.clients()[0].fields
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert rig.clients()[0].fields["address_line2"] == "Bat C"
    assert rig.worlds["b"].record("1")["address_line2"] == "Bat C"
    assert_complete(rig)
    rig.operate().unmerge("c2")
    rig.settle()
    assert [row.fields.get("address_line2") for row in rig.clients()] == [None, "Bat C"]
    assert rig.worlds["b"].record("1")["address_line2"] == "Bat C"
    assert_complete(rig)


def test_where_deletes_elsewhere_are_ignored_a_merge_is_finished(tmp_path: Path) -> None:
    """A client that is archived because of a delete in another system still has one record where such deletes are ignored."""
    rig = make_rig(tmp_path)
    ignoring = tuple(replace(each, on_delete="ignore" if each.name == "b" else "archive") for each in rig.systems)
    rig.change_policy(systems=ignoring)
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example")
    rig.worlds["a"].add(name="Boulangerie Durand")
    rig.settle()
    for each in ("1", "2"):
        rig.worlds["a"].remove(each)
    rig.worlds["a"].add(name="Somebody Else")
    for _ in range(3):
        rig.cycle()
    assert [row.state for row in rig.clients()[:2]] == [ClientState.ARCHIVED] * 2
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert [row.state for row in merges(rig)] == [MergeState.DONE]
    found = [link for key, link in links(rig).items() if key[0] == "b" and link.client == "c1"]
    assert sorted(link.state for link in found) == [LinkState.APART, LinkState.LINKED]
    assert_complete(rig)


def test_an_address_that_is_kept_is_whole() -> None:
    """A part that only the other client's address has is known to be empty in the merged one, and filled by no record of the other."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    kept = ClientRow("c1", {"address_line1": "1 rue du Nord", "city": "Lille"}, now, now)
    lost = ClientRow("c2", {"address_line1": "2 quai", "address_line2": "Bat C", "city": "Lyon"}, now, now)
    found = survive(kept, lost, Context("FR", "fr-FR"))
    assert found.fields == {"address_line1": "1 rue du Nord", "address_line2": None, "city": "Lille"}
    assert [each.unit for each in found.rivals] == ["address"]


def test_who_is_kept_apart_is_not_created_again_and_again_where_a_value_is_taken(tmp_path: Path) -> None:
    """Two clients that a person keeps apart have one e-mail, and a system takes it once: the second create waits for that person."""
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": Profile(unique=frozenset({"email"}))})
    for name in ("Boulangerie Durand", "Garage Petit"):
        rig.worlds["a"].add(name=name, email="office@shared.example")
    rig.cycle()
    rig.operate().apart("c1", "c2")
    for _ in range(4):
        rig.cycle()
    assert len(rig.worlds["b"].ids()) == 1
    [parked] = rig.writes(WriteState.PARKED)
    assert "kept apart" in parked.error["next"]
    assert rig.holds() == []
    assert writes(rig.cycle()) == 0


def test_whether_a_third_is_one_of_two_that_were_merged_is_still_asked(tmp_path: Path) -> None:
    """A record with the number of a client waits for a person also when a merge sets that client's records apart: nothing is created for it."""
    rig = two_clients(tmp_path)
    theirs = next(key[1] for key, link in links(rig).items() if link.client == "c2" and key[0] == "a")
    rig.worlds["a"].edit(theirs, registration_number="552100554")
    rig.settle()
    rig.worlds["b"].add(name="Four Durand", registration_number="552100554")
    rig.cycle()
    [asked] = [hold for hold in rig.holds() if hold.kind is HoldKind.MERGE]
    rig.worlds["a"].edit(theirs, registration_number=None)
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert all(link.state is LinkState.APART for link in links(rig).values() if "; merged into " in link.matched_by)
    assert [hold.hold for hold in rig.holds() if hold.kind is HoldKind.MERGE] == [asked.hold]
    assert [key[0] for key, link in links(rig).items() if link.client == "c3"] == ["b"]
    assert_complete(rig)


def test_a_merge_is_finished_where_nothing_is_ever_written(tmp_path: Path) -> None:
    """A tenant that only observes makes no first-run report and is never released; two records of one system are one client all the same."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.change_policy(systems=tuple(replace(each, mode=Mode.OBSERVE) for each in rig.policy.systems))
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.example")
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.settle()
    rig.operate().merge("c1", "c2")
    rig.settle()
    assert [row.state for row in merges(rig)] == [MergeState.DONE]
    second = links(rig)["a", "2"]
    assert (second.client, second.state) == ("c1", LinkState.APART)
    assert "mode observe changes nothing in a" in second.matched_by
    assert [rig.worlds["a"].record(each)["archived"] for each in ("1", "2")] == [False, False]
    assert_complete(rig)
