"""Indexes that hold what the operator's page counts and lists: no count reads a whole row, and no page of a list is sorted first.

Each takes the place of a shorter one with the same beginning, but for that on the states of clients.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LONGER: Final = (
    ("conflicts", ("status",), ("status", "number")),
    ("holds", ("state",), ("state", "number")),
    ("standings", ("system", "state"), ("system", "state", "drift")),
)
"""Table, columns of the old index, columns of the new one."""


def upgrade() -> None:
    """Make the new ones, then drop those that they make needless."""
    for table, old, new in LONGER:
        op.create_index(_name(table, new), table, list(new))
        op.drop_index(_name(table, old), table)
    op.create_index("ix_clients_state", "clients", ["state"])


def downgrade() -> None:
    """Back to the shorter ones."""
    op.drop_index("ix_clients_state", "clients")
    for table, old, new in LONGER:
        op.create_index(_name(table, old), table, list(old))
        op.drop_index(_name(table, new), table)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
