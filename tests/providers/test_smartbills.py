"""Smartbills: both dialects, every endpoint that syncd uses, the full-replace PUT and the login, against an imitation."""

from __future__ import annotations

import json
import math
import re

import pytest
from werkzeug import Request, Response

from syncd.core.model import FIELDS as CANONICAL
from syncd.core.model import Context, unit_value
from syncd.core.normalize import same
from syncd.errors import Duplicate, Gone, Malformed, Rejected, Unauthorised, UnknownOutcome
from syncd.providers import Listed, Provider, Settings
from syncd.providers.http import Http
from syncd.providers.smartbills import Smartbills
from syncd.providers.smartbills.dialects import explain

JOHN = {
    "id": 1,
    "firstName": "John",
    "lastName": "Doe",
    "email": "john@example.com",
    "taxExempt": True,
    "phone": "(555) 555-5555",
    "locale": "fr-CA",
    "acceptsMarketing": True,
}
MORE = {
    "tags": ["vip"],
    "metadata": {"a": "b"},
    "address": {
        "line1": "1 Main St",
        "line2": None,
        "city": "Montréal",
        "state": "Quebec",
        "stateCode": "QC",
        "country": "Canada",
        "countryCode": "CA",
        "postalCode": "H2X 1Y4",
        "formattedAddress": "1 Main St, Montréal",
    },
    "totalSpent": 12.5,
    "totalOrders": 3,
    "createdAt": "2026-01-01T00:00:00Z",
    "updatedAt": None,
    "somethingNew": {"kept": True},
}
GOLDEN = {
    "name": "Zoé Tremblay",
    "given_name": "Zoé",
    "family_name": "Tremblay",
    "kind": "person",
    "email": "Zoe@example.ca",
    "phone": "+1 514 555 0100",
    "language": "fr-CA",
    "tax_exempt": True,
    "marketing_consent": True,
}


