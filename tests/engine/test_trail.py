"""The audit trail is complete: replaying it gives back golden records, links and tombstones."""

from __future__ import annotations

from pathlib import Path

from syncd.engine.trail import Replayed, replay
from syncd.store import ClientState, HoldKind, LinkState
from tests.engine.rig import Rig, make_rig


def replayed(rig: Rig) -> Replayed:
    store = rig.store()
    with store.reading() as tx:
        told = replay(tx.changes(), tx.audit())
    store.close()
    return told


def assert_complete(rig: Rig) -> Replayed:
    """What the trail tells is what the store holds, for every client and every link."""
    told = replayed(rig)
    store = rig.store()
    with store.reading() as tx:
        clients = tx.clients()
        links = [link for found in tx.links_of([row.client for row in clients]).values() for link in found]
    store.close()
    assert {row.client: (row.fields, row.state, row.merged_into) for row in clients} == {
        client: (golden.fields, golden.state, golden.merged_into) for client, golden in told.clients.items()
    }
    assert {(link.system, link.external_id): (link.client, link.state) for link in links} == told.links
    return told


def test_links_creates_edits_and_conflicts_replay(tmp_path: Path) -> None:
    """First links, creations, edits, groups, a derived split of a name, gathered notes and conflicts come back from the trail."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME SARL", registration_number="732829320", city="Paris", country="FR", notes=["first"])
    rig.worlds["b"].add(name="Acme", registration_number="732 829 320", phone="+33123456789")
    rig.worlds["c"].add(name="Jean Dupont", kind="person", email="jean@dupont.fr")
    rig.settle()
    assert_complete(rig)
    rig.worlds["b"].edit("1", city="Lyon", postal_code="69001")
    rig.worlds["a"].edit("1", phone="+33111111111")
    rig.worlds["c"].edit("1", phone="+33122222222", name="Jeanne Dupont")
    rig.settle()
    rig.worlds["a"].edit("1", phone="+33133333333")
    rig.worlds["b"].edit("1", phone="+33144444444")
    rig.settle()
    told = assert_complete(rig)
    assert len(told.clients) == 2


def test_what_a_person_decides_replays(tmp_path: Path) -> None:
    """A resolution with a typed name and a joining of two clients come back from the trail."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="Jean Dupont", kind="person", email="jean@dupont.fr", phone="+33123456789")
    rig.worlds["b"].add(name="Jean Dupond", kind="person", phone="+33123456789", postal_code="75001", country="FR")
    rig.settle()
    for hold in [hold for hold in rig.holds() if hold.kind in (HoldKind.LINK, HoldKind.MERGE)]:
        rig.operate().release(hold.hold)
    assert assert_complete(rig).clients["c2"].merged_into == "c1"
    rig.settle()
    rig.worlds["a"].edit("1", name="Jan Dupont")
    rig.worlds["c"].edit("1", name="John Dupont")
    rig.settle()
    rig.operate().resolve(rig.conflicts()[-1].conflict, value="Jean-Paul Sartre")
    assert_complete(rig)
    rig.settle()
    assert_complete(rig)


def test_deletes_and_tombstones_replay(tmp_path: Path) -> None:
    """Deleted records end their links, the client is archived and at last a tombstone; all of it comes back."""
    rig = make_rig(tmp_path)
    for number in range(3):
        rig.worlds["a"].add(name=f"Client number {number}", email=f"c{number}@example.fr")
    rig.settle()
    rig.worlds["b"].remove("1")
    for _ in range(4):
        rig.cycle()
    told = assert_complete(rig)
    assert told.links["b", "1"] == ("c1", LinkState.GONE)
    assert told.clients["c1"].state is ClientState.ARCHIVED
    rig.worlds["a"].remove("1")
    rig.worlds["c"].remove("1")
    for _ in range(4):
        rig.cycle()
    told = assert_complete(rig)
    assert told.clients["c1"].state is ClientState.DELETED


def test_a_quiet_cycle_adds_nothing_to_the_trail(tmp_path: Path) -> None:
    """A cycle with nothing new adds no row."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example")
    rig.settle()
    store = rig.store()
    with store.reading() as tx:
        before = tx.audit()
    rig.cycle()
    with store.reading() as tx:
        assert tx.audit() == before
    store.close()


def test_refusals_and_deletes_against_edits_replay(tmp_path: Path) -> None:
    """A refused mass delete, an edit that wins over a delete and is created again come back."""
    rig = make_rig(tmp_path)
    for number in range(20):
        rig.worlds["a"].add(name=f"Maison {chr(65 + number)}{chr(97 + number)}x", email=f"c{number}@example.fr")
    rig.settle()
    for number in range(1, 9):
        rig.worlds["a"].remove(str(number))
    for _ in range(3):
        rig.cycle()
    (hold,) = rig.holds()
    rig.operate().refuse(hold.hold)
    assert assert_complete(rig).links["a", "1"][1] is LinkState.GONE
    rig.cycle()
    assert_complete(rig)
    rig.worlds["b"].remove("20")
    rig.worlds["c"].edit("20", city="Lyon")
    for _ in range(3):
        rig.cycle()
    told = assert_complete(rig)
    assert told.links["b", "20"][1] is LinkState.GONE
    conflict = rig.conflicts()[-1]
    rig.operate().resolve(conflict.conflict, take="golden")
    assert assert_complete(rig).links["b", "20"][1] is LinkState.APART
    rig.settle()
    told = assert_complete(rig)
    assert told.links["b", "21"] == (told.links["b", "20"][0], LinkState.LINKED)


def test_forgotten_records_replay(tmp_path: Path) -> None:
    """After a change of scope the records that are out of sight are forgotten, in the trail as in the store."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME SARL", email="a@acme.example")
    rig.worlds["a"].add(name="Boulangerie Fictive", email="b@fictive.example")
    rig.settle()
    store = rig.store()
    with store.writing(operator=True) as tx:
        tx.set_meta("rebase:a", "yes")
    store.close()
    rig.worlds["a"].remove("2")
    rig.cycle()
    told = assert_complete(rig)
    assert ("a", "2") not in told.links
