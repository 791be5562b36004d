"""The index of standings holds the client, too: who counts clients by their worst standing need not look at each of them."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the wider index and drop the one that it contains."""
    op.create_index("ix_standings_system_state_drift_client", "standings", ["system", "state", "drift", "client"])
    op.drop_index("ix_standings_system_state_drift", "standings")


def downgrade() -> None:
    """Make the narrower index again."""
    op.create_index("ix_standings_system_state_drift", "standings", ["system", "state", "drift"])
    op.drop_index("ix_standings_system_state_drift_client", "standings")
