"""The fault plan: each effect really happens on the wire, at the phase that was asked for."""

from __future__ import annotations

import email.utils
import http.client
import json
import time
import zlib

import httpx
import pytest

CLIENTS = "/companies/4242/clients"
LSP = "lsp_expert"
FL = "flowtly"


def raw(sandbox, call, provider, method, path, body=None, headers=None, timeout=5):
    """One request on a connection of its own, with http.client."""
    line = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=timeout)
    base = sandbox.base_urls[provider].removeprefix(sandbox.url)
    line.request(method, base + path, body, {**call.headers(provider), **(headers or {})})
    return line, line.getresponse


def new_lsp(call, name="Nouveau"):
    return call(LSP, "POST", "/clients", data={"name": name})


def count(sandbox):
    return len(sandbox.records(LSP))


@pytest.mark.parametrize("status", [401, 403, 404, 408, 500, 502, 503, 504])
def test_status_in_the_systems_own_shape(call, sandbox, status):
    """A status fault strikes once, with the system's error body."""
    sandbox.fault("status", provider="tiime", status=status)
    answer = call("tiime", "GET", CLIENTS)
    assert (answer.status_code, answer.json()["error"]) == (status, status)
    assert call("tiime", "GET", CLIENTS).status_code in {200, 206}


def test_retry_after_forms(call, sandbox):
    """429 comes with Retry-After as seconds, as a date, or without."""
    sandbox.fault("status", provider=LSP, status=429, retry_after=7)
    sandbox.fault("status", provider=LSP, status=429, retry_after=60, retry_form="date", nth=2)
    sandbox.fault("status", provider=LSP, status=429, nth=3)
    first, second, third = (call(LSP, "GET", "/clients") for _ in range(3))
    assert first.headers["retry-after"] == "7"
    at = email.utils.parsedate_to_datetime(second.headers["retry-after"]).timestamp()
    assert 50 < at - time.time() < 70
    assert (third.status_code, "retry-after" in third.headers) == (429, False)


