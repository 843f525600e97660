"""Periods and the journal."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Minor, UtcDateTime
from core.triggers import append_only, not_append_only

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("journal_entries", "journal_lines")
# The lock of a closed month stands in the database: no code of ours, and no hand at a prompt, posts into it.
PERIOD_LOCK = {
    "postgresql": [
        """CREATE FUNCTION journal_period_lock() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE closed text;
        BEGIN
          -- FOR SHARE: waits for a close that is under way, and makes a close wait for this entry.
          SELECT state INTO closed FROM periods WHERE id = NEW.period FOR SHARE;
          IF closed = 'closed' THEN
            RAISE EXCEPTION 'period % is closed', NEW.period USING ERRCODE = 'restrict_violation';
          END IF;
          RETURN NEW;
        END $$""",
        """CREATE TRIGGER journal_period_lock BEFORE INSERT ON journal_entries
        FOR EACH ROW EXECUTE FUNCTION journal_period_lock()""",
    ],
    "sqlite": [
        """CREATE TRIGGER journal_period_lock BEFORE INSERT ON journal_entries
        WHEN EXISTS (SELECT 1 FROM periods WHERE id = NEW.period AND state = 'closed')
        BEGIN SELECT RAISE(ABORT, 'period is closed'); END"""
    ],
}
# One statement trigger over all the lines a statement brings: less than half the price of a deferred trigger a row.
# So the lines of an entry come in one statement. SQLite has no statement triggers: there ledger/journal.py's own check
# of the same lines stands alone.
BALANCE = {
    "postgresql": [
        """CREATE FUNCTION journal_balance() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (
            SELECT 1 FROM journal_lines WHERE entry_id IN (SELECT entry_id FROM new_lines)
            GROUP BY entry_id, currency HAVING sum(amount_minor) <> 0
          ) THEN
            RAISE EXCEPTION 'a journal entry does not balance' USING ERRCODE = 'check_violation';
          END IF;
          RETURN NULL;
        END $$""",
        """CREATE TRIGGER journal_balance AFTER INSERT ON journal_lines
        REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION journal_balance()""",
    ],
    "sqlite": [],
}
NO_BALANCE = {
    "postgresql": ["DROP TRIGGER journal_balance ON journal_lines", "DROP FUNCTION journal_balance()"],
    "sqlite": [],
}
PERIOD_UNLOCK = {
    "postgresql": [
        "DROP TRIGGER journal_period_lock ON journal_entries",
        "DROP FUNCTION journal_period_lock()",
    ],
    "sqlite": ["DROP TRIGGER journal_period_lock"],
}


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "journal_entries",
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("source_type", sa.String(length=20), nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("posted_at", UtcDateTime(), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entries")),
        sa.UniqueConstraint(
            "kind", "source_type", "source_id", name=op.f("uq_journal_entries_kind_source_type_source_id")
        ),
    )
    op.create_index(op.f("ix_journal_entries_period"), "journal_entries", ["period"], unique=False)
    op.create_table(
        "periods",
        sa.Column("id", sa.String(length=7), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("closed_by", sa.String(length=120), nullable=True),
        sa.Column("totals", Json, nullable=True),
        sa.Column("digest", sa.String(length=80), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_periods")),
    )
    op.create_table(
        "journal_lines",
        sa.Column("entry_id", Id, nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=120), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("affiliate_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entries.id"], name=op.f("fk_journal_lines_entry_id_journal_entries")
        ),
        sa.PrimaryKeyConstraint("entry_id", "line_number", name=op.f("pk_journal_lines")),
    )
    op.create_index(op.f("ix_journal_lines_account"), "journal_lines", ["account"], unique=False)
    op.create_index(op.f("ix_journal_lines_affiliate_id"), "journal_lines", ["affiliate_id"], unique=False)
    dialect = op.get_bind().dialect.name
    for statement in PERIOD_LOCK[dialect] + BALANCE[dialect]:
        op.execute(statement)
    for table in TABLES:
        for statement in append_only(dialect, table):
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    dialect = op.get_bind().dialect.name
    for table in TABLES:
        for statement in not_append_only(dialect, table):
            op.execute(statement)
    for statement in PERIOD_UNLOCK[dialect] + NO_BALANCE[dialect]:
        op.execute(statement)
    op.drop_index(op.f("ix_journal_lines_affiliate_id"), table_name="journal_lines")
    op.drop_index(op.f("ix_journal_lines_account"), table_name="journal_lines")
    op.drop_table("journal_lines")
    op.drop_table("periods")
    op.drop_index(op.f("ix_journal_entries_period"), table_name="journal_entries")
    op.drop_table("journal_entries")
