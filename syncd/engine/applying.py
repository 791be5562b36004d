"""Applying a plan: exactly the writes of its file, each only if its record still is what the plan saw, and once.

A plan is a rehearsal, so nothing of it is kept but the file. To apply it, everything is pulled and decided anew; of the writes that come
out of this, only those are sent that are the plan's: same record, same fields, same values before and after, and a record that shows in
every other field, too, what it showed when the plan was made. The rest waits for the next cycle. A plan's write that does not come out
any more is stale and is told.

The file is sealed with a key of the store that made it: a plan of another tenant's store, or one that somebody has changed, is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from syncd.core.model import Action
from syncd.engine.systems import digest
from syncd.errors import UsageError
from syncd.store import AuditRow, WriteRow, WriteState

if TYPE_CHECKING:
    from syncd.engine import Engine
    from syncd.store import Store, Tx

SEAL: Final = "digest"
"""The key of a plan document that holds its seal."""

KEY: Final = "plan_key"
APPLIED: Final = "plans_applied"
"""Where the store remembers its key, and the plans it has applied: seal -> when they expire."""

KEY_BYTES: Final = 32

_ENCODER: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number")
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)

Document = dict[str, Any]


class _Shape(msgspec.Struct):
    """What makes a document a plan; the seal answers for the rest."""

    tenant: str
    plan: str
    config_digest: str
    expires_at: datetime
    writes: list[Document]
    digest: str


@dataclass(frozen=True, slots=True)
class Applied:
    """One write of a plan and what became of it.

    outcome: done | stale (its record or client is not what the plan saw; nothing was sent) | waiting | in_doubt | parked.
    write: as it is in the outbox, None where nothing was sent.
    """

    planned: Document
    outcome: str
    reason: str
    write: WriteRow | None = None


# ---------------------------------------------------------------- making and checking the file


def sights(tx: Tx, writes: Iterable[WriteRow]) -> dict[str, Document]:
    """Write -> what it is based on: the records of its client, and a digest of the fields that its record shows."""
    rows = list(writes)
    links = tx.links_of({row.client for row in rows})
    targets: dict[str, list[str]] = {}
    for row in rows:
        if row.external_id is not None:
            targets.setdefault(row.system, []).append(row.external_id)
    shown = {system: tx.records(system, ids) for system, ids in targets.items()}
    found: dict[str, Document] = {}
    for row in rows:
        record = shown[row.system].get(row.external_id) if row.external_id is not None else None
        found[row.write] = {
            "records": [[link.system, link.external_id] for link in links.get(row.client, [])],
            "record_digest": digest(record.fields) if record is not None else None,
        }
    return found


def seal(store: Store, document: Mapping[str, Any]) -> Document:
    """The plan document with its seal."""
    with store.writing(operator=True) as tx:
        key = tx.get_meta(KEY)
        if key is None:
            key = secrets.token_hex(KEY_BYTES)
            tx.set_meta(KEY, key)
    return {**document, SEAL: _sealed(document, key)}


def _sealed(document: Mapping[str, Any], key: str) -> str:
    """The seal does not depend on the order of keys or on white space."""
    plain = _DECODER.decode(_ENCODER.encode({name: value for name, value in document.items() if name != SEAL}))
    return hashlib.blake2b(_ENCODER.encode(plain), key=bytes.fromhex(key), digest_size=32).hexdigest()


def read(content: bytes) -> Document:
    """A plan file's document. UsageError where it is none."""
    try:
        msgspec.json.decode(content, type=_Shape)
        document: Document = _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _refused("this is no plan file", "Make one with `syncd plan --out FILE`.") from None
    return document


def check(store: Store, document: Mapping[str, Any], config_digest: str, now: datetime) -> None:
    """Refuse, with a UsageError, a plan that is another tenant's, changed, expired, used, or made for another configuration."""
    if document["tenant"] != store.tenant:
        raise _refused(
            f"this is a plan for tenant {document['tenant']}", f"Apply it with --tenant {document['tenant']}."
        )
    with store.reading() as tx:
        key = tx.get_meta(KEY)
        used = _used(tx)
    if key is None or not hmac.compare_digest(_sealed(document, key), str(document[SEAL])):
        raise _refused("the plan was changed since it was made, or another store made it")
    if document[SEAL] in used:
        raise _refused(f"{document['plan']} was applied already; a plan is applied once")
    if datetime.fromisoformat(document["expires_at"]) <= now:
        raise _refused(f"{document['plan']} has expired")
    if document["config_digest"] != config_digest:
        raise _refused(f"the configuration has changed since {document['plan']} was made")


