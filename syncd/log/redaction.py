"""The last fence: no secret, no credential, no person and no control character in any text."""

from __future__ import annotations

import base64
import json
import re
import threading
import unicodedata
from typing import Final
from urllib.parse import quote, quote_plus

MIN_SECRET_CHARACTERS: Final = 4
MASK: Final = "[secret]"

_PATTERNS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{4,}"), r"\1 " + MASK),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]*@"), r"\1" + MASK + "@"),
    (re.compile(r"(?i)\b(https?://[^\s?#\"']*)[?#][^\s\"']*"), r"\1?[query]"),
    (re.compile(r"[^\s@\"'<>(),;:=/]+@[^\s@\"'<>(),;:=/]+\.[^\s@\"'<>(),;:=/]+"), "[e-mail]"),
    (re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b"), "[iban]"),
)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class _Known:
    """The secrets of this process. `pattern` is replaced as a whole, so that readers need no lock."""

    lock = threading.Lock()
    forms: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None


def register_secret(text: str) -> None:
    """Mask this text, and the usual encodings of it, in every line from now on. Texts under 4 characters are ignored."""
    if len(text) < MIN_SECRET_CHARACTERS:
        return
    raw = text.encode("utf-8", "surrogatepass")
    basic = (base64.b64encode(raw).decode(), base64.b64encode(raw + b":").decode())
    escaped = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
    forms = {text, _visible(text), quote(raw, safe=""), quote(raw), quote_plus(raw), *basic, *escaped}
    with _Known.lock:
        if forms <= _Known.forms:
            return
        _Known.forms |= forms
        longest_first = sorted(_Known.forms, key=len, reverse=True)
        _Known.pattern = re.compile("|".join(re.escape(form) for form in longest_first))


def clean(text: str) -> str:
    """A text without secrets, credentials, addresses of persons and control characters."""
    masked = _Known.pattern
    if masked is not None:
        text = masked.sub(MASK, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _visible(text)


def _visible(text: str) -> str:
    """Control, format, separator and surrogate characters written out, so that no line can fake or hide another."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written_out(letter) if unicodedata.category(letter) in _UNSEEN else letter for letter in text)


def _written_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
