"""Golden records on their way out: lossless JSON lines for programs, a table for spreadsheets that no spreadsheet executes.

A JSON line has everything of a client: a field that nobody knows is absent, one that is known to be empty is null. The table has one
row per client, where both are blank; a list is JSON. A cell that a spreadsheet would take for a formula begins with an apostrophe, also
where the sign is full-width or stands behind blanks or invisible characters.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from syncd.core.model import FIELDS
from syncd.report.rows import Document, client_document
from syncd.store import ClientRow, LinkRow, Store

PAGE_ROWS: Final = 500

FORMULA_SIGNS: Final = frozenset("=+-@|%")
"""What a formula, or a command of a spreadsheet, begins with, after compatibility normalisation."""

_LEADING: Final = frozenset("\t\r\n\v\f\x00")
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

COLUMNS: Final = ("client", "tenant", "state", "merged_into", *FIELDS)


def exported(store: Store, tenant: str) -> Iterator[Document]:
    """Every client of every state, with origins, times and links, in the order of their numbers."""
    for row, links in _clients(store):
        yield {
            **client_document(tenant, row, links),
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "origins": row.origins,
            "links": [
                {
                    "system": link.system,
                    "external_id": link.external_id,
                    "state": link.state.value,
                    "matched_by": link.matched_by,
                    "linked_at": link.linked_at,
                }
                for link in links
            ],
        }


def _clients(store: Store) -> Iterator[tuple[ClientRow, list[LinkRow]]]:
    after = ""
    while True:
        with store.reading() as tx:
            rows = tx.clients(after=after, limit=PAGE_ROWS)
            links = tx.links_of([row.client for row in rows])
        for row in rows:
            yield row, links.get(row.client, [])
        if len(rows) < PAGE_ROWS:
            return
        after = rows[-1].client


def json_lines(documents: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """One line of JSON per document."""
    for document in documents:
        yield _ENCODER.encode(document) + b"\n"


def customs(stores: Iterable[Store]) -> list[str]:
    """Every custom field that some client has, by name: the columns behind the canonical ones."""
    return sorted({name for store in stores for row, _ in _clients(store) for name in row.fields if name not in FIELDS})


def table(documents: Iterable[Mapping[str, Any]], custom: Sequence[str], systems: Sequence[str]) -> Iterator[bytes]:
    """The lines of a CSV table with a heading; per system a column with the ids of the client's records there."""
    yield _line([*COLUMNS, *custom, *(f"records in {system}" for system in systems)])
    for document in documents:
        known = document["fields"]
        cells = [document[name] for name in COLUMNS[: len(COLUMNS) - len(FIELDS)]]
        cells += [known.get(name) for name in (*FIELDS, *custom)]
        cells += [
            " ".join(link["external_id"] for link in document["links"] if link["system"] == system)
            for system in systems
        ]
        yield _line(cells)


def _line(cells: Sequence[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow([cell(value) for value in cells])
    return line.getvalue().encode("utf-8", "surrogatepass")


def cell(value: object) -> str:
    """A value as the text of a cell, harmless in a spreadsheet."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return guarded(value)
        case list() | dict():
            return guarded(_ENCODER.encode(value).decode())
        case _:
            return guarded(str(value))


def guarded(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet could take it for a formula."""
    if not text:
        return text
    if text[0] in _LEADING:
        return f"'{text}"
    for character in text:
        plain = unicodedata.normalize("NFKC", character)
        if plain[:1] in FORMULA_SIGNS:
            return f"'{text}"
        if not (character.isspace() or unicodedata.category(character) in ("Cf", "Cc", "Zs")):
            return text
    return text
