"""LSP.expert: what PROVIDERS says about it, statement by statement."""

from __future__ import annotations

import pytest

LSP = "lsp_expert"


def create(call, **form):
    return call(LSP, "POST", "/clients", data={"name": "Google", **form}).json()


def put(call, row, **form):
    return call(LSP, "PUT", f"/clients/{row['id']}", data=form)


def test_basic_auth_with_an_empty_password(call, sandbox):
    """The key is the user name and the password is empty; anything else is 401 with the documented body."""
    url, key = f"{sandbox.base_urls[LSP]}/clients", sandbox.credentials[LSP]["api_key"]
    assert call.http.get(url, auth=(key, "")).status_code == 200
    refused = call.http.get(url, auth=(key, "x"))
    assert refused.status_code == 401
    assert refused.json()["name"] == "NotAuthenticated"
    assert call.http.get(url).json()["code"] == "authentication_required"


def test_pages_of_twenty(call, sandbox):
    """The envelope holds twenty items and says where one stands; page is 1-based and has no size."""
    total = len(sandbox.records(LSP))
    first = call(LSP, "GET", "/clients", params={"limit": "100"}).json()
    assert {key: first[key] for key in first if key != "items"} == {
        "pageSize": 20, "page": 1, "totalPages": 2, "totalItems": total, "hasNextPage": True, "hasPreviousPage": False,
    }  # fmt: skip
    second = call(LSP, "GET", "/clients", params={"page": 2}).json()
    assert len(first["items"]) + len(second["items"]) == total
    assert (second["hasNextPage"], second["hasPreviousPage"]) == (False, True)
    assert call(LSP, "GET", "/clients", params={"page": 9}).json()["items"] == []


