"""The tenants as the page sees them: the configuration as it is now, and their stores, opened when first asked for.

The page shares nothing with the lanes of the daemon but the database: it reads, and its acts are short transactions of a person. A
changed file is noticed within `LOOK_SECONDS`; what was opened for the old one is closed when its last reader has finished.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from syncd.config import Loaded, ServiceConfig, TenantConfig, fingerprint, load
from syncd.errors import ConfigError, StoreError, UsageError
from syncd.store import Store, open_store
from syncd.tenant import Tenant, open_tenant

LOOK_SECONDS: Final = 2.0
"""Between two looks at the files."""

MAX_WHOLE: Final = 16
"""Tenants kept open with everything that belongs to them; each costs memory for its connections."""


class _Closing(Protocol):
    def close(self) -> None: ...


Thing = TypeVar("Thing", bound=_Closing)


@dataclass(slots=True)
class _Held(Generic[Thing]):
    thing: Thing
    users: int = 0
    retired: bool = False
    used_at: float = field(default_factory=time.monotonic)


class _Shelf(Generic[Thing]):
    """Things kept open by name, at most so many; a thing in use is closed by its last user."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._held: dict[str, _Held[Thing]] = {}
        self._guard = threading.Lock()

    @contextmanager
    def borrow(self, name: str, make: Callable[[], Thing]) -> Iterator[Thing]:
        with self._guard:
            held = self._held.get(name)
            if held is None:
                held = self._held[name] = _Held(make())
                self._make_room(name)
            held.users += 1
            held.used_at = time.monotonic()
        try:
            yield held.thing
        finally:
            with self._guard:
                held.users -= 1
                self._end(held)

    def retire(self, name: str) -> None:
        with self._guard:
            if (held := self._held.pop(name, None)) is not None:
                held.retired = True
                self._end(held)

    def clear(self) -> None:
        for name in list(self._held):
            self.retire(name)

    def _make_room(self, keep: str) -> None:
        idle = sorted((held.used_at, name) for name, held in self._held.items() if not held.users and name != keep)
        while self._limit is not None and len(self._held) > self._limit and idle:
            held = self._held.pop(idle.pop(0)[1])
            held.retired = True
            self._end(held)

    @staticmethod
    def _end(held: _Held[Thing]) -> None:
        if held.retired and not held.users:
            held.thing.close()


class Tenants:
    """Every enabled tenant of a config folder, and those whose files are broken. Raises ConfigError where syncd.toml is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._guard = threading.Lock()
        self._seen = ""
        self._looked = 0.0
        self._loaded: Loaded = load(folder)
        # On PostgreSQL every open store is a connection: few are kept.
        limit = None if self._loaded.service.database.startswith("sqlite") else 4
        self._stores: _Shelf[Store] = _Shelf(limit)
        self._whole: _Shelf[Tenant] = _Shelf(MAX_WHOLE)

    @property
    def service(self) -> ServiceConfig:
        """The service's own keys."""
        return self._now().service

    @property
    def broken(self) -> Mapping[str, tuple[str, ...]]:
        """Tenant's name -> the problems of its file."""
        return self._now().broken

    def names(self) -> list[str]:
        """The enabled tenants, in the order of their names."""
        return [tenant.name for tenant in self._now().tenants if tenant.enabled]

    def config(self, name: str) -> TenantConfig:
        """A tenant's wishes. Raises UsageError where there is no such tenant."""
        for tenant in self._now().tenants:
            if tenant.name == name and tenant.enabled:
                return tenant
        raise UsageError(f"there is no tenant {name!r} at work")

    @contextmanager
    def store(self, name: str) -> Iterator[Store]:
        """A tenant's store. Raises UsageError, and StoreError where it is not there yet."""
        config = self.config(name)
        with self._stores.borrow(name, lambda: open_store(self.service.database, config.name, upgrade=False)) as store:
            yield store

    @contextmanager
    def whole(self, name: str) -> Iterator[Tenant]:
        """A tenant with its systems' abilities; no request is ever made through it. Raises as `store` does."""
        config = self.config(name)
        with self._whole.borrow(name, lambda: open_tenant(self.service, config, upgrade=False)) as tenant:
            yield tenant

    def look(self) -> None:
        """Look at the files at once."""
        self._looked = 0.0
        self._now()

    def close(self) -> None:
        """Close everything that is open."""
        self._stores.clear()
        self._whole.clear()

    def _now(self) -> Loaded:
        with self._guard:
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._looked = time.monotonic()
                if (seen := fingerprint(self.folder)) != self._seen:
                    self._reload(seen)
            return self._loaded

    def _reload(self, seen: str) -> None:
        """Take over what changed; while syncd.toml cannot be used, what was known goes on."""
        try:
            loaded = load(self.folder)
        except ConfigError:
            return
        self._seen = seen
        before = {tenant.name: tenant for tenant in self._loaded.tenants}
        after = {tenant.name: tenant for tenant in loaded.tenants}
        other_place = loaded.service.database != self._loaded.service.database
        self._loaded = loaded
        for name, tenant in before.items():
            if name not in after or other_place:
                self._stores.retire(name)
            if after.get(name) != tenant or other_place:
                self._whole.retire(name)


def absent(error: StoreError) -> bool:
    """Whether a store is merely not there yet: the first cycle makes it."""
    return "has no schema" in str(error)
