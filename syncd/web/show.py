"""How values are shown: escaped, with what cannot be seen written out, and with differences marked inside the text.

Whatever a system may have said comes here as text and leaves as escaped markup; a control character, or one that turns the direction of
the text, is shown by its number, so that no value can pass for another one or for a part of the page.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any, Final

from markupsafe import Markup, escape

from syncd.core.model import FIELDS, parts_of

HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
LAYOUT: Final = frozenset("\n\t")
"""Control characters that a text of several lines has by right."""

MAX_COMPARED_WORDS: Final = 2_000
"""Of a text, beyond which a difference is told without marking where it is."""
ALIKE: Final = 0.6
"""How much of two words has to be the same for them to be compared letter by letter."""
MAX_SHOWN_CHARACTERS: Final = 20_000

_WORDS: Final = re.compile(r"\w+|\W", re.UNICODE)

NAMES: Final[Mapping[str, str]] = {
    "address_line1": "line 1",
    "address_line2": "line 2",
    "bic": "BIC",
    "email": "e-mail",
    "iban": "IBAN",
    "payment_terms_days": "payment terms (days)",
    "vat_number": "VAT number",
}
"""Fields whose names are not simply their words."""


def field_name(name: str) -> str:
    """A canonical field in words."""
    return NAMES.get(name, name.replace("_", " "))


def field_order(names: Iterable[str]) -> list[str]:
    """Fields in canonical order, custom ones last by name."""
    given = set(names)
    return [name for name in FIELDS if name in given] + sorted(given - FIELDS.keys())


def plain(text: object) -> str:
    """A text for a place that takes no markup (a title, a label): what cannot be seen is written out."""
    return "".join(f"[{_number(letter)}]" if _is_hidden(letter) else letter for letter in str(text))


def visible(text: str) -> Markup:
    """A text as markup: escaped, and what cannot be seen in a box that tells its number and name."""
    parts = []
    if len(text) > MAX_SHOWN_CHARACTERS:
        text = f"{text[:MAX_SHOWN_CHARACTERS]}..."
    for piece in re.split(r"([^\x20-\x7e\n\t\xa1-\xac\xae-\u02ff])", text):
        if len(piece) == 1 and _is_hidden(piece):
            name = unicodedata.name(piece, "control character")
            parts.append(Markup('<span class="ctl" title="{}">{}</span>').format(name, _number(piece)))
        else:
            parts.append(escape(piece))
    return Markup("").join(parts)


def _is_hidden(letter: str) -> bool:
    return letter not in LAYOUT and unicodedata.category(letter) in HIDDEN


def _number(letter: str) -> str:
    return f"U+{ord(letter):04X}"


def value(content: Any, field: str = "") -> Markup:
    """Any canonical value; nothing is told as such."""
    if content in (None, "") or content in ([], {}):
        return Markup('<span class="none">empty</span>')
    if isinstance(content, bool):
        return Markup("yes") if content else Markup("no")
    if isinstance(content, Mapping):
        return _parts(content, field)
    if isinstance(content, list | tuple):
        return Markup('<ul class="plain">{}</ul>').format(
            Markup("").join(Markup("<li>{}</li>").format(value(each)) for each in content)
        )
    return Markup('<bdi class="v">{}</bdi>').format(visible(str(content)))


def _parts(content: Mapping[str, Any], field: str) -> Markup:
    order = [part for part in parts_of(field) if part in content] if field else []
    names = order + [name for name in content if name not in order]
    shown = [name for name in names if content[name] not in (None, "")]
    if not shown:
        return Markup('<span class="none">empty</span>')
    lines = (
        Markup('<span class="part"><span class="pn">{}</span> {}</span>').format(field_name(name), value(content[name]))
        for name in shown
    )
    return Markup('<span class="parts">{}</span>').format(Markup("").join(lines))


def marked(content: Any, against: Any, field: str = "") -> Markup:
    """A value with what is different from another one marked. Where that one holds nothing, all is different."""
    if isinstance(content, Mapping):
        other = against if isinstance(against, Mapping) else {}
        order = [part for part in (parts_of(field) if field else ()) if part in content]
        names = order + [name for name in content if name not in order]
        lines = [
            Markup('<span class="part"><span class="pn">{}</span> {}</span>').format(
                field_name(name), marked(content[name], other.get(name))
            )
            for name in names
            if content[name] not in (None, "") or other.get(name) not in (None, "")
        ]
        return Markup('<span class="parts">{}</span>').format(Markup("").join(lines)) if lines else value(None)
    if content == against or content in (None, "", []):
        return value(content, field)
    if isinstance(content, str) and isinstance(against, str) and against:
        return Markup('<bdi class="v">{}</bdi>').format(Markup("").join(_pieces(content, against)))
    return Markup("<mark>{}</mark>").format(value(content, field))


def _pieces(text: str, against: str) -> Iterator[Markup]:
    """The text in pieces, those that the other text does not have marked; by words, and by letters within one word."""
    words, others = _WORDS.findall(text), _WORDS.findall(against)
    if len(words) > MAX_COMPARED_WORDS or len(others) > MAX_COMPARED_WORDS:
        yield Markup("<mark>{}</mark>").format(visible(text))
        return
    if len(words) <= 1 and len(others) <= 1:
        words, others = list(text), list(against)
    for kind, first, last, start, end in SequenceMatcher(None, others, words, autojunk=False).get_opcodes():
        piece = "".join(words[start:end])
        if kind == "equal":
            yield visible(piece)
        elif last - first == end - start == 1 and len(piece) > 1 and _is_alike(piece, others[first]):
            yield from _pieces(piece, others[first])
        elif piece:
            yield Markup("<mark>{}</mark>").format(visible(piece))
        else:
            yield Markup('<mark class="gap" title="something was here">\u2038</mark>')


def _is_alike(word: str, other: str) -> bool:
    """Whether two words are forms of one, of which the letters that differ are worth marking."""
    return SequenceMatcher(None, other, word, autojunk=False).ratio() >= ALIKE


def moment(at: object) -> datetime | None:
    """A time out of a document: aware, in UTC."""
    if isinstance(at, datetime):
        return at.astimezone(UTC)
    try:
        found = datetime.fromisoformat(str(at))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def time(at: object, now: datetime) -> Markup:
    """A time as people say it, with the exact one for who asks."""
    found = moment(at) if at else None
    if found is None:
        return Markup('<span class="none">never</span>')
    exact = f"{found:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(found.isoformat(), exact, relative(found, now))


def relative(at: datetime, now: datetime) -> str:
    """How long ago, or in how long, in the largest unit that says enough."""
    seconds = (now - at).total_seconds()
    words = span(abs(seconds))
    if abs(seconds) < 1:
        return "now"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def span(seconds: float | None) -> str:
    """A length of time."""
    if seconds is None:
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and unit != "min"):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def words(code: object) -> str:
    """A stable code as words: in_sync -> in sync."""
    return str(code).replace("_", " ")


def number(count: object) -> str:
    """A count with thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u202f") if isinstance(count, int) else str(count)
