"""What holds for any two clients: merged and taken apart again they are what they were; contacts are nobody's twice."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.scene import SYSTEMS, Scene
from tests.engine.test_contacts import ANNA, BOB

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "phone": st.sampled_from([None, "+33123456789", "+33199001122"]),
    "email": st.sampled_from([None, "office@acme.example", "desk@durand.example"]),
    "details": st.sampled_from([None, "pays late", "pays early"]),
    "payment_terms_days": st.sampled_from([None, 30, 45]),
    "bic": st.sampled_from([None, "BNPAFRPP"]),
    "marketing_consent": st.sampled_from([None, True]),
    "address": st.sampled_from(
        [
            {},
            {"city": "Lyon", "country": "FR"},
            {"address_line1": "1 rue du Nord", "city": "Lille", "postal_code": "59000"},
        ]
    ),
    "archived": st.booleans(),
}
CLIENT = st.fixed_dictionaries(VALUES)


def typed(values: dict[str, Any], name: str, email: str) -> dict[str, Any]:
    rest = {key: value for key, value in values.items() if key not in ("address", "archived", "email")}
    own = email if values["email"] is not None else None  # an equal one would be evidence
    return {"name": name, "email": own, **rest, **values["address"]}


def stand(scene: Scene) -> dict[str, Any]:
    """Everything that a merge taken back restores."""
    end = scene.end()
    return {key: end[key] for key in ("records", "clients", "links")}


@given(CLIENT, CLIENT, st.sampled_from(SYSTEMS), st.sampled_from(SYSTEMS), st.sampled_from(["c1", "c2"]), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_merged_and_taken_apart_again_is_as_before(
    first: dict[str, Any], second: dict[str, Any], here: str, there: str, winner: str, at_once: bool
) -> None:
    """Links, golden records and every system's records are what they were, whether the systems had followed the merge or not."""
    scene = Scene()
    scene.begin()
    ids = [
        (here, scene.world(here).add(**typed(first, "ACME Europe", "office@acme.example")), first["archived"]),
        (there, scene.world(there).add(**typed(second, "Boulangerie Durand", "b@durand.example")), second["archived"]),
    ]
    scene.settle()
    for system, external_id, archived in ids:
        if archived:
            scene.world(system).edit(external_id, archived=True)
    scene.settle()
    before = stand(scene)
    loser = "c2" if winner == "c1" else "c1"
    scene.operate().merge(winner, loser)
    if not at_once:
        scene.settle()
        end = scene.end()
        assert {client for client, _ in end["links"].values()} == {winner}
        assert end["open"] == []
    parted = scene.operate().unmerge(loser)
    scene.settle()
    assert parted.left == ()
    assert stand(scene) == before


def people(scene: Scene, system: str, external_id: str) -> list[Any]:
    listed = scene.world(system).record(external_id)["contacts"] or []
    return sorted(each["email"] for each in listed)


def test_contacts_and_notes_come_along_and_go_back() -> None:
    """The survivor gets the other one's contacts and notes; taken apart, golden contacts are who they were, and notes stay with both."""
    scene = Scene()
    scene.begin()
    shared = {**ANNA, "email": "shared@both.example"}
    scene.world("a").add(name="ACME Europe", contacts=[dict(ANNA), dict(shared)], notes=["pays late"])
    scene.world("b").add(
        name="Boulangerie Durand", city="Lyon", contacts=[dict(BOB), dict(shared)], notes=["pays early"]
    )
    scene.settle()
    with scene.store().reading() as tx:
        before = [(row.client, row.fields["contacts"]) for row in tx.clients()]
    scene.operate().merge("c1", "c2")
    scene.settle()
    everybody = ["anna@acme.fr", "bob@acme.fr", "shared@both.example"]
    links = scene.end()["links"]
    for (system, external_id), (_, state) in links.items():
        if state == "linked":
            assert people(scene, system, external_id) == everybody
            assert [each["text"] for each in scene.world(system).record(external_id)["notes"]] == [
                "pays late",
                "pays early",
            ]
    parted = scene.operate().unmerge("c2")
    assert {(each.client, each.field) for each in parted.left} == {("c1", "contacts"), ("c1", "notes")}
    scene.settle()
    with scene.store().reading() as tx:
        after = [(row.client, row.fields["contacts"]) for row in tx.clients()]
    assert after == before
    assert people(scene, "b", "1") == ["bob@acme.fr", "shared@both.example"]
    assert scene.cycle() == 0
