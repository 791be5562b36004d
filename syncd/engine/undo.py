"""Undo of a cycle or of a write, as an inverse plan with a drift check.

What a cycle (or a write) made of a golden record is set back to what was there before, where golden still holds what it made; where it
has moved on since, it is left alone and told. Setting back is a person's decision like any other (`Operator`): golden takes the earlier
value, and the next cycle writes it to every system. So nothing is sent by an undo itself, and brakes, budgets and pacing apply as ever.

Not undone, and told with the next step: a created or deleted record (syncd makes and ends records, it does not take that back), a value
that came with a record or client seen for the first time (setting it back would clear it where it was typed), and an opt-out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from syncd.core import normalize
from syncd.core.model import (
    UNKNOWN,
    Action,
    Context,
    Maybe,
    Value,
    is_group,
    parts_of,
    unit_fields,
    unit_of,
    unit_value,
)
from syncd.core.survivorship import CONSENT
from syncd.engine.operate import Operator
from syncd.errors import UsageError
from syncd.store import AuditRow, ChangeRow, ClientRow, ClientState, CycleRow, WriteRow, WriteState

if TYPE_CHECKING:
    from syncd.engine.systems import System
    from syncd.store import Tx


class Fate(StrEnum):
    """What an undo does with one value. Only `undone` changes anything."""

    UNDONE = "undone"
    DRIFTED = "drifted"
    """It has changed again since: left alone."""
    REFUSED = "refused"
    """It must not, or cannot, be taken back."""
    FIRST_SIGHT = "first_sight"
    """It came with a record that was new: there is nothing to go back to."""


@dataclass(frozen=True, slots=True)
class Step:
    """One value of one client. now: what golden holds. back: what it held before, and holds again if `undone`.

    write: the write concerned, where it is about a record rather than a value.
    """

    client: str
    field: str
    now: Value
    back: Value
    fate: Fate
    reason: str
    write: str | None = None


class Undo(Operator):
    """A person's hand that takes back. `systems` tell whether two values are the same for them; `context` whether they are at all."""

    def inverse(self, identifier: str, systems: Mapping[str, System], context: Context) -> list[Step]:
        """What undoing a cycle or a write would do now; changes nothing. UsageError where there is nothing such."""
        with self.store.reading() as tx:
            return _steps(tx, identifier, systems, context)

    def undo(self, identifier: str, systems: Mapping[str, System], context: Context) -> list[Step]:
        """Do it, in one transaction with its line in the audit trail, looking again at what is to be done."""
        with self.store.writing(operator=True) as tx:
            steps = _steps(tx, identifier, systems, context)
            now = self.clock()
            for step in steps:
                if step.fate is Fate.UNDONE:
                    self._set(tx, step.client, step.field, step.back, now, f"undid {identifier}")
            done = sorted({step.client for step in steps if step.fate is Fate.UNDONE})
            payload = {"what": identifier, "clients": len(done), "left": sum(s.fate is not Fate.UNDONE for s in steps)}
            tx.add_audit([AuditRow(now, "undone", self.actor, payload)])
            fields = {
                client: [s.field for s in steps if s.client == client and s.fate is Fate.UNDONE] for client in done
            }
            tx.add_audit(
                AuditRow(now, "client_undone", self.actor, {"what": identifier, "fields": names}, client=client)
                for client, names in fields.items()
            )
            return steps


def _steps(tx: Tx, identifier: str, systems: Mapping[str, System], context: Context) -> list[Step]:
    if identifier.startswith("w"):
        return _of_write(tx, identifier, systems, context)
    cycle = tx.cycle(identifier)
    if cycle is None:
        raise UsageError(f"there is no cycle {identifier}")
    return _of_cycle(tx, cycle, context)


# ---------------------------------------------------------------- a cycle


