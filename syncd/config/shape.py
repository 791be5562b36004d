"""The keys of both kinds of file, as pydantic models; every key that is not here is refused.

A model checks one key at a time. What needs two keys, another section or a provider is checked in
`syncd.config.tenants`. Times are seconds (`float`) once read; files write them as "30s", "5m", "2h", "1d" or "200ms".
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from syncd.core.matching import WEIGHT_LIMIT

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""Names of tenants and systems, matched whole."""

RESERVED_SYSTEMS: Final = frozenset({"golden", "base", "operator"})
"""Words that commands and logs use for something that is no system."""

MAX_DURATION_SECONDS: Final = 365 * 86400.0
MAX_RETENTION_DAYS: Final = 3650
MAX_TIMEOUT_SECONDS: Final = 3600.0

_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAYS: Final = re.compile(r"([0-9]{1,4})d")
_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_RETENTION_FORMS: Final = f'"for ever", or days in quotes such as "90d", from "1d" to "{MAX_RETENTION_DAYS}d"'
_DURATION_FORMS: Final = 'a time in quotes such as "200ms", "30s", "5m", "2h" or "1d", at most "365d"'

_DURATION_SCHEMA: Final = {"type": "string", "pattern": f"^{_DURATION.pattern}$", "description": _DURATION_FORMS}
_RETENTION_SCHEMA: Final = {
    "type": "string",
    "pattern": f"^(for ever|{_DAYS.pattern})$",
    "description": _RETENTION_FORMS,
}


