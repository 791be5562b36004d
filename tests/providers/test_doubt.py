"""Which bodies are looked at text by text: those that could hold a text unfit for keeping, and no others."""

from __future__ import annotations

import json

import pytest

from syncd.providers.decoding import MAX_TEXT_BYTES, doubtful

PAGE = [{"id": number, "name": 'Dupont "et" fils \\', "note": "é" * 40} for number in range(3000)]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_large_page_of_short_texts_is_not_in_doubt(*, ascii_only: bool) -> None:
    """The size of a page alone does not make its texts doubtful."""
    body = json.dumps(PAGE, ensure_ascii=ascii_only).encode()
    assert len(body) > 3 * MAX_TEXT_BYTES
    assert not doubtful(body)


@pytest.mark.parametrize("letter", ["x", '"', "\\", "é", '\\"', "\\,"])
@pytest.mark.parametrize("before", [0, 1, 777, 49_999])
def test_a_text_that_is_too_long_is_found_wherever_it_stands(letter: str, before: int) -> None:
    """Escaped quotation marks and backslashes do not hide it, nor does where in the page it begins."""
    text = letter * (MAX_TEXT_BYTES // len(letter.encode()) + 1)
    for ascii_only in (True, False):
        body = json.dumps([{"pad": "p" * before}, *PAGE[:50], {"note": text}, *PAGE], ensure_ascii=ascii_only).encode()
        assert doubtful(body)


def test_texts_that_no_database_takes_are_found_in_any_body() -> None:
    """NUL and lone surrogates come as escapes."""
    assert doubtful(rb'{"a": "\u0000"}')
    assert doubtful(rb'{"a": "\ud800"}')
    assert not doubtful(rb'{"a": "\u00e9"}')
