"""One cycle now, one plan, one check: sync, plan, check."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from syncd import log, report, spans
from syncd.cli import output
from syncd.cli.frame import (
    DONE,
    FAILED,
    WOULD_WRITE,
    Call,
    Scene,
    error_document,
    now,
    opened,
    options,
    scene,
    single,
    usage,
)
from syncd.cli.status import show_error
from syncd.config import ServiceConfig, TenantConfig
from syncd.config.shape import seconds
from syncd.engine.applying import seal
from syncd.engine.linting import clocks, lint
from syncd.errors import SyncdError
from syncd.store import HoldKind
from syncd.tenant import Tenant, open_tenant

TENANTS_AT_ONCE: Final = 8
HOLDS_SHOWN: Final = 5
"""After a cycle; `syncd holds` shows all."""
PROGRESS_SECONDS: Final = 0.5
"""Between two looks at how far each tenant is, on a terminal."""


_OPENING: Final = threading.Lock()
"""Tenants are opened one after the other: a store may be upgraded then, and Alembic has one context per process."""


def _opened(service: ServiceConfig, tenant: TenantConfig) -> Tenant:
    with _OPENING:
        return open_tenant(service, tenant)


class Duration(click.ParamType[float]):
    """A time such as 30s, 5m or 200ms, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; usage error with what is allowed."""
        if isinstance(value, float):
            return value
        try:
            return seconds(value)
        except ValueError as error:
            self.fail(f"{value!r}: write {error}", param, ctx)


@click.command()
@click.option("--until-quiet", is_flag=True, help="Repeat until nothing is pending.")
@click.option(
    "--cycles",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="At most so many, with --until-quiet.",
)
@click.option(
    "--wait",
    type=Duration(),
    default="5s",
    show_default=True,
    metavar="TIME",
    help="With --until-quiet, wait for timers that end within this time.",
)
@options
def sync(call: Call, cycles: int, wait: float, *, until_quiet: bool) -> int:
    r"""Run one cycle of every tenant now: pull, decide, write.

    Tenants run side by side and the failure of one stops no other. Exits 1 where something failed or waits for a person.

    \b
    Example: syncd sync --until-quiet
             syncd sync --tenant acme --json
    """
    found = scene(call)

    def run(tenant: TenantConfig) -> report.Document:
        return cycle_tenant(found.service, tenant, until_quiet=until_quiet, cycles=cycles, wait_seconds=wait)

    spans.begin(found.service.tracing)
    try:
        results = _side_by_side(found, run)
    finally:
        spans.end()
    if call.json:
        output.document({"tenants": results, **({"problems": found.problems} if found.broken else {})})
    else:
        for result in results:
            show_result(result)
        if not results:
            output.say("no tenants")
    failed = [result for result in results if is_failed(result, until_quiet=until_quiet)]
    return found.exit(FAILED if failed else DONE)


def cycle_tenant(
    service: ServiceConfig, tenant: TenantConfig, *, until_quiet: bool, cycles: int, wait_seconds: float
) -> report.Document:
    """Run the cycles of one tenant under its lock; what went wrong becomes part of the document (`error`)."""
    with log.context(tenant=tenant.name):
        try:
            with _opened(service, tenant) as one, one.working():
                reports = one.engine.sync(until_quiet=until_quiet, cycles=cycles, wait_seconds=wait_seconds)
                document = report.synced(tenant.name, reports, one.engine.quiet())
                return {**document, **report.standstill(one.store, [system.name for system in tenant.policy.systems])}
        except SyncdError as error:
            log.get(__name__).error("cycle_failed", error=error)
            return _failed(tenant, error)
        except Exception as error:  # noqa: BLE001 - the failure of one tenant never stops the others
            log.get(__name__).error("cycle_failed", exc_info=error)
            return _failed(tenant, error)


def _failed(tenant: TenantConfig, error: Exception) -> report.Document:
    return {
        "tenant": tenant.name,
        "cycles": [],
        "quiescent": False,
        "reasons": ["the cycle failed"],
        "next_timer": None,
        "holds": [],
        "conflicts_open": [],
        "parked": [],
        "failing": [],
        "error": error_document(error),
    }


def is_failed(result: Mapping[str, Any], *, until_quiet: bool) -> bool:
    """Whether something failed or waits for a person; with `until_quiet` also whether something is still pending."""
    stuck = any(result[key] for key in ("holds", "conflicts_open", "parked", "failing"))
    return bool(result.get("error")) or stuck or (until_quiet and not result["quiescent"])


def _side_by_side(found: Scene, run: Callable[[TenantConfig], report.Document]) -> list[report.Document]:
    """Run every tenant in a thread of its own, at most so many at once; results in the order of the tenants.

    The threads are daemons: an interrupt ends the process at once, which is safe at any moment.
    """
    results: dict[str, report.Document] = {}
    places = threading.BoundedSemaphore(TENANTS_AT_ONCE)

    def work(tenant: TenantConfig) -> None:
        with places:
            results[tenant.name] = run(tenant)

    threads = [
        threading.Thread(target=work, args=(tenant,), name=f"tenant-{tenant.name}", daemon=True)
        for tenant in found.tenants
    ]
    for thread in threads:
        thread.start()
    with _progress(found) as look:
        for thread in threads:
            while thread.is_alive():
                thread.join(PROGRESS_SECONDS)
                look()
    return [results[tenant.name] for tenant in found.tenants]


@contextmanager
def _progress(found: Scene) -> Iterator[Callable[[], None]]:
    """On a terminal, one line per tenant on stderr that says how far it is; elsewhere nothing."""
    if not sys.stderr.isatty() or not found.tenants:
        yield lambda: None
        return
    started = now()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=output.console(sys.stderr), transient=True) as progress:
        tasks = {tenant.name: progress.add_task(tenant.name, total=None) for tenant in found.tenants}

        def look() -> None:
            for tenant in found.tenants:
                with opened(found.service, tenant) as store:
                    progress.update(tasks[tenant.name], description=f"{tenant.name}: {report.progress(store, started)}")

        yield look


def show_result(result: Mapping[str, Any]) -> None:
    """What one tenant's cycles did, what waits, and how to go on."""
    if result.get("error"):
        show_error(result["tenant"], result["error"])
        return
    output.say(
        f"{result['tenant']}: {output.counted(len(result['cycles']), 'cycle')}, {'quiescent' if result['quiescent'] else 'not quiescent'}"
    )
    show_counts(result["cycles"])
    show_rest(result)


