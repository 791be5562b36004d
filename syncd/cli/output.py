"""What reaches the terminal: one JSON document, or text that is readable at 100 columns.

stdout carries the answer, stderr everything else. Whatever a system may have said is shown with its control characters
written out, so that no value can move the cursor or recolour a line. Colour appears on terminals only.
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TextIO

import click
import msgspec
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from syncd.core.model import parts_of

WIDTH_COLUMNS: Final = 100
"""Of text that goes into a file or a pipe."""

SPOOL_BYTES: Final = 8 * 1024 * 1024
"""Of a JSON document in the making; beyond that it waits on disk."""

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_CONTACT: Final = ("id", "title", "role", "email", "phone", "mobile", "primary")
"""What is known of a contact beside its name, in the order in which it is told; id and primary are told otherwise or not at all."""

_BETWEEN: Final = 3  # columns of the page that a table takes between two of its own; one fewer at its two ends
_LEGIBLE: Final = 12  # a column of values that is narrower folds most of them
_COLOURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("in_sync", "ok", "complete", "done", "linked", "equal", "decided", "active", "quiescent"), "green"
    ),
    **dict.fromkeys(
        ("pending", "waiting", "sending", "held", "open", "paused", "warning", "missing", "suspicious"), "yellow"
    ),
    **dict.fromkeys(("failing", "parked", "in_doubt", "error", "incomplete", "gone", "differs"), "red"),
    **dict.fromkeys(
        ("excluded", "dropped", "never", "archived", "merged", "deleted", "unknown", "debug"), "bright_black"
    ),
}


def document(content: Mapping[str, Any]) -> None:
    """Print one JSON document; indented on a terminal."""
    encoded = _ENCODER.encode(content)
    if sys.stdout.isatty():
        encoded = msgspec.json.format(encoded, indent=2)
    _write(encoded + b"\n")


def stream(name: str, items: Iterable[Mapping[str, Any]], rest: Mapping[str, Any] | None = None) -> None:
    """Print `{"NAME": [items...], ...rest}`. Nothing is printed before the last item was made, however many there are."""
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        spool.write(b"{%b:[" % _ENCODER.encode(name))
        for index, item in enumerate(items):
            spool.write(b"," if index else b"")
            spool.write(_ENCODER.encode(item))
        spool.write(b"]")
        for key, value in (rest or {}).items():
            spool.write(b",%b:%b" % (_ENCODER.encode(key), _ENCODER.encode(value)))
        spool.write(b"}\n")
        spool.seek(0)
        while block := spool.read(1 << 16):
            _write(block)


def encoded(content: Mapping[str, Any]) -> bytes:
    """A document as it is written into a file."""
    return msgspec.json.format(_ENCODER.encode(content), indent=2) + b"\n"


def _write(content: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def error(content: Mapping[str, Any], *, as_json: bool) -> None:
    """Tell an error: in words on stderr, or with --json as the one document on stdout."""
    if as_json:
        document({"error": content})
        return
    note(f"error ({content['code']}): {content['message']}")
    for problem in content.get("problems", ()):
        note(f"  - {problem}")
    note(f"  next: {content['next']}")


def note(text: str) -> None:
    """Remarks on stderr, not part of the answer, that are laid out like those of the answer."""
    width = max(console(sys.stderr).width, WIDTH_COLUMNS)
    for line in text.split("\n"):
        for piece in wrapped(plain(line), width):
            click.echo(piece, err=True)


def say(text: str = "") -> None:
    """Lines of the answer. Control characters are written out; what is too long goes on below, indented."""
    width = max(console().width, WIDTH_COLUMNS)
    for line in text.split("\n"):
        for piece in wrapped(plain(line), width):
            click.echo(piece)


def wrapped(line: str, width: int) -> list[str]:
    """A line in pieces of at most `width` columns, broken at blanks; words that are longer stay whole."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )


