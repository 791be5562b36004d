"""What happens to a tenant before a process is killed: the state it starts from, and what people do then.

The outcome of a crash-free run is the measure: a run that was killed anywhere has to end in the same (`outcome`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.system.place import PROVIDER, Look, Place, Raw

Act = Callable[[Place, Look], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """prepared: whether the tenant was in sync before people act. clients: how many the seed plants. more: keys of the tenant's file.

    rounds: how many runs until quiet it takes; a delete is only believed when it was seen in two.
    """

    name: str
    act: Act
    prepared: bool = True
    clients: int = 5
    seed: int = 1
    rounds: int = 1
    more: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def nothing(_place: Place, _look: Look) -> None:
    """Nobody does anything."""


def in_every_system(look: Look, number: int = 0, *, kind: str | None = None) -> Raw:
    """A client that lsp and erp hold (and receipts where it is a person)."""
    fitting = [
        client for client in look.clients
        if client["state"] == "active" and {"lsp", "erp"} <= {link["system"] for link in client["links"]}
        and (kind is None or client["fields"].get("kind") == kind)
    ]  # fmt: skip
    return sorted(fitting, key=lambda client: str(client["fields"]["name"]))[number]


def edits(place: Place, look: Look) -> None:
    """One edit in each system that can be edited, each of another client and field; and the same edit on two sides."""
    a, b, person = (in_every_system(look, 0), in_every_system(look, 1), in_every_system(look, 0, kind="person"))
    place.edit(
        "lsp",
        look.external_id(a, "lsp"),
        {"address": {"line1": "9 quai des Tests", "city": "Brest", "postalCode": "29200"}},
    )
    place.edit("erp", look.external_id(b, "erp"), {"dueDays": 60})
    place.edit("receipts", look.external_id(person, "receipts"), {"phone": "+33 1 99 00 77 55"})
    for system, raw in (("lsp", {"nationalIdentificationNumber": "732829320"}), ("erp", {"tin": "732829320"})):
        place.edit(system, look.external_id(person, system), raw)
    books = next(link["external_id"] for link in b["links"] if link["system"] == "books")
    place.edit("books", books, {"name": "Renommée Exprès SARL"})


def creates(place: Place, _look: Look) -> None:
    """A new client in each system."""
    place.create("books", {"name": "Atelier du Quai", "email": "quai@atelier.example", "city": "Brest", "country_id": 75,
                           "postal_code": "29200", "address": "3 quai Ouest", "phone": "+33199005511"})  # fmt: skip
    place.create("lsp", {"name": "Kontor Nord", "vatNumber": "PL5260250274", "address": {"city": "Gdynia", "country": "PL"},
                         "contacts": [{"fullName": "Ola Lis", "email": "ola@kontor.example"}]})  # fmt: skip
    place.create(
        "receipts", {"firstName": "Zoé", "lastName": "Quéré", "email": "zoe.quere@courriel.example", "locale": "fr-FR"}
    )
    place.create("erp", {"name": "Biuro Wschód", "country": "PL", "currency": "PLN", "tin": "7251801126", "tinType": "nip",
                         "clientContacts": [{"name": "Jan", "email": "jan@wschod.example"}]})  # fmt: skip


def conflicts(place: Place, look: Look) -> None:
    """Different edits of one field on two sides, twice; and of an address."""
    a, b = in_every_system(look, 0), in_every_system(look, 1)
    place.edit("lsp", look.external_id(a, "lsp"), {"nationalIdentificationNumber": "732829320"})
    place.edit("erp", look.external_id(a, "erp"), {"tin": "552100554"})
    place.edit(
        "lsp",
        look.external_id(b, "lsp"),
        {"address": {"line1": "1 rue du Nord", "city": "Lille", "postalCode": "59000"}},
    )
    place.edit("erp", look.external_id(b, "erp"), {"addressStreetLine": "rue du Sud", "addressBuildingNumber": "2", "addressCity": "Nice",
                                                   "addressPostCode": "06000"})  # fmt: skip
    place.edit("lsp", look.external_id(b, "lsp"), {"invoice": {"paymentTerms": 21}})
    place.edit("erp", look.external_id(b, "erp"), {"dueDays": 22})


def deletes(place: Place, look: Look) -> None:
    """A record deleted in lsp, a customer deleted in receipts, another client archived in erp."""
    a, b, person = in_every_system(look, 0), in_every_system(look, 1), in_every_system(look, 0, kind="person")
    place.sandbox.delete(PROVIDER["lsp"], look.external_id(a, "lsp"))
    if person["client"] not in (a["client"], b["client"]):
        place.sandbox.delete(PROVIDER["receipts"], look.external_id(person, "receipts"))
    place.sandbox.archive(PROVIDER["erp"], look.external_id(b, "erp"))


def overlapping(place: Place, _look: Look) -> None:
    """The same three parties in every system, typed independently before syncd came."""
    for number, (name, vat, siren) in enumerate((("Granges SARL", "FR40303265045", "303265045"), ("Verrier SAS", "FR83404833048", "404833048"),
                                                 ("Ozanne SA", "FR44732829320", "732829320"))):  # fmt: skip
        email = f"contact@{name.split()[0].lower()}.example"
        place.create(
            "books", {"name": name, "siren_or_siret": siren, "email": email, "country_id": 75, "city": "Paris"}
        )
        place.create("lsp", {"name": name.upper(), "vatNumber": vat, "nationalIdentificationNumber": siren,
                             "address": {"city": "Lyon" if number else "Paris", "country": "FR"}})  # fmt: skip
        place.create("erp", {"name": name, "country": "FR", "currency": "EUR", "tin": siren, "tinType": "other", "addressCity": "Paris",
                             "addressCountry": "FR", "clientContacts": [{"name": "Accueil", "email": email}]})  # fmt: skip
    place.create("books", {"name": "Noé Abalain", "email": "noe@abalain.example", "professional": False})
    place.create(
        "receipts", {"firstName": "Noé", "lastName": "Abalain", "email": "noe@abalain.example", "locale": "fr-FR"}
    )


def first_contacts(place: Place, _look: Look) -> None:
    """Clients without e-mail get one, which makes a contact in two systems."""
    for client in _look.clients:
        if client["fields"].get("name") == "Sans Contact":
            books = next(link["external_id"] for link in client["links"] if link["system"] == "books")
            place.edit("books", books, {"email": "nouveau@sanscontact.example", "phone": "+33199004422"})


def clears(place: Place, look: Look) -> None:
    """A person empties fields, takes an archive back, and gives a name back."""
    a, b = in_every_system(look, 0), in_every_system(look, 1)
    place.edit(
        "lsp",
        look.external_id(a, "lsp"),
        {"vatNumber": None, "address": {"line1": None, "city": None, "postalCode": None}},
    )
    place.edit("erp", look.external_id(b, "erp"), {"addressPhoneNumber": None, "tin": None})


TWO_PERSONS = (
    ("Noé Abalain", "noe@abalain.example", "Brest"),
    ("N. Abalain-Quéré", "abalain.quere@courriel.example", "Quimper"),
)
"""One person, typed twice with nothing in common that would tell."""


def two_persons(place: Place) -> None:
    """Type a person twice, so that all four systems hold both."""
    for name, email, city in TWO_PERSONS:
        place.create("books", {"name": name, "email": email, "professional": False, "city": city, "country_id": 75})


def merges(place: Place, look: Look) -> None:
    """The two persons turn out to be one."""
    first, second = (look.named(name)["client"] for name, _, _ in TWO_PERSONS)
    place.run("merge", first, second, "--yes", "--json", code=0)


def unmerges(place: Place, look: Look) -> None:
    """They were two after all."""
    place.run("unmerge", look.named(TWO_PERSONS[0][0])["client"], "--yes", "--json", code=0)


SCENARIOS: Mapping[str, Scenario] = {
    each.name: each
    for each in (
        Scenario("first-run", nothing, prepared=False, clients=5),
        Scenario("edits", edits),
        Scenario("creates", creates, clients=2),
        Scenario("conflicts", conflicts),
        Scenario("deletes", deletes, clients=6, rounds=2),
        Scenario("overlapping", overlapping, prepared=False, clients=0),
        Scenario("first-contacts", first_contacts, clients=0),
        Scenario("clears", clears),
        Scenario("merges", merges, clients=2),
        Scenario("unmerges", unmerges, clients=2),
    )
}


def prepare(place: Place, scenario: Scenario) -> None:
    """Bring a fresh place to where the scenario starts."""
    if scenario.name == "first-contacts":
        place.create("books", {"name": "Sans Contact", "city": "Paris", "country_id": 75})
    if scenario.name in ("merges", "unmerges"):
        two_persons(place)
    if scenario.prepared:
        place.sync()
    if scenario.name == "unmerges":
        merges(place, place.look())
        place.sync()


def outcome(look: Look) -> Raw:
    """What a run came to, without ids and times that depend on its course."""
    names = {client["client"]: _known_as(client) for client in look.clients}
    return {
        "clients": sorted(
            [names[client["client"]], client["state"], _without_ids(client["fields"]), sorted([link["system"], link["state"]] for link in client["links"])]
            for client in look.clients if client["state"] != "merged"
        ),
        "conflicts": sorted(
            [names[row["client"]], row["field"], row["kind"], str(row["base"]), row["status"], str(row["winner"]), str(row["value"]),
             sorted([each["system"], str(each["value"])] for each in row["candidates"])]
            for row in look.conflicts
        ),
        "records": sorted([row["system"], row["state"], names.get(row["client"], "")] for row in look.records),
        "holds": sorted([row["kind"], row.get("state", ""), len(row["items"])] for row in look.holds),
    }  # fmt: skip


def _without_ids(fields: Raw) -> Raw:
    """Golden without the names that syncd gave to contacts: they follow from where it saw them first."""
    return {
        name: [{key: part for key, part in each.items() if key != "id"} for each in value]
        if name == "contacts" and isinstance(value, list)
        else value
        for name, value in fields.items()
    }


def _known_as(client: Raw) -> str:
    return f"{client['fields'].get('name')} {min((link['external_id'] for link in client['links'] if link['matched_by'] == 'new'), default='')}"


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Where two outcomes differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted(expected.keys() | found.keys())
        return [
            line
            for key in keys
            for line in differences(expected.get(key, "nothing"), found.get(key, "nothing"), f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        return [
            line for index, (left, right) in enumerate(pairs) for line in differences(left, right, f"{path}[{index}]")
        ]
    return (
        []
        if expected == found
        else [f"outcome{path}: a run without a crash came to {expected!r}, this one to {found!r}"]
    )
