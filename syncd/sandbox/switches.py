"""The switches of each simulated system: what nobody outside the vendor knows, and how strict the simulation is.

Defaults are the documented behaviour, or the one the research notes propose where the documentation is silent. Every switch can
be set at start (`start(switches={"tiime": {"total_style": "known"}})`) and while running (`Sandbox.switch`, the side door).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(slots=True)
class Common:
    """What every system has. rate_burst 0 = no rate limit; normalise: write name -> trim|lower|upper|title|digits|cut:N."""

    latency_seconds: float = 0.0
    clock_offset_seconds: float = 0.0
    token_seconds: float = 3600.0
    rate_burst: int = 0
    rate_per_second: float = 0.0
    normalise: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class TiimeSwitches(Common):
    """default_window: records shown without a Range header; total_style: `star` says `*` while more follow."""

    token_seconds: float = 7200.0
    default_window: int = 26
    past_the_end: Literal["empty", "416"] = "empty"
    total_style: Literal["star", "known"] = "star"
    require_app_headers: bool = False
    update: Literal["none", "PATCH", "PUT"] = "none"
    delete: bool = False
    contacts: bool = True
    moving_billing: bool = False
    create_status: Literal[200, 201] = 201


@dataclass(slots=True)
class LspSwitches(Common):
    """list_children: what list items show of contacts, files, labels, notes, services."""

    json_bodies: bool = True
    empty_value: Literal["clear", "store", "ignore"] = "clear"
    unknown_parameters: Literal["refuse", "ignore"] = "refuse"
    archived_in_list: bool = True
    delete_status: Literal[200, 204] = 200
    refuse_delete_in_use: bool = False
    touch_on_child: bool = True
    touch_on_update: bool = True
    list_children: Literal["empty", "full"] = "empty"
    country_shape: Literal["code", "object"] = "code"
    sorts: tuple[str, ...] = ("createdAt", "updatedAt", "name")
    create_status: Literal[200, 201] = 201
    default_tax: bool = True


@dataclass(slots=True)
class SmartbillsSwitches(Common):
    """profile: AB = the seed's contract with the fields of the current pages. The rate limit is the documented bucket."""

    rate_burst: int = 1000
    rate_per_second: float = 20.0
    profile: Literal["A", "AB", "B", "C"] = "AB"
    strict_update: Literal["keys", "values", "one_of"] = "keys"
    omitted: Literal["clear", "keep"] = "clear"
    unique_email: bool = True
    envelope: Literal["metadata", "pagination"] = "metadata"
    create_status: Literal[200, 201] = 201
    delete_status: Literal[200, 204] = 200
    idempotency: bool = True
    rotate_refresh: bool = True
    require_tenant_header: bool = False
    scopes: tuple[str, ...] = ("read", "write", "delete")
    customer_webhooks: bool = False
    max_page_size: int = 100


@dataclass(slots=True)
class FlowtlySwitches(Common):
    """items_per_page: the client may choose the page size; merge_retires: the loser of a merge answers 404 afterwards."""

    hydra_prefix: bool = True
    json_format: bool = True
    omit_nulls: bool = True
    items_per_page: bool = False
    max_items_per_page: int = 100
    page_size: int = 30
    iri_prefix: Literal["", "/api"] = ""
    iri_keys: Literal["iso", "integer"] = "iso"
    embedded_contacts: Literal["full", "cut", "none"] = "full"
    counterparty_auto_create: bool = False
    merge_retires: bool = True
    require_instance: bool = False
    etag: bool = False
    forbid_unknown: bool = False
    statuses: tuple[str, ...] = ("active", "inactive")
    tin_types: tuple[str, ...] = ("nip", "vat_eu", "other", "none")
    contact_types: tuple[str, ...] = ("billing", "general", "technical")


def change(switches: Common, values: dict[str, Any]) -> None:
    """Set switches by name. Raises ValueError naming every unknown switch and every value that is not allowed."""
    hints = get_type_hints(type(switches))
    problems = []
    accepted: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            problems.append(f"unknown switch {name!r}; known are {', '.join(sorted(hints))}")
            continue
        fitting = _fit(hints[name], value)
        if fitting is None:
            problems.append(f"switch {name!r} cannot be {value!r}")
        else:
            accepted[name] = fitting
    if problems:
        raise ValueError("; ".join(problems))
    for name, value in accepted.items():
        setattr(switches, name, value)


def _fit(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        return value if value in get_args(hint) and type(value) in {type(known) for known in get_args(hint)} else None
    if origin is tuple:
        return (
            tuple(value) if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value) else None
        )
    if origin is dict:
        return dict(value) if isinstance(value, dict) else None
    if hint is float:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return value if type(value) is hint else None


def shown(switches: Common) -> dict[str, Any]:
    """All switches with their values, as JSON."""
    return {one.name: getattr(switches, one.name) for one in fields(switches)}


def normalised(switches: Common, name: str, value: Any) -> Any:
    """What a system that normalises on its own stores instead of `value`."""
    rule = switches.normalise.get(name, "")
    if not rule or not isinstance(value, str):
        return value
    if rule.startswith("cut:"):
        return value[: int(rule.removeprefix("cut:"))]
    acts: dict[str, Callable[[str], str]] = {
        "trim": str.strip,
        "lower": str.lower,
        "upper": str.upper,
        "title": str.title,
    }
    if rule == "digits":
        return "".join(sign for sign in value if sign.isdigit())
    return acts[rule](value)
