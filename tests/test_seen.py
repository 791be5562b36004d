"""What a walk remembers of the ids that it has shown."""

from __future__ import annotations

import sys
import threading

from hypothesis import given
from hypothesis import strategies as st

from syncd.seen import Seen

IDS = st.lists(st.lists(st.text(max_size=4), max_size=30), max_size=30)


@given(IDS)
def test_what_was_shown_is_known_again(pages: list[list[str]]) -> None:
    """Page by page it tells what a set of the ids themselves would tell: how many repeat earlier pages, how many there are, the least."""
    seen, ids = Seen(), set[str]()
    for page in pages:
        assert seen.isdisjoint(page) == ids.isdisjoint(page)
        assert seen.add(page) == len(set(page) & ids)
        ids |= set(page)
        assert len(seen) == len(ids)
        assert all(each in seen for each in ids)
        assert seen.least == (min(ids) if ids else None)
    assert "five5" not in seen


def test_many_ids_take_few_bytes() -> None:
    """Two hundred thousand ids are all known again, none of two hundred thousand others is, in less than 27 bytes for each."""
    seen = Seen()
    for first in range(0, 200_000, 1000):
        assert seen.add(f"id-{number}" for number in range(first, first + 1000)) == 0
    assert len(seen) == 200_000
    assert sys.getsizeof(seen._slots) < 27 * 200_000
    assert all(f"id-{number}" in seen for number in range(200_000))
    assert seen.isdisjoint(f"id-{number}" for number in range(200_000, 400_000))
    assert seen.add(["id-199999", "id-200000"]) == 1


def test_every_walk_has_numbers_of_its_own() -> None:
    """Two ids that look alike in one walk do not in the next: each makes its numbers with another word."""
    first, second = Seen(), Seen()
    first.add(["one"])
    second.add(["one"])
    assert set(filter(None, first._slots)) != set(filter(None, second._slots))


def test_a_reader_beside_the_one_who_adds() -> None:
    """What was added before is known to another thread at every moment, also while the place for it grows."""
    seen, missed, over = Seen(), [], threading.Event()
    seen.add(["first"])

    def look() -> None:
        while not over.is_set():
            if "first" not in seen:
                missed.append(len(seen))

    reader = threading.Thread(target=look)
    reader.start()
    for first in range(0, 50_000, 500):
        seen.add(str(number) for number in range(first, first + 500))
    over.set()
    reader.join()
    assert missed == []
