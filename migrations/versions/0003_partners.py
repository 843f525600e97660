"""Sources and secrets, affiliates, campaigns and terms."""

import sqlalchemy as sa
from alembic import op

from core.database import ExactDecimal, Id, Json, Minor, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "affiliates",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payee_name", sa.String(length=70), nullable=True),
        sa.Column("payee_iban", sa.String(length=34), nullable=True),
        sa.Column("payee_bic", sa.String(length=11), nullable=True),
        sa.Column("payee_changed_at", UtcDateTime(), nullable=True),
        sa.Column("payee_changed_by", sa.String(length=120), nullable=True),
        sa.Column("hold_days", sa.Integer(), nullable=False),
        sa.Column("minimum_payout_minor", Minor, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliates")),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("destination_url", sa.String(length=2000), nullable=False),
        sa.Column("attribution_window_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
    )
    op.create_table(
        "sources",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scheme", sa.String(length=16), nullable=False),
        sa.Column("allowlist", Json, nullable=False),
        sa.Column("stale", sa.String(length=8), nullable=False),
        sa.Column("default_currency", sa.String(length=3), nullable=True),
        sa.Column("payout_means", sa.String(length=20), nullable=False),
        sa.Column("dedupe_by", sa.String(length=20), nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("rate_per_second", sa.Integer(), nullable=False),
        sa.Column("rate_burst", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
    )
    op.create_table(
        "campaign_terms",
        sa.Column("campaign_id", Id, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("percent", ExactDecimal(20, 8), nullable=True),
        sa.Column("amount_minor", Minor, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_terms_campaign_id_campaigns")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "version", name=op.f("pk_campaign_terms")),
    )
    op.create_table(
        "source_secrets",
        sa.Column("id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("sealed_value", sa.LargeBinary(), nullable=False),
        sa.Column("key_format", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("not_after", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_source_secrets_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_secrets")),
    )
    op.create_index(op.f("ix_source_secrets_source_id"), "source_secrets", ["source_id"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index(op.f("ix_source_secrets_source_id"), table_name="source_secrets")
    op.drop_table("source_secrets")
    op.drop_table("campaign_terms")
    op.drop_table("sources")
    op.drop_table("campaigns")
    op.drop_table("affiliates")