def seconds(text: object) -> float:
    """The seconds that a duration such as "5m" stands for. Raises ValueError with what is allowed."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(_DURATION_FORMS)
    value = int(match[1]) * _UNIT_SECONDS[match[2]]
    if value > MAX_DURATION_SECONDS:
        raise ValueError(_DURATION_FORMS)
    return value


def _retention(text: object) -> float | None:
    """Seconds to keep something; None for "for ever". Raises ValueError with what is allowed."""
    match = _DAYS.fullmatch(text) if isinstance(text, str) else None
    if text == "for ever":
        return None
    if match is None or not 1 <= int(match[1]) <= MAX_RETENTION_DAYS:
        raise ValueError(_RETENTION_FORMS)
    return int(match[1]) * 86_400.0


def _timeout(value: float) -> float:
    if not 0 < value <= MAX_TIMEOUT_SECONDS:
        message = 'a time above "0s" and at most "1h"'
        raise ValueError(message)
    return value


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_fault(text: str, *, insecure_loopback: bool) -> str | None:
    """What is allowed instead of this address of a system, or None where nothing is wrong with it.

    The address itself is never part of the answer: it may hold a password.
    """
    try:
        parts = urlsplit(text)
        host, port, user = parts.hostname or "", parts.port, parts.username
    except ValueError:
        return 'an address such as "https://host/path"'
    if user is not None:
        return "an address without user name or password; credentials have keys of their own"
    if parts.query or parts.fragment or not host or port == 0 or any(letter <= " " for letter in text):
        return 'an address such as "https://host/path", without query or fragment'
    if parts.scheme == "https" or (parts.scheme == "http" and insecure_loopback and is_loopback(host)):
        return None
    if parts.scheme == "http" and is_loopback(host):
        return "https:// only, unless syncd.toml sets limits.allow_insecure_loopback = true"
    return "https:// only (http:// can be allowed for loopback alone, by limits.allow_insecure_loopback)"


def _region(text: str) -> str:
    if re.fullmatch(r"[A-Z]{2}", text) is None or text not in Locale("en").territories:
        message = 'a country of ISO 3166-1 in two capital letters, such as "FR"'
        raise ValueError(message)
    return text


def _locale(text: str) -> str:
    message = 'a language of BCP 47 such as "fr-FR"'
    try:
        Locale.parse(text, sep="-")
    except (ValueError, UnknownLocaleError) as error:
        raise ValueError(message) from error
    return text


def _url(text: str, *, free_port: bool = False) -> SplitResult | None:
    """The parts of an address that names a host and no user; None where it is none. free_port: port 0 may be meant."""
    try:
        parts = urlsplit(text)
        complete = bool(parts.hostname) and parts.username is None and (parts.port != 0 or free_port)
    except ValueError:
        return None
    return parts if complete else None


def _listen(text: str) -> str:
    message = '"ADDRESS:PORT" such as "127.0.0.1:8484", or "" for none'
    parts = _url(f"//{text}", free_port=True)
    if text and (parts is None or parts.port is None or parts.netloc != text):
        raise ValueError(message)
    return text


def _public(text: str) -> str:
    message = '"https://HOST" or "https://HOST:PORT", without a path, or "" where browsers go to web.listen itself'
    parts = _url(text)
    bare = parts is not None and f"{parts.scheme}://{parts.netloc}" == text == text.lower()
    safe = parts is not None and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )
    if text and not (bare and safe):
        raise ValueError(message)
    return text


def _collector(text: str) -> str:
    message = '"http://HOST:PORT" or "https://HOST", or "" for what OTEL_EXPORTER_OTLP_ENDPOINT says'
    parts = _url(text)
    if text and (parts is None or parts.scheme not in {"http", "https"} or parts.query or parts.fragment):
        raise ValueError(message)
    return text


def _database(text: str) -> str:
    reference = text.partition(":")[0] in {"env", "file", "keyring"}
    folder = text.startswith("sqlite:///") and text not in {"sqlite:///", "sqlite:///:memory:"}
    if not (folder or reference or text.startswith(("postgresql://", "postgresql+psycopg://"))):
        message = '"sqlite:///FOLDER", "postgresql://..." or a reference to it: "env:NAME", "file:/path"'
        raise ValueError(message)
    return text


Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(_DURATION_SCHEMA)]
Kept = Annotated[float | None, BeforeValidator(_retention), WithJsonSchema(_RETENTION_SCHEMA)]
Timeout = Annotated[float, BeforeValidator(seconds), AfterValidator(_timeout), WithJsonSchema(_DURATION_SCHEMA)]
SystemName = Annotated[str, Field(min_length=1, max_length=63)]
OnDelete = Literal["archive", "ignore", "delete"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Log(_Strict):
    """Section [log] of syncd.toml."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "pretty"] = "auto"
    file: str = "state/log/syncd.jsonl"


class Web(_Strict):
    """Section [web] of syncd.toml."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8484"
    public: Annotated[str, AfterValidator(_public)] = ""
    tokens: Annotated[str, Field(min_length=1)] = "state/web-tokens.json"


class Tracing(_Strict):
    """Section [tracing] of syncd.toml."""

    endpoint: Annotated[str, AfterValidator(_collector)] = ""


class Limits(_Strict):
    """Section [limits] of syncd.toml."""

    allow_insecure_loopback: bool = False


Told = Literal["paused", "brake", "first_run", "conflict", "stale", "budget"]
TOLD: Final[list[Told]] = ["paused", "brake", "first_run", "conflict", "stale", "budget"]


class Notify(_Strict):
    """Section [notify] of either file; the tenant's replaces the service's."""

    command: list[Annotated[str, Field(min_length=1)]] = []
    webhook: str = ""
    on: list[Told] = TOLD
    conflict_age: Duration = 86_400.0
    stale_after: Duration = 3_600.0
    budget_share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.9


class Service(_Strict):
    """syncd.toml."""

    database: Annotated[str, AfterValidator(_database)] = "sqlite:///state"
    state: str = ""
    log: Log = Log()
    web: Web = Web()
    limits: Limits = Limits()
    tracing: Tracing = Tracing()
    notify: Notify | None = None


class Environment(Service, BaseSettings):
    """syncd.toml as overridden by the environment: SYNCD_DATABASE, SYNCD_LOG__LEVEL, SYNCD_WEB__LISTEN ..."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="SYNCD_", env_nested_delimiter="__")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file (handed over as keyword arguments), and nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


