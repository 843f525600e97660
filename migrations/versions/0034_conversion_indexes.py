"""Indexes for what people ask of conversions: which of them are held, and which came of a click.

Few are held, and a count of them read every conversion; a search by click did the same.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_HELD = sa.text("hold_reason IS NOT NULL")


def upgrade() -> None:
    """Make both."""
    op.create_index("ix_conversions_held", "conversions", ["id"], sqlite_where=_HELD, postgresql_where=_HELD)
    op.create_index("ix_conversions_click_id", "conversions", ["click_id"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index("ix_conversions_click_id", table_name="conversions")
    op.drop_index("ix_conversions_held", table_name="conversions")
