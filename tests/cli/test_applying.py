"""`apply`: exactly the writes of a plan, once, and only where the records still are what the plan saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.place import Place


@pytest.fixture
def file(acme: Place, tmp_path: Path) -> Path:
    """A plan with three writes: an update and a create in books, an update in crm."""
    path = tmp_path / "plan.json"
    acme.run("plan", "--out", str(path), exit_code=3)
    return path


def refused(place: Place, *words: str) -> str:
    return str(place.json("apply", *words, exit_code=2)["error"]["message"])


def outcomes(document: Any) -> list[tuple[str, str, str]]:
    return sorted((write["system"], write["action"], write["outcome"]) for write in document["writes"])


def test_apply_sends_the_plan_once(acme: Place, file: Path) -> None:
    """The plan's writes are sent, as planned; a second time the file is refused; a cycle then has nothing to write."""
    document = acme.json("apply", str(file))
    assert outcomes(document) == [("books", "create", "done"), ("books", "update", "done"), ("crm", "update", "done")]
    assert (document["tenant"], document["done"], document["stale"]) == ("acme", 3, 0)
    assert acme.world("books").record("2")["name"] == "Boulangerie Fictive"
    assert acme.world("crm").record("1")["phone"] == "+33142685300"
    assert "applied already" in refused(acme, str(file))
    acme.run("sync", "--until-quiet")
    assert acme.json("plan")["writes"] == []
    assert acme.world("books").ids() == ["1", "2"]


def test_a_record_that_changed_is_stale_and_the_rest_is_done(acme: Place, file: Path) -> None:
    """A write whose record shows anything else than the plan saw is not sent and told; the others are sent; exit 1."""
    acme.world("crm").edit("1", currency="EUR")
    document = acme.json("apply", str(file), exit_code=1)
    assert outcomes(document) == [("books", "create", "done"), ("books", "update", "stale"), ("crm", "update", "stale")]
    assert all(write["outcome_reason"] for write in document["writes"] if write["outcome"] == "stale")
    assert acme.world("crm").record("1")["phone"] is None
    assert acme.world("books").record("1")["currency"] is None


def test_nothing_but_the_plan_is_written(acme: Place, file: Path) -> None:
    """What somebody types after the plan was made waits for the next cycle, and shifts no planned write to another client."""
    acme.world("books").add(name="Newcomer SAS", email="n@newcomer.example")
    acme.world("crm").edit("2", currency="EUR")
    document = acme.json("apply", str(file), exit_code=1)
    assert outcomes(document) == [("books", "create", "stale"), ("books", "update", "done"), ("crm", "update", "done")]
    assert acme.world("crm").ids() == ["1", "2"]
    assert acme.world("books").ids() == ["1", "2"]
    text = acme.run("apply", str(file), exit_code=2)
    assert "applied already" in text.stderr
    acme.run("sync", "--until-quiet")
    assert len(acme.world("crm").ids()) == 3


def test_a_changed_plan_is_refused(acme: Place, file: Path) -> None:
    """A value changed in the file, a file of another kind and a missing file are refused; nothing is written."""
    document = json.loads(file.read_text())
    document["writes"][0]["fields"]["name"] = "Mallory"
    file.write_text(json.dumps(document))
    assert "was changed" in refused(acme, str(file))
    file.write_text("{}")
    assert "no plan file" in refused(acme, str(file))
    file.write_bytes(b"\xff\xfe")
    assert "no plan file" in refused(acme, str(file))
    acme.run("apply", str(file.with_name("none.json")), exit_code=2)
    assert acme.world("books").ids() == ["1"]


def test_formatting_is_no_change(acme: Place, file: Path) -> None:
    """A plan that was only laid out anew is the same plan."""
    document = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(document.items())), indent=7))
    acme.run("apply", str(file))


def test_an_expired_plan_is_refused(acme: Place, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is good for a day."""
    monkeypatch.setattr("syncd.report.PLAN_VALID_HOURS", -1)
    acme.run("plan", "--out", str(file), exit_code=3)
    assert "expired" in refused(acme, str(file))


def test_a_plan_for_another_tenant_or_configuration_is_refused(acme: Place, file: Path) -> None:
    """A plan belongs to one tenant and to the configuration it was made with."""
    acme.tenant("zeta")
    assert "tenant acme" in refused(acme, str(file), "--tenant", "zeta")
    path = acme.folder / "tenants" / "acme.toml"
    before = path.read_text()
    path.write_text(before + '[fields.phone]\nrule = "hold"\n')
    assert "configuration" in refused(acme, str(file))
    path.write_text(before)
    acme.run("apply", str(file))