def _used(tx: Tx) -> dict[str, str]:
    remembered: dict[str, str] = msgspec.json.decode(tx.get_meta(APPLIED) or "{}")
    return remembered


def _refused(fault: str, step: str = "Make a new one with `syncd plan --out FILE`.") -> UsageError:
    error = UsageError(fault)
    error.next_step = f"Nothing was done. {step}"
    return error


# ---------------------------------------------------------------- applying it


@dataclass(slots=True)
class _Choice:
    """The plan's writes among those that were decided now."""

    document: Mapping[str, Any]
    actor: str
    engine: Engine
    found: dict[int, str] = field(default_factory=dict)
    stale: dict[int, str] = field(default_factory=dict)

    def __call__(self, cycle: str) -> Collection[str]:
        """Match, remember that the plan is used, and say what may be sent: one transaction, before the first byte."""
        now = self.engine.clock()
        with self.engine.store.writing() as tx:
            used = _used(tx)
            if self.document[SEAL] in used:
                raise _refused(f"{self.document['plan']} was applied already; a plan is applied once")
            self._match(tx)
            kept = {seal: end for seal, end in used.items() if datetime.fromisoformat(end) > now}
            kept[self.document[SEAL]] = self.document["expires_at"]
            tx.set_meta(APPLIED, _ENCODER.encode(kept).decode())
            payload = {"plan": self.document["plan"], "writes": len(self.found), "stale": len(self.stale)}
            tx.add_audit([AuditRow(now, "plan_applied", self.actor, payload, cycle=cycle)])
        return self.found.values()

    def _match(self, tx: Tx) -> None:
        rows = tx.writes([WriteState.WAITING])
        seen = sights(tx, rows)
        by_place: dict[tuple[str, str | None, str], list[WriteRow]] = {}
        for row in rows:
            by_place.setdefault((row.system, row.external_id, row.action.value), []).append(row)
        taken: set[str] = set()
        for position, planned in enumerate(self.document["writes"]):
            place = (planned["system"], planned["external_id"], planned["action"])
            candidates = [row for row in by_place.get(place, ()) if row.write not in taken]
            match = next((row for row in candidates if _is_planned(row, seen[row.write], planned)), None)
            if match is None:
                self.stale[position] = _why_stale(tx, planned, candidates)
            else:
                taken.add(match.write)
                self.found[position] = match.write


def apply(engine: Engine, document: Mapping[str, Any], actor: str) -> tuple[str, list[Applied]]:
    """Send what of the plan still holds. Returns the cycle and the outcome of each write. The caller holds the store's lock.

    Raises UsageError where the plan is refused (see `check`); nothing was sent then.
    """
    check(engine.store, document, engine.policy.digest, engine.clock())
    choice = _Choice(document, actor, engine)
    report = engine.cycle(choose=choice)
    with engine.store.reading() as tx:
        rows = {write: tx.write(write) for write in choice.found.values()}
    outcomes = []
    for position, planned in enumerate(document["writes"]):
        row = rows[choice.found[position]] if position in choice.found else None
        outcomes.append(_outcome(planned, row, choice.stale.get(position, "")))
    return report.cycle, outcomes


def _is_planned(row: WriteRow, sight: Mapping[str, Any], planned: Mapping[str, Any]) -> bool:
    """Whether a write that was decided now is the plan's. A client may have got another id since: its records tell who it is."""
    if row.fields != planned["fields"] or row.before != planned["before"]:
        return False
    if row.action is Action.CREATE:
        return any(record in planned["records"] for record in sight["records"])
    return bool(sight["record_digest"] == planned["record_digest"])


def _why_stale(tx: Tx, planned: Mapping[str, Any], candidates: Sequence[WriteRow]) -> str:
    if any(row.fields != planned["fields"] for row in candidates):
        return "the client has changed since the plan was made"
    if candidates and planned["action"] != Action.CREATE.value:
        return "the record is not what the plan saw"
    for system, external_id in planned["records"]:
        link = tx.link(system, external_id)
        if link is not None:
            standing = next((each for each in tx.standings(link.client) if each.system == planned["system"]), None)
            if standing is not None:
                return f"it is not wanted any more: {standing.reason or standing.state.value.replace('_', ' ')}"
    return "it is not wanted any more"


def _outcome(planned: Document, row: WriteRow | None, stale: str) -> Applied:
    if row is None:
        return Applied(planned, "stale", stale)
    if row.state is WriteState.DROPPED:
        said = str((row.error or {}).get("message", "the record was not what the plan saw"))
        return Applied(planned, "stale", said, row)
    said = str((row.error or {}).get("message", "")) if row.state is not WriteState.DONE else ""
    return Applied(planned, row.state.value, said, row)
