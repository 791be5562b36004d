"""The person at syncd's command line: releases, refuses, resolves, retries and drops, as another process on the same store."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from syncd.core.model import UNKNOWN, unit_value
from syncd.engine.operate import Operator
from syncd.errors import UsageError
from syncd.store import ConflictKind, ConflictStatus, HoldKind, HoldState, WriteState
from tests.simulation.oracle import plain

if TYPE_CHECKING:
    from tests.simulation.life import Life


class Person:
    """One operator. Every decision is told to the oracle as far as it is one about a value."""

    def __init__(self, life: Life, rng: Random) -> None:
        self.life = life
        self.rng = rng

    def act(self) -> None:
        """Some acts, as they come."""
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            self.rng.choice((self.hold, self.hold, self.conflict, self.write))()

    def let_go(self) -> None:
        """What would wait for ever is let go: the report of the first run, and writes that were refused."""
        for row in self._holds(HoldKind.FIRST_RUN):
            self._operate("release", row.hold)

    def waits(self) -> bool:
        """Whether the first run's report is still to be made or to be let go."""
        return bool(self._read("get_meta", "first_run") != "released")

    def _operate(self, verb: str, *arguments: Any, **options: Any) -> Any:
        self.life.tell(f"operator: {verb} {arguments} {options or ''}")
        store = self.life.open()
        try:
            return getattr(Operator(store, self.life.clock, "tester"), verb)(*arguments, **options)
        finally:
            store.close()

    def _read(self, verb: str, *arguments: Any) -> Any:
        store = self.life.open()
        try:
            with store.reading() as tx:
                return getattr(tx, verb)(*arguments)
        finally:
            store.close()

    def _holds(self, *kinds: HoldKind) -> list[Any]:
        return [row for row in self._read("holds", HoldState.OPEN) if not kinds or row.kind in kinds]

    def whose(self, client: str) -> int | None:
        """The true client behind a client of syncd."""
        oracle = self.life.oracle
        for link in self._read("links_of", [client]).get(client, []):
            if (link.system, link.external_id) in oracle.owner:
                return oracle.owner[(link.system, link.external_id)]
        return None

    def _known(self, client: int, unit: str) -> set[int]:
        oracle = self.life.oracle
        return {edit.number for edit in oracle.cell(oracle.kin(client), unit) if edit.number in oracle.read_edits}

    # -- holds -----------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Release or refuse one hold."""
        holds = self._holds()
        if not holds:
            return
        row = self.rng.choice(holds)
        release = row.kind is HoldKind.FIRST_RUN or self.rng.random() < 0.6  # noqa: PLR2004
        oracle = self.life.oracle
        if self.life.joiner.decides(row):
            self.life.joiner.decide(row, release=release)
            return
        if row.kind in (HoldKind.LINK, HoldKind.MERGE):
            for item in row.items:
                ref = (str(item["system"]), str(item.get("external_id")))
                owners = {oracle.owner.get(ref), self.whose(str(item["client"])) if item.get("client") else None}
                oracle.joined.update(owner for owner in owners if owner is not None)
        if row.kind is HoldKind.LOSSY and release:
            self._operate("release", row.hold)
            self._lossy_released(row)
            return
        if not release and row.kind in (HoldKind.BRAKE, HoldKind.LOSSY, HoldKind.FIELD):
            self._note_refused(row)
        try:
            self._operate("release" if release else "refuse", row.hold)
        except (
            UsageError
        ) as error:  # one of the two clients is so new that nothing is decided about it: the person asks again later
            self.life.tell(f"refused: {error}")
        if not release and row.kind in (HoldKind.BRAKE, HoldKind.LOSSY):
            for item in row.items:
                client = self.whose(str(item["client"])) if item.get("client") else None
                if client is not None and item["field"] != "record":
                    self._decide(client, str(item["client"]), str(item["field"]))

    def _lossy_released(self, row: Any) -> None:
        item = row.items[-1]
        client = self.whose(str(item["client"]))
        if client is not None:
            unit = str(item["field"])
            self._decide(client, str(item["client"]), unit, self._in_hold(client, row))

    def _in_hold(self, client: int, row: Any) -> set[int]:
        """The edits whose values a hold about one field shows: who decides about it knows them, whatever the lists said meanwhile."""
        oracle, unit = self.life.oracle, str(row.items[0]["field"])
        shown = [(item["system"], item.get("external_id"), _as_typed(unit, item["value"])) for item in row.items]
        return {
            edit.number
            for edit in oracle.cell(oracle.kin(client), unit)
            if (edit.system, edit.external_id, plain(unit, edit.value)) in shown
        }

    def _note_refused(self, row: Any) -> None:
        """An edit that a person refused is not to be looked for; and the record is as the person wants it."""
        oracle = self.life.oracle
        for item in row.items:
            client = self.whose(str(item["client"]))
            unit = str(item["field"])
            if client is None:
                continue
            if row.kind is HoldKind.FIELD:
                oracle.lived_with.add((client, unit, str(item["system"])))
            for cell in [unit] if unit != "record" else ["archived"]:
                for edit in oracle.cell(oracle.kin(client), cell):
                    if edit.system == item["system"]:
                        oracle.refused.add(edit.number)

    # -- conflicts -------------------------------------------------------------------------------------------------

    def conflict(self) -> None:
        """Settle an open conflict, or put a losing value back."""
        rows = [row for row in self._read("conflicts") if row.kind is not ConflictKind.DELETE]
        rows = [row for row in rows if row.status is ConflictStatus.OPEN or self.rng.random() < 0.3]  # noqa: PLR2004
        rows = [row for row in rows if row.client == self._read("resolve_alias", row.client)]
        if not rows:
            return
        row = self.rng.choice(rows)
        client = self.whose(row.client)
        if client is None or client in self.life.oracle.joined:
            return
        take = self.rng.choice([*sorted({each["system"] for each in row.candidates}), "golden"])
        if row.unit == "name" and self._empty(row, take):
            return
        held = self._golden_edits(client, row.client, row.unit)
        self._operate("resolve", row.conflict, take=take)
        self._decide(client, row.client, row.unit, held)

    def _empty(self, row: Any, take: str) -> bool:
        return any(each["system"] == take and each["value"] in (None, {}) for each in row.candidates)

    def _shown(self, identifier: str, unit: str) -> Any:
        golden = self._read("client", identifier)
        value = unit_value(golden.fields, unit)
        return _as_typed(unit, None if value is UNKNOWN else value)

    def _golden_edits(self, client: int, identifier: str, unit: str) -> set[int]:
        """The edits that golden may be: the person looks at it."""
        oracle, value = self.life.oracle, self._shown(identifier, unit)
        return {
            edit.number
            for edit in oracle.cell(oracle.kin(client), unit)
            if edit.system != "operator"
            and oracle.matches(edit.system, unit, oracle.form(edit.system, unit, value), edit.value)
        }

    def _decide(self, client: int, identifier: str, unit: str, held: set[int] | None = None) -> None:
        over = self._known(client, unit) | (held or set())
        edit = self.life.oracle.decided(client, unit, self._shown(identifier, unit), over)
        self.life.tell(f"operator: {edit}")

    # -- writes ----------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Send a parked write again, or give it up."""
        rows = self._read("writes", [WriteState.PARKED])
        if not rows:
            return
        row = self.rng.choice(rows)
        if self.rng.random() < 0.6:  # noqa: PLR2004
            self._operate("retry", row.write)
            return
        self._operate("drop", row.write)
        client = self.whose(row.client)
        if client is not None:
            self.life.oracle.dropped.add((str(client), row.system))


def _as_typed(unit: str, value: Any) -> Any:
    """A value of syncd as people type it."""
    return plain(unit, value.get("name") if unit == "name" and isinstance(value, dict) else value)
