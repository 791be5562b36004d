"""Tiime: every documented endpoint, its ranges, its login and its translation, against a small imitation on loopback."""

from __future__ import annotations

import json
import re

import pytest
from werkzeug import Request, Response

from syncd.core.model import FIELDS as CANONICAL
from syncd.core.model import Context, unit_value
from syncd.core.normalize import same
from syncd.errors import Gone, Malformed, Rejected, Unauthorised, UnknownOutcome
from syncd.providers import Listed, Provider, Settings
from syncd.providers.http import Http
from syncd.providers.tiime import COUNTRY_IDS, FIELDS, Tiime

CLIENT = {
    "id": 100,
    "name": "ACME Corp",
    "slug": "acme-corp",
    "address": "1 rue de Rivoli",
    "address_complement": "Bâtiment B",
    "postal_code": "75001",
    "city": "Paris",
    "country": {"id": 75, "name": "France", "code": "FR"},
    "country_code": "FR",
    "email": "contact@acme.com",
    "phone": "01 42 68 53 00",
    "siren_or_siret": "73282932000074",
    "siret": "73282932000074",
    "siren": "732829320",
    "intracom_vat_number": "FR44732829320",
    "archived": False,
    "archived_at": None,
    "professional": True,
    "color": "#FFC681",
    "acronym": "AC",
    "note": None,
    "bic": None,
    "iban": "",
}


class Site:
    """An imitation of Tiime: its own range arithmetic, one company, one user."""

    def __init__(self, httpserver, *, style="open", window=None, past="empty"):
        self.clients = []
        self.style, self.window, self.past = style, window, past
        self.logins, self.token, self.seen = 0, "", []
        self.url = httpserver.url_for("/v1")
        self.auth_url = httpserver.url_for("/oauth/token")
        path = "/v1/companies/4242/clients"
        httpserver.expect_request("/oauth/token", "POST").respond_with_handler(self.login)
        httpserver.expect_request(path, "GET").respond_with_handler(self.guarded(self.list))
        httpserver.expect_request(path, "POST").respond_with_handler(self.guarded(self.create))
        httpserver.expect_request(re.compile(path + "/[^/]+$"), "GET").respond_with_handler(self.guarded(self.get))
        contacts = re.compile(path + "/[^/]+/contacts")
        httpserver.expect_request(contacts, "GET").respond_with_handler(self.guarded(self.contacts))

    def guarded(self, handler):
        def answer(request: Request) -> Response:
            self.seen.append(request)
            if request.headers.get("Authorization") not in (f"Bearer {self.token}", "Bearer ready"):
                return self.error(401, "unauthorized", "Log in first")
            for name, value in (("app", "tiime"), ("app-version", "4.30.3"), ("app-platform", "cli")):
                assert request.headers["tiime-" + name] == value
            return handler(request)

        return answer

    @staticmethod
    def json(value, status=200, **headers):
        return Response(json.dumps(value), status, headers=headers, content_type="application/json")

    def error(self, status, code, words):
        return self.json({"error": status, "error_code": code, "error_description": words}, status)

    def login(self, request: Request) -> Response:
        body = request.get_json()
        if body.pop("password") != "right":
            return self.json({"error": "invalid_grant", "error_description": "Wrong email or password."}, 403)
        assert body == {
            "grant_type": "password",
            "client_id": "iEbsbe3o66gcTBfGRa012kj1Rb6vjAND",
            "audience": "https://chronos/",
            "scope": "openid email",
            "username": "me@example.com",
        }
        self.logins += 1
        self.token = f"jwt{self.logins}"
        return self.json({"access_token": self.token, "expires_in": 7200, "token_type": "Bearer"})

    def list(self, request: Request) -> Response:
        assert request.headers["Accept"] == "application/vnd.tiime.timeline.v2+json"
        chosen = [
            client
            for client in self.clients
            if not isinstance(client, dict)
            or (
                request.args.get("archived", str(client.get("archived")).lower()) == str(client.get("archived")).lower()
                and request.args.get("search", "").lower() in str(client.get("name")).lower()
            )
        ]
        first, last = map(int, re.fullmatch(r"items=(\d+)-(\d+)", request.headers["Range"]).groups())
        if self.style == "ignored":
            return self.json(chosen)
        if first >= len(chosen) and self.past == "416":
            return self.error(416, "range", "no such range")
        if first >= len(chosen):
            return self.json([], 200, **{"Content-Range": f"items */{len(chosen)}"})
        last = min(last, len(chosen) - 1, first + (self.window or len(chosen)) - 1)
        ended = last == len(chosen) - 1
        total = len(chosen) if self.style == "known" or (ended and self.style == "open") else "*"
        status = 200 if ended and self.style == "open" else 206
        return self.json(chosen[first : last + 1], status, **{"Content-Range": f"items {first}-{last}/{total}"})

    def find(self, request: Request, index):
        wanted = request.path.split("/")[index]
        return next((client for client in self.clients if str(client["id"]) == wanted), None)

    def get(self, request: Request) -> Response:
        client = self.find(request, 5)
        return self.json(client) if client else self.error(404, "not_found", "Client not found")

    def contacts(self, request: Request) -> Response:
        assert self.find(request, 5)
        contact = {"id": 1, "firstname": "Anna", "lastname": "Roy", "email": "a@acme.com", "phone": "", "job": None}
        return self.json([{**contact, "invoicing_use_email": True}])

    def create(self, request: Request) -> Response:
        body = request.get_json()
        if "@" not in body.get("email", "@"):
            return self.error(422, "validation", "email: invalid")
        if not re.fullmatch(r"\d{9}|\d{14}", body.get("siren_or_siret", "7" * 9)):
            return self.error(422, "validation", "siren_or_siret: 9 or 14 digits")
        country = next(
            (code for code, number in {**COUNTRY_IDS, "BE": 21}.items() if number == body.get("country_id")), None
        )
        client = {
            **dict.fromkeys(CLIENT),
            "archived": False,
            "professional": True,
            **body,
            "id": 900 + len(self.clients),
        }
        client["country"] = {"id": client.pop("country_id"), "code": country} if country else None
        self.clients.append(client)
        return self.json(client, 201)


