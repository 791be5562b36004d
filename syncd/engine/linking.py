"""Linking: every record that belongs to nobody finds its client, by strong evidence only; everything else waits for a person.

A record that matches nobody becomes a client of its own at once, so that nothing is invisible. What is disputed or merely likely becomes
a hold that names the clients concerned; until a person decides, none of them is created in another system.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from syncd import log
from syncd.core.correlate import Evidence, Grouping, MatchKey, Node, Ref, Verdict, group, keys_signature
from syncd.core.model import Action
from syncd.engine import trail
from syncd.engine.decide import Scope
from syncd.engine.gathering import Gathering, is_active, pair_of
from syncd.engine.merging import parted
from syncd.engine.settling import free_of_doubt
from syncd.engine.systems import digest
from syncd.engine.taking_over import RETIRED
from syncd.engine.tombstones import respect_tombstones
from syncd.store import ClientRow, HoldKind, HoldRow, HoldState, LinkRow, LinkState, WriteState

if TYPE_CHECKING:
    from syncd.store import Tx

BATCH = 1000
"""Records linked in one transaction, and a few more that strong evidence joins to them."""

KEYS = "match_keys"
"""What the keys of the mirror were made with (`keys_signature`)."""

STANDS = (LinkState.LINKED, LinkState.APART)
"""The states of a link whose client a record still tells: one that a merge has set apart is a name of the client that took it in."""

DISPUTED = "disputed"
PROPOSED = "proposed"

Transactions = Callable[[], AbstractContextManager["Tx"]]

_log = log.get("linking")


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Records that may be one client, for a person. extra: what each item of the hold tells beside its record."""

    refs: tuple[Ref, ...]
    reason: str
    extra: Mapping[str, Any]


def link_records(transactions: Transactions, scope: Scope) -> int:
    """Find or make the client of every record that has none, a transaction for each batch. Returns how many holds were opened."""
    _renew_keys(transactions, scope)
    with transactions() as tx:
        reserved = free_of_doubt(tx, list(scope.systems.values()))
    common: set[MatchKey] = set()
    after = ("", "")
    opened = 0
    while True:
        with transactions() as tx:
            page = tx.unlinked(BATCH, after)
            if not page:
                return opened
            after = page[-1]
            free = [ref for ref in page if ref[0] in scope.systems and ref not in reserved]
            if free:
                opened += _link(tx, Gathering(tx, scope, reserved, common), free, scope)


def _renew_keys(transactions: Transactions, scope: Scope) -> None:
    """Make the keys of the whole mirror anew where they were made otherwise: by another version, or for other fields."""
    wanted = keys_signature(scope.context, scope.policy.matching)
    with transactions() as tx:
        if tx.get_meta(KEYS) == wanted:
            return
        if not tx.count_clients():
            tx.set_meta(KEYS, wanted)
            return
    after = ("", "")
    while True:
        with transactions() as tx:
            page = tx.mirror(after=after, limit=BATCH)
            for name, system in scope.systems.items():
                mine = {row.external_id: system.match_keys(row.fields) for row, _ in page if row.system == name}
                if mine:
                    tx.set_keys(name, mine)
            if not page:
                tx.set_meta(KEYS, wanted)
                return
            after = (page[-1][0].system, page[-1][0].external_id)


def _link(tx: Tx, gathering: Gathering, refs: Sequence[Ref], scope: Scope) -> int:
    gathering.gather(refs)
    order = {name: position for position, name in enumerate(scope.systems)}
    free = sorted(gathering.free, key=lambda ref: (order[ref[0]], len(ref[1]), ref[1]))
    nodes, verdicts = gathering.nodes, gathering.verdicts
    grouping = group(nodes.values(), verdicts, tx.aparts(list(nodes)))
    clients = _join(tx, free, nodes, grouping, verdicts, scope)
    opened = _hold_doubts(tx, _doubts(grouping, nodes, verdicts, scope), clients, scope)
    _log.info("records_linked", records=len(free), clients=len(set(clients.values())), holds=opened, cycle=scope.cycle)
    return opened


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
    respect_tombstones(tx, links, list(scope.systems), scope.now, scope.cycle)
    tx.mark_dirty(sorted({link.client for link in links}))
    return clients


