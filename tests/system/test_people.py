"""What a refused write needs from a person: its words, and `retry` or `drop`."""

from __future__ import annotations

from typing import Any

from tests.system.judge import judge
from tests.system.place import Place
from tests.system.scenarios import in_every_system


def parked(place: Place) -> dict[str, Any]:
    """A write that Flowtly refused, after an edit in LSP.expert."""
    look = place.look()
    client = in_every_system(look)
    place.sandbox.fault("status", provider="flowtly", method="PATCH", path="^/clients/", status=422, times=0)
    place.edit("lsp", look.external_id(client, "lsp"), {"invoice": {"paymentTerms": 21}})
    told = place.sync(code=1)
    [row] = told["parked"]
    assert (row["system"], row["client"]) == ("erp", client["client"])
    assert row["error"]["code"]
    assert row["error"]["message"]
    assert row["error"]["next"]
    return dict(row)


def test_a_refused_write_is_parked_and_sent_again_when_told(place: Place):
    """A refused write is not repeated by itself, the others go on, and `retry` sends it once more."""
    row = parked(place)
    tried = len([entry for entry in place.sandbox.journal("flowtly") if entry["method"] == "PATCH"])
    place.create("books", {"name": "Nachher SARL", "email": "n@nachher.example"})
    place.sync(code=1)
    look = place.look()
    assert {link["system"] for link in look.named("Nachher SARL")["links"]} == {"books", "lsp", "erp"}
    assert len([entry for entry in place.sandbox.journal("flowtly") if entry["method"] == "PATCH"]) == tried
    assert look.system("erp")["counts"]["failing"] == 1
    assert judge(place, look, rest=False, quiet=False) == []
    place.sandbox.clear_faults()
    place.run("retry", row["write"], "--json", code=0)
    place.sync()
    assert judge(place) == []


def test_a_dropped_write_is_given_up(place: Place):
    """`drop` needs consent; the write is not planned again, and the client is told as excluded there."""
    row = parked(place)
    place.sandbox.clear_faults()
    assert place.run("drop", row["write"], "--json").code == 2
    place.run("drop", row["write"], "--yes", "--json", code=0)
    number = place.now
    place.sync()
    assert place.writes(after=number) == []
    assert place.look().system("erp")["counts"]["excluded"] == 1
