"""The whole loop in process: clients flow, edits travel, conflicts are logged once, and then it is quiet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.core.model import Brake, BrakeKind, Mode, Raw, Timing
from syncd.store import ClientState, ConflictStatus, HoldRow, StandingState
from tests.engine.rig import Rig, make_rig, writes


def test_a_client_of_one_system_appears_in_every_other(tmp_path: Path) -> None:
    """A client typed in one system is created in the others field by field, once, and then it is quiet."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME", email="info@acme.fr", address_line1="1 rue de Rivoli", city="Paris", country="FR")
    report = rig.cycle()
    assert [each.created for each in report.systems] == [0, 1, 1]
    for name in ("b", "c"):
        record = rig.worlds[name].record("1")
        assert (record["name"], record["email"], record["city"], record["country"]) == (
            "ACME",
            "info@acme.fr",
            "Paris",
            "FR",
        )
    assert writes(rig.cycle()) == 0
    assert rig.conflicts() == []


def test_an_edit_travels_as_a_minimal_write(tmp_path: Path) -> None:
    """An edit in one system is written to the others once, and not back to where it was made."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME", email="info@acme.fr")
    rig.settle()
    rig.worlds["b"].edit("1", email="new@acme.fr")
    report = rig.cycle()
    assert [each.updated for each in report.systems] == [1, 0, 1]
    assert {rig.worlds[name].record("1")["email"] for name in "abc"} == {"new@acme.fr"}
    assert writes(rig.cycle()) == 0
    assert rig.conflicts() == []


def test_the_same_edit_on_two_sides_is_no_conflict(tmp_path: Path) -> None:
    """Equal edits converge: no row, and only the third system is written."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME")
    rig.settle()
    for name in "ab":
        rig.worlds[name].edit("1", city="Lyon")
    report = rig.cycle()
    assert [each.updated for each in report.systems] == [0, 0, 1]
    assert rig.conflicts() == []


