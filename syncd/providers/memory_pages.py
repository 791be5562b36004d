"""Pages of a system in memory: as a provider makes them of what comes over a wire, with digests of pages and of single records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from syncd.core.model import Raw
from syncd.providers import SLICE_BYTES, Listed, Page, Recall
from syncd.providers.decoding import unsound


def page_of(items: Sequence[Raw], seen: set[str], recall: Recall | None, page: Page, *, complete: bool) -> Page:
    """The page of some items, without what `recall` knows of it. seen: the ids of pages before, to which its own are added.

    page: its number, and what it tells of total and end.
    """
    texts = [json.dumps(item, default=repr).encode() for item in items]
    digest = _digest(json.dumps([page.total, page.last]).encode(), *texts).hex()
    if recall is not None and (whole := recall.whole(page.number, digest)) is not None:
        seen.update(whole.ids)
        return replace(page, total=whole.total, last=whole.last, known=whole.ids)
    slices = {str(item["id"]): _digest(text) for item, text in zip(items, texts, strict=True)}
    recalled = recall.slices(page.number) if recall is not None else {}
    known = [external_id for external_id, found in slices.items() if found in recalled]
    seen.update(known)
    new = [item for item in items if str(item["id"]) not in known]
    records, faults = _listed(new, seen, complete=complete)
    shown = digest if len(records) == len(new) else ""
    return replace(page, records=records, faults=faults, digest=shown, known=known, slices=slices)


def _digest(*parts: bytes) -> bytes:
    found = hashlib.blake2b(digest_size=SLICE_BYTES)
    for part in parts:
        found.update(part)
    return found.digest()


def _listed(items: Sequence[Raw], seen: set[str], *, complete: bool) -> tuple[list[Listed], list[tuple[str, str]]]:
    """The new records of a page, and those that cannot be kept."""
    records, faults = [], list[tuple[str, str]]()
    for raw in items:
        external_id = str(raw["id"])
        if external_id in seen:
            continue
        seen.add(external_id)
        if (reason := unsound(raw)) is not None:
            faults.append((external_id, reason))
        else:
            records.append(Listed(external_id, raw, complete=complete))
    return records, faults
