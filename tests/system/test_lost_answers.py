"""Writes whose answer is lost, late or nonsense, in every family and phase: each effect happens once, and nobody has to help."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.conftest import LONG
from tests.system.judge import judge
from tests.system.place import PROVIDER, Place
from tests.system.scenarios import creates, edits

FAMILIES: dict[str, dict[str, Any]] = {
    "500": {"effect": "status", "status": 500},
    "503": {"effect": "status", "status": 503, "retry_after": 1},
    "408": {"effect": "status", "status": 408},
    "429": {"effect": "status", "status": 429, "retry_after": 1},
    "reset": {"effect": "reset"},
    "close": {"effect": "close"},
    "html": {"effect": "html"},
    "empty": {"effect": "empty"},
    "redirect": {"effect": "redirect"},
    "error-200": {"effect": "error_200"},
    "stall": {"effect": "stall", "seconds": 1.5},
}
PHASES = ("before_commit", "after_commit", "mid_answer", "late_commit")
POINTS = [
    (family, phase)
    for family in FAMILIES
    for phase in PHASES
    if not (phase == "mid_answer" and family not in ("reset", "close", "stall"))
    and not (phase == "late_commit" and family == "stall")
    and not (phase in ("after_commit", "late_commit") and family == "429")
]
QUICK = (("reset", "after_commit"), ("close", "mid_answer"), ("503", "late_commit"), ("error-200", "after_commit"))


@pytest.mark.parametrize("family, phase", POINTS if LONG else QUICK)
def test_an_answer_that_never_comes(place: Place, family: str, phase: str):
    """The first write of each system is struck, an edit and a create alike; in the end everything is there, and once."""
    place.configure(timing={"create_settle": "2s"}, more={f"systems.{name}": {"timeout": "1s"} for name in PROVIDER})
    for provider in PROVIDER.values():
        for method in ("POST", "PUT", "PATCH"):
            rule = {**FAMILIES[family], "phase": phase, "delay": 0.4, "method": method, "provider": provider}
            place.sandbox.fault(**rule, path="^/(clients|customers|companies|client-contacts)")
    look = place.look()
    creates(place, look)
    edits(place, look)
    place.sync("--wait", "20s", "--cycles", "15", code=None)
    assert place.sandbox.settle()
    place.sandbox.clear_faults()
    place.sync("--wait", "20s", "--cycles", "15")
    assert judge(place, quiet=LONG) == []
