"""What Alembic runs.

The store hands over an open transaction. A developer names a store of the last schema:
`alembic -x url=sqlite:///state -x tenant=acme revision --autogenerate -m "what changes"`.
"""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

from syncd.store import tables
from syncd.store.dialects import backend


def _render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Our column types are all text; a migration must not change when they do."""
    return "sa.Text()" if kind == "type" and isinstance(item, TypeDecorator) else False


def _migrate(connection: Connection) -> None:
    """Run what was asked for inside the given transaction, all or nothing.

    The tables of Procrastinate, which may share a schema, are none of ours.
    """
    context.configure(
        connection=connection,
        target_metadata=tables.metadata,
        render_as_batch=True,
        render_item=_render,
        transaction_per_migration=False,
        include_name=lambda name, kind, _parents: kind != "table" or name in tables.metadata.tables,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _migrate(given)
        return
    named = context.get_x_argument(as_dictionary=True)
    place = backend(named["url"], named["tenant"])
    place.prepare()
    with place.migrating() as connection:
        _migrate(connection)
    place.close()


_run()