def show_counts(cycles: Sequence[Mapping[str, Any]]) -> None:
    """The sums over some cycles, per system, and the conflicts and holds of them all."""
    sums: dict[str, Counter[str]] = {}
    walks: dict[str, str] = {}
    for cycle in cycles:
        for system in cycle["systems"]:
            counts = sums.setdefault(system["system"], Counter())
            counts.update({name: system[name] for name in (*report.COUNTED, "requests")})
            walks[system["system"]] = system["walk"]
    output.table(
        ("system", "walk", *(f"{name}#" for name in report.COUNTED), "requests#"),
        ((name, walks[name], *(counts[key] for key in (*report.COUNTED, "requests"))) for name, counts in sums.items()),
    )
    conflicts, holds = (sum(cycle[key] for cycle in cycles) for key in ("conflicts", "holds"))
    output.say(f"  {output.counted(conflicts, 'conflict')} logged, {output.counted(holds, 'hold')} opened")


def show_rest(result: Mapping[str, Any]) -> None:
    """What is not done, and the next step for each."""
    for reason in result["reasons"]:
        output.say(f"  pending: {reason}")
    holds = sorted(result["holds"], key=lambda hold: hold["kind"] != HoldKind.FIRST_RUN)
    for hold in holds[:HOLDS_SHOWN]:
        output.say(
            f"  held: {hold['hold']} ({hold['kind']}, {output.counted(hold['items'], 'item')}): {hold['reason']}"
        )
    if len(holds) > HOLDS_SHOWN:
        output.say(f"    ... and {len(holds) - HOLDS_SHOWN} more")
    if holds:
        output.say("    next: `syncd holds` shows them; `syncd release HOLD` or `syncd refuse HOLD` decides")
    if result["conflicts_open"]:
        output.say(
            f"  open: {output.counted(len(result['conflicts_open']), 'conflict')}: {', '.join(result['conflicts_open'][:10])}"
        )
        output.say("    next: `syncd conflicts --open` shows them; `syncd resolve CONFLICT --take SYSTEM` decides")
    for write in result["parked"]:
        error = write["error"] or {}
        output.say(
            f"  parked: {write['write']} ({write['system']}, client {write['client']}): {error.get('message', '')} ({error.get('code', '')})"
        )
        output.say(f"    next: {error.get('next', 'See `syncd outbox --state parked`.')}")
    for system in result["failing"]:
        output.say(f"  {system['state']}: {system['system']}: {system['reason'] or 'no reason was given'}")
        output.say("    next: `syncd check` tells what is wrong with it")


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the plan, as JSON, into this file.",
)
@options
def plan(call: Call, out: Path | None) -> int:
    r"""Pull, decide, and show every write with before, after, reason and cost; send nothing.

    Exits 3 where it would write, 0 where not.

    \b
    Example: syncd plan --tenant acme
             syncd plan --tenant acme --out plan.json
    """
    found = scene(call)
    tenant = single(found)
    with log.context(tenant=tenant.name), open_tenant(found.service, tenant) as one, one.working():
        document = seal(one.store, report.plan(tenant.name, tenant.policy.digest, one.engine.plan(), now()))
    if out is not None:
        _write_private(out, output.encoded(document))
    if call.json:
        output.document(document)
    else:
        _show_plan(document)
        if out is not None:
            output.say(f"written to {out}; `syncd apply {out}` sends exactly this within 24 hours")
    return found.exit(WOULD_WRITE if document["writes"] else DONE)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read: a plan holds personal values."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise usage(
            fault=f"{path} cannot be written ({error.strerror})", step="Name another file with --out."
        ) from error


