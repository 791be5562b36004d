"""Golden records for other programs: export."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import click

from syncd.cli import output
from syncd.cli.frame import DONE, Call, opened, options, scene, usage
from syncd.report.export import customs, exported, json_lines, table


@click.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    help="jsonl: one JSON object per client, lossless. csv: for spreadsheets. Default: jsonl.",
)
@options
def export_command(call: Call, form: str | None) -> int:
    r"""Write every client to stdout: golden record, state and links. It holds personal values; store it accordingly.

    \b
    Example: syncd export --tenant acme --format csv > clients.csv
             syncd export --format jsonl | jq -r .fields.email
    """
    if call.json and form is not None:
        raise usage(fault="--json is a form of its own", step='--json gives {"clients": [...]}; or say --format alone.')
    found = scene(call)
    with ExitStack() as open_ones:
        stores = [(open_ones.enter_context(opened(found.service, tenant)), tenant) for tenant in found.tenants]
        clients = (each for store, tenant in stores for each in exported(store, tenant.name))
        if call.json:
            output.stream("clients", clients, {"problems": found.problems} if found.broken else None)
            return found.exit(DONE)
        systems = list(dict.fromkeys(system.name for _, tenant in stores for system in tenant.policy.systems))
        custom = customs(store for store, _ in stores) if form == "csv" else []
        for line in table(clients, custom, systems) if form == "csv" else json_lines(clients):
            sys.stdout.buffer.write(line)
    return found.exit(DONE)
