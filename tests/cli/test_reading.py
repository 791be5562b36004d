"""What the reading commands print: documents for scripts, text for people."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.cli.place import COLOUR, Place

FIVE = ("in_sync", "pending", "held", "excluded", "failing")


def test_status_of_a_tenant_that_never_ran(acme: Place) -> None:
    """Before the first cycle every system is `never`, there is no last walk, and the counts are zero."""
    [tenant] = acme.json("status")["tenants"]
    assert tenant["clients"] == {"total": 0, **dict.fromkeys(FIVE, 0)}
    assert [system["state"] for system in tenant["systems"]] == ["never", "never"]
    assert [system["last_walk"] for system in tenant["systems"]] == [None, None]


def test_status_has_the_shape_that_scripts_rely_on(acme: Place) -> None:
    """Every promised key of `status` is there, and the five counts sum to the number of clients."""
    acme.run("sync", "--until-quiet")
    [tenant] = acme.json("status")["tenants"]
    assert {"tenant", "quiescent", "clients", "conflicts_open", "holds_open", "systems"} <= tenant.keys()
    assert tenant["quiescent"] is True
    assert tenant["clients"]["total"] == 2
    for counts in (tenant["clients"], *(system["counts"] for system in tenant["systems"])):
        assert sum(counts[name] for name in FIVE) == 2
    for system in tenant["systems"]:
        assert {"system", "provider", "mode", "state", "records", "last_walk", "counts", "outbox"} <= system.keys()
        assert system["last_walk"].keys() >= {"at", "outcome", "records", "requests", "reason"}
        assert system["last_walk"]["outcome"] == "complete"
        assert datetime.fromisoformat(system["last_walk"]["at"]).utcoffset() is not None
        assert system["outbox"].keys() >= {"waiting", "in_doubt", "parked"}
        assert (system["state"], system["provider"], system["mode"]) == ("ok", "memory", "sync")


def test_archived_clients_count(acme: Place) -> None:
    """The total is the active clients and the archived ones."""
    acme.run("sync", "--until-quiet")
    acme.world("crm").edit("2", archived=True)
    acme.run("sync", "--until-quiet")
    [tenant] = acme.json("status")["tenants"]
    assert tenant["clients"]["total"] == 2
    assert tenant["client_states"] == {"active": 1, "archived": 1, "deleted": 0, "merged": 0}


def test_clients_document(acme: Place) -> None:
    """A client comes with flat fields, null for empty, and its links."""
    acme.run("sync", "--until-quiet")
    clients = acme.json("clients")["clients"]
    first = next(client for client in clients if client["fields"]["name"] == "ACME SARL")
    assert first["state"] == "active"
    assert first["merged_into"] is None
    assert first["tenant"] == "acme"
    assert first["fields"]["city"] == "Lyon"
    assert first["fields"]["address_line1"] is None
    assert sorted(link["system"] for link in first["links"]) == ["books", "crm"]
    assert first["links"][0].keys() == {"system", "external_id", "state", "matched_by"}


def test_clients_of_one_state_and_limit(acme: Place) -> None:
    """--state and --limit narrow the listing down."""
    acme.run("sync", "--until-quiet")
    assert len(acme.json("clients", "--limit", "1")["clients"]) == 1
    assert acme.json("clients", "--state", "archived")["clients"] == []


def test_records_hold_the_raw_payload(acme: Place) -> None:
    """The mirror shows each record as the system says it, with its client."""
    acme.run("sync", "--until-quiet")
    records = acme.json("records", "--system", "crm")["records"]
    assert [record["external_id"] for record in records] == ["1", "2"]
    assert records[0]["raw"] == acme.world("crm").record("1")
    assert records[0].keys() >= {
        "tenant",
        "system",
        "external_id",
        "client",
        "raw",
        "fields",
        "seen_at",
        "changed_at",
        "state",
    }
    assert {record["client"] for record in records} == {client["client"] for client in acme.json("clients")["clients"]}


def test_a_listing_of_many_pages_is_one_document(acme: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pages are read, each client is listed once, in one JSON document."""
    monkeypatch.setattr("syncd.report.PAGE_ROWS", 3)
    for number in range(10):
        acme.world("crm").add(name=f"Client {number}", email=f"c{number}@many.example")
    acme.run("sync", "--until-quiet")
    ids = [client["client"] for client in acme.json("clients")["clients"]]
    assert len(ids) == len(set(ids)) == 12
    assert len(acme.json("records")["records"]) == 24
    assert len(acme.json("links")["links"]) == 24
    assert len(acme.json("clients", "--limit", "7")["clients"]) == 7


