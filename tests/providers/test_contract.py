"""Every registered provider keeps the contract: one class each, and none escapes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pytest_httpserver import HTTPServer

from syncd.providers import REGISTRY
from tests.providers.contract import Contract, HttpContract
from tests.providers.worlds import flowtly_world, lsp_world, memory_world, smartbills_world, tiime_world

Fields = dict[str, Any]

COMMON = {
    "name": "Traduction Élan",
    "email": "anna@elan.fr",
    "phone": "+33 1 42 60 00 01",
    "address_line1": "1 rue de Rivoli",
    "postal_code": "75001",
    "city": "Paris",
    "country": "FR",
    "registration_number": "552100554",
    "currency": "EUR",
    "payment_terms_days": 30,
}
OTHER = {
    "name": "Élan & fils",
    "email": "bob@elan.fr",
    "phone": "+33 1 42 60 00 02",
    "address_line1": "22 bis avenue Foch",
    "postal_code": "75002",
    "city": "Lyon",
    "country": "BE",
    "registration_number": "443061841",
    "payment_terms_days": 45,
}


class TestMemory(Contract):
    """The reference provider."""

    name = "memory"
    sample: ClassVar[Fields] = {
        **COMMON,
        "vat_number": "FR83404833048",
        "language": "fr-CA",
        "details": "x",
        "archived": False,
    }
    other: ClassVar[Fields] = {
        **OTHER,
        "currency": "CAD",
        "archived": True,
        "tax_exempt": True,
        "language": "pl",
        "address_line2": "A",
    }
    paths: ClassVar[Fields] = {name: (name,) for name in other}

    def make_world(self, server: HTTPServer) -> Any:
        return memory_world("contract")


class TestLspExpert(HttpContract):
    """LSP.expert against its simulated system."""

    name = "lsp_expert"
    sample: ClassVar[Fields] = {
        **COMMON,
        "address_line2": "Bât. B",
        "region": "Île-de-France",
        "vat_number": "FR83404833048",
        "details": "<p>VIP</p>",
        "archived": False,
    }
    other: ClassVar[Fields] = {
        **OTHER,
        "address_line2": "C",
        "region": "Rhône",
        "vat_number": "BE0403019261",
        "details": "<p>a</p>",
        "archived": True,
    }
    paths: ClassVar[Fields] = {
        "name": ("name", "address.name", "contacts[0].fullName", "(children).contacts[0].fullName"),
        "email": ("contacts[0].email", "(children).contacts[0].email"),
        "phone": ("contacts[0].phone", "(children).contacts[0].phone"),
        "address_line1": ("address.line1",),
        "address_line2": ("address.line2",),
        "postal_code": ("address.postalCode",),
        "city": ("address.city",),
        "region": ("address.state",),
        "country": ("address.country",),
        "registration_number": ("nationalIdentificationNumber",),
        "vat_number": ("vatNumber",),
        "payment_terms_days": ("invoice.paymentTerms",),
        "details": ("details",),
        "archived": ("archived",),
    }
    volatile = ("updatedAt",)

    def make_world(self, server: HTTPServer) -> Any:
        return lsp_world(server)

    def items(self, body: Any) -> list[Any]:
        return body["items"]


class TestFlowtly(HttpContract):
    """Flowtly against its simulated system."""

    name = "flowtly"
    sample: ClassVar[Fields] = {**COMMON, "language": "fr", "archived": False}
    other: ClassVar[Fields] = {**OTHER, "currency": "PLN", "language": "pl", "archived": True}
    paths: ClassVar[Fields] = {
        "name": ("name", "clientContacts[0].name", "(children).contacts[0].name"),
        "email": ("clientContacts", "(children).contacts"),
        "phone": ("addressPhoneNumber",),
        "address_line1": ("addressStreetLine", "addressBuildingNumber", "addressLocaleNumber"),
        "postal_code": ("addressPostCode",),
        "city": ("addressCity",),
        "country": ("addressCountry",),
        "registration_number": ("tin",),
        "currency": ("currency",),
        "payment_terms_days": ("dueDays",),
        "language": ("documentsLanguage",),
        "archived": ("status",),
    }
    volatile = ("(children).contacts[0].updatedAt",)
    not_clearable = frozenset({"name", "archived", "currency", "payment_terms_days", "language"})

    def make_world(self, server: HTTPServer) -> Any:
        return flowtly_world(server)

    def items(self, body: Any) -> list[Any]:
        return body["hydra:member"]


class TestTiime(HttpContract):
    """Tiime against its simulated system: it reads and creates, and never updates."""

    name = "tiime"
    sample: ClassVar[Fields] = {
        **{key: value for key, value in COMMON.items() if key not in ("currency", "payment_terms_days")},
        "kind": "company",
        "vat_number": "FR83404833048",
    }
    other: ClassVar[Fields] = {}
    paths: ClassVar[Fields] = {}
    records_for_pages = 120
    list_path = "/companies/4242/clients"
    item_path = "/companies/4242/clients/"

    def make_world(self, server: HTTPServer) -> Any:
        return tiime_world(server)

    def items(self, body: Any) -> list[Any]:
        return body


class TestSmartbills(HttpContract):
    """Smartbills in its documented dialect against its simulated system."""

    name = "smartbills"
    sample: ClassVar[Fields] = {
        "name": "Zoé Tremblay",
        "given_name": "Zoé",
        "family_name": "Tremblay",
        "kind": "person",
        "email": "zoe@elan.ca",
        "phone": "+1 514 555 0100",
        "language": "fr-CA",
    }
    other: ClassVar[Fields] = {"email": "bob@elan.ca", "phone": "+1 514 555 0101", "language": "en-CA"}
    paths: ClassVar[Fields] = {"email": ("email",), "phone": ("phone",), "language": ("locale",)}
    volatile = ("updatedAt",)
    records_for_pages = 120
    not_clearable = frozenset({"language"})
    list_path = "/customers"
    item_path = "/customers/"

    def make_world(self, server: HTTPServer) -> Any:
        return smartbills_world(server)

    def items(self, body: Any) -> list[Any]:
        return body["data"]


def _contract_classes() -> dict[str, type[Contract]]:
    found: dict[str, type[Contract]] = {}
    waiting: list[type[Contract]] = [Contract]
    while waiting:
        each = waiting.pop()
        waiting += each.__subclasses__()
        if "name" in vars(each):
            found[each.name] = each
    return found


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_no_provider_escapes_the_contract(name: str) -> None:
    """Each registered provider has a contract class, and one behind HTTP has the HTTP contract."""
    classes = _contract_classes()
    assert name in classes
    assert name == "memory" or issubclass(classes[name], HttpContract)
