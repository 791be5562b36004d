"""A merge and an unmerge, killed at every commit and at every call of every system: what is left goes on to the same end."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from syncd.providers import Capabilities
from syncd.providers.memory import EVERY_FIELD, Profile
from syncd.store import MergeState
from tests.engine.scene import Scene


def two_clients(profiles: Mapping[str, Profile]) -> Scene:
    scene = Scene(profiles=profiles)
    scene.begin()
    scene.world("a").add(name="ACME Europe", email="hello@acme.example", phone="+33123456789")
    scene.world("b").add(name="Boulangerie Durand", email="b@durand.example", city="Lyon", country="FR")
    scene.settle()
    scene.points = 0
    return scene


def merge(scene: Scene) -> None:
    with scene.store().reading() as tx:
        done = tx.merges()
    if not done:
        scene.operate().merge("c1", "c2")


def unmerge(scene: Scene) -> None:
    with scene.store().reading() as tx:
        done = tx.merges(MergeState.UNDONE)
    if not done:
        scene.operate().unmerge("c1")


ABLE = Capabilities(create=True, update=True, archive=True, restore=True, account=True)
PROFILES: Mapping[str, Mapping[str, Profile]] = {
    "all archive": {},
    "one cannot archive, one merges by itself": {
        "b": Profile(
            specs={**EVERY_FIELD, "archived": EVERY_FIELD["archived"].__class__()},
            capabilities=Capabilities(create=True, update=True, account=True),
        ),
        "c": Profile(capabilities=Capabilities(create=True, update=True, archive=True, account=True, merge=True)),
    },
}


@pytest.mark.parametrize("profiles", PROFILES.values(), ids=PROFILES.keys())
def test_a_merge_killed_anywhere_ends_as_if_it_had_not_been(profiles: Mapping[str, Profile]) -> None:
    """Killed before or after every commit and call, a merge resumes and leaves systems and store as a merge without a kill."""
    start = two_clients(profiles).copy()
    calm = start.again()
    number = calm.run(merge)
    expected = calm.end()
    assert expected["merges"] == [("c1", ["c2"], MergeState.DONE)]
    assert number > 40
    for die_at in range(1, number + 1):
        scene = start.again(die_at)
        scene.run(merge)
        assert scene.end() == expected, die_at


def test_an_unmerge_killed_anywhere_ends_as_if_it_had_not_been() -> None:
    """Killed before or after every commit and call, taking a merge back resumes and restores what it restores without a kill."""
    start = two_clients({})
    begun = {key: value for key, value in start.end().items() if key in ("records", "links")}
    merge(start)
    start.settle()
    start = start.copy()
    calm = start.again()
    number = calm.run(unmerge)
    expected = calm.end()
    assert {key: expected[key] for key in begun} == begun
    for die_at in range(1, number + 1):
        scene = start.again(die_at)
        scene.run(unmerge)
        assert scene.end() == expected, die_at
