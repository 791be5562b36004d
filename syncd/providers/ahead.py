"""Pages that are asked for before they are wanted: several requests of one listing under way at once, answers handed over in page order.

An answer waits as it came until its page's turn has come. What it means (an error, the end, a page that is known, a repeat) is looked at
then, in the thread of the walk, so that a walk comes out as if one page had been asked for after the other. What came for a page behind
the end is thrown away. Budgets, pauses and repeats are those of `Http`, which every request passes.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Generic, Self, TypeVar

from syncd.providers import Page, Recall
from syncd.providers.outcomes import Answer, Unread
from syncd.seen import Seen

Name = TypeVar("Name", bound=Hashable)


class Ahead(Generic[Name]):
    """The requests of one listing, at most `at_once` of them under way. ask: make the request for the page of a name (its number, its start).

    Nothing is asked for ahead before a second page is wanted: who looks at the first one alone makes one request.
    """

    def __init__(self, ask: Callable[[Name], Unread], at_once: int) -> None:
        self._ask, self._at_once = ask, at_once
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: dict[Name, Future[Unread]] = {}
        self._expected: list[Name] = []
        self._started = False

    def take(self, name: Name) -> Unread:
        """The answer to the request for a page, made now where it is not under way; raises what the request raised."""
        if self._at_once == 1 or not self._started:
            self._started = True
            return self._ask(name)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="page")
        self._begin(self._pool, [name, *self._expected])
        return self._under_way.pop(name).result()

    def expect(self, names: Iterable[Name]) -> None:
        """Say which pages will be wanted next, in order: as many as may be under way are asked for now. Others are forgotten."""
        self._expected = list(islice(names, self._at_once))
        for name in self._under_way.keys() - self._expected:
            self._under_way.pop(name).cancel()
        if self._pool is not None:
            self._begin(self._pool, self._expected)

    def _begin(self, pool: ThreadPoolExecutor, names: list[Name]) -> None:
        """Ask for those of some pages that are not under way."""
        for name in list(dict.fromkeys(names))[: self._at_once]:
            if name not in self._under_way:
                context = contextvars.copy_context()  # one that is entered in one thread at a time
                self._under_way[name] = pool.submit(context.run, self._ask, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Wait for what is under way, so that nothing is asked after the walk has ended."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def numbered(
    ahead: Ahead[int], recall: Recall | None, read: Callable[[Answer, int, int, Seen], tuple[Page, int]], limit: int
) -> Generator[Page, None, bool]:
    """The pages of a listing from number 1 on, at most `limit` of them; returns whether the last one came.

    read: makes the page of an answer, its number, how many items came before and the ids that pages before it showed, to which it adds
    its own; it says how many items the page shows. A page that `recall` knows is not read.
    """
    position, size, seen = 0, 0, Seen()
    for number in range(1, limit + 1):
        answer = ahead.take(number).read(None if recall is None else partial(recall.whole, number))
        if answer.known is not None:
            ids, total, last = answer.known.ids, answer.known.total, answer.known.last
            seen.add(ids)
            page, shown = Page((), number, total, last, requests=answer.requests, known=ids), len(ids)
        else:
            page, shown = read(answer, number, position, seen)
        position += shown
        size = size or position
        if not page.last:
            ahead.expect(following(number, page.total, size))
        yield page
        if page.last:
            return True
    return False


def following(number: int, total: int | None, per_page: int) -> range:
    """The numbers of the pages behind one that is not the last: the next one, and all where total and size of a page tell how many there are."""
    pages = -(-total // per_page) if total is not None and per_page else 0
    return range(number + 1, max(pages, number + 1) + 1)
