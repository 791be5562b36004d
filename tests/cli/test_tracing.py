"""`why` and `history`: from a value back to its cause and forward to its writes, and the whole life of a client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.place import Place
from tests.cli.test_working import refuse_creates


@pytest.fixture
def synced(acme: Place) -> Place:
    """ACME is record 1 in both systems, the bakery 2; then both systems changed ACME's phone to different values."""
    acme.run("sync", "--until-quiet")
    acme.world("books").edit("1", phone="+33142685301")
    acme.world("crm").edit("1", phone="+33142685302", city="Brest")
    acme.run("sync", "--until-quiet")
    return acme


def entry(place: Place, client: str, field: str) -> Any:
    [found] = place.json("why", client, field)["fields"]
    return found


def test_why_goes_back_to_the_record_and_forward_to_the_writes(synced: Place) -> None:
    """The value of a conflict is told with decision, rule, candidates, cycle, walk and record, and with the write that carried it."""
    phone = entry(synced, "c1", "phone")
    assert (phone["field"], phone["value"], phone["origin"]) == ("phone", "+33142685301", "books")
    cause = phone["cause"]
    assert (cause["system"], cause["external_id"], cause["before"]) == ("books", "1", "+33142685300")
    conflict = cause["conflict"]
    assert (conflict["conflict"], conflict["rule"], conflict["winner"]) == ("k1", "order", "books")
    assert {candidate["system"] for candidate in conflict["candidates"]} >= {"books", "crm"}
    assert (cause["walk"]["system"], cause["walk"]["outcome"]) == ("books", "complete")
    assert cause["record"]["shows"] == "+33142685301"
    [write] = phone["writes"]
    assert (write["system"], write["state"], write["cycle"]) == ("crm", "done", cause["cycle"])
    assert (write["before"], write["after"]) == ({"phone": "+33142685302"}, {"phone": "+33142685301"})
    assert [(side["system"], side["agreement"], side["standing"]) for side in phone["systems"]] == [
        ("books", "equal", "in_sync"),
        ("crm", "equal", "in_sync"),
    ]
    assert [change["after"] for change in phone["earlier"]] == ["+33142685300"]
    text = synced.run("why", "c1", "phone").stdout
    for words in ("phone = +33142685301", "k1, rule order", "* books 1", "written", "crm 1", "agrees", "earlier"):
        assert words in text


def test_why_of_a_part_tells_of_its_group(synced: Place) -> None:
    """A part of an address stands for the address; every field is told without one; a name that is no field is refused."""
    city = entry(synced, "c1", "city")
    assert (city["field"], city["value"]["city"], city["cause"]["system"]) == ("address", "Brest", "crm")
    everything = synced.json("why", "c1")["fields"]
    assert {"name", "email", "phone", "address", "vat_number"} <= {each["field"] for each in everything}
    assert "vat_number" in synced.run("why", "c1").stdout
    assert "no field" in synced.run("why", "c1", "shoe_size", exit_code=2).stderr
    assert "no client" in synced.run("why", "c99", exit_code=2).stderr


def test_why_tells_who_decided_and_what_waits(synced: Place) -> None:
    """A person's decision is the cause of its value, and until the next sync the systems differ and are pending."""
    synced.run("resolve", "k1", "--value", "+33142685303")
    phone = entry(synced, "c1", "phone")
    assert phone["cause"]["system"] == "operator"
    assert phone["cause"]["conflict"]["conflict"] == "k1"
    assert {side["agreement"] for side in phone["systems"]} == {"differs"}
    assert "a person's decision" in synced.run("why", "c1", "phone").stdout


def test_why_tells_of_a_parked_write(acme: Place) -> None:
    """A write that was refused is told with its state and the system's words."""
    acme.world("books").before.append(refuse_creates)
    acme.run("sync", "--until-quiet", exit_code=1)
    name = entry(acme, "c2", "name")
    [write] = name["writes"]
    assert (write["state"], write["action"], write["error"]["code"]) == ("parked", "create", "rejected")
    books = next(side for side in name["systems"] if side["system"] == "books")
    assert (books["external_id"], books["standing"], books["open_write"]) == (None, "failing", write["write"])
    text = acme.run("why", "c2", "name").stdout
    assert "parked" in text
    assert "Quota exceeded" in text


def test_history_is_one_time_line(synced: Place) -> None:
    """Links, changes, conflicts, writes and what people did are told in order of time, with their ids and cycles."""
    synced.run("resolve", "k1", "--take", "crm")
    synced.run("sync", "--until-quiet")
    document = synced.json("history", "c1")
    events = document["events"]
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    assert {"link", "change", "conflict", "write", "write_done", "act"} <= {event["kind"] for event in events}
    assert events[0]["kind"] in ("link", "change", "golden")
    acts = [event for event in events if event["kind"] == "act"]
    assert [(event["detail"]["act"], event["by"][:8]) for event in acts] == [("conflict_resolved", "operator")]
    last = [event for event in events if event["kind"] == "change"][-1]
    assert (last["field"], last["detail"]["after"]) == ("phone", "+33142685302")
    assert synced.json("history", "c1", "--limit", "2")["events"] == events[-2:]
    text = synced.run("history", "c1", "--limit", "3").stdout
    assert "earlier events" in text
    assert "no client" in synced.run("history", "c99", exit_code=2).stderr


def test_a_resolved_conflict_does_not_claim_the_rule_for_the_person(synced: Place) -> None:
    """After a person took what the rule had not, the time line says "in the end", and the rule's reason is told as what was before."""
    synced.run("resolve", "k1", "--take", "crm")
    told = [event["what"] for event in synced.json("history", "c1")["events"] if event["kind"] == "conflict"]
    assert [text.partition("): ")[2] for text in told] == ["in the end crm was taken"]
    assert "    before that: " in synced.run("conflicts", "--client", "c1").stdout


def test_history_goes_on_after_a_merge(place: Place) -> None:
    """The time line of a client has that of the one that was merged into it, by whichever id it is asked for."""
    place.tenant()
    place.world("books").add(name="Jean Dupont", phone="+33142685300", postal_code="75001", country="FR")
    place.world("crm").add(name="Jean Dupond", phone="+33142685300", postal_code="75001", country="FR")
    place.run("sync", exit_code=1)
    [hold] = place.json("holds")["holds"]
    place.run("release", hold["hold"], "--yes")
    document = place.json("history", "c2")
    assert (document["client"], document["merged_from"]) == ("c1", ["c2"])
    assert {event["client"] for event in document["events"]} == {"c1", "c2"}
    assert {"hold", "hold_ended"} <= {event["kind"] for event in document["events"]}
    assert "c2 merged into c1" in [event["what"] for event in document["events"]]
    assert place.json("why", "c2", "name")["client"] == "c1"


def test_a_record_means_its_client(synced: Place) -> None:
    """`why`, `history` and `show` take SYSTEM/ID of a record; an unknown record and one of no client are told as that."""
    assert synced.json("why", "crm/1", "phone") == synced.json("why", "c1", "phone")
    assert synced.json("history", "books/2") == synced.json("history", "c2")
    assert synced.json("show", "books/1")["client"] == "c1"
    for command in ("why", "history", "show"):
        assert "there is no linked record 'books/77'" in synced.run(command, "books/77", exit_code=2).stderr
