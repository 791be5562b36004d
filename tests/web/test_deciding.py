"""Every decision that a person can make on the page, made in a browser, with JavaScript and without."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from syncd.core.model import Action
from syncd.store import Store, WriteState
from tests.web.conftest import Open
from tests.web.stage import Stage

ACTOR = "operator operator-anna"

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])


def entry_of(page: Page, identifier: str) -> Any:
    return page.locator(f"#e-acme-{identifier}")


def audited(store: Store) -> list[tuple[str, str]]:
    with store.reading() as tx:
        return [(row.kind, row.actor) for row in tx.audit() if row.actor == ACTOR]


@SCRIPTS
def test_deciding_one_by_one(enter: Open, furnished: Stage, scripts: bool) -> None:
    """Each kind of entry can be decided both ways where it stands; store and audit trail have it under the person's name."""
    page = enter(furnished, "/t/acme/inbox", scripts=scripts)
    steps = [
        ("h3", "Keep golden", "refused"),
        ("h4", "Live with it", "refused"),
        ("h1", "Keep apart", "refused"),
        ("k2", "Take crm", "resolved by crm"),
        ("k4", "Take golden", "resolved by golden"),
        ("w9", "Retry", "to be sent again"),
    ]
    for identifier, button, words in steps:
        entry_of(page, identifier).get_by_role("button", name=button).click()
        expect(page.get_by_role("status").filter(has_text=f"{identifier} is {words}")).to_be_visible()
        if scripts:
            expect(entry_of(page, identifier)).to_be_focused()
        else:
            expect(entry_of(page, identifier)).to_have_count(0)
    with furnished.store() as store:
        with store.reading() as tx:
            assert {tx.hold(each).state for each in ("h1", "h3", "h4")} == {"refused"}
            assert (tx.conflict("k2").status, tx.conflict("k2").winner) == ("resolved", "crm")
            assert tx.conflict("k2").decided_by == ACTOR
            assert tx.client("c1").fields["email"] == "crm@changed.example"
            assert tx.write("w9").state == "waiting"
            assert tx.aparts([("books", "2")])
        acts = [kind for kind, _ in audited(store)]
        assert acts.count("hold_refused") == 3
        assert acts.count("conflict_resolved") == 2
        assert acts.count("write_retried") == 1
    furnished.place.run("sync", exit_code=1)
    assert furnished.place.world("books").record("1")["email"] == "crm@changed.example"


@SCRIPTS
def test_releasing_what_is_held(enter: Open, furnished: Stage, scripts: bool) -> None:
    """A proposal, a lossy edit and a frozen field are released where they stand; the first run and a brake are listed once more."""
    page = enter(furnished, "/t/acme/inbox", scripts=scripts)
    for identifier, button in (("h3", "Take the new value"), ("h4", "Try again"), ("h1", "They are one client")):
        entry_of(page, identifier).get_by_role("button", name=button).click()
        expect(page.get_by_role("status").filter(has_text=f"{identifier} is released")).to_be_visible()
    for identifier, button in (("h2", "Release the whole set"), ("h5", "Release the first run")):
        page.goto(f"{furnished.url}/t/acme/inbox/{identifier}")
        entry_of(page, identifier).get_by_role("button", name=button).click()
        expect(page.get_by_role("heading", name="Release: 1 of 1")).to_be_visible()
        with furnished.store() as store, store.reading() as tx:
            assert tx.hold(identifier).state == "open"
        page.get_by_role("button", name="Release 1").click()
        expect(page.get_by_role("heading", name="1 of 1 released")).to_be_visible()
    with furnished.store() as store, store.reading() as tx:
        assert {tx.hold(each).state for each in ("h1", "h3", "h4", "h5")} == {"done"}
        assert tx.hold("h2").state in ("released", "done")
        assert tx.client("c9").merged_into == "c2"


