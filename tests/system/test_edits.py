"""What people change travels as the smallest write, and competing edits are told."""

from __future__ import annotations

from tests.system.judge import judge
from tests.system.place import Place, Raw
from tests.system.scenarios import in_every_system
from tests.system.sights import seen


def sent(place: Place, after: int) -> list[tuple[str, str, Raw]]:
    """(provider, method, body) of every change after a number."""
    return sorted(((entry["provider"], entry["method"], entry["sent"]) for entry in place.writes(after=after)), key=str)


def test_an_edit_in_lsp_expert(place: Place):
    """A moved client costs one write per other system, with the changed keys only; the origin gets none."""
    look = place.look()
    person = in_every_system(look, kind="person")
    before = place.record("receipts", look.external_id(person, "receipts"))
    number = place.now
    place.edit(
        "lsp",
        look.external_id(person, "lsp"),
        {"address": {"line1": "9 quai des Tests", "city": "Brest", "postalCode": "29200"}},
    )
    place.sync()
    writes = {provider: (method, body) for provider, method, body in sent(place, number)}
    assert writes.keys() <= {"flowtly", "smartbills"}
    assert len(sent(place, number)) == len(writes)
    method, body = writes["flowtly"]
    assert method == "PATCH"
    assert body.keys() <= {"addressStreetLine", "addressBuildingNumber", "addressPostCode", "addressCity"}
    assert (body["addressCity"], body["addressStreetLine"], body["addressBuildingNumber"]) == (
        "Brest",
        "quai des Tests",
        "9",
    )
    after = place.record("receipts", look.external_id(person, "receipts"))
    assert after["address"]["city"] == "Brest"
    assert {key for key in after if after[key] != before[key]} <= {"address", "updatedAt"}
    assert judge(place, quiet=False) == []


def test_an_edit_in_flowtly(place: Place):
    """A payment term and an e-mail typed in Flowtly: LSP.expert gets one parameter each, its contact keeps its name."""
    look = place.look()
    client = in_every_system(look, 1)
    external_id = look.external_id(client, "erp")
    contact = next(
        row for row in place.sandbox.records("flowtly", "client-contacts") if row["client"].endswith(f"/{external_id}")
    )
    number = place.now
    place.edit("erp", external_id, {"dueDays": 77})
    place.sandbox.edit("flowtly", str(contact["id"]), {"email": "neu@adresse.example"}, "client-contacts")
    place.sync()
    bodies = [body for provider, _, body in sent(place, number) if provider == "lsp_expert"]
    assert sorted(bodies, key=str) == sorted([{"paymentTerms": "77"}, {"email": "neu@adresse.example"}], key=str)
    assert [provider for provider, _, _ in sent(place, number) if provider == "flowtly"] == []
    assert judge(place, quiet=False) == []


def test_an_edit_in_smartbills(place: Place):
    """A phone typed in Smartbills arrives as it was typed; a PUT to another customer keeps what nobody mapped."""
    look = place.look()
    person = in_every_system(look, kind="person")
    customer = look.external_id(person, "receipts")
    place.edit("receipts", customer, {"tags": ["vip"], "metadata": {"their": "own"}, "acceptsMarketing": True})
    place.sync()
    number = place.now
    place.edit("receipts", customer, {"phone": "+33 1 99 00 77 55"})
    place.sync()
    bodies = {provider: body for provider, _, body in sent(place, number)}
    assert bodies == {
        "lsp_expert": {"phone": "+33 1 99 00 77 55"},
        "flowtly": {"addressPhoneNumber": "+33 1 99 00 77 55"},
    }
    place.edit("lsp", look.external_id(person, "lsp"), {"contacts": [{**place.record("lsp", look.external_id(person, "lsp"))["contacts"][0],
                                                                      "email": "anders@post.example"}]})  # fmt: skip
    place.sync()
    after = place.record("receipts", customer)
    assert (after["email"], after["tags"], after["metadata"], after["acceptsMarketing"], after["phone"]) == (
        "anders@post.example", ["vip"], {"their": "own"}, True, "+33 1 99 00 77 55",
    )  # fmt: skip
    assert judge(place, quiet=False) == []


def test_an_edit_in_tiime(place: Place):
    """A rename in Tiime arrives everywhere, and Tiime itself is never written to after a create."""
    look = place.look()
    client = next(each for each in look.clients if each["fields"].get("kind") == "company" and in_books(each))
    number = place.now
    place.edit(
        "books", look.external_id(client, "books"), {"name": "Rebaptisée SAS", "email": "salut@rebaptisee.example"}
    )
    place.sync()
    assert {(provider, method) for provider, method, _ in sent(place, number)} == {
        ("lsp_expert", "PUT"),
        ("flowtly", "PATCH"),
    }
    look = place.look()
    renamed = look.named("Rebaptisée SAS")
    assert renamed["client"] == client["client"]
    for system, provider in (("lsp", "lsp_expert"), ("erp", "flowtly")):
        assert seen(provider, place.record(system, look.external_id(renamed, system)))["name"] == "Rebaptisée SAS"
    assert judge(place, look, quiet=False) == []