class Site:
    """An imitation of Smartbills: `v1` or `business`, strict about the keys that a PUT needs."""

    def __init__(self, httpserver, dialect="v1", envelope="metadata"):
        self.dialect, self.envelope = dialect, envelope
        self.customers, self.seen, self.logins, self.token, self.dead = {}, [], [], "ready", set()
        self.url = httpserver.url_for("/v1")
        path = "/v1/customers" if dialect == "v1" else "/v1/businesses/881/customers"
        self.phone = "phone" if dialect == "v1" else "phoneNumber"
        httpserver.expect_request("/connect/token", "POST").respond_with_handler(self.login)
        for method, handler in (("GET", self.list), ("POST", self.create)):
            httpserver.expect_request(path, method).respond_with_handler(self.guarded(handler))
        for method, handler in (("GET", self.get), ("PUT", self.update), ("DELETE", self.delete)):
            httpserver.expect_request(re.compile(path + "/[^/]+$"), method).respond_with_handler(self.guarded(handler))

    def guarded(self, handler):
        def answer(request: Request) -> Response:
            self.seen.append(request)
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return self.error(401, "INVALID_TOKEN", "The token is not valid")
            return handler(request)

        return answer

    @staticmethod
    def json(value, status=200):
        return Response(json.dumps(value), status, content_type="application/json")

    def error(self, status, code, words, **detail):
        details = [{"field": "email", "message": "see there", **detail}] if detail else []
        return self.json({"error": {"code": code, "message": words, "details": details, "requestId": "r"}}, status)

    def login(self, request: Request) -> Response:
        form = request.form.to_dict()
        self.logins.append(form)
        if form["client_secret"] != "right" or form.get("refresh_token") in self.dead:
            return self.json({"error": "invalid_grant"}, 400)
        if "refresh_token" in form:
            self.dead.add(form["refresh_token"])
        self.token = f"t{len(self.logins)}"
        return self.json({"access_token": self.token, "expires_in": 3600, "refresh_token": f"r{len(self.logins)}"})

    def list(self, request: Request) -> Response:
        order = ("orderBy", "sortOrder") if self.dialect == "v1" else ("sortBy", "sortDirection")
        assert [request.args[key] for key in order] == ["createdAt", "asc"]
        page, size = int(request.args["page"]), int(request.args["pageSize"])
        rows = sorted(self.customers.values(), key=lambda row: row["id"])
        pages, data = math.ceil(len(rows) / size), rows[(page - 1) * size : page * size]
        if self.envelope == "metadata":
            meta = {"page": page, "pageSize": size, "totalPages": pages, "count": len(rows)}
        elif self.envelope == "guide":
            meta = {
                "page": page,
                "pageSize": size,
                "totalCount": len(rows),
                "hasNext": page < pages,
                "hasPrevious": page > 1,
            }
        else:
            meta = {"count": len(rows), "pageCount": pages, "currentPage": page, "limit": size}
        return self.json({"data": data, "metadata" if self.envelope == "metadata" else "pagination": meta})

    def shown(self, row):
        hidden = {"locale", "taxExempt", "isTaxExempt", "note", "companyName"} if self.dialect == "business" else set()
        return {key: value for key, value in row.items() if key not in hidden}

    def row(self, request: Request):
        return self.customers.get(request.path.rpartition("/")[2])

    def get(self, request: Request) -> Response:
        row = self.row(request)
        return self.json(self.shown(row)) if row else self.error(404, "NOT_FOUND", "No such customer")

    def create(self, request: Request) -> Response:
        body = request.get_json()
        assert body["firstName"]
        assert body["lastName"]
        assert re.fullmatch("[a-z]{2}-[A-Z]{2}", body["locale"])
        assert body.get("email") or body.get(self.phone)
        for row in self.customers.values():
            if row["email"] and row["email"] == body.get("email"):
                return self.error(409, "DUPLICATE_CUSTOMER", "Taken", existingCustomerId=row["id"])
        row = {"email": None, self.phone: None, "acceptsMarketing": False, **body, "id": 100 + len(self.customers)}
        self.customers[str(row["id"])] = row
        return self.json(self.shown(row), 201)

    def update(self, request: Request) -> Response:
        body, row = request.get_json(), self.row(request)
        required = {"firstName", "lastName", "email", self.phone} | ({"locale"} if self.dialect == "v1" else set())
        if not required <= body.keys() or not (body["email"] or body[self.phone]):
            return self.error(400, "VALIDATION_ERROR", "Not complete", field="body")
        assert not body.keys() & {"id", "createdAt", "updatedAt", "totalSpent", "totalOrders", "billingAddress"}
        kept = {"id": row["id"]} | ({"locale": row.get("locale")} if self.dialect == "business" else {})
        computed = {key: row[key] for key in ("createdAt", "updatedAt", "totalSpent", "totalOrders") if key in row}
        new = {"taxExempt": False, "acceptsMarketing": False, **body, **kept, **computed}
        self.customers[str(row["id"])] = new
        return self.json(self.shown(new))

    def delete(self, request: Request) -> Response:
        row = self.row(request)
        if not row:
            return self.error(404, "NOT_FOUND", "No such customer")
        if row.get("tags") == ["busy"]:
            return self.error(409, "CONFLICT", "Active orders")
        del self.customers[str(row["id"])]
        return self.json({**self.shown(row), "deletedAt": "2026-01-01T00:00:00Z"})

    def add(self, **changes):
        row = {**JOHN, **changes}
        if self.dialect == "business":
            row["phoneNumber"] = row.pop("phone")
        self.customers[str(row["id"])] = row
        return row


def build(site, **options):
    page_size = options.pop("page_size", None)
    if "client_id" not in options:
        options["token"] = "ready"
    if site.dialect == "business":
        options |= {"dialect": "business", "business_id": "881"}
    assert Smartbills.check_options(options) == []
    settings = Settings(
        "receipts",
        "smartbills",
        base_url=site.url,
        timeout_seconds=5,
        insecure_loopback=True,
        page_size=page_size,
        options=options,
        context=Context("CA", "en-CA"),
    )
    return Smartbills(settings, Http(settings, Smartbills.default_base_url))


@pytest.fixture(params=["v1", "business"])
def site(httpserver, request):
    return Site(httpserver, request.param)


@pytest.fixture
def v1(httpserver):
    return Site(httpserver, "v1")


@pytest.fixture
def business(httpserver):
    return Site(httpserver, "business")


@pytest.mark.parametrize("envelope", ["metadata", "guide", "limit"])
@pytest.mark.parametrize("count, size", [(0, 5), (3, 5), (5, 5), (12, 5)])
def test_pull_reads_every_customer_once(site, envelope, count, size):
    """Both envelopes and all three ways of telling the end give each customer once, oldest first."""
    site.envelope = envelope
    for number in range(1, count + 1):
        site.add(id=number)
    smartbills: Provider = build(site, page_size=size)
    pages = list(smartbills.pull())
    assert [record.external_id for page in pages for record in page.records] == [str(n) for n in range(1, count + 1)]
    assert [record.raw for page in pages for record in page.records] == list(site.customers.values())
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert {page.total for page in pages} == {count}
    smartbills.close()


