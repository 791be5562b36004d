"""What keeps a process that lives for months at the size it needs.

Two things let it grow although nothing leaks. Cycles of references (an exception that was caught and its frames, a finished web request) wait
for a collection of everything, which Python puts off until a quarter of all objects is new. And glibc gives every thread an arena of
its own, up to eight per core; threads come and go with every cycle, and each arena keeps the free memory of the busiest moment that any of
its threads had. So the arenas become one, which costs nothing where one thread at a time runs Python, large blocks go back to the system
the moment they are freed, and what waits is collected once a minute. With another allocator than glibc's only the collecting is done.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from typing import Any, Final

TIDY_SECONDS: Final = 60.0
LOOK_AFTER: Final = (20_000, 20, 50)
"""New objects that can be part of a cycle before Python looks for cycles among them; it looks at those that survived every 20 times, at
all every 50 times that. Its own figures (700, 10, 10) are those of programs with few objects: a page of a thousand clients is ten times as
many, all of which survive until it is stored, and looking through them again and again took a quarter of a first walk."""

FEW: Final = 5_000
"""New objects that can be part of a cycle; where there are no more since the last look, nothing has happened that would be worth another."""

LARGE_BYTES: Final = 128 * 1024
"""Blocks from this size on are mapped one by one. It is glibc's own figure, which it raises up to 32 MiB unless it is told."""

TRIM_BYTES: Final = 256 * 1024
"""Free memory above this at the end of the heap goes back at once."""

# The first arguments of mallopt(3), from <malloc.h>.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

SETTINGS: Final = {
    "MALLOC_ARENA_MAX": (_ARENA_MAX, 1),
    "MALLOC_MMAP_THRESHOLD_": (_MMAP_THRESHOLD, LARGE_BYTES),
    "MALLOC_TRIM_THRESHOLD_": (_TRIM_THRESHOLD, TRIM_BYTES),
}
"""Environment variable of glibc -> what mallopt is told where the variable is not set."""


def confine() -> bool:
    """Tell glibc's allocator to keep to one arena; before the first thread. Whether there is such an allocator.

    What the environment says (`MALLOC_ARENA_MAX` and the like) stands.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return all(mallopt(*told) for name, told in SETTINGS.items() if name not in os.environ)


def settle() -> None:
    """What is there now stays and is not looked through for garbage any more; what comes is looked through as `LOOK_AFTER` says."""
    gc.freeze()
    gc.set_threshold(*LOOK_AFTER)


def tidy() -> None:
    """Collect what waits for it, and give free memory back to the system. Some hundredths of a second."""
    gc.collect()
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


class NowAndThen:
    """Tidies at most once in `TIDY_SECONDS`, whoever asks how often, and not at all while nothing happens."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def tidy(self) -> None:
        """Tidy if it is time to."""
        if time.monotonic() - self._last >= TIDY_SECONDS:
            new, *older = gc.get_count()
            if new > FEW or any(older):
                tidy()
            self._last = time.monotonic()


def _of_glibc(name: str) -> Any:
    """A function of the C library that is loaded, or None where it has none of this name."""
    return getattr(ctypes.CDLL(None), name, None)
