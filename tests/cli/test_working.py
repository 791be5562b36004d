"""The commands that do something: sync, plan, check, and what a person decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncd.errors import Rejected
from syncd.providers.memory import Call
from syncd.store import open_store
from tests.cli.place import Place


def refuse_creates(call: Call) -> None:
    """A system that takes no new clients."""
    if call.action == "create":
        message = "the quota is used up"
        raise Rejected(message, operation="create", words="Quota exceeded")


def test_sync_document(acme: Place) -> None:
    """`sync --json` tells each cycle of each tenant, system by system."""
    document = acme.json("sync", "--until-quiet")
    [tenant] = document["tenants"]
    assert tenant["tenant"] == "acme"
    assert tenant["quiescent"] is True
    first = tenant["cycles"][0]
    assert first.keys() >= {"cycle", "systems", "conflicts", "holds"}
    books, crm = first["systems"]
    assert (books["system"], books["walk"], books["created"]) == ("books", "complete", 1)
    assert crm["updated"] == 1
    keys = {"system", "walk", "created", "updated", "archived", "merged", "deleted", "failed", "requests"}
    assert books.keys() >= keys


def test_a_record_that_cannot_be_read_ends_with_one(acme: Place) -> None:
    """The client counts as failing there: nothing is pending, and yet `sync` exits 1 and says how many, who and why, as does `status`."""
    acme.run("sync", "--until-quiet")
    [name] = [link["external_id"] for link in acme.json("clients")["clients"][0]["links"] if link["system"] == "crm"]
    acme.world("crm").edit(name, details="\ud800")
    [tenant] = acme.json("sync", "--until-quiet", exit_code=1)["tenants"]
    [failing] = tenant["failing"]
    assert (tenant["quiescent"], tenant["parked"], tenant["holds"]) == (True, [], [])
    assert (failing["system"], failing["state"]) == ("crm", "failing")
    assert "1 of its clients fail; c1: " in failing["reason"]
    assert failing["reason"] in acme.run("sync", exit_code=1).stdout
    assert failing["reason"] in " ".join(acme.run("status").stdout.split())
    [books, crm] = acme.json("status")["tenants"][0]["systems"]
    assert (books["failing"], crm["failing"], crm["counts"]["failing"]) == (None, failing["reason"], 1)
    acme.world("crm").edit(name, details="fine again")
    acme.run("sync", "--until-quiet")


def test_a_second_sync_sends_nothing(acme: Place) -> None:
    """A cycle with nothing new writes nothing."""
    acme.run("sync", "--until-quiet")
    [tenant] = acme.json("sync")["tenants"]
    [cycle] = tenant["cycles"]
    assert [sum(system[name] for name in ("created", "updated", "archived")) for system in cycle["systems"]] == [0, 0]


def test_plan_sends_nothing_and_exits_3(acme: Place, tmp_path: Path) -> None:
    """`plan` shows each write with before, after, reason and cost; nothing is sent; afterwards it has nothing to show."""
    out = tmp_path / "plan.json"
    document = acme.json("plan", "--out", str(out), exit_code=3)
    assert json.loads(out.read_text()) == document
    assert out.stat().st_mode & 0o777 == 0o600
    assert document.keys() >= {
        "tenant",
        "plan",
        "config_digest",
        "expires_at",
        "writes",
        "conflicts",
        "links",
        "holds",
        "calls",
    }
    assert document["calls"] == sum(write["calls"] for write in document["writes"])
    create = next(write for write in document["writes"] if write["action"] == "create")
    assert create.keys() >= {"system", "client", "external_id", "fields", "before", "after", "reason", "calls"}
    assert create["after"]["name"] == "Boulangerie Fictive"
    assert acme.world("books").ids() == ["1"]
    assert acme.json("clients")["clients"] == []
    acme.run("sync", "--until-quiet")
    assert acme.json("plan")["writes"] == []


def test_check_names_each_system(acme: Place) -> None:
    """`check` has a finding for each system, and exits 1 where one is an error."""
    document = acme.json("check")
    assert {finding["system"] for finding in document["tenants"][0]["findings"]} == {"books", "crm"}

    def down(call: Call) -> None:
        message = "the key was refused"
        raise Rejected(message)

    acme.world("crm").before.append(down)
    findings = acme.json("check", exit_code=1)["tenants"][0]["findings"]
    assert [finding["system"] for finding in findings if finding["level"] == "error"] == ["crm"]


def test_first_run_waits_for_release(place: Place) -> None:
    """With first_run = "review" nothing is written until the hold is released, which takes consent."""
    place.tenant(first_run="review")
    place.world("crm").add(name="ACME SARL", email="a@acme.example")
    place.run("sync", "--until-quiet", exit_code=1)
    [hold] = place.json("holds")["holds"]
    assert hold["kind"] == "first_run"
    assert hold.keys() >= {"hold", "tenant", "kind", "system", "reason", "items", "since"}
    assert place.world("books").ids() == []
    assert "--yes" in place.run("release", hold["hold"], exit_code=2).stderr
    assert place.json("holds")["holds"] == [hold]
    released = place.json("release", hold["hold"], "--yes")
    assert released["hold"]["state"] == "done"
    place.run("sync", "--until-quiet")
    assert place.world("books").ids() == ["1"]
    assert (
        "not open" in place.run("release", hold["hold"], "--yes", exit_code=2).stderr
        or place.json("holds")["holds"] == []
    )


def test_resolve_puts_the_losing_value_back(acme: Place) -> None:
    """`resolve --take` gives every system the value of the side that had lost."""
    acme.run("sync", "--until-quiet")
    acme.world("books").edit("1", phone="+33142685301")
    acme.world("crm").edit("1", phone="+33142685302")
    acme.run("sync", "--until-quiet")
    assert "no candidate" in acme.run("resolve", "k1", "--take", "erp", exit_code=2).stderr
    acme.run("resolve", "k1", exit_code=2)
    resolved = acme.json("resolve", "k1", "--take", "crm")["conflict"]
    assert (resolved["status"], resolved["winner"], resolved["value"]) == ("resolved", "crm", "+33142685302")
    acme.run("sync", "--until-quiet")
    assert acme.world("books").record("1")["phone"] == "+33142685302"


def test_resolve_with_a_value(acme: Place) -> None:
    """`resolve --value` gives every system what the person typed."""
    acme.run("sync", "--until-quiet")
    acme.world("books").edit("1", phone="+33142685301")
    acme.world("crm").edit("1", phone="+33142685302")
    acme.run("sync", "--until-quiet")
    acme.run("resolve", "k1", "--value", "+33142685303")
    acme.run("sync", "--until-quiet")
    assert {acme.world(system).record("1")["phone"] for system in ("books", "crm")} == {"+33142685303"}


def test_parked_write_is_told_retried_and_dropped(acme: Place) -> None:
    """A refused write is in the outbox with the system's words; `retry` sends it again, `drop` gives it up."""
    books = acme.world("books")
    books.before.append(refuse_creates)
    acme.run("sync", "--until-quiet", exit_code=1)
    [write] = acme.json("outbox")["writes"]
    assert (write["state"], write["action"], write["system"]) == ("parked", "create", "books")
    assert write["error"].keys() >= {"code", "message", "next"}
    assert write["error"]["code"] == "rejected"
    keys = {
        "write",
        "tenant",
        "system",
        "client",
        "external_id",
        "action",
        "fields",
        "state",
        "attempts",
        "error",
        "since",
    }
    assert write.keys() >= keys
    assert "rejected" in acme.run("outbox").stdout
    assert "--yes" in acme.run("drop", write["write"], exit_code=2).stderr
    assert acme.json("retry", write["write"])["write"]["state"] == "waiting"
    acme.run("sync", exit_code=1)
    [write] = acme.json("outbox")["writes"]
    assert acme.json("drop", write["write"], "--yes")["write"]["state"] == "dropped"
    assert acme.json("outbox")["writes"] == []
    assert "already" in acme.run("drop", write["write"], "--yes", exit_code=2).stderr
    books.before.clear()