def test_sort_values(call):
    """createdAt, updatedAt and name can be sorted by, other values are an error."""
    names = [
        row["name"]
        for row in call(LSP, "GET", "/clients", params={"sort": "name", "direction": "desc"}).json()["items"]
    ]
    assert names == sorted(names, reverse=True)
    for query in ({"sort": "vatNumber"}, {"direction": "down"}, {"page": "0"}):
        answer = call(LSP, "GET", "/clients", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")


def test_list_items_have_empty_children(call, sandbox):
    """List items show no contacts though the client has some; the switch shows them; `object` is only on single answers."""
    row = next(row for row in sandbox.records(LSP) if row["contacts"])

    def listed():
        items = [
            item for page in (1, 2) for item in call(LSP, "GET", "/clients", params={"page": page}).json()["items"]
        ]
        return next(item for item in items if item["id"] == row["id"])

    assert listed()["contacts"] == []
    assert "object" not in listed()
    single = call(LSP, "GET", f"/clients/{row['id']}").json()
    assert single["contacts"]
    assert single["object"] == "client"
    sandbox.switch(LSP, list_children="full")
    assert listed()["contacts"] == row["contacts"]


def test_archived_in_list_switch(call, sandbox):
    """Archived clients are listed unless the switch says otherwise."""
    total = call(LSP, "GET", "/clients").json()["totalItems"]
    sandbox.switch(LSP, archived_in_list=False)
    assert call(LSP, "GET", "/clients").json()["totalItems"] < total


def test_create_injects_defaults(call):
    """A client made of a name alone reads back as in the documentation, unset members left out."""
    row = create(call)
    assert row["address"] == {"name": "Google"}
    assert row["invoice"]["currency"] == {"code": "EUR", "symbol": "€"}
    assert row["invoice"]["tax1"]["value"] == 0.21
    assert row["invoice"]["document"]["name"] == "English"
    assert len(row["users"]) == 1
    assert not {"details", "vatNumber", "logoUrl", "catConfiguration", "filenameFormats"} & set(row)
    assert row["createdAt"] < row["updatedAt"]
    assert (len(row["id"]), row["createdAt"][-1], row["object"]) == (24, "Z", "client")


def test_flat_names_read_back_nested(call):
    """Every flat write name is seen at its nested place."""
    row = create(
        call, addressName="G", addressLine1="1 rue", addressLine2="B", addressCity="Lyon", addressPostalCode="69001",
        addressState="ARA", addressCountry="fr", applyVATReverseCharge="true", currency="CAD", paymentTerms="30",
        paymentTermsEndOfMonth="true", minimumFee="12.5", validityDays="15", details="<p>x</p>", vatNumber="FR1",
        nationalIdentificationNumber="732829320", invoiceFilenameFormat="F-{n}",
    )  # fmt: skip
    assert row["address"] == {
        "name": "G", "line1": "1 rue", "line2": "B", "city": "Lyon", "postalCode": "69001", "state": "ARA", "country": "FR",
    }  # fmt: skip
    invoice = row["invoice"]
    assert (invoice["paymentTerms"], invoice["minimumFee"], invoice["validityDays"]) == (30, 12.5, 15)
    assert (invoice["applyVATReverseCharge"], invoice["currency"]["code"]) == (True, "CAD")
    assert (row["details"], row["vatNumber"], row["filenameFormats"]) == ("<p>x</p>", "FR1", {"invoice": "F-{n}"})


def test_update_is_partial(call):
    """What a PUT leaves out stays; address.name lives on its own after the creation."""
    row = create(call, vatNumber="FR1")
    changed = put(call, row, name="Google inc.").json()
    assert (changed["name"], changed["address"]["name"], changed["vatNumber"]) == ("Google inc.", "Google", "FR1")
    assert changed["createdAt"] == row["createdAt"]


def test_empty_value_clears(call, sandbox):
    """An empty form value clears a nullable member, the text null does not; the switch stores or ignores it instead."""
    row = create(call, vatNumber="FR1")
    assert put(call, row, vatNumber="null").json()["vatNumber"] == "null"
    assert "vatNumber" not in put(call, row, vatNumber="").json()
    assert put(call, row, name="").status_code == 400
    sandbox.switch(LSP, empty_value="store")
    assert put(call, row, vatNumber="").json()["vatNumber"] == ""
    sandbox.switch(LSP, empty_value="ignore")
    put(call, row, vatNumber="FR2")
    assert put(call, row, vatNumber="").json()["vatNumber"] == "FR2"


def test_json_bodies(call, sandbox):
    """JSON bodies are taken, a null clears; the switch refuses them with 415."""
    row = create(call, vatNumber="FR1")
    path = f"/clients/{row['id']}"
    assert "vatNumber" not in call(LSP, "PUT", path, json={"vatNumber": None, "archived": True}).json()
    sandbox.switch(LSP, json_bodies=False)
    assert call(LSP, "PUT", path, json={"vatNumber": None}).status_code == 415


@pytest.mark.parametrize(
    "method, form, code",
    [
        ("POST", {"vatNumber": "x"}, "parameter_missing"),
        ("POST", {"name": "A", "archived": "true"}, "parameter_unknown"),
        ("PUT", {"validityDays": "3"}, "parameter_unknown"),
        ("PUT", {"address": "x"}, "parameter_unknown"),
        ("PUT", {"archived": "yes"}, "parameter_invalid"),
        ("PUT", {"addressCountry": "France"}, "parameter_invalid"),
        ("PUT", {"currency": "XXX"}, "parameter_invalid"),
        ("PUT", {"tax1": "nothing"}, "parameter_invalid"),
    ],
)
def test_invalid_parameters(call, sandbox, method, form, code):
    """Missing, unknown and wrong parameters are 400 with a code and a request id; all are journalled."""
    path = "/clients" if method == "POST" else f"/clients/{sandbox.records(LSP)[0]['id']}"
    answer = call(LSP, method, path, data=form)
    assert (answer.status_code, answer.json()["code"], len(answer.json()["id"])) == (400, code, 21)
    assert len(sandbox.violations()) == 1


def test_archive_and_back(call):
    """Archived and pinned are set by an update."""
    row = create(call)
    assert put(call, row, archived="true").json()["archived"] is True
    assert put(call, row, archived="false", pinned="true").json()["pinned"] is True


def test_delete(call, sandbox):
    """DELETE answers 200 with the id, or 204 by the switch; then the client is 404 with the documented body."""
    first, second, third = create(call), create(call), create(call)
    answer = call(LSP, "DELETE", f"/clients/{first['id']}")
    assert (answer.status_code, answer.json()) == (200, {"id": first["id"], "deleted": True})
    gone = call(LSP, "GET", f"/clients/{first['id']}")
    assert gone.status_code == 404
    assert {key: gone.json()[key] for key in ("message", "name", "code")} == {
        "message": "Item not found", "name": "NotFound", "code": "resource_missing",
    }  # fmt: skip
    sandbox.switch(LSP, delete_status=204, refuse_delete_in_use=True)
    answer = call(LSP, "DELETE", f"/clients/{second['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    sandbox.edit(LSP, third["id"], {"_in_use": True})
    assert call(LSP, "DELETE", f"/clients/{third['id']}").status_code == 409


def test_contacts(call, sandbox):
    """Contacts are made, read, changed and removed by their own calls, nested flags in brackets."""
    path = f"/clients/{create(call)['id']}/contacts"
    assert call(LSP, "POST", path, data={"email": "a@b.fr"}).json()["code"] == "parameter_missing"
    bare = call(LSP, "POST", path, data={"fullName": "Zoé"}).json()
    assert (bare["nickname"], bare["notes"], "email" in bare) == ("", "<p></p>", False)
    full = call(
        LSP, "POST", path, data={"fullName": "Léa", "email": "lea@b.fr", "emails[invoice]": "true", "notes": "a & b"}
    )
    assert full.json()["emails"] == {"invoice": True, "quote": False, "ccInvoice": False, "ccQuote": False}
    assert full.json()["notes"] == "<p>a &amp; b</p>"
    one = f"{path}/{full.json()['id']}"
    changed = call(LSP, "PUT", one, data={"phone": "+33199001234", "email": ""}).json()
    assert (changed["fullName"], changed["phone"], "email" in changed) == ("Léa", "+33199001234", False)
    assert [contact["fullName"] for contact in call(LSP, "GET", path).json()] == ["Zoé", "Léa"]
    assert call(LSP, "DELETE", one).status_code == 200
    assert call(LSP, "GET", one).status_code == 404
    assert len(sandbox.violations()) == 1


def test_child_edits_touch_the_client(call, sandbox):
    """An edit of a contact moves the client's updatedAt, unless the switch says otherwise."""
    row = create(call)
    for touches in (True, False):
        sandbox.switch(LSP, touch_on_child=touches)
        before = call(LSP, "GET", f"/clients/{row['id']}").json()["updatedAt"]
        sandbox.switch("*", clock_offset_seconds=60.0 if touches else 120.0)
        call(LSP, "POST", f"/clients/{row['id']}/contacts", data={"fullName": "A"})
        assert (call(LSP, "GET", f"/clients/{row['id']}").json()["updatedAt"] != before) is touches


def test_notes_return_the_client(call):
    """Adding or editing a note answers the whole client; plain text is wrapped, an edit is stamped."""
    row = create(call)
    client = call(LSP, "POST", f"/clients/{row['id']}/notes", data={"content": "bonjour"}).json()
    note = client["notes"][0]
    assert (client["id"], note["content"], "updatedAt" in note) == (row["id"], "<p>bonjour</p>", False)
    client = call(LSP, "PUT", f"/clients/{row['id']}/notes/{note['id']}", data={"content": "<p>salut</p>"}).json()
    assert client["notes"][0]["content"] == "<p>salut</p>"
    assert {"editedByUser", "updatedAt"} <= set(client["notes"][0])


def test_labels_and_account_lists(call, sandbox):
    """Labels are put on and taken off by id and answer the client; the account's lists are bare arrays."""
    row, label = create(call), sandbox.world.systems[LSP].account["labels"][0]
    path = f"/clients/{row['id']}/labels/{label['id']}"
    assert call(LSP, "POST", path).json()["labels"] == [label]
    assert call(LSP, "DELETE", path).json()["labels"] == []
    assert call(LSP, "POST", f"/clients/{row['id']}/labels/x").status_code == 404
    assert [tax["isDefaultTax1"] for tax in call(LSP, "GET", "/account/taxes").json()] == [True, False]
    assert call(LSP, "GET", f"/clients/{row['id']}/files").json() == []


def test_unknown_calls(call, sandbox):
    """Unknown paths are 404, other methods 405; both are violations."""
    assert call(LSP, "GET", "/customers").status_code == 404
    assert call(LSP, "PATCH", f"/clients/{sandbox.records(LSP)[0]['id']}").status_code == 405
    assert [entry["violation"] for entry in sandbox.violations()] == ["no such path", "the method is not offered here"]
