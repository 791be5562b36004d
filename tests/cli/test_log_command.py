"""`syncd log`: filters, rotation, following."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from syncd.log import reading
from tests.cli.place import Place


def line(at: str, event: str, level: str = "info", **more: object) -> str:
    return json.dumps({"at": at, "level": level, "event": event, "logger": "syncd", **more}) + "\n"


@pytest.fixture
def logged(place: Place) -> Place:
    """Two rotated files and the one being written."""
    folder = place.root / "state" / "log"
    folder.mkdir(parents=True)
    (folder / "syncd.jsonl.2").write_text(line("2025-11-19T08:00:00Z", "cycle_ended", tenant="acme", cycle="y1"))
    (folder / "syncd.jsonl.1").write_text(
        line("2025-11-20T08:00:00Z", "write_done", tenant="acme", system="crm", cycle="y2", client="c7")
    )
    (folder / "syncd.jsonl").write_text(
        line("2025-11-21T08:00:00Z", "cycle_failed", "error", tenant="zeta", cycle="y1", cause="x" * 300) + '{"half'
    )
    return place


def events(place: Place, *words: str) -> list[str]:
    return [json.loads(text)["event"] for text in place.run("log", *words, "--json").stdout.splitlines()]


def test_oldest_line_first(logged: Place) -> None:
    """Rotated files come before the current one; a line that is no JSON is left out and counted on stderr."""
    assert events(logged) == ["cycle_ended", "write_done", "cycle_failed"]
    assert "1 line could not be read" in logged.run("log").stderr


@pytest.mark.parametrize(
    "words, found",
    [
        (["--tenant", "zeta"], ["cycle_failed"]),
        (["--system", "crm"], ["write_done"]),
        (["--client", "c7"], ["write_done"]),
        (["--level", "warning"], ["cycle_failed"]),
        (["--event", "cycle_ended"], ["cycle_ended"]),
        (["--cycle", "y1"], ["cycle_ended", "cycle_failed"]),
        (["--cycle", "y1", "--tenant", "acme"], ["cycle_ended"]),
        (["--since", "2025-11-20T00:00"], ["write_done", "cycle_failed"]),
        (["--since", "2025-11-21T09:00:00+01:00"], ["cycle_failed"]),
        (["--since", "1s"], []),
    ],
)
def test_filters(logged: Place, words: list[str], found: list[str]) -> None:
    """Each filter lets only its lines through, and several are combined."""
    assert events(logged, *words) == found


def test_lines_for_people(logged: Place) -> None:
    """In text each line fits into 100 columns and names time, level, tenant and event; one endless word is cut."""
    lines = logged.run("log").stdout.splitlines()
    assert len(lines) == 4
    assert lines[3].startswith("    cause=xxx")
    assert all(len(text) <= 100 for text in lines)
    assert lines[1].startswith("2025-11-20 08:00:00 info")
    assert "acme/crm write_done" in lines[1]


def test_what_is_long_goes_on_below(logged: Place) -> None:
    """A line of more than 100 columns is told whole, indented below: the id of its write is never cut off."""
    line = {"at": "2025-11-21T08:00:00Z", "level": "info", "event": "write_sending", "tenant": "acme", "system": "crm"}
    line |= {"fields": "address_line1,city,country,currency,name,postal_code,registration_number", "write": "w12"}
    with (logged.root / "state" / "log" / "syncd.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps(line) + "\n")
    told = logged.run("log", "--event", "write_sending").stdout.splitlines()
    assert [len(text) <= 100 for text in told] == [True, True]
    assert told[1] == f"    fields={line['fields']} write=w12"


def test_wrong_words(logged: Place) -> None:
    """An event that does not exist and a time that is none are wrong usage."""
    assert "The events are" in logged.run("log", "--event", "nonsense", exit_code=2).stderr
    assert "30m" in logged.run("log", "--since", "yesterday", exit_code=2).stderr


def test_no_log_file(place: Place) -> None:
    """Where no file is kept, that is said."""
    (place.folder / "syncd.toml").write_text('[log]\nfile = ""\n')
    assert "log.file" in place.run("log", exit_code=2).stderr


def test_following_a_file_through_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines written later are told when they are complete, also after the file was rotated."""
    monkeypatch.setattr(reading, "POLL_SECONDS", 0.01)
    path = tmp_path / "syncd.jsonl"
    path.write_text("one\n")
    seen: list[str] = []
    told = threading.Condition()

    def follow() -> None:
        for text in reading.lines(path, follow=True):
            with told:
                seen.append(text.strip())
                told.notify_all()
            if text.startswith("four"):
                return

    def wait_for(number: int) -> None:
        with told:
            assert told.wait_for(lambda: len(seen) >= number, timeout=10), seen

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    wait_for(1)
    with path.open("a") as file:
        file.write("tw")
        file.flush()
        file.write("o\n")
    wait_for(2)
    path.rename(tmp_path / "syncd.jsonl.1")
    path.write_text("three\n")
    wait_for(3)
    with path.open("a") as file:
        file.write("four\n")
    thread.join(10)
    assert seen == ["one", "two", "three", "four"]


@pytest.mark.parametrize("words", ["log", "log --json", "records", "records --json", "history c1"])
def test_a_reader_that_leaves_early(acme: Place, words: str) -> None:
    """`| head` ends a command with 0 and silently, whatever was left to print."""
    for number in range(40):
        acme.world("crm").add(name=f"Client number {number}", email=f"c{number}@example.fr", details="x" * 2000)
    acme.run("sync", "--until-quiet")
    command = f"{sys.executable} -m syncd --config {acme.folder} {words}"
    script = f"set -o pipefail; {command} | head -c 10 > /dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("0", "")
