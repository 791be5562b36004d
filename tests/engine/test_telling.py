"""What is told of a client that stands as it should."""

from __future__ import annotations

from pathlib import Path

from syncd import report
from syncd.providers.memory import Call
from syncd.report.trace import why
from tests.engine.rig import make_rig


def test_a_systems_own_default_is_not_told_as_a_difference(tmp_path: Path) -> None:
    """What a system shows of itself beside an empty golden value is its default, and no difference, as long as nobody edits it."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="Garage Petit")

    def fill_in(call: Call) -> None:
        if call.action == "create":
            rig.worlds["b"].edit("1", currency="EUR")

    rig.worlds["b"].after.append(fill_in)
    rig.settle()
    with rig.engine() as engine:
        told = report.show(engine.store, "rig", "c1", engine.systems)
        traced = why(engine.store, "rig", "c1", "currency", engine.systems)
    assert told is not None
    assert {row["state"] for row in told["standings"]} == {"in_sync"}
    assert [side["marks"].get("currency") for side in told["sides"]] == ["equal", "default"]
    assert traced is not None
    (entry,) = traced["fields"]
    assert [side["agreement"] for side in entry["systems"]] == ["equal", "default"]
    rig.worlds["b"].edit("1", currency="CHF")
    rig.settle()
    with rig.engine() as engine:
        told = report.show(engine.store, "rig", "c1", engine.systems)
    assert told is not None
    assert [side["marks"]["currency"] for side in told["sides"]] == ["equal", "equal"]
