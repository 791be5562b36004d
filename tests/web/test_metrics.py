"""/metrics tells what the alert rules and the dashboard ask for, and nobody's name."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncd import web
from syncd.config import load
from syncd.engine import CycleReport
from syncd.report.gauges import gauges
from syncd.tenant import Tenant, open_tenant
from syncd.web.metrics import Metrics
from tests.cli.place import Place

ROOT = Path(__file__).resolve().parents[2]
OPS = [ROOT / "ops" / "alerts.yml", ROOT / "ops" / "grafana.json"]
NAME = re.compile(r"\b(?:syncd|process)_[a-z_]+")
CANARY = "Zebedee"


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    """A tenant with a canary for a client, a budget in one system, and the working right."""
    place = Place(tmp_path)
    place.tenant()
    file = place.folder / "tenants" / "acme.toml"
    file.write_text(file.read_text().replace("[systems.crm]", "requests_per_day = 100\n[systems.crm]"))
    place.world("books").add(name=f"{CANARY} Quill", email=f"{CANARY}@quill.example")
    loaded = load(place.folder)
    with open_tenant(loaded.service, loaded.tenants[0]) as opened, opened.store.hold_lock():
        yield opened


@pytest.fixture
def metrics(tenant: Tenant) -> Metrics:
    """After three cycles, the first of which created a record, the last with a conflict."""
    made = Metrics(lambda: {"tenants": {tenant.name: {"ready": True}}})
    for number in range(3):
        made.observe(gauges(tenant, cycle(tenant)))
        if number == 1:
            tenant.providers["books"].world.edit("1", phone="+33142685300")  # type: ignore[attr-defined]
            tenant.providers["crm"].world.edit("1", phone="+33142685301")  # type: ignore[attr-defined]
    return made


def cycle(tenant: Tenant) -> CycleReport:
    return tenant.engine.cycle()


def told(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """(metric, label values in the order of label names...) -> value."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_numbers_are_those_of_the_tenant(metrics: Metrics) -> None:
    """Walks, writes, counts, conflicts and lags add up to what three cycles did."""
    found = told(metrics)
    assert found["syncd_cycles_total", "acme"] == 3
    assert found["syncd_writes_total", "created", "crm", "acme"] == 1
    assert found["syncd_clients", "in_sync", "books", "acme"] == 1
    assert found["syncd_records", "crm", "acme"] == 1
    assert found["syncd_conflicts_total", "acme"] == 1
    assert found["syncd_conflicts_open", "acme"] == 0
    assert found["syncd_system_state", "ok", "books", "acme"] == 1
    assert found["syncd_propagation_lag_seconds_count", "crm", "acme"] == 2
    assert found["syncd_freshness_seconds_count", "books", "acme"] == 2
    assert found["syncd_requests_budget", "books", "acme"] == 100
    assert found["syncd_breaker_open", "books", "acme"] == 0


@pytest.mark.parametrize("path", OPS, ids=lambda path: path.name)
def test_every_metric_that_is_asked_for_exists(metrics: Metrics, path: Path) -> None:
    """No alert rule and no panel asks for a metric that is never told; what is told for people has a use."""
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    names = {sample.name for family in families.values() for sample in family.samples} | set(families)
    optional = {"syncd_holds_open", "syncd_conflict_oldest_timestamp_seconds"}  # told only where there is one
    asked = {name for name in NAME.findall(path.read_text(encoding="utf-8")) if not name.endswith("_by")}
    assert asked
    assert asked - names - optional == set()
    everywhere = "".join(each.read_text(encoding="utf-8") for each in OPS)
    assert [name for name in families if name.startswith("syncd_") and name not in everywhere] == []


def test_nobody_is_named(metrics: Metrics) -> None:
    """No value, no client id and no address is in the exposition; labels are tenant, system and words of syncd's own."""
    text = metrics.exposition().decode()
    assert CANARY.lower() not in text.lower()
    assert "example" not in text
    labels = set(re.findall(r"[{,]([a-z_]+)=", text))
    assert labels <= {"tenant", "system", "state", "kind", "outcome", "did", "le", "version"}


def test_a_tenant_that_is_not_worked_on_is_not_told(tenant: Tenant) -> None:
    """Gauges of a tenant that was removed end with it."""
    health = {"tenants": {tenant.name: {"ready": True}}}
    metrics = Metrics(lambda: health)
    metrics.observe(gauges(tenant, cycle(tenant)))
    assert ("syncd_tenant_ready", "acme") in told(metrics)
    health["tenants"] = {}
    assert not [name for name in told(metrics) if name[0] in ("syncd_tenant_ready", "syncd_clients")]


def test_it_is_served(metrics: Metrics) -> None:
    """GET /metrics answers in the text format of Prometheus, beside /healthz."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = web.Server(f"127.0.0.1:{port}", web.application(lambda: {"ready": True, "tenants": {}}, metrics))
    assert server.start()
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert b"syncd_build_info" in answer.read()
        with urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
    finally:
        server.stop()
