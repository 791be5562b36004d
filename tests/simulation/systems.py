"""The systems of a simulated tenant: profiles as different as real ones are, and a connection whose calls go wrong.

`Line` is `syncd.providers.memory.Memory` with a listing that can lie and writes that can be ignored; everything else that
goes wrong comes in through `World.before` and `World.after`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from syncd.core.model import UNKNOWN, Fields, Raw, Value, kind_of
from syncd.core.normalize import clean
from syncd.errors import UnknownOutcome
from syncd.providers import ABSENT, Capabilities, FieldSpec, Listed, Page, Reading, Recall, Settings
from syncd.providers.decoding import unsound
from syncd.providers.memory import EVERY_FIELD, EVERYTHING, Form, Memory, Profile, truncated, upper_cased

UNITS = (
    "name",
    "email",
    "phone",
    "address",
    "details",
    "payment_terms_days",
    "marketing_consent",
    "archived",
)
"""The units that simulated people edit."""

ADDRESS = ("address_line1", "address_line2", "postal_code", "city", "region", "country")
CUT = 11
"""Characters that a cutting system keeps; every token is shorter."""


def _full(page_size: int) -> Profile:
    return Profile(page_size=page_size)


def _cutting(page_size: int) -> Profile:
    forms: Mapping[str, Form] = {name: truncated(CUT) for name in ("name", "address_line1", "city", "details")}
    return Profile(forms=forms, page_size=page_size)


def _shouting(page_size: int) -> Profile:
    forms: Mapping[str, Form] = dict.fromkeys(
        ("name", "email", "address_line1", "address_line2", "city", "details"), upper_cased
    )
    return Profile(forms=forms, page_size=page_size)


def _create_only(page_size: int) -> Profile:
    specs = {name: replace(spec, update=False) for name, spec in EVERY_FIELD.items()}
    return Profile(specs=specs, capabilities=Capabilities(create=True, account=True), page_size=page_size)


def _no_archive(page_size: int) -> Profile:
    specs = {**EVERY_FIELD, "archived": ABSENT}
    capabilities = Capabilities(create=True, update=True, account=True)
    return Profile(specs=specs, capabilities=capabilities, page_size=page_size)


def _partial_address(page_size: int) -> Profile:
    specs = {**EVERY_FIELD, "address_line2": ABSENT, "region": ABSENT}
    return Profile(specs=specs, page_size=page_size)


def _partial_list(page_size: int) -> Profile:
    capabilities = replace(EVERYTHING, partial_list=True)
    return Profile(capabilities=capabilities, partial=frozenset({"phone", "email", "city"}), page_size=page_size)


def _write_only(page_size: int) -> Profile:
    hidden = FieldSpec(read=False, create=True, update=True, remembered=True)
    return Profile(specs={**EVERY_FIELD, "payment_terms_days": hidden, "details": hidden}, page_size=page_size)


def _unique_email(page_size: int) -> Profile:
    return Profile(unique=frozenset({"email"}), page_size=page_size)


def _needs_email(page_size: int) -> Profile:
    def objects(golden: Fields) -> str | None:
        return None if golden.get("email") is not None else "needs an e-mail"

    return Profile(objects=objects, page_size=page_size)


def _silent_total(page_size: int) -> Profile:
    return Profile(told_total=False, page_size=page_size)


CHARACTERS: Mapping[str, Callable[[int], Profile]] = {
    "full": _full,
    "cutting": _cutting,
    "shouting": _shouting,
    "create_only": _create_only,
    "no_archive": _no_archive,
    "partial_address": _partial_address,
    "partial_list": _partial_list,
    "write_only": _write_only,
    "unique_email": _unique_email,
    "needs_email": _needs_email,
    "silent_total": _silent_total,
}


def parts_held(profile: Profile, unit: str) -> tuple[str, ...]:
    """The fields of a unit that a system shows."""
    parts = {"address": ADDRESS, "name": ("name",)}.get(unit, (unit,))
    return tuple(part for part in parts if profile.spec(part).read)


@dataclass(frozen=True, slots=True)
class Listing:
    """How the next listing lies.

    drop: how many items its end lacks. oldest: how many its beginning lacks. repeat: whether a page comes twice. total: added to it.
    """

    drop: int = 0
    oldest: int = 0
    repeat: bool = False
    total: int = 0
    empty: bool = False


@dataclass(slots=True)
class Witness:
    """What the simulation wants to know of every effect: (system, external id, raw before, raw after, patch)."""

    created: Callable[[str, str, Raw, Mapping[str, Value]], None]
    updated: Callable[[str, str, Raw, Raw, Mapping[str, Value], int], None]
    deleted: Callable[[str, str], None]
    read: Callable[[str, str, bool], int]
    lost: Callable[[], None]
    told: Callable[..., None]
    """(system, external id, patch, answered=): whether the outcome of an update that was sent is known."""


class Line(Memory):
    """A connection to a world with faults of its own, watched by a witness."""

    def __init__(self, settings: Settings, witness: Witness) -> None:
        super().__init__(settings)
        self.witness = witness
        self.listing: Listing | None = None
        self.ignore_next_write = False
        self.made_of_last_fetch = 0

    @cached_property
    def fields(self) -> Mapping[str, FieldSpec]:
        """As ever; asked for so often that it is remembered, for no profile changes in a life."""
        return super().fields

    @cached_property
    def capabilities(self) -> Capabilities:
        """As ever; remembered, too."""
        return super().capabilities

    def pull(self, recall: Recall | None = None) -> Iterator[Page]:
        """Every record, page by page, as the listing lies."""
        lie, self.listing = self.listing, None
        if lie is None:
            yield from self._witnessed(super().pull(recall))
            return
        yield from self._witnessed(replace(page, digest="") for page in self._lying(super().pull(), lie))

    def _witnessed(self, pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            for known in page.known:
                self.witness.read(self.settings.system, known, not self.world.profile.partial)
            for each in page.records:
                self.witness.read(self.settings.system, each.external_id, each.complete)
            yield page

    def _lying(self, pages: Iterator[Page], lie: Listing) -> Iterator[Page]:
        oldest = lie.oldest
        for page in pages:
            total = None if page.total is None else page.total + lie.total
            if lie.empty:
                yield Page([], page.number, None if page.total is None else 0, last=True)
                return
            if oldest:
                page, oldest = replace(page, records=list(page.records)[oldest:]), 0  # noqa: PLW2901
            if page.last and lie.drop:
                yield replace(page, records=list(page.records)[: -lie.drop], total=total)
                return
            yield replace(page, total=total)
            if lie.repeat:
                yield replace(page, total=total, last=False)
                if page.last:
                    yield Page([], page.number + 1, total, last=True)

    def fetch(self, external_id: str) -> Listed:
        """One record; remembers when it was read, for the window between reading and writing."""
        listed = super().fetch(external_id)
        self.made_of_last_fetch = self.witness.read(self.settings.system, external_id, True)
        return listed

    def read(self, listed: Listed, memory: Mapping[str, Any]) -> Reading:
        """The shown fields, and those that the world takes and never shows as they were last written."""
        reading = super().read(listed, memory)
        written = memory.get("written", {})
        for name, spec in self.fields.items():
            if spec.remembered and name in written:
                value = clean(kind_of(name), written[name])
                if value is not UNKNOWN:
                    reading.fields[name] = value
        return reading

    def create(self, golden: Fields) -> Listed:
        """Create a record; the witness learns of it when it takes effect."""
        self._object(golden)
        wanted = {n: value for n, value in golden.items() if value is not None and self.fields[n].create}
        made: list[str] = []
        answers: list[Listed] = []

        def commit() -> None:
            self.world.check_unique(wanted)
            made.append(self.world.add(**wanted))
            answers.append(Listed(made[0], self.world.shown(made[0])))
            self.witness.created(self.settings.system, made[0], self.world.record(made[0]), wanted)

        self._call("create", None, commit)
        return answers[0]

    def _object(self, golden: Fields) -> None:
        if self.objection(golden) is not None:
            super().create(golden)

    def update(self, current: Listed, patch: Fields, golden: Fields, memory: Mapping[str, Any]) -> Listed:
        """Change fields; or, where told to, answer as if they had been."""
        del golden, memory
        name, external_id = self.settings.system, current.external_id
        wanted = {key: value for key, value in patch.items() if self.fields[key].update}
        since = self.made_of_last_fetch
        ignored, self.ignore_next_write = self.ignore_next_write, False
        answers: list[Listed] = []

        def commit() -> None:
            if ignored:
                answers.append(Listed(external_id, self.world.shown(external_id)))
                return
            self.world.check_unique(wanted, but=external_id)
            before = self.world.record(external_id)
            self.world.edit(external_id, **wanted)
            answers.append(Listed(external_id, self.world.shown(external_id)))
            self.witness.updated(name, external_id, before, self.world.record(external_id), dict(patch), since)

        try:
            self._call("update", external_id, commit)
        except UnknownOutcome:
            self.witness.told(name, external_id, wanted, answered=False)
            raise
        self.witness.told(name, external_id, wanted, answered=unsound(answers[0].raw) is None)
        if (reason := unsound(answers[0].raw)) is not None:
            self.witness.lost()
            raise UnknownOutcome(reason, operation="update", external_id=external_id)
        return answers[0]

    def delete(self, current: Listed) -> None:
        """Delete a record; the witness learns of it when it takes effect."""
        name, external_id = self.settings.system, current.external_id

        def commit() -> None:
            self.world.remove(external_id)
            self.witness.deleted(name, external_id)

        self._call("delete", external_id, commit)
