"""Logging in and out. A log-in form carries a secret of its own, bound to a cookie, because there is no session yet."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from syncd import log
from syncd.web.access import SESSION_SECONDS
from syncd.web.site import Form, Site, back, read_form

MAX_TOKEN_CHARACTERS: Final = 200

_log = log.get("web")


def login_page(site: Site, request: Request) -> Response:
    """GET /login."""
    if request.state.session is not None:
        return back("/")
    return _form(site, request, 200, "")


def login(site: Site) -> Callable[[Request], Awaitable[Response]]:
    """POST /login: a token for a session."""

    async def endpoint(request: Request) -> Response:
        form = await read_form(request)
        return await run_in_threadpool(_login, site, request, form)

    return endpoint


def _login(site: Site, request: Request, form: Form) -> Response:
    shown = request.cookies.get(_form_cookie(site), "")
    if not shown or not hmac.compare_digest(form.one("csrf").encode(), _secret(site, shown).encode()):
        return _form(site, request, 403, "This form was not made for this browser, or is too old. Try again.")
    address = request.client.host if request.client is not None else ""
    wait = site.throttle.admit(address)
    if wait:
        _log.warning("web_login_refused", reason="throttled")
        answer = _form(site, request, 429, f"Too many tries. Wait {math.ceil(wait)} seconds.")
        answer.headers["retry-after"] = str(math.ceil(wait))
        return answer
    text = form.one("token")
    token = site.tokens.known(text) if len(text) <= MAX_TOKEN_CHARACTERS else None
    if token is None:
        _log.warning("web_login_refused", reason="unknown token")
        return _form(site, request, 403, "This is no token of this syncd, or it was revoked.")
    site.throttle.succeeded(address)
    site.sessions.end(site.address.cookie_of(request.headers))
    key = site.sessions.begin(token)
    _log.info("web_login", actor=f"operator {token.name}", kind=token.role.value)
    answer = back(_inside(form.one("next")))
    _set(site, answer, site.address.cookie, key, int(SESSION_SECONDS))
    answer.delete_cookie(_form_cookie(site), path="/", secure=site.address.secure, httponly=True, samesite="strict")
    return answer


def logout(site: Site, request: Request, form: Form) -> Response:
    """POST /logout."""
    del form
    site.sessions.end(site.address.cookie_of(request.headers))
    answer = back("/login")
    answer.delete_cookie(site.address.cookie, path="/", secure=site.address.secure, httponly=True, samesite="strict")
    return answer


def _form(site: Site, request: Request, status: int, trouble: str) -> Response:
    shown = secrets.token_urlsafe(16)
    answer = site.page(
        request,
        "login.html",
        status,
        trouble=trouble,
        form_secret=_secret(site, shown),
        next=_inside(request.query_params.get("next", "/")),
        config=str(site.tenants.folder),
    )
    _set(site, answer, _form_cookie(site), shown, 3600)
    return answer


def _set(site: Site, answer: Response, name: str, text: str, seconds: int) -> None:
    answer.set_cookie(
        name, text, max_age=seconds, path="/", secure=site.address.secure, httponly=True, samesite="strict"
    )


def _form_cookie(site: Site) -> str:
    return f"{site.address.cookie}-form"


def _secret(site: Site, shown: str) -> str:
    return hmac.new(site.secret, shown.encode(), hashlib.sha256).hexdigest()


def _inside(path: str) -> str:
    """A place on this page to go to after the log-in; anything else is the first page."""
    parts = urlsplit(path)
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return path if inside and all(" " < letter < "\x7f" for letter in path) and "\\" not in path else "/"