def test_default_page_size_is_a_hundred_and_no_more(v1):
    """A hundred customers per page, also where the tenant's file asks for more than the vendor allows."""
    for size in (None, 500, 20):
        smartbills = build(v1, page_size=size)
        list(smartbills.pull())
        smartbills.close()
    assert [request.args["pageSize"] for request in v1.seen] == ["100", "100", "20"]


def test_record_that_moves_onto_a_later_page_comes_once(v1):
    """A customer that an insertion pushes onto the next page is not given twice."""
    for number in range(1, 7):
        v1.add(id=number)
    smartbills = build(v1, page_size=3)
    pages = smartbills.pull()
    got = [record.external_id for record in next(pages).records]
    v1.add(id=0)
    got += [record.external_id for page in pages for record in page.records]
    assert got == ["1", "2", "3", "4", "5", "6"]
    smartbills.close()


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        "null",
        "",
        '{"data":null,"metadata":{"totalPages":1}}',
        '{"data":[]}',
        '{"data":[],"metadata":{}}',
        '{"error":{"code":"X"}}',
        '{"data":[],"metadata":{"page":1,"totalPages":3,"count":9}}',
        '{"data":[{"id":1}],"metadata":{"page":2,"totalPages":3,"count":9}}',
        '{"data":[{"id":1}],"metadata":{"totalPages":99,"count":9}}',
    ],
)
def test_anything_but_a_page_fails_the_walk(httpserver, body):
    """A wrong envelope, an empty page before the end and a page that repeats itself are no listing."""
    httpserver.expect_request("/v1/customers").respond_with_data(body, content_type="application/json")
    smartbills = build(type("Site", (), {"url": httpserver.url_for("/v1"), "dialect": "v1"}))
    with pytest.raises(Malformed):
        list(smartbills.pull())
    assert len(httpserver.log) <= 2
    smartbills.close()


def test_unfit_items_are_faults_and_the_others_go_on(v1):
    """Items that cannot be kept are told by position or id; the walk goes on."""
    v1.add(id=1)
    v1.add(id=2, firstName="a\x00")
    smartbills = build(v1)
    (page,) = smartbills.pull()
    assert [record.external_id for record in page.records] == ["1"]
    assert [where for where, _ in page.faults] == ["2"]
    smartbills.close()


def test_retrieve_tells_what_is_gone(site):
    """A single read gives the raw customer; an unknown id is gone."""
    row = site.add()
    smartbills = build(site)
    assert smartbills.fetch("1").raw == site.shown(row)
    with pytest.raises(Gone):
        smartbills.fetch("2")
    smartbills.close()


def test_create_reads_back_as_written(site):
    """A person is created with first and last name, and reading returns what was written."""
    smartbills = build(site)
    listed = smartbills.create(GOLDEN)
    body = site.seen[-1].get_json()
    tax = "taxExempt" if site.dialect == "v1" else "isTaxExempt"
    assert body == {
        "firstName": "Zoé",
        "lastName": "Tremblay",
        "email": "Zoe@example.ca",
        site.phone: "+1 514 555 0100",
        "locale": "fr-CA",
        tax: True,
    }
    memory = {"written": {"language": "fr-CA", "tax_exempt": True}}
    fields = smartbills.read(smartbills.fetch(listed.external_id), memory).fields
    for unit in ("name", "kind", "email", "phone", "language", "tax_exempt"):
        mine, theirs = (smartbills.project(unit, unit_value(side, unit), GOLDEN) for side in (GOLDEN, fields))
        assert same(unit, mine, theirs, Context("CA")), unit
    assert fields["marketing_consent"] is False
    smartbills.close()


def test_create_splits_a_name_and_falls_back_to_the_tenants_language(v1):
    """A name typed as one text is split; a missing language is the tenant's; empty fields are not sent."""
    smartbills = build(v1)
    smartbills.create(
        {"name": "Jean Dupont", "kind": "person", "email": None, "phone": "5145550100", "tax_exempt": False}
    )
    assert v1.seen[-1].get_json() == {
        "firstName": "Jean",
        "lastName": "Dupont",
        "phone": "5145550100",
        "locale": "en-CA",
        "taxExempt": False,
    }
    smartbills.close()


