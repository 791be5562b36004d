"""The JSON Schema for editors says what the checks say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from syncd import providers
from syncd.config import schema

ROOT = Path(__file__).resolve().parents[2]


def faults(value: Any, node: dict[str, Any], defs: dict[str, Any], place: str = "") -> list[str]:
    """What of a document a schema does not allow, as far as the words that ours uses."""
    if "$ref" in node:
        node = {**defs[node["$ref"].rpartition("/")[2]], **{key: part for key, part in node.items() if key != "$ref"}}
    if "anyOf" in node:
        tried = [faults(value, each, defs, place) for each in node["anyOf"]]
        return [] if [] in tried else tried[0]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    kind = node.get("type")
    if kind in kinds and not isinstance(value, kinds[kind]):
        return [f"{place}: no {kind}"]
    found = [f"{place}: pattern"] if isinstance(value, str) and not re.search(node.get("pattern", ""), value) else []
    if "enum" in node and value not in node["enum"]:
        found.append(f"{place}: enum")
    if isinstance(value, dict):
        for branch in node.get("allOf", []):
            wanted = branch["if"]["properties"]["provider"]["const"]
            if value.get("provider") == wanted:
                found += faults(value, branch["then"], defs, place)
        for key, part in value.items():
            known = node.get("properties", {}).get(key, node.get("additionalProperties", True))
            if known is False:
                found.append(f"{place}.{key}: unknown")
            elif isinstance(known, dict):
                found += faults(part, known, defs, f"{place}.{key}")
    if isinstance(value, list) and "items" in node:
        found += [line for part in value for line in faults(part, node["items"], defs, f"{place}[]")]
    return found


def of_tenant(text: str) -> list[str]:
    made = schema.of_tenant()
    return faults(tomllib.loads(text), made, made["$defs"])


def test_the_shipped_files_fit() -> None:
    """The commented examples, and the sections that stand in comments, are what the schema allows."""
    service = (ROOT / "config" / "syncd.toml").read_text()
    made = schema.of_service()
    assert faults(tomllib.loads(service), made, made["$defs"]) == []
    assert of_tenant((ROOT / "config" / "tenants" / "example.toml").read_text()) == []
    notify = "\n".join(line[2:] for line in service.splitlines() if re.match(r"# (\[notify|[a-z_]+ = )", line))
    assert faults(tomllib.loads(notify), made, made["$defs"]) == []


def test_what_the_checks_refuse_the_schema_refuses() -> None:
    """Unknown keys, other providers' keys, literal secrets and numbers for times do not fit."""
    base = '[systems.books]\nprovider = "tiime"\n'
    assert of_tenant(f'{base}poll = "5m"\ncompany_id = 1\npassword = "env:X"') == []
    assert of_tenant(f"{base}poll = 300") == [".systems.books.poll: no string"]
    assert of_tenant(f'{base}dialect = "v1"') == [".systems.books.dialect: unknown"]
    assert of_tenant(f'{base}password = "hunter2"') == [".systems.books.password: pattern"]
    assert of_tenant('[systems.x]\nprovider = "nobody"') == [".systems.x.provider: enum"]
    assert of_tenant("[nonsense]") == [".nonsense: unknown"]
    assert of_tenant('[retention]\nwalks = "2y"') == [".retention.walks: pattern"]
    assert of_tenant('[retention]\nwalks = "for ever"') == []


def test_every_key_of_every_provider_is_in_it() -> None:
    """What a provider takes is offered with that provider."""
    branches = schema.of_tenant()["$defs"]["System"]["allOf"]
    for name in providers.known():
        (branch,) = (each["then"] for each in branches if each["if"]["properties"]["provider"]["const"] == name)
        provider = providers.load(name)
        assert {*provider.option_keys, *provider.secret_keys, "mode", "poll"} <= branch["properties"].keys()
