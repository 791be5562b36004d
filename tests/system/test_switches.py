"""What nobody outside the vendors knows: whichever way it is, the four systems end in agreement, or syncd says why not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.conftest import LONG, Make
from tests.system.judge import judge
from tests.system.place import Place, Raw
from tests.system.scenarios import in_every_system

OTHER: dict[str, list[dict[str, Any]]] = {
    "tiime": [
        {"default_window": 5}, {"past_the_end": "416"}, {"total_style": "known"}, {"require_app_headers": True}, {"update": "PATCH"},
        {"delete": True}, {"contacts": False}, {"moving_billing": True}, {"create_status": 200}, {"token_seconds": 70.0},
        {"normalise": {"name": "trim", "phone": "digits"}}, {"clock_offset_seconds": 600.0},
    ],
    "lsp_expert": [
        {"json_bodies": False}, {"empty_value": "ignore"}, {"empty_value": "store"}, {"unknown_parameters": "ignore"},
        {"archived_in_list": False}, {"delete_status": 204}, {"refuse_delete_in_use": True}, {"touch_on_child": False},
        {"touch_on_update": False}, {"list_children": "full"}, {"country_shape": "object"}, {"sorts": ["name"]}, {"create_status": 200},
        {"default_tax": False}, {"normalise": {"addressCity": "upper"}}, {"clock_offset_seconds": -600.0},
    ],
    "smartbills": [
        {"profile": "A"}, {"profile": "B"}, {"profile": "C"}, {"strict_update": "one_of"}, {"strict_update": "values"},
        {"omitted": "keep"}, {"unique_email": False}, {"envelope": "pagination"}, {"create_status": 200}, {"delete_status": 204},
        {"idempotency": False}, {"rotate_refresh": False}, {"require_tenant_header": True}, {"customer_webhooks": True},
        {"max_page_size": 20}, {"clock_offset_seconds": 86400.0},
    ],
    "flowtly": [
        {"hydra_prefix": False}, {"json_format": False}, {"omit_nulls": False}, {"items_per_page": True}, {"page_size": 2},
        {"iri_prefix": "/api"}, {"iri_keys": "integer"}, {"embedded_contacts": "cut"}, {"embedded_contacts": "none"},
        {"counterparty_auto_create": True}, {"merge_retires": False}, {"etag": True}, {"forbid_unknown": True},
        {"normalise": {"addressCity": "title"}}, {"require_instance": True},
    ],
}  # fmt: skip
TOGETHER: list[dict[str, dict[str, Any]]] = [
    {
        "tiime": {"default_window": 5, "past_the_end": "416", "total_style": "known", "require_app_headers": True, "create_status": 200},
        "lsp_expert": {"json_bodies": False, "unknown_parameters": "ignore", "list_children": "full", "country_shape": "object",
                       "create_status": 200, "default_tax": False},
        "smartbills": {"profile": "C", "rotate_refresh": False, "require_tenant_header": True, "create_status": 200},
        "flowtly": {"hydra_prefix": False, "omit_nulls": False, "iri_prefix": "/api", "iri_keys": "integer", "embedded_contacts": "cut"},
    },
    {
        "tiime": {"contacts": False, "moving_billing": True},
        "lsp_expert": {"archived_in_list": False, "touch_on_child": False, "touch_on_update": False, "delete_status": 204, "sorts": ["name"]},
        "smartbills": {"profile": "A", "strict_update": "one_of", "envelope": "pagination", "idempotency": False, "delete_status": 204},
        "flowtly": {"items_per_page": True, "page_size": 2, "embedded_contacts": "none", "etag": True, "require_instance": True,
                    "counterparty_auto_create": True, "merge_retires": False, "forbid_unknown": True},
    },
]  # fmt: skip


def live(place: Place) -> None:
    """First data, an edit in each system that can be edited, and a new client."""
    place.sync(code=None)
    look = place.look()
    person = in_every_system(look, kind="person")
    place.edit("lsp", look.external_id(person, "lsp"), {"invoice": {"paymentTerms": 21}, "address": {"city": "Brest"}})
    place.edit("erp", look.external_id(person, "erp"), {"tin": "732829320"})
    place.edit("receipts", look.external_id(person, "receipts"), {"firstName": "Nouvelle"})
    place.create(
        "lsp", {"name": "Maison Neuve", "contacts": [{"fullName": "Accueil", "email": "accueil@neuve.example"}]}
    )
    place.sync(code=None)


def integers(prefix: str) -> Raw:
    """Flowtly's numbered countries and currencies, as a tenant's file names them."""
    return {
        "country_iris": {code: f"{prefix}/countries/{number}" for number, code in enumerate(("FR", "PL", "CA"), 1)},
        "currency_iris": {
            code: f"{prefix}/currencies/{number}" for number, code in enumerate(("EUR", "PLN", "CAD"), 1)
        },
    }


def placed(make: Make, switches: dict[str, dict[str, Any]]) -> Place:
    """A tenant whose file fits these switches."""
    flowtly = switches.get("flowtly", {})
    more: Raw = {}
    if flowtly.get("require_instance"):
        more["instance"] = "demo"
    if flowtly.get("iri_keys") == "integer":
        more |= integers(flowtly.get("iri_prefix", ""))
    size = switches.get("smartbills", {}).get("max_page_size")
    pages = {"systems.receipts": {"page_size": size}} if size else {}
    return make(clients=5, switches=switches, more={"systems.erp": more, **pages})


def without_the_asking(found: list[str]) -> list[str]:
    """LSP.expert does not tell by what it can sort: a listing that it refuses because of that, and only that, is asked for otherwise."""
    return [line for line in found if line != "violation: lsp_expert GET /clients: sort"]


@pytest.mark.parametrize("number", range(len(TOGETHER)))
def test_many_switches_at_once(make: Make, number: int):
    """Two worlds in which nearly everything is another way than the documentation suggests end in agreement."""
    place = placed(make, TOGETHER[number])
    live(place)
    assert without_the_asking(judge(place, quiet=number == 0)) == []


@pytest.mark.skipif(not LONG, reason="one by one with SYSTEM_TESTS=long")
@pytest.mark.parametrize(
    "provider, switch",
    [pytest.param(name, each, id=f"{name}-{each}") for name, all_of in OTHER.items() for each in all_of],
)
def test_every_switch_by_itself(make: Make, provider: str, switch: dict[str, Any]):
    """With one thing another way the systems agree; or every value that does not has a row that says why."""
    place = placed(make, {provider: switch})
    live(place)
    look = place.look()
    said = [row["error"] for row in look.outbox if row["state"] == "parked"] or [
        row for row in look.holds if row["state"] == "open"
    ]
    assert without_the_asking(judge(place, look, rest=not said)) == []