def build(site, **options):
    page_size = options.pop("page_size", None)
    if "token" not in options:
        options = {"username": "me@example.com", "password": "right", "auth_url": site.auth_url, **options}
    options = {"company_id": 4242, **options}
    assert Tiime.check_options(options) == []
    settings = Settings(
        "books",
        "tiime",
        base_url=site.url,
        timeout_seconds=5,
        insecure_loopback=True,
        page_size=page_size,
        options=options,
    )
    return Tiime(settings, Http(settings, Tiime.default_base_url))


@pytest.fixture
def site(httpserver):
    return Site(httpserver)


def many(count):
    return [
        {**CLIENT, "id": number, "name": f"Client {number}", "archived": number % 3 == 0}
        for number in range(1, count + 1)
    ]


def test_login_precedes_the_first_call_and_is_renewed_after_401(site):
    """The password grant is used once, and once more when the token is refused."""
    site.clients = many(1)
    tiime: Provider = build(site)
    list(tiime.pull())
    assert site.logins == 1
    site.token = "revoked"
    assert tiime.fetch("1").raw == site.clients[0]
    assert (site.logins, tiime.account(), tiime.capabilities.account) == (2, None, False)
    tiime.close()


def test_wrong_password_is_unauthorised(site):
    """Auth0's 403 is about credentials and carries its words."""
    tiime = build(site, password="wrong")
    with pytest.raises(Unauthorised) as caught:
        list(tiime.pull())
    assert caught.value.words == "Wrong email or password."
    tiime.close()


def test_ready_token_needs_no_login(site):
    """A token from the tenant's file is used as it is, and cannot be renewed."""
    tiime = build(site, token="ready")
    list(tiime.pull())
    assert site.logins == 0
    tiime.close()


