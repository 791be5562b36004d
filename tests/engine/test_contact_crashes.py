"""Edits of contacts and notes, killed at every commit and at every call: what is left goes on to the same end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.engine.scene import SYSTEMS, Scene

ANNA = {"given_name": "Anna", "family_name": "Kern", "email": "anna@acme.example", "phone": "+33142600001"}
BOB = {"given_name": "Bob", "family_name": "Roy", "phone": "+33142600002"}
NAMED_ONLY = {"given_name": "Léa", "family_name": "Sol"}


def in_sync() -> Scene:
    """One client with one contact and one note, the same in three systems."""
    scene = Scene()
    scene.begin()
    scene.world("a").add(name="ACME", registration_number="552100554", contacts=[dict(ANNA)], notes=["first"])
    scene.settle()
    scene.points = 0
    return scene.copy()


def parts(scene: Scene, system: str) -> list[dict[str, Any]]:
    """The contacts of a world without their ids."""
    listed: Any = scene.world(system).record("1")["contacts"] or []
    return sorted(({k: v for k, v in each.items() if k != "id"} for each in listed), key=str)


def once(scene: Scene, system: str, sign: str, act: Callable[[Any], dict[str, Any]]) -> None:
    """A person's edit, which is not made again after a kill: `sign` is in the record afterwards."""
    record: Any = scene.world(system).record("1")
    if sign not in str(record):
        scene.world(system).edit("1", **act(record))


def edits(scene: Scene) -> None:
    """A contact with a phone is added in one system and one with a name only in another, one is changed, and notes are added."""
    once(
        scene,
        "a",
        "Bob",
        lambda record: {"contacts": [*record["contacts"], dict(BOB)], "notes": [*record["notes"], "here"]},
    )
    once(
        scene,
        "b",
        "Léa",
        lambda record: {
            "contacts": [
                {**each, "title": "CEO"} if each["family_name"] == "Kern" else each for each in record["contacts"]
            ]
            + [dict(NAMED_ONLY)],
            "notes": [*record["notes"], "there"],
        },
    )


def test_edits_of_contacts_killed_anywhere_end_alike() -> None:
    """Killed before or after every commit and call, no contact or note is lost or doubled, and all systems show the same."""
    start = in_sync()
    calm = start.again()
    number = calm.run(edits)
    expected = {name: parts(calm, name) for name in SYSTEMS}
    assert expected["a"] == expected["b"] == expected["c"]
    assert len(expected["a"]) == 3
    for die_at in range(1, number + 1):
        scene = start.again(die_at)
        scene.run(edits)
        for name in SYSTEMS:
            assert parts(scene, name) == expected[name], (die_at, name)
            notes: Any = scene.world(name).record("1")["notes"]
            assert sorted(each["text"] for each in notes) == ["first", "here", "there"], (die_at, name)
        assert scene.end()["open"] == [], die_at
        assert scene.end()["conflicts"] == [], die_at
