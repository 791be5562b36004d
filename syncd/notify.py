"""Telling a person, once, that something needs one: by a program, or by a message to an address.

What is the matter is remembered in the tenant's store, so that a restart repeats nothing; what could not be told is tried again
with the next cycle. Delivery has a thread of its own and a limit in time: a notifier that hangs or fails stops no cycle.
A message names tenant, system and next step, and never a client.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from syncd import log
from syncd.config import NotifyConfig
from syncd.errors import ProviderError, UnknownOutcome
from syncd.providers import Settings
from syncd.providers.http import Http
from syncd.report.gauges import Gauges, SystemGauges
from syncd.tenant import Tenant

TIMEOUT_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 1.0
"""How long a cycle waits for its messages to be delivered, so that a restart right after it repeats none."""
QUEUE_MESSAGES: Final = 1000
REMEMBERED: Final = "notified"
"""The key in `meta` of what was told and is not over: JSON, key of a matter -> since when."""

_OK: Final = range(200, 300)
_log = log.get("notify")


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that needs a person. key: by which it is known again."""

    key: str
    kind: str
    system: str | None
    message: str
    next: str


def matters(now: Gauges, wanted: NotifyConfig) -> dict[str, Matter]:
    """What is the matter with a tenant after a cycle, of the kinds that are wanted."""
    found = [*_of_holds(now), *_of_conflicts(now, wanted.conflict_age_seconds)]
    for system in now.systems:
        found.extend(_of_system(now, system, wanted))
    return {matter.key: matter for matter in found if matter.kind in wanted.on}


def _of_holds(now: Gauges) -> Iterator[Matter]:
    for hold, kind, system in now.urgent_holds:
        what = f"a mass change from {system} is held" if kind == "brake" else "the first-run report waits"
        step = f"syncd holds --tenant {now.tenant}, then syncd release {hold}" + (
            f" or syncd refuse {hold}" if kind == "brake" else ""
        )
        yield Matter(f"{kind}:{hold}", kind, system, what, step)


def _of_conflicts(now: Gauges, age_seconds: float) -> Iterator[Matter]:
    oldest = now.oldest_conflict_at
    if oldest is not None and now.at - oldest >= timedelta(seconds=age_seconds):
        what = f"a conflict waits since {oldest:%Y-%m-%d %H:%M}Z, {now.conflicts_open} are open"
        yield Matter("conflict", "conflict", None, what, f"syncd conflicts --open --tenant {now.tenant}")


def _of_system(now: Gauges, system: SystemGauges, wanted: NotifyConfig) -> Iterator[Matter]:
    name = system.system
    if system.state == "paused":
        what = f"{name} is paused: its credentials were refused, or are another account's"
        yield Matter(f"paused:{name}", "paused", name, what, f"renew them, then syncd check --tenant {now.tenant}")
    limit = timedelta(seconds=2 * system.poll_seconds + wanted.stale_after_seconds)
    if system.complete_at is not None and now.at - system.complete_at > limit:
        what = f"{name} was read completely last at {system.complete_at:%Y-%m-%d %H:%M}Z"
        yield Matter(f"stale:{name}", "stale", name, what, f"syncd status --tenant {now.tenant}")
    budget, used = system.requests_per_day, system.requests_today
    if budget is not None and used is not None and used >= budget * wanted.budget_share:
        what = f"{name} has used {used} of {budget} requests_per_day"
        step = "a longer poll interval, or a larger requests_per_day"
        yield Matter(f"budget:{name}", "budget", name, what, step)


