"""What the answer to a write is taken for; pure.

A system may keep another form of what it was sent: shortened, re-cased, without marks. That is agreement. It may also not take a
value, or fill in what was not sent: that is nobody's edit.
"""

from __future__ import annotations

from anyascii import anyascii

from syncd.core.model import UNKNOWN, Maybe, Value
from syncd.store import Base

FILLED_IN = frozenset(
    {"archived", "currency", "kind", "language", "marketing_consent", "payment_terms_days", "tax_exempt"}
)
"""Units that systems fill in by themselves when a record is made: not somebody's edit of a record that was found again."""


def baseline(sent: Value, shown: Maybe, agreed: Value) -> Base:
    """The base of a unit of a record that was found again and shows something else than was sent: what was sent.

    Except where it shows nothing for a value: the system did not take it (nobody emptied it), and golden is to be written there.
    """
    if not isinstance(sent, dict) or not isinstance(shown, dict):
        return Base(seen=None) if _is_nothing(shown) else Base(seen=sent, agreed=agreed)
    refused = [part for part, value in sent.items() if _is_nothing(shown.get(part)) and not _is_nothing(value)]
    return Base(seen={**sent, **dict.fromkeys(refused)}) if refused else Base(seen=sent, agreed=agreed)


def _is_nothing(value: Maybe) -> bool:
    return value is UNKNOWN or value in (None, "")


def resembles(shown: Value, wanted: Value) -> bool:
    """Whether a system may have made `shown` out of `wanted` by itself: cut, re-cased, stripped of marks or blanks."""
    if isinstance(shown, dict) or isinstance(wanted, dict):
        pair = (shown if isinstance(shown, dict) else {}, wanted if isinstance(wanted, dict) else {})
        return all(resembles(pair[0].get(part), pair[1].get(part)) for part in pair[0] or pair[1])
    if not isinstance(shown, str) or not isinstance(wanted, str):
        return shown == wanted or (shown in (None, "") and wanted in (None, ""))
    left, right = _skeleton(shown), _skeleton(wanted)
    return bool(left) and right.startswith(left)


def _skeleton(text: str) -> str:
    """The letters and digits of a text, without case and accents: what a system's own re-spelling leaves alone."""
    return "".join(character for character in anyascii(text).casefold() if character.isalnum())