@pytest.mark.parametrize("answer", ['{"token_type":"Bearer"}', "[]", "<html>"])
def test_login_without_a_token_is_malformed(httpserver, answer):
    """A login page that answers anything else is no login."""
    httpserver.expect_request("/oauth").respond_with_data(answer, content_type="application/json")
    site = type("Site", (), {"url": httpserver.url_for("/v1"), "auth_url": httpserver.url_for("/oauth")})
    tiime = build(site)
    with pytest.raises(Malformed):
        tiime.fetch("1")
    tiime.close()


@pytest.mark.parametrize("style", ["open", "known", "star", "ignored"])
@pytest.mark.parametrize("past", ["empty", "416"])
@pytest.mark.parametrize(
    "count, size, window", [(0, 10, None), (1, 10, None), (10, 10, None), (25, 10, None), (25, 10, 4), (30, 10, None)]
)
def test_pull_reads_every_client_once(httpserver, style, past, count, size, window):
    """Whatever way a server counts its ranges, each client comes exactly once and the end is told once."""
    site = Site(httpserver, style=style, window=window, past=past)
    site.clients = many(count)
    tiime = build(site, page_size=size)
    pages = list(tiime.pull())
    assert [record.raw for page in pages for record in page.records] == site.clients
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert all(page.total in (None, count) for page in pages)
    assert all("archived" not in request.args for request in site.seen)
    assert site.seen[0].headers["Range"] == f"items=0-{size - 1}"
    tiime.close()


@pytest.mark.parametrize("archived, expected", [(None, 9), (True, 3), (False, 6)])
def test_listing_with_and_without_archived(site, archived, expected):
    """The archived filter selects only archived or only other clients; without it all are shown."""
    site.clients = many(9)
    tiime = build(site)
    records = [record for page in tiime.listing(archived=archived) for record in page.records]
    assert len(records) == expected
    assert {record.raw["archived"] for record in records} <= ({archived} if archived is not None else {True, False})
    tiime.close()


def test_search_by_name(site):
    """Search finds clients by name, archived ones too."""
    site.clients = many(12)
    tiime = build(site)
    found = [record.external_id for page in tiime.listing(search="client 1") for record in page.records]
    assert found == ["1", "10", "11", "12"]
    assert site.seen[-1].args.to_dict() == {"search": "client 1"}
    tiime.close()


def test_overlapping_ranges_give_a_record_once(httpserver):
    """A client that is inserted during the walk shifts the ranges; what is shown again is left out."""
    site = Site(httpserver, style="known")
    site.clients = many(6)
    tiime = build(site, page_size=3)
    pages = tiime.pull()
    got = [record.external_id for record in next(pages).records]
    site.clients.insert(0, {**CLIENT, "id": 77})
    rest = list(pages)
    assert got + [record.external_id for page in rest for record in page.records] == ["1", "2", "3", "4", "5", "6"]
    assert rest[-1].total == 7
    tiime.close()


@pytest.mark.parametrize(
    "body, content_type, status",
    [
        ("{}", "application/json", 200),
        ('{"error":500,"error_code":"x"}', "application/json", 200),
        ("null", "application/json", 200),
        ("", "application/json", 200),
        ("<html></html>", "text/html", 200),
        ("[", "application/json", 200),
        ('{"error":404}', "application/json", 404),
    ],
)
def test_anything_but_an_array_fails_the_walk(httpserver, body, content_type, status):
    """A walk never takes another shape for an empty list."""
    httpserver.expect_request("/v1/companies/4242/clients").respond_with_data(body, status, content_type=content_type)
    site = type("Site", (), {"url": httpserver.url_for("/v1"), "auth_url": ""})
    tiime = build(site, token="ready")
    with pytest.raises(Malformed):
        list(tiime.pull())
    tiime.close()


