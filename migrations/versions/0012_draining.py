"""Fewer look-ups a conversion: the month's lock once a statement, keys and indexes only where somebody uses them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Copied from the conversion, whose own foreign keys hold the rows they name: four look-ups less an accrual. A ruleset
# in force is never deleted.
_COPIED = (
    ("source_id", "sources", "id"),
    ("campaign_id", "campaigns", "id"),
    ("affiliate_id", "affiliates", "id"),
    ("ruleset_version", "category_rulesets", "version"),
)
# Index -> table, columns, and where it is of any use.
_NARROWED = {
    "ix_conversions_claimed_click_id": ("conversions", ["claimed_click_id"], "state = 'unmatched'"),
    "ix_accruals_payout_id": ("accruals", ["payout_id"], "payout_id IS NOT NULL"),
    "ix_journal_lines_affiliate_id": ("journal_lines", ["affiliate_id"], "affiliate_id IS NOT NULL"),
}
# Nothing is looked up by it, and no click is ever deleted: every change of a conversion wrote it anew.
_UNUSED = ("ix_conversions_click_id", "conversions", ["click_id"])
# FOR SHARE: waits for a close that is under way, and makes a close wait for these entries. Once a statement, on the
# rows it brought: a row at a time cost as much as inserting them.
_LOCK_BY_STATEMENT = (
    "DROP TRIGGER journal_period_lock ON journal_entries",
    """CREATE OR REPLACE FUNCTION journal_period_lock() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE found record;
    BEGIN
      FOR found IN
        SELECT id, state FROM periods WHERE id IN (SELECT period FROM new_entries) ORDER BY id FOR SHARE
      LOOP
        IF found.state = 'closed' THEN
          RAISE EXCEPTION 'period % is closed', found.id USING ERRCODE = 'restrict_violation';
        END IF;
      END LOOP;
      RETURN NULL;
    END $$""",
    """CREATE TRIGGER journal_period_lock AFTER INSERT ON journal_entries
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION journal_period_lock()""",
)
_LOCK_BY_ROW = (
    "DROP TRIGGER journal_period_lock ON journal_entries",
    """CREATE OR REPLACE FUNCTION journal_period_lock() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE closed text;
    BEGIN
      SELECT state INTO closed FROM periods WHERE id = NEW.period FOR SHARE;
      IF closed = 'closed' THEN
        RAISE EXCEPTION 'period % is closed', NEW.period USING ERRCODE = 'restrict_violation';
      END IF;
      RETURN NEW;
    END $$""",
    """CREATE TRIGGER journal_period_lock BEFORE INSERT ON journal_entries
    FOR EACH ROW EXECUTE FUNCTION journal_period_lock()""",
)


def upgrade() -> None:
    """Take away what no query needs."""
    with op.batch_alter_table("accruals") as batch:
        for column, table, _ in _COPIED:
            batch.drop_constraint(f"fk_accruals_{column}_{table}", type_="foreignkey")
    for name, (table, columns, where) in _NARROWED.items():
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.drop_index(_UNUSED[0], table_name=_UNUSED[1])
    _execute(_LOCK_BY_STATEMENT)


def downgrade() -> None:
    """Bring it back."""
    _execute(_LOCK_BY_ROW)
    op.create_index(*_UNUSED)
    for name, (table, columns, _) in _NARROWED.items():
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
    with op.batch_alter_table("accruals") as batch:
        for column, table, referred in _COPIED:
            batch.create_foreign_key(f"fk_accruals_{column}_{table}", table, [column], [referred])


def _execute(statements: tuple[str, ...]) -> None:
    # SQLite's trigger has no look-up worth saving.
    if op.get_bind().dialect.name == "postgresql":
        for statement in statements:
            op.execute(statement)
