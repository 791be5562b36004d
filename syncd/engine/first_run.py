"""The first run: what was linked, proposed, disputed and found alone, told before anything is written outward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncd.engine.decide import Scope
from syncd.engine.linking import DISPUTED
from syncd.engine.tombstones import RESTORED
from syncd.store import AuditRow, HoldKind, HoldRow, HoldState

if TYPE_CHECKING:
    from syncd.store import Tx

SAMPLES_MAX = 20
"""Samples of each situation in the report, per system."""

SITUATIONS = ("linked", "proposed", "ambiguous", "new")
"""With others; perhaps with others, a person decides; joined by strong evidence that something contradicts; in this system only."""

REPORTED = "first_run_report"
"""The audit row that keeps the report."""

PAGE = 500


def first_run(tx: Tx, scope: Scope) -> bool:
    """Make the first-run report once. Returns whether writes may go out now: at once with `go`, after a person's release with `review`."""
    state = tx.get_meta("first_run")
    if state not in (None, RESTORED) or scope.only_observes:
        return False
    report = report_links(tx, scope)
    go = scope.policy.first_run == "go" and state is None
    tx.set_meta("first_run", "released" if go else "waiting")
    tx.add_audit([AuditRow(scope.now, REPORTED, "syncd", {"systems": report, "released": go}, cycle=scope.cycle)])
    if go:
        tx.mark_all_dirty()
        return True
    what = "first run" if state is None else "the store was restored"
    reason = f"{what}: look at what was linked and what would be created, then release"
    tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], HoldKind.FIRST_RUN, None, reason, report, scope.now, "first_run"))
    return False


def why_frozen(tx: Tx) -> str | None:
    """Why nothing is written outward yet: the first run's report waits to be made or to be released."""
    match tx.get_meta("first_run"):
        case "released":
            return None
        case "waiting":
            return "the first-run report waits to be released"
        case _:
            return "the first-run report is not made yet: not every system was read completely"


def report_links(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    """Per system: records, how many are in each situation, by what evidence they were linked, and samples of each."""
    held = _held(tx)
    counts = {name: dict.fromkeys(SITUATIONS, 0) for name in scope.systems}
    evidence: dict[str, dict[str, int]] = {name: {} for name in scope.systems}
    samples: dict[str, dict[str, list[dict[str, Any]]]] = {
        name: {situation: [] for situation in SITUATIONS} for name in scope.systems
    }
    after = ""
    while clients := tx.clients(after=after, limit=PAGE):
        after = clients[-1].client
        for client, links in tx.links_of([row.client for row in clients]).items():
            situation = held.get(client) or ("linked" if len(links) > 1 else "new")
            for link in links:
                if link.system not in counts:
                    continue
                counts[link.system][situation] += 1
                if link.matched_by != "new":
                    evidence[link.system][link.matched_by] = evidence[link.system].get(link.matched_by, 0) + 1
                shown = samples[link.system][situation]
                if len(shown) < SAMPLES_MAX:
                    shown.append({"client": client, "external_id": link.external_id, "matched_by": link.matched_by})
    return [
        {
            "system": name,
            **counts[name],
            "records": sum(counts[name].values()),
            "matched_by": dict(sorted(evidence[name].items())),
            "samples": samples[name],
        }
        for name in scope.systems
    ]


def _held(tx: Tx) -> dict[str, str]:
    """The clients that wait for a person, and in which situation; disputed weighs more."""
    found: dict[str, str] = {}
    for hold in tx.holds(HoldState.OPEN):
        if hold.kind in (HoldKind.LINK, HoldKind.MERGE):
            for item in hold.items:
                if item.get("client"):
                    disputed = item.get("situation") == DISPUTED or found.get(str(item["client"])) == "ambiguous"
                    found[str(item["client"])] = "ambiguous" if disputed else "proposed"
    return found
