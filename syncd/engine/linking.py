"""Linking: every record that belongs to nobody finds its client, by strong evidence only; everything else waits for a person.

A record that matches nobody becomes a client of its own at once, so that nothing is invisible. What is disputed or merely likely becomes
a hold that names the clients concerned; until a person decides, none of them is created in another system.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core.correlate import Grouping, MatchKey, Node, Ref, Verdict, compare, group
from syncd.engine import trail
from syncd.engine.decide import Scope
from syncd.engine.observe import digest
from syncd.engine.settling import free_of_doubt
from syncd.store import (
    AuditRow,
    ClientRow,
    HoldKind,
    HoldRow,
    HoldState,
    LinkRow,
    LinkState,
    RecordRow,
    RecordState,
)

if TYPE_CHECKING:
    from syncd.core.model import Fields
    from syncd.store import Tx

SHARERS_MAX = 24
"""Records compared with each other for one shared key; a key that more of them share proves nothing."""

SAMPLES_MAX = 20
"""Samples of each situation in the first-run report."""

_log = log.get("linking")


def link_records(tx: Tx, scope: Scope) -> int:
    """Find or make the client of every record that has none. Returns how many holds were opened."""
    reserved = free_of_doubt(tx, list(scope.systems.values()))
    order = {name: position for position, name in enumerate(scope.systems)}
    free = [ref for ref in tx.unlinked() if ref[0] in order and ref not in reserved]
    if not free:
        return 0
    free.sort(key=lambda ref: (order[ref[0]], len(ref[1]), ref[1]))
    nodes, verdicts = _compare(tx, free, scope)
    apart = tx.aparts(list(nodes))
    grouping = group(nodes.values(), verdicts, apart, scope.context)
    clients = _join(tx, free, nodes, grouping, verdicts, scope)
    opened = _hold_doubts(tx, grouping, nodes, clients, scope)
    _log.info("records_linked", records=len(free), clients=len(set(clients.values())), holds=opened, cycle=scope.cycle)
    return opened


def _compare(tx: Tx, free: Sequence[Ref], scope: Scope) -> tuple[dict[Ref, Node], dict[tuple[Ref, Ref], Verdict]]:
    """The records concerned and the verdict on every pair that shares a key and has a record without a client."""
    records = _records(tx, free)
    keys = {ref: scope.systems[ref[0]].match_keys(records[ref].fields) for ref in free}
    wanted = {key for found in keys.values() for key in found}
    hits = tx.by_keys(wanted, SHARERS_MAX)
    counts = tx.key_counts(wanted)
    sharers: dict[MatchKey, list[Ref]] = defaultdict(list)
    owner: dict[Ref, str | None] = {}
    for hit in hits:
        ref = (hit.system, hit.external_id)
        if hit.system in scope.systems:
            sharers[(hit.kind, hit.value)].append(ref)
            owner[ref] = hit.client
    others = [ref for ref, client in owner.items() if client is not None]
    records.update(_records(tx, others))
    free_set = set(free)
    nodes = {
        ref: Node(ref, _as_it_counts(row), None if ref in free_set else owner.get(ref))
        for ref, row in records.items()
        if ref in free_set or owner.get(ref) is not None
    }
    verdicts: dict[tuple[Ref, Ref], Verdict] = {}
    for refs in sharers.values():
        for a, b in combinations(sorted(ref for ref in refs if ref in nodes), 2):
            if (a, b) not in verdicts and (a in free_set or b in free_set):
                verdicts[(a, b)] = compare(
                    nodes[a].fields, nodes[b].fields, scope.context, lambda key: counts.get(key, 0)
                )
    return nodes, verdicts


def _as_it_counts(row: RecordRow) -> Fields:
    """What a record says of itself; one that vanished still tells whose client it was, so that nobody deleted comes back as new."""
    return {**row.fields, "archived": True} if row.state in (RecordState.MISSING, RecordState.GONE) else row.fields


def _records(tx: Tx, refs: Iterable[Ref]) -> dict[Ref, RecordRow]:
    by_system: dict[str, list[str]] = defaultdict(list)
    for system, external_id in refs:
        by_system[system].append(external_id)
    return {
        (system, external_id): row
        for system, ids in by_system.items()
        for external_id, row in tx.records(system, ids).items()
    }


def _join(
    tx: Tx,
    free: Sequence[Ref],
    nodes: Mapping[Ref, Node],
    grouping: Grouping,
    verdicts: Mapping[tuple[Ref, Ref], Verdict],
    scope: Scope,
) -> dict[Ref, str]:
    """Give every record its client: that of its group, or a new one."""
    groups = {ref: members for members in grouping.links for ref in members}
    clients: dict[Ref, str] = {ref: node.client for ref, node in nodes.items() if node.client is not None}
    fresh: dict[tuple[Ref, ...], str] = {}
    made: list[str] = []
    links: list[LinkRow] = []
    new = iter(tx.new_ids("c", len(free)))
    for ref in free:
        members = groups.get(ref, (ref,))
        owners = sorted({clients[each] for each in members if each in clients and nodes[each].client is not None})
        if len(owners) == 1:
            client = owners[0]
        elif members in fresh and not owners:
            client = fresh[members]
        else:
            client = fresh[members] = next(new)
            made.append(client)
        clients[ref] = client
        links.append(LinkRow(ref[0], ref[1], client, scope.now, LinkState.LINKED, _matched_by(ref, members, verdicts)))
    tx.put_clients([ClientRow(client, {}, scope.now, scope.now) for client in made])
    tx.put_links(links)
    trail.linked(tx, links, at=scope.now, cycle=scope.cycle, made=made)
    tx.mark_dirty(sorted({link.client for link in links}))
    return clients


def _matched_by(ref: Ref, members: Sequence[Ref], verdicts: Mapping[tuple[Ref, Ref], Verdict]) -> str:
    found = {
        verdict.matched_by
        for other in members
        if (verdict := verdicts.get((ref, other)) or verdicts.get((other, ref))) is not None and verdict.zone == "link"
    }
    return ", ".join(sorted(found)) or "new"


def _hold_doubts(
    tx: Tx, grouping: Grouping, nodes: Mapping[Ref, Node], clients: Mapping[Ref, str], scope: Scope
) -> int:
    opened = 0
    for dispute in grouping.disputed:
        opened += _hold(tx, dispute.refs, f"disputed: {dispute.reason}", {}, clients, scope)
    for proposal in grouping.proposals:
        extra = {"score": str(proposal.score), "reasons": list(proposal.reasons)}
        reason = f"may be one client (score {proposal.score}): {'; '.join(proposal.reasons)}"
        opened += _hold(tx, (proposal.a, proposal.b), reason, extra, clients, scope)
    for members in grouping.links:
        owners = {nodes[ref].client for ref in members} - {None}
        if len(owners) > 1:
            opened += _hold(tx, members, "the evidence joins clients that were two until now", {}, clients, scope)
    return opened


def _hold(
    tx: Tx, refs: Sequence[Ref], reason: str, extra: Mapping[str, Any], clients: Mapping[Ref, str], scope: Scope
) -> int:
    systems = [system for system, _ in refs]
    kind = HoldKind.MERGE if len(set(systems)) < len(systems) else HoldKind.LINK
    key = f"{kind.value}:{digest(sorted(refs))}"
    if tx.is_held(key) or len({clients[ref] for ref in refs}) < 2:  # noqa: PLR2004 - one client: nothing to decide
        return 0
    items = [{"client": clients[ref], "system": ref[0], "external_id": ref[1], **extra} for ref in refs]
    tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], kind, systems[-1], reason, items, scope.now, key))
    return 1


def settle_proposals(tx: Tx, scope: Scope) -> None:
    """Proposals whose records are gone, or came to belong to one client, need no decision any more."""
    for hold in tx.holds(HoldState.OPEN):
        if hold.kind not in (HoldKind.LINK, HoldKind.MERGE):
            continue
        refs = [(str(item["system"]), str(item["external_id"])) for item in hold.items if item.get("external_id")]
        links = [tx.link(*ref) for ref in refs]
        owners = {link.client for link in links if link is not None and link.state is LinkState.LINKED}
        owners |= {str(item["client"]) for item in hold.items if item.get("client") and len(hold.items) == 1}
        if len(owners) < 2 and all(link is not None for link in links):  # noqa: PLR2004 - two clients are left to tell apart
            tx.put_hold(
                replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="nothing is left to decide")
            )
            tx.mark_dirty([str(item["client"]) for item in hold.items if item.get("client")])


def first_run(tx: Tx, scope: Scope) -> bool:
    """Make the first-run report once. Returns whether writes may go out now: at once with `go`, after a person's release with `review`."""
    writable = any(system.mode.creates or system.mode.updates for system in scope.systems.values())
    if tx.get_meta("first_run") is not None or not writable:
        return False
    report = report_links(tx, scope)
    go = scope.policy.first_run == "go"
    tx.set_meta("first_run", "released" if go else "waiting")
    tx.add_audit(
        [AuditRow(scope.now, "first_run_report", "syncd", {"systems": report, "released": go}, cycle=scope.cycle)]
    )
    if go:
        tx.mark_all_dirty()
        return True
    reason = "first run: look at what was linked and what would be created, then release"
    tx.put_hold(HoldRow(tx.new_ids("h", 1)[0], HoldKind.FIRST_RUN, None, reason, report, scope.now, "first_run"))
    return False


