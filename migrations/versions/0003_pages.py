"""What a record says goes into a table of its own, beside what is noted whenever it is seen; pages of walks are remembered.

It expands and contracts at once, before any release: code of 0002 cannot work with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SAID = ("raw", "children", "fields", "memory")


def upgrade() -> None:
    """Move what records say into `payloads`, and make room for `pages`."""
    op.create_table(
        "payloads",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=name == "children") for name in _SAID),
        sa.PrimaryKeyConstraint("system", "external_id", name="pk_payloads"),
    )
    op.execute(
        sa.text(
            "INSERT INTO payloads (system, external_id, raw, children, fields, memory)"
            " SELECT system, external_id, raw, children, fields, memory FROM records"
        )
    )
    with op.batch_alter_table("records", table_kwargs={"sqlite_with_rowid": False}) as batch:
        for name in _SAID:
            batch.drop_column(name)
        batch.add_column(sa.Column("page", sa.BigInteger(), nullable=True))
    op.create_table(
        "pages",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("page", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("ids", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("system", "page", name="pk_pages"),
    )


def downgrade() -> None:
    """Put what records say back beside the rest."""
    op.drop_table("pages")
    with op.batch_alter_table("records") as batch:
        batch.drop_column("page")
        for name in _SAID:
            batch.add_column(sa.Column(name, sa.Text(), nullable=name == "children", server_default=""))
    same = "payloads.system = records.system AND payloads.external_id = records.external_id"
    for name in _SAID:
        op.execute(sa.text(f"UPDATE records SET {name} = (SELECT {name} FROM payloads WHERE {same})"))  # noqa: S608 - names of ours
    op.drop_table("payloads")
    with op.batch_alter_table("records") as batch:
        for name in _SAID:
            batch.alter_column(name, server_default=None)
