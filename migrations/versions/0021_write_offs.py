"""Write-offs of negative balances, under approval."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Minor, UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "write_offs",
        sa.Column("id", Id, nullable=False),
        sa.Column("affiliate_id", Id, nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("approval_id", Id, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["affiliate_id"], ["affiliates.id"], name=op.f("fk_write_offs_affiliate_id_affiliates")
        ),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approval_requests.id"], name=op.f("fk_write_offs_approval_id_approval_requests")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_offs")),
    )
    op.create_index(op.f("ix_write_offs_affiliate_id"), "write_offs", ["affiliate_id"])
    op.create_index(
        "uq_write_offs_pending",
        "write_offs",
        ["affiliate_id", "currency"],
        unique=True,
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )


def downgrade() -> None:
    """Drop it; what was posted stays as accruals."""
    op.drop_table("write_offs")