@SCRIPTS
def test_a_value_of_ones_own(enter: Open, furnished: Stage, scripts: bool) -> None:
    """A conflict is settled with a typed value; one that is none is refused with the reason, and nothing is done."""
    page = enter(furnished, "/t/acme/inbox", scripts=scripts)
    one = entry_of(page, "k2")
    one.get_by_text("Another value").click()
    one.get_by_label("e-mail").fill("typed@acme.example")
    one.get_by_role("button", name="Take this value").click()
    expect(page.get_by_role("status").filter(has_text="k2 is resolved")).to_be_visible()
    with furnished.store() as store, store.reading() as tx:
        assert tx.client("c1").fields["email"] == "typed@acme.example"


def test_what_changed_meanwhile_is_not_decided(enter: Open, furnished: Stage) -> None:
    """A decision about something that was decided by somebody else is not made, and says so where it was asked."""
    page = enter(furnished, "/t/acme/inbox")
    furnished.place.run("resolve", "k2", "--take", "books")
    entry_of(page, "k2").get_by_role("button", name="Take crm").click()
    expect(entry_of(page, "k2").get_by_role("alert")).to_contain_text("has changed since it was shown")
    with furnished.store() as store, store.reading() as tx:
        assert tx.conflict("k2").winner == "books"
    slow = enter(furnished, "/t/acme/inbox", scripts=False)
    furnished.place.run("drop", "w9", "--yes")
    entry_of(slow, "w9").get_by_role("button", name="Retry").click()
    expect(slow.get_by_role("alert")).to_contain_text("has changed")


@SCRIPTS
def test_deciding_many_at_once(enter: Open, furnished: Stage, scripts: bool) -> None:
    """Ticked entries are listed with what will happen to each, then decided together; those that do not fit are left alone."""
    page = enter(furnished, "/inbox", scripts=scripts)
    if scripts:
        page.get_by_label("all on this page").check()
        expect(page.locator("[data-tick]:checked")).to_have_count(10)
    else:
        for tick in page.locator("[data-tick]").all():
            tick.check()
    page.get_by_label("With the ticked ones").select_option("resolve by crm")
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.get_by_role("heading", name="Resolve by crm: 3 of 10")).to_be_visible()
    expect(page.locator("tbody")).to_contain_text("left alone: this is nothing to resolve")
    with furnished.store() as store:
        assert audited(store) == []
    page.get_by_role("button", name="Resolve 3").click()
    expect(page.get_by_role("heading", name="3 of 10 resolved by crm")).to_be_visible()
    page.get_by_role("link", name="Back to the inbox").click()
    expect(page.locator("[data-entry]")).to_have_count(7)
    with furnished.store() as store:
        assert [kind for kind, _ in audited(store)].count("conflict_resolved") == 3


