"""What a person decides about a merged client's contacts leaves what was typed where nobody was shown it."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.store import LinkState
from tests.engine.rig import Rig, make_rig, writes
from tests.engine.test_contacts import ANNA, BOB, change, contacts
from tests.engine.test_merging import links
from tests.engine.test_refusing import read_and_not_decided
from tests.engine.test_trail import assert_complete

MANY = [str(number) for number in range(3, 12)]


def merged(folder: Path, names: tuple[str, ...] = ("a", "b")) -> Rig:
    """Two clients, each with its contact, of which the second one was merged into the first."""
    rig = make_rig(folder, names)
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.fr", contacts=[dict(ANNA)])
    rig.worlds["a"].add(name="Durand", email="b@durand.fr", contacts=[{**BOB, "phone": "+33142600002"}])
    rig.settle()
    rig.operate().merge("c1", "c2")
    rig.settle(12)
    assert {key: link.state for key, link in links(rig).items() if key[1] == "2"} == {
        (name, "2"): LinkState.APART for name in names
    }
    return rig


def phones(rig: Rig, system: str, external_id: str) -> dict[object, object]:
    return {each.get("email"): each.get("phone") for each in contacts(rig, system, external_id)}


@pytest.mark.parametrize("take", ["golden", "b"])
def test_a_contact_of_a_record_that_stands_apart_is_not_decided_with_the_others(tmp_path: Path, take: str) -> None:
    """A phone typed into the contact of a record that stands apart competes with the person's choice once the merge is taken back."""
    rig = merged(tmp_path)
    change(rig, "b", "bob@acme.fr", "2", phone="+33142600077")
    change(rig, "a", "bob@acme.fr", "1", phone="+33142600055")
    change(rig, "b", "bob@acme.fr", "1", phone="+33142600066")
    rig.settle()
    [conflict] = [row for row in rig.conflicts() if row.unit.startswith("contacts.")]
    rig.operate().resolve(conflict.conflict, take=take)
    rig.settle()
    assert phones(rig, "a", "1")["bob@acme.fr"] == ("+33142600055" if take == "golden" else "+33142600066")
    rig.operate().unmerge("c2")
    rig.settle()
    chosen = "+33142600055" if take == "golden" else "+33142600066"
    assert {phones(rig, name, "2")["bob@acme.fr"] for name in rig.worlds} == {chosen}
    [lost] = [row for row in rig.conflicts() if row.client == "c2" and row.unit.startswith("contacts.")]
    assert sorted((each["system"], each["value"]) for each in lost.candidates) == [
        ("b", "+33142600077"),
        ("golden", chosen),
    ]
    assert_complete(rig)
    assert writes(rig.cycle()) == 0


def test_a_contact_read_and_not_decided_yet_is_not_decided_with_the_others(tmp_path: Path) -> None:
    """A value of a contact that was read just before a person decided about an earlier conflict competes, and is not lost in silence."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="ACME Europe", email="hello@acme.fr", contacts=[dict(ANNA)])
    rig.settle()
    change(rig, "a", "anna@acme.fr", title="CEO")
    change(rig, "b", "anna@acme.fr", title="CFO")
    rig.settle()
    [conflict] = [row for row in rig.conflicts() if row.unit.startswith("contacts.")]
    change(rig, "a", "anna@acme.fr", title="Owner")
    read_and_not_decided(rig)
    rig.operate().resolve(conflict.conflict, take="b")
    rig.settle()
    told = {each["value"] for row in rig.conflicts() if row.unit == conflict.unit for each in row.candidates}
    assert "Owner" in told
    assert {each["title"] for name in rig.worlds for each in contacts(rig, name)} <= {"Owner", "CFO"}
    assert writes(rig.cycle()) == 0


@pytest.mark.parametrize("field", ["city", "phone of a contact"])
def test_a_refused_set_takes_nothing_typed_into_a_record_that_stands_apart(tmp_path: Path, field: str) -> None:
    """A refusal of many edits of one system leaves what was typed into a record of it that a merge has set apart."""
    rig = merged(tmp_path)
    for number in MANY:
        rig.worlds["a"].add(
            name=f"Firma {number}",
            email=f"f{number}@x.fr",
            city="Lyon",
            contacts=[{**ANNA, "email": f"anna{number}@x.fr"}],
        )
    rig.worlds["a"].edit("1", city="Lyon")
    rig.settle()

    def become(number: str, external_id: str, email: str, value: str) -> None:
        if field == "city":
            rig.worlds["a"].edit(external_id, city=value)
        else:
            change(rig, "a", email, external_id, phone=f"+331426000{len(value)}{number}")

    become("1", "2", "bob@acme.fr", "Nice")
    become("2", "1", "bob@acme.fr", "Paris")
    for number in MANY[:7]:
        become("3", number, f"anna{number}@x.fr", "Paris")
    rig.settle()
    [hold] = rig.holds()
    assert len(hold.items) == 8
    rig.operate().refuse(hold.hold)
    rig.settle()
    rig.operate().unmerge("c2")
    rig.settle()
    for name in rig.worlds:
        if field == "city":
            assert rig.worlds[name].record("2")["city"] == "Nice"
        else:
            assert phones(rig, name, "2")["bob@acme.fr"] == "+33142600041"
    assert_complete(rig)
    assert writes(rig.cycle()) == 0
