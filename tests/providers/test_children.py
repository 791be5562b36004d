"""What every provider with contacts and notes promises about them: ids, steps, and nothing but what was planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from syncd.core.children import held, mark, same_as_shown
from syncd.core.model import Context, unit_value
from syncd.errors import Rejected, Stale, UnknownOutcome
from syncd.providers import REGISTRY
from tests.providers import test_contract as suites
from tests.providers.contract import Contract, changed_paths
from tests.providers.worlds import FLOWTLY_DEFAULTS, Instead, flowtly_world

SUITES: list[type[Contract]] = [suites.TestMemory, suites.TestLspExpert, suites.TestFlowtly]
PARTS = {"name": "Léa O'Sol", "email": "lea@sol.example", "phone": "+33 1 42 60 00 07"}
Raw = dict[str, Any]


@pytest.fixture(params=SUITES, ids=lambda suite: suite.name)
def suite(request: pytest.FixtureRequest) -> Contract:
    made: Contract = request.param()
    return made


@pytest.fixture
def world(suite: Contract, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("syncd.providers.http.TRIES", 1)
    if suite.name == "flowtly":
        made: Any = flowtly_world(httpserver, defaults={**FLOWTLY_DEFAULTS, "employee": "/employees/1"})
    else:
        made = suite.make_world(httpserver)
    yield made
    made.provider.close()
    system = getattr(made, "system", None)
    assert getattr(system, "strays", []) == []
    assert getattr(system, "violations", []) == []


class Client:
    """One client of a world, read and written through its provider, with its memory."""

    def __init__(self, suite: Contract, world: Any) -> None:
        self.world, self.provider = world, world.provider
        self.external_id = world.add(**suite.sample)
        self.golden = dict(suite.sample)
        self.memory: Raw = {}

    @property
    def fields(self) -> Raw:
        reading = self.provider.read(self.provider.fetch(self.external_id), self.memory)
        self.memory = reading.memory
        return dict(reading.fields)

    @property
    def contacts(self) -> dict[str, Raw]:
        return {each["id"]: each for each in self.fields["contacts"] or []}

    def write(self, **patch: Any) -> Any:
        current = self.provider.fetch(self.external_id)
        answer = self.provider.update(current, patch, self.golden, self.memory)
        self.memory = self.provider.read(answer, self.memory).memory
        return answer

    def add(self, element: str = "e1", **parts: Any) -> str:
        """Make a contact; its id."""
        answer = self.write(contacts=[{"element": element, **PARTS, **parts}])
        return str(answer.made[element])


def path_of(client: Client, kind: str) -> str:
    """Where a contact or a note of a client is made."""
    if client.provider.settings.provider == "flowtly":
        return f"/client-{kind}"
    return f"/clients/{client.external_id}/{kind}"


@pytest.fixture
def client(suite: Contract, world: Any) -> Client:
    return Client(suite, world)


def alike(client: Client, sent: Raw, shown: Raw) -> bool:
    """Whether a contact shows what was sent, as its system holds it."""
    spec = client.provider.capabilities.contacts
    same = same_as_shown(spec, Context("FR", "fr-FR"))
    return all(
        same(unit, sent[unit], unit_value(shown, unit)) for unit in held(sent, spec) if unit in sent and unit != "name"
    ) and ("name" not in sent or held(shown, spec)["name"] == sent["name"])


def test_contacts_have_ids_and_one_is_primary_where_one_carries(client: Client) -> None:
    """Each contact has an id of its own; at most one is the primary one, and it lacks exactly what the client carries."""
    client.add()
    spec = client.provider.capabilities.contacts
    listed = client.fields["contacts"]
    assert len({each["id"] for each in listed}) == len(listed)
    first = [each for each in listed if each.get("primary")]
    assert len(first) == (1 if spec.primary else 0)
    for each in listed:
        lacking = spec.parts - each.keys() - {"given_name", "family_name"}
        assert lacking == (spec.carried if each.get("primary") else frozenset())


def test_a_new_contact_reads_as_it_was_sent(client: Client) -> None:
    """One step makes one contact, named by the answer; every other field and contact stays as it was."""
    before, paths = client.fields, client.world.raw(client.external_id)
    made = client.add()
    after = client.fields
    assert alike(client, PARTS, client.contacts[made])
    assert len(after["contacts"]) == len(before["contacts"] or []) + 1
    assert {name: value for name, value in after.items() if name != "contacts"} == {
        name: value for name, value in before.items() if name != "contacts"
    }
    moved = changed_paths(paths, client.world.raw(client.external_id))
    assert all("contacts" in path.casefold() or path == "updatedAt" for path in moved), moved


def test_a_change_moves_one_part_only(client: Client) -> None:
    """A step with an id changes the parts that it names, of that contact alone; what is told again changes nothing."""
    made, other = client.add("e1"), client.add("e2", name="Max Nu", email="max@nu.example")
    client.write(contacts=[{"id": made, "phone": "+33 1 42 60 00 08"}])
    assert alike(client, {**PARTS, "phone": "+33 1 42 60 00 08"}, client.contacts[made])
    assert alike(client, {**PARTS, "name": "Max Nu", "email": "max@nu.example"}, client.contacts[other])
    before = client.world.raw(client.external_id)
    client.write(contacts=[{"id": made, "phone": "+33 1 42 60 00 08"}])
    assert changed_paths(before, client.world.raw(client.external_id)) == set()


def test_a_part_is_emptied(client: Client) -> None:
    """A part that need not be there can be emptied."""
    made = client.add(title="DAF")
    assert client.contacts[made]["title"] == "DAF"
    client.write(contacts=[{"id": made, "title": None}])
    assert client.contacts[made]["title"] is None


def test_a_removal_takes_one(client: Client) -> None:
    """A removed contact is gone, the others are there; removing it again is no failure where the system tells that it is gone."""
    made, other = client.add("e1"), client.add("e2", name="Max Nu", email="max@nu.example")
    client.write(contacts=[{"id": made, "removed": True}])
    assert made not in client.contacts
    assert other in client.contacts
    client.write(contacts=[{"id": made, "removed": True}])
    assert other in client.contacts


def test_changing_a_contact_that_is_gone_is_stale(client: Client) -> None:
    """A change of a contact that somebody deleted meanwhile is stale: nothing is made anew."""
    made = client.add()
    current = client.provider.fetch(client.external_id)
    client.write(contacts=[{"id": made, "removed": True}])
    with pytest.raises(Stale):
        client.provider.update(current, {"contacts": [{"id": made, "title": "x"}]}, client.golden, client.memory)
    assert made not in client.contacts


def test_steps_of_all_kinds_in_one_write(client: Client) -> None:
    """A field of the client, a change, an addition and a removal travel in one write."""
    made, gone = client.add("e1"), client.add("e2", name="Max Nu", email="max@nu.example")
    steps = [
        {"id": made, "title": "DG"},
        {"element": "e3", **PARTS, "name": "Zoé Neu", "email": "zoe@neu.example"},
        {"id": gone, "removed": True},
    ]
    answer = client.write(contacts=steps, registration_number="443061841")
    shown = client.contacts
    assert shown[made]["title"] == "DG"
    assert held(shown[answer.made["e3"]], client.provider.capabilities.contacts)["name"] == "Zoé Neu"
    assert gone not in shown
    assert client.fields["registration_number"] == "443061841"


def test_an_e_mail_of_another_contact_moves_the_role(suite: Contract, client: Client) -> None:
    """Where another contact has the client's new e-mail already, it becomes the primary one and nobody's e-mail is written over."""
    if not client.provider.capabilities.contacts.primary:
        pytest.skip("no contact is the primary one")
    made = client.add()
    before = client.world.raw(client.external_id)
    client.write(email=PARTS["email"])
    assert client.world.raw(client.external_id) == before
    assert client.fields["email"] == PARTS["email"]
    assert client.contacts[made]["primary"] is True
    assert sorted(each["email"] for each in client.contacts.values() if "email" in each) == [suite.sample["email"]]


def test_an_e_mail_makes_one_primary_contact(suite: Contract, world: Any) -> None:
    """An e-mail and the values of the primary contact make one contact where there was none."""
    spec = world.provider.capabilities.contacts
    if not spec.primary:
        pytest.skip("no contact is the primary one")
    made = world.provider.create({**suite.sample, "email": None, "phone": None})
    patch = {"email": "a@b.example", "contacts": [{"element": "e1", "primary": True, "name": "Anna", "title": "CEO"}]}
    answer = world.provider.update(world.provider.fetch(made.external_id), patch, suite.sample, {})
    fields = world.provider.read(answer, {}).fields
    (contact,) = fields["contacts"]
    assert (contact["id"], contact["name"], contact["title"]) == (answer.made["e1"], "Anna", "CEO")
    assert fields["email"] == "a@b.example"


def test_a_lost_answer_leaves_open_what_happened(suite: Contract, client: Client) -> None:
    """Where the answer to the making of a contact or a note is lost, the outcome is unknown; it is made once."""
    if suite.name == "memory":
        pytest.skip("nothing is sent anywhere")
    before = len(client.contacts)
    for path, patch in (
        (path_of(client, "contacts"), {"contacts": [{"element": "e1", **PARTS}]}),
        (path_of(client, "notes"), {"notes": ["told once"]}),
    ):
        client.world.system.answer(Instead(status=500, committed=True), method="POST", path=path)
        with pytest.raises(UnknownOutcome):
            client.write(**patch)
    assert len(client.contacts) == before + 1
    assert len(client.fields["notes"]) == 1


def test_a_refused_contact_is_rejected_in_the_systems_words(suite: Contract, client: Client) -> None:
    """A contact that the system refuses is rejected with its own words."""
    if suite.name == "memory":
        pytest.skip("nothing is sent anywhere")
    refusal = Instead(status=400, body=b'{"message": "no such phone", "detail": "no such phone"}')
    client.world.system.answer(refusal, method="POST", path=path_of(client, "contacts"))
    with pytest.raises(Rejected) as caught:
        client.add()
    assert "no such phone" in caught.value.words


def test_notes_are_added_and_keep_their_words(client: Client) -> None:
    """Notes are added in their order, each with an id; what was there stays."""
    assert client.fields["notes"] is None
    client.write(notes=["Appelle à midi & demi", "<p>Woli <b>e-mail</b></p>"])
    client.write(notes=["Third"])
    notes = client.fields["notes"]
    assert [mark(each["text"]) for each in notes] == [
        mark(text) for text in ("Appelle à midi & demi", "<p>Woli <b>e-mail</b></p>", "Third")
    ]
    assert len({each["id"] for each in notes}) == 3


def test_a_walk_shows_contacts_and_notes_as_a_single_read_does(client: Client) -> None:
    """Where listings are not partial, they tell contacts and notes, and the same as a single read."""
    client.add()
    client.write(notes=["one"])
    whole = client.provider.fetch(client.external_id)
    (page,) = client.provider.pull()
    (listed,) = page.records
    if listed.complete:
        assert (listed.raw, listed.children) == (whole.raw, whole.children)
    else:
        fields = client.provider.read(listed, {}).fields
        assert not {"contacts", "notes", "email"} & fields.keys()


def lag(world: Any) -> None:
    """From now on single reads and listings show what they show first; what is not there yet is not found."""
    seen: Raw = {}

    def place(request: Any) -> str:
        return f"{request.path}?{sorted(request.query.items())}"

    def is_unknown(request: Any) -> bool:
        known = "/client-contacts/" not in request.path and "/client-notes/" not in request.path
        return request.method == "GET" and not known and place(request) not in seen

    def earlier(request: Any, body: Any) -> Any:
        return seen.setdefault(place(request), body) if request.method == "GET" else body

    world.system.doctor = earlier
    world.provider.fetch(world.ids()[0])
    world.system.instead = [(is_unknown, Instead(status=404, body=b'{"detail": "Not Found"}'))] * 9


def test_what_was_just_made_is_known_from_the_answer_where_reads_lag_behind(suite: Contract, client: Client) -> None:
    """Contact, note and the client's own change are in what a write returns, though reads do not show them yet: nothing is made twice."""
    if suite.name == "memory":
        pytest.skip("answers and reads are one")
    had = client.add("e1", name="Max Nu", email="max@nu.example")
    before = len(client.contacts)
    lag(client.world)
    steps = [{"element": "e2", **PARTS}, {"id": had, "phone": "+33 1 42 60 00 09"}]
    answer = client.write(contacts=steps, notes=["told once"], registration_number="443061841")
    fields = client.provider.read(answer, client.memory).fields
    shown = {each["id"]: each for each in fields["contacts"]}
    assert len(shown) == before + 1
    assert alike(client, PARTS, shown[answer.made["e2"]])
    assert had in shown
    assert [mark(each["text"]) for each in fields["notes"]] == [mark("told once")]
    assert fields["registration_number"] == "443061841"


def test_every_provider_with_contacts_to_write_is_here(httpserver: HTTPServer) -> None:
    """The providers that can be told contacts are the ones of this suite."""
    able = set()
    for each in (suites.TestMemory, suites.TestLspExpert, suites.TestFlowtly, suites.TestSmartbills, suites.TestTiime):
        made = each().make_world(httpserver)
        if made.provider.fields["contacts"].update:
            able.add(each.name)
            assert made.provider.capabilities.contacts is not None
        made.provider.close()
    assert able == {suite.name for suite in SUITES}
    assert able < set(REGISTRY)
