"""The books hold against a hand at a prompt: accruals only grow, entries balance on SQLite too, no line comes late."""

import sqlalchemy as sa
from alembic import op

from core.triggers import append_only_but_for, never_emptied, not_append_only, not_never_emptied

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Table -> its primary key.
_NEVER_EMPTIED = {
    "accruals": ["id"],
    "journal_entries": ["id"],
    "journal_lines": ["entry_id", "line_number"],
    "audit_entries": ["seq"],
}
# An entry that was posted while its month was open takes no more lines once it is closed.
_LINES_LOCK = {
    "postgresql": [
        """CREATE FUNCTION journal_lines_period_lock() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE found record;
        BEGIN
          FOR found IN
            SELECT id, state FROM periods WHERE id IN (
              SELECT period FROM journal_entries WHERE id IN (SELECT entry_id FROM new_lines)
            ) ORDER BY id FOR SHARE
          LOOP
            IF found.state = 'closed' THEN
              RAISE EXCEPTION 'period % is closed', found.id USING ERRCODE = 'restrict_violation';
            END IF;
          END LOOP;
          RETURN NULL;
        END $$""",
        """CREATE TRIGGER journal_lines_period_lock AFTER INSERT ON journal_lines
        REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION journal_lines_period_lock()""",
    ],
    "sqlite": [
        """CREATE TRIGGER journal_lines_period_lock BEFORE INSERT ON journal_lines
        WHEN EXISTS (
          SELECT 1 FROM journal_entries JOIN periods ON periods.id = journal_entries.period
          WHERE journal_entries.id = NEW.entry_id AND periods.state = 'closed'
        )
        BEGIN SELECT RAISE(ABORT, 'period is closed'); END"""
    ],
}
_LINES_UNLOCK = {
    "postgresql": [
        "DROP TRIGGER journal_lines_period_lock ON journal_lines",
        "DROP FUNCTION journal_lines_period_lock()",
    ],
    "sqlite": ["DROP TRIGGER journal_lines_period_lock"],
}
# SQLite checks nothing at the end of a statement, but deferred foreign keys at the commit. What an entry is out of
# balance by stands in a row of its own, which refers to a row that cannot be: while there is one, nothing is committed.
# The last line of an entry takes its row away, so the table is empty but within a transaction.
_BALANCE = (
    """CREATE TABLE journal_imbalances (
      entry_id VARCHAR(40) NOT NULL CHECK (entry_id <> ''),
      currency VARCHAR(3) NOT NULL,
      left_minor BIGINT NOT NULL,
      no_entry_id VARCHAR(40) NOT NULL DEFAULT '' CHECK (no_entry_id = ''),
      PRIMARY KEY (entry_id, currency),
      CONSTRAINT journal_entry_balances FOREIGN KEY (no_entry_id, currency)
        REFERENCES journal_imbalances (entry_id, currency) DEFERRABLE INITIALLY DEFERRED
    )""",
    """CREATE TRIGGER journal_balance AFTER INSERT ON journal_lines
    BEGIN
      INSERT INTO journal_imbalances (entry_id, currency, left_minor)
        VALUES (NEW.entry_id, NEW.currency, NEW.amount_minor)
        ON CONFLICT (entry_id, currency) DO UPDATE SET left_minor = left_minor + excluded.left_minor;
      DELETE FROM journal_imbalances
        WHERE entry_id = NEW.entry_id AND currency = NEW.currency AND left_minor = 0;
    END""",
)
_NO_BALANCE = ("DROP TRIGGER journal_balance", "DROP TABLE journal_imbalances")


def upgrade() -> None:
    """Make the triggers."""
    connection = op.get_bind()
    dialect = connection.dialect.name
    columns = [column["name"] for column in sa.inspect(connection).get_columns("accruals")]
    statements = append_only_but_for(dialect, "accruals", ["payout_id"], columns) + _LINES_LOCK[dialect]
    for table, key in _NEVER_EMPTIED.items():
        statements += never_emptied(dialect, table, key)
    if dialect == "sqlite":
        statements += _BALANCE
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    dialect = op.get_bind().dialect.name
    statements = [each for table in _NEVER_EMPTIED for each in not_never_emptied(dialect, table)]
    statements += _LINES_UNLOCK[dialect] + not_append_only(dialect, "accruals")
    if dialect == "sqlite":
        statements += _NO_BALANCE
    for statement in statements:
        op.execute(statement)
