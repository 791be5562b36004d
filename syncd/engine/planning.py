"""From one decided client to its writes: what goes into the outbox, what waiting writes it replaces, and where it stands.

At most one write per (client, system) waits. A write that is on its way or in doubt is left alone until its effect was observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.core.model import Action, Value, unit_of
from syncd.core.plan import Held, Intent, Place, Wish, place
from syncd.core.plan import Standing as State
from syncd.engine import absorbing
from syncd.engine.brakes import RECORD
from syncd.engine.decide import Draft, Scope
from syncd.engine.systems import System, digest, number_of
from syncd.store import (
    Bundle,
    ClientState,
    HoldKind,
    HoldRow,
    LinkRow,
    LinkState,
    RecordRow,
    RecordState,
    Standing,
    StandingState,
    WriteRow,
    WriteState,
)

DELETED_IN = "deleted in "
"""Prefix of the origin of `archived` where a delete in a system is its cause."""

TO_BE_DELETED = "delete"
"""Kept as the base of `RECORD` of a link: its record was to be deleted when the delete elsewhere was believed."""


@dataclass(slots=True)
class Outbound:
    """What the plan of one client changes: new and dropped writes, its standings, holds of oscillating fields."""

    writes: list[WriteRow] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)


def plan_client(
    bundle: Bundle, draft: Draft, scope: Scope, open_writes: Mapping[str, WriteRow], held_units: frozenset[str]
) -> Outbound:
    """Plan the writes of one client in every system. open_writes: its writes that are neither done nor dropped, by system."""
    outbound = Outbound()
    live = draft.client.state not in (ClientState.MERGED, ClientState.DELETED)
    wish = Wish(
        golden=draft.client.fields,
        decisions=draft.decisions,
        policies=scope.policy.field,
        active=live and draft.client.state is ClientState.ACTIVE,
        held=scope.held_clients.get(draft.client.client) or _held_end(bundle, draft, scope),
        held_units=frozenset(draft.held_units) | held_units,
        extras=draft.extras,
    )
    if not live:
        return _give_up(open_writes, scope)
    for system in scope.systems.values():
        _plan_system(bundle, draft, wish, system, scope, open_writes.get(system.name), outbound)
    if draft.settles_at is not None:
        outbound.standings = [_settling(standing) for standing in outbound.standings]
    return outbound


def _vanishing(bundle: Bundle, draft: Draft) -> str | None:
    """Why a client is created nowhere as long as its records are missing and none is there: perhaps it was deleted."""
    live = [
        record for link, record in bundle.sides if draft.links[link.system, link.external_id].state is LinkState.LINKED
    ]
    missing = [record for record in live if record is not None and record.state is RecordState.MISSING]
    if not missing or len(missing) < len(live):
        return None
    return f"its record {missing[0].external_id} in {missing[0].system} is missing; not confirmed yet"


def _held_end(bundle: Bundle, draft: Draft, scope: Scope) -> str | None:
    """The hold that says whether a client was deleted of which no record is there; None where it is not asked of a person."""
    reasons = [
        scope.held_ends[key] for name in scope.systems if (key := (draft.client.client, name)) in scope.held_ends
    ]
    return reasons[0] if reasons and _vanishing(bundle, draft) is not None else None


def _settling(standing: Standing) -> Standing:
    if standing.state is not StandingState.IN_SYNC:
        return standing
    return replace(standing, state=StandingState.PENDING, reason="a value is still being typed somewhere")


def _give_up(open_writes: Mapping[str, WriteRow], scope: Scope) -> Outbound:
    """A client that is no more wants nothing written; what is on its way is observed when it arrives."""
    return Outbound(
        [_dropped(row, scope) for row in open_writes.values() if row.state in (WriteState.WAITING, WriteState.PARKED)]
    )


def _plan_system(
    bundle: Bundle,
    draft: Draft,
    wish: Wish,
    system: System,
    scope: Scope,
    open_write: WriteRow | None,
    outbound: Outbound,
) -> None:
    link, record = _record_in(bundle, draft, system.name, scope)
    target = system.target(draft.client.fields, scope.blocked.get(system.name) or _vanishing(bundle, draft))
    held = _held(link, record)
    outcome = place(wish, target, held)
    if system.name in scope.closed and (outcome.standing, outcome.reason) == (
        State.PENDING,
        scope.blocked[system.name],
    ):
        outcome = replace(outcome, standing=State.HELD)
    asked = scope.held_ends.get((draft.client.client, system.name))
    if asked is not None and held is not None and held.state == "missing" and outcome.standing is State.EXCLUDED:
        outcome = replace(outcome, standing=State.HELD, reason=asked)  # whether it was deleted
    intent = outcome.intent
    if draft.client.origins.get("archived", "").startswith(DELETED_IN):
        intent = _after_delete(intent, draft, system, held, record)
    idle = open_write is None or open_write.state in (WriteState.WAITING, WriteState.PARKED)
    ignored = intent is None and outcome.intent is not None
    if intent is None and idle and (ignored or absorbing.is_ready(outcome)):
        following = _retire(bundle, draft, wish, system, scope, outcome)
        if isinstance(following, Place):
            outcome = following
        else:
            intent = following
    if intent is not None and link is not None:
        own = draft.links.get((system.name, intent.external_id or ""), link)
        intent = _within_budget(intent, own, draft, scope, outbound)
    if intent is not None and scope.frozen is not None:
        outcome, intent = Place(system.name, State.PENDING, scope.frozen), None
    standing = _settle_writes(draft, system, scope, outcome, intent, open_write, outbound)
    outbound.standings.append(standing)


def _retire(
    bundle: Bundle, draft: Draft, wish: Wish, system: System, scope: Scope, outcome: Place
) -> Intent | Place | None:
    """After a merge of clients: the write that archives the next record that does not survive; those that are through stand apart.

    One that is left as it is has to be heard first: a `Place` that waits for that. Before the first run was released it waits; where nothing
    is ever written there is nothing to wait for.
    """
    if scope.frozen is not None and not scope.only_observes:
        return None
    if wish.held_units or draft.held_units or draft.settles_at is not None:
        return None
    for row, record in bundle.sides:
        key = (row.system, row.external_id)
        if row.system != system.name or key not in scope.absorbed:
            continue
        survivor = scope.absorbed[key][1]
        targets = wish.policies("archived").targets
        what = absorbing.retirement(row, record, system, outcome, survivor, targets)
        if isinstance(what, Intent):
            return what
        if what is not None and key in scope.unheard:
            return Place(
                system.name,
                State.PENDING,
                f"record {row.external_id} was not read since its client was merged, or may be an old copy; a complete walk reads it",
            )
        if what is not None:
            draft.links[key] = absorbing.set_apart(draft.links[key], survivor, what)
    return None


def _record_in(bundle: Bundle, draft: Draft, system: str, scope: Scope) -> tuple[LinkRow | None, RecordRow | None]:
    """The record that stands for the client in a system: a live one before one that is gone, and never one that does not survive."""
    sides = [
        (draft.links[(link.system, link.external_id)], record)
        for link, record in bundle.sides
        if link.system == system and (link.system, link.external_id) not in scope.absorbed
    ]
    if not sides:
        return None, None
    order = {LinkState.LINKED: 0, LinkState.MISSING: 1, LinkState.GONE: 2, LinkState.APART: 3}
    return min(sides, key=lambda side: (order[side[0].state], side[0].external_id))


def _held(link: LinkRow | None, record: RecordRow | None) -> Held | None:
    if link is None or link.state is LinkState.APART:
        return None
    if link.state is LinkState.GONE:
        return Held(link.external_id, "gone", {})
    if record is None or record.state in (RecordState.MISSING, RecordState.GONE):
        return Held(link.external_id, "missing", {})
    if record.state is RecordState.QUARANTINED:
        return Held(link.external_id, "linked", record.fields, parked=record.reason or "the record cannot be read")
    return Held(link.external_id, "linked", record.fields)


def _after_delete(
    intent: Intent | None, draft: Draft, system: System, held: Held | None, record: RecordRow | None
) -> Intent | None:
    """After a delete elsewhere: archive (the default), delete where the tenant says so, or nothing."""
    if held is None or held.state != "linked":
        return intent
    if system.deletes and _is_sentenced(draft, system, held, record):
        before: dict[str, Value] = {"archived": held.fields.get("archived")}
        reason = f"archived: {draft.client.origins['archived']}"
        return Intent(system.name, held.external_id, Action.DELETE, {}, before, reason)
    if system.policy.on_delete == "ignore" and intent is not None:
        rest = {name: value for name, value in intent.fields.items() if name != "archived"}
        return replace(intent, fields=rest, action=Action.UPDATE) if rest else None
    return intent


def _is_sentenced(draft: Draft, system: System, held: Held, record: RecordRow | None) -> bool:
    """Whether this very record was to be deleted when the delete elsewhere was believed, takes part, and nobody has edited it since."""
    base = draft.links[system.name, held.external_id].bases.get(RECORD)
    if base is None or base.agreed != TO_BE_DELETED or base.written_at is None or record is None:
        return False
    only = system.policy.only
    takes_part = only is None or only({**draft.client.fields, "archived": False})
    return takes_part and record.changed_at <= base.written_at


def _within_budget(intent: Intent, link: LinkRow, draft: Draft, scope: Scope, outbound: Outbound) -> Intent | None:
    """Freeze units that were written too often with no person's edit between: something answers every write with another value."""
    newest = number_of(scope.cycle)
    frozen = [
        unit
        for unit in dict.fromkeys(unit_of(name) for name in intent.fields)
        if unit in link.bases
        and sum(newest - number_of(cycle) < scope.policy.write_budget_cycles for cycle in link.bases[unit].writes)
        >= scope.policy.write_budget
    ]
    if not frozen:
        return intent
    client = draft.client.client
    for unit in frozen:
        items = [{"client": client, "field": unit, "system": link.system, "external_id": link.external_id}]
        reason = f"{unit} was written {scope.policy.write_budget} times and the system shows another value each time"
        key = f"field:{digest([client, unit, link.system, link.external_id])}"
        outbound.holds.append(HoldRow("", HoldKind.FIELD, link.system, reason, items, scope.now, key))
    rest = {name: value for name, value in intent.fields.items() if unit_of(name) not in frozen}
    draft.held_units.update(frozen)
    return replace(intent, fields=rest, before={name: intent.before.get(name) for name in rest}) if rest else None


