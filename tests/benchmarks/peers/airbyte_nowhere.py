"""One phase of a declarative source of Airbyte's CDK: `read` of the whole list, its messages written to nowhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_manifest import MANIFEST
from phase import TASK, Meter, schema, tell

stream = {
    "stream": {"name": "clients", "json_schema": schema(), "supported_sync_modes": ["full_refresh"]},
    "sync_mode": "full_refresh",
    "destination_sync_mode": "overwrite",
}
config, catalog = Path(TASK["folder"], "config.json"), Path(TASK["folder"], "catalog.json")
config.write_text("{}")
catalog.write_text(json.dumps({"streams": [stream]}))

meter = Meter()
configured = ConfiguredAirbyteCatalogSerializer.load({"streams": [stream]})
source = ConcurrentDeclarativeSource(catalog=configured, config={}, state=[], source_config=MANIFEST)
entrypoint = AirbyteEntrypoint(source)
arguments = entrypoint.parse_args(["read", "--config", str(config), "--catalog", str(catalog)])
taken = 0
with Path(os.devnull).open("w") as nowhere:
    for message in entrypoint.run(arguments):
        taken += message.startswith('{"type":"RECORD"')
        nowhere.write(f"{message}\n")
tell(meter.stop(), taken)
