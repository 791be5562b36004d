"""The long-running service: run."""

from __future__ import annotations

import os

import click

from syncd import log, report, web
from syncd.cli import output
from syncd.cli.frame import Call, error_document, now, options
from syncd.config import find_folder, load
from syncd.daemon import Daemon
from syncd.engine import CycleReport
from syncd.notify import Notifier
from syncd.report.gauges import gauges
from syncd.tenant import Tenant
from syncd.web.metrics import Metrics


@click.command()
@options
def run(call: Call) -> int:
    r"""Run the service: pull every system at its interval, decide, write, until SIGTERM.

    SIGHUP, or a changed file, has the configuration read again. A broken tenant file stops that tenant only.

    \b
    Example: syncd --config /etc/syncd run
    """
    folder = find_folder(call.config)
    service = load(folder).service
    log.configure(service.log_level, service.log_format, service.log_file)
    log.log_crashes()
    daemon = Daemon(folder, on_cycle=lambda tenant, cycle: look_on(tenant, cycle, metrics, notifier))
    notifier = Notifier(lambda tenant: tenant.service.notify)
    metrics = Metrics(daemon.health)
    live = web.Live(plan=lambda tenant: _planned(daemon, tenant), breakers=metrics.shut)
    site = web.Site(folder, live=live) if service.web_listen else None
    app = web.application(daemon.health, metrics, site)
    server = web.Server(service.web_listen, app) if site is not None else None
    if server is not None and not server.start():
        output.note(f"nothing listens on {service.web_listen}: it is taken or not allowed; syncing goes on")
    if site is not None:
        site.warm()
    try:
        code = daemon.run()
    finally:
        notifier.close()
        if server is not None and site is not None:
            server.stop()
            site.close()
    if daemon.slow:
        # Python would wait for the thread whose request is still under way. What it does is found again by its intent.
        log.close()
        os._exit(code)
    return code


def look_on(tenant: Tenant, cycle: CycleReport, metrics: Metrics, notifier: Notifier) -> None:
    """What is counted after a cycle, and whom it is told."""
    now = gauges(tenant, cycle)
    metrics.observe(now)
    notifier.observe(tenant, now)


def _planned(daemon: Daemon, tenant: str) -> web.Planned:
    """Have a tenant's lane make a plan; what is returned gives it, None while it is in the making."""

    def make(at_work: Tenant) -> report.Document:
        return report.plan(at_work.name, at_work.policy.digest, at_work.engine.plan(), now())

    future = daemon.between(tenant, make)

    def ready() -> report.Document | None:
        if not future.done():
            return None
        error = future.exception()
        return {"error": error_document(error)} if error is not None else future.result()

    return ready
