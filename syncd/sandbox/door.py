"""The operator's side door, under /_sandbox/: never faulted, never journalled.

GET    /_sandbox/PROVIDER/records[?table=&form=single|list|children|stored]   POST (create as a person)
GET    /_sandbox/PROVIDER/records/ID     PATCH (edit: native names, laid over)     DELETE     POST .../ID/archive {archived}
POST   /_sandbox/PROVIDER/merge          {winner, loser, style: remove|archive|new_id}
POST   /_sandbox/PROVIDER/expire-tokens
GET    /_sandbox/journal[?after=SEQ]     DELETE
GET    /_sandbox/faults                  POST (a rule, or a list of rules)         DELETE
POST   /_sandbox/switches                {"PROVIDER" or "*": {switch: value}}
GET    /_sandbox/state                   GET /_sandbox/truth        GET /_sandbox/credentials
POST   /_sandbox/snapshot [{name}]       POST /_sandbox/restore [{name}]           (`seed` is the beginning)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from syncd.sandbox.wire import Answer, Json, parse_json
from syncd.sandbox.world import MAIN_TABLE, PROVIDERS, World


def answer(world: World, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
    """What the side door says: 400 with a reason for nonsense, 404 for what is not there, 405 for another method."""
    parts = [unquote(part) for part in path.split("/")[2:] if part]
    try:
        given = parse_json(body) if body else None
        with world.lock:
            if parts and parts[0] in PROVIDERS:
                return _system(world, method, parts, query, given)
            return _whole(world, method, parts, query, given)
    except KeyError as error:
        return Answer(404, {"error": f"not there: {error.args[0] if error.args else ''}"})
    except (ValueError, TypeError, AttributeError) as error:
        return Answer(400, {"error": str(error)})


def _system(world: World, method: str, parts: list[str], query: Mapping[str, str], given: Json) -> Answer:
    provider, table, form = parts[0], query.get("table", ""), query.get("form", "single")
    match method, parts[1:]:
        case "GET", ["records"]:
            return Answer(200, {"records": world.records(provider, table, form)})
        case "POST", ["records"]:
            row_id = world.act(provider, {"action": "create", "table": table, "raw": given or {}})
            return Answer(201, {"id": row_id, "record": _one(world, provider, table, row_id, form)})
        case "GET", ["records", row_id]:
            return Answer(200, {"id": row_id, "record": _one(world, provider, table, row_id, form)})
        case "PATCH", ["records", row_id]:
            world.act(provider, {"action": "edit", "table": table, "id": row_id, "raw": given or {}})
            return Answer(200, {"id": row_id, "record": _one(world, provider, table, row_id, form)})
        case "DELETE", ["records", row_id]:
            world.act(provider, {"action": "delete", "table": table, "id": row_id})
            return Answer(204)
        case "POST", ["records", row_id, "archive"]:
            world.act(provider, {"action": "archive", "id": row_id, **(given or {})})
            return Answer(200, {"id": row_id, "record": _one(world, provider, table, row_id, form)})
        case "POST", ["merge"]:
            return Answer(200, {"id": world.act(provider, {**given, "action": "merge"})})
        case "POST", ["expire-tokens"]:
            world.systems[provider].revoke()
            return Answer(204)
        case _:
            return Answer(405, {"error": "no such call"})


def _one(world: World, provider: str, table: str, row_id: str, form: str) -> dict[str, Any]:
    system, name = world.systems[provider], table or MAIN_TABLE[provider]
    return system.shown(name, system.tables[name].rows[row_id], form=form)


def _whole(world: World, method: str, parts: list[str], query: Mapping[str, str], given: Json) -> Answer:
    match method, parts:
        case "GET", [name]:
            return _told(world, name, query)
        case "DELETE", ["journal"]:
            world.journal.clear()
            return Answer(204)
        case "DELETE", ["faults"]:
            world.plan.clear()
            return Answer(204)
        case "POST", ["faults"]:
            rules = given if isinstance(given, list) else [given or {}]
            return Answer(201, {"faults": [world.add_fault(rule) for rule in rules]})
        case "POST", ["switches"]:
            for provider, values in (given or {}).items():
                world.switch(provider, values)
            return Answer(200, {name: entry["switches"] for name, entry in world.state()["systems"].items()})
        case "POST", ["snapshot"]:
            return Answer(201, {"name": world.snapshot(str((given or {}).get("name", "")))})
        case "POST", ["restore"]:
            world.restore(str((given or {}).get("name", "seed")))
            return Answer(204)
        case _:
            return Answer(405, {"error": "no such call"})


def _told(world: World, name: str, query: Mapping[str, str]) -> Answer:
    """What can only be read. Raises KeyError for anything else."""
    after = int(query.get("after", "0"))
    tell: dict[str, Callable[[], Json]] = {
        "journal": lambda: {"journal": [asdict(entry) for entry in world.journal if entry.seq > after]},
        "faults": lambda: {"faults": world.plan.shown()},
        "state": world.state,
        "truth": lambda: {"truth": world.truth},
        "credentials": lambda: world.credentials,
    }
    return Answer(200, tell[name]())
