"""What a payout in another currency came to in the base when it was paid, beside what it was accrued at."""

import sqlalchemy as sa
from alembic import op

from core.database import ExactDecimal, Minor

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_COLUMNS = {
    "base_currency": sa.String(3),
    "base_accrued_minor": Minor,
    "base_settled_minor": Minor,
    "fx_rate": ExactDecimal(38, 18),
    "fx_date": sa.Date(),
    "fx_source": sa.String(40),
    "fx_taken_back_on": sa.Date(),
}


def upgrade() -> None:
    """Add the columns; the stage base-amounts fills them for what was settled before."""
    for name, kind in _COLUMNS.items():
        op.add_column("batch_items", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Take the columns away; what was posted stays."""
    for name in reversed(_COLUMNS):
        op.drop_column("batch_items", name)
