"""Many rows at once: on PostgreSQL they go another way, and end the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from syncd.errors import StoreError
from syncd.store import RecordState
from syncd.store.work import COPIED_FROM_ROWS
from tests.store.examples import a_client, a_link, a_record, at

MANY = COPIED_FROM_ROWS + 20
WEIRD = 'a\tb\\N "c"\r\n, \N{SNOWMAN} \\.'


def many() -> list:
    """Records with everything in their texts that a text format could stumble over."""
    rows = [a_record(external_id=f"{number}", raw={"n": number, "t": WEIRD}) for number in range(MANY)]
    rows[1] = replace(rows[1], reason=WEIRD, state=RecordState.QUARANTINED, list_digest="", missing_since=at(1))
    return rows


def test_many_rows_are_kept_as_few_are(store) -> None:
    """Every value of every row comes back, empty and missing ones too, and a second time in one transaction replaces the first."""
    rows = many()
    with store.writing() as tx:
        tx.put_records(rows, 4)
        changed = [replace(row, digest="d2", reason="\\N") for row in rows]
        tx.put_records(changed[:-1])
        tx.set_keys("books", {row.external_id: {("name", WEIRD), ("email", row.external_id)} for row in rows})
    with store.reading() as tx:
        found = tx.records("books", [row.external_id for row in rows])
        assert [found[row.external_id] for row in rows] == [*changed[:-1], rows[-1]]
        assert len(tx.by_keys({("name", WEIRD)}, MANY)) == MANY


def test_of_several_rows_with_one_key_the_last_counts(store) -> None:
    """Whether they are few or many."""
    for count in (2, MANY):
        rows = [a_record(digest=f"d{number}") for number in range(count)]
        with store.writing() as tx:
            tx.put_records(rows)
        with store.reading() as tx:
            assert tx.records("books", ["1"])["1"].digest == f"d{count - 1}"


def test_many_rows_are_put_as_a_whole_or_not_at_all(store) -> None:
    """What cannot be stored is told before anything is sent; what the database refuses ends the transaction and tells no value."""
    with store.writing() as tx, pytest.raises(ValueError, match="lone surrogate"):
        tx.put_records([*many(), a_record(reason="\ud800")])
    with pytest.raises(StoreError) as refused, store.writing() as tx:
        tx.put_links([a_link(external_id=f"{number}", client="c777777777") for number in range(MANY)])
    assert "c777777777" not in str(refused.value)
    with store.writing() as tx:
        assert tx.mirror(limit=1) == []
        tx.put_clients([a_client(f"c{number}") for number in range(1, MANY)])
        tx.put_links([a_link(external_id=f"{number}", client=f"c{number}") for number in range(1, MANY)])
    with store.reading() as tx:
        assert tx.count_clients() == MANY - 1


def test_a_row_that_is_the_same_stays_the_row_it_was(database) -> None:
    """On PostgreSQL, where each version of a row has a place of its own."""
    if database.kind != "postgresql":
        return
    where = text("SELECT external_id, ctid::text FROM records ORDER BY external_id")
    with database.store() as store:
        with store.writing() as tx:
            tx.put_records(many())
            before = tx.run(where).all()
        with store.writing() as tx:
            tx.put_records([*many()[:-1], replace(many()[-1], digest="d2")])
            after = tx.run(where).all()
    assert {old[0] for old, new in zip(before, after, strict=True) if old != new} == {f"{MANY - 1}"}
