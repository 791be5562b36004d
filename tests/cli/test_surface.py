"""The surface of the command line: every command explains itself, and what is printed is safe."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from syncd.cli import front, output
from syncd.cli.cycle import is_failed
from tests.cli.place import Place

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def commands(group: click.Group = front, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its words."""
    for name, command in group.commands.items():
        words = f"{path} {name}".strip()
        if isinstance(command, click.Group):
            yield from commands(command, words)
        else:
            yield words, command


ALL = dict(commands())


@pytest.mark.parametrize("words", ALL)
def test_every_command_explains_itself(words: str) -> None:
    """Each command's help has a sentence and an example, fits into 100 columns, and offers --tenant and --json."""
    result = CliRunner().invoke(front, [*words.split(), "--help"])
    assert result.exit_code == 0
    example = result.output.partition("Example: syncd ")[2].partition("\n")[0]
    assert words in example
    assert "\\b" not in result.output
    assert "--json" in result.output
    assert "--tenant" in result.output
    assert [line for line in result.output.splitlines() if len(line) > 100] == []


@pytest.mark.parametrize("words", ALL)
def test_every_command_is_in_the_readme(words: str) -> None:
    """The README names each command."""
    assert f"syncd {words}" in README or f"`{words}" in README


def test_the_commands_of_this_syncd() -> None:
    """These commands exist."""
    named = "sync plan check status clients show records links conflicts resolve holds release refuse outbox retry drop log erase"
    assert set(ALL) >= {*named.split(), "db upgrade", "db current", "sandbox", "demo"}


def test_python_m_syncd() -> None:
    """`python -m syncd` is the same program; without a command it shows its help."""
    shown = subprocess.run([sys.executable, "-m", "syncd", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("syncd")


def test_the_program_runs_where_it_is_not_installed() -> None:
    """A copy of the code, as the image has one, knows its version without a package's metadata; it is that of the package."""
    code = (
        "import importlib.metadata as m, sys; known = m.version; m.version = lambda name: 0 / (name != 'syncd') or known(name)\n"
        "sys.argv[1:] = ['--version']; import syncd.__main__; syncd.__main__.main()"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == f"syncd, version {version('syncd')}"


def test_a_fault_of_syncd_shows_no_traceback_and_no_value(acme: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error ends with exit code 1 and its place, without its words, which may be personal."""

    def fail(*_args: object) -> None:
        message = "jane@private.example"
        raise RuntimeError(message)

    monkeypatch.setattr("syncd.store.Store.reading", fail)
    result = acme.run("clients", exit_code=1)
    assert "internal" in result.stderr
    assert "private" not in result.stdout + result.stderr


def test_a_reader_that_has_seen_enough(acme: Place) -> None:
    """A closed pipe ends a command silently."""
    command = f"{sys.executable} -m syncd --config {acme.folder} log --help | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "value, words",
    [
        (None, "(empty)"),
        (True, "yes"),
        ("a\x1b[2Jb\u202ec", r"a\x1b[2Jb\u202ec"),
        ({"city": "Lyon", "address_line1": "1 rue X", "region": None}, "1 rue X, Lyon"),
        ({"name": "ACME", "given_name": None}, "ACME"),
        (["a", "b"], "a; b"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05Z"),
    ],
)
def test_values_in_words(value: object, words: str) -> None:
    """Values are shown in one line, with control characters written out."""
    assert output.shown(value) == words


def test_what_counts_as_failed() -> None:
    """Held, open, parked and failing end with 1; pending only where silence was asked for."""
    fine = {"quiescent": True, "holds": [], "conflicts_open": [], "parked": [], "failing": []}
    assert not is_failed(fine, until_quiet=True)
    assert not is_failed({**fine, "quiescent": False}, until_quiet=False)
    assert is_failed({**fine, "quiescent": False}, until_quiet=True)
    for key in ("holds", "conflicts_open", "parked", "failing"):
        assert is_failed({**fine, key: ["one"]}, until_quiet=False)
