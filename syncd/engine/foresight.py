"""What a merge, or taking one back, will ask of the systems, and what of it cannot be undone there; told before anybody consents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.core.survivorship import CONSENT
from syncd.engine.absorbing import ARCHIVED, duplicates, objection
from syncd.engine.automatic import is_merge_brake, ranked
from syncd.store import HoldKind, LinkState, RecordState

if TYPE_CHECKING:
    from syncd.engine.parting import Parted
    from syncd.engine.systems import System
    from syncd.store import HoldRow, LinkRow, MergeRow, RecordRow, Tx


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one record. lasting: what of it cannot be undone in its system, empty where all can."""

    system: str
    external_id: str
    what: str
    lasting: str = ""


def of_merge(tx: Tx, row: MergeRow, systems: Mapping[str, System]) -> list[Fate]:
    """Every record of the merged client, in the order of the systems. The merge has been made, in this transaction at least."""
    [bundle] = tx.bundles([row.winner])
    absorbed = duplicates(bundle, [row])
    lost = {(str(each["system"]), str(each["external_id"])) for each in row.snapshot["links"][row.losers[0]]}
    fates = [_fate(link, record, absorbed, lost, systems) for link, record in bundle.sides]
    order = list(systems)
    return sorted(fates, key=lambda fate: order.index(fate.system) if fate.system in order else len(order))


def lasting_of_release(
    tx: Tx, hold: HoldRow, join: Callable[[str, str], MergeRow], systems: Mapping[str, System]
) -> list[str]:
    """What releasing a hold would do that cannot be undone in the systems. join: makes two clients one, within a rehearsal."""
    if is_merge_brake(hold):
        pairs = [(str(item["into"]), str(item["client"])) for item in hold.items]
    elif hold.kind in (HoldKind.LINK, HoldKind.MERGE):
        clients = ranked(tx, hold)
        pairs = [(clients[0], loser) for loser in clients[1:]]
    else:
        return []
    told: list[str] = []
    for winner, loser in pairs:
        if tx.resolve_alias(winner) != tx.resolve_alias(loser):
            told.extend(fate.lasting for fate in of_merge(tx, join(winner, loser), systems) if fate.lasting)
    return told


def _fate(
    link: LinkRow,
    record: RecordRow | None,
    absorbed: Mapping[tuple[str, str], tuple[str, str]],
    lost: set[tuple[str, str]],
    systems: Mapping[str, System],
) -> Fate:
    key = (link.system, link.external_id)
    system = systems.get(link.system)
    if link.state is not LinkState.LINKED or record is None or record.state is RecordState.GONE:
        return Fate(*key, f"is {link.state.value}; its id leads to the client")
    if key not in absorbed:
        moves = "moves to the client that stays" if key in lost else "stays"
        told = system is not None and system.mode.updates and system.provider.capabilities.update
        return Fate(*key, f"{moves}, and is brought up to date" if told else f"{moves}; it cannot be told of changes")
    survivor = absorbed[key][1]
    if system is None:
        return Fate(*key, "stays as it is: its system is not configured any more")
    if record.fields.get(ARCHIVED) is True:
        return Fate(*key, f"is archived already; record {survivor} stands for it")
    refusal = objection(system)
    if refusal is not None:
        return Fate(*key, f"stays as it is beside record {survivor}: {refusal}")
    if system.provider.capabilities.merge:
        lasting = f"what {system.name} itself joins of records {survivor} and {link.external_id} stays joined"
        return Fate(*key, f"is merged into record {survivor} by {system.name} itself", lasting)
    lasting = (
        "" if can_restore(system) else f"{system.name} cannot bring record {link.external_id} back from its archive"
    )
    return Fate(*key, f"is archived; record {survivor} stands for it", lasting)


def can_restore(system: System) -> bool:
    """Whether an archived record can be brought back there, and the tenant lets syncd do it."""
    return system.provider.capabilities.restore and system.mode.updates


def lasting_of(tx: Tx, parted: Parted, systems: Mapping[str, System]) -> list[str]:
    """What taking a merge back does not bring back in the systems, and an opt-out that stays."""
    told: list[str] = []
    for step in parted.merge.snapshot.get("steps", ()):
        system = systems.get(str(step["system"]))
        record = tx.records(str(step["system"]), [str(step["external_id"])]).get(str(step["external_id"]))
        name = f"record {step['external_id']} of {step['system']}"
        if record is None or record.state is RecordState.GONE:
            told.append(f"{name} is gone: {step['system']} has merged or deleted it, and it is not created again")
        elif system is not None and system.provider.capabilities.merge:
            told.append(f"what {step['system']} itself has joined of record {step['external_id']} stays joined")
        elif record.fields.get(ARCHIVED) is True and (system is None or not can_restore(system)):
            told.append(f"{name} stays archived: it cannot be brought back there")
    told.extend(f"{each.client} {each.field}: {each.reason}" for each in parted.left if each.field == CONSENT)
    return told
