"""Everything the sandbox holds: the four systems, the journal, the fault plan, snapshots, and what people do in the systems."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from syncd.sandbox.faults import Plan, Rule
from syncd.sandbox.flowtly import Flowtly
from syncd.sandbox.lsp_expert import LspExpert
from syncd.sandbox.seed import Seeded, plant
from syncd.sandbox.smartbills import BUSINESS_ID, Smartbills
from syncd.sandbox.switches import Common, change, shown
from syncd.sandbox.tables import Table, stamp
from syncd.sandbox.tiime import CLIENT_ID, COMPANY_ID, Tiime
from syncd.sandbox.wire import Answer, Json, Request, Route, Router, Row

PROVIDERS = ("tiime", "lsp_expert", "smartbills", "flowtly")
MAIN_TABLE = {"tiime": "clients", "lsp_expert": "clients", "smartbills": "customers", "flowtly": "clients"}
SECRET_QUERY = ("token", "key", "secret", "password")


class System(Protocol):
    """What the edge needs of a simulated system; each of the four is one module."""

    name: str
    tables: dict[str, Table]
    counters: dict[str, int]
    router: Router

    @property
    def mount(self) -> str:
        """Path of the base URL."""
        ...

    @property
    def switches(self) -> Any:
        """Its switches."""
        ...

    def offered(self, route: Route) -> bool:
        """Whether the switches let this call exist."""
        ...

    def problem(self, status: int, message: str = "") -> Answer:
        """Its own error body."""
        ...

    def authenticate(self, request: Request) -> None:
        """Raises Refused without good credentials."""
        ...

    def revoke(self) -> None:
        """End every issued token."""
        ...

    def shown(self, table: str, row: Row, *, form: str = "single") -> Row:
        """A stored row as the API shows it."""
        ...

    def user_create(self, table: str, raw: Row) -> str:
        """A person creates a record."""
        ...

    def user_edit(self, table: str, row_id: str, raw: Row) -> None:
        """A person edits a record."""
        ...

    def user_delete(self, table: str, row_id: str) -> None:
        """A person removes a record."""
        ...

    def user_archive(self, row_id: str, *, archived: bool) -> None:
        """A person archives a record."""
        ...


@dataclass(slots=True)
class Entry:
    """One line of the journal. committed: whether this request changed the system; commit: its place among all changes."""

    seq: int
    at: float
    provider: str
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    operation: str = ""
    status: int | None = None
    committed: bool = False
    commit: int | None = None
    external_id: str | None = None
    credential: str = ""
    sent: Json = None
    ignored: list[str] = field(default_factory=list)
    violation: str | None = None
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Picture:
    """All records and counters at one moment."""

    tables: Mapping[str, Mapping[str, dict[str, Row]]]
    counters: Mapping[str, dict[str, int]]


class World:
    """The state behind the HTTP edge. Every public member may be used from any thread; `lock` guards what takes several steps."""

    def __init__(self, seed: int, clients: int, *, adversarial: bool, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self.seed = seed
        self._clock = clock
        self.journal: list[Entry] = []
        self.seq = 0
        self.commits = 0
        self.late = 0
        self.plan = Plan(seed)
        self.snapshots: dict[str, Picture] = {}
        self.before_commit: Callable[[int], None] | None = None
        self.after_commit: Callable[[int], None] | None = None
        self.credentials = credentials(seed)
        kinds: dict[str, Callable[[Callable[[], float], int, dict[str, str]], System]] = {
            "tiime": Tiime,
            "lsp_expert": LspExpert,
            "smartbills": Smartbills,
            "flowtly": Flowtly,
        }
        self.systems: dict[str, System] = {
            name: kind(self._time_of(name), seed, self.credentials[name]) for name, kind in kinds.items()
        }
        self.truth: list[dict[str, Any]] = plant(Seeded(seed, clients, adversarial), self._plant)
        self.snapshot("seed")

    def _time_of(self, name: str) -> Callable[[], float]:
        def now() -> float:
            system = self.systems.get(name) if hasattr(self, "systems") else None
            return self._clock() + (system.switches.clock_offset_seconds if system else 0.0)

        return now

    def _plant(self, provider: str, raw: Row) -> str:
        return self.systems[provider].user_create(MAIN_TABLE[provider], raw)

    def now(self, provider: str) -> float:
        """The time in one system, in epoch seconds."""
        system = self.systems.get(provider)
        return self._clock() + (system.switches.clock_offset_seconds if system else 0.0)

    # ---------------------------------------------------------------- journal

    def open_entry(self, request: Request, query: Mapping[str, str]) -> Entry:
        """Write the journal's line for a request that just came in."""
        safe = {
            name: "***" if any(word in name.lower() for word in SECRET_QUERY) else text for name, text in query.items()
        }
        entry = Entry(request.seq, request.at, request.provider, request.method, request.path, safe)
        self.journal.append(entry)
        return entry

    def next_seq(self) -> int:
        """The number of the next request."""
        with self.lock:
            self.seq += 1
            return self.seq

    def committed(self, entry: Entry, request: Request) -> None:
        """Note that a request changed its system."""
        self.commits += 1
        entry.committed, entry.commit, entry.external_id = True, self.commits, request.external_id

    def entries(self) -> list[dict[str, Any]]:
        """The journal as JSON."""
        with self.lock:
            return [asdict(entry) for entry in self.journal]

    # ---------------------------------------------------------------- people at work

    def records(self, provider: str, table: str = "", form: str = "single") -> list[Row]:
        """All records of a table as the API shows them: form single, list, children or (Smartbills) stored."""
        with self.lock:
            system, name = self.systems[provider], table or MAIN_TABLE[provider]
            rows = system.tables[name].rows.values()
            return [system.shown(name, row, form=form) for row in rows if not row.get("_merged_into")]

    def act(self, provider: str, act: Mapping[str, Any]) -> Json:
        """What a person does: {action: create|edit|delete|archive|merge, table?, id?, raw?, archived?, winner?, loser?, style?}.

        Returns the id of the record created or left. Raises KeyError for what is not there, ValueError for what is not known.
        """
        with self.lock:
            system, table = self.systems[provider], str(act.get("table") or MAIN_TABLE[provider])
            action, row_id = act.get("action"), str(act.get("id", ""))
            if action == "create":
                return system.user_create(table, dict(act.get("raw", {})))
            if action == "merge":
                return self._merge(provider, str(act["winner"]), str(act["loser"]), str(act.get("style", "remove")))
            if row_id not in system.tables[table].rows:
                raise KeyError(row_id)
            if action == "edit":
                system.user_edit(table, row_id, dict(act["raw"]))
            elif action == "delete":
                system.user_delete(table, row_id)
            elif action == "archive":
                system.user_archive(row_id, archived=bool(act.get("archived", True)))
            else:
                message = f"unknown action {action!r}"
                raise ValueError(message)
            return row_id

    def _merge(self, provider: str, winner: str, loser: str, style: str) -> str:
        """One person merges two records in the app: what the winner lacks comes from the loser, children move.

        style: remove (the loser is gone), archive (it stays, archived), new_id (both are gone, a third is there).
        """
        system, table = self.systems[provider], MAIN_TABLE[provider]
        rows = system.tables[table].rows
        filled = _filled(rows[winner], rows[loser])
        if provider == "flowtly":
            contacts = system.tables["client-contacts"]
            for key in list(rows[loser]["_contacts"]):
                system.user_edit("client-contacts", key, {"client": winner})
            for note in [one for one in system.tables["client-notes"].rows.values() if one["client"] == loser]:
                system.user_edit("client-notes", note["id"], {"client": winner})
            filled["_contacts"] = [key for key in rows[winner]["_contacts"] if key in contacts.rows]
        if "updatedAt" in filled:
            filled["updatedAt"] = stamp(self.now(provider))
        if style == "archive":
            system.user_archive(loser, archived=True)
        else:
            system.tables[table].drop(loser)
        system.tables[table].put(winner, filled)
        if style != "new_id":
            return winner
        twin = system.user_create(table, {})
        fresh = rows[twin]
        own: Row = {name: fresh[name] for name in ("id", "_number") if name in fresh}
        children: Row = {"_contacts": []} if provider == "flowtly" else {}
        system.tables[table].put(twin, {**filled, **own, **children})
        for key in filled.get("_contacts", []) if provider == "flowtly" else []:
            system.user_edit("client-contacts", key, {"client": twin})
        system.tables[table].drop(winner)
        return twin

    # ---------------------------------------------------------------- switches, snapshots, state

    def switch(self, provider: str, values: Mapping[str, Any]) -> None:
        """Set switches of one system (or `*`: those that all have). Raises ValueError for unknown ones."""
        with self.lock:
            for name in PROVIDERS if provider == "*" else (provider,):
                if name not in self.systems:
                    message = f"unknown system {name!r}"
                    raise ValueError(message)
                switches: Common = self.systems[name].switches
                change(switches, dict(values))

    def add_fault(self, rule: Mapping[str, Any]) -> str:
        """Put a fault rule into force; returns its name. Raises ValueError for what the plan does not know."""
        with self.lock:
            return self.plan.add(Rule.of(rule))

    def snapshot(self, name: str = "") -> str:
        """Keep all records and counters under a name; returns it."""
        with self.lock:
            name = name or f"s{len(self.snapshots)}"
            tables = {
                key: {one: table.snapshot() for one, table in system.tables.items()}
                for key, system in self.systems.items()
            }
            self.snapshots[name] = Picture(tables, {key: dict(system.counters) for key, system in self.systems.items()})
            return name

    def restore(self, name: str = "seed") -> None:
        """Put all records and counters back; `seed` is how it began. Raises KeyError for an unknown name."""
        with self.lock:
            picture = self.snapshots[name]
            for key, system in self.systems.items():
                for one, table in system.tables.items():
                    table.restore(picture.tables[key][one])
                system.counters.update(picture.counters[key])

    def state(self) -> dict[str, Any]:
        """Counts, writes and requests per system, violations, faults in force, changes still to come."""
        with self.lock:
            systems = {}
            for name, system in self.systems.items():
                own = [entry for entry in self.journal if entry.provider == name]
                systems[name] = {
                    "records": len(system.tables[MAIN_TABLE[name]].rows),
                    "tables": {one: len(table.rows) for one, table in system.tables.items()},
                    "requests": len(own),
                    "writes": sum(entry.committed for entry in own),
                    "violations": sum(entry.violation is not None for entry in own),
                    "switches": shown(system.switches),
                }
            return {"seq": self.seq, "commits": self.commits, "late_commits": self.late, "systems": systems, "faults": self.plan.shown(),
                    "trap_requests": sum(entry.provider == "trap" for entry in self.journal)}  # fmt: skip


def _filled(winner: Row, loser: Row) -> Row:
    filled = dict(winner)
    for name, value in loser.items():
        mine = filled.get(name)
        if isinstance(mine, dict) and isinstance(value, dict):
            filled[name] = _filled(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            filled[name] = [*mine, *(item for item in value if item not in mine)]
        elif mine in (None, "") and value is not None:
            filled[name] = value
    return filled


def credentials(seed: int) -> dict[str, dict[str, str]]:
    """Users, passwords and keys of the four systems; plainly not real ones."""
    return {
        "tiime": {"company_id": str(COMPANY_ID), "client_id": CLIENT_ID, "username": f"camille+{seed}@tiime.example",
                  "password": f"tiime-canary-{seed}", "token": f"tiime-ready-token-{seed}"},
        "lsp_expert": {"api_key": f"lsp-canary-{seed}"},
        "smartbills": {"business_id": BUSINESS_ID, "token": f"sk_test_canary{seed}", "client_id": f"sb-client-{seed}",
                       "client_secret": f"sb-secret-canary-{seed}"},
        "flowtly": {"username": f"service{seed}@flowtly.example", "password": f"flowtly-canary-{seed}",
                    "token": f"flowtly-ready-token-{seed}"},
    }  # fmt: skip
