"""Rates of exchange by day, and what each accrual comes to in the base currency."""

import sqlalchemy as sa
from alembic import op

from core.database import ExactDecimal, Minor, UtcDateTime
from core.triggers import append_only, not_append_only, not_only_when, now_free, only_when

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_WAITS = sa.text("base_minor IS NULL")
_FREE = ["payout_id", "version", "category_code", "category_name", "category_account", "categorised_by"]
_COLUMNS = ("base_currency", "base_minor", "fx_rate", "fx_date", "fx_source")


def upgrade() -> None:
    """Make the table and the columns; the stage base-amounts fills them for what was accrued before."""
    op.create_table(
        "fx_rates",
        sa.Column("base", sa.String(3), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("rate_date", sa.Date(), nullable=False),
        sa.Column("rate", ExactDecimal(20, 8), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("imported_at", UtcDateTime(), nullable=False),
        sa.Column("imported_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("base", "currency", "rate_date", name=op.f("pk_fx_rates")),
    )
    op.create_index("ix_fx_rates_newest", "fx_rates", ["base", "rate_date"])
    for statement in append_only(op.get_bind().dialect.name, "fx_rates"):
        op.execute(statement)
    op.add_column("accruals", sa.Column("base_currency", sa.String(3), nullable=True))
    op.add_column("accruals", sa.Column("base_minor", Minor, nullable=True))
    op.add_column("accruals", sa.Column("fx_rate", ExactDecimal(38, 18), nullable=True))
    op.add_column("accruals", sa.Column("fx_date", sa.Date(), nullable=True))
    op.add_column("accruals", sa.Column("fx_source", sa.String(40), nullable=True))
    op.create_index(
        "ix_accruals_without_base",
        "accruals",
        ["currency", "occurred_on"],
        sqlite_where=_WAITS,
        postgresql_where=_WAITS,
    )
    dialect = op.get_bind().dialect.name
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("accruals")]
    for statement in now_free(dialect, "accruals", [*_FREE, *_COLUMNS], columns) + only_when(
        dialect, "accruals", "base_is_filled_once", _COLUMNS, "OLD.base_minor IS NULL"
    ):
        op.execute(statement)


def downgrade() -> None:
    """Drop what `upgrade` made."""
    dialect = op.get_bind().dialect.name
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("accruals")]
    kept = [name for name in columns if name not in _COLUMNS]
    for statement in not_only_when(dialect, "accruals", "base_is_filled_once") + now_free(
        dialect, "accruals", _FREE, kept
    ):
        op.execute(statement)
    op.drop_index("ix_accruals_without_base", table_name="accruals")
    for column in reversed(_COLUMNS):
        op.drop_column("accruals", column)
    for statement in not_append_only(op.get_bind().dialect.name, "fx_rates"):
        op.execute(statement)
    op.drop_index("ix_fx_rates_newest", table_name="fx_rates")
    op.drop_table("fx_rates")
