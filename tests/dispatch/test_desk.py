"""What workers share in PostgreSQL: turns, lanes, claims of the dead, budgets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from syncd.dispatch import queue
from syncd.dispatch.pace import SharedPace
from syncd.errors import OutOfReach, RateLimited
from syncd.store import Pool
from syncd.store.cluster import SLOW_SECONDS, Desk, Lead

BOTH = {"acme": {"books": 60.0, "erp": 300.0}, "zebra": {"lsp": 60.0}}


@contextmanager
def leading(desk: Desk) -> Iterator[Lead]:
    with desk.leading() as lead:
        assert lead is not None
        yield lead


def handed_out(desk: Desk) -> list[str]:
    """Hand out what is due, as a tick does."""
    with leading(desk) as lead:
        lanes = lead.to_hand_out(100)
        queue.hand_out(lead, queue.sender(), lanes)
    return [tenant for tenant, _ in lanes]


def run(pool: Pool, statement: str) -> None:
    with pool.engine.begin() as connection:
        connection.execute(text(f"SET LOCAL search_path TO syncd; {statement}"))


def test_preparing_twice_and_at_once_is_preparing(pool: Pool) -> None:
    """Four processes that prepare one database at the same time, and again, all find it ready."""
    faults: list[BaseException] = []

    def prepare() -> None:
        try:
            queue.prepare(Desk(pool))
        except BaseException as error:  # noqa: BLE001 - it is told below
            faults.append(error)

    for _ in range(2):
        threads = [threading.Thread(target=prepare) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []
    look = Desk(pool).look()
    assert look is not None
    assert (look.lanes, look.waiting, look.running) == (0, 0, 0)


def test_a_database_without_a_cluster_has_none(pool: Pool) -> None:
    """Looking makes nothing."""
    assert Desk(pool).look() is None
    assert Desk(pool).look() is None


def test_a_turn_moves_on_when_its_cycle_has_ended_and_not_before(desk: Desk) -> None:
    """What is due is handed out once; it stays due until it was done, and then until its time has come again."""
    with leading(desk) as lead:
        lead.follow(BOTH)
    assert handed_out(desk) == ["acme", "zebra"]
    assert handed_out(desk) == []
    turns = desk.due("acme")
    assert [turn.system for turn in turns] == ["books", "erp"]
    desk.ended("acme", {"books": turns[0].at + timedelta(seconds=60)}, 1.0)
    assert [turn.system for turn in desk.due("acme")] == ["erp"]


def test_the_schedule_follows_the_files(desk: Desk) -> None:
    """Tenants and systems come and go with the configuration; a shorter interval counts at once, a longer one after the next turn."""
    with leading(desk) as lead:
        lead.follow(BOTH)
    turns = desk.due("acme")
    desk.ended("acme", {turn.system: turn.at + timedelta(seconds=250) for turn in turns}, 1.0)
    with leading(desk) as lead:
        lead.follow({"acme": {"books": 0.0, "receipts": 60.0}})
    assert [turn.system for turn in desk.due("acme")] == ["books", "receipts"]
    assert desk.due("zebra") == []


def test_who_leads_is_one(desk: Desk, pool: Pool) -> None:
    """While one hands out, another is told so and does not wait."""
    with leading(desk), Desk(pool).leading() as other:
        assert other is None
    with Desk(pool).leading() as now:
        assert now is not None


def test_what_the_dead_had_claimed_is_handed_out_again(desk: Desk, pool: Pool) -> None:
    """The claim of a worker whose heart stopped is deleted, that of one that lives is not; the lane is due at once."""
    with leading(desk) as lead:
        lead.follow(BOTH)
    handed_out(desk)
    run(pool, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '20 s'), (now())")
    run(pool, "UPDATE procrastinate_jobs SET status = 'doing', worker_id = CASE lock WHEN 'acme' THEN 1 ELSE 2 END")
    with leading(desk) as lead:
        assert lead.forget_the_dead(15) == ["acme"]
        assert lead.forget_the_dead(15) == []
    assert handed_out(desk) == ["acme"]


def test_a_lane_that_was_put_off_waits(desk: Desk) -> None:
    """A failing tenant is left alone for as long as was said; the others are not."""
    with leading(desk) as lead:
        lead.follow(BOTH)
    desk.put_off("acme", 0.3)
    assert handed_out(desk) == ["zebra"]
    time.sleep(0.35)
    assert handed_out(desk) == ["acme"]


def test_slow_lanes_take_half_of_the_slots(desk: Desk) -> None:
    """Of eight slots slow lanes may take four; with nobody at work there is room for one."""
    slow = {f"slow{number}": {"books": 60.0} for number in range(6)}
    with leading(desk) as lead:
        lead.follow(slow)
        assert lead.slow_room() == 1
    desk.seen("a-1", "1", 8)
    for tenant in slow:
        desk.ended(tenant, {}, SLOW_SECONDS + 1)
    with leading(desk) as lead:
        lanes = lead.to_hand_out(100)
        assert all(is_slow for _, is_slow in lanes)
        assert lead.slow_room() == 4
        queue.hand_out(lead, queue.sender(), lanes[:3])
        assert lead.slow_room() == 1


def pace(desk: Desk, rate: float | None, per_day: int | None, stop: threading.Event | None = None) -> SharedPace:
    return SharedPace(
        desk,
        "tiime books",
        requests_per_second=rate,
        requests_per_day=per_day,
        stop=stop or threading.Event(),
        who="books",
    )


def test_workers_share_the_requests_of_a_second(desk: Desk, pool: Pool) -> None:
    """Two workers with four threads each send twenty requests of a budget of fifty a second in 0.38 s at least."""
    sent: list[float] = []

    def send(own: SharedPace) -> None:
        for _ in range(5):
            own.wait("https://a")
            sent.append(time.monotonic())

    began = time.monotonic()
    threads = [threading.Thread(target=send, args=[pace(Desk(pool), 50, None)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 20
    assert max(sent) - began >= 19 / 50


def test_workers_share_the_requests_of_a_day(desk: Desk, pool: Pool) -> None:
    """Of ten requests a day two workers send ten together, then both are told when to come again; it outlives them."""
    first, second = pace(desk, None, 10), pace(Desk(pool), None, 10)
    for own in [first, second] * 5:
        own.wait("https://a")
    for own in (first, second, pace(desk, None, 10)):
        with pytest.raises(RateLimited, match="10 requests per day") as told:
            own.wait("https://a")
        assert 23.5 * 3600 < told.value.retry_after_seconds <= 24 * 3600
        assert own.used_today() == 10


def test_a_pause_counts_for_all_workers(desk: Desk, pool: Pool) -> None:
    """What one worker was told by a 429 the other keeps to, for that address only."""
    pace(desk, 500, None).pause("https://a", 30)
    other = pace(Desk(pool), 500, None)
    with pytest.raises(RateLimited) as told:
        other.wait("https://a")
    assert 29 < told.value.retry_after_seconds <= 30
    other.wait("https://b")


def test_without_the_database_nothing_is_sent(desk: Desk, url: str) -> None:
    """A budget that cannot be asked lets no request go, and says so as what it is: out of reach."""
    away = Desk(Pool(url.replace("/cluster_", "/none_"), 1))
    with pytest.raises(OutOfReach, match="budgets"):
        pace(away, 500, None).wait("https://a")
    stop = threading.Event()
    stop.set()
    slow = pace(desk, 0.01, None, stop)
    slow.wait("https://a")
    with pytest.raises(OutOfReach, match="stopping"):
        slow.wait("https://a")
