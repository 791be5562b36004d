"""The operator's page, and what the service tells to probes.

/healthz    200 as long as the process answers
/readyz     200 once every tenant finished a cycle, 503 before
/metrics    numbers for Prometheus (`syncd.web.metrics`)
/           the page; whoever opens it is known (`access`), asks from here (`guard`), and sees escaped text only (`show`)

Views read through `syncd.report`, the documents of the command line; acts go through `syncd.engine.operate`. No page has SQL of its own, and
none makes a request to a system.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from syncd import log
from syncd.web import clients, cycles, deciding, entering, joining, logbook, overview, rules
from syncd.web.guard import Guard
from syncd.web.metrics import Metrics
from syncd.web.site import Live, Planned, Site

__all__ = ["Live", "Planned", "Server", "Site", "application"]

START_SECONDS: Final = 10.0

_log = log.get("web")


def application(
    health: Callable[[], dict[str, Any]], metrics: Metrics | None = None, site: Site | None = None
) -> Starlette:
    """The ASGI application. health: what `syncd.daemon.Daemon.health` returns, with `ready` as a bool. Without a site, probes only."""
    told = metrics or Metrics(health)

    def healthz(_request: Request) -> JSONResponse:
        return JSONResponse({"alive": True})

    def readyz(_request: Request) -> JSONResponse:
        state = health()
        return JSONResponse(state, status_code=200 if state["ready"] else 503)

    routes: list[BaseRoute] = [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", told.respond),
    ]
    if site is None:
        return Starlette(routes=routes)
    guard = Middleware(Guard, address=site.address, sessions=site.sessions)
    lost = site.view(lambda site, request: site.failed(request, 404, "usage", "There is no such page.", "Go back."))
    return Starlette(
        routes=[*routes, *pages(site)],
        middleware=[guard],
        exception_handlers={404: lambda request, _error: lost(request), 405: lambda request, _error: lost(request)},
    )


def pages(site: Site) -> list[BaseRoute]:
    """Every page and every act. An act is a POST and nothing else is."""

    def file(_site: Site, request: Request) -> Response:
        found = site.files.get(str(request.path_params["name"]))
        if found is None:
            return Response(status_code=404)
        kept = {"cache-control": "public, max-age=31536000, immutable"} if request.query_params.get("v") else {}
        return Response(found[0], media_type=found[2], headers=kept)

    views = {
        "/static/{name:path}": file,
        "/login": entering.login_page,
        "/": overview.overview,
        "/inbox": deciding.inbox,
        "/log": logbook.log_page,
        "/t/{tenant}": overview.tenant,
        "/t/{tenant}/figures": overview.plots,
        "/t/{tenant}/inbox": deciding.inbox,
        "/t/{tenant}/inbox/{entry}": deciding.single,
        "/t/{tenant}/rules/{field}": rules.rule,
        "/t/{tenant}/clients": clients.clients,
        "/t/{tenant}/clients/{client}": clients.client,
        "/t/{tenant}/clients/{client}/why/{field}": clients.why_field,
        "/t/{tenant}/undo/{what}": clients.undo,
        "/t/{tenant}/merge": joining.merge,
        "/t/{tenant}/unmerge/{client}": joining.unmerge,
        "/t/{tenant}/apart": joining.apart,
        "/t/{tenant}/cycles": cycles.cycles,
        "/t/{tenant}/cycles/{cycle}": cycles.cycle,
        "/t/{tenant}/plan": cycles.plan,
        "/t/{tenant}/map": cycles.field_map,
    }
    acts = {
        "/logout": entering.logout,
        "/inbox": deciding.decide_many,
        "/t/{tenant}/inbox/{entry}": deciding.decide_one,
        "/t/{tenant}/rules/{field}": rules.make_rule,
        "/t/{tenant}/undo/{what}": clients.undo_now,
        "/t/{tenant}/merge": joining.merge_now,
        "/t/{tenant}/unmerge/{client}": joining.unmerge_now,
        "/t/{tenant}/apart": joining.apart_now,
        "/t/{tenant}/plan": cycles.make_plan,
    }
    return [
        *(Route(path, site.view(make), methods=["GET"]) for path, make in views.items()),
        *(Route(path, site.act(do), methods=["POST"]) for path, do in acts.items()),
        Route("/login", entering.login(site), methods=["POST"]),
    ]


class Server:
    """The application in a thread of its own; a failure to listen is logged and leaves the syncing alone."""

    def __init__(self, listen: str, app: Starlette, *, proxied: bool = False) -> None:
        """proxied: a proxy on this machine stands in front, and is believed about whom it speaks for."""
        host, _, port = listen.rpartition(":")
        config = uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            server_header=False,
            proxy_headers=proxied,
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
