"""Tiers over the monthly volume of an affiliate, in a campaign's terms."""

import sqlalchemy as sa
from alembic import op

from core.database import Json

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; terms without tiers have none."""
    op.add_column("campaign_terms", sa.Column("tiers", Json, nullable=True))


def downgrade() -> None:
    """Take the column away again."""
    op.drop_column("campaign_terms", "tiers")