def in_books(client: Raw) -> bool:
    """Whether Tiime holds the client."""
    return any(link["system"] == "books" for link in client["links"])


def test_the_same_edit_on_two_sides(place: Place):
    """Two people who type the same are not in conflict, and neither system is written to."""
    look = place.look()
    client = in_every_system(look)
    before = len(look.conflicts)
    number = place.now
    place.edit("lsp", look.external_id(client, "lsp"), {"nationalIdentificationNumber": "732 829 320"})
    place.edit("erp", look.external_id(client, "erp"), {"tin": "732829320"})
    place.sync()
    assert sent(place, number) == []
    assert len(place.look().conflicts) == before
    assert judge(place, quiet=False) == []


def test_different_edits_on_two_sides(place: Place):
    """Two people who type different things make exactly one conflict, which tells the base, both values and who won."""
    look = place.look()
    client = in_every_system(look)
    lsp, erp = look.external_id(client, "lsp"), look.external_id(client, "erp")
    place.edit("lsp", lsp, {"invoice": {"paymentTerms": 20}})
    place.sync()
    known = {row["conflict"] for row in place.look().conflicts}
    place.edit("lsp", lsp, {"invoice": {"paymentTerms": 21}})
    place.edit("erp", erp, {"dueDays": 22})
    result = place.sync()
    assert sum(cycle["conflicts"] for cycle in result["cycles"]) == 1
    [row] = [row for row in place.look().conflicts if row["conflict"] not in known]
    assert (row["client"], row["field"], row["kind"], row["base"]) == (
        client["client"],
        "payment_terms_days",
        "edit",
        20,
    )
    assert {(each["system"], each["external_id"], each["value"]) for each in row["candidates"]} == {
        ("lsp", lsp, 21),
        ("erp", erp, 22),
    }
    assert all(each["seen_at"] for each in row["candidates"])
    assert (row["status"], row["winner"], row["value"], row["rule"], row["decided_by"]) == (
        "decided",
        "lsp",
        21,
        "order",
        "rule",
    )
    assert judge(place) == []


def test_a_losing_value_can_be_put_back(place: Place):
    """`resolve --take` gives the other value to every system, once."""
    look = place.look()
    client = in_every_system(look)
    place.edit("lsp", look.external_id(client, "lsp"), {"invoice": {"paymentTerms": 21}})
    place.edit("erp", look.external_id(client, "erp"), {"dueDays": 22})
    place.sync()
    row = place.look().conflicts[-1]
    place.run("resolve", row["conflict"], "--take", "erp", "--json", code=0)
    place.sync()
    look = place.look()
    assert place.record("lsp", look.external_id(client, "lsp"))["invoice"]["paymentTerms"] == 22
    assert next(each for each in look.conflicts if each["conflict"] == row["conflict"])["status"] == "resolved"
    assert judge(place, look, quiet=False) == []


def test_a_conflict_that_a_person_decides(place: Place):
    """With the rule `hold` nothing of that field is written until `resolve --value`; other fields go on."""
    place.configure(more={"fields.payment_terms_days": {"rule": "hold"}})
    look = place.look()
    client = in_every_system(look)
    lsp, erp = look.external_id(client, "lsp"), look.external_id(client, "erp")
    place.edit("lsp", lsp, {"invoice": {"paymentTerms": 21}, "nationalIdentificationNumber": "732829320"})
    place.edit("erp", erp, {"dueDays": 22})
    place.sync(code=1)
    place.sync(code=1)
    look = place.look()
    [row] = [row for row in look.conflicts if row["status"] == "open"]
    assert (row["rule"], row["winner"], row["field"]) == ("hold", None, "payment_terms_days")
    assert look.system("lsp")["counts"]["held"] == 1
    assert place.record("erp", erp)["tin"] == "732829320"
    assert (place.record("lsp", lsp)["invoice"]["paymentTerms"], place.record("erp", erp)["dueDays"]) == (21, 22)
    assert judge(place, look, rest=False, quiet=False) == []
    place.run("resolve", row["conflict"], "--value", "30", "--json", code=0)
    place.sync()
    assert (place.record("lsp", lsp)["invoice"]["paymentTerms"], place.record("erp", erp)["dueDays"]) == (30, 30)
    assert judge(place, quiet=False) == []
