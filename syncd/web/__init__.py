"""What the service tells over HTTP: whether it lives, and whether every tenant is at work. No names of clients, no secrets.

/healthz    200 as long as the process answers
/readyz     200 once every tenant finished a cycle, 503 before
/metrics    numbers for Prometheus (`syncd.web.metrics`)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from syncd import log
from syncd.web.metrics import Metrics

START_SECONDS: Final = 10.0

_log = log.get("web")


def application(health: Callable[[], dict[str, Any]], metrics: Metrics | None = None) -> Starlette:
    """The ASGI application. health: what `syncd.daemon.Daemon.health` returns, with `ready` as a bool."""
    told = metrics or Metrics(health)

    def healthz(_request: Request) -> JSONResponse:
        return JSONResponse({"alive": True})

    def readyz(_request: Request) -> JSONResponse:
        state = health()
        return JSONResponse(state, status_code=200 if state["ready"] else 503)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", told.respond)])


class Server:
    """The application in a thread of its own; a failure to listen is logged and leaves the syncing alone."""

    def __init__(self, listen: str, app: Starlette) -> None:
        host, _, port = listen.rpartition(":")
        config = uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
        self.listen = listen
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def start(self) -> bool:
        """Begin to listen; whether it does."""
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._server.started:
            _log.info("web_started", listen=self.listen)
        return self._server.started

    def stop(self) -> None:
        """Stop listening; answers under way get two seconds."""
        self._server.should_exit = True
        self._thread.join(5.0)

    def _serve(self) -> None:
        try:
            self._server.run()
        except (OSError, SystemExit) as error:
            _log.error("web_failed", listen=self.listen, reason=str(error))
