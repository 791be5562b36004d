"""Flowtly: what is its own, beyond the contract. Its simulated system stands in for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from syncd.core.model import UNKNOWN
from syncd.errors import Malformed, Rejected, Stale, Transient, Unauthorised, UnknownOutcome
from syncd.providers import Listed
from syncd.providers.flowtly import Flowtly
from syncd.providers.flowtly.street import Street, split, words
from syncd.providers.http import Http
from tests.providers.worlds import FLOWTLY_DEFAULTS, FlowtlyWorld, Instead, flowtly_world, settings

SAMPLE = {"name": "ACME", "email": "a@acme.pl", "country": "PL", "city": "Warszawa", "address_line1": "ul. Dluga 12/4"}
CREDENTIALS = {"username": "u", "password": "p"}


@pytest.fixture
def other(httpserver: HTTPServer) -> Iterator[Any]:
    """Makes worlds with switches or options; closes them."""
    made: list[FlowtlyWorld] = []

    def make(**how: Any) -> FlowtlyWorld:
        made.append(flowtly_world(httpserver, **how))
        return made[-1]

    yield make
    for each in made:
        each.provider.close()
        assert each.system.strays == []


@pytest.fixture
def world(other: Any) -> FlowtlyWorld:
    return other()


def update(world: FlowtlyWorld, external_id: str, **patch: Any) -> Any:
    current = world.provider.fetch(external_id)
    reading = world.provider.read(current, {})
    world.system.calls.clear()
    world.system.requests.clear()
    return world.provider.update(current, patch, {**reading.fields, **patch}, reading.memory)


def sent(world: FlowtlyWorld, method: str) -> list[Any]:
    """The bodies of the requests with this method."""
    return [json.loads(request.body) for request in world.system.requests if request.method == method]


def fields_of(world: FlowtlyWorld, listed: Listed, memory: Any = None) -> Any:
    return world.provider.read(listed, memory or {}).fields


# -- options and credentials -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options,problems",
    [
        ({**CREDENTIALS, "defaults": FLOWTLY_DEFAULTS}, 0),
        ({"token": "t"}, 0),
        ({"username": "u"}, 1),
        ({**CREDENTIALS, "defaults": "x", "country_iris": {"FR": 7}, "instance": ""}, 3),
        ({**CREDENTIALS, "defaults": {"status": "", "colour": "red"}}, 2),
        ({**CREDENTIALS, "defaults": {"status": "off"}, "archived_status": "off"}, 1),
    ],
)
def test_options_are_checked(options: Any, problems: int) -> None:
    """Missing credentials and values that mean nothing are told, each under its own key."""
    found = Flowtly.check_options(options)
    assert len(found) == problems
    assert all(line.partition(":")[0].partition(".")[0] in Flowtly.option_keys for line in found)


def test_one_login_serves_until_the_token_is_refused(world: FlowtlyWorld) -> None:
    """The first call logs in, later ones do not, and a token that expired leads to one new login."""
    list(world.provider.pull())
    list(world.provider.pull())
    assert world.system.calls.count(("POST", "/login")) == 1
    world.system.system.revoke()
    list(world.provider.pull())
    assert world.system.calls.count(("POST", "/login")) == 2


def test_wrong_credentials_are_unauthorised(other: Any) -> None:
    """A refused login ends as unauthorised, with the system's words."""
    world = other(password="wrong")
    with pytest.raises(Unauthorised) as caught:
        list(world.provider.pull())
    assert "Invalid credentials." in caught.value.words


def test_a_login_without_token_is_unauthorised(world: FlowtlyWorld) -> None:
    """A login that is answered without a token gives no access."""
    world.system.answer(Instead(200, b'{"ok": true}'), method="POST", path="/login")
    with pytest.raises(Unauthorised):
        list(world.provider.pull())


def test_a_ready_token_needs_no_login(other: Any) -> None:
    """With a token the login is never called."""
    world = other(token="t-1", username=None, password=None)
    list(world.provider.pull())
    assert ("POST", "/login") not in world.system.calls


def test_the_instance_header_goes_with_every_call(other: Any) -> None:
    """A tenant selector is sent with the login and with every other call."""
    world = other(instance="acme", switches={"require_instance": True})
    list(world.provider.pull())
    assert {request.headers.get("instance") for request in world.system.requests} == {"acme"}


