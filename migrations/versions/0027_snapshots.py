"""A month's close keeps a snapshot: totals, digests and the rows themselves, compressed. Both tables only grow.

Months closed before have a snapshot without rows: their digest can still be checked, a difference cannot be shown.
"""

import sqlalchemy as sa
from alembic import op

from core.database import Json, UtcDateTime
from core.triggers import append_only, never_emptied, not_append_only, not_never_emptied

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Table -> its primary key.
_GROWING = {
    "period_snapshots": ["period", "number"],
    "period_snapshot_parts": ["period", "number", "kind", "part"],
}


def upgrade() -> None:
    """Make the tables, and a snapshot without rows for each month that is closed."""
    op.create_table(
        "period_snapshots",
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=False),
        sa.Column("closed_by", sa.String(120), nullable=False),
        sa.Column("totals", Json, nullable=False),
        sa.Column("kinds", Json, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("period", "number", name=op.f("pk_period_snapshots")),
    )
    op.create_table(
        "period_snapshot_parts",
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period", "number", "kind", "part", name=op.f("pk_period_snapshot_parts")),
    )
    op.execute(
        "INSERT INTO period_snapshots (period, number, format, closed_at, closed_by, totals, kinds, digest) "
        "SELECT id, 1, 1, closed_at, closed_by, totals, '{}', digest FROM periods WHERE state = 'closed' "
        "AND closed_at IS NOT NULL AND closed_by IS NOT NULL AND totals IS NOT NULL AND digest IS NOT NULL"
    )
    dialect = op.get_bind().dialect.name
    for table, key in _GROWING.items():
        for statement in append_only(dialect, table) + never_emptied(dialect, table, key):
            op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    dialect = op.get_bind().dialect.name
    for table in reversed(_GROWING):
        for statement in not_never_emptied(dialect, table) + not_append_only(dialect, table):
            op.execute(statement)
        op.drop_table(table)
