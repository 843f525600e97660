"""Second factors, recovery codes, failed sign-ins, and when a session last showed its second factor."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, UtcDateTime

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and the column that the code before never fills."""
    op.create_table(
        "second_factors",
        sa.Column("staff_id", Id, nullable=False),
        sa.Column("sealed_seed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_second_factors_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("staff_id", Id, nullable=False),
        sa.Column("code_hmac", sa.String(64), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_recovery_codes_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "code_hmac", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "sign_in_failures",
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_failures")),
    )
    op.add_column("staff_sessions", sa.Column("stepped_up_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Take them away: who had a second factor signs in by password alone again."""
    op.drop_column("staff_sessions", "stepped_up_at")
    op.drop_table("sign_in_failures")
    op.drop_table("recovery_codes")
    op.drop_table("second_factors")
