"""The data lint tells what a mapping would do to the clients that are there, before it does."""

from __future__ import annotations

from pathlib import Path

from syncd.engine.linting import clocks, lint
from syncd.providers.memory import Profile, truncated
from tests.engine.rig import make_rig


def test_what_would_be_cut_unfit_and_shared(tmp_path: Path) -> None:
    """Values longer than a system holds, clients it refuses and e-mails of many are counted per system and field; the rest is silent."""
    short = Profile(
        forms={"name": truncated(10), "city": truncated(5)},
        objects=lambda golden: "needs an e-mail" if not golden.get("email") else None,
    )
    rig = make_rig(tmp_path, ("a", "b"), profiles={"b": short})
    for number in range(5):
        rig.worlds["a"].add(name=f"A rather long name {number}", email="all@example.fr", city="Bordeaux", country="FR")
    rig.worlds["a"].add(name="Short", email="one@example.fr", city="Lyon")
    rig.worlds["a"].add(name="Nomail")
    with rig.engine() as engine:
        engine.cycle()
        found = lint(engine.store, engine.systems)
    told = {(each.system, each.code): each for each in found}
    assert "would cut 5 values of name" in next(
        each.message for each in found if each.code == "cut" and "name" in each.message
    )
    assert "would cut 5 values of address" in next(
        each.message for each in found if each.code == "cut" and "address" in each.message
    )
    assert {each.system for each in found if each.code == "cut"} == {"b"}
    assert "shared by more than 3 clients (the most common by 5)" in told[None, "shared"].message
    assert all(each.level == "warning" for each in found)
    assert "1 clients cannot be created there: needs an e-mail" in told["b", "unfit"].message


def test_clocks_that_differ_are_told() -> None:
    """More than a minute either way is told with its direction; less, or nothing known, is not."""
    found = clocks({"a": 120.0, "b": -61.4, "c": 59.0, "d": None})
    assert [(each.system, each.message) for each in found] == [
        ("a", "this machine's clock is 120 s ahead of the system's"),
        ("b", "this machine's clock is 61 s behind the system's"),
    ]