def test_one_tenant_never_stops_another(acme: Place) -> None:
    """A tenant whose store is busy fails with its reason; the other runs; the exit code tells."""
    acme.tenant("zeta")
    store = open_store(f"sqlite:///{acme.root / 'state'}", "zeta")
    try:
        with store.hold_lock():
            document = acme.json("sync", exit_code=1)
    finally:
        store.close()
    first, second = document["tenants"]
    assert first["tenant"] == "acme"
    assert len(first["cycles"]) == 1
    assert second["error"]["code"] == "store_busy"


def test_a_broken_file_stops_that_tenant_only(acme: Place) -> None:
    """Problems of a tenant's file are told with file and key; the other tenant runs; the exit code is 2."""
    (acme.folder / "tenants" / "broken.toml").write_text("[tenant]\nfirst_run = 'maybe'\n")
    document = acme.json("sync", exit_code=2)
    assert [tenant["tenant"] for tenant in document["tenants"]] == ["acme"]
    assert any("broken.toml" in problem for problem in document["problems"])
    error = acme.json("status", "--tenant", "broken", exit_code=2)["error"]
    assert error["code"] == "config"
    assert error["problems"]


def test_ids_that_two_tenants_have(acme: Place) -> None:
    """--tenant may be left out where the id is unique, and is asked for where it is not."""
    acme.tenant("zeta")
    acme.world("books", "zeta").add(name="Zeta", email="z@zeta.example")
    acme.run("sync", "--until-quiet")
    assert "--tenant" in acme.run("show", "c1", exit_code=2).stderr
    assert acme.json("show", "c1", "--tenant", "zeta")["fields"]["name"] == "Zeta"
    assert acme.json("show", "c2")["tenant"] == "acme"


def test_wrong_words_are_told(acme: Place) -> None:
    """Wrong usage exits 2, in words on stderr, or as one document with --json."""
    for words in (
        ("nonsense",),
        ("sync", "--bogus"),
        ("sync", "--wait", "soon"),
        ("status", "--tenant", "nobody"),
        ("show",),
    ):
        result = acme.run(*words, exit_code=2)
        assert result.stdout == ""
        assert "next:" in result.stderr
        assert acme.json(*words, exit_code=2)["error"].keys() >= {"code", "message", "next"}


def test_a_missing_config_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acme: Place) -> None:
    """A folder that does not exist is a configuration problem; SYNCD_CONFIG names the folder where --config does not."""
    error = acme.json("--config", str(tmp_path / "none"), "status", exit_code=2)["error"]
    assert error["code"] == "config"
    monkeypatch.setenv("SYNCD_CONFIG", str(tmp_path / "nowhere"))
    assert acme.json("status")["tenants"][0]["tenant"] == "acme"


def test_db_current_and_upgrade(acme: Place) -> None:
    """`db current` changes nothing; `db upgrade` makes the store."""
    assert acme.json("db", "current")["tenants"][0]["revision"] is None
    assert not (acme.root / "state" / "acme.db").exists()
    made = acme.json("db", "upgrade")["tenants"][0]
    assert made["current"] is True
    assert acme.json("db", "current")["tenants"][0]["revision"] == made["revision"]
    assert "up to date" in acme.run("db", "current").stdout
