"""A page looked at record by record comes out as one that was read, whatever it holds."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from syncd.errors import Malformed, ProviderError
from syncd.providers import Page
from syncd.providers.decoding import MAX_DEPTH, MAX_DIGITS, MAX_TEXT_BYTES, MAX_VALUES
from syncd.providers.outcomes import Answer, Question, Received, Unread, explain_plainly
from syncd.providers.slices import cut
from tests.providers.contract import Recalling, nothing
from tests.providers.worlds import Instead, TiimeWorld, tiime_world

QUESTION = Question("sys", "GET", "list", None, True, range(200, 300), explain_plainly)
ONE, TWO = b'{"id": 1, "name": "A\xc3\xa9"}', b'{"id": 2}'

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
items = st.lists(
    st.builds(lambda name, more: {**more, "id": name}, st.integers(1, 6), st.just({})) | values, max_size=6
)


def known_of(body: bytes) -> dict[bytes, str]:
    """What is known of a page of records that was read."""
    found = cut(body)
    assert found is not None
    return {name: str(each["id"]) for name, each in zip(found.digests, json.loads(body), strict=True)}


def answer(body: bytes, known: Mapping[bytes, str]) -> Answer:
    """The answer with this body, some of whose items are known."""
    received = Received(200, {"content-type": "application/json"}, body)
    return Unread(QUESTION, received, 1).read(lambda _digest: None, lambda: known)


def refusal(body: bytes, known: Mapping[bytes, str]) -> str:
    with pytest.raises(Malformed) as caught:
        answer(body, known)
    return str(caught.value)


@given(before=st.sets(st.integers(1, 6)), page=items, ascii_only=st.booleans())
def test_what_is_left_out_is_exactly_what_is_known(before: set[int], page: list[Any], *, ascii_only: bool) -> None:
    """Any array: what is decoded together with what is known is the array, and where an id comes twice all of it is decoded."""
    body = json.dumps(page, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    known = known_of(json.dumps([{"id": number} for number in sorted(before)]).encode())
    plain = answer(body, {})
    found = answer(body, known)
    assert found.slices is not None
    assert plain.slices is not None
    assert (found.digest, found.status) == (plain.digest, plain.status)
    left = found.body
    assert isinstance(left, list)
    assert isinstance(plain.body, list)
    if not found.slices.known:
        assert left == plain.body
        return
    assert [{"id": int(name)} for name in found.slices.known] == [each for each in plain.body if each not in left]
    assert [each for each in plain.body if each in left] == left
    assert len(left) + len(found.slices.known) == len(page)
    ids = [str(each["id"]) for each in plain.body if isinstance(each, dict)]
    assert len(ids) == len(set(ids)) == len(page)
    assert {*found.slices.read, *found.slices.known.values()} == {*plain.slices.read}


@pytest.mark.parametrize(
    "broken",
    [
        b"[%b,]",
        b"[%b",
        b"[%b] x",
        b"[%b {}]",
        b"[%b,nope]",
        b'[%b,{"id": 01}]',
        b'[%b,{"id": 2, "name": "\xff"}]',
        b'[%b,{"id": 2, "name": "\x01"}]',
        b'[%b,{"id": 2, "n": ' + b"9" * (MAX_DIGITS + 1) + b"}]",
        b'[%b,{"id": 2, "n": 1e999}]',
        b'[%b,{"id": 2, "n": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}]",
        b'[%b,{"id": 2, "n": ' + b"[" * 9000 + b"]" * 9000 + b"}]",
        b'[%b,{"id": 2, "n": [' + b"0," * MAX_VALUES + b"0]}]",
        b"[%b," + b"{}," * MAX_VALUES + b"{}]",
        b'["\xff",%b]',
    ],
)
def test_what_cannot_be_read_cannot_be_read_beside_what_is_known(broken: bytes) -> None:
    """Every limit and rule holds for a body of which a part is known, and it is refused in the same words."""
    body = broken.replace(b"%b", ONE)
    assert refusal(body, known_of(b"[" + ONE + b"]")) == refusal(body, {})


def test_values_are_counted_in_what_is_known_too() -> None:
    """Two records that could each be read alone, and together have more values than a body may have."""
    many = b",".join([b"0"] * (MAX_VALUES * 2 // 3))
    one, two = (b'{"id": %d, "n": [%b]}' % (number, many) for number in (1, 2))
    known = known_of(b"[" + one + b"]")
    body = b"[" + one + b"," + two + b"]"
    assert answer(b"[" + one + b"," + TWO + b"]", known).body == [{"id": 2}]
    assert refusal(body, known) == refusal(body, {})


@pytest.mark.parametrize(
    "odd",
    [
        ONE,
        b'{"id": 1, "name": "B"}',
        b'{"id": "1"}',
        b"17",
        b"{}",
        b'{"id": 2, "name": "a\\u0000b"}',
        b'{"id": 2, "name": "\\ud800"}',
        b'{"id": 2, "name": "' + b"x" * (MAX_TEXT_BYTES + 1) + b'"}',
    ],
)
def test_a_page_with_anything_out_of_order_is_read_as_a_whole(odd: bytes) -> None:
    """An id twice, whether known or new, and an item that cannot be kept: then all of it is decoded, as if nothing were known."""
    body = b"[" + b", ".join([TWO.replace(b"2", b"7"), ONE, odd]) + b"]"
    found, plain = answer(body, known_of(b"[" + ONE + b"]")), answer(body, {})
    assert found.body == plain.body
    assert found.doubtful == plain.doubtful
    assert found.slices is None or not found.slices.known


def test_what_is_no_array_of_json_is_not_cut() -> None:
    """An envelope is read, and so is what has no digest, without being asked for."""
    assert cut(b'{"items": []}') is None
    assert answer(b'{"items": []}', {}).slices is None
    empty = Unread(QUESTION, Received(204, {}, b""), 1).read(lambda _digest: None, dict)
    assert (empty.body, empty.slices) == (None, None)


def test_a_page_that_is_known_altogether_is_not_decoded() -> None:
    """The same records in another order are another page, with nothing in it to read."""
    known = known_of(b"[" + ONE + b"," + TWO + b"]")
    found = answer(b"[ " + TWO + b" ,\n" + ONE + b" ]", known)
    assert found.body == []
    assert found.slices is not None
    assert list(found.slices.known) == ["2", "1"]


def test_a_listing_of_tiime_comes_out_as_if_it_were_read(httpserver: HTTPServer) -> None:
    """Pages with records that came, went, changed, moved, came twice or cannot be kept: the same records, digests, faults and ends."""
    world = tiime_world(httpserver)
    dice = random.Random(7)
    clients = [{"id": number, "name": f"Client {number}", "country": {"id": 75, "code": "FR"}} for number in range(9)]
    odd: list[Any] = [{}, 5, {"id": 3, "name": "again"}, {"id": 99, "name": "a\0b"}, *clients[:2]]
    recalled = refused = 0
    for _ in range(60):
        old, new = ([dice.sample(clients, dice.randint(1, 6)) for _ in range(2)] for _ in range(2))
        new = [list(old[0]), new[1]] if dice.random() < 0.5 else new
        for page in new:
            if dice.random() < 0.4:
                page[dice.randrange(len(page))] = {**dice.choice(clients), "name": "changed"}
            if dice.random() < 0.3:
                page.insert(dice.randrange(len(page) + 1), dice.choice(odd))
        if dice.random() < 0.2:
            new.insert(1, list(new[0]))
        before, _ = listed(world, old, {})
        known = {page.number: {found: name for name, found in page.slices.items()} for page in before}
        whole, why = listed(world, new, {})
        part, why_part = listed(world, new, known)
        assert why_part == why
        assert [told(page) for page in part] == [told(page) for page in whole]
        for page, shown in zip(part, whole, strict=True):
            recalled += len(page.known)
            mine = {each.external_id: each for each in page.records}
            assert mine.keys().isdisjoint(page.known)
            assert {*mine, *page.known} == {each.external_id for each in shown.records}
            assert all(mine.get(each.external_id, each) == each for each in shown.records)
            if page.digest:
                assert page.slices == shown.slices
        refused += why is not None
    assert recalled > 40
    assert refused


def told(page: Page) -> tuple[Any, ...]:
    """What a page says beside its records."""
    return page.number, page.total, page.last, page.faults, page.digest, page.requests


def listed(
    world: TiimeWorld, bodies: list[list[Any]], known: Mapping[int, Mapping[bytes, str]]
) -> tuple[list[Page], str | None]:
    """The pages of a listing of these bodies, as far as it goes, and what ended it."""
    for number, body in enumerate(bodies, 1):
        content = json.dumps(body).encode()
        status = 200 if number == len(bodies) else 206
        world.system.answer(Instead(status, content), method="GET", path="/companies")
    pages: list[Page] = []
    seen: set[str] = set()
    records = {number: dict(found) for number, found in known.items()}
    try:
        for page in world.provider.pull(Recalling(nothing, records)):
            pages.append(page)
            seen.update(page.known, (each.external_id for each in page.records))
            for found in records.values():
                for name in [name for name, external_id in found.items() if external_id in seen]:
                    del found[name]
    except ProviderError as error:
        world.system.instead.clear()
        return pages, str(error)
    return pages, None
