"""Certainty: what lets two clients become one without a person, where the tenant wants that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.core.correlate.identity import identity
from syncd.core.correlate.likeness import compare_numbers, contradictions_in
from syncd.core.model import Context, Fields
from syncd.core.normalize.numbers import Registration, Vat


def are_certain(clients: Mapping[str, Sequence[Fields]], context: Context) -> bool:
    """Whether clients, each with what its records show, are surely one: an equal valid number joins them all, and nothing contradicts.

    An e-mail and a name are not enough, and two establishments of one company are two.
    """
    known = {client: [identity(fields, context) for fields in shown] for client, shown in clients.items()}
    names = sorted(known)
    joined = {names[0]} if names else set[str]()
    pairs = [(a, b, one, other) for a in names for b in names if a < b for one in known[a] for other in known[b]]
    if any(contradictions_in(compare_numbers(one, other)) for _, _, one, other in pairs):
        return False
    equal = [
        (a, b) for a, b, one, other in pairs if _same(one.registration, other.registration) or _same(one.vat, other.vat)
    ]
    for _ in names:
        joined.update(each for pair in equal if joined & set(pair) for each in pair)
    return len(names) > 1 and joined == set(names)


def _same(one: Registration | Vat | None, other: Registration | Vat | None) -> bool:
    """Whether two numbers are equal and valid."""
    return one is not None and other is not None and one.number == other.number and one.valid and other.valid
