"""Reading the log from its end, for the operator's page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncd.log.reading import Filter, latest, newer, picked


def line(number: int, **more: object) -> str:
    return json.dumps({"at": f"2025-11-21T08:00:{number:02}Z", "level": "info", "event": "write_done", **more}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Twenty lines in a rotated file and twenty in the current one, which ends within a line."""
    (tmp_path / "log.1").write_text("".join(line(number, tenant="acme") for number in range(20)))
    current = "".join(line(number, tenant="zeta" if number % 2 else "acme") for number in range(20, 40))
    (tmp_path / "log").write_text(current + '{"at": "half')
    return tmp_path / "log"


def seconds(lines: list[dict[str, object]]) -> list[int]:
    return [int(str(each["at"])[17:19]) for each in lines]


def test_the_last_lines_come_in_their_order(path: Path) -> None:
    """The last wanted lines are told oldest first, also out of a rotated file, and a half line is none."""
    assert seconds(latest(path, Filter(), 3)[0]) == [37, 38, 39]
    assert seconds(latest(path, Filter(tenant="acme"), 12)[0]) == [18, 19, *range(20, 40, 2)]
    assert len(latest(path, Filter(), 1000)[0]) == 40


def test_only_what_is_new_follows(path: Path) -> None:
    """Behind the place that was given come exactly the lines written since, the half one as a whole."""
    _, place = latest(path, Filter(), 3)
    assert newer(path, place, Filter(), 10) == ([], place)
    with path.open("a") as file:
        file.write('"}\n')
        file.write(line(42))
    lines, after = newer(path, place, Filter(), 10)
    assert [each["at"] for each in lines] == ["half", "2025-11-21T08:00:42Z"]
    assert newer(path, after, Filter(), 10) == ([], after)


def test_a_rotation_is_survived(path: Path) -> None:
    """Where the file was turned, it goes on with the last lines of the new one; without any file there are no lines."""
    _, place = latest(path, Filter(), 3)
    path.rename(path.with_name("log.2"))
    path.with_name("log.1").unlink()
    assert newer(path, place, Filter(), 10) == ([], place)
    path.write_text(line(50))
    assert seconds(newer(path, place, Filter(), 1)[0]) == [50]
    assert latest(path.with_name("nowhere"), Filter(), 5) == ([], "")


def test_a_look_at_the_text_never_loses_a_line() -> None:
    """What passes the filter also passes the look at its text before, whatever characters a name is made of."""
    for word in ("acme", "c1", 'a"b', "é", "a\\b", "a b"):
        text = json.dumps({"level": "info", "event": "write_done", "client": word})
        assert picked(text, Filter(client=word)) is not None
        assert picked(text, Filter(client="c2")) is None
    assert not Filter(client="c1", cycle="y1").may_want('{"client": "c11", "cycle": "y1"}')


def test_a_tenant_named_like_an_event_is_no_match() -> None:
    """A word that stands under another key lets the line through to the reading, which refuses it."""
    text = json.dumps({"level": "info", "event": "c1", "client": "c2"})
    assert Filter(client="c1").may_want(text)
    assert picked(text, Filter(client="c1")) is None