# -- listing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switches", [{"hydra_prefix": False}, {"omit_nulls": False}, {"iri_prefix": "/api"}, {"page_size": 7}]
)
def test_every_form_of_collection_is_read(other: Any, switches: Any) -> None:
    """With and without prefix, nulls and a path of their own, all records and their contacts are read."""
    world = other(switches=switches)
    for number in range(35):
        world.add(**{**SAMPLE, "name": f"Client {number:02}", "email": f"{number:02}@acme.pl"})
    read = [fields_of(world, listed) for page in world.provider.pull() for listed in page.records]
    assert [(each["name"], each["email"]) for each in read] == [
        (f"Client {n:02}", f"{n:02}@acme.pl") for n in range(35)
    ]
    assert {each["country"] for each in read} == {"PL"}


def test_bare_arrays_end_at_a_short_page(world: FlowtlyWorld) -> None:
    """A bare array is a page too; a shorter or empty one is the last."""
    for number in range(60):
        world.add(name=f"Client {number:02}", email=f"{number:02}@acme.pl")
    world.system.doctor = lambda request, body: body.get("hydra:member", body) if request.method == "GET" else body
    pages = list(world.provider.pull())
    assert [len(page.records) for page in pages] == [30, 30, 0]
    assert [page.total for page in pages] == [None] * 3


def test_the_page_size_is_sent_only_where_it_is_set(other: Any) -> None:
    """Without `page_size` no itemsPerPage is sent; a next link is never followed, only its existence counts."""
    world = other(switches={"page_size": 2})
    for number in range(3):
        world.add(name=f"Client {number}")

    def tempt(request: Any, body: Any) -> Any:
        if "hydra:view" in body and "hydra:next" in body["hydra:view"]:
            body["hydra:view"]["hydra:next"] = "https://evil.example/clients?page=2"
        return body

    world.system.doctor = tempt
    list(world.provider.pull())
    asked = [request.query for request in world.system.requests if request.path == "/clients"]
    assert asked == [{"page": "1"}, {"page": "2"}]


def test_an_empty_page_before_the_end_is_malformed(other: Any) -> None:
    """A page without records that names a next one fails the walk."""
    world = other(switches={"page_size": 2})
    for number in range(5):
        world.add(name=f"Client {number}")

    def empty(request: Any, body: Any) -> Any:
        return body | {"hydra:member": []} if request.query.get("page") == "2" else body

    world.system.doctor = empty
    with pytest.raises(Malformed):
        list(world.provider.pull())


def test_a_repeated_page_is_malformed(other: Any) -> None:
    """A server that shows the first page over and over fails the walk at the first repetition."""
    world = other(switches={"page_size": 2})
    for number in range(5):
        world.add(name=f"Client {number}")
    first: dict[str, Any] = {}
    world.system.doctor = lambda request, body: first.setdefault(request.path, body)
    with pytest.raises(Malformed):
        list(world.provider.pull())


# -- contacts ----------------------------------------------------------------------------------------------------------


def contact(world: FlowtlyWorld, client: str, **raw: Any) -> str:
    given = {"type": "billing", "name": "Someone", **raw, "client": client}
    return str(world.system.system.user_create("client-contacts", given))


def test_contacts_are_listed_first_and_joined(other: Any) -> None:
    """A pull lists all contacts before the clients and hands each client its own, although clients embed none."""
    world = other(switches={"embedded_contacts": "none", "page_size": 2})
    ids = [world.add(**{**SAMPLE, "email": f"{number}@acme.pl"}) for number in range(3)]
    found = {
        listed.external_id: fields_of(world, listed)["email"]
        for page in world.provider.pull()
        for listed in page.records
    }
    assert found == {external_id: f"{number}@acme.pl" for number, external_id in enumerate(ids)}
    paths = [path for _, path in world.system.calls]
    assert paths == ["/login", "/client-contacts", "/client-contacts", "/clients", "/clients"]


