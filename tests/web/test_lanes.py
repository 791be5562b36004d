"""A plan on request: the lane of a tenant makes it between two cycles, and sends nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import expect

from syncd import report, web
from syncd.config import load
from syncd.daemon import Lane
from syncd.dispatch import local
from syncd.errors import StoreError
from tests.cli.place import Place
from tests.web.conftest import Open
from tests.web.stage import Stage


def test_a_plan_by_the_lane_at_work(enter: Open, tmp_path: Path) -> None:
    """Who asks for a plan on the page gets what a cycle would write, with before and after; nothing is sent."""
    place = Place(tmp_path)
    place.tenant()
    place.world("books").add(name="ACME", city="Paris")
    place.run("sync", "--until-quiet")
    loaded = load(place.folder)
    lane = Lane(loaded.service, loaded.tenants[0], lambda _tenant, _cycle: None)
    lane.start()
    place.world("books").edit("1", city="Lyon")

    def plan(name: str) -> web.Planned:
        asked = lane.between(lambda at: report.plan(name, at.policy.digest, at.engine.plan(), at.engine.clock()))
        return lambda: asked.result() if asked.done() else None

    try:
        with Stage(place, web.Live(plan=plan)).served() as stage:
            page = enter(stage, "/t/acme/plan", scripts=False)
            page.get_by_role("button", name="Make a plan").click()
            for _ in range(60):
                if page.get_by_text(re.compile("Nothing was sent")).count():
                    break
                page.wait_for_timeout(250)
                page.goto(f"{stage.url}/t/acme/plan")
            expect(page.locator("main")).to_contain_text("1 writes")
            expect(page.locator("tbody tr")).to_contain_text(["Lyon"])
            assert place.world("crm").record("1")["city"] == "Paris"
    finally:
        lane.stop()
        assert lane.join(20.0)


def test_an_errand_that_fails_is_told(tmp_path: Path) -> None:
    """What goes wrong with an errand is for whoever asked; the lane goes on; after its end it takes none with it unanswered."""
    place = Place(tmp_path)
    place.tenant()
    loaded = load(place.folder)
    lane = Lane(loaded.service, loaded.tenants[0], lambda _tenant, _cycle: None)
    early = lane.between(lambda at: at.name)
    lane.start()
    assert early.result(20.0) == "acme"
    wrong = lane.between(lambda at: at.config.no_such_thing)  # type: ignore[attr-defined]
    assert isinstance(wrong.exception(20.0), AttributeError)
    assert lane.between(lambda at: at.name).result(20.0) == "acme"
    with lane._guard:
        lane._stop.set()
    late = lane.between(lambda at: at.name)
    assert isinstance(late.exception(20.0), StoreError)
    assert lane.join(20.0)


def test_a_lane_without_work_gives_its_connections_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment without work nothing of the store is open but the right to work on it; the next cycle works as ever."""
    monkeypatch.setattr(local, "REST_SECONDS", 0.2)
    place = Place(tmp_path)
    place.tenant()
    place.world("books").add(name="ACME", city="Paris")
    loaded = load(place.folder)
    done: list[int] = []
    lane = Lane(loaded.service, loaded.tenants[0], lambda _tenant, report: done.append(len(report.systems)))
    lane.start()

    def cycle(number: int) -> None:
        lane.wake("books")
        lane.wake("crm")
        assert settled(lambda: len(done) >= number and not list(place.folder.rglob("acme.db-wal")))

    try:
        cycle(1)
        place.world("books").edit("1", city="Lyon")
        cycle(len(done) + 1)
        assert lane.between(lambda at: at.name).result(20.0) == "acme"
        assert lane.ready
    finally:
        lane.stop()
        assert lane.join(20.0)


def settled(truth: Callable[[], bool]) -> bool:
    """Whether something becomes true within some seconds."""
    deadline = time.monotonic() + 20.0
    while not truth():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_tenant_that_hangs_while_it_is_opened_keeps_no_other_from_work(tmp_path: Path) -> None:
    """Where every turn is taken by one that hangs, the next waits for some seconds, and is then opened all the same."""
    place = Place(tmp_path)
    place.tenant()
    loaded = load(place.folder)
    lane = Lane(loaded.service, loaded.tenants[0], lambda _tenant, _cycle: None)
    with ExitStack() as hanging:
        for _ in range(local.OPENING):
            hanging.enter_context(local.turns)
        lane.start()
        with pytest.raises(TimeoutError):
            lane.between(lambda at: at.name).result(local.TURN_SECONDS / 2)
        assert lane.between(lambda at: at.name).result(20.0) == "acme"
    lane.stop()
    assert lane.join(20.0)
