"""Configuration: two kinds of TOML file in one folder, read whole, checked whole, handed over as frozen data.

    syncd.toml            the service: database, log, web page, limits   -> ServiceConfig
    tenants/NAME.toml     one tenant: systems, rules, limits             -> TenantConfig

`load` is what the service uses: a broken tenant's file stops that tenant only. `load_strict` is for commands: any problem
is a reason to do nothing. Either tells all problems of all files at once, one line each, `FILE: KEY: found; allowed`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from syncd.config.files import find_folder, fingerprint, tenant_files
from syncd.config.service import ServiceConfig, load_service
from syncd.config.telling import NotifyConfig
from syncd.config.tenants import Surroundings, TenantConfig, load_tenant
from syncd.errors import ConfigError

__all__ = [
    "Loaded",
    "NotifyConfig",
    "ServiceConfig",
    "TenantConfig",
    "find_folder",
    "fingerprint",
    "load",
    "load_strict",
]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One reading of a config folder.

    tenants: those without a problem, in the order of their names, disabled ones included (`enabled`).
    broken: tenant's name -> its problems. warnings: what works and is unwise.
    """

    service: ServiceConfig
    tenants: tuple[TenantConfig, ...]
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def load(folder: Path) -> Loaded:
    """Read a config folder. Raises ConfigError, with the tenants' problems too, only where syncd.toml cannot be used."""
    loaded, problems = _read(folder)
    if problems:
        raise ConfigError([*problems, *_all(loaded.broken)])
    return loaded


def load_strict(folder: Path) -> Loaded:
    """Read a config folder. Raises ConfigError with every problem of every file if there is one."""
    loaded, problems = _read(folder)
    problems.extend(_all(loaded.broken))
    if problems:
        raise ConfigError(problems)
    return loaded


def _all(broken: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [line for lines in broken.values() for line in lines]


def _read(folder: Path) -> tuple[Loaded, list[str]]:
    if not folder.is_dir():
        raise ConfigError([f"{folder}: no such folder; allowed: the folder that holds syncd.toml"])
    service, problems = load_service(folder)
    warnings: list[str] = []
    around = Surroundings(os.environ, service.allow_insecure_loopback, warnings.append)
    tenants: list[TenantConfig] = []
    broken: dict[str, tuple[str, ...]] = {}
    for path in tenant_files(folder):
        tenant, faults = load_tenant(path, around)
        if tenant is None:
            broken[path.stem] = tuple(faults)
        else:
            tenants.append(tenant)
    if service.database.startswith("postgresql"):
        _refuse_shared_schemas(tenants, broken)
    return Loaded(service, tuple(tenants), broken, tuple(warnings)), problems


def _refuse_shared_schemas(tenants: list[TenantConfig], broken: dict[str, tuple[str, ...]]) -> None:
    """On PostgreSQL `a-b` and `a_b` would be one schema: neither runs."""
    by_schema: dict[str, list[TenantConfig]] = {}
    for tenant in tenants:
        by_schema.setdefault(tenant.name.replace("-", "_"), []).append(tenant)
    for sharing in by_schema.values():
        if len(sharing) == 1:
            continue
        names = ", ".join(tenant.file.name for tenant in sharing)
        for tenant in sharing:
            tenants.remove(tenant)
            broken[tenant.name] = (
                f"{tenant.file}: file name: one PostgreSQL schema for {names}; allowed: names that differ by more than - and _",
            )