def console(target: TextIO | None = None) -> Console:
    """A rich console for stdout (or `target`) that colours on terminals only and never reads markup from values."""
    file = target if target is not None else sys.stdout
    terminal = file.isatty()
    return Console(
        file=file,
        width=None if terminal else WIDTH_COLUMNS,
        color_system="auto" if terminal else None,
        force_terminal=terminal,
        markup=False,
        highlight=False,
        emoji=False,
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table. A column whose name ends in `#` holds numbers and is aligned to the right."""
    page = console()
    cells = [[_cell(value) for value in row] for row in rows]
    names = [column.removesuffix("#") for column in columns]
    widths = _widths(names, cells, page.width + 1 - _BETWEEN * len(names))
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title or None, title_justify="left", title_style="bold")
    for place, (column, name, width) in enumerate(zip(columns, names, widths, strict=True)):
        justify: JustifyMethod = "right" if column.endswith("#") else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=place == 0, min_width=width, max_width=width)
    for row in cells:
        made.add_row(*row)
    page.print(made)


def _widths(names: Sequence[str], cells: Sequence[Sequence[Text]], room: int) -> list[int]:
    """How wide each column is so that all fit into `room`, if they can: the widest give first, none more than its heading allows.

    Where that would leave a column too narrow for its values, headings are folded, at blanks only. The first column is never folded.
    """
    widths = [
        min(max(len(name), *(row[place].cell_len for row in cells), 0), max(room, len(name)))
        for place, name in enumerate(names)
    ]
    least = [widths[0], *(len(name) for name in names[1:])]
    if sum(max(low, min(width, _LEGIBLE)) for low, width in zip(least, widths, strict=True)) > room:
        least[1:] = (max(map(len, name.split()), default=0) for name in names[1:])
    while sum(widths) > room:
        foldable = [place for place, width in enumerate(widths) if width > least[place]]
        if not foldable:
            break
        widths[max(foldable, key=widths.__getitem__)] -= 1
    return widths


def _cell(value: object) -> Text:
    text = shown(value)
    return Text(text, style=_COLOURS.get(text, ""))


def matched(by: str | None) -> str:
    """How a record came to its client, in words; `by` is `matched_by` of the documents."""
    how, mark, since = (by or "itself").partition("; ")
    words = {"new": "the first record of this client", "created by syncd": "created by syncd"}
    return f"{words.get(how, f'matched by {how}')}{mark}{since}"


def shown(value: object) -> str:
    """A value in words: times to the second in UTC, groups and lists in one line, "(empty)" for what is known to be empty."""
    match value:
        case None:
            return "(empty)"
        case bool():
            return "yes" if value else "no"
        case str():
            return plain(value)
        case int() | float() | Decimal():
            return str(value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}Z"
        case Mapping():
            return _mapping(value)
        case list() | tuple():
            return "; ".join(shown(part) for part in value) or "(empty)"
        case _:
            return plain(str(value))


def _mapping(value: Mapping[Any, Any]) -> str:
    """An address as people write it, a name as its text, a contact by its name, a note by its words; anything else with its keys."""
    known = {str(key): shown(part) for key, part in value.items() if part not in (None, "", [])}
    if known and known.keys() <= set(parts_of("address")):
        return ", ".join(known[part] for part in parts_of("address") if part in known)
    if known and known.keys() <= {*parts_of("name"), *_CONTACT}:
        return _contact(known)
    if known.keys() == {"id", "text"}:
        return known["text"]
    return ", ".join(f"{plain(key)}={part}" for key, part in known.items()) or "(empty)"


def _contact(known: Mapping[str, str]) -> str:
    """A name as its text, with what else is known of a contact behind it."""
    split = " ".join(known[part] for part in ("given_name", "family_name") if part in known)
    told = [
        known.get("name", split),
        *(known[part] for part in _CONTACT if part not in ("id", "primary") and part in known),
    ]
    words = ", ".join(each for each in told if each)
    return " ".join(each for each in (words, "(primary)" if known.get("primary") == "yes" else "") if each)


def plain(text: str) -> str:
    """The text with everything that a terminal would act upon written out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode("ascii") if unicodedata.category(letter) in _HIDDEN else letter
        for letter in text
    )


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 client`, `2 clients`, `3 copies`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits: `40s ago`, `5m ago`, `3h ago`, `2d ago`."""
    seconds = max(int((now - at).total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"
