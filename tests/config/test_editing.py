"""A rule written into a tenant's file: nothing else of the file changes, and nothing is written unseen."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd import config as configuration
from syncd.config.editing import propose_rule, save
from syncd.core.model import UNITS, Rule
from syncd.errors import ConfigError

ACME = """# our tenant
[tenant]
first_run = "go"   # at once

[systems.books]
provider = "memory"
world = "a"
[systems.crm]
provider = "memory"
world = "b"
base_url = "https://crm.example/v1"

[fields.email]     # typed by people
rule = "newest"
order = [ "crm",
          "books" ]   # crm first

[deletes]
on_delete = "ignore"
"""


def place(folder: Path, text: str = ACME) -> tuple[configuration.Loaded, Path]:
    (folder / "tenants").mkdir(exist_ok=True)
    path = folder / "tenants" / "acme.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    return configuration.load_strict(folder), path


def test_a_rule_is_changed_where_it_stands(tmp_path: Path) -> None:
    """The section's keys change, comments and every other line stay, and the mode of the file too."""
    loaded, path = place(tmp_path)
    edit = propose_rule(loaded.service, loaded.tenants[0], "email", Rule.ORDER, ["books", "crm"])
    assert path.read_text() == ACME
    assert edit.problems == ()
    assert edit.config is not None
    assert edit.config.policy.field("email").order == ("books", "crm")
    save(edit, edit.digest)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in path.parent.iterdir()] == ["acme.toml"]
    after = path.read_text()
    assert "# our tenant" in after
    assert "# at once" in after
    assert "# typed by people" in after
    assert tomllib.loads(after)["fields"] == {"email": {"rule": "order", "order": ["books", "crm"]}}
    assert configuration.load_strict(tmp_path).tenants[0].policy.field("email").rule is Rule.ORDER


def test_hold_has_no_order(tmp_path: Path) -> None:
    """The rule that asks a person takes the order away, which would be refused beside it."""
    loaded, path = place(tmp_path)
    edit = propose_rule(loaded.service, loaded.tenants[0], "email", Rule.HOLD, ["books", "crm"])
    save(edit, edit.digest)
    assert tomllib.loads(path.read_text())["fields"] == {"email": {"rule": "hold"}}


@given(unit=st.sampled_from(sorted(UNITS)), rule=st.sampled_from(Rule), first=st.booleans(), twice=st.booleans())
def test_any_rule_of_any_field_is_all_that_changes(
    tmp_path_factory: pytest.TempPathFactory, unit: str, rule: Rule, first: bool, twice: bool
) -> None:
    """Whatever the rule, the file stays valid, the rest of the document is the same, and doing it again changes nothing."""
    loaded, path = place(tmp_path_factory.mktemp("editing"))
    order = ["books", "crm"] if first else ["crm", "books"]
    before = tomllib.loads(ACME)
    edit = propose_rule(loaded.service, loaded.tenants[0], unit, rule, order)
    assert edit.problems == ()
    save(edit, edit.digest)
    after = tomllib.loads(path.read_text())
    assert after["fields"][unit]["rule"] == rule.value
    assert {**before, "fields": {**before["fields"], unit: after["fields"][unit]}} == after
    if twice:
        again = propose_rule(loaded.service, loaded.tenants[0], unit, rule, order)
        assert again.diff == ()


@pytest.mark.parametrize("text", [ACME.replace('[fields.email]     # typed by people\nrule = "newest"\norder = [ "crm",\n          "books" ]   # crm first\n', ""), ACME.replace("[fields.email]     # typed by people\n", "[fields]\nemail.").replace("\norder = [", "\nemail.order = [")])  # fmt: skip
def test_other_ways_to_write_fields(tmp_path: Path, text: str) -> None:
    """A file without rules gets its first one; rules written with dotted keys are found as well."""
    loaded, path = place(tmp_path, text)
    edit = propose_rule(loaded.service, loaded.tenants[0], "email", Rule.FILL, ["crm", "books"])
    assert edit.problems == ()
    save(edit, edit.digest)
    assert tomllib.loads(path.read_text())["fields"]["email"] == {"rule": "fill", "order": ["crm", "books"]}


def test_nothing_is_written_unseen(tmp_path: Path) -> None:
    """A file that changed meanwhile, a change that was not the one shown, and a result with problems are refused."""
    loaded, path = place(tmp_path)
    edit = propose_rule(loaded.service, loaded.tenants[0], "email", Rule.FILL, ["crm", "books"])
    with pytest.raises(ConfigError):
        save(edit, "another digest")
    path.write_text(ACME + "# mine\n")
    with pytest.raises(ConfigError):
        save(edit, edit.digest)
    assert path.read_text() == ACME + "# mine\n"
    wrong = propose_rule(loaded.service, loaded.tenants[0], "email", Rule.ORDER, ["nobody"])
    assert wrong.config is None
    assert [str(path) in line for line in wrong.problems] == [True]
    with pytest.raises(ConfigError):
        save(wrong, wrong.digest)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where the change cannot be put in place, the error says so and the file is as it was."""
    loaded, path = place(tmp_path)
    edit = propose_rule(loaded.service, loaded.tenants[0], "email", Rule.FILL, ["crm", "books"])
    (path.parent / ".acme.toml.new").mkdir()
    with pytest.raises(ConfigError, match="put the shown lines there yourself"):
        save(edit, edit.digest)
    assert path.read_text() == ACME
