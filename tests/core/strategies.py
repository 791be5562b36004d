"""Small systems for the tests of the merge: how they show a value, and what they can tell apart.

A *form* is what a system shows of a value. Nothing here uses `syncd.core.normalize`: equality is plain equality of forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from syncd.core.merge import Side
from syncd.core.model import UNKNOWN, FieldPolicy, Maybe, Rule, Value, is_group, unit_fields, unit_of
from syncd.core.survivorship import Same

Form = Callable[[Value], Value]
PartSame = Callable[[str, Value, Value], bool]


def whole(value: Value) -> Value:
    """The form of a system that keeps everything."""
    return value


def cut(limit: int) -> Form:
    """The form of a system that keeps the first characters of every text."""

    def form(value: Value) -> Value:
        if isinstance(value, dict):
            return {part: form(text) for part, text in value.items()}
        return value[:limit] if isinstance(value, str) else value

    return form


def upper(value: Value) -> Value:
    """The form of a system that writes every text in capitals."""
    if isinstance(value, dict):
        return {part: upper(text) for part, text in value.items()}
    return value.upper() if isinstance(value, str) else value


def lower(value: Value) -> Value:
    """The form of a system that writes every text in small letters."""
    if isinstance(value, dict):
        return {part: lower(text) for part, text in value.items()}
    return value.lower() if isinstance(value, str) else value


def only(*parts: str) -> Form:
    """The form of a system that cannot hold the other parts of a group."""

    def form(value: Value) -> Value:
        return {part: text for part, text in value.items() if part in parts} if isinstance(value, dict) else value

    return form


def plain(left: Value, right: Value) -> bool:
    """Equality of two values; of groups, equality of the parts that both know. A group of empty parts is empty."""
    if isinstance(left, dict) and isinstance(right, dict):
        return all(left[part] == right[part] for part in left.keys() & right.keys())
    if isinstance(left, dict) or isinstance(right, dict):
        group, other = (left, right) if isinstance(left, dict) else (right, left)
        return other is None and isinstance(group, dict) and all(text is None for text in group.values())
    return left == right


def seeing(form: Form) -> Same:
    """Equality as a system with this form can tell."""
    return lambda left, right: plain(form(left), form(right))


def seeing_parts(form: Form) -> PartSame:
    """Equality of one part as a system with this form can tell; a part that it cannot hold never differs."""

    def same(part: str, left: Value, right: Value) -> bool:
        if not is_group(unit_of(part)):
            return plain(form(left), form(right))
        shown = [form({part: value}) for value in (left, right)]
        if any(isinstance(value, dict) and part not in value for value in shown):
            return True
        return shown[0] == shown[1]

    return same


def side(
    system: str,
    mirror: Maybe,
    seen: Maybe = UNKNOWN,
    agreed: Maybe = UNKNOWN,
    *,
    form: Form = whole,
    external_id: str = "1",
    **more: Any,
) -> Side:
    """One system's view of a unit; without `seen` and `agreed` at first sight."""
    return Side(system, external_id, mirror, seen, agreed, seeing(form), seeing_parts(form), **more)


def agreed(system: str, base: Value, mirror: Maybe, **more: Any) -> Side:
    """A side that once agreed with golden on exactly `base` and shows `mirror` now."""
    return side(system, mirror, base, base, **more)


def trust(*order: str, rule: Rule = Rule.ORDER) -> FieldPolicy:
    """A rule with its systems, most trusted first."""
    return FieldPolicy(rule, order)


def fields_of(units: Iterable[tuple[str, Maybe]]) -> dict[str, Value]:
    """The canonical fields of some units; unknown ones are left out."""
    fields: dict[str, Value] = {}
    for unit, value in units:
        if value is not UNKNOWN:
            fields.update(unit_fields(unit, value))
    return fields
