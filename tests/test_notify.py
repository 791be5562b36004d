"""Whoever is to be told is told once when something begins and once when it is over, and never a client's name."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from syncd.config import NotifyConfig, load
from syncd.notify import REMEMBERED, Matter, Notifier, matters
from syncd.report.gauges import Gauges, gauges
from syncd.store import SystemState
from syncd.tenant import Tenant, open_tenant
from tests.cli.place import Place

CANARY = "Zebedee"
ALL = NotifyConfig(on=frozenset({"paused", "brake", "first_run", "conflict", "stale", "budget"}))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A tenant under review, with a canary for a client."""
    made = Place(tmp_path)
    made.tenant(first_run="review")
    made.world("books").add(name=f"{CANARY} Quill", email=f"{CANARY}@quill.example")
    return made


@pytest.fixture
def tenant(place: Place) -> Iterator[Tenant]:
    """That tenant, with the working right."""
    loaded = load(place.folder)
    with open_tenant(loaded.service, loaded.tenants[0]) as opened, opened.store.hold_lock():
        yield opened


def cycle(tenant: Tenant) -> Gauges:
    return gauges(tenant, tenant.engine.cycle())


@pytest.fixture
def notifier() -> Iterator[Callable[[NotifyConfig], Notifier]]:
    """What makes notifiers that tell everything by the given means."""
    made: list[Notifier] = []

    def make(config: NotifyConfig) -> Notifier:
        made.append(Notifier(lambda _tenant: replace(config, on=ALL.on)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def pause(tenant: Tenant, state: SystemState) -> None:
    with tenant.store.writing() as tx:
        tx.put_system(replace(tx.systems()["crm"], state=state, reason="unauthorised"))


def test_what_is_the_matter(tenant: Tenant) -> None:
    """The first-run report, a pause, an old conflict, a stale system and a used budget are matters, each with a next step."""
    now = cycle(tenant)
    assert set(matters(now, ALL)) == {"first_run:h1"}
    pause(tenant, SystemState.PAUSED)
    later = now.at + timedelta(days=2)
    crm = replace(now.systems[1], state="paused", requests_per_day=100, requests_today=90)
    worse = replace(
        now, at=later, systems=(now.systems[0], crm), conflicts_open=1, oldest_conflict_at=now.at,
        urgent_holds=(("h9", "brake", "crm"),),
    )  # fmt: skip
    found = matters(worse, ALL)
    assert set(found) == {"brake:h9", "conflict", "paused:crm", "stale:books", "stale:crm", "budget:crm"}
    assert all((matter.next and "acme" in matter.next) or matter.kind == "budget" for matter in found.values())
    assert set(matters(worse, replace(ALL, on=frozenset({"budget"})))) == {"budget:crm"}


def test_a_program_is_told_once_and_of_the_end(tenant: Tenant, tmp_path: Path, notifier) -> None:
    """One message when it begins, none while it lasts, also after a restart, and one when it is over; no client in any."""
    script = tmp_path / "tell.py"
    script.write_text(
        "import sys, os; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n'); assert 'HOME' not in os.environ"
    )
    told = tmp_path / "told"
    config = NotifyConfig(command=(sys.executable, str(script), str(told)))

    def lines() -> list[dict[str, str]]:
        return [json.loads(line) for line in told.read_text().splitlines()]

    for _ in range(3):
        notifier(config).observe(tenant, cycle(tenant))
    assert [(line["kind"], line["state"], line["tenant"]) for line in lines()] == [("first_run", "began", "acme")]
    tenant.operator("tester").release("h1")
    for _ in range(2):
        notifier(config).observe(tenant, cycle(tenant))
    assert [line["state"] for line in lines()] == ["began", "over"]
    assert "syncd release h1" in lines()[0]["next"]
    assert CANARY not in told.read_text()
    assert "syncd, acme" in lines()[0]["text"]


def test_an_address_is_told_and_a_failure_is_tried_again(tenant: Tenant, httpserver: HTTPServer, notifier) -> None:
    """A refusal stops no cycle and is followed by another attempt; an answer that is no JSON is an answer."""
    bodies: list[dict[str, str]] = []
    answers = [500, 200]

    def answer(request: Request) -> Response:
        bodies.append(request.get_json())
        return Response("ok", status=answers.pop(0), content_type="text/plain")

    httpserver.expect_request("/hook", method="POST").respond_with_handler(answer)
    one = notifier(NotifyConfig(webhook=httpserver.url_for("/hook"), insecure_loopback=True))
    for _ in range(4):
        one.observe(tenant, cycle(tenant))
    assert [body["kind"] for body in bodies] == ["first_run", "first_run"]
    assert answers == []
    with tenant.store.reading() as tx:
        assert list(json.loads(tx.get_meta(REMEMBERED) or "")) == ["first_run:h1"]


def test_a_notifier_that_hangs_stops_no_cycle(tenant: Tenant, notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that never ends costs a cycle a second at most, and a program that is not there costs nothing."""
    monkeypatch.setattr("syncd.notify.TIMEOUT_SECONDS", 2.0)
    slow = notifier(NotifyConfig(command=(sys.executable, "-c", "import time; time.sleep(60)")))
    now = cycle(tenant)
    began = time.monotonic()
    slow.observe(tenant, now)
    assert time.monotonic() - began < 1.8
    notifier(NotifyConfig(command=("/nowhere/at/all",))).observe(tenant, now)
    with tenant.store.reading() as tx:
        assert tx.get_meta(REMEMBERED) is None


def test_a_matter_can_be_remembered(tenant: Tenant) -> None:
    """What is remembered of a matter is all that a message about its end needs."""
    matter = matters(cycle(tenant), ALL)["first_run:h1"]
    kept = {name: getattr(matter, name) for name in ("kind", "system", "message", "next")}
    assert Matter("first_run:h1", **json.loads(json.dumps(kept))) == matter


def test_sections_are_checked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal address, a section that tells nobody, an unknown kind and a relative program are refused; a tenant's section wins."""

    def problems(text: str) -> str:
        (place.folder / "syncd.toml").write_text(text)
        return place.run("status", exit_code=2).stderr

    assert "no reference to a secret" in problems('[notify]\nwebhook = "https://hooks.example/x"')
    assert "neither command nor webhook" in problems("[notify]")
    assert "notify.on" in problems('[notify]\ncommand = ["/bin/true"]\non = ["everything"]')
    assert "without its path" in problems('[notify]\ncommand = ["true"]')
    monkeypatch.setenv("HOOK", "http://hooks.example/x")
    assert "not shown" in problems('[notify]\nwebhook = "env:HOOK"')
    monkeypatch.setenv("HOOK", "https://hooks.example/x")
    (place.folder / "syncd.toml").write_text('[notify]\nwebhook = "env:HOOK"')
    file = place.folder / "tenants" / "acme.toml"
    file.write_text(file.read_text() + '\n[notify]\ncommand = ["/bin/true"]\nconflict_age = "2h"\n')
    loaded = load(place.folder)
    assert loaded.service.notify == replace(ALL, webhook="https://hooks.example/x")
    assert loaded.tenants[0].notify == replace(ALL, command=("/bin/true",), conflict_age_seconds=7200.0)
