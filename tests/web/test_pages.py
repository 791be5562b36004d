"""Every page in a real browser: readable by everybody, in light and dark, narrow and wide, with and without JavaScript."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from syncd import web
from syncd.web.access import Role
from tests.web.conftest import Open
from tests.web.stage import HOSTILE, SCRIPT, Stage

VENDORED = (Path(web.__file__).parent / "static" / "vendor", Path(__file__).parent / "vendor")
AXE = VENDORED[1] / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

PATHS = {
    "overview": "/",
    "tenant": "/t/acme?span=1h",
    "inbox of all": "/inbox",
    "inbox": "/t/acme/inbox",
    "nothing waits": "/t/acme/inbox?kind=delete",
    "a brake": "/t/acme/inbox/h2",
    "a conflict": "/t/acme/inbox/k2",
    "a decided conflict": "/t/acme/inbox/k3",
    "a parked write": "/t/acme/inbox/w9",
    "a rule": "/t/acme/rules/email?take=crm&conflict=k2",
    "a wrong rule": "/t/acme/rules/email?rule=order&order=crm&order=crm",
    "clients": "/t/acme/clients",
    "no client": "/t/acme/clients?q=nobody+at+all",
    "a client": "/t/acme/clients/c1",
    "a hostile client": "/t/acme/clients/c3",
    "why": "/t/acme/clients/c1/why/phone",
    "undo": "/t/acme/undo/y3",
    "a merge": "/t/acme/merge?winner=c1&loser=c4",
    "a merge of hostile names": "/t/acme/merge?winner=c3&loser=c6",
    "a merge that cannot be": "/t/acme/merge?winner=c1&loser=%3Cb%3E",
    "a merge to be named": "/t/acme/merge",
    "keeping apart": "/t/acme/apart?first=c1&second=c3",
    "a split": "/t/acme/apart?first=c1&second=crm:1",
    "keeping apart to be named": "/t/acme/apart",
    "no merge to take back": "/t/acme/unmerge/c1",
    "cycles": "/t/acme/cycles",
    "a cycle": "/t/acme/cycles/y3",
    "plan": "/t/acme/plan",
    "map": "/t/acme/map",
    "log": "/log?level=debug",
    "no log": "/log?client=c999",
    "missing": "/t/acme/clients/c999",
}


def violations(page: Page) -> list[Any]:
    """What axe finds wrong. It is put in through the debugger, past the page's own policy."""
    debugger = page.context.new_cdp_session(page)
    debugger.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    asked = f"axe.run(document, {{runOnly: {json.dumps(RULES)}}}).then((found) => JSON.stringify(found.violations.map("
    asked += "(each) => [each.id, each.nodes.map((node) => node.html.slice(0, 200))])))"
    answer = debugger.send("Runtime.evaluate", {"expression": asked, "awaitPromise": True, "returnByValue": True})
    return list(json.loads(answer["result"]["value"]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(enter: Open, gallery: Stage, scheme: str) -> None:
    """On no page axe finds anything, a client's name ran as a script, or something sticks out at 360 pixels."""
    page = enter(gallery, scheme=scheme)
    found: dict[str, object] = {}
    for name, path in PATHS.items():
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{gallery.url}{path}")
        if name == "tenant":
            expect(page.locator("[data-plot] canvas")).to_have_count(3)
        faults = violations(page)
        page.set_viewport_size({"width": 360, "height": 740})
        width = page.evaluate("document.documentElement.scrollWidth")
        if faults or width > 360 or page.evaluate("window.__hacked") or page.locator("main h1").count() != 1:
            found[name] = [faults, width]
    assert found == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_login_is_accessible(enter: Open, gallery: Stage, scheme: str) -> None:
    """Axe finds nothing on the log-in, and nothing once a token was refused."""
    page = enter(gallery, scheme=scheme)
    page.click("text=Log out")
    page.wait_for_url("**/login")
    assert violations(page) == []
    page.fill("#token", "syncd_00000000_no")
    page.click("button.main")
    expect(page.get_by_role("alert")).to_contain_text("no token of this syncd")
    assert violations(page) == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_hostile_names_are_text(enter: Open, gallery: Stage, scripts: bool) -> None:
    """A client's name is shown as what it is: it adds no element, runs no script, and cannot turn the text around."""
    page = enter(gallery, "/t/acme/clients", scripts=scripts)
    pairs = ("/t/acme/merge?winner=c3&loser=c4", "/t/acme/merge?winner=c6&loser=c5", "/t/acme/apart?first=c7&second=c8")
    for path in (
        *("/t/acme/clients", "/t/acme/inbox", "/inbox", "/t/acme/plan", "/t/acme/cycles/y1", "/t/acme/inbox/h2"),
        *(f"/t/acme/clients/c{number}" for number in range(3, 9)),
        *(f"/t/acme/clients/c{number}/why/name" for number in range(3, 9)),
        *pairs,
    ):
        page.goto(f"{gallery.url}{path}")
        assert (
            page.locator("main script, main img, main iframe, main object, main svg:not(.bar):not(.swatch)").count()
            == 0
        )
        assert page.locator("body script:not([src]), style, [onerror], [onload], [style*=expression]").count() == 0
        text = page.inner_text("main")
        assert not {"\u202e", "\u202c", "\u200b", "\x07"} & set(text + page.title())
    page.goto(f"{gallery.url}/t/acme/clients")
    shown = page.locator("tbody tr td:first-of-type").all_inner_texts()
    for name in HOSTILE:
        visible = (
            name.replace("\u202e", "U+202E")
            .replace("\u202c", "U+202C")
            .replace("\u200b", "U+200B")
            .replace("\x07", "U+0007")
        )
        assert visible in shown
    if scripts:
        assert page.evaluate("window.__hacked") is None


def test_a_search_is_no_markup_either(enter: Open, gallery: Stage) -> None:
    """What is typed into addresses comes back as text, in fields, links and errors."""
    for path in (
        f"/t/acme/clients?q={SCRIPT}",
        f"/log?system={SCRIPT}&since={SCRIPT}",
        f"/t/{SCRIPT}",
        f"/t/acme/undo/{SCRIPT}",
    ):
        page = enter(gallery, path)
        assert page.locator("main script").count() == 0
        assert page.evaluate("window.__hacked") is None


def test_reading_works_without_javascript(enter: Open, gallery: Stage) -> None:
    """Every page tells the same without scripts: the plots' figures are in a table."""
    page = enter(gallery, "/t/acme?span=1h", scripts=False)
    page.click("text=Figures as a table")
    expect(page.locator("details.figures tbody tr").first).to_be_visible()
    for path in PATHS.values():
        page.goto(f"{gallery.url}{path}")
        assert len(page.inner_text("main")) > 20


def test_the_plots_are_drawn(enter: Open, gallery: Stage) -> None:
    """The three plots are drawn under the strict policy, and again for the other colour scheme."""
    page = enter(gallery, "/t/acme?span=1h")
    expect(page.locator("[data-plot] canvas")).to_have_count(3)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("[data-plot] canvas")).to_have_count(3)
    figures = json.loads(page.evaluate("fetch('/t/acme/figures?span=1h').then((answer) => answer.text())"))
    assert sum(sum(counts) for counts in figures["writes"].values()) == 10
    assert {len(counts) for counts in figures["writes"].values()} == {len(figures["times"])} == {60}


def test_updates_can_be_paused(enter: Open, furnished: Stage) -> None:
    """The overview follows what happens by itself, and stands still once it was told to."""
    page = enter(furnished)
    expect(page.locator("tbody td.n").first).to_contain_text("10")
    furnished.place.run("resolve", "k2", "--take", "crm")
    expect(page.locator("tbody td.n").first).to_contain_text("9", timeout=15_000)
    page.click("text=Pause updates")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    furnished.place.run("resolve", "k4", "--take", "crm")
    page.wait_for_timeout(7_000)
    expect(page.locator("tbody td.n").first).to_contain_text("9")


def test_the_log_follows(enter: Open, furnished: Stage) -> None:
    """New lines that match the filters appear by themselves, once each; what does not match does not."""
    page = enter(furnished, "/log?tenant=acme&event=cycle_ended")
    expect(page.locator("#lines tr:not(.more)")).to_have_count(3)
    furnished.place.run("sync", exit_code=1)
    expect(page.locator("#lines tr:not(.more)")).to_have_count(4, timeout=15_000)
    page.wait_for_timeout(3_000)
    expect(page.locator("#lines tr:not(.more)")).to_have_count(4)


def test_why_opens_beside_the_record(enter: Open, gallery: Stage) -> None:
    """Asking why a field is what it is shows rule, candidates and systems on the same page, and moves there."""
    page = enter(gallery, "/t/acme/clients/c1")
    page.get_by_role("link", name="why phone is that").click()
    expect(page.locator("#why")).to_contain_text("crm comes first in the order of trust")
    expect(page.locator("#why")).to_be_focused()
    assert page.url.endswith("/clients/c1")


def test_a_viewer_sees_everything_and_no_button(enter: Open, gallery: Stage) -> None:
    """Nothing that acts is shown to a viewer, except the way out."""
    page = enter(gallery, role=Role.VIEWER)
    for path in PATHS.values():
        page.goto(f"{gallery.url}{path}")
        assert page.locator("main form[method=post]").count() == 0
    page.goto(f"{gallery.url}/t/acme/inbox")
    expect(page.locator("[data-entry]")).to_have_count(10)


def test_vendored_files_are_what_they_were() -> None:
    """Every script and style that is not ours has its digest in SHA256SUMS and its licence beside it."""
    for folder in VENDORED:
        sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
        assert set(sums) == {path.name for path in folder.iterdir() if path.suffix in (".js", ".css")}
        for name, digest in sums.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            assert (folder / f"{name.partition('.')[0]}.LICENSE").stat().st_size > 500
