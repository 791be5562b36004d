"""What the answer to a write is taken for."""

from __future__ import annotations

from syncd.engine.answers import baseline, resembles
from syncd.store import Base


def test_an_empty_address_is_no_form_of_an_address():
    """A system that kept nothing of an address has not taken it in a shorter form."""
    assert not resembles(None, {"city": None, "country": "CA"})
    assert not resembles({}, {"city": "Lyon"})


def test_a_cut_address_is_a_form_of_it():
    """A system that shows the parts it can hold, cut at its limit, has taken the address."""
    assert resembles({"city": "Saint-Étie"}, {"city": "Saint-Étienne", "region": "Loire"})
    assert resembles(None, {"city": None, "country": None})


def test_another_name_is_no_form_of_a_name():
    """A system that answers a write and keeps the old name has not taken the new one."""
    kept = {"name": "Vibonepu Rarupopo", "given_name": None, "family_name": None}
    assert not resembles(kept, {"name": "Guvoreze Fovefeso", "given_name": None, "family_name": None})


def test_a_part_that_a_found_record_does_not_show_was_not_taken():
    """The country that a system left out of a record made by a lost create is nobody's edit: golden keeps it."""
    sent = {"city": "Ottawa", "country": "CA"}
    assert baseline(sent, {"city": "Ottawa", "country": None}, sent) == Base(seen={"city": "Ottawa", "country": None})
    assert baseline("x@y.example", None, "x@y.example") == Base(seen=None)


def test_another_value_in_a_found_record_is_somebodys_edit():
    """What was sent is the baseline of a record that a person edited before it was found."""
    sent = {"city": "Ottawa", "country": "CA"}
    assert baseline(sent, {"city": "Gatineau", "country": "CA"}, sent) == Base(seen=sent, agreed=sent)
    assert baseline("old", "new", "old") == Base(seen="old", agreed="old")
