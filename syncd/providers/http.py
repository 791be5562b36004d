"""The one door to the network: whatever goes out and comes in passes `Http.send`, and ends as an `Answer` or a `ProviderError`.

Around each request, outermost first: tenacity (short repeats) > purgatory (breaker) > pyrate-limiter (budgets) > httpx >
decoding within limits > classification. What is repeated here, at most `TRIES` times and within `BUDGET_SECONDS`:

    a read, a login     after a time-out, a cut, 408, 5xx, a refused connection, a short 429
    a write             after a refused connection and a short 429: nothing of it was processed. Never after its bytes were sent

What an outcome becomes (a login counts as a read whose refusals are `Unauthorised`):

    refused connection, failed lookup or TLS, open breaker    OutOfReach
    time-out, cut, 408, 5xx                                   Transient for a read, UnknownOutcome for a write
    429                                                       RateLimited; the origin is left alone for as long as it asked
    401                                                       renewed once by one thread for all and repeated once, then Unauthorised
    403                                                       Unauthorised for a read, Rejected for a write
    404, 410                                                  Gone where `external_id` names a record; else Malformed (read), Rejected (write)
    409                                                       Duplicate where the system names the other record, else Rejected
    3xx                                                       Gone where a record moved for good to another id; else as a 2xx that is no JSON
    other 4xx                                                 Rejected
    2xx that is no JSON within the limits                     Malformed for a read, UnknownOutcome for a write

Credentials go to the configured origin only: no redirects, no proxies and nothing else from the environment but the place
of the certificate store (SSL_CERT_FILE), no cookies, and every final URL is compared with its origin before it is sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, Protocol, Unpack
from urllib.parse import quote, urlencode

import httpcore
import httpx
import msgspec
import tenacity
from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from syncd import spans
from syncd.errors import (
    ConfigError,
    Malformed,
    OutOfReach,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    Unauthorised,
    UnknownOutcome,
)
from syncd.providers import decoding
from syncd.providers.decoding import NOTHING, segment
from syncd.providers.outcomes import (
    Answer,
    Explained,
    How,
    Question,
    Received,
    Unread,
    ahead_seconds,
    explain_plainly,
    judge,
)
from syncd.providers.pace import MakePacing, Pace
from syncd.providers.wire import Bounded, bound, is_loopback, why

if TYPE_CHECKING:
    import ssl

    from syncd.core.model import Value
    from syncd.providers import Known, Settings

__all__ = ["Answer", "Authoriser", "Explained", "Http", "explain_plainly", "segment"]

TRIES: Final = 4
BUDGET_SECONDS: Final = 30.0
SHORT_PAUSE_SECONDS: Final = 10.0
"""A 429 that asks for more than this is not waited for here: the engine comes back later."""
FIRST_BACKOFF_SECONDS: Final = 0.2
LONGEST_BACKOFF_SECONDS: Final = 5.0
DEFAULT_REQUESTS_PER_SECOND: Final = 10.0
"""For a system that is not on this machine and whose file says nothing."""
BREAKER_FAILURES: Final = 20
BREAKER_SECONDS: Final = 3.0
MAX_CONNECTIONS: Final = 16
KEEP_ALIVE_SECONDS: Final = 5.0
"""Short, so that a connection which the system is about to close is not chosen for a write."""

# httpx names whole URLs at INFO and httpcore whole headers at DEBUG: neither may reach a log.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


class Authoriser(Protocol):
    """Where credentials come from. Ready-made ones are in `syncd.providers.credentials`."""

    def headers(self) -> Mapping[str, str]:
        """The current credentials; logs in first where it must."""
        ...

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Get new credentials unless another thread just did; True if they now differ from those refused."""
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, ready to go, and what its answer will be judged by."""

    question: Question
    url: httpx.URL = field(repr=False)
    origin: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)


class _Shut(OutOfReach):
    """Out of reach for longer than a repeat takes: the breaker is open, or syncd is stopping."""


class _Body(httpx.SyncByteStream):
    """A response body as httpcore streams it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        """Give the connection back, or end it where the body was not read to its end."""
        self._stream.close()


