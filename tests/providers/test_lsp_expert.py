"""LSP.expert: what is its own, beyond the contract. Its simulated system stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_httpserver import HTTPServer

from syncd.errors import Gone, Malformed, Rejected, Stale, UnknownOutcome
from syncd.providers import Listed
from syncd.providers.lsp_expert import LspExpert
from tests.providers.worlds import Instead, LspWorld, lsp_world

SAMPLE = {"name": "Google", "email": "a@google.fr", "phone": "+33142600001", "vat_number": "FR83404833048"}

# A page as the documentation shows it (docs.lsp.expert/clients), shortened to one client; values that are unset are left out.
RECORDED = {
    "id": "6548c72a13162e1d7ade0290",
    "name": "Microsoft",
    "address": {"name": "Microsoft"},
    "archived": False,
    "contacts": [
        {
            "emails": {"invoice": True, "quote": True, "ccInvoice": False, "ccQuote": False},
            "email": "",
            "fullName": "John Doe",
            "nickname": "John",
            "notes": "<p></p>",
            "id": "654cbb4e74ef2e4d80e3d821",
        }
    ],
    "files": [],
    "invoice": {"applyVATReverseCharge": False, "currency": {"code": "EUR", "symbol": "€"}},
    "labels": [],
    "marketings": [],
    "notes": [],
    "pinned": False,
    "services": [],
    "users": [{"id": "6548c11c5136b418fd626e2f", "name": "John Smith"}],
    "createdAt": "2023-11-06T10:59:54.034Z",
    "updatedAt": "2024-06-03T12:25:10.085Z",
}


@pytest.fixture
def world(httpserver: HTTPServer) -> Iterator[LspWorld]:
    made = lsp_world(httpserver)
    yield made
    made.provider.close()
    assert made.system.strays == []


@pytest.fixture
def other(httpserver: HTTPServer) -> Iterator[Any]:
    """Makes worlds with switches or options; closes them."""
    made: list[LspWorld] = []

    def make(**how: Any) -> LspWorld:
        made.append(lsp_world(httpserver, **how))
        return made[-1]

    yield make
    for each in made:
        each.provider.close()


def form(world: LspWorld, number: int = -1) -> dict[str, str]:
    """The parameters of one request that was made."""
    body = world.system.requests[number].body.decode()
    return {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}


def writes(world: LspWorld) -> list[tuple[str, str]]:
    return [call for call in world.system.calls if call[0] != "GET"]


def update(world: LspWorld, external_id: str, **patch: Any) -> Any:
    current = world.provider.fetch(external_id)
    reading = world.provider.read(current, {})
    world.system.calls.clear()
    world.system.requests.clear()
    return world.provider.update(current, patch, {**reading.fields, **patch}, reading.memory)


# -- options and credentials -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options,problems",
    [
        ({"api_key": "k"}, 0),
        ({}, 1),
        ({"api_key": "k", "sort": "yes", "children": "never"}, 2),
    ],
)
def test_options_are_checked(options: Any, problems: int) -> None:
    """A missing key and values that mean nothing are told, each under its own key."""
    found = LspExpert.check_options(options)
    assert len(found) == problems
    assert all(line.partition(": ")[0] in LspExpert.option_keys for line in found)


def test_the_key_is_the_user_name(world: LspWorld) -> None:
    """Credentials are HTTP Basic with the key as user name and no password."""
    list(world.provider.pull())
    assert world.system.requests[0].headers["authorization"] == "Basic a2V5LTE6"


# -- listing -----------------------------------------------------------------------------------------------------------


def test_lists_are_asked_for_in_order_of_creation(world: LspWorld) -> None:
    """A walk sends page, sort and direction, and nothing else."""
    list(world.provider.pull())
    assert world.system.requests[0].query == {"page": "1", "sort": "createdAt", "direction": "asc"}


def test_a_refused_sort_is_left_out_for_that_walk(other: Any) -> None:
    """Where the server knows no sort parameters the walk goes on without them."""
    world = other(switches={"sorts": ()})
    for number in range(25):
        world.add(name=f"Client {number}")
    assert sum(len(page.records) for page in world.provider.pull()) == 25
    assert [request.query for request in world.system.requests][1:] == [{"page": "1"}, {"page": "2"}]


def test_the_sort_can_be_switched_off(other: Any) -> None:
    """With `sort = false` no sort parameter is sent."""
    world = other(sort=False)
    list(world.provider.pull())
    assert world.system.requests[0].query == {"page": "1"}


def test_a_record_that_moves_to_the_next_page_is_shown_once(world: LspWorld) -> None:
    """A record that is listed twice, because another was added meanwhile, is one record of the walk."""
    ids = [world.add(name=f"Client {number}") for number in range(25)]

    def repeat(request: Any, body: Any) -> Any:
        if request.query.get("page") == "2":
            row = world.system.system.tables["clients"].rows[ids[19]]
            body["items"].insert(0, world.system.system.shown("clients", row))
        return body

    world.system.doctor = repeat
    shown = [listed.external_id for page in world.provider.pull() for listed in page.records]
    assert sorted(shown) == sorted(ids)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body | {"page": 1},
        lambda body: body | {"items": [], "hasNextPage": True},
        lambda body: {key: value for key, value in body.items() if key != "hasNextPage"},
    ],
    ids=["another page", "empty before the end", "no end told"],
)
def test_a_page_that_contradicts_itself_fails_the_walk(world: LspWorld, spoil: Any) -> None:
    """A wrong page number, an empty page before the end, and a page that tells no end are malformed."""
    for number in range(25):
        world.add(name=f"Client {number}")
    world.system.doctor = lambda request, body: spoil(body) if request.query.get("page") == "2" else body
    with pytest.raises(Malformed):
        list(world.provider.pull())


def test_an_endless_listing_ends_as_malformed(world: LspWorld) -> None:
    """A server that shows the same records under ever new page numbers fails the walk at the first repetition."""
    world.add(name="Only")
    world.system.doctor = lambda request, body: {
        **body,
        "items": [RECORDED],
        "page": int(request.query["page"]),
        "hasNextPage": True,
    }
    with pytest.raises(Malformed):
        list(world.provider.pull())
    assert len(world.system.calls) == 2


def test_a_short_page_before_the_end_makes_the_walk_incomplete(world: LspWorld) -> None:
    """A page with fewer records than its size, and not the last, is told as a fault."""
    for number in range(25):
        world.add(name=f"Client {number}")

    def shorten(request: Any, body: Any) -> Any:
        return body | {"items": body["items"][:-1]} if request.query.get("page") == "1" else body

    world.system.doctor = shorten
    first, second = world.provider.pull()
    assert [place for place, _ in first.faults] == ["page 1"]
    assert not second.faults


def test_children_are_unknown_in_a_list_item(world: LspWorld) -> None:
    """A list item shows its contacts empty: e-mail, phone, contacts and notes are unknown there, not empty."""
    world.add(**SAMPLE)
    (page,) = world.provider.pull()
    fields = world.provider.read(page.records[0], {}).fields
    assert not {"email", "phone", "contacts", "notes"} & fields.keys()
    assert world.provider.capabilities.partial_list


def test_children_may_be_read_at_every_walk(other: Any) -> None:
    """With `children = "always"` each record of a walk is complete, and one that vanished meanwhile stays a list item."""
    world = other(children="always")
    kept, lost = world.add(**SAMPLE), world.add(name="Lost")
    world.system.answer(Instead(404, b'{"message": "Item not found"}'), method="GET", path=f"/clients/{lost}")
    (page,) = world.provider.pull()
    assert {listed.external_id: listed.complete for listed in page.records} == {kept: True, lost: False}
    assert not world.provider.capabilities.partial_list


# -- reading -----------------------------------------------------------------------------------------------------------


def read(raw: Any, memory: Any = None, **changes: Any) -> Any:
    provider = LspExpert.__new__(LspExpert)
    return provider.read(Listed(RECORDED["id"], {**raw, **changes}), memory or {})


def test_the_documented_record_reads_as_its_words_say() -> None:
    """What the documentation's own sample leaves out is empty, and its empty e-mail is empty too."""
    fields = read(RECORDED).fields
    assert fields["name"] == "Microsoft"
    assert fields["currency"] == "EUR"
    assert fields["archived"] is False
    for name in ("email", "phone", "address_line1", "country", "vat_number", "details", "payment_terms_days", "notes"):
        assert fields[name] is None, name
    (contact,) = fields["contacts"]
    assert (contact["id"], contact["primary"]) == (RECORDED["contacts"][0]["id"], True)
    assert "language" not in fields


