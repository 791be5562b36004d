"""Starts syncd as a process of its own, waits for it, kills it: by a fork of a loaded one (quick), or by `python -m syncd` (as people do)."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
CACHE = Path(tempfile.gettempdir()) / "syncd-system-tests-pycache"
PATIENCE_SECONDS = 100.0


def environment() -> dict[str, str]:
    """What every child gets: this machine's environment without Python's and syncd's own settings, compiled code kept in one place."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SYNCD_", "PYTHON", "PYTEST_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(CACHE)}


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. code: as a shell sees it, -9 where it was killed."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            message = f"{self.argv} gave no JSON (exit {self.code}): {self.out[:500]!r} {self.err[-1500:]}"
            raise AssertionError(message) from error


@dataclass(slots=True)
class Child:
    """A syncd that runs."""

    pid: int
    argv: tuple[str, ...]
    folder: Path
    ended: threading.Event
    began: float = field(default_factory=time.monotonic)
    status: int | None = None

    def kill(self) -> None:
        """End it by SIGKILL; returns once no code of it runs any more."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state in {"Z", "X"}:
                return
            time.sleep(0.001)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Result:
        """Its result; killed and an error where it takes too long."""
        if not self.ended.wait(seconds):
            self.kill()
            self.ended.wait(5)
            err = (self.folder / "err").read_text(errors="replace")
            message = f"{self.argv} did not end within {seconds} s: {err[-2000:]}"
            raise AssertionError(message)
        code = os.waitstatus_to_exitcode(self.status or 0)
        out, err = ((self.folder / name).read_text("utf-8", errors="replace") for name in ("out", "err"))
        return Result(self.argv, code, out, err, time.monotonic() - self.began)


class Launcher:
    """Starts syncd by forking a process that has it loaded. Use as a context manager."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="syncd-system-")
        self._numbers = itertools.count(1)
        self._children: dict[int, Child] = {}
        self._pids: dict[int, int] = {}
        self._said = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.zygote"], cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )  # fmt: skip
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="zygote", daemon=True)
        self._thread.start()
        if not self._ready.wait(60):
            message = "the process that forks did not start"
            raise RuntimeError(message)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._said:
                if "ready" in told:
                    self._ready.set()
                elif "pid" in told:
                    self._pids[told["id"]] = told["pid"]
                else:
                    child = self._children[told["id"]]
                    child.status = told["status"]
                    child.ended.set()
                self._said.notify_all()

    def start(self, *argv: str, cwd: Path, env: dict[str, str] | None = None) -> Child:
        """A new syncd with these words."""
        number = next(self._numbers)
        folder = Path(self._scratch.name) / str(number)
        folder.mkdir()
        child = Child(0, argv, folder, threading.Event())
        order = {
            "id": number, "argv": list(argv), "cwd": str(cwd), "env": {**environment(), **(env or {})},
            "out": str(folder / "out"), "err": str(folder / "err"),
        }  # fmt: skip
        with self._said:
            self._children[number] = child
            assert self._process.stdin is not None
            self._process.stdin.write((json.dumps(order) + "\n").encode())
            self._process.stdin.flush()
            if not self._said.wait_for(lambda: number in self._pids, 30):
                message = "no process was forked"
                raise RuntimeError(message)
        child.pid = self._pids[number]
        return child

    def run(
        self, *argv: str, cwd: Path, env: dict[str, str] | None = None, seconds: float = PATIENCE_SECONDS
    ) -> Result:
        """Start, and wait for the end."""
        return self.start(*argv, cwd=cwd, env=env).wait(seconds)

    def close(self) -> None:
        """End what still runs."""
        for child in self._children.values():
            if not child.ended.is_set() and child.pid:
                child.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._thread.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def spawn(*argv: str, cwd: Path, env: dict[str, str] | None = None, seconds: float = PATIENCE_SECONDS) -> Result:
    """`python -m syncd`, started the way people start it."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "syncd", *argv], cwd=cwd, env={**environment(), **(env or {})}, capture_output=True, timeout=seconds,
        check=False,
    )  # fmt: skip
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return Result(argv, done.returncode, out, err, time.monotonic() - began)
