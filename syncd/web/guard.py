"""The door of the operator's page: what is not from here, not for here, or not from somebody known, does not come in.

In this order: method, Host, where the browser says the request comes from, size, session. Probes pass by (`OPEN`): they tell no names of
clients, and whoever probes uses names of their own. Every answer leaves with the same strict headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncd.web.access import Session, Sessions

OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Probes: reachable under any name, without logging in."""

PUBLIC: Final = ("/login", "/static/")
"""What a person needs before they are logged in."""

MAX_BODY_BYTES: Final = 1_048_576
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
WILDCARDS: Final = ("0.0.0.0", "[::]", "")  # noqa: S104 - recognised, not listened on

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


class Address:
    """Under which names the page may be asked for. listen: where it listens; public: how browsers reach it, if through a proxy."""

    def __init__(self, listen: str, public: str = "") -> None:
        host, _, port = listen.rpartition(":")
        given = urlsplit(public)
        self.secure = given.scheme == "https"
        own = [] if host in WILDCARDS else [host]
        self.origins = {f"http://{name}:{port}" for name in (*own, *LOOPBACK)} | (
            {public.rstrip("/")} if public else set()
        )
        if port == "80":
            self.origins |= {f"http://{name}" for name in (*own, *LOOPBACK)}
        self.hosts = {urlsplit(origin).netloc.lower() for origin in self.origins}
        self.cookie = "__Host-syncd" if self.secure else "syncd"

    def cookie_of(self, headers: Headers) -> str:
        """The key of the session that a request shows, "" for none."""
        try:
            jar = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return ""
        found = jar.get(self.cookie)
        return found.value if found is not None else ""


class Guard:
    """The ASGI middleware around every route."""

    def __init__(self, app: ASGIApp, address: Address, sessions: Sessions) -> None:
        self.app = app
        self.address = address
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        path = str(scope["path"])
        session = None if path in OPEN else self.sessions.find(self.address.cookie_of(headers))
        scope.setdefault("state", {})["session"] = session
        refusal = None if path in OPEN else self._refusal(scope, headers, session)
        with_headers = _stamped(send)
        if refusal is not None:
            await refusal(scope, receive, with_headers)
            return
        await self.app(scope, _limited(receive), with_headers)

    def _refusal(self, scope: Scope, headers: Headers, session: Session | None) -> Response | None:
        method, path = str(scope["method"]), str(scope["path"])
        if method not in ("GET", "HEAD", "POST"):
            return _told(405, "This page knows GET and POST only.")
        if headers.get("host", "").lower() not in self.address.hosts:
            return _told(
                421,
                "This page is not served under that name. web.public in syncd.toml names the one that browsers use.",
            )
        if (fault := self._foreign(method, headers)) is not None:
            return _told(403, fault)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            return _told(413, "This is too much at once.")
        if session is None and not path.startswith(PUBLIC):
            return _to_login(scope, headers)
        if method == "POST" and path not in ("/login", "/logout") and session is not None and not session.may_act:
            return _told(403, f"{session.name} may look, and not act: this needs the role operator.")
        return None

    def _foreign(self, method: str, headers: Headers) -> str | None:
        """Why a request does not come from this page or from the person at the browser, or None."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if method == "POST":
            if site not in (None, "same-origin") or (origin is not None and origin not in self.address.origins):
                return "This request comes from another site."
            if site is None and origin is None:
                return "This request does not say where it comes from."
            return None
        if site in (None, "same-origin", "none"):
            return None
        visit = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
        return None if visit else "This request comes from another site."


def _to_login(scope: Scope, headers: Headers) -> Response:
    """The way to the log-in; a part of a page that asks by script has the whole page go there."""
    if scope["method"] == "POST":
        return _told(401, "You are logged out. Log in, and do it again.")
    if headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = f"{scope['path']}?{query}" if query else str(scope["path"])
    return RedirectResponse("/login" if wanted == "/" else f"/login?next={quote(wanted)}", status_code=303)


def _told(status: int, words: str) -> Response:
    return PlainTextResponse(f"{words}\n", status_code=status)


def _stamped(send: Send) -> Send:
    """Puts the strict headers on an answer; the browser keeps only what says that it may be kept."""

    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return stamped


def _limited(receive: Receive) -> Receive:
    """Ends a body that is longer than it said, as if the browser had gone."""
    left = MAX_BODY_BYTES

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {"type": "http.disconnect"}

    return limited
