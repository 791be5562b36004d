"""The forms of SQL in which SQLite and PostgreSQL differ: an INSERT that can say ON CONFLICT, values in a list, and a table of pairs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from sqlalchemy import Column, ColumnElement, FromClause, Table, Text, any_, bindparam, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from syncd.store.columns import encode, plain


class Forms(Protocol):
    """What a statement is made of, whichever database it is for."""

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that can say ON CONFLICT."""
        ...

    def within(self, column: Column[Any], name: str) -> ColumnElement[bool]:
        """`column IN (values)`, where the values come as the parameter of this name, in the form that `listed` gives."""
        ...

    def listed(self, values: Collection[str]) -> Any:
        """Any number of values as one parameter."""
        ...

    def among(self, column: Column[Any], values: Collection[str]) -> ColumnElement[bool]:
        """`column IN (values)` for any number of values, as one parameter."""
        ...

    def pairs(self, values: Collection[tuple[str, str]]) -> FromClause:
        """A table with the text columns `a` and `b`."""
        ...


class _Sqlite:
    def insert(self, table: Table) -> sqlite.Insert:
        return sqlite.insert(table)

    def within(self, column: Column[Any], name: str) -> ColumnElement[bool]:
        listed = func.json_each(bindparam(name, type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))

    def listed(self, values: Collection[str]) -> str:
        return encode([plain(value) for value in values])

    def among(self, column: Column[Any], values: Collection[str]) -> ColumnElement[bool]:
        listed = func.json_each(literal(self.listed(values), Text)).table_valued("value")
        return column.in_(select(listed.c.value))

    def pairs(self, values: Collection[tuple[str, str]]) -> FromClause:
        document = encode([[plain(first), plain(second)] for first, second in values])
        listed = func.json_each(literal(document, Text)).table_valued("value")
        first = func.json_extract(listed.c.value, "$[0]")
        second = func.json_extract(listed.c.value, "$[1]")
        return select(first.label("a"), second.label("b")).subquery("pairs")


class _Postgres:
    def insert(self, table: Table) -> postgresql.Insert:
        return postgresql.insert(table)

    def within(self, column: Column[Any], name: str) -> ColumnElement[bool]:
        return column == any_(bindparam(name, type_=postgresql.ARRAY(Text)))

    def listed(self, values: Collection[str]) -> list[str]:
        return [plain(value) for value in values]

    def among(self, column: Column[Any], values: Collection[str]) -> ColumnElement[bool]:
        return column == any_(literal(self.listed(values), postgresql.ARRAY(Text)))

    def pairs(self, values: Collection[tuple[str, str]]) -> FromClause:
        array = postgresql.ARRAY(Text)
        first = literal([plain(value) for value, _ in values], array)
        second = literal([plain(value) for _, value in values], array)
        return func.unnest(first, second).table_valued("a", "b", name="pairs").render_derived()


FORMS: Final[Mapping[str, Forms]] = {"sqlite": _Sqlite(), "postgresql": _Postgres()}
"""By the name of SQLAlchemy's dialect."""
