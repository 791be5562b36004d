"""Erasure: a person is taken out of the store, and is not taken in again, whatever a system still lists.

What is remembered are digests under a key of this store: of each record that was erased, and of the numbers and e-mail addresses
by which it was known, so that a new id in a system is no way back. A number that another client has too is not suppressed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from syncd import log
from syncd.core.correlate import match_keys
from syncd.core.model import Action, Context
from syncd.engine import trail
from syncd.errors import UsageError
from syncd.store import AuditRow, Bundle, ClientState, MatchKey, RecordKey, RecordState, WriteState
from syncd.store.copying import linked_records

if TYPE_CHECKING:
    from syncd.store import Store, Tx, WriteRow

KEY: Final = "erasure_key"
"""The key in `meta` of the secret under which erased identifiers are digested."""

KEY_BYTES: Final = 32

IDENTIFYING: Final = frozenset({"reg", "siret", "vat", "email"})
"""The kinds of match keys that stand for one person or company."""

PERSONAL: Final = frozenset(
    {
        "title",
        "text",
        "name",
        "given_name",
        "family_name",
        "email",
        "phone",
        "mobile",
        "address_line1",
        "address_line2",
        "registration_number",
        "vat_number",
        "details",
        "iban",
    }
)
"""Fields whose values are looked for in files. A city or a currency stands in the lines of many others."""

TEXT_MINIMUM_CHARACTERS: Final = 4

SHARERS_MAX: Final = 50
"""Records looked at for one shared identifier."""

_log = log.get("erasing")


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to.

    clients: the one that was named, and all that were merged into it. still_in: records that systems hold, which only a person
    can delete there; the id is None where a create was never answered. shared_with: other clients with an identifier of
    this one. texts: the values to look for in files; they are nowhere else any more.
    """

    client: str
    clients: tuple[str, ...]
    still_in: tuple[tuple[str, str | None], ...]
    shared_with: tuple[str, ...]
    records: tuple[RecordKey, ...] = ()
    texts: frozenset[str] = frozenset()


def preview(tx: Tx, client: str, context: Context) -> Erased:
    """What an erasure of a client would come to. UsageError where there is no such client, or it could come back unknown."""
    survivor = tx.resolve_alias(client)
    if survivor is None:
        message = f"there is no client {client}"
        raise UsageError(message)
    clients = tuple(_with_aliases(tx, survivor))
    bundles = tx.bundles(clients)
    held: list[tuple[str, str | None]] = [
        (record.system, record.external_id)
        for bundle in bundles
        for _, record in bundle.sides
        if record is not None and record.state is not RecordState.GONE
    ]
    doubtful = [
        write for each in clients for write in tx.writes([WriteState.SENDING, WriteState.IN_DOUBT], client=each)
    ]
    held.extend((write.system, None) for write in doubtful if write.external_id is None)
    records = tuple((link.system, link.external_id) for bundle in bundles for link, _ in bundle.sides)
    keys = _keys(bundles, context)
    _refuse_unknowable(doubtful, keys, context)
    return Erased(
        client=survivor,
        clients=clients,
        still_in=tuple(sorted(held, key=str)),
        shared_with=tuple(sorted({client for found in _owners(tx, keys).values() for client in found} - set(clients))),
        records=records,
        texts=frozenset(_texts(tx, bundles)),
    )


def _refuse_unknowable(doubtful: Iterable[WriteRow], keys: Collection[MatchKey], context: Context) -> None:
    """A record whose creation was never answered must be known again when it shows up, or the client would come back with it."""
    for write in doubtful:
        if write.action is Action.CREATE and match_keys(write.fields, context).isdisjoint(keys):
            message = f"whether {write.system} made the record that {write.write} asked for is not known yet, and no e-mail or number tells it from others"
            error = UsageError(message)
            error.next_step = f"`syncd sync` finds out once `create_settle` is over; then erase. `syncd drop {write.write}` where there is no such record."
            raise error


def erase(store: Store, client: str, context: Context, *, actor: str, clock: Callable[[], datetime]) -> Erased:
    """Take a client out of the store and suppress it. The caller holds the store's lock and then calls `Store.scrub`.

    Done again for a client that was erased already it changes nothing. UsageError where there is no such client.
    """
    with store.writing() as tx:
        found = preview(tx, client, context)
        keys = _keys(tx.bundles(found.clients), context)
        owners = _owners(tx, keys)
        own = [key for key in keys if owners.get(key, set()) <= set(found.clients)]
        secret = tx.get_meta(KEY)
        if secret is None:
            secret = secrets.token_hex(KEY_BYTES)
            tx.set_meta(KEY, secret)
        tx.add_suppressed([digest_of(secret, "record", *record) for record in found.records])
        tx.add_suppressed([digest_of(secret, *key) for key in own])
        now = clock()
        tx.erase(found.clients)
        ended = {"state": ClientState.DELETED.value, "merged_into": None}
        tx.add_audit(AuditRow(now, trail.GOLDEN_COMPLETED, actor, dict(ended), client=each) for each in found.clients)
        tx.add_audit(
            [AuditRow(now, "client_erased", actor, {"erased_records": len(found.records)}, client=found.client)]
        )
    _log.info("erased", client=found.client, records=len(found.records))
    return found


