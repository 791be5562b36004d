"""The first schema.

A migration expands or contracts, never both; a released one is never edited.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "walks",
    "cycles",
    "systems",
    "counters",
    "meta",
    "match_keys",
    "records",
    "clients",
    "links",
    "standings",
    "aparts",
    "merges",
    "suppressed",
    "audit",
    "holds",
    "conflicts",
    "changes",
    "writes",
)


def upgrade() -> None:
    """Make every table of a tenant's store."""
    _create_progress()
    _create_mirror()
    _create_clients()
    _create_journal()
    _create_outbox()
    op.execute(sa.text("INSERT INTO meta (key, value) VALUES ('fence', '0')"))


def downgrade() -> None:
    """Drop every table; those that refer to others first."""
    for name in reversed(_TABLES):
        op.drop_table(name)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _integer(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _flag(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=null)


def _client_reference(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], ["clients.client"], name=f"fk_{table}_{column}", deferrable=True, initially="DEFERRED"
    )


def _create_partial_index(name: str, table: str, columns: list[str], *, where: str, unique: bool) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _create_progress() -> None:
    op.create_table(
        "meta",
        _text("key"),
        _text("value"),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "counters",
        _text("kind"),
        _integer("value"),
        sa.PrimaryKeyConstraint("kind", name="pk_counters"),
    )
    op.create_table(
        "systems",
        _text("system"),
        _text("provider"),
        _text("account", null=True),
        _text("scope", null=True),
        _text("state"),
        _text("reason", null=True),
        _text("learned"),
        _flag("baseline"),
        _text("paused_until", null=True),
        _integer("failures"),
        sa.PrimaryKeyConstraint("system", name="pk_systems"),
    )
    op.create_table(
        "cycles",
        _text("cycle"),
        _integer("number"),
        _text("started_at"),
        _text("ended_at", null=True),
        _text("summary"),
        sa.PrimaryKeyConstraint("cycle", name="pk_cycles"),
        sa.UniqueConstraint("number", name="uq_cycles_number"),
    )
    op.create_table(
        "walks",
        _text("walk"),
        _integer("number"),
        _text("cycle"),
        _text("system"),
        _text("started_at"),
        _text("ended_at", null=True),
        _text("outcome"),
        _integer("records"),
        _integer("requests"),
        _text("reason", null=True),
        sa.PrimaryKeyConstraint("walk", name="pk_walks"),
        sa.UniqueConstraint("number", name="uq_walks_number"),
    )
    op.create_index("ix_walks_system_number", "walks", ["system", "number"])


def _create_mirror() -> None:
    op.create_table(
        "records",
        _text("system"),
        _text("external_id"),
        _text("raw"),
        _text("children", null=True),
        _text("fields"),
        _text("memory"),
        _text("digest"),
        _text("list_digest", null=True),
        _text("first_seen_at"),
        _text("seen_at"),
        _text("changed_at"),
        _text("observed_at"),
        _text("state"),
        _text("reason", null=True),
        _text("walk", null=True),
        _text("missing_since", null=True),
        _text("missing_cycle", null=True),
        _integer("gone_count"),
        sa.PrimaryKeyConstraint("system", "external_id", name="pk_records"),
    )
    op.create_index("ix_records_system_first_seen_at", "records", ["system", "first_seen_at"])
    op.create_index("ix_records_system_state", "records", ["system", "state"])
    op.create_table(
        "match_keys",
        _text("system"),
        _text("external_id"),
        _text("kind"),
        _text("value"),
        sa.PrimaryKeyConstraint("system", "external_id", "kind", "value", name="pk_match_keys"),
    )
    op.create_index("ix_match_keys_kind_value", "match_keys", ["kind", "value"])


def _create_clients() -> None:
    op.create_table(
        "clients",
        _text("client"),
        _integer("number"),
        _text("state"),
        _text("merged_into", null=True),
        _text("name", null=True),
        _text("given_name", null=True),
        _text("family_name", null=True),
        _text("kind", null=True),
        _text("email", null=True),
        _text("phone", null=True),
        _text("address_line1", null=True),
        _text("address_line2", null=True),
        _text("postal_code", null=True),
        _text("city", null=True),
        _text("region", null=True),
        _text("country", null=True),
        _text("registration_number", null=True),
        _text("vat_number", null=True),
        _text("currency", null=True),
        _integer("payment_terms_days", null=True),
        _text("language", null=True),
        _flag("tax_exempt", null=True),
        _flag("marketing_consent", null=True),
        _text("details", null=True),
        _text("iban", null=True),
        _text("bic", null=True),
        _flag("archived", null=True),
        _text("contacts", null=True),
        _text("notes", null=True),
        _text("custom"),
        _text("known"),
        _text("origins"),
        _text("created_at"),
        _text("updated_at"),
        _flag("dirty"),
        sa.PrimaryKeyConstraint("client", name="pk_clients"),
        sa.UniqueConstraint("number", name="uq_clients_number"),
        _client_reference("clients", "merged_into"),
    )
    _create_partial_index("ix_clients_dirty", "clients", ["number"], where="dirty", unique=False)
    op.create_index("ix_clients_merged_into", "clients", ["merged_into"])
    op.create_table(
        "links",
        _text("system"),
        _text("external_id"),
        _text("client"),
        _text("linked_at"),
        _text("state"),
        _text("matched_by"),
        _text("bases"),
        sa.PrimaryKeyConstraint("system", "external_id", name="pk_links"),
        _client_reference("links", "client"),
    )
    op.create_index("ix_links_client", "links", ["client"])
    op.create_table(
        "standings",
        _text("client"),
        _text("system"),
        _text("state"),
        _text("reason"),
        _flag("drift"),
        sa.PrimaryKeyConstraint("client", "system", name="pk_standings"),
        _client_reference("standings", "client"),
    )
    op.create_index("ix_standings_system_state", "standings", ["system", "state"])
    op.create_table(
        "aparts",
        _text("system_a"),
        _text("external_id_a"),
        _text("system_b"),
        _text("external_id_b"),
        sa.PrimaryKeyConstraint("system_a", "external_id_a", "system_b", "external_id_b", name="pk_aparts"),
    )
    op.create_index("ix_aparts_system_b_external_id_b", "aparts", ["system_b", "external_id_b"])
    op.create_table(
        "merges",
        _text("merge"),
        _integer("number"),
        _text("winner"),
        _text("losers"),
        _text("state"),
        _text("started_at"),
        _text("decided_by"),
        _text("reason"),
        _text("snapshot"),
        _text("ended_at", null=True),
        sa.PrimaryKeyConstraint("merge", name="pk_merges"),
        sa.UniqueConstraint("number", name="uq_merges_number"),
    )
    op.create_index("ix_merges_state", "merges", ["state"])


