"""The pages of the last walks, so that a page that is the same again need not be read: what it says is in the mirror as it is.

A remembered page is true as long as all of its records are still as it showed them: `page` in `records` says so, and is taken away by
whatever else puts a record. It is asked when the page comes again, in the statement that notes its records as seen.

Functions of an open transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, select, update

from syncd.store import tables
from syncd.store.rows import PageRow, RecordState
from syncd.store.work import Work


def page_digests(work: Work, system: str) -> dict[int, str]:
    """Number -> digest of the pages of a system that are remembered."""
    page = tables.pages.c
    found = work.run(select(page.page, page.digest).where(page.system == system))
    return {row[0]: row[1] for row in found}


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
    page, record = tables.pages.c, tables.records.c
    row = work.row(PageRow, tables.pages, page.system == system, page.page == number, page.slices.is_not(None))
    if row is None:
        return None
    if _all_as_shown(work, row):
        return row, set(row.ids)
    still = work.run(select(record.external_id).where(_as_shown(work, system, number, row.ids)))
    return row, set(still.scalars())


def _all_as_shown(work: Work, row: PageRow) -> bool:
    still = select(func.count()).where(_as_shown(work, row.system, row.page, row.ids))
    return bool(work.run(still).scalar_one() == len(row.ids))


def _remembered(work: Work, system: str, number: int, digest: str) -> PageRow | None:
    page = tables.pages.c
    return work.row(PageRow, tables.pages, page.system == system, page.page == number, page.digest == digest)


def _as_shown(work: Work, system: str, number: int, ids: Collection[str]) -> ColumnElement[bool]:
    """Those of some records of a page that are in the mirror as it showed them."""
    record = tables.records.c
    return and_(
        record.system == system,
        work.among(record.external_id, ids),
        record.page == number,
        record.state == RecordState.PRESENT,
    )


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
    still = update(tables.records).where(_as_shown(work, system, number, ids))
    return work.run(still.values(seen_at=at, observed_at=at, walk=walk)).rowcount
