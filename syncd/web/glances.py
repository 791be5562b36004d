"""What was last read of every tenant, for the first page: a hundred of them are told at once, though reading one takes its time.

Where the database tells that nothing was committed since (SQLite does), what was read is what would be read, and is not read again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from syncd.config import TenantConfig
from syncd.errors import StoreError, SyncdError
from syncd.report import Document, figures
from syncd.web.tenants import Tenants, absent

FRESH_SECONDS: Final = 2.0
"""How old what is told of a tenant may be where there is time to read it anew."""


@dataclass(frozen=True, slots=True)
class _Read:
    """version: of the store as it was before the reading, None where it has none. at: seconds of a clock that only rises."""

    config: TenantConfig | None
    version: Hashable
    at: float
    told: Document


class Glances:
    """A document per tenant, each with the time it was read; the oldest is read first, for as long as there is time."""

    def __init__(self, tenants: Tenants, clock: Callable[[], datetime]) -> None:
        self._tenants = tenants
        self._clock = clock
        self._guard = threading.Lock()
        self._known: dict[str, _Read] = {}

    def look(self, names: Sequence[str], seconds: float) -> list[Document]:
        """What `figures.glance` tells of each tenant, or why there is no more than its name; read for at most so long."""
        deadline = time.monotonic() + seconds
        if self._guard.acquire(
            blocking=False
        ):  # somebody else's request is reading already: then what there is will do
            try:
                self._read(names, deadline)
            finally:
                self._guard.release()
        blank: Document = {"note": "not read yet", "systems": [], "waiting_total": 0, "read_at": None}
        known = [self._known.get(name) for name in names]
        return [
            found.told if found is not None else {"tenant": name, **blank}
            for name, found in zip(names, known, strict=True)
        ]

    def warm(self) -> None:
        """Read every tenant once, however long it takes. All are opened first: that alone touches files, and `version` is told of older ones only."""
        names = self._tenants.names()
        for name in names:
            with suppress(SyncdError), self._tenants.store(name):
                pass
        for name in names:
            with self._guard:
                self._read([name], time.monotonic() + FRESH_SECONDS)

    def forget(self, name: str) -> None:
        """Something was decided there: it is read anew before it is told again."""
        self._known.pop(name, None)

    def _read(self, names: Sequence[str], deadline: float) -> None:
        """The oldest first. `forget` may come in between at any time."""
        ages = {name: found.at if (found := self._known.get(name)) is not None else 0.0 for name in names}
        for name in sorted(ages, key=lambda each: ages[each]):
            now = time.monotonic()
            known = self._known.get(name)
            if known is not None and (now - known.at <= FRESH_SECONDS or self._is_as_it_was(name, known)):
                continue
            if now > deadline:
                return
            self._known[name] = self._glance(name, now)

    def _is_as_it_was(self, name: str, known: _Read) -> bool:
        """Whether a tenant is what it was when it was read; then it is as good as read now."""
        if known.version is None:
            return False
        try:
            config = self._tenants.config(name)
            with self._tenants.store(name) as store:
                if config is not known.config or store.version() != known.version:
                    return False
        except SyncdError:
            return False
        known.told["read_at"] = self._clock()
        return True

    def _glance(self, name: str, now: float) -> _Read:
        try:
            config = self._tenants.config(name)
            with self._tenants.store(name) as store:
                version = store.version()
                found = figures.glance(store, name, modes(config))
                return _Read(config, version, now, {**found, "note": None, "read_at": self._clock()})
        except StoreError as error:
            note = "no store yet: the first cycle makes it" if absent(error) else f"{error} ({error.code})"
        except SyncdError as error:
            note = str(error)
        blank: Document = {"tenant": name, "note": note, "systems": [], "waiting_total": 0, "read_at": self._clock()}
        return _Read(None, None, now, blank)


def modes(config: TenantConfig) -> dict[str, tuple[str, str]]:
    """The systems of a tenant in the order of its file -> (provider, mode)."""
    return {system.name: (system.provider, system.mode.value) for system in config.policy.systems}
