"""A configuration that is not right: every problem at once, nothing started, no request made."""

from __future__ import annotations

import tomllib

import pytest
import tomlkit

from tests.system.conftest import Make
from tests.system.place import TENANT, Place


@pytest.fixture
def fresh(make: Make) -> Place:
    """A tenant that nothing was done with."""
    return make(clients=1)


def refused(place: Place) -> list[str]:
    """The problems that every command tells; exit 2, no store, no request."""
    told = place.run("sync", "--tenant", TENANT, "--json", code=2).json["error"]
    assert told["code"] == "config"
    assert told["next"]
    assert place.sandbox.journal() == []
    assert not list(place.folder.glob("state/*"))
    return list(told["problems"])


def test_every_problem_is_told_at_once(fresh: Place):
    """A missing key, an unknown provider, a literal secret, a wrong duration and an unknown key: one line each, with file and key."""
    path = fresh.config / "tenants" / f"{TENANT}.toml"
    document = tomllib.loads(path.read_text())
    del document["systems"]["books"]["company_id"]
    document["systems"]["lsp"]["api_key"] = "literal-S3cret"
    document["systems"]["lsp"]["poll"] = "5 minutes"
    document["systems"]["receipts"]["provider"] = "smartbils"
    document["systems"]["erp"]["archive_status"] = "inactive"
    path.write_text(tomlkit.dumps(document))
    problems = refused(fresh)
    keys = ("books.company_id", "lsp.api_key", "lsp.poll", "receipts.provider", "erp.archive_status")
    assert len(problems) == len(keys)
    for key in keys:
        [line] = [line for line in problems if f"systems.{key}" in line]
        assert str(path) in line
    assert "literal-S3cret" not in "".join(problems)


def test_files_that_cannot_be_read(fresh: Place):
    """TOML that does not parse, and a secret's file that is not there, are told with their place."""
    path = fresh.config / "tenants" / f"{TENANT}.toml"
    good = path.read_text()
    path.write_text(good.replace('first_run = "go"', 'first_run = "go'))
    [line] = refused(fresh)
    assert str(path) in line
    path.write_text(good)
    (fresh.folder / "secrets" / TENANT / "lsp_api_key").unlink()
    [line] = refused(fresh)
    assert "systems.lsp.api_key" in line


def test_a_broken_tenant_stops_only_itself(fresh: Place):
    """Beside a broken file another tenant is synced; the exit is 2 and the problem is told."""
    (fresh.config / "tenants" / "other.toml").write_text('[systems.x]\nprovider = "nothing"\n')
    result = fresh.run("sync", "--until-quiet", "--json", code=2)
    [tenant] = result.json["tenants"]
    assert (tenant["tenant"], tenant["quiescent"]) == (TENANT, True)
    assert "other.toml" in str(result.json["problems"])