class Tenant(_Strict):
    """Section [tenant]."""

    enabled: bool = True
    first_run: Literal["review", "go"] = "review"
    country: Annotated[str, AfterValidator(_region)] = "FR"
    language: Annotated[str, AfterValidator(_locale)] = "fr-FR"
    merges: Literal["propose", "auto"] = "propose"


class System(BaseModel):
    """Section [systems.NAME]. Keys that are not here belong to the provider and are checked against its class."""

    model_config = ConfigDict(extra="allow", frozen=True)

    provider: str
    mode: Literal["observe", "create-only", "update-only", "sync"] = "observe"
    poll: Duration = 300.0
    only: str = ""
    on_delete: OnDelete | None = None
    base_url: str | None = None
    timeout: Timeout = 30.0
    requests_per_second: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = None
    requests_per_day: Annotated[int, Field(ge=1)] | None = None
    page_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    requests_at_once: Annotated[int, Field(ge=1, le=16)] = 4


class FieldRule(_Strict):
    """Section [fields.NAME]."""

    rule: Literal["order", "newest", "fill", "hold"] = "order"
    order: list[SystemName] = []
    sources: Annotated[list[SystemName] | None, Field(alias="from")] = None
    targets: Annotated[list[SystemName] | None, Field(alias="to")] = None


class Deletes(_Strict):
    """Section [deletes]."""

    on_delete: OnDelete = "archive"


class BrakeLimit(_Strict):
    """A key of [brakes]: more than `count` records and more than `share` of them stop the plan."""

    count: Annotated[int, Field(ge=0)] = 5
    share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.10


class WriteBudget(_Strict):
    """Key brakes.write_budget: a field written `writes` times in `cycles` cycles without a person's edit is frozen."""

    writes: Annotated[int, Field(ge=1)] = 3
    cycles: Annotated[int, Field(ge=1)] = 10


class Brakes(_Strict):
    """Section [brakes]."""

    deletes: BrakeLimit = BrakeLimit()
    clears: BrakeLimit = BrakeLimit()
    overwrites: BrakeLimit = BrakeLimit()
    unlinks: BrakeLimit = BrakeLimit()
    merges: BrakeLimit = BrakeLimit()
    write_budget: WriteBudget = WriteBudget()


class Timings(_Strict):
    """Section [timing]."""

    create_settle: Duration = 120.0
    stale_read: Duration = 120.0
    confirm_delete_after: Duration = 600.0
    settle: Duration = 0.0


Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=-WEIGHT_LIMIT, le=WEIGHT_LIMIT, allow_inf_nan=False)]


class FurtherField(_Strict):
    """A key of [matching.fields]: a further field that takes part in matching."""

    likeness: Literal["exact", "number", "text"] = "exact"
    equal: Weight = 3.0
    near: Weight = 1.5
    differs: Weight = -1.0
    key: bool = False


class MatchingKeys(_Strict):
    """Section [matching]. weights: any of `syncd.core.matching.Weights`."""

    propose: Score = 0.5
    link: Score = 0.9
    weights: dict[str, Weight] = {}
    fields: dict[str, FurtherField] = {}


class Retention(_Strict):
    """Section [retention]: how long what is over is kept."""

    walks: Kept = 90 * 86_400.0
    writes: Kept = None
    conflicts: Kept = None
    history: Kept = None


class TenantFile(_Strict):
    """tenants/NAME.toml."""

    tenant: Tenant = Tenant()
    systems: dict[str, System] = {}
    fields: dict[str, FieldRule] = {}
    deletes: Deletes = Deletes()
    brakes: Brakes = Brakes()
    timing: Timings = Timings()
    matching: MatchingKeys = MatchingKeys()
    retention: Retention = Retention()
    notify: Notify | None = None
