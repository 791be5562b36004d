"""The pages for people say what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd import errors, providers
from syncd.errors import ProviderError, SyncdError
from syncd.log import EVENTS
from syncd.store import HoldKind, WriteState
from tests import log_page
from tests.providers import page

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ (?P<words>.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def raised() -> Iterator[type[SyncdError]]:
    """Every error that is ever raised: all but the two roots."""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, SyncdError) and kind not in (SyncdError, ProviderError):
            yield kind


def written_codes() -> set[str]:
    """Codes that syncd writes by hand: beside a next step, or as the third word of a finding."""
    found: set[str] = set()
    for path in [*(ROOT / "syncd" / "engine").rglob("*.py"), *(ROOT / "syncd" / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            values: list[ast.expr | None] = []
            if isinstance(node, ast.Dict):
                keys = {
                    key.value: value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                }
                values = [keys.get("code")] if {"code", "next"} <= keys.keys() else []
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                values = [node.args[2]]
            found |= {str(value.value) for value in values if isinstance(value, ast.Constant)}
    return found


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as they are made by those who show Markdown."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    kept = [re.sub(r"[^\w\- ]", "", found["words"].lower()) for found in HEADING.finditer(text)]
    return {words.strip().replace(" ", "-") for words in kept}


def test_the_page_about_providers_is_what_they_declare() -> None:
    """docs/providers.md is what `make docs` makes of it, and every part that can be generated stands on it."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text) == text
    assert {found["name"] for found in page.PART.finditer(text)} == set(page.PARTS)


def test_the_page_about_the_log_is_what_the_code_logs() -> None:
    """docs/log.md has every event with its levels; each event of the catalogue is logged somewhere, and nothing else is."""
    text = log_page.PAGE.read_text(encoding="utf-8")
    assert log_page.rendered(text) == text
    assert {event for event, _level in log_page.logged()} == EVENTS.keys() - {"library"}


def test_every_alert_says_what_to_do() -> None:
    """Each alert rule has its heading in docs/operations.md, and no heading is of an alert that is not there."""
    rules = re.findall(r"- alert: (\w+)", (ROOT / "ops" / "alerts.yml").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `(Syncd\w+)`$", text, re.MULTILINE) == rules


def test_every_shipped_provider_is_on_the_page() -> None:
    """No provider but the one for tests is missing from docs/providers.md."""
    assert set(page.TITLES) == set(providers.REGISTRY) - {"memory"}


@pytest.mark.parametrize(
    "code",
    sorted({kind.code for kind in raised()} | written_codes() | {*HoldKind} | {*WriteState}),
)
def test_every_code_is_explained(code: str) -> None:
    """Each stable code, each kind of hold and each state of a write has its heading in docs/errors.md."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert re.search(rf"^#+ `{re.escape(code)}`$", text, re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Each link to a file or heading of this repository leads to one that is there."""
    broken = []
    for found in LINK.finditer(FENCE.sub("", path.read_text(encoding="utf-8"))):
        target = (path.parent / found["path"]).resolve() if found["path"] else path
        if not target.exists() or (found["anchor"] and found["anchor"] not in anchors(target)):
            broken.append(found.group())
    assert broken == []
