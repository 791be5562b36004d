"""Hard deletes: only of records that were to be deleted when the delete elsewhere was believed, and that nobody edited since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from syncd.core.model import Fields
from syncd.errors import OutOfReach
from syncd.providers import FieldSpec
from syncd.providers.memory import EVERY_FIELD, Call, Profile
from tests.engine.rig import Rig, make_rig

NO_ARCHIVED = Profile(specs={**EVERY_FIELD, "archived": FieldSpec()})
"""A system that knows no archived records, and can only delete."""


def on_delete(rig: Rig, what: str, only: Callable[[Fields], bool] | None = None) -> None:
    """What the tenant's file says of system b from now on."""
    rig.systems = tuple(replace(each, on_delete=what, only=only) if each.name == "b" else each for each in rig.systems)
    rig.change_policy(systems=rig.systems)


def some_clients(folder: Path, what: str, **options: object) -> Rig:
    """Three clients in every system."""
    rig = make_rig(folder, **options)  # type: ignore[arg-type]
    on_delete(rig, what)
    for word in ("Alpha", "Bravo", "Charlie"):
        rig.worlds["a"].add(name=f"{word} SARL", email=f"hello@{word.lower()}.example")
    rig.settle()
    return rig


def cycles(rig: Rig, number: int = 4) -> None:
    for _ in range(number):
        rig.cycle()


def test_a_policy_that_says_delete_later_deletes_nothing_because_of_an_old_delete(tmp_path: Path) -> None:
    """What was archived under the policy of its day stays; what is deleted from now on is deleted."""
    rig = some_clients(tmp_path, "archive")
    rig.worlds["a"].remove("1")
    cycles(rig)
    on_delete(rig, "delete")
    cycles(rig)
    assert rig.worlds["b"].ids() == ["1", "2", "3"]
    assert rig.worlds["b"].record("1")["archived"] is True
    rig.worlds["a"].remove("2")
    cycles(rig)
    assert rig.worlds["b"].ids() == ["1", "3"]


def test_a_record_made_anew_is_not_deleted_because_of_an_old_delete(tmp_path: Path) -> None:
    """A customer who came back, in a system that knows no archived records, stays."""
    rig = some_clients(tmp_path, "delete", profiles={"b": NO_ARCHIVED})
    rig.worlds["a"].remove("1")
    cycles(rig)
    assert rig.worlds["b"].ids() == ["2", "3"]
    again = rig.worlds["b"].add(name="Alpha SARL", email="hello@alpha.example")
    cycles(rig)
    assert again in rig.worlds["b"].ids()


def test_an_edit_made_before_the_delete_arrives_wins(tmp_path: Path) -> None:
    """A record that was edited while its system could not be written is archived and not deleted; the edit is kept."""
    rig = some_clients(tmp_path, "delete")

    def fails(call: Call) -> None:
        if call.action == "delete":
            raise OutOfReach("closed for maintenance")

    rig.worlds["b"].before.append(fails)
    rig.worlds["a"].remove("1")
    cycles(rig)
    assert rig.worlds["b"].ids() == ["1", "2", "3"]
    rig.worlds["b"].edit("1", phone="+33142685300")
    rig.worlds["b"].before.clear()
    rig.wait(7200)
    cycles(rig)
    assert rig.worlds["b"].record("1")["phone"] == "+33142685300"
    assert rig.clients()[0].fields["phone"] == "+33142685300"


def test_a_client_outside_of_only_is_not_deleted(tmp_path: Path) -> None:
    """What does not take part in a system is not touched there; that the client is archived by now is no matter."""
    rig = some_clients(tmp_path, "delete")
    on_delete(rig, "delete", lambda fields: fields.get("archived") is not True and fields["name"] != "Alpha SARL")
    cycles(rig, 1)
    rig.worlds["a"].remove("1")
    rig.worlds["a"].remove("2")
    cycles(rig)
    assert rig.worlds["b"].ids() == ["1", "3"]
