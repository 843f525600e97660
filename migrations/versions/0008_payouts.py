"""Category rules, accruals, payouts, batches."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from core.database import ExactDecimal, Id, Json, Minor, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# The same on every installation, so that two databases compare equal.
INSTALLATION = datetime(2026, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "batches",
        sa.Column("id", Id, nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("released_by", sa.String(length=120), nullable=True),
        sa.Column("debtor_name", sa.String(length=70), nullable=False),
        sa.Column("debtor_iban", sa.String(length=34), nullable=False),
        sa.Column("debtor_bic", sa.String(length=11), nullable=True),
        sa.Column("file_name", sa.String(length=120), nullable=True),
        sa.Column("file_content", sa.LargeBinary(), nullable=True),
        sa.Column("file_sha256", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("released_by IS NULL OR released_by <> created_by", name=op.f("ck_batches_four_eyes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_table(
        "category_rulesets",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("rules", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("activated_at", UtcDateTime(), nullable=True),
        sa.Column("activated_by", sa.String(length=120), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_category_rulesets")),
    )
    op.create_index(
        "uq_category_rulesets_active",
        "category_rulesets",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "payouts",
        sa.Column("id", Id, nullable=False),
        sa.Column("affiliate_id", Id, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("payee_name", sa.String(length=70), nullable=False),
        sa.Column("payee_iban", sa.String(length=34), nullable=False),
        sa.Column("payee_bic", sa.String(length=11), nullable=True),
        sa.Column("category_codes", Json, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("approval_id", Id, nullable=True),
        sa.Column("content_hash", sa.String(length=80), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(["affiliate_id"], ["affiliates.id"], name=op.f("fk_payouts_affiliate_id_affiliates")),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approval_requests.id"], name=op.f("fk_payouts_approval_id_approval_requests")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payouts")),
    )
    op.create_index(op.f("ix_payouts_affiliate_id"), "payouts", ["affiliate_id"], unique=False)
    op.create_index(op.f("ix_payouts_period"), "payouts", ["period"], unique=False)
    op.create_index("ix_payouts_state", "payouts", ["state", "id"], unique=False)
    op.create_table(
        "accruals",
        sa.Column("id", Id, nullable=False),
        sa.Column("conversion_id", Id, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("affiliate_id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("campaign_id", Id, nullable=False),
        sa.Column("terms", Json, nullable=False),
        sa.Column("ruleset_version", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.String(length=60), nullable=True),
        sa.Column("category_code", sa.String(length=40), nullable=False),
        sa.Column("category_name", sa.String(length=200), nullable=False),
        sa.Column("category_account", sa.String(length=120), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("unrounded", ExactDecimal(28, 8), nullable=False),
        sa.Column("assurance", sa.String(length=1), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("payable_on", sa.Date(), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("payout_id", Id, nullable=True),
        sa.ForeignKeyConstraint(["affiliate_id"], ["affiliates.id"], name=op.f("fk_accruals_affiliate_id_affiliates")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_accruals_campaign_id_campaigns")),
        sa.ForeignKeyConstraint(
            ["conversion_id"], ["conversions.id"], name=op.f("fk_accruals_conversion_id_conversions")
        ),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_accruals_payout_id_payouts")),
        sa.ForeignKeyConstraint(
            ["ruleset_version"],
            ["category_rulesets.version"],
            name=op.f("fk_accruals_ruleset_version_category_rulesets"),
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_accruals_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accruals")),
        sa.UniqueConstraint("conversion_id", "kind", "seq", name=op.f("uq_accruals_conversion_id_kind_seq")),
    )
    op.create_index("ix_accruals_payable", "accruals", ["affiliate_id", "currency", "payout_id"], unique=False)
    op.create_index(op.f("ix_accruals_payout_id"), "accruals", ["payout_id"], unique=False)
    op.create_index(op.f("ix_accruals_period"), "accruals", ["period"], unique=False)
    op.create_table(
        "batch_items",
        sa.Column("batch_id", Id, nullable=False),
        sa.Column("payout_id", Id, nullable=False),
        sa.Column("end_to_end_id", sa.String(length=35), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.Column("bank_line_id", Id, nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_items_batch_id_batches")),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_batch_items_payout_id_payouts")),
        sa.PrimaryKeyConstraint("batch_id", "payout_id", name=op.f("pk_batch_items")),
        sa.UniqueConstraint("end_to_end_id", name=op.f("uq_batch_items_end_to_end_id")),
    )
    op.create_index(
        "uq_batch_items_live",
        "batch_items",
        ["payout_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('live', 'settled')"),
        postgresql_where=sa.text("state IN ('live', 'settled')"),
    )
    rulesets = sa.table(
        "category_rulesets",
        sa.column("version", sa.Integer),
        sa.column("state", sa.String),
        sa.column("rules", Json),
        sa.column("created_at", UtcDateTime()),
        sa.column("created_by", sa.String),
        sa.column("activated_at", UtcDateTime()),
        sa.column("activated_by", sa.String),
    )
    op.bulk_insert(
        rulesets,
        [
            {
                "version": 0,
                "state": "active",
                "rules": [],
                "created_at": INSTALLATION,
                "created_by": "installation",
                "activated_at": INSTALLATION,
                "activated_by": "installation",
            }
        ],
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index(
        "uq_batch_items_live",
        table_name="batch_items",
        sqlite_where=sa.text("state IN ('live', 'settled')"),
        postgresql_where=sa.text("state IN ('live', 'settled')"),
    )
    op.drop_table("batch_items")
    op.drop_index(op.f("ix_accruals_period"), table_name="accruals")
    op.drop_index(op.f("ix_accruals_payout_id"), table_name="accruals")
    op.drop_index("ix_accruals_payable", table_name="accruals")
    op.drop_table("accruals")
    op.drop_index("ix_payouts_state", table_name="payouts")
    op.drop_index(op.f("ix_payouts_period"), table_name="payouts")
    op.drop_index(op.f("ix_payouts_affiliate_id"), table_name="payouts")
    op.drop_table("payouts")
    op.drop_index(
        "uq_category_rulesets_active",
        table_name="category_rulesets",
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_table("category_rulesets")
    op.drop_table("batches")
