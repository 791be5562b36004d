"""Taking back what a cycle or a write did: undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from syncd.cli import output
from syncd.cli.act import NEXT_CYCLE
from syncd.cli.frame import DONE, FAILED, Call, actor, consent, locate, options, scene, usage
from syncd.engine.undo import Fate, Undo
from syncd.report.acts import undone
from syncd.store import Store
from syncd.tenant import open_tenant

STEPS_SHOWN: Final = 50
"""Before asking, in text; --json has all."""


@click.command()
@click.argument("what", metavar="CYCLE|WRITE")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def undo(call: Call, what: str, *, yes: bool) -> int:
    r"""Set back what a cycle or a write changed, where nobody has changed it since. Shows it and asks.

    The golden records get their earlier values, and the next cycle writes these to every system. What cannot be taken back is
    left alone and told, and the exit code is 1: a value that has changed again, a record that was created, an opt-out.

    \b
    Example: syncd undo y12
             syncd undo w7 --yes --json
    """
    if what[:1] not in ("y", "w"):
        raise usage(fault=f"{what!r} is neither a cycle nor a write", step="`syncd history CLIENT` tells both.")
    found = scene(call)
    kind, where = ("write", "syncd outbox --state done") if what[0] == "w" else ("cycle", "syncd history CLIENT")
    tenant = locate(found, kind, what, lambda store: _knows(store, what), where)
    with open_tenant(found.service, tenant) as one:
        hand = Undo(one.store, one.engine.clock, actor())
        systems, context = one.engine.systems, tenant.policy.context
        if not yes:
            inverse = undone(tenant.name, what, hand.inverse(what, systems, context))
            if inverse["changes"]:
                _show(inverse, err=True)
            if any(step["fate"] == Fate.UNDONE for step in inverse["changes"]):
                consent("Set these values back?", given=yes)
        document = undone(tenant.name, what, hand.undo(what, systems, context))
    if call.json:
        output.document(document)
    else:
        _show(document, err=False)
    return FAILED if document["left"] else DONE


def _knows(store: Store, what: str) -> bool:
    with store.reading() as tx:
        return (tx.write(what) if what[0] == "w" else tx.cycle(what)) is not None


def _show(document: Mapping[str, Any], *, err: bool) -> None:
    tell = output.note if err else output.say
    steps = document["changes"]
    if not steps:
        tell(f"{document['undo']} changed nothing that could be undone")
        return
    for step in steps[:STEPS_SHOWN]:
        if step["fate"] == Fate.UNDONE:
            values = f"{output.shown(step['from'])} -> {output.shown(step['to'])}"
            tell(f"  {step['client']} {step['field']}: {values}")
        else:
            name = step["write"] or step["field"]
            tell(f"  {step['client']} {name}: left alone ({step['fate'].replace('_', ' ')}): {step['reason']}")
    if len(steps) > STEPS_SHOWN:
        tell(f"  ... and {len(steps) - STEPS_SHOWN} more (--json lists all {len(steps)})")
    if not err:
        told = f"{output.counted(document['undone'], 'value')} set back, {document['left']} left alone"
        tell(f"{document['tenant']}: {document['undo']}: {told}. {NEXT_CYCLE if document['undone'] else ''}".rstrip())