@pytest.mark.parametrize("embedded", ["none", "cut", "full"])
def test_a_single_read_shows_the_same_contacts_as_a_walk(other: Any, embedded: str) -> None:
    """Whatever clients embed, a single read and a walk show the same children."""
    world = other(switches={"embedded_contacts": embedded})
    external_id = world.add(**SAMPLE)
    contact(world, external_id, email="b@acme.pl", position=1)
    contact(world, world.add(name="Other"), email="c@other.pl")
    walked = next(each for page in world.provider.pull() for each in page.records if each.external_id == external_id)
    assert world.provider.fetch(external_id) == walked
    assert len(walked.children["contacts"]) == 2


@pytest.mark.parametrize("status", [403, 404, 405])
def test_without_the_contact_endpoint_the_embedded_ones_serve(world: FlowtlyWorld, status: int) -> None:
    """Where the endpoint is not offered, that is learned once, and what clients embed is read instead."""
    external_id = world.add(**SAMPLE)
    world.system.answer(Instead(status, b"{}"), method="GET", path="/client-contacts")
    ((listed,),) = [page.records for page in world.provider.pull()]
    assert listed.children is None
    assert fields_of(world, listed)["email"] == "a@acme.pl"
    assert world.provider.learned["contacts"] == "embedded"
    world.system.calls.clear()
    assert world.provider.fetch(external_id) == listed
    assert world.system.calls == [("GET", f"/clients/{external_id}")]
    with pytest.raises(Rejected, match="may not write contacts"):
        update(world, world.add(name="Other"), email="b@other.pl")


def test_contacts_that_name_no_client_leave_the_email_unknown(other: Any) -> None:
    """Where neither contacts tell their client nor clients their contacts, the e-mail is unknown, not empty."""
    world = other(switches={"embedded_contacts": "none"})
    world.add(**SAMPLE)

    def anonymous(request: Any, body: Any) -> Any:
        if request.path == "/client-contacts":
            for each in body["hydra:member"]:
                del each["client"]
        return body

    world.system.doctor = anonymous
    ((listed,),) = [page.records for page in world.provider.pull()]
    assert fields_of(world, listed).get("email", UNKNOWN) is UNKNOWN


def test_contacts_that_change_all_the_time_fail_the_walk(world: FlowtlyWorld) -> None:
    """A listing of contacts whose total is never reached is tried again, then given up for the moment."""
    world.add(**SAMPLE)

    def more(request: Any, body: Any) -> Any:
        return body | {"hydra:totalItems": 9} if request.path == "/client-contacts" else body

    world.system.doctor = more
    with pytest.raises(Transient):
        list(world.provider.pull())


def test_a_broken_contact_sets_its_client_aside(world: FlowtlyWorld) -> None:
    """A contact that nobody can keep is a fault of its client; one without client or id is a fault of its own."""
    kept, lost = world.add(**SAMPLE), world.add(**{**SAMPLE, "name": "Lost", "email": "lost@acme.pl"})

    def spoil(request: Any, body: Any) -> Any:
        if request.path == "/client-contacts":
            body["hydra:member"][1]["title"] = "a\x00b"
            body["hydra:member"].append("text")
            body["hydra:totalItems"] += 1
        return body

    world.system.doctor = spoil
    (page,) = world.provider.pull()
    assert [listed.external_id for listed in page.records] == [kept]
    assert [place for place, _ in page.faults] == ["contacts page 1 item 3", lost]


def test_the_primary_contact_is_the_lowest_and_then_known_by_its_id(world: FlowtlyWorld) -> None:
    """At first sight the contact of lowest position is the primary one; later it is the remembered one."""
    external_id = world.add(name="ACME")
    late = contact(world, external_id, email="late@acme.pl", position=5)
    early = contact(world, external_id, email="early@acme.pl", position=1)
    listed = world.provider.fetch(external_id)
    first = world.provider.read(listed, {})
    assert (first.fields["email"], first.memory["primary_contact"]) == ("early@acme.pl", early)
    assert [(each["id"], each.get("primary"), each.get("email")) for each in first.fields["contacts"]] == [
        (early, True, None),
        (late, None, "late@acme.pl"),
    ]
    again = world.provider.read(listed, {"primary_contact": late})
    assert (again.fields["email"], again.memory["primary_contact"]) == ("late@acme.pl", late)