# ---------------------------------------------------------------- keeping them out


def erased_records(tx: Tx, refs: Collection[RecordKey]) -> set[RecordKey]:
    """Which of these records were erased."""
    secret = tx.get_meta(KEY) if refs else None
    if secret is None:
        return set()
    digests = {digest_of(secret, "record", *ref): ref for ref in refs}
    return {digests[digest] for digest in tx.suppressed(list(digests))}


def erased_again(tx: Tx, system: str, keys: Mapping[str, Collection[MatchKey]]) -> set[str]:
    """Which of these new records of a system (external id -> match keys) show somebody who was erased; they are erased from now on.

    An identifier that a client shows by now is that client's: a record that syncd made for it must not be lost from sight.
    """
    secret = tx.get_meta(KEY) if keys else None
    if secret is None:
        return set()
    digests = {digest_of(secret, "record", system, external_id): external_id for external_id in keys}
    found = {digests[digest] for digest in tx.suppressed(list(digests))}
    shown = {digest_of(secret, *key): key for mine in keys.values() for key in mine if key[0] in IDENTIFYING}
    suppressed = {shown[digest] for digest in tx.suppressed(list(shown))}
    suppressed -= _owners(tx, suppressed).keys()
    found |= {external_id for external_id, mine in keys.items() if suppressed & set(mine)}
    tx.add_suppressed([digest_of(secret, "record", system, external_id) for external_id in sorted(found)])
    return found


def digest_of(secret: str, *words: str) -> str:
    """Under the store's key, so that nobody can try out names; the words are told apart by their lengths."""
    text = "".join(f"{len(word)}:{word}" for word in words)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=bytes.fromhex(secret), digest_size=24).hexdigest()


def erase_again(tx: Tx) -> list[str]:
    """Erase the clients whose records were erased before (a restored store knows them again); returns them."""
    secret = tx.get_meta(KEY)
    if secret is None:
        return []
    links = {
        digest_of(secret, "record", system, external_id): client for system, external_id, client in linked_records(tx)
    }
    clients = sorted({links[digest] for digest in tx.suppressed(list(links))})
    with_aliases = sorted({each for client in clients for each in _with_aliases(tx, client)})
    if with_aliases:
        tx.erase(with_aliases)
        ended = {"state": ClientState.DELETED.value, "merged_into": None}
        now = tx.now()
        tx.add_audit(
            AuditRow(now, trail.GOLDEN_COMPLETED, trail.SYNCD, dict(ended), client=each) for each in with_aliases
        )
    return with_aliases


# ---------------------------------------------------------------- what belongs to them


def _with_aliases(tx: Tx, client: str) -> list[str]:
    found = [client]
    for each in found:
        found.extend(alias for alias in tx.aliases(each) if alias not in found)
    return found


def _keys(bundles: Iterable[Bundle], context: Context) -> list[MatchKey]:
    shown = [
        fields
        for bundle in bundles
        for fields in (bundle.client.fields, *(record.fields for _, record in bundle.sides if record is not None))
    ]
    return sorted({key for fields in shown for key in match_keys(fields, context) if key[0] in IDENTIFYING})


def _owners(tx: Tx, keys: Collection[MatchKey]) -> dict[MatchKey, set[str]]:
    """Key -> the clients whose records show it."""
    owners: dict[MatchKey, set[str]] = {}
    for hit in tx.by_keys(keys, SHARERS_MAX):
        if hit.client is not None:
            owners.setdefault((hit.kind, hit.value), set()).add(hit.client)
    return owners


def _texts(tx: Tx, bundles: Iterable[Bundle]) -> Iterator[str]:
    """Every text by which the clients could be recognised in a file, now and earlier."""
    for bundle in bundles:
        documents: list[Any] = [bundle.client.fields]
        documents += [record.fields for _, record in bundle.sides if record is not None]
        client = bundle.client.client
        for change in tx.changes(client):
            documents += [{change.unit: change.before}, {change.unit: change.after}]
        for conflict in tx.conflicts(client=client):
            documents += [{conflict.unit: each.get("value")} for each in conflict.candidates]
        yield from _leaves(documents, personal=False)


def _leaves(document: Any, *, personal: bool) -> Iterator[str]:
    match document:
        case dict():
            for key, value in document.items():
                part = key.rpartition(".")[2] if key.startswith("contacts.") else key
                yield from _leaves(value, personal=part in PERSONAL or key.startswith("custom.") or key == "notes")
        case list() | tuple():
            for value in document:
                yield from _leaves(value, personal=personal)
        case str() if personal and len(document) >= TEXT_MINIMUM_CHARACTERS:
            yield document
        case _:
            pass