def test_different_edits_make_exactly_one_conflict(tmp_path: Path) -> None:
    """Two edits of one field make one row with base, both values and the winner, however often it is looked at."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME", city="Paris")
    rig.settle()
    rig.worlds["b"].edit("1", phone="+33123456789")
    rig.worlds["c"].edit("1", phone="+33198765432")
    rig.settle()
    rig.cycle()
    (row,) = rig.conflicts()
    assert row.unit == "phone"
    assert row.status is ConflictStatus.DECIDED
    assert row.winner == "b"
    assert {candidate["system"] for candidate in row.candidates} == {"b", "c"}
    assert {rig.worlds[name].record("1")["phone"] for name in "abc"} == {"+33123456789"}


def test_overlapping_first_data_is_linked_and_not_doubled(tmp_path: Path) -> None:
    """Records of several systems that are one client by strong evidence are linked at the first cycle."""
    rig = make_rig(tmp_path)
    rig.worlds["a"].add(name="ACME SARL", registration_number="732829320", city="Paris")
    rig.worlds["b"].add(name="Acme", registration_number="732 829 320", phone="+33123456789")
    rig.worlds["c"].add(name="Dupont Jean", email="jean@dupont.fr")
    rig.settle()
    assert [len(world.ids()) for world in rig.worlds.values()] == [2, 2, 2]
    assert len(rig.clients()) == 2
    assert rig.worlds["b"].record("1")["city"] == "Paris"
    assert rig.worlds["a"].record("1")["phone"] == "+33123456789"


def test_a_delete_archives_elsewhere_and_is_a_tombstone(tmp_path: Path) -> None:
    """A record gone in two cycles archives its client in the other systems and is never created again."""
    rig = make_rig(tmp_path)
    for number in range(3):
        rig.worlds["a"].add(name=f"Client number {number}", email=f"c{number}@example.fr")
    rig.settle()
    rig.worlds["b"].remove("1")
    for _ in range(4):
        rig.cycle()
    assert rig.worlds["a"].record("1")["archived"] is True
    assert rig.worlds["c"].record("1")["archived"] is True
    assert rig.worlds["b"].ids() == ["2", "3"]


def stands(rig: Rig, hold: HoldRow, system: str) -> dict[StandingState, str]:
    """How the clients that a hold names stand in a system, and why."""
    store = rig.store()
    with store.reading() as tx:
        told = [row for item in hold.items for row in tx.standings(str(item["client"])) if row.system == system]
    store.close()
    assert len(told) == len(hold.items)
    return {row.state: row.reason or "" for row in told}


def test_a_mass_delete_is_held_as_one_set(tmp_path: Path) -> None:
    """More deletes than the brake allows are held together, and released once by name."""
    rig = make_rig(tmp_path)
    for number in range(20):
        rig.worlds["a"].add(name=f"Maison {chr(65 + number)}{chr(97 + number)}x", email=f"c{number}@example.fr")
    rig.settle()
    for number in range(1, 9):
        rig.worlds["a"].remove(str(number))
    for _ in range(3):
        rig.cycle()
    (hold,) = rig.holds()
    assert len(hold.items) == 8
    assert not any(rig.worlds["b"].record(str(number))["archived"] for number in range(1, 21))
    assert stands(rig, hold, "a") == {StandingState.HELD: f"{hold.hold}: {hold.reason}"}
    assert stands(rig, hold, "b") == {StandingState.IN_SYNC: ""}
    rig.operate().release(hold.hold)
    rig.settle()
    assert stands(rig, hold, "a") == {StandingState.EXCLUDED: "deleted there; never created again"}
    assert sum(bool(rig.worlds["b"].record(number)["archived"]) for number in rig.worlds["b"].ids()) == 8
    assert rig.holds() == []


def test_what_vanished_in_an_earlier_wave_lets_no_later_one_through(tmp_path: Path) -> None:
    """The share of a mass delete is one of the records that were there before it, not of those that a hold keeps back already."""
    rig = make_rig(tmp_path, ("a", "b"), brakes={BrakeKind.DELETES: Brake(1, 0.25)})
    for number in range(8):
        rig.worlds["a"].add(name=f"Maison {chr(65 + number)}{chr(97 + number)}x", email=f"c{number}@example.fr")
    rig.settle()
    for gone, reason in (("123", "3 of 8"), ("45", "5 of 8")):
        for number in gone:
            rig.worlds["a"].remove(number)
        for _ in range(3):
            rig.cycle()
        (hold,) = rig.holds()
        assert hold.reason.startswith(f"deletes: {reason} records of a at once")
    assert not any(rig.worlds["b"].record(number)["archived"] for number in rig.worlds["b"].ids())
    rig.operate().release(hold.hold)
    rig.settle()
    assert [rig.worlds["b"].record(number)["archived"] for number in rig.worlds["b"].ids()] == [True] * 5 + [False] * 3
    assert rig.holds() == []


def test_who_is_in_a_held_mass_delete_is_created_nowhere_and_says_what_it_waits_for(tmp_path: Path) -> None:
    """Clients that were in one system only, and vanished there with many others, are held by the brake's hold in the others."""
    rig = make_rig(tmp_path, ("a", "b"))
    both = rig.policy.systems
    rig.change_policy(systems=(both[0], replace(both[1], mode=Mode.OBSERVE)))
    for number in range(20):
        rig.worlds["a"].add(name=f"Maison {chr(65 + number)}{chr(97 + number)}x", email=f"c{number}@example.fr")
    rig.settle()
    for number in range(1, 9):
        rig.worlds["a"].remove(str(number))
    for _ in range(3):
        rig.cycle()
    (hold,) = rig.holds()
    rig.change_policy(systems=both)
    rig.settle()
    assert len(rig.worlds["b"].ids()) == 12
    store = rig.store()
    with store.reading() as tx:
        told = [row for item in hold.items for row in tx.standings(str(item["client"])) if row.system == "b"]
    store.close()
    assert [row.state for row in told] == [StandingState.HELD] * 8
    assert all((row.reason or "").startswith(f"{hold.hold}: ") for row in told)
    rig.operate().release(hold.hold)
    rig.settle()
    assert sum(row.state is ClientState.DELETED for row in rig.clients()) == 8
    assert len(rig.worlds["b"].ids()) == 12
    assert rig.holds() == []


def test_values_settle_before_they_travel(tmp_path: Path) -> None:
    """With `settle`, an edit waits until its record has stood still that long, and the tenant is not quiet meanwhile."""
    rig = make_rig(tmp_path, timing=Timing(0.0, 0.0, 0.0, settle_seconds=30.0))
    rig.worlds["a"].add(name="ACME", city="Paris")
    rig.settle()
    rig.wait(60)
    rig.cycle()
    rig.worlds["a"].edit("1", city="Ly")
    assert writes(rig.cycle()) == 0
    with rig.engine() as engine:
        assert not engine.quiet().quiescent
    rig.worlds["a"].edit("1", city="Lyon")
    assert writes(rig.cycle()) == 0
    rig.wait(40)
    assert writes(rig.cycle()) == 2
    assert rig.worlds["b"].record("1")["city"] == "Lyon"


