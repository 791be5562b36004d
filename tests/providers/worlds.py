"""The other side of every contract test: systems whose users type, and whose answers can be replaced.

The HTTP worlds put a simulated system of `syncd.sandbox` behind pytest-httpserver; the memory world is the reference provider's own.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from pytest_httpserver import HTTPServer
from werkzeug import Request as WireRequest
from werkzeug import Response

from syncd.core.model import Context
from syncd.providers import Provider, Settings, load
from syncd.providers.http import Http
from syncd.providers.memory import Memory, forget, world
from syncd.sandbox.flowtly import Flowtly as FlowtlySystem
from syncd.sandbox.lsp_expert import SYMBOLS
from syncd.sandbox.lsp_expert import LspExpert as LspSystem
from syncd.sandbox.smartbills import Smartbills as SmartbillsSystem
from syncd.sandbox.tiime import COMPANY_ID
from syncd.sandbox.tiime import Tiime as TiimeSystem
from syncd.sandbox.wire import Answer, Refused, Request, Write

Raw = dict[str, Any]

CREDENTIALS = {
    "api_key": "key-1",
    "username": "u",
    "password": "p",
    "token": "t-1",
    "client_id": "c",
    "client_secret": "s",
}


@dataclass(frozen=True)
class Instead:
    """An answer given instead of the system's own. committed: the system took the write before its answer was replaced."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    committed: bool = False


AUTH_MOUNTS = {"tiime": "/auth"}
"""Where a system issues tokens, if not below its base URL."""


class System:
    """One simulated system behind an HTTP server.

    calls: (method, path) in order; strays: calls that it does not document; violations: what in the others went against the
    documentation.
    """

    def __init__(self, server: HTTPServer, system: Any) -> None:
        self.system = system
        self.calls: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self.strays: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.instead: list[tuple[Callable[[Request], bool], Instead]] = []
        self.doctor: Callable[[Request, Any], Any] | None = None
        self.base_url = server.url_for(system.mount)
        server.expect_request(re.compile(f"^{system.mount}(/|$)")).respond_with_handler(self._serve)
        self.auth_mount = AUTH_MOUNTS.get(system.name, "")
        if self.auth_mount:
            server.expect_request(re.compile(f"^{self.auth_mount}/")).respond_with_handler(self._serve)
        self.auth_url = server.url_for(f"{self.auth_mount}/oauth/token")

    def answer(self, instead: Instead, *, method: str = "", path: str = "", times: int = 1) -> None:
        """Replace the next answers to requests of this method below this path."""

        def fits(request: Request) -> bool:
            return request.method == (method or request.method) and request.path.startswith(path)

        self.instead += [(fits, instead)] * times

    def _serve(self, wire: WireRequest) -> Response:
        target = wire.environ.get("REQUEST_URI") or wire.path
        path, _, query = target.partition("?")
        mount = self.system.mount if path.startswith(self.system.mount) else self.auth_mount
        request = Request(
            seq=len(self.calls),
            provider=self.system.name,
            method=wire.method,
            path=path.removeprefix(mount) or "/",
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in wire.headers.items()},
            body=wire.get_data(),
            at=time.time(),
        )
        self.calls.append((request.method, request.path))
        self.requests.append(request)
        for number, (fits, instead) in enumerate(self.instead):
            if fits(request):
                del self.instead[number]
                if instead.committed:
                    self._answer(request)
                return Response(instead.body, instead.status, instead.headers, content_type=instead.content_type)
        answer = self._answer(request)
        body = answer.encoded()
        if self.doctor is not None and body:
            body = json.dumps(self.doctor(request, json.loads(body))).encode()
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-type"}
        kind = next(
            (value for name, value in answer.headers.items() if name.lower() == "content-type"), "application/json"
        )
        return Response(body, answer.status, headers, content_type=kind if body else None)

    def _answer(self, request: Request) -> Answer:
        route, params, allowed = self.system.router.find(request.method, request.path, self.system.offered)
        if route is None:
            self.strays.append((request.method, request.path))
            answer: Answer = self.system.problem(405 if allowed else 404)
            return answer
        request.params = params
        try:
            if not route.open:
                self.system.authenticate(request)
            given = route.endpoint(request)
            return given.commit() if isinstance(given, Write) else given
        except Refused as refused:
            self.violations += [refused.violation] if refused.violation else []
            return refused.answer
        finally:
            self.violations += request.violations