def test_show_marks_each_side(acme: Place) -> None:
    """`show` tells of each side and field whether it is as golden."""
    acme.run("sync", "--until-quiet")
    client = next(each["client"] for each in acme.json("clients")["clients"] if each["fields"]["name"] == "ACME SARL")
    document = acme.json("show", client)
    assert document["client"] == client
    assert [side["system"] for side in document["sides"]] == ["books", "crm"]
    assert {side["marks"]["phone"] for side in document["sides"]} == {"equal"}
    assert document["sides"][0]["bases"]["email"]["agreed"] == "a@acme.example"
    text = acme.run("show", client).stdout
    assert "ACME SARL" in text
    assert "in_sync" in text


def test_unknown_ids_are_wrong_usage(acme: Place) -> None:
    """An id that does not exist ends with exit code 2 and says which command lists the ids that do."""
    for words, hint in (
        (("show", "c99"), "syncd clients"),
        (("release", "h99", "--yes"), "syncd holds"),
        (("refuse", "h99"), "syncd holds"),
        (("resolve", "k99", "--take", "books"), "syncd conflicts"),
        (("retry", "w99"), "syncd outbox"),
        (("drop", "w99", "--yes"), "syncd outbox"),
    ):
        assert hint in acme.run(*words, exit_code=2).stderr
        error = acme.json(*words, exit_code=2)["error"]
        assert error["code"] == "usage"
        assert "99" in error["message"]


def test_text_fits_and_has_no_colour(acme: Place) -> None:
    """Text that goes into a file has at most 100 columns, no colours and no control characters of a value."""
    acme.world("crm").add(name="Evil \x1b[31m\x07 Ltd", email="evil@control.example", details="x" * 300)
    acme.run("sync", "--until-quiet")
    acme.world("books").edit(
        "1", address_line1="1 rue de la Paix et de la Concorde", city="Paris", phone="+33142685301"
    )
    acme.world("crm").edit("1", address_line1="2 avenue des Longues Adresses", city="Lille", phone="+33142685302")
    acme.run("sync")
    for words in (
        ("status",),
        ("clients",),
        ("show", "c1"),
        ("records",),
        ("links",),
        ("conflicts",),
        ("outbox", "--state", "done"),
        ("sync",),
        ("log",),
    ):
        text = acme.run(*words).stdout
        assert text
        assert not COLOUR.search(text)
        assert "\x07" not in text
        assert [line for line in text.splitlines() if len(line) > 100] == [], words


def test_json_is_the_only_thing_on_stdout(acme: Place) -> None:
    """With --json stdout is one document, for each command that reads."""
    acme.run("sync", "--until-quiet")
    for name in ("status", "clients", "records", "links", "conflicts", "holds", "outbox", "sync", "check"):
        lines = acme.run(name, "--json").stdout.splitlines()
        assert len(lines) == 1
        assert isinstance(json.loads(lines[0]), dict)


def test_options_may_stand_before_the_command(acme: Place) -> None:
    """--tenant and --json mean the same before the command and after it."""
    acme.run("sync")
    before = acme.run("--tenant", "acme", "--json", "clients").stdout
    assert before == acme.run("clients", "--tenant", "acme", "--json").stdout


def test_conflicts_document(acme: Place) -> None:
    """A conflict names every candidate, the rule and what became of it."""
    acme.run("sync", "--until-quiet")
    acme.world("books").edit("1", phone="+33142685301")
    acme.world("crm").edit("1", phone="+33142685302")
    acme.run("sync", "--until-quiet")
    [conflict] = acme.json("conflicts")["conflicts"]
    assert conflict["field"] == "phone"
    assert conflict["kind"] == "edit"
    assert conflict["base"] == "+33142685300"
    assert {(each["system"], each["value"]) for each in conflict["candidates"]} == {
        ("books", "+33142685301"),
        ("crm", "+33142685302"),
    }
    assert all(each.keys() >= {"system", "external_id", "value", "seen_at"} for each in conflict["candidates"])
    assert (conflict["rule"], conflict["status"], conflict["winner"], conflict["value"]) == (
        "order",
        "decided",
        "books",
        "+33142685301",
    )
    assert conflict.keys() >= {"conflict", "tenant", "client", "decided_by", "logged_at"}
