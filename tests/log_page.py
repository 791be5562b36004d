"""The table of events in docs/log.md, made of the catalogue and of the places that log: `python -m tests.log_page` renews it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from syncd.log.catalogue import EVENTS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "log.md"
BEGIN, END = "<!-- events -->\n", "<!-- end -->\n"
LEVELS = ("debug", "info", "warning", "error")
CALLS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


def logged() -> Iterator[tuple[str, str]]:
    """(event, level) for every place in the code that logs. An event that is no plain text there comes as "?"."""
    for path in sorted((ROOT / "syncd").rglob("*.py")):
        if path.parent.name == "log":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                first = node.args[0]
                event = str(first.value) if isinstance(first, ast.Constant) else "?"
                yield from ((event, level) for level in levels_of(node.func))


def levels_of(called: ast.expr) -> tuple[str, ...]:
    """The level of a call of a logger, () for other calls. `level(...)` is a method that was chosen before: info or warning."""
    if isinstance(called, ast.Name) and called.id == "level":
        return "info", "warning"
    if not isinstance(called, ast.Attribute) or called.attr not in CALLS:
        return ()
    owner = called.value
    is_logger = (isinstance(owner, ast.Name) and owner.id in ("_log", "logger")) or (
        isinstance(owner, ast.Call) and isinstance(owner.func, ast.Attribute) and owner.func.attr == "get"
    )
    return (CALLS[called.attr],) if is_logger else ()


def levels() -> dict[str, list[str]]:
    """Event -> its levels."""
    found: dict[str, set[str]] = {}
    for event, level in logged():
        found.setdefault(event, set()).add(level)
    return {event: [level for level in LEVELS if level in mine] for event, mine in found.items()}


def table() -> str:
    """The table, sorted by the order of the catalogue."""
    known = levels()
    lines = ["| Event | Level | Means |", "| --- | --- | --- |"]
    lines += [f"| `{event}` | {', '.join(known.get(event, [])) or '-'} | {means} |" for event, means in EVENTS.items()]
    return "\n".join(lines) + "\n"


def rendered(text: str) -> str:
    """The page with the table renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
