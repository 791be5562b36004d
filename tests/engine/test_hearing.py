"""A unit at rest is decided without a merge, and comes out as the merge would have decided it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core import normalize
from syncd.core.merge import Decision, Move, Outcome, merge
from syncd.core.model import UNKNOWN, Context, FieldPolicy, Maybe, Policy, Rule, SystemPolicy, Value, unit_fields
from syncd.engine.hearing import at_rest
from syncd.engine.systems import System
from syncd.providers import ABSENT, FieldSpec, Settings
from syncd.providers.memory import EVERY_FIELD, Memory, Profile, forget, world
from syncd.store import Base, LinkRow, RecordRow

AT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("whole", "short", "weak", "silent")
POLICY = Policy(
    "rest",
    tuple(SystemPolicy(name, "memory") for name in NAMES),
    {"email": FieldPolicy(Rule.ORDER, ("short",)), "details": FieldPolicy(Rule.FILL)},
    Context("FR", "fr-FR"),
)
POOLS: dict[str, tuple[Value, ...]] = {
    "email": ("ann@example.org", "ANN@example.org", "bob@example.org", None),
    "details": ("asks for two copies", "asks", None),
    "archived": (True, False, None),
    "marketing_consent": (True, False, None),
    "phone": ("01 40 00 00 00", "+33140000000", None),
    "name": (
        {"name": "Ann Lee", "given_name": "Ann", "family_name": "Lee"},
        {"name": "Ann Lee"},
        {"name": "Bob"},
        None,
    ),
    "address": (
        {"address_line1": "1 rue", "city": "Paris", "country": "FR"},
        {"address_line1": "1 rue", "city": "Paris"},
        {"address_line1": "2 rue", "city": None},
        None,
    ),
}


def short(value: Value) -> Value:
    return value[:6] if isinstance(value, str) else value


def system(name: str) -> System:
    """An in-memory system: one keeps all, one cuts e-mails and notes, one's word is weak, one does not know these fields."""
    profiles = {
        "short": Profile(forms={"email": short, "details": short}),
        "weak": Profile(specs={**EVERY_FIELD, **{field: FieldSpec(read=True, weak=True) for field in EVERY_FIELD}}),
        "silent": Profile(specs={**EVERY_FIELD, "email": ABSENT, "phone": ABSENT}),
    }
    forget(f"rest-{name}")
    world(f"rest-{name}", profiles.get(name))
    provider = Memory(Settings(name, "memory", options={"world": f"rest-{name}"}))
    return System(POLICY.system(name), provider, POLICY.context)


SYSTEMS = {name: system(name) for name in NAMES}


def side(name: str, unit: str, shown: Maybe, base: Base | None) -> tuple[System, LinkRow, RecordRow]:
    fields = {} if shown is UNKNOWN else unit_fields(unit, shown)
    record = RecordRow(name, f"{name}-1", {}, None, fields, {}, "", None, AT, AT, AT, AT)
    return SYSTEMS[name], LinkRow(name, f"{name}-1", "c1", AT, bases={} if base is None else {unit: base}), record


def merged(unit: str, golden: Value, heard: list[tuple[System, LinkRow, RecordRow]], origin: str | None) -> Decision:
    held = unit_fields(unit, golden)
    return merge(
        unit,
        golden,
        [each.side(unit, held, link, record, POLICY) for each, link, record in heard],
        POLICY.field(unit),
        equal=lambda left, right: normalize.same(unit, left, right, POLICY.context),
        origin=origin,
    )


@st.composite
def clients(draw: st.DrawFn) -> dict[str, Any]:
    """A unit of a client whose systems are mostly at rest."""
    unit = draw(st.sampled_from(sorted(POOLS)))
    values = st.sampled_from(POOLS[unit])
    golden = draw(values)
    heard = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        shown = draw(values | st.just(UNKNOWN))
        base = Base(seen=shown, agreed=golden)
        if draw(st.integers(0, 5)) == 0:
            base = replace(base, seen=draw(values | st.just(UNKNOWN)))
        if draw(st.integers(0, 5)) == 0:
            base = replace(base, agreed=draw(values | st.just(UNKNOWN)))
        heard.append(side(name, unit, shown, base if draw(st.integers(0, 7)) else None))
    return {"unit": unit, "golden": golden, "heard": heard, "origin": draw(st.sampled_from((None, *NAMES)))}


@given(clients())
def test_a_unit_at_rest_comes_out_as_the_merge_decides_it(client: dict[str, Any]) -> None:
    """Whatever systems show, keep and agreed to: where it is told without a merge, a merge tells the same."""
    found = at_rest(client["unit"], client["golden"], client["heard"], POLICY)
    if found is not None:
        assert found == merged(**client)


def test_what_everybody_agreed_to_is_at_rest() -> None:
    """Three systems, one of which keeps a short form: nothing moves and nothing is written; the one without the field has no part in it."""
    golden = "ann@example.org"
    heard = [
        side("whole", "email", golden, Base(golden, golden)),
        side("short", "email", "ann@ex", Base("ann@ex", golden)),
        side("silent", "email", UNKNOWN, None),
    ]
    found = at_rest("email", golden, heard, POLICY)
    assert found is not None
    assert found.outcome is Outcome.SETTLED
    assert [(each.system, each.move, each.write) for each in found.sides] == [
        ("short", Move.STAY, False),
        ("whole", Move.STAY, False),
    ]


@pytest.mark.parametrize(
    "base",
    [Base("bob@example.org", "ann@example.org"), Base("ann@example.org", "bob@example.org"), Base(agreed=None), None],
)
def test_an_edit_is_not_at_rest(base: Base | None) -> None:
    """A record that changed, a golden record that moved, and a first sight are for the merge."""
    heard = [side("whole", "email", "ann@example.org", base)]
    assert at_rest("email", "ann@example.org", heard, POLICY) is None
