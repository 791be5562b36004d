"""Tiime: what PROVIDERS says about it, statement by statement."""

from __future__ import annotations

import pytest

CLIENTS = "/companies/4242/clients"


def listing(call, header=None, **query):
    return call("tiime", "GET", CLIENTS, headers={"Range": header} if header else {}, params=query)


def log_in(call, sandbox, **more):
    known = sandbox.credentials["tiime"]
    body = {"grant_type": "password", "client_id": "web", "audience": "https://chronos/", "scope": "openid email"}
    body |= {"username": known["username"], "password": known["password"], **more}
    return call.http.post(sandbox.auth_urls["tiime"], json=body)


def test_password_grant(call, sandbox):
    """A password grant gives a bearer token that opens the API, with its lifetime."""
    answer = log_in(call, sandbox)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 7200
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert call("tiime", "GET", "/users/me", headers=headers).json()["active_company"] == 4242


def test_offline_access_gives_a_refresh_token(call, sandbox):
    """The scope offline_access adds a refresh token, which the refresh grant takes."""
    token = log_in(call, sandbox, scope="openid offline_access").json()["refresh_token"]
    assert log_in(call, sandbox, grant_type="refresh_token", refresh_token=token).status_code == 200
    assert log_in(call, sandbox, grant_type="refresh_token", refresh_token="other").status_code == 403


@pytest.mark.parametrize(
    "change", [{"password": "x"}, {"audience": "https://other/"}, {"grant_type": "client_credentials"}]
)
def test_refused_grants_look_like_auth0(call, sandbox, change):
    """A refused login has the body of Auth0."""
    answer = log_in(call, sandbox, **change)
    assert answer.status_code == 403
    assert set(answer.json()) == {"error", "error_description"}


