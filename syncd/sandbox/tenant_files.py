"""Writes a config folder that points syncd at a running sandbox, secrets in files of mode 0600."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from syncd.sandbox.app import Sandbox

ORDER = ("books", "lsp", "receipts", "erp")
PROVIDER = {"books": "tiime", "lsp": "lsp_expert", "receipts": "smartbills", "erp": "flowtly"}
TIMING = ("create_settle", "stale_read", "confirm_delete_after")


def write_config(
    sandbox: Sandbox,
    folder: Path | str,
    tenant: str = "demo",
    *,
    first_run: str = "go",
    poll: str = "2s",
    timing: Mapping[str, str] | None = None,
    systems: Sequence[str] = ORDER,
    more: Mapping[str, Mapping[str, Any]] | None = None,
    service: Mapping[str, Any] | None = None,
) -> Path:
    """Write FOLDER/config/syncd.toml, FOLDER/config/tenants/TENANT.toml and FOLDER/secrets/TENANT/*; returns FOLDER/config.

    timing: the keys of [timing], all "0s" where not given. more: further keys by section of the tenant's file, such as
    {"tenant": {"merges": "auto"}, "systems.erp": {"mode": "observe"}, "fields.email": {"rule": "hold"}}. service: further
    sections of syncd.toml.
    """
    root = Path(folder)
    secrets = root / "secrets" / tenant
    tenants = root / "config" / "tenants"
    for path in (secrets, tenants):
        path.mkdir(parents=True, exist_ok=True)
    secrets.chmod(0o700)
    whole: dict[str, Any] = {
        "tenant": {"first_run": first_run, "country": "FR", "language": "fr-FR"},
        "systems": {name: _system(sandbox, name, secrets, poll) for name in systems},
        "timing": dict.fromkeys(TIMING, "0s") | dict(timing or {}),
    }
    for section, values in (more or {}).items():
        place = whole
        for part in section.split("."):
            place = place.setdefault(part, {})
        place.update(values)
    own = {
        "database": "sqlite:///state",
        "log": {"level": "info", "format": "json", "file": ""},
        "web": {"listen": ""},
        "limits": {"allow_insecure_loopback": True},
    } | dict(service or {})
    (root / "config" / "syncd.toml").write_text(tomlkit.dumps(own))
    (tenants / f"{tenant}.toml").write_text(tomlkit.dumps(whole))
    return root / "config"


def _system(sandbox: Sandbox, name: str, secrets: Path, poll: str) -> dict[str, Any]:
    provider = PROVIDER[name]
    known = sandbox.credentials[provider]

    def secret(key: str) -> str:
        path = secrets / f"{name}_{key}"
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(known[key])
        return f"file:{os.path.abspath(path)}"  # noqa: PTH100 - resolve() would follow a linked temporary folder

    common = {
        "provider": provider,
        "mode": "sync",
        "poll": poll,
        "base_url": sandbox.base_urls[provider],
        "requests_per_second": 500,
    }
    if provider == "tiime":
        own: dict[str, Any] = {
            "company_id": int(known["company_id"]),
            "auth_url": sandbox.auth_urls["tiime"],
            "client_id": known["client_id"],
        }
        return common | own | {"username": secret("username"), "password": secret("password")}
    if provider == "lsp_expert":
        return common | {"api_key": secret("api_key")}
    if provider == "smartbills":
        dialect = "business" if sandbox.world.systems[provider].switches.profile == "C" else "v1"
        return common | {"dialect": dialect, "business_id": known["business_id"], "token": secret("token")}
    manners: Any = sandbox.world.systems[provider]
    defaults = {"country": manners.manners.iri("countries", "FR"), "currency": manners.manners.iri("currencies", "EUR"),
                "status": "active", "tin_type": "other", "contact_type": "billing",
                "employee": manners.manners.iri("employees", "1")}  # fmt: skip
    own = {
        "username": secret("username"),
        "password": secret("password"),
        "defaults": defaults,
        "archived_status": "inactive",
    }
    return common | own
