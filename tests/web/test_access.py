"""Who gets in: tokens, sessions, names, origins, roles, and forms that are of the session."""

from __future__ import annotations

import http.client
import json
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.routing import Route

from syncd import log, web
from syncd.errors import UsageError
from syncd.web.access import (
    ALL_FAILURES,
    FREE_FAILURES,
    IDLE_SECONDS,
    SESSION_SECONDS,
    Role,
    Sessions,
    Throttle,
    Tokens,
)
from syncd.web.guard import HEADERS, Address
from tests.cli.place import Place
from tests.web.stage import Stage

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Visitor:
    """Somebody with an HTTP client and a jar for cookies, who says exactly the headers that they are told to."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.cookies: dict[str, str] = {}

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, **headers: str | None
    ) -> tuple[int, dict[str, str], str]:
        link = http.client.HTTPConnection("127.0.0.1", self.stage.port, timeout=10)
        said: dict[str, str | None] = {"Host": f"127.0.0.1:{self.stage.port}"}
        if self.cookies:
            said["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        body = None
        if form is not None:
            body = urlencode(form)
            said |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.stage.url}
        said |= {name.replace("_", "-"): text for name, text in headers.items()}
        link.request(method, path, body, {name: text for name, text in said.items() if text is not None})
        answer = link.getresponse()
        for line in answer.headers.get_all("set-cookie") or ():
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0].strip('"')
        text = answer.read().decode()
        link.close()
        return answer.status, {name.lower(): text for name, text in answer.headers.items()}, text

    def log_in(self, token: str) -> int:
        _, _, page = self.ask("GET", "/login")
        status, _, _ = self.ask("POST", "/login", {"csrf": csrf_of(page), "token": token, "next": "/"})
        return status

    def csrf(self) -> str:
        return csrf_of(self.ask("GET", "/inbox")[2])


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]*)"', page)
    assert found is not None
    return found[1]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A page over a tenant that has one client; served."""
    place = Place(tmp_path)
    place.tenant()
    place.world("books").add(name="ACME")
    place.run("sync")
    with Stage(place).served() as served:
        yield served


@pytest.fixture
def visitor(stage: Stage) -> Visitor:
    return Visitor(stage)


def test_a_token_is_kept_as_a_digest_that_only_its_owner_can_read(tmp_path: Path) -> None:
    """The file has neither the token nor its secret, is private, and knows the token again; a changed one is none."""
    tokens = Tokens(tmp_path / "web.json")
    text = tokens.make("anna", Role.VIEWER, NOW)
    kept = (tmp_path / "web.json").read_text()
    assert text not in kept
    assert text.rpartition("_")[2] not in kept
    assert stat.S_IMODE((tmp_path / "web.json").stat().st_mode) == 0o600
    token = tokens.known(text)
    assert token is not None
    assert (token.name, token.role) == ("anna", Role.VIEWER)
    for wrong in (text[:-1], text + "x", "", "syncd__", text.replace("syncd", "x"), "\ud800", text.upper()):
        assert tokens.known(wrong) is None
    assert Tokens(tmp_path / "web.json").known(f" {text}\n") == token


def test_a_revoked_token_is_none_any_more(tmp_path: Path) -> None:
    """Revoking takes a token and the sessions that were begun with it; a name that is none makes no token."""
    tokens = Tokens(tmp_path / "web.json")
    token = tokens.known(tokens.make("anna", Role.OPERATOR, NOW))
    assert token is not None
    sessions = Sessions(tokens)
    key = sessions.begin(token)
    assert sessions.find(key) is not None
    Tokens(tmp_path / "web.json").revoke(token.id)
    assert sessions.find(key) is None
    assert tokens.all() == []
    with pytest.raises(UsageError):
        tokens.revoke(token.id)
    with pytest.raises(UsageError):
        tokens.make("<b>", Role.VIEWER, NOW)


