"""Who was erased is in no byte of the store, and does not come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.model import Timing
from syncd.engine.erasing import Erased, erase
from syncd.errors import UnknownOutcome, UsageError
from syncd.providers.memory import Call, World
from syncd.store import ClientState
from tests.engine.rig import Rig, make_rig
from tests.engine.test_trail import assert_complete

CANARY = "Zebedee"


def erased(rig: Rig, client: str = "c1") -> Erased:
    store = rig.store()
    with store.hold_lock():
        done = erase(store, client, rig.policy.context, actor="tester", clock=rig.clock)
        store.scrub()
    store.close()
    return done


def known(rig: Rig) -> list[str]:
    return [row.client for row in rig.clients() if row.state is not ClientState.DELETED]


def shown(world: World) -> list[object]:
    return [world.record(each) for each in world.ids()]


def lived(folder: Path) -> Rig:
    """Two clients in three systems after edits and a conflict; the first one bears the canary everywhere."""
    rig = make_rig(folder)
    rig.worlds["a"].add(name=f"{CANARY} Quill", email=f"{CANARY}@example.fr", phone="+33123456789")
    rig.worlds["b"].add(name=f"{CANARY} Quill", email=f"{CANARY}@example.fr", city="Lyon", country="FR")
    rig.worlds["a"].add(name="Other Client", email="other@example.fr")
    rig.settle()
    rig.worlds["a"].edit("1", name=f"{CANARY} Quill the First")
    rig.worlds["b"].edit("1", name=f"{CANARY} Quill the Second")
    rig.settle()
    return rig


def test_no_byte_of_an_erased_client_is_left(tmp_path: Path) -> None:
    """After an erasure the state folder holds the name nowhere, and the systems that still hold the person are told."""
    rig = lived(tmp_path)
    assert any(CANARY.encode() in path.read_bytes() for path in tmp_path.iterdir())
    done = erased(rig)
    assert done.clients == ("c1",)
    assert {system for system, _ in done.still_in} == {"a", "b", "c"}
    assert CANARY in "".join(done.texts)
    assert [path for path in tmp_path.iterdir() if CANARY.encode() in path.read_bytes()] == []
    assert_complete(rig)


def test_a_listed_record_does_not_come_back(tmp_path: Path) -> None:
    """Records that systems still list, also under a new id or edited, make no client, and nothing is written because of them."""
    rig = lived(tmp_path)
    erased(rig)
    before = {name: shown(world) for name, world in rig.worlds.items()}
    for _ in range(3):
        rig.cycle()
    assert known(rig) == ["c2"]
    assert {name: shown(world) for name, world in rig.worlds.items()} == before
    rig.worlds["a"].edit("1", name=f"{CANARY} once more", email="new@example.fr")
    rig.worlds["c"].add(name=f"{CANARY} again", email=f"{CANARY}@example.fr".lower())
    rig.cycle()
    rig.worlds["c"].edit("3", email="elsewhere@example.fr")
    rig.settle()
    assert known(rig) == ["c2"]
    assert [path for path in tmp_path.iterdir() if CANARY.encode() in path.read_bytes()] == []
    assert_complete(rig)


def test_another_client_keeps_what_it_shares(tmp_path: Path) -> None:
    """An e-mail of somebody who was erased may become another client's: the record that syncd makes for it is not lost from sight."""
    rig = lived(tmp_path)
    erased(rig)
    with_email = tuple(
        replace(each, only=lambda fields: bool(fields.get("email"))) if each.name == "b" else each
        for each in rig.systems
    )
    rig.change_policy(systems=with_email)
    rig.worlds["a"].add(name="Third Client")
    rig.settle()
    assert [len(world.ids()) for world in rig.worlds.values()] == [3, 2, 3]
    rig.worlds["a"].edit("3", email=f"{CANARY}@example.fr")
    rig.settle()
    for _ in range(2):
        rig.cycle()
    assert known(rig) == ["c2", "c4"]
    assert [len(world.ids()) for world in rig.worlds.values()] == [3, 3, 3]


def test_whom_a_merge_swallowed_goes_too(tmp_path: Path) -> None:
    """Erasing a survivor erases the clients that became its aliases, by any of their ids; a second time changes nothing."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="Jean Dupont", kind="person", email="jean@dupont.fr", phone="+33123456789")
    rig.worlds["b"].add(name="Jean Dupond", kind="person", phone="+33123456789", postal_code="75001", country="FR")
    rig.settle()
    for hold in rig.holds():
        rig.operate().release(hold.hold)
    rig.settle()
    done = erased(rig, "c2")
    assert done.clients == ("c1", "c2")
    assert known(rig) == []
    assert_complete(rig)
    again = erased(rig, "c1")
    assert (again.records, again.still_in) == ((), ())
    rig.settle()
    assert known(rig) == []
    assert_complete(rig)


def test_a_record_that_may_show_up_unknown_is_waited_for(tmp_path: Path) -> None:
    """A create that was never answered, of somebody without e-mail and number: erased is who is known again, and comes back nowhere."""
    rig = make_rig(tmp_path, ("a", "b"), timing=Timing(60.0, 0.0, 0.0, 0.0))
    lost: list[Call] = []

    def lose(call: Call) -> None:
        if call.action == "create" and not lost:
            lost.append(call)
            raise UnknownOutcome("the answer was lost")

    rig.worlds["b"].after.append(lose)
    rig.worlds["a"].add(name="ACME Europe", phone="+33142685300")
    rig.cycle()
    with pytest.raises(UsageError, match="not known yet"):
        erased(rig)
    rig.wait(60)
    rig.settle()
    erased(rig)
    rig.settle()
    assert [row.fields for row in rig.clients()] == [{}]
    assert [world.ids() for world in rig.worlds.values()] == [["1"], ["1"]]
