"""Weights for matching, estimated from a tenant's own records without anybody's labels: proposed as TOML, never written anywhere.

The estimates are Splink's (the extra `calibrate`), which works in memory and offline: how often values agree by chance from random pairs,
how often they agree where it is one client by expectation maximisation over pairs that share a number, an e-mail or a name.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Final

from syncd.core.correlate import identity
from syncd.core.matching import WEIGHT_LIMIT
from syncd.core.model import Policy
from syncd.errors import UsageError
from syncd.store import RecordState, Store

RECORDS_MIN: Final = 200
"""Fewer records estimate nothing."""

RECORDS_MAX: Final = 200_000
"""More are left out: the estimates would not change, and all of it is in memory."""

SEEN_AT_LEAST: Final = 0.5
"""Records that have to show what is to be learned about; an estimate for fewer is the model's guess at zero."""

PAGE: Final = 1000
RANDOM_PAIRS_MAX: Final = 1e6
RULES_RECALL: Final = 0.7
"""Which share of the pairs that are one client share a number or an e-mail; a guess that only moves the prior."""

_WIDTH: Final = 96  # no line is wrapped on the page: the rest of a remark would be none
COLUMNS: Final = ("number", "vat", "name", "email", "phone", "postal_code", "street", "city")

LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("number_equal", "number_differs"),
    "name": ("name_equal", "name_agrees", "name_near", "name_differs"),
    "email": ("email_equal", "email_differs"),
    "phone": ("phone_equal", "phone_differs"),
    "postal_code": ("postal_code_equal", "postal_code_differs"),
    "street": ("street_equal", "street_near", "street_differs"),
    "city": ("city_equal", "city_near", "city_differs"),
}
"""The weights of each column, what proves most first: the levels of its comparison."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was estimated. weights: by name; records: how many were looked at; untold: weights that nothing could be learned about."""

    weights: Mapping[str, float]
    records: int
    untold: tuple[str, ...]


def calibrate(store: Store, policy: Policy) -> Calibration:
    """Estimate the weights. UsageError where the extra is missing or there is too little to learn from."""
    systems = _columns(store, policy)
    records = sum(len(columns["unique_id"]) for columns in systems.values())
    if records < RECORDS_MIN or len(systems) < 2:  # noqa: PLR2004 - nobody to compare with
        error = UsageError(f"{records} records of {len(systems)} systems are too few to learn from")
        error.next_step = (
            f"Calibrate with at least {RECORDS_MIN} records in two systems; until then the shipped weights serve."
        )
        raise error
    return weights_of(_model(systems), records)


def _columns(store: Store, policy: Policy) -> dict[str, dict[str, list[str | None]]]:
    """The comparable parts of every record, by system and column."""
    found: dict[str, dict[str, list[str | None]]] = defaultdict(lambda: defaultdict(list))
    after, left = ("", ""), RECORDS_MAX
    while left > 0:
        with store.reading() as tx:
            page = tx.mirror(after=after, limit=min(PAGE, left))
        if not page:
            break
        left -= len(page)
        after = (page[-1][0].system, page[-1][0].external_id)
        for row, _ in page:
            if row.state is RecordState.PRESENT:
                one = identity(row.fields, policy.context)
                number, taxed = one.registration, one.vat
                values = (
                    (number.siren or number.number)
                    if number is not None
                    else taxed.embedded
                    if taxed is not None
                    else None,
                    taxed.number if taxed is not None else None,
                    *(one.name, one.email, one.phone, one.postal_code, one.street, one.city),
                )
                columns = found[row.system]
                columns["unique_id"].append(row.external_id)
                for column, value in zip(COLUMNS, values, strict=True):
                    columns[column].append(value)
    return {system: dict(columns) for system, columns in found.items()}


def _model(systems: Mapping[str, Mapping[str, list[str | None]]]) -> dict[str, Any]:
    """Splink's trained model of these records, as it saves it."""
    try:
        import splink.comparison_library as compared  # noqa: PLC0415 - an extra, and slow to load
        from splink import DuckDBAPI, Linker, SettingsCreator, block_on  # noqa: PLC0415
    except ImportError as missing:
        error = UsageError("calibrating needs Splink, which is not installed")
        error.next_step = (
            "Install it with `pip install '.[calibrate]'` in the checkout; nothing else of syncd needs it."
        )
        raise error from missing
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[
            compared.ExactMatch("number"),
            compared.JaroWinklerAtThresholds("name", [0.92, 0.86]),
            compared.ExactMatch("email"),
            compared.ExactMatch("phone"),
            compared.ExactMatch("postal_code"),
            compared.JaroWinklerAtThresholds("street", [0.9]),
            compared.JaroWinklerAtThresholds("city", [0.9]),
        ],
        blocking_rules_to_generate_predictions=[block_on("number"), block_on("email"), block_on("name")],
    )
    api = DuckDBAPI()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables = [
            api.register(dict(columns), dataset_display_name=f"system_{n}")
            for n, columns in enumerate(systems.values())
        ]
        linker = Linker(tables, settings, log_level=logging.CRITICAL)
        linker.training.estimate_probability_two_random_records_match(
            [block_on("number"), block_on("email")], recall=RULES_RECALL
        )
        linker.training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS_MAX, seed=1)
        for column in ("number", "email", "name"):
            with suppress(Exception):  # a column that nobody shares teaches nothing; the others may
                linker.training.estimate_parameters_using_expectation_maximisation(block_on(column))
        model: dict[str, Any] = linker.misc.save_model_to_json()
    return model


def weights_of(model: Mapping[str, Any], records: int) -> Calibration:
    """Log-odds of each level that the model was trained on; a level never weighs more than a better one of its field.

    model: as Splink saves it. records: how many it was trained on. What less than half a record in them is said to show was not seen: a
    tenant none of whose clients ever moved has not taught that nobody moves.
    """
    chance = float(model["probability_two_random_records_match"])
    weights: dict[str, float] = {"prior": _bounded(math.log(chance / (1 - chance)))}
    for comparison in model["comparisons"]:
        names = LEVELS[comparison["output_column_name"]]
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        most = WEIGHT_LIMIT
        for name, level in zip(names, levels, strict=True):
            agrees, by_chance = level.get("m_probability"), level.get("u_probability")
            if agrees and by_chance and agrees * records >= SEEN_AT_LEAST:
                most = min(most, _bounded(math.log(agrees / by_chance)))
                weights[name] = most
    told = [name for names in LEVELS.values() for name in names]
    return Calibration(weights, records, tuple(name for name in told if name not in weights))


def _bounded(weight: float) -> float:
    return round(max(-WEIGHT_LIMIT, min(WEIGHT_LIMIT, weight)), 2)


def toml(tenant: str, found: Calibration) -> str:
    """The estimates as a section of a tenant's file."""
    return "\n".join([*_header(tenant, found), "[matching.weights]", *_lines(found.weights.items())]) + "\n"


def _header(tenant: str, found: Calibration) -> list[str]:
    told = [
        f"Estimated from {found.records} records of {tenant}, without anybody's labels.",
        f"Nothing was changed: to use it, copy it into tenants/{tenant}.toml, and look at `syncd plan` and `syncd links --stats` afterwards.",
    ]
    if found.untold:
        told.append(f"Nothing could be learned about: {', '.join(found.untold)}")
    return [line for each in told for line in wrap(each, _WIDTH, initial_indent="# ", subsequent_indent="# ")]


def _lines(weights: Iterable[tuple[str, float]]) -> list[str]:
    return [f"{name} = {weight}" for name, weight in weights]
