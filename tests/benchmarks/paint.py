"""First paint of the operator's page in Chromium: the overview of many tenants, and the inbox of one with ten thousand entries.

`python -m tests.benchmarks paint` renews the section of docs/benchmarks.md. The page is served by a process of its own
(`python -m tests.benchmarks.paint FOLDER`), over stores that were filled before, and is visited anew each time; a visit begins with the
request and ends with the first contentful paint, as the browser itself tells it.

Environment: BENCH_TENANTS (100), BENCH_ENTRIES (10,000), BENCH_VISITS (15).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from syncd import web
from syncd.config import load
from syncd.core.model import Action
from syncd.store import (
    Base,
    ClientRow,
    ConflictKind,
    ConflictRow,
    ConflictStatus,
    CycleRow,
    HoldKind,
    HoldRow,
    LinkRow,
    RecordRow,
    Standing,
    StandingState,
    SystemRow,
    SystemState,
    Tx,
    WalkOutcome,
    WalkRow,
    WriteRow,
    WriteState,
    open_store,
)
from syncd.web.access import Role
from tests.benchmarks.place import ROOT
from tests.cli.place import Place

TITLE: Final = "## First paint of the page"
CHROMIUM: Final = Path("/usr/bin/chromium")
SYSTEMS: Final = ("books", "crm", "erp", "receipts")
CLIENTS: Final = 1000
"""Of every tenant; the one with the entries has one for each four of them."""
LINKS, PARKED = 0.1, 0.1
"""The share of link proposals and parked writes in the entries; the others are conflicts."""
LIMIT_MS: Final = 300
PAGES: Final = {
    "floor": "/nowhere",
    "overview": "/",
    "inbox": "/t/t000/inbox",
    "conflicts": "/t/t000/inbox?kind=conflict",
    "all": "/inbox",
}
NAMES: Final = {
    "floor": "floor: an error page",
    "overview": "overview",
    "inbox": "inbox of a tenant (proposals, side by side)",
    "conflicts": "inbox of a tenant (conflicts)",
    "all": "inbox of all tenants",
}
SIZES: Final = {"BENCH_TENANTS": "100", "BENCH_ENTRIES": "10000", "BENCH_VISITS": "15"}
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)

MORE: Final = "".join(
    f'[systems.{name}]\nprovider = "memory"\nmode = "sync"\nbase_url = "https://{name}.example/v1"\nworld = "paint"\n'
    for name in SYSTEMS[2:]
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit, in milliseconds from the request: the first byte of the answer and the first paint; html: kilobytes of the page."""

    first_byte: float
    paint: float
    html: float


def fields(number: int, *, town: str = "Paris") -> dict[str, Any]:
    """A client of 14 fields."""
    return {
        "name": f"Établissements Fictifs {number} SARL",
        "kind": "company",
        "email": f"client{number}@fictif.example",
        "phone": f"+3314268{number % 100000:05d}",
        "language": "fr",
        "address_line1": f"{number % 90 + 1} rue de la Paix",
        "postal_code": f"{75000 + number % 20}",
        "city": town,
        "country": "FR",
        "vat_number": f"FR{number:011d}",
        "registration_number": f"{number:09d}",
        "payment_terms_days": 30,
        "currency": "EUR",
        "details": "Pays late.\nAsk for Ada on Tuesdays, and never before ten.",
        "archived": False,
    }


