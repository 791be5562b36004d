"""An erasure leaves no row with a person in it, on either database."""

from __future__ import annotations

from sqlalchemy import select

from syncd.core.model import Context
from syncd.engine.erasing import KEY, erase, erased_again, erased_records
from syncd.store import AuditRow, ChangeRow, HoldKind, MergeRow, MergeState, tables
from tests.store.examples import NOON, a_client, a_conflict, a_hold, a_link, a_record, a_write

CANARY = "Zebedee Quill"
FRANCE = Context("FR", "fr-FR")


def rows_naming(store, text: str) -> list[str]:
    """The tables in which some column of some row has the text."""
    with store.reading() as tx:
        return [
            table.name
            for table in tables.metadata.sorted_tables
            if any(text in repr(tuple(row)) for row in tx.run(select(table)))
        ]


def test_no_row_is_left(database) -> None:
    """Rows about the client go; rows about others stay, without what they say about it."""
    fields = {"name": CANARY, "email": "zebedee@quill.example"}
    shared = [
        {"client": "c1", "external_id": "1", "system": "books", "value": CANARY},
        {"client": "c2", "external_id": "2", "system": "books", "value": "x"},
    ]
    with database.store() as store:
        with store.writing() as tx:
            tx.put_clients([a_client("c1", fields=fields), a_client("c2")])
            tx.put_records(
                [a_record(raw={"n": CANARY}, fields=fields, memory={"was": CANARY}), a_record(external_id="2")]
            )
            tx.put_links([a_link(), a_link(external_id="2", client="c2")])
            tx.set_keys("books", {"1": {("name", CANARY)}})
            tx.put_writes([a_write(fields={"name": CANARY}, before={"name": CANARY}, error={"words": CANARY})])
            tx.add_conflicts([a_conflict(value=CANARY)])
            tx.put_hold(a_hold(items=shared))
            tx.put_hold(a_hold("h2", "key2", kind=HoldKind.LINK, items=shared))
            tx.put_hold(a_hold("h3", "key3", kind=HoldKind.FIRST_RUN, items=[{"samples": {"new": shared}}]))
            tx.add_changes([ChangeRow("g1", None, "c1", "name", "books", "1", None, CANARY, "", NOON)])
            tx.put_merge(MergeRow("m1", "c2", ["c1"], MergeState.DONE, NOON, "a", "", {"n": CANARY}))
            tx.add_apart([(("books", "1"), ("books", "2"))])
            tx.add_audit(
                [
                    AuditRow(NOON, "typed", "anna", {"n": CANARY}, client="c1"),
                    AuditRow(NOON, "report", "anna", {"systems": shared}),
                    AuditRow(
                        NOON,
                        "records_linked",
                        "anna",
                        {"records": [["books", "1", "x"], ["books", "2", "x"]]},
                        client="c2",
                    ),
                ]
            )
        assert len(rows_naming(store, CANARY)) > 6
        done = erase(store, "c1", FRANCE, actor="anna", clock=lambda: NOON)
        store.scrub()
        assert (done.records, CANARY in done.texts) == ((("books", "1"),), True)
        assert rows_naming(store, CANARY) == []
        with store.reading() as tx:
            assert [(row.hold, row.items) for row in tx.holds()] == [
                ("h1", shared[1:]),
                ("h3", [{"samples": {"new": shared[1:]}}]),
            ]
            assert {"systems": shared[1:]} in [row.payload for row in tx.audit()]
            assert [row.payload for row in tx.audit("c2")] == [{"records": [["books", "2", "x"]]}]
            assert tx.aparts([("books", "1")]) == set()


def test_what_was_erased_is_known_by_digests_under_a_key_of_the_store(database) -> None:
    """Ids and identifying numbers are recognised, a name is not; nothing can be recognised without the store's key."""
    fields = {"name": CANARY, "email": "zebedee@quill.example", "phone": "+33142685300"}
    with database.store() as store:
        with store.writing() as tx:
            assert erased_records(tx, [("books", "1")]) == set()
            tx.put_clients([a_client("c1", fields=fields)])
            tx.put_records([a_record(fields=fields)])
            tx.put_links([a_link()])
        erase(store, "c1", FRANCE, actor="anna", clock=lambda: NOON)
        with store.writing() as tx:
            assert erased_records(tx, [("books", "1"), ("books", "2"), ("crm", "1")]) == {("books", "1")}
            by_email = {
                "7": {("email", "zebedee@quill.example")},
                "8": {("phone", "+33142685300"), ("name", "quill zebedee")},
            }
            assert erased_again(tx, "crm", by_email) == {"7"}
            assert erased_records(tx, [("crm", "7"), ("crm", "8")]) == {("crm", "7")}
            tx.set_meta(KEY, "00" * 32)
            assert erased_again(tx, "crm", by_email) == set()
