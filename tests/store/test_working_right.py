"""One process works on a tenant's store at a time; transactions lose nothing to each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

from syncd.errors import Fenced, StoreBusy, StoreError
from syncd.store.tables import FENCE
from tests.store.examples import Database, a_client

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys, time
from syncd.store import open_store
store = open_store(sys.argv[1], sys.argv[2])
with store.hold_lock(), store.writing() as tx:
    tx.set_meta("uncommitted", "yes")
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    time.sleep(60)
"""


@contextmanager
def another_process(database: Database) -> Iterator[subprocess.Popen[str]]:
    """A process that has the working right and is in the middle of a transaction."""
    command = [sys.executable, "-c", HOLDER, database.url, database.tenant]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_who_works_and_may_begin_when_the_first_is_killed(database) -> None:
    """The second holder gets StoreBusy with tenant and process; after kill -9 it has the right at once and a clean store."""
    store = database.open()
    with another_process(database) as process:
        with pytest.raises(StoreBusy, match=rf"{database.tenant}.*{process.pid}"), store.hold_lock():
            pass
        with store.reading() as tx:
            assert tx.get_meta("uncommitted") is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        took = held_after(store)
    assert took < 2
    with store.reading() as tx:
        assert tx.get_meta("uncommitted") is None
    store.close()


def held_after(store) -> float:
    """Seconds until the working right could be had; PostgreSQL needs a moment to see that a client died."""
    began = time.monotonic()
    while True:
        try:
            with store.hold_lock():
                return time.monotonic() - began
        except StoreBusy:
            if time.monotonic() - began > 5:
                raise
            time.sleep(0.01)


def test_a_second_store_in_the_same_process_is_busy_too(database) -> None:
    """Two stores of one tenant exclude each other, two tenants do not, and the right returns when it is given up."""
    first, second = database.open(), database.open()
    other = database.open(f"{database.tenant}-other")
    with first.hold_lock():
        with pytest.raises(StoreBusy), second.hold_lock():
            pass
        with pytest.raises(StoreError, match="already"), first.hold_lock():
            pass
        with other.hold_lock(), other.writing() as tx:
            tx.set_meta("a", "1")
        with first.writing() as tx:
            assert tx.get_meta("a") is None
    with second.hold_lock(), second.writing() as tx:
        tx.set_meta("a", "2")
    for store in (first, second, other):
        store.close()


def test_writing_needs_the_working_right_and_an_operators_act_does_not(database) -> None:
    """Without the right only reading and operators' acts are possible, also while another one works."""
    worker, operator = database.open(), database.open()
    with pytest.raises(Fenced), worker.writing():
        pass
    with worker.hold_lock():
        with pytest.raises(Fenced), operator.writing():
            pass
        with operator.writing(operator=True) as tx:
            tx.set_meta("by", "operator")
        with worker.writing() as tx:
            assert tx.get_meta("by") == "operator"
    with pytest.raises(Fenced), worker.writing():
        pass
    worker.close()
    operator.close()


def test_whoever_lost_the_right_is_fenced_off(database) -> None:
    """A holder whose number is no longer the current one cannot write, and what it tried is not there."""
    with database.store() as old:
        with old.writing() as tx:
            tx.set_meta("value", "old")
        with old.writing(operator=True) as tx:
            tx.set_meta(FENCE, str(int(tx.get_meta(FENCE) or 0) + 1))
        with pytest.raises(Fenced, match="took over"), old.writing() as tx:
            tx.set_meta("value", "too late")
        with old.reading() as tx:
            assert tx.get_meta("value") == "old"


def test_a_removed_lock_file_lets_nobody_write_twice(tmp_path) -> None:
    """Where flock is cheated by removing its file, the fence still stops the older holder."""
    database = Database("sqlite", f"sqlite:///{tmp_path}", "acme")
    with database.store() as old:
        (tmp_path / "acme.lock").unlink()
        with database.store() as new:
            with pytest.raises(Fenced), old.writing():
                pass
            with new.writing() as tx:
                tx.set_meta("value", "new")