class _Transport(httpx.BaseTransport):
    """httpx on top of sockets that know the deadline of their request (`syncd.providers.wire`)."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=Bounded(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request on a pooled connection; raises httpcore's exceptions."""
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response.stream), extensions=response.extensions
        )

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """The trusted certificate authorities: certifi's, or those of SSL_CERT_FILE; read once."""
    return httpx.create_ssl_context()


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.host}:{url.port or {'http': 80, 'https': 443}.get(url.scheme)}"


def _is_no_outage(error: BaseException) -> bool:
    """Whether the system is there and talking although the request failed: no concern of the breaker."""
    return not isinstance(error, Transient) or isinstance(error, RateLimited | _Shut)


@contextmanager
def _logging_in(question: Question) -> Iterator[None]:
    """Around a login: where it fails for the moment, nothing of the request itself was processed."""
    try:
        yield
    except RateLimited:
        raise
    except Transient as error:
        message = question.says(f"no login at the moment ({str(error).removeprefix(f'{question.who}: ')})")
        raise OutOfReach(message, **question.context(error.status, error.words)) from error


_BACKOFF = tenacity.wait_exponential_jitter(
    multiplier=FIRST_BACKOFF_SECONDS, max=LONGEST_BACKOFF_SECONDS, jitter=FIRST_BACKOFF_SECONDS
)
_AFTER_PAUSE = tenacity.wait_random(0, FIRST_BACKOFF_SECONDS)


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try: what the system asked for, or growing, both with jitter."""
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_seconds + _AFTER_PAUSE(state) if isinstance(error, RateLimited) else _BACKOFF(state)


class Http:
    """One system's connection: pooled, paced, thread safe. Built as `Http(settings, TheProvider.default_base_url)`."""

    def __init__(
        self,
        settings: Settings,
        default_base_url: str,
        *,
        requests_per_second: float | None = None,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.time,
        pace: MakePacing = Pace,
    ) -> None:
        """Check the base URL (raises `ConfigError`); opens nothing yet. clock: wall clock in seconds, for Retry-After dates without Date.

        requests_per_second: for a tenant's file that names none. stop: set when syncd ends; ends every wait. pace: counts requests.
        """
        self.base_url = (settings.base_url or default_base_url).rstrip("/")
        self._who = settings.system
        self._insecure_loopback = settings.insecure_loopback
        self._timeout_seconds = settings.timeout_seconds
        self._clock = clock
        self._stop = stop or threading.Event()
        self._origin = self._check(self.base_url, "base_url")
        self._login_origins: set[str] = set()
        self._authoriser: Authoriser | None = None
        self._lock = threading.Lock()
        self._requests = 0
        self.skew_seconds: float | None = None  # this machine's clock beside the system's
        rate = settings.requests_per_second
        if rate is None and not is_loopback(httpx.URL(self.base_url).host):
            rate = requests_per_second or DEFAULT_REQUESTS_PER_SECOND
        self._pace = pace(rate, settings.requests_per_day, self._stop, self._who)
        self._breakers = SyncCircuitBreakerFactory(
            BREAKER_FAILURES, BREAKER_SECONDS, exclude=[(ProviderError, _is_no_outage)]
        )
        self._breaker_lock = threading.Lock()
        self._encoder = msgspec.json.Encoder(decimal_format="number")
        self._client = httpx.Client(
            transport=_Transport(_certificates() if self._origin.startswith("https") else None),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "syncd"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(self._timeout_seconds),
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, repeats and logins included."""
        return self._requests

    @property
    def requests_today(self) -> int | None:
        """Requests counted against `requests_per_day` in the last 24 hours, or None where there is no such budget."""
        return self._pace.used_today()

    @property
    def is_shut(self) -> bool:
        """Whether the breaker of the system's own address lets nothing through."""
        return bool(self._breakers.get_breaker(self._origin).context.state == "opened")

    def authorise_with(self, authoriser: Authoriser, *, auth_url: str | None = None) -> None:
        """Take credentials from `authoriser`; called once, by the provider's constructor.

        auth_url: where it logs in. Its origin may then be called too, but only with `authorised=False`.
        """
        if auth_url is not None:
            self._login_origins.add(self._check(auth_url, "auth_url"))
        self._authoriser = authoriser

    def send(
        self,
        method: str,
        path: str,
        *,
        recall: Callable[[str], Known | None] | None = None,
        **how: Unpack[How],
    ) -> Answer:
        """`receive`, and read what was received. recall: asked with the digest of a good answer's bytes before they are decoded."""
        return self.receive(method, path, **how).read(recall)

    def receive(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        json: Value = None,
        form: Mapping[str, str] | None = None,
        good: Container[int] = range(200, 300),
        base: str | None = None,
        authorised: bool = True,
        explain: Callable[[int, Value], Explained] = explain_plainly,
        operation: str = "",
        external_id: str | None = None,
    ) -> Unread:
        """Make one call and return its answer as it came, repeated where that is safe; raises as the module's header says.

        path: starts with `/`, ids in it made by `segment`, joined to the base URL; with `base` (a full URL, such as the
        auth_url) it may be empty. json, form: the body; json is sent as application/json unless `headers` name another
        type. good: statuses that are an answer. authorised: False for a login: no credentials are sent, it is repeated like
        a read, and its refusal is `Unauthorised`. operation: a word for errors. external_id: only with it 404 and 410 are `Gone`.
        """
        name = operation or method.lower()
        question = Question(self._who, method, name, external_id, authorised, good, explain, path)
        url = self._url(question, path, query, base)
        content, media_type = self._content(question, json, form)
        own = {name.lower(): value for name, value in headers.items()}
        call = _Call(question, url, _origin(url), {**media_type, **own}, content)
        made, received = self._repeated(call)
        return Unread(question, received, made)

    def close(self) -> None:
        """Release connections and counters."""
        self._client.close()
        self._pace.close()

    def _repeated(self, call: _Call) -> tuple[int, Received]:
        """One attempt after the other while repeating is safe, worthwhile and within the budget; how many requests, and the answer."""
        question = call.question
        credentials = self._credentials(question)
        made = 0

        def once() -> Received:
            nonlocal made
            try:
                return self._guarded(call, credentials)
            finally:
                made += bound.sent

        def attempt() -> Received:
            nonlocal credentials
            try:
                return once()
            except Unauthorised as refusal:
                if refusal.status != HTTPStatus.UNAUTHORIZED or not self._renewed(question, credentials):
                    raise
            credentials = self._credentials(question)
            return once()

        received = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(TRIES) | tenacity.stop_before_delay(BUDGET_SECONDS),
            wait=_wait,
            retry=tenacity.retry_if_exception(lambda error: self._may_repeat(question, error)),
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )(attempt)
        return made, received

    def _may_repeat(self, question: Question, error: BaseException) -> bool:
        """Whether the same request may go again now: it had no effect, or repeating it adds none."""
        if isinstance(error, _Shut | UnknownOutcome) or self._stop.is_set():
            return False
        if isinstance(error, RateLimited):
            return error.retry_after_seconds <= SHORT_PAUSE_SECONDS
        return isinstance(error, OutOfReach) or (isinstance(error, Transient) and question.repeatable)

    def _guarded(self, call: _Call, credentials: Mapping[str, str]) -> Received:
        """One attempt inside the breaker of its origin, whose own state is guarded (purgatory is not, during a hand-over)."""
        bound.sent = False
        breaker = self._breakers.get_breaker(call.origin)
        with self._breaker_lock:
            try:
                breaker.__enter__()
            except OpenedState:
                message = call.question.says("the system failed too often in a row; it is left alone for a moment")
                raise _Shut(message, **call.question.context()) from None
        try:
            received = spans.request(lambda: self._exchange(call, credentials), call.question)
            self.skew_seconds = ahead_seconds(received, self._clock())
            judge(call.question, received, self._clock())
        except BaseException as error:
            if isinstance(error, RateLimited) and error.status is not None:
                self._pace.pause(call.origin, error.retry_after_seconds)
            with self._breaker_lock:
                breaker.__exit__(type(error), error, error.__traceback__)
            raise
        with self._breaker_lock:
            breaker.__exit__(None, None, None)
        return received

    def _exchange(self, call: _Call, credentials: Mapping[str, str]) -> Received:
        """Send one request within its deadline and read the whole answer."""
        question = call.question
        if self._stop.is_set():
            raise _Shut(question.says("syncd is stopping"), **question.context())
        self._pace.wait(call.origin)
        bound.deadline = time.monotonic() + self._timeout_seconds
        try:
            request = self._client.build_request(
                question.method, call.url, headers={**credentials, **call.headers}, content=call.content
            )
            response = self._client.send(request, stream=True)
            try:
                return self._received(question, response)
            finally:
                response.close()
        except (httpcore.LocalProtocolError, UnicodeEncodeError):
            raise Rejected(question.says("a header or credential cannot be sent"), **question.context()) from None
        except httpcore.TimeoutException:
            raise self._failure(question, f"no whole answer within {self._timeout_seconds:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise self._failure(question, f"the connection failed ({why(error)})") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            # httpx looks at the target of a redirect although it does not follow it.
            raise question.unreadable("the system answered with a redirect to nowhere") from None
        finally:
            bound.deadline = float("inf")
            with self._lock:
                self._requests += bound.sent

    def _failure(self, question: Question, what: str) -> ProviderError:
        """The error for a connection that broke before or after the first byte of the request."""
        if bound.sent:
            return question.lost(what)
        return OutOfReach(question.says(what), **question.context())

    def _received(self, question: Question, response: httpx.Response) -> Received:
        """The whole body, unpacked; of a refusal that breaks the limits only the status is kept."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw}
        try:
            body = decoding.inflate(response.iter_raw(), headers.get("content-encoding", "").strip().lower())
        except decoding.Cut:
            raise question.lost("the answer was cut", response.status_code) from None
        except decoding.Unreadable as error:
            if response.status_code not in question.good:
                return Received(response.status_code, {**headers, "content-type": ""}, b"")
            raise question.unreadable(f"the answer cannot be read: {error}", response.status_code) from None
        return Received(response.status_code, headers, body)

    def _credentials(self, question: Question) -> Mapping[str, str]:
        """The headers that authorise a request, from a login where one is needed."""
        if not question.authorised or self._authoriser is None:
            return NOTHING
        with _logging_in(question):
            return self._authoriser.headers()

    def _renewed(self, question: Question, refused: Mapping[str, str]) -> bool:
        """Whether there are other credentials now than those that were refused."""
        if not question.authorised or self._authoriser is None:
            return False
        with _logging_in(question):
            return self._authoriser.renew(refused)

    def _content(
        self, question: Question, json: Value, form: Mapping[str, str] | None
    ) -> tuple[bytes | None, dict[str, str]]:
        """The body's bytes and its content type."""
        try:
            if form is not None:
                return urlencode(form).encode("ascii"), {"content-type": "application/x-www-form-urlencoded"}
            if json is not None:
                return self._encoder.encode(json), {"content-type": "application/json"}
        except UnicodeEncodeError:
            raise Rejected(question.says("a text cannot be sent (lone surrogate)"), **question.context()) from None
        return None, {}

    def _url(self, question: Question, path: str, query: Mapping[str, str], base: str | None) -> httpx.URL:
        """The final URL. Raises `Malformed` unless it stays at a configured origin."""
        root = self.base_url if base is None else base
        parameters = f"{'&' if '?' in root else '?'}{urlencode(query, quote_via=quote)}" if query else ""
        strays = {".", ".."}.intersection(path.split("/")) or not (path == "" or path.startswith("/"))
        allowed = {self._origin} if question.authorised else {self._origin, *self._login_origins}
        try:
            url = httpx.URL(root + path + parameters)
        except httpx.InvalidURL:
            strays, url = True, httpx.URL(self.base_url)
        if strays or _origin(url) not in allowed or url.userinfo:
            raise Malformed(question.says("the address leaves the configured origin"), **question.context())
        return url

    def _check(self, text: str, key: str) -> str:
        """The origin of a configured URL. Raises `ConfigError` unless it is https, or http on this machine where allowed."""
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL:
            url = httpx.URL("")
        plain = url.scheme == "http" and self._insecure_loopback and is_loopback(url.host)
        if not url.host or not (url.scheme == "https" or plain) or url.userinfo or url.query or url.fragment:
            problem = "not usable; allowed is https://host/path (http:// on loopback with allow_insecure_loopback)"
            raise ConfigError([f"systems.{self._who}.{key}: {problem}"])
        return _origin(url)
