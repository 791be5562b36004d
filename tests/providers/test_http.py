"""The one door to the network: outcomes, budgets, limits, credentials, against real sockets on loopback."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from werkzeug import Request, Response

from syncd.errors import (
    ConfigError,
    Duplicate,
    Gone,
    Malformed,
    OutOfReach,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    Unauthorised,
    UnknownOutcome,
)
from syncd.providers import Settings, decoding
from syncd.providers.credentials import Bearer, Fixed, Token
from syncd.providers.http import Explained, Http, segment
from syncd.providers.outcomes import pause_seconds


def settings(url, **kwargs):
    return Settings("books", "tiime", base_url=url, insecure_loopback=True, **{"timeout_seconds": 5.0, **kwargs})


@pytest.fixture
def http(httpserver):
    door = Http(settings(httpserver.url_for("/v1")), "https://example.invalid")
    yield door
    door.close()


def replies(*answers):
    """A handler that gives these answers one after the other and repeats the last."""
    left = list(answers)

    def handler(request: Request) -> Response:
        del request
        return left.pop(0) if len(left) > 1 else left[0]

    return handler


def say(text="{}", status=200, content_type="application/json", **headers):
    return Response(
        text,
        status,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
        content_type=content_type,
    )


class Raw:
    """A server that answers every connection with the same bytes, slowly where told, and counts the connections."""

    def __init__(self, parts, pause_seconds=0.0):
        self.parts, self.pause_seconds, self.seen = parts, pause_seconds, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.seen += 1
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            for part in self.parts:
                connection.sendall(part)
                time.sleep(self.pause_seconds)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(2)


@contextlib.contextmanager
def raw_server(*parts, pause_seconds=0.0, **kwargs):
    server = Raw(parts, pause_seconds)
    door = Http(settings(server.url, **kwargs), "https://example.invalid")
    try:
        yield server, door
    finally:
        door.close()
        server.close()


def test_answer_carries_status_headers_and_exact_numbers(httpserver, http):
    """A good answer has lower-cased header names, and numbers that never were floats."""
    httpserver.expect_request("/v1/x").respond_with_response(say('{"a": 12345678901234567.89, "b": 7}', X_Total="3"))
    answer = http.send("GET", "/x")
    assert (answer.status, answer.headers["x-total"], answer.requests) == (200, "3", 1)
    assert str(answer.body["a"]) == "12345678901234567.89"
    assert answer.body["b"] == 7
    assert http.requests == 1


def test_query_body_and_headers_arrive(httpserver, http):
    """Query strings and bodies are built here, and only gzip is offered for the answer."""
    httpserver.expect_request("/v1/x").respond_with_response(say(status=201))
    http.send(
        "POST",
        "/x",
        query={"q": "a b&c=d+e"},
        json={"name": "Zoé"},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    http.send("POST", "/x", form={"a": "1 &", "b": ""})
    first, second = (entry[0] for entry in httpserver.log)
    assert first.args.to_dict() == {"q": "a b&c=d+e"}
    assert first.get_data() == '{"name":"Zoé"}'.encode()
    assert first.headers["Content-Type"] == "application/merge-patch+json"
    assert first.headers["Accept-Encoding"] == "gzip"
    assert second.form.to_dict() == {"a": "1 &", "b": ""}


def test_empty_answer_has_no_body(httpserver, http):
    """204 and an empty 200 are answers without a body."""
    httpserver.expect_request("/v1/x").respond_with_handler(replies(Response(status=204), Response(b"", 200)))
    assert http.send("DELETE", "/x").body is None
    assert http.send("DELETE", "/x").body is None


def test_gzip_answer_is_unpacked(httpserver, http):
    """A gzip body is read like any other."""
    httpserver.expect_request("/v1/x").respond_with_response(say(gzip.compress(b'{"a":1}'), Content_Encoding="gzip"))
    assert http.send("GET", "/x").body == {"a": 1}


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_read_is_repeated_after_a_passing_failure(httpserver, http, status):
    """A read that fails for a moment is repeated and succeeds."""
    httpserver.expect_request("/v1/x").respond_with_handler(replies(say(status=status), say("[1]")))
    answer = http.send("GET", "/x")
    assert (answer.body, answer.requests) == ([1], 2)


def test_read_gives_up_after_four_tries(httpserver, http):
    """A read that keeps failing is tried four times and is then transient."""
    httpserver.expect_request("/v1/x").respond_with_response(say('{"message":"broken"}', 500))
    with pytest.raises(Transient) as caught:
        http.send("GET", "/x", operation="list")
    assert type(caught.value) is Transient
    assert (len(httpserver.log), caught.value.words, caught.value.status) == (4, "broken", 500)


@pytest.mark.parametrize("status", [408, 500, 503])
def test_write_with_a_lost_answer_is_sent_once(httpserver, http, status):
    """A write whose outcome is not known is never repeated."""
    httpserver.expect_request("/v1/x").respond_with_response(say(status=status))
    with pytest.raises(UnknownOutcome):
        http.send("POST", "/x", json={})
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    "method, external_id, answer, error",
    [
        ("GET", "7", say(status=404), Gone),
        ("PUT", "7", say(status=410), Gone),
        ("GET", "7", say("<html>", 404, "text/html"), Malformed),
        ("DELETE", "7", say("<html>", 404, "text/html"), Rejected),
        ("GET", None, say(status=404), Malformed),
        ("POST", None, say(status=404), Rejected),
        ("GET", None, say(status=403), Unauthorised),
        ("POST", None, say(status=403), Rejected),
        ("POST", None, say(status=401), Unauthorised),
        ("POST", None, say(status=422), Rejected),
        ("POST", None, say(status=409), Rejected),
        ("GET", None, say("<html>hello</html>", 200, "text/html"), Malformed),
        ("GET", None, say("{}", 200, ""), Malformed),
        ("POST", None, say("<html>hello</html>", 200, "text/html"), UnknownOutcome),
        ("POST", None, say('{"a":', 201), UnknownOutcome),
        ("GET", None, say("nonsense"), Malformed),
        ("GET", None, say("NaN"), Malformed),
        ("GET", None, say("1" * 100), Malformed),
        ("GET", None, say("[" * 200_000), Malformed),
        ("GET", None, say("[1e99999]"), Malformed),
        ("GET", None, say("{}", 200, "application/json", Content_Encoding="br"), Malformed),
        ("POST", None, say(status=303, Location="/elsewhere"), UnknownOutcome),
        ("POST", None, say(status=302, Location="/elsewhere"), UnknownOutcome),
        ("GET", None, say(status=302, Location="/elsewhere"), Malformed),
    ],
)
def test_outcome_becomes_the_right_error(httpserver, http, method, external_id, answer, error):
    """Each documented outcome ends as exactly its class of error, after one request."""
    httpserver.expect_request("/v1/x").respond_with_response(answer)
    with pytest.raises(ProviderError) as caught:
        http.send(method, "/x", json=None if method == "GET" else {}, external_id=external_id)
    assert type(caught.value) is error
    assert len(httpserver.log) == 1


def test_json_of_any_kind_is_accepted(httpserver, http):
    """application/ld+json with parameters is JSON too."""
    httpserver.expect_request("/v1/x").respond_with_response(say("[]", 200, "application/ld+json; charset=utf-8"))
    assert http.send("GET", "/x").body == []


def test_duplicate_names_the_other_record(httpserver, http):
    """A 409 that says which record stands in the way is a duplicate of it."""
    httpserver.expect_request("/v1/x").respond_with_response(say('{"id":"9"}', 409))
    with pytest.raises(Duplicate) as caught:
        http.send("POST", "/x", json={}, explain=lambda _, body: Explained("taken", "DUP", body["id"]))
    assert (caught.value.existing_id, caught.value.words) == ("9", "DUP: taken")


def test_error_tells_the_systems_words_without_control_characters(httpserver, http):
    """The system's words are kept apart from the message, and hold nothing that a terminal would act on."""
    httpserver.expect_request("/v1/x").respond_with_response(say('{"message":"bad\\u001b[2J\\nnews \\ud800"}', 400))
    with pytest.raises(Rejected) as caught:
        http.send("POST", "/x", query={"search": "secret person"}, json={"name": "private"}, operation="create")
    assert str(caught.value) == "books: create: refused (HTTP 400)"
    assert caught.value.words == "bad [2J news"


