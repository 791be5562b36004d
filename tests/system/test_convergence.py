"""From first data to rest: everything is everywhere it can be, once, field by field."""

from __future__ import annotations

import pytest

from tests.system import shapes
from tests.system.conftest import LONG, Make
from tests.system.judge import judge
from tests.system.launcher import spawn
from tests.system.place import Place
from tests.system.scenarios import SCENARIOS, creates, in_every_system
from tests.system.sights import seen


def test_the_first_run_ends_in_agreement(make: Make, database: str):
    """Twelve clients spread over four systems are in sync after one run, and a second run sends nothing."""
    place = make(clients=12, database=database)
    result = place.run("sync", "--until-quiet", "--json", code=0)
    assert list(shapes.faults(shapes.SYNC, result.json)) == []
    assert judge(place) == []


def test_the_program_as_people_start_it(make: Make):
    """`python -m syncd` itself, with nothing loaded before, does the same."""
    place = make(clients=3)
    result = spawn("--config", str(place.config), "sync", "--until-quiet", "--json", cwd=place.folder)
    assert (result.code, result.json["tenants"][0]["quiescent"]) == (0, True), result.err
    assert judge(place, quiet=False) == []


@pytest.mark.parametrize("seed", range(1, 9) if LONG else [3])
def test_misleading_first_data(make: Make, seed: int):
    """Twins, namesakes, shared phones and two sites of one company are never taken for one; what is likely is asked."""
    place = make(clients=12 if LONG else 4, seed=seed, adversarial=True)
    place.sync(code=1)
    look = place.look()
    assert [hold for hold in look.holds if hold["kind"] in ("link", "merge")]
    assert judge(place, look, rest=False) == []


def test_overlapping_first_data_makes_no_duplicates(make: Make):
    """The same parties typed independently into every system are found to be one, and no record is created where one is."""
    place = make(clients=0)
    SCENARIOS["overlapping"].act(place, place.look())
    place.sync()
    look = place.look()
    assert judge(place, look) == []
    assert sorted(client["fields"]["name"] for client in look.clients) == [
        "Granges SARL",
        "Noé Abalain",
        "Ozanne SA",
        "Verrier SAS",
    ]
    assert {system: len(place.records(system)) for system in ("books", "lsp", "erp", "receipts")} == {
        "books": 4, "lsp": 4, "erp": 4, "receipts": 1,
    }  # fmt: skip


def test_a_client_created_in_each_system(place: Place):
    """What is typed into one system appears in every other that can hold it, field by field."""
    creates(place, place.look())
    place.sync()
    look = place.look()
    assert judge(place, look) == []
    atelier, kontor = look.named("Atelier du Quai"), look.named("Kontor Nord")
    zoe, biuro = look.named("Zoé Quéré"), look.named("Biuro Wschód")
    assert {link["system"] for link in atelier["links"]} == {"books", "lsp", "erp"}
    assert {link["system"] for link in zoe["links"]} == {"books", "lsp", "erp", "receipts"}
    assert (
        {link["system"] for link in biuro["links"]}
        == {link["system"] for link in kontor["links"]}
        == {"books", "lsp", "erp"}
    )
    lsp = seen("lsp_expert", place.record("lsp", look.external_id(atelier, "lsp")))
    assert lsp | {"email": "quai@atelier.example", "city": "Brest", "postal_code": "29200", "address_line1": "3 quai Ouest",
                  "country": "FR", "phone": "+33199005511"} == lsp  # fmt: skip
    books = seen("tiime", place.record("books", look.external_id(zoe, "books")))
    assert (books["name"], books["kind"], books["email"]) == ("Zoé Quéré", "person", "zoe.quere@courriel.example")
    held = [seen("lsp_expert", place.record("lsp", look.external_id(biuro, "lsp"))),
            seen("tiime", place.record("books", look.external_id(biuro, "books")))]  # fmt: skip
    assert [each["registration_number"] for each in held] == ["7251801126", None]
    standing = next(each for each in place.ask("show", biuro["client"])["standings"] if each["system"] == "books")
    assert (standing["state"], standing["drift"], "registration_number" in standing["reason"]) == (
        "excluded",
        True,
        True,
    )


def test_a_language_crosses_between_systems_that_spell_it_differently(place: Place):
    """Flowtly says `pl`, Smartbills takes `pl-PL` only: the client is in both, nothing goes back, and a region that was typed stays."""
    place.create("receipts", {"firstName": "Ola", "lastName": "Lis", "email": "ola@lis.example", "locale": "fr-CA"})
    place.sync()
    look = place.look()
    ola = look.named("Ola Lis")
    erp, receipts = look.external_id(ola, "erp"), look.external_id(ola, "receipts")
    assert (ola["fields"]["language"], place.record("erp", erp)["documentsLanguage"]) == ("fr-CA", "fr")
    place.edit("erp", erp, {"documentsLanguage": "pl"})
    place.sync()
    look = place.look()
    assert (look.named("Ola Lis")["fields"]["language"], place.record("receipts", receipts)["locale"]) == (
        "pl",
        "pl-PL",
    )
    place.edit("receipts", receipts, {"phone": "+33199005577"})
    number = place.now
    place.sync()
    assert {write["method"] for write in place.writes(after=number)} <= {"PATCH", "PUT"}
    look = place.look()
    assert (look.named("Ola Lis")["fields"]["language"], place.record("erp", erp)["documentsLanguage"]) == ("pl", "pl")
    assert [row for row in look.conflicts if row["field"] == "language"] == []
    number = place.now
    place.sync()
    assert place.writes(after=number) == []
    assert place.record("receipts", receipts)["locale"] == "pl-PL"


def test_the_same_fields_are_in_the_mirror(place: Place):
    """Unmapped keys are kept in the mirror as they are in the system."""
    look = place.look()
    client = in_every_system(look)
    place.edit(
        "lsp",
        look.external_id(client, "lsp"),
        {"logoUrl": "https://logo.example/a.png", "invoice": {"minimumFee": 12.5}},
    )
    number = place.now
    place.sync()
    assert place.writes(after=number) == []
    look = place.look()
    [row] = [row for row in look.records if row["external_id"] == look.external_id(client, "lsp")]
    assert (row["raw"]["logoUrl"], row["raw"]["invoice"]["minimumFee"]) == ("https://logo.example/a.png", 12.5)
    assert judge(place, look, quiet=False) == []
