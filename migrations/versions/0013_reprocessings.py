"""Reprocessings: windows of receipts read again under today's mapping, looked at first and then applied."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "reprocessings",
        sa.Column("id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(60), nullable=True),
        sa.Column("receipts", sa.Integer(), nullable=False),
        sa.Column("progress", Json, nullable=False),
        sa.Column("summary", Json, nullable=False),
        sa.Column("examples", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("applied_at", UtcDateTime(), nullable=True),
        sa.Column("applied_by", sa.String(120), nullable=True),
        sa.Column("result", Json, nullable=True),
        sa.CheckConstraint("applied_by IS NULL OR applied_by <> created_by", name=op.f("ck_reprocessings_four_eyes")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_reprocessings_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reprocessings")),
    )
    op.create_index(op.f("ix_reprocessings_source_id"), "reprocessings", ["source_id"])
    op.create_table(
        "reprocessing_parts",
        sa.Column("reprocessing_id", Id, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("low", Id, nullable=False),
        sa.Column("high", Id, nullable=False),
        sa.Column("receipts", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.Column("applied_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["reprocessing_id"], ["reprocessings.id"], name=op.f("fk_reprocessing_parts_reprocessing_id_reprocessings")
        ),
        sa.PrimaryKeyConstraint("reprocessing_id", "seq", name=op.f("pk_reprocessing_parts")),
    )
    op.create_table(
        "reprocessing_keys",
        sa.Column("reprocessing_id", Id, nullable=False),
        sa.Column("dedupe_key", sa.String(300), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reprocessing_id"], ["reprocessings.id"], name=op.f("fk_reprocessing_keys_reprocessing_id_reprocessings")
        ),
        sa.PrimaryKeyConstraint("reprocessing_id", "dedupe_key", name=op.f("pk_reprocessing_keys")),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("reprocessing_keys")
    op.drop_table("reprocessing_parts")
    op.drop_index(op.f("ix_reprocessings_source_id"), table_name="reprocessings")
    op.drop_table("reprocessings")