def test_short_pause_is_waited_for(httpserver, http):
    """A 429 with a short Retry-After is waited for, by reads and by writes."""
    httpserver.expect_request("/v1/x").respond_with_handler(
        replies(say(status=429, Retry_After="1"), say("[1]"), say(status=429, Retry_After="0"), say("[2]"))
    )
    started = time.monotonic()
    assert http.send("GET", "/x").body == [1]
    assert 1.0 <= time.monotonic() - started < 3
    assert http.send("POST", "/x", json={}).body == [2]
    assert len(httpserver.log) == 4


@pytest.mark.parametrize(
    "headers, low, high",
    [
        ({"Retry_After": "600"}, 600, 600),
        ({"Retry_After": "99999999"}, 86400, 86400),
        ({"Retry_After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)}, 600, 3700),
    ],
)
def test_long_pause_is_told_and_kept(httpserver, http, headers, low, high):
    """A long pause, in seconds or as a date on the system's own clock, is told at once and no request breaks it."""
    httpserver.expect_request("/v1/x").respond_with_response(say(status=429, **headers))
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            http.send("GET", "/x")
        assert low - 1 <= caught.value.retry_after_seconds <= high
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({}, 5),
        ({"retry-after": "soon"}, 5),
        ({"retry-after": "-3"}, 5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "9" * 400}, 5),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20),
        ({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT", "date": "Thu, 01 Jan 1970 00:01:00 GMT"}, 60),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0),
    ],
)
def test_pause_is_read_in_every_form(headers, seconds):
    """Retry-After is seconds or a date on the system's own clock; nothing or nonsense asks for five seconds."""
    assert pause_seconds(headers, now=100.0) == seconds


