"""The configuration files themselves: config schema, config lint."""

from __future__ import annotations

import click

from syncd.cli import output
from syncd.cli.frame import DONE, WRONG, Call, options
from syncd.config import find_folder, load
from syncd.config import schema as schemas
from syncd.errors import ConfigError


@click.group("config")
def config_command() -> None:
    """Check the configuration files, or describe them to an editor.

    Example: syncd config lint
    """


@config_command.command()
@click.argument("file", type=click.Choice(["service", "tenant"]))
@options
def schema(call: Call, file: str) -> int:
    r"""Print the JSON Schema of syncd.toml (service) or of a tenant's file (tenant), for editors.

    \b
    Example: syncd config schema tenant > syncd-tenant.schema.json
    """
    del call
    output.document(schemas.of_service() if file == "service" else schemas.of_tenant())
    return DONE


@config_command.command()
@options
def lint(call: Call) -> int:
    r"""Check every file, also of disabled tenants, and tell all problems and what is unwise. Asks no system.

    \b
    Example: syncd config lint && systemctl reload syncd
    """
    folder = find_folder(call.config)
    try:
        loaded = load(folder)
        problems = [line for lines in loaded.broken.values() for line in lines]
        warnings, tenants = list(loaded.warnings), [tenant.name for tenant in loaded.tenants]
    except ConfigError as error:
        problems, warnings, tenants = error.problems, [], []
    if call.tenant is not None:
        tenants = [name for name in tenants if name == call.tenant]
    if call.json:
        output.document({"folder": str(folder), "tenants": tenants, "problems": problems, "warnings": warnings})
        return WRONG if problems else DONE
    for line in problems:
        output.say(f"problem: {line}")
    for line in warnings:
        output.say(f"warning: {line}")
    output.say(f"{folder}: {output.counted(len(problems), 'problem')}, {output.counted(len(warnings), 'warning')}")
    return WRONG if problems else DONE
