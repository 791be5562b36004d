"""The reference provider: the world behind it, its faults, and that it can stand in for any system in a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from syncd.errors import Duplicate, Gone, Rejected, Transient, UnknownOutcome
from syncd.providers import Capabilities, FieldSpec
from syncd.providers.memory import EVERY_FIELD, Call, Memory, Profile, World, forget, truncated, upper_cased, world
from tests.providers.worlds import settings


@pytest.fixture
def books() -> Iterator[World]:
    forget("books")
    yield world("books")
    forget("books")


def connection(**options: Any) -> Memory:
    return Memory(settings("memory", None, world="books", **options))


def test_connections_share_a_world(books: World) -> None:
    """Two connections that name one world see the same records; a forgotten world starts anew."""
    made = connection().create({"name": "ACME"})
    assert connection().fetch(made.external_id).raw["name"] == "ACME"
    assert made.external_id == "1"
    forget("books")
    assert world("books").ids() == []


def test_ids_are_never_used_again(books: World) -> None:
    """A deleted record's id does not come back."""
    books.remove(books.add(name="A"))
    assert books.add(name="B") == "2"


def test_a_fault_before_the_effect_prevents_it(books: World) -> None:
    """What a fault raises before the effect reaches the caller, and nothing has happened."""

    def fail(call: Call) -> None:
        if call.action == "create":
            raise Transient("no")

    books.before.append(fail)
    with pytest.raises(Transient):
        connection().create({"name": "A"})
    assert books.ids() == []


def test_a_fault_after_the_effect_loses_the_answer(books: World) -> None:
    """What a fault raises after the effect reaches the caller, and the record is there."""

    def lose(_call: Call) -> None:
        raise UnknownOutcome("lost")

    books.after.append(lose)
    with pytest.raises(UnknownOutcome):
        connection().create({"name": "A"})
    assert books.ids() == ["1"]


def test_a_late_commit(books: World) -> None:
    """A fault that keeps the commit can let the effect happen later, once."""
    kept: list[Call] = []

    def hold(call: Call) -> None:
        kept.append(call)
        raise UnknownOutcome("lost")

    books.before.append(hold)
    with pytest.raises(UnknownOutcome):
        connection().create({"name": "A"})
    assert books.ids() == []
    for _ in range(2):
        assert kept[0].commit is not None
        kept[0].commit()
    assert books.ids() == ["1"]


def test_forms_are_what_the_system_keeps(books: World) -> None:
    """A system that cuts and shouts shows and projects what it keeps."""
    books.profile = Profile(forms={"name": truncated(4), "city": upper_cased})
    provider = connection()
    made = provider.create({"name": "Traduction", "city": "Lyon"})
    fields = provider.read(made, {}).fields
    assert (fields["name"], fields["city"]) == ("Trad", "LYON")
    assert provider.project("name", {"name": "Traduction"}, {}) == {"name": "Trad"}
    assert provider.project("address", {"city": "Lyon"}, {}) == {"city": "LYON"}


def test_partial_lists_leave_fields_out(books: World) -> None:
    """Fields that listings do not show are unknown there and known in a single read."""
    books.profile = Profile(partial=frozenset({"email"}))
    external_id = books.add(name="A", email="a@b.fr")
    provider = connection()
    ((listed,),) = [page.records for page in provider.pull()]
    assert not listed.complete
    assert "email" not in provider.read(listed, {}).fields
    assert provider.read(provider.fetch(external_id), {}).fields["email"] == "a@b.fr"


def test_hidden_and_never_shown_fields_are_unknown(books: World) -> None:
    """What the system does not say of a record, or never returns, is unknown; the record keeps it."""
    specs = {**EVERY_FIELD, "tax_exempt": FieldSpec(read=False, create=True, update=True, remembered=True)}
    books.profile = Profile(specs=specs)
    external_id = books.add(name="A", city="Lyon", tax_exempt=True)
    books.hide(external_id, "city")
    provider = connection()
    fields = provider.read(provider.fetch(external_id), {}).fields
    assert not {"city", "tax_exempt"} & fields.keys()
    assert (books.record(external_id)["city"], books.record(external_id)["tax_exempt"]) == ("Lyon", True)