def test_stop_interrupts_a_wait_and_ends_repeats(httpserver):
    """When syncd stops, a waiting request ends at once without another call."""
    stop = threading.Event()
    door = Http(settings(httpserver.url_for("/")), "https://example.invalid", stop=stop)
    httpserver.expect_request("/x").respond_with_response(say(status=429, Retry_After="8"))
    threading.Timer(0.2, stop.set).start()
    started = time.monotonic()
    with pytest.raises(Transient):
        door.send("GET", "/x")
    assert time.monotonic() - started < 2
    with pytest.raises(OutOfReach):
        door.send("POST", "/x", json={})
    assert len(httpserver.log) == 1
    door.close()


def test_refused_connection_is_out_of_reach():
    """Nothing was sent where nobody listens, also for a write."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    door = Http(settings(url), "https://example.invalid")
    with pytest.raises(OutOfReach):
        door.send("POST", "/x", json={})
    assert door.requests == 0
    door.close()


def test_a_login_that_the_network_refuses_tells_why():
    """Where nobody listens the cause is told in the words of the operating system, for a request and for its login."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    door = Http(settings(url), "https://example.invalid")

    def login(_refresh):
        door.send("POST", "", base=f"{url}/login", json={}, authorised=False, operation="login")

    with pytest.raises(OutOfReach, match=r"the connection failed \(ConnectError: Connection refused\)"):
        door.send("GET", "/x", authorised=False)
    door.authorise_with(Bearer(login), auth_url=f"{url}/login")
    with pytest.raises(
        OutOfReach, match=r"no login at the moment \(login: the connection failed \(ConnectError: Connection refused"
    ):
        door.send("GET", "/x")
    door.close()


def test_the_clock_of_the_system_is_compared(httpserver):
    """The date of the last answer tells how far this machine's clock is ahead; an answer without one tells nothing."""
    httpserver.expect_request("/v1/x").respond_with_handler(
        replies(say(date="Sat, 21 Nov 2026 12:00:00 GMT"), say(date="nonsense"))
    )
    door = Http(settings(httpserver.url_for("/v1")), "https://example.invalid", clock=lambda: 1795262460.0)
    assert door.skew_seconds is None
    door.send("GET", "/x")
    assert door.skew_seconds == 60.0
    door.send("GET", "/x")
    assert door.skew_seconds is None
    door.close()


