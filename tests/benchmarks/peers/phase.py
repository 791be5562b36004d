"""What the scripts of this folder share: the task they are given, the shape of a client, and what a phase took.

Every script is one phase of one peer: it takes the task as JSON in its first argument, keeps its state in the task's folder from phase to phase and prints
one line of JSON. The time begins once everything is imported. The benchmark watches the memory of all processes from outside.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["DO_NOT_TRACK"] = "1"

TASK: dict[str, Any] = json.loads(sys.argv[1])
TYPES = {
    "id": "integer",
    "name": "string",
    "acronym": "string",
    "professional": "boolean",
    "archived": "boolean",
    "color": "string",
    "slug": "string",
    "address": "string",
    "address_complement": "string",
    "postal_code": "string",
    "city": "string",
    "country": "object",
    "country_code": "string",
    "email": "string",
    "phone": "string",
    "siren_or_siret": "string",
    "intracom_vat_number": "string",
    "note": "string",
    "iban": "string",
    "bic": "string",
    "balance_including_taxes": "number",
    "billed_including_taxes": "number",
    "clients_count": "integer",
    "pro": "boolean",
    "has_connected_invoice": "boolean",
}
"""The JSON type of each field of a client as the page server writes it."""


def schema() -> dict[str, Any]:
    """The JSON schema of a client."""
    properties: dict[str, Any] = {name: {"type": [kind, "null"]} for name, kind in TYPES.items()}
    properties["id"] = {"type": "integer"}
    properties["country"]["properties"] = {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "code": {"type": "string"},
    }
    return {"type": "object", "properties": properties}


def cpu() -> float:
    """Seconds of CPU of this process and of the children that it has waited for."""
    return sum(os.times()[:4])


class Meter:
    """What is spent from the moment it is made."""

    def __init__(self) -> None:
        self.cpu, self.began = cpu(), time.perf_counter()

    def stop(self, uncounted: float = 0.0) -> dict[str, float]:
        """The figures of the phase; uncounted: seconds of CPU of children that are none of it."""
        spent, wall = cpu() - self.cpu - uncounted, time.perf_counter() - self.began
        peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
        return {"clients": TASK["clients"], "cpu": spent, "wall": wall, "peak_mb": peak}


def tell(figures: dict[str, float], taken: int) -> None:
    """Print the figures, if the peer has as many clients as there are."""
    if taken != TASK["clients"]:
        raise SystemExit(f"{sys.argv[0]} has {taken} of {TASK['clients']} clients")
    print(json.dumps(figures))  # noqa: T201 - the benchmark reads it