def test_a_missing_object_is_unknown() -> None:
    """Where `address`, `invoice` or `contacts` themselves are missing, everything in them is unknown."""
    raw = {key: value for key, value in RECORDED.items() if key not in ("address", "invoice", "contacts")}
    fields = read(raw).fields
    assert not {"city", "country", "currency", "payment_terms_days", "email", "phone", "contacts"} & fields.keys()


@pytest.mark.parametrize("country", ["FR", "fr", {"code": "FR", "name": "France"}])
def test_a_country_is_a_code_or_an_object(country: Any) -> None:
    """The country is read from a code and from an object with a code alike."""
    assert read(RECORDED, address={"country": country}).fields["country"] == "FR"


def test_an_object_without_code_is_unknown() -> None:
    """A country object that tells no code says nothing about the country."""
    assert "country" not in read(RECORDED, address={"country": {"name": "France"}}).fields


def test_the_primary_contact_is_known_by_its_id() -> None:
    """At first sight the first contact is the primary one; afterwards it is so wherever it is listed."""
    anna, bob = (
        {"id": "a", "fullName": "Anna Kern", "email": "a@x.fr"},
        {"id": "b", "fullName": "Bob", "email": "b@x.fr"},
    )
    first = read(RECORDED, contacts=[anna, bob])
    assert first.fields["email"] == "a@x.fr"
    assert [(each["id"], each.get("primary"), each.get("email")) for each in first.fields["contacts"]] == [
        ("a", True, None),
        ("b", None, "b@x.fr"),
    ]
    moved = read(RECORDED, first.memory, contacts=[bob, anna])
    assert moved.fields["email"] == "a@x.fr"
    deleted = read(RECORDED, first.memory, contacts=[bob])
    assert (deleted.fields["email"], deleted.memory) == ("b@x.fr", {"primary_contact": "b"})
    assert read(RECORDED, first.memory, contacts=[]).memory == {}


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_create_sends_what_the_write_table_names(world: LspWorld) -> None:
    """A create is one form with flat names: no empty values, no contact, no archived flag, no address name."""
    golden = {**SAMPLE, "city": "Paris", "country": "FR", "archived": True, "details": None, "payment_terms_days": 30}
    world.provider.create(golden)
    assert writes(world) == [("POST", "/clients")]
    assert form(world) == {
        "name": "Google",
        "vatNumber": "FR83404833048",
        "addressCity": "Paris",
        "addressCountry": "FR",
        "paymentTerms": "30",
    }
    assert world.system.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_an_update_sends_only_the_patch(world: LspWorld) -> None:
    """An update of one field is one PUT with one parameter."""
    update(world, world.add(**SAMPLE), city="Lyon")
    assert writes(world) == [("PUT", world.system.calls[0][1])]
    assert form(world) == {"addressCity": "Lyon"}


