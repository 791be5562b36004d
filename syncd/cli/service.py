"""The long-running service: run, worker."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import click

from syncd import footprint, log, report, spans, web
from syncd.cli import output
from syncd.cli.frame import Call, error_document, now, options, usage
from syncd.config import find_folder, load
from syncd.config.shape import Web
from syncd.daemon import Daemon
from syncd.dispatch import SLOTS
from syncd.engine import CycleReport
from syncd.notify import Notifier
from syncd.report.gauges import gauges
from syncd.tenant import Tenant
from syncd.web.metrics import Metrics


class Works(Protocol):
    """What is run: the daemon of one machine, or a worker of a cluster."""

    slow: list[str]

    def run(self) -> int:
        """Work until a signal ends it; the exit code."""
        ...

    def health(self) -> dict[str, Any]:
        """What /healthz and /readyz tell."""
        ...

    def between(self, tenant: str, errand: Callable[[Tenant], Any]) -> Future[Any]:
        """Have something done with a tenant between two of its cycles. UsageError where it is not at work."""
        ...


@click.command()
@click.option("--cluster", is_flag=True, help="As one worker of several on the same PostgreSQL database.")
@click.option(
    "--slots", type=click.IntRange(1, 64), default=SLOTS, show_default=True, help="With --cluster: cycles at a time."
)
@options
def run(call: Call, slots: int, *, cluster: bool) -> int:
    r"""Run the service: pull every system at its interval, decide, write, until SIGTERM.

    SIGHUP, or a changed file, has the configuration read again. A broken tenant file stops that tenant only.

    \b
    Example: syncd --config /etc/syncd run
    """
    folder = find_folder(call.config)
    return serve(folder, clustered(folder, slots) if cluster else partial(Daemon, folder), page=True)


@click.command()
@click.option("--slots", type=click.IntRange(1, 64), default=SLOTS, show_default=True, help="Cycles at a time.")
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help='Where /metrics, /healthz and /readyz are answered; "" for nowhere. Default: web.listen of syncd.toml.',
)
@options
def worker(call: Call, slots: int, listen: str | None) -> int:
    r"""Work as one of any number of workers, on any machines, that share a PostgreSQL database. Without the operator's page.

    Each tenant is worked on by one of them at a time. A worker that dies is noticed within 15 seconds, and its work is handed out again.
    Of several workers on one machine each needs a port of its own.

    \b
    Example: syncd --config /etc/syncd worker --slots 16
             syncd --config /etc/syncd worker --listen 0.0.0.0:9101
    """
    folder = find_folder(call.config)
    return serve(folder, clustered(folder, slots), page=False, listen=listen)


def clustered(folder: Path, slots: int) -> Callable[..., Works]:
    """What makes a worker of a cluster."""
    from syncd.dispatch.cluster import Worker  # noqa: PLC0415 - half a second that only a cluster needs

    return partial(Worker, folder, slots=slots)


def serve(folder: Path, make: Callable[..., Works], *, page: bool, listen: str | None = None) -> int:
    """Run what `make(on_cycle=...)` gives, with those who look on: metrics and health, and the page if it is wanted.

    listen: where they are answered (default: what the configuration says).
    """
    footprint.confine()
    service = load(folder).service
    address = service.web_listen if listen is None else checked(listen)
    log.configure(service.log_level, service.log_format, service.log_file)
    log.log_crashes()
    spans.begin(service.tracing)

    def on_cycle(tenant: Tenant, cycle: CycleReport) -> None:
        look_on(tenant, cycle, metrics, notifier)

    works = make(on_cycle=on_cycle)
    notifier = Notifier(lambda tenant: tenant.service.notify)
    metrics = Metrics(works.health)
    live = web.Live(plan=lambda tenant: _planned(works, tenant), breakers=metrics.shut)
    site = web.Site(folder, live=live) if page and service.web_listen else None
    app = web.application(works.health, metrics, site)
    server = web.Server(address, app, proxied=bool(service.web_public)) if address else None
    if server is not None and not server.start():
        output.note(f"nothing listens on {address}: it is taken or not allowed; syncing goes on")
    if site is not None:
        site.warm()
    try:
        code = works.run()
    finally:
        spans.end()
        notifier.close()
        if server is not None:
            server.stop()
        if site is not None:
            site.close()
    if works.slow:
        # Python would wait for the thread whose request is still under way. What it does is found again by its intent.
        log.close()
        os._exit(code)
    return code


def checked(listen: str) -> str:
    """An address to listen on as it was typed. Raises UsageError for one that is none."""
    try:
        return Web(listen=listen).listen
    except ValueError:
        raise usage(
            fault=f"--listen {listen!r} is no address", step="Write ADDRESS:PORT, such as 127.0.0.1:9101."
        ) from None


def look_on(tenant: Tenant, cycle: CycleReport, metrics: Metrics, notifier: Notifier) -> None:
    """What is counted after a cycle, and whom it is told."""
    now = gauges(tenant, cycle)
    metrics.observe(now)
    notifier.observe(tenant, now)


def _planned(works: Works, tenant: str) -> web.Planned:
    """Have a tenant's lane make a plan; what is returned gives it, None while it is in the making."""

    def make(at_work: Tenant) -> report.Document:
        return report.plan(at_work.name, at_work.policy.digest, at_work.engine.plan(), now())

    future = works.between(tenant, make)

    def ready() -> report.Document | None:
        if not future.done():
            return None
        error = future.exception()
        return {"error": error_document(error)} if error is not None else future.result()

    return ready
