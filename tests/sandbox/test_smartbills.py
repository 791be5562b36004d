"""Smartbills: what PROVIDERS says about it, statement by statement, in its three dialects."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import queue
import threading

import pytest

SB = "smartbills"
DOE = {
    "firstName": "John",
    "lastName": "Doe",
    "email": "john@doe.example",
    "phone": "(555) 555-5555",
    "locale": "fr-CA",
}


def create(call, **more):
    return call(SB, "POST", "/customers", json={**DOE, **more})


def put(call, row, body):
    return call(SB, "PUT", f"/customers/{row['id']}", json=body)


def token(call, sandbox, **form):
    known = sandbox.credentials[SB]
    form = {"client_id": known["client_id"], "client_secret": known["client_secret"], **form}
    return call.http.post(sandbox.auth_urls[SB], data=form)


def test_client_credentials_and_rotation(call, sandbox):
    """Client credentials give a token and a refresh token, which dies on use."""
    first = token(call, sandbox, grant_type="client_credentials").json()
    assert (first["token_type"], first["expires_in"]) == ("Bearer", 3600)
    headers = {"Authorization": f"Bearer {first['access_token']}"}
    assert call(SB, "GET", "/customers", headers=headers).status_code == 200
    second = token(call, sandbox, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second.status_code == 200
    again = token(call, sandbox, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})
    assert token(call, sandbox, grant_type="password").status_code == 400
    assert token(call, sandbox, grant_type="client_credentials", client_secret="x").json() == {
        "error": "invalid_client"
    }


def test_refused_access(call, sandbox):
    """No token, a wrong token, a missing scope and another business are told apart."""
    path = f"{sandbox.base_urls[SB]}/customers"
    assert call.http.get(path).json()["error"]["code"] == "UNAUTHORIZED"
    wrong = call.http.get(path, headers={"Authorization": "Bearer x"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "INVALID_TOKEN")
    other = call(SB, "GET", "/customers", headers={"x-tenant-id": "7"})
    assert (other.status_code, other.json()["error"]["code"]) == (403, "BUSINESS_ACCESS_DENIED")
    sandbox.switch(SB, scopes=["read"])
    assert create(call).json()["error"]["code"] == "INSUFFICIENT_PERMISSIONS"
    assert set(create(call).json()["error"]) == {"code", "message", "details", "requestId", "timestamp"}


def test_create_needs_five_things(call, sandbox):
    """First name, last name, locale and one of e-mail and phone are required; the answer is 201 with the customer."""
    row = create(call).json()
    assert (row["taxExempt"], row["acceptsMarketing"], row["tags"], row["metadata"]) == (False, False, [], {})
    assert type(row["id"]) is int
    for missing in ("firstName", "lastName", "locale"):
        body = {name: value for name, value in DOE.items() if name != missing}
        answer = call(SB, "POST", "/customers", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MISSING_REQUIRED_FIELD")
        assert answer.json()["error"]["details"][0]["field"] == missing
    assert create(call, email=None, phone=None).status_code == 400
    assert create(call, email=None).status_code == 201
    assert len(sandbox.violations()) == 4


def test_email_is_unique(call):
    """A second customer with the same e-mail, whatever its case, is 409 and names the first."""
    row = create(call).json()
    answer = create(call, email=" JOHN@doe.example")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "DUPLICATE_CUSTOMER"
    assert answer.json()["error"]["details"][0]["existingCustomerId"] == row["id"]
    other = create(call, email="jane@doe.example").json()
    assert put(call, other, DOE).json()["error"]["code"] == "DUPLICATE_EMAIL"


def test_put_replaces_everything(call, sandbox):
    """What a PUT leaves out falls back to its default; the switch keeps it."""
    address = {"line1": "1 rue", "city": "Laval", "countryCode": "CA", "postalCode": "H7A"}
    row = create(call, taxExempt=True, tags=["a"], address=address, metadata={"k": "v"}).json()
    assert row["address"]["formattedAddress"] == "1 rue, H7A Laval, CA"
    sandbox.switch(SB, omitted="keep")
    assert put(call, row, DOE).json()["tags"] == ["a"]
    sandbox.switch(SB, omitted="clear")
    bare = put(call, row, DOE).json()
    assert (bare["taxExempt"], bare["tags"], bare["address"], bare["metadata"]) == (False, [], None, {})


def test_put_takes_back_what_was_read(call):
    """The body just read can be sent back: read-only members are ignored and nothing changes but updatedAt."""
    row = create(call, address={"line1": "1 rue"}, acceptsMarketing=True).json()
    again = put(call, row, row).json()
    assert again | {"updatedAt": ""} == row | {"updatedAt": ""}


def test_strict_update(call, sandbox):
    """All five keys must be there on update, null as long as e-mail or phone is left; the switch tightens or relaxes."""
    row = create(call, email=None).json()
    body = {**DOE, "email": None}
    assert put(call, row, body).status_code == 200
    without = {name: value for name, value in body.items() if name != "email"}
    assert put(call, row, without).status_code == 400
    assert put(call, row, {**body, "phone": None}).status_code == 400
    sandbox.switch(SB, strict_update="values")
    assert put(call, row, body).status_code == 400
    sandbox.switch(SB, strict_update="one_of")
    assert put(call, row, without).status_code == 200


def test_delete_is_permanent(call, sandbox):
    """DELETE answers the customer with deletedAt, then 404; a customer with orders is 409."""
    row, busy = create(call).json(), create(call, email="b@doe.example").json()
    answer = call(SB, "DELETE", f"/customers/{row['id']}")
    assert answer.json()["id"] == row["id"]
    assert "deletedAt" in answer.json()
    assert call(SB, "GET", f"/customers/{row['id']}").json()["error"]["code"] == "NOT_FOUND"
    sandbox.edit(SB, str(busy["id"]), {"activeOrders": 2})
    refused = call(SB, "DELETE", f"/customers/{busy['id']}").json()["error"]
    assert (refused["code"], refused["details"][0]["activeOrdersCount"]) == ("CONFLICT", 2)
    assert not sandbox.journal(SB)[-1]["committed"]
    sandbox.edit(SB, str(busy["id"]), {"activeOrders": 0})
    sandbox.switch(SB, delete_status=204)
    assert call(SB, "DELETE", f"/customers/{busy['id']}").status_code == 204


def test_list_pages(call, sandbox):
    """Pages are counted from 1, count is the total, the newest comes first unless asked otherwise."""
    total = len(sandbox.records(SB))
    page = call(SB, "GET", "/customers", params={"page": 2, "pageSize": 5}).json()
    assert page["metadata"] == {"page": 2, "pageSize": 5, "totalPages": -(-total // 5), "count": total}
    assert len(page["data"]) == 5
    stamps = [row["createdAt"] for row in call(SB, "GET", "/customers").json()["data"]]
    assert stamps == sorted(stamps, reverse=True)
    ids = [
        row["id"] for row in call(SB, "GET", "/customers", params={"orderBy": "id", "sortOrder": "asc"}).json()["data"]
    ]
    assert ids == sorted(ids)
    for query in ({"pageSize": 101}, {"page": 0}, {"orderBy": "colour"}, {"sortOrder": "up"}):
        assert call(SB, "GET", "/customers", params=query).json()["error"]["code"] == "INVALID_PARAMETER"


def test_filters_and_other_envelope(call, sandbox):
    """search, email, flags and tags filter; the switch changes the envelope."""
    row = create(call, tags=["vip"], taxExempt=True).json()
    for query in ({"search": "doe"}, {"email": "JOHN@DOE.example"}, {"tags": "x,vip"}, {"taxExempt": "true"}):
        assert [one["id"] for one in call(SB, "GET", "/customers", params=query).json()["data"]] == [row["id"]]
    sandbox.switch(SB, envelope="pagination")
    answer = call(SB, "GET", "/customers", params={"pageSize": 10}).json()
    assert (answer["pagination"]["hasNext"], answer["pagination"]["totalCount"]) == (True, len(sandbox.records(SB)))


def test_profile_a_shows_the_seed_members_only(call, sandbox):
    """Profile A has the eight members of the seed's page."""
    sandbox.switch(SB, profile="A")
    row = create(call, taxExempt=True).json()
    assert row == {**DOE, "id": row["id"], "taxExempt": True, "acceptsMarketing": False}


