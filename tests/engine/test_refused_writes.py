"""Writes that a system refuses because another of its records has the value: what the row, the log and the proposal tell."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from syncd import log
from syncd.engine.push import ATTEMPTS_MAX
from syncd.errors import Duplicate, Transient
from syncd.providers.memory import Call, Profile
from syncd.store import WriteState
from tests.engine.rig import Rig, make_rig, writes

ONE_EMAIL = {"b": Profile(unique=frozenset({"email"}))}


def logged(rig: Rig, cycles: int = 1) -> list[dict[str, Any]]:
    """The lines of some cycles."""
    stream = io.StringIO()
    log.configure("info", "json", stream=stream)
    try:
        for _ in range(cycles):
            rig.cycle()
    finally:
        log.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_row_and_log_tell_the_same_next_step(tmp_path: Path) -> None:
    """A parked write has a next step of its own, and the line of the log tells that one."""
    rig = make_rig(tmp_path, ("a", "b"), profiles=ONE_EMAIL)
    for name in ("Boulangerie Durand", "Garage Petit"):
        rig.worlds["a"].add(name=name, email="office@shared.example")
    rig.cycle()
    rig.operate().apart("c1", "c2")
    [failed] = [line for line in logged(rig, 4) if line["event"] == "write_failed" and line["state"] == "parked"]
    [parked] = rig.writes(WriteState.PARKED)
    assert parked.error is not None
    assert "kept apart" in parked.error["next"]
    assert failed["next"] == parked.error["next"]


def test_a_refused_change_is_not_told_as_a_create(tmp_path: Path) -> None:
    """A proposal that came of a change says which record was to be changed, and which one has the value."""
    rig = make_rig(tmp_path, ("a", "b"), profiles=ONE_EMAIL)
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.worlds["a"].add(name="Garage Petit", email="g@petit.example")
    rig.settle()
    rig.worlds["a"].edit("2", email="b@durand.example")
    rig.cycle()
    [hold] = rig.holds()
    assert hold.reason == "b refused to change record 2: its record 1 has such a value already"
    rig.settle()
    assert [each.hold for each in rig.holds()] == [hold.hold]
    [parked] = rig.writes(WriteState.PARKED)
    assert parked.error is not None
    assert "link proposal" in parked.error["next"]


def test_a_refused_proposal_about_an_unknown_record_is_asked_once(tmp_path: Path) -> None:
    """Where a system names a record that it lists nowhere, a person's refusal is remembered: the create is parked, and nothing asks again."""
    rig = make_rig(tmp_path, ("a", "b"), profiles=ONE_EMAIL)

    def refuse(call: Call) -> None:
        if call.action == "create":
            message = "taken"
            raise Duplicate(message, existing_id="99", status=409)

    rig.worlds["b"].before.append(refuse)
    rig.worlds["a"].add(name="Boulangerie Durand", email="b@durand.example")
    rig.cycle()
    [hold] = rig.holds()
    assert hold.reason == "b refused to create the client: its record 99 is there already"
    rig.operate().refuse(hold.hold)
    for _ in range(3):
        rig.cycle()
    assert rig.holds() == []
    [parked] = rig.writes(WriteState.PARKED)
    assert parked.error is not None
    assert hold.hold in parked.error["next"]
    assert writes(rig.cycle()) == 0


def test_what_never_came_through_is_not_said_to_be_tried_again(tmp_path: Path) -> None:
    """After the last attempt a write is parked, and its next step is a person's."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="Garage Petit")

    def fail(call: Call) -> None:
        if call.action == "create":
            message = "not today"
            raise Transient(message)

    rig.worlds["b"].before.append(fail)
    rig.step_seconds = 4000.0
    for _ in range(ATTEMPTS_MAX + 1):
        rig.cycle()
    [parked] = rig.writes(WriteState.PARKED)
    assert parked.error is not None
    assert f"`syncd retry {parked.write}`" in parked.error["next"]