def test_breaker_opens_for_a_system_that_is_down_and_closes_again():
    """After twenty failures in a row nothing is tried for a moment, then one success heals it."""
    with raw_server(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as (server, door):
        for _ in range(20):
            with pytest.raises(UnknownOutcome):
                door.send("POST", "/x", json={})
        with pytest.raises(OutOfReach):
            door.send("POST", "/x", json={})
        assert server.seen == 20
        server.parts = [b"HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n"]
        door._breakers.get_breaker(f"http://127.0.0.1:{server.socket.getsockname()[1]}").context._state.opened_at -= 60
        assert door.send("POST", "/x", json={}).status == 204
        assert door.send("POST", "/x", json={}).status == 204


def test_refusals_do_not_open_the_breaker(httpserver, http):
    """A system that refuses many writes is there; the others go on."""
    httpserver.expect_request("/v1/x").respond_with_response(say(status=422))
    for _ in range(25):
        with pytest.raises(Rejected):
            http.send("POST", "/x", json={})
    assert len(httpserver.log) == 25


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n", *[b" "] * 400],
        [b"HTTP/1.1 200 OK\r\n", *[b"X"] * 400],
    ],
    ids=["body", "headers"],
)
def test_drip_ends_at_the_deadline(parts):
    """A body or header that drips byte by byte gets no more time than any other answer."""
    with raw_server(*parts, pause_seconds=0.05, timeout_seconds=0.4) as (_, door):
        started = time.monotonic()
        with pytest.raises(UnknownOutcome):
            door.send("POST", "/x", json={})
        assert time.monotonic() - started < 1.5


def test_truncated_body_is_a_lost_answer():
    """A body that ends early is repeated for a read and an unknown outcome for a write."""
    with raw_server(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"a"') as (
        server,
        door,
    ):
        with pytest.raises(Transient) as caught:
            door.send("GET", "/x")
        assert type(caught.value) is Transient
        assert server.seen == 4
        with pytest.raises(UnknownOutcome):
            door.send("PUT", "/x", json={})
        assert server.seen == 5


def test_truncated_gzip_is_a_lost_answer(httpserver, http):
    """A gzip stream without its end is no answer, although its bytes all came."""
    body = gzip.compress(b'{"a":"' + b"x" * 1000 + b'"}')[:-12]
    httpserver.expect_request("/v1/x").respond_with_response(say(body, Content_Encoding="gzip"))
    with pytest.raises(UnknownOutcome):
        http.send("PUT", "/x", json={})


def test_cut_before_any_answer_is_an_unknown_outcome():
    """A connection that closes after the request leaves a write in doubt."""
    with raw_server() as (server, door):
        with pytest.raises(UnknownOutcome):
            door.send("POST", "/x", json={})
        assert server.seen == 1


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b" " * 60_000_000), gzip.compress(b"[" + b"1," * 20_000_000)],
    ids=["ratio", "size"],
)
def test_gzip_bomb_is_refused(httpserver, http, body):
    """A small answer that unpacks to a huge one is refused while it is unpacked."""
    httpserver.expect_request("/v1/x").respond_with_response(say(body, Content_Encoding="gzip"))
    with pytest.raises(Malformed):
        http.send("GET", "/x")


@pytest.mark.parametrize(
    "body", [b" " * (decoding.MAX_WIRE_BYTES + 1), b"[" + b"{}," * 1_100_000 + b"{}]"], ids=["bytes", "values"]
)
def test_plain_bomb_is_refused(httpserver, http, body):
    """A body of too many bytes, or of too many tiny values, is refused."""
    httpserver.expect_request("/v1/x").respond_with_response(say(body))
    with pytest.raises(Malformed):
        http.send("GET", "/x")


def test_oversized_refusal_keeps_its_status(httpserver, http):
    """A refusal with a hostile body is still the refusal."""
    httpserver.expect_request("/v1/x").respond_with_response(
        say(gzip.compress(b" " * 60_000_000), 422, Content_Encoding="gzip")
    )
    with pytest.raises(Rejected):
        http.send("POST", "/x", json={})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_never_followed(httpserver, http, make_httpserver, status):
    """A redirect ends the call; the host that it names sees nothing, least of all credentials."""
    http.authorise_with(Fixed({"Authorization": "Bearer secret"}))
    httpserver.expect_request("/v1/x").respond_with_response(
        say(status=status, Location=make_httpserver.url_for("/steal"))
    )
    with raw_server() as (other, _):
        httpserver.expect_request("/v1/y").respond_with_response(say(status=status, Location=other.url))
        with pytest.raises(Malformed):
            http.send("GET", "/y")
        assert other.seen == 0


