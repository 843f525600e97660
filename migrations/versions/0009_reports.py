"""Statements, reconciliations, matches, discrepancies."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Minor, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "reconciliations",
        sa.Column("id", Id, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("leg", sa.String(length=12), nullable=False),
        sa.Column("source_id", Id, nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("input_sha256", sa.String(length=64), nullable=True),
        sa.Column("counts", Json, nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=True),
        sa.Column("started_by", sa.String(length=120), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_reconciliations_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    op.create_index(op.f("ix_reconciliations_period"), "reconciliations", ["period"], unique=False)
    op.create_table(
        "statements",
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("source_id", Id, nullable=True),
        sa.Column("account", sa.String(length=34), nullable=True),
        sa.Column("period", sa.String(length=7), nullable=True),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("mapping", Json, nullable=True),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=True),
        sa.Column("opened_on", sa.Date(), nullable=True),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("opening_minor", Minor, nullable=True),
        sa.Column("closing_minor", Minor, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("repeated", sa.Integer(), nullable=False),
        sa.Column("rejected", Json, nullable=False),
        sa.Column("imported_at", UtcDateTime(), nullable=False),
        sa.Column("imported_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_statements_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
    )
    op.create_index(op.f("ix_statements_period"), "statements", ["period"], unique=False)
    op.create_table(
        "bank_lines",
        sa.Column("id", Id, nullable=False),
        sa.Column("statement_id", Id, nullable=False),
        sa.Column("account", sa.String(length=34), nullable=False),
        sa.Column("line_key", sa.String(length=64), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=True),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("end_to_end_id", sa.String(length=35), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("counterparty", sa.String(length=200), nullable=True),
        sa.Column("counterparty_iban", sa.String(length=34), nullable=True),
        sa.Column("bank_reference", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.id"], name=op.f("fk_bank_lines_statement_id_statements")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_lines")),
        sa.UniqueConstraint("account", "line_key", name=op.f("uq_bank_lines_account_line_key")),
    )
    op.create_index(op.f("ix_bank_lines_booked_on"), "bank_lines", ["booked_on"], unique=False)
    op.create_index(op.f("ix_bank_lines_end_to_end_id"), "bank_lines", ["end_to_end_id"], unique=False)
    op.create_index(op.f("ix_bank_lines_statement_id"), "bank_lines", ["statement_id"], unique=False)
    op.create_table(
        "matches",
        sa.Column("id", Id, nullable=False),
        sa.Column("reconciliation_id", Id, nullable=False),
        sa.Column("leg", sa.String(length=12), nullable=False),
        sa.Column("matched_by", sa.String(length=20), nullable=False),
        sa.Column("our_id", Id, nullable=False),
        sa.Column("their_id", Id, nullable=False),
        sa.Column("difference_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliations.id"], name=op.f("fk_matches_reconciliation_id_reconciliations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_matches")),
        sa.UniqueConstraint("leg", "our_id", name=op.f("uq_matches_leg_our_id")),
        sa.UniqueConstraint("leg", "their_id", name=op.f("uq_matches_leg_their_id")),
    )
    op.create_index(op.f("ix_matches_reconciliation_id"), "matches", ["reconciliation_id"], unique=False)
    op.create_table(
        "network_lines",
        sa.Column("id", Id, nullable=False),
        sa.Column("statement_id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("line_key", sa.String(length=64), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("transaction_id", sa.String(length=255), nullable=True),
        sa.Column("claimed_click_id", sa.String(length=255), nullable=True),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status_word", sa.String(length=40), nullable=True),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_network_lines_source_id_sources")),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.id"], name=op.f("fk_network_lines_statement_id_statements")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_lines")),
        sa.UniqueConstraint("source_id", "line_key", name=op.f("uq_network_lines_source_id_line_key")),
    )
    op.create_index(op.f("ix_network_lines_statement_id"), "network_lines", ["statement_id"], unique=False)
    op.create_index(
        "ix_network_lines_transaction", "network_lines", ["source_id", "period", "transaction_id"], unique=False
    )
    op.create_table(
        "discrepancies",
        sa.Column("id", Id, nullable=False),
        sa.Column("reconciliation_id", Id, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("leg", sa.String(length=12), nullable=False),
        sa.Column("source_id", Id, nullable=True),
        sa.Column("class", sa.String(length=24), nullable=False),
        sa.Column("subject_key", sa.String(length=120), nullable=False),
        sa.Column("conversion_id", Id, nullable=True),
        sa.Column("payout_id", Id, nullable=True),
        sa.Column("line_id", Id, nullable=True),
        sa.Column("ours_minor", Minor, nullable=True),
        sa.Column("ours_currency", sa.String(length=3), nullable=True),
        sa.Column("theirs_minor", Minor, nullable=True),
        sa.Column("theirs_currency", sa.String(length=3), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("resolution", sa.String(length=20), nullable=True),
        sa.Column("note", sa.String(length=2000), nullable=True),
        sa.Column("resolved_by", sa.String(length=120), nullable=True),
        sa.Column("resolved_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversion_id"], ["conversions.id"], name=op.f("fk_discrepancies_conversion_id_conversions")
        ),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_discrepancies_payout_id_payouts")),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"],
            ["reconciliations.id"],
            name=op.f("fk_discrepancies_reconciliation_id_reconciliations"),
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_discrepancies_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancies")),
        sa.UniqueConstraint("subject_key", name=op.f("uq_discrepancies_subject_key")),
    )
    op.create_index(op.f("ix_discrepancies_period"), "discrepancies", ["period"], unique=False)
    op.create_index(op.f("ix_discrepancies_reconciliation_id"), "discrepancies", ["reconciliation_id"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index(op.f("ix_discrepancies_reconciliation_id"), table_name="discrepancies")
    op.drop_index(op.f("ix_discrepancies_period"), table_name="discrepancies")
    op.drop_table("discrepancies")
    op.drop_index("ix_network_lines_transaction", table_name="network_lines")
    op.drop_index(op.f("ix_network_lines_statement_id"), table_name="network_lines")
    op.drop_table("network_lines")
    op.drop_index(op.f("ix_matches_reconciliation_id"), table_name="matches")
    op.drop_table("matches")
    op.drop_index(op.f("ix_bank_lines_statement_id"), table_name="bank_lines")
    op.drop_index(op.f("ix_bank_lines_end_to_end_id"), table_name="bank_lines")
    op.drop_index(op.f("ix_bank_lines_booked_on"), table_name="bank_lines")
    op.drop_table("bank_lines")
    op.drop_index(op.f("ix_statements_period"), table_name="statements")
    op.drop_table("statements")
    op.drop_index(op.f("ix_reconciliations_period"), table_name="reconciliations")
    op.drop_table("reconciliations")
