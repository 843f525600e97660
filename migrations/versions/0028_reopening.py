"""A closed month is opened again by two people: one asks, another confirms. The database holds to it.

A closed month's row stays as it is, whoever updates it, unless a reopening of its last snapshot was confirmed. And no
accrual goes into a closed month, as no entry does: one of nothing has no entry that would be refused.
"""

import sqlalchemy as sa
from alembic import op

from core.database import Id, UtcDateTime

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_CONFIRMED = """EXISTS (
        SELECT 1 FROM period_reopenings AS r WHERE r.period = OLD.id AND r.state = 'confirmed'
        AND r.snapshot_number = (
        SELECT coalesce(max(s.number), 0) FROM period_snapshots AS s WHERE s.period = OLD.id))"""
_STAYS_CLOSED = {
    "postgresql": [
        f"""CREATE FUNCTION periods_stay_closed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.state = 'closed' THEN
            IF TG_OP = 'UPDATE' THEN
              IF NEW.id = OLD.id AND NEW.state = 'open' AND {_CONFIRMED} THEN RETURN NEW; END IF;
            END IF;
            RAISE EXCEPTION 'period % is closed, and no reopening of it is confirmed', OLD.id
              USING ERRCODE = 'restrict_violation';
          END IF;
          IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;
          RETURN OLD;
        END $$""",
        """CREATE TRIGGER periods_stay_closed BEFORE UPDATE OR DELETE ON periods
        FOR EACH ROW EXECUTE FUNCTION periods_stay_closed()""",
        """CREATE FUNCTION accruals_period_lock() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE found record;
        BEGIN
          -- FOR SHARE, as of the journal: waits for a close that is under way, and makes a close wait.
          FOR found IN
            SELECT id, state FROM periods WHERE id IN (SELECT period FROM new_rows) ORDER BY id FOR SHARE
          LOOP
            IF found.state = 'closed' THEN
              RAISE EXCEPTION 'period % is closed', found.id USING ERRCODE = 'restrict_violation';
            END IF;
          END LOOP;
          RETURN NULL;
        END $$""",
        """CREATE TRIGGER accruals_period_lock AFTER INSERT ON accruals
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION accruals_period_lock()""",
    ],
    "sqlite": [
        f"""CREATE TRIGGER periods_stay_closed_update BEFORE UPDATE ON periods
        WHEN OLD.state = 'closed' AND NOT (NEW.id = OLD.id AND NEW.state = 'open' AND {_CONFIRMED})
        BEGIN SELECT RAISE(ABORT, 'period is closed, and no reopening of it is confirmed'); END""",
        """CREATE TRIGGER periods_stay_closed_delete BEFORE DELETE ON periods WHEN OLD.state = 'closed'
        BEGIN SELECT RAISE(ABORT, 'period is closed, and no reopening of it is confirmed'); END""",
        """CREATE TRIGGER accruals_period_lock BEFORE INSERT ON accruals
        WHEN EXISTS (SELECT 1 FROM periods WHERE id = NEW.period AND state = 'closed')
        BEGIN SELECT RAISE(ABORT, 'period is closed'); END""",
    ],
}
_NO_LONGER = {
    "postgresql": [
        "DROP TRIGGER accruals_period_lock ON accruals",
        "DROP FUNCTION accruals_period_lock()",
        "DROP TRIGGER periods_stay_closed ON periods",
        "DROP FUNCTION periods_stay_closed()",
    ],
    "sqlite": [
        "DROP TRIGGER accruals_period_lock",
        "DROP TRIGGER periods_stay_closed_update",
        "DROP TRIGGER periods_stay_closed_delete",
    ],
}


def upgrade() -> None:
    """Make the table and the triggers."""
    op.create_table(
        "period_reopenings",
        sa.Column("id", Id, nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("snapshot_number", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(2000), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("asked_by", sa.String(120), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(120), nullable=True),
        sa.CheckConstraint(
            "state <> 'confirmed' OR (decided_by IS NOT NULL AND decided_by <> asked_by)",
            name=op.f("ck_period_reopenings_four_eyes"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_period_reopenings")),
    )
    op.create_index("ix_period_reopenings_period", "period_reopenings", ["period"])
    op.create_index(
        "uq_period_reopenings_asked", "period_reopenings", ["period"], unique=True,
        sqlite_where=sa.text("state = 'asked'"), postgresql_where=sa.text("state = 'asked'"),
    )  # fmt: skip
    for statement in _STAYS_CLOSED[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; what was opened again stays open."""
    for statement in _NO_LONGER[op.get_bind().dialect.name]:
        op.execute(statement)
    op.drop_table("period_reopenings")
