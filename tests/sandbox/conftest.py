"""One sandbox for all tests of a module, put back to its seed before each test; a caller that knows the credentials."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import httpx
import pytest

from syncd.sandbox import Sandbox, start


@dataclass
class Caller:
    sandbox: Sandbox
    http: httpx.Client

    def headers(self, provider: str) -> dict[str, str]:
        known = self.sandbox.credentials[provider]
        if provider == "lsp_expert":
            return {"Authorization": "Basic " + base64.b64encode(f"{known['api_key']}:".encode()).decode()}
        return {"Authorization": f"Bearer {known['token']}"}

    def __call__(self, provider: str, method: str, path: str, **more: object) -> httpx.Response:
        headers = {**self.headers(provider), **more.pop("headers", {})}
        return self.http.request(method, self.sandbox.base_urls[provider] + path, headers=headers, **more)


@pytest.fixture(scope="module")
def running():
    with start(seed=1, clients=40) as sandbox, httpx.Client(trust_env=False, timeout=10) as http:
        yield sandbox, http


@pytest.fixture
def sandbox(running):
    sandbox = running[0]
    fresh = {name: type(system.switches)() for name, system in sandbox.world.systems.items()}
    for name, system in sandbox.world.systems.items():
        for switch in fresh[name].__dataclass_fields__:
            setattr(system.switches, switch, getattr(fresh[name], switch))
    sandbox.restore()
    sandbox.clear_faults()
    sandbox.clear_journal()
    sandbox.on_request()
    return sandbox


@pytest.fixture
def call(running, sandbox):
    return Caller(sandbox, running[1])
