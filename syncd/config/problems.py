"""Problems in words: one line each, `FILE: KEY: what was found; what is allowed`.

A value is shown only where it cannot be a secret: never for a key that nobody knows, never for an address, never for a
key that a provider calls secret.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ValidationError
from rapidfuzz import process

MAX_SHOWN_CHARACTERS: Final = 60
DID_YOU_MEAN_SCORE: Final = 70.0
HIDDEN_KEYS: Final = frozenset({"database", "base_url"})
"""Keys of our own whose values may hold a password."""

_ALLOWED: Final[Mapping[str, str]] = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text in quotes",
    "list_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a text of at most 63 characters",
}


class Problems:
    """The problems of one file, gathered while it is read."""

    def __init__(self, file: Path | str) -> None:
        self.file = str(file)
        self.lines: list[str] = []

    def add(self, key: str, found: str, allowed: str = "") -> None:
        """Remember one problem; `key` may be empty for the file as a whole."""
        text = f"{found}; allowed: {allowed}" if allowed else found
        self.lines.append(": ".join(part for part in (self.file, key, text) if part))

    def add_validation(self, error: ValidationError, model: type[BaseModel]) -> None:
        """Remember every problem that pydantic found in a document."""
        for detail in error.errors(include_url=False):
            location = tuple(part for part in detail["loc"] if part != "[key]")
            self.add(dotted(location), *_explained(detail, location, model))


def dotted(location: Sequence[int | str]) -> str:
    """The key as a person would write it: `systems.books.poll`, `fields.email.order[0]`."""
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            shown = part if part.replace("_", "").replace("-", "").isalnum() and part.isascii() else _quoted(part)
            key += f".{shown}" if key else shown
    return key


def shown(value: object) -> str:
    """A value as it may appear in a problem: short, on one line, without control characters."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a table"
        case int() | float():
            return str(value)[:MAX_SHOWN_CHARACTERS]
        case _:
            return f"a {type(value).__name__}"


def unknown(key: str, allowed: Iterable[str]) -> tuple[str, str]:
    """What is said about a name that is not one of those allowed: (found, allowed)."""
    names = sorted(allowed)
    match = process.extractOne(key, names, score_cutoff=DID_YOU_MEAN_SCORE)
    hint = f"; did you mean `{match[0]}`?" if match else ""
    return "unknown", (", ".join(names) or "none") + hint


def _quoted(text: str) -> str:
    cut = text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."
    return json.dumps(cut)


def _explained(detail: Mapping[str, Any], location: Sequence[int | str], model: type[BaseModel]) -> tuple[str, str]:
    kind, value = detail["type"], detail["input"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    last = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        _, allowed = unknown(last, keys_at(model, location[:-1]))
        return "unknown key", allowed
    if kind == "missing":
        return "missing", "it is required"
    found = "a value that is not shown" if last in HIDDEN_KEYS else f"found {shown(value)}"
    if kind == "value_error":
        return found, str(context["error"])
    if kind == "literal_error":
        return found, str(context["expected"]).replace("'", '"')
    bound = next((f"{sign} {context[name]}" for name, sign in _BOUNDS if name in context), None)
    if bound is not None and not kind.startswith("string"):
        return found, f"a number {bound}"
    return found, _ALLOWED.get(kind, detail["msg"])


_BOUNDS: Final = (("ge", "of at least"), ("gt", "above"), ("le", "of at most"), ("lt", "below"))


def keys_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys a table may have, at a place within a document described by `model`."""
    here: Any = model
    for part in location:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {field.alias or name: field for name, field in here.model_fields.items()}
            here = _table(fields[str(part)].annotation) if part in fields else None
        else:
            here = _table(typing.get_args(here)[1]) if typing.get_origin(here) is dict else None
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [field.alias or name for name, field in here.model_fields.items()]
    return []


def _table(annotation: Any) -> Any:
    """The table within an annotation, without `Annotated` and `| None`."""
    if typing.get_origin(annotation) is Annotated:
        return _table(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (None, dict, list, Literal):
        return annotation
    return next((part for part in typing.get_args(annotation) if part is not type(None)), None)
