"""Tenants that a worker has open: kept from one cycle to the next, because opening one costs more than a quiet cycle."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from syncd.config import TenantConfig
from syncd.tenant import Tenant

OPEN_MAX: Final = 128
"""Tenants that are kept open without being worked on; the one that was used longest ago is closed first."""


class OpenTenants:
    """Lends tenants to one thread each; what is configured differently by now is closed and opened anew."""

    def __init__(
        self, open_one: Callable[[TenantConfig, threading.Event], Tenant], *, open_max: int = OPEN_MAX
    ) -> None:
        """open_one: puts a tenant together, whose waits end when the event is set."""
        self._open_one = open_one
        self._open_max = open_max
        self._guard = threading.Lock()
        self._idle: OrderedDict[str, Tenant] = OrderedDict()
        self._lent: set[threading.Event] = set()
        self._closed = False

    @contextmanager
    def lent(self, config: TenantConfig) -> Iterator[Tenant]:
        """The tenant with a fresh engine. After an error, or an interruption, it is closed and not kept."""
        with self._guard:
            tenant = self._idle.pop(config.name, None)
        if tenant is not None and tenant.config is not config:
            tenant.close()
            tenant = None
        if tenant is None:
            tenant = self._open_one(config, threading.Event())
        with self._guard:
            self._lent.add(tenant.stop)
            if self._closed:
                tenant.stop.set()
        well = False
        try:
            yield tenant.afresh()
            well = True
        finally:
            self._take_back(tenant, keep=well)

    def _take_back(self, tenant: Tenant, *, keep: bool) -> None:
        over: list[Tenant] = []
        with self._guard:
            self._lent.discard(tenant.stop)
            if keep and not tenant.stop.is_set() and not self._closed and tenant.name not in self._idle:
                self._idle[tenant.name] = tenant
                while len(self._idle) > self._open_max:
                    over.append(self._idle.popitem(last=False)[1])
            else:
                over.append(tenant)
        for each in over:
            each.close()

    def interrupt(self) -> None:
        """Have everything that runs end soon: no new request, no new write. Later cycles begin as usual."""
        with self._guard:
            for stop in self._lent:
                stop.set()

    def close(self) -> None:
        """Interrupt what runs, now and later, and close what is idle."""
        with self._guard:
            self._closed = True
            idle, self._idle = list(self._idle.values()), OrderedDict()
            for stop in self._lent:
                stop.set()
        for tenant in idle:
            tenant.close()
