"""One id runs from the poll to the read-back: the cycle is on every line, in whatever thread it was written."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd import log
from syncd.errors import Unauthorised
from tests.engine.rig import make_rig


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes."""
    made = io.StringIO()
    log.configure("debug", "json", stream=made, strict=True)
    yield made
    log.close()


def lines(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_cycle_is_on_every_line(tmp_path: Path, stream: io.StringIO) -> None:
    """Walks, links, conflicts, writes and the end of a cycle bear its id, and a write its own from sending to read-back."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example")
    report = rig.cycle()
    told = lines(stream)
    assert {line["event"] for line in told} >= {
        "walk_ended",
        "records_linked",
        "write_sending",
        "write_done",
        "cycle_ended",
    }
    assert {line.get("cycle") for line in told} == {report.cycle}
    sent = {line["write"]: line["client"] for line in told if line["event"] == "write_sending"}
    done = {line["write"]: line["client"] for line in told if line["event"] == "write_done"}
    assert sent == done
    assert len(sent) == 2


def test_a_pause_is_told_once(tmp_path: Path, stream: io.StringIO) -> None:
    """Refused credentials make one alert with code, cause and next step, and one line when the system is worked with again."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example")
    rig.cycle()

    def refuse(_call: object) -> None:
        message = "b: list: the credentials were refused"
        raise Unauthorised(message)

    rig.worlds["b"].before = [refuse]
    rig.cycle()
    rig.cycle()
    rig.worlds["b"].before = []
    rig.cycle()
    told = [line for line in lines(stream) if line["event"] in ("system_paused", "system_resumed")]
    assert [(line["event"], line.get("code")) for line in told] == [
        ("system_paused", "unauthorised"),
        ("system_resumed", None),
    ]
