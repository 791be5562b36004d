"""The side door, the journal, people's acts, snapshots, and the files that point syncd here."""

from __future__ import annotations

import stat
import threading
import time
import tomllib

import httpx
import pytest

from syncd.config import load_strict
from syncd.sandbox import MAIN_TABLE, PROVIDERS, start, write_config


def door(call, method, path, body=None):
    return call.http.request(method, f"{call.sandbox.url}/_sandbox/{path}", json=body)


NAMES = {"tiime": "name", "lsp_expert": "name", "smartbills": "lastName", "flowtly": "name"}
ITEM = {
    "tiime": "/companies/4242/clients/",
    "lsp_expert": "/clients/",
    "smartbills": "/customers/",
    "flowtly": "/clients/",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_records_are_what_the_api_shows(call, provider):
    """The raw records are the members of a single read (without JSON-LD's context and LSP.expert's object)."""
    for row in door(call, "GET", f"{provider}/records").json()["records"][:5]:
        seen = call(provider, "GET", f"{ITEM[provider]}{row['id']}").json()
        seen.pop("@context", None)
        seen.pop("object", None)
        assert seen == row


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_person_creates_edits_archives_and_deletes(call, sandbox, provider):
    """Records are made, edited with native names, archived where there is an archive, and removed."""
    name = NAMES[provider]
    made = door(call, "POST", f"{provider}/records", {name: "Né ici"})
    row_id = made.json()["id"]
    assert (made.status_code, made.json()["record"][name]) == (201, "Né ici")
    assert door(call, "PATCH", f"{provider}/records/{row_id}", {name: "Changé"}).json()["record"][name] == "Changé"
    assert call(provider, "GET", f"{ITEM[provider]}{row_id}").json()[name] == "Changé"
    archived = door(call, "POST", f"{provider}/records/{row_id}/archive", {"archived": True})
    assert archived.status_code == (404 if provider == "smartbills" else 200)
    assert door(call, "DELETE", f"{provider}/records/{row_id}").status_code == 204
    assert door(call, "GET", f"{provider}/records/{row_id}").status_code == 404
    assert door(call, "PATCH", f"{provider}/records/{row_id}", {}).status_code == 404
    assert sandbox.journal(provider, writes=True) == []


def test_deep_edits(call, sandbox):
    """Nested members are laid over, children are edited by id, server-made members follow."""
    row = next(row for row in sandbox.records("lsp_expert") if row["contacts"] and "line1" in row["address"])
    contact = row["contacts"][0]
    change = {"address": {"city": "Brest", "line1": None}, "contacts": [{"id": contact["id"], "email": "n@n.example"}]}
    seen = door(call, "PATCH", f"lsp_expert/records/{row['id']}", change).json()["record"]
    assert (seen["address"]["city"], "line1" in seen["address"]) == ("Brest", False)
    assert seen["contacts"] == [{**contact, "email": "n@n.example"}]
    assert seen["updatedAt"] > row["updatedAt"]
    flow = next(row for row in sandbox.records("flowtly") if row["clientContacts"])
    inner = {"id": flow["clientContacts"][0]["id"], "email": "m@m.example"}
    change = {"country": "/countries/CA", "clientContacts": [inner]}
    seen = door(call, "PATCH", f"flowtly/records/{flow['id']}", change).json()["record"]
    assert (seen["country"], seen["clientContacts"][0]["email"]) == ("/countries/CA", "m@m.example")
    assert seen["clientContacts"][0]["name"] == flow["clientContacts"][0]["name"]
    tiime = sandbox.create("tiime", {"name": "B", "siren_or_siret": "732829320", "country": {"code": "PL"}})
    assert sandbox.record("tiime", tiime)["siren"] == "732829320"
    assert sandbox.record("tiime", tiime)["country_code"] == "PL"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("style", ["remove", "new_id"])
def test_a_person_merges(call, sandbox, provider, style):
    """A merge inside a system fills the winner from the loser and removes it, or leaves a third."""
    name = NAMES[provider]
    extra = {"tiime": "email", "lsp_expert": "vatNumber", "smartbills": "phone", "flowtly": "addressCity"}[provider]
    winner = sandbox.create(provider, {name: "Gagnant"})
    more = {"clientContacts": [{"name": "C", "email": "c@c.example"}]} if provider == "flowtly" else {}
    loser = sandbox.create(provider, {name: "Perdant", extra: "x@x.example", **more})
    left = door(call, "POST", f"{provider}/merge", {"winner": winner, "loser": loser, "style": style}).json()["id"]
    row = sandbox.record(provider, left)
    assert (row[name], row[extra]) == ("Gagnant", "x@x.example")
    ids = {str(one["id"]) for one in sandbox.records(provider)}
    assert loser not in ids
    assert (left == winner) is (style == "remove")
    if provider == "flowtly":
        assert [one["email"] for one in row["clientContacts"]] == ["c@c.example"]
        contact = sandbox.records("flowtly", "client-contacts")[-1]
        assert contact["client"] == f"/clients/{left}"


def test_journal(call, sandbox):
    """The journal tells every request with status, commit, record, names sent, violations, and hides secrets of queries."""
    row = call("lsp_expert", "POST", "/clients", data={"name": "J"}).json()
    call("lsp_expert", "GET", "/clients", params={"api_key": "s3cret", "page": "1"})
    call.http.get(f"{sandbox.url}/elsewhere")
    first, second, third = door(call, "GET", "journal").json()["journal"]
    assert (first["provider"], first["method"], first["path"]) == ("lsp_expert", "POST", "/clients")
    assert (first["status"], first["committed"], first["external_id"]) == (201, True, row["id"])
    assert (first["sent"], first["credential"], first["operation"]) == ({"name": "J"}, "api key", "POST /clients")
    assert (second["query"], second["ignored"]) == ({"api_key": "***", "page": "1"}, ["query api_key"])
    assert third["violation"] == "no system at this path"
    assert first["seq"] < second["seq"] < third["seq"]
    assert door(call, "GET", f"journal?after={second['seq']}").json()["journal"] == [third]
    assert door(call, "DELETE", "journal").status_code == 204
    assert sandbox.journal() == []


def test_logins_are_not_journalled_with_secrets(call, sandbox):
    """No password and no token is in the journal."""
    known = sandbox.credentials
    form = {"grant_type": "client_credentials", "client_id": known["smartbills"]["client_id"],
            "client_secret": known["smartbills"]["client_secret"]}  # fmt: skip
    call.http.post(sandbox.auth_urls["smartbills"], data=form)
    login = {"username": known["flowtly"]["username"], "password": known["flowtly"]["password"]}
    call.http.post(sandbox.auth_urls["flowtly"], json=login)
    call("flowtly", "GET", "/clients")
    text = door(call, "GET", "journal").text
    for secret in (known["smartbills"]["client_secret"], known["flowtly"]["password"], known["flowtly"]["token"]):
        assert secret not in text


def test_two_authorization_headers(call, sandbox):
    """A second Authorization header is refused and a violation."""
    pair = [("Authorization", call.headers("tiime")["Authorization"])] * 2
    answer = call.http.get(f"{sandbox.base_urls['tiime']}/users/me", headers=pair)
    assert answer.status_code == 400
    assert sandbox.violations()[0]["violation"] == "two Authorization headers"


def test_faults_and_switches_through_the_door(call, sandbox):
    """Rules and switches are set while running; nonsense is 400 with a reason; the door itself is never struck."""
    rules = [{"effect": "status", "status": 500, "times": 0}, {"effect": "reset", "provider": "tiime"}]
    assert len(door(call, "POST", "faults", rules).json()["faults"]) == 2
    assert call("flowtly", "GET", "/clients").status_code == 500
    assert len(door(call, "GET", "faults").json()["faults"]) == 2
    assert door(call, "DELETE", "faults").status_code == 204
    assert call("flowtly", "GET", "/clients").status_code == 200
    assert door(call, "POST", "faults", {"effect": "fire"}).status_code == 400
    told = door(call, "POST", "switches", {"flowtly": {"hydra_prefix": False}}).json()
    assert told["flowtly"]["hydra_prefix"] is False
    for wrong in ({"flowtly": {"colour": 1}}, {"flowtly": {"page_size": "many"}}, {"sap": {}}):
        assert door(call, "POST", "switches", wrong).status_code == 400
    assert door(call, "GET", "nothing").status_code == 404
    assert door(call, "PUT", "faults").status_code == 405


def test_state(call, sandbox):
    """State counts records, requests, writes and violations per system."""
    call("lsp_expert", "POST", "/clients", data={"name": "J"})
    state = door(call, "GET", "state").json()
    assert state["systems"]["lsp_expert"]["writes"] == 1
    assert state["systems"]["lsp_expert"]["records"] == len(sandbox.records("lsp_expert"))
    assert state["systems"]["tiime"]["requests"] == 0
    assert door(call, "GET", "truth").json()["truth"] == sandbox.truth


def test_snapshot_and_restore(call, sandbox):
    """A restore puts all records back, also those of children."""
    name = door(call, "POST", "snapshot", {"name": "here"}).json()["name"]
    before = {provider: sandbox.records(provider) for provider in PROVIDERS}
    for provider in PROVIDERS:
        sandbox.create(provider, {NAMES[provider]: "X", "clientContacts": [{"name": "a", "email": "a@a.example"}]})
        sandbox.delete(provider, str(before[provider][0]["id"]))
    assert door(call, "POST", "restore", {"name": name}).status_code == 204
    assert {provider: sandbox.records(provider) for provider in PROVIDERS} == before
    assert door(call, "POST", "restore", {"name": "elsewhere"}).status_code == 404


def test_threads_may_call_at_once(call, sandbox):
    """Many clients at once each get their answer, and every write is kept."""
    before = len(sandbox.records("lsp_expert"))

    def work():
        with httpx.Client(trust_env=False) as http:
            for _ in range(10):
                path = f"{sandbox.base_urls['lsp_expert']}/clients"
                assert http.post(path, data={"name": "T"}, headers=call.headers("lsp_expert")).status_code == 201
                sandbox.create("tiime", {"name": "T"})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sandbox.records("lsp_expert")) == before + 40


