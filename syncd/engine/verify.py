"""Verify: read the real systems and compare with what the store believes. Writes nothing anywhere, not even into the store.

Per record that a complete walk of its system lists:

    equal        it shows what the mirror holds, and the projection of golden in every field that this system takes part in
    different    it shows something else than the mirror (not pulled yet), or than golden; a value that golden was not, when both last
                 agreed, is no difference while neither has moved (a default of the system's own, a form that it cut)
    unreadable   it cannot be read
    extra        it is not in the mirror
    missing      the mirror holds it, and the walk did not list it

A difference from golden that syncd knows the reason of (a write that waits, a hold, drift, a client that does not take part there) is
`explained`. What was not read wholly proves nothing about missing records: then none is told, and the walk's outcome says why.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from syncd.core.model import UNKNOWN, Fields, Policy, unit_value, units_in
from syncd.core.plan import differing
from syncd.engine import children
from syncd.engine.decide import GATHERED
from syncd.engine.systems import digest
from syncd.errors import Gone, ProviderError
from syncd.store import Base, Bundle, ClientState, LinkState, RecordRow, RecordState, Standing, StandingState

if TYPE_CHECKING:
    from syncd.engine.systems import System
    from syncd.providers import Listed, Page
    from syncd.store import Store

PAGE_ROWS = 500
"""Mirror rows looked at in one transaction."""

ENGINE_MEMORY = ("_written", "_created", "_earlier", "_sent", "_moved_to")
"""What the engine itself remembers with a record; providers never see it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is not equal. mirror: fields in which it is not what the mirror holds. golden: fields in which it is not golden.

    verdict: different | unreadable | extra | missing. explained: why syncd knows it and leaves it so, "" where it does not.
    """

    external_id: str
    client: str | None
    verdict: str
    mirror: tuple[str, ...] = ()
    golden: tuple[str, ...] = ()
    explained: str = ""


@dataclass(slots=True)
class Verified:
    """What one system shows. outcome: complete, incomplete or suspicious; counts only where it was read at all."""

    system: str
    outcome: str = "complete"
    reason: str | None = None
    error: dict[str, str] | None = None
    records: int = 0
    equal: int = 0
    requests: int = 0
    differences: list[Difference] = field(default_factory=list)

    def count(self, verdict: str) -> int:
        """How many records have this verdict."""
        return sum(each.verdict == verdict for each in self.differences)

    @property
    def sound(self) -> bool:
        """Whether the system was read wholly, and every difference is one that syncd knows the reason of."""
        return self.outcome == "complete" and all(each.explained for each in self.differences)


def verify(store: Store, systems: Sequence[System], policy: Policy, *, deep: bool = False) -> list[Verified]:
    """Walk the systems side by side. deep: read every record singly where a listing may show less than it holds."""
    if not systems:
        return []

    def one(system: System) -> Verified:
        return _System(store, system, policy, deep=deep).verified()

    with ThreadPoolExecutor(len(systems), thread_name_prefix="verify") as pool:
        futures = [pool.submit(contextvars.copy_context().run, one, system) for system in systems]
        return [future.result() for future in futures]


@dataclass(slots=True)
class _System:
    """The walk over one system."""

    store: Store
    system: System
    policy: Policy
    deep: bool
    found: Verified = field(init=False)
    seen: set[str] = field(default_factory=set)
    totals: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.found = Verified(self.system.name)

    def verified(self) -> Verified:
        """Read everything; an error of the system ends as an incomplete walk with its code."""
        provider = self.system.provider
        before = provider.requests
        with self.store.reading() as tx:
            row = tx.systems().get(self.system.name)
            provider.learned.update(row.learned if row is not None else {})
        ended = False
        try:
            for page in provider.pull():
                self._page(page)
                ended = page.last
        except ProviderError as error:
            self.found.outcome, self.found.reason = "incomplete", f"{error.code}: {error}"
            self.found.error = {"code": error.code, "message": str(error), "next": error.next_step}
        else:
            self._judge(ended=ended)
        if self.found.outcome == "complete":
            self._missing()
        self.found.records = len(self.seen)
        self.found.requests = provider.requests - before
        self.found.differences.sort(key=lambda each: (len(each.external_id), each.external_id))
        return self.found

    def _judge(self, *, ended: bool) -> None:
        if not ended:
            self.found.outcome, self.found.reason = "incomplete", "the list ended without saying that it ended"
        elif len(self.totals) > 1 or (self.totals and self.totals != {len(self.seen)}):
            self.found.outcome, self.found.reason = "suspicious", "the list does not have the records that it speaks of"

    def _page(self, page: Page) -> None:
        name = self.system.name
        if page.total is not None:
            self.totals.add(page.total)
        for external_id, _ in page.faults:
            self.seen.add(external_id)
            self.found.differences.append(Difference(external_id, None, "unreadable"))
        fresh = [each for each in page.records if each.external_id not in self.seen]
        ids = [each.external_id for each in fresh]
        self.seen.update(ids)
        with self.store.reading() as tx:
            mirrored = tx.records(name, ids)
            owners = tx.owners(name, ids)
            bundles = {bundle.client.client: bundle for bundle in tx.bundles(sorted(set(owners.values())))}
            standings = tx.standings_in(name, bundles)
        for each in fresh:
            client = owners.get(each.external_id)
            mirror = mirrored.get(each.external_id)
            self._record(each, mirror, bundles.get(client or ""), _explained(standings.get(client or "")))

    def _record(self, listed: Listed, mirror: RecordRow | None, bundle: Bundle | None, explained: str) -> None:
        client = bundle.client.client if bundle is not None else None
        if mirror is None or mirror.state is RecordState.GONE:
            self.found.differences.append(Difference(listed.external_id, client, "extra"))
            return
        unchanged = mirror.list_digest == digest(listed.raw)
        try:
            whole = listed
            if not listed.complete and (self.deep or not unchanged):
                whole = self.system.provider.fetch(listed.external_id)
        except Gone:
            self.found.differences.append(Difference(listed.external_id, client, "missing"))
            return
        except ProviderError:
            self.found.differences.append(Difference(listed.external_id, client, "unreadable"))
            return
        shown = mirror.fields
        if whole.complete:
            memory = {key: value for key, value in mirror.memory.items() if key not in ENGINE_MEMORY}
            shown = self.system.provider.read(whole, memory).fields
        moved = _moved(mirror.fields, shown)
        golden = self._golden(listed.external_id, shown, bundle)
        if not moved and not golden:
            self.found.equal += 1
            return
        reason = explained if golden and not moved else ""
        self.found.differences.append(Difference(listed.external_id, client, "different", moved, golden, reason))

    def _golden(self, external_id: str, shown: Fields, bundle: Bundle | None) -> tuple[str, ...]:
        """The fields in which a record does not show golden, of those that this system can be told and takes part in."""
        if bundle is None or bundle.client.state in (ClientState.DELETED, ClientState.MERGED):
            return ()
        golden = bundle.client.fields
        same = self.system.part_same(golden)
        link = next(
            (link for link, _ in bundle.sides if (link.system, link.external_id) == (self.system.name, external_id))
        )
        found: list[str] = []
        if link.state is LinkState.APART:
            return ()
        for unit in units_in(golden):
            targets = self.policy.field(unit).targets
            value = unit_value(golden, unit)
            if unit in GATHERED or value is UNKNOWN or (targets is not None and self.system.name not in targets):
                continue
            if not self._is_settled(unit, golden, shown, link.bases.get(unit)):
                found.extend(name for name in differing(unit, value, shown, same) if self._is_told(name))
        record = next((record for side, record in bundle.sides if side is link), None)
        if record is not None and link.state is LinkState.LINKED:
            now = replace(record, fields=dict(shown))
            found.extend(children.differing(bundle, link, now, self.system, self.policy))
        return tuple(found)

    def _is_settled(self, unit: str, golden: Fields, shown: Fields, base: Base | None) -> bool:
        """Whether record and golden are what they were when they last agreed: a default of the system's own stays as it is."""
        if base is None or base.seen is UNKNOWN or base.agreed is UNKNOWN:
            return False
        same = self.system.same(unit, golden)
        pairs = ((unit_value(shown, unit), base.seen), (unit_value(golden, unit), base.agreed))
        return all(left is not UNKNOWN and (left == right or same(left, right)) for left, right in pairs)

    def _is_told(self, name: str) -> bool:
        """Whether this system can be told a field, at least once; a constant of its own it cannot."""
        spec = self.system.spec(name)
        return spec is not None and (spec.create or spec.update) and not spec.weak

    def _missing(self) -> None:
        """Records that the mirror holds as present and that the walk did not list."""
        for rows in self._mirror():
            for row, client in rows:
                if row.state is RecordState.PRESENT and row.external_id not in self.seen:
                    self.found.differences.append(Difference(row.external_id, client, "missing"))

    def _mirror(self) -> Iterator[list[tuple[RecordRow, str | None]]]:
        after = ("", "")
        while True:
            with self.store.reading() as tx:
                rows = tx.mirror(self.system.name, after=after, limit=PAGE_ROWS)
            yield rows
            if len(rows) < PAGE_ROWS:
                return
            after = (rows[-1][0].system, rows[-1][0].external_id)


def _moved(held: Mapping[str, Any], shown: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields in which a record is not what the mirror holds, also where one of the two does not know it."""
    return tuple(name for name in sorted({**held, **shown}) if held.get(name, UNKNOWN) != shown.get(name, UNKNOWN))


def _explained(standing: Standing | None) -> str:
    """Why a record may differ from golden and be left so; "" where it is believed to be in sync."""
    if standing is None:
        return "not decided yet"
    if standing.state is StandingState.IN_SYNC and not standing.drift:
        return ""
    return f"{standing.state.value.replace('_', ' ')}: {standing.reason}".rstrip(": ")
