"""What is over goes after its time; what deciding and replaying need stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from syncd.core.model import Retention
from syncd.engine.retention import purge
from syncd.store import retention
from tests.engine.rig import Rig, make_rig
from tests.engine.test_trail import assert_complete

DAY = 86_400.0


def counted(rig: Rig) -> dict[str, int]:
    store = rig.store()
    with store.reading() as tx:
        found = {
            "walks": len(tx.walks()), "cycles": len(tx.cycles()), "writes": len(tx.writes()),
            "conflicts": len(tx.conflicts()), "changes": len(tx.changes()), "audit": len(tx.audit()),
        }  # fmt: skip
    store.close()
    return found


def purged(rig: Rig, keep: Retention, **how: bool) -> int:
    store = rig.store()
    with store.hold_lock():
        gone = purge(store, keep, rig.clock(), **how)
    store.close()
    return gone


def lived(folder: Path) -> Rig:
    """A client that was edited, disputed and resolved, another that is deleted, and quiet cycles."""
    rig = make_rig(folder)
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example", city="Lyon", country="FR")
    rig.worlds["a"].add(name="Other Client", email="other@example.fr")
    rig.settle()
    for number in range(3):
        rig.worlds["a"].edit("1", name=f"ACME {number}", city=f"City {number}")
        rig.worlds["b"].edit("1", name=f"Acme the {number}")
        rig.settle()
    rig.operate().resolve(rig.conflicts()[-1].conflict, take="b")
    rig.settle()
    for world in rig.worlds.values():
        world.remove("2")
    for _ in range(4):
        rig.cycle()
    return rig


def test_the_trail_stays_complete(tmp_path: Path) -> None:
    """After everything that may go has gone the replay still gives golden records, links and tombstones, and nothing is written."""
    rig = lived(tmp_path)
    before = counted(rig)
    rig.wait(10 * DAY)
    assert purged(rig, Retention(DAY, DAY, DAY, DAY)) > 0
    after = counted(rig)
    assert after["writes"] == after["conflicts"] == 0
    assert after["changes"] < before["changes"]
    assert after["audit"] < before["audit"]
    assert_complete(rig)
    assert sum(each.writes for report in rig.settle() for each in report.systems) == 0
    assert counted(rig)["conflicts"] == 0
    rig.worlds["b"].edit("1", name="ACME at last")
    rig.settle()
    assert rig.worlds["c"].record("1")["name"] == "ACME at last"
    assert_complete(rig)


def test_old_walks_and_empty_cycles_go(tmp_path: Path, monkeypatch) -> None:
    """Walks beyond the last ones, in which no record was seen last, go with the cycles that nothing refers to; then nothing is left to go."""
    rig = lived(tmp_path)
    monkeypatch.setattr(retention, "KEPT_WALKS", 3)
    rig.wait(10 * DAY)
    rig.settle()
    before = counted(rig)
    assert purged(rig, Retention(walks_seconds=DAY)) > 0
    after = counted(rig)
    assert after["walks"] < before["walks"]
    assert after["cycles"] < before["cycles"]
    assert {name: after[name] for name in ("writes", "changes", "conflicts", "audit")} == {
        name: before[name] for name in ("writes", "changes", "conflicts", "audit")
    }
    assert purged(rig, Retention(walks_seconds=DAY), at_once=True) == 0
    assert_complete(rig)


def test_it_is_done_once_a_day_and_only_where_asked(tmp_path: Path) -> None:
    """A second time within a day does nothing, young rows stay, and "for ever" means it."""
    rig = lived(tmp_path)
    assert purged(rig, Retention(DAY, DAY, DAY, DAY)) == 0
    rig.wait(0.9 * DAY)
    rig.wait(timedelta(hours=1).total_seconds())
    assert purged(rig, Retention()) == 0
    rig.wait(2 * DAY)
    before = counted(rig)
    assert purged(rig, Retention(), at_once=True) == 0
    assert counted(rig) == before
    rig.wait(DAY)
    assert purged(rig, Retention(writes_seconds=DAY)) > 0
    assert purged(rig, Retention(conflicts_seconds=DAY)) == 0
