"""The comparison of reading: who is compared with, where they are found, and what the page says of them."""

from __future__ import annotations

import ast
import os
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import pages
from tests.benchmarks.compared import PEERS, SCRIPTS, Found, Peer, peers, preparation
from tests.benchmarks.page import NAMES, page_of
from tests.benchmarks.picture import FILE, drawn, lines_of
from tests.benchmarks.place import ROOT, server, watched

PROFILE = "   ncalls  tottime\n        1    0.001\n"


def phases(cpu: float, clients: int = 1000, **more: float) -> dict[str, dict[str, Any]]:
    figures = {"clients": clients, "cpu": cpu, "wall": 2 * cpu, "peak_mb": 50.0, **more}
    return {phase: dict(figures) for phase in ("first", "again", "churn")}


def page(figures: dict[str, dict[str, Any]], names: dict[str, str]) -> str:
    own = {name: phases(1.0, statements=7) for name in NAMES if "cycle" in name} | {
        name: phases(1.0) for name in NAMES if "cycle" not in name
    }
    return page_of({**own, **figures}, names, {"first": PROFILE}, "2026-01-02", "a machine", 1000, 1)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.script)
def test_every_peer_has_a_script_that_tells_what_a_phase_took(peer: Peer) -> None:
    """Each script parses, and measures with what the others measure with."""
    text = (SCRIPTS / f"{peer.script}.py").read_text(encoding="utf-8")
    ast.parse(text)
    assert "Meter()" in text
    assert "tell(" in text


def test_the_page_names_every_peer_with_its_version_and_what_it_is_compared_with() -> None:
    """A row, a ratio to the same work of syncd's, and the package in the commands that prepare."""
    found = [Found(peer, "python", f"{number}.2.3") for number, peer in enumerate(PEERS)]
    text = page({each.peer.subject: phases(3.0) for each in found}, {each.peer.subject: each.name for each in found})
    for number, each in enumerate(found):
        assert f"{each.peer.package} " in f"{text} "
        assert f"{number}.2.3" in each.name
        assert f"\n| {each.name} | " in text
        own = NAMES[each.peer.beside]
        assert f"- {each.name} takes " in text
        ratio = 3 / each.peer.systems / (1 / 4 if "cycle" in each.peer.beside else 1)
        assert (
            f"- {each.name} takes {ratio:.1f} (*first*), {ratio:.1f} (*again*), {ratio:.1f} (*churn*) times the CPU of {own}"
            in text
        )
    assert all(line in text for line in preparation())


def test_a_record_of_a_cycle_is_counted_in_every_system() -> None:
    """Vdirsyncer's two sides and syncd's four systems stand in the column of clients, and the microseconds are of each."""
    peer = next(peer for peer in PEERS if peer.package == "vdirsyncer")
    text = page({peer.subject: phases(1.0)}, {peer.subject: "two sides"})
    assert "| two sides | 2 x 1,000 | 1.00 / 1.00 / 1.00 | 500.0 / 500.0 / 500.0 | 1,000 / 1,000 / 1,000 | 50 |" in text
    assert f"| {NAMES['syncd-cycle']} | 4 x 1,000 | 1.00 / 1.00 / 1.00 | 250.0 / 250.0 / 250.0 |" in text


def test_who_keeps_nothing_is_nobody_to_beat_at_keeping() -> None:
    """The cheapest peer that stores is the measure of a first pull, though one that stores nothing is cheaper still."""
    names = {"peer-airbyte_nowhere": "nowhere", "peer-singer_sqlite": "singer", "peer-dlt_sqlite": "dlt"}
    text = page(
        {"peer-airbyte_nowhere": phases(1.0), "peer-singer_sqlite": phases(5.0), "peer-dlt_sqlite": phases(4.0)}, names
    )
    assert "of the peer that stores for least, dlt, over ours: 4.00, aim 1.80: reached" in text


def test_a_page_without_peers_still_tells_how_to_compare() -> None:
    """Nobody installed: no row, no ratio, no aim; the commands are there."""
    text = page({}, {})
    assert not any(f"\n| {peer.name.partition(' {')[0]}" in text for peer in PEERS)
    assert "over ours" not in text
    assert all(line in text for line in preparation())


def test_the_commands_install_every_peer() -> None:
    """One environment for all that get along, another for who does not, and both in the last command."""
    together, alone, run = preparation()
    assert together == (
        "python -m venv peers && peers/bin/pip install 'dlt[sqlalchemy]' singer-sdk airbyte-cdk vdirsyncer"
    )
    assert alone == "python -m venv pyairbyte && pyairbyte/bin/pip install airbyte"
    assert run == "BENCH_PEERS=$PWD/peers/bin/python:$PWD/pyairbyte/bin/python make bench"


