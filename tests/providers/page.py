"""The generated parts of docs/providers.md, made from what the providers declare. `make docs` writes them, a test compares them.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; everything else on the page is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from syncd import providers
from syncd.core.model import FIELDS
from syncd.providers import ABSENT, FieldSpec
from syncd.providers.http import Http

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "providers.md"
PART: Final = re.compile(r"(?P<start><!-- generated: (?P<name>[a-z0-9_-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)

OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "tiime": {"company_id": 1, "token": "a ready token"},
    "lsp_expert": {"api_key": "a key"},
    "smartbills": {"dialect": "v1", "token": "a ready token"},
    "flowtly": {
        "token": "a ready token",
        "defaults": {"status": "active", "contact_type": "billing", "employee": "/employees/7"},
        "archived_status": "inactive",
    },
}
"""The options with which each provider is shown; where they decide what a provider can do, the page says so."""

TITLES: Final[Mapping[str, str]] = {
    "tiime": "Tiime",
    "lsp_expert": "LSP.expert",
    "smartbills": "Smartbills",
    "flowtly": "Flowtly",
}
RECORDS: Final[Mapping[str, str]] = {
    "create": "create a client",
    "update": "change a client",
    "archive": "archive a client",
    "restore": "restore an archived client",
    "delete": "delete a client for ever",
    "account": "tell whose credentials these are",
}


@contextmanager
def connected(name: str, **options: Any) -> Iterator[Any]:
    """A provider as a tenant's file would configure it; nothing is sent."""
    made = providers.load(name)
    settings = providers.Settings(system=name, provider=name, options={**OPTIONS[name], **options})
    http = Http(settings, made.default_base_url)
    try:
        yield made(settings, http)
    finally:
        http.close()


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def ability(spec: FieldSpec) -> str:
    """What can be done with a field, in letters: R read, C sent on create, U changed later; * required, m remembered."""
    letters = "".join(letter for letter, can in zip("RCU", (spec.read, spec.create, spec.update), strict=True) if can)
    return (letters + "*" * spec.required + "m" * spec.remembered) or "-"


def overview() -> str:
    """Every canonical field in every system, in letters."""
    columns = []
    for name in TITLES:
        with connected(name) as provider:
            columns.append({field: ability(provider.fields[field]) for field in FIELDS})
    rows = [(f"`{field}`", *(column[field] for column in columns)) for field in FIELDS]
    return table(("Field", *TITLES.values()), rows)


def whole_records() -> str:
    """What can be done with whole records in every system."""
    rows = []
    for capability, words in RECORDS.items():
        cells = []
        for name in TITLES:
            with connected(name) as provider:
                cells.append("yes" if getattr(provider.capabilities, capability) else "no")
        rows.append((words, *cells))
    return table(("Can syncd", *TITLES.values()), rows)


def fields_of(name: str, learned: Mapping[str, Any] | None = None, **options: Any) -> str:
    """The fields that one system holds, and the names of those that it does not."""
    with connected(name, **options) as provider:
        provider.learned.update(learned or {})
        specs: Mapping[str, FieldSpec] = dict(provider.fields)
    rows = [
        (
            f"`{field}`",
            "yes" if specs[field].read else "no",
            "required" if specs[field].required else "yes" if specs[field].create else "no",
            "yes" if specs[field].update else "no",
            "yes" if specs[field].remembered else "no",
            specs[field].note,
        )
        for field in FIELDS
        if specs[field] != ABSENT
    ]
    absent = ", ".join(f"`{field}`" for field in FIELDS if specs[field] == ABSENT)
    header = ("Field", "Read", "Sent on create", "Changed later", "Remembered", "Note")
    return f"{table(header, rows)}\nNot held there: {absent}.\n"


def keys_of(name: str) -> str:
    """The keys that a section of this provider takes in a tenant's file, beside those that every system takes."""
    made = providers.load(name)
    rows = [
        (f"`{key}`", "a reference" if key in made.secret_keys else "", words) for key, words in made.option_keys.items()
    ]
    rows.append(("`base_url`", "", f"`{made.default_base_url}` unless given."))
    return table(("Key", "Secret", "Meaning"), rows)


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "overview": overview,
    "records": whole_records,
    "tiime-fields": lambda: fields_of("tiime", contacts=True),
    "tiime-keys": lambda: keys_of("tiime"),
    "lsp_expert-fields": lambda: fields_of("lsp_expert"),
    "lsp_expert-keys": lambda: keys_of("lsp_expert"),
    "smartbills-v1-fields": lambda: fields_of("smartbills", learned={"address": True}),
    "smartbills-business-fields": lambda: fields_of("smartbills", dialect="business", business_id="1"),
    "smartbills-keys": lambda: keys_of("smartbills"),
    "flowtly-fields": lambda: fields_of("flowtly"),
    "flowtly-keys": lambda: keys_of("flowtly"),
}
"""Name of a generated part -> what makes it."""


def rendered(text: str) -> str:
    """The page with every generated part made anew. Raises KeyError for a part that nobody makes."""
    return PART.sub(lambda found: f"{found['start']}{PARTS[found['name']]()}{found['end']}", text)


def main() -> None:
    """Write the page."""
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