def test_the_first_email_creates_a_contact(world: FlowtlyWorld) -> None:
    """Where there is no contact, an e-mail creates one of the default type in the client's name; phone is the client's own."""
    external_id = world.add(name="ACME")
    answer = update(world, external_id, email="a@acme.pl", phone="+48 22 111")
    assert sent(world, "POST") == [
        {"client": f"/clients/{external_id}", "type": "billing", "name": "ACME", "email": "a@acme.pl"}
    ]
    assert sent(world, "PATCH") == [{"addressPhoneNumber": "+48 22 111"}]
    assert fields_of(world, answer)["email"] == "a@acme.pl"


def test_without_a_contact_type_no_contact_is_created(other: Any) -> None:
    """A required type that nobody declared is asked for; nothing at all is sent."""
    defaults = {key: value for key, value in FLOWTLY_DEFAULTS.items() if key != "contact_type"}
    world = other(defaults=defaults)
    external_id = world.add(name="ACME")
    with pytest.raises(Rejected, match="contact_type"):
        update(world, external_id, email="a@acme.pl", city="Gdansk")
    assert sent(world, "PATCH") == []


def test_an_email_cannot_be_emptied_while_its_contact_says_more(world: FlowtlyWorld) -> None:
    """Only a lone contact that says nothing but the e-mail is removed with it; any other is a person's to decide."""
    bare = world.add(**SAMPLE)
    update(world, bare, email=None)
    assert world.raw(bare)["(children)"]["contacts"] == []
    rich = world.add(name="ACME")
    contact(world, rich, email="anna@acme.pl", name="Anna", phone="1")
    with pytest.raises(Rejected, match="email"):
        update(world, rich, email=None)
    assert len(world.raw(rich)["(children)"]["contacts"]) == 1


def test_the_clients_own_contacts_are_never_patched_through_it(world: FlowtlyWorld) -> None:
    """A rename and a new e-mail patch the client without its contacts, and the contact by its own call."""
    external_id = world.add(**SAMPLE)
    other_contact = contact(world, external_id, email="b@acme.pl", name="Bob", position=3)
    update(world, external_id, name="ACME 2", email="new@acme.pl")
    assert sent(world, "PATCH") == [{"name": "ACME 2"}, {"name": "ACME 2", "email": "new@acme.pl"}]
    kept = world.raw(external_id)["(children)"]["contacts"]
    assert {str(each["id"]): each["email"] for each in kept}[other_contact] == "b@acme.pl"
    assert {request.headers["content-type"] for request in world.system.requests if request.method == "PATCH"} == {
        "application/merge-patch+json"
    }


def test_a_contact_deleted_meanwhile_is_stale(world: FlowtlyWorld) -> None:
    """A contact that is gone makes the write stale."""
    external_id = world.add(**SAMPLE)
    current = world.provider.fetch(external_id)
    world.edit(external_id, email=None)
    with pytest.raises(Stale):
        world.provider.update(current, {"email": "b@acme.pl"}, SAMPLE, {})


def test_a_lost_answer_to_a_new_contact_is_an_unknown_outcome(world: FlowtlyWorld) -> None:
    """A contact whose creation was not answered is in doubt, and not created a second time."""
    external_id = world.add(name="ACME")
    world.system.answer(Instead(502, committed=True), method="POST", path="/client-contacts")
    with pytest.raises(UnknownOutcome):
        update(world, external_id, email="a@acme.pl")
    assert len(world.raw(external_id)["(children)"]["contacts"]) == 1


# -- countries, currencies, status ---------------------------------------------------------------------------------------


def test_countries_are_named_as_those_already_seen(other: Any) -> None:
    """A country goes out in the style of the IRIs that were read, whatever the defaults say."""
    world = other(switches={"iri_prefix": "/api"}, defaults={**FLOWTLY_DEFAULTS, "country": "/api/countries/FR"})
    external_id = world.add(**SAMPLE)
    update(world, external_id, country="BE")
    assert sent(world, "PATCH") == [{"addressCountry": "/api/countries/BE"}]
    assert world.provider.learned["countries"]["PL"] == "/api/countries/PL"


def provider_with(**options: Any) -> Flowtly:
    """A provider for pure questions; it has no connection."""
    given = settings("flowtly", "http://127.0.0.1:9", token="t", **options)
    return Flowtly(given, Http(given, Flowtly.default_base_url))