def test_deciding_by_keys(enter: Open, furnished: Stage) -> None:
    """The inbox is worked with keys alone: on, tick, to a button, press; keys do nothing outside an entry or in a field."""
    page = enter(furnished, "/t/acme/inbox")
    page.keyboard.press("r")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    entry_of(page, "h1").focus()
    for _ in range(6):
        page.keyboard.press("j")
    expect(entry_of(page, "k2")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(entry_of(page, "h6").locator("[data-tick]")).to_be_checked()
    entry_of(page, "h6").focus()
    page.keyboard.press("j")
    page.keyboard.press("2")
    expect(entry_of(page, "k2").get_by_role("button", name="Take books")).to_be_focused()
    page.keyboard.press("Enter")
    expect(entry_of(page, "k2").get_by_role("status")).to_contain_text("resolved by books")
    page.keyboard.press("j")
    expect(entry_of(page, "k4")).to_be_focused()
    entry_of(page, "k4").get_by_text("Another value").click()
    field = entry_of(page, "k4").get_by_label("e-mail")
    field.focus()
    page.keyboard.type("jxrf1")
    expect(field).to_have_value("jxrf1")


@SCRIPTS
def test_always_like_this(enter: Open, furnished: Stage, scripts: bool) -> None:
    """An answer becomes a rule: first the change and what it would decide are shown, then the file is changed and the conflict settled."""
    file = furnished.place.folder / "tenants" / "acme.toml"
    before = file.read_text()
    page = enter(furnished, "/t/acme/inbox", scripts=scripts)
    entry_of(page, "k2").locator("tr", has_text="crm 1").get_by_role("link", name="Always like this").click()
    expect(page.get_by_role("heading", name="Rule for e-mail")).to_be_visible()
    expect(page.locator(".diff ins")).to_have_text(['+rule = "order"', '+order = ["crm", "books"]'])
    expect(page.locator(".diff del")).to_have_text(['-rule = "hold"'])
    expect(page.locator("main")).to_contain_text("3 open conflicts of this field")
    assert file.read_text() == before
    page.get_by_role("button", name="Change the file and take crm in k2").click()
    expect(page.get_by_role("status")).to_contain_text("goes by the rule order")
    after = file.read_text()
    assert '[fields.email]   # a person decides\nrule = "order"\norder = ["crm", "books"]\n' in after
    assert (
        after.replace('order = ["crm", "books"]\n', "", 1).replace('rule = "order"', 'rule = "hold"', 1).split()
        == before.replace('rule = "order"', 'rule = "hold"', 0).split()
    )
    with furnished.store() as store:
        with store.reading() as tx:
            assert (tx.conflict("k2").winner, tx.conflict("k2").decided_by) == ("crm", ACTOR)
        assert ("rule_changed", ACTOR) in audited(store)
    furnished.place.run("sync", exit_code=1)
    with furnished.store() as store, store.reading() as tx:
        assert tx.client("c3").fields["email"] == "crm@changed.example"


def test_a_rule_is_not_written_over_anothers_change(enter: Open, furnished: Stage) -> None:
    """Where the file was changed since the change was shown, or cannot be written, nothing is done and that is told."""
    file = furnished.place.folder / "tenants" / "acme.toml"
    page = enter(furnished, "/t/acme/rules/phone?rule=hold")
    expect(page.locator(".diff ins")).to_have_text(['+rule = "hold"'])
    changed = file.read_text() + "\n# mine\n"
    file.write_text(changed)
    page.get_by_role("button", name="Change the file").click()
    expect(page.get_by_role("alert")).to_contain_text("has changed since")
    assert file.read_text() == changed
    with furnished.store() as store:
        assert audited(store) == []


def test_no_undo_is_offered_of_what_is_never_taken_back(enter: Open, furnished: Stage) -> None:
    """A record that syncd made has its line, and no link that could only be refused."""
    with furnished.store() as store, store.reading() as tx:
        made = next(row for row in tx.writes([WriteState.DONE]) if row.action is Action.CREATE)
    page = enter(furnished, f"/t/acme/clients/{made.client}?line=all")
    line = page.locator(".ev-write_done").filter(has_text="create in")
    expect(line).to_be_visible()
    expect(line.get_by_role("link", name="Undo")).to_have_count(0)


@SCRIPTS
def test_undoing_a_write(enter: Open, furnished: Stage, scripts: bool) -> None:
    """What a write did is shown as it would be set back, then set back under the person's name."""
    page = enter(furnished, "/t/acme/clients/c1", scripts=scripts)
    page.get_by_role("link", name="Undo w8").click()
    expect(page.get_by_role("heading", name="Undo w8")).to_be_visible()
    expect(page.locator("tbody")).to_contain_text("+33142685302")
    page.get_by_role("button", name="Set 1 back").click()
    expect(page.get_by_role("status")).to_contain_text("1 value set back")
    with furnished.store() as store:
        assert ("undone", ACTOR) in audited(store)
    furnished.place.run("sync", exit_code=1)
    assert {furnished.place.world(system).record("1")["phone"] for system in ("books", "crm")} == {"+33142685302"}
