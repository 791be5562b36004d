"""One transaction and the few forms of statement that the subject modules are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, CursorResult, Dialect, Executable, FromClause, Table, select
from sqlalchemy.exc import SQLAlchemyError, StatementError

from syncd.errors import StoreError
from syncd.store.dialects import Backend, described

Row = TypeVar("Row")


def names_of(kind: type[Any]) -> tuple[str, ...]:
    """The fields of a row class, in order."""
    return tuple(field.name for field in fields(kind))


def number_of(identifier: str) -> int:
    """The number in a human readable id: 7 for "w7". ValueError for anything else."""
    return int(identifier[1:])


class Work:
    """An open transaction. `now` is the store's clock.

    Errors: StoreError for what the database refuses; ValueError for what no database could hold, before anything
    is sent, so that the transaction can go on.
    """

    def __init__(self, connection: Connection, backend: Backend, now: Callable[[], datetime]) -> None:
        self.connection = connection
        self.backend = backend
        self.now = now

    def run(
        self, statement: Executable, parameters: Sequence[dict[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute one statement, once or for each set of parameters."""
        try:
            return self.connection.execute(statement, parameters)
        except StatementError as error:
            if isinstance(error.orig, ValueError):
                raise ValueError(str(error.orig)) from None  # noqa: TRY004 - it is one already
            raise self._refused(error) from None
        except SQLAlchemyError as error:
            raise self._refused(error) from None

    def _refused(self, error: SQLAlchemyError) -> StoreError:
        return StoreError(f"{self.backend.place}: {described(error)}")

    def rows(
        self,
        kind: type[Row],
        table: Table,
        *where: ColumnElement[bool],
        order: Sequence[ColumnElement[Any]] = (),
        limit: int | None = None,
    ) -> list[Row]:
        """The rows of a table as `kind`, in the order of `order`, by primary key where none is given."""
        statement = select(*(table.c[name] for name in names_of(kind))).where(*where)
        statement = statement.order_by(*(order or table.primary_key.columns)).limit(limit)
        return [kind(*row) for row in self.run(statement)]

    def row(self, kind: type[Row], table: Table, *where: ColumnElement[bool]) -> Row | None:
        """The first of `rows`, or None."""
        return next(iter(self.rows(kind, table, *where, limit=1)), None)

    def upsert(self, table: Table, rows: Iterable[Any]) -> None:
        """Put rows, replacing those with the same primary key."""
        self.upsert_values(table, values_of(table, list(rows)))

    def upsert_values(self, table: Table, values: Sequence[dict[str, Any]]) -> None:
        """Put mappings of column to value, all with the same columns, replacing those with the same primary key.

        SQLAlchemy binds the values of each row anew; here each column's values are turned into the database's as a whole.
        """
        self.upsert_all([(table, values)])

    def upsert_all(self, tables: Sequence[tuple[Table, Sequence[dict[str, Any]]]]) -> None:
        """Put mappings into several tables as `upsert_values` does; where one of them cannot be stored, none is."""
        for statement, rows in [self._bound(table, values) for table, values in tables if values]:
            try:
                self.connection.exec_driver_sql(statement, rows)
            except SQLAlchemyError as error:
                raise self._refused(error) from None

    def _bound(self, table: Table, values: Sequence[dict[str, Any]]) -> tuple[str, list[Any]]:
        """The statement that puts some rows, and their values as the driver takes them."""
        dialect = self.connection.dialect
        upsert = _upsert(self.backend, dialect, table, tuple(values[0]))
        columns = [
            [row[name] for row in values] if convert is None else [convert(row[name]) for row in values]
            for name, convert in upsert.columns
        ]
        rows: list[Any] = list(zip(*columns, strict=True))
        if not dialect.positional:
            names = [name for name, _ in upsert.columns]
            rows = [dict(zip(names, row, strict=True)) for row in rows]
        return upsert.text, rows

    def add(self, table: Table, rows: Iterable[Any]) -> None:
        """Insert rows that are not there yet."""
        values = values_of(table, list(rows))
        if values:
            self.run(table.insert(), values)

    def among(self, column: Column[Any], values: Collection[str]) -> ColumnElement[bool]:
        """`column IN (values)`, for any number of values."""
        return self.backend.among(column, values)

    def pairs(self, values: Collection[tuple[str, str]]) -> FromClause:
        """A table of the pairs, with the columns `a` and `b`, to be joined."""
        return self.backend.pairs(values)


@dataclass(frozen=True, slots=True)
class _Upsert:
    """INSERT ... ON CONFLICT as the driver takes it, and its columns in the order of its parameters with what converts them."""

    text: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]


_UPSERTS: Final[dict[tuple[str, str, tuple[str, ...]], _Upsert]] = {}
"""By dialect, table and columns; the stores of all tenants share them."""


def _upsert(backend: Backend, dialect: Dialect, table: Table, names: tuple[str, ...]) -> _Upsert:
    """The statement that puts these columns of a table, compiled once."""
    known = _UPSERTS.get((dialect.name, table.name, names))
    if known is not None:
        return known
    statement = backend.insert(table)
    key = list(table.primary_key.columns)
    replaced = {name: statement.excluded[name] for name in names if not table.c[name].primary_key}
    if replaced:
        statement = statement.on_conflict_do_update(index_elements=key, set_=replaced)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    order = tuple(getattr(compiled, "positiontup", None) or names)
    made = _Upsert(
        str(compiled), tuple((name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in order)
    )
    _UPSERTS[(dialect.name, table.name, names)] = made
    return made


def values_of(table: Table, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The columns of rows of one class; `number` is read from the id where the table has one."""
    if not rows:
        return []
    names = names_of(type(rows[0]))
    picked = attrgetter(*names)
    values = [dict(zip(names, picked(row), strict=True)) for row in rows]
    if "number" in table.c:
        (key,) = table.primary_key.columns
        for mapping in values:
            mapping["number"] = number_of(mapping[key.name])
    return values