def test_a_rename_takes_along_what_equalled_the_old_name(world: LspWorld) -> None:
    """The address name and the primary contact's name follow a rename where they were the name."""
    external_id = world.add(name="Google", email="a@google.fr")
    update(world, external_id, name="Google inc.")
    raw = world.raw(external_id)
    assert (raw["name"], raw["address"]["name"], raw["contacts"][0]["fullName"]) == ("Google inc.",) * 3


def test_a_rename_leaves_other_names_alone(world: LspWorld) -> None:
    """An address name and a contact's name of their own stay."""
    external_id = world.add(name="Google", email="a@google.fr")
    contact = world.raw(external_id)["contacts"][0]
    raw = {"address": {"name": "Google Ireland"}, "contacts": [{"id": contact["id"], "fullName": "Anna"}]}
    world.system.system.user_edit("clients", external_id, raw)
    update(world, external_id, name="Google inc.")
    raw = world.raw(external_id)
    assert (raw["address"]["name"], raw["contacts"][0]["fullName"]) == ("Google Ireland", "Anna")
    assert form(world, 0) == {"name": "Google inc."}


def test_the_first_email_creates_a_contact_in_the_name_of_the_client(world: LspWorld) -> None:
    """Where there is no contact, e-mail and phone create one; the answer is the client read again."""
    external_id = world.add(name="Google")
    answer = update(world, external_id, email="a@google.fr", phone="01 42 60 00 01")
    assert writes(world) == [("POST", f"/clients/{external_id}/contacts")]
    assert form(world, 0) == {"fullName": "Google", "email": "a@google.fr", "phone": "01 42 60 00 01"}
    assert world.provider.read(answer, {}).fields["email"] == "a@google.fr"