def _of_cycle(tx: Tx, cycle: CycleRow, context: Context) -> list[Step]:
    changes = tx.changes(cycle=cycle.cycle)
    first: dict[tuple[str, str], ChangeRow] = {}
    last: dict[tuple[str, str], ChangeRow] = {}
    for change in changes:
        key = (change.client, change.unit)
        first.setdefault(key, change)
        last[key] = change
    clients = _survivors(tx, {change.client for change in changes})
    linked = _linked_since(tx, clients.values(), cycle)
    steps = [
        _step(clients[client], replace(last[client, unit], before=change.before), cycle, linked, context)
        for (client, unit), change in first.items()
        if client in clients
    ]
    made = [
        row for row in tx.writes([WriteState.DONE], cycle=cycle.cycle) if row.action in (Action.CREATE, Action.DELETE)
    ]
    return [step for step in steps if step is not None] + [_about_record(row) for row in made]


def _survivors(tx: Tx, ids: Iterable[str]) -> dict[str, ClientRow]:
    """The clients as they are now; one that was merged away stands for the one that survived."""
    wanted = sorted(ids)
    found = {bundle.client.client: bundle.client for bundle in tx.bundles(wanted)}
    aliases = {client: tx.resolve_alias(client) or client for client, row in found.items() if row.merged_into}
    heirs = {bundle.client.client: bundle.client for bundle in tx.bundles(sorted(set(aliases.values())))}
    return {client: heirs.get(aliases.get(client, ""), row) for client, row in found.items()}


def _linked_since(tx: Tx, clients: Iterable[ClientRow], cycle: CycleRow) -> set[tuple[str, str]]:
    """(client, system) of links that were made in this cycle or later."""
    links = tx.links_of({client.client for client in clients})
    return {
        (client, link.system) for client, found in links.items() for link in found if link.linked_at >= cycle.started_at
    }


def _step(
    client: ClientRow, change: ChangeRow, cycle: CycleRow, linked: set[tuple[str, str]], context: Context
) -> Step | None:
    back = _earlier(change.unit, change.before)
    if _same(change.unit, back, change.after, client, context) or _is_back(client, change.unit, back, context):
        return None
    if _is_empty(back) and (client.created_at >= cycle.started_at or (client.client, change.system) in linked):
        return _first_sight(client, change.unit, back)
    return _judged(client, change.unit, back, change.after, context)


def _is_back(client: ClientRow, unit: str, back: Value, context: Context) -> bool:
    """Whether golden holds the earlier value (again) already: nothing is left to undo."""
    return _same(unit, _present(client, unit), back, client, context)


def _first_sight(client: ClientRow, unit: str, back: Value) -> Step:
    words = "it came with a record that was seen for the first time; archiving the client takes it away"
    return Step(client.client, unit, _present(client, unit), back, Fate.FIRST_SIGHT, words)


def _judged(client: ClientRow, unit: str, back: Value, made: Maybe, context: Context) -> Step:
    """Drift and consent: what is done about one value."""
    now = _present(client, unit)
    fate, reason = Fate.UNDONE, "the next cycle writes it"
    if client.state is ClientState.DELETED:
        fate, reason = Fate.REFUSED, "the client is deleted; a tombstone is not taken back"
    elif not _same(unit, now, made, client, context):
        fate, reason = Fate.DRIFTED, "it has changed again since"
    elif unit == CONSENT and now is False and back is not False:
        fate, reason = Fate.REFUSED, "an opt-out is never reversed by syncd; ask the person and type it in a system"
    return Step(client.client, unit, now, back, fate, reason)


# ---------------------------------------------------------------- a write


