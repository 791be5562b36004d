"""A browser, and pages to look at with it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from syncd.providers.memory import forget
from syncd.web.access import Role
from tests.cli.place import Place
from tests.web.stage import Stage, furnish

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window. Where it is missing its tests are skipped; in the CI that is a failure."""
    if not CHROMIUM.exists():
        words = f"{CHROMIUM} is missing: the operator's page is not tested in a browser (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(words)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(words, stacklevel=1)
        pytest.skip(words)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield found
        found.close()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A furnished page that nobody changes."""
    place = Place(tmp_path_factory.mktemp("gallery"))
    furnish(place)
    with Stage(place).served() as stage:
        yield stage
    for each in place.worlds.values():
        forget(each.name)


@pytest.fixture
def furnished(tmp_path: Path) -> Iterator[Stage]:
    """A furnished page of one's own."""
    place = Place(tmp_path)
    furnish(place)
    with Stage(place).served() as stage:
        yield stage
    for each in place.worlds.values():
        forget(each.name)


@pytest.fixture
def enter(browser: Browser) -> Iterator[Open]:
    """Open a page in a browser of its own, logged in. Complaints of the browser end the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(
        stage: Stage,
        path: str = "/",
        *,
        role: Role = Role.OPERATOR,
        scheme: str = "light",
        width: int = 1280,
        scripts: bool = True,
    ) -> Page:
        context = browser.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 800},
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto(f"{stage.url}/login")
        page.fill("#token", stage.tokens[role])
        page.click("button.main")
        page.wait_for_url(f"{stage.url}/")
        if path != "/":
            page.goto(f"{stage.url}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in complaints if "status of 40" not in text] == []