def test_profile_c(call, sandbox):
    """Profile C has the business in the path, other names and envelope, and problem details."""
    sandbox.switch(SB, profile="C")
    assert call(SB, "GET", "/customers").status_code == 404
    path = "/businesses/881/customers"
    body = {"firstName": "Ana", "lastName": "Roy", "email": "ana@roy.example", "phoneNumber": "1", "locale": "fr-CA",
            "isTaxExempt": True, "companyName": "Roy inc.", "address": {"line1": "2 rue"}}  # fmt: skip
    row = call(SB, "POST", path, json=body).json()
    assert row["phoneNumber"] == "1"
    assert row["billingAddress"]["company"] == "Roy inc."
    assert not {"locale", "taxExempt", "companyName", "metadata", "phone"} & set(row)
    page = call(SB, "GET", path, params={"Email": "ana@roy.example"}).json()
    assert page["pagination"] == {"count": 1, "pageCount": 1, "currentPage": 1, "limit": 25}
    changed = call(
        SB, "PUT", f"{path}/{row['id']}", json={"firstName": "Anna", "lastName": "Roy", "email": "ana@roy.example"}
    )
    assert (changed.json()["phoneNumber"], changed.json()["billingAddress"]["company"]) == (None, "Roy inc.")
    refused = call(SB, "POST", path, json=body)
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["code"], refused.json()["existingCustomerId"]) == ("DUPLICATE_CUSTOMER", row["id"])
    assert call(SB, "GET", "/businesses/7/customers").status_code == 403