def test_clearing_an_email_where_there_is_none_does_nothing(world: LspWorld) -> None:
    """No contact is created only to hold nothing."""
    external_id = world.add(name="Google")
    assert update(world, external_id, email=None).external_id == external_id
    assert writes(world) == []


def test_the_remembered_contact_is_the_one_that_is_written(world: LspWorld) -> None:
    """The e-mail goes to the contact known by its id, although another is listed first now."""
    external_id = world.add(**SAMPLE)
    memory = world.provider.read(world.provider.fetch(external_id), {}).memory
    old = world.raw(external_id)["contacts"][0]
    contacts = [{"fullName": "New", "email": "new@google.fr"}, {"id": old["id"]}]
    world.system.system.user_edit("clients", external_id, {"contacts": contacts})
    current = world.provider.fetch(external_id)
    world.provider.update(current, {"email": "b@google.fr"}, {**SAMPLE, "email": "b@google.fr"}, memory)
    assert [contact["email"] for contact in world.raw(external_id)["contacts"]] == ["new@google.fr", "b@google.fr"]


def test_a_clear_that_is_not_confirmed_is_refused(other: Any) -> None:
    """A server that ignores an empty parameter did not clear, and that is said."""
    world = other(switches={"empty_value": "ignore"})
    with pytest.raises(Rejected, match="vat_number"):
        update(world, world.add(**SAMPLE), vat_number=None)


def test_what_cannot_be_emptied_is_refused(world: LspWorld) -> None:
    """A currency cannot be emptied: alone it is refused, beside others it is left out."""
    external_id = world.add(**SAMPLE)
    with pytest.raises(Rejected, match="currency"):
        update(world, external_id, currency=None)
    update(world, external_id, currency=None, city="Lyon")
    assert form(world, 0) == {"addressCity": "Lyon"}


def test_a_lost_answer_to_a_new_contact_is_an_unknown_outcome(world: LspWorld) -> None:
    """A contact whose creation was not answered is in doubt, and not created a second time."""
    external_id = world.add(name="Google")
    world.system.answer(Instead(502, committed=True), method="POST", path=f"/clients/{external_id}/contacts")
    with pytest.raises(UnknownOutcome):
        update(world, external_id, email="a@google.fr")
    assert len(world.raw(external_id)["contacts"]) == 1


def test_an_error_in_the_place_of_the_new_client_is_an_unknown_outcome(world: LspWorld) -> None:
    """An error body has an id, too, its own: it is not taken for the client that was created."""
    error = b'{"message": "Something went wrong", "name": "GeneralError", "code": "internal", "id": "b63252696daa22f0ab3b0"}'
    world.system.answer(Instead(200, error, committed=True), method="POST", path="/clients")
    with pytest.raises(UnknownOutcome):
        world.provider.create({"name": "ACME"})


