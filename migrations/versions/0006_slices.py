"""Beside the digest of a page stand those of its records' own bytes, so that of a page that changed only what changed is read.

Older code can work with it: what it writes of a page leaves this column as it was, which is told from what stands in it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for them; of the pages that are remembered nobody knows them."""
    op.add_column("pages", sa.Column("slices", sa.Text(), nullable=True))


def downgrade() -> None:
    """Pages that changed are read whole again."""
    op.drop_column("pages", "slices")