def _show_plan(document: Mapping[str, Any]) -> None:
    writes = document["writes"]
    output.say(
        f"{document['tenant']}: {document['plan']}: {output.counted(len(writes), 'write')}, {output.counted(document['calls'], 'request')}; nothing was sent"
    )
    for write in writes:
        record = write["external_id"] or "new"
        output.say(
            f"{write['action']:8} {write['system']} {record}  client {write['client']}  ({output.counted(write['calls'], 'request')})"
        )
        for field, after in write["after"].items():
            before = f"{output.shown(write['before'].get(field))} -> " if field in write["before"] else ""
            output.say(f"    {field}: {before}{output.shown(after)}")
        output.say(f"    because {write['reason']}")
    for key, noun in (("conflicts", "conflict"), ("links", "new link"), ("holds", "hold")):
        if document[key]:
            output.say(f"{output.counted(len(document[key]), noun)}")
    for hold in document["holds"]:
        output.say(f"  {hold['hold']}: {hold['kind']}: {hold['reason']}")


@click.command()
@options
def check(call: Call) -> int:
    r"""Check the configuration, then each system's credentials, reading permissions and clock, then the data; send nothing.

    The data lint goes through the clients that are in the store: values that a system would cut, clients it cannot hold.

    \b
    Example: syncd check --tenant acme
    """
    found = scene(call)
    results = _side_by_side(found, lambda tenant: _check_tenant(found.service, tenant))
    if call.json:
        output.document({"tenants": results, "problems": found.problems})
    else:
        for result in results:
            _show_findings(result)
        output.say(
            f"{output.counted(len(results), 'tenant')} checked, {output.counted(len(found.broken), 'broken file')}"
        )
    errors = [finding for result in results for finding in result["findings"] if finding["level"] == "error"]
    return found.exit(FAILED if errors else DONE)


def _check_tenant(service: ServiceConfig, tenant: TenantConfig) -> report.Document:
    with log.context(tenant=tenant.name):
        try:
            with _opened(service, tenant) as one:
                seen = [*one.engine.check(), *clocks({name: door.skew_seconds for name, door in one.doors.items()})]
                return report.findings(tenant.name, [*seen, *lint(one.store, one.engine.systems)])
        except Exception as error:  # noqa: BLE001 - the failure of one tenant never stops the others
            log.get(__name__).error("job_failed", job="check", error=error)
            told = error_document(error)
            lines = told.pop("problems", [told["message"]])
            found = [{"system": None, "level": "error", **told, "message": line} for line in lines]
            return {"tenant": tenant.name, "findings": found}


def _show_findings(result: Mapping[str, Any]) -> None:
    for finding in result["findings"]:
        where = f"{result['tenant']}/{finding['system']}" if finding["system"] else result["tenant"]
        output.say(f"{finding['level']:8} {where}: {finding['message']} ({finding['code']})")
        if finding["next"]:
            output.say(f"         next: {finding['next']}")
