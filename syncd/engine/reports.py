"""What the engine tells of a cycle, a plan and how things stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from syncd.store import ConflictRow, HoldRow, WriteRow


@dataclass(slots=True)
class Pushed:
    """What one push of a system's outbox came to, in writes."""

    created: int = 0
    updated: int = 0
    archived: int = 0
    deleted: int = 0
    merged: int = 0
    failed: int = 0
    sent: int = 0
    paused: bool = False
    lags: list[float] = field(default_factory=list)
    """Seconds from the decision to the effect that was seen, of each write."""

    @property
    def done(self) -> int:
        """Writes whose effect was seen."""
        return self.created + self.updated + self.archived + self.deleted + self.merged

    def add(self, other: Pushed) -> None:
        """Count what another push of the same system came to."""
        for name in ("created", "updated", "archived", "deleted", "merged", "failed", "sent"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lags.extend(other.lags)
        self.paused = self.paused or other.paused


@dataclass(frozen=True, slots=True)
class SystemReport:
    """What one cycle did in one system. walk: its outcome. requests: HTTP requests made.

    lags: seconds from the decision to the effect that was seen, of each write.
    """

    system: str
    walk: str
    created: int = 0
    updated: int = 0
    archived: int = 0
    merged: int = 0
    deleted: int = 0
    failed: int = 0
    requests: int = 0
    reason: str | None = None
    lags: tuple[float, ...] = ()

    @property
    def writes(self) -> int:
        """Writes that were sent and whose effect was seen."""
        return self.created + self.updated + self.archived + self.merged + self.deleted


@dataclass(frozen=True, slots=True)
class CycleReport:
    """What one cycle did. conflicts: rows logged. holds: holds opened. unfinished: its time to push was over before the outbox was empty.

    under_way: the systems whose listing or push was not waited for; the next cycle, which is to follow at once, waits for them.
    """

    cycle: str
    systems: tuple[SystemReport, ...]
    conflicts: int
    holds: int
    unfinished: bool = False
    under_way: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quiet:
    """Whether nothing is pending; if not, why, and when the next timer ends."""

    quiescent: bool
    reasons: tuple[str, ...] = ()
    next_timer: datetime | None = None
    only_timers: bool = False


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Every write that would be made now. calls: HTTP requests they would cost. sights: write -> what it is based on."""

    plan: str
    writes: list[WriteRow]
    conflicts: list[ConflictRow]
    links: list[dict[str, Any]]
    holds: list[HoldRow]
    calls: int
    sights: Mapping[str, dict[str, Any]] = field(default_factory=dict)