def fill(tx: Tx, clients: int, now: datetime) -> None:
    """Clients of four linked records each, where they stand, systems and walks."""
    names = tx.new_ids("c", clients)
    numbered = {name: int(name[1:]) for name in names}
    tx.put_clients(
        ClientRow(name, fields(number), now, now, dirty=False, origins={"email": "books"})
        for name, number in numbered.items()
    )
    shown = {
        system: {name: fields(number, town="Lyon" if system == "crm" else "Paris") for name, number in numbered.items()}
        for system in SYSTEMS
    }
    tx.put_records(
        RecordRow(system, str(numbered[name]), {"id": numbered[name]}, None, each, {}, "d", None, now, now, now, now)
        for system, rows in shown.items()
        for name, each in rows.items()
    )
    bases = {"email": Base("old@fictif.example", "old@fictif.example"), "city": Base("Paris", "Paris")}
    tx.put_links(
        LinkRow(system, str(number), name, now, matched_by="vat_number", bases=bases)
        for system in SYSTEMS
        for name, number in numbered.items()
    )
    states = [StandingState.IN_SYNC] * 8 + [StandingState.PENDING, StandingState.HELD]
    tx.put_standings(
        Standing(name, system, states[number % len(states)], "")
        for system in SYSTEMS
        for name, number in numbered.items()
    )
    cycle = tx.new_ids("y", 1)[0]
    tx.put_cycle(CycleRow(cycle, now, now, {"systems": []}))
    for system, walk in zip(SYSTEMS, tx.new_ids("l", len(SYSTEMS)), strict=True):
        state, reason = (SystemState.FAILING, "503 three times in a row") if system == "erp" else (SystemState.OK, None)
        tx.put_system(SystemRow(system, "memory", state=state, reason=reason))
        tx.put_walk(WalkRow(walk, cycle, system, now, now, WalkOutcome.COMPLETE, clients, 4))


def fill_inbox(tx: Tx, clients: int, entries: int, now: datetime) -> None:
    """Entries of three kinds, spread over the clients; and as many conflicts again that were decided long ago."""
    links, parked = int(entries * LINKS), int(entries * PARKED)

    def items(number: int) -> list[dict[str, Any]]:
        return [
            {"client": f"c{each % clients + 1}", "system": system, "external_id": str(each % clients + 1)}
            for each, system in ((number, "books"), (number + 1, "crm"))
        ]

    tx.put_holds(
        HoldRow(
            hold,
            HoldKind.LINK,
            "crm",
            "may be one client (score 0.84): like names, same town",
            items(number),
            now,
            f"h{number}",
        )
        for number, hold in enumerate(tx.new_ids("h", links))
    )
    count = entries - links - parked
    for state, named in ((ConflictStatus.DECIDED, 2 * count), (ConflictStatus.OPEN, count)):
        ids = tx.new_ids("k", named)
        tx.add_conflicts(
            [conflict(identifier, number % clients + 1, state, now) for number, identifier in enumerate(ids)]
        )
    refused = {"code": "rejected", "message": "the town is not known", "next": "Mend the address in the golden record."}
    tx.put_writes(
        WriteRow(write, "crm", f"c{number % clients + 1}", str(number % clients + 1), Action.UPDATE, {"city": "Paris"}, {"city": "Lyon"},
                 now, None, "city changed in books", WriteState.PARKED, 3, refused)
        for number, write in enumerate(tx.new_ids("w", parked))
    )  # fmt: skip


def conflict(identifier: str, number: int, state: ConflictStatus, now: datetime) -> ConflictRow:
    """Two systems that say different e-mail addresses."""
    candidates = [
        {
            "system": system,
            "external_id": str(number),
            "value": f"{system}{number}@changed.example",
            "seen_at": now.isoformat(),
        }
        for system in ("books", "crm")
    ]
    decided = state is ConflictStatus.DECIDED
    return ConflictRow(
        identifier, f"c{number}", "email", ConflictKind.EDIT, "old@fictif.example", candidates, "order" if decided else "hold", state,
        "books" if decided else None, candidates[0]["value"] if decided else None, "rule order" if decided else "nobody yet",
        now - timedelta(hours=1), "both changed since they agreed", None, f"key {identifier}",
    )  # fmt: skip


