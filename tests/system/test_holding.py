"""What syncd does not do by itself: the first run under review, plans, deletes, brakes."""

from __future__ import annotations

from tests.system import shapes
from tests.system.conftest import Make
from tests.system.judge import judge
from tests.system.place import Place
from tests.system.scenarios import in_every_system


def test_a_first_run_under_review(make: Make):
    """Nothing is written before the report is released; then everything is, once."""
    place = make(clients=4, first_run="review")
    place.sync(code=1)
    place.sync(code=1)
    assert place.writes() == []
    [hold] = place.ask("holds")["holds"]
    assert (hold["kind"], {item["system"] for item in hold["items"]}) == (
        "first_run",
        {"books", "lsp", "receipts", "erp"},
    )
    refused = place.run("release", hold["hold"], "--json", code=2)
    assert "--yes" in refused.out
    assert judge(place, rest=False, quiet=False) == []
    place.run("release", hold["hold"], "--yes", "--json", code=0)
    place.sync()
    assert place.writes()
    assert judge(place) == []


def test_a_plan_sends_nothing(place: Place):
    """`plan` shows the write with before, after and cost, exits with 3, and changes no system; a plan of nothing exits with 0."""
    assert place.run("plan", "--json", code=0).json["writes"] == []
    look = place.look()
    client = in_every_system(look)
    number = place.now
    place.edit("lsp", look.external_id(client, "lsp"), {"invoice": {"paymentTerms": 21}})
    plan = place.run("plan", "--json", code=3).json
    assert list(shapes.faults(shapes.PLAN, plan)) == []
    [write] = plan["writes"]
    assert (write["system"], write["action"], write["after"], write["client"]) == (
        "erp", "update", {"payment_terms_days": 21}, client["client"],
    )  # fmt: skip
    assert plan["calls"] >= write["calls"] >= 1
    assert place.writes(after=number) == []
    assert place.look().outbox == look.outbox
    place.sync()
    assert judge(place, quiet=False) == []


def test_a_delete_archives_elsewhere(place: Place):
    """A client deleted in LSP.expert is archived in Flowtly by its status, told as drift in Tiime, and never created again."""
    look = place.look()
    client = in_every_system(look)
    place.sandbox.delete("lsp_expert", look.external_id(client, "lsp"))
    erp = look.external_id(client, "erp")
    number = place.now
    place.sync()
    assert place.writes(after=number) == []
    place.sync()
    assert [(entry["provider"], entry["method"], entry["sent"]) for entry in place.writes(after=number)] == [
        ("flowtly", "PATCH", {"status": "inactive"})
    ]
    assert place.record("erp", erp)["status"] == "inactive"
    look = place.look()
    now = next(each for each in look.clients if each["client"] == client["client"])
    assert now["state"] == "archived"
    assert {link["system"]: link["state"] for link in now["links"]}["lsp"] == "gone"
    assert judge(place, look) == []


def test_archiving_travels_both_ways(place: Place):
    """Archived in Flowtly is archived in LSP.expert; restored in LSP.expert is active in Flowtly again."""
    look = place.look()
    client = in_every_system(look)
    lsp, erp = look.external_id(client, "lsp"), look.external_id(client, "erp")
    place.sandbox.archive("flowtly", erp)
    place.sync()
    assert place.record("lsp", lsp)["archived"] is True
    place.sandbox.archive("lsp_expert", lsp, archived=False)
    place.sync()
    assert place.record("erp", erp)["status"] == "active"
    assert judge(place, quiet=False) == []


def test_deletes_that_the_tenant_ignores(place: Place):
    """With `on_delete = "ignore"` a delete elsewhere changes nothing in that system."""
    place.configure(more={"systems.erp": {"on_delete": "ignore"}})
    look = place.look()
    client = in_every_system(look)
    place.sandbox.delete("lsp_expert", look.external_id(client, "lsp"))
    number = place.now
    for _ in range(3):
        place.sync(code=None)
    assert place.writes(after=number) == []


def test_many_deletes_at_once_are_held(make: Make):
    """Six of six records gone: nothing is archived until that set is released by its name, and that works once."""
    place = make(clients=7)
    place.sync()
    look = place.look()
    victims = [link["external_id"] for client in look.clients for link in client["links"] if link["system"] == "lsp"][
        :6
    ]
    for external_id in victims:
        place.sandbox.delete("lsp_expert", external_id)
    number = place.now
    for _ in range(3):
        place.sync(code=None)
    assert place.writes(after=number) == []
    [hold] = [each for each in place.ask("holds")["holds"] if each["kind"] == "brake"]
    assert (hold["system"], len(hold["items"])) == ("lsp", 6)
    place.run("release", hold["hold"], "--yes", "--json", code=0)
    place.run("release", hold["hold"], "--yes", "--json", code=2)
    place.sync(code=0)
    assert {entry["provider"] for entry in place.writes(after=number)} == {"flowtly"}
    assert sum(row["status"] == "inactive" for row in place.records("erp")) >= 6
    assert len(place.records("lsp")) == len(look.clients) - 6
    assert judge(place) == []
