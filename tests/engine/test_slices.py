"""Of a page that changed only what changed is read; a walk comes out as one that reads everything."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.engine import Engine
from syncd.engine.listing import Listing
from syncd.engine.observe import observe
from syncd.engine.pages import Recollection, Shown
from syncd.engine.pull import pull
from syncd.providers import Capabilities, Page, Recall, Settings
from syncd.providers.memory import Call, Memory, Profile
from syncd.seen import Seen
from syncd.store import PageRow, RecordRow, RecordState, WalkOutcome, WalkRow, open_store, tables
from tests.engine.rig import INSTANT, Rig, make_rig

SMALL = {"a": Profile(page_size=4)}


def shown(rig: Rig) -> list[Shown]:
    """What a walk over `a` would be shown now, noting nothing."""
    with rig.engine() as engine:
        engine._prepare()
        seen = Seen()
        found = []
        for each in Recollection(engine.store, engine.systems["a"], walk=None, seen=seen, clock=rig.clock).shown(
            afresh=False
        ):
            seen.add([*each.page.known, *(listed.external_id for listed in each.page.records)])
            found.append(each)
        return found


def read(rig: Rig) -> list[str]:
    """The records that a walk over `a` would read now."""
    return [listed.external_id for each in shown(rig) for listed in each.page.records]


def six_clients(folder: Path) -> Rig:
    """Two pages of one system, taken in."""
    rig = make_rig(folder, ("a",), profiles=SMALL)
    for number in range(6):
        rig.worlds["a"].add(name=f"Client {number}", city="Paris")
    rig.settle()
    assert [each.page.recalled for each in shown(rig)] == [True, True]
    return rig


def last_walk(rig: Rig) -> WalkRow:
    with rig.store().reading() as tx:
        return tx.last_walks()["a"]


def test_of_a_page_that_changed_only_what_changed_is_read(tmp_path: Path) -> None:
    """One record was edited, one deleted, one is new: these are read, the rest counts as seen, and the next walk knows all pages."""
    rig = six_clients(tmp_path)
    world = rig.worlds["a"]
    world.edit("2", city="Lyon")
    assert read(rig) == ["2"]
    world.remove("3")
    world.add(name="New", city="Nice")
    # The deletion moves 5 to the first page, which did not show it.
    assert read(rig) == ["2", "5", "7"]
    rig.cycle()
    walk = last_walk(rig)
    assert (walk.outcome, walk.records) == (WalkOutcome.COMPLETE, 6)
    with rig.store().reading() as tx:
        rows = tx.records("a", [str(number) for number in range(1, 8)])
        assert {name for name, row in rows.items() if row.walk == walk.walk} == {"1", "2", "4", "5", "6", "7"}
        assert {row.seen_at >= walk.started_at for name, row in rows.items() if name != "3"} == {True}
        assert rows["3"].state is RecordState.MISSING
        assert (rows["2"].fields["city"], rows["7"].fields["city"]) == ("Lyon", "Nice")
    assert read(rig) == []
    assert all(each.page.recalled for each in shown(rig))


def test_a_page_that_only_lost_a_record_is_remembered_anew(tmp_path: Path) -> None:
    """Nothing in it has to be read, and from then on it is known as it is."""
    rig = six_clients(tmp_path)
    rig.worlds["a"].remove("6")
    _first, second = shown(rig)
    assert (list(second.page.known), list(second.page.records), second.page.recalled) == (["5"], [], False)
    rig.cycle()
    assert last_walk(rig).records == 5
    assert all(each.page.recalled for each in shown(rig))


def test_a_record_that_came_by_another_door_is_read_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """Also where the page is the same again: what a write's answer put may not be what the page shows."""
    rig = make_rig(tmp_path, ("a", "b"), profiles=SMALL)
    for number in range(3):
        rig.worlds["a"].add(name=f"Client {number}", city="Paris")
    rig.settle()
    assert read(rig) == []
    rig.worlds["b"].edit("2", city="Lyon")
    rig.cycle()
    assert rig.worlds["a"].record("2")["city"] == "Lyon"
    assert read(rig) == ["2"]
    rig.worlds["a"].edit("2", city="Paris")
    assert read(rig) == ["2"]
    rig.settle()
    assert rig.worlds["b"].record("2")["city"] == "Paris"
    assert read(rig) == []


def test_a_record_that_a_page_before_showed_is_not_known_by_its_bytes(tmp_path: Path) -> None:
    """What is on two pages is looked at on both."""
    rig = six_clients(tmp_path)
    rig.worlds["a"].edit("6", city="Lyon")
    with rig.engine() as engine:
        engine._prepare()
        remembered = Recollection(engine.store, engine.systems["a"], walk="p99", seen=Seen(["5"]), clock=rig.clock)
        pages = [each.page for each in remembered.shown(afresh=False)]
    assert [listed.external_id for listed in pages[1].records] == ["5", "6"]


