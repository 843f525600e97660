"""Reports that go out by themselves: schedules, and one delivery for each and month."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, UtcDateTime

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "report_schedules",
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("waits_for_close", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reports", Json, nullable=False),
        sa.Column("formats", Json, nullable=False),
        sa.Column("recipients", Json, nullable=False),
        sa.Column("folder", sa.String(100), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("counts_from", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("failed_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(200), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_schedules")),
        sa.UniqueConstraint("folder", name=op.f("uq_report_schedules_folder")),
    )
    op.create_table(
        "report_deliveries",
        sa.Column("id", Id, nullable=False),
        sa.Column("schedule_id", Id, nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("delivered_at", UtcDateTime(), nullable=False),
        sa.Column("folder", sa.String(120), nullable=False),
        sa.Column("files", Json, nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["report_schedules.id"], name=op.f("fk_report_deliveries_schedule_id_report_schedules")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_deliveries")),
        sa.UniqueConstraint("schedule_id", "period", name=op.f("uq_report_deliveries_schedule_id_period")),
    )


def downgrade() -> None:
    """Drop them; files that were delivered stay where they are."""
    op.drop_table("report_deliveries")
    op.drop_table("report_schedules")