def _settle_writes(
    draft: Draft,
    system: System,
    scope: Scope,
    outcome: Place,
    intent: Intent | None,
    open_write: WriteRow | None,
    outbound: Outbound,
) -> Standing:
    """Bring the outbox into line with the intent, and say where the client stands."""
    client = draft.client.client
    if open_write is not None and open_write.state in (WriteState.SENDING, WriteState.IN_DOUBT):
        return Standing(client, system.name, StandingState.PENDING, "a write is on its way", outcome.drift)
    if open_write is not None and open_write.state is WriteState.PARKED:
        if intent is not None and _same_write(open_write, intent):
            words = str((open_write.error or {}).get("message", "parked"))
            return Standing(client, system.name, StandingState.FAILING, words, outcome.drift)
        outbound.writes.append(_dropped(open_write, scope))
    if open_write is not None and open_write.state is WriteState.WAITING and intent is None:
        outbound.writes.append(_dropped(open_write, scope))
    waits = open_write is not None and open_write.state is WriteState.WAITING
    if intent is not None and not (open_write is not None and waits and _same_write(open_write, intent)):
        outbound.writes.append(_write(client, intent, scope))
    state = StandingState(outcome.standing.value)
    if intent is not None and state is not StandingState.HELD:
        state = StandingState.PENDING
    elif intent is None and outcome.intent is not None:
        state = StandingState.HELD if draft.held_units else StandingState.EXCLUDED
    return Standing(client, system.name, state, outcome.reason, outcome.drift)


def _same_write(write: WriteRow, intent: Intent) -> bool:
    return write.action == intent.action and write.fields == intent.fields and write.external_id == intent.external_id


def _dropped(write: WriteRow, scope: Scope) -> WriteRow:
    return replace(write, state=WriteState.DROPPED, done_at=scope.now, reason=f"{write.reason}; no longer wanted")


def _write(client: str, intent: Intent, scope: Scope) -> WriteRow:
    return WriteRow(
        write="",
        system=intent.system,
        client=client,
        external_id=intent.external_id,
        action=intent.action,
        fields=intent.fields,
        before=intent.before,
        since=scope.now,
        cycle=scope.cycle,
        reason=intent.reason,
    )


def fill_ids(rows: Sequence[WriteRow], ids: Sequence[str]) -> list[WriteRow]:
    """Give new writes their numbers; `ids` has as many as there are rows without one."""
    given = iter(ids)
    return [row if row.write else replace(row, write=next(given)) for row in rows]