def _matched_by(ref: Ref, members: Sequence[Ref], verdicts: Mapping[tuple[Ref, Ref], Verdict]) -> str:
    found = {
        verdict.matched_by
        for other in members
        if (verdict := verdicts.get(pair_of(ref, other))) is not None and verdict.zone == "link"
    }
    return ", ".join(sorted(found)) or "new"


def explained(evidence: Iterable[Evidence], prior: float) -> list[dict[str, str]]:
    """A score field by field, as it is kept with a hold: what was seen and the log-odds it added. The weights add up to the total."""
    start = Evidence("prior", "before anything is compared", prior)
    return [{"field": one.field, "seen": str(one.seen), "weight": f"{one.weight:+.2f}"} for one in (start, *evidence)]


def _doubts(
    grouping: Grouping, nodes: Mapping[Ref, Node], verdicts: Mapping[tuple[Ref, Ref], Verdict], scope: Scope
) -> list[_Doubt]:
    """What a person has to decide."""
    prior = scope.policy.matching.weights.prior
    found = [
        _Doubt(dispute.refs, f"disputed: {dispute.reason}", _told(dispute.refs, verdicts, prior))
        for dispute in grouping.disputed
    ]
    for proposal in grouping.proposals:
        reason = f"may be one client (score {proposal.score}): {'; '.join(proposal.reasons)}"
        extra = {
            "situation": PROPOSED,
            "score": str(proposal.score),
            "reasons": list(proposal.reasons),
            "evidence": explained(proposal.evidence, prior),
        }
        found.append(_Doubt((proposal.a, proposal.b), reason, extra))
    for members in grouping.links:
        if len({nodes[ref].client for ref in members} - {None}) > 1:
            reason = "the evidence joins clients that were two until now"
            found.append(_Doubt(members, reason, _told(members, verdicts, prior)))
    return found


def _told(refs: Sequence[Ref], verdicts: Mapping[tuple[Ref, Ref], Verdict], prior: float) -> dict[str, Any]:
    """The strongest evidence that joins some of these records, for what is disputed."""
    among = set(refs)
    joining = [
        (verdict.total, pair)
        for pair, verdict in verdicts.items()
        if verdict.zone == "link" and pair[0] in among and pair[1] in among
    ]
    if not joining:
        return {"situation": DISPUTED}
    _, pair = max(joining)
    verdict = verdicts[pair]
    return {
        "situation": DISPUTED,
        "score": str(verdict.score),
        "reasons": list(verdict.reasons),
        "evidence": explained(verdict.evidence, prior),
    }


def _hold_doubts(tx: Tx, doubts: Iterable[_Doubt], clients: Mapping[Ref, str], scope: Scope) -> int:
    rows: dict[str, HoldRow] = {}
    for doubt in doubts:
        if len({clients[ref] for ref in doubt.refs}) < 2:  # noqa: PLR2004 - one client: nothing to decide
            continue
        systems = [system for system, _ in doubt.refs]
        kind = HoldKind.MERGE if len(set(systems)) < len(systems) else HoldKind.LINK
        key = f"{kind.value}:{digest(sorted(doubt.refs))}"
        items = [{"client": clients[ref], "system": ref[0], "external_id": ref[1], **doubt.extra} for ref in doubt.refs]
        rows.setdefault(key, HoldRow("", kind, systems[-1], doubt.reason, items, scope.now, key))
    held = tx.held_keys(rows) if rows else set()
    fresh = [row for key, row in rows.items() if key not in held]
    if fresh:
        ids = tx.new_ids("h", len(fresh))
        given_up = _given_up(tx, {str(item["system"]) for row in fresh for item in row.items})
        told = [replace(row, reason=row.reason + _made_by(row, given_up)) for row in fresh]
        tx.put_holds([replace(row, hold=number) for row, number in zip(told, ids, strict=True)])
    return len(fresh)


