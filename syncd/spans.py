"""OpenTelemetry spans of what the service does, for whoever has a collector. Without the extra `otel`, or unless it is asked for, nothing.

    cycle > walk > request        one listing of one system, and each of its requests
          > decide                everything that was decided
          > write > request       one write, from its claim to the answer that was seen

A span bears names and numbers: what is bound to the lines of the log (tenant, system, cycle, worker), ids of syncd's own (walk, write, client),
what was done and what came of it. Never a value, a name or an address of a client, never a URL or the words of an error. Nothing of it goes
to the systems: their requests bear no trace header.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from syncd import __version__, log

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as OpenSpan

Name = Literal["cycle", "walk", "decide", "write", "request"]

ATTRIBUTES: Final[Mapping[str, str]] = {
    **{
        name: f"syncd.{name}"
        for name in (
            *log.CONTEXT_KEYS,
            "walk",
            "write",
            "action",
            "outcome",
            "state",
            "clients",
            "records",
            "writes",
            "conflicts",
            "holds",
            "operation",
        )
    },
    "method": "http.request.method",
    "status": "http.response.status_code",
    "code": "error.type",
}
"""What a span may tell -> the attribute it becomes. Nothing else can be told."""

ADDRESSES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CLOSE_SECONDS: Final = 2.0
"""How long the end of the process waits for the last spans to be taken."""

_log = log.get("spans")


class Telling(Protocol):
    """An open span."""

    def tell(self, **attributes: str | int | None) -> None:
        """What is known by now. Raises KeyError for what a span may not tell; None tells nothing."""
        ...


class Asked(Protocol):
    """A request as far as a span tells of it."""

    @property
    def who(self) -> str:
        """The system."""
        ...

    @property
    def method(self) -> str:
        """Of HTTP."""
        ...

    @property
    def operation(self) -> str:
        """What it is, in a word."""
        ...


class Answered(Protocol):
    """What came back."""

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...


_Answer = TypeVar("_Answer", bound=Answered)


class _Silent:
    """What stands for a span where nobody collects them."""

    def tell(self, **attributes: str | int | None) -> None:
        """Nothing."""


class _Open:
    """A span under way."""

    def __init__(self, span: OpenSpan) -> None:
        self._span = span

    def tell(self, **attributes: str | int | None) -> None:
        """Add attributes."""
        for name, value in attributes.items():
            key = ATTRIBUTES[name]
            if value is not None:
                self._span.set_attribute(key, value)


class _Active:
    """Who collects in this process, if anybody does."""

    provider: TracerProvider | None = None


_SILENCE: Final[AbstractContextManager[Telling]] = nullcontext(_Silent())


def span(name: Name, **attributes: str | int | None) -> AbstractContextManager[Telling]:
    """A span around a block; costs a comparison where nobody collects. An error is told by its code or type alone."""
    provider = _Active.provider
    return _SILENCE if provider is None else _opened(provider, name, attributes)


def request(send: Callable[[], _Answer], asked: Asked) -> _Answer:
    """Send one request inside a span of its own."""
    with span("request", system=asked.who, method=asked.method, operation=asked.operation) as told:
        answer = send()
        told.tell(status=answer.status)
        return answer


@contextmanager
def _opened(provider: TracerProvider, name: Name, attributes: Mapping[str, str | int | None]) -> Iterator[Telling]:
    from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - of the extra

    kind = SpanKind.CLIENT if name == "request" else SpanKind.INTERNAL
    with provider.get_tracer("syncd", __version__).start_as_current_span(
        f"syncd.{name}", kind=kind, record_exception=False, set_status_on_exception=False
    ) as made:
        telling = _Open(made)
        telling.tell(**log.bound())
        telling.tell(**attributes)
        try:
            yield telling
        except BaseException as error:
            code = str(getattr(error, "code", None) or type(error).__name__)
            telling.tell(code=code)
            made.set_status(Status(StatusCode.ERROR, code))
            raise


def asked_for(endpoint: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether spans are to be sent: by the setting, or by OpenTelemetry's own variables, which can also forbid it."""
    forbidden = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    elsewhere = environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    wanted = bool(endpoint) or any(environment.get(name) for name in ADDRESSES)
    return wanted and not forbidden and not elsewhere


def begin(endpoint: str = "") -> bool:
    """From now on send spans by OTLP over HTTP if that is asked for; whether it is done. Where the extra is missing the log says so.

    endpoint: the collector's address, such as http://127.0.0.1:4318; "" for what the environment says.
    """
    if not asked_for(endpoint):
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - both of the extra
    except ImportError:
        _log.warning("spans_off", reason="the extra is not installed: pip install '.[otel]' in the checkout")
        return False
    exporter: SpanExporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)
    collect(BatchSpanProcessor(exporter))
    _log.info("spans_on")
    return True


def collect(processor: SpanProcessor) -> None:
    """Hand every span to `processor` from now on."""
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource  # noqa: PLC0415 - of the extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    told: dict[str, Any] = {SERVICE_VERSION: __version__}
    if "OTEL_SERVICE_NAME" not in os.environ:
        told[SERVICE_NAME] = "syncd"
    provider = TracerProvider(resource=Resource.create(told), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    _Active.provider = provider


def end() -> None:
    """Send what is left and stop; gives up after `CLOSE_SECONDS`, so that no collector holds up an end."""
    provider, _Active.provider = _Active.provider, None
    if provider is None:
        return
    last = threading.Thread(target=provider.shutdown, name="spans-end", daemon=True)
    last.start()
    last.join(CLOSE_SECONDS)
