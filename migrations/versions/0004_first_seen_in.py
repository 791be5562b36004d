"""In which cycle a record was seen first is noted as its number: what came before what does not hang on a clock that may jump.

The index by time of first sight goes, which nothing asks any more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for the number; nobody knows it of the records that are there."""
    op.add_column("records", sa.Column("first_seen_in", sa.BigInteger(), nullable=True))
    op.drop_index("ix_records_system_first_seen_at", "records")


def downgrade() -> None:
    """Go by the time again."""
    op.create_index("ix_records_system_first_seen_at", "records", ["system", "first_seen_at"])
    op.drop_column("records", "first_seen_in")
