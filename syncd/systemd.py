"""What systemd is told: that the service is ready, reloads, stops, and still lives.

The protocol is one datagram to the socket named in NOTIFY_SOCKET (sd_notify(3)). The library for it, sdnotify, has no wheel,
and only wheels are installed here; so these few lines stand in for it. Without systemd they do nothing.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def tell(*words: str) -> None:
    """Send some assignments, such as READY. Never raises: a service that cannot tell still works."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
        door.sendto("\n".join(words).encode(), target)


def reloading() -> tuple[str, str]:
    """That the configuration is read again; READY has to follow (Type=notify-reload)."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"


def status(words: str) -> str:
    """One line that `systemctl status` shows."""
    return f"STATUS={words}"
