"""Values as markup: escaped whatever they hold, and with exactly what differs marked."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.web import show
from syncd.web.entering import _inside

TEXTS = st.text(max_size=60)
TAGS = re.compile(r"<[^>]*>")


def text_of(markup: str) -> str:
    return html.unescape(TAGS.sub("", markup))


@given(TEXTS)
def test_any_text_is_shown_and_nothing_else(text: str) -> None:
    """The markup of a text has our own elements only, and without them says the text, hidden characters as their numbers."""
    markup = str(show.visible(text))
    assert set(re.findall(r"</?(\w+)", markup)) <= {"span"}
    assert text_of(markup) == "".join(f"U+{ord(letter):04X}" if show._is_hidden(letter) else letter for letter in text)
    assert not any(show._is_hidden(letter) for letter in text_of(markup) if letter not in "\n\t")
    assert not any(show._is_hidden(letter) for letter in show.plain(text))


@given(TEXTS, TEXTS)
def test_marks_are_what_the_other_does_not_have(text: str, other: str) -> None:
    """Marking differences keeps the text; equal texts have no mark, and different ones have one."""
    markup = str(show.marked(text, other))
    kept = text_of(markup.replace("\u2038", "") if "\u2038" not in text else markup)
    if text and "\u2038" not in text:
        assert kept == text_of(str(show.visible(text)))
    assert ("<mark" in markup) == (bool(text) and text != other)


@pytest.mark.parametrize(
    "value, against, marks",
    [
        ("12 rue de la Paix", "12 rue de Lyon", ["la Paix"]),
        ("Fictve", "Fictive", [""]),
        ("+33142685301", "+33142685302", ["1"]),
        ("rue Foch 12b", "rue Foch 12", ["b"]),
        ("a@x.example", "a@x.example", []),
        ({"city": "Paris", "country": "FR"}, {"city": "Lyon", "country": "FR"}, ["Paris"]),
        (True, False, ["yes"]),
        (None, "x", []),
        (["a"], [], ["a"]),
    ],
)
def test_differences(value: object, against: object, marks: list[str]) -> None:
    """Only the words, letters or parts that differ are marked."""
    found = [
        text_of(each).replace("\u2038", "")
        for each in re.findall(r"<mark[^>]*>.*?</mark>", str(show.marked(value, against)))
    ]
    assert [" ".join(found)] == marks or found == marks


def test_long_texts_are_compared_as_a_whole() -> None:
    """A text of very many words is marked as a whole, so that no value makes a page slow."""
    markup = str(show.marked("a b " * 5000, "c d " * 5000))
    assert markup.count("<mark>") == 1
    assert len(show.visible("x" * 100_000)) < 21_000


def test_times_are_relative_with_the_exact_one() -> None:
    """A time says how long ago it was, and has the exact one in its title and for machines."""
    now = datetime(2026, 11, 21, 8, tzinfo=UTC)
    told = [
        (5, "5 s ago"),
        (90, "90 s ago"),
        (600, "10 min ago"),
        (7200, "2 h ago"),
        (200000, "2 d ago"),
        (-60, "in 60 s"),
    ]
    for seconds, words in told:
        markup = str(show.time(now - timedelta(seconds=seconds), now))
        assert f">{words}</time>" in markup
        assert 'title="2026-11-' in markup
    assert "never" in show.time(None, now)
    assert show.time("2026-11-21T07:59:00Z", now) == show.time(now - timedelta(seconds=60), now)


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", "", "/\u202e"]
)
def test_after_the_login_nobody_is_sent_elsewhere(path: str) -> None:
    """Only a place on this page is gone to."""
    assert _inside(path) == "/"
    assert _inside("/t/acme?span=1h") == "/t/acme?span=1h"
