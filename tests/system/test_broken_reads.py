"""Answers that are not what they should be: a failed walk with its reason, and nothing lost, deleted or written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.conftest import LONG
from tests.system.judge import judge
from tests.system.place import Place

LIST = r"^/(companies/\d+/clients|clients|customers)$"
FAULTS: dict[str, dict[str, Any]] = {
    "html": {"effect": "html"},
    "empty": {"effect": "empty"},
    "null": {"effect": "null"},
    "missing": {"effect": "missing"},
    "error-200": {"effect": "error_200"},
    "content-type": {"effect": "content_type"},
    "not-utf8": {"effect": "invalid_utf8"},
    "redirect": {"effect": "redirect"},
    "short": {"effect": "short_page", "count": 2},
    "nothing": {"effect": "empty_page"},
    "total": {"effect": "wrong_total"},
    "403": {"effect": "status", "status": 403},
    "404": {"effect": "status", "status": 404},
    "bomb": {"effect": "bomb"},
    "depth": {"effect": "depth"},
    "digits": {"effect": "digits"},
    "endless": {"effect": "endless"},
    "truncate": {"effect": "truncate"},
    "500": {"effect": "status", "status": 500},
    "429": {"effect": "status", "status": 429, "retry_after": 12},
}
QUICK = ("html", "empty", "null", "error-200", "short", "nothing", "403", "404", "digits")
HARMLESS = {("endless", "receipts")}
"""Smartbills tells the number of pages, so that nobody asks for more of them."""


def test_a_walk_that_fails(place: Place):
    """Whatever a listing answers instead of a listing: no walk is complete, no write is sent, no client changes; then all goes on."""
    before = place.look()
    for name in FAULTS if LONG else QUICK:
        place.sandbox.fault(**{"method": "GET", "path": LIST, "times": 0, **FAULTS[name]})
        number = place.now
        result = place.cycle(code=None)
        place.sandbox.clear_faults()
        walks = {each["system"]: each["walk"] for each in result["cycles"][0]["systems"]}
        struck = [system for system in walks if (name, system) not in HARMLESS]
        assert "complete" not in [walks[system] for system in struck], (name, walks)
        assert place.writes(after=number) == [], name
        failing = {each["system"]: each["reason"] for each in result["failing"]}
        assert failing.keys() == set(struck), (name, failing)
        assert all(failing.values()), (name, failing)
    after = place.look()
    assert [client["fields"] for client in after.clients] == [client["fields"] for client in before.clients]
    assert all(link["state"] == "linked" for client in after.clients for link in client["links"])
    assert [row["external_id"] for row in after.records] == [row["external_id"] for row in before.records]
    place.sync("--wait", "20s")
    assert judge(place) == []


@pytest.mark.parametrize("effect", ["repeated", "gone-on-page-two", "401"])
def test_a_walk_that_fails_on_a_later_page(place: Place, effect: str):
    """A page that repeats the one before, or is refused, in the middle of a walk of small pages fails the walk."""
    pages = {"systems.books": {"page_size": 2}, "systems.receipts": {"page_size": 1}}
    place.configure(more=pages)
    rule: dict[str, Any] = {
        "repeated": {"effect": "duplicate_page"}, "gone-on-page-two": {"effect": "status", "status": 404},
        "401": {"effect": "status", "status": 401},
    }[effect]  # fmt: skip
    for provider in ("tiime", "smartbills"):
        place.sandbox.fault(**{"method": "GET", "path": LIST, "provider": provider, "nth": 2, "times": 0, **rule})
    number = place.now
    result = place.cycle(code=1)
    walks = {each["system"]: each["walk"] for each in result["cycles"][0]["systems"]}
    assert (walks["lsp"], walks["erp"]) == ("complete", "complete")
    assert "complete" not in (walks["books"], walks["receipts"])
    assert place.writes(after=number) == []
    place.sandbox.clear_faults()
    place.sync()
    assert judge(place, quiet=False) == []


def test_a_token_that_ends_in_the_middle_of_a_walk(place: Place):
    """Tokens that expire while a list is read are renewed once, and the walk is complete."""
    place.configure(more={"systems.books": {"page_size": 2}})
    for provider in ("tiime", "flowtly"):
        place.sandbox.fault(
            "revoke",
            provider=provider,
            method="GET",
            path=LIST,
            phase="before_parse",
            nth=2 if provider == "tiime" else 1,
        )
    place.sync()
    assert judge(place, quiet=False) == []


def test_a_system_that_asks_for_a_pause(place: Place):
    """429 with Retry-After: a short one is waited for, and not a request is made before."""
    place.sandbox.fault("status", provider="lsp_expert", status=429, retry_after=2, times=1)
    place.sandbox.fault("status", provider="smartbills", status=429, retry_after=2, retry_form="date", times=1)
    place.sync()
    for provider in ("lsp_expert", "smartbills"):
        entries = place.sandbox.journal(provider)
        struck = next(index for index, entry in enumerate(entries) if entry["status"] == 429)
        pause = entries[struck + 1]["at"] - entries[struck]["at"]
        assert pause >= (1.9 if provider == "lsp_expert" else 0.9), provider
    assert judge(place, quiet=False) == []
