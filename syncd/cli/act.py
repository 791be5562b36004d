"""What a person decides: resolve, release, refuse, retry, drop. Each is one short transaction, recorded with the person's name.

`release` and `drop` show what will happen and ask; without a terminal they need --yes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import click

from syncd import report
from syncd.cli import output
from syncd.cli.frame import DONE, Call, Scene, actor, consent, locate, options, scene, usage
from syncd.cli.status import show_conflict, show_hold
from syncd.config import TenantConfig
from syncd.engine.foresight import lasting_of_release
from syncd.engine.operate import Operator
from syncd.errors import UsageError
from syncd.store import ConflictRow, HoldRow, HoldState, Store, Tx, WriteRow, WriteState
from syncd.tenant import Tenant, open_tenant

NEXT_CYCLE = "The next cycle acts on it (`syncd sync`)."


def _owner(
    found: Scene, what: str, identifier: str, look: Callable[[Tx, str], object | None], where: str
) -> TenantConfig:
    def known(store: Store) -> bool:
        with store.reading() as tx:
            return look(tx, identifier) is not None

    return locate(found, what, identifier, known, where)


def _hold(store: Store, identifier: str) -> HoldRow:
    with store.reading() as tx:
        return _there(tx.hold(identifier), identifier)


def _conflict(store: Store, identifier: str) -> ConflictRow:
    with store.reading() as tx:
        return _there(tx.conflict(identifier), identifier)


def _write(store: Store, identifier: str) -> WriteRow:
    with store.reading() as tx:
        return _there(tx.write(identifier), identifier)


Row = TypeVar("Row")


def _there(row: Row | None, identifier: str) -> Row:
    if row is None:
        raise usage(fault=f"{identifier} has just been removed", step="List again what is there.")
    return row


def _tell(call: Call, key: str, document: report.Document, words: str) -> int:
    if call.json:
        output.document({key: document})
    else:
        output.say(words)
    return DONE


@click.command()
@click.argument("conflict")
@click.option(
    "--take",
    metavar="SYSTEM|golden|base",
    help="Take the value of this system, of the golden record, or the last agreed one.",
)
@click.option("--value", metavar="V", help='Take this value; "" empties the field.')
@options
def resolve(call: Call, conflict: str, take: str | None, value: str | None) -> int:
    r"""Settle a conflict, or settle it otherwise than the rule did. The value goes to every system.

    \b
    Example: syncd resolve k3 --take books
             syncd resolve k3 --value "+33 1 42 68 53 00"
    """
    if (take is None) == (value is None):
        raise usage(fault="say either --take or --value", step="See `syncd resolve --help`.")
    found = scene(call)
    tenant = _owner(found, "conflict", conflict, Tx.conflict, "syncd conflicts")
    with open_tenant(found.service, tenant) as one:
        if take is not None:
            _check_take(_conflict(one.store, conflict), take)
        row = one.operator(actor()).resolve(conflict, take=take, value=value)
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
        raise usage(
            fault=f"conflict {row.conflict} has no candidate {take!r}", step=f"Take one of: {', '.join(candidates)}."
        )


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
        lambda who: who.release(hold),
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
    return _decide_hold(call, hold, lambda who: who.refuse(hold), question=None, yes=True, done="refused")


def _decide_hold(
    call: Call, hold: str, decide: Callable[[Operator], HoldRow], *, question: str | None, yes: bool, done: str
) -> int:
    found = scene(call)
    tenant = _owner(found, "hold", hold, Tx.hold, "syncd holds --all")
    with open_tenant(found.service, tenant) as one:
        row = _hold(one.store, hold)
        if row.state is not HoldState.OPEN:
            raise usage(fault=f"hold {hold} is {row.state.value} already", step="`syncd holds` lists the open ones.")
        if question is not None and not yes:
            show_hold(report.hold_document(tenant.name, row), err=True)
        if question is not None:
            for each in _lasting(one, row):
                output.note(f"    cannot be undone: {each}")
            consent(question, given=yes)
        row = decide(one.operator(actor()))
    words = f"{hold} is {done}. {NEXT_CYCLE}"
    return _tell(call, "hold", report.hold_document(tenant.name, row), words)


def _lasting(one: Tenant, hold: HoldRow) -> list[str]:
    """What releasing a hold would do that cannot be undone in the systems; nothing where it cannot be released, which then says why."""
    hand = one.operator(actor())
    with suppress(UsageError), one.store.rehearsing(operator=True) as tx:
        return lasting_of_release(tx, hold, lambda winner, loser: hand.merge_in(tx, winner, loser), one.engine.systems)
    return []


@click.command()
@click.argument("write")
@options
def retry(call: Call, write: str) -> int:
    r"""Send a parked write again with the next cycle, as if it had never failed.

    \b
    Example: syncd retry w7
    """
    found = scene(call)
    tenant = _owner(found, "write", write, Tx.write, "syncd outbox")
    with open_tenant(found.service, tenant) as one:
        _refuse_closed(_write(one.store, write))
        row = one.operator(actor()).retry(write)
    return _tell(call, "write", report.write_document(tenant.name, row), f"{write} will be tried again. {NEXT_CYCLE}")


@click.command()
@click.argument("write")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def drop(call: Call, write: str, *, yes: bool) -> int:
    r"""Give up a write; it is planned again only when something changes about the client. Shows it and asks.

    \b
    Example: syncd drop w7 --yes
    """
    found = scene(call)
    tenant = _owner(found, "write", write, Tx.write, "syncd outbox")
    with open_tenant(found.service, tenant) as one:
        row = _write(one.store, write)
        _refuse_closed(row)
        if not yes:
            _show_intent(report.write_document(tenant.name, row))
            consent("Drop this write?", given=yes)
        row = one.operator(actor()).drop(write)
    return _tell(call, "write", report.write_document(tenant.name, row), f"{write} is dropped.")


def _refuse_closed(row: WriteRow) -> None:
    if row.state in (WriteState.DONE, WriteState.DROPPED):
        raise usage(fault=f"write {row.write} is {row.state.value} already", step="`syncd outbox` lists the open ones.")


def _show_intent(document: report.Document) -> None:
    record = document["external_id"] or "a new record"
    output.note(
        f"{document['write']}: {document['action']} {record} in {document['system']} for client {document['client']}"
    )
    for field, value in document["fields"].items():
        output.note(f"    {field}: {output.shown(value)}")
