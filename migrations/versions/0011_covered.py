"""What a proof covers stands on each conversion and accrual, so that rules may ask for it.

The code before writes neither column: what it adds counts as covered in nothing, which asks more people and not fewer.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = ("conversions", "accruals")


def upgrade() -> None:
    """Add the columns. Of what is there, whatever was signed as a whole is covered as a whole."""
    for table in _TABLES:
        op.add_column(table, sa.Column("covered_fields", sa.String(120), server_default="", nullable=False))
    is_covered = sa.Column("is_amount_covered", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("accruals", is_covered)
    op.execute("UPDATE conversions SET covered_fields = '*' WHERE assurance = 'A'")
    op.execute("UPDATE accruals SET covered_fields = '*', is_amount_covered = true WHERE assurance = 'A'")


def downgrade() -> None:
    """Take the columns away again."""
    op.drop_column("accruals", "is_amount_covered")
    for table in _TABLES:
        op.drop_column(table, "covered_fields")