def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    """A session ends when it was not used for a while, and at the latest after half a day."""
    tokens = Tokens(tmp_path / "web.json")
    token = tokens.known(tokens.make("anna", Role.OPERATOR, NOW))
    assert token is not None
    now = [0.0]
    sessions = Sessions(tokens, lambda: now[0])
    idle, busy = sessions.begin(token), sessions.begin(token)
    while now[0] < SESSION_SECONDS:
        now[0] += IDLE_SECONDS / 2
        assert (sessions.find(busy) is not None) == (now[0] <= SESSION_SECONDS)
    assert sessions.find(idle) is None
    now[0] += 1
    assert sessions.find(busy) is None
    assert sessions.find("") is None


def test_guessing_is_slowed_down() -> None:
    """After a few failures an address waits ever longer, after many everybody does; a success forgets."""
    now = [1000.0]
    throttle = Throttle(lambda: now[0])
    assert [throttle.admit("a") for _ in range(FREE_FAILURES)] == [0.0] * FREE_FAILURES
    assert throttle.admit("a") == 1.0
    assert throttle.admit("b") == 0.0
    throttle.succeeded("b")
    now[0] += 1.0
    assert throttle.admit("a") == 0.0
    assert throttle.admit("a") == 2.0
    for number in range(ALL_FAILURES):
        throttle.admit(f"x{number}")
    assert throttle.admit("new") > 0.0
    now[0] += 100.0
    assert throttle.admit("new") == 0.0


def test_nobody_gets_in_without_a_token(visitor: Visitor) -> None:
    """Every page and every act but the log-in sends away who is not logged in; probes and the page's own files do not."""
    routes = [route for route in web.pages(visitor.stage.site) if isinstance(route, Route)]
    assert len(routes) > 20
    for route in routes:
        path = re.sub(r"\{\w+(:path)?\}", "x", route.path)
        if path.startswith(("/login", "/static")):
            continue
        if "POST" in (route.methods or ()):
            assert visitor.ask("POST", path, {"do": "release"})[0] == 401, path
        else:
            status, headers, _ = visitor.ask("GET", path)
            assert (status, headers["location"].partition("?")[0]) == (303, "/login"), path
            assert visitor.ask("GET", path, HX_Request="true")[0] == 401
    for path in ("/healthz", "/readyz", "/metrics"):
        assert visitor.ask("GET", path, Host="whoever.example")[0] == 200
    assert visitor.ask("GET", "/static/page.css")[0] == 200
    assert visitor.ask("GET", "/static/../__init__.py")[0] == 404
    assert visitor.log_in("syncd_00000000_guess") == 403


def test_a_token_gets_a_session_in_a_strict_cookie(visitor: Visitor) -> None:
    """The cookie cannot be read by scripts nor be sent by other sites; logging out ends it; the token is not in it."""
    token = visitor.stage.tokens[Role.OPERATOR]
    page = visitor.ask("GET", "/login")[2]
    status, headers, _ = visitor.ask(
        "POST", "/login", {"csrf": csrf_of(page), "token": token, "next": "/t/acme?span=1h"}
    )
    assert (status, headers["location"]) == (303, "/t/acme?span=1h")
    assert visitor.ask("GET", "/")[0] == 200
    key = visitor.cookies["syncd"]
    assert token not in key
    csrf = visitor.csrf()
    assert visitor.ask("POST", "/logout", {"csrf": "wrong"})[0] == 403
    assert visitor.ask("POST", "/logout", {"csrf": csrf})[0] == 303
    visitor.cookies["syncd"] = key
    assert visitor.ask("GET", "/")[0] == 303


def test_the_cookie_says_what_it_is_for(stage: Stage) -> None:
    """The session's cookie is HttpOnly, SameSite=Strict, for the whole page and for no longer than a session."""
    visitor = Visitor(stage)
    page = visitor.ask("GET", "/login")[2]
    link = http.client.HTTPConnection("127.0.0.1", stage.port)
    body = urlencode({"csrf": csrf_of(page), "token": stage.tokens[Role.VIEWER], "next": "//evil.example"})
    said = {
        "Host": f"127.0.0.1:{stage.port}",
        "Origin": stage.url,
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"syncd-form={visitor.cookies['syncd-form']}",
    }
    link.request("POST", "/login", body, said)
    answer = link.getresponse()
    answer.read()
    assert answer.headers["location"] == "/"
    [cookie] = [line for line in answer.headers.get_all("set-cookie") or () if line.startswith("syncd=")]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "samesite=strict", "path=/", f"max-age={SESSION_SECONDS:.0f}"}
    link.close()