@pytest.mark.parametrize("headers", [{"Content-Range": "items 0-0/*"}, {"Content-Range": "items 5-5/900"}])
def test_range_that_repeats_itself_fails_the_walk(httpserver, headers):
    """A server that shows the same range again and again does not hold the walk for ever."""
    answer = Response(json.dumps([CLIENT]), 206, headers=headers, content_type="application/json")
    httpserver.expect_request("/v1/companies/4242/clients").respond_with_response(answer)
    site = type("Site", (), {"url": httpserver.url_for("/v1"), "auth_url": ""})
    tiime = build(site, token="ready")
    with pytest.raises(Malformed):
        list(tiime.pull())
    tiime.close()


def test_range_that_is_empty_before_the_end_fails_the_walk(httpserver):
    """Nothing where the system says that there is something is no end."""
    answer = Response("[]", 206, headers={"Content-Range": "items */900"}, content_type="application/json")
    httpserver.expect_request("/v1/companies/4242/clients").respond_with_response(answer)
    site = type("Site", (), {"url": httpserver.url_for("/v1"), "auth_url": ""})
    tiime = build(site, token="ready")
    with pytest.raises(Malformed):
        list(tiime.pull())
    tiime.close()


def test_unfit_items_are_faults_and_the_others_go_on(site):
    """What is no record, has no id or holds an unfit text is told by position or id; its neighbours are read."""
    site.clients = [
        CLIENT,
        "text",
        {"name": "no id"},
        {**CLIENT, "id": 7, "name": "a\x00"},
        {**CLIENT, "id": 8, "name": "\ud800"},
    ]
    site.clients.append({**CLIENT, "id": 9, "note": "x" * 100_001})
    tiime = build(site)
    (page,) = tiime.pull()
    assert [record.external_id for record in page.records] == ["100"]
    assert [where for where, _ in page.faults] == ["#2", "#3", "7", "8", "9"]
    tiime.close()


def test_fetch_reads_one_client_and_tells_what_is_gone(site):
    """A single read gives the raw record; an unknown id is gone."""
    site.clients = [CLIENT]
    tiime = build(site)
    listed = tiime.fetch("100")
    assert (listed.raw, listed.children, listed.complete) == (CLIENT, None, True)
    with pytest.raises(Gone):
        tiime.fetch("101")
    tiime.close()


def test_fetch_of_another_record_is_malformed(httpserver):
    """A server that answers with a different client is not believed."""
    httpserver.expect_request("/v1/companies/4242/clients/5").respond_with_json(CLIENT)
    site = type("Site", (), {"url": httpserver.url_for("/v1"), "auth_url": ""})
    tiime = build(site, token="ready")
    with pytest.raises(Malformed):
        tiime.fetch("5")
    tiime.close()


def test_contacts_are_read_only_where_asked_for(site):
    """With `contacts = true` a single read has them and the listing says that it may show less."""
    site.clients = [CLIENT]
    plain, rich = build(site), build(site, contacts=True)
    assert "contacts" not in plain.read(plain.fetch("100"), {}).fields
    assert not plain.fields["contacts"].read
    assert (rich.capabilities.partial_list, rich.fields["contacts"].read) == (True, True)
    assert not next(rich.pull()).records[0].complete
    assert rich.read(rich.fetch("100"), {}).fields["contacts"] == [
        {
            "id": "1",
            "name": "Anna Roy",
            "given_name": "Anna",
            "family_name": "Roy",
            "email": "a@acme.com",
            "phone": None,
            "role": None,
        }
    ]
    plain.close()
    rich.close()


def test_create_sends_what_tiime_takes_and_nothing_else(site):
    """Every writable field is sent under its name; what cannot be written is not."""
    tiime = build(site)
    golden = {field: f"some {field}" for field in CANONICAL}
    golden |= {
        "registration_number": "SIREN 732 829 320",
        "kind": "person",
        "country": "FR",
        "contacts": [],
        "notes": [],
        "archived": True,
        "email": "a@b.fr",
        "phone": None,
    }
    listed = tiime.create(golden)
    assert site.seen[-1].get_json() == {
        "name": "some name",
        "email": "a@b.fr",
        "address": "some address_line1",
        "postal_code": "some postal_code",
        "city": "some city",
        "siren_or_siret": "732829320",
        "professional": False,
        "country_id": 75,
    }
    assert tiime.fetch(listed.external_id).raw == listed.raw
    tiime.close()


