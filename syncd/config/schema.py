"""JSON Schema of both kinds of file, for editors that complete and check while one types.

It is made of the models that check the files and of what the providers declare, so that it cannot say anything else. What needs
two keys, another section or a secret only `syncd config lint` can tell.
"""

from __future__ import annotations

from typing import Any, Final

from syncd import providers
from syncd.config import shape

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SECRET: Final = {"type": "string", "pattern": "^(env|file|keyring):.+", "description": "a reference to a secret"}


def of_service() -> dict[str, Any]:
    """The schema of syncd.toml."""
    return {"$schema": DIALECT, **_written(shape.Service.model_json_schema()), "title": "syncd.toml"}


def of_tenant() -> dict[str, Any]:
    """The schema of tenants/NAME.toml, with the keys of every provider that is known here."""
    model = _written(shape.TenantFile.model_json_schema(by_alias=True))
    made = {"$schema": DIALECT, **model, "title": "tenants/NAME.toml"}
    system = made["$defs"]["System"]
    own = dict(system["properties"])
    own["provider"] = {**own["provider"], "enum": sorted(providers.known())}
    system["properties"] = own
    system["additionalProperties"] = True
    system["allOf"] = [_of_provider(name, own) for name in sorted(providers.known())]
    made["properties"]["systems"]["propertyNames"] = {"pattern": f"^{shape.NAME.pattern}$"}
    return made


def _of_provider(name: str, own: dict[str, Any]) -> dict[str, Any]:
    """With this provider: its own keys beside those that every system takes, and no others."""
    provider = providers.load(name)
    keys: dict[str, Any] = {key: {"description": words} for key, words in provider.option_keys.items()}
    keys |= dict.fromkeys(provider.secret_keys - {"username", "client_id"}, SECRET)
    keys |= {key: {"type": "string"} for key in provider.secret_keys & {"username", "client_id"}}
    return {
        "if": {"properties": {"provider": {"const": name}}, "required": ["provider"]},
        "then": {"properties": {**dict.fromkeys(own, True), **keys}, "additionalProperties": False},
    }


def _written(node: Any) -> Any:
    """The schema without defaults that no file could have: times are texts in a file and seconds in a model."""
    match node:
        case dict():
            bare = node.get("type") == "string" and not isinstance(node.get("default", ""), str)
            return {key: _written(value) for key, value in node.items() if not (bare and key == "default")}
        case list():
            return [_written(each) for each in node]
        case _:
            return node
