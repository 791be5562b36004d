"""Asking ahead: a walk comes out as if one page had been asked for after the other, in less time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from syncd.errors import Transient, Unauthorised
from syncd.providers.ahead import Ahead, following
from syncd.providers.http import Http
from syncd.providers.outcomes import Question, Received, Unread, explain_plainly
from tests.providers.contract import Recalling
from tests.providers.worlds import Instead, flowtly_world, lsp_world, smartbills_world, tiime_world

AT_ONCE = 4
QUESTION = Question("sys", "GET", "list", None, True, range(200, 300), explain_plainly)


class Listing:
    """A listing of so many pages, each of which takes a moment; notes what was asked for, and how many at once."""

    def __init__(self, pages: int, broken: int | None = None) -> None:
        self.pages, self.broken = pages, broken
        self.asked: list[int] = []
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    def ask(self, number: int) -> Unread:
        with self.lock:
            self.asked.append(number)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(0.005)
        with self.lock:
            self.under_way -= 1
        if number == self.broken:
            message = f"page {number}"
            raise Transient(message)
        return Unread(QUESTION, Received(200, {"content-type": "application/json"}, str(number).encode()), 1)

    def walk(self, *, told: bool, at_once: int = AT_ONCE) -> Iterator[int]:
        """Its pages in order. told: the first one tells how many there are."""
        with Ahead(self.ask, at_once) as ahead:
            for number in range(1, self.pages + 1):
                found = ahead.take(number).read().body
                assert isinstance(found, int)
                if number < self.pages:
                    ahead.expect(following(number, self.pages * 20 - 7 if told else None, 20))
                yield found


@given(pages=st.integers(1, 9), at_once=st.integers(1, 5), told=st.booleans())
def test_pages_come_in_order_and_each_is_asked_for_once(pages: int, at_once: int, told: bool) -> None:
    """Whatever is asked for ahead: all pages come, in order, asked for once each, and never more at once than may be."""
    listing = Listing(pages)
    assert list(listing.walk(told=told, at_once=at_once)) == list(range(1, pages + 1))
    assert sorted(listing.asked) == list(range(1, pages + 1))
    assert listing.most <= at_once


def test_several_requests_are_under_way_where_the_number_of_pages_is_known() -> None:
    """As many as may be; where the end is not known, the next page is under way while the present one is looked at."""
    listing = Listing(12)
    list(listing.walk(told=True))
    assert listing.most == AT_ONCE
    listing = Listing(12)
    for number in listing.walk(told=False):
        if number == 5:
            time.sleep(0.05)
            assert 6 in listing.asked
            assert 7 not in listing.asked


def test_the_first_page_alone_is_one_request() -> None:
    """Who looks at the first page only has asked for no other."""
    listing = Listing(12)
    walk = listing.walk(told=True)
    next(walk)
    time.sleep(0.05)
    walk.close()  # type: ignore[attr-defined]
    assert listing.asked == [1]


def test_a_page_that_fails_ends_the_walk_at_its_turn() -> None:
    """The pages before it are handed over, its error is raised then, and nothing is under way afterwards."""
    listing = Listing(12, broken=4)
    shown: list[int] = []
    with pytest.raises(Transient, match="page 4"):
        shown.extend(listing.walk(told=True))
    assert shown == [1, 2, 3]
    assert listing.under_way == 0
    assert max(listing.asked) <= 4 + AT_ONCE


def test_what_was_asked_for_behind_the_end_counts_for_nothing() -> None:
    """A list that got shorter ends with the page that says so, although a page behind it was asked for and failed."""
    listing = Listing(12, broken=4)
    shown = []
    with Ahead(listing.ask, AT_ONCE) as ahead:
        for number in (1, 2, 3):
            shown.append(ahead.take(number).read().body)
            ahead.expect(range(number + 1, 13))
    assert shown == [1, 2, 3]
    assert 4 in listing.asked


@pytest.mark.parametrize("make", [lsp_world, tiime_world, smartbills_world, flowtly_world])
def test_a_walk_that_asks_ahead_shows_what_any_walk_shows(httpserver: HTTPServer, make: Any) -> None:
    """The same pages with the same records, totals, digests and ends, by as many requests; and the same where pages are recalled."""
    world = make(httpserver)
    for number in range(65):
        kind = {"given_name": f"P{number}", "family_name": "Ortiz"} if make is smartbills_world else {}
        world.add(name=f"P{number} Ortiz", email=f"c{number}@a.fr", **kind)
    world.provider.settings = replace(world.provider.settings, page_size=7)
    one = world.provider
    plain, spent = list(one.pull()), one.requests
    two = type(one)(replace(one.settings, requests_at_once=AT_ONCE), Http(one.settings, type(one).default_base_url))
    assert list(two.pull()) == plain
    assert len(plain) > 2
    assert two.requests == spent
    if two.capabilities.recall:
        met: list[tuple[int, str]] = []
        list(two.pull(Recalling(met.append)))
        assert [number for number, _ in met] == [page.number for page in plain]
    two.close()
    one.close()


def test_a_refusal_of_one_page_refuses_the_walk(httpserver: HTTPServer) -> None:
    """The third page of LSP.expert's is refused: two are shown and the walk ends as it would one page after the other."""
    world = lsp_world(httpserver)
    for number in range(150):
        world.add(name=f"Client {number}")
    given = replace(world.provider.settings, requests_at_once=AT_ONCE)
    provider = type(world.provider)(given, Http(given, world.system.base_url))
    world.system.instead.append((lambda request: request.query.get("page") == "3", Instead(status=403)))
    shown: list[int] = []
    with pytest.raises(Unauthorised):
        shown.extend(page.number for page in provider.pull())
    assert shown == [1, 2]
    assert provider.requests == len(world.system.requests)
    provider.close()
    world.provider.close()