def test_config_folder(tmp_path, sandbox):
    """The written folder points at the sandbox, with secrets as references to files only the owner can read."""
    more = {"systems.erp": {"mode": "observe"}, "fields.email": {"rule": "hold"}}
    folder = write_config(sandbox, tmp_path, first_run="review", more=more)
    service = tomllib.loads((folder / "syncd.toml").read_text())
    tenant = tomllib.loads((folder / "tenants" / "demo.toml").read_text())
    assert service["limits"] == {"allow_insecure_loopback": True}
    assert tenant["tenant"]["first_run"] == "review"
    assert {name: system["provider"] for name, system in tenant["systems"].items()} == {
        "books": "tiime", "lsp": "lsp_expert", "receipts": "smartbills", "erp": "flowtly",
    }  # fmt: skip
    assert {system["base_url"] for system in tenant["systems"].values()} == set(sandbox.base_urls.values())
    assert tenant["systems"]["books"]["company_id"] == 4242
    assert tenant["systems"]["erp"]["mode"] == "observe"
    assert tenant["fields"]["email"] == {"rule": "hold"}
    assert set(tenant["timing"].values()) == {"0s"}
    assert [one.name for one in load_strict(folder).tenants] == ["demo"]
    reference = tenant["systems"]["receipts"]["token"].removeprefix("file:")
    with open(reference, encoding="utf-8") as file:  # noqa: PTH123 - a path as the reference has it
        assert file.read() == sandbox.credentials["smartbills"]["token"]
    for path in (tmp_path / "secrets" / "demo").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_stop_ends_stalled_requests():
    """A request that stalls does not hold up the end, and a second stop does nothing."""
    with start(clients=0) as sandbox:
        sandbox.fault("stall", seconds=60)
        stalled = threading.Thread(target=lambda: httpx.get(f"{sandbox.base_urls['tiime']}/users/me", trust_env=False))
        stalled.start()
        while not sandbox.journal():
            time.sleep(0.01)
        began = time.monotonic()
        sandbox.stop()
        stalled.join()
        assert time.monotonic() - began < 3


def test_start_settings_and_stop():
    """Switches and faults can be given at start; unknown ones are refused; after stop nothing listens."""
    with pytest.raises(ValueError, match="unknown switch"):
        start(clients=0, switches={"tiime": {"colour": "red"}})
    rules = [{"effect": "status", "status": 500, "provider": "tiime"}]
    with start(clients=0, switches={"flowtly": {"hydra_prefix": False}}, faults=rules) as sandbox:
        assert sandbox.state()["systems"]["flowtly"]["switches"]["hydra_prefix"] is False
        assert httpx.get(f"{sandbox.base_urls['tiime']}/users/me", trust_env=False).status_code == 500
        assert all(sandbox.records(provider, MAIN_TABLE[provider]) == [] for provider in PROVIDERS)
        url = sandbox.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
