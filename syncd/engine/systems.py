"""One connected system as the engine sees it: the tenant's policy for it and the provider that talks to it.

Translates what a provider declares into what the pure core asks for: sides of a merge, targets of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from syncd.core import normalize
from syncd.core.correlate import Identity, identity, keys_of
from syncd.core.matching import MATCHING, Matching
from syncd.core.merge import Side, is_shortened
from syncd.core.model import (
    UNKNOWN,
    Context,
    Fields,
    Mode,
    Policy,
    SystemPolicy,
    Value,
    is_group,
    parts_of,
    unit_of,
    unit_value,
)
from syncd.core.plan import Target

if TYPE_CHECKING:
    from syncd.providers import FieldSpec, Provider
    from syncd.store import LinkRow, RecordRow


_ENCODER = msgspec.json.Encoder(order="deterministic", decimal_format="number")


def digest(value: object) -> str:
    """A digest of some JSON that does not depend on the order of keys."""
    return blake2b(_ENCODER.encode(value), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class System:
    """A system of the tenant, ready to be pulled and pushed."""

    policy: SystemPolicy
    provider: Provider
    context: Context
    matching: Matching = MATCHING

    @property
    def name(self) -> str:
        """The name that the tenant's file gives it."""
        return self.policy.name

    @property
    def mode(self) -> Mode:
        """How far syncd may go there."""
        return self.policy.mode

    @property
    def deletes(self) -> bool:
        """Whether a record is deleted there for ever because another system deleted its client."""
        return self.policy.on_delete == "delete" and self.provider.capabilities.delete and self.mode.updates

    @property
    def scope(self) -> str:
        """A digest of the settings that say what a system lists: where it is and which account, never how it is logged into."""
        settings = self.provider.settings
        named = ("company_id", "business_id", "dialect", "instance", "world")
        options = {key: str(settings.options[key]) for key in named if settings.options.get(key) is not None}
        return digest([settings.provider, settings.base_url, options])

    def spec(self, field: str) -> FieldSpec | None:
        """What the provider can do with a field, None where it does not know it."""
        return self.provider.fields.get(field)

    def match_keys(self, fields: Fields) -> frozenset[tuple[str, str]]:
        """The keys under which a record of this system is found again by correlation."""
        return keys_of(self.identity(fields), self.matching.extras)

    def identity(self, fields: Fields) -> Identity:
        """What of a record of this system is compared with others."""
        return identity(fields, self.context, self.matching.extras)

    def same(self, unit: str, golden: Fields) -> Callable[[Value, Value], bool]:
        """Equality of two values of a unit as this system can tell: their projections are equal.

        A merge asks about the same two values again and again: a pair is compared once (kept with its answer, so that its ids stay its own).
        """
        known: dict[tuple[int, int], tuple[Value, Value, bool]] = {}

        def same(left: Value, right: Value) -> bool:
            if left is right or normalize.identical(left, right):
                return True
            pair = (id(left), id(right))
            if pair not in known:
                shown = self.provider.project(unit, left, golden), self.provider.project(unit, right, golden)
                known[pair] = (left, right, normalize.same(unit, *shown, self.context.within(golden)))
            return known[pair][2]

        return same

    def arrived(self, unit: str, golden: Fields, shown: Value, told: Sequence[Value]) -> tuple[Value, Value] | None:
        """What a record came to show of the last of several values that it may have been told, and that value; None where it shows none.

        A shortened form of one shows, too, that it came.
        """
        same = self.same(unit, golden)
        for value in reversed(told):
            if same(shown, value):
                return shown, value
        for value in reversed(told):
            form = self.provider.project(unit, value, golden)
            if is_shortened(shown, form, value):
                return form, value
        return None

    def part_same(self, golden: Fields) -> Callable[[str, Value, Value], bool]:
        """Equality of two values of one field as this system can tell; parts it cannot hold never differ."""

        def same(field: str, left: Value, right: Value) -> bool:
            if normalize.identical(left, right):
                return True
            unit = unit_of(field)
            if not is_group(unit):
                return self.same(unit, golden)(left, right)
            shown = [self.provider.project(unit, {field: value}, golden) for value in (left, right)]
            if any(isinstance(value, dict) and field not in value for value in shown):
                return True
            return normalize.same(unit, shown[0], shown[1], self.context.within(golden))

        return same

    def shows(self, unit: str) -> bool:
        """Whether what this system says of a unit is known, from reading it or from remembering what was written."""
        fields = self.provider.fields
        return any(spec.read or spec.remembered for part in parts_of(unit) if (spec := fields.get(part)) is not None)

    def side(self, unit: str, golden: Fields, link: LinkRow, record: RecordRow, policy: Policy) -> Side:
        """This system's view of one unit of a client, for the merge."""
        base = link.bases.get(unit)
        sources = policy.field(unit).sources
        fields = self.provider.fields
        specs = [fields[part] for part in parts_of(unit) if part in fields]
        known = [spec for spec in specs if spec.read or spec.remembered]
        return Side(
            system=self.name,
            external_id=record.external_id,
            mirror=unit_value(record.fields, unit) if known else UNKNOWN,
            seen=base.seen if base else UNKNOWN,
            agreed=base.agreed if base else UNKNOWN,
            same=self.same(unit, golden),
            part_same=self.part_same(golden),
            weak=bool(known) and all(spec.weak for spec in known),
            may_change=sources is None or self.name in sources,
            seen_at=record.changed_at,
            modified_at=modified_at(record.memory),
        )

    def target(self, golden: Fields, blocked: str | None) -> Target:
        """This system as a place to write the client to, for the plan."""
        specs = self.provider.fields
        capabilities = self.provider.capabilities
        updates = frozenset(field for field, spec in specs.items() if spec.update and capabilities.update)
        return Target(
            policy=self.policy,
            creates=frozenset(field for field, spec in specs.items() if spec.create),
            updates=updates,
            can_create=capabilities.create,
            same=self.part_same(golden),
            objection=self.provider.objection(golden),
            blocked=blocked,
            fixed=frozenset(field for field, spec in specs.items() if spec.fixed),
        )


def number_of(name: str | None) -> int:
    """The place of a cycle, or of a change, among all of the tenant's: `y12` is 12, none is 0. Later ones are greater, whatever the clock says."""
    return int(name[1:]) if name else 0


def modified_at(memory: Mapping[str, object]) -> datetime | None:
    """When the system says the record was last edited, where the provider remembered it (ISO 8601)."""
    text = memory.get("modified_at")
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def whole_groups(system: System, fields: Fields, shown: Fields) -> dict[str, Value]:
    """The patch with every group whole, its other parts as the record shows them.

    What somebody types between the reading and the writing is thereby never mixed with it.
    """
    parts = [part for unit in dict.fromkeys(unit_of(name) for name in fields) for part in parts_of(unit)]
    kept = [part for part in parts if part in shown and (spec := system.spec(part)) is not None and spec.update]
    return {**{part: shown[part] for part in kept}, **fields}
