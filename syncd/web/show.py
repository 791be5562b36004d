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
_DOUBTFUL: Final = re.compile(r"([^\x20-\x7e\n\t\xa1-\xac\xae-\u02ff])")
"""What has to be looked up to know whether it can be seen."""

# Pieces of markup are added to each other: on a page of a thousand values, filling them into forms is what takes the time.
_EMPTY: Final = Markup('<span class="none">empty</span>')
_VALUE: Final = (Markup('<bdi class="v">'), Markup("</bdi>"))
_MARK: Final = (Markup("<mark>"), Markup("</mark>"))
_GAP: Final = Markup('<mark class="gap" title="something was here">\u2038</mark>')

COUNTS: Final = ("in_sync", "pending", "held", "excluded", "failing")
BAR: Final = ("failing", "held", "pending", "in_sync", "excluded")
"""The five counts, in the order in which they are told, and in which a bar shows them."""

_BAR: Final = Markup(
    '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img"><title>%s</title>'
    '<rect class="b-none" width="100" height="8"/>%s</svg>'
)

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
    if len(text) > MAX_SHOWN_CHARACTERS:
        text = f"{text[:MAX_SHOWN_CHARACTERS]}..."
    if _DOUBTFUL.search(text) is None:
        return escape(text)
    parts = []
    for piece in _DOUBTFUL.split(text):
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
        return _EMPTY
    if isinstance(content, bool):
        return Markup("yes") if content else Markup("no")
    if isinstance(content, Mapping):
        return _parts(content, field)
    if isinstance(content, list | tuple):
        return Markup('<ul class="plain">{}</ul>').format(
            Markup("").join(Markup("<li>{}</li>").format(value(each)) for each in content)
        )
    return _VALUE[0] + visible(str(content)) + _VALUE[1]


def _parts(content: Mapping[str, Any], field: str) -> Markup:
    order = [part for part in parts_of(field) if part in content] if field else []
    names = order + [name for name in content if name not in order]
    shown = [name for name in names if content[name] not in (None, "")]
    if not shown:
        return _EMPTY
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
        return _VALUE[0] + Markup("").join(_pieces(content, against)) + _VALUE[1]
    return _marked(value(content, field))


def _marked(shown: Markup) -> Markup:
    return _MARK[0] + shown + _MARK[1]


def _pieces(text: str, against: str) -> Iterator[Markup]:
    """The text in pieces, those that the other text does not have marked; by words, and by letters within one word."""
    words, others = _WORDS.findall(text), _WORDS.findall(against)
    if len(words) > MAX_COMPARED_WORDS or len(others) > MAX_COMPARED_WORDS:
        yield _marked(visible(text))
        return
    if len(words) <= 1 and len(others) <= 1:
        yield from _letters(text, SequenceMatcher(None, against, text, autojunk=False))
        return
    for kind, first, last, start, end in SequenceMatcher(None, others, words, autojunk=False).get_opcodes():
        piece = "".join(words[start:end])
        if kind == "replace" and last - first == end - start == 1 and len(piece) > 1:
            letters = SequenceMatcher(None, others[first], piece, autojunk=False)
            if letters.real_quick_ratio() >= ALIKE and letters.ratio() >= ALIKE:  # two forms of one word
                yield from _letters(piece, letters)
                continue
        yield _piece(kind, piece)


def _letters(text: str, letters: SequenceMatcher[str]) -> Iterator[Markup]:
    for kind, _, _, start, end in letters.get_opcodes():
        yield _piece(kind, text[start:end])


def _piece(kind: str, piece: str) -> Markup:
    if not piece:
        return _GAP
    return visible(piece) if kind == "equal" else _marked(visible(piece))


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
    told = (found.isoformat(timespec="seconds"), exact, relative(found, now))
    return Markup('<time datetime="%s" title="%s">%s</time>') % told


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


def bar(counts: Mapping[str, int], total: int) -> Markup:
    """The five counts as a bar; whatever there is of something can be seen, however little it is."""
    told = ", ".join(f"{counts[key]} {words(key)}" for key in COUNTS)
    pieces, x = [], 0.0
    for key in BAR if total else ():
        if counts[key]:
            wide = max(counts[key] * 100 / total, 1.5)
            pieces.append(Markup('<rect class="b-%s" x="%.2f" width="%.2f" height="8"/>') % (key, x, wide))
            x += wide
    return _BAR % (told, Markup("").join(pieces))