def test_unique_fields(books: World) -> None:
    """A second record with the same unique value is a duplicate that names the first; the record itself is none."""
    books.profile = Profile(unique=frozenset({"email"}))
    provider = connection()
    made = provider.create({"name": "A", "email": "a@b.fr"})
    with pytest.raises(Duplicate) as caught:
        provider.create({"name": "B", "email": "a@b.fr"})
    assert caught.value.existing_id == made.external_id
    provider.update(made, {"email": "a@b.fr"}, {}, {})


def test_capabilities_are_the_profiles(books: World) -> None:
    """A world without deletes refuses them, and an objection of the profile is one of the provider."""
    books.profile = Profile(
        capabilities=Capabilities(create=True), objects=lambda golden: golden.get("iban") and "no banks"
    )
    provider = connection()
    made = provider.create({"name": "A"})
    with pytest.raises(Rejected):
        provider.delete(made)
    with pytest.raises(Rejected):
        provider.create({"name": "B", "iban": "FR76"})
    assert books.ids() == ["1"]


def test_snapshots(books: World) -> None:
    """A world returns to what it was, ids included; a stale world shows the old state and takes writes in the new one."""
    external_id = books.add(name="Old")
    before = books.snapshot()
    books.edit(external_id, name="New")
    books.stale = before
    provider = connection()
    assert provider.fetch(external_id).raw["name"] == "Old"
    provider.update(provider.fetch(external_id), {"city": "Lyon"}, {}, {})
    books.stale = None
    assert (books.record(external_id)["name"], books.record(external_id)["city"]) == ("New", "Lyon")
    books.restore(before)
    assert books.record(external_id)["name"] == "Old"
    assert books.add(name="Next") == "2"


def test_copies_keep_the_world_apart(books: World) -> None:
    """Changing what was read changes nothing in the world."""
    external_id = books.add(name="A", notes=["x"])
    connection().fetch(external_id).raw["notes"] = None
    books.record(external_id)["name"] = "B"
    assert (books.record(external_id)["name"], books.record(external_id)["notes"]) == ("A", [{"id": "n1", "text": "x"}])


def test_deletions_during_a_walk_move_the_rest_up(books: World) -> None:
    """Pages are by offset: a record deleted meanwhile makes the walk miss one, and the total tells it."""
    books.profile = Profile(page_size=2)
    for number in range(5):
        books.add(name=f"Client {number}")
    walk = connection().pull()
    first = next(walk)
    books.remove("1")
    rest = list(walk)
    assert {listed.external_id for page in (first, *rest) for listed in page.records} == {"1", "2", "4", "5"}
    assert [first.total, *[page.total for page in rest]] == [5, 4]


def test_the_account_can_change(books: World) -> None:
    """The account behind a connection is the world's, and a world may get another one."""
    assert connection().account() == "books"
    books.account = "someone else"
    assert connection().account() == "someone else"


def test_a_broken_record_is_a_fault(books: World) -> None:
    """A record with text that nobody can keep is a fault of the walk; its neighbours are read."""
    good, bad = books.add(name="A"), books.add(name="B\x00")
    ((records, faults),) = [(page.records, page.faults) for page in connection().pull()]
    assert [listed.external_id for listed in records] == [good]
    assert [place for place, _ in faults] == [bad]


def test_many_threads(books: World) -> None:
    """Records made and edited by many threads at once are all there, and every call is counted."""

    def work(number: int) -> None:
        provider = connection()
        made = provider.create({"name": f"Client {number}"})
        provider.update(made, {"city": "Lyon"}, {}, {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(50)))
    assert len(books.ids()) == 50
    assert {books.record(external_id)["city"] for external_id in books.ids()} == {"Lyon"}
    assert [call.number for call in books.calls] == list(range(1, 101))


@pytest.mark.parametrize("external_id", ["7", "x", "", "-1", "١"])
def test_ids_that_do_not_exist_are_gone(books: World, external_id: str) -> None:
    """Anything that is no record's id is gone."""
    with pytest.raises(Gone):
        connection().fetch(external_id)


def test_options_are_checked() -> None:
    """The world's name is a text."""
    assert Memory.check_options({}) == []
    assert len(Memory.check_options({"world": 7})) == 1