@pytest.mark.parametrize("status", [301, 308])
def test_a_record_that_moved_for_good_tells_its_new_id(httpserver, http, status):
    """A permanent redirect to the same place under another id is "gone" with that id; nothing else is, and none is followed."""
    for number, location in enumerate(
        ("/v1/clients/9", "/v1/login", "/v1/clients/", "/v1/clients/0?a=b/c", "/v1/other/9")
    ):
        httpserver.expect_request(f"/v1/clients/{number}").respond_with_response(say(status=status, Location=location))
    with pytest.raises(Gone) as moved:
        http.send("GET", "/clients/0", external_id="0")
    assert moved.value.moved_to == "9"
    for number in range(1, 5):
        with pytest.raises((Malformed, Gone)) as other:
            http.send("GET", f"/clients/{number}", external_id=str(number))
        assert getattr(other.value, "moved_to", None) in (None, "0")
    with pytest.raises(UnknownOutcome):
        http.send("PUT", "/clients/0", external_id="0", json={})


@pytest.mark.parametrize("location", ["http://[", "ftp:", "\\\\nowhere", "http://a..b/"])
def test_redirect_to_nonsense_is_malformed(location):
    """A redirect whose target is no address is an error of the system, not of syncd."""
    answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(answer) as (_, door), pytest.raises(Malformed):
        door.send("GET", "/x")


def test_connections_are_reused_and_a_closed_one_is_not_written_to():
    """Requests share a connection; one that the system has closed meanwhile costs a write nothing."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        peers: ClassVar[list] = []

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.peers.append(self.client_address)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    door = Http(settings(f"http://127.0.0.1:{server.server_port}"), "https://example.invalid")
    for _ in range(5):
        door.send("POST", "/x", json={})
    assert len(set(Handler.peers)) == 1
    Handler.timeout = 0.1
    door.send("POST", "/x", json={}, headers={"Connection": "close"})
    door.send("POST", "/x", json={})
    time.sleep(0.3)
    door.send("POST", "/x", json={})
    assert (len(Handler.peers), len(set(Handler.peers))) == (8, 3)
    door.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["//evil.example/x", "/../admin", "/a/../../b", "x", "@evil.example/"])
def test_address_stays_at_its_origin(httpserver, http, path):
    """No path leads out of the configured origin and base path."""
    httpserver.expect_request("/v1//evil.example/x").respond_with_response(say())
    with contextlib.suppress(Malformed):
        http.send("GET", path)
    assert all(entry[0].path.startswith("/v1/") for entry in httpserver.log)


def test_other_origin_is_refused_before_sending(http):
    """A full URL elsewhere is not called, with or without credentials."""
    with raw_server() as (other, _):
        for authorised in (True, False):
            with pytest.raises(Malformed):
                http.send("GET", "/x", base=other.url, authorised=authorised)
        http.authorise_with(Fixed({}), auth_url=other.url)
        with pytest.raises(Malformed):
            http.send("GET", "/x", base=other.url)
        assert other.seen == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://example.com",
        "https://user:pw@example.com",
        "https://example.com/?k=v",
        "https://",
        "x",
        "http://[",
    ],
)
def test_unusable_base_url_is_a_config_error(url):
    """Only https, or http on loopback where allowed, is called; the message repeats nothing of the address."""
    with pytest.raises(ConfigError) as caught:
        Http(settings(url), "https://example.invalid")
    assert "pw" not in str(caught.value)


def test_loopback_needs_leave():
    """Plain http on loopback is refused unless the service's file allows it."""
    with pytest.raises(ConfigError):
        Http(Settings("books", "tiime", base_url="http://127.0.0.1:1"), "https://example.invalid")


def test_environment_proxies_and_cookies_are_ignored(httpserver, http, monkeypatch):
    """No proxy of the environment sees a request, and no cookie is ever sent back."""
    with raw_server() as (proxy, _):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        httpserver.expect_request("/v1/x").respond_with_response(say(Set_Cookie="a=b"))
        http.send("GET", "/x")
        http.send("GET", "/x")
        assert proxy.seen == 0
    assert "Cookie" not in httpserver.log[1][0].headers


def test_requests_per_second_hold_for_all_threads(httpserver):
    """Six threads together make no more requests per second than the account may."""
    door = Http(settings(httpserver.url_for("/"), requests_per_second=10), "https://example.invalid")
    times = []

    def handler(request: Request) -> Response:
        del request
        times.append(time.monotonic())
        return say()

    httpserver.expect_request("/x").respond_with_handler(handler)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: door.send("GET", "/x"), range(25)))
    door.close()
    times.sort()
    assert all(later - earlier > 0.9 for earlier, later in zip(times, times[10:], strict=False))
    assert times[-1] - times[0] < 3