def furnish(root: Path, tenants: int, entries: int) -> Path:
    """A config folder of so many tenants whose stores are filled; the first has the entries."""
    place = Place(root)
    names = [f"t{number:03d}" for number in range(tenants)]
    for name in names:
        place.tenant(name, more=MORE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (place.folder / "syncd.toml").write_text(f'[web]\nlisten = "127.0.0.1:{port}"\n', encoding="utf-8")
    database = load(place.folder).service.database
    now = datetime.now(UTC)
    for name, clients in ((names[0], max(entries // 4, 1)), (names[-1], CLIENTS)):
        store = open_store(database, name)
        with store.writing(operator=True) as tx:
            fill(tx, clients, now)
            if name == names[0]:
                fill_inbox(tx, clients, entries, now)
            else:
                fill_inbox(tx, clients, 20, now)
        store.close()
    folder = Path(database.removeprefix("sqlite:///"))
    for name in names[1:-1]:
        for made in sorted(folder.glob(f"{names[-1]}.db*")):
            shutil.copy(made, made.with_name(made.name.replace(names[-1], name)))
    return place.folder


def serve(folder: Path) -> None:
    """Serve the page until the process ends; prints its address and a token."""
    site = web.Site(folder)
    app = web.application(lambda: {"ready": True, "tenants": {}}, site=site)
    listen = site.tenants.service.web_listen
    server = web.Server(listen, app)
    token = site.tokens.make("anna", Role.OPERATOR, datetime.now(UTC))
    assert server.start()
    site.warm().join()
    print(json.dumps({"url": f"http://{listen}", "token": token}), flush=True)  # noqa: T201 - it tells its parent
    sys.stdin.read()
    server.stop()
    site.close()


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The page in a process of its own: its address and a token."""
    command = [sys.executable, "-m", "tests.benchmarks.paint", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(20.0)


def visit(page: Page, address: str) -> Visit:
    """One visit, a navigation of its own; what the browser may keep of scripts and styles it keeps."""
    page.goto("about:blank")
    page.goto(address, wait_until="load")
    while not page.evaluate("performance.getEntriesByName('first-contentful-paint').length"):
        page.wait_for_timeout(5)
    told = page.evaluate(
        "() => { const visit = performance.getEntriesByType('navigation')[0];"
        " return [visit.responseStart, performance.getEntriesByName('first-contentful-paint')[0].startTime, visit.decodedBodySize] }"
    )
    return Visit(told[0], told[1], told[2] / 1000)


def measured() -> dict[str, list[Visit]]:
    """Page -> its visits, in turns, so that a busy moment of the machine touches every page."""
    tenants, entries, times = (int(os.environ.get(name, default)) for name, default in SIZES.items())
    found: dict[str, list[Visit]] = {name: [] for name in PAGES}
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as root:
        folder = furnish(Path(root), tenants, entries)
        with served(folder) as at, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(f"{at['url']}/login")
            page.fill("#token", at["token"])
            page.click("button.main")
            page.wait_for_url(f"{at['url']}/")
            for turn in range(times + 1):  # the first one fills the caches of the browser
                for name, path in PAGES.items():
                    seen = visit(page, f"{at['url']}{path}")
                    found[name] += [seen] if turn else []
            browser.close()
    return found


def section() -> str:
    """The section of the page, measured now."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    found = measured()
    rows = "\n".join(_row(name, each) for name, each in found.items())
    return f"""{TITLE}

Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m tests.benchmarks paint` in Chromium ({os.cpu_count()} cores for the service, the browser and whatever else ran; load before
{load}). {os.environ.get("BENCH_TENANTS", SIZES["BENCH_TENANTS"])} tenants of {len(SYSTEMS)} systems and {CLIENTS:,} clients; {int(os.environ.get("BENCH_ENTRIES", SIZES["BENCH_ENTRIES"])):,} entries in one inbox; medians (slowest) of {len(found["floor"])} visits in turns. The limit is
{LIMIT_MS} ms. The floor is a page without content, from the same service: what the browser and the machine take by themselves.

| page | first byte, ms | first paint, ms | kB |
|---|---|---|---|
{rows}
"""


def _row(name: str, found: list[Visit]) -> str:
    def told(key: str) -> str:
        values = [getattr(each, key) for each in found]
        return f"{statistics.median(values):.0f} ({max(values):.0f})"

    return f"| {NAMES[name]} | {told('first_byte')} | {told('paint')} | {statistics.median(each.html for each in found):.0f} |"


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
