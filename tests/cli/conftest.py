"""Config folders for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.providers.memory import forget
from tests.cli.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A config folder without tenants."""
    made = Place(tmp_path)
    yield made
    for each in made.worlds.values():
        forget(each.name)


@pytest.fixture
def acme(place: Place) -> Place:
    """One tenant, acme: ACME in both systems, another client in crm alone; nothing was synced yet."""
    place.tenant()
    place.world("books").add(name="ACME SARL", email="a@acme.example", vat_number="FR40303265045", phone="+33142685300")
    place.world("crm").add(name="ACME SARL", email="a@acme.example", vat_number="FR40303265045", city="Lyon")
    place.world("crm").add(name="Boulangerie Fictive", email="b@fictive.example", phone="+33142685399")
    return place
