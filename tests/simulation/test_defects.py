"""The tester, tested: the lives notice what is wrong. `make simulate` makes every defect of the table."""

from __future__ import annotations

import pytest

from tests.simulation.defects import DEFECTS, misfits, noticed

QUICK = (
    "a decided conflict is not logged",
    "fields are written where the tenant forbids it",
    "what changed in the mirror is not decided",
)


def test_every_defect_is_one_line_of_the_source() -> None:
    """The line that a defect makes wrong is there, once; else the table would test nothing."""
    assert misfits() == []
    assert len(DEFECTS) >= 25


@pytest.mark.parametrize("name", QUICK)
def test_the_lives_notice_a_defect(name: str) -> None:
    """Syncd with this line made wrong does not get through."""
    defect = next(each for each in DEFECTS if each.name == name)
    assert noticed(defect, seeds=20) is not None