@pytest.mark.parametrize(
    "language, locale",
    [("pl", "pl-PL"), ("en", "en-CA"), ("fr", "fr-FR"), ("fr-CA", "fr-CA"), ("zh-Hant", "zh-TW"), (None, "en-CA")],
)
def test_a_language_is_sent_with_a_region_and_is_the_same_with_it(site, language, locale):
    """A missing region is that of the tenant's own locale, else the likely one; the value without it is the same, there and back."""
    smartbills = build(site)
    listed = smartbills.create({**GOLDEN, "language": language})
    assert site.seen[-1].get_json()["locale"] == locale
    if language is not None:
        assert smartbills.project("language", language, GOLDEN) == smartbills.project("language", locale, GOLDEN)
    if site.dialect == "v1":
        assert smartbills.read(listed, {}).fields["language"] == locale
    smartbills.close()


def test_a_language_is_changed_with_a_region_and_never_only_for_it(v1):
    """A change sends a region too; what a person typed without one stays, where it says the same."""
    v1.add(locale="pl")
    smartbills = build(v1)
    smartbills.update(smartbills.fetch("1"), {"language": "pl-PL", "phone": "1"}, GOLDEN, {})
    assert v1.seen[-1].get_json()["locale"] == "pl"
    smartbills.update(smartbills.fetch("1"), {"language": "de"}, GOLDEN, {})
    assert v1.seen[-1].get_json()["locale"] == "de-DE"
    smartbills.close()


def test_duplicate_names_the_existing_customer(v1):
    """A 409 that names a customer is a duplicate of it."""
    v1.add(email="Zoe@example.ca")
    smartbills = build(v1)
    with pytest.raises(Duplicate) as caught:
        smartbills.create(GOLDEN)
    assert (caught.value.existing_id, caught.value.words) == ("1", "DUPLICATE_CUSTOMER: Taken; email: see there")
    smartbills.close()


def test_update_changes_only_the_planned_keys(site):
    """A PUT starts from the customer as read: everything else stays, computed keys are not sent."""
    row = site.add(**MORE)
    smartbills = build(site)
    current = smartbills.fetch("1")
    memory = {"written": {"tax_exempt": True}}
    listed = smartbills.update(current, {"phone": "+1 514 555 0199"}, GOLDEN, memory)
    assert listed.raw == smartbills.fetch("1").raw
    address = {key: value for key, value in MORE["address"].items() if key != "formattedAddress"}
    assert site.customers["1"] == {**row, site.phone: "+1 514 555 0199", "address": address}
    smartbills.close()


def test_update_sends_every_required_key(site):
    """A customer with only a phone is updated with an explicit null e-mail."""
    row = site.add(email=None)
    del row["email"]
    smartbills = build(site)
    smartbills.update(smartbills.fetch("1"), {"name": "Joan Roe", "given_name": "Joan", "family_name": "Roe"}, {}, {})
    body = site.seen[-1].get_json()
    assert (body["firstName"], body["lastName"], body["email"]) == ("Joan", "Roe", None)
    smartbills.close()


def test_update_of_every_field(v1):
    """Each changeable field lands under its key; an emptied flag goes back to its default."""
    v1.add()
    smartbills = build(v1)
    patch = {
        "name": "DUPONT Jean",
        "email": "J@x.ca",
        "phone": None,
        "language": "en-CA",
        "tax_exempt": None,
        "marketing_consent": False,
    }
    fields = smartbills.read(smartbills.update(smartbills.fetch("1"), patch, {}, {}), {}).fields
    assert fields == {
        "given_name": "Jean",
        "family_name": "DUPONT",
        "name": "Jean DUPONT",
        "kind": "person",
        "email": "J@x.ca",
        "phone": None,
        "language": "en-CA",
        "tax_exempt": False,
        "marketing_consent": False,
    }
    smartbills.close()