def test_integer_countries_are_unknown_without_a_table() -> None:
    """A key that is no ISO code says nothing: it is unknown on read, left out on write, and not compared."""
    provider = provider_with(defaults={**FLOWTLY_DEFAULTS, "country": "/countries/75"})
    fields = provider.read(
        Listed("1", {"id": 1, "addressCountry": "/countries/75", "currency": "/currencies/1"}), {}
    ).fields
    assert not {"country", "currency"} & fields.keys()
    assert provider.project("address", {"country": "FR", "city": "Paris"}, {}) == {"city": "Paris"}
    provider.close()


def test_a_table_gives_integer_countries_their_codes() -> None:
    """With a table both directions work, and what the table lacks is not made up in its style."""
    provider = provider_with(country_iris={"FR": "/countries/75"}, currency_iris={"eur": "/currencies/1"})
    raw = {"id": 1, "addressCountry": "/countries/75", "currency": {"@id": "/currencies/1"}}
    fields = provider.read(Listed("1", raw), {}).fields
    assert (fields["country"], fields["currency"]) == ("FR", "EUR")
    assert provider.project("address", {"country": "FR"}, {}) == {"country": "FR"}
    assert provider.project("address", {"country": "BE"}, {}) == {}
    provider.close()


def test_a_language_is_sent_and_compared_without_its_region(world: FlowtlyWorld) -> None:
    """Flowtly names the language alone; `fr-CA` of another system is `fr` here, and nothing is written for the region."""
    listed = world.provider.create({"name": "ACME", "language": "fr-CA"})
    assert sent(world, "POST")[-1]["documentsLanguage"] == "fr"
    shown = world.provider.read(listed, {}).fields["language"]
    assert world.provider.project("language", "fr-CA", {}) == world.provider.project("language", shown, {}) == "fr"
    update(world, listed.external_id, language="fr-FR", city="Lyon")
    assert sent(world, "PATCH") == [{"addressCity": "Lyon"}]
    update(world, listed.external_id, language="pl-PL")
    assert sent(world, "PATCH") == [{"documentsLanguage": "pl"}]


def test_a_create_takes_what_is_known_and_the_defaults_for_the_rest(world: FlowtlyWorld) -> None:
    """The legal country is the client's where it is known, and the default otherwise; nothing else is made up."""
    world.provider.create({"name": "ACME", "country": "BE", "registration_number": "123", "email": "a@acme.be"})
    world.provider.create({"name": "Nowhere"})
    assert sent(world, "POST")[1:] == [
        {
            "name": "ACME",
            "tin": "123",
            "addressCountry": "/countries/BE",
            "country": "/countries/BE",
            "currency": "/currencies/EUR",
            "status": "active",
            "tinType": "other",
        },
        {
            "name": "Nowhere",
            "country": "/countries/FR",
            "currency": "/currencies/EUR",
            "status": "active",
            "tinType": "other",
        },
    ]


def test_missing_defaults_are_an_objection() -> None:
    """A client that lacks required values is objected to by the names of the defaults that would help."""
    provider = provider_with(defaults={"country": "/countries/FR"})
    assert provider.objection({"name": "ACME", "country": "FR"}) == (
        "Flowtly needs defaults.currency, defaults.status, defaults.tin_type"
    )
    provider.close()


def test_without_an_archived_status_nothing_is_known_of_archiving(other: Any) -> None:
    """The lifecycle is unknown and cannot be changed where the tenant does not name the status."""
    world = other(archived_status=None)
    listed = world.provider.fetch(world.add(**SAMPLE))
    assert "archived" not in fields_of(world, listed)
    assert not world.provider.capabilities.archive
    assert not world.provider.fields["archived"].update


def test_what_cannot_be_emptied_or_named_is_refused_alone_and_left_out_beside_others(world: FlowtlyWorld) -> None:
    """Currency, terms and language have no empty value: alone they are refused, beside others left out."""
    external_id = world.add(**SAMPLE, language="pl")
    with pytest.raises(Rejected, match="language"):
        update(world, external_id, language=None)
    update(world, external_id, language=None, city="Gdansk")
    assert sent(world, "PATCH") == [{"addressCity": "Gdansk"}]


def test_violations_become_words(world: FlowtlyWorld) -> None:
    """The violations of a refused write are kept as the system's words, by field."""
    with pytest.raises(Rejected) as caught:
        update(world, world.add(**SAMPLE), name="x" * 300)
    assert "name: This value is too long." in caught.value.words


