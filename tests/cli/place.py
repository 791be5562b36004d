"""A config folder with tenants whose systems live in memory, and the command line run against it."""

from __future__ import annotations

import json
import re
from itertools import count
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from syncd.cli import front
from syncd.providers.memory import World, world

_NUMBERS = count(1)

TENANT = """
[tenant]
first_run = "{first_run}"
[systems.books]
provider = "memory"
mode = "sync"
base_url = "https://books.example/v1"
world = "{books}"
[systems.crm]
provider = "memory"
mode = "sync"
base_url = "https://crm.example/v1"
world = "{crm}"
[timing]
create_settle = "0s"
stale_read = "0s"
confirm_delete_after = "0s"
"""


class Place:
    """A config folder and the worlds of its tenants."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "config"
        (self.folder / "tenants").mkdir(parents=True)
        (self.folder / "syncd.toml").write_text("")
        self.worlds: dict[tuple[str, str], World] = {}

    def tenant(self, name: str = "acme", *, first_run: str = "go", more: str = "") -> None:
        """Configure a tenant with two systems, books and crm."""
        names = {system: f"{name}-{system}-{next(_NUMBERS)}" for system in ("books", "crm")}
        text = TENANT.format(first_run=first_run, **names) + more
        (self.folder / "tenants" / f"{name}.toml").write_text(text)
        for system, called in names.items():
            self.worlds[name, system] = world(called)

    def world(self, system: str, tenant: str = "acme") -> World:
        return self.worlds[tenant, system]

    def run(self, *words: str, exit_code: int = 0, stdin: str | None = None) -> Result:
        """A command that is to end with this exit code."""
        result = CliRunner().invoke(front, ["--config", str(self.folder), *words], input=stdin)
        assert result.exit_code == exit_code, (result.exit_code, result.stdout, result.stderr)
        return result

    def json(self, *words: str, exit_code: int = 0) -> Any:
        """The one document that a command prints with --json."""
        return json.loads(self.run(*words, "--json", exit_code=exit_code).stdout)


COLOUR = re.compile(r"\x1b\[")
