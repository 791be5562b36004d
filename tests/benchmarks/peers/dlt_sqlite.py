"""One phase of dlt's REST source into SQLite: the whole list, merged by its key. Runs in an environment that has dlt."""

from __future__ import annotations

import json
import os
import resource
import sys
import time

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt
from dlt.sources.rest_api import rest_api_source

task = json.loads(sys.argv[1])
before, began = os.times(), time.perf_counter()
source = rest_api_source(
    {
        "client": {
            "base_url": f"{task['url']}/v1/",
            "paginator": {
                "type": "page_number",
                "base_page": 1,
                "page_param": "page",
                "total_path": None,
                "maximum_page": -(-task["clients"] // task["page"]) + 1,
                "stop_after_empty_page": True,
            },
        },
        "resources": [
            {
                "name": "clients",
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {"path": "companies/1/clients", "data_selector": "$"},
            }
        ],
    }
)
where = dlt.destinations.sqlalchemy(f"sqlite:///{task['folder']}/dlt.db")
pipeline = dlt.pipeline("bench", destination=where, dataset_name="bench", pipelines_dir=f"{task['folder']}/dlt")
pipeline.run(source)
loaded = pipeline.last_trace.last_normalize_info.row_counts["clients"]
if loaded != task["clients"]:
    raise SystemExit(f"dlt took {loaded} of {task['clients']} clients")
after, ended = os.times(), time.perf_counter()
cpu = sum(after[:4]) - sum(before[:4])
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
print(json.dumps({"clients": task["clients"], "cpu": cpu, "wall": ended - began, "peak_mb": peak}))  # noqa: T201
