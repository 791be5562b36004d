"""[notify], a section of either kind of file: checked, and turned into frozen data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.config import secret
from syncd.config.problems import Problems
from syncd.config.shape import url_fault

if TYPE_CHECKING:
    from syncd.config.shape import Notify


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """Who is told, and of what. command: a program and its arguments, () for none. webhook: an address, "" for none.

    on: the kinds that are told. conflict_age_seconds, stale_after_seconds: from when on. budget_share: of requests_per_day.
    """

    command: tuple[str, ...] = ()
    webhook: str = field(default="", repr=False)
    on: frozenset[str] = frozenset()
    conflict_age_seconds: float = 86_400.0
    stale_after_seconds: float = 3_600.0
    budget_share: float = 0.9
    insecure_loopback: bool = False


def notify(
    keys: Notify | None,
    environment: Mapping[str, str],
    problems: Problems,
    *,
    insecure_loopback: bool,
    warn: Callable[[str], None],
    resolve: bool = True,
) -> NotifyConfig | None:
    """What the section says, its address resolved; None where there is no section. Problems are told."""
    if keys is None:
        return None
    if not keys.command and not keys.webhook:
        problems.add("notify", "found neither command nor webhook", "one of them, or no section [notify]")
    if keys.command and not Path(keys.command[0]).is_absolute():
        problems.add(
            "notify.command", "found a program without its path", 'a list such as ["/usr/local/bin/tell", "ops"]'
        )
    webhook = ""
    if keys.webhook and not secret.is_reference(keys.webhook):
        problems.add("notify.webhook", "a text that is not shown, and no reference to a secret", secret.FORMS)
    elif keys.webhook and resolve:
        try:
            webhook = secret.resolve(keys.webhook, environment, warn)
        except secret.Unresolved as error:
            problems.add("notify.webhook", error.found, error.allowed)
        else:
            fault = url_fault(webhook, insecure_loopback=insecure_loopback)
            if fault:
                problems.add("notify.webhook", "the reference leads to a value that is not shown", fault)
    return NotifyConfig(
        command=tuple(keys.command),
        webhook=webhook,
        on=frozenset(keys.on),
        conflict_age_seconds=keys.conflict_age,
        stale_after_seconds=keys.stale_after,
        budget_share=keys.budget_share,
        insecure_loopback=insecure_loopback,
    )