class Notifier:
    """Tells what is the matter, and what is over. `observe` after every cycle; `close` at the end."""

    def __init__(self, default: Callable[[Tenant], NotifyConfig | None]) -> None:
        """default: the service's section, for a tenant without one of its own."""
        self._default = default
        self._queue: queue.Queue[_Message | None] = queue.Queue(QUEUE_MESSAGES)
        self._guard = threading.Lock()
        self._pending: dict[tuple[str, str, str], _Message] = {}
        self._thread = threading.Thread(target=self._deliver, name="notify", daemon=True)
        self._thread.start()

    def observe(self, tenant: Tenant, now: Gauges) -> None:
        """Compare what is the matter with what was told, tell the difference, and remember what was delivered."""
        config = tenant.config.notify or self._default(tenant)
        if config is None:
            return
        with tenant.store.reading() as tx:
            told: dict[str, dict[str, Any]] = json.loads(tx.get_meta(REMEMBERED) or "{}")
        before = dict(told)
        self._settle(now.tenant, told)
        found = matters(now, config)
        messages = [self._message(config, now, matter, "began") for key, matter in found.items() if key not in told]
        messages += [
            self._message(config, now, Matter(key, **facts), "over") for key, facts in told.items() if key not in found
        ]
        deadline = time.monotonic() + PATIENCE_SECONDS
        for message in messages:
            message.done.wait(max(deadline - time.monotonic(), 0.0))
        self._settle(now.tenant, told)
        if told != before:
            with tenant.store.writing(operator=True) as tx:
                tx.set_meta(REMEMBERED, json.dumps(told, sort_keys=True))

    def _settle(self, tenant: str, told: dict[str, dict[str, Any]]) -> None:
        """Take what was delivered by now into what was told."""
        with self._guard:
            delivered = [each for key, each in self._pending.items() if key[0] == tenant and each.delivered]
            for message in delivered:
                del self._pending[message.key]
        for message in delivered:
            matter = message.matter
            if message.state == "began":
                told[matter.key] = {name: getattr(matter, name) for name in ("kind", "system", "message", "next")}
            else:
                told.pop(matter.key, None)

    def _message(self, config: NotifyConfig, now: Gauges, matter: Matter, state: str) -> _Message:
        """The message, put into the queue unless it is there already."""
        key = (now.tenant, matter.key, state)
        with self._guard:
            message = self._pending.get(key)
            if message is None or message.done.is_set():
                message = self._pending[key] = _Message(key, config, matter, state, now.at)
                try:
                    self._queue.put_nowait(message)
                except queue.Full:
                    message.done.set()
        return message

    def close(self) -> None:
        """Deliver what is in the queue, for at most as long as one message may take."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(TIMEOUT_SECONDS)

    def _deliver(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                message.send()
            except (OSError, subprocess.SubprocessError, ProviderError) as error:
                _log.warning("notify_failed", tenant=message.key[0], kind=message.matter.kind, error=error)
            except Exception:  # noqa: BLE001 - whatever a notifier does, the next message is told
                _log.exception("crashed")
            message.done.set()


class _Message:
    """One message on its way. `delivered` counts once `done` is set."""

    def __init__(
        self, key: tuple[str, str, str], config: NotifyConfig, matter: Matter, state: str, at: datetime
    ) -> None:
        self.key = key
        self.config = config
        self.matter = matter
        self.state = state
        self.at = at
        self.done = threading.Event()
        self.delivered = False

    def document(self) -> dict[str, Any]:
        """What the program gets on stdin, and the address as a body; `text` is what chat programs show."""
        matter, tenant = self.matter, self.key[0]
        over = " (over)" if self.state == "over" else ""
        return {
            "source": "syncd",
            "tenant": tenant,
            "system": matter.system,
            "kind": matter.kind,
            "state": self.state,
            "message": matter.message,
            "next": matter.next,
            "at": self.at.isoformat(),
            "text": f"syncd, {tenant}: {matter.message}{over}. Next: {matter.next}",
        }

    def send(self) -> None:
        """Tell it. Raises OSError, SubprocessError or ProviderError where that fails."""
        if self.config.command:
            run(self.config.command, self.document())
        if self.config.webhook:
            post(self.config.webhook, self.document(), insecure_loopback=self.config.insecure_loopback)
        self.delivered = True
        _log.info("notified", tenant=self.key[0], system=self.matter.system, kind=self.matter.kind, state=self.state)


def run(command: tuple[str, ...], document: Mapping[str, Any]) -> None:
    """Start a program with the document on stdin. It gets nothing of syncd's environment but where programs are.

    Raises OSError where it cannot be started, SubprocessError where it fails or takes longer than TIMEOUT_SECONDS.
    """
    subprocess.run(
        command,
        input=json.dumps(document).encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        timeout=TIMEOUT_SECONDS,
        check=True,
    )


def post(address: str, document: dict[str, Any], *, insecure_loopback: bool) -> None:
    """Post the document. Raises ProviderError; an answer of any kind with a good status will do."""
    settings = Settings(
        "notify", "notify", base_url=address, timeout_seconds=TIMEOUT_SECONDS, insecure_loopback=insecure_loopback
    )
    http = Http(settings, address)
    try:
        http.send("POST", "", json=document, operation="notify")
    except UnknownOutcome as error:
        if error.status not in _OK:  # chat programs answer "ok", which is no JSON
            raise
    finally:
        http.close()
