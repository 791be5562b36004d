"""`merge`, `unmerge`, `apart`: what is told before, what is done, and what the other commands say of it afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.place import Place


@pytest.fixture
def synced(acme: Place) -> Place:
    """ACME is client c1, the bakery c2, each record 1 and 2 in both systems; everything is in sync."""
    acme.run("sync", "--until-quiet")
    return acme


def states(place: Place) -> dict[str, tuple[str, str | None]]:
    return {row["client"]: (row["state"], row["merged_into"]) for row in place.json("clients")["clients"]}


def archived(place: Place) -> dict[str, list[bool]]:
    return {
        name: [place.world(name).record(each)["archived"] for each in place.world(name).ids()]
        for name in ("books", "crm")
    }


def test_merge_and_unmerge(synced: Place) -> None:
    """A merge needs consent, tells what becomes of every record and value, is carried out by the next sync, and can be taken back."""
    before = synced.json("clients")["clients"]
    assert "--yes" in synced.run("merge", "c1", "c2", exit_code=2).stderr
    assert synced.json("clients")["clients"] == before
    document = synced.json("merge", "c1", "c2", "--yes")["merge"]
    assert (document["winner"], document["losers"], document["state"]) == ("c1", ["c2"], "running")
    assert sorted(each["system"] for each in document["records"]) == ["books", "books", "crm", "crm"]
    assert "name" in [each["field"] for each in document["rivals"]]
    assert document["lasting"] == []
    reports = synced.json("sync", "--until-quiet")["tenants"][0]
    assert reports["quiescent"] is True
    assert states(synced) == {"c1": ("active", None), "c2": ("merged", "c1")}
    assert archived(synced) == {"books": [False, True], "crm": [False, True]}
    for words in (("show", "c2"), ("why", "c2", "name"), ("history", "c2")):
        shown = synced.json(*words)
        assert (shown["client"], shown["asked_for"]) == ("c1", "c2")
    assert [each["state"] for each in synced.json("show", "c2")["merges"]] == ["done"]
    assert sorted(each["state"] for each in synced.json("show", "c1")["links"]) == [
        "apart",
        "apart",
        "linked",
        "linked",
    ]
    told = synced.run("merge", "c2", "c1", "--yes", exit_code=2).stderr
    assert "one client already" in told
    assert "syncd show c1" in told
    assert "--yes" in synced.run("unmerge", "c2", exit_code=2).stderr
    taken = synced.json("unmerge", "c2", "--yes")["merge"]
    assert (taken["state"], taken["left"], taken["lasting"]) == ("undone", [], [])
    synced.run("sync", "--until-quiet")
    assert [(row["client"], row["fields"], row["links"]) for row in synced.json("clients")["clients"]] == [
        (row["client"], row["fields"], row["links"]) for row in before
    ]
    assert archived(synced) == {"books": [False, False], "crm": [False, False]}
    told = [event["what"] for event in synced.json("history", "c1")["events"]]
    assert any("c2 merged into c1" in what for what in told)
    assert any("unmerged" in what for what in told)


def test_a_losing_value_is_put_back_by_its_conflict(synced: Place) -> None:
    """The conflict of a merge names both values; resolving it with the old id's value brings that to every system."""
    synced.run("merge", "c1", "c2", "--yes")
    synced.run("sync", "--until-quiet")
    [row] = [each for each in synced.json("conflicts")["conflicts"] if each["field"] == "name"]
    assert (row["rule"], row["status"], row["kind"]) == ("merge", "decided", "first")
    taken = next(each["system"] for each in row["candidates"] if each["system"] != "golden")
    synced.run("resolve", row["conflict"], "--take", taken)
    synced.run("sync", "--until-quiet")
    lost = next(each["value"] for each in row["candidates"] if each["system"] == taken)
    assert synced.world("books").record("1")["name"] == lost["name"]


def test_the_text_before_consent(synced: Place) -> None:
    """Without a terminal the text is told and nothing is done; what is told names the records and the losing values."""
    told = synced.run("merge", "c1", "c2", exit_code=2).stderr
    for words in (
        "c2 becomes another name of c1",
        "books 2 is archived; record 1 stands for it",
        "is kept as a conflict",
    ):
        assert words in told
    assert states(synced)["c2"] == ("active", None)


def test_apart_and_its_undo(synced: Place) -> None:
    """Two clients kept apart refuse a merge until that is explicitly forgotten; a record that is split off needs consent."""
    document = synced.json("apart", "c1", "c2")["apart"]
    assert (document["first"], document["second"], document["made"]) == ("c1", "c2", None)
    refused = synced.run("merge", "c1", "c2", "--yes", exit_code=2).stderr
    assert "kept apart" in refused
    assert "syncd apart c1 c2 --undo" in refused
    synced.run("apart", "c1", "c2", "--undo")
    synced.run("merge", "c1", "c2", "--yes")
    synced.run("sync", "--until-quiet")
    assert "--yes" in synced.run("apart", "c1", "c2", exit_code=2).stderr
    document = synced.json("apart", "c1", "c2", "--yes")["apart"]
    assert document["unmerged"]["state"] == "undone"
    synced.run("sync", "--until-quiet")
    assert states(synced) == {"c1": ("active", None), "c2": ("active", None)}
    split = synced.json("apart", "books/1", "crm/1", "--yes")["apart"]
    assert split["made"] in states(synced)


def test_what_does_not_exist_is_told(synced: Place) -> None:
    """Unknown clients and records, and a client that was never merged, end with exit code 2 and a next step."""
    for words in (("merge", "c1", "c99", "--yes"), ("unmerge", "c1", "--yes"), ("apart", "books/99", "c1")):
        assert synced.run(*words, exit_code=2).stderr
    assert "there is no client 'c99'" in synced.run("merge", "c1", "c99", "--yes", exit_code=2).stderr


def test_what_cannot_be_undone_is_told_also_where_nobody_is_asked(synced: Place) -> None:
    """With --yes a merge tells what no system can bring back, before it is done."""
    crm = synced.world("crm")
    crm.profile = replace(crm.profile, capabilities=replace(crm.profile.capabilities, restore=False))
    told = synced.run("merge", "c1", "c2", "--yes").stderr
    assert "cannot be undone" in told


def test_what_releasing_a_proposal_cannot_undo_is_told(synced: Place) -> None:
    """Releasing a merge proposal tells what no system can bring back, before it asks and with --yes; refusing it does not."""
    crm = synced.world("crm")
    crm.profile = replace(crm.profile, capabilities=replace(crm.profile.capabilities, restore=False))
    crm.edit("2", vat_number="FR40303265045")
    synced.run("sync", exit_code=1)
    [hold] = [each["hold"] for each in synced.json("holds")["holds"] if each["kind"] == "merge"]
    told = "cannot be undone: crm cannot bring record 2 back from its archive"
    assert told in synced.run("release", hold, exit_code=2).stderr
    assert states(synced) == {"c1": ("active", None), "c2": ("active", None)}
    assert told in synced.run("release", hold, "--yes").stderr
    assert states(synced)["c2"] == ("merged", "c1")


def test_a_record_that_stands_apart_is_told_in_words(synced: Place) -> None:
    """What `show` says of the record that a merge archived: how it came, and which one stands for it."""
    synced.run("merge", "c1", "c2", "--yes")
    synced.run("sync", "--until-quiet")
    assert "apart, the first record of this client; merged into 1 (archived)" in synced.run("show", "c1").stdout