def test_update_in_the_business_dialect_keeps_what_is_never_shown(business):
    """The tax flag that syncd wrote is sent again with every change, under the update's own name; the locale never is."""
    smartbills = build(business)
    listed = smartbills.create({**GOLDEN, "notes": ["first", "second"], "currency": "CAD"})
    body = business.seen[-1].get_json()
    assert (body["isTaxExempt"], body["note"], body["currency"]) == (True, "first\n\nsecond", "CAD")
    memory = {"written": {"tax_exempt": True, "language": "fr-CA", "notes": ["first", "second"]}}
    fields = smartbills.read(listed, memory).fields
    assert (fields["tax_exempt"], fields["language"], fields["notes"], fields["currency"]) == (
        True,
        "fr-CA",
        ["first", "second"],
        "CAD",
    )
    smartbills.update(listed, {"email": "new@example.ca"}, {}, memory)
    body = business.seen[-1].get_json()
    assert (body["taxExempt"], body["email"]) == (True, "new@example.ca")
    assert not {"isTaxExempt", "locale", "note", "phone"} & body.keys()
    smartbills.update(listed, {"tax_exempt": False}, {}, memory)
    assert business.seen[-1].get_json()["taxExempt"] is False
    assert "tax_exempt" not in smartbills.read(listed, {}).fields
    smartbills.close()


@pytest.mark.parametrize(
    "patch", [{"email": None, "phone": None}, {"name": "Cher"}, {"name": None, "given_name": None, "family_name": None}]
)
def test_update_that_no_customer_can_take_is_not_sent(site, patch):
    """Without a way to reach it or without two names a customer cannot be; nothing is sent."""
    site.add()
    smartbills = build(site)
    current = smartbills.fetch("1")
    with pytest.raises(Rejected):
        smartbills.update(current, patch, {}, {})
    assert len(site.seen) == 1
    smartbills.close()


def test_address_is_taken_where_the_server_has_shown_one(v1):
    """The contract has no address; a server that shows one is given one, and what stands beside a code is never guessed."""
    smartbills = build(v1)
    parts = {
        "address_line1": "1 Main St",
        "address_line2": None,
        "postal_code": "H2X 1Y4",
        "city": "Montréal",
        "region": "QC",
        "country": "CA",
    }
    smartbills.create({**GOLDEN, **parts})
    assert "address" not in v1.seen[-1].get_json()
    assert not smartbills.fields["city"].create
    v1.add(**MORE)
    fields = smartbills.read(smartbills.fetch("1"), {}).fields
    assert {part: fields[part] for part in parts} == {**parts, "region": "Quebec"}
    assert smartbills.learned == {"address": True}
    assert smartbills.fields["city"].update
    smartbills.create({**GOLDEN, **parts, "email": "other@example.ca"})
    assert v1.seen[-1].get_json()["address"] == {
        "line1": "1 Main St",
        "postalCode": "H2X 1Y4",
        "city": "Montréal",
        "state": "QC",
        "countryCode": "CA",
    }
    current = smartbills.fetch("1")
    smartbills.update(current, {**parts, "region": "Quebec", "address_line1": "2 Main St"}, {}, {})
    address = v1.seen[-1].get_json()["address"]
    assert address == {**{k: v for k, v in MORE["address"].items() if k != "formattedAddress"}, "line1": "2 Main St"}
    moved = smartbills.update(smartbills.fetch("1"), {**parts, "region": None, "country": "FR"}, {}, {})
    assert moved.raw["address"]["countryCode"] == "FR"
    assert not {"country", "stateCode", "formattedAddress"} & moved.raw["address"].keys()
    cleared = smartbills.update(smartbills.fetch("1"), dict.fromkeys(parts), {}, {})
    assert unit_value(smartbills.read(cleared, {}).fields, "address") is None
    smartbills.close()


def test_delete_is_for_ever(site):
    """A deleted customer is gone; one that cannot be deleted is refused with the system's words."""
    site.add()
    site.add(id=2, tags=["busy"])
    smartbills = build(site)
    current = smartbills.fetch("1")
    smartbills.delete(current)
    with pytest.raises(Gone):
        smartbills.delete(current)
    with pytest.raises(Rejected) as caught:
        smartbills.delete(smartbills.fetch("2"))
    assert "Active orders" in caught.value.words
    smartbills.close()


def test_delete_may_be_answered_with_nothing(httpserver):
    """204 is a deletion too."""
    httpserver.expect_request("/v1/customers/1", "DELETE").respond_with_data("", 204)
    smartbills = build(type("Site", (), {"url": httpserver.url_for("/v1"), "dialect": "v1"}))
    smartbills.delete(Listed("1", JOHN))
    smartbills.close()