@pytest.mark.parametrize("by", ["4", None])
def test_a_record_that_was_put_between_a_listing_and_its_walk_stays_as_it_is(tmp_path: Path, by: str | None) -> None:
    """What was listed as known is older than what another door has put since: nothing is noted of it, and its page is not remembered."""
    rig = six_clients(tmp_path)
    rig.worlds["a"].edit("2", city="Lyon")
    with rig.engine() as engine:
        engine._prepare()
        system = engine.systems["a"]
        listing = Listing(
            engine.store,
            system,
            rig.clock,
            cycle="y9",
            sweep=False,
            over=lambda: False,
            told=lambda: None,
            start=lambda task, _name: task(),
        )
        if by is not None:
            rig.worlds["a"].edit(by, city="Nice")
            found = system.provider.fetch(by)
            with engine.store.writing() as tx:
                observe(tx, system, [found], asked_at=rig.clock(), now=rig.clock(), cycle="y9")
        with engine.store.reading() as tx:
            before = tx.records("a", ["4"])["4"]
        walk = pull(engine.store, system, rig.policy, cycle="y9", clock=rig.clock, listing=listing)
        assert walk.outcome is WalkOutcome.COMPLETE
        with engine.store.reading() as tx:
            assert set(tx.page_digests("a")) == ({1, 2} if by is None else {2})
            row = tx.records("a", ["4"])["4"]
            assert (row == before) == (by is not None)
            assert row.fields["city"] == ("Paris" if by is None else "Nice")


def test_what_was_erased_or_forgotten_is_read(tmp_path: Path) -> None:
    """A record that the mirror does not hold any more is not known, whatever a page remembers."""
    rig = six_clients(tmp_path)
    store = rig.store()
    with store.hold_lock(), store.writing() as tx:
        tx.forget_records("a", ["2"])
    assert read(rig) == ["2"]


def test_slices_that_older_code_left_behind_are_of_no_page(tmp_path: Path) -> None:
    """Code that knows nothing of slices writes a page and leaves them as they were: nothing is known by them, whatever it wrote."""
    rig = six_clients(tmp_path)
    rig.worlds["a"].edit("1", city="Lyon")
    store = rig.store()
    for changed in ({"digest": "other"}, {"ids": ["2", "1", "3", "4"]}, {"slices": "AAAA"}, {"slices": None}):
        with store.hold_lock(), store.writing() as tx:
            before = tx.rows(PageRow, tables.pages, tables.pages.c.page == 1)[0]
            digest = before.digest.partition(":")[0] + ":x"
            tx.put_page(replace(before, **{"digest": digest, **changed}))  # type: ignore[arg-type]
        assert read(rig)[:4] == ["1", "2", "3", "4"]
        with store.hold_lock(), store.writing() as tx:
            tx.put_page(before)
        assert read(rig) == ["1"]


def test_a_store_that_was_restored_knows_what_it_held(tmp_path: Path) -> None:
    """The mirror and what is remembered of its pages are of one moment: what changed since is read."""
    rig = six_clients(tmp_path)
    place = tmp_path / "rig.db"
    kept = {each: each.read_bytes() for each in tmp_path.glob("*") if each.is_file()}
    assert place in kept
    rig.worlds["a"].edit("2", city="Lyon")
    rig.cycle()
    for each in tmp_path.glob("*"):
        each.unlink()
    for file, content in kept.items():
        file.write_bytes(content)
    assert read(rig) == ["2"]
    rig.cycle()
    assert {row.fields["city"] for row in rig.clients()} == {"Paris", "Lyon"}


