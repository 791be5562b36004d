"""Brakes: a mass change that began in one system is held as one named set, shown, and released by naming that set, once.

The set of a hold is fixed when it is opened. What joins later makes a new hold of the same kind and system that names the whole set; the
old one lapses, so that a release never covers more than what was shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from syncd import log
from syncd.core.model import UNKNOWN, BrakeKind, Value, unit_value
from syncd.engine import by_hand
from syncd.engine.decide import Scope
from syncd.engine.systems import digest
from syncd.store import HoldKind, HoldRow, HoldState, LinkState, StandingState

if TYPE_CHECKING:
    from syncd.store import LinkRow, RecordRow, Tx

RECORD = "record"
"""In the place of a field, where the whole record is meant."""

STRANGERS = "strangers"
"""Mark of the items of a hold: nobody is left who was known before, so that the list may be another account's."""

SHOWN = "shown"
"""Key in an item of a hold: what each record of the system showed then, by external id. A refusal concerns nothing else."""

Item = tuple[str, str, str]
"""(client, unit, digest of the value): one change of a braked set."""

_log = log.get("brakes")


@dataclass(slots=True)
class Mass:
    """The changes of one reconcile, by (kind, system)."""

    counts: dict[tuple[BrakeKind, str], dict[Item, Value]] = field(default_factory=dict)

    def add(self, found: Iterable[tuple[BrakeKind, str, str, str, Value]]) -> None:
        """Count what one client's decisions would change (see `mass_changes`)."""
        for kind, system, client, unit, value in found:
            self.counts.setdefault((kind, system), {})[(client, unit, digest(value))] = value


def settle_brakes(tx: Tx, mass: Mass, scope: Scope) -> tuple[frozenset[Item], int]:
    """Hold what is over its limit; returns the (client, unit, system) that are barred, and how many holds were opened."""
    barred: set[Item] = set()
    opened = 0
    standing = {_of(hold): hold for hold in tx.holds(HoldState.OPEN) if is_edit_brake(hold)}
    released = {item for hold in tx.holds(HoldState.RELEASED) if is_edit_brake(hold) for item in _items(hold)}
    for (kind, system), found in mass.counts.items():
        held = standing.pop((kind, system), None)
        before = _items(held) if held else set()
        fresh = {item for item in found if (kind.value, system, *item) not in released}
        new = {item for item in fresh if (kind.value, system, *item) not in before}
        still = fresh - new
        records = tx.count_records(system)
        clients = {client for client, _, _ in new}
        over = scope.policy.brake(kind).stops(len(clients), records)
        whole = still | new if over else still
        barred.update((client, unit, system) for client, unit, _ in whole)
        if held is not None and whole == {tuple(item[2:]) for item in before}:
            continue
        if held is not None:
            tx.put_hold(replace(held, state=HoldState.LAPSED, decided_at=scope.now, decided_by="the set changed"))
        if whole:
            _open(tx, kind, system, {item: found[item] for item in whole}, records, scope)
            opened += 1
    for held in standing.values():
        tx.put_hold(
            replace(held, state=HoldState.LAPSED, decided_at=scope.now, decided_by="nothing of the set is left")
        )
    return frozenset(barred), opened


def finish_released(tx: Tx) -> None:
    """After the released sets were decided: each release counts once."""
    for hold in tx.holds(HoldState.RELEASED):
        if is_edit_brake(hold):
            tx.put_hold(replace(hold, state=HoldState.DONE))


def is_edit_brake(hold: HoldRow) -> bool:
    """Whether a hold is about edited fields, and not about records that vanished."""
    return hold.kind is HoldKind.BRAKE and bool(hold.items) and hold.items[0].get("field") != RECORD


def is_record_brake(hold: HoldRow) -> bool:
    """Whether a hold keeps back that records vanished: deletes or unlinks."""
    return hold.kind is HoldKind.BRAKE and bool(hold.items) and hold.items[0].get("field") == RECORD


def is_of_strangers(hold: HoldRow) -> bool:
    """Whether a hold is about a system of which nobody is left who was known before; what only it shows is created nowhere meanwhile."""
    return hold.kind is HoldKind.BRAKE and bool(hold.items) and bool(hold.items[0].get(STRANGERS))


def shown(link: LinkRow, record: RecordRow | None, unit: str) -> Value:
    """What a record shows of a unit, also where it is (one value of) one contact; None where it shows nothing."""
    if record is None:
        return None
    if by_hand.is_about_contacts(unit):
        return by_hand.shown(link, record, unit)
    value = unit_value(record.fields, unit)
    return None if value is UNKNOWN else value


def let_go(tx: Tx, hold: HoldRow) -> None:
    """Have decided anew who waits with a hold that ends: the clients that it names, and those that nobody but strangers shows."""
    tx.mark_dirty(sorted({str(item["client"]) for item in hold.items if item.get("client")}))
    if is_of_strangers(hold):
        tx.mark_dirty(tx.known_only_in(str(hold.system)))
        tx.mark_dirty_by_standing(str(hold.system), StandingState.HELD)  # who was to be created there


def _of(hold: HoldRow) -> tuple[BrakeKind, str]:
    return BrakeKind(hold.items[0]["kind"]), str(hold.system)


def _items(hold: HoldRow) -> set[tuple[str, str, str, str, str]]:
    return {
        (str(item["kind"]), str(hold.system), str(item["client"]), str(item["field"]), digest(item["value"]))
        for item in hold.items
    }


def _takes_part(link: LinkRow, system: str) -> bool:
    return link.system == system and link.state is not LinkState.APART


def _open(tx: Tx, kind: BrakeKind, system: str, found: dict[Item, Value], records: int, scope: Scope) -> None:
    sides = {bundle.client.client: bundle.sides for bundle in tx.bundles(sorted({client for client, _, _ in found}))}
    items = [
        {"kind": kind.value, "client": client, "field": unit, "system": system, "value": value}
        | {
            SHOWN: {
                row.external_id: shown(row, record, unit) for row, record in sides[client] if _takes_part(row, system)
            }
        }
        for (client, unit, _), value in sorted(found.items(), key=lambda entry: entry[0])
    ]
    clients = len({item["client"] for item in items})
    limit = scope.policy.brake(kind)
    reason = f"{kind.value}: {clients} of {records} records of {system} at once; the limit is {limit.count} and {limit.share:.0%}"
    hold = tx.new_ids("h", 1)[0]
    tx.put_hold(HoldRow(hold, HoldKind.BRAKE, system, reason, items, scope.now, f"brake:{digest(items)}"))
    _log.warning("brake_set", system=system, kind=kind.value, records=clients, hold=hold)
