"""Sockets with a deadline for the whole request: a server that sends one byte now and then gets no more time than any other.

httpx bounds each single read; a body (or a header) that drips can then last for ever. Here every read and write of a
thread's current request gets what is left until its deadline, and it is known whether the request's first byte was sent.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import httpcore


class _Bound(threading.local):
    """The request that this thread is making: until when (monotonic seconds), and whether a byte of it was sent."""

    deadline: float = float("inf")
    sent: bool = False


bound = _Bound()


def _left(timeout: float | None, error: type[Exception]) -> float:
    """Seconds that one more call on the socket may take."""
    left = bound.deadline - time.monotonic()
    if left <= 0:
        raise error
    return left if timeout is None else min(left, timeout)


class _BoundedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = _left(timeout, httpcore.WriteTimeout)
        bound.sent = True
        self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Bounded(httpcore.NetworkBackend):
    """httpcore's sockets, held to the deadline in `bound`."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect within what is left of the request's time."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return _BoundedStream(self._backend.connect_tcp(host, port, left, local_address, socket_options))


def why(error: BaseException) -> str:
    """Why a connection failed, in the words of the operating system or of TLS, which hold nothing of what was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{type(error).__name__}: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(error).__name__}: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
