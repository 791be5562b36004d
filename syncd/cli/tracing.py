"""Where a value comes from and where it went: why, history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from syncd.cli import output
from syncd.cli.frame import DONE, Call, client_of, locate_client, opened, options, scene, usage
from syncd.core.model import FIELDS
from syncd.report.history import history
from syncd.report.trace import known_field, why
from syncd.tenant import open_tenant

AGREES: Final[Mapping[str, str]] = {
    "equal": "agrees",
    "equivalent": "agrees, as far as this system can tell",
    "default": "its own default, not written",
    "differs": "differs",
    "unknown": "does not say",
}
EARLIER_SHOWN: Final = 5
SPLIT: Final = ("given_name", "family_name")


@click.command("why")
@click.argument("client")
@click.argument("field", required=False)
@options
def why_command(call: Call, client: str, field: str | None) -> int:
    r"""Say why a value is what it is: decision, rule, candidates, cycle, walk, record; and where it was written.

    Without FIELD, one line for each field. CLIENT is a client's id, or SYSTEM/ID of a record: the client it belongs to. Values
    are told, so mind where the output goes.

    \b
    Example: syncd why c12 phone
             syncd why books/4711 phone --json
    """
    found = scene(call)
    tenant = locate_client(found, client)
    with open_tenant(found.service, tenant) as one:
        document = why(one.store, tenant.name, client_of(one.store, client) or client, field, one.engine.systems)
    if document is None:
        raise usage(fault=f"client {client} is gone", step="`syncd clients` lists those that are there.")
    if field is not None and not known_field(field, document):
        names = ", ".join(dict.fromkeys((*FIELDS, "address")))
        raise usage(fault=f"there is no field {field!r}", step=f"The fields are: {names}.")
    if call.json:
        output.document(document)
    elif field is None:
        _show_all(document)
    else:
        _head(document)
        for entry in document["fields"]:
            _show_field(entry)
    return DONE


def _head(document: Mapping[str, Any]) -> None:
    alias = f" (asked for {document['asked_for']})" if document["asked_for"] != document["client"] else ""
    output.say(f"{document['client']}  {document['tenant']}  {document['state']}  {document['name'] or ''}{alias}")


def _show_all(document: Mapping[str, Any]) -> None:
    _head(document)
    output.table(
        ("field", "value", "from", "cycle", "agrees", "differs", "writes"),
        (
            (
                entry["field"],
                _said(entry["value"]) if entry["known"] else "",
                (entry["cause"] or {}).get("system") or ("completed" if entry["completed"] else ""),
                (entry["cause"] or {}).get("cycle") or "",
                _names(entry, "equal", "equivalent", "default"),
                _names(entry, "differs"),
                " ".join(
                    f"{write['write']}:{write['state']}" for write in entry["writes"] if write["state"] != "dropped"
                ),
            )
            for entry in document["fields"]
            if entry["value"] not in (None, [], "") or entry["cause"] or entry["conflicts"]
        ),
    )
    output.say(f"next: `syncd why {document['client']} FIELD` tells all about one field")


def _names(entry: Mapping[str, Any], *agreements: str) -> str:
    return " ".join(dict.fromkeys(side["system"] for side in entry["systems"] if side["agreement"] in agreements))


def _said(value: object) -> str:
    """A value in words; a name that has parts with these behind it."""
    if not isinstance(value, Mapping) or not value.get("name"):
        return output.shown(value)
    parts = ", ".join(f"{part.removesuffix('_name')} {value[part]}" for part in SPLIT if value.get(part))
    return output.shown(f"{value['name']} ({parts})" if parts else value["name"])


def _show_field(entry: Mapping[str, Any]) -> None:
    output.say(f"{entry['field']} = {_said(entry['value']) if entry['known'] else '(not known)'}")
    cause = entry["cause"]
    if cause is not None:
        _show_cause(cause)
    elif entry["completed"] is None:
        output.say("  no decision about it is on record")
    if entry["completed"] is not None:
        done = entry["completed"]
        where = f" in cycle {done['cycle']}" if done["cycle"] else ""
        output.say(f"  completed {output.shown(done['at'])}{where} by {done['by']}: {', '.join(done['fields'])}")
    for hold in entry["holds"]:
        output.say(f"  held      {hold['hold']} ({hold['kind']}): {hold['reason']}")
    for conflict in entry["conflicts"]:
        if conflict["status"] == "open":
            output.say(f"  open      {conflict['conflict']}: {conflict['reason']}; `syncd resolve` decides")
    for write in entry["writes"]:
        _show_write(write)
    for side in entry["systems"]:
        record = f"{side['system']} {side['external_id'] or ''}".strip()
        shows = f" shows {_said(side['shows'])}" if side["agreement"] != "unknown" else ""
        told = AGREES[side["agreement"]] if side["external_id"] else "has no record of this client"
        reason = f": {side['reason']}" if side["reason"] else ""
        state = f" ({(side['standing'] or 'not decided yet').replace('_', ' ')}{reason})"
        output.say(f"  {record:14}{shows} - {told}{state}")
    _show_earlier(entry["earlier"])


def _show_cause(cause: Mapping[str, Any]) -> None:
    where = f" in cycle {cause['cycle']}" if cause["cycle"] else ""
    output.say(f"  decided   {output.shown(cause['at'])}{where}: {cause['reason']} ({cause['change']})")
    output.say(f"  before    {_said(cause['before'])}")
    conflict = cause["conflict"]
    if conflict is not None:
        output.say(f"  conflict  {conflict['conflict']}, rule {conflict['rule']}, {conflict['decided_by'] or 'open'}")
        for candidate in conflict["candidates"]:
            star = "*" if candidate["system"] == conflict["winner"] else " "
            record = f"{candidate['system']} {candidate['external_id'] or ''}".strip()
            output.say(f"          {star} {record:14} {_said(candidate['value'])}")
    walk, record = cause["walk"], cause["record"]
    if record is not None:
        read = f", read in walk {walk['walk']} ({walk['outcome']}, {walk['records']} records)" if walk else ""
        state = "" if record["state"] == "present" else f", now {record['state']}"
        output.say(f"  from      {record['system']} {record['external_id']}{read}{state}")
    elif cause["system"] == "operator":
        output.say("  from      a person's decision")
    else:
        output.say(f"  from      {cause['system']}")


def _show_write(write: Mapping[str, Any]) -> None:
    record = f"{write['system']} {write['external_id'] or 'new'}"
    at = f" {output.shown(write['done_at'])}" if write["done_at"] else ""
    error = f": {write['error'].get('message', '')}" if write["error"] else ""
    output.say(
        f"  written   {write['write']} {write['action']} {record}: {write['state'].replace('_', ' ')}{at}{error}"
    )


def _show_earlier(changes: Iterable[Mapping[str, Any]]) -> None:
    kept = list(changes)
    for change in reversed(kept[-EARLIER_SHOWN:]):
        output.say(
            f"  earlier   {output.shown(change['at'])} {_said(change['after'])} ({change['system']}, {change['change']})"
        )
    if len(kept) > EARLIER_SHOWN:
        output.say(f"            and {len(kept) - EARLIER_SHOWN} before; see `syncd history`")


@click.command("history")
@click.argument("client")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The last so many events.")
@options
def history_command(call: Call, client: str, limit: int | None) -> int:
    r"""Tell what happened to a client: changes, conflicts, holds, writes, links, and what people did.

    CLIENT is a client's id, or SYSTEM/ID of a record: the client it belongs to.

    \b
    Example: syncd history c12 --limit 20
             syncd history books/4711 --json
    """
    found = scene(call)
    tenant = locate_client(found, client)
    with opened(found.service, tenant) as store:
        document = history(store, tenant.name, client_of(store, client) or client, limit=limit)
    if document is None:
        raise usage(fault=f"client {client} is gone", step="`syncd clients` lists those that are there.")
    if call.json:
        output.document(document)
        return DONE
    merged = f", with {', '.join(document['merged_from'])}" if document["merged_from"] else ""
    output.say(f"{document['client']}  {document['tenant']}  {document['state']}{merged}")
    for event in document["events"]:
        _show_event(event)
    left = document["events_total"] - len(document["events"])
    if left:
        output.say(f"{output.counted(left, 'earlier event')}; without --limit all are told")
    return DONE


def _show_event(event: Mapping[str, Any]) -> None:
    output.say(
        f"{output.shown(event['at'])}  {event['cycle'] or '-':6} {event['kind']:10} {event['id'] or '-':6} {event['what']}"
    )
    if event["kind"] == "change":
        detail = event["detail"]
        before = _said(detail["before"]) if detail["before_known"] else "(not known)"
        output.say(f"    {before} -> {_said(detail['after'])}")
