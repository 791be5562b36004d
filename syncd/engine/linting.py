"""What the data itself says against the mapping, before anything is written: the data lint of `syncd check`.

It reads the golden records of the store and asks the providers' pure functions; it makes no request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from syncd.core.correlate import match_keys
from syncd.core.model import UNKNOWN, is_group, parts_of, unit_value, units_in
from syncd.engine.checking import Finding
from syncd.store import ClientState

if TYPE_CHECKING:
    from syncd.core.model import Fields
    from syncd.engine.systems import System
    from syncd.store import ClientRow, Store

PAGE: Final = 500
CLIENTS_MAX: Final = 20_000
"""Clients that are looked at; with more the figures are of that many."""

SHARERS: Final = 3
"""An e-mail or phone that more clients share proves nothing."""

SKEW_SECONDS: Final = 60.0
"""Clocks that differ by more are told."""


def lint(store: Store, systems: Mapping[str, System]) -> list[Finding]:
    """Values that would be cut, clients that a system cannot hold, and what is shared by too many to identify anybody."""
    cut: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    shared: Counter[tuple[str, str]] = Counter()
    seen = 0
    for row in _clients(store):
        seen += 1
        for system in systems.values():
            cut.update((system.name, unit) for unit in _cut(system, row.fields))
            if system.mode.creates and system.provider.capabilities.create:
                objection = system.provider.objection(row.fields)
                refused.update([(system.name, objection)] if objection else [])
        context = next(iter(systems.values())).context
        shared.update(key for key in match_keys(row.fields, context) if key[0] in ("email", "phone"))
    return [*_told_cut(cut, seen), *_told_refused(refused), *_told_shared(shared)]


def clocks(skews: Mapping[str, float | None]) -> list[Finding]:
    """Systems whose clock is another. skews: seconds that this machine is ahead of each, None where it does not tell."""
    found = []
    for system, skew in skews.items():
        if skew is not None and abs(skew) > SKEW_SECONDS:
            way = "ahead of" if skew > 0 else "behind"
            message = f"this machine's clock is {abs(skew):.0f} s {way} the system's"
            step = "Set the clock (NTP); until then the rule `newest` may judge wrongly."
            found.append(Finding(system, "warning", "clock", message, step))
    return found


def _clients(store: Store) -> Iterator[ClientRow]:
    after, seen = "", 0
    while seen < CLIENTS_MAX:
        with store.reading() as tx:
            rows = tx.clients(after=after, limit=PAGE)
        if not rows:
            return
        after = rows[-1].client
        for row in rows:
            if row.state in (ClientState.ACTIVE, ClientState.ARCHIVED):
                seen += 1
                yield row


def _cut(system: System, golden: Fields) -> Iterator[str]:
    """The units of which this system would show less than golden has, if it were told."""
    if not (system.mode.creates or system.mode.updates):
        return
    for unit in units_in(golden):
        value = unit_value(golden, unit)
        if value is UNKNOWN:
            continue
        shown = system.provider.project(unit, value, golden)
        pairs: list[tuple[str, Any, Any]] = [(unit, shown, value)]
        if is_group(unit):
            pairs = [(part, _part(shown, part), _part(value, part)) for part in parts_of(unit)]
        if any(_is_told(system, field) and _is_shorter(less, more) for field, less, more in pairs):
            yield unit


def _part(value: Any, part: str) -> Any:
    return value.get(part) if isinstance(value, dict) else None


def _is_told(system: System, field: str) -> bool:
    spec = system.spec(field)
    return spec is not None and (spec.create or spec.update)


def _is_shorter(shown: Any, value: Any) -> bool:
    """Whether a text would end early."""
    return (
        isinstance(shown, str)
        and isinstance(value, str)
        and len(shown) < len(value)
        and value.startswith(shown.rstrip())
    )


def _told_cut(cut: Mapping[tuple[str, str], int], seen: int) -> Iterator[Finding]:
    of_many = f" (of the first {seen} clients)" if seen >= CLIENTS_MAX else ""
    for (system, unit), count in sorted(cut.items()):
        message = f"would cut {count} values of {unit}{of_many}: the system holds less"
        step = f"Nothing is lost in syncd. Shorten them, or keep {unit} from there: [fields.{unit}] to = [...]."
        yield Finding(system, "warning", "cut", message, step)


def _told_refused(refused: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    for (system, reason), count in sorted(refused.items()):
        yield Finding(system, "warning", "unfit", f"{count} clients cannot be created there: {reason}")


def _told_shared(shared: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    for kind in ("email", "phone"):
        many = [count for (sort, _), count in shared.items() if sort == kind and count > SHARERS]
        if many:
            message = f"{len(many)} values of {kind} are shared by more than {SHARERS} clients (the most common by {max(many)})"
            yield Finding(None, "warning", "shared", f"{message}: they identify nobody")
