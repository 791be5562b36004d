"""Flowtly: what PROVIDERS says about it, statement by statement."""

from __future__ import annotations

import pytest

FL = "flowtly"
NEW = {"name": "ACME", "country": "/countries/PL", "currency": "/currencies/PLN", "status": "active", "tinType": "nip"}
MERGE = {"Content-Type": "application/merge-patch+json"}


def create(call, **more):
    return call(FL, "POST", "/clients", json={**NEW, **more})


def patch(call, iri, **body):
    import json  # noqa: PLC0415 - httpx's json= would set another content type

    return call(FL, "PATCH", iri, content=json.dumps(body), headers=MERGE)


def log_in(call, sandbox, **more):
    known = sandbox.credentials[FL]
    body = {"username": known["username"], "password": known["password"], **more}
    return call.http.post(sandbox.auth_urls[FL], json=body)


def test_login_and_its_refusals(call, sandbox):
    """POST /login gives a token; failures look like the JWT bundle's."""
    token = log_in(call, sandbox).json()["token"]
    assert call(FL, "GET", "/clients", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    wrong = log_in(call, sandbox, password="x")
    assert (wrong.status_code, wrong.json()) == (401, {"code": 401, "message": "Invalid credentials."})
    bare = call.http.get(f"{sandbox.base_urls[FL]}/clients")
    assert (bare.json()["message"], bare.headers["www-authenticate"]) == ("JWT Token not found", "Bearer")
    sandbox.expire_tokens(FL)
    late = call(FL, "GET", "/clients", headers={"Authorization": f"Bearer {token}"})
    assert late.json() == {"code": 401, "message": "Expired JWT Token"}
    assert call(FL, "GET", "/clients", headers={"Authorization": "Bearer x"}).json()["message"] == "Invalid JWT Token"


def test_hydra_collection(call, sandbox):
    """A collection is JSON-LD with hydra: names; view is there only where there are several pages."""
    sandbox.switch(FL, page_size=8)
    first = call(FL, "GET", "/clients").json()
    total = len(sandbox.records(FL))
    assert (first["@id"], first["@type"], first["hydra:totalItems"]) == ("/clients", "hydra:Collection", total)
    assert len(first["hydra:member"]) == 8
    assert first["hydra:view"]["hydra:next"] == "/clients?page=2"
    last = call(FL, "GET", "/clients", params={"page": 3}).json()
    assert "hydra:next" not in last["hydra:view"]
    assert last["hydra:view"]["hydra:previous"] == "/clients?page=2"
    assert call(FL, "GET", "/clients", params={"page": 9}).json()["hydra:member"] == []
    sandbox.switch(FL, page_size=30)
    assert "hydra:view" not in call(FL, "GET", "/clients").json()


def test_page_zero(call):
    """Page 0 is 400 with the framework's sentence, as a problem body."""
    answer = call(FL, "GET", "/clients", params={"page": 0})
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Page should not be less than 1")


def test_names_without_prefix(call, sandbox):
    """The switch takes the prefix away."""
    sandbox.switch(FL, hydra_prefix=False, page_size=8)
    body = call(FL, "GET", "/clients").json()
    assert (body["@type"], body["totalItems"], body["view"]["next"]) == (
        "Collection",
        len(sandbox.records(FL)),
        "/clients?page=2",
    )


def test_bare_json(call, sandbox):
    """Accept application/json gives a bare array without @id; the switch makes it 406."""
    answer = call(FL, "GET", "/clients", headers={"Accept": "application/json"})
    assert isinstance(answer.json(), list)
    assert "@id" not in answer.json()[0]
    sandbox.switch(FL, json_format=False)
    assert call(FL, "GET", "/clients", headers={"Accept": "application/json"}).status_code == 406
    assert create(call).status_code == 415


def test_items_per_page_only_by_switch(call, sandbox):
    """ItemsPerPage is ignored unless the vendor enabled it."""
    assert len(call(FL, "GET", "/clients", params={"itemsPerPage": 2}).json()["hydra:member"]) > 2
    sandbox.switch(FL, items_per_page=True)
    assert len(call(FL, "GET", "/clients", params={"itemsPerPage": 2}).json()["hydra:member"]) == 2


def test_create(call):
    """A create answers 201 with Location and the whole object, nulls left out, vatNumber made from the tax number."""
    answer = create(call, tin="5260250274", tinCountry="PL", dueDays=14)
    row = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == answer.headers["content-location"] == row["@id"]
    assert row == {
        "@context": "/contexts/Client", "@id": f"/clients/{row['id']}", "@type": "Client", "id": row["id"], **NEW,
        "tin": "5260250274", "tinCountry": "PL", "vatNumber": "PL5260250274", "dueDays": 14, "clientContacts": [],
    }  # fmt: skip
    assert call(FL, "GET", row["@id"]).json() == row
    assert call(FL, "GET", f"{row['@id']}/documents").json() == row


def test_nulls_can_be_shown(call, sandbox):
    """The switch shows nulls."""
    sandbox.switch(FL, omit_nulls=False)
    assert create(call).json()["addressCity"] is None


def test_required_members(call, sandbox):
    """Missing required members are 422 with violations."""
    answer = call(FL, "POST", "/clients", json={"name": " "})
    assert answer.status_code == 422
    assert answer.json()["@type"] == "ConstraintViolation"
    paths = {one["propertyPath"] for one in answer.json()["violations"]}
    assert paths == {"name", "country", "currency", "status", "tinType"}
    assert len(sandbox.violations()) == 1


@pytest.mark.parametrize(
    "change, status, detail",
    [
        ({"name": 5}, 400, 'The type of the "name" attribute must be "string", "integer" given.'),
        ({"country": "Poland"}, 400, 'Invalid IRI "Poland".'),
        ({"country": "/countries/ZZ"}, 400, 'Item not found for "/countries/ZZ".'),
        ({"country": 3}, 400, 'The type of the "country" attribute must be "string", "integer" given.'),
        ({"status": "asleep"}, 422, "status: The value you selected is not a valid choice."),
        ({"dueDays": None}, 400, 'The type of the "dueDays" attribute must be "integer", "NULL" given.'),
    ],
)
def test_wrong_values(call, change, status, detail):
    """Wrong types and bad IRIs are 400, wrong choices 422, in the framework's words."""
    answer = create(call, **change)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


def test_full_urls_are_iris_too(call, sandbox):
    """A full URL is taken where an IRI is."""
    assert create(call, country=f"{sandbox.base_urls[FL]}/countries/FR").json()["country"] == "/countries/FR"


def test_iri_styles(call, sandbox):
    """Switches move the API under /api with its IRIs, and key countries by number."""
    sandbox.switch(FL, iri_prefix="/api", iri_keys="integer")
    assert sandbox.base_urls[FL].endswith("/flowtly/api")
    row = create(call, country="/api/countries/1", currency="/api/currencies/2").json()
    assert (row["@id"], row["country"]) == (f"/api/clients/{row['id']}", "/api/countries/1")


def test_merge_patch_only(call, sandbox):
    """PATCH takes merge-patch and nothing else; omitted is unchanged, null clears."""
    iri = create(call, addressCity="Łódź", tin="1").json()["@id"]
    refused = call(FL, "PATCH", iri, json={"name": "B"})
    assert refused.status_code == 415
    assert "application/merge-patch+json" in refused.json()["detail"]
    row = patch(call, iri, name="B", addressCity=None).json()
    assert (row["name"], row["tin"], "addressCity" in row) == ("B", "1", False)
    assert patch(call, iri, vatNumber="PL1").json().get("vatNumber") is None
    assert patch(call, iri, name="").status_code == 422


def test_unknown_members(call, sandbox):
    """Unknown members are ignored, or refused by the switch; the journal tells either way."""
    iri = create(call).json()["@id"]
    assert patch(call, iri, colour="red").status_code == 200
    sandbox.switch(FL, forbid_unknown=True)
    answer = patch(call, iri, colour="red")
    assert answer.json()["detail"] == 'Extra attributes are not allowed ("colour" is unknown).'
    assert len(sandbox.violations()) == 2


def test_no_delete_and_no_put(call, sandbox):
    """DELETE and PUT on a client are 405 with Allow; an unknown id is 404."""
    iri = create(call).json()["@id"]
    for method in ("DELETE", "PUT"):
        answer = call(FL, method, iri)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PATCH")
    assert call(FL, "GET", "/clients/99999").json()["detail"] == "Not Found"
    assert call(FL, "GET", "/countries").status_code == 404
    assert len(sandbox.violations()) == 3


def test_contacts(call):
    """Contacts are a resource of their own, embedded in their client on read."""
    client = create(call).json()["@id"]
    missing = call(FL, "POST", "/client-contacts", json={"client": client})
    assert {one["propertyPath"] for one in missing.json()["violations"]} == {"type", "email", "name"}
    body = {"client": client, "type": "billing", "email": "a@b.pl", "name": "Anna"}
    assert call(FL, "POST", "/client-contacts", json={**body, "email": "nothing"}).status_code == 422
    contact = call(FL, "POST", "/client-contacts", json=body).json()
    assert (contact["client"], contact["position"]) == (client, 0)
    assert {"createdAt", "updatedAt", "possibleTypes"} <= set(contact)
    embedded = call(FL, "GET", client).json()["clientContacts"]
    assert embedded == [{"@id": contact["@id"], "@type": "ClientContact", "id": contact["id"], "type": "billing",
                         "email": "a@b.pl", "name": "Anna", "position": 0}]  # fmt: skip
    assert patch(call, contact["@id"], email="c@d.pl", phone="+48501").json()["email"] == "c@d.pl"
    assert call(FL, "DELETE", contact["@id"]).status_code == 204
    assert call(FL, "GET", client).json()["clientContacts"] == []


def test_patching_the_embedded_array_destroys(call, sandbox):
    """ClientContacts in a PATCH is the whole new collection: a stale array removes contacts; nested documents are 400."""
    row = next(row for row in sandbox.records(FL) if row["clientContacts"])
    contact = row["clientContacts"][0]
    assert patch(call, row["@id"], clientContacts=[contact]).json()["clientContacts"] == [contact]
    nested = patch(call, row["@id"], clientContacts=[{"name": "X"}])
    assert "Use IRIs instead" in nested.json()["detail"]
    assert patch(call, row["@id"], clientContacts=[]).json()["clientContacts"] == []
    assert call(FL, "GET", contact["@id"]).status_code == 404
    assert sandbox.violations()


def test_notes(call):
    """Notes have text ids and need a client and an employee."""
    client = create(call).json()["@id"]
    note = call(FL, "POST", "/client-notes", json={"client": client, "employee": "/employees/1", "note": "x"}).json()
    assert isinstance(note["id"], str)
    assert patch(call, note["@id"], note="y").json()["note"] == "y"
    assert call(FL, "POST", "/client-notes", json={"client": client, "note": "x"}).status_code == 422
    assert call(FL, "GET", "/client-notes").json()["hydra:totalItems"] == 1
    assert call(FL, "DELETE", note["@id"]).status_code == 204


def test_search(call):
    """Search looks into names and tax numbers."""
    row = create(call, name="Zażółć", tin="5260250274").json()
    for words in ("zażół", "526025"):
        members = call(FL, "GET", "/clients/search", params={"query": words}).json()["hydra:member"]
        assert [member["id"] for member in members] == [row["id"]]


def test_counterparties_and_their_merge(call, sandbox):
    """Counterparties can be merged: the loser answers 404 afterwards, or stays by the switch."""
    first, second, third = (
        call(FL, "POST", "/counterparties", json={"displayName": name}).json()["@id"] for name in "ABC"
    )
    merged = call(FL, "POST", f"{first}/merge", json={"counterparties": [second]})
    assert (merged.status_code, merged.json()["@id"]) == (201, first)
    assert call(FL, "GET", second).status_code == 404
    sandbox.switch(FL, merge_retires=False)
    call(FL, "POST", f"{first}/merge", json={"counterparties": [third]})
    assert call(FL, "GET", third).status_code == 200
    assert call(FL, "POST", f"{first}/enrich-branding-ai", json={}).status_code == 202
    assert call(FL, "DELETE", first).status_code == 204


def test_counterparty_with_client(call, sandbox):
    """The singular path makes and changes client and counterparty together; the switch makes both on POST /clients."""
    made = call(FL, "POST", "/counterparty", json={**NEW, "type": "client"}).json()
    client = sandbox.records(FL)[-1]
    assert (made["displayName"], client["name"]) == ("ACME", "ACME")
    assert patch(call, f"/counterparty/{made['id']}", name="ACME 2").json()["displayName"] == "ACME 2"
    assert sandbox.records(FL)[-1]["name"] == "ACME 2"
    sandbox.switch(FL, counterparty_auto_create=True)
    create(call, name="Beta")
    assert sandbox.records(FL, "counterparties")[-1]["displayName"] == "Beta"


def test_instance_and_etag(call, sandbox):
    """The tenant selector can be demanded, and a content-hash ETag shown."""
    sandbox.switch(FL, etag=True, require_instance=True)
    assert call(FL, "GET", "/clients").status_code == 403
    first, second = (call(FL, "GET", "/clients/1", headers={"instance": "demo"}) for _ in range(2))
    assert first.headers["etag"] == second.headers["etag"]
