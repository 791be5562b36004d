"""`verify`: the real systems against mirror and golden; nothing is changed anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncd.errors import Transient
from syncd.providers.memory import Call
from tests.cli.place import Place


@pytest.fixture
def synced(acme: Place) -> Place:
    """ACME is record 1 in both systems, the bakery 2; everything is in sync."""
    acme.run("sync", "--until-quiet")
    return acme


def system(place: Place, name: str, *words: str, exit_code: int = 1) -> Any:
    [tenant] = place.json("verify", *words, exit_code=exit_code)["tenants"]
    return next(each for each in tenant["systems"] if each["system"] == name)


def test_what_is_in_sync_is_equal(synced: Place) -> None:
    """After a sync every record of every system is equal, and the exit code is 0."""
    [tenant] = synced.json("verify")["tenants"]
    assert (tenant["tenant"], tenant["sound"], tenant["next"]) == ("acme", True, None)
    assert [(each["system"], each["outcome"], each["equal"], each["records"]) for each in tenant["systems"]] == [
        ("books", "complete", 2, 2),
        ("crm", "complete", 2, 2),
    ]
    assert "acme: as it should be" in synced.run("verify").stdout


def test_each_difference_is_told_with_its_record_and_fields(synced: Place) -> None:
    """An edit, a new record and a removed one are different, extra and missing; the output names the way to a repair."""
    synced.world("books").edit("1", phone="+33142685301")
    synced.world("books").add(name="Newcomer")
    synced.world("books").remove("2")
    books = system(synced, "books")
    assert [(each["external_id"], each["verdict"]) for each in books["differences"]] == [
        ("1", "different"),
        ("2", "missing"),
        ("3", "extra"),
    ]
    assert (books["equal"], books["different"], books["missing"], books["extra"], books["unreadable"]) == (
        0,
        1,
        1,
        1,
        0,
    )
    edited = books["differences"][0]
    assert (edited["client"], edited["mirror"], edited["golden"]) == ("c1", ["phone"], ["phone"])
    assert system(synced, "crm")["equal"] == 2
    assert "syncd plan --tenant acme --out FILE" in synced.run("verify", exit_code=1).stdout
    synced.run("verify", "--system", "crm")
    assert "no system" in synced.run("verify", "--system", "erp", exit_code=2).stderr


def test_verify_changes_nothing(synced: Place) -> None:
    """Neither the systems nor the store are touched: not a byte of the store's file, and no write to a system."""
    synced.world("books").edit("1", phone="+33142685301")
    file = Path(synced.root / "state" / "acme.db")
    before = (file.read_bytes(), synced.json("records"), len(synced.world("books").calls))
    synced.run("verify", exit_code=1)
    assert (file.read_bytes(), synced.json("records")) == before[:2]
    later = synced.world("books").calls[before[2] :]
    assert {call.action for call in later} <= {"list", "fetch", "account"}


def test_what_waits_is_explained(synced: Place) -> None:
    """A difference that syncd knows of, such as a value that a person has just decided, is told as known and does not count as wrong."""
    synced.world("books").edit("1", phone="+33142685301")
    synced.world("crm").edit("1", phone="+33142685302")
    synced.run("sync", "--until-quiet")
    path = synced.folder / "tenants" / "acme.toml"
    path.write_text(path.read_text().replace('mode = "sync"', 'mode = "observe"', 1))
    synced.run("resolve", "k1", "--value", "+33142685303")
    synced.run("sync", "--until-quiet")
    books = system(synced, "books", exit_code=0)
    assert (books["different"], books["explained"], books["sound"]) == (1, 1, True)
    assert books["differences"][0]["explained"].startswith("excluded")


def test_a_system_that_cannot_be_read_is_told(synced: Place) -> None:
    """A system that does not answer is incomplete with its code and next step; nothing is told as missing; the others are compared."""

    def down(call: Call) -> None:
        message = "no answer"
        raise Transient(message)

    synced.world("crm").before.append(down)
    crm = system(synced, "crm")
    assert (crm["outcome"], crm["error"]["code"], crm["missing"], crm["sound"]) == (
        "incomplete",
        "unavailable",
        0,
        False,
    )
    assert system(synced, "books")["equal"] == 2
    synced.world("crm").before.clear()


def test_contacts_and_notes_are_compared(synced: Place) -> None:
    """A contact or a note that somebody adds, changes or removes is a difference; once synced it is none."""
    anna = {"given_name": "Anna", "family_name": "Kern", "email": "anna@acme.example"}
    synced.world("books").edit("1", contacts=[anna], notes=["one"])
    assert system(synced, "books")["differences"][0]["golden"] == ["contacts", "notes"]
    synced.run("sync", "--until-quiet")
    assert synced.json("verify")["tenants"][0]["sound"] is True
    synced.world("crm").edit("1", contacts=[])
    assert system(synced, "crm")["differences"][0]["golden"] == ["contacts"]
