"""Remittances: what networks owe for a month, and the entries that settle it."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Minor, UtcDateTime
from core.triggers import append_only, never_emptied, not_append_only, not_never_emptied

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_HAS_REFERENCE = sa.text("reference IS NOT NULL")
_IS_DERIVED = sa.text("origin = 'derived'")


def upgrade() -> None:
    """Make the tables, and let a discrepancy name a remittance."""
    op.create_table(
        "remittances",
        sa.Column("id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("reference", sa.String(length=140), nullable=True),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_remittances_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittances")),
    )
    op.create_index(op.f("ix_remittances_source_id"), "remittances", ["source_id"], unique=False)
    op.create_index(op.f("ix_remittances_period"), "remittances", ["period"], unique=False)
    op.create_index(
        "uq_remittances_reference", "remittances", ["source_id", "reference"], unique=True,
        sqlite_where=_HAS_REFERENCE, postgresql_where=_HAS_REFERENCE,
    )  # fmt: skip
    op.create_index(
        "uq_remittances_derived", "remittances", ["source_id", "period", "currency"], unique=True,
        sqlite_where=_IS_DERIVED, postgresql_where=_IS_DERIVED,
    )  # fmt: skip
    op.create_table(
        "remittance_entries",
        sa.Column("id", Id, nullable=False),
        sa.Column("remittance_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("reverses_id", Id, nullable=True),
        sa.Column("bank_line_id", Id, nullable=True),
        sa.Column("account", sa.String(length=120), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["remittance_id"], ["remittances.id"], name=op.f("fk_remittance_entries_remittance_id_remittances")
        ),
        sa.ForeignKeyConstraint(
            ["reverses_id"],
            ["remittance_entries.id"],
            name=op.f("fk_remittance_entries_reverses_id_remittance_entries"),
        ),
        sa.ForeignKeyConstraint(
            ["bank_line_id"], ["bank_lines.id"], name=op.f("fk_remittance_entries_bank_line_id_bank_lines")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittance_entries")),
        sa.UniqueConstraint("remittance_id", "number", name=op.f("uq_remittance_entries_remittance_id_number")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_remittance_entries_reverses_id")),
    )
    op.create_index(op.f("ix_remittance_entries_bank_line_id"), "remittance_entries", ["bank_line_id"], unique=False)
    op.add_column("discrepancies", sa.Column("remittance_id", Id, nullable=True))
    dialect = op.get_bind().dialect.name
    guards = append_only(dialect, "remittance_entries") + never_emptied(dialect, "remittance_entries", ["id"])
    for statement in guards:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    dialect = op.get_bind().dialect.name
    guards = not_never_emptied(dialect, "remittance_entries") + not_append_only(dialect, "remittance_entries")
    for statement in guards:
        op.execute(statement)
    op.drop_column("discrepancies", "remittance_id")
    op.drop_index(op.f("ix_remittance_entries_bank_line_id"), table_name="remittance_entries")
    op.drop_table("remittance_entries")
    for name in ("uq_remittances_derived", "uq_remittances_reference", op.f("ix_remittances_period")):
        op.drop_index(name, table_name="remittances")
    op.drop_index(op.f("ix_remittances_source_id"), table_name="remittances")
    op.drop_table("remittances")
