"""What all pages share: the tenants, who is logged in, the templates, and how a view and an act end.

A *view* answers a GET and changes nothing. An *act* answers a POST: it gets its form only after the form's secret was checked, and the guard
has let only operators come so far. Errors are not caught in views and acts: here they become a page that says what to do next.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from syncd import log
from syncd.engine.operate import Operator
from syncd.errors import ConfigError, StoreError, SyncdError, UsageError
from syncd.report import Document
from syncd.store import Store, utc_now
from syncd.web import show
from syncd.web.access import Session, Sessions, Throttle, Tokens
from syncd.web.glances import Glances
from syncd.web.guard import Address
from syncd.web.tenants import Tenants, absent

HERE: Final = Path(__file__).parent
MAX_FIELDS: Final = 2_000
"""Of one form."""

TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_log = log.get("web")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sent: each name with its texts."""

    texts: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """The first text of a name, "" for none."""
        return next(iter(self.texts.get(name, ())), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Every text of a name."""
        return self.texts.get(name, ())


Planned: TypeAlias = Callable[[], Document | None]
"""Gives a plan that was asked for; None while it is in the making."""


@dataclass(frozen=True, slots=True)
class Live:
    """What only the running service knows. plan: has a tenant's lane make a plan; None where no service runs.

    breakers: tenant -> system -> whether it is left alone for a while because it failed repeatedly.
    """

    plan: Callable[[str], Planned] | None = None
    breakers: Callable[[str], Mapping[str, str]] = field(default=lambda _tenant: {})


@dataclass(frozen=True, slots=True)
class Asked:
    """A plan that somebody asked for, and when."""

    ready: Planned
    at: datetime


class Site:
    """The operator's page of one config folder."""

    def __init__(self, folder: Path, *, live: Live | None = None, clock: Callable[[], datetime] = utc_now) -> None:
        self.tenants = Tenants(folder)
        service = self.tenants.service
        self.address = Address(service.web_listen, service.web_public)
        self.tokens = Tokens(service.web_tokens)
        self.sessions = Sessions(self.tokens)
        self.throttle = Throttle()
        self.live = live or Live()
        self.clock = clock
        self.secret = secrets.token_bytes(32)
        self.files = _files()
        self.glances = Glances(self.tenants, clock)
        self.plans: dict[str, Asked] = {}

    @cached_property
    def templates(self) -> Environment:
        """Jinja2, escaping everything; a name that nobody gave is an error."""
        made = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters.update(
            value=show.value,
            marked=show.marked,
            visible=show.visible,
            plain=show.plain,
            words=show.words,
            number=show.number,
            span=show.span,
            fname=show.field_name,
        )
        made.globals.update(static=self.static, bar=show.bar)
        return made

    def static(self, name: str) -> str:
        """The address of one of the page's own files; it changes with the file."""
        return f"/static/{name}?v={self.files[name][1][:12]}"

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A template as an answer, with what every page needs."""
        session: Session | None = request.state.session
        now = self.clock()
        text = self.templates.get_template(template).render(
            session=session,
            may_act=session is not None and session.may_act,
            csrf=session.csrf if session is not None else "",
            path=request.url.path,
            now=now,
            ago=lambda at: show.time(at, now),
            **{"tenant": None, **context},
        )
        return HTMLResponse(text, status_code=status)

    def view(self, make: Callable[[Site, Request], Response]) -> Callable[[Request], Response]:
        """A GET endpoint; it runs in a thread."""

        def endpoint(request: Request) -> Response:
            return self._ending(request, lambda: make(self, request))

        return endpoint

    def act(self, do: Callable[[Site, Request, Form], Response]) -> Callable[[Request], Awaitable[Response]]:
        """A POST endpoint of somebody logged in, whose form carries the secret of their session; it runs in a thread."""

        async def endpoint(request: Request) -> Response:
            form = await read_form(request)
            session: Session | None = request.state.session
            if session is None or not hmac.compare_digest(form.one("csrf").encode(), session.csrf.encode()):
                return self.failed(request, 403, "usage", "This form is not of this session.", "Load the page again.")
            return await run_in_threadpool(self._ending, request, lambda: do(self, request, form))

        return endpoint

    def _ending(self, request: Request, make: Callable[[], Response]) -> Response:
        """An answer, or the page that tells why there is none."""
        try:
            return make()
        except StoreError as error:
            if absent(error):
                words = "This tenant has no store yet: it is made by the first cycle of the service, or by `syncd db upgrade`."
                return self.failed(request, 503, error.code, words, "Wait for the first cycle.")
            return self.failed(request, 503, error.code, str(error), error.next_step)
        except ConfigError as error:
            return self.failed(request, 409, error.code, "; ".join(error.problems), error.next_step)
        except Missing as error:
            return self.failed(request, 404, error.code, str(error), "Go back to the list and look again.")
        except UsageError as error:
            return self.failed(
                request, 409, error.code, str(error), "Look at it again: it may have been decided meanwhile."
            )
        except SyncdError as error:
            return self.failed(request, 500, error.code, str(error), error.next_step)
        except Exception as error:  # noqa: BLE001 - the last door: a person gets a sentence, the log gets the frames
            _log.error("web_request_failed", operation=request.method, exc_info=error)
            words = f"unexpected {type(error).__name__}"
            return self.failed(
                request, 500, "internal", words, "Look for web_request_failed in the log, and report it."
            )

    def failed(self, request: Request, status: int, code: str, message: str, step: str) -> HTMLResponse:
        """The page that tells an error and its next step."""
        return self.page(request, "error.html", status, code=code, message=message, step=step)

    def hand(self, session: Session, tenant: str, store: Store) -> Operator:
        """The hand of somebody logged in on a tenant's store."""
        return Operator(store, self.clock, session.actor, self.tenants.config(tenant).policy.context)

    def audit(self, session: Session, tenant: str, command: str) -> None:
        """Tell the log that a person did something; the store's audit trail has it already."""
        _log.info("operator_act", tenant=tenant, actor=session.actor, command=command)

    def warm(self) -> threading.Thread:
        """Read the templates and every tenant once in a thread, so that whoever comes first need not wait for that."""

        def read() -> None:
            for name in self.templates.list_templates():
                self.templates.get_template(name)
            self.glances.warm()

        thread = threading.Thread(target=read, name="web-warm", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Close the stores."""
        self.tenants.close()


class Missing(UsageError):
    """What was asked for is not there."""


async def read_form(request: Request) -> Form:
    """The texts of a form; files are passed over."""
    texts: dict[str, tuple[str, ...]] = {}
    async with request.form(max_fields=MAX_FIELDS, max_files=0) as given:
        for name, text in given.multi_items():
            if isinstance(text, str):
                texts[name] = (*texts.get(name, ()), text)
    return Form(texts)


def back(path: str) -> RedirectResponse:
    """After an act: the page that shows what it did."""
    return RedirectResponse(path, status_code=303)


def is_part(request: Request) -> bool:
    """Whether a part of a page is asked for by script, not the page."""
    return request.headers.get("hx-request") == "true" and not request.headers.get("hx-history-restore-request")


def actor_of(request: Request) -> Session:
    """Who acts; the guard has seen to it that there is somebody."""
    session: Session | None = request.state.session
    if session is None:
        raise UsageError("nobody is logged in")
    return session


def _files() -> dict[str, tuple[bytes, str, str]]:
    """Name -> (content, digest, type) of every file that the page serves."""
    found: dict[str, tuple[bytes, str, str]] = {}
    folder = HERE / "static"
    for path in sorted(folder.rglob("*")):
        kind = TYPES.get(path.suffix)
        if kind is not None and path.is_file():
            content = path.read_bytes()
            found[path.relative_to(folder).as_posix()] = (content, hashlib.sha256(content).hexdigest(), kind)
    return found
