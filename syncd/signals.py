"""What the process is told from outside: to end, to end at once, to read its configuration again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


def listen(stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """From now on SIGTERM and SIGINT call `stop`, a second one of them ends the process at once, and SIGHUP calls `reload`."""
    heard = 0

    def on_stop(number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        heard += 1
        if heard > 1:
            os._exit(128 + number)
        stop()

    def on_reload(_number: int, _frame: FrameType | None) -> None:
        reload()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_stop)
    signal.signal(signal.SIGHUP, on_reload)