def test_a_peer_that_is_not_installed_is_left_out_with_a_line(monkeypatch, capsys) -> None:
    """Nobody thinks that a comparison was made which was not."""
    here = Peer("here", "pytest", "pytest {}")
    gone = Peer("gone", "no-such-peer", "gone {}")
    monkeypatch.setenv("BENCH_PEERS", sys.executable)
    (found,) = peers((gone, here))
    assert (found.peer, found.python, found.name) == (here, sys.executable, f"pytest {pytest.__version__}")
    assert capsys.readouterr().err == "no-such-peer is left out: no Python of BENCH_PEERS has it\n"


def test_a_peer_is_taken_from_the_first_python_that_has_it(monkeypatch, tmp_path: Path) -> None:
    """Several environments stand in one variable; one without the package is passed over."""
    empty = tmp_path / "python"
    empty.write_text("#!/bin/sh\nexit 1\n")
    empty.chmod(0o755)
    monkeypatch.setenv("BENCH_PEERS", os.pathsep.join([str(empty), sys.executable]))
    assert [each.python for each in peers((Peer("here", "pytest", "pytest {}"),))] == [sys.executable]


def test_without_pythons_of_others_nothing_is_said(monkeypatch, capsys) -> None:
    """A bench of syncd alone is no half-made comparison."""
    monkeypatch.delenv("BENCH_PEERS", raising=False)
    assert peers() == []
    assert capsys.readouterr().err == ""


def test_memory_is_that_of_all_processes_together() -> None:
    """A parent and a child that hold forty MiB each were seen to hold eighty."""
    hold = "held = bytearray(40 * 2**20); import time; time.sleep(0.5)"
    both = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {hold!r}]); {hold}; child.wait(); print('told')"
    code, written, complained, peak = watched([sys.executable, "-c", both])
    assert (code, written, complained) == (0, "told\n", "")
    assert 80 < peak < 160


def test_the_peak_of_a_process_does_not_begin_with_what_its_parent_had() -> None:
    """A child of a parent of a hundred MiB tells its own few."""
    held = bytearray(100 * 2**20)
    told = "from tests.benchmarks.place import own_peak; print(own_peak())"
    _, written, _, _ = watched([sys.executable, "-c", told])
    assert len(held) == 100 * 2**20
    assert 5 < float(written) < 60


def test_the_schema_is_of_the_fields_that_the_server_shows() -> None:
    """The peers are told of the same fields that syncd reads; a field more in the server is one more for everybody."""
    tree = ast.parse((SCRIPTS / "phase.py").read_text(encoding="utf-8"))
    (types,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TYPES"
    ]
    kinds = {int: "integer", str: "string", bool: "boolean", float: "number", dict: "object"}
    shown = pages.client(3, churned=False)
    assert list(types) == list(shown)
    assert {name: kinds[type(value)] for name, value in shown.items() if value is not None}.items() <= types.items()


def test_the_page_server_ends_where_the_peers_stop_asking() -> None:
    """A page behind the last is an empty list, which is what every peer takes for the end."""
    with server(15, 10) as url:
        answers = [urllib.request.urlopen(f"{url}/v1/companies/1/clients?page={number}").read() for number in (1, 2, 3)]  # noqa: S310
    assert [answer.count(b'"slug"') for answer in answers] == [10, 5, 0]
    assert answers[2] == b"[]"


def test_the_picture_shows_the_figures_of_the_page() -> None:
    """It has a bar for each figure of the first table, longer for more, and is drawn from the page that it stands on."""
    lines = lines_of((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"))
    drawing = (ROOT / "docs" / FILE).read_text(encoding="utf-8")
    assert drawing == drawn(lines)
    bars = [float(each) for each in re.findall(r'class="bar" [^>]*width="([0-9.]+)"', drawing)]
    figures = [each for line in lines for each in line.figures]
    assert len(bars) == len(figures) > 9
    assert [at for _, at in sorted(zip(figures, range(len(figures)), strict=True))] == [
        at for _, _, at in sorted(zip(bars, figures, range(len(bars)), strict=True))
    ]


def test_a_page_without_the_table_has_no_picture() -> None:
    """A picture of nothing is not drawn."""
    with pytest.raises(ValueError, match="no table"):
        lines_of("# Nothing\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
