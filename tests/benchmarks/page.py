"""The figures as a page that a person reads."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.benchmarks.compared import PEERS, preparation
from tests.benchmarks.picture import SHOWN

Figures = dict[str, dict[str, Any]]
PHASES: Final = ("first", "again", "churn")

NAMES: Final = {
    "floor-page": "floor: httpx and a digest of each page",
    "floor-record": "floor: httpx and a digest of each record",
    "syncd-pull": "**syncd**: pull of one system",
    "syncd-cycle": "**syncd**: whole cycle of four linked systems",
    "syncd-pull-postgresql": "**syncd** on PostgreSQL: pull of one system",
    "syncd-cycle-postgresql": "**syncd** on PostgreSQL: whole cycle of four linked systems",
}
SYSTEMS: Final = {"syncd-cycle": 4, "syncd-cycle-postgresql": 4, **{peer.subject: peer.systems for peer in PEERS}}
"""How many systems hold each client, where it is not one."""
DLT: Final = "peer-dlt_sqlite"
COMPARED: Final = {peer.subject: peer for peer in PEERS}

HEAD: Final = """# What syncd costs

Measured on {date} with `make bench` ({machine}; medians of {times} runs in turns). A server in its own process sends pages of {page:,} that were written before. A client has
25 fields. *first*: an empty store; *again*: nothing changed; *churn*: one client in a hundred changed. Each phase is
a process of its own and is measured from the moment its modules are imported; CPU is that of all its processes, and memory the most that all of them
had in use at a time.

| | clients | CPU s first / again / churn | µs of CPU per client | clients/s on the wall | peak MB |
|---|---|---|---|---|---|
"""

EXPLAINED: Final = """
{picture}

The floors are loops written by hand (`tests/benchmarks/subjects.py`): they fetch the pages and keep what changed in one table.
They normalise nothing, keep no walk, prove no absence and link nothing; they say what the network and the digest alone cost.

The peers are what else one could take, each as its documentation shows it (`tests/benchmarks/peers/`), with telemetry off:

* dlt, a Singer tap and target, and PyAirbyte fetch the same pages and keep what came last by its key. They normalise nothing but types, link nothing, and
  none of them knows that nothing changed. The Singer pair are two processes in a pipe, counted together.
* Airbyte's CDK alone writes its messages to nowhere and keeps nothing: it says what reading costs before anything is stored.
* vdirsyncer keeps two sides the same, as syncd's cycle does, and is compared with that. It reads folders with one vCard per client and no HTTP API, as a
  CardDAV server in the benchmark would itself be most of what is measured. In *first* both folders hold the same and nothing is copied; in *churn* one
  in a hundred files changed in one folder and is written to the other, while syncd finds the same change in all of its four systems and writes none.

They run when `BENCH_PEERS` names the Pythons that have them; PyAirbyte asks for other versions of what the rest uses and gets an environment of its own:

```
{preparation}
```

`BENCH_CLIENTS=100000 make bench` is the full size; `BENCH_PEER_CLIENTS=10000` spares the peers.

