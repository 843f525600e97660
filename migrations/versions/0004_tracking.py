"""Clicks."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "clicks",
        sa.Column("id", Id, nullable=False),
        sa.Column("click_id", Id, nullable=False),
        sa.Column("campaign_id", Id, nullable=False),
        sa.Column("affiliate_id", Id, nullable=False),
        sa.Column("sub1", sa.String(length=255), nullable=True),
        sa.Column("sub2", sa.String(length=255), nullable=True),
        sa.Column("sub3", sa.String(length=255), nullable=True),
        sa.Column("sub4", sa.String(length=255), nullable=True),
        sa.Column("sub5", sa.String(length=255), nullable=True),
        sa.Column("via", sa.String(length=8), nullable=False),
        sa.Column("clicked_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["affiliate_id"], ["affiliates.id"], name=op.f("fk_clicks_affiliate_id_affiliates")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_clicks_campaign_id_campaigns")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clicks")),
        sa.UniqueConstraint("click_id", name=op.f("uq_clicks_click_id")),
    )
    op.create_index(op.f("ix_clicks_affiliate_id"), "clicks", ["affiliate_id"], unique=False)
    op.create_index(op.f("ix_clicks_campaign_id"), "clicks", ["campaign_id"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index(op.f("ix_clicks_campaign_id"), table_name="clicks")
    op.drop_index(op.f("ix_clicks_affiliate_id"), table_name="clicks")
    op.drop_table("clicks")
