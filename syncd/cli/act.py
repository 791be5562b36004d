"""What a person decides: resolve, release, refuse, retry, drop. Each is one short transaction, recorded with the person's name.

`release` and `drop` show what will happen and ask; without a terminal they need --yes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import click

from syncd import report
from syncd.cli import output
from syncd.cli.frame import DONE, Call, Scene, actor, consent, locate, options, scene, wrong
from syncd.cli.status import show_conflict, show_hold
from syncd.config import TenantConfig
from syncd.core.model import Kind, Value, is_group, kind_of, parts_of
from syncd.store import ConflictRow, HoldRow, HoldState, Store, Tx, WriteRow, WriteState
from syncd.tenant import Tenant, open_tenant

NEXT_CYCLE = "The next cycle acts on it (`syncd sync`)."


def _owner(found: Scene, what: str, identifier: str, look: Callable[[Tx, str], object | None], where: str) -> TenantConfig:
    def known(store: Store) -> bool:
        with store.reading() as tx:
            return look(tx, identifier) is not None

    return locate(found, what, identifier, known, where)


def _hold(store: Store, identifier: str) -> HoldRow:
    with store.reading() as tx:
        row = tx.hold(identifier)
    return row if row is not None else wrong(f"hold {identifier} is gone", "`syncd holds` lists the open ones.")


def _conflict(store: Store, identifier: str) -> ConflictRow:
    with store.reading() as tx:
        row = tx.conflict(identifier)
    return row if row is not None else wrong(f"conflict {identifier} is gone", "`syncd conflicts` lists them.")


def _write(store: Store, identifier: str) -> WriteRow:
    with store.reading() as tx:
        row = tx.write(identifier)
    return row if row is not None else wrong(f"write {identifier} is gone", "`syncd outbox` lists the open ones.")


def _tell(call: Call, key: str, document: report.Document, words: str) -> int:
    if call.json:
        output.document({key: document})
    else:
        output.say(words)
    return DONE


@click.command()
@click.argument("conflict")
@click.option("--take", metavar="SYSTEM|golden|base", help="Take the value of this system, of the golden record, or the last agreed one.")
@click.option("--value", metavar="V", help='Take this value; groups and lists as JSON: \'{"city": "Lille"}\'. "" empties the field.')
@options
def resolve(call: Call, conflict: str, take: str | None, value: str | None) -> int:
    r"""Settle a conflict, or settle it otherwise than the rule did. The value goes to every system.

    \b
    Example: syncd resolve k3 --take books
             syncd resolve k3 --value "+33 1 42 68 53 00"
    """
    if (take is None) == (value is None):
        wrong("say either --take or --value", "See `syncd resolve --help`.")
    found = scene(call)
    tenant = _owner(found, "conflict", conflict, Tx.conflict, "syncd conflicts")
    with closing(open_tenant(found.service, tenant)) as one:
        row = _conflict(one.store, conflict)
        if take is not None:
            _check_take(row, take)
        one.engine.resolve(conflict, take, None if value is None else typed(row.unit, value), actor())
        row = _conflict(one.store, conflict)
    document = report.conflict_document(tenant.name, row)
    if call.json:
        output.document({"conflict": document})
        return DONE
    show_conflict(document)
    output.say(NEXT_CYCLE)
    return DONE


def _check_take(row: ConflictRow, take: str) -> None:
    candidates = dict.fromkeys([*(str(each["system"]) for each in row.candidates), "golden", "base"])
    if take not in candidates:
        wrong(f"conflict {row.conflict} has no candidate {take!r}", f"Take one of: {', '.join(candidates)}.")


def typed(unit: str, text: str) -> Value:
    """The value of a unit that a person typed on the command line. Raises UsageError where it cannot be one."""
    if text == "":
        return None
    kind = kind_of(parts_of(unit)[0])
    if is_group(unit) or kind in (Kind.CONTACTS, Kind.NOTES):
        return _structured(unit, text)
    if kind is Kind.FLAG:
        flags = {"true": True, "yes": True, "false": False, "no": False}
        return flags[text.lower()] if text.lower() in flags else wrong(f"{text!r} is no value of {unit}", "Write true or false.")
    if kind is Kind.DAYS:
        return int(text) if text.isascii() and text.isdecimal() else wrong(f"{text!r} is no value of {unit}", "Write a whole number of days.")
    return text


def _structured(unit: str, text: str) -> Value:
    if unit == "name" and not text.lstrip().startswith("{"):
        return {"name": text}
    hint = f"Write JSON with some of: {', '.join(parts_of(unit))}." if is_group(unit) else "Write a JSON list."
    try:
        value: Any = json.loads(text)
    except ValueError:
        wrong(f"the value of {unit} is no JSON", hint)
    if not isinstance(value, dict if is_group(unit) else list):
        wrong(f"the value of {unit} has the wrong shape", hint)
    if is_group(unit) and not value.keys() <= set(parts_of(unit)):
        wrong(f"{unit} has no part {', '.join(sorted(value.keys() - set(parts_of(unit))))}", hint)
    made: Value = value
    return made


@click.command()
@click.argument("hold")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def release(call: Call, hold: str, *, yes: bool) -> int:
    r"""Let what is held go on: the first run, a braked set, a proposal. Shows it and asks.

    \b
    Example: syncd release h2
             syncd release h2 --yes --json
    """
    return _decide_hold(
        call,
        hold,
        lambda one, who: one.engine.release(hold, who),
        question="Release this hold?",
        yes=yes,
        done="released",
    )


@click.command()
@click.argument("hold")
@options
def refuse(call: Call, hold: str) -> int:
    r"""Refuse what is held. A refused link or merge is remembered for ever.

    \b
    Example: syncd refuse h4
    """
    return _decide_hold(call, hold, lambda one, who: one.engine.refuse(hold, who), question=None, yes=True, done="refused")


def _decide_hold(
    call: Call, hold: str, decide: Callable[[Tenant, str], object], *, question: str | None, yes: bool, done: str
) -> int:
    found = scene(call)
    tenant = _owner(found, "hold", hold, Tx.hold, "syncd holds --all")
    with closing(open_tenant(found.service, tenant)) as one:
        row = _hold(one.store, hold)
        if row.state is not HoldState.OPEN:
            wrong(f"hold {hold} is {row.state.value} already", "`syncd holds` lists the open ones.")
        if question is not None and not yes:
            show_hold(report.hold_document(tenant.name, row), err=True)
            consent(question, given=yes)
        decide(one, actor())
        row = _hold(one.store, hold)
    words = f"{hold} is {done}. {NEXT_CYCLE}"
    return _tell(call, "hold", report.hold_document(tenant.name, row), words)


@click.command()
@click.argument("write")
@options
def retry(call: Call, write: str) -> int:
    r"""Try a parked or waiting write again with the next cycle, as if it had never failed.

    \b
    Example: syncd retry w7
    """
    found = scene(call)
    tenant = _owner(found, "write", write, Tx.write, "syncd outbox")
    with closing(open_tenant(found.service, tenant)) as one:
        _refuse_closed(_write(one.store, write))
        one.engine.retry(write, actor())
        row = _write(one.store, write)
    return _tell(call, "write", report.write_document(tenant.name, row), f"{write} will be tried again. {NEXT_CYCLE}")


@click.command()
@click.argument("write")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def drop(call: Call, write: str, *, yes: bool) -> int:
    r"""Give up a write. If the reason for it still holds, the next cycle decides again. Shows it and asks.

    \b
    Example: syncd drop w7 --yes
    """
    found = scene(call)
    tenant = _owner(found, "write", write, Tx.write, "syncd outbox")
    with closing(open_tenant(found.service, tenant)) as one:
        row = _write(one.store, write)
        _refuse_closed(row)
        if not yes:
            _show_intent(report.write_document(tenant.name, row))
            consent("Drop this write?", given=yes)
        one.engine.drop(write, actor())
        row = _write(one.store, write)
    return _tell(call, "write", report.write_document(tenant.name, row), f"{write} is dropped.")


def _refuse_closed(row: WriteRow) -> None:
    if row.state in (WriteState.DONE, WriteState.DROPPED):
        wrong(f"write {row.write} is {row.state.value} already", "`syncd outbox` lists the open ones.")


def _show_intent(document: report.Document) -> None:
    record = document["external_id"] or "a new record"
    output.note(f"{document['write']}: {document['action']} {record} in {document['system']} for client {document['client']}")
    for field, value in document["fields"].items():
        output.note(f"    {field}: {output.shown(value)}")
