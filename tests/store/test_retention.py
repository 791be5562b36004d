"""The purge is set-based and the same on both databases."""

from __future__ import annotations

from syncd.store import AuditRow, ChangeRow, ConflictStatus, CycleRow, WalkOutcome, WalkRow, WriteState, retention
from tests.store.examples import NOON, a_client, a_conflict, a_record, a_write, at


def test_only_what_is_over_and_old_goes(store, monkeypatch) -> None:
    """Open and young rows, latest values, walks and cycles in use, and lines that are replayed stay."""
    monkeypatch.setattr(retention, "KEPT_WALKS", 2)
    with store.writing() as tx:
        tx.put_clients([a_client("c1"), a_client("c2")])
        tx.put_records([a_record(walk="p1")])
        for number in range(1, 7):
            tx.put_cycle(CycleRow(f"y{number}", at(number), at(number)))
            tx.put_walk(WalkRow(f"p{number}", f"y{number}", "books", at(number), at(number), WalkOutcome.COMPLETE))
        tx.put_writes([a_write("w1", state=WriteState.DONE, done_at=at(1), cycle="y3"), a_write("w2", client="c2")])
        tx.put_writes([a_write("w3", state=WriteState.DROPPED, done_at=at(30), cycle="y4")])
        tx.add_conflicts([a_conflict("k1"), a_conflict("k2", "key2", status=ConflictStatus.OPEN)])
        tx.add_changes(
            ChangeRow(f"g{number}", None, "c1", unit, "books", "1", None, "x", "r", at(number))
            for number, unit in ((1, "phone"), (2, "phone"), (3, "email"), (20, "phone"))
        )
        tx.add_audit([AuditRow(at(1), kind, "anna", {}) for kind in ("write_retried", "records_linked")])
        assert tx.purge_writes(at(10)) == 1
        assert tx.purge_conflicts(at(10)) == 1
        assert tx.purge_history(at(10), {"write_retried"}) == 3
        assert tx.purge_walks(at(10)) == 3
        assert tx.purge_cycles(at(10)) == 2
    with store.reading() as tx:
        assert [row.write for row in tx.writes()] == ["w2", "w3"]
        assert [row.conflict for row in tx.conflicts()] == ["k2"]
        assert [row.change for row in tx.changes()] == ["g3", "g20"]
        assert [row.kind for row in tx.audit()] == ["records_linked"]
        assert sorted(row.walk for row in tx.walks()) == ["p1", "p5", "p6"]
        assert sorted(row.cycle for row in tx.cycles()) == ["y1", "y4", "y5", "y6"]
    assert at(0) == NOON
