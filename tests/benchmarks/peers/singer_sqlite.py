"""One phase of a Singer tap piped into a Singer target: the whole list, upserted by its key into SQLite.

The tap is this process, a `RESTStream` of singer-sdk; the target is `singer_target.py`, a process of its own. What both import is not counted.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["LOGLEVEL"] = "ERROR"

import requests
from phase import TASK, Meter, schema, tell
from singer_sdk import RESTStream, Tap
from singer_sdk.pagination import PageNumberPaginator
from singer_sdk.streams import Stream


class Pages(PageNumberPaginator):
    """Pages from 1 until one is empty."""

    def has_more(self, response: requests.Response) -> bool:
        return len(response.content) > len(b"[]")


class Clients(RESTStream[int]):
    """The clients of the page server."""

    name = "clients"
    path = "/companies/1/clients"
    primary_keys = ("id",)
    schema = schema()
    url_base = f"{TASK['url']}/v1"

    def get_new_paginator(self) -> Pages:
        return Pages(1)

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: int | None) -> dict[str, Any]:
        return {"page": next_page_token}


class TapBench(Tap):
    """A tap of one stream."""

    name = "tap-bench"
    config_jsonschema = {"properties": {}}  # noqa: RUF012 - as the SDK declares it

    def discover_streams(self) -> list[Stream]:
        return [Clients(self)]


told = os.dup(1)
command = [sys.executable, str(Path(__file__).with_name("singer_target.py")), sys.argv[1]]
with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
    assert target.stdin is not None
    assert target.stdout is not None
    imported = float(json.loads(target.stdout.readline()))
    os.dup2(target.stdin.fileno(), 1)
    target.stdin.close()
    meter = Meter()
    TapBench(config={}).sync_all()
    sys.stdout.flush()
    os.dup2(told, 1)
    target.stdout.read()
    if target.wait():
        raise SystemExit(f"the target ended with {target.returncode}")
    figures = meter.stop(uncounted=imported)
with sqlite3.connect(f"{TASK['folder']}/singer.db") as base:
    tell(figures, base.execute("SELECT count(DISTINCT id) FROM clients").fetchone()[0])
