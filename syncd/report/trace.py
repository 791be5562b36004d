"""Why a value is what it is: back to the decision, the rule, the candidates, the cycle, the walk and the record; forward to the writes.

Every look-up is by client or by id, so that the answer takes as long for a hundred thousand clients as for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from syncd.core.model import FIELDS, UNKNOWN, Maybe, parts_of, unit_of, unit_value, units_in
from syncd.engine.trail import GOLDEN_COMPLETED
from syncd.report.rows import Document, conflict_document, hold_document, plain, write_document
from syncd.store import (
    OPEN_WRITES,
    AuditRow,
    Base,
    Bundle,
    ChangeRow,
    ConflictRow,
    HoldRow,
    LinkRow,
    LinkState,
    RecordRow,
    Standing,
    Store,
    Tx,
    WalkRow,
    WriteRow,
)

if TYPE_CHECKING:
    from syncd.engine.systems import System


@dataclass(frozen=True, slots=True)
class _Known:
    """Everything the store has about one client."""

    bundle: Bundle
    changes: Sequence[ChangeRow]
    conflicts: Sequence[ConflictRow]
    holds: Sequence[HoldRow]
    writes: Sequence[WriteRow]
    standings: Mapping[str, Standing]
    audit: Sequence[AuditRow]


def why(store: Store, tenant: str, client: str, field: str | None, systems: Mapping[str, System]) -> Document | None:
    """One field of a client (or all that anybody knows), with cause and effect; None for an unknown client.

    field: any canonical field; a part of a group stands for its group. The id of a client that was merged away tells of the survivor.
    """
    with store.reading() as tx:
        survivor = tx.resolve_alias(client)
        if survivor is None:
            return None
        known = _known(tx, survivor)
        golden = known.bundle.client.fields
        shown = {name for _, record in known.bundle.sides if record is not None for name in record.fields}
        units = [unit_of(field)] if field is not None else units_in({**golden, **dict.fromkeys(shown)})
        entries = [_field(tx, tenant, unit, known, systems) for unit in units]
    return {
        "tenant": tenant,
        "client": survivor,
        "asked_for": client,
        "state": known.bundle.client.state.value,
        "name": golden.get("name"),
        "fields": entries,
    }


def known_field(field: str, document: Mapping[str, Any]) -> bool:
    """Whether a name is a canonical field or group, or a custom field that the document tells something of."""
    if field in FIELDS or unit_of(field) in {spec.unit for spec in FIELDS.values()}:
        return True
    return any(
        entry["field"] == field and (entry["known"] or any(side["agreement"] != "unknown" for side in entry["systems"]))
        for entry in document["fields"]
    )


def family(tx: Tx, client: str) -> list[str]:
    """A client and every client that was merged into it, by whatever way."""
    found = [client]
    for each in found:
        found.extend(alias for alias in tx.aliases(each) if alias not in found)
    return found


def _known(tx: Tx, client: str) -> _Known:
    members = family(tx, client)
    changes = sorted((row for each in members for row in tx.changes(each)), key=lambda row: int(row.change[1:]))
    return _Known(
        bundle=tx.bundles([client])[0],
        changes=changes,
        conflicts=[row for each in members for row in tx.conflicts(client=each)],
        holds=tx.holds_of(client),
        writes=tx.writes(client=client),
        standings={row.system: row for row in tx.standings(client)},
        audit=tx.audit(client),
    )


def _field(tx: Tx, tenant: str, unit: str, known: _Known, systems: Mapping[str, System]) -> Document:
    client = known.bundle.client
    value = unit_value(client.fields, unit)
    changes = [change for change in known.changes if change.unit == unit]
    cause = changes[-1] if changes else None
    conflicts = [row for row in known.conflicts if row.unit == unit or row.unit.startswith(f"{unit}.")]
    writes = [row for row in known.writes if not row.fields.keys().isdisjoint(parts_of(unit))]
    recent = [row for row in writes if cause is None or row.since >= cause.at or row.state in OPEN_WRITES]
    return {
        "field": unit,
        "value": plain(value),
        "known": value is not UNKNOWN,
        "origin": client.origins.get(unit),
        "cause": _cause(tx, tenant, cause, conflicts, known) if cause is not None else None,
        "completed": _completed(unit, value, known.audit) if cause is None or _moved_on(cause, value) else None,
        "earlier": [_change(row) for row in changes[:-1]],
        "conflicts": [conflict_document(tenant, row) for row in conflicts],
        "holds": [
            hold_document(tenant, row)
            for row in known.holds
            if row.state.value == "open" and any(item.get("field") in (None, unit) for item in row.items)
        ],
        "writes": [
            {
                **write_document(tenant, row),
                "before": {part: row.before[part] for part in parts_of(unit) if part in row.before},
                "after": {part: row.fields[part] for part in parts_of(unit) if part in row.fields},
                "done_at": row.done_at,
            }
            for row in recent
        ],
        "systems": _systems(unit, value, known, systems),
    }


def _moved_on(cause: ChangeRow, value: Maybe) -> bool:
    """Whether golden holds more than its last change told (a derived split, a value taken over from a merged client)."""
    told = cause.after
    if isinstance(told, dict) and isinstance(value, dict):
        return any(value.get(part) != each for part, each in told.items()) or value.keys() > told.keys()
    return plain(told) != plain(value)


def _completed(unit: str, value: Maybe, audit: Iterable[AuditRow]) -> Document | None:
    """The audit row that tells what no change does: a part that follows from others, what came with a merge, a gathered list."""
    if value is UNKNOWN:
        return None
    for row in reversed(list(audit)):
        if row.kind == GOLDEN_COMPLETED and not set(parts_of(unit)).isdisjoint(row.payload.get("fields", {})):
            parts = sorted(set(parts_of(unit)) & row.payload["fields"].keys())
            return {"at": row.at, "cycle": row.cycle, "by": row.actor, "fields": parts}
    return None


def _cause(tx: Tx, tenant: str, change: ChangeRow, conflicts: Iterable[ConflictRow], known: _Known) -> Document:
    """The decision that made the value, and where it came from."""
    decided = [
        row
        for row in conflicts
        if (change.cycle is not None and row.cycle == change.cycle and row.logged_at == change.at)
        or row.conflict in change.reason.split()
    ]
    walk = tx.walk_in(change.cycle, change.system) if change.cycle is not None else None
    side = next(
        (
            side
            for side in known.bundle.sides
            if (side[0].system, side[0].external_id) == (change.system, change.external_id)
        ),
        None,
    )
    return {
        **_change(change),
        "conflict": conflict_document(tenant, decided[-1]) if decided else None,
        "walk": _walk(walk),
        "record": _record(side[1], change.unit) if side is not None and side[1] is not None else None,
    }


def _change(row: ChangeRow) -> Document:
    return {
        "change": row.change,
        "at": row.at,
        "cycle": row.cycle,
        "system": row.system,
        "external_id": row.external_id,
        "before": plain(row.before),
        "after": plain(row.after),
        "reason": row.reason,
    }


def _walk(row: WalkRow | None) -> Document | None:
    if row is None:
        return None
    return {
        "walk": row.walk,
        "system": row.system,
        "started_at": row.started_at,
        "outcome": row.outcome.value,
        "records": row.records,
        "requests": row.requests,
    }


def _record(row: RecordRow, unit: str) -> Document:
    return {
        "system": row.system,
        "external_id": row.external_id,
        "state": row.state.value,
        "shows": plain(unit_value(row.fields, unit)),
        "seen_at": row.seen_at,
        "changed_at": row.changed_at,
        "walk": row.walk,
    }


def _systems(unit: str, value: Maybe, known: _Known, systems: Mapping[str, System]) -> list[Document]:
    """Per system and record: what it shows, and whether that agrees with golden as this system can tell."""
    told: list[Document] = []
    open_writes = {row.system: row for row in known.writes if row.state in OPEN_WRITES}
    for name in dict.fromkeys((*systems, *(link.system for link, _ in known.bundle.sides))):
        standing = known.standings.get(name)
        sides: list[tuple[LinkRow | None, RecordRow | None]] = [
            side for side in known.bundle.sides if side[0].system == name and side[0].state is not LinkState.APART
        ]
        for link, record in sides or [(None, None)]:
            shown = unit_value(record.fields, unit) if record is not None else UNKNOWN
            base = link.bases.get(unit) if link is not None else None
            write = open_writes.get(name)
            told.append(
                {
                    "system": name,
                    "external_id": link.external_id if link is not None else None,
                    "link": link.state.value if link is not None else None,
                    "matched_by": link.matched_by if link is not None else None,
                    "record_state": record.state.value if record is not None else None,
                    "shows": plain(shown),
                    "agreement": _agreement(unit, value, shown, known, systems.get(name), base),
                    "base": None if base is None else {"seen": plain(base.seen), "agreed": plain(base.agreed)},
                    "seen_at": record.seen_at if record is not None else None,
                    "changed_at": record.changed_at if record is not None else None,
                    "walk": record.walk if record is not None else None,
                    "standing": standing.state.value if standing is not None else None,
                    "reason": standing.reason if standing is not None else "",
                    "open_write": write.write if write is not None and _is_about(write, unit) else None,
                }
            )
    return told


def _is_about(write: WriteRow, unit: str) -> bool:
    return not write.fields.keys().isdisjoint(parts_of(unit))


def _agreement(unit: str, golden: Maybe, shown: Maybe, known: _Known, system: System | None, base: Base | None) -> str:
    """Whether a record agrees: equal, equivalent (the same as this system can tell), default (its own, where golden is empty), differs, or unknown."""
    if shown is UNKNOWN:
        return "unknown"
    value = None if golden is UNKNOWN else golden
    if shown == value:
        return "equal"
    same = system is not None and system.same(unit, known.bundle.client.fields)(shown, value)
    if same:
        return "equivalent"
    return "default" if is_own_default(base, shown, golden, golden) else "differs"


def is_own_default(base: Base | None, shown: Maybe, golden: Maybe, part: Maybe) -> bool:
    """Whether a unit that a system shows was agreed to stand beside golden, of which this part is empty: a default that nobody typed."""
    known = None if golden is UNKNOWN else golden
    empty = part is UNKNOWN or part in (None, "", [])
    return empty and base is not None and base.seen == shown and base.agreed is not UNKNOWN and base.agreed == known
