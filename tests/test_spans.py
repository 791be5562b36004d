"""What a collector of OpenTelemetry is told, and what it is never told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from syncd import log, spans
from syncd.config import load
from syncd.sandbox import Sandbox, start, write_config
from syncd.tenant import open_tenant

PERSONAL = ("client-rambert@secret.example", "Rambert Secret", "Ville Secrète", "+33612345678")


@pytest.fixture
def collected() -> Iterator[InMemorySpanExporter]:
    """A collector in memory."""
    kept = InMemorySpanExporter()
    spans.collect(SimpleSpanProcessor(kept))
    yield kept
    spans.end()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Two simulated systems with a few clients."""
    with start(seed=1, clients=3) as made:
        yield made


def cycle(sandbox: Sandbox, folder: Path) -> None:
    """One cycle of a tenant on the sandbox."""
    loaded = load(write_config(sandbox, folder, systems=("books", "lsp")))
    with open_tenant(loaded.service, loaded.tenants[0]) as tenant, tenant.working(), log.context(tenant="demo"):
        tenant.engine.cycle()


def named(told: tuple[ReadableSpan, ...], name: str) -> list[ReadableSpan]:
    return [each for each in told if each.name == f"syncd.{name}"]


def test_a_cycle_is_one_trace(sandbox: Sandbox, tmp_path: Path, collected: InMemorySpanExporter) -> None:
    """Walks, the decision, writes and requests, in whatever thread, belong to their cycle and bear the tenant."""
    cycle(sandbox, tmp_path)
    told = collected.get_finished_spans()
    [whole] = named(told, "cycle")
    assert {name: len(named(told, name)) > 0 for name in ("walk", "decide", "write", "request")} == dict.fromkeys(
        ("walk", "decide", "write", "request"), True
    )
    assert {each.context.trace_id for each in told if each.context} == {whole.context.trace_id if whole.context else 0}
    assert {(each.attributes or {}).get("syncd.tenant") for each in told} == {"demo"}
    identifiers = {each.context.span_id: each for each in told if each.context}
    for each in named(told, "request"):
        assert each.parent is not None
        assert identifiers[each.parent.span_id].name in {"syncd.walk", "syncd.write"}
        assert (each.attributes or {})["http.response.status_code"] in range(200, 300)
    assert {(each.attributes or {})["syncd.outcome"] for each in named(told, "walk")} == {"complete"}


def test_no_personal_value_is_told(sandbox: Sandbox, tmp_path: Path, collected: InMemorySpanExporter) -> None:
    """Names, addresses, numbers and URLs of clients stand nowhere in what a collector gets, also where a system fails."""
    email, name, city, phone = PERSONAL
    sandbox.fault("status", provider="tiime", method="POST", path="clients", status=422, times=1)
    contact = {"name": name, "email": email, "phone": phone}
    sandbox.create("lsp_expert", {"name": name, "address": {"city": city}, "contacts": [contact]})
    cycle(sandbox, tmp_path)
    told = collected.get_finished_spans()
    text = json.dumps([json.loads(each.to_json()) for each in told], ensure_ascii=False)
    assert named(told, "write")
    assert [word for word in (*PERSONAL, "://", "422 ") if word in text] == []
    allowed = {*spans.ATTRIBUTES.values()}
    assert {key for each in told for key in each.attributes or {}} <= allowed
    assert [each.events for each in told if each.events] == []


def test_an_error_is_told_by_its_type(collected: InMemorySpanExporter) -> None:
    """An error's words may be a client's: a span has its type alone."""
    with pytest.raises(ValueError, match="Rambert"), spans.span("decide"):
        raise ValueError(PERSONAL[1])
    [made] = collected.get_finished_spans()
    assert dict(made.attributes or {}) == {"error.type": "ValueError"}
    assert made.status.description == "ValueError"
    assert not made.events


def test_only_what_is_listed_is_told(collected: InMemorySpanExporter) -> None:
    """What is not in the list of attributes is refused."""
    with spans.span("decide") as told, pytest.raises(KeyError):
        told.tell(name=PERSONAL[1])
    assert len(collected.get_finished_spans()) == 1


def test_nothing_is_loaded_where_nobody_asks() -> None:
    """Without a setting a span is one and the same silent object, and OpenTelemetry is not asked for."""
    assert not spans.asked_for("", {})
    assert not spans.begin()
    assert spans.span("cycle", tenant="a") is spans.span("request")


@pytest.mark.parametrize(
    "endpoint, environment, wanted",
    [
        ("http://127.0.0.1:4318", {}, True),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ("http://127.0.0.1:4318", {"OTEL_SDK_DISABLED": "true"}, False),
        ("http://127.0.0.1:4318", {"OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_who_asks_for_spans(endpoint: str, environment: dict[str, str], *, wanted: bool) -> None:
    """The setting or the usual variables ask for spans; the usual variables forbid them."""
    assert spans.asked_for(endpoint, environment) is wanted


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra the service says so once and goes on without spans."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    log.configure("info", "json")
    try:
        assert not spans.begin("http://127.0.0.1:4318")
    finally:
        log.close()
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "spans_off"


def test_spans_arrive_by_otlp(httpserver: Any) -> None:
    """With an address spans go there as OTLP over HTTP, at the latest when the process ends."""
    httpserver.expect_request("/v1/traces", method="POST").respond_with_data(b"")
    assert spans.begin(httpserver.url_for("").rstrip("/"))
    with spans.span("cycle", tenant="acme"):
        pass
    spans.end()
    [(asked, _)] = httpserver.log
    assert asked.headers["Content-Type"] == "application/x-protobuf"
    assert b"syncd.cycle" in asked.get_data()
    assert b"acme" in asked.get_data()