@pytest.mark.parametrize("answer", ["{}", "[]", "", '{"id":9}'])
def test_write_answered_with_something_else_is_in_doubt(httpserver, answer):
    """A PUT whose answer is not that customer may or may not have taken effect."""
    httpserver.expect_request("/v1/customers/1").respond_with_data(answer, content_type="application/json")
    smartbills = build(type("Site", (), {"url": httpserver.url_for("/v1"), "dialect": "v1"}))
    with pytest.raises(UnknownOutcome):
        smartbills.update(Listed("1", JOHN), {"email": "x@y.ca"}, {}, {})
    smartbills.close()


def test_business_header_is_sent_where_there_is_one(v1):
    """x-tenant-id names the business in every call of either dialect."""
    smartbills = build(v1, business_id=881)
    list(smartbills.pull())
    smartbills.close()
    smartbills = build(v1)
    list(smartbills.pull())
    smartbills.close()
    assert [request.headers.get("x-tenant-id") for request in v1.seen] == ["881", None]


def test_login_by_client_credentials_rotates_its_refresh_token(v1):
    """The login is at the origin of the base URL; each refresh token is used once."""
    smartbills = build(v1, client_id="me", client_secret="right", scope="customers.read")
    list(smartbills.pull())
    for _ in range(2):
        v1.token = "revoked"
        list(smartbills.pull())
    v1.dead.add("r3")
    v1.token = "revoked"
    list(smartbills.pull())
    assert [(form["grant_type"], form.get("refresh_token")) for form in v1.logins] == [
        ("client_credentials", None),
        ("refresh_token", "r1"),
        ("refresh_token", "r2"),
        ("refresh_token", "r3"),
        ("client_credentials", None),
    ]
    assert v1.logins[0]["scope"] == "customers.read"
    smartbills.close()


def test_wrong_secret_is_unauthorised(v1):
    """A 400 of the token address is about credentials."""
    smartbills = build(v1, client_id="me", client_secret="wrong")
    with pytest.raises(Unauthorised):
        list(smartbills.pull())
    smartbills.close()


def test_read_translates_and_tells_unknown_from_empty(v1):
    """Missing keys are unknown, null is empty; kind is what every customer is."""
    smartbills = build(v1)
    assert smartbills.read(Listed("1", JOHN), {"kept": 1}).fields == {
        "given_name": "John",
        "family_name": "Doe",
        "name": "John Doe",
        "kind": "person",
        "email": "john@example.com",
        "phone": "(555) 555-5555",
        "language": "fr-CA",
        "tax_exempt": True,
        "marketing_consent": True,
    }
    assert smartbills.read(Listed("1", {"id": 1}), {"kept": 1}).fields == {"kind": "person"}
    empty = smartbills.read(Listed("1", {"id": 1, "email": None, "lastName": "", "address": None}), {}).fields
    assert (empty["email"], empty["family_name"], empty["city"]) == (None, None, None)
    assert "name" not in empty
    assert smartbills.fields["kind"].weak
    smartbills.close()


@pytest.mark.parametrize(
    "unit, value, projected",
    [
        ("name", {"name": "DUPONT Jean"}, {"name": "Jean DUPONT", "given_name": "Jean", "family_name": "DUPONT"}),
        ("name", {"name": "x", "given_name": "Jean", "family_name": "Dupont"}, {"name": "Jean Dupont", "given_name": "Jean", "family_name": "Dupont"}),
        ("name", {"name": "Cher"}, {"name": "Cher"}),
        ("name", None, None),
        ("tax_exempt", None, False),
        ("language", "pl", "pl-PL"),
        ("language", None, None),
        ("marketing_consent", True, True),
        ("email", "A@b.ca", "A@b.ca"),
    ],
)  # fmt: skip
def test_projection_is_what_smartbills_would_show(v1, unit, value, projected):
    """A name is two parts, a flag that nobody set is false; projecting twice changes nothing."""
    smartbills = build(v1)
    assert smartbills.project(unit, value, GOLDEN) == projected
    assert smartbills.project(unit, projected, GOLDEN) == projected
    smartbills.close()


@pytest.mark.parametrize(
    "golden, why",
    [
        (GOLDEN, None),
        ({**GOLDEN, "kind": "company"}, "persons"),
        ({key: value for key, value in GOLDEN.items() if key != "kind"}, "persons"),
        ({**GOLDEN, "email": None, "phone": ""}, "e-mail or a phone"),
        ({**GOLDEN, "email": None}, None),
        ({"kind": "person", "email": "a@b.ca", "name": "Cher"}, "last name"),
    ],
)
def test_objection_says_why_a_client_cannot_be_a_customer(v1, golden, why):
    """Persons with two names and a way to reach them, and nobody else."""
    smartbills = build(v1)
    objection = smartbills.objection(golden)
    assert objection is None if why is None else why in objection
    if why:
        with pytest.raises(Rejected):
            smartbills.create(golden)
        assert v1.seen == []
    smartbills.close()


