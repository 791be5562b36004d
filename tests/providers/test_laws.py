"""The laws of translation, by property: for every provider and field that can be written.

put-get     what was written reads back as it was sent, modulo the system's projection
get-put     writing what was read changes nothing (modulo what the system moves by itself)
projection  is idempotent, and leaves unknown parts unknown
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from syncd.core.model import FIELDS, UNKNOWN, Kind, unit_of
from syncd.core.normalize import clean
from syncd.errors import Rejected
from syncd.providers import REGISTRY
from syncd.providers.memory import Profile, truncated, upper_cased
from tests.providers import test_contract as suites
from tests.providers.contract import Contract, agrees, changed_paths, flattened
from tests.providers.worlds import memory_world

NASTY = [
    "O'Brien & Søns <b>GmbH</b>",
    'quote " and \\ back',
    "percent %41 plus + equals = amp &x=1",
    "日本語 العربية עברית",
    "e\u0301 and é",
    "👩‍👩‍👧‍👦 family",
    "null",
    "true",
    "0",
    "00123",
    "=cmd|' /C calc'!A0",
    "line one line two",
    "\u202eright to left",
    "ß ẞ İ ı ﬁ",
    "a" * 200,
    "1/2 Main St",
    "12 bis, rue de l'Église, 3 ème étage",
    "-",
    "'",
    "[object Object]",
]

TEXT = st.sampled_from(NASTY) | st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co", "Zl", "Zp"]), min_size=1, max_size=60
)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: TEXT,
    Kind.EMAIL: st.sampled_from(["a@b.fr", "Ünï.Test+tag@Exämple.com", "O'Neil@b.co.uk", "a_b@b.museum", "A.B@B.FR"]),
    Kind.PHONE: st.sampled_from(
        ["01 42 60 00 01", "+48 22 111-22-33", "(514) 555-0100", "+33142600001", "0142600001 ext. 5"]
    ),
    Kind.COUNTRY: st.sampled_from(["FR", "PL", "CA", "BE", "GB", "US"]),
    Kind.REGISTRATION: st.sampled_from(["552 100 554", "55210055400013", "KVK 1234", "5260250274"]),
    Kind.VAT: st.sampled_from(["FR 83 404 833 048", "BE0403019261", "PL5260250274"]),
    Kind.CURRENCY: st.sampled_from(["EUR", "PLN", "CAD", "USD"]),
    Kind.DAYS: st.integers(0, 365),
    Kind.LANGUAGE: st.sampled_from(["fr", "fr-CA", "pl", "en-GB"]),
    Kind.HTML: TEXT | st.sampled_from(["<p>Hello<br>world</p>", "<p></p>", "<ul><li>x</li></ul>"]),
    Kind.FLAG: st.booleans(),
    Kind.CHOICE: st.sampled_from(["company", "person"]),
    Kind.IBAN: st.sampled_from(["FR76 3000 6000 0112 3456 7890 189"]),
    Kind.BIC: st.sampled_from(["AGRIFRPP"]),
}

LIMITED = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Shouting(suites.TestMemory):
    """A system that cuts names and shouts cities: the laws hold modulo its projection."""

    def make_world(self, server: HTTPServer) -> Any:
        return memory_world("shouting", Profile(forms={"name": truncated(12), "city": upper_cased}))


SUITES: list[type[Contract]] = [
    suites.TestMemory,
    Shouting,
    suites.TestLspExpert,
    suites.TestFlowtly,
    suites.TestSmartbills,
]


@pytest.fixture(params=SUITES, ids=lambda suite: suite.__name__)
def suite(request: pytest.FixtureRequest) -> Contract:
    made: Contract = request.param()
    return made


@pytest.fixture
def world(suite: Contract, httpserver: HTTPServer) -> Iterator[Any]:
    made = suite.make_world(httpserver)
    yield made
    made.provider.close()
    assert getattr(getattr(made, "system", None), "strays", []) == []


@st.composite
def one_change(draw: st.DrawFn, fields: list[str]) -> tuple[str, Any]:
    """A field and a value for it, in canonical form, or empty."""
    name = draw(st.sampled_from(fields))
    value = clean(FIELDS[name].kind, draw(VALUES[FIELDS[name].kind]))
    return name, None if value is UNKNOWN else value


def updatable(suite: Contract, world: Any) -> list[str]:
    return [name for name in suite.other if world.provider.fields[name].update]


def as_unit(name: str, value: Any) -> Any:
    return value if unit_of(name) == name != "name" else {name: value}


def test_put_get(suite: Contract, world: Any) -> None:
    """What was written reads back as it was sent, modulo projection; all other fields read as before."""
    external_id = world.add(**suite.sample)
    taken: list[bool] = []

    @LIMITED
    @given(one_change(updatable(suite, world)))
    def law(change: tuple[str, Any]) -> None:
        name, value = change
        if value is None and name in suite.not_clearable:
            return
        current = world.provider.fetch(external_id)
        before = world.provider.read(current, {})
        golden = {**before.fields, name: value}
        try:
            answer = world.provider.update(current, {name: value}, golden, before.memory)
        except Rejected:
            taken.append(False)
            assert world.provider.read(world.provider.fetch(external_id), before.memory).fields == before.fields
            return
        taken.append(True)
        after = world.provider.read(answer, before.memory)
        assert agrees(world.provider, unit_of(name), as_unit(name, value), as_unit(name, after.fields[name]), golden)
        others = before.fields.keys() - {name, "contacts"}
        assert {key: after.fields.get(key) for key in others} == {key: before.fields[key] for key in others}
        assert world.provider.read(world.provider.fetch(external_id), after.memory).fields == after.fields

    law()
    assert sum(taken) > len(taken) / 2


def test_get_put(suite: Contract, world: Any) -> None:
    """Whatever a person typed: writing what was read leaves the record as it is."""

    @LIMITED
    @given(st.lists(one_change([name for name in suite.other if name != "archived"]), max_size=4))
    def law(changes: list[tuple[str, Any]]) -> None:
        typed = {**suite.sample, **{name: value for name, value in changes if value is not None}}
        external_id = world.add(**typed)
        current = world.provider.fetch(external_id)
        before, reading = world.raw(external_id), world.provider.read(current, {})
        patch = {
            n: value for n, value in reading.fields.items() if world.provider.fields[n].update and value is not None
        }
        try:
            world.provider.update(current, patch, reading.fields, reading.memory)
        except Rejected:
            return
        moved = changed_paths(before, world.raw(external_id))
        same = {path for path in moved if not path.startswith(suite.volatile or ("\0",))}
        again = world.provider.read(world.provider.fetch(external_id), reading.memory)
        assert again.fields == reading.fields
        assert not {path for path in same if _differs(before, world.raw(external_id), path)}

    law()


def _differs(before: Any, after: Any, path: str) -> bool:
    """Whether two texts at a path differ by more than blanks and Unicode form, which `clean` evens out."""
    old, new = flattened(before).get(path), flattened(after).get(path)
    return clean(Kind.TEXT, old) != clean(Kind.TEXT, new)


def test_projection(suite: Contract, world: Any) -> None:
    """Projecting twice is projecting once; a projection changes nothing it was given and adds no parts."""

    @settings(LIMITED, max_examples=60)
    @given(st.data())
    def law(data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from([n for n in FIELDS if FIELDS[n].kind in VALUES]), min_size=1))
        unit = unit_of(names[0])
        parts = {n: data.draw(VALUES[FIELDS[n].kind] | st.none()) for n in names if unit_of(n) == unit}
        value = parts if unit in ("name", "address") else parts[names[0]]
        given_before = deepcopy(value)
        once = world.provider.project(unit, value, {})
        assert value == given_before
        assert world.provider.project(unit, once, {}) == once
        empty = world.provider.project(unit, None, {})
        assert empty in (None, False)
        assert world.provider.project(unit, empty, {}) == empty
        if unit == "address":
            assert set(once) <= set(value)

    law()


def test_every_provider_is_under_the_laws() -> None:
    """The laws are tested for each registered provider that can update: for all but Tiime."""
    assert {suite.name for suite in SUITES} == set(REGISTRY) - {"tiime"}
