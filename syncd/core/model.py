"""The nouns: fields and merge units, and the values that travel between the modules.

Three states of a field are told apart everywhere, in memory and in JSON alike:

    unknown   the key is absent from the mapping: the system cannot say, or did not say
    empty     the key is there and its value is None: the system says there is nothing
    a value   anything else

A *unit* is what is merged as one: a single field, or an atomic group (`name`, `address`). The value of a group is
the mapping of its known parts; the value of a single field is the field's value. `UNKNOWN` stands for an unknown unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import Enum, StrEnum
from typing import Final, Literal, TypeAlias

from syncd.core.matching import MATCHING, Matching

Value: TypeAlias = "bool | int | str | list[Value] | dict[str, Value] | None"
Fields: TypeAlias = Mapping[str, Value]
"""Canonical fields of one record or client: absent = unknown, None = empty."""

Raw: TypeAlias = dict[str, "Value"]
"""A record exactly as the system's JSON says (numbers that are not integers as `decimal.Decimal`)."""


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown.UNKNOWN
Unknown: TypeAlias = Literal[_Unknown.UNKNOWN]
Maybe: TypeAlias = "Value | Unknown"


class Kind(StrEnum):
    """What a field holds, which decides how it is normalised and compared."""

    TEXT = "text"
    CHOICE = "choice"
    EMAIL = "email"
    PHONE = "phone"
    COUNTRY = "country"
    REGISTRATION = "registration"
    VAT = "vat"
    CURRENCY = "currency"
    DAYS = "days"
    LANGUAGE = "language"
    FLAG = "flag"
    HTML = "html"
    IBAN = "iban"
    BIC = "bic"
    CONTACTS = "contacts"
    NOTES = "notes"


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical attribute of a client; `unit` names the merge unit it belongs to."""

    name: str
    kind: Kind
    unit: str


def _single(name: str, kind: Kind) -> Field:
    return Field(name, kind, name)


FIELDS: Final[Mapping[str, Field]] = {
    field.name: field
    for field in (
        Field("name", Kind.TEXT, "name"),
        Field("given_name", Kind.TEXT, "name"),
        Field("family_name", Kind.TEXT, "name"),
        _single("kind", Kind.CHOICE),
        _single("email", Kind.EMAIL),
        _single("phone", Kind.PHONE),
        Field("address_line1", Kind.TEXT, "address"),
        Field("address_line2", Kind.TEXT, "address"),
        Field("postal_code", Kind.TEXT, "address"),
        Field("city", Kind.TEXT, "address"),
        Field("region", Kind.TEXT, "address"),
        Field("country", Kind.COUNTRY, "address"),
        _single("registration_number", Kind.REGISTRATION),
        _single("vat_number", Kind.VAT),
        _single("currency", Kind.CURRENCY),
        _single("payment_terms_days", Kind.DAYS),
        _single("language", Kind.LANGUAGE),
        _single("tax_exempt", Kind.FLAG),
        _single("marketing_consent", Kind.FLAG),
        _single("details", Kind.HTML),
        _single("iban", Kind.IBAN),
        _single("bic", Kind.BIC),
        _single("archived", Kind.FLAG),
        _single("contacts", Kind.CONTACTS),
        _single("notes", Kind.NOTES),
    )
}
"""Every canonical field but `custom.*`, in the order in which people read them."""

CUSTOM_PREFIX: Final = "custom."

UNITS: Final[Mapping[str, tuple[str, ...]]] = {
    unit: tuple(field.name for field in FIELDS.values() if field.unit == unit)
    for unit in dict.fromkeys(field.unit for field in FIELDS.values())
}
"""Merge unit -> its parts, in order. A unit with one part is a single field of the same name."""

_GROUPS: Final = frozenset(unit for unit, parts in UNITS.items() if len(parts) > 1)

SECRET_FIELDS: Final = frozenset({"iban", "bic"})
"""Never shown in a log, an error or a metric, not even as a sample."""

ADDRESS_CORE: Final = ("address_line1", "postal_code", "city", "country")
"""Changing any of these drops the parts of an address that the editing system cannot hold."""


def is_group(unit: str) -> bool:
    """Whether the unit's value is a mapping of parts (`name`, `address`)."""
    return unit in _GROUPS


def unit_of(field: str) -> str:
    """The merge unit of a field; custom fields are their own unit."""
    return FIELDS[field].unit if field in FIELDS else field


def kind_of(field: str) -> Kind:
    """The kind of a field; custom fields are text."""
    return FIELDS[field].kind if field in FIELDS else Kind.TEXT


def parts_of(unit: str) -> tuple[str, ...]:
    """The fields that make up a unit."""
    return UNITS.get(unit, (unit,))


def units_in(fields: Fields) -> list[str]:
    """The units of which at least one part is known, in declared order, custom ones last by name."""
    known = {unit_of(field) for field in fields}
    declared = [unit for unit in UNITS if unit in known]
    return declared + sorted(known - UNITS.keys())


def unit_value(fields: Fields, unit: str) -> Maybe:
    """The value of a unit within some fields.

    A group with no known part is UNKNOWN; a group whose known parts are all empty is empty (None).
    """
    if not is_group(unit):
        return fields.get(unit, UNKNOWN)
    known: dict[str, Value] = {part: fields[part] for part in parts_of(unit) if part in fields}
    if not known:
        return UNKNOWN
    if all(part is None for part in known.values()):
        return None
    return known