def test_idempotency_key(call, sandbox):
    """The same key and body replay the first answer, another body is 409; the switch turns it off."""
    key = {"Idempotency-Key": "k1"}
    first = call(SB, "POST", "/customers", json=DOE, headers=key)
    again = call(SB, "POST", "/customers", json=DOE, headers=key)
    assert again.json() == first.json()
    assert call(SB, "POST", "/customers", json={**DOE, "email": "x@y.example"}, headers=key).status_code == 409
    assert len(sandbox.journal(SB, writes=True)) == 1
    sandbox.switch(SB, idempotency=False)
    assert call(SB, "POST", "/customers", json=DOE, headers=key).json()["error"]["code"] == "DUPLICATE_CUSTOMER"


def test_batch(call):
    """Batches take and give arrays; update items carry their id."""
    rows = call(SB, "POST", "/customers/batch", json=[DOE, {**DOE, "email": "b@doe.example"}]).json()
    changed = call(SB, "PUT", "/customers/batch", json=[{**row, "lastName": "Roe"} for row in rows]).json()
    assert [row["lastName"] for row in changed] == ["Roe", "Roe"]
    assert call(SB, "POST", "/customers/batch", json={}).status_code == 400


@pytest.mark.parametrize("burst", [3])
def test_rate_limit(call, sandbox, burst):
    """Beyond the bucket comes 429 with Retry-After and a body outside the error envelope."""
    sandbox.switch(SB, rate_burst=burst, rate_per_second=0.0)
    sandbox._edge._buckets.clear()
    answers = [call(SB, "GET", "/customers") for _ in range(burst + 1)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "5"
    assert answers[-1].json()["code"] == "RATE_LIMITED"
    assert "x-ratelimit-limit" not in answers[-1].headers
    sandbox._edge._buckets.clear()


def test_unknown_members_are_ignored(call, sandbox):
    """A member of another dialect is ignored silently; the journal calls it a violation."""
    row = create(call, phoneNumber="1").json()
    assert row["phone"] == DOE["phone"]
    assert sandbox.violations()[0]["violation"] == "unknown member phoneNumber"
    assert call(SB, "POST", "/customers", data=DOE).status_code == 415


def test_webhooks(call, sandbox):
    """A registered receiver gets signed customer events once the switch is on, and none while it is off."""
    got = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.put((self.headers["x-smartbills-signature"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        assert call(SB, "POST", "/webhooks", json={"url": "https://example.org/"}).status_code == 400
        hook = call(SB, "POST", "/webhooks", json={"url": url, "events": ["business.customer.created"]}).json()
        create(call, email="quiet@doe.example")
        sandbox.switch(SB, customer_webhooks=True)
        row = create(call).json()
        seal, body = got.get(timeout=5)
        assert seal == hmac.new(hook["secret"].encode(), body, hashlib.sha256).hexdigest()
        assert (json.loads(body)["type"], json.loads(body)["data"]) == ("business.customer.created", row)
        call(SB, "POST", f"/webhooks/{hook['id']}/test")
        assert json.loads(got.get(timeout=5)[1])["type"] == "webhook.test"
        assert call(SB, "PATCH", f"/webhooks/{hook['id']}", json={"active": False}).json()["active"] is False
        assert call(SB, "DELETE", f"/webhooks/{hook['id']}").status_code == 204
        assert call(SB, "GET", f"/webhooks/{hook['id']}").status_code == 404
        assert got.empty()
        server.shutdown()
