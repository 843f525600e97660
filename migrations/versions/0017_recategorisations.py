"""Recategorisations: people move accruals between categories, and what waits for a category is found at once."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, UtcDateTime
from core.triggers import append_only, not_append_only, not_only_when, now_free, only_when

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_CATEGORY = ["category_code", "category_name", "category_account", "categorised_by"]
_WAITS = sa.text("category_code = 'uncategorised'")


def upgrade() -> None:
    """Make the table, and the columns and the index of accruals."""
    op.add_column("accruals", sa.Column("categorised_by", sa.String(120), nullable=True))
    op.add_column("accruals", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.create_index("ix_accruals_uncategorised", "accruals", ["id"], sqlite_where=_WAITS, postgresql_where=_WAITS)
    op.create_table(
        "recategorisations",
        sa.Column("id", Id, nullable=False),
        sa.Column("accrual_id", Id, nullable=False),
        sa.Column("before", Json, nullable=False),
        sa.Column("after", Json, nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["accrual_id"], ["accruals.id"], name=op.f("fk_recategorisations_accrual_id_accruals")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recategorisations")),
    )
    op.create_index(op.f("ix_recategorisations_accrual_id"), "recategorisations", ["accrual_id"])
    dialect = op.get_bind().dialect.name
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("accruals")]
    for statement in now_free(dialect, "accruals", ["payout_id", "version", *_CATEGORY], columns):
        op.execute(statement)
    for statement in append_only(dialect, "recategorisations") + only_when(
        dialect, "accruals", "category_moves_with_version", [*_CATEGORY, "version"], "NEW.version = OLD.version + 1"
    ):
        op.execute(statement)


def downgrade() -> None:
    """Drop what `upgrade` made; the journal's corrections stay."""
    dialect = op.get_bind().dialect.name
    for statement in not_only_when(dialect, "accruals", "category_moves_with_version") + not_append_only(
        dialect, "recategorisations"
    ):
        op.execute(statement)
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("accruals")]
    kept = [name for name in columns if name not in ("categorised_by", "version")]
    for statement in now_free(dialect, "accruals", ["payout_id"], kept):
        op.execute(statement)
    op.drop_index(op.f("ix_recategorisations_accrual_id"), table_name="recategorisations")
    op.drop_table("recategorisations")
    op.drop_index("ix_accruals_uncategorised", table_name="accruals")
    op.drop_column("accruals", "version")
    op.drop_column("accruals", "categorised_by")