At small sizes a phase also holds what a process costs once (compiling its statements, loading libraries at first use: about a
quarter of a second), which weighs little at 100,000 clients and a lot at 10,000.
"""


def page_of(
    figures: dict[str, Figures],
    peers: dict[str, str],
    profiles: dict[str, str],
    date: str,
    machine: str,
    page: int,
    times: int,
) -> str:
    """The page: the table, the ratios, and where the time goes. peers: the names of those that were compared with."""
    names = {**NAMES, **peers}
    lines = [HEAD.format(date=date, machine=machine, page=page, times=times).rstrip("\n")]
    lines += [row(names[subject], SYSTEMS.get(subject, 1), found) for subject, found in figures.items()]
    lines += [
        EXPLAINED.format(picture=SHOWN, preparation="\n".join(preparation())),
        "## Ratios in this run",
        "",
        *ratios(figures, names),
        "",
    ]
    lines += ["## What was aimed at", "", *aims(figures, names), "", "## Where the time goes", ""]
    for phase, text in profiles.items():
        lines += [f"Pull, *{phase}*, under cProfile (own time, slowed by it):", "", "```", *table(text), "```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def row(name: str, systems: int, found: Figures) -> str:
    """One subject, whose clients are in so many systems each."""
    phases = [found[phase] for phase in PHASES]
    records = [each["clients"] * systems for each in phases]
    cells = [
        name,
        f"{systems} x {phases[0]['clients']:,.0f}" if systems > 1 else f"{phases[0]['clients']:,.0f}",
        " / ".join(f"{each['cpu']:.2f}" for each in phases),
        " / ".join(f"{each['cpu'] / count * 1e6:.1f}" for each, count in zip(phases, records, strict=True)),
        " / ".join(f"{count / each['wall']:,.0f}" for each, count in zip(phases, records, strict=True)),
        f"{max(each['peak_mb'] for each in phases):.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def each_record(figures: dict[str, Figures], subject: str, phase: str) -> float:
    """Seconds of CPU for one client in one system."""
    found = figures[subject][phase]
    return float(found["cpu"]) / float(found["clients"]) / SYSTEMS.get(subject, 1)


def ratios(figures: dict[str, Figures], names: dict[str, str]) -> list[str]:
    """What the figures come to beside each other, in CPU time per client."""

    def each(subject: str, phase: str) -> float:
        return each_record(figures, subject, phase)

    lines = [
        f"- syncd reaches {each(floor, phase) / each('syncd-pull', phase):.2f} of the {NAMES[floor]} in *{phase}*"
        for floor in ("floor-record", "floor-page")
        for phase in PHASES
    ]
    lines += [
        f"- {names[subject]} takes "
        + ", ".join(f"{each(subject, phase) / each(beside, phase):.1f} (*{phase}*)" for phase in PHASES)
        + f" times the CPU of {names[beside]}"
        + (" (per client and system)" if SYSTEMS.get(beside, 1) > 1 else "")
        for subject, beside in ((subject, COMPARED[subject].beside) for subject in figures if subject in COMPARED)
    ]
    lines += [
        f"- {NAMES[f'{name}-postgresql']} takes "
        + ", ".join(
            f"{figures[f'{name}-postgresql'][phase]['wall'] / figures[name][phase]['wall']:.2f} times in *{phase}*"
            for phase in PHASES
        )
        + " what it takes on SQLite, on the wall (aim: 1.5)"
        for name in ("syncd-pull", "syncd-cycle")
        if f"{name}-postgresql" in figures
    ]
    cycle = figures["syncd-cycle"]
    pulls = 4 * each("syncd-pull", "again") * cycle["again"]["clients"]
    lines += [
        (
            f"- a whole cycle of four systems without a change takes {cycle['again']['cpu'] / pulls:.2f} times the CPU of four"
            f" pulls, and {cycle['again']['statements']:.0f} SQL statements for {cycle['again']['clients']:,.0f} clients"
        ),
        f"- one changed client costs {changed(cycle) * 1000:.2f} ms of CPU in the whole cycle (seen in four systems)",
    ]
    return lines


FIRST_WHY: Final = (
    "at first sight most goes into what a loader does not do: company, VAT and phone numbers are read and their check digits verified, every text is cleaned, ten"
    " search keys per client are made and stored, and raw and canonical form are kept beside each other (see the profile)"
)
AGAIN_WHY: Final = "what is left is the HTTP client, the digest of the bytes, one statement that stamps the records of a page as seen, and what a process costs once"
CHURN_WHY: Final = (
    "one client in a hundred, spread evenly, changes every page: a digest of each record's bytes is made, what is known of the page is looked up, all of its records"
    " are stamped as seen, and those that changed are read, compared and stored with their search keys"
)
CYCLE_WHY: Final = "at this size most of it is what a process costs once, which is the same for four systems as for four hundred thousand clients"
CHANGE_WHY: Final = "a hundred records are looked at in each of four systems for each one that changed, for no system tells which did; the loop by hand spends {floor:.1f} ms on that alone"
FIRST_RUN_WHY: Final = "every client is decided field by field against four systems that it was never compared with, and is weighed against everybody who shares a key with it"


def aims(figures: dict[str, Figures], names: dict[str, str]) -> list[str]:
    """What each measured figure was meant to be, whether it is, and the reason where it is not."""

    def cpu(subject: str, phase: str) -> float:
        return each_record(figures, subject, phase)

    cycle, pull = figures["syncd-cycle"], "syncd-pull"
    pulls = 4 * cpu(pull, "again") * cycle["again"]["clients"]
    first_run = cpu("syncd-cycle", "first") * 4 * 25_000
    found = [
        (
            "first pull, of the loop that keeps a digest per record",
            cpu("floor-record", "first") / cpu(pull, "first"),
            0.2,
            FIRST_WHY,
        ),
        (
            "pull again, of the loop that keeps a digest per page",
            cpu("floor-page", "again") / cpu(pull, "again"),
            0.6,
            AGAIN_WHY,
        ),
        (
            "pull with churn, of the loop that keeps a digest per record",
            cpu("floor-record", "churn") / cpu(pull, "churn"),
            0.6,
            CHURN_WHY,
        ),
        (
            "whole cycle without a change, four pulls per cycle",
            pulls / float(cycle["again"]["cpu"]),
            1 / 1.3,
            CYCLE_WHY,
        ),
        (
            "one changed client in a cycle, of 2.5 ms",
            0.0025 / max(changed(cycle), 1e-9),
            1.0,
            CHANGE_WHY.format(floor=400_000 * cpu("floor-record", "churn")),
        ),
        ("first run of 4 x 25,000 if it grows with the clients, of 60 s", 60 / first_run, 1.0, FIRST_RUN_WHY),
    ]
    found += [
        (f"{what}, times the CPU of {names[DLT]} over ours", cpu(DLT, phase) / cpu(pull, phase), aim, why)
        for what, phase, aim, why in (("first pull", "first", 3.0, FIRST_WHY), ("pull again", "again", 15.0, AGAIN_WHY))
        if DLT in figures
    ]
    keeping = [
        subject
        for subject in figures
        if subject in COMPARED and COMPARED[subject].stores and COMPARED[subject].beside == pull
    ]
    if keeping:
        best = min(keeping, key=lambda subject: cpu(subject, "first"))
        what = f"first pull, times the CPU of the peer that stores for least, {names[best]}, over ours"
        found.append((what, cpu(best, "first") / cpu(pull, "first"), 1.8, FIRST_WHY))
    return [
        f"- {what}: {value:.2f}, aim {aim:.2f}: " + ("reached" if value >= aim else f"missed; {why}")
        for what, value, aim, why in found
    ]


def changed(cycle: Figures) -> float:
    """Seconds of CPU that one changed client costs beyond a cycle in which nothing changed."""
    return float(cycle["churn"]["cpu"] - cycle["again"]["cpu"]) / max(cycle["churn"]["clients"] / 100, 1)


def table(text: str) -> list[str]:
    """The rows of a profile, without paths of this machine."""
    rows = [re.sub(r"0x[0-9a-f]+", "0x...", line.rstrip()) for line in text.splitlines()]
    start = next(number for number, line in enumerate(rows) if "ncalls" in line)
    return [line for line in rows[start:] if line]
