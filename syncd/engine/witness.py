"""The witness: what is remembered beside the database, so that an old state of it is noticed and does no harm.

Two small files in the folder of the store (or the one that `state` names): TENANT.witness, the last fence, cycle and ids, after every
cycle; and TENANT.tombstones, digests of what was erased or deleted. A database that knows less than its witness was restored from
somewhere. Then nothing is written outward before a report was made and released; ids are not given twice; writes that were waiting are
decided anew; what was erased stays erased, and what was deleted in a system is not created there again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from syncd import log
from syncd.engine import trail
from syncd.engine.erasing import KEY, KEY_BYTES, digest_of, erase_again
from syncd.engine.tombstones import RESTORED
from syncd.store import AuditRow, HoldKind, Store, copying

if TYPE_CHECKING:
    from collections.abc import Collection

    from syncd.store import Tx

STORE_ID: Final = "store_id"
"""The key in `meta` by which a store is told from a new one of the same tenant."""

FENCE: Final = "fence"
TOMBSTONES_EVERY: Final = timedelta(minutes=10)
_log = log.get("witness")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a witness knows. key: of the digests. counters: kind of id -> the last that was given. mark: how many were gone and erased."""

    store_id: str
    fence: int
    cycle: int
    counters: Mapping[str, int]
    key: str
    mark: str = ""
    digests: tuple[str, ...] = field(default=(), repr=False)


def look(store: Store) -> Remembered:
    """What a store knows of itself, with the digests of everything that was erased or deleted. Makes its id and key where it has none."""
    with store.reading() as tx:
        ready = tx.get_meta(STORE_ID) is not None and tx.get_meta(KEY) is not None
    if not ready:
        with store.writing() as tx:
            for name in (STORE_ID, KEY):
                if tx.get_meta(name) is None:
                    tx.set_meta(name, secrets.token_hex(KEY_BYTES))
    with store.reading() as tx:
        head = _head(tx)
        gone = {digest_of(head.key, "gone", *each) for each in copying.gone_beside(tx)}
        return _with(head, {*gone, *copying.all_suppressed(tx)})


def _with(head: Remembered, digests: Collection[str]) -> Remembered:
    return replace(head, digests=tuple(sorted(digests)))


def _head(tx: Tx) -> Remembered:
    last = tx.last_cycle()
    return Remembered(
        store_id=tx.get_meta(STORE_ID) or "",
        fence=int(tx.get_meta(FENCE) or 0),
        cycle=int(last.cycle[1:]) if last is not None else 0,
        counters=copying.counters(tx),
        key=tx.get_meta(KEY) or "",
        mark=f"{copying.count_gone(tx)} {copying.count_suppressed(tx)}",
    )


class Witness:
    """The two files of one tenant; without a folder nothing is remembered and nothing noticed."""

    def __init__(self, folder: Path | None, tenant: str) -> None:
        self._head = folder / f"{tenant}.witness" if folder is not None else None
        self._tombstones = folder / f"{tenant}.tombstones" if folder is not None else None
        self._told: tuple[str, datetime] | None = None

    def remembered(self) -> Remembered | None:
        """What was remembered last; None where there is nothing that can be read."""
        if self._head is None or self._tombstones is None:
            return None
        try:
            head = json.loads(self._head.read_text(encoding="ascii"))
            digests = tuple(self._tombstones.read_text(encoding="ascii").split())
            found = Remembered(**head, digests=digests)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            _log.warning("witness_failed", error=type(error).__name__)
            return None
        self._told = (found.mark, datetime.fromtimestamp(0, UTC))
        return found

    def keep(self, store: Store, now: datetime, *, whole: bool = False) -> None:
        """Remember what the store knows by now. New deletions are written out every few minutes at most, at once with `whole`."""
        if self._head is None or self._tombstones is None:
            return
        with store.reading() as tx:
            head = _head(tx)
        known, at = self._told or ("", now)
        is_new = self._told is None or head.mark != known
        if is_new and (whole or self._told is None or now - at >= TOMBSTONES_EVERY):
            head = look(store)
            self._told = (head.mark, now)
            self._write(self._tombstones, "\n".join(head.digests))
        head = replace(head, mark=self._told[0] if self._told is not None else "")
        document = {name: getattr(head, name) for name in ("store_id", "fence", "cycle", "counters", "key", "mark")}
        self._write(self._head, json.dumps(document, sort_keys=True))

    def _write(self, path: Path, text: str) -> None:
        """Replace a file as a whole; a failure is told and stops nothing."""
        new = path.with_name(f"{path.name}.new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            _log.warning("witness_failed", file=str(path), reason=error.strerror or type(error).__name__)


def notice(store: Store, remembered: Remembered | None, now: datetime) -> bool:
    """Whether the store is an older state than what is remembered, or another store; then it is treated as restored.

    A new store without any cycle only takes over what was erased and deleted. The caller holds the store's lock, and has just taken
    it: the fence stands one higher than in the file.
    """
    if remembered is None:
        return False
    with store.reading() as tx:
        head = _head(tx)
    is_same = head.store_id == remembered.store_id
    if is_same and head.fence > remembered.fence and head.cycle >= remembered.cycle:
        return False
    if head.cycle == 0 and not is_same:
        with store.writing() as tx:
            _take_over(tx, remembered)
            tx.set_meta(STORE_ID, secrets.token_hex(KEY_BYTES))
            tx.set_meta(RESTORED, now.isoformat())
        return False
    restored(store, remembered, now, "an older state of the database was found")
    return True


def restored(store: Store, remembered: Remembered | None, now: datetime, reason: str) -> None:
    """Treat the store as restored, with what is remembered from after it was saved. The caller holds the store's lock."""
    with store.writing() as tx:
        if remembered is not None:
            _take_over(tx, remembered)
            copying.raise_counters(tx, remembered.counters)
            tx.set_meta(STORE_ID, remembered.store_id)
        dropped = copying.drop_open_writes(tx, f"from before a restore: {reason}")
        copying.lapse_holds(tx, HoldKind.FIRST_RUN, "the store was restored")
        tx.set_meta("first_run", RESTORED)
        tx.set_meta(RESTORED, now.isoformat())
        erased = erase_again(tx)
        tx.mark_all_dirty()
        payload = {"reason": reason, "writes_dropped": dropped, "clients_erased": len(erased)}
        tx.add_audit([AuditRow(now, "store_restored", trail.SYNCD, payload)])
    if erased:
        store.scrub()
    _log.warning("store_restored", reason=reason, writes=dropped)


def _take_over(tx: Tx, remembered: Remembered) -> None:
    """The key of the digests, and the digests, where the store has no other key."""
    if tx.get_meta(KEY) in (None, remembered.key) and remembered.key:
        tx.set_meta(KEY, remembered.key)
        tx.add_suppressed(remembered.digests)
