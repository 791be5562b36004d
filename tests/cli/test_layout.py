"""Tables and remarks keep to the width of the page."""

from __future__ import annotations

from syncd.cli import output
from tests.cli.place import Place


def test_headings_are_never_folded(capsys) -> None:
    """A heading stays in one piece however long the values beside it are; the values fold."""
    output.table(
        ("write", "tenant", "system", "action", "client", "record", "state", "tries#", "since", "fields"),
        [
            (
                "w1",
                "acme",
                "lsp",
                "update",
                "c1",
                "cb4825a424ecb97c6125631a" * 2,
                "done",
                1,
                "11-21 05:52",
                "registration_number, vat_number",
            )
        ],
    )
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= output.WIDTH_COLUMNS
    heading = next(line for line in shown if "write" in line)
    assert heading.split() == [
        "write",
        "tenant",
        "system",
        "action",
        "client",
        "record",
        "state",
        "tries",
        "since",
        "fields",
    ]


def test_remarks_beside_the_answer_are_wrapped(capsys) -> None:
    """What is shown before a question goes to stderr and keeps to the width too."""
    output.note("    - " + "words of some length " * 20)
    told = capsys.readouterr()
    assert told.out == ""
    assert max(map(len, told.err.splitlines())) <= output.WIDTH_COLUMNS


def test_a_release_without_a_terminal_is_wrapped(place: Place) -> None:
    """The report that `release` shows keeps to 100 columns, with the question it cannot ask behind it."""
    place.tenant(first_run="review")
    for number in range(30):
        place.world("books").add(name=f"Client number {number}", email=f"c{number}@example.fr")
    place.run("sync", exit_code=1)
    told = place.run("release", "h1", exit_code=2).stderr
    assert "Add --yes" in told
    assert max(map(len, told.splitlines())) <= output.WIDTH_COLUMNS


def test_no_column_is_cut_off(capsys) -> None:
    """A client in four systems with long ids keeps every column and value: headings fold at their blanks first."""
    headings = ("books 100006", "lsp 2e60a3442673ae4d669d5aab", "receipts 1009", "erp 16")
    output.table(
        ("field", "golden", *headings),
        [
            ("registration_number", "61164376800967", "=", "=", "", "="),
            ("city", "Nancy", "! Nantes", "=", "=", "=" * 30),
        ],
    )
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= output.WIDTH_COLUMNS
    for word in ("2e60a3442673ae4d669d5aab", "receipts", "1009", "erp", "Nantes"):
        assert word in shown.split()
    assert shown.count("=") == 35
