"""Carrying out a plan that was looked at: apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from syncd import log
from syncd.cli import output
from syncd.cli.frame import DONE, FAILED, Call, actor, options, scene, usage
from syncd.engine.applying import Document, apply, check, read
from syncd.report.acts import applied
from syncd.tenant import open_tenant

FILE_BYTES_MAX: Final = 1 << 30


@click.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options
def apply_command(call: Call, file: Path) -> int:
    r"""Send exactly the writes of a plan made by `syncd plan --out FILE`, once.

    Each write is sent only if its record still is what the plan saw; what is not is told as stale, and the exit code is 1. A plan
    that has expired, was applied, was changed, or was made for another tenant or configuration is refused.

    \b
    Example: syncd apply plan.json
             syncd plan --tenant acme --out plan.json; syncd apply plan.json --json
    """
    document = _document(file)
    found = scene(call)
    tenant = next((each for each in found.tenants if each.name == document["tenant"]), None)
    if tenant is None:
        names = ", ".join(each.name for each in found.tenants) or "no tenant"
        raise usage(
            fault=f"this is a plan for tenant {document['tenant']}, and not for {names}; nothing was done",
            step=f"Apply it with --tenant {document['tenant']}, under the configuration that has this tenant.",
        )
    with log.context(tenant=tenant.name), open_tenant(found.service, tenant) as one:
        check(one.store, document, tenant.policy.digest, one.engine.clock())
        with one.working():
            cycle, outcomes = apply(one.engine, document, actor())
    result = applied(tenant.name, document["plan"], cycle, outcomes)
    if call.json:
        output.document(result)
    else:
        _show(result)
    return DONE if result["done"] == len(result["writes"]) else FAILED


def _document(file: Path) -> Document:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise usage(fault=f"{file} is too large for a plan", step="Make one with `syncd plan --out FILE`.")
        return read(file.read_bytes())
    except OSError as error:
        raise usage(fault=f"{file} cannot be read ({error.strerror})", step="Name another file.") from error


def _show(result: Mapping[str, Any]) -> None:
    counts = Counter(write["outcome"] for write in result["writes"])
    told = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in sorted(counts.items()))
    output.say(f"{result['tenant']}: {result['plan']} applied in cycle {result['cycle']}: {told or 'it has no writes'}")
    for write in result["writes"]:
        if write["outcome"] == "done":
            continue
        record = write["external_id"] or "new"
        where = f"{write['action']} {write['system']} {record}, client {write['client']}"
        output.say(
            f"  {write['outcome'].replace('_', ' ')}: {where}: {write['outcome_reason'] or 'see `syncd outbox`'}"
        )
    if counts.keys() - {"done"}:
        output.say("  next: `syncd plan --out FILE` shows what there is to write now")
