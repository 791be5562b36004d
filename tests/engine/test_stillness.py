"""A client of which no system shows anything new is passed over where edits are counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.engine.reconcile import is_still
from syncd.store import Bundle
from tests.engine.rig import Rig, make_rig


def bundle_of(rig: Rig) -> Bundle:
    store = rig.store()
    with store.reading() as tx:
        (found,) = tx.bundles([client.client for client in tx.clients()])
    store.close()
    return found


def test_a_client_is_still_until_a_system_shows_something_else(tmp_path: Path) -> None:
    """What every system shows was accounted for; one other value, or one field more, and it is not."""
    rig = make_rig(tmp_path, ("a", "b"))
    rig.worlds["a"].add(name="Boulangerie Fournil", email="info@fournil.fr", archived=False)
    rig.settle()
    settled = bundle_of(rig)
    assert len(settled.sides) == 2
    assert is_still(settled)
    (link, record), other = settled.sides
    assert record is not None
    for news in ({"email": "new@fournil.fr"}, {"email": None}, {"custom.colour": "red"}):
        changed = replace(record, fields={**record.fields, **news})
        assert not is_still(replace(settled, sides=((link, changed), other)))
    assert is_still(replace(settled, sides=((link, None), other)))
