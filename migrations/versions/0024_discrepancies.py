"""Discrepancies have owners, notes, adjustments under approval, and claims."""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Minor, UtcDateTime
from core.triggers import append_only, never_emptied, not_append_only, not_never_emptied

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the owner; make the tables."""
    op.add_column("discrepancies", sa.Column("owner", sa.String(length=120), nullable=True))
    op.create_index(op.f("ix_discrepancies_owner"), "discrepancies", ["owner"], unique=False)
    _notes()
    _adjustments()
    _claims()
    dialect = op.get_bind().dialect.name
    for statement in append_only(dialect, "discrepancy_notes") + never_emptied(dialect, "discrepancy_notes", ["id"]):
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    dialect = op.get_bind().dialect.name
    for statement in not_never_emptied(dialect, "discrepancy_notes") + not_append_only(dialect, "discrepancy_notes"):
        op.execute(statement)
    for table in ("discrepancy_claims", "adjustments", "discrepancy_notes"):
        op.drop_table(table)
    op.drop_index(op.f("ix_discrepancies_owner"), table_name="discrepancies")
    op.drop_column("discrepancies", "owner")


def _notes() -> None:
    op.create_table(
        "discrepancy_notes",
        sa.Column("id", Id, nullable=False),
        sa.Column("discrepancy_id", Id, nullable=False),
        sa.Column("author_id", sa.String(length=120), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        _about_a_discrepancy("discrepancy_notes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy_notes")),
    )
    _index("discrepancy_notes")


def _adjustments() -> None:
    op.create_table(
        "adjustments",
        sa.Column("id", Id, nullable=False),
        sa.Column("discrepancy_id", Id, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("difference_minor", Minor, nullable=False),
        sa.Column("account", sa.String(length=120), nullable=False),
        sa.Column("counter_account", sa.String(length=120), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=True),
        sa.Column("approval_id", Id, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        _about_a_discrepancy("adjustments"),
        sa.ForeignKeyConstraint(
            ["approval_id"], ["approval_requests.id"], name=op.f("fk_adjustments_approval_id_approval_requests")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
    )
    _index("adjustments")
    _one_at_a_time("uq_adjustments_pending", "adjustments", "state = 'pending'")


def _claims() -> None:
    op.create_table(
        "discrepancy_claims",
        sa.Column("id", Id, nullable=False),
        sa.Column("discrepancy_id", Id, nullable=False),
        sa.Column("amount_minor", Minor, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("awarded_minor", Minor, nullable=True),
        sa.Column("pack", sa.LargeBinary(), nullable=False),
        sa.Column("pack_sha256", sa.String(length=64), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_by", sa.String(length=120), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("answered_by", sa.String(length=120), nullable=True),
        sa.Column("answer_note", sa.String(length=2000), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        _about_a_discrepancy("discrepancy_claims"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy_claims")),
    )
    _index("discrepancy_claims")
    _one_at_a_time("uq_discrepancy_claims_open", "discrepancy_claims", "state = 'open'")


def _about_a_discrepancy(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_discrepancy_id_discrepancies")
    return sa.ForeignKeyConstraint(["discrepancy_id"], ["discrepancies.id"], name=name)


def _index(table: str) -> None:
    op.create_index(op.f(f"ix_{table}_discrepancy_id"), table, ["discrepancy_id"], unique=False)


def _one_at_a_time(name: str, table: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, ["discrepancy_id"], unique=True, sqlite_where=condition, postgresql_where=condition
    )  # fmt: skip
