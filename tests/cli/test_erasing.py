"""`syncd erase`: after it a person is in no byte of syncd's folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.place import Place

CANARY = "Zebedee"


def naming(root: Path) -> list[str]:
    """The files below a folder that have the canary in them."""
    return sorted(path.name for path in root.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes())


@pytest.fixture
def lived(place: Place) -> Place:
    """A tenant with the canary and another client, after edits, with a plan and a log line that names it."""
    place.tenant()
    place.world("books").add(name=f"{CANARY} Quill", email="z@quill.example", phone="+33142685300")
    place.world("crm").add(name="Boulangerie Fictive", email="b@fictive.example")
    place.run("sync", "--until-quiet")
    place.world("books").edit("1", name=f"{CANARY} Quillon")
    place.run("plan", "--out", str(place.root / "state" / "today.json"), exit_code=3)
    lines = [
        {"at": "2026-01-01T00:00:00Z", "level": "info", "event": "conflict_logged", "tenant": "acme", "client": "c1"},
        {"at": "2026-01-01T00:00:00Z", "level": "info", "event": "library", "message": f"oops {CANARY} Quill"},
        {"at": "2026-01-01T00:00:00Z", "level": "info", "event": "conflict_logged", "tenant": "acme", "client": "c2"},
    ]
    log = place.root / "state" / "log" / "syncd.jsonl"
    with log.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
        file.write(f"no json {CANARY} Quill\n")
    return place


def test_no_byte_is_left(lived: Place) -> None:
    """Store, write-ahead log, log files and plans hold the erased name nowhere; the systems that hold it are named, others stay."""
    assert {"acme.db", "syncd.jsonl", "today.json"} <= {*naming(lived.root / "state"), "acme.db"}
    document = lived.json("erase", "c1", "--yes")
    assert (document["erased"], document["files"]) == ("c1", [])
    assert document["still_in"] == [{"system": "books", "external_id": "1"}, {"system": "crm", "external_id": "2"}]
    assert [Path(path).name for path in document["plans_deleted"]] == ["today.json"]
    assert naming(lived.root / "state") == []
    log = (lived.root / "state" / "log" / "syncd.jsonl").read_text(encoding="utf-8")
    assert '"c2"' in log
    assert "oops [erased]" in log
    assert [json.loads(line).get("client") for line in log.splitlines() if '"conflict_logged"' in line] == ["c2"]
    assert [system["suppressed"] for system in lived.json("status")["tenants"][0]["systems"]] == [0, 0]
    lived.run("sync", "--until-quiet")
    assert [system["suppressed"] for system in lived.json("status")["tenants"][0]["systems"]] == [1, 1]
    assert "crm: 1 record of erased clients still there" in lived.run("status").stdout
    assert [row["client"] for row in lived.json("clients", "--state", "active")["clients"]] == ["c2"]
    assert naming(lived.root / "state") == []


def test_it_needs_consent_and_an_idle_tenant(lived: Place) -> None:
    """Without a terminal it asks for --yes and does nothing."""
    assert "--yes" in lived.run("erase", "c1", exit_code=2).stderr
    assert lived.json("show", "c1")["state"] == "active"
    assert "no client" in lived.run("erase", "c99", "--yes", exit_code=2).stderr


def test_a_copy_that_still_names_the_client_is_told(lived: Place) -> None:
    """A file that is not syncd's to delete, such as a backup, is named, and the exit code is 1; a disabled tenant may be worked on."""
    (lived.root / "state" / "old.copy").write_text(f"{CANARY} Quill")
    file = lived.folder / "tenants" / "acme.toml"
    file.write_text(file.read_text().replace("[tenant]", "[tenant]\nenabled = false"))
    shown = lived.run("erase", "c1", "--yes", exit_code=1).stdout
    assert "old.copy" in shown
    assert "still in books: 1" in shown


def test_a_text_of_another_client_does_not_ask_for_the_database(place: Place) -> None:
    """The database where another client has the same phone number is not named as a file to delete; a copy of it is."""
    place.tenant()
    place.world("books").add(name="Ada Quill", email="ada@quill.example", phone="+33142685300")
    place.world("crm").add(name="Zebulon Werner", email="zw@werner.example", phone="+33142685300")
    place.run("sync", "--until-quiet")
    (place.root / "state" / "acme-old.db").write_bytes((place.root / "state" / "acme.db").read_bytes())
    document = place.json("erase", "c1", "--yes", exit_code=1)
    assert [Path(path).name for path in document["files"]] == ["acme-old.db"]
    assert b"+33142685300" in (place.root / "state" / "acme.db").read_bytes()
