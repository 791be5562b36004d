"""Merging, taking back and keeping apart on the page: shown first, done when agreed to, under the person's name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from syncd.engine import trail
from syncd.web.access import Role
from tests.web.conftest import Open
from tests.web.stage import Stage
from tests.web.test_deciding import ACTOR, SCRIPTS, audited, entry_of


def cannot_restore(stage: Stage, system: str) -> None:
    """From now on what is archived in a system stays archived there."""
    world = stage.place.world(system)
    world.profile = replace(world.profile, capabilities=replace(world.profile.capabilities, restore=False))


def archived_in(stage: Stage) -> dict[str, bool]:
    """System -> whether its record of c6 is archived, once the systems are in line."""
    for _ in range(3):
        stage.place.run("sync", exit_code=1)
    return {system: stage.place.world(system).record("6")["archived"] is True for system in ("books", "crm")}


def merge_of(page: Page, stage: Stage, winner: str, loser: str) -> None:
    page.goto(f"{stage.url}/t/acme/clients/{winner}")
    page.get_by_label("Take in another client").fill(loser)
    page.get_by_role("button", name="Show the merge").click()


@SCRIPTS
def test_merge_and_unmerge(enter: Open, furnished: Stage, scripts: bool) -> None:
    """Two clients become one in the store and in every system, after it was shown; and two again by the page of the survivor."""
    page = enter(furnished, scripts=scripts)
    merge_of(page, furnished, "c5", "c6")
    expect(page.get_by_role("heading", name="Merge c6 into c5")).to_be_visible()
    expect(page.locator("tbody").last).to_contain_text("is archived; record 5 stands for it")
    expect(page.get_by_role("checkbox")).to_have_count(0)
    with furnished.store() as store:
        assert audited(store) == []
        with store.reading() as tx:
            assert tx.client("c6").merged_into is None
    page.get_by_role("button", name="Merge c6 into c5").click()
    expect(page.get_by_role("status")).to_contain_text("c6 is another name of c5 now")
    with furnished.store() as store:
        assert (trail.CLIENTS_JOINED, ACTOR) in audited(store)
        with store.reading() as tx:
            assert tx.client("c6").merged_into == "c5"
            assert tx.merges(winner="c5")[0].decided_by == ACTOR
    assert archived_in(furnished) == {"books": True, "crm": True}
    page.goto(f"{furnished.url}/t/acme/clients/c5")
    page.get_by_role("link", name="Take c6 out again").click()
    expect(page.get_by_role("heading", name="Take c6 out of c5")).to_be_visible()
    page.get_by_role("button", name="Take c6 out of c5").click()
    expect(page.get_by_role("status")).to_contain_text("c6 and c5 are two clients again")
    with furnished.store() as store:
        with store.reading() as tx:
            assert (tx.client("c6").state, tx.client("c6").merged_into) == ("active", None)
            assert {link.client for link in tx.links_of(["c6"])["c6"]} == {"c6"}
        assert ("clients_unmerged", ACTOR) in audited(store)
    assert archived_in(furnished) == {"books": False, "crm": False}


@SCRIPTS
def test_what_cannot_be_undone_is_agreed_to(enter: Open, furnished: Stage, scripts: bool) -> None:
    """Where a system cannot bring a record back this is told first, and nothing is done unless the person says that they read it."""
    cannot_restore(furnished, "books")
    page = enter(furnished, scripts=scripts)
    merge_of(page, furnished, "c1", "c4")
    told = page.get_by_role("region", name="Cannot be undone")
    expect(told).to_contain_text("books cannot bring record")
    page.get_by_role("button", name="Merge c4 into c1").click()
    page.wait_for_timeout(300)
    expect(page.get_by_role("heading", name="Merge c4 into c1")).to_be_visible()  # the browser asks for the tick
    if scripts:
        page.locator("[required]").evaluate("(box) => box.removeAttribute('required')")
        page.get_by_role("button", name="Merge c4 into c1").click()
        expect(page.get_by_role("alert")).to_contain_text("nobody said that they have read that")
        with furnished.store() as store, store.reading() as tx:
            assert tx.client("c4").merged_into is None
        merge_of(page, furnished, "c1", "c4")
    page.get_by_label("I have read what cannot be undone").check()
    page.get_by_role("button", name="Merge c4 into c1").click()
    expect(page.get_by_role("status")).to_contain_text("c4 is another name of c1 now")
    expect(page.get_by_role("region", name="Cannot be undone")).to_be_visible()


@SCRIPTS
def test_a_proposal_that_cannot_be_undone_is_asked_about_once_more(
    enter: Open, furnished: Stage, scripts: bool
) -> None:
    """Releasing a proposal in the inbox tells first what of it no system can undo."""
    cannot_restore(furnished, "books")
    page = enter(furnished, "/t/acme/inbox", scripts=scripts)
    entry_of(page, "h6").get_by_role("button", name="They are one client").click()
    expect(page.locator("main")).to_contain_text("books cannot bring record")
    with furnished.store() as store, store.reading() as tx:
        assert tx.hold("h6").state == "open"
    if scripts:
        entry_of(page, "h6").get_by_role("button", name="They are one client, all the same").click()
        expect(page.get_by_role("status")).to_contain_text("h6 is released")
    else:
        page.get_by_role("button", name="Release 1").click()
        expect(page.get_by_role("heading", name="1 of 1 released")).to_be_visible()
    with furnished.store() as store, store.reading() as tx:
        assert tx.hold("h6").state == "done"
        assert tx.hold("h6").decided_by == ACTOR


@SCRIPTS
def test_apart_and_together(enter: Open, furnished: Stage, scripts: bool) -> None:
    """Two clients are kept apart, then cannot be merged, and may be one again when a person says so."""
    page = enter(furnished, "/t/acme/clients/c1", scripts=scripts)
    page.get_by_label("Keep apart from").fill("c4")
    page.get_by_role("button", name="Show what that does").click()
    expect(page.get_by_role("heading", name="Keep c1 and c4 apart")).to_be_visible()
    page.get_by_role("button", name="Keep them apart").click()
    expect(page.get_by_role("status")).to_contain_text("kept apart for ever")
    with furnished.store() as store:
        assert ("kept_apart", ACTOR) in audited(store)
    merge_of(page, furnished, "c1", "c4")
    expect(page.get_by_role("alert")).to_contain_text("c1 and c4 are kept apart")
    page.goto(f"{furnished.url}/t/acme/clients/c1")
    page.get_by_role("link", name="Allow them to be one").click()
    page.get_by_role("button", name="Allow it again").click()
    expect(page.get_by_role("status")).to_contain_text("may be linked")
    with furnished.store() as store:
        assert ("apart_undone", ACTOR) in audited(store)
        with store.reading() as tx:
            assert tx.aparts([("books", "1")]) == set()


def test_a_record_becomes_a_client_of_its_own(enter: Open, furnished: Stage) -> None:
    """A record that was linked wrongly is split off its client, and the two are kept apart."""
    page = enter(furnished, "/t/acme/clients/c1")
    page.get_by_label("Make two: a client of its own for").select_option("crm/1")
    page.get_by_role("button", name="Show the split").click()
    expect(page.locator("main")).to_contain_text("crm/1 would become a new client")
    page.get_by_role("button", name="Keep them apart").click()
    expect(page.get_by_role("status")).to_contain_text("kept apart for ever")
    with furnished.store() as store, store.reading() as tx:
        link = tx.link("crm", "1")
        assert link.client not in ("c1", None)
        assert tx.aparts([("crm", "1")])


def test_what_changed_since_it_was_shown_is_not_merged(enter: Open, furnished: Stage) -> None:
    """A merge that would come to something else than was shown is not made."""
    page = enter(furnished)
    merge_of(page, furnished, "c1", "c4")
    furnished.place.run("resolve", "k2", "--take", "crm")
    page.get_by_role("button", name="Merge c4 into c1").click()
    expect(page.get_by_role("alert")).to_contain_text("something else than was shown")
    with furnished.store() as store:
        assert audited(store) == []
        with store.reading() as tx:
            assert tx.client("c4").merged_into is None


def test_wrong_names_are_told(enter: Open, gallery: Stage) -> None:
    """Who cannot be merged or kept apart is told with the reason, and the form stays."""
    page = enter(gallery, "/t/acme/merge?winner=c1&loser=c999")
    expect(page.get_by_role("alert")).to_contain_text("there is no client c999")
    expect(page.get_by_role("alert")).to_contain_text("syncd clients")
    page.get_by_label("another name of it").fill("c1")
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.get_by_role("alert")).to_contain_text("one client already")
    page.goto(f"{gallery.url}/t/acme/apart?first=c1&second=books/nobody")
    expect(page.get_by_role("alert")).to_contain_text("there is no record nobody of books")
    page.goto(f"{gallery.url}/t/acme/unmerge/c1")
    expect(page.get_by_role("heading")).to_be_visible()
    with gallery.store() as store:
        assert audited(store) == []


@pytest.mark.parametrize("path", ["/t/acme/merge?winner=c1&loser=c4", "/t/acme/apart?first=c1&second=c4"])
def test_a_viewer_sees_what_would_happen(enter: Open, gallery: Stage, path: str) -> None:
    """Who may not act sees the same, and no button."""
    page = enter(gallery, path, role=Role.VIEWER)
    expect(page.locator("main")).to_contain_text("Nothing was done yet")
    assert page.locator("main form").count() == 0