def test_a_lost_lock_connection_ends_the_right(postgres) -> None:
    """When PostgreSQL drops the connection that holds the lock, the next transaction is refused and another may begin."""
    database = Database("postgresql", postgres, "lost-connection")
    with database.store() as store:
        with store.writing(operator=True) as tx:
            mine = f"SELECT pid FROM pg_stat_activity WHERE application_name = 'syncd {os.getpid()}'"
            held = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND pid IN ({mine})"
            tx.run(text(f"SELECT pg_terminate_backend(pid) FROM ({held}) AS holders"))
        with pytest.raises(Fenced, match="lost"), store.writing():
            pass
        with database.store() as other, other.writing() as tx:
            tx.set_meta("value", "other")


def test_threads_that_read_and_then_write_lose_nothing(store) -> None:
    """Eight threads that add one to a number 25 times each make 200."""

    def count() -> None:
        for _ in range(25):
            with store.writing() as tx:
                tx.set_meta("number", str(int(tx.get_meta("number") or 0) + 1))

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as tx:
        assert tx.get_meta("number") == "200"


def test_operators_in_other_stores_lose_nothing_either(database) -> None:
    """Transactions of different stores, as of different processes, are put in a row by the database."""
    stores = [database.open() for _ in range(3)]

    def count(store) -> None:
        for _ in range(20):
            with store.writing(operator=True) as tx:
                tx.set_meta("number", str(int(tx.get_meta("number") or 0) + 1))

    threads = [Thread(target=count, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].reading() as tx:
        assert tx.get_meta("number") == "60"
    for store in stores:
        store.close()


def test_a_reader_sees_one_state_and_cannot_write(store) -> None:
    """What is committed meanwhile is not seen until the next reading, and writing in a reading one is refused."""
    with store.reading() as tx:
        assert tx.clients() == []
        with store.writing() as other:
            other.put_clients([a_client()])
        assert tx.clients() == []
    with store.reading() as tx:
        assert tx.clients() == [a_client()]
        with pytest.raises(StoreError):
            tx.put_clients([a_client("c2")])
    with store.reading() as tx:
        assert len(tx.clients()) == 1


def test_a_transaction_that_fails_leaves_nothing(store) -> None:
    """An error in the middle takes everything back, and the next transaction works."""

    class Broken(Exception):
        """What goes wrong in this test."""

    def act() -> None:
        with store.writing() as tx:
            tx.put_clients([a_client()])
            raise Broken

    with pytest.raises(Broken):
        act()
    with store.writing() as tx:
        assert tx.clients() == []


def test_a_writing_transaction_within_another_is_refused(store) -> None:
    """It would wait for itself, so it is an error at once."""
    with store.writing(), pytest.raises(RuntimeError, match="wait for itself"), store.writing():
        pass


def test_a_rehearsal_sees_its_own_changes_and_leaves_nothing(store) -> None:
    """What is put in it is read in it, and gone afterwards, ids too."""
    with store.rehearsing() as tx:
        assert tx.new_ids("c", 1) == ["c1"]
        tx.put_clients([a_client()])
        assert tx.clients() == [a_client()]
    with store.writing() as tx:
        assert (tx.clients(), tx.new_ids("c", 1)) == ([], ["c1"])


def test_a_version_tells_of_every_commit(database) -> None:
    """Equal versions mean that nothing was committed by anybody, readings apart; where that cannot be told there is none."""
    with database.store() as store, closing(database.open()) as other:
        for number in range(5):
            before = settled(store)
            with store.reading() as tx:
                tx.count_clients()
            assert settled(store) == before
            with other.writing(operator=True) as tx:
                tx.set_meta("told", str(number))
            after = settled(store)
            assert (after is None) == (database.kind == "postgresql")
            assert after is None or after != before


def settled(store):
    """The version, once the last write is old enough to have one."""
    time.sleep(0.1)
    return store.version()
