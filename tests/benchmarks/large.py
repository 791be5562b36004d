"""Two systems of many clients, linked through the store as a first run does it: the subject of one measurement, a process of its own.

`python -m tests.benchmarks.large '{"clients": N}'`; prints {"keys", "linking", "cpu", "seconds", "peak_mb", ...}. Seven clients in ten are in both
systems: half of these with an equal company number, a quarter with an equal e-mail and a re-spelt name, a quarter with nothing but a
re-spelt name and the same postal code, which is for a person to decide.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from syncd.core.matching import MATCHING
from syncd.core.model import Context, Mode, Policy, SystemPolicy
from syncd.engine.decide import Scope
from syncd.engine.linking import link_records
from syncd.engine.systems import System
from syncd.providers import Settings
from syncd.providers.memory import Memory
from syncd.store import RecordRow, RecordState, Store, Tx, open_store
from tests.benchmarks.pages import siren

PAGE: Final = 1000
SYSTEMS: Final = ("a", "b")
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
ONSETS: Final = (
    "b",
    "br",
    "c",
    "d",
    "f",
    "gr",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "z",
    "ch",
)
VOWELS: Final = ("a", "e", "i", "o", "u", "ou", "ai", "eau")
FORMS: Final = ("SARL", "SAS", "EURL", "SA", "")


def word(draw: random.Random) -> str:
    """A word that nobody knows."""
    return "".join(draw.choice(ONSETS) + draw.choice(VOWELS) for _ in range(draw.choice((2, 3, 3))))


def client(number: int) -> dict[str, Any]:
    """One client as the first system has it."""
    draw = random.Random(number)
    name = f"{word(draw)} {word(draw)}".title()
    return {
        "name": f"{name} {draw.choice(FORMS)}".strip(),
        "registration_number": siren(number),
        "email": f"contact@{name.replace(' ', '').lower()}{number % 7}.example",
        "phone": f"+331{40_000_000 + number:08d}",
        "address_line1": f"{draw.randrange(1, 200)} rue {word(draw)}",
        "postal_code": f"{draw.randrange(1000, 95999):05d}",
        "city": word(draw).title(),
        "country": "FR",
    }


def other(number: int, clients: int) -> tuple[int, dict[str, Any]]:
    """A record of the second system, and whose it is: from number `clients` on, somebody's who is in the second system only."""
    draw = random.Random(-number - 1)
    if number % 10 >= 7:
        return clients + number, {**client(clients + number), "registration_number": None}
    fields = client(number)
    words = fields["name"].removesuffix(" SARL").removesuffix(" SAS").split()
    spelt = " ".join(reversed(words)).upper()
    shape = number % 4
    if shape < 2:
        return number, {**fields, "name": spelt, "email": None, "phone": None}
    if shape == 2:
        return number, {**fields, "name": spelt, "registration_number": None, "phone": None}
    place = draw.randrange(1, len(spelt) - 1)
    typo = spelt[:place] + spelt[place + 1 :]
    return number, {**fields, "name": typo, "registration_number": None, "email": None, "phone": None}


@contextmanager
def store_in(folder: str) -> Iterator[Store]:
    """A store that this process may write to."""
    store = open_store(f"sqlite:///{folder}", "bench")
    try:
        with store.hold_lock():
            yield store
    finally:
        store.close()


def put(tx: Tx, system: System, numbers: range, clients: int) -> float:
    """One page of records into the mirror; returns the seconds of CPU that their keys took."""
    rows, keys = [], {}
    for number in numbers:
        fields = client(number) if system.name == "a" else other(number, clients)[1]
        rows.append((str(number), {name: value for name, value in fields.items() if value is not None}))
    made = time.process_time()
    for external_id, fields in rows:
        keys[external_id] = system.match_keys(fields)
    tx.set_keys(system.name, keys)
    spent = time.process_time() - made
    tx.put_records(record(system.name, external_id, fields) for external_id, fields in rows)
    return spent


def record(system: str, external_id: str, fields: dict[str, Any]) -> RecordRow:
    """A row of the mirror."""
    return RecordRow(
        system=system, external_id=external_id, raw={}, children={}, fields=fields, memory={}, digest="x", list_digest=None,
        state=RecordState.PRESENT, reason=None, first_seen_at=AT, seen_at=AT, changed_at=AT, observed_at=AT, walk=None,
        missing_since=None, missing_cycle=None, gone_count=0,
    )  # fmt: skip


def judged(store: Store, clients: int) -> dict[str, float]:
    """What came of it: links that are right and wrong, and how many of those that could be made were; proposals likewise."""
    right = wrong = 0
    after = ""
    while True:
        with store.reading() as tx:
            rows = tx.clients(after=after, limit=PAGE)
            links = tx.links_of([row.client for row in rows])
        if not rows:
            break
        after = rows[-1].client
        for mine in links.values():
            owners = {
                int(link.external_id) if link.system == "a" else other(int(link.external_id), clients)[0]
                for link in mine
            }
            if len(mine) > 1:
                right, wrong = (right + 1, wrong) if len(owners) == 1 else (right, wrong + 1)
    with store.reading() as tx:
        proposals = [[(item["system"], int(item["external_id"])) for item in hold.items] for hold in tx.holds()]
    fitting = sum(
        len({number if system == "a" else other(number, clients)[0] for system, number in pair}) == 1
        for pair in proposals
    )
    both = [number for number in range(clients) if number % 10 < 7]
    strong = sum(number % 4 < 3 for number in both)
    return {
        "links": right + wrong, "wrong": wrong, "linkable": strong, "recall": right / strong, "proposals": len(proposals),
        "fitting": fitting, "weak": len(both) - strong,
    }  # fmt: skip


def main() -> None:
    """One measurement."""
    clients = json.loads(sys.argv[1])["clients"]
    policy = Policy(
        "bench", tuple(SystemPolicy(name, "memory", Mode.SYNC) for name in SYSTEMS), {}, Context("FR", "fr-FR")
    )
    systems = {
        each.name: System(
            each, Memory(Settings(each.name, "memory", options={"world": each.name})), policy.context, MATCHING
        )
        for each in policy.systems
    }
    with tempfile.TemporaryDirectory(prefix="syncd-bench-") as folder, store_in(folder) as store:
        keys = 0.0
        for name in SYSTEMS:
            for first in range(0, clients, PAGE):
                with store.writing() as tx:
                    keys += put(tx, systems[name], range(first, min(first + PAGE, clients)), clients)
        scope = Scope(systems, policy, "cycle", AT)
        began, before = time.perf_counter(), time.process_time()
        link_records(store.writing, scope)
        linking, seconds = time.process_time() - before, time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = judged(store, clients)
    told = {
        "clients": clients,
        "keys": keys,
        "linking": linking,
        "cpu": keys + linking,
        "seconds": seconds,
        "peak_mb": peak,
    }
    print(json.dumps({**told, **found}))  # noqa: T201 - what the benchmark reads


if __name__ == "__main__":
    main()
