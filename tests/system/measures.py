"""What cannot be promised, measured: `python -m tests.system.measures`.

recovery    `run` is killed (-9) at a moment of its own choosing and started again at once: seconds until its first request
window      seconds between the arrival of the reading of a record and that of the writing that relies on it, over loopback

An edit that a person makes inside the window is seen by nobody: none of the four systems takes a write on a condition.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from syncd.sandbox import Sandbox, start
from tests.system.launcher import Launcher, environment
from tests.system.place import Place

CLIENTS = 200
EDITS = {
    "books": lambda word: {"city": word},
    "lsp": lambda word: {"address": {"city": word}},
    "erp": lambda word: {"addressCity": word},
}
"""What a person types to change a city, by system."""

PATIENCE_SECONDS = 60.0


class FirstRequest:
    """Notes when the next request comes in."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._came = threading.Event()
        self._at = 0.0
        sandbox.on_request(before=self._note)

    def _note(self, _seq: int) -> None:
        if not self._came.is_set():
            self._at = time.monotonic()
            self._came.set()

    def after(self, began: float) -> float:
        """Seconds from a moment to the first request after this was made."""
        if not self._came.wait(PATIENCE_SECONDS):
            message = f"no request within {PATIENCE_SECONDS} s"
            raise AssertionError(message)
        return self._at - began


def recoveries(times: int, folder: Path, rng: Random) -> list[float]:
    """Kill the service so many times, and see how long its successor takes to its first request."""
    with start(seed=1, clients=CLIENTS) as sandbox, Launcher() as launcher:
        place = Place(launcher, sandbox, folder)
        place.sync(code=None)
        command = [sys.executable, "-m", "syncd", "--config", str(place.config), "run"]
        found: list[float] = []
        service: subprocess.Popen[bytes] | None = None
        for _ in range(times + 1):
            if service is not None:
                service.kill()
                service.wait()
            first, began = FirstRequest(sandbox), time.monotonic()
            service = subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
            found.append(first.after(began))
            time.sleep(rng.uniform(0.0, 3.0))
        assert service is not None
        service.terminate()
        service.wait(PATIENCE_SECONDS)
        return found[1:]  # the first start compiled the code


def windows(folder: Path) -> list[float]:
    """Edit one field of every client, let it be written everywhere, and see what lay between reading and writing."""
    with start(seed=2, clients=CLIENTS) as sandbox, Launcher() as launcher:
        place = Place(launcher, sandbox, folder, more={"brakes": {"overwrites": {"count": CLIENTS * 9, "share": 1.0}}})
        place.sync(code=None)
        for number, client in enumerate(place.look().clients):
            for link in client["links"]:
                if link["system"] in EDITS:
                    place.edit(link["system"], link["external_id"], EDITS[link["system"]](f"Ville {number}"))
                    break
        sandbox.clear_journal()
        place.sync(code=None)
        read: dict[tuple[str, str], float] = {}
        found: list[float] = []
        for entry in sandbox.journal():
            key = (entry["provider"], entry["path"])
            if entry["method"] == "GET":
                read[key] = entry["at"]
            elif entry["method"] in ("PUT", "PATCH") and entry["committed"] and key in read:
                found.append(entry["at"] - read[key])
        return found


def told(name: str, seconds: Sequence[float], many: str) -> str:
    """One line of figures."""
    cut = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{name}: {len(seconds)} {many}, p50 {cut[49]:.3f} s, p99 {cut[98]:.3f} s, worst {max(seconds):.3f} s\n"


def main(arguments: list[str]) -> int:
    """Measure both."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.measures", description="Recovery and window.")
    parser.add_argument("--times", type=int, default=20, help="how often the service is killed")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="syncd-measures-") as folder:
        for name in ("run", "window"):
            (Path(folder) / name).mkdir()
        sys.stdout.write(told("window between reading and writing", windows(Path(folder) / "window"), "writes"))
        sys.stdout.flush()
        found = recoveries(asked.times, Path(folder) / "run", Random(1))  # noqa: S311 - it has to be repeatable
        sys.stdout.write(told("kill -9 to the first request of the successor", found, "kills"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