class HttpWorld:
    """What the contract knows of a system behind HTTP: its users' acts in canonical words, its records, its provider."""

    table = "clients"

    def __init__(self, system: System, provider: Provider) -> None:
        self.system = system
        self.provider = provider

    def typed(self, fields: Raw, before: Raw | None) -> Raw:
        """The system's own names for canonical fields, as its users would type them."""
        raise NotImplementedError

    def add(self, **fields: Any) -> str:
        return str(self.system.system.user_create(self.table, self.typed(fields, None)))

    def edit(self, external_id: str, **fields: Any) -> None:
        self.system.system.user_edit(self.table, external_id, self.typed(fields, self._row(external_id)))

    def remove(self, external_id: str) -> None:
        self.system.system.user_delete(self.table, external_id)

    def ids(self) -> list[str]:
        return list(self.system.system.tables[self.table].rows)

    def raw(self, external_id: str) -> Raw:
        """The record and its children as the system shows them."""
        row, shown = self._row(external_id), self.system.system.shown
        children = shown(self.table, row, form="children") if self.table == "clients" else {}
        return json.loads(json.dumps({**shown(self.table, row), "(children)": children}))

    def _row(self, external_id: str) -> Raw:
        return self.system.system.tables[self.table].rows[external_id]


def _set(raw: Raw, path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        raw = raw.setdefault(key, {})
    raw[path[-1]] = value


LSP_PATHS = {
    "name": ("name",),
    "address_line1": ("address", "line1"),
    "address_line2": ("address", "line2"),
    "postal_code": ("address", "postalCode"),
    "city": ("address", "city"),
    "region": ("address", "state"),
    "country": ("address", "country"),
    "payment_terms_days": ("invoice", "paymentTerms"),
    "details": ("details",),
    "registration_number": ("nationalIdentificationNumber",),
    "vat_number": ("vatNumber",),
    "archived": ("archived",),
}


class LspWorld(HttpWorld):
    """LSP.expert with its users."""

    def typed(self, fields: Raw, before: Raw | None) -> Raw:
        raw: Raw = {}
        for name, value in fields.items():
            if name == "currency":
                _set(raw, ("invoice", "currency"), {"code": value, "symbol": SYMBOLS.get(value, value)})
            elif name in LSP_PATHS:
                _set(raw, LSP_PATHS[name], value)
        contact = {name: fields[name] for name in ("email", "phone") if name in fields}
        if contact:
            old = (before or {}).get("contacts", [])
            rest = [{"id": each["id"]} for each in old[1:]]
            first = {"id": old[0]["id"]} if old else {"fullName": fields.get("name", "Someone")}
            raw["contacts"] = [{**first, **contact}, *rest]
        return raw


FLOWTLY_KEYS = {
    "name": "name",
    "phone": "addressPhoneNumber",
    "postal_code": "addressPostCode",
    "city": "addressCity",
    "registration_number": "tin",
    "payment_terms_days": "dueDays",
    "language": "documentsLanguage",
}


class FlowtlyWorld(HttpWorld):
    """Flowtly with its users, who type the whole street into one box."""

    def typed(self, fields: Raw, before: Raw | None) -> Raw:
        raw = {FLOWTLY_KEYS[name]: value for name, value in fields.items() if name in FLOWTLY_KEYS}
        if "address_line1" in fields:
            raw |= {"addressStreetLine": fields["address_line1"], "addressBuildingNumber": None}
        if "country" in fields:
            raw["addressCountry"] = fields["country"]
        if "currency" in fields:
            raw["currency"] = fields["currency"]
        if "archived" in fields:
            raw["status"] = "inactive" if fields["archived"] else "active"
        if "email" in fields:
            old = (before or {}).get("_contacts", [])
            rest = [{"id": each} for each in old[1:]]
            first = {"id": old[0]} if old else {"name": fields.get("name", "Someone"), "type": "billing"}
            raw["clientContacts"] = [{**first, "email": fields["email"]}, *rest] if fields["email"] else rest
        return raw


TIIME_KEYS = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "address_line1": "address",
    "address_line2": "address_complement",
    "postal_code": "postal_code",
    "city": "city",
    "registration_number": "siren_or_siret",
    "vat_number": "intracom_vat_number",
    "details": "note",
    "archived": "archived",
}


