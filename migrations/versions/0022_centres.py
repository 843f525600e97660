"""An accrual's category has a department and a cost centre, where the rules say so."""

import sqlalchemy as sa
from alembic import op

from core.triggers import not_only_when, now_free, only_when

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_NEW = ["category_department", "category_cost_centre"]
_CATEGORY = ["category_code", "category_name", "category_account", "categorised_by"]
_BASE = ["base_currency", "base_minor", "fx_rate", "fx_date", "fx_source"]
_GUARD = "category_moves_with_version"


def upgrade() -> None:
    """Add the columns; they move with the category."""
    for column in _NEW:
        op.add_column("accruals", sa.Column(column, sa.String(60), nullable=True))
    _guard([*_CATEGORY, *_NEW], without=[])


def downgrade() -> None:
    """Take them away."""
    _guard(_CATEGORY, without=_NEW)
    for column in reversed(_NEW):
        op.drop_column("accruals", column)


def _guard(category: list[str], *, without: list[str]) -> None:
    dialect = op.get_bind().dialect.name
    columns = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("accruals")]
    kept = [name for name in columns if name not in without]
    free = ["payout_id", "version", *category, *_BASE]
    moves = only_when(dialect, "accruals", _GUARD, [*category, "version"], "NEW.version = OLD.version + 1")
    for statement in [*not_only_when(dialect, "accruals", _GUARD), *now_free(dialect, "accruals", free, kept), *moves]:
        op.execute(statement)
