"""Notes: texts that are only ever added (the last paragraph of the package's header)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.core.model import Value
from syncd.core.normalize.text import markup_key

Ties = Mapping[str, str]
"""Note id in a record -> the mark of the text that it had when it was first seen."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one record says of its notes, (id, text) each; None: nothing. may_add: whether new ones there are taken over."""

    system: str
    external_id: str
    notes: Sequence[tuple[str, str]] | None
    ties: Ties
    may_add: bool = True


@dataclass(slots=True)
class Notes:
    """What the notes of a client came to. golden: every text once, in the order in which they came. missing: per record, what it lacks.

    moves: (before, after, system, external id) for every record that told something new.
    """

    golden: Value
    ties: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    missing: dict[tuple[str, str], list[Value]] = field(default_factory=dict)
    moves: list[tuple[Value, Value, str, str]] = field(default_factory=list)


def mark(text: str) -> str:
    """What a text is known by: its words, without paragraphs and blanks."""
    return hashlib.blake2b((markup_key(text) or "").encode("utf-8", "replace"), digest_size=12).hexdigest()


def merge_notes(golden: Value, records: Iterable[Told]) -> Notes:
    """Take over every note that is new, and say what each record lacks. records: in the order of trust.

    A tie to a text that golden does not hold (clients were merged) is none: the note is seen for the first time.
    """
    texts: list[Value] = [each for each in golden if isinstance(each, str)] if isinstance(golden, list) else []
    known = {mark(str(each)) for each in texts}
    done = Notes(golden)
    shown = [record for record in records if record.notes is not None]
    for record in shown:
        ties = dict(record.ties)
        before = list(texts)
        for note, text in record.notes or ():
            if ties.get(note) in known:
                continue
            found = mark(text)
            if found not in known and not record.may_add:
                continue
            ties[note] = found
            if found not in known:
                known.add(found)
                texts.append(text)
        done.ties[record.system, record.external_id] = ties
        if texts != before:
            done.moves.append((before or None, list(texts), record.system, record.external_id))
    for record in shown:
        told = set(done.ties[record.system, record.external_id].values())
        done.missing[record.system, record.external_id] = [each for each in texts if mark(str(each)) not in told]
    done.golden = texts or (None if shown else golden)
    return done