# -- streets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line,country,parts",
    [
        ("1 rue de Rivoli", "FR", ("rue de Rivoli", "1", None)),
        ("12 bis, avenue Foch", "FR", ("avenue Foch", "12 bis", None)),
        ("Rue du 8 mai 1945", "FR", ("Rue du 8 mai 1945", None, None)),
        ("12 rue du 8 mai 1945", "FR", ("rue du 8 mai 1945", "12", None)),
        ("ul. Dluga 12/4", "PL", ("ul. Dluga", "12", "4")),
        ("ul. Dluga 12 / 4a", "PL", ("ul. Dluga", "12", "4a")),
        ("ul. 3 Maja 5", "PL", ("ul. 3 Maja", "5", None)),
        ("Am Markt 3a", "DE", ("Am Markt", "3a", None)),
        ("1 rue de Rivoli", None, ("rue de Rivoli", "1", None)),
        ("Le Bourg", "FR", ("Le Bourg", None, None)),
        ("1234", "FR", ("1234", None, None)),
        ("BP 12, CS 40001 Cedex", "FR", ("BP 12, CS 40001 Cedex", None, None)),
    ],
)
def test_a_line_is_split_where_it_can_be(line: str, country: str | None, parts: Any) -> None:
    """The house number is split off where the country writes it; other lines go whole into the street."""
    found = split(line, country)
    assert (found.street, found.number, found.local) == parts


@given(st.text(max_size=60), st.sampled_from(["FR", "PL", None]))
def test_a_split_loses_no_word(line: str, country: str | None) -> None:
    """Joined again, the parts of any line have the words of the line; the words of words are themselves."""
    assert words(split(line, country).text() or "") == words(line)
    assert words(words(line)) == words(line)


@example(Street("1", "1", " ", number_first=False))
@given(st.builds(Street, *[st.none() | st.text("ab1 ,", min_size=1, max_size=8)] * 3, st.booleans()))
def test_a_join_is_compared_by_its_words(parts: Street) -> None:
    """The order in which a number is written does not make another street."""
    turned = Street(parts.street, parts.number, parts.local, not parts.number_first)
    assert words(parts.text() or "") == words(turned.text() or "")


def test_the_typed_street_comes_back_while_its_split_stands(world: FlowtlyWorld) -> None:
    """What was typed is read back, also after another field was edited; an edited number is written the way it was typed."""
    external_id = world.add(name="ACME", country="FR")
    answer = update(world, external_id, address_line1="12 bis, rue de Rivoli")
    assert sent(world, "PATCH") == [{"addressStreetLine": "rue de Rivoli", "addressBuildingNumber": "12 bis"}]
    reading = world.provider.read(answer, {})
    assert reading.fields["address_line1"] == "12 bis, rue de Rivoli"
    world.edit(external_id, city="Lyon")
    again = world.provider.read(world.provider.fetch(external_id), reading.memory)
    assert again.fields["address_line1"] == "12 bis, rue de Rivoli"
    world.system.system.user_edit("clients", external_id, {"addressBuildingNumber": "14"})
    moved = world.provider.read(world.provider.fetch(external_id), again.memory)
    assert moved.fields["address_line1"] == "14 rue de Rivoli"


def test_a_street_in_the_same_words_is_left_as_it_is(world: FlowtlyWorld) -> None:
    """A line that the record shows in the same words is not written, and read back as typed from then on."""
    external_id = world.add(name="ACME", address_line1="rue de Rivoli 1", country="PL")
    answer = update(world, external_id, address_line1="1 rue de Rivoli")
    assert sent(world, "PATCH") == []
    assert fields_of(world, answer)["address_line1"] == "1 rue de Rivoli"
    assert world.provider.project("address", {"address_line1": "1 rue de Rivoli"}, {}) == (
        world.provider.project("address", {"address_line1": "rue de Rivoli, 1"}, {})
    )


# -- calls -------------------------------------------------------------------------------------------------------------


