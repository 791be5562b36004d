"""Whether memory grows with the number of clients: pulls of one system, ten times as many. `python -m tests.benchmarks memory`.

Environment: BENCH_MEMORY (numbers of clients, separated by commas; 100000,1000000).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from tests.benchmarks.place import ROOT, machine, server
from tests.benchmarks.subjects import Task

TITLE: Final = "## Memory"
PAGE: Final = 1000
LIMIT_MIB: Final = 300
GROWTH: Final = 1.25


def pulls(clients: int) -> dict[str, dict[str, Any]]:
    """What a pull into an empty store and the next one took, each a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder, server(clients, PAGE) as url:
        for phase in ("first", "again"):
            task = Task("syncd-pull", phase, url, folder, clients, PAGE, f"sqlite:///{folder}")
            command = [sys.executable, "-m", "tests.benchmarks.subjects", msgspec.json.encode(task).decode()]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            found[phase] = json.loads(done.stdout)
    return found


def section() -> str:
    """The section of the page, measured now."""
    began = machine()
    sizes = [int(each) for each in os.environ.get("BENCH_MEMORY", "100000,1000000").split(",")]
    found = {size: pulls(size) for size in sizes}
    lines = [
        TITLE,
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m tests.benchmarks memory` ({began}): one system pulled, one run of each. Aimed at: at most",
        f"{GROWTH} times as much for ten times as many clients, and at most {LIMIT_MIB} MiB.",
        "",
        "| clients | peak MiB first / again | CPU s first / again | wall s first / again |",
        "|---|---|---|---|",
    ]
    for size, each in found.items():
        cells = [
            " / ".join(f"{each[phase][key]:{form}}" for phase in ("first", "again"))
            for key, form in (("peak_mb", ".0f"), ("cpu", ".1f"), ("wall", ".1f"))
        ]
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
    few, many = (max(found[size][phase]["peak_mb"] for phase in ("first", "again")) for size in (sizes[0], sizes[-1]))
    lines += ["", f"- {many / few:.2f} times the memory, aim {GROWTH}; {many:.0f} MiB, aim {LIMIT_MIB}"]
    return "\n".join(lines) + "\n"
