"""Whom syncd's reading is compared with: what an integrator would otherwise take, each driven by a script in `peers/`.

BENCH_PEERS names the Pythons that have their packages, several with a colon between them, for not all of them get along in one environment.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCRIPTS: Final = Path(__file__).parent / "peers"
VERSION: Final = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


@dataclass(frozen=True)
class Peer:
    """One of them. name: as the page shows it, with the version of the package in the place of {}; needs: what is installed for it.

    stores: it keeps what it read. systems: how many hold each client. beside: the subject that does the same with syncd. alone: it wants
    an environment of its own.
    """

    script: str
    package: str
    name: str
    needs: str = ""
    stores: bool = True
    systems: int = 1
    beside: str = "syncd-pull"
    alone: bool = False

    @property
    def subject(self) -> str:
        """What its figures go by."""
        return f"peer-{self.script}"


PEERS: Final = (
    Peer("dlt_sqlite", "dlt", "dlt {} rest_api to SQLite, merge", "dlt[sqlalchemy]"),
    Peer("singer_sqlite", "singer-sdk", "Singer SDK {}: tap, pipe, target to SQLite, upsert"),
    Peer("airbyte_nowhere", "airbyte-cdk", "Airbyte CDK {}: declarative source to nowhere", stores=False),
    Peer("pyairbyte_duckdb", "airbyte", "PyAirbyte {}: declarative source to DuckDB, merge", alone=True),
    Peer("vdirsyncer_files", "vdirsyncer", "vdirsyncer {}: two folders of vCards", systems=2, beside="syncd-cycle"),
)


@dataclass(frozen=True)
class Found:
    """A peer that can run here, in this Python, with its version."""

    peer: Peer
    python: str
    version: str

    @property
    def name(self) -> str:
        """What the page calls it."""
        return self.peer.name.format(self.version)

    @property
    def command(self) -> list[str]:
        """How a phase of it is started; the task follows."""
        return [self.python, str(SCRIPTS / f"{self.peer.script}.py")]


def with_package(package: str) -> tuple[str, str] | None:
    """The first Python of BENCH_PEERS that has a package, and the version it has; None, said in one line, where none has."""
    for python in filter(None, os.environ.get("BENCH_PEERS", "").split(os.pathsep)):
        asked = subprocess.run([python, "-c", VERSION, package], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return python, asked.stdout.strip()
    print(f"{package} is left out: no Python of BENCH_PEERS has it", file=sys.stderr)  # noqa: T201 - nobody shall miss it
    return None


def peers(among: Sequence[Peer] = PEERS) -> list[Found]:
    """Every peer that can run here; none, without a word, where BENCH_PEERS is not set."""
    if not os.environ.get("BENCH_PEERS"):
        return []
    found = [(peer, with_package(peer.package)) for peer in among]
    return [Found(peer, *where) for peer, where in found if where is not None]


def preparation() -> list[str]:
    """The commands that make the environments, and the one that measures."""

    def install(folder: str, chosen: list[Peer]) -> str:
        needs = " ".join(shlex.quote(peer.needs or peer.package) for peer in chosen)
        return f"python -m venv {folder} && {folder}/bin/pip install {needs}"

    alone = [peer for peer in PEERS if peer.alone]
    folders = ["peers", *(peer.script.partition("_")[0] for peer in alone)]
    pythons = ":".join(f"$PWD/{folder}/bin/python" for folder in folders)
    return [
        install("peers", [peer for peer in PEERS if not peer.alone]),
        *(install(folder, [peer]) for folder, peer in zip(folders[1:], alone, strict=True)),
        f"BENCH_PEERS={pythons} make bench",
    ]
