"""From one integer to a tenant and its fate: which systems, which rules, what may go wrong and how often.

Each seed switches kinds of trouble on and off, so that rare pairs meet, and none drowns the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from random import Random

from syncd.core.model import Brake, BrakeKind, Context, FieldPolicy, Mode, Policy, Rule, SystemPolicy, Timing
from tests.simulation.systems import CHARACTERS

NAMES = ("a", "b", "c", "d")
SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
TIMED = Timing(create_settle_seconds=120.0, stale_read_seconds=120.0, confirm_delete_after_seconds=300.0)
INSTANT = Timing(0.0, 0.0, 0.0, 0.0)

TROUBLES = (
    "edits_during",
    "deletes",
    "archives",
    "read_faults",
    "write_faults",
    "lost_answers",
    "late_commits",
    "lying_lists",
    "stale_lists",
    "ignored_writes",
    "crashes",
    "operator",
    "hiding",
    "poison",
    "rejections",
    "strangers",
    "shortened",
    "twins",
)
"""Everything that can be switched on by itself."""

SHARE = {"rejections": 0.2, "ignored_writes": 0.25, "hiding": 0.25, "poison": 0.25, "strangers": 0.2, "shortened": 0.25}
"""How often each is; half of the seeds where nothing is said."""

JOINS = ("duplicates", "numbers", "by_hand", "inside", "unmerge", "apart")
"""What people do about who is one client: type one twice, type the number of another, merge by hand and inside a system, and take it back."""

JOINS_SHARE = 0.34
"""In how many seeds clients are merged at all. They have a stream of their own, so that the others are what they were."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One tenant and its fate."""

    seed: int
    characters: Mapping[str, str]
    page_sizes: Mapping[str, int]
    policy: Policy
    troubles: frozenset[str]
    clients: int
    cycles: int
    step_seconds: float
    crashes: int
    modes: Mapping[str, Mode] = field(default_factory=dict)
    joins: frozenset[str] = frozenset()

    def has(self, trouble: str) -> bool:
        """Whether this kind of trouble is on."""
        return trouble in self.troubles


def make_plan(seed: int, *, joins: bool | None = None) -> Plan:
    """The plan of a seed. joins: whether people say who is one client; where nothing is said, in every third life."""
    rng = Random(f"plan {seed}")  # noqa: S311 - it has to be repeatable
    names = NAMES[: rng.choice((2, 3, 3, 3, 4))]
    kinds = list(CHARACTERS)
    characters = {name: rng.choice(("full", *kinds)) for name in names}
    characters[rng.choice(names)] = "full"
    troubles = frozenset(each for each in TROUBLES if rng.random() < SHARE.get(each, 0.5))
    if "shortened" in troubles and (others := [name for name in names if characters[name] == "full"][1:]):
        characters[others[0]] = "cutting"
    if rng.random() < 0.1:  # noqa: PLR2004
        troubles &= {"edits_during", "operator", "archives"}
    timing = TIMED if rng.random() < 0.7 or troubles & {"late_commits", "stale_lists"} else INSTANT  # noqa: PLR2004
    sync = Mode.SYNC
    modes = {name: rng.choice((sync,) * 12 + (Mode.OBSERVE, Mode.UPDATE_ONLY, Mode.CREATE_ONLY)) for name in names}
    systems = tuple(
        SystemPolicy(name, "memory", modes[name], on_delete=rng.choice(("archive",) * 8 + ("ignore", "delete")))
        for name in names
    )
    policy = Policy(
        "rig",
        systems,
        _fields(rng, names),
        Context("FR", "fr-FR"),
        first_run=rng.choice(("go", "go", "review")),
        brakes=_brakes(rng),
        timing=timing,
        digest="0",
    )
    joined = _joined if joins is None else partial(_joined, share=float(joins))
    return joined(
        _purged(
            Plan(
                seed=seed,
                characters=characters,
                page_sizes={name: rng.choice((2, 3, 50)) for name in names},
                policy=policy,
                troubles=troubles,
                clients=rng.randint(2, 6),
                cycles=rng.randint(4, 9),
                step_seconds=rng.choice((10.0, 60.0, 200.0)),
                crashes=rng.choice((1, 2, 5)) if "crashes" in troubles else 0,
                modes=modes,
            )
        )
    )