def _of_write(tx: Tx, identifier: str, systems: Mapping[str, System], context: Context) -> list[Step]:
    row = tx.write(identifier)
    if row is None:
        raise UsageError(f"there is no write {identifier}")
    if row.state is not WriteState.DONE:
        error = UsageError(f"write {identifier} is {row.state.value}: it has changed nothing that could be undone")
        error.next_step = f"`syncd drop {identifier}` gives up a write that waits or is parked."
        raise error
    if row.action in (Action.CREATE, Action.DELETE, Action.MERGE):
        return [_about_record(row)]
    client = tx.client(tx.resolve_alias(row.client) or row.client)
    if client is None:
        raise UsageError(f"the client of write {identifier} is not there any more")
    changes = tx.changes(client=row.client)
    steps = []
    for unit in dict.fromkeys(unit_of(name) for name in row.fields):
        made = {**client.fields, **{part: row.fields[part] for part in parts_of(unit) if part in row.fields}}
        cause = _cause(client, unit, changes, context)
        back = _before_write(row, unit, client, cause, systems.get(row.system))
        system = systems.get(row.system)
        shows = system is not None and system.same(unit, client.fields)(_present(client, unit), back)
        if shows or _is_back(client, unit, back, context):
            continue
        cycle = tx.cycle(cause.cycle) if cause is not None and cause.cycle is not None else None
        if cause is not None and cycle is not None and _came_at_first_sight(client, cause.system, back, cycle, tx):
            steps.append(_first_sight(client, unit, back))
        else:
            steps.append(_judged(client, unit, back, unit_value(made, unit), context))
    return steps


def _cause(client: ClientRow, unit: str, changes: Iterable[ChangeRow], context: Context) -> ChangeRow | None:
    """The change that gave golden the value it has."""
    own = [change for change in changes if change.unit == unit]
    if not own or not _same(unit, own[-1].after, _present(client, unit), client, context):
        return None
    return own[-1]


def _came_at_first_sight(client: ClientRow, system: str, back: Value, cycle: CycleRow, tx: Tx) -> bool:
    return _is_empty(back) and (
        client.created_at >= cycle.started_at or (client.client, system) in _linked_since(tx, [client], cycle)
    )


def _before_write(row: WriteRow, unit: str, client: ClientRow, cause: ChangeRow | None, system: System | None) -> Value:
    """What the unit was before a write: golden's own earlier value where the record showed a form of it, else what the record showed."""
    shown = {part: row.before[part] for part in parts_of(unit) if part in row.before}
    back = _earlier(unit, unit_value({**client.fields, **shown}, unit))
    if cause is not None and system is not None:
        richer = _earlier(unit, cause.before)
        if system.same(unit, client.fields)(richer, back):
            return richer
    return back


def _about_record(row: WriteRow) -> Step:
    """A write that made, ended or joined records."""
    match row.action:
        case Action.CREATE:
            reason = f"syncd does not take a created record back; archive record {row.external_id} in {row.system}"
        case Action.DELETE:
            reason = f"a record that was deleted in {row.system} cannot be brought back"
        case _:
            reason = f"`syncd unmerge {row.client}` takes a merge back"
    return Step(row.client, "record", row.external_id, None, Fate.REFUSED, reason, row.write)


# ---------------------------------------------------------------- values


def _present(client: ClientRow, unit: str) -> Value:
    value = unit_value(client.fields, unit)
    return None if value is UNKNOWN else value


def _earlier(unit: str, before: Maybe) -> Value:
    """The value to go back to. A client that was not known to be archived was not."""
    value = None if before is UNKNOWN else before
    if unit == "archived" and value is None:
        return False
    if is_group(unit) and isinstance(value, dict):
        return {part: value.get(part) for part in parts_of(unit)}
    return value


def _is_empty(value: Value) -> bool:
    return value in (None, "", []) or (isinstance(value, dict) and all(part is None for part in value.values()))


def _same(unit: str, left: Maybe, right: Maybe, client: ClientRow, context: Context) -> bool:
    """Canonical equality; of a group, of the parts that both know."""
    first, second = (None if value is UNKNOWN else value for value in (left, right))
    if is_group(unit):
        sides = unit_fields(unit, first), unit_fields(unit, second)
        shared = sides[0].keys() & sides[1].keys()
        first, second = ({part: side[part] for part in shared} for side in sides)
    return normalize.same(unit, first, second, context.within(client.fields))