class TiimeWorld(HttpWorld):
    """Tiime with its users."""

    def typed(self, fields: Raw, before: Raw | None) -> Raw:
        del before
        raw = {TIIME_KEYS[name]: value for name, value in fields.items() if name in TIIME_KEYS}
        if "country" in fields:
            raw["country_code"] = fields["country"]
        if "kind" in fields:
            raw["professional"] = fields["kind"] == "company"
        return raw


SMARTBILLS_KEYS = {
    "given_name": "firstName",
    "family_name": "lastName",
    "email": "email",
    "phone": "phone",
    "language": "locale",
    "tax_exempt": "taxExempt",
    "marketing_consent": "acceptsMarketing",
}
SMARTBILLS_ADDRESS = {
    "address_line1": "line1",
    "address_line2": "line2",
    "postal_code": "postalCode",
    "city": "city",
    "region": "state",
    "country": "countryCode",
}


class SmartbillsWorld(HttpWorld):
    """Smartbills with its users."""

    table = "customers"

    def typed(self, fields: Raw, before: Raw | None) -> Raw:
        del before
        raw = {SMARTBILLS_KEYS[name]: value for name, value in fields.items() if name in SMARTBILLS_KEYS}
        address = {key: fields[name] for name, key in SMARTBILLS_ADDRESS.items() if name in fields}
        return {**raw, "address": address} if address else raw


class MemoryWorld:
    """The reference provider's world; its records are canonical."""

    def __init__(self, provider: Memory) -> None:
        self.provider = provider
        self._world = provider.world

    def add(self, **fields: Any) -> str:
        return self._world.add(**fields)

    def edit(self, external_id: str, **fields: Any) -> None:
        self._world.edit(external_id, **fields)

    def remove(self, external_id: str) -> None:
        self._world.remove(external_id)

    def ids(self) -> list[str]:
        return self._world.ids()

    def raw(self, external_id: str) -> Raw:
        return self._world.record(external_id)


FLOWTLY_DEFAULTS = {
    "country": "/countries/FR",
    "currency": "/currencies/EUR",
    "status": "active",
    "tin_type": "other",
    "contact_type": "billing",
}


def settings(name: str, base_url: str | None, **options: Any) -> Settings:
    return Settings(
        system="sys",
        provider=name,
        base_url=base_url,
        timeout_seconds=5.0,
        insecure_loopback=True,
        context=Context("FR", "fr-FR"),
        options=options,
    )


def connect(name: str, system: System, **options: Any) -> Any:
    """A provider of this name, connected to the system."""
    given, cls = settings(name, system.base_url, **options), load(name)
    return cls(given, Http(given, cls.default_base_url))


def lsp_world(server: HTTPServer, *, switches: Raw | None = None, **options: Any) -> LspWorld:
    system = LspSystem(time.time, 1, CREDENTIALS)
    for name, value in (switches or {}).items():
        setattr(system.switches, name, value)
    served = System(server, system)
    return LspWorld(served, connect("lsp_expert", served, **{"api_key": "key-1", **options}))


def flowtly_world(server: HTTPServer, *, switches: Raw | None = None, **options: Any) -> FlowtlyWorld:
    system = FlowtlySystem(time.time, 1, CREDENTIALS)
    for name, value in (switches or {}).items():
        setattr(system.switches, name, value)
    served = System(server, system)
    given = {"username": "u", "password": "p", "defaults": FLOWTLY_DEFAULTS, "archived_status": "inactive", **options}
    return FlowtlyWorld(served, connect("flowtly", served, **given))


def tiime_world(server: HTTPServer, **options: Any) -> TiimeWorld:
    served = System(server, TiimeSystem(time.time, 1, CREDENTIALS))
    given = {"company_id": COMPANY_ID, "username": "u", "password": "p", "auth_url": served.auth_url, **options}
    return TiimeWorld(served, connect("tiime", served, **given))


def smartbills_world(server: HTTPServer, *, switches: Raw | None = None, **options: Any) -> SmartbillsWorld:
    system = SmartbillsSystem(time.time, 1, CREDENTIALS)
    for name, value in (switches or {}).items():
        setattr(system.switches, name, value)
    served = System(server, system)
    return SmartbillsWorld(served, connect("smartbills", served, **{"token": "t-1", **options}))


def memory_world(name: str, profile: Any = None) -> MemoryWorld:
    forget(name)
    world(name, profile)
    return MemoryWorld(Memory(settings("memory", None, world=name)))
