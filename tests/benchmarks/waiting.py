"""Systems that take their time: pages of 20, each answer 50 ms late, so many requests at once. `python -m tests.benchmarks waiting`.

What cannot be beaten is pages x latency / requests at once. The first page is asked for alone, because only it tells how many follow.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from syncd.core.model import Context, Mode, Policy, SystemPolicy, Timing
from syncd.engine.pull import pull
from syncd.engine.systems import System
from syncd.providers import Settings
from syncd.store import open_store, utc_now
from syncd.tenant import connect
from tests.benchmarks.place import machine, server

TITLE: Final = "## Pages that take their time"
CLIENTS: Final = 4_000
PAGE: Final = 20
LATENCY_MS: Final = 50
AT_ONCE: Final = (1, 4, 8)
RUNS: Final = 3
AIM: Final = 1.15

HEAD: Final = """{title}

Measured on {date} with `python -m tests.benchmarks waiting` ({machine}; medians of {runs}). {clients:,} clients in
{pages} pages of {page}, each answer {latency} ms late, told how many there are. *Best*: pages x latency / requests at once, which is what the
budget allows. The aim is {aim:.2f} times that. `requests_at_once` is 4 unless set. One request at a time shows what the machine adds to each page:
its CPU, a commit, and waiting for a core and the disk; as soon as that is more than latency / requests at once, it is what a walk takes.

| | requests at once | best, s | wall, s | times the best | CPU, s |
|---|---|---|---|---|---|
"""


def policy(provider: str) -> Policy:
    """A tenant of one system."""
    timing = Timing(0.0, 0.0, 0.0, 0.0)
    system = SystemPolicy("sys", provider, Mode.SYNC)
    return Policy("bench", (system,), {}, Context("FR", "fr-FR"), first_run="go", timing=timing, digest="bench")


def walks(given: Settings, late: Callable[[int], None], *, warm: bool) -> Iterator[tuple[float, float]]:
    """(wall, CPU) seconds of a walk, again and again. warm: over a store that has seen everything; else over an empty one each time."""
    rules = policy(given.provider)
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder:
        for number in range(RUNS):
            store = open_store(f"sqlite:///{folder}", "warm" if warm else f"cold{number}")
            provider, _ = connect(given)
            system = System(rules.systems[0], provider, rules.context)
            with store.hold_lock():
                if warm and not number:
                    late(0)
                    pull(store, system, rules, cycle="y1", clock=utc_now)
                late(LATENCY_MS)
                before, began = os.times(), time.perf_counter()
                walk = pull(store, system, rules, cycle="y2", clock=utc_now)
                wall, after = time.perf_counter() - began, os.times()
            store.close()
            provider.close()
            if walk.records != CLIENTS or walk.outcome != "complete":
                raise SystemExit(f"{given.provider}: {walk}")
            yield wall, after.user + after.system - before.user - before.system


def section() -> str:
    """The part of the page about waiting, measured now."""
    pages = CLIENTS // PAGE
    facts = {"clients": CLIENTS, "page": PAGE, "pages": pages, "latency": LATENCY_MS, "aim": AIM, "runs": RUNS}
    lines = [HEAD.format(title=TITLE, date=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine(), **facts).rstrip("\n")]
    with server(CLIENTS, PAGE) as url:
        lsp = Settings("sys", "lsp_expert", f"{url}/v2", insecure_loopback=True, options={"api_key": "bench"})
        options: dict[str, Any] = {"company_id": 1, "token": "bench"}
        tiime = Settings("sys", "tiime", f"{url}/v1", page_size=PAGE, insecure_loopback=True, options=options)
        cases = (
            ("LSP.expert, nothing changed", lsp, True),
            ("Tiime, nothing changed", tiime, True),
            ("Tiime, everything is new", tiime, False),
        )
        for name, given, warm in cases:
            for at_once in AT_ONCE:
                found = list(
                    walks(
                        replace(given, requests_at_once=at_once),
                        lambda ms: urllib.request.urlopen(f"{url}/latency/{ms}").close(),  # noqa: S310 - this machine
                        warm=warm,
                    )
                )
                wall, cpu = (statistics.median(each) for each in zip(*found, strict=True))
                best = pages * LATENCY_MS / 1000 / at_once
                lines.append(f"| {name} | {at_once} | {best:.2f} | {wall:.2f} | {wall / best:.2f} | {cpu:.2f} |")
    return "\n".join(lines) + "\n"