def test_company_is_created_in_the_name_of_its_contact_where_allowed(site):
    """The contact's name is the customer's and not the client's: it is neither read nor compared nor rewritten."""
    smartbills = build(site, companies="contact")
    contact = {"given_name": "Anna", "family_name": "Roy", "email": "anna@acme.ca"}
    golden = {"name": "ACME inc.", "kind": "company", "email": "office@acme.ca", "contacts": [contact]}
    assert smartbills.objection({**golden, "contacts": None}) is not None
    assert smartbills.objection(golden) is None
    listed = smartbills.create(golden)
    body = site.seen[-1].get_json()
    assert (body["firstName"], body["lastName"], body["email"]) == ("Anna", "Roy", "office@acme.ca")
    assert body.get("companyName") == (None if site.dialect == "v1" else "ACME inc.")
    reading = smartbills.read(listed, {})
    assert reading.memory == {"contact": True}
    again = smartbills.read(smartbills.fetch(listed.external_id), reading.memory)
    assert not {"name", "given_name", "family_name", "kind"} & again.fields.keys()
    assert smartbills.project("name", {"name": "ACME inc."}, golden) == {}
    sent = len(site.seen)
    assert smartbills.update(listed, {"name": "ACME Ltd."}, golden, reading.memory) is listed
    assert len(site.seen) == sent
    smartbills.update(listed, {"name": "ACME Ltd.", "phone": "5145550100"}, golden, reading.memory)
    assert site.seen[-1].get_json()["firstName"] == "Anna"
    smartbills.close()


@pytest.mark.parametrize(
    "body, code, words, existing",
    [
        ({"error": {"code": "A", "message": "m", "details": [{"field": "f", "message": "x"}]}}, "A", "m; f: x", None),
        ({"error": {"code": "D", "message": "m", "details": [{"existingCustomerId": 7}]}}, "D", "m", "7"),
        ({"code": "RATE_LIMITED", "message": "slow down"}, "RATE_LIMITED", "slow down", None),
        ({"status": 400, "code": "c", "error": "Bad", "message": "m"}, "c", "m", None),
        (
            {"type": "quota", "title": "t", "detail": "d", "errors": [{"code": "c", "field": "f", "message": "x"}]},
            "quota",
            "d; f: x",
            None,
        ),
        ({"title": "t", "errors": {"Email": ["bad", "worse"]}}, "", "t; Email: bad; Email: worse", None),
        ({"statusCode": 400, "errors": [{"code": "c", "message": "x", "parameter": "p"}]}, "", "p: x", None),
        ({"error": "invalid_grant"}, "", "invalid_grant", None),
        (None, "", "", None),
        ([1], "", "", None),
    ],
)
def test_refusals_of_every_published_form_are_understood(body, code, words, existing):
    """Whatever generation of the API refuses, its words and the record in the way are found."""
    explained = explain(400, body)
    assert (explained.code, explained.message, explained.existing_id) == (code, words, existing)


def test_every_canonical_field_is_declared(site):
    """The table says of each field what this dialect can do with it."""
    smartbills = build(site)
    assert set(smartbills.fields) == set(CANONICAL)
    smartbills.close()


@pytest.mark.parametrize(
    "options, named",
    [
        ({}, ["token"]),
        ({"token": "t"}, []),
        ({"client_id": "a", "client_secret": "b"}, []),
        ({"client_id": "a"}, ["token"]),
        ({"token": "t", "client_id": "a", "client_secret": "b"}, ["token"]),
        ({"token": "t", "dialect": "v2"}, ["dialect"]),
        ({"token": "t", "dialect": "business"}, ["business_id"]),
        ({"token": "t", "dialect": "business", "business_id": True}, ["business_id"]),
        ({"token": 7, "companies": "all"}, ["token", "companies"]),
    ],
)
def test_options_are_checked_all_at_once(options, named):
    """Every problem is named by its key, and every key is described."""
    assert [problem.partition(":")[0] for problem in Smartbills.check_options(options)] == named
    assert set(options) <= set(Smartbills.option_keys)