class Whole(Memory):
    """A connection that reads every page."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, recall=False)


class Counting(Memory):
    """A connection that counts what was known of pages that changed, and what of them was read."""

    known = read_of_them = 0

    def pull(self, recall: Recall | None = None) -> Iterator[Page]:
        for page in super().pull(recall):
            if page.known and not page.recalled:
                self.known += len(page.known)
                self.read_of_them += len(page.records)
            yield page


class Side:
    """A mirror of `a` of its own, and the connection by which it is read."""

    def __init__(self, rig: Rig, provider: type[Memory]) -> None:
        folder = rig.folder / provider.__name__
        self.store = open_store(f"sqlite:///{folder}", "rig", clock=lambda: rig.now)
        self.provider = provider(Settings("a", "memory", options={"world": rig.worlds["a"].name}))
        self.engine = Engine(
            rig.policy, self.store, {"a": self.provider}, clock=lambda: rig.now, sleep=rig.wait, parallel=False
        )

    def listing(self, cycle: str, rig: Rig) -> Listing:
        """All pages, listed now and not taken in."""
        return Listing(
            self.store,
            self.engine.systems["a"],
            lambda: rig.now,
            cycle=cycle,
            sweep=False,
            over=lambda: False,
            told=lambda: None,
            start=lambda task, _name: task(),
        )

    def walk(self, cycle: str, rig: Rig, listing: Listing | None) -> WalkRow:
        return pull(
            self.store, self.engine.systems["a"], rig.policy, cycle=cycle, clock=lambda: rig.now, listing=listing
        )

    def look_at(self, external_id: str, cycle: str, rig: Rig) -> None:
        """A single read, as a push makes it."""
        listed = self.provider.fetch(external_id)
        with self.store.writing() as tx:
            observe(tx, self.engine.systems["a"], [listed], asked_at=rig.now, now=rig.now, cycle=cycle)

    def mirror(self) -> list[RecordRow]:
        with self.store.reading() as tx:
            return [row for row, _ in tx.mirror()]


def people(rig: Rig, dice: random.Random) -> None:
    """A few edits of all sorts, some of which an earlier one takes back."""
    world = rig.worlds["a"]
    for broken in [each for each in world.ids() if world.record(each)["details"] == "a\0b" and dice.random() < 0.5]:
        world.edit(broken, details="mended")
    for _ in range(dice.randint(0, 3)):
        ids = world.ids()
        one = dice.choice(ids) if ids else None
        match dice.randrange(6):
            case 0:
                world.add(name=f"Client {dice.randrange(99)}", city="Paris")
            case 1 if one and len(ids) > 4:
                world.remove(one)
            case 2 if one:
                world.edit(one, details=dice.choice(["a\0b", "fine", None]))
            case 3 if one:
                world.edit(one, contacts=dice.choice([None, [{"name": "Ann"}], [{"name": "Ann"}, {"name": "Bob"}]]))
            case _ if one:
                world.edit(one, city=dice.choice(["Paris", "Lyon", "Nice"]), email=dice.choice(["a@a.fr", "b@a.fr"]))


@pytest.mark.parametrize("partial", [frozenset[str](), frozenset({"email", "contacts"})])
@pytest.mark.parametrize("seed", range(4))
def test_a_walk_that_reads_what_changed_is_one_that_reads_everything(
    tmp_path: Path, seed: int, partial: frozenset[str]
) -> None:
    """Two mirrors of one system, one of them read whole in every walk: the same records, times and ends after each step of a life.

    People edit, delete, and type what cannot be kept; records go while pages are read, so that the list moves; single reads come between a
    listing and the walk that takes it in.
    """
    dice = random.Random(seed)
    timing = replace(INSTANT, stale_read_seconds=15.0) if seed % 2 else INSTANT
    profiles = {"a": Profile(page_size=4, partial=partial, told_total=seed % 3 != 0)}
    rig = make_rig(tmp_path, ("a",), profiles=profiles, timing=timing)
    world = rig.worlds["a"]
    for number in range(9):
        world.add(name=f"Client {number}", city="Paris")
    part, whole = Side(rig, Counting), Side(rig, Whole)
    outcomes: set[WalkOutcome] = set()
    with part.store.hold_lock(), whole.store.hold_lock():
        for side in (part, whole):
            side.engine._prepare()
        for step in range(1, 21):
            rig.wait(10)
            people(rig, dice)
            leaves = dice.choice(world.ids()) if dice.random() < 0.2 else None
            world.before[:] = [going(rig, leaves)] if leaves else []
            late, looked_at = dice.random() < 0.5, dice.choice(world.ids())
            start, began = world.snapshot(), rig.now
            rows = []
            for side in (part, whole):
                world.restore(start)
                rig.now = began
                listing = side.listing(f"y{step}", rig) if late else None
                if late and looked_at in world.ids():
                    rig.wait(1)
                    world.edit(looked_at, region=f"R{step}", details="fine")
                    side.look_at(looked_at, f"y{step}", rig)
                rig.wait(1)
                rows.append(side.walk(f"y{step}", rig, listing))
            assert rows[0] == rows[1]
            assert part.mirror() == whole.mirror()
            outcomes.add(rows[0].outcome)
    part.store.close()
    whole.store.close()
    assert WalkOutcome.COMPLETE in outcomes
    assert isinstance(part.provider, Counting)
    assert part.provider.known > part.provider.read_of_them > 0


def going(rig: Rig, external_id: str) -> Callable[[Call], None]:
    """A record that goes when the second page is asked for."""

    def go(call: Call) -> None:
        if call.action == "list" and call.external_id == "2" and external_id in rig.worlds["a"].ids():
            rig.worlds["a"].remove(external_id)

    return go
