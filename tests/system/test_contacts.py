"""Contacts and notes that people add, change and remove in LSP.expert and Flowtly, over the wire and through the command line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.place import Place, Raw
from tests.system.scenarios import in_every_system

LEA: Raw = {"fullName": "Léa Sol", "email": "lea@contacts.example", "phone": "+33 1 42 60 00 05", "title": "DAF"}
LEA_THERE: Raw = {"name": "Léa Sol", "email": "lea@contacts.example", "phone": "+33 1 42 60 00 05", "title": "DAF"}


class People:
    """The contacts and notes of one client in both systems, by the ids of its records."""

    def __init__(self, place: Place) -> None:
        look = place.look()
        client = in_every_system(look, 1)
        self.place = place
        self.client = client["client"]
        self.lsp, self.erp = (look.external_id(client, system) for system in ("lsp", "erp"))

    def in_lsp(self) -> list[Raw]:
        return list(self.place.record("lsp", self.lsp)["contacts"])

    def in_erp(self) -> list[Raw]:
        return [
            row
            for row in self.place.sandbox.records("flowtly", "client-contacts")
            if row["client"].endswith(f"/{self.erp}")
        ]

    def notes_in_erp(self) -> list[str]:
        rows = self.place.sandbox.records("flowtly", "client-notes")
        return [row["note"] for row in rows if row["client"].endswith(f"/{self.erp}")]

    def notes_in_lsp(self) -> list[str]:
        return [row["content"] for row in self.place.record("lsp", self.lsp)["notes"]]

    def set_lsp(self, contacts: list[Raw]) -> None:
        self.place.edit("lsp", self.lsp, {"contacts": contacts})

    def sent(self, after: int) -> list[tuple[str, str, Any]]:
        return [(each["provider"], each["method"], each["sent"]) for each in self.place.writes(after=after)]

    def agree(self) -> list[str]:
        """The names of the contacts, which are the same on both sides with all that both can hold."""

        def facts(name: str, each: Raw) -> tuple[Any, ...]:
            return (each[name], each.get("email"), each.get("phone"), each.get("title"))

        here = sorted((facts("fullName", each) for each in self.in_lsp()[1:]), key=str)
        there = sorted((facts("name", each) for each in self.in_erp()[1:]), key=str)
        assert here == there
        return [each[0] for each in here]


@pytest.fixture
def people(place: Place) -> People:
    return People(place)


def test_a_contact_added_changed_and_removed_in_lsp_expert(people: People):
    """Each change in LSP.expert is one call to Flowtly with what changed; a removal follows only where the tenant deletes."""
    place, number = people.place, people.place.now
    people.set_lsp([*people.in_lsp(), LEA])
    place.sync()
    [(provider, method, body)] = people.sent(number)
    assert (provider, method) == ("flowtly", "POST")
    assert {name: body[name] for name in LEA_THERE} == LEA_THERE
    assert people.agree() == ["Léa Sol"]
    number = place.now
    people.set_lsp([{**each, "title": "DG"} if each["fullName"] == "Léa Sol" else each for each in people.in_lsp()])
    place.sync()
    assert people.sent(number) == [("flowtly", "PATCH", {"title": "DG"})]
    number = place.now
    people.set_lsp(people.in_lsp()[:-1])
    place.sync()
    assert people.sent(number) == []
    assert [each["name"] for each in people.in_erp()][1:] == ["Léa Sol"]
    standing = next(each for each in place.ask("show", people.client)["standings"] if each["system"] == "erp")
    assert standing["drift"] is True


def test_a_contact_added_changed_and_removed_in_flowtly(people: People):
    """Each change in Flowtly is one call to LSP.expert with what changed, and the origin is told nothing."""
    place, number = people.place, people.place.now
    made = place.sandbox.create("flowtly", {**LEA_THERE, "client": people.erp, "type": "billing"}, "client-contacts")
    place.sync()
    [(provider, method, body)] = people.sent(number)
    assert (provider, method, body) == ("lsp_expert", "POST", LEA)
    assert people.agree() == ["Léa Sol"]
    number = place.now
    place.sandbox.edit(
        "flowtly", made, {"phone": "+33 1 42 60 00 06", "email": "sol@contacts.example"}, "client-contacts"
    )
    place.sync()
    assert people.sent(number) == [
        ("lsp_expert", "PUT", {"phone": "+33 1 42 60 00 06", "email": "sol@contacts.example"})
    ]
    number = place.now
    place.sandbox.delete("flowtly", made, "client-contacts")
    place.sync()
    assert people.sent(number) == []
    assert [each["fullName"] for each in people.in_lsp()][1:] == ["Léa Sol"]


def test_a_removal_reaches_the_systems_that_delete(people: People):
    """With `on_delete = "delete"` a removed contact is removed in the other system, and nothing else is."""
    place = people.place
    place.configure(more={"systems.lsp": {"on_delete": "delete"}, "systems.erp": {"on_delete": "delete"}})
    made = place.sandbox.create("flowtly", {**LEA_THERE, "client": people.erp, "type": "billing"}, "client-contacts")
    place.sync()
    number = place.now
    place.sandbox.delete("flowtly", made, "client-contacts")
    place.sync()
    assert [(provider, method) for provider, method, _ in people.sent(number)] == [("lsp_expert", "DELETE")]
    assert len(people.in_lsp()) == len(people.in_erp()) == 1
    people.set_lsp([*people.in_lsp(), LEA])
    place.sync()
    number = place.now
    people.set_lsp(people.in_lsp()[:1])
    place.sync()
    assert [(provider, method) for provider, method, _ in people.sent(number)] == [("flowtly", "DELETE")]
    assert len(people.in_lsp()) == len(people.in_erp()) == 1


def test_the_primary_contacts_name_and_title(people: People):
    """The primary contact's own values travel; its e-mail and phone stay those of the client."""
    place, number = people.place, people.place.now
    first = people.in_erp()[0]
    place.sandbox.edit("flowtly", str(first["id"]), {"name": "Zoé Primaire", "title": "PDG"}, "client-contacts")
    place.sync()
    assert people.sent(number) == [("lsp_expert", "PUT", {"fullName": "Zoé Primaire", "title": "PDG"})]
    assert people.in_lsp()[0]["email"].casefold() == people.in_erp()[0]["email"].casefold()


