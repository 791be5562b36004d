"""The language of `only`: which clients a system takes part in, written in the tenant's file.

    kind == "person" and email != ""
    country in ["FR", "BE"] and not archived
    custom.segment == "gold" or payment_terms_days > 30

Field names, texts, whole numbers, True, False, None and lists of those; == != < <= > >= in, not in; and, or, not;
parentheses. A text that is unknown or empty is "", and None equals it. A flag or a number that is unknown or empty is
None, and is neither smaller nor greater than anything. The text is read by Python's grammar and never executed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final, TypeAlias

from syncd.core.model import CUSTOM_PREFIX, FIELDS, Fields, Kind, Value

LENGTH_LIMIT_CHARACTERS: Final = 2000

_Term: TypeAlias = "Callable[[Fields], Value]"

_LISTS: Final = frozenset({Kind.CONTACTS, Kind.NOTES})
_NOT_TEXT: Final = frozenset({Kind.FLAG, Kind.DAYS})
_NAMES: Final = tuple(name for name, field in FIELDS.items() if field.kind not in _LISTS)
_ALLOWED: Final = (
    "allowed are fields, texts, whole numbers, True, False, None, lists, comparisons, in, and, or, not, parentheses"
)
_SPELLINGS: Final = {"true": "True", "false": "False", "none": "None", "null": "None"}


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on the fields of a client. Two are equal if their texts are."""

    text: str
    _holds: Callable[[Fields], bool] = dataclass_field(repr=False, compare=False)

    def __call__(self, fields: Fields) -> bool:
        """Whether the condition holds for a client."""
        return self._holds(fields)


def compile_predicate(text: str) -> Predicate:
    """Read a condition. ValueError with one line that names the piece which is not allowed, and what is."""
    if len(text) > LENGTH_LIMIT_CHARACTERS:
        message = f"the condition is longer than {LENGTH_LIMIT_CHARACTERS} characters"
        raise ValueError(message)
    if "\x00" in text:  # some releases of Python 3.11 have another error for it
        message = f"not a condition at character {text.index(chr(0))}: a NUL; {_ALLOWED}"
        raise ValueError(message)
    try:
        tree = ast.parse(text.strip(), mode="eval")
        term = _term(tree.body)
    except SyntaxError as error:
        message = f"not a condition at character {error.offset or 0}: {error.msg}; {_ALLOWED}"
        raise ValueError(message) from None
    except (RecursionError, MemoryError):
        message = "the condition is nested too deeply"
        raise ValueError(message) from None
    return Predicate(text, lambda fields: bool(term(fields)))


def _refusal(node: ast.expr, allowed: str = _ALLOWED) -> ValueError:
    piece = " ".join(ast.unparse(node).split())
    shown = piece if len(piece) <= 60 else f"{piece[:57]}..."  # noqa: PLR2004 (the message stays on one line)
    return ValueError(f"{shown!r} is not allowed; {allowed}")


def _term(node: ast.expr) -> _Term:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            every = [_term(value) for value in values]
            return lambda fields: all(term(fields) for term in every)
        case ast.BoolOp(values=values):
            some = [_term(value) for value in values]
            return lambda fields: any(term(fields) for term in some)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _term(operand)
            return lambda fields: not inner(fields)
        case ast.Compare():
            return _comparison(node)
        case ast.Name() | ast.Attribute():
            return _field(node)
        case _:
            value = _literal(node)
            return lambda _fields: value


def _literal(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=None | bool() | int() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)) if not isinstance(number, bool):
            return -number
        case ast.List(elts=elements):
            return [_literal(element) for element in elements]
        case _:
            raise _refusal(node)


def _field(node: ast.Name | ast.Attribute) -> _Term:
    match node:
        case ast.Name(id=name) if name in _NAMES:
            empty = None if FIELDS[name].kind in _NOT_TEXT else ""
        case ast.Attribute(value=ast.Name(id="custom"), attr=attribute):
            name, empty = f"{CUSTOM_PREFIX}{attribute}", ""
        case ast.Name(id=name) if name.lower() in _SPELLINGS:
            raise _refusal(node, f"write {_SPELLINGS[name.lower()]}")
        case ast.Name(id=name) if name in FIELDS:
            raise _refusal(node, "it is a list; conditions are on single fields")
        case ast.Name():
            raise _refusal(node, f"no such field; fields are {', '.join(_NAMES)}, custom.NAME")
        case _:
            raise _refusal(node, "the only name with a dot is custom.NAME")

    def read(fields: Fields) -> Value:
        value = fields.get(name)
        return empty if value is None else value

    return read


def _equal(a: Value, b: Value) -> bool:
    """Equal values; None and the empty text are one, a flag is no number."""
    if a in (None, "") and b in (None, ""):
        return True
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    def compared(a: Value, b: Value) -> bool:
        numbers = all(isinstance(value, int) and not isinstance(value, bool) for value in (a, b))
        return (numbers or (isinstance(a, str) and isinstance(b, str))) and compare(a, b)

    return compared


def _contains(a: Value, b: Value) -> bool:
    if isinstance(b, list):
        return any(_equal(a, element) for element in b)
    return isinstance(a, str) and isinstance(b, str) and a in b


_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Value, Value], bool]]] = {
    ast.Eq: _equal,
    ast.NotEq: lambda a, b: not _equal(a, b),
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _contains,
    ast.NotIn: lambda a, b: not _contains(a, b),
}


def _comparison(node: ast.Compare) -> _Term:
    """A chain of comparisons (`0 < payment_terms_days <= 30`): every link of it must hold."""
    terms = [_term(operand) for operand in (node.left, *node.comparators)]
    tests = [_COMPARISONS.get(type(op)) for op in node.ops]
    known = [test for test in tests if test is not None]
    if len(known) < len(tests):
        raise _refusal(node, "comparisons are == != < <= > >= in, not in")

    def holds(fields: Fields) -> bool:
        values = [term(fields) for term in terms]
        return all(test(a, b) for test, a, b in zip(known, values, values[1:], strict=False))

    return holds
