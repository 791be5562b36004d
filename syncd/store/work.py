"""One transaction and the few forms of statement that the subject modules are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    Executable,
    FromClause,
    Select,
    Table,
    bindparam,
    select,
)
from sqlalchemy.exc import SQLAlchemyError, StatementError

from syncd.errors import StoreError
from syncd.store import bulk
from syncd.store.columns import as_kept
from syncd.store.dialects import Backend, described
from syncd.store.forms import FORMS, Forms

Row = TypeVar("Row")

COPIED_FROM_ROWS: Final = 100
"""So many rows at once go into PostgreSQL by COPY; fewer are put one after the other."""


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
        self.forms = FORMS[connection.dialect.name]
        self.now = now

    def ask(self, make: Callable[[Forms], Executable], **values: Any) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement that is made once, with values for its parameters. make: a function of a module, not one made anew.

        SQLAlchemy takes several times as long to put a statement together as to execute it.
        """
        known = _MADE.get((self.connection.dialect.name, make))
        if known is None:
            known = _MADE[(self.connection.dialect.name, make)] = make(self.forms)
        return self.run(known, values)

    def run(
        self, statement: Executable, parameters: Sequence[dict[str, Any]] | dict[str, Any] | None = None
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
        statement = _selected(names_of(kind), table).where(*where)
        statement = statement.order_by(*(order or table.primary_key.columns)).limit(limit)
        return [kind(*row) for row in self.run(statement)]

    def row(self, kind: type[Row], table: Table, *where: ColumnElement[bool]) -> Row | None:
        """The first of `rows`, or None."""
        return next(iter(self.rows(kind, table, *where, limit=1)), None)

    def with_values(self, kind: type[Row], table: Table, /, *order: str, **values: Any) -> list[Row]:
        """The rows of a table as `kind` whose columns have these values, in the order of some columns, by primary key where none is given.

        The statement is made once.
        """
        statement = _valued(names_of(kind), table, order, tuple(values))
        return [kind(*row) for row in self.run(statement, {f"is_{name}": value for name, value in values.items()})]

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
        bound = [(table, *self._bound(table, values, replacing=True)) for table, values in tables if values]
        for table, prepared, rows in bound:
            names = [name for name, _ in prepared.columns]
            if len(rows) < COPIED_FROM_ROWS or self.connection.dialect.name != "postgresql":
                self._execute(prepared, rows)
                continue
            try:
                bulk.copy_rows(self.connection, table, names, rows)
            except SQLAlchemyError as error:
                raise self._refused(error) from None

    def add(self, table: Table, rows: Iterable[Any]) -> None:
        """Insert rows that are not there yet."""
        self.add_values(table, values_of(table, list(rows)))

    def add_values(self, table: Table, values: Sequence[dict[str, Any]]) -> None:
        """Insert mappings of column to value, all with the same columns, that are not there yet."""
        if values:
            self._execute(*self._bound(table, values, replacing=False))

    def _bound(
        self, table: Table, values: Sequence[dict[str, Any]], *, replacing: bool
    ) -> tuple[_Prepared, list[tuple[Any, ...]]]:
        """The statement that puts some rows, and their values as the driver takes them."""
        prepared = _prepared(self.forms, self.connection.dialect, table, tuple(values[0]), replacing=replacing)
        columns = [
            as_kept(table.c[name].type, convert, [row[name] for row in values]) for name, convert in prepared.columns
        ]
        return prepared, list(zip(*columns, strict=True))

    def _execute(self, prepared: _Prepared, rows: list[Any]) -> None:
        if not self.connection.dialect.positional:
            names = [name for name, _ in prepared.columns]
            rows = [dict(zip(names, row, strict=True)) for row in rows]
        try:
            self.connection.exec_driver_sql(prepared.text, rows)
        except SQLAlchemyError as error:
            raise self._refused(error) from None

    def among(self, column: Column[Any], values: Collection[str]) -> ColumnElement[bool]:
        """`column IN (values)`, for any number of values."""
        return self.forms.among(column, values)

    def pairs(self, values: Collection[tuple[str, str]]) -> FromClause:
        """A table of the pairs, with the columns `a` and `b`, to be joined."""
        return self.forms.pairs(values)

    def listed(self, values: Collection[str]) -> Any:
        """Values as the parameter of `Forms.within`."""
        return self.forms.listed(values)


_MADE: Final[dict[tuple[str, Callable[[Forms], Executable]], Executable]] = {}
"""Statements by dialect and what makes them; the stores of all tenants share them."""


@cache
def _selected(names: tuple[str, ...], table: Table) -> Select[*tuple[Any, ...]]:
    """Some columns of a table, in order."""
    return select(*(table.c[name] for name in names))


@cache
def _valued(
    columns: tuple[str, ...], table: Table, order: tuple[str, ...], names: tuple[str, ...]
) -> Select[*tuple[Any, ...]]:
    """Some columns of those rows of a table in which each of the columns `names` is the parameter `is_NAME`."""
    where = [table.c[name] == bindparam(f"is_{name}", type_=table.c[name].type) for name in names]
    by = [table.c[name] for name in order] or list(table.primary_key.columns)
    return _selected(columns, table).where(*where).order_by(*by)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An INSERT, with ON CONFLICT or without, as the driver takes it, and its columns in the order of its parameters with what converts them."""

    text: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]


_PREPARED: Final[dict[tuple[str, str, tuple[str, ...], bool], _Prepared]] = {}
"""By dialect, table and columns; the stores of all tenants share them."""


def _prepared(forms: Forms, dialect: Dialect, table: Table, names: tuple[str, ...], *, replacing: bool) -> _Prepared:
    """The statement that puts these columns of a table, compiled once. replacing: rows that are there already."""
    known = _PREPARED.get((dialect.name, table.name, names, replacing))
    if known is not None:
        return known
    statement = forms.insert(table)
    key = list(table.primary_key.columns)
    replaced = {name: statement.excluded[name] for name in names if not table.c[name].primary_key}
    if replacing and replaced:
        statement = statement.on_conflict_do_update(index_elements=key, set_=replaced)
    elif replacing:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    order = tuple(getattr(compiled, "positiontup", None) or names)
    made = _Prepared(
        str(compiled), tuple((name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in order)
    )
    _PREPARED[(dialect.name, table.name, names, replacing)] = made
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