def test_a_contact_that_was_deleted_meanwhile_is_stale(world: LspWorld) -> None:
    """A contact that is gone makes the write stale; the client itself is not gone."""
    external_id = world.add(**SAMPLE)
    current = world.provider.fetch(external_id)
    world.system.system.user_edit("clients", external_id, {"contacts": []})
    with pytest.raises(Stale):
        world.provider.update(current, {"email": "b@google.fr"}, SAMPLE, {})


@pytest.mark.parametrize("fields", [SAMPLE, {"name": "Google"}])
def test_a_client_that_was_deleted_meanwhile_is_gone(world: LspWorld, fields: Any) -> None:
    """A contact that cannot be written because its client is gone means that the client is gone."""
    external_id = world.add(**fields)
    current = world.provider.fetch(external_id)
    world.remove(external_id)
    with pytest.raises(Gone):
        world.provider.update(current, {"email": "b@google.fr"}, SAMPLE, {})


def test_a_contact_call_that_does_not_exist_is_refused(world: LspWorld) -> None:
    """Where the contact is still there after a 404, it is the call that is missing: refused, not stale."""
    external_id = world.add(**SAMPLE)
    world.system.answer(Instead(404, b"{}"), method="PUT", path=f"/clients/{external_id}/contacts")
    with pytest.raises(Rejected) as caught:
        update(world, external_id, email="b@google.fr")
    assert not isinstance(caught.value, Gone)


@pytest.mark.parametrize("status", [200, 204])
def test_a_delete_ignores_the_body_of_its_answer(other: Any, status: int) -> None:
    """Both documented guesses at the answer of a delete are a success."""
    world = other(switches={"delete_status": status})
    world.provider.delete(world.provider.fetch(world.add(**SAMPLE)))
    assert world.ids() == []


def test_a_refusal_keeps_the_words_of_the_system(world: LspWorld) -> None:
    """The documented error body is kept as the system's words, with its code."""
    with pytest.raises(Gone) as caught:
        world.provider.fetch("6548c72a13162e1d7ade0290")
    assert caught.value.words == "resource_missing: Item not found"


# -- calls -------------------------------------------------------------------------------------------------------------


def test_every_documented_call_about_children(world: LspWorld) -> None:
    """Contacts, notes and labels are listed, read, created, changed and deleted by their documented calls."""
    calls: Any = world.provider.calls
    external_id = world.add(name="Google")
    contact = calls.create_contact(external_id, {"fullName": "Anna"})
    assert calls.list_contacts(external_id) == [contact]
    assert calls.get_contact(external_id, contact["id"]) == contact
    assert calls.update_contact(external_id, contact["id"], {"title": "CEO"})["title"] == "CEO"
    calls.delete_contact(external_id, contact["id"])
    assert calls.list_contacts(external_id) == []
    (note,) = calls.create_note(external_id, "Hello")["notes"]
    (note,) = calls.update_note(external_id, note["id"], "Bye")["notes"]
    assert "Bye" in note["content"]
    label = world.system.system.account["labels"][0]["id"]
    assert [each["id"] for each in calls.add_label(external_id, label)["labels"]] == [label]
    assert calls.remove_label(external_id, label)["labels"] == []


def test_ids_are_one_path_segment(world: LspWorld) -> None:
    """An id with a slash in it cannot reach another address."""
    with pytest.raises(Gone):
        world.provider.fetch("x/contacts")
    assert world.system.calls == [("GET", "/clients/x%2Fcontacts")]


def test_settings_without_key_make_no_request(httpserver: HTTPServer) -> None:
    """Building a provider asks nobody anything."""
    world = lsp_world(httpserver)
    assert (world.provider.requests, world.provider.account(), world.system.calls) == (0, None, [])
    world.provider.close()