def test_nth_and_times_and_path(call, sandbox):
    """A rule strikes from its nth match on, so many times, only where method and path match."""
    sandbox.fault("status", provider=LSP, method="GET", path="^/clients$", nth=2, times=2)
    statuses = [call(LSP, "GET", "/clients").status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert call(LSP, "GET", "/account/taxes").status_code == 200
    assert sandbox.state()["faults"][0]["struck"] == 2


def test_probability_is_reproducible(call, sandbox):
    """A probability strikes some matches, without end where times is 0."""
    sandbox.fault("status", provider=LSP, probability=0.5, times=0)
    statuses = {call(LSP, "GET", "/account/taxes").status_code for _ in range(20)}
    assert statuses == {200, 503}


@pytest.mark.parametrize("phase,done", [("before_parse", 0), ("before_commit", 0), ("after_commit", 1)])
def test_phases_of_a_write(call, sandbox, phase, done):
    """Before the commit nothing was done; after it the change is there though the answer is an error."""
    before = count(sandbox)
    sandbox.fault("status", provider=LSP, method="POST", status=500, phase=phase)
    assert new_lsp(call).status_code == 500
    assert count(sandbox) - before == done
    entry = sandbox.journal(LSP)[-1]
    assert (entry["committed"], entry["status"], bool(entry["external_id"])) == (bool(done), 500, bool(done))


def test_before_commit_still_validates(call, sandbox):
    """Before the commit the request was checked, before the parse it was not looked at."""
    sandbox.fault("status", provider=LSP, status=500, phase="before_parse")
    sandbox.fault("status", provider=LSP, status=500, nth=2)
    call(LSP, "POST", "/clients", data={"nonsense": "1"})
    assert sandbox.violations() == []
    call(LSP, "POST", "/clients", data={"nonsense": "1"})
    assert len(sandbox.violations()) == 1


def test_late_commit(call, sandbox):
    """The answer goes out at once, the change follows after the delay."""
    before = count(sandbox)
    sandbox.fault("status", provider=LSP, method="POST", status=504, phase="late_commit", delay=0.2)
    assert new_lsp(call).status_code == 504
    assert count(sandbox) == before
    assert sandbox.state()["late_commits"] == 1
    assert sandbox.settle()
    assert count(sandbox) == before + 1
    assert sandbox.journal(LSP)[-1]["committed"]


@pytest.mark.parametrize("phase,done", [("before_parse", 0), ("after_commit", 1), ("late_commit", 1)])
def test_reset(call, sandbox, phase, done):
    """A reset is a TCP reset, before or after the commit."""
    before = count(sandbox)
    sandbox.fault("reset", provider=LSP, method="POST", phase=phase, delay=0.05)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    line, answer = raw(sandbox, call, LSP, "POST", "/clients", "name=Neuf", form)
    with pytest.raises(ConnectionResetError):
        answer()
    line.close()
    assert sandbox.settle()
    assert count(sandbox) - before == done
    assert sandbox.journal(LSP)[-1]["status"] is None


def test_close_without_an_answer(call, sandbox):
    """A close ends the connection without a byte."""
    sandbox.fault("close", provider=LSP)
    line, answer = raw(sandbox, call, LSP, "GET", "/clients")
    with pytest.raises(http.client.RemoteDisconnected):
        answer()
    line.close()


def test_truncated_body(call, sandbox):
    """A truncated answer promises its whole length and ends half way, the change done."""
    before = count(sandbox)
    sandbox.fault("truncate", provider=LSP)
    line, answer = raw(sandbox, call, LSP, "GET", "/clients")
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer().read()
    assert len(caught.value.partial) > 100
    line.close()
    sandbox.fault("truncate", provider=LSP, method="POST")
    with pytest.raises(httpx.RemoteProtocolError):
        new_lsp(call)
    assert count(sandbox) == before + 1


def test_reset_in_the_middle(call, sandbox):
    """A reset at mid_answer comes after the status line."""
    sandbox.fault("reset", provider=LSP, phase="mid_answer")
    line, answer = raw(sandbox, call, LSP, "GET", "/clients")
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        answer().read()
    line.close()


def test_stall_and_drip(call, sandbox):
    """A stall makes the client's time-out strike though the change is done; a drip delivers everything, slowly."""
    before = count(sandbox)
    sandbox.fault("stall", provider=LSP, method="POST", seconds=0.3, phase="after_commit")
    with pytest.raises(httpx.ReadTimeout):
        call(LSP, "POST", "/clients", data={"name": "Lent"}, timeout=0.1)
    assert count(sandbox) == before + 1
    for effect, phase in (("drip", ""), ("stall", "mid_answer")):
        sandbox.fault(effect, provider=LSP, method="GET", seconds=0.2, phase=phase)
        began = time.monotonic()
        assert len(call(LSP, "GET", "/clients").json()["items"]) == 20
        assert time.monotonic() - began > 0.19


@pytest.mark.parametrize(
    "effect,content,kind",
    [
        ("html", b"<!doctype", "text/html"),
        ("empty", b"", "application/json"),
        ("error_200", b'{"message"', "application/json"),
    ],
)
def test_wrong_bodies_with_200(call, sandbox, effect, content, kind):
    """A page of HTML, an empty body and an error object come with status 200."""
    sandbox.fault(effect, provider=LSP)
    answer = call(LSP, "GET", "/clients")
    assert answer.status_code == 200
    assert answer.content.startswith(content)
    assert answer.headers["content-type"].startswith(kind)
    assert effect != "empty" or answer.content == b""


def test_envelopes(call, sandbox):
    """The envelope's list is null or missing; a bare array becomes null."""
    sandbox.fault("null", provider="smartbills")
    sandbox.fault("missing", provider=LSP)
    sandbox.fault("null", provider="tiime")
    assert call("smartbills", "GET", "/customers").json()["data"] is None
    assert "items" not in call(LSP, "GET", "/clients").json()
    assert call("tiime", "GET", CLIENTS).json() is None


def test_broken_text(call, sandbox):
    """Bodies that are no UTF-8, begin with a byte order mark, repeat a key, or are called text."""
    for effect in ("invalid_utf8", "bom", "duplicate_keys", "content_type"):
        sandbox.fault(effect, provider=LSP, nth=1)
    path = "/account/taxes"
    sandbox.clear_faults()
    sandbox.fault("invalid_utf8", provider=LSP)
    with pytest.raises(UnicodeDecodeError):
        call(LSP, "GET", path).content.decode()
    sandbox.fault("bom", provider=LSP)
    assert call(LSP, "GET", path).content.startswith(b"\xef\xbb\xbf[")
    sandbox.fault("content_type", provider=LSP)
    assert call(LSP, "GET", path).headers["content-type"] == "text/plain"
    sandbox.fault("duplicate_keys", provider=LSP)
    assert call(LSP, "GET", "/clients").content.startswith(b'{"items":null,"items":[')


def test_bombs(call, sandbox):
    """A gzip bomb unpacks to what was asked; depth and digits are as large as asked."""
    sandbox.fault("bomb", provider=LSP, size=3_000_000)
    line, answer = raw(sandbox, call, LSP, "GET", "/clients")
    packed = answer().read()
    line.close()
    assert len(packed) < 20_000
    assert len(zlib.decompress(packed, wbits=31)) == 3_000_002
    sandbox.fault("depth", provider=LSP, size=5000)
    assert call(LSP, "GET", "/clients").content == b"[" * 5000 + b"]" * 5000
    sandbox.fault("digits", provider=LSP, size=5000)
    assert len(call(LSP, "GET", "/clients").content) > 5000
    sandbox.fault("body", provider=LSP, value="NaN")
    assert call(LSP, "GET", "/clients").text == "NaN"


def test_bent_records(call, sandbox):
    """A member is hidden, null, text or something else, in all records or in one; the stored record is untouched."""
    before = sandbox.records("smartbills")
    sandbox.fault("hide_field", provider="smartbills", field="phone")
    assert all("phone" not in row for row in call("smartbills", "GET", "/customers").json()["data"])
    sandbox.fault("text_field", provider="smartbills", field="id")
    assert {type(row["id"]) for row in call("smartbills", "GET", "/customers").json()["data"]} == {str}
    victim = str(before[0]["id"])
    sandbox.fault("null_field", provider="smartbills", field="firstName", record=victim)
    rows = call("smartbills", "GET", "/customers").json()["data"]
    assert [row["id"] for row in rows if row["firstName"] is None] == [before[0]["id"]]
    sandbox.fault("set_field", provider="smartbills", field="firstName", record=victim, value="\ud800")
    assert b"\\ud800" in call("smartbills", "GET", "/customers").content
    sandbox.fault("set_field", provider=LSP, field="address.city", value=5)
    assert {row["address"].get("city") for row in call(LSP, "GET", "/clients").json()["items"]} == {5}
    assert sandbox.records("smartbills") == before


def test_bent_pages(call, sandbox):
    """Pages come twice, are skipped, short, empty, endless, or told with wrong totals."""

    def page(number, effect="", **more):
        if effect:
            sandbox.fault(effect, provider="smartbills", **more)
        query = {"page": number, "pageSize": 5, "orderBy": "id", "sortOrder": "asc"}
        answer = call("smartbills", "GET", "/customers", params=query).json()
        return [row["id"] for row in answer["data"]], answer["metadata"]["count"]

    first, total = page(1)
    second, third = page(2)[0], page(3)[0]
    assert page(2, "duplicate_page")[0] == first
    assert page(2, "skip_page")[0] == third
    assert page(2, "short_page", count=2)[0] == second[:3]
    assert page(2, "empty_page")[0] == []
    assert page(1, "wrong_total")[1] == total + 7
    sandbox.fault("changed_total", provider="smartbills", times=2)
    assert [page(1)[1], page(2)[1]] == [total + 1, total + 2]
    assert page(9, "endless")[0]


def test_endless_hydra_and_next_host(call, sandbox):
    """A last page can say that more follow, and a next link can point to another host."""
    sandbox.switch(FL, page_size=8)
    sandbox.fault("endless", provider=FL)
    assert "hydra:next" in call(FL, "GET", "/clients", params={"page": 3}).json()["hydra:view"]
    sandbox.fault("next_host", provider=FL)
    assert call(FL, "GET", "/clients").json()["hydra:view"]["hydra:next"].startswith(sandbox.trap_url)


def test_redirect_to_the_second_host(call, sandbox):
    """A redirect points to the second host, which notes who came with credentials."""
    sandbox.fault("redirect", provider=LSP)
    answer = call(LSP, "GET", "/clients")
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(sandbox.trap_url)
    call.http.get(answer.headers["location"], headers=call.headers(LSP))
    assert sandbox.state()["trap_requests"] == 1
    assert sandbox.violations()[0]["violation"] == "request to the second host with credentials"


def test_stale_list(call, sandbox):
    """A stale view shows what was true some seconds ago, in lists and single reads, while the rule is in force."""
    old = sandbox.records("smartbills")[0]
    time.sleep(0.15)
    sandbox.fault("stale", provider="smartbills", seconds=0.1, times=0)
    sandbox.edit("smartbills", str(old["id"]), {"firstName": "Neuf"})
    fresh = sandbox.create("smartbills", {"firstName": "A", "lastName": "B", "email": "a@b.example"})
    rows = call("smartbills", "GET", "/customers").json()
    assert fresh not in {str(row["id"]) for row in rows["data"]}
    assert call("smartbills", "GET", f"/customers/{old['id']}").json()["firstName"] == old["firstName"]
    assert call("smartbills", "GET", f"/customers/{fresh}").status_code == 404
    time.sleep(0.15)
    assert call("smartbills", "GET", f"/customers/{old['id']}").json()["firstName"] == "Neuf"


def test_ignored_write(call, sandbox):
    """An ignored write is answered as if done, and not done."""
    before = sandbox.records(LSP)
    sandbox.fault("ignored_write", provider=LSP, method="POST")
    assert new_lsp(call, "Rien").json()["name"] == "Rien"
    assert sandbox.records(LSP) == before
    assert not sandbox.journal(LSP)[-1]["committed"]


def test_tokens_end_in_the_middle(call, sandbox):
    """The effect revoke ends every issued token just then; a ready token stays good."""
    known = sandbox.credentials[FL]
    token = call.http.post(sandbox.auth_urls[FL], json={"username": known["username"], "password": known["password"]})
    headers = {"Authorization": f"Bearer {token.json()['token']}"}
    sandbox.fault("revoke", provider=FL, phase="before_parse", nth=2)
    statuses = [call(FL, "GET", "/clients", headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 401, 401]
    assert call(FL, "GET", "/clients").status_code == 200


def test_a_person_acts_between_check_and_commit(call, sandbox):
    """The effect user edits a record between the check and the commit of a request."""
    row = sandbox.records("smartbills")[0]
    act = {"action": "edit", "id": str(row["id"]), "raw": {"firstName": "Entre"}}
    sandbox.fault("user", provider="smartbills", method="GET", act=act, phase="after_commit")
    assert call("smartbills", "GET", f"/customers/{row['id']}").json()["firstName"] == row["firstName"]
    assert call("smartbills", "GET", f"/customers/{row['id']}").json()["firstName"] == "Entre"
    sandbox.fault("user", provider=LSP, method="PUT", act={"action": "delete", "id": sandbox.records(LSP)[0]["id"]})
    gone = call(LSP, "PUT", f"/clients/{sandbox.records(LSP)[0]['id']}", data={"name": "Trop tard"})
    assert gone.status_code == 404
    assert sandbox.journal(LSP, writes=True) == []


def test_hooks(call, sandbox):
    """The hooks see each request just before and just after its commit."""
    seen = []
    sandbox.on_request(
        before=lambda seq: seen.append(("before", seq, count(sandbox))),
        after=lambda seq: seen.append(("after", seq, count(sandbox))),
    )
    new_lsp(call)
    (_, first, old), (_, second, new) = seen
    assert (first, new) == (second, old + 1)
    assert sandbox.journal(LSP)[-1]["seq"] == first


def test_clock_and_latency(call, sandbox):
    """A system's clock shows in Date and in its stamps; latency is waited for."""
    sandbox.switch(LSP, clock_offset_seconds=86_400.0, latency_seconds=0.1)
    began = time.monotonic()
    answer = new_lsp(call)
    assert time.monotonic() - began > 0.09
    at = email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert at - time.time() > 86_000
    assert answer.json()["createdAt"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


def test_unknown_rules_are_refused(sandbox):
    """Unknown effects, phases, keys and paths that are no pattern raise ValueError."""
    for rule in ({"effect": "fire"}, {"effect": "reset", "phase": "x"}, {"effect": "reset", "who": 1}, {}):
        with pytest.raises(ValueError, match=r"unknown|needs"):
            sandbox.world.add_fault(rule)


def test_normalising_switch(call, sandbox):
    """A system can store values in its own form."""
    sandbox.switch(LSP, normalise={"name": "cut:4", "vatNumber": "lower"})
    row = call(LSP, "POST", "/clients", data={"name": "Longueur", "vatNumber": "FR9"}).json()
    assert (row["name"], row["vatNumber"]) == ("Long", "fr9")
    assert json.dumps(sandbox.state())