def _given_up(tx: Tx, systems: Iterable[str]) -> dict[tuple[str, str], str]:
    """(system, client) -> the create that a person dropped while it was in doubt: it may have made a record all the same."""
    return {
        (row.system, row.client): row.write
        for system in systems
        for row in tx.writes([WriteState.DROPPED], system)
        if row.action is Action.CREATE and row.settle_at is not None
    }


def _made_by(row: HoldRow, given_up: Mapping[tuple[str, str], str]) -> str:
    """What is to be known of a proposal whose record may be a dropped create's; empty where none is."""
    pairs = [(mine, other) for mine in row.items for other in row.items if mine["client"] != other["client"]]
    for mine, other in pairs:
        if write := given_up.get((str(other["system"]), str(mine["client"]))):
            record = f"record {other['external_id']} of {other['system']}"
            return f"; {record} may be what {write} made for {mine['client']}, a create that was dropped while it was in doubt"
    return ""


def settle_proposals(tx: Tx, scope: Scope) -> None:
    """Proposals whose records are gone, or came to belong to one client, need no decision any more.

    Where one of two systems has deleted its record, or a merge has set it apart, it is still to be decided whether the other record is
    that client: if it is, it is not created there again. Of two records in one system, the delete was the answer, unless the client of the
    one that was deleted stood in other systems too, where the other one would be created; a merge is none.
    """
    for hold in tx.holds(HoldState.OPEN):
        if hold.kind not in (HoldKind.LINK, HoldKind.MERGE):
            continue
        refs = [(str(item["system"]), str(item["external_id"])) for item in hold.items if item.get("external_id")]
        links = [tx.link(*ref) for ref in refs]
        vanished = {(item["system"], item["external_id"]) for item in hold.items if item.get("vanished")}
        living, gone = (
            {link.client for link in links if link is not None and link.state is state}
            for state in (LinkState.LINKED, LinkState.GONE)
        )
        lives = bool(living) and (hold.kind is HoldKind.LINK or (bool(gone) and _would_be_made_again(tx, gone, living)))
        owners = {
            link.client
            for link in links
            if link is not None and (lives or link.state in STANDS or (link.system, link.external_id) in vanished)
        }
        owners |= {str(item["client"]) for item in hold.items if item.get("client") and len(hold.items) == 1}
        back = any(item.get(RETIRED) and _is_in_use(tx, item) for item in hold.items)
        if back or (len(owners) < 2 and all(link is not None for link in links)) or _all_apart(tx, owners):  # noqa: PLR2004 - two clients
            tx.put_hold(
                replace(hold, state=HoldState.LAPSED, decided_at=scope.now, decided_by="nothing is left to decide")
            )
            tx.mark_dirty([str(item["client"]) for item in hold.items if item.get("client")])


def _would_be_made_again(tx: Tx, gone: Collection[str], living: Collection[str]) -> bool:
    """Whether clients of which a record was deleted are, or were, in a system where those that stay have none: they would be created there."""
    links = tx.links_of([*gone, *living])
    stood = {link.system for client in gone for link in links.get(client, ())}
    stands = {link.system for client in living for link in links.get(client, ()) if link.state is LinkState.LINKED}
    return bool(stood - stands)


def _is_in_use(tx: Tx, item: Mapping[str, Any]) -> bool:
    """Whether the record of an item is there and not archived (any more)."""
    record = tx.records(str(item["system"]), [str(item["external_id"])]).get(str(item["external_id"]))
    return record is not None and is_active(record)


def _all_apart(tx: Tx, clients: Collection[str]) -> bool:
    """Whether any two of several clients are kept apart: a person has decided already."""
    bundles = tx.bundles(sorted(clients))
    return len(bundles) > 1 and all(parted(tx, a, b) for a, b in combinations(bundles, 2))
