"""Receipts, conversions and their events."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Minor, UtcDateTime
from core.triggers import append_only, not_append_only

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "conversions",
        sa.Column("id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("dedupe_key", sa.String(length=300), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("receipt_id", Id, nullable=False),
        sa.Column("transaction_id", sa.String(length=255), nullable=False),
        sa.Column(
            "claimed_click_id",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("click_id", Id, nullable=True),
        sa.Column("campaign_id", Id, nullable=True),
        sa.Column("affiliate_id", Id, nullable=True),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("status_word", sa.String(length=40), nullable=True),
        sa.Column("payout_minor", Minor, nullable=True),
        sa.Column("amount_minor", Minor, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("subs", Json, nullable=False),
        sa.Column("assurance", sa.String(length=1), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("hold_reason", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(
            ["affiliate_id"], ["affiliates.id"], name=op.f("fk_conversions_affiliate_id_affiliates")
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_conversions_campaign_id_campaigns")),
        sa.ForeignKeyConstraint(["click_id"], ["clicks.id"], name=op.f("fk_conversions_click_id_clicks")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_conversions_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversions")),
        sa.UniqueConstraint("source_id", "dedupe_key", name=op.f("uq_conversions_source_id_dedupe_key")),
    )
    op.create_index(op.f("ix_conversions_affiliate_id"), "conversions", ["affiliate_id"], unique=False)
    op.create_index(op.f("ix_conversions_claimed_click_id"), "conversions", ["claimed_click_id"], unique=False)
    op.create_index(op.f("ix_conversions_click_id"), "conversions", ["click_id"], unique=False)
    op.create_index(op.f("ix_conversions_occurred_at"), "conversions", ["occurred_at"], unique=False)
    op.create_index("ix_conversions_state", "conversions", ["state", "id"], unique=False)
    op.create_index("ix_conversions_transaction", "conversions", ["source_id", "transaction_id"], unique=False)
    op.create_table(
        "conversion_events",
        sa.Column("conversion_id", Id, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=120), nullable=False),
        sa.Column("receipt_id", Id, nullable=True),
        sa.Column("reason", sa.String(length=2000), nullable=True),
        sa.Column("details", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["conversion_id"], ["conversions.id"], name=op.f("fk_conversion_events_conversion_id_conversions")
        ),
        sa.PrimaryKeyConstraint("conversion_id", "seq", name=op.f("pk_conversion_events")),
    )
    op.create_table(
        "receipts",
        sa.Column("id", Id, nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("source_id", sa.String(length=40), nullable=False),
        sa.Column("peer", sa.String(length=45), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("raw_query", sa.LargeBinary(), nullable=False),
        sa.Column("raw_body", sa.LargeBinary(), nullable=False),
        sa.Column("signature_headers", Json, nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("faults", Json, nullable=False),
        sa.Column("secret_id", sa.String(length=40), nullable=True),
        sa.Column("assurance", sa.String(length=1), nullable=False),
        sa.Column("covered_fields", Json, nullable=False),
        sa.Column("dedupe_key", sa.String(length=300), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("conversion_id", Id, nullable=True),
        sa.Column("latency_us", Minor, nullable=False),
        sa.ForeignKeyConstraint(
            ["conversion_id"], ["conversions.id"], name=op.f("fk_receipts_conversion_id_conversions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
    )
    op.create_index(op.f("ix_receipts_conversion_id"), "receipts", ["conversion_id"], unique=False)
    op.create_index(op.f("ix_receipts_received_at"), "receipts", ["received_at"], unique=False)
    op.create_index("ix_receipts_source_received", "receipts", ["source_id", "received_at"], unique=False)
    for statement in append_only(op.get_bind().dialect.name, "conversion_events"):
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for statement in not_append_only(op.get_bind().dialect.name, "conversion_events"):
        op.execute(statement)
    op.drop_index("ix_receipts_source_received", table_name="receipts")
    op.drop_index(op.f("ix_receipts_received_at"), table_name="receipts")
    op.drop_index(op.f("ix_receipts_conversion_id"), table_name="receipts")
    op.drop_table("receipts")
    op.drop_table("conversion_events")
    op.drop_index("ix_conversions_transaction", table_name="conversions")
    op.drop_index("ix_conversions_state", table_name="conversions")
    op.drop_index(op.f("ix_conversions_occurred_at"), table_name="conversions")
    op.drop_index(op.f("ix_conversions_click_id"), table_name="conversions")
    op.drop_index(op.f("ix_conversions_claimed_click_id"), table_name="conversions")
    op.drop_index(op.f("ix_conversions_affiliate_id"), table_name="conversions")
    op.drop_table("conversions")
