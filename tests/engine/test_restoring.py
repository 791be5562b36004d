"""An old state of the store does no harm: it is noticed, nothing is written before a report, nothing deleted comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

from syncd.engine.erasing import erase
from syncd.engine.witness import Witness, notice
from syncd.store import ClientState, HoldKind, LinkState, WriteState, copying
from tests.engine.rig import Rig, make_rig
from tests.engine.test_trail import assert_complete


class Kept:
    """A rig whose store has a witness beside it, as under the service."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def start(self) -> bool:
        """Take the working right as the service does; whether an old store was noticed."""
        store = self.rig.store()
        witness = Witness(self.rig.folder, "rig")
        with store.hold_lock():
            found = notice(store, witness.remembered(), self.rig.clock())
            witness.keep(store, self.rig.clock(), whole=True)
        store.close()
        return found

    def settle(self) -> None:
        self.rig.settle()
        self.start()

    def backup(self, file: Path) -> None:
        store = self.rig.store()
        copying.backup(store, file, self.rig.clock())
        store.close()

    def put_back(self, file: Path) -> None:
        """As an operator does who knows no command for it: the old file in the place of the new one."""
        for path in self.rig.folder.glob("rig.db*"):
            path.unlink()
        shutil.copyfile(file, self.rig.folder / "rig.db")


def begun(tmp_path: Path) -> tuple[Rig, Kept, Path]:
    """Two clients in three systems, in sync and saved."""
    rig = make_rig(tmp_path / "state")
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example", phone="+33142685300", city="Paris", country="FR")
    rig.worlds["a"].add(name="Other Client", email="other@example.fr")
    kept = Kept(rig)
    kept.settle()
    kept.backup(tmp_path / "old.db")
    return rig, kept, tmp_path / "old.db"


def shown(rig: Rig) -> dict[str, list[object]]:
    return {name: [world.record(each) for each in world.ids()] for name, world in rig.worlds.items()}


def release(rig: Rig) -> None:
    (hold,) = [hold for hold in rig.holds() if hold.kind is HoldKind.FIRST_RUN]
    assert hold.reason.startswith("the store was restored")
    rig.operate().release(hold.hold)


def test_a_store_that_goes_on_is_not_old(tmp_path: Path) -> None:
    """Starts, cycles and a start without any cycle are no restore."""
    _rig, kept, _old = begun(tmp_path)
    assert not kept.start()
    kept.settle()
    assert not kept.start()


def test_nothing_is_written_before_the_report_is_released(tmp_path: Path) -> None:
    """Edits since the backup are taken in as new values and nothing is reverted; what waits for a release is written after it."""
    rig, kept, old = begun(tmp_path)
    rig.worlds["b"].edit("1", name="ACME SAS", city="Lyon")
    rig.worlds["c"].edit("1", phone="+33142685399")
    kept.settle()
    rig.worlds["a"].edit("2", phone="+33142685301")
    before = shown(rig)
    kept.put_back(old)
    assert kept.start()
    for _ in range(3):
        rig.cycle()
    assert shown(rig) == before
    client = rig.clients()[0]
    assert (client.fields["name"], client.fields["city"], client.fields["phone"]) == (
        "ACME SAS",
        "Lyon",
        "+33142685399",
    )
    assert rig.conflicts() == []
    release(rig)
    kept.settle()
    assert [world.record("2")["phone"] for world in rig.worlds.values()] == ["+33142685301"] * 3
    assert [record for name in rig.worlds for record in shown(rig)[name][:1]] == [before[name][0] for name in before]
    assert_complete(rig)
    assert not kept.start()


def test_a_second_restore_is_noticed_too(tmp_path: Path) -> None:
    """The same old file put back once more is as old as before."""
    rig, kept, old = begun(tmp_path)
    for _ in range(2):
        rig.worlds["a"].edit("1", city="Lyon")
        rig.cycle()
        kept.start()
        kept.put_back(old)
        assert kept.start()
        assert rig.clients()[0].client == "c1"


def test_what_was_waiting_is_decided_anew(tmp_path: Path) -> None:
    """Writes that were open when the backup was made are dropped, a create among them: it has happened since, and is not repeated."""
    rig, kept, old = begun(tmp_path)
    old.unlink()
    store = rig.store()
    rig.worlds["a"].add(name="Third Client", email="third@example.fr")
    with store.writing(operator=True) as tx:
        tx.set_meta("first_run", "waiting")
    rig.cycle()
    with store.writing(operator=True) as tx:
        tx.set_meta("first_run", "released")
        tx.mark_all_dirty()
    store.close()
    saved = tmp_path / "waiting.db"
    with rig.engine() as engine:
        engine.stopped = lambda: True
        engine.cycle()
    kept.backup(saved)
    assert rig.writes(WriteState.WAITING) != []
    kept.settle()
    before = shown(rig)
    assert [len(found) for found in before.values()] == [3, 3, 3]
    kept.put_back(saved)
    assert kept.start()
    assert rig.writes(WriteState.WAITING, WriteState.IN_DOUBT) == []
    rig.cycle()
    release(rig)
    kept.settle()
    assert shown(rig) == before
    assert_complete(rig)


def test_the_deleted_and_the_erased_do_not_come_back(tmp_path: Path) -> None:
    """Clients that came and went after the backup, or were erased after it, are neither created again nor known again."""
    rig, kept, old = begun(tmp_path)
    rig.worlds["a"].add(name="Short Lived", email="short@example.fr")
    kept.settle()
    rig.worlds["b"].remove("3")
    for _ in range(3):
        rig.cycle()
    kept.start()
    store = rig.store()
    with store.hold_lock():
        erase(store, "c2", rig.policy.context, actor="tester", clock=rig.clock)
    store.close()
    kept.start()
    rig.worlds["a"].edit("3", archived=False)
    rig.worlds["c"].edit("3", archived=False)
    kept.put_back(old)
    assert kept.start()
    assert [path for path in rig.folder.iterdir() if b"Other Client" in path.read_bytes()] == []
    for _ in range(2):
        rig.cycle()
    release(rig)
    for _ in range(3):
        rig.cycle()
    assert [len(world.ids()) for world in rig.worlds.values()] == [3, 2, 3]
    states = {row.client: row.state for row in rig.clients()}
    assert states["c2"] is ClientState.DELETED
    (third,) = [row for row in rig.clients() if row.fields.get("name") == "Short Lived"]
    assert third.client not in ("c1", "c2", "c3")
    store = rig.store()
    with store.reading() as tx:
        assert {link.system: link.state for link in tx.links_of([third.client])[third.client]} == {
            "a": LinkState.LINKED, "b": LinkState.GONE, "c": LinkState.LINKED,
        }  # fmt: skip
    store.close()
    assert_complete(rig)


def test_a_new_store_keeps_the_erased_out(tmp_path: Path) -> None:
    """A database that was deleted and made anew is no restore, and still knows whom it must not take in."""
    rig, kept, _old = begun(tmp_path)
    store = rig.store()
    with store.hold_lock():
        erase(store, "c2", rig.policy.context, actor="tester", clock=rig.clock)
    store.close()
    kept.start()
    for path in rig.folder.glob("rig.db*"):
        path.unlink()
    assert not kept.start()
    rig.settle()
    assert [row.fields["name"] for row in rig.clients()] == ["ACME SARL"]
