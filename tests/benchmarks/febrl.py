"""Febrl 3 and 4 matched by syncd's correlation: the subject of one measurement, a process of its own.

`python -m tests.benchmarks.febrl '{"data": FILE, "out": FILE}'`; prints {"seconds", "cpu", "pairs"}. Names are compared with the weights
that syncd ships. The other columns are further fields (`[matching.fields]`), whose weights are estimated here without labels: a value
that matches agrees in 85 of 100 cases, is misspelt in 10 and differs in 5; how often it does so by chance is counted in the data.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from syncd.core.correlate import Identity, cluster, compare_extra, identity, match, one_to_one
from syncd.core.matching import Extra, Likeness, Matching, Weights
from syncd.core.model import Context

CONTEXT: Final = Context("AU", "en-AU")
AGREES, NEAR, DIFFERS = 0.85, 0.10, 0.05
CHANCE_PAIRS: Final = 4000

COLUMNS: Final = {
    "given_name": "given_name", "family_name": "surname", "custom.street_number": "street_number", "address_line1": "address_1",
    "address_line2": "address_2", "city": "suburb", "postal_code": "postcode", "region": "state", "custom.born": "date_of_birth",
    "custom.security": "soc_sec_id",
}  # fmt: skip
"""A canonical field, or a custom one where there is none -> the column of the data."""

FURTHER: Final = (
    Extra("given_name", Likeness.TEXT),
    Extra("family_name", Likeness.TEXT, key=True),
    Extra("custom.street_number", Likeness.NUMBER),
    Extra("address_line1", Likeness.TEXT, key=True),
    Extra("address_line2", Likeness.TEXT, key=True),
    Extra(
        "custom.address", Likeness.TEXT, differs=0.0
    ),  # both lines as one text: in the data they sometimes changed places
    Extra("city", Likeness.TEXT, key=True),
    Extra("postal_code", Likeness.NUMBER),
    Extra("region"),
    Extra("custom.born", Likeness.NUMBER, key=True),
    Extra("custom.security", Likeness.NUMBER, key=True),
)

UNUSED: Final = dict.fromkeys(("street_equal", "street_near", "street_differs", "city_equal", "city_near", "city_differs", "postal_code_equal", "postal_code_differs"), 0.0)  # fmt: skip
"""What the built-in comparison of addresses would add; the columns say it."""


def fields_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the data as a record."""
    fields = {field: row[column] for field, column in COLUMNS.items() if column in row}
    lines = f"{row.get('address_1', '')} {row.get('address_2', '')}".strip()
    return {**fields, "custom.address": lines} if lines else fields


def estimated(identities: Sequence[Identity]) -> Matching:
    """Weights of the columns, from how often two records that have nothing to do with each other agree."""
    extras = tuple(_estimated(extra, number, identities) for number, extra in enumerate(FURTHER))
    return Matching(Weights(prior=-math.log(len(identities) / 2), **UNUSED), extras=extras)


def _estimated(extra: Extra, number: int, identities: Sequence[Identity]) -> Extra:
    values = [value for one in identities if (value := one.extras[number]) is not None]
    often = sum((count / len(values)) ** 2 for count in Counter(values).values())
    seen = Counter(
        compare_extra(extra, values[turn * 7919 % len(values)], values[(turn * 104_729 + 11) % len(values)])
        for turn in range(CHANCE_PAIRS)
    )
    near = max(seen["near"], 0.5) / CHANCE_PAIRS
    equal = math.log(AGREES * len(values)) if extra.key else math.log(AGREES / often)
    differs = 0.0 if extra.differs == 0 else math.log(DIFFERS / (1 - often - near))
    weights = [round(weight, 2) for weight in (equal, math.log(NEAR / near), differs)]
    return Extra(extra.field, extra.likeness, *weights, key=extra.key)


def main() -> None:
    """One measurement: estimate, match, and bring the pairs together."""
    task = json.loads(sys.argv[1])
    rows = json.loads(Path(task["data"]).read_text())
    records = [fields_of(row) for row in rows]
    sides = [row["side"] for row in rows]
    two = len(set(sides)) > 1
    began, before = time.perf_counter(), time.process_time()
    identities = [identity(fields, CONTEXT, FURTHER) for fields in records]
    found = list(match(identities, estimated(identities), sides=sides if two else None))
    if two:
        found = one_to_one(found)
    groups = cluster(len(rows), found)
    cpu, seconds = time.process_time() - before, time.perf_counter() - began
    pairs = [(rows[a]["id"], rows[b]["id"]) for a, b, _ in found]
    closed = [
        (rows[a]["id"], rows[b]["id"])
        for group in groups
        for a, b in combinations(group, 2)
        if not two or sides[a] != sides[b]
    ]
    Path(task["out"]).write_text(json.dumps({"pairs": pairs, "closed": closed}))
    print(json.dumps({"seconds": seconds, "cpu": cpu}))  # noqa: T201 - what the benchmark reads


if __name__ == "__main__":
    main()
