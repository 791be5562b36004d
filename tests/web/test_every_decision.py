"""Whatever button the inbox has is pressed in a browser by some test; here those are that `test_deciding` does not press."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Page, expect

from syncd.cli import front
from syncd.providers.memory import forget
from tests.cli.place import Place
from tests.web.conftest import Open
from tests.web.stage import Stage
from tests.web.test_deciding import ACTOR, SCRIPTS, audited, entry_of

PRESSED = {
    ("first_run", "Release the first run"),
    ("brake", "Release the whole set"),
    ("brake", "Refuse"),
    ("link", "They are one client"),
    ("link", "Keep apart"),
    ("merge", "They are one client"),
    ("merge", "Keep apart"),
    ("field", "Try again"),
    ("field", "Live with it"),
    ("lossy", "Take the new value"),
    ("lossy", "Keep golden"),
    ("conflict", "Take golden"),
    ("conflict", "Take books"),
    ("conflict", "Take crm"),
    ("conflict", "Take base"),
    ("conflict", "Take this value"),
    ("parked", "Retry"),
    ("parked", "Drop"),
}
"""Kind of entry, button: pressed here or in `test_deciding`, with the end state asserted."""


def test_no_button_is_left_out(enter: Open, gallery: Stage) -> None:
    """The inbox with one entry of each kind offers exactly the decisions that tests press."""
    page = enter(gallery, "/t/acme/inbox")
    found = set()
    for entry in page.locator("[data-entry]").all():
        kind = (entry.locator(".kind").text_content() or "").strip().replace(" ", "_")
        found |= {(kind, text.strip()) for text in entry.locator("button").all_text_contents()}
    assert found == PRESSED


@SCRIPTS
def test_the_other_answers(enter: Open, furnished: Stage, scripts: bool) -> None:
    """A brake and a merge are refused, a parked write is dropped, a conflict goes back to the base or to one system."""
    page = enter(furnished, "/t/acme/inbox", scripts=scripts)
    steps = [
        ("h2", "Refuse", "refused"),
        ("h6", "Keep apart", "refused"),
        ("k2", "Take base", "resolved by base"),
        ("k4", "Take books", "resolved by books"),
        ("w9", "Drop", "dropped"),
    ]
    for identifier, button, words in steps:
        entry_of(page, identifier).get_by_role("button", name=button).click()
        expect(page.get_by_role("status").filter(has_text=f"{identifier} is {words}")).to_be_visible()
    with furnished.store() as store:
        with store.reading() as tx:
            assert {(tx.hold(each).state, tx.hold(each).decided_by) for each in ("h2", "h6")} == {("refused", ACTOR)}
            assert {tx.conflict(each).decided_by for each in ("k2", "k4")} == {ACTOR}
            assert tx.client("c1").fields["email"] == "a@acme.example"
            assert tx.client("c3").fields["email"] == "books@changed.example"
            assert tx.write("w9").state == "dropped"
            assert tx.aparts([("books", "2")])
        acts = [kind for kind, _ in audited(store)]
    told = {kind: acts.count(kind) for kind in ("hold_refused", "conflict_resolved", "write_dropped")}
    assert told == {"hold_refused": 2, "conflict_resolved": 2, "write_dropped": 1}
    furnished.place.run("sync", exit_code=1)
    worlds = [furnished.place.world(system) for system in ("books", "crm")]
    assert {world.record("1")["email"] for world in worlds} == {"a@acme.example"}
    assert {world.record("3")["email"] for world in worlds} == {"books@changed.example"}


@pytest.mark.parametrize(
    "do, ticked, words, kind",
    [
        ("release", ("h3", "h4", "h6"), "3 of 3 released", "hold_released"),
        ("refuse", ("h2", "h3", "h6"), "3 of 3 refused", "hold_refused"),
        ("retry", ("w9",), "1 of 1 to be sent again", "write_retried"),
        ("drop", ("w9", "h3"), "1 of 2 dropped", "write_dropped"),
        ("resolve by golden", ("k2", "k4", "k6"), "3 of 3 resolved by golden", "conflict_resolved"),
    ],
)
def test_each_decision_about_many(
    enter: Open, furnished: Stage, do: str, ticked: tuple[str, ...], words: str, kind: str
) -> None:
    """Each decision can be made about the ticked entries together; the audit trail has one act for each."""
    page = enter(furnished, "/t/acme/inbox", scripts=False)
    for identifier in ticked:
        entry_of(page, identifier).get_by_role("checkbox").check()
    page.get_by_label("With the ticked ones").select_option(do)
    page.get_by_role("button", name="Show what will happen").click()
    page.locator("form.acts button.main").click()
    expect(page.get_by_role("heading", name=words)).to_be_visible()
    with furnished.store() as store:
        assert [each for each, _ in audited(store)].count(kind) == int(words[0])


def test_only_keys(enter: Open, furnished: Stage) -> None:
    """From the first page to a dropped write and a refused brake without a mouse, by Tab, Enter and the keys of the inbox."""
    page = enter(furnished)
    tab_to(page, "Inbox")
    page.keyboard.press("Enter")
    page.wait_for_url("**/inbox")
    expect(entry_of(page, "h1")).to_have_attribute("tabindex", "0")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('[data-entry]')"):
            break
    expect(entry_of(page, "h1")).to_be_focused()
    page.keyboard.press("j")
    expect(entry_of(page, "h2")).to_be_focused()
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_url("**/inbox?done=*")
    expect(page.get_by_role("status")).to_contain_text("h2 is refused")
    entry_of(page, "w9").focus()
    page.keyboard.press("f")
    expect(entry_of(page, "w9").get_by_role("button", name="Drop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="w9 is dropped")).to_be_visible()
    expect(entry_of(page, "w9")).to_be_focused()
    with furnished.store() as store, store.reading() as tx:
        assert (tx.hold("h2").state, tx.write("w9").state) == ("refused", "dropped")


def tab_to(page: Page, name: str) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == name:
            return
    pytest.fail(f"no way to {name} by Tab")


@pytest.fixture
def deleted(tmp_path: Path) -> Iterator[Stage]:
    """Two clients that crm deleted while books edited them: k2 and k3; and one whose address waits for a person: k1."""
    place = Place(tmp_path)
    place.tenant(more='[fields.address]\nrule = "hold"\n')
    books, crm = place.world("books"), place.world("crm")
    for number in range(1, 13):
        books.add(name=f"Client {number}", email=f"c{number}@clients.example", city="Paris", country="FR")
    place.run("sync", "--until-quiet")
    for number in ("1", "2"):
        crm.remove(number)
        books.edit(number, phone=f"+3314268530{number}")
    books.edit("3", city="Lyon")
    crm.edit("3", city="Lille")
    settle(place)
    with Stage(place).served() as stage:
        yield stage
    for each in place.worlds.values():
        forget(each.name)


def settle(place: Place) -> None:
    """Some cycles; whether something waits for a person is not what is asked here."""
    for _ in range(4):
        assert CliRunner().invoke(front, ["--config", str(place.folder), "sync"]).exit_code in (0, 1)


@SCRIPTS
def test_a_delete_is_decided_otherwise(enter: Open, deleted: Stage, scripts: bool) -> None:
    """An edit that won over a delete can be decided the other way on the page of its conflict, or the record made again."""
    page = enter(deleted, "/t/acme/clients/c1", scripts=scripts)
    page.get_by_role("link", name="k2").click()
    expect(page.locator("main")).to_contain_text("The rule edit-over-delete decided for books.")
    entry_of(page, "k2").get_by_role("button", name="Take crm").click()
    expect(page.get_by_role("status")).to_contain_text("k2 is resolved by crm")
    page.goto(f"{deleted.url}/t/acme/inbox/k3")
    entry_of(page, "k3").get_by_role("button", name="Take golden").click()
    expect(page.get_by_role("status")).to_contain_text("k3 is resolved by golden")
    with deleted.store() as store:
        with store.reading() as tx:
            assert {(tx.conflict(each).status, tx.conflict(each).decided_by) for each in ("k2", "k3")} == {
                ("resolved", ACTOR)
            }
        assert [kind for kind, _ in audited(store)].count("conflict_resolved") == 2
    settle(deleted.place)
    books, crm = deleted.place.world("books"), deleted.place.world("crm")
    assert books.record("1")["archived"] is True
    assert books.record("2")["archived"] is not True
    assert [crm.record(each)["phone"] for each in crm.ids() if crm.record(each)["name"] == "Client 2"] == [
        "+33142685302"
    ]
    assert [each for each in crm.ids() if crm.record(each)["name"] == "Client 1"] == []


@SCRIPTS
def test_an_address_of_ones_own(enter: Open, deleted: Stage, scripts: bool) -> None:
    """A typed address goes to every system as a whole."""
    page = enter(deleted, "/t/acme/inbox", scripts=scripts)
    entry = entry_of(page, "k1")
    entry.get_by_text("Another value").click()
    for name, text in {"line 1": "3 rue Neuve", "postal code": "31000", "city": "Toulouse", "country": "FR"}.items():
        entry.get_by_label(name, exact=True).fill(text)
    entry.get_by_role("button", name="Take this value").click()
    expect(page.get_by_role("status").filter(has_text="k1 is resolved")).to_be_visible()
    with deleted.store() as store:
        assert ("conflict_resolved", ACTOR) in audited(store)
    settle(deleted.place)
    for system in ("books", "crm"):
        record = deleted.place.world(system).record("3")
        assert [record[name] for name in ("address_line1", "postal_code", "city")] == [
            "3 rue Neuve",
            "31000",
            "Toulouse",
        ]
