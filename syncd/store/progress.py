"""What the store knows about itself, and how far each system and cycle has come. Functions of an open transaction."""

from __future__ import annotations

from sqlalchemy import BigInteger, Executable, bindparam, func, select

from syncd.store import tables
from syncd.store.forms import Forms
from syncd.store.rows import CycleRow, SystemRow, WalkOutcome, WalkRow
from syncd.store.work import Work


def get_meta(work: Work, key: str) -> str | None:
    """A remembered word, or None."""
    return work.ask(_meta, word=key).scalar()


def _meta(_forms: Forms) -> Executable:
    return select(tables.meta.c.value).where(tables.meta.c.key == bindparam("word"))


def set_meta(work: Work, key: str, value: str) -> None:
    """Remember a word under a key."""
    work.upsert_values(tables.meta, [{"key": key, "value": value}])


def new_ids(work: Work, prefix: str, count: int) -> list[str]:
    """Ids never given before: a prefix (c, w, k, h, y, p, g, m) and the next numbers of that prefix."""
    if count <= 0:
        return []
    last = int(work.ask(_counted, prefix=prefix, more=count).scalar_one())
    return [f"{prefix}{number}" for number in range(last - count + 1, last + 1)]


def _counted(forms: Forms) -> Executable:
    counters, more = tables.counters, bindparam("more", type_=BigInteger)
    statement = forms.insert(counters).values(kind=bindparam("prefix"), value=more)
    statement = statement.on_conflict_do_update(
        index_elements=[counters.c.kind], set_={"value": counters.c.value + more}
    )
    return statement.returning(counters.c.value)


def systems(work: Work) -> dict[str, SystemRow]:
    """Every system that was ever worked with, by name."""
    return {row.system: row for row in work.with_values(SystemRow, tables.systems)}


def put_system(work: Work, row: SystemRow) -> None:
    """Insert or replace a system."""
    work.upsert(tables.systems, [row])


def put_cycle(work: Work, row: CycleRow) -> None:
    """Insert or replace a cycle."""
    work.upsert(tables.cycles, [row])


def last_cycle(work: Work) -> CycleRow | None:
    """The cycle that began last, ended or not."""
    return next(iter(cycles(work, 1)), None)


def cycles(work: Work, limit: int | None = None) -> list[CycleRow]:
    """Cycles, newest first."""
    return work.rows(CycleRow, tables.cycles, order=[tables.cycles.c.number.desc()], limit=limit)


def cycle(work: Work, identifier: str) -> CycleRow | None:
    """One cycle by id."""
    return work.row(CycleRow, tables.cycles, tables.cycles.c.cycle == identifier)


def put_walk(work: Work, row: WalkRow) -> None:
    """Insert or replace a walk."""
    work.upsert(tables.walks, [row])


def last_walks(work: Work) -> dict[str, WalkRow]:
    """System -> its walk that ended last; systems that never ended one are left out."""
    walk = tables.walks.c
    newest = select(func.max(walk.number)).where(walk.outcome != WalkOutcome.RUNNING).group_by(walk.system)
    return {row.system: row for row in work.rows(WalkRow, tables.walks, walk.number.in_(newest))}


def walks(work: Work, system: str | None = None, limit: int | None = None) -> list[WalkRow]:
    """Walks of one system or of all, newest first."""
    where = [] if system is None else [tables.walks.c.system == system]
    return work.rows(WalkRow, tables.walks, *where, order=[tables.walks.c.number.desc()], limit=limit)


def walk_in(work: Work, cycle: str, system: str) -> WalkRow | None:
    """The walk of a system in one cycle."""
    walk = tables.walks.c
    where = (walk.system == system, walk.cycle == cycle)
    return next(iter(work.rows(WalkRow, tables.walks, *where, order=[walk.number.desc()], limit=1)), None)
