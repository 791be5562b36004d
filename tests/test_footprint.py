"""What keeps a process that lives for months at the size it needs."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import weakref

import pytest

from syncd import footprint

GLIBC = hasattr(ctypes.CDLL(None), "malloc_trim")

ARENAS = """
import ctypes, sys, threading
from syncd import footprint
if sys.argv[1] == "confined":
    assert footprint.confine()
barrier = threading.Barrier(6)
def work():
    kept = [bytearray(5000) for _ in range(50)]
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
for each in threads:
    each.start()
for each in threads:
    each.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


class Ring:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.ring = self


def arenas(word: str, **environment: str) -> int:
    """How many arenas a process with six busy threads has."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", ARENAS, word], env=plain | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_threads_share_one_arena() -> None:
    """A service keeps to one arena where glibc would have given each thread its own."""
    assert arenas("confined") == 1
    assert arenas("as it comes") > 1


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_the_environment_has_the_last_word() -> None:
    """What an operator says in MALLOC_ARENA_MAX stands."""
    assert arenas("confined", MALLOC_ARENA_MAX="3") == 3


def test_tidying_collects_rings() -> None:
    """What only refers to itself is gone after tidying, however young the collector thinks it is."""
    gc.disable()
    try:
        watched = weakref.ref(Ring())
        assert watched() is not None
        footprint.tidy()
        assert watched() is None
    finally:
        gc.enable()


def test_tidying_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked, a process tidies once in a minute, and not where next to nothing was made since."""
    size = footprint.NowAndThen()
    gc.collect()
    gc.disable()
    try:
        watched = weakref.ref(Ring())
        rings = [Ring() for _ in range(footprint.FEW)]
        size.tidy()
        assert watched() is not None
        monkeypatch.setattr(footprint, "TIDY_SECONDS", 0.0)
        size.tidy()
        assert watched() is None
        watched = weakref.ref(Ring())
        size.tidy()
        assert watched() is not None
        assert len(rings) == footprint.FEW
    finally:
        gc.enable()
