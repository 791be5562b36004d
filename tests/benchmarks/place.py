"""What benchmarks are measured on, and the page server that they are measured against."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def machine() -> str:
    """What this is measured on."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load}"


@contextmanager
def server(clients: int, page: int) -> Iterator[str]:
    """The address of a page server that lives as long as the context."""
    command = [sys.executable, "-m", "tests.benchmarks.pages", str(clients), str(page)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def resident(process: int) -> int:
    """KiB of memory that a process and all below it have in use now; what two of them share counts twice."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        children = [
            each for task in Path(f"/proc/{process}/task").iterdir() for each in (task / "children").read_text().split()
        ]
    except OSError:  # it has ended meanwhile
        return 0
    own = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
    return (int(own[1]) if own else 0) + sum(resident(int(child)) for child in children)


def own_peak() -> float:
    """MiB that this process had in use at the most. The kernel's count, but not that of `getrusage`, which begins with what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def watched(command: list[str]) -> tuple[int, str, str, float]:
    """What a command ended with, wrote and complained, and the MiB that all of its processes had in use at the most, looked at every 20 ms."""
    most = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while True:
            most = max(most, resident(process.pid))
            try:
                written, complained = process.communicate(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            return process.returncode, written, complained, most / 1024


def renewed(page: str, title: str, section: str) -> str:
    """The page with the section of this title in the place of the old one, or at its end."""
    old = re.search(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if old is None:
        return f"{page.rstrip()}\n\n{section.rstrip()}\n"
    after = page[old.end() :]
    return f"{page[: old.start()]}{section.rstrip()}\n" + (f"\n{after}" if after else "")
