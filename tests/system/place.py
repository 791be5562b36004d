"""A tenant in a folder of its own, beside a running sandbox: commands, what they tell, and people at work in the systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.sandbox import MAIN_TABLE, Sandbox, write_config
from tests.system.launcher import Child, Launcher, Result

TENANT = "demo"
PROVIDER = {"books": "tiime", "lsp": "lsp_expert", "receipts": "smartbills", "erp": "flowtly"}
SYSTEM = {provider: system for system, provider in PROVIDER.items()}
WRITE_STATES = ("waiting", "sending", "in_doubt", "parked", "done", "dropped")
Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that syncd tells about the tenant at one moment."""

    status: Raw
    clients: list[Raw]
    records: list[Raw]
    conflicts: list[Raw]
    holds: list[Raw]
    outbox: list[Raw]
    name: str = TENANT

    @property
    def tenant(self) -> Raw:
        """The tenant's part of `status`."""
        return next(each for each in self.status["tenants"] if each["tenant"] == self.name)

    def system(self, name: str) -> Raw:
        """One system's part of `status`."""
        return next(each for each in self.tenant["systems"] if each["system"] == name)

    def client_of(self, system: str, external_id: str) -> Raw:
        """The client that a record belongs to."""
        return next(
            client
            for client in self.clients
            for link in client["links"]
            if (link["system"], link["external_id"]) == (system, external_id)
        )

    def named(self, name: str) -> Raw:
        """The one client of this name that was not merged away."""
        [found] = [each for each in self.clients if each["fields"].get("name") == name and each["state"] != "merged"]
        return found

    def external_id(self, client: Raw, system: str) -> str:
        """The id of a client's record in a system."""
        [found] = [
            link["external_id"] for link in client["links"] if link["system"] == system and link["state"] == "linked"
        ]
        return str(found)


class Place:
    """One tenant, `demo` unless it is named, and its four systems."""

    def __init__(
        self,
        launcher: Launcher,
        sandbox: Sandbox,
        folder: Path,
        database: str = "sqlite:///state",
        tenant: str = TENANT,
        **config: Any,
    ) -> None:
        self.launcher = launcher
        self.sandbox = sandbox
        self.folder = folder
        self.name = tenant
        self.database = database
        self.config = folder / "config"
        self.configure(**config)

    def configure(self, **config: Any) -> None:
        """Write the config folder anew; see `syncd.sandbox.write_config`."""
        service = {"database": self.database, **config.pop("service", {})}
        write_config(self.sandbox, self.folder, self.name, service=service, **config)

    # ---- commands

    def start(self, *words: str) -> Child:
        """Start a command."""
        return self.launcher.start("--config", str(self.config), *words, cwd=self.folder)

    def run(self, *words: str, code: int | None = None) -> Result:
        """Run a command to its end; where `code` is given it must end with it."""
        result = self.start(*words).wait()
        if code is not None and result.code != code:
            message = f"{words} ended with {result.code}, not {code}: {result.out[-3000:]} {result.err[-3000:]}"
            raise AssertionError(message)
        return result

    def sync(self, *words: str, code: int | None = 0) -> Raw:
        """`sync --until-quiet`; the tenant's part of what it tells."""
        result = self.run("sync", "--until-quiet", *words, "--json", code=code)
        [tenant] = result.json["tenants"]
        return tenant

    def cycle(self, code: int | None = 0) -> Raw:
        """One cycle; what it tells."""
        [tenant] = self.run("sync", "--json", code=code).json["tenants"]
        return tenant

    def ask(self, *words: str) -> Any:
        """The document of a reading command, which tells no error."""
        result = self.run(*words, "--json")
        assert "error" not in result.json, f"{words} told {result.json} {result.err[-500:]}"
        return result.json

    def look(self) -> Look:
        """Everything that syncd tells."""
        states = [word for state in WRITE_STATES for word in ("--state", state)]
        wanted: list[Sequence[str]] = [
            ("status",),
            ("clients",),
            ("records",),
            ("conflicts",),
            ("holds", "--all"),
            ("outbox", *states),
        ]
        with ThreadPoolExecutor(2) as pool:
            told = [future.result() for future in [pool.submit(self.ask, *words) for words in wanted]]
        return Look(
            told[0], told[1]["clients"], told[2]["records"], told[3]["conflicts"], told[4]["holds"], told[5]["writes"],
            self.name,
        )  # fmt: skip

    # ---- people

    def create(self, system: str, raw: Mapping[str, Any]) -> str:
        """A person creates a record."""
        return self.sandbox.create(PROVIDER[system], dict(raw))

    def edit(self, system: str, external_id: str, raw: Mapping[str, Any]) -> None:
        """A person edits a record."""
        self.sandbox.edit(PROVIDER[system], external_id, dict(raw))

    def record(self, system: str, external_id: str) -> Raw:
        """A record as the system shows it."""
        return self.sandbox.record(PROVIDER[system], external_id)

    def records(self, system: str) -> list[Raw]:
        """All records of a system."""
        return self.sandbox.records(PROVIDER[system])

    def writes(self, system: str = "", after: int = 0) -> list[Raw]:
        """The journal's lines of requests that changed something, after a number."""
        provider = PROVIDER[system] if system else ""
        return [entry for entry in self.sandbox.journal(provider, writes=True) if entry["seq"] > after]

    @property
    def now(self) -> int:
        """The number of the last request."""
        return self.sandbox.world.seq

    def table(self, system: str) -> str:
        """The path segment of a system's clients."""
        return MAIN_TABLE[PROVIDER[system]]