def test_expired_token(call, sandbox):
    """A token that ended is answered with 401 in the API's own error body."""
    token = log_in(call, sandbox).json()["access_token"]
    sandbox.expire_tokens("tiime")
    answer = call("tiime", "GET", CLIENTS, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.json()["error"] == 401
    assert set(answer.json()) == {"error", "error_code", "error_description"}


def test_range_pages(call, sandbox):
    """Range is zero-based and inclusive; Content-Range says * while more follow and the total at the end."""
    total = len(sandbox.records("tiime"))
    first = listing(call, "items=0-9")
    assert (first.status_code, len(first.json())) == (206, 10)
    assert first.headers["content-range"] == "items 0-9/*"
    last = listing(call, f"items=10-{total + 5}")
    assert (last.status_code, len(last.json())) == (200, total - 10)
    assert last.headers["content-range"] == f"items 10-{total - 1}/{total}"
    assert {row["id"] for row in first.json()}.isdisjoint(row["id"] for row in last.json())


def test_everything_at_once(call, sandbox):
    """items=0-* gives everything with 200, ordered by name."""
    answer = listing(call, "items=0-*")
    assert answer.status_code == 200
    names = [row["name"].casefold() for row in answer.json()]
    assert names == sorted(names)
    assert len(names) == len(sandbox.records("tiime"))


def test_no_range_shows_a_default_window(call, sandbox):
    """Without a Range header the default window is shown, with 206 where more follow."""
    sandbox.switch("tiime", default_window=4)
    answer = listing(call)
    assert (answer.status_code, len(answer.json())) == (206, 4)


def test_past_the_end(call, sandbox):
    """A range past the end is an empty array, or 416 by the switch."""
    answer = listing(call, "items=900-999")
    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["content-range"] == f"items */{len(sandbox.records('tiime'))}"
    sandbox.switch("tiime", past_the_end="416")
    assert listing(call, "items=900-999").status_code == 416


def test_known_totals(call, sandbox):
    """The switch total_style tells the total on every page."""
    sandbox.switch("tiime", total_style="known")
    assert listing(call, "items=0-1").headers["content-range"].endswith(f"/{len(sandbox.records('tiime'))}")


def test_archived_filter(call):
    """No filter shows all, true only the archived, false only the others."""
    everyone = listing(call, "items=0-*").json()
    gone = listing(call, "items=0-*", archived="true").json()
    here = listing(call, "items=0-*", archived="false").json()
    assert all(row["archived"] and row["archived_at"] == "2024-06-01 09:30:00" for row in gone)
    assert len(gone) + len(here) == len(everyone)
    assert gone


def test_search_matches_names(call):
    """Search matches names, archived ones too."""
    row = listing(call, "items=0-*", archived="true").json()[0]
    assert row["id"] in [one["id"] for one in listing(call, search=row["name"][:6].lower()).json()]


def test_malformed_range_is_a_violation(call, sandbox):
    """A Range header of another form is refused and journalled."""
    assert listing(call, "bytes=0-9").status_code == 400
    assert sandbox.violations()[0]["violation"] == "Range header"


def test_create_fills_what_the_server_makes(call):
    """A create answers 201 with every member, the server's own among them; country goes in by id."""
    answer = call(
        "tiime", "POST", CLIENTS, json={"name": "Éclair", "siren_or_siret": "732 829 320 00074", "country_id": 75}
    )
    row = answer.json()
    assert answer.status_code == 201
    assert (row["siren"], row["siret"]) == ("732829320", "73282932000074")
    assert (row["slug"], row["acronym"], row["archived"]) == ("eclair", "EC", False)
    assert (row["country"]["code"], row["country_code"], row["professional"]) == ("FR", "FR", True)
    assert (row["address"], row["email"], row["note"]) == ("", None, None)
    assert call("tiime", "GET", f"{CLIENTS}/{row['id']}").json() == row


def test_read_only_members_are_ignored(call, sandbox):
    """Members that cannot be written are ignored silently; the journal tells."""
    row = call("tiime", "POST", CLIENTS, json={"name": "A", "iban": "FR76", "intracom_vat_number": "FR1"}).json()
    assert (row["iban"], row["intracom_vat_number"]) == (None, None)
    assert sandbox.journal("tiime")[-1]["ignored"] == ["iban", "intracom_vat_number"]
    assert sandbox.violations() == []


@pytest.mark.parametrize(
    "body", [{}, {"name": " "}, {"name": "A", "country_id": 9999}, {"name": "A", "professional": "yes"}]
)
def test_invalid_create_is_422(call, sandbox, body):
    """A missing name or a wrong value is 422 in the error body, and nothing is created."""
    count = len(sandbox.records("tiime"))
    answer = call("tiime", "POST", CLIENTS, json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, 422)
    assert len(sandbox.records("tiime")) == count


def test_nothing_changes_a_client(call, sandbox):
    """PATCH, PUT and DELETE of a client are 405 with Allow, and violations."""
    row_id = sandbox.records("tiime")[0]["id"]
    for method in ("PATCH", "PUT", "DELETE"):
        answer = call("tiime", method, f"{CLIENTS}/{row_id}", json={"name": "B"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert len(sandbox.violations()) == 3


def test_experimental_update(call, sandbox):
    """The switch update offers one verb, which changes only what is named."""
    sandbox.switch("tiime", update="PATCH", delete=True)
    row = sandbox.records("tiime")[0]
    changed = call("tiime", "PATCH", f"{CLIENTS}/{row['id']}", json={"archived": True}).json()
    assert changed["archived"] is True
    assert changed["name"] == row["name"]
    assert call("tiime", "DELETE", f"{CLIENTS}/{row['id']}").status_code == 204
    assert call("tiime", "GET", f"{CLIENTS}/{row['id']}").status_code == 404


def test_contacts_are_read_apart(call, sandbox):
    """Contacts have a call of their own, and the switch takes it away."""
    row = next(row for row in sandbox.records("tiime") if row["professional"])
    contacts = call("tiime", "GET", f"{CLIENTS}/{row['id']}/contacts").json()
    assert set(contacts[0]) == {"id", "firstname", "lastname", "email", "phone", "job", "invoicing_use_email"}
    sandbox.switch("tiime", contacts=False)
    assert call("tiime", "GET", f"{CLIENTS}/{row['id']}/contacts").status_code == 404


def test_refusals(call, sandbox):
    """Another company is 403, an unknown client or path 404, an unknown Accept 406, another body type 415."""
    assert call("tiime", "GET", "/companies/1/clients").status_code == 403
    assert call("tiime", "GET", f"{CLIENTS}/1").status_code == 404
    assert call("tiime", "GET", "/suppliers").status_code == 404
    assert call("tiime", "GET", CLIENTS, headers={"Accept": "text/html"}).status_code == 406
    assert call("tiime", "POST", CLIENTS, data={"name": "A"}).status_code == 415
    assert len(sandbox.violations()) == 3
    sandbox.switch("tiime", require_app_headers=True)
    assert call("tiime", "GET", CLIENTS).status_code == 400


def test_tokens_come_only_from_their_place(call, sandbox):
    """The API has no token call, and the token's host no clients."""
    assert call("tiime", "POST", "/oauth/token", json={}).status_code == 404
    assert call.http.get(f"{sandbox.url}/auth{CLIENTS}").status_code == 404


def test_billing_moves_on_its_own(call, sandbox):
    """With the switch the billing members differ from reading to reading."""
    sandbox.switch("tiime", moving_billing=True)
    first, second = (listing(call, "items=0-0").json()[0] for _ in range(2))
    assert first["billed_including_taxes"] != second["billed_including_taxes"]
    assert first["name"] == second["name"]
