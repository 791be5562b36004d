"""Whether one system answers with its credentials, and what syncd can do there: the engine's part of `syncd check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from syncd.errors import ProviderError

if TYPE_CHECKING:
    from syncd.engine.systems import System


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `syncd check`. level: ok | warning | error."""

    system: str | None
    level: str
    code: str
    message: str
    next: str = ""


def check(system: System) -> list[Finding]:
    """Its account, a first page, its capabilities. Sends no write."""
    provider = system.provider
    try:
        account = provider.account() if provider.capabilities.account else None
        page = next(iter(provider.pull()), None)
        if page is not None and page.records:
            provider.fetch(page.records[0].external_id)
    except ProviderError as error:
        return [Finding(system.name, "error", error.code, str(error), error.next_step)]
    findings = [
        Finding(
            system.name,
            "ok",
            "reachable",
            f"answers; the first page has {len(page.records) if page else 0} records, which can also be read singly"
            + (f"; account {account}" if account else ""),
        )
    ]
    can = [name for name in ("create", "update", "archive", "delete") if getattr(provider.capabilities, name)]
    findings.append(
        Finding(
            system.name,
            "ok",
            "capabilities",
            f"mode {system.mode.value}; this provider can {', '.join(can) or 'only be read'}",
        )
    )
    if system.mode.updates and not provider.capabilities.update:
        message = (
            "this system can be told about new clients, and never again about changes: these are reported as drift"
        )
        findings.append(Finding(system.name, "warning", "create_only", message))
    return findings
