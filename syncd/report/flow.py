"""Which field flows where: the tenant's wishes and the systems' abilities as one table, which the operator's page draws.

Nothing is read from the store: this is what may happen, not what did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from syncd.core.model import UNITS, Policy, parts_of
from syncd.report.rows import Document

if TYPE_CHECKING:
    from syncd.engine.systems import System


def flow(policy: Policy, systems: Mapping[str, System]) -> Document:
    """Per unit: its rule and, per system, whether it is taken from there and written there, and why not.

    reads: "no", "weak" (fills an empty value and never competes) or "yes". writes: "no", "create" (only when a record is made) or "yes".
    """
    units = []
    for unit in UNITS:
        rule = policy.field(unit)
        places = [_place(unit, policy, system) for system in systems.values()]
        competing = [place["system"] for place in places if place["reads"] == "yes"]
        units.append(
            {
                "field": unit,
                "parts": list(parts_of(unit)),
                "rule": rule.rule.value,
                "own_rule": unit in policy.fields,
                "order": [name for name in rule.order if name in competing],
                "systems": places,
            }
        )
    return {
        "tenant": policy.tenant,
        "systems": [
            {
                "system": name,
                "provider": system.policy.provider,
                "mode": system.mode.value,
                "only": system.policy.only_text,
                "on_delete": system.policy.on_delete,
            }
            for name, system in systems.items()
        ],
        "fields": units,
    }


def _place(unit: str, policy: Policy, system: System) -> Document:
    specs = [spec for part in parts_of(unit) if (spec := system.spec(part)) is not None]
    notes = list(dict.fromkeys(spec.note for spec in specs if spec.note))
    shown = [spec for spec in specs if spec.read or spec.remembered]
    rule = policy.field(unit)
    if not shown:
        reads, why_read = "no", "the system does not hold it"
    elif rule.sources is not None and system.name not in rule.sources:
        reads, why_read = "no", "the tenant's file takes it from others only"
    elif all(spec.weak for spec in shown):
        reads, why_read = "weak", "a constant of the system: it fills an empty value and never competes"
    else:
        reads, why_read = "yes", ""
    writes, why_write = _writes(unit, policy, system)
    return {
        "system": system.name,
        "reads": reads,
        "why_read": why_read,
        "writes": writes,
        "why_write": why_write,
        "notes": notes,
    }


def _writes(unit: str, policy: Policy, system: System) -> tuple[str, str]:
    """How far a unit is written to a system, and why not further."""
    capabilities = system.provider.capabilities
    specs = [spec for part in parts_of(unit) if (spec := system.spec(part)) is not None]
    targets = policy.field(unit).targets
    if targets is not None and system.name not in targets:
        return "no", "the tenant's file writes it elsewhere, or nowhere"
    if not (system.mode.creates or system.mode.updates):
        return "no", f"mode = {system.mode.value}"
    updates = capabilities.archive if unit == "archived" else capabilities.update and any(spec.update for spec in specs)
    creates = capabilities.create and any(spec.create for spec in specs)
    if updates and system.mode.updates:
        return "yes", ""
    if creates and system.mode.creates:
        why = f"mode = {system.mode.value}" if updates else "the system takes it only when a record is made"
        return "create", why
    return "no", f"mode = {system.mode.value}" if updates or creates else "the system does not let it be written"
