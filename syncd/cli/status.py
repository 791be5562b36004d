"""What waits and how it goes: status, conflicts, holds, outbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import click

from syncd import report
from syncd.cli import output
from syncd.cli.frame import DONE, FAILED, Call, Scene, error_document, now, opened, options, scene
from syncd.config import ServiceConfig, TenantConfig
from syncd.errors import SyncdError
from syncd.store import OPEN_WRITES, ConflictStatus, HoldKind, HoldState, Pool, Store, WriteState
from syncd.store.cluster import Desk
from syncd.tenant import open_tenant

ITEMS_SHOWN: Final = 10
"""Of a hold, in text; --json has all."""

ROWS_SHOWN: Final = 1000
"""Of a listing, in text; --json has all."""

_EXPLAINING: Final = frozenset({"situation", "score", "reasons", "evidence"})
"""Keys of an item that are the same for every item of a proposal."""

Lister = Callable[[Store, str], Iterable[report.Document]]


def listed(found: Scene, lister: Lister, limit: int | None = None) -> Iterator[report.Document]:
    """The items of every tenant, one tenant after the other."""
    left = limit
    for tenant in found.tenants:
        with opened(found.service, tenant) as store:
            for item in islice(lister(store, tenant.name), left):
                left = None if left is None else left - 1
                yield item


def print_listing(
    call: Call, found: Scene, name: str, items: Iterator[report.Document], show: Callable[[list[report.Document]], None]
) -> int:
    """Print items as one JSON document, or as text as far as text is of use."""
    if call.json:
        output.stream(name, items, {"problems": found.problems} if found.broken else None)
        return found.exit(DONE)
    rows = list(islice(items, ROWS_SHOWN))
    if rows:
        show(rows)
    else:
        output.say(f"no {name}")
    if next(items, None) is not None:
        output.note(f"only the first {ROWS_SHOWN} are shown; --json gives all")
    return found.exit(DONE)


def tenant_status(service: ServiceConfig, tenant: TenantConfig) -> report.Document:
    """The status document of one tenant; what cannot be opened says so in `error`."""
    try:
        with open_tenant(service, tenant) as one:
            modes = {system.name: (system.provider, system.mode.value) for system in tenant.policy.systems}
            return report.status(one.store, tenant.name, modes, one.engine.quiet())
    except SyncdError as error:
        return {**report.unreadable(tenant.name), "error": error_document(error)}


@click.command()
@options
def status(call: Call) -> int:
    r"""How every tenant and system is doing: counts, last walk, outbox, conflicts, holds.

    Per system, in sync + pending + held + excluded + failing = clients.

    \b
    Example: syncd status --tenant acme
    """
    found = scene(call)
    tenants = [tenant_status(found.service, tenant) for tenant in found.tenants]
    workers = cluster_status(found.service.database)
    if call.json:
        told = {"cluster": workers} if workers else {}
        output.document({"tenants": tenants, **told, **({"problems": found.problems} if found.broken else {})})
    else:
        for tenant in tenants:
            show_status(tenant)
        if workers:
            show_cluster(workers)
        if not tenants:
            output.say("no tenants")
    return found.exit(FAILED if any(tenant.get("error") for tenant in tenants) else DONE)


def cluster_status(database: str) -> report.Document | None:
    """The workers that share the database and what waits for them; None where there is no cluster."""
    if not database.startswith("postgresql"):
        return None
    pool = Pool(database, 1)
    try:
        look = Desk(pool).look()
    except SyncdError:  # the tenants have said so already
        return None
    finally:
        pool.close()
    if look is None or not (look.workers or look.lanes):
        return None
    workers = [
        {
            "worker": each.name,
            "version": each.version,
            "slots": each.slots,
            "started_at": each.started_at,
            "seen_at": each.seen_at,
        }
        for each in look.workers
    ]
    return {
        "workers": workers,
        "tenants": look.lanes,
        "waiting": look.waiting,
        "running": look.running,
        "late_seconds": round(look.late_seconds, 1),
    }


def show_cluster(told: Mapping[str, Any]) -> None:
    """The workers, and whether they keep up."""
    late = f", the oldest for {told['late_seconds']:g} s" if told["late_seconds"] else ""
    output.say(
        f"cluster: {output.counted(len(told['workers']), 'worker')}, {output.counted(told['tenants'], 'tenant')}, "
        f"{told['running']} at work, {told['waiting']} waiting{late}"
    )
    at = now()
    output.table(
        ("worker", "version", "slots#", "started", "seen"),
        (
            (
                each["worker"],
                each["version"],
                each["slots"],
                output.ago(each["started_at"], at),
                output.ago(each["seen_at"], at),
            )
            for each in told["workers"]
        ),
    )


def show_status(tenant: Mapping[str, Any]) -> None:
    """One tenant: a headline, the five counts per system, and how each system was last read."""
    if tenant.get("error"):
        show_error(tenant["tenant"], tenant["error"])
        return
    counts = tenant["clients"]
    quiet = "quiescent" if tenant["quiescent"] else f"not quiescent: {'; '.join(tenant['reasons'])}"
    output.say(f"{tenant['tenant']}: {output.counted(counts['total'], 'client')}, {quiet}")
    open_ones = [
        f"{output.counted(tenant['conflicts_open'], 'conflict')} open",
        f"{output.counted(tenant['holds_open'], 'hold')} open",
    ]
    hints = [
        hint
        for count, hint in (
            (tenant["conflicts_open"], "`syncd conflicts --open`"),
            (tenant["holds_open"], "`syncd holds`"),
        )
        if count
    ]
    output.say("  " + ", ".join(open_ones) + (f" (see {' and '.join(hints)})" if hints else ""))
    output.table(
        ("system", "clients#", "in sync#", "pending#", "held#", "excluded#", "failing#", "drift#", "records#"),
        (
            (
                system["system"],
                counts["total"],
                *(system["counts"][name] for name in report.STANDINGS),
                system["drift"],
                system["records"],
            )
            for system in tenant["systems"]
        ),
    )
    at = now()
    output.table(
        ("system", "provider", "mode", "state", "last walk", "", "requests#", "waiting#", "in doubt#", "parked#"),
        (
            (
                *(system[name] for name in ("system", "provider", "mode", "state")),
                *(
                    (walk["outcome"], output.ago(walk["at"], at), walk["requests"])
                    if (walk := system["last_walk"])
                    else ("never", "", "")
                ),
                *(system["outbox"][name] for name in ("waiting", "in_doubt", "parked")),
            )
            for system in tenant["systems"]
        ),
    )
    for system in tenant["systems"]:
        if system["suppressed"]:
            left = output.counted(system["suppressed"], "record")
            output.say(
                f"  {system['system']}: {left} of erased clients still there, left alone (delete them in the system)"
            )
        reasons = dict.fromkeys((system["reason"], (system["last_walk"] or {}).get("reason"), system["failing"]))
        for reason in reasons:
            if reason:
                output.say(f"  {system['system']}: {reason}")


def show_error(tenant: str, error: Mapping[str, Any]) -> None:
    """What went wrong with one tenant, and the next step."""
    output.say(f"{tenant}: failed ({error['code']}): {error['message']}")
    for problem in error.get("problems", ()):
        output.say(f"  - {problem}")
    output.say(f"  next: {error['next']}")


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Only those that wait for a person.")
@click.option("--client", metavar="CLIENT", help="Only those of this client.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@options
def conflicts(call: Call, client: str | None, limit: int | None, *, only_open: bool) -> int:
    r"""List conflicts: every value, where it came from, what was decided and by whom.

    \b
    Example: syncd conflicts --open
             syncd resolve k3 --take books
    """
    found = scene(call)
    state = ConflictStatus.OPEN if only_open else None
    items = listed(found, lambda store, tenant: report.conflicts(store, tenant, status=state, client=client), limit)
    return print_listing(call, found, "conflicts", items, show_conflicts)


def show_conflicts(rows: Iterable[Mapping[str, Any]]) -> None:
    """Conflicts, one block each."""
    for row in rows:
        show_conflict(row)


def show_conflict(row: Mapping[str, Any]) -> None:
    """One conflict with all its values; a star marks the one that was taken."""
    decided = f"{row['winner']} was taken" if row["winner"] else "no value was taken"
    by = f" by {row['decided_by']}" if row["decided_by"] else ""
    outcome = "open: a person decides" if row["status"] == "open" else f"{row['status']}{by}: {decided}"
    output.say(
        f"{row['conflict']}  {row['tenant']}/{row['client']}  {row['field']}  ({row['kind']}, rule {row['rule']})  {outcome}"
    )
    base = output.shown(row["base"]) if row["base_known"] else "(not known)"
    output.say(f"    base           {base}")
    for candidate in row["candidates"]:
        star = "*" if candidate["system"] == row["winner"] else " "
        record = f"{candidate['system']} {candidate['external_id'] or ''}".strip()
        output.say(f"  {star} {record:14} {output.shown(candidate['value'])}")
    if row["status"] == "resolved" and row["winner"] not in {candidate["system"] for candidate in row["candidates"]}:
        output.say(f"  * {row['winner'] or 'typed':14} {output.shown(row['value'])}")
    if row["reason"]:
        before = "before that: " if row["status"] == "resolved" else ""
        output.say(f"    {before}{row['reason']}; logged {output.shown(row['logged_at'])}")


@click.command()
@click.option("--all", "every", is_flag=True, help="Also those that were decided.")
@options
def holds(call: Call, *, every: bool) -> int:
    r"""List what waits for a person: the first run's report, brakes, proposals, frozen fields.

    \b
    Example: syncd holds
             syncd release h2
    """
    found = scene(call)
    state = None if every else HoldState.OPEN
    items = listed(found, lambda store, tenant: report.holds(store, tenant, state=state))
    return print_listing(call, found, "holds", items, show_holds)


def show_holds(rows: Iterable[Mapping[str, Any]]) -> None:
    """Holds, one block each."""
    for row in rows:
        show_hold(row)


def show_hold(row: Mapping[str, Any], *, err: bool = False) -> None:
    """One hold and the first of its items."""
    tell = output.note if err else output.say
    where = f"{row['tenant']}/{row['system']}" if row["system"] else row["tenant"]
    state = "" if row["state"] == "open" else f"  {row['state']}"
    tell(f"{row['hold']}  {where}  {row['kind']}{state}  since {output.shown(row['since'])}")
    tell(f"    {row['reason']}")
    for item in row["items"][:ITEMS_SHOWN]:
        tell(f"    - {_situations(item) if row['kind'] == HoldKind.FIRST_RUN else output.shown(_bare(item))}")
    if len(row["items"]) > ITEMS_SHOWN:
        tell(f"    ... and {len(row['items']) - ITEMS_SHOWN} more (--json lists all {len(row['items'])})")
    if row["kind"] == HoldKind.FIRST_RUN and row["state"] == "open":
        tell(
            "    `syncd links --report` shows more of it, `syncd links` every link and proposal, `syncd plan` every write that would follow"
        )
    if row["items"]:
        show_evidence(row["items"][0].get("evidence", ()), tell)


def show_evidence(evidence: Iterable[Mapping[str, Any]], tell: Callable[[str], None]) -> None:
    """A score field by field: what was seen, and the log-odds that it added."""
    for one in evidence:
        tell(f"      {one['weight']:>7}  {one['field']}: {one['seen']}")


def _bare(item: Mapping[str, Any]) -> dict[str, Any]:
    """What an item of a hold is about, without what explains the hold as a whole."""
    return {key: value for key, value in item.items() if key not in _EXPLAINING}


def _situations(item: Mapping[str, Any]) -> str:
    """One system's line of the first-run report."""
    records = output.counted(item["records"], "record")
    return (
        f"{item['system']}: {records}: {item['linked']} linked with other systems, {item['new']} only there, "
        f"{item['proposed']} with a proposal that waits, {item.get('ambiguous', 0)} ambiguous"
    )


