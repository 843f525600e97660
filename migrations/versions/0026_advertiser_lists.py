"""Advertisers' own lists, for the two-tier check."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Minor, UtcDateTime

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "advertiser_lists",
        sa.Column("id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=True),
        sa.Column("campaign_id", Id, nullable=True),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("compares", sa.String(length=8), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("sample_percent", sa.Integer(), nullable=False),
        sa.Column("mapping", Json, nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("rejected", Json, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("reconciliation_id", Id, nullable=True),
        sa.Column("next_check_at", UtcDateTime(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("imported_at", UtcDateTime(), nullable=False),
        sa.Column("imported_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_advertiser_lists_source_id_sources")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_advertiser_lists_campaign_id_campaigns")
        ),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"],
            ["reconciliations.id"],
            name=op.f("fk_advertiser_lists_reconciliation_id_reconciliations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_advertiser_lists")),
    )
    op.create_index(op.f("ix_advertiser_lists_period"), "advertiser_lists", ["period"], unique=False)
    op.create_index(op.f("ix_advertiser_lists_next_check_at"), "advertiser_lists", ["next_check_at"], unique=False)
    op.create_table(
        "advertiser_lines",
        sa.Column("id", Id, nullable=False),
        sa.Column("list_id", Id, nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("transaction_id", sa.String(length=255), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status_word", sa.String(length=40), nullable=True),
        sa.Column("meaning", sa.String(length=8), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["advertiser_lists.id"], name=op.f("fk_advertiser_lines_list_id_advertiser_lists")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_advertiser_lines")),
    )
    op.create_index("ix_advertiser_lines_transaction", "advertiser_lines", ["list_id", "transaction_id"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index("ix_advertiser_lines_transaction", table_name="advertiser_lines")
    op.drop_table("advertiser_lines")
    op.drop_index(op.f("ix_advertiser_lists_next_check_at"), table_name="advertiser_lists")
    op.drop_index(op.f("ix_advertiser_lists_period"), table_name="advertiser_lists")
    op.drop_table("advertiser_lists")