def test_requests_per_day_end_the_day(httpserver):
    """When the budget of the day is used up nothing is sent, and the count can be seen."""
    door = Http(settings(httpserver.url_for("/"), requests_per_day=2), "https://example.invalid")
    httpserver.expect_request("/x").respond_with_response(say())
    door.send("GET", "/x")
    door.send("GET", "/x")
    with pytest.raises(RateLimited) as caught:
        door.send("GET", "/x")
    assert caught.value.retry_after_seconds > 80_000
    assert (door.requests_today, door.requests, len(httpserver.log)) == (2, 2, 2)
    door.close()


class Site:
    """A system with a login: only the newest token is good."""

    def __init__(self, httpserver, lifetime=3600):
        self.logins, self.lifetime, self.lock = 0, lifetime, threading.Lock()
        self.good = ""
        self.barrier = threading.Barrier(8)
        httpserver.expect_request("/v1/login").respond_with_handler(self.login)
        httpserver.expect_request("/v1/x").respond_with_handler(self.x)

    def login(self, request: Request) -> Response:
        assert "Authorization" not in request.headers
        with self.lock:
            self.logins += 1
            self.good = f"Bearer t{self.logins}"
        time.sleep(0.05)
        return say(f'{{"access_token":"t{self.logins}"}}')

    def x(self, request: Request) -> Response:
        return say('{"n":1}') if request.headers.get("Authorization") == self.good else say(status=401)


def bearer(http, lifetime=3600.0):
    def login(refresh):
        del refresh
        body = http.send("POST", "/login", json={}, authorised=False, operation="login").body
        return Token(body["access_token"], lifetime)

    return Bearer(login)


def test_refused_token_is_renewed_once_for_all_threads(httpserver):
    """Eight threads meet an expired token: one logs in, all succeed, writes included."""
    door = Http(settings(httpserver.url_for("/v1")), "https://example.invalid")
    site = Site(httpserver)
    door.authorise_with(bearer(door))
    assert door.send("GET", "/x").body == {"n": 1}
    site.good = "revoked"
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda n: door.send("POST" if n % 2 else "GET", "/x", json={"n": n}).body, range(8)))
    assert bodies == [{"n": 1}] * 8
    assert site.logins == 2
    door.close()


def test_token_refused_after_renewal_is_unauthorised(httpserver, http):
    """A second 401 is final: no third login, no loop."""
    site = Site(httpserver)
    http.authorise_with(bearer(http))
    httpserver.expect_request("/v1/y").respond_with_response(say(status=401))
    with pytest.raises(Unauthorised):
        http.send("GET", "/y")
    assert site.logins == 2
    assert [entry[0].path for entry in httpserver.log] == ["/v1/login", "/v1/y", "/v1/login", "/v1/y"]


def test_token_is_renewed_before_it_expires(httpserver, http, time_machine):
    """A token counts as expired sixty seconds early."""
    del time_machine
    site = Site(httpserver)
    authoriser = bearer(http, lifetime=3600.0)
    http.authorise_with(authoriser)
    http.send("GET", "/x")
    assert 3500 < authoriser._fresh_until - time.monotonic() <= 3540
    authoriser._fresh_until = time.monotonic()
    http.send("GET", "/x")
    assert site.logins == 2


def test_refused_login_is_asked_once(httpserver, http):
    """Ten requests with one wrong password make one login, and every 4xx of a login is about credentials."""
    httpserver.expect_request("/v1/login").respond_with_response(
        say('{"error":"invalid_grant","error_description":"Wrong email"}', 403)
    )
    http.authorise_with(bearer(http))
    for _ in range(10):
        with pytest.raises(Unauthorised) as caught:
            http.send("GET", "/x")
        assert (caught.value.status, caught.value.words) == (403, "Wrong email")
    assert len(httpserver.log) == 1


def test_login_that_fails_for_the_moment_leaves_a_write_unsent(httpserver, http):
    """A write that could not log in is out of reach: nothing of it was sent."""
    httpserver.expect_request("/v1/login").respond_with_response(say(status=503))
    http.authorise_with(bearer(http))
    with pytest.raises(OutOfReach):
        http.send("POST", "/x", json={})
    assert {entry[0].path for entry in httpserver.log} == {"/v1/login"}