def report_links(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    """Per system: records, how many are linked with others, how many are alone, how many wait for a person; with samples."""
    held = {
        str(item["client"])
        for hold in tx.holds(HoldState.OPEN)
        if hold.kind in (HoldKind.LINK, HoldKind.MERGE)
        for item in hold.items
        if item.get("client")
    }
    found: dict[str, dict[str, list[dict[str, Any]]]] = {
        name: {"linked": [], "proposed": [], "new": []} for name in scope.systems
    }
    totals: dict[str, dict[str, int]] = {name: {"linked": 0, "proposed": 0, "new": 0} for name in scope.systems}
    after = ""
    while clients := tx.clients(after=after, limit=500):
        after = clients[-1].client
        links = tx.links_of([client.client for client in clients])
        for client, mine in links.items():
            for link in mine:
                if link.system not in found:
                    continue
                situation = "proposed" if client in held else "linked" if len(mine) > 1 else "new"
                totals[link.system][situation] += 1
                samples = found[link.system][situation]
                if len(samples) < SAMPLES_MAX:
                    samples.append({"client": client, "external_id": link.external_id, "matched_by": link.matched_by})
    return [
        {"system": name, **totals[name], "records": sum(totals[name].values()), "samples": found[name]}
        for name in scope.systems
    ]
