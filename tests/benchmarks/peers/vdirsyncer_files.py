"""One phase of `vdirsyncer sync` between two folders of vCards, one file per client, which hold the same in the first phase.

The vCards are made of what the page server shows, before anything is measured; in `churn` those that changed are written to one of the folders and
vdirsyncer carries them to the other. It matches by UID, so that the first phase copies nothing.
"""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phase import TASK, Meter, tell
from vdirsyncer.cli import app

FOLDER = Path(TASK["folder"])
SIDES = FOLDER / "books", FOLDER / "shop"
CONFIG = """
[general]
status_path = "{folder}/status/"

[pair bench]
a = "books"
b = "shop"
collections = null
conflict_resolution = "a wins"

[storage books]
type = "filesystem"
path = "{folder}/books/"
fileext = ".vcf"

[storage shop]
type = "filesystem"
path = "{folder}/shop/"
fileext = ".vcf"
"""


def card(client: dict[str, Any]) -> str:
    """A client as a vCard; what vCards have no name for goes into extensions, so that nothing is left out."""
    named = {
        "FN": "name",
        "EMAIL": "email",
        "TEL": "phone",
        "NOTE": "note",
    }
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:client-{client['id']}"]
    lines += [f"{kind}:{client[field]}" for kind, field in named.items()]
    lines += [
        f"ADR:;{client['address_complement']};{client['address']};{client['city']};;{client['postal_code']};{client['country']['name']}"
    ]
    known = {*named.values(), "id", "address", "address_complement", "city", "postal_code", "country"}
    lines += [f"X-{field.replace('_', '-').upper()}:{value}" for field, value in client.items() if field not in known]
    return "\r\n".join([*lines, "END:VCARD", ""])


def clients() -> Iterator[dict[str, Any]]:
    """What the page server shows."""
    for number in range(1, -(-TASK["clients"] // TASK["page"]) + 1):
        with urllib.request.urlopen(f"{TASK['url']}/v1/companies/1/clients?page={number}") as answer:  # noqa: S310
            yield from json.load(answer)


def write(side: Path) -> None:
    """Put every client whose card is another one into this folder."""
    side.mkdir(exist_ok=True)
    for client in clients():
        path, text = side / f"client-{client['id']}.vcf", card(client).encode()
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)


def run(*arguments: str) -> None:
    """A command of vdirsyncer's, in this process."""
    with contextlib.redirect_stdout(sys.stderr):
        app(["--verbosity", "ERROR", "--config", str(FOLDER / "config"), *arguments], standalone_mode=False)


if TASK["phase"] == "first":
    for side in SIDES:
        write(side)
    (FOLDER / "config").write_text(CONFIG.format(folder=FOLDER))
    run("discover")
elif TASK["phase"] == "churn":
    write(SIDES[0])
meter = Meter()
run("sync")
figures = meter.stop()
shown = [{path.name: path.read_bytes() for path in side.iterdir()} for side in SIDES]
if shown[0] != shown[1]:
    raise SystemExit("vdirsyncer left the two folders different")
tell(figures, len(shown[0]))