@click.command()
@click.option("--system", metavar="NAME", help="Only writes to this system.")
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in WriteState]),
    multiple=True,
    help="Only writes in this state; may be repeated. Default: those that are not done or dropped.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@options
def outbox(call: Call, system: str | None, states: tuple[str, ...], limit: int | None) -> int:
    r"""List writes that were decided and not yet acknowledged: waiting, in doubt, parked.

    \b
    Example: syncd outbox --state parked
             syncd retry w7
    """
    found = scene(call)
    wanted = tuple(WriteState(state) for state in states) or OPEN_WRITES
    items = listed(found, lambda store, tenant: report.outbox(store, tenant, wanted, system=system, limit=limit), limit)
    return print_listing(call, found, "writes", items, show_writes)


def show_writes(rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes as a table, then the words of those that failed."""
    kept = list(rows)
    output.table(
        ("write", "tenant", "system", "action", "client", "record", "state", "tries#", "since", "fields"),
        (
            (
                *(row[name] for name in ("write", "tenant", "system", "action", "client")),
                row["external_id"] or "-",
                row["state"],
                row["attempts"],
                f"{row['since']:%m-%d %H:%M}",
                ", ".join(row["fields"]) or "-",
            )
            for row in kept
        ),
    )
    for row in kept:
        if row["error"]:
            error = row["error"]
            output.say(f"{row['write']}: {error.get('message', '')} ({error.get('code', '')})")
            output.say(f"  next: {error.get('next', '')}")
