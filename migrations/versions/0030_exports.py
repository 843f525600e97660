"""Exports: files of reports that people asked for, and the marks up to which what changed has been told."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, UtcDateTime

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_UNFINISHED = sa.text("state IN ('waiting', 'running')")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "exports",
        sa.Column("id", Id, nullable=False),
        sa.Column("report", sa.String(40), nullable=False),
        sa.Column("format", sa.String(12), nullable=False),
        sa.Column("filters", Json, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("asked_by", sa.String(120), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("rows_done", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("stored_as", sa.String(80), nullable=True),
        sa.Column("file_name", sa.String(120), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("error", sa.String(500), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_asked_by"), "exports", ["asked_by"])
    op.create_index(
        "ix_exports_unfinished", "exports", ["id"], sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED
    )  # fmt: skip
    op.create_table(
        "export_marks",
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("export_id", Id, nullable=False),
        sa.Column("moved_at", UtcDateTime(), nullable=False),
        sa.Column("moved_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_marks_export_id_exports")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_export_marks")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("export_marks")
    op.drop_index("ix_exports_unfinished", table_name="exports")
    op.drop_index(op.f("ix_exports_asked_by"), table_name="exports")
    op.drop_table("exports")
