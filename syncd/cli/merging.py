"""Which clients are one: merge, unmerge, apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from syncd.cli import output
from syncd.cli.act import NEXT_CYCLE
from syncd.cli.frame import DONE, FAILED, Call, Scene, actor, client_of, consent, locate, locate_client, options, scene
from syncd.config import TenantConfig
from syncd.engine.foresight import lasting_of, of_merge
from syncd.errors import UsageError
from syncd.report.merging import kept_apart, merged, unmerged
from syncd.store import Store
from syncd.tenant import open_tenant

Document = Mapping[str, Any]


@click.command()
@click.argument("winner", metavar="A")
@click.argument("loser", metavar="B")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def merge(call: Call, winner: str, loser: str, *, yes: bool) -> int:
    r"""Make two clients one. The first keeps its id, the other becomes another name of it. Shows what will happen and asks.

    The first one's values stay, filled from the other's; where both had one, a conflict keeps the losing value. The next cycles
    bring the systems into line: one record survives in each, the others are archived. `syncd unmerge` takes it back.

    \b
    Example: syncd merge c12 c31
             syncd merge c12 c31 --yes --json
    """
    found = scene(call)
    tenant = _tenant(found, winner, loser)
    with open_tenant(found.service, tenant) as one:
        hand = one.operator(actor())
        with one.store.rehearsing(operator=True) as tx:
            row = hand.merge_in(tx, winner, loser)
            document = merged(one.name, tx, row, of_merge(tx, row, one.engine.systems))
        if not yes:
            _show_merge(document, winner, loser)
            consent(f"Merge {loser} into {winner}?", given=yes)
        else:
            _show_lasting(document, output.note)
        row = hand.merge(winner, loser)
        with one.store.reading() as tx:
            document = merged(one.name, tx, row, of_merge(tx, row, one.engine.systems))
    return _tell(call, "merge", document, f"{row.losers[0]} is merged into {row.winner} ({row.merge}). {NEXT_CYCLE}")


@click.command()
@click.argument("client")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def unmerge(call: Call, client: str, *, yes: bool) -> int:
    r"""Take a merge back: the one that CLIENT was merged away by, else the last one into it. Shows what will happen and asks.

    Both clients get their records back, and every field that nobody has edited since; the next cycles restore the systems.
    What cannot be brought back is told. The exit code is 1 where an opt-out stays, which is never taken back.

    \b
    Example: syncd unmerge c31
             syncd unmerge c31 --yes --json
    """
    found = scene(call)
    tenant = _tenant(found, client)
    with open_tenant(found.service, tenant) as one:
        hand = one.operator(actor())
        with one.store.rehearsing(operator=True) as tx:
            parted = hand.unmerge_in(tx, client)
            document = unmerged(one.name, parted, lasting_of(tx, parted, one.engine.systems))
        if not yes:
            _show_unmerge(document, output.note)
            consent(f"Take {parted.loser} out of {parted.winner} again?", given=yes)
        parted = hand.unmerge(client)
        document = unmerged(one.name, parted, document["lasting"])
    if not call.json:
        _show_unmerge(document, output.say)
    _tell(call, "merge", document, f"{parted.loser} and {parted.winner} are two clients again. {NEXT_CYCLE}")
    return FAILED if parted.refused else DONE


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--undo", is_flag=True, help="Forget that the two were to be kept apart.")
@click.option("--yes", is_flag=True, help="Do not ask, also where one client is made two.")
@options
def apart(call: Call, first: str, second: str, *, undo: bool, yes: bool) -> int:
    r"""Keep two clients apart for ever: never linked, proposed or merged, also not through a third.

    A and B are clients, or records written SYSTEM/ID. If they are one client now, it is made two: a merge is taken back, or
    the record B becomes a client of its own; that is asked about first.

    \b
    Example: syncd apart c12 c31
             syncd apart books/4711 crm/88 --yes
             syncd apart c12 c31 --undo
    """
    found = scene(call)
    tenant = _tenant(found, first, second)
    with open_tenant(found.service, tenant) as one:
        hand = one.operator(actor())
        with one.store.rehearsing(operator=True) as tx:
            foreseen = hand.apart_in(tx, first, second, undo=undo)
            lasting = lasting_of(tx, foreseen.parted, one.engine.systems) if foreseen.parted is not None else []
        splits = foreseen.parted is not None or foreseen.made is not None
        if splits and not yes:
            output.note(f"{first} and {second} are one client now and will be two.")
            for each in lasting:
                output.note(f"  cannot be undone: {each}")
            consent("Make them two?", given=yes)
        done = hand.apart(first, second, undo=undo)
        document = kept_apart(one.name, done, lasting)
    words = "may be one client again" if undo else "are kept apart for ever"
    return _tell(
        call, "apart", document, f"{done.first} and {done.second} {words}. {NEXT_CYCLE if splits else ''}".rstrip()
    )


def _tenant(found: Scene, *identifiers: str) -> TenantConfig:
    """The tenant that knows all of these clients or records. UsageError, about the one that is unknown or in several tenants."""

    def knows(store: Store) -> bool:
        return all(client_of(store, name) is not None for name in identifiers)

    try:
        return locate(found, "client", " and ".join(identifiers), knows, "syncd clients")
    except UsageError:
        for name in identifiers:
            locate_client(found, name)
        raise


def _tell(call: Call, key: str, document: Document, words: str) -> int:
    if call.json:
        output.document({key: document})
    else:
        output.say(words)
    return DONE


def _show_merge(document: Document, winner: str, loser: str) -> None:
    output.note(f"{loser} becomes another name of {winner}.")
    for each in document["records"]:
        output.note(f"  {each['system']} {each['external_id']} {each['what']}")
    for each in document["rivals"]:
        output.note(
            f"  {each['field']}: {output.shown(each['kept'])} stays, {output.shown(each['lost'])} is kept as a conflict"
        )
    if document["filled"]:
        output.note(f"  filled from {loser}: {', '.join(document['filled'])}")
    _show_lasting(document, output.note)


def _show_unmerge(document: Document, tell: Callable[[str], None]) -> None:
    for each in document["records"]:
        tell(f"  {each['system']} {each['external_id']} belongs to {document['loser']} again")
    for each in document["left"]:
        tell(f"  {each['client']} {each['field']}: {each['reason']}")
    _show_lasting(document, tell)


def _show_lasting(document: Document, tell: Callable[[str], None]) -> None:
    for each in document["lasting"]:
        tell(f"  cannot be undone: {each}")
