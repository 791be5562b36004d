"""What a walk over a system has shown so far, and what that proves. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from syncd import log
from syncd.seen import Seen
from syncd.store import WalkOutcome, WalkRow

if TYPE_CHECKING:
    from syncd.providers import Page

_log = log.get("pull")


@dataclass(slots=True)
class Walk:
    """What a walk has shown so far."""

    row: WalkRow
    cycle: str
    """In which it is taken in."""
    verified: bool = True
    """Whether the account behind the credentials was verified a moment ago, and not when a list was begun."""
    seen: Seen = field(default_factory=Seen)
    changed: int = 0
    unbelieved: int = 0
    suppressed: int = 0
    """Records of clients that were erased: seen and left out."""
    totals: list[int] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    quarantined: set[str] = field(default_factory=set)
    ended: bool = False
    rebasing: bool = False

    def note(self, page: Page) -> None:
        """What a page proves or puts in doubt."""
        ids = [*page.known, *(each.external_id for each in page.records)]
        again = self.seen.add(ids)
        if again:
            self.doubts.append(f"page {page.number} repeats {again} records: the list moved while it was read")
        if page.total is not None:
            self.totals.append(page.total)
        for external_id, reason in page.faults:
            self.quarantined.add(external_id)
            _log.warning("record_quarantined", system=self.row.system, record=external_id, reason=reason)

    def judge(self, known: int) -> tuple[WalkOutcome, str | None]:
        """Whether the pages that were shown are the whole list. known: how many records the system had before."""
        listed = len(self.seen) + len(self.quarantined)
        if not self.ended:
            return WalkOutcome.INCOMPLETE, "the list ended without saying that it ended"
        if len(set(self.totals)) > 1:
            return (
                WalkOutcome.SUSPICIOUS,
                f"the total changed from {self.totals[0]} to {self.totals[-1]} while the list was read",
            )
        if self.doubts:
            return WalkOutcome.SUSPICIOUS, self.doubts[0]
        if self.totals and self.totals[-1] != listed:
            return WalkOutcome.SUSPICIOUS, f"the system speaks of {self.totals[-1]} records and listed {listed}"
        if listed == 0 and known > 0:
            return WalkOutcome.SUSPICIOUS, f"an empty list, although {known} records were known"
        return WalkOutcome.COMPLETE, None