def _joined(plan: Plan, share: float = JOINS_SHARE) -> Plan:
    """In a share of the lives people say who is one client."""
    rng = Random(f"{plan.seed}/merges")  # noqa: S311
    if rng.random() >= share:
        return plan
    joins = frozenset(each for each in JOINS if rng.random() < 0.6) or frozenset({"by_hand"})  # noqa: PLR2004
    return calm(plan, joins=joins, policy=replace(plan.policy, merges=rng.choice(("propose", "auto"))))


def _purged(plan: Plan) -> Plan:
    """In every seventh life the people clean up: they delete much, and syncd deletes for ever what they deleted."""
    rng = Random(f"purge {plan.seed}")  # noqa: S311 - it has to be repeatable
    if rng.randrange(7):
        return plan
    systems = tuple(
        replace(each, on_delete=rng.choice(("delete", "delete", "archive"))) for each in plan.policy.systems
    )
    brakes = {**plan.policy.brakes, BrakeKind.DELETES: Brake(rng.choice((1, 2)), 0.25)}
    return calm(
        plan,
        policy=replace(plan.policy, systems=systems, brakes=brakes),
        troubles=plan.troubles | {"deletes", "purges"},
        clients=plan.clients + 2,
    )


def _fields(rng: Random, names: tuple[str, ...]) -> dict[str, FieldPolicy]:
    fields: dict[str, FieldPolicy] = {}
    for unit in ("email", "phone", "address", "details", "payment_terms_days"):
        if rng.random() < 0.35:  # noqa: PLR2004
            order = tuple(rng.sample(names, len(names)))
            fields[unit] = FieldPolicy(rng.choice((Rule.ORDER, Rule.FILL, Rule.HOLD, Rule.NEWEST)), order)
    if rng.random() < 0.15:  # noqa: PLR2004
        fields["details"] = FieldPolicy(sources=frozenset(rng.sample(names, max(1, len(names) - 1))))
    if rng.random() < 0.15:  # noqa: PLR2004
        fields["phone"] = FieldPolicy(targets=frozenset(rng.sample(names, len(names) - 1)))
    return fields


def _brakes(rng: Random) -> dict[BrakeKind, Brake]:
    if rng.random() < 0.6:  # noqa: PLR2004
        return {}
    return {
        kind: Brake(rng.choice((1, 2)), 0.25) for kind in (BrakeKind.DELETES, BrakeKind.CLEARS, BrakeKind.OVERWRITES)
    }


def calm(plan: Plan, **changes: object) -> Plan:
    """The same tenant with another fate."""
    return replace(plan, **changes)  # type: ignore[arg-type]


class Typist:
    """Types values that nobody has typed before; every one is recognised in any system's form."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._words: set[str] = set()
        self._days = count(1)

    def beside(self, rng: Random) -> Typist:
        """Another one, who draws from another stream and types nothing that this one types."""
        other = Typist(rng)
        other._words, other._days = self._words, self._days
        return other

    def word(self) -> str:
        """Eight letters, never the same twice."""
        while True:
            word = "".join(self.rng.choices(SYLLABLES, k=4))
            if word not in self._words:
                self._words.add(word)
                return word

    def value(self, unit: str) -> object:
        """A new value of a unit; for the address a mapping of its parts."""
        word = self.word()
        match unit:
            case "name":
                return f"{word.capitalize()} {self.word().capitalize()}"
            case "email":
                return f"{word}@{word}.example"
            case "phone":
                return f"+336{self.rng.randrange(10_000_000, 99_999_999)}"
            case "address":
                return self.address(word)
            case "details":
                return f"{word} {self.word()} {self.word()}"
            case "payment_terms_days":
                return next(self._days)
            case _:
                return self.rng.random() < 0.5  # noqa: PLR2004

    def address(self, word: str) -> dict[str, object]:
        """A whole address; now and then without a second line or a region."""
        return {
            "address_line1": f"{word} {self.rng.randrange(1, 99)} rue",
            "address_line2": f"Bat {self.word()}" if self.rng.random() < 0.4 else None,  # noqa: PLR2004
            "postal_code": f"{self.rng.randrange(10_000, 95_999)}",
            "city": self.word().capitalize(),
            "region": self.word().capitalize() if self.rng.random() < 0.4 else None,  # noqa: PLR2004
            "country": self.rng.choice(("FR", "BE", "PL")),
        }