def test_a_plan_during_the_first_run_shows_what_would_be_written(tmp_path: Path) -> None:
    """While the first-run report waits, a plan shows every write, sends nothing and decides nothing."""
    rig = make_rig(tmp_path)
    rig.change_policy(first_run="review")
    rig.worlds["a"].add(name="ACME")
    with rig.engine() as engine:
        plan = engine.plan()
    assert sorted(row.system for row in plan.writes) == ["b", "c"]
    assert rig.worlds["b"].ids() == []
    assert rig.clients() == []
    assert writes(rig.cycle()) == 0
    (hold,) = rig.holds()
    rig.operate().release(hold.hold)
    assert writes(rig.cycle()) == 2


def test_a_list_without_archived_records_is_still_complete(tmp_path: Path) -> None:
    """A known record that is not listed, and that a single read shows archived, was archived and not lost."""
    rig = make_rig(tmp_path)
    for name in ("Alpha", "Beta", "Gamma"):
        rig.worlds["a"].add(name=name, email=f"{name}@example.fr")
    rig.settle()
    world = rig.worlds["b"]
    listing = world.listing

    def without_archived(offset: int, limit: int) -> tuple[list[Raw], int]:
        items = [each for each in listing(0, 1000)[0] if not each["archived"]]
        return items[offset : offset + limit], len(items)

    world.listing = without_archived
    world.edit("2", archived=True)
    for _ in range(3):
        report = rig.cycle()
        assert {each.walk for each in report.systems} == {"complete"}
    assert rig.worlds["a"].record("2")["archived"] is True
    assert world.ids() == ["1", "2", "3"]


def test_the_first_run_report_waits_until_something_may_be_written(tmp_path: Path) -> None:
    """While every system is only observed nothing is held; the report is made, and waits, when the first one may be written."""
    rig = make_rig(tmp_path)
    modes = rig.systems
    rig.systems = tuple(replace(each, mode=Mode.OBSERVE) for each in modes)
    rig.change_policy(first_run="review", systems=rig.systems)
    rig.worlds["a"].add(name="ACME")
    rig.settle()
    assert rig.holds() == []
    rig.systems = modes
    rig.change_policy(systems=modes)
    assert writes(rig.cycle()) == 0
    (hold,) = rig.holds()
    rig.operate().release(hold.hold)
    assert writes(rig.cycle()) == 2


def test_archiving_many_at_once_is_held(tmp_path: Path) -> None:
    """More archives in one system and cycle than the brake allows are held as one set and archive nothing elsewhere."""
    rig = make_rig(tmp_path, ("a", "b"))
    for number in range(12):
        rig.worlds["a"].add(name=f"Maison {chr(65 + number)}{chr(97 + number)}x", email=f"c{number}@example.fr")
    rig.settle()
    for number in range(1, 8):
        rig.worlds["a"].edit(str(number), archived=True)
    rig.cycle()
    (hold,) = rig.holds()
    assert (hold.system, len(hold.items)) == ("a", 7)
    assert not any(rig.worlds["b"].record(number)["archived"] for number in rig.worlds["b"].ids())
    rig.operate().release(hold.hold)
    rig.settle()
    assert sum(bool(rig.worlds["b"].record(number)["archived"]) for number in rig.worlds["b"].ids()) == 7


def test_four_systems_that_agree_are_linked_by_email_and_name(tmp_path: Path) -> None:
    """A client that every one of four systems knows already, by e-mail and name alone, is one client and not a shared address."""
    rig = make_rig(tmp_path, ("a", "b", "c", "d"))
    for world in rig.worlds.values():
        world.add(name="Jeanne Martin", email="jeanne@martin.fr")
    assert writes(rig.cycle()) == 0
    assert rig.holds() == []
    assert len(rig.clients()) == 1


def test_an_email_of_many_clients_proves_nothing(tmp_path: Path) -> None:
    """An address that more than three records of one system share links nobody by itself."""
    rig = make_rig(tmp_path, ("a", "b"))
    for number in range(4):
        rig.worlds["a"].add(name=f"Boutique {chr(65 + number)}", email="info@galerie.fr", phone="+33123456789")
    rig.worlds["b"].add(name="Boutique A", email="info@galerie.fr")
    rig.cycle()
    assert "email and name" not in rig.matches()