def _create_journal() -> None:
    op.create_table(
        "changes",
        _text("change"),
        _integer("number"),
        _text("cycle", null=True),
        _text("client"),
        _text("unit"),
        _text("system"),
        _text("external_id", null=True),
        _text("before", null=True),
        _text("after", null=True),
        _text("reason"),
        _text("at"),
        sa.PrimaryKeyConstraint("change", name="pk_changes"),
        sa.UniqueConstraint("number", name="uq_changes_number"),
    )
    op.create_index("ix_changes_client_number", "changes", ["client", "number"])
    op.create_index("ix_changes_cycle", "changes", ["cycle"])
    op.create_table(
        "conflicts",
        _text("conflict"),
        _integer("number"),
        _text("client"),
        _text("unit"),
        _text("kind"),
        _text("base", null=True),
        _text("candidates"),
        _text("rule"),
        _text("status"),
        _text("winner", null=True),
        _text("value", null=True),
        _text("decided_by"),
        _text("logged_at"),
        _text("reason"),
        _text("cycle", null=True),
        _text("key"),
        sa.PrimaryKeyConstraint("conflict", name="pk_conflicts"),
        sa.UniqueConstraint("key", name="uq_conflicts_key"),
        sa.UniqueConstraint("number", name="uq_conflicts_number"),
    )
    op.create_index("ix_conflicts_client", "conflicts", ["client"])
    op.create_index("ix_conflicts_status", "conflicts", ["status"])
    op.create_table(
        "holds",
        _text("hold"),
        _integer("number"),
        _text("kind"),
        _text("system", null=True),
        _text("reason"),
        _text("items"),
        _text("since"),
        _text("key"),
        _text("state"),
        _text("decided_at", null=True),
        _text("decided_by", null=True),
        sa.PrimaryKeyConstraint("hold", name="pk_holds"),
        sa.UniqueConstraint("number", name="uq_holds_number"),
    )
    op.create_index("ix_holds_key", "holds", ["key"])
    op.create_index("ix_holds_state", "holds", ["state"])
    _create_partial_index("uq_holds_open_key", "holds", ["key"], where="state = 'open'", unique=True)
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        _text("at"),
        _text("kind"),
        _text("actor"),
        _text("payload"),
        _text("cycle", null=True),
        _text("client", null=True),
        _text("system", null=True),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_client_seq", "audit", ["client", "seq"])
    op.create_index("ix_audit_cycle", "audit", ["cycle"])
    op.create_table(
        "suppressed",
        _text("digest"),
        _text("at"),
        sa.PrimaryKeyConstraint("digest", name="pk_suppressed"),
    )


def _create_outbox() -> None:
    op.create_table(
        "writes",
        _text("write"),
        _integer("number"),
        _text("system"),
        _text("client"),
        _text("external_id", null=True),
        _text("action"),
        _text("fields"),
        _text("before"),
        _text("since"),
        _text("cycle", null=True),
        _text("reason"),
        _text("state"),
        _integer("attempts"),
        _text("error", null=True),
        _text("sending_at", null=True),
        _text("next_attempt_at", null=True),
        _text("settle_at", null=True),
        _text("done_at", null=True),
        sa.PrimaryKeyConstraint("write", name="pk_writes"),
        sa.UniqueConstraint("number", name="uq_writes_number"),
        _client_reference("writes", "client"),
    )
    op.create_index("ix_writes_client_system", "writes", ["client", "system"])
    op.create_index("ix_writes_cycle", "writes", ["cycle"])
    op.create_index("ix_writes_state_system_number", "writes", ["state", "system", "number"])
    _create_partial_index(
        "uq_writes_sending", "writes", ["system", "external_id"], where="state = 'sending'", unique=True
    )
    _create_partial_index("uq_writes_waiting", "writes", ["client", "system"], where="state = 'waiting'", unique=True)