def unit_fields(unit: str, value: Value) -> dict[str, Value]:
    """The fields that a unit's value stands for: the inverse of `unit_value` (an empty group empties all parts)."""
    if not is_group(unit):
        return {unit: value}
    if value is None:
        return dict.fromkeys(parts_of(unit))
    if not isinstance(value, dict):
        message = f"the value of group {unit} is not a mapping of parts"
        raise TypeError(message)
    return dict(value)


class Mode(StrEnum):
    """How far syncd may go in one system."""

    OBSERVE = "observe"
    CREATE_ONLY = "create-only"
    UPDATE_ONLY = "update-only"
    SYNC = "sync"

    @property
    def creates(self) -> bool:
        """Whether records may be created."""
        return self in (Mode.CREATE_ONLY, Mode.SYNC)

    @property
    def updates(self) -> bool:
        """Whether records may be changed."""
        return self in (Mode.UPDATE_ONLY, Mode.SYNC)


class Action(StrEnum):
    """What a write does to one record."""

    CREATE = "create"
    UPDATE = "update"
    ARCHIVE = "archive"
    RESTORE = "restore"
    DELETE = "delete"
    MERGE = "merge"


class Context:
    """What normalisation needs to know beside the value: the default region and locale of the tenant."""

    __slots__ = ("country", "language")

    def __init__(self, country: str = "FR", language: str = "fr-FR") -> None:
        self.country = country
        self.language = language

    def within(self, fields: Fields) -> Context:
        """The same, with the client's own country as region where it is known."""
        country = fields.get("country")
        if not isinstance(country, str) or not country or country == self.country:
            return self
        return Context(country, self.language)


class Rule(StrEnum):
    """Survivorship: how a conflict on a field is decided."""

    ORDER = "order"
    NEWEST = "newest"
    FILL = "fill"
    HOLD = "hold"


class BrakeKind(StrEnum):
    """The kinds of mass change that are limited, per system where they began and per cycle."""

    DELETES = "deletes"
    CLEARS = "clears"
    OVERWRITES = "overwrites"
    UNLINKS = "unlinks"
    MERGES = "merges"


@dataclass(frozen=True, slots=True)
class Brake:
    """A set of changes is held when it has more than `count` records and more than `share` of the system's records."""

    count: int = 5
    share: float = 0.10

    def stops(self, changed: int, records: int) -> bool:
        """Whether so many changed records, of so many in all, are too many at once."""
        return changed > self.count and changed > self.share * records


@dataclass(frozen=True, slots=True)
class FieldPolicy:
    """The tenant's rule for one unit. order: systems, most trusted first.

    sources: only these systems may change it (None: all). targets: it is written only there (None: everywhere).
    """

    rule: Rule = Rule.ORDER
    order: tuple[str, ...] = ()
    sources: frozenset[str] | None = None
    targets: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Waiting times, in seconds. settle: a value must have stood this long before it travels."""

    create_settle_seconds: float = 120.0
    stale_read_seconds: float = 120.0
    confirm_delete_after_seconds: float = 600.0
    settle_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is over is kept, in seconds; None for ever."""

    walks_seconds: float | None = None
    writes_seconds: float | None = None
    conflicts_seconds: float | None = None
    history_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SystemPolicy:
    """What the tenant allows in one system. on_delete: archive | ignore | delete. only: which clients take part."""

    name: str
    provider: str
    mode: Mode = Mode.OBSERVE
    on_delete: str = "archive"
    only: Callable[[Fields], bool] | None = None
    only_text: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the engine has to know about one tenant's wishes. Systems in order of trust."""

    tenant: str
    systems: tuple[SystemPolicy, ...]
    fields: Mapping[str, FieldPolicy]
    context: Context
    first_run: str = "review"
    merges: str = "propose"
    brakes: Mapping[BrakeKind, Brake] = dataclass_field(default_factory=dict)
    timing: Timing = Timing()
    matching: Matching = MATCHING
    retention: Retention = Retention()
    write_budget: int = 3
    write_budget_cycles: int = 10
    digest: str = ""
    _rules: dict[str, FieldPolicy] = dataclass_field(default_factory=dict, init=False, repr=False, compare=False)

    def field(self, unit: str) -> FieldPolicy:
        """The rule of a unit, with the order of the systems completed by the order of the file; made once."""
        known = self._rules.get(unit)
        if known is None:
            known = self._rules[unit] = self._rule(unit)
        return known

    def _rule(self, unit: str) -> FieldPolicy:
        given = self.fields.get(unit, FieldPolicy())
        names = tuple(system.name for system in self.systems)
        order = given.order + tuple(name for name in names if name not in given.order)
        return FieldPolicy(given.rule, order, given.sources, given.targets)

    def system(self, name: str) -> SystemPolicy:
        """What is allowed in the system of this name."""
        return next(system for system in self.systems if system.name == name)

    def brake(self, kind: BrakeKind) -> Brake:
        """The limit of one kind of mass change."""
        return self.brakes.get(kind, Brake())
