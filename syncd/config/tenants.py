"""tenants/NAME.toml: one tenant's systems and wishes, checked as a whole and turned into what the engine takes.

Order of the checks: the document's shape (pydantic), then each system with its provider, then what needs two keys. A file
is checked to its end whatever was found on the way, so that all its problems are told at once.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from syncd import providers
from syncd.config import files, secret, telling
from syncd.config.matching import check_matching, matching_of
from syncd.config.problems import Problems, dotted, shown, unknown
from syncd.config.shape import NAME, RESERVED_SYSTEMS, FieldRule, System, TenantFile, url_fault
from syncd.config.telling import NotifyConfig
from syncd.core.model import (
    FIELDS,
    UNITS,
    Brake,
    BrakeKind,
    Context,
    FieldPolicy,
    Fields,
    Mode,
    Policy,
    Retention,
    Rule,
    SystemPolicy,
    Timing,
)
from syncd.core.predicate import compile_predicate

MAX_REPAIRS: Final = 4
UNSHOWN: Final = "a text that is not shown"
UNRESOLVED: Final = "unresolved"
"""What a provider's check sees in place of a secret that could not be, or need not be, resolved."""

NAMES_OF_USERS: Final = frozenset({"username", "client_id"})
"""Keys that may be references like secrets, and may as well be written out."""

_OWN_KEYS: Final = frozenset(System.model_fields)
_PAIRS: Final = (("username", "password"), ("client_id", "client_secret"))
"""Credentials that are of no use alone."""


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """One tenant, ready to be put together. Systems in order of trust, in `policy` and `systems` alike.

    enabled: a disabled tenant is validated, except for its secrets, and never run. poll_seconds: system -> pause between pulls.
    notify: who is told, None where the service's section counts.
    """

    name: str
    enabled: bool
    policy: Policy
    systems: tuple[providers.Settings, ...]
    poll_seconds: Mapping[str, float]
    file: Path
    notify: NotifyConfig | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the reading of a tenant's file depends on beside the file itself."""

    environment: Mapping[str, str]
    insecure_loopback: bool
    warn: Callable[[str], None]


def load_tenant(path: Path, around: Surroundings) -> tuple[TenantConfig | None, list[str]]:
    """The tenant in a file, or every problem with it."""
    problems = Problems(path)
    files.check_name(path, problems)
    document = files.read(path, problems)
    if document is None:
        return None, problems.lines
    file = _shaped(document, problems)
    names = document["systems"] if isinstance(document.get("systems"), dict) else {}
    if document.get("systems", {}) == {}:
        problems.add("systems", "found none", "at least one section [systems.NAME]")
    for name in names:
        _check_name(name, problems)
    readings = {name: _System(name, system, file, around, problems) for name, system in file.systems.items()}
    only = {name: reading.check() for name, reading in readings.items()}
    _check_connections(readings, problems)
    for name, rule in file.fields.items():
        _check_rule(name, rule, file, set(names), problems)
    check_matching(file.matching, problems)
    told = telling.notify(
        file.notify,
        around.environment,
        problems,
        insecure_loopback=around.insecure_loopback,
        warn=around.warn,
        resolve=file.tenant.enabled,
    )
    if problems.lines:
        return None, problems.lines
    tenant = TenantConfig(
        name=path.stem,
        enabled=file.tenant.enabled,
        policy=_policy(path.stem, file, readings, only),
        systems=tuple(reading.settings() for reading in readings.values()),
        poll_seconds={name: system.poll for name, system in file.systems.items()},
        file=path,
        notify=told,
    )
    return tenant, []


def _shaped(document: dict[str, Any], problems: Problems) -> TenantFile:
    """The document as a model. What is wrong with its shape is told and left out, so that the rest can be checked, too."""
    document = copy.deepcopy(document)
    for attempt in range(MAX_REPAIRS):
        try:
            return TenantFile.model_validate(document, strict=True)
        except ValidationError as error:
            if attempt == 0:
                problems.add_validation(error, TenantFile)
            for detail in error.errors(include_url=False):
                _leave_out(document, detail["loc"][:-1] if detail["type"] == "missing" else detail["loc"])
    return TenantFile()


