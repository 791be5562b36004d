"""One phase of PyAirbyte: the whole list of a declarative source, merged by its key into a DuckDB cache."""

from __future__ import annotations

import contextlib
import os
import sys

import phase  # noqa: F401 - it tells everybody not to track, before the import that would

os.environ["AIRBYTE_OFFLINE_MODE"] = "1"
os.environ.update(
    dict.fromkeys(("AIRBYTE_PROJECT_DIR", "AIRBYTE_CACHE_ROOT", "AIRBYTE_LOGGING_ROOT"), phase.TASK["folder"])
)

import airbyte
from airbyte.caches import DuckDBCache
from airbyte_manifest import MANIFEST

meter = phase.Meter()
with contextlib.redirect_stdout(sys.stderr):
    source = airbyte.get_source("source-bench", config={}, source_manifest=MANIFEST, streams="*")
    cache = DuckDBCache(db_path=f"{phase.TASK['folder']}/airbyte.duckdb", schema_name="bench")
    result = source.read(cache=cache, write_strategy="merge")
    figures = meter.stop()
    taken = len(result["clients"])
phase.tell(figures, taken)
