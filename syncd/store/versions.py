"""Whether a file database was changed, told without opening it."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Final

MOMENT_NANOSECONDS: Final = 50_000_000
"""Longer than any file system takes to tell two changes of a file apart."""


def version_of(files: Iterable[Path]) -> Hashable:
    """What is another one after every write to one of the files; None while the last one is so young that the next might look the same."""
    found = [_stat(path) for path in files]
    newest = max((each.st_mtime_ns for each in found if each is not None), default=0)
    if time.time_ns() - newest < MOMENT_NANOSECONDS:
        return None
    return tuple(None if each is None else (each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
