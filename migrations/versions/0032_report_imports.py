"""Reports that a worker imports, and the mappings that people keep."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, UtcDateTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_UNFINISHED = sa.text("state IN ('waiting', 'running')")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "report_mappings",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("mapping", Json, nullable=False),
        sa.Column("kept_at", UtcDateTime(), nullable=False),
        sa.Column("kept_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_report_mappings")),
    )
    op.create_table(
        "report_imports",
        sa.Column("id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("mapping", Json, nullable=False),
        sa.Column("file_name", sa.String(200), nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_as", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("asked_by", sa.String(120), nullable=False),
        sa.Column("asked_by_kind", sa.String(8), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("lines_done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("result", Json, nullable=True),
        sa.Column("error", sa.String(500), nullable=True),
        sa.Column("faults", Json, nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_report_imports_source_id_sources")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_imports")),
    )
    op.create_index(op.f("ix_report_imports_asked_by"), "report_imports", ["asked_by"])
    op.create_index(
        "ix_report_imports_unfinished", "report_imports", ["id"],
        sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED,
    )  # fmt: skip


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_report_imports_unfinished", table_name="report_imports")
    op.drop_index(op.f("ix_report_imports_asked_by"), table_name="report_imports")
    op.drop_table("report_imports")
    op.drop_table("report_mappings")