def _leave_out(document: dict[str, Any], location: Sequence[int | str]) -> None:
    """Remove the key at a location, or the list that holds the place; an unusable mode counts as the widest one."""
    table = document
    for part in location[:-1]:
        if not isinstance(table.get(str(part)), dict):
            table.pop(str(part), None)
            return
        table = table[str(part)]
    key = str(location[-1])
    table.pop(key, None)
    if key == "mode":
        table[key] = "sync"


def _check_name(name: str, problems: Problems) -> None:
    key = dotted(("systems", name))
    if NAME.fullmatch(name) is None:
        problems.add(key, "found this name", "a-z, 0-9, - and _, at most 63 of them, the first a letter or digit")
    elif name in RESERVED_SYSTEMS:
        problems.add(
            key, "found a name with a meaning of its own", f"any other name than {', '.join(sorted(RESERVED_SYSTEMS))}"
        )


def _load_provider(name: str, key: str, problems: Problems) -> Any:
    """The provider's class, or None with the problem told."""
    try:
        return providers.load(name)
    except KeyError:
        _, allowed = unknown(name, providers.known())
        problems.add(key, f"found {shown(name)}", allowed)
    except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way while it is imported
        problems.add(key, f"provider {shown(name)} cannot be loaded ({type(error).__name__})", "a provider that works")
    return None


def _check_keys(place: tuple[str, ...], extra: Mapping[str, Any], provider: Any, problems: Problems) -> None:
    """Unknown keys of a system, and secrets that are no references."""
    allowed = {*_OWN_KEYS, *provider.option_keys, *provider.secret_keys}
    for key, value in extra.items():
        if key in provider.secret_keys:
            if not secret.is_reference(value) and key not in NAMES_OF_USERS:
                problems.add(dotted((*place, key)), f"{UNSHOWN}, and no reference to a secret", secret.FORMS)
        elif key not in provider.option_keys:
            _, names = unknown(key, allowed)
            problems.add(dotted((*place, key)), "unknown key", names)


