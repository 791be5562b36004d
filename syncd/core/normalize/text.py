"""Text: Unicode form, white space, and rich text reduced to what a reader sees."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html.parser import HTMLParser
from typing import Final

_BLOCKS: Final = frozenset({"p", "div", "br"})
_HOLLOW: Final = re.compile(r"(?:</?(?:p|div|br)\s*/?>|&nbsp;|&#160;|\s)*", re.IGNORECASE)
_MARK: Final = "\x1f"
_MARKUP_LIMIT_CHARACTERS: Final = 100_000
"""Longer rich text is compared as it is written: reading markup takes time, and nobody types that much."""


def tidy(text: str) -> str:
    """The text in Unicode NFC, white space collapsed to single blanks and stripped."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def trim(text: str) -> str:
    """The text in Unicode NFC and stripped, with its inner lines and blanks as they were typed."""
    return unicodedata.normalize("NFC", text).strip()


def alphanumeric(text: str) -> str:
    """Only the letters and digits, upper case, compatibility forms (full-width digits) folded."""
    folded = unicodedata.normalize("NFKC", text).upper()
    return "".join(character for character in unicodedata.normalize("NFKC", folded) if character.isalnum())


def is_hollow(markup: str) -> bool:
    """Whether rich text shows nothing: only blanks and empty paragraphs (`<p></p>`)."""
    return _HOLLOW.fullmatch(markup) is not None


class _Reader(HTMLParser):
    """Collects the words of rich text; paragraphs and line breaks count as blanks, other tags as words of their own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.pieces.append(" ")
        else:
            shown = "".join(f" {name}={value}" for name, value in sorted(attrs, key=str))
            self.pieces.append(f"{_MARK}{tag}{shown}{_MARK}")

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append(" " if tag in _BLOCKS else f"{_MARK}/{tag}{_MARK}")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


@lru_cache(maxsize=4096)
def markup_key(markup: str) -> str | None:
    """What two rich texts are compared by: their words and inner tags; paragraphs, blanks and entities do not count.

    A plain text and the same text wrapped in `<p>` are equal. None where the text shows nothing.
    """
    if is_hollow(markup):
        return None
    plain = tidy(markup)
    if len(markup) > _MARKUP_LIMIT_CHARACTERS or ("<" not in markup and "&" not in markup):
        return plain
    reader = _Reader()
    try:
        reader.feed(markup)
        reader.close()
    except (AssertionError, ValueError):  # the parser's own refusals of broken declarations
        return plain
    return tidy("".join(reader.pieces)) or plain
