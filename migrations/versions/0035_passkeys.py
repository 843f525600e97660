"""Passkeys, and the challenges that were answered with one."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, UtcDateTime

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "passkeys",
        sa.Column("id", Id, nullable=False),
        sa.Column("staff_id", Id, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("credential_sha256", sa.String(64), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_passkeys_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_sha256", name=op.f("uq_passkeys_credential_sha256")),
    )
    op.create_index(op.f("ix_passkeys_staff_id"), "passkeys", ["staff_id"])
    op.create_table(
        "taken_challenges",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_taken_challenges")),
    )
    op.create_index(op.f("ix_taken_challenges_until"), "taken_challenges", ["until"])


def downgrade() -> None:
    """Take them away: who had only a passkey as second factor signs in by password alone again."""
    op.drop_index(op.f("ix_taken_challenges_until"), table_name="taken_challenges")
    op.drop_table("taken_challenges")
    op.drop_index(op.f("ix_passkeys_staff_id"), table_name="passkeys")
    op.drop_table("passkeys")
