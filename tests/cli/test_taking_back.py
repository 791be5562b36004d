"""`undo`: what a cycle or a write changed is set back where nobody has changed it since; the rest is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.place import Place


@pytest.fixture
def synced(acme: Place) -> Place:
    """ACME is record 1 in both systems, the bakery 2; everything is in sync."""
    acme.run("sync", "--until-quiet")
    return acme


def cycle(place: Place) -> str:
    """Sync, and the name of the first cycle of it."""
    return str(place.json("sync", "--until-quiet")["tenants"][0]["cycles"][0]["cycle"])


def fates(document: Any) -> list[tuple[str, str]]:
    return sorted((step["field"], step["fate"]) for step in document["changes"])


def shown(place: Place, field: str, record: str = "1") -> set[Any]:
    return {place.world(system).record(record)[field] for system in ("books", "crm")}


def test_undo_of_a_cycle_sets_every_system_back(synced: Place) -> None:
    """Edits of one cycle, a group and a value where there was none, are taken back in every system by the next sync."""
    synced.world("books").edit("1", phone="+33142685301", city="Paris", postal_code="75001")
    synced.world("crm").edit("2", currency="EUR")
    named = cycle(synced)
    assert "--yes" in synced.run("undo", named, exit_code=2).stderr
    assert shown(synced, "city") == {"Paris"}
    document = synced.json("undo", named, "--yes")
    assert fates(document) == [("address", "undone"), ("currency", "undone"), ("phone", "undone")]
    assert (document["undone"], document["left"]) == (3, 0)
    synced.run("sync", "--until-quiet")
    assert shown(synced, "phone") == {"+33142685300"}
    assert shown(synced, "city") == {"Lyon"}
    assert shown(synced, "postal_code") == {None}
    assert shown(synced, "currency", "2") == {None}
    assert synced.json("plan")["writes"] == []
    assert synced.json("conflicts")["conflicts"] == []


def test_what_changed_again_is_left_alone(synced: Place) -> None:
    """A value that somebody has changed since the cycle is told as drifted and stays; the rest is set back; exit 1."""
    synced.world("books").edit("1", phone="+33142685301", city="Paris")
    named = cycle(synced)
    synced.world("crm").edit("1", phone="+33142685302")
    cycle(synced)
    document = synced.json("undo", named, "--yes", exit_code=1)
    assert fates(document) == [("address", "undone"), ("phone", "drifted")]
    synced.run("sync", "--until-quiet")
    assert shown(synced, "phone") == {"+33142685302"}
    assert shown(synced, "city") == {"Lyon"}
    assert fates(synced.json("undo", named, "--yes", exit_code=1)) == [("phone", "drifted")]


def test_an_opt_out_is_never_reversed(synced: Place) -> None:
    """An undo that would reverse an opt-out is refused for that field with exit 1, and the rest is done."""
    synced.world("books").edit("1", marketing_consent=True)
    cycle(synced)
    synced.world("crm").edit("1", marketing_consent=False, phone="+33142685309")
    named = cycle(synced)
    document = synced.json("undo", named, "--yes", exit_code=1)
    assert fates(document) == [("marketing_consent", "refused"), ("phone", "undone")]
    synced.run("sync", "--until-quiet")
    assert synced.world("crm").record("1")["marketing_consent"] is False
    assert synced.json("show", "c1")["fields"]["marketing_consent"] is False
    assert shown(synced, "phone") == {"+33142685300"}


def test_what_came_with_a_new_record_is_left_alone(acme: Place) -> None:
    """Undoing the first cycle clears nothing and tells that created records stay."""
    named = cycle(acme)
    document = acme.json("undo", named, "--yes", exit_code=1)
    assert {step["fate"] for step in document["changes"]} == {"first_sight", "refused"}
    [created] = [step for step in document["changes"] if step["field"] == "record"]
    assert "archive record 2 in books" in created["reason"]
    before = [acme.world(system).snapshot().records for system in ("books", "crm")]
    acme.run("sync", "--until-quiet")
    assert [acme.world(system).snapshot().records for system in ("books", "crm")] == before


def test_undo_of_a_write(synced: Place) -> None:
    """The fields of one write get their earlier values in golden, and by the next sync everywhere; an id that is none is told."""
    synced.world("books").edit("1", phone="+33142685301")
    cycle(synced)
    write = synced.json("outbox", "--state", "done")["writes"][-1]
    assert (write["system"], write["action"]) == ("crm", "update")
    text = synced.run("undo", write["write"], "--yes").stdout
    assert "1 value set back" in text
    synced.run("sync", "--until-quiet")
    assert shown(synced, "phone") == {"+33142685300"}
    assert "no write" in synced.run("undo", "w999", "--yes", exit_code=2).stderr
    assert "no cycle" in synced.run("undo", "y999", "--yes", exit_code=2).stderr
    assert "neither" in synced.run("undo", "c1", "--yes", exit_code=2).stderr


def test_a_write_that_filled_or_created_is_told(synced: Place) -> None:
    """A create, and a write that passed on what a new record brought, are not undone: nothing is cleared where it was typed."""
    rows = synced.json("outbox", "--state", "done")["writes"]
    for row in rows:
        document = synced.json("undo", row["write"], "--yes", exit_code=1)
        assert {step["fate"] for step in document["changes"]} <= {"first_sight", "refused"}
    assert {row["action"] for row in rows} == {"create", "update"}


def test_an_archive_is_undone(synced: Place) -> None:
    """A client archived in one system, and so in all, is restored in all."""
    synced.world("books").edit("1", archived=True)
    named = cycle(synced)
    assert shown(synced, "archived") == {True}
    assert fates(synced.json("undo", named, "--yes")) == [("archived", "undone")]
    synced.run("sync", "--until-quiet")
    assert shown(synced, "archived") == {False}


def test_a_cycle_that_changed_nothing_is_told_once(synced: Place) -> None:
    """Nothing is shown before and asked where there is nothing to set back."""
    synced.run("sync")
    before = synced.json("history", "c1")["events"]
    cycle = synced.json("sync")["tenants"][0]["cycles"][0]["cycle"]
    done = synced.run("undo", cycle)
    assert (done.stdout + done.stderr).count("nothing that could be undone") == 1
    assert synced.json("history", "c1")["events"] == before
