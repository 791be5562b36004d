"""What the pages read: the inbox in pages, the map of a tenant, and what a rule would do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from syncd import report, web
from syncd.config import load
from syncd.core.model import FieldPolicy, Mode, Rule
from syncd.report import inbox as inbox_report
from syncd.report.flow import flow
from syncd.report.foresight import foresee
from syncd.sandbox import start, write_config
from syncd.store import Store, open_store
from syncd.tenant import open_tenant
from syncd.web import glances
from tests.cli.place import Place
from tests.web.stage import furnish


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A furnished tenant that nobody changes."""
    made = Place(tmp_path_factory.mktemp("documents"))
    furnish(made)
    return made


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    opened = open_store(load(place.folder).service.database, "acme")
    yield opened
    opened.close()


def test_a_tenant_is_read_again_only_after_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the overview tells of a tenant is read anew after every commit of anybody, and costs no statement where there was none."""
    place = Place(tmp_path)
    furnish(place)
    monkeypatch.setattr(glances, "FRESH_SECONDS", 0.0)
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    site = web.Site(place.folder)
    try:
        site.glances.warm()
        time.sleep(0.1)
        for waiting in (10, 9, 8):
            [row] = site.glances.look(["acme"], 1.0)
            assert row["waiting_total"] == waiting
            time.sleep(0.1)
            site.glances.look(["acme"], 1.0)
            statements.clear()
            [again] = site.glances.look(["acme"], 0.0)
            assert (again["waiting_total"], statements) == (waiting, [])
            assert again["read_at"] >= row["read_at"]
            if waiting > 8:
                place.run("resolve", {10: "k2", 9: "k4"}[waiting], "--take", "crm")
    finally:
        event.remove(Engine, "before_cursor_execute", count)
        site.close()


def test_every_entry_is_on_one_page(store: Store) -> None:
    """However long the pages are, each entry comes once, holds before conflicts before parked writes."""
    whole = [each["entry"] for each in inbox_report.inbox(store, "acme", limit=100)]
    assert whole == ["h1", "h2", "h3", "h4", "h5", "h6", "k2", "k4", "k6", "w9"]
    for size in (1, 2, 3, 7):
        found: list[str] = []
        while page := inbox_report.inbox(store, "acme", after=found[-1] if found else "", limit=size):
            assert len(page) <= size
            found += [each["entry"] for each in page]
        assert found == whole
    kinds = {
        kind: [each["entry"] for each in inbox_report.inbox(store, "acme", kinds=[kind], limit=9)]
        for kind in inbox_report.KINDS
    }
    assert sorted(entry for entries in kinds.values() for entry in entries) == sorted(whole)
    with store.reading() as tx:
        assert {kind: len(entries) for kind, entries in kinds.items()} == tx.waiting_for_a_person()


def test_an_entry_by_itself_is_the_same(store: Store) -> None:
    """An entry has the same digest in the list and alone, another one after it was changed, and none where there is none."""
    for entry in inbox_report.inbox(store, "acme", limit=100):
        alone = inbox_report.entry(store, "acme", entry["entry"])
        assert alone is not None
        assert (alone["seen"], alone["open"], alone["kind"]) == (entry["seen"], True, entry["kind"])
    for wrong in ("h99", "k99", "w99", "c1", "", "h", "hx", "x1"):
        assert inbox_report.entry(store, "acme", wrong) is None
    document = report.conflict_document("acme", next(iter(_conflicts(store))))
    assert inbox_report.seen(document) != inbox_report.seen({**document, "winner": "books"})


def _conflicts(store: Store) -> list[object]:
    with store.reading() as tx:
        return list(tx.open_conflicts())


def test_a_conflict_shows_every_side_with_its_base(store: Store) -> None:
    """Golden and every record are told, who competes, and what each agreed to before."""
    entry = inbox_report.entry(store, "acme", "k2")
    assert entry is not None
    assert entry["conflict"]["takes"] == ["books", "crm", "golden", "base"]
    told = [(side["system"], side["value"], side["base"], side["competes"]) for side in entry["sides"]]
    assert told == [
        ("golden", "a@acme.example", "a@acme.example", False),
        ("books", "books@changed.example", "a@acme.example", True),
        ("crm", "crm@changed.example", "a@acme.example", True),
    ]


def test_what_a_rule_would_decide(place: Place, store: Store) -> None:
    """Open conflicts are told with the winner that the rule would name, or that a person is asked; decided ones too, but not what a merge kept."""
    policy = load(place.folder).tenants[0].policy
    for rule, order, winner in (
        (Rule.ORDER, ("crm",), "crm"),
        (Rule.ORDER, ("books", "crm"), "books"),
        (Rule.HOLD, (), None),
    ):
        changed = replace(policy, fields={**policy.fields, "email": FieldPolicy(rule, order)})
        told = foresee(store, changed, "email")
        assert [row["conflict"] for row in told["open"]] == ["k6", "k4", "k2"]
        assert {row["winner"] for row in told["open"]} == {winner}
        assert told["changed"] == (3 if winner else 0)
    told = foresee(store, replace(policy, fields={"phone": FieldPolicy(Rule.ORDER, ("books",))}), "phone")
    assert {(row["was"], row["winner"], row["changed"]) for row in told["decided"]} == {("crm", "books", True)}
    assert foresee(store, replace(policy, fields={"phone": FieldPolicy(Rule.NEWEST)}), "phone")["certain"] is False
    with store.hold_lock(), store.writing() as tx:
        row = next(each for each in tx.conflicts() if each.unit == "phone")
        tx.put_conflict(replace(row, rule="merge"))
    told = foresee(store, policy, "phone")
    assert row.conflict not in {each["conflict"] for each in told["open"] + told["decided"]}


def test_the_map_says_what_may_flow(tmp_path: Path) -> None:
    """For the four systems: what is read, what is written, and why not further, as their tables and the tenant's file say."""
    more = {"fields.iban": {"from": ["books"]}, "systems.erp": {"mode": "observe"}}
    with start(seed=1, clients=0) as sandbox:
        folder = write_config(sandbox, tmp_path, more=more)
    loaded = load(folder)
    with open_tenant(loaded.service, loaded.tenants[0], clock=lambda: datetime(2026, 11, 21, tzinfo=UTC)) as tenant:
        document = flow(tenant.policy, tenant.engine.systems)
        systems = tenant.engine.systems
    fields = {row["field"]: {place["system"]: place for place in row["systems"]} for row in document["fields"]}
    assert {place["writes"] for row in fields.values() for name, place in row.items() if name == "erp"} == {"no"}
    assert fields["name"]["erp"]["why_write"] == f"mode = {Mode.OBSERVE}"
    assert fields["marketing_consent"]["receipts"]["writes"] == "no"
    assert "tenant's file" in fields["marketing_consent"]["receipts"]["why_write"]
    assert {name for name, place in fields["iban"].items() if place["reads"] != "no"} <= {"books"}
    assert fields["email"]["lsp"]["reads"] == fields["email"]["lsp"]["writes"] == "yes"
    for unit, row in fields.items():
        for name, place in row.items():
            spec = systems[name].spec(unit)
            if spec is not None and not spec.create and not spec.update and unit != "archived":
                assert place["writes"] == "no"
            assert (place["reads"] == "yes") == (not place["why_read"])
            assert (place["writes"] == "yes") == (not place["why_write"])
