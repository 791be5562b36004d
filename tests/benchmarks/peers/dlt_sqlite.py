"""One phase of dlt's REST source into SQLite: the whole list, merged by its key. Runs in an environment that has dlt."""

from __future__ import annotations

import os

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt
from dlt.sources.rest_api import rest_api_source
from phase import TASK, Meter, tell

meter = Meter()
source = rest_api_source(
    {
        "client": {
            "base_url": f"{TASK['url']}/v1/",
            "paginator": {
                "type": "page_number",
                "base_page": 1,
                "page_param": "page",
                "total_path": None,
                "maximum_page": -(-TASK["clients"] // TASK["page"]) + 1,
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
where = dlt.destinations.sqlalchemy(f"sqlite:///{TASK['folder']}/dlt.db")
pipeline = dlt.pipeline("bench", destination=where, dataset_name="bench", pipelines_dir=f"{TASK['folder']}/dlt")
pipeline.run(source)
tell(meter.stop(), pipeline.last_trace.last_normalize_info.row_counts["clients"])
