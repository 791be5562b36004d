"""What the answer to a write is taken for."""

from __future__ import annotations

from syncd.engine.push import resembles


def test_an_empty_address_is_no_form_of_an_address():
    """A system that kept nothing of an address has not taken it in a shorter form."""
    assert not resembles("address", None, {"city": None, "country": "CA"})
    assert not resembles("address", {}, {"city": "Lyon"})


def test_a_cut_address_is_a_form_of_it():
    """A system that shows the parts it can hold, cut at its limit, has taken the address."""
    assert resembles("address", {"city": "Saint-Étie"}, {"city": "Saint-Étienne", "region": "Loire"})
    assert resembles("address", None, {"city": None, "country": None})
