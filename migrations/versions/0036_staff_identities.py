"""Who people are at a provider of single sign-on."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, UtcDateTime

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "staff_identities",
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("staff_id", Id, nullable=False),
        sa.Column("bound_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_identities_staff_id_staff")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_staff_identities")),
        sa.UniqueConstraint("issuer", "staff_id", name=op.f("uq_staff_identities_issuer_staff_id")),
    )
    op.create_index(op.f("ix_staff_identities_staff_id"), "staff_identities", ["staff_id"])


def downgrade() -> None:
    """Take it away: people are bound anew, by their verified addresses."""
    op.drop_index(op.f("ix_staff_identities_staff_id"), table_name="staff_identities")
    op.drop_table("staff_identities")