def test_create_invents_nothing(site):
    """An unknown kind is not sent, and a country whose id was never seen is left out until it was."""
    tiime = build(site)
    tiime.create({"name": "Bière SA", "country": "BE"})
    assert site.seen[-1].get_json() == {"name": "Bière SA"}
    site.clients = [{**CLIENT, "country": {"id": 21, "code": "be", "name": "Belgique"}}]
    list(tiime.pull())
    assert tiime.learned == {"countries": {"BE": 21}}
    tiime.create({"name": "Bière SA", "country": "BE"})
    assert site.seen[-1].get_json() == {"name": "Bière SA", "country_id": 21}
    tiime.close()


@pytest.mark.parametrize("number", ["5260250274", "KVK 1234", "none", "٣" * 9])
def test_a_number_that_is_no_siren_is_left_out_of_a_create(site, number):
    """A Polish tax number has ten digits: sent, it would have the whole client refused. It differs there, which is told as drift."""
    tiime = build(site)
    listed = tiime.create({"name": "Biuro", "email": "b@biuro.pl", "registration_number": number})
    assert site.seen[-1].get_json() == {"name": "Biuro", "email": "b@biuro.pl"}
    shown = tiime.read(listed, {}).fields["registration_number"]
    wanted = tiime.project("registration_number", number, {})
    assert not same("registration_number", tiime.project("registration_number", shown, {}), wanted, Context())
    tiime.close()


def test_created_client_reads_back_as_written(site):
    """Writing and reading returns the same value, as far as Tiime can say it."""
    tiime = build(site)
    golden = {
        "name": "Zoé & Fils",
        "kind": "company",
        "email": "Zoe@fils.fr",
        "phone": "+33 1 42 68 53 00",
        "address_line1": "1, rue\u00a0Ÿ",
        "postal_code": "01000",
        "city": "Bourg-en-Bresse",
        "country": "FR",
        "registration_number": "732 829 320 00074",
    }
    fields = tiime.read(tiime.create(golden), {}).fields
    single = golden.keys() - {"name", "address_line1", "postal_code", "city", "country"}
    assert all(same(field, fields[field], golden[field], Context()) for field in single)
    for unit in ("name", "address"):
        assert same(unit, unit_value(fields, unit), unit_value(golden, unit), Context())
    assert (fields["name"], fields["country"]) == ("Zoé & Fils", "FR")
    tiime.close()


def test_refused_create_keeps_the_words(site):
    """A refusal parks the write with what Tiime said about it."""
    tiime = build(site)
    with pytest.raises(Rejected) as caught:
        tiime.create({"name": "X", "email": "nonsense"})
    assert caught.value.words == "validation: email: invalid"
    tiime.close()


@pytest.mark.parametrize("answer", ["{}", "[]", ""])
def test_create_answered_without_a_client_is_in_doubt(httpserver, answer):
    """A create whose answer names no record may have made one."""
    httpserver.expect_request("/v1/companies/4242/clients").respond_with_data(
        answer, 201, content_type="application/json"
    )
    site = type("Site", (), {"url": httpserver.url_for("/v1"), "auth_url": ""})
    tiime = build(site, token="ready")
    with pytest.raises(UnknownOutcome):
        tiime.create({"name": "X"})
    assert len(httpserver.log) == 1
    tiime.close()


def test_nothing_can_be_changed_or_deleted(site):
    """No verb outside the documented ones is ever tried."""
    tiime = build(site)
    for act in (
        lambda: tiime.update(Listed("100", CLIENT), {"name": "X"}, {}, {}),
        lambda: tiime.delete(Listed("100", CLIENT)),
    ):
        with pytest.raises(Rejected):
            act()
    assert site.seen == []
    capabilities = tiime.capabilities
    assert (capabilities.create, capabilities.update, capabilities.archive, capabilities.delete, capabilities.restore) == (
        True, False, False, False, False,
    )  # fmt: skip
    assert not any(spec.update for spec in tiime.fields.values())
    tiime.close()


