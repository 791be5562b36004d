"""A tenant's store: opening it, its transactions, and the right to work on it.

Reading needs no right. Writing does: one process holds the working right, and a number in the store, the *fence*,
rises whenever the right changes hands. A writing transaction first locks and reads the fence; a process whose number is
no longer the current one is turned away, however late it wakes up. Locking the fence also puts writing transactions in
a row, so that what a transaction reads stays true until it ends, on PostgreSQL as on SQLite. An operator's short act
skips the check.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from syncd.errors import Fenced, StoreError
from syncd.store import schema, tables
from syncd.store.columns import KEY_LIMIT_CHARACTERS, encode, plain
from syncd.store.dialects import Backend, Held, backend, translated
from syncd.store.pool import LOCK_WAIT_SECONDS, Pool
from syncd.store.tx import Tx

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Executable

    from syncd.store.forms import Forms


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


def open_store(
    url: str,
    tenant: str,
    *,
    upgrade: bool = True,
    clock: Callable[[], datetime] = utc_now,
    pool: Pool | None = None,
) -> Store:
    """Open a tenant's store; make it, or bring its schema up to date, unless `upgrade` is false.

    url: `sqlite:///FOLDER` (the file is FOLDER/TENANT.db) or `postgresql://...` (the schema is `syncd_TENANT`).
    pool: connections to that PostgreSQL database, shared with the stores of other tenants.
    Errors: StoreError where it cannot be used or was made by a newer syncd; no message has a password in it.
    """
    place = backend(url, tenant, pool)
    try:
        schema.ensure(place, upgrade=upgrade)
    except BaseException:
        place.close()
        raise
    return Store(place, tenant, clock)


def current_revision(url: str, tenant: str) -> str | None:
    """The revision of a tenant's schema, None where there is no store; nothing is made or changed."""
    place = backend(url, tenant)
    try:
        return schema.revision_of(place)
    finally:
        place.close()


def head_revision() -> str:
    """The revision that this syncd works with."""
    return schema.head()


def upgrade(url: str, tenant: str) -> str:
    """Make a tenant's store or bring its schema up to date; returns the revision it has then."""
    open_store(url, tenant).close()
    return schema.head()


def storable(*values: object) -> bool:
    """Whether JSON-like values (raw, children, fields) hold nothing that no database could keep (lone surrogates)."""
    try:
        encode(values)
    except ValueError:
        return False
    return True


def storable_id(external_id: str) -> bool:
    """Whether an identifier is short and clean enough to be a key."""
    return 0 < len(external_id) <= KEY_LIMIT_CHARACTERS and storable(external_id) and plain(external_id) == external_id


class _Rehearsed(Exception):  # it carries no error: it ends a transaction
    """The end of a rehearsal."""


class Store:
    """One tenant's store, shared by the threads of a process."""

    def __init__(self, place: Backend, tenant: str, clock: Callable[[], datetime]) -> None:
        self.tenant = tenant
        self._place = place
        self._clock = clock
        self._writer = threading.Lock()
        self._writer_thread: int | None = None
        self._right: tuple[Held, int] | None = None

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """A transaction that sees one state of the store and cannot write."""
        with self._place.reading() as connection:
            yield Tx(connection, self._place, self._clock)

    @contextmanager
    def writing(self, *, operator: bool = False, lasting: bool = True) -> Iterator[Tx]:
        """A transaction that ends as a whole or not at all; one at a time, others wait.

        operator: a person's short act, which needs no working right. lasting: where not, its end does not wait for the disk: a power cut
        may take it back, with all that came after it, until a lasting one has ended; nothing outside may rely on it before. Errors: Fenced where this process does not have
        the working right (any more); StoreError where the database refuses or another transaction takes too long.
        """
        with self._one_writer():
            right = None if operator else self._checked_right()
            with self._place.writing(lasting=lasting) as connection:
                tx = Tx(connection, self._place, self._clock)
                fence = _locked_fence(tx)
                if right is not None and fence != right:
                    message = f"another process took over tenant {self.tenant}"
                    raise Fenced(message)
                yield tx

    def _checked_right(self) -> int:
        """The fence of the working right of this process, or Fenced."""
        if self._right is None:
            message = f"this process does not have the working right on tenant {self.tenant}"
            raise Fenced(message)
        held, fence = self._right
        held.check()
        return fence

    @contextmanager
    def rehearsing(self, *, operator: bool = False) -> Iterator[Tx]:
        """A writing transaction that sees its own changes and leaves no trace of them at its end. operator: see `writing`."""
        with suppress(_Rehearsed), self.writing(operator=operator) as tx:
            yield tx
            raise _Rehearsed

    def version(self) -> Hashable:
        """What is another one after every commit, so that equal ones mean that nothing was; None where that cannot be told now.

        It costs no transaction, and has to be asked for before what it is to stand for is read.
        """
        return self._place.version()

    @contextmanager
    def hold_lock(self) -> Iterator[None]:
        """The working right while the context lasts; StoreBusy at once where another process, or store, has it.

        It ends with the process, also with kill -9.
        """
        if self._right is not None:
            message = f"this store already has the working right on tenant {self.tenant}"
            raise StoreError(message)
        with self._place.hold(self.tenant) as held:
            with self.writing(operator=True) as tx:
                fence = _locked_fence(tx) + 1
                tx.set_meta(tables.FENCE, str(fence))
            self._right = (held, fence)
            try:
                yield
            finally:
                self._right = None

    def scrub(self) -> None:
        """Take what was deleted out of the database's files too (after an erasure); rewrites the whole store."""
        with self._one_writer():
            self._place.scrub()

    def copy_file(self, file: Path) -> bool:
        """Copy one state of the store into a new SQLite file while others work on it; False where its database is no file."""
        return self._place.copy_file(file)

    def rest(self) -> None:
        """Close the connections that nobody uses, with all that they remember: for who does nothing for a while. The next transaction opens one.

        The working right stays.
        """
        with translated(self._place.place):
            self._place.rest()

    def close(self) -> None:
        """Close every connection. The store cannot be used afterwards."""
        self._place.close()

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        """Threads of one process wait here, where waiting is fair, and not in the database, where it is polling."""
        if self._writer_thread == threading.get_ident():
            message = "a writing transaction within a writing transaction would wait for itself"
            raise RuntimeError(message)
        if not self._writer.acquire(timeout=LOCK_WAIT_SECONDS):
            message = f"{self._place.place}: another writing transaction lasts longer than {LOCK_WAIT_SECONDS} s"
            raise StoreError(message)
        self._writer_thread = threading.get_ident()
        try:
            yield
        finally:
            self._writer_thread = None
            self._writer.release()


def _locked_fence(tx: Tx) -> int:
    return int(tx.ask(_fence).scalar_one())


def _fence(_forms: Forms) -> Executable:
    return select(tables.meta.c.value).where(tables.meta.c.key == tables.FENCE).with_for_update()
