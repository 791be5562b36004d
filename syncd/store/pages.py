"""The pages of the last walks, so that a page that is the same again need not be read: what it says is in the mirror as it is.

A remembered page is true as long as all of its records are still as it showed them: `page` in `records` says so, and is taken away by
whatever else puts a record. It is asked when the page comes again, in the statement that notes its records as seen.

Functions of an open transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, bindparam, delete, func, select, update

from syncd.store import tables
from syncd.store.forms import Forms
from syncd.store.rows import PageRow, RecordState
from syncd.store.work import Work, names_of


def page_digests(work: Work, system: str) -> dict[int, str]:
    """Number -> digest of the pages of a system that are remembered."""
    return {row[0]: row[1] for row in work.ask(_digests, of=system)}


def _digests(_forms: Forms) -> Executable:
    page = tables.pages.c
    return select(page.page, page.digest).where(page.system == bindparam("of"))


def put_page(work: Work, row: PageRow) -> None:
    """Remember a page, all of whose records are in the mirror as it showed them, with its number."""
    work.upsert(tables.pages, [row])


def forget_page(work: Work, system: str, number: int) -> None:
    """Remember a page no longer, if it was."""
    page = tables.pages.c
    work.run(delete(tables.pages).where(page.system == system, page.page == number))


def kept_page(work: Work, system: str, number: int, digest: str) -> PageRow | None:
    """A page that was remembered with this digest and is true; None where it has to be read. Notes nothing."""
    row = _remembered(work, system, number, digest)
    if row is None:
        return None
    return row if _all_as_shown(work, row) else None


def sliced_page(work: Work, system: str, number: int) -> tuple[PageRow, set[str]] | None:
    """A page as it was remembered last, whatever it shows now, and the ids of those of its records that are in the mirror as it showed them.

    None where there is no such page, or nobody looked at it record by record. Notes nothing.
    """
    page = tables.pages.c
    row = work.row(PageRow, tables.pages, page.system == system, page.page == number, page.slices.is_not(None))
    if row is None:
        return None
    if _all_as_shown(work, row):
        return row, set(row.ids)
    still = work.ask(_shown, **_page(system, number), ids=work.listed(row.ids))
    return row, set(still.scalars())


def _all_as_shown(work: Work, row: PageRow) -> bool:
    still = work.ask(_counted, **_page(row.system, row.page), ids=work.listed(row.ids))
    return bool(still.scalar_one() == len(row.ids))


def _page(system: str, number: int) -> dict[str, Any]:
    """The parameters that name a page."""
    return {"of": system, "at_page": number}


def _remembered(work: Work, system: str, number: int, digest: str) -> PageRow | None:
    found = work.ask(_with_digest, **_page(system, number), found=digest).first()
    return None if found is None else PageRow(*found)


def _with_digest(_forms: Forms) -> Executable:
    page = tables.pages.c
    chosen = (page.system == bindparam("of"), page.page == bindparam("at_page"), page.digest == bindparam("found"))
    return select(*(page[name] for name in names_of(PageRow))).where(*chosen)


def _as_shown(forms: Forms) -> ColumnElement[bool]:
    """Those of the records `ids` of a page that are in the mirror as it showed them."""
    record = tables.records.c
    return and_(
        record.system == bindparam("of"),
        forms.within(record.external_id, "ids"),
        record.page == bindparam("at_page"),
        record.state == RecordState.PRESENT,
    )


def _counted(forms: Forms) -> Executable:
    return select(func.count()).select_from(tables.records).where(_as_shown(forms))


def _shown(forms: Forms) -> Executable:
    return select(tables.records.c.external_id).where(_as_shown(forms))


def recall_page(work: Work, system: str, number: int, digest: str, walk: str, at: datetime) -> PageRow | None:
    """A page that was remembered with this digest, its records noted as seen in a walk; None where it has to be read.

    Also None where one of its records was put by another door since; the others are noted as seen all the same.
    """
    row = _remembered(work, system, number, digest)
    if row is None:
        return None
    return row if touch_shown(work, system, number, row.ids, walk, at) == len(row.ids) else None


def touch_shown(work: Work, system: str, number: int, ids: Collection[str], walk: str, at: datetime) -> int:
    """Note as seen in a walk those of some records of a page that are in the mirror as it showed them; how many that are."""
    named = _page(system, number) | {"ids": work.listed(ids)}
    return work.ask(_seen, **named, new_walk=walk, at=at).rowcount


def _seen(forms: Forms) -> Executable:
    at = bindparam("at", type_=tables.records.c.seen_at.type)
    noted = {"seen_at": at, "observed_at": at, "walk": bindparam("new_walk", type_=tables.records.c.walk.type)}
    return update(tables.records).where(_as_shown(forms)).values(**noted)