class _System:
    """One section [systems.NAME] while it is checked and turned into settings."""

    def __init__(self, name: str, keys: System, file: TenantFile, around: Surroundings, problems: Problems) -> None:
        self.name = name
        self.keys = keys
        self.file = file
        self.around = around
        self.problems = problems
        self.extra: Mapping[str, Any] = keys.model_extra or {}
        self.provider: Any = None
        self.options: dict[str, Any] = {}

    def check(self) -> Callable[[Fields], bool] | None:
        """Tell every problem of the section; returns what `only` was compiled to."""
        self.provider = _load_provider(self.keys.provider, self._key("provider"), self.problems)
        if self.provider is not None:
            _check_keys(("systems", self.name), self.extra, self.provider, self.problems)
            self._resolve()
            if self._credentials_are_complete():
                self._check_options()
            self._check_deletes()
        self._check_addresses()
        return self._compile_only()

    def settings(self) -> providers.Settings:
        """What the provider is built with; for a disabled tenant without its secrets."""
        keys = self.keys
        return providers.Settings(
            system=self.name,
            provider=keys.provider,
            base_url=keys.base_url,
            timeout_seconds=keys.timeout,
            requests_per_second=keys.requests_per_second,
            requests_per_day=keys.requests_per_day,
            page_size=keys.page_size,
            requests_at_once=keys.requests_at_once,
            insecure_loopback=self.around.insecure_loopback,
            context=Context(self.file.tenant.country, self.file.tenant.language),
            options={key: value for key, value in self.options.items() if value != UNRESOLVED},
        )

    def connection(self) -> str:
        """What makes two sections the same connection: provider, address, and everything the provider was told."""
        given = [self.keys.provider, self.keys.base_url or self.provider.default_base_url, sorted(self.extra.items())]
        return json.dumps(given, sort_keys=True, default=str)

    def decides(self) -> dict[str, Any]:
        """The keys that decide what is read, compared and written; neither secrets nor the pace."""
        secrets = self.provider.secret_keys
        extra = {
            key: value for key, value in self.extra.items() if key not in secrets and not secret.is_reference(value)
        }
        own = self.keys.model_dump(include={"provider", "mode", "only", "on_delete", "base_url"})
        return {"name": self.name, **own, "options": extra}

    def _key(self, key: str) -> str:
        """A key of this section as problems name it; the section itself for ""."""
        section = dotted(("systems", self.name))
        return f"{section}.{key}" if key else section

    def _credentials_are_complete(self) -> bool:
        """Whether there are credentials, and none that are of no use alone; else that is told."""
        before = len(self.problems.lines)
        known = {*self.provider.option_keys, *self.provider.secret_keys}
        for first, second in _PAIRS:
            if (
                {first, second} <= known
                and (first in self.extra) != (second in self.extra)
                and "token" not in self.extra
            ):
                given, missing = (first, second) if first in self.extra else (second, first)
                self.problems.add(self._key(missing), f"missing, though {given} is given", f"both {first} and {second}")
        secrets = self.provider.secret_keys
        if secrets and not secrets & self.extra.keys():
            self.problems.add(self._key(""), "found no credentials", f"{', '.join(sorted(secrets))}: {secret.FORMS}")
        return len(self.problems.lines) == before

    def _resolve(self) -> None:
        """Fill `options`. A reference is resolved under any key; what cannot be, or need not be, is left as a word."""
        for key, value in self.extra.items():
            self.options[key] = value
            if not secret.is_reference(value):
                if key in self.provider.secret_keys - NAMES_OF_USERS:
                    self.options[key] = UNRESOLVED
                continue
            self.options[key] = UNRESOLVED
            if self.file.tenant.enabled:
                try:
                    self.options[key] = secret.resolve(value, self.around.environment, self.around.warn)
                except secret.Unresolved as error:
                    self.problems.add(self._key(key), error.found, error.allowed)

    def _check_options(self) -> None:
        """The provider's own judgement; a line that begins with one of its keys is shown under that key."""
        try:
            lines = self.provider.check_options(self.options)
        except Exception as error:  # noqa: BLE001 - a plug-in that stumbles over a value stops its tenant only
            self.problems.add(self._key(""), f"the provider stumbled over these keys ({type(error).__name__})")
            return
        for line in lines:
            key, colon, words = line.partition(": ")
            named = bool(colon) and key.partition(".")[0] in {*self.provider.option_keys, *self.provider.secret_keys}
            self.problems.add(self._key(key if named else ""), words if named else line)

    def _check_deletes(self) -> None:
        capabilities = getattr(self.provider, "capabilities", None)
        if self.keys.on_delete != "delete":
            return
        if isinstance(capabilities, providers.Capabilities) and not capabilities.delete:
            self.problems.add(
                self._key("on_delete"), f'found "delete", which {self.keys.provider} cannot do', '"archive" or "ignore"'
            )
        elif not Mode(self.keys.mode).updates:
            self.problems.add(
                self._key("on_delete"), f'found "delete" with mode = "{self.keys.mode}"', 'mode "sync" or "update-only"'
            )

    def _check_addresses(self) -> None:
        urls: dict[str, object] = {"base_url": self.keys.base_url}
        urls.update({key: value for key, value in self.options.items() if key.endswith("_url") and value != UNRESOLVED})
        for key, value in urls.items():
            if value is None:
                continue
            fault = (
                url_fault(value, insecure_loopback=self.around.insecure_loopback)
                if isinstance(value, str)
                else "a text in quotes"
            )
            if fault:
                self.problems.add(self._key(key), "a value that is not shown", fault)

    def _compile_only(self) -> Callable[[Fields], bool] | None:
        if not self.keys.only.strip():
            return None
        try:
            return compile_predicate(self.keys.only)
        except ValueError as error:
            self.problems.add(self._key("only"), f"found {shown(self.keys.only)}", str(error))
            return None


def _check_connections(readings: Mapping[str, _System], problems: Problems) -> None:
    """Two sections for one account would be two opinions of one system, and each of its clients a duplicate."""
    seen: dict[str, str] = {}
    for name, reading in readings.items():
        if reading.provider is None or not reading.provider.secret_keys:
            continue
        first = seen.setdefault(reading.connection(), name)
        if first != name:
            problems.add(dotted(("systems", name)), f"the same connection as systems.{first}", "each account once")


