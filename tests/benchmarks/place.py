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


def renewed(page: str, title: str, section: str) -> str:
    """The page with the section of this title in the place of the old one, or at its end."""
    old = re.search(rf"^{re.escape(title)}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    if old is None:
        return f"{page.rstrip()}\n\n{section.rstrip()}\n"
    after = page[old.end() :]
    return f"{page[: old.start()]}{section.rstrip()}\n" + (f"\n{after}" if after else "")