def test_the_order_of_contacts_means_nothing(people: People):
    """Turning the list round changes nothing: the primary contact is known by its id."""
    place = people.place
    people.set_lsp([*people.in_lsp(), LEA])
    place.sync()
    number = place.now
    people.set_lsp(list(reversed(people.in_lsp())))
    place.sync()
    assert people.sent(number) == []


@pytest.mark.parametrize("effect", ["reset", "status"])
def test_the_answer_to_a_new_contact_is_lost(people: People, effect: str):
    """A contact whose creation was carried out and not answered is found again, in both systems, also without e-mail."""
    place = people.place
    place.sandbox.fault(effect, provider="flowtly", method="POST", path="/client-contacts", phase="after_commit")
    people.set_lsp([*people.in_lsp(), LEA])
    place.sync(code=None)
    place.sync()
    assert people.agree() == ["Léa Sol"]
    place.sandbox.fault(effect, provider="lsp_expert", method="POST", path="/contacts", phase="after_commit")
    bare = {"name": "Max Nu", "email": "max@contacts.example", "client": people.erp, "type": "billing"}
    place.sandbox.create("flowtly", bare, "client-contacts")
    place.sync(code=None)
    place.sync()
    assert people.agree() == ["Léa Sol", "Max Nu"]
    number = place.now
    place.sync()
    assert people.sent(number) == []


def test_notes_go_both_ways_once(people: People):
    """A note of either system is added once to the other, also where the answer is lost; none is changed or comes back."""
    place = people.place
    place.sandbox.fault("reset", provider="flowtly", method="POST", path="/client-notes", phase="after_commit")
    place.edit(
        "lsp", people.lsp, {"notes": [*place.record("lsp", people.lsp)["notes"], {"content": "<p>Appelle à midi</p>"}]}
    )
    place.sync(code=None)
    place.sync()
    there = people.notes_in_erp()
    assert len(there) == len(people.notes_in_lsp())
    assert "midi" in there[-1]
    note = {"client": people.erp, "employee": "2", "note": "Woli e-mail"}
    place.sandbox.create("flowtly", note, "client-notes")
    place.sync()
    assert people.notes_in_lsp()[-1] == "<p>Woli e-mail</p>"
    number = place.now
    place.sync()
    assert people.sent(number) == []
    notes = place.record("lsp", people.lsp)["notes"]
    place.edit("lsp", people.lsp, {"notes": [{**notes[-1], "content": "<p>Autre chose</p>"}]})
    place.sync()
    assert people.sent(number) == []
    assert len(people.notes_in_erp()) == len(there) + 1