def _check_rule(name: str, rule: FieldRule, file: TenantFile, systems: Collection[str], problems: Problems) -> None:
    place = ("fields", name)
    if name not in UNITS:
        if name in FIELDS:
            unit = FIELDS[name].unit
            problems.add(dotted(place), f"{name} is a part of {unit}, which is merged as one", f"[fields.{unit}]")
        else:
            _, allowed = unknown(name, UNITS)
            problems.add(dotted(place), "unknown field", allowed)
    for key, names in (("order", rule.order), ("from", rule.sources), ("to", rule.targets)):
        for index, system in enumerate(names or ()):
            at = dotted((*place, key, index))
            if system not in systems:
                _, allowed = unknown(system, systems)
                problems.add(at, f"found {shown(system)}, no system of this file", allowed)
            elif system in (names or ())[:index]:
                problems.add(at, f"found {shown(system)} twice", "each system once")
            elif key == "to" and system in file.systems and file.systems[system].mode == "observe":
                problems.add(at, f'found {shown(system)}, which has mode = "observe"', "systems that may be written")
    if rule.rule == "hold" and rule.order:
        problems.add(dotted((*place, "order")), 'found with rule = "hold"', "no order: a person decides")


def _field_policies(file: TenantFile) -> dict[str, FieldPolicy]:
    """The rules of the file; without one of its own, marketing consent is taken in and written nowhere."""
    policies = {
        unit: FieldPolicy(
            rule=Rule(rule.rule),
            order=tuple(rule.order),
            sources=None if rule.sources is None else frozenset(rule.sources),
            targets=None if rule.targets is None else frozenset(rule.targets),
        )
        for unit, rule in file.fields.items()
    }
    consent = policies.get("marketing_consent", FieldPolicy())
    if consent.targets is None:
        policies["marketing_consent"] = FieldPolicy(consent.rule, consent.order, consent.sources, frozenset())
    return policies


def _policy(
    name: str,
    file: TenantFile,
    readings: Mapping[str, _System],
    only: Mapping[str, Callable[[Fields], bool] | None],
) -> Policy:
    systems = tuple(
        SystemPolicy(
            name=system,
            provider=keys.provider,
            mode=Mode(keys.mode),
            on_delete=keys.on_delete or file.deletes.on_delete,
            only=only[system],
            only_text=keys.only,
        )
        for system, keys in file.systems.items()
    )
    brakes = {kind: getattr(file.brakes, kind.value) for kind in BrakeKind}
    return Policy(
        tenant=name,
        systems=systems,
        fields=_field_policies(file),
        context=Context(file.tenant.country, file.tenant.language),
        first_run=file.tenant.first_run,
        merges=file.tenant.merges,
        brakes={kind: Brake(limit.count, limit.share) for kind, limit in brakes.items()},
        timing=Timing(
            create_settle_seconds=file.timing.create_settle,
            stale_read_seconds=file.timing.stale_read,
            confirm_delete_after_seconds=file.timing.confirm_delete_after,
            settle_seconds=file.timing.settle,
        ),
        matching=matching_of(file.matching),
        retention=Retention(
            walks_seconds=file.retention.walks,
            writes_seconds=file.retention.writes,
            conflicts_seconds=file.retention.conflicts,
            history_seconds=file.retention.history,
        ),
        write_budget=file.brakes.write_budget.writes,
        write_budget_cycles=file.brakes.write_budget.cycles,
        digest=_digest(name, file, readings),
    )


def _digest(name: str, file: TenantFile, readings: Mapping[str, _System]) -> str:
    """A digest of everything that decides: a plan made under another one is not applied."""
    decides = {
        "tenant": {"name": name, **file.tenant.model_dump(exclude={"enabled"})},
        "systems": [reading.decides() for reading in readings.values()],
        **file.model_dump(include={"fields", "deletes", "brakes", "timing", "matching"}),
    }
    text = json.dumps(decides, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
