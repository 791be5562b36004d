"""Comparing the real systems with what the store believes: verify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from syncd import log
from syncd.cli import output
from syncd.cli.frame import DONE, FAILED, Call, error_document, options, scene, usage
from syncd.cli.status import show_error
from syncd.config import ServiceConfig, TenantConfig
from syncd.engine.verify import verify
from syncd.errors import SyncdError
from syncd.report import Document
from syncd.report.acts import VERDICTS, verified
from syncd.tenant import open_tenant

SHOWN: Final = 20
"""Differences of one system, in text; --json has all."""


@click.command("verify")
@click.option("--system", metavar="NAME", help="Only this system.")
@click.option("--deep", is_flag=True, help="Read every record singly where lists may show less (many requests).")
@options
def verify_command(call: Call, system: str | None, *, deep: bool) -> int:
    r"""Read the real systems and compare each record with the mirror and with golden; change nothing.

    Exits 1 where a record differs without syncd knowing why, cannot be read, is missing, or is not known. Repairs are made by a plan
    only: the output names the commands.

    \b
    Example: syncd verify --tenant acme
             syncd verify --system books --deep --json
    """
    found = scene(call)
    known = {each.name for tenant in found.tenants for each in tenant.policy.systems}
    if system is not None and system not in known:
        raise usage(fault=f"there is no system {system!r}", step=f"The systems are: {', '.join(sorted(known))}.")
    results = [_verified(found.service, tenant, system, deep=deep) for tenant in found.tenants]
    if call.json:
        output.document({"tenants": results, **({"problems": found.problems} if found.broken else {})})
    else:
        for result in results:
            _show(result)
        if not results:
            output.say("no tenants")
    return found.exit(DONE if all(result["sound"] for result in results) else FAILED)


def _verified(service: ServiceConfig, tenant: TenantConfig, system: str | None, *, deep: bool) -> Document:
    with log.context(tenant=tenant.name):
        try:
            with open_tenant(service, tenant) as one:
                chosen = [each for name, each in one.engine.systems.items() if system in (None, name)]
                return verified(tenant.name, verify(one.store, chosen, tenant.policy, deep=deep))
        except SyncdError as error:
            return {"tenant": tenant.name, "sound": False, "next": None, "systems": [], "error": error_document(error)}


def _show(result: Mapping[str, Any]) -> None:
    if result.get("error"):
        show_error(result["tenant"], result["error"])
        return
    output.say(f"{result['tenant']}: {'as it should be' if result['sound'] else 'not as it should be'}")
    output.table(
        ("system", "walk", "records#", "equal#", *(f"{verdict}#" for verdict in VERDICTS), "known#", "requests#"),
        (
            (
                system["system"],
                system["outcome"],
                system["records"],
                system["equal"],
                *(system[verdict] for verdict in VERDICTS),
                system["explained"],
                system["requests"],
            )
            for system in result["systems"]
        ),
    )
    for system in result["systems"]:
        if system["reason"]:
            output.say(f"  {system['system']}: {system['reason']}")
        for difference in system["differences"][:SHOWN]:
            _show_difference(system["system"], difference)
        if len(system["differences"]) > SHOWN:
            left = len(system["differences"]) - SHOWN
            output.say(f"  {system['system']}: and {output.counted(left, 'more record')} (--json lists all)")
    if result["next"]:
        output.say(f"  next: {result['next']}")


def _show_difference(system: str, difference: Mapping[str, Any]) -> None:
    told = []
    if difference["mirror"]:
        told.append(f"changed since it was pulled: {', '.join(difference['mirror'])}")
    if difference["golden"]:
        told.append(f"not as golden: {', '.join(difference['golden'])}")
    if difference["explained"]:
        told.append(f"known ({difference['explained']})")
    client = f", client {difference['client']}" if difference["client"] else ""
    output.say(
        f"  {system} {difference['external_id']}{client}: {difference['verdict']}; {'; '.join(told)}".rstrip("; ")
    )
