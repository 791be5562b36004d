"""A released set of deletes counts for each of its records until that one is believed to be gone, or is there again; and no longer."""

from __future__ import annotations

from pathlib import Path

from syncd.core.model import Brake, BrakeKind
from syncd.errors import Gone
from syncd.providers.memory import Call, World
from tests.engine.rig import Rig, make_rig


def five_in_two(folder: Path) -> Rig:
    """Five clients in two systems; every delete is asked about."""
    rig = make_rig(folder, ("a", "b"), brakes={BrakeKind.DELETES: Brake(0, 0.0)})
    for name in ("Alpha SARL", "Bravo SARL", "Charlie SARL", "Delta SARL", "Echo SARL"):
        rig.worlds["a"].add(name=name)
    rig.settle()
    return rig


def lead_elsewhere(world: World) -> str:
    """From now on the id 2 leads to a record that cannot be read; its id."""
    new = world.add(name="Cordonnerie Petit", x_note="\x00")

    def redirect(call: Call) -> None:
        if call.action == "fetch" and call.external_id == "2":
            message = "a: moved"
            raise Gone(message, external_id="2", moved_to=new, status=301)

    world.before.append(redirect)
    return new


def test_a_release_counts_for_who_waits_until_another_record_can_be_read(tmp_path: Path) -> None:
    """A released delete whose old id begins to lead to a record that was never read is waited for, and not asked about again when that vanishes."""
    rig = five_in_two(tmp_path)
    world = rig.worlds["a"]
    world.remove("1")
    world.remove("2")
    for _ in range(3):
        rig.cycle()
    (hold,) = rig.holds()
    assert [item["external_id"] for item in hold.items] == ["1", "2"]
    new = lead_elsewhere(world)
    rig.operate().release(hold.hold)
    for _ in range(3):
        rig.cycle()
    assert [rig.worlds["b"].record(each)["archived"] for each in ("1", "2")] == [True, False]
    world.remove(new)
    for _ in range(3):
        rig.cycle()
    assert rig.holds() == []
    assert [rig.worlds["b"].record(each)["archived"] for each in ("1", "2")] == [True, True]


def test_a_release_does_not_count_for_who_came_back_beside_one_that_waits(tmp_path: Path) -> None:
    """Of a released set whose first record is waited for, the other one was there again: deleted later, it is asked about anew."""
    rig = five_in_two(tmp_path)
    world = rig.worlds["a"]
    world.remove("2")
    before = world.snapshot()
    world.remove("1")
    for _ in range(3):
        rig.cycle()
    (hold,) = rig.holds()
    world.restore(before)  # the first one is there again
    lead_elsewhere(world)
    rig.operate().release(hold.hold)
    for _ in range(2):
        rig.cycle()
    world.remove("1")
    for _ in range(3):
        rig.cycle()
    (again,) = rig.holds()
    assert [item["external_id"] for item in again.items] == ["1"]
    assert [rig.worlds["b"].record(each)["archived"] for each in ("1", "2")] == [False, False]