def test_behind_tls_the_cookie_is_bound_to_the_host() -> None:
    """With web.public the cookie's name holds browsers to Secure, and only that name and this machine's are served."""
    address = Address("0.0.0.0:8484", "https://syncd.example")
    assert (address.cookie, address.secure) == ("__Host-syncd", True)
    assert address.hosts == {"syncd.example", "127.0.0.1:8484", "localhost:8484", "[::1]:8484"}
    assert Address("10.0.0.5:80").hosts >= {"10.0.0.5:80", "10.0.0.5", "localhost"}


def test_a_login_form_of_another_browser_is_refused(visitor: Visitor) -> None:
    """The log-in checks that the form was made for this browser, and throttles who guesses."""
    form = {"csrf": csrf_of(visitor.ask("GET", "/login")[2]), "token": visitor.stage.tokens[Role.OPERATOR]}
    visitor.cookies.clear()
    assert visitor.ask("POST", "/login", form)[0] == 403
    found = [visitor.log_in("syncd_00000000_guess") for _ in range(FREE_FAILURES + 1)]
    assert found == [403] * FREE_FAILURES + [429]
    assert visitor.log_in(visitor.stage.tokens[Role.OPERATOR]) == 429


@pytest.mark.parametrize(
    "headers, allowed",
    [
        ({}, True),
        ({"Host": "evil.example"}, False),
        ({"Host": "127.0.0.1"}, False),
        ({"Host": None}, False),
        ({"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}, True),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}, True),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}, False),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, False),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}, False),
    ],
)
def test_looking_from_elsewhere(visitor: Visitor, headers: dict[str, str | None], allowed: bool) -> None:
    """A page is shown under its own names only, and never to the script, frame or image of another site."""
    visitor.log_in(visitor.stage.tokens[Role.OPERATOR])
    if headers.get("Host", "") is None:
        headers = {"Host": ""}
    status = visitor.ask("GET", "/", **headers)[0]
    assert (status == 200) == allowed
    assert status in (200, 400, 403, 421)


@pytest.mark.parametrize(
    "headers, allowed",
    [
        ({}, True),
        ({"Origin": None, "Sec_Fetch_Site": "same-origin"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"}, False),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Sec_Fetch_Site": "none"}, False),
        ({"Origin": None}, False),
        ({"Host": "evil.example"}, False),
        ({"Content_Length": "2000000"}, False),
    ],
)
def test_acting_from_elsewhere(visitor: Visitor, headers: dict[str, str | None], allowed: bool) -> None:
    """An act is done for a form of this page only, however the request says or hides where it comes from."""
    visitor.log_in(visitor.stage.tokens[Role.OPERATOR])
    csrf = visitor.csrf() if allowed else "not asked for"
    if "Content_Length" in headers:
        link = http.client.HTTPConnection("127.0.0.1", visitor.stage.port)
        link.putrequest("POST", "/logout", skip_host=True)
        for name, text in {"Host": f"127.0.0.1:{visitor.stage.port}", "Origin": visitor.stage.url, **headers}.items():
            link.putheader(name.replace("_", "-"), str(text))
        link.endheaders()
        assert link.getresponse().status == 413
        link.close()
        return
    status = visitor.ask("POST", "/logout", {"csrf": csrf}, **headers)[0]
    assert status == (303 if allowed else 403 if "Host" not in headers else 421)
    assert (visitor.ask("GET", "/")[0] == 303) == allowed


def test_every_act_refuses_a_form_that_is_not_of_the_session(visitor: Visitor) -> None:
    """Each POST of the page is refused without the secret of the session, with another one, and for a viewer."""
    routes = [route for route in web.pages(visitor.stage.site) if "POST" in (getattr(route, "methods", None) or ())]
    paths = [re.sub(r"\{\w+\}", "x", str(route.path)) for route in routes if isinstance(route, Route)]
    own = {"/t/x/inbox/x", "/t/x/rules/x", "/t/x/undo/x", "/t/x/plan", "/t/x/merge", "/t/x/unmerge/x", "/t/x/apart"}
    assert {"/logout", "/login", "/inbox", *own} == set(paths)
    other = Visitor(visitor.stage)
    other.log_in(visitor.stage.tokens[Role.OPERATOR])
    visitor.log_in(visitor.stage.tokens[Role.OPERATOR])
    for path in paths:
        for form in ({}, {"csrf": ""}, {"csrf": other.csrf()}):
            assert visitor.ask("POST", path, form)[0] == 403, path
    viewer = Visitor(visitor.stage)
    viewer.log_in(visitor.stage.tokens[Role.VIEWER])
    csrf = viewer.csrf() if 'name="csrf"' in viewer.ask("GET", "/")[2] else ""
    for path in set(paths) - {"/logout", "/login"}:
        status, _, text = viewer.ask("POST", path, {"csrf": csrf})
        assert (status, "may look" in text) == (403, True)
    assert viewer.ask("POST", "/logout", {"csrf": csrf})[0] == 303


def test_every_answer_has_the_strict_headers(visitor: Visitor) -> None:
    """Pages, refusals, errors, probes and files all forbid inline script and style, framing and guessing of types."""
    assert "unsafe" not in HEADERS["content-security-policy"]
    answers = [visitor.ask("GET", path) for path in ("/login", "/static/page.js", "/static/nothing", "/healthz", "/")]
    visitor.log_in(visitor.stage.tokens[Role.OPERATOR])
    answers += [
        visitor.ask("GET", path) for path in ("/", "/t/acme", "/t/nobody", "/nowhere", "/t/acme/figures?span=x")
    ]
    answers += [visitor.ask("DELETE", "/"), visitor.ask("GET", "/", Host="evil.example")]
    for status, headers, text in answers:
        assert headers.items() >= HEADERS.items(), status
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", text)
        assert "set-cookie" not in headers or "httponly" in headers["set-cookie"].lower()
    assert {headers["cache-control"] for _, headers, _ in answers} == {"no-store"}
    assert "immutable" in visitor.ask("GET", "/static/page.css?v=1")[1]["cache-control"]


def test_logging_in_is_in_the_log_without_the_token(tmp_path: Path, visitor: Visitor) -> None:
    """The log tells who logged in and that somebody was turned away, and never a token."""
    file = tmp_path / "own.jsonl"
    log.configure(file=file, stream_level="error")
    try:
        assert visitor.log_in("syncd_00000000_hopeless") == 403
        assert visitor.log_in(visitor.stage.tokens[Role.OPERATOR]) == 303
    finally:
        log.close()
    text = file.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["event"], line.get("actor")) for line in lines if line["event"].startswith("web_login")] == [
        ("web_login_refused", None),
        ("web_login", "operator operator-anna"),
    ]
    assert "hopeless" not in text
    assert visitor.stage.tokens[Role.OPERATOR] not in text


def test_tokens_by_command(stage: Stage) -> None:
    """`syncd web token` prints the token alone on stdout; `tokens` never shows it; `revoke` ends its sessions."""
    made = stage.place.run("web", "token", "--name", "ben", "--role", "viewer")
    token = made.stdout.strip()
    visitor = Visitor(stage)
    assert visitor.log_in(token) == 303
    assert "ben" in visitor.ask("GET", "/")[2]
    [row] = [row for row in stage.place.json("web", "tokens")["tokens"] if row["name"] == "ben"]
    assert token not in stage.place.run("web", "tokens").stdout
    stage.place.run("web", "revoke", row["id"])
    assert visitor.ask("GET", "/")[0] == 303
    assert stage.place.run("web", "revoke", row["id"], exit_code=2)