def test_refresh_token_is_used_once_and_rotated():
    """Each refresh token serves one login; one that is no longer taken falls back to the first credentials."""
    given = []
    dead = set()

    def login(refresh):
        given.append(refresh)
        if refresh in dead:
            message = "books: login: refused"
            raise Unauthorised(message)
        return Token(f"a{len(given)}", 3600.0, f"r{len(given)}")

    authoriser = Bearer(login)
    for _ in range(3):
        authoriser.renew(authoriser.headers())
    dead.add("r4")
    assert authoriser.renew(authoriser.headers())
    assert given == [None, "r1", "r2", "r3", "r4", None]


def test_fixed_credentials_cannot_be_renewed(httpserver, http):
    """A ready token that is refused is unauthorised after one request, and is not in the error."""
    http.authorise_with(Fixed({"Authorization": "Bearer s3cret"}))
    httpserver.expect_request("/v1/x").respond_with_response(say(status=401))
    with pytest.raises(Unauthorised) as caught:
        http.send("GET", "/x")
    assert len(httpserver.log) == 1
    assert "s3cret" not in f"{caught.value!r} {caught.value.words} {http._authoriser!r}"


def test_credential_with_a_line_break_is_rejected(httpserver, http):
    """A credential that would break out of its header is not sent."""
    http.authorise_with(Fixed({"Authorization": "Bearer a\r\nX-Evil: 1"}))
    with pytest.raises(Rejected):
        http.send("GET", "/x")
    assert httpserver.log == []


@pytest.mark.parametrize("value, text", [(7, "7"), ("a/b?c#d%e", "a%2Fb%3Fc%23d%25e"), ("é ", None), ("é", "%C3%A9")])
def test_segment_is_one_segment(value, text):
    """An id becomes one path segment, whatever it holds."""
    if text is None:
        with pytest.raises(Malformed):
            segment(value)
    else:
        assert segment(value) == text


@pytest.mark.parametrize("value", ["", ".", "..", True, None, 1.5, "x" * 10_000, "a\nb", "a\x00"])
def test_segment_refuses_what_is_no_id(value):
    """What cannot be a record's id never reaches an address."""
    with pytest.raises(Malformed):
        segment(value)


def test_id_with_reserved_characters_arrives_whole(httpserver, http):
    """An id that looks like a path or a query addresses its own record and nothing else."""
    httpserver.expect_request("/v1/x/..%2F..%2Fadmin").respond_with_response(say())
    with contextlib.suppress(ProviderError):
        http.send("GET", f"/x/{segment('../../admin?x=1#y')}")
    assert httpserver.log[0][0].environ["RAW_URI"] == "/v1/x/..%2F..%2Fadmin%3Fx%3D1%23y"


def test_unsound_texts_are_told_per_record(httpserver, http):
    """A lone surrogate or NUL does not spoil the page: the answer says that its records need a look."""
    httpserver.expect_request("/v1/x").respond_with_response(
        say('[{"a":"\\ud800"},{"a":"b\\u0000"},{"a":"fine \\ud83d\\ude00"}]')
    )
    answer = http.send("GET", "/x")
    assert answer.doubtful
    assert [decoding.unsound(item) is None for item in answer.body] == [False, False, True]
    assert decoding.unsound({"a": ["x" * 100_001]})
    assert decoding.unsound({"\x00": 1})


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"[" * 50 + b"]" * 50, None),
        (b"[" * 51 + b"]" * 51, "deeply"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "deeply"),
        (b"[" + b"9" * 60 + b"]", None),
        (b"[" + b"9" * 61 + b"]", "digits"),
        (b"9" * 61, "digits"),
        (b'["' + b"9" * 61 + b'"]', None),
        (b"[0." + b"1" * 60 + b"]", "digits"),
        (b"[1e-301]", "digits"),
        (b'["\\ud800", NaN]', "NaN"),
        (b'["\\ud800", ' + b"9" * 61 + b"]", "digits"),
        (b'["\xff"]', "not JSON"),
    ],
)
def test_limits_of_json_are_exact(body, reason):
    """Depth and digits are refused beyond their limit and taken at it; digits inside a text are only text."""
    if reason is None:
        decoding.parse(body)
    else:
        with pytest.raises(decoding.Unreadable, match=reason):
            decoding.parse(body)