def test_every_documented_call(world: FlowtlyWorld) -> None:
    """Each documented call of clients, contacts, notes and counterparties is made as documented."""
    calls = world.provider.calls
    client = calls.create_client(
        {**{k: v for k, v in FLOWTLY_DEFAULTS.items() if "_" not in k}, "name": "A", "tinType": "none"}
    )
    iri, number = client["@id"], str(client["id"])
    assert calls.client_documents(number)["name"] == "A"
    assert [item["name"] for leaf in calls.search_clients({"query": "a"}) for item in leaf.items] == ["A"]
    made = calls.create_contact({"client": iri, "type": "billing", "name": "Anna", "email": "a@a.pl"})
    assert calls.get_contact(str(made["id"]))["email"] == "a@a.pl"
    assert calls.update_contact(str(made["id"]), {"title": "CEO"})["title"] == "CEO"
    calls.delete_contact(str(made["id"]))
    note = calls.create_note({"client": iri, "employee": "/employees/1", "note": "Hello"})
    assert calls.get_note(note["id"])["note"] == "Hello"
    assert calls.update_note(note["id"], {"note": "Bye"})["note"] == "Bye"
    assert [item["id"] for leaf in calls.list_notes() for item in leaf.items] == [note["id"]]
    calls.delete_note(note["id"])
    winner, loser = (calls.create_counterparty({"displayName": name}) for name in "WL")
    assert calls.update_counterparty(str(winner["id"]), {"displayName": "X"})["displayName"] == "X"
    calls.enrich_counterparty(str(winner["id"]))
    calls.enrich_counterparties({"counterparties": [winner["@id"]]})
    calls.merge_counterparties(str(winner["id"]), {"counterparties": [loser["@id"]]})
    assert [item["id"] for leaf in calls.list_counterparties() for item in leaf.items] == [winner["id"]]
    party = calls.create_party({"type": "supplier", "name": "S"})
    assert calls.update_party(str(party["id"]), {"name": "T"})["displayName"] == "T"
    calls.delete_counterparty(str(party["id"]))
    assert calls.get_counterparty(str(winner["id"]))["displayName"] == "X"


# -- merging -----------------------------------------------------------------------------------------------------------


def test_merging_clients_joins_their_counterparties_where_the_tenant_says_so(other: Any) -> None:
    """The two counterparties of the clients' names are joined by Flowtly, the client that goes gets the archived status; twice is once."""
    world = other(counterparties="merge", archived_status="inactive")
    provider = world.provider
    assert provider.capabilities.merge
    calls = provider.calls
    kept, lost, _ = (calls.create_counterparty({"displayName": name}) for name in ("Winner", "Loser", "Other"))
    winner, loser = world.add(name="Winner"), world.add(name="Loser")
    for _ in range(2):
        left = provider.merge(provider.fetch(winner), provider.fetch(loser))
        assert left is not None
        assert provider.read(left, {}).fields["archived"] is True
    names = [item["displayName"] for leaf in calls.list_counterparties() for item in leaf.items]
    assert names == ["Winner", "Other"]
    assert provider.read(provider.fetch(winner), {}).fields["archived"] is False
    assert kept["id"] != lost["id"]


def test_counterparties_whose_name_leaves_a_choice_are_left_alone(other: Any) -> None:
    """Several of one name are not joined; two of the name that both clients bear are, the younger into the older."""
    world = other(counterparties="merge", archived_status="inactive")
    provider = world.provider
    calls = provider.calls
    winner, loser = world.add(name="ACME"), world.add(name="ACME")
    for _ in range(3):
        calls.create_counterparty({"displayName": "ACME"})
    provider.merge(provider.fetch(winner), provider.fetch(loser))
    parties = [item for leaf in calls.list_counterparties() for item in leaf.items]
    assert len(parties) == 3
    calls.delete_counterparty(str(parties[2]["id"]))
    provider.merge(provider.fetch(winner), provider.fetch(loser))
    assert [item["id"] for leaf in calls.list_counterparties() for item in leaf.items] == [parties[0]["id"]]


def test_the_key_for_counterparties_is_checked() -> None:
    """Only the two words are allowed, and merging needs the archived status."""
    known = {"token": "t", "defaults": {"status": "active"}}
    assert Flowtly.check_options({**known, "counterparties": "merge", "archived_status": "inactive"}) == []
    assert len(Flowtly.check_options({**known, "counterparties": "merge"})) == 1
    assert len(Flowtly.check_options({**known, "counterparties": "yes"})) == 1
