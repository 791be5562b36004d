"""Two clients of all four systems become one and two again, through the command line and the real wire."""

from __future__ import annotations

from typing import Any

from tests.system.conftest import Make
from tests.system.judge import judge
from tests.system.place import Look, Raw
from tests.system.scenarios import TWO_PERSONS, two_persons

NUMBER = "FR40303265045"


def named(look: Look) -> tuple[Raw, Raw]:
    first, second = (look.named(name) for name, _, _ in TWO_PERSONS)
    return first, second


def states(look: Look, client: str) -> dict[tuple[str, str], str]:
    [found] = [each for each in look.clients if each["client"] == client]
    return {(link["system"], link["external_id"]): link["state"] for link in found["links"]}


def shown(look: Look) -> dict[tuple[str, str], Any]:
    """What every record shows, without what tells when it was edited."""
    return {(row["system"], row["external_id"]): row["fields"] for row in look.records}


def test_two_clients_become_one_in_all_four_systems(make: Make) -> None:
    """Every record and value of both is the survivor's; lsp and erp archive the other record, books and receipts cannot and are told."""
    place = make(clients=2)
    two_persons(place)
    place.sync()
    first, second = named(place.look())
    assert {link["system"] for link in second["links"]} == {"books", "lsp", "receipts", "erp"}
    document = place.run("merge", first["client"], second["client"], "--yes", "--json", code=0).json["merge"]
    told = {(each["system"], each["external_id"]): each["what"] for each in document["records"]}
    assert len(told) == 8
    place.sync()
    look = place.look()
    gone = next(each for each in look.clients if each["client"] == second["client"])
    assert (gone["state"], gone["merged_into"], gone["links"]) == ("merged", first["client"], [])
    links = states(look, first["client"])
    assert {key for client in (first, second) for key in states_of(client)} == set(links)
    for link in first["links"]:
        assert links[link["system"], link["external_id"]] == "linked"
    records = shown(look)
    for link in second["links"]:
        key = (link["system"], link["external_id"])
        assert links[key] == "apart"
        can = link["system"] in ("lsp", "erp")
        assert ("is archived" in told[key]) is can
        assert records[key].get("archived") is can or not can
    conflicts = [row for row in look.conflicts if row["rule"] == "merge"]
    lost = {row["field"]: row["candidates"][-1]["value"] for row in conflicts}
    assert lost["email"] == TWO_PERSONS[1][1]
    assert lost["address"]["city"] == TWO_PERSONS[1][2]
    assert place.ask("show", second["client"])["client"] == first["client"]
    assert judge(place, look) == []


def states_of(client: Raw) -> set[tuple[str, str]]:
    return {(link["system"], link["external_id"]) for link in client["links"]}


def test_a_merge_taken_back_brings_back_what_it_promised(make: Make) -> None:
    """Every record shows what it showed, but for the contact of which it was told; both clients have links and fields; nothing is left."""
    place = make(clients=2)
    two_persons(place)
    place.sync()
    before = place.look()
    first, second = named(before)
    place.run("merge", first["client"], second["client"], "--yes", code=0)
    place.sync()
    document = place.run("unmerge", second["client"], "--yes", "--json", code=0).json["merge"]
    left = [(each["client"], each["field"]) for each in document["left"]]
    assert (left, document["lasting"]) == ([(first["client"], "contacts")], [])
    place.sync()
    look = place.look()
    for client in named(look):
        [was] = [each for each in before.clients if each["client"] == client["client"]]
        assert (client["fields"], client["links"], client["state"]) == (was["fields"], was["links"], was["state"])
    were, are = shown(before), shown(look)
    stays = {(link["system"], link["external_id"]) for link in first["links"] if link["system"] in ("lsp", "erp")}
    for key, fields in were.items():
        told = "contacts" if key in stays else ""  # the contact that the merge brought stays in these two, as was told
        assert {name: value for name, value in are[key].items() if name != told} == {
            name: value for name, value in fields.items() if name != told
        }
    number = place.now
    place.sync()
    assert place.writes(after=number) == []
    assert judge(place) == []


def test_a_merge_made_inside_a_system(make: Make) -> None:
    """A person merges two customers in LSP.expert: nothing is archived as deleted; the clients are proposed, and released they are one."""
    place = make(clients=2)
    for name, number in (("Granges SARL", NUMBER), ("Verrier SAS", "FR83404833048")):
        place.create("lsp", {"name": name, "vatNumber": number, "address": {"city": "Lyon", "country": "FR"}})
    place.sync()
    look = place.look()
    kept, lost = look.named("Granges SARL"), look.named("Verrier SAS")
    winner, loser = look.external_id(kept, "lsp"), look.external_id(lost, "lsp")
    place.edit("lsp", winner, {"vatNumber": "FR83404833048"})
    place.sandbox.merge("lsp_expert", winner, loser)
    place.cycle(code=None)
    place.cycle(code=None)
    look = place.look()
    [hold] = [each for each in look.holds if each["state"] == "open"]
    assert hold["kind"] == "merge"
    assert [each["state"] for each in look.clients if each["client"] == lost["client"]] == ["active"]
    place.run("release", hold["hold"], "--yes", code=0)
    place.sync()
    look = place.look()
    assert next(each for each in look.clients if each["client"] == lost["client"])["merged_into"] == kept["client"]
    assert states(look, kept["client"])["lsp", loser] == "gone"
    assert judge(place, look) == []
