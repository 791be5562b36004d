"""What is there: clients, one client with all sides, the mirror."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from syncd import report
from syncd.cli import output
from syncd.cli.frame import DONE, Call, client_of, locate_client, options, scene, usage
from syncd.cli.status import listed, print_listing, show_conflict, show_writes
from syncd.core.model import FIELDS
from syncd.store import ClientState
from syncd.tenant import open_tenant

MARKS: Final[Mapping[str, str]] = {"equal": "=", "equivalent": "~", "default": "+", "differs": "!", "unknown": ""}


@click.command()
@click.option("--state", type=click.Choice([state.value for state in ClientState]), help="Only clients in this state.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@options
def clients(call: Call, state: str | None, limit: int | None) -> int:
    r"""List the golden records.

    \b
    Example: syncd clients --state active
             syncd clients --json | jq '.clients[].fields.email'
    """
    found = scene(call)
    wanted = ClientState(state) if state else None
    items = listed(found, lambda store, tenant: report.clients(store, tenant, state=wanted, limit=limit), limit)
    return print_listing(call, found, "clients", items, _show_clients)


def _show_clients(rows: Iterable[Mapping[str, Any]]) -> None:
    output.table(
        ("client", "tenant", "state", "name", "email", "city", "systems"),
        (
            (
                row["client"],
                row["tenant"],
                row["state"] if not row["merged_into"] else f"merged into {row['merged_into']}",
                *(row["fields"].get(name) or "" for name in ("name", "email", "city")),
                " ".join(sorted({link["system"] for link in row["links"] if link["state"] == "linked"})),
            )
            for row in rows
        ),
    )


@click.command()
@click.argument("client")
@options
def show(call: Call, client: str) -> int:
    r"""Show one client: golden record, every system's side, open conflicts and writes.

    The id of a client that was merged away shows the one that survived; SYSTEM/ID of a record shows the client it belongs to.

    \b
    Example: syncd show c12
             syncd show books/4711
    """
    found = scene(call)
    tenant = locate_client(found, client)
    with open_tenant(found.service, tenant) as one:
        document = report.show(one.store, tenant.name, client_of(one.store, client) or client, one.engine.systems)
    if document is None:
        raise usage(fault=f"client {client} is gone", step="`syncd clients` lists those that are there.")
    if call.json:
        output.document(document)
    else:
        _show_client(document)
    return DONE


def _show_client(document: Mapping[str, Any]) -> None:
    alias = (
        "" if document["asked_for"] == document["client"] else f" (asked for {document['asked_for']}, merged into it)"
    )
    output.say(f"{document['client']}  {document['tenant']}  {document['state']}{alias}")
    sides = document["sides"]
    golden = document["fields"]
    names = [name for name in (*FIELDS, *sorted(_customs(document))) if _is_telling(name, golden, sides)]
    rows = [
        (name, _known(golden, name), *(_marked(side, name) for side in sides if side["state"] != "apart"))
        for name in names
    ]
    headings = [f"{side['system']} {side['external_id']}" for side in sides if side["state"] != "apart"]
    output.table(("field", "golden", *headings), rows)
    output.say(
        "= as golden   ~ the same as this system can tell   + the system's own default, not written\n"
        "! differs   blank: the system does not say; fields that are empty everywhere are left out"
    )
    for side in sides:
        state = (
            side["state"]
            if side["record_state"] in (None, "present")
            else f"{side['state']}, record {side['record_state']}"
        )
        reason = f": {side['reason']}" if side["reason"] else ""
        output.say(f"  {side['system']} {side['external_id']}: {state}, {output.matched(side['matched_by'])}{reason}")
    for row in document["standings"]:
        reason = f": {row['reason']}" if row["reason"] else ""
        output.say(f"  {row['system']}: {row['state']}{' (drift)' if row['drift'] else ''}{reason}")
    for row in document["merges"]:
        output.say(f"  {row['merge']}: {', '.join(row['losers'])} merged into {row['winner']} ({row['state']})")
    for row in document["conflicts"]:
        show_conflict(row)
    if document["writes"]:
        show_writes(document["writes"])


def _is_telling(name: str, golden: Mapping[str, Any], sides: Iterable[Mapping[str, Any]]) -> bool:
    """Whether anybody has a value for a field, or somebody says otherwise."""
    shown = [fields[name] for fields in (golden, *(side["fields"] for side in sides)) if name in fields]
    return any(value not in (None, "", []) for value in shown)


def _customs(document: Mapping[str, Any]) -> set[str]:
    shown = [document["fields"], *(side["fields"] for side in document["sides"])]
    return {name for fields in shown for name in fields if name not in FIELDS}


def _known(fields: Mapping[str, Any], name: str) -> str:
    return output.shown(fields[name]) if name in fields else ""


def _marked(side: Mapping[str, Any], name: str) -> str:
    mark = MARKS[side["marks"].get(name, "unknown")]
    return mark if mark in {"=", ""} else f"{mark} {output.shown(side['fields'][name])}"


@click.command()
@click.option("--system", metavar="NAME", help="Only records of this system.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@options
def records(call: Call, system: str | None, limit: int | None) -> int:
    r"""List the mirror: what each system last said about each record, raw and in canonical words.

    \b
    Example: syncd records --system books --json
    """
    found = scene(call)
    known = {each.name for tenant in found.tenants for each in tenant.policy.systems}
    if system is not None and system not in known:
        raise usage(fault=f"there is no system {system!r}", step=f"The systems are: {', '.join(sorted(known))}.")
    items = listed(found, lambda store, tenant: report.records(store, tenant, system=system, limit=limit), limit)
    return print_listing(call, found, "records", items, _show_records)


def _show_records(rows: Iterable[Mapping[str, Any]]) -> None:
    output.table(
        ("tenant", "system", "record", "client", "state", "name", "email", "changed"),
        (
            (
                *(row[name] for name in ("tenant", "system", "external_id")),
                row["client"] or "-",
                row["state"],
                *(row["fields"].get(name) or "" for name in ("name", "email")),
                f"{row['changed_at']:%m-%d %H:%M}",
            )
            for row in rows
        ),
    )