def test_read_translates_every_field(site):
    """A full client gives every field that Tiime shows; null and the empty text are empty."""
    tiime = build(site)
    assert tiime.read(Listed("100", CLIENT), {"kept": 1}).fields == {
        "name": "ACME Corp",
        "kind": "company",
        "email": "contact@acme.com",
        "phone": "01 42 68 53 00",
        "address_line1": "1 rue de Rivoli",
        "address_line2": "Bâtiment B",
        "postal_code": "75001",
        "city": "Paris",
        "country": "FR",
        "registration_number": "73282932000074",
        "vat_number": "FR44732829320",
        "details": None,
        "iban": None,
        "bic": None,
        "archived": False,
    }
    assert tiime.read(Listed("100", CLIENT), {"kept": 1}).memory == {"kept": 1}
    tiime.close()


def test_missing_keys_are_unknown(site):
    """A key that is not there says nothing."""
    tiime = build(site)
    assert tiime.read(Listed("1", {"id": 1, "name": "X", "professional": None}), {}).fields == {"name": "X"}
    assert tiime.read(Listed("1", {"id": 1, "country": None}), {}).fields == {"country": None}
    assert tiime.read(Listed("1", {"id": 1, "country_code": "be"}), {}).fields == {"country": "BE"}
    tiime.close()


@pytest.mark.parametrize(
    "unit, value, projected",
    [
        ("name", {"name": "ACME", "given_name": None, "family_name": None}, {"name": "ACME"}),
        ("name", {"given_name": "Jean", "family_name": "Dupont"}, {"name": "Jean Dupont"}),
        ("name", {"name": None}, {"name": None}),
        ("name", None, None),
        (
            "address",
            {"address_line1": "1 rue X", "region": "Québec", "country": "CA"},
            {"address_line1": "1 rue X", "country": "CA"},
        ),
        ("email", "a@b.fr", "a@b.fr"),
        ("registration_number", "SIREN 732 829 320", "732829320"),
        ("registration_number", "526-025-02-74", "526-025-02-74"),
        ("registration_number", None, None),
    ],
)
def test_projection_is_what_tiime_would_show(site, unit, value, projected):
    """What Tiime cannot hold is left out, and projecting twice changes nothing."""
    tiime = build(site)
    assert tiime.project(unit, value, {}) == projected
    assert tiime.project(unit, projected, {}) == projected
    tiime.close()


def test_objection_names_what_is_missing(site):
    """Only a name is required, which a person's two names make."""
    tiime = build(site)
    assert tiime.objection({"name": "X"}) is None
    assert tiime.objection({"given_name": "Jean", "family_name": "Dupont"}) is None
    assert "name" in tiime.objection({"email": "a@b.fr", "name": None})
    tiime.close()


def test_every_canonical_field_is_declared():
    """The table says of each field what Tiime can do with it."""
    assert set(FIELDS) == set(CANONICAL)


@pytest.mark.parametrize(
    "options, named",
    [
        ({}, ["company_id", "username"]),
        ({"company_id": "abc", "token": "t"}, ["company_id"]),
        ({"company_id": True, "token": "t"}, ["company_id"]),
        ({"company_id": 1, "username": "u"}, ["username"]),
        ({"company_id": 1, "token": "t", "username": "u", "password": "p"}, ["token"]),
        ({"company_id": 1, "token": "t", "contacts": "yes", "auth_url": 7}, ["auth_url", "contacts"]),
        ({"company_id": "42", "username": "u", "password": "p"}, []),
    ],
)
def test_options_are_checked_all_at_once(options, named):
    """Every problem is named by its key, and every key is described."""
    assert [problem.partition(":")[0] for problem in Tiime.check_options(options)] == named
    assert set(options) <= set(Tiime.option_keys)
