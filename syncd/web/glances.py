"""What was last read of every tenant, for the first page: a hundred of them are told at once, though reading one takes its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from syncd.config import TenantConfig
from syncd.errors import StoreError, SyncdError
from syncd.report import Document, figures
from syncd.web.tenants import Tenants, absent

FRESH_SECONDS: Final = 2.0
"""How old what is told of a tenant may be where there is time to read it anew."""


class Glances:
    """A document per tenant, each with the time it was read; the oldest is read first, for as long as there is time."""

    def __init__(self, tenants: Tenants, clock: Callable[[], datetime]) -> None:
        self._tenants = tenants
        self._clock = clock
        self._guard = threading.Lock()
        self._known: dict[str, tuple[float, Document]] = {}

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
        return [self._known.get(name, (0.0, {"tenant": name, **blank}))[1] for name in names]

    def warm(self) -> None:
        """Read every tenant once, however long it takes."""
        for name in self._tenants.names():
            with self._guard:
                self._read([name], time.monotonic() + FRESH_SECONDS)

    def forget(self, name: str) -> None:
        """Something was decided there: it is read anew before it is told again."""
        self._known.pop(name, None)

    def _read(self, names: Sequence[str], deadline: float) -> None:
        """The oldest first. `forget` may come in between at any time."""
        ages = {name: found[0] if (found := self._known.get(name)) is not None else None for name in names}
        for name, read_at in sorted(ages.items(), key=lambda age: age[1] or 0.0):
            now = time.monotonic()
            if now > deadline:
                return
            if read_at is None or now - read_at > FRESH_SECONDS:
                self._known[name] = (now, self._glance(name))

    def _glance(self, name: str) -> Document:
        try:
            with self._tenants.store(name) as store:
                found = figures.glance(store, name, modes(self._tenants.config(name)))
                return {**found, "note": None, "read_at": self._clock()}
        except StoreError as error:
            note = "no store yet: the first cycle makes it" if absent(error) else f"{error} ({error.code})"
        except SyncdError as error:
            note = str(error)
        return {"tenant": name, "note": note, "systems": [], "waiting_total": 0, "read_at": self._clock()}


def modes(config: TenantConfig) -> dict[str, tuple[str, str]]:
    """The systems of a tenant in the order of its file -> (provider, mode)."""
    return {system.name: (system.provider, system.mode.value) for system in config.policy.systems}
