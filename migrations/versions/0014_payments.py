"""Ways to pay beside SEPA, answers about payments, tax papers and cycles of affiliates, self-billing documents.

Every new column is empty or has a default, so the code before goes on writing; nothing is taken away.
"""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, UtcDateTime
from core.triggers import append_only, not_append_only

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _columns() -> dict[str, tuple[sa.Column[object], ...]]:
    # Made anew each time: a column belongs to one table once it was added.
    return {
        "affiliates": (
            sa.Column("payee_kind", sa.String(10), server_default="iban", nullable=False),
            sa.Column("payee_account", sa.String(140), nullable=True),
            sa.Column("payment_cycle", sa.String(10), server_default="every_run", nullable=False),
            sa.Column("tax_form_required", sa.String(10), nullable=True),
            sa.Column("tax_form", sa.String(10), nullable=True),
            sa.Column("tax_form_received_on", sa.Date(), nullable=True),
            sa.Column("vat_id", sa.String(20), nullable=True),
            sa.Column("address", sa.String(300), nullable=True),
            sa.Column("vat_treatment", sa.String(16), server_default="none", nullable=False),
            sa.Column("vat_percent", sa.String(8), nullable=True),
        ),
        "payouts": (
            sa.Column("payee_kind", sa.String(10), server_default="iban", nullable=False),
            sa.Column("payee_account", sa.String(140), nullable=True),
            sa.Column("reason", sa.String(300), nullable=True),
        ),
        "batches": (
            sa.Column("format", sa.String(20), nullable=True),
            sa.Column("debtor_routing_number", sa.String(9), nullable=True),
            sa.Column("debtor_company_id", sa.String(10), nullable=True),
            sa.Column("debtor_bank_name", sa.String(40), nullable=True),
        ),
        "batch_items": (
            sa.Column("reason", sa.String(300), nullable=True),
            sa.Column("result_id", Id, nullable=True),
        ),
    }


def upgrade() -> None:
    """Add the columns and tables."""
    # No batch mode: SQLite would make the tables anew, and accruals and batches refer to their rows.
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.create_table(
        "batch_results",
        sa.Column("id", Id, nullable=False),
        sa.Column("batch_id", Id, nullable=False),
        sa.Column("format", sa.String(20), nullable=False),
        sa.Column("file_name", sa.String(200), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("received_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_results_batch_id_batches")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_results")),
        sa.UniqueConstraint("batch_id", "sha256", name=op.f("uq_batch_results_batch_id_sha256")),
    )
    op.create_index(op.f("ix_batch_results_batch_id"), "batch_results", ["batch_id"])
    op.create_table(
        "self_bill_numbers",
        sa.Column("issuer", sa.String(70), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "year", name=op.f("pk_self_bill_numbers")),
    )
    op.create_table(
        "self_bills",
        sa.Column("id", Id, nullable=False),
        sa.Column("payout_id", Id, nullable=False),
        sa.Column("affiliate_id", Id, nullable=False),
        sa.Column("issuer", sa.String(70), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("corrects_id", Id, nullable=True),
        sa.Column("payout_version", sa.Integer(), nullable=False),
        sa.Column("content", Json, nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_self_bills_payout_id_payouts")),
        sa.ForeignKeyConstraint(
            ["affiliate_id"], ["affiliates.id"], name=op.f("fk_self_bills_affiliate_id_affiliates")
        ),
        sa.ForeignKeyConstraint(["corrects_id"], ["self_bills.id"], name=op.f("fk_self_bills_corrects_id_self_bills")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_self_bills")),
        sa.UniqueConstraint("issuer", "year", "number", name=op.f("uq_self_bills_issuer_year_number")),
    )
    op.create_index(op.f("ix_self_bills_payout_id"), "self_bills", ["payout_id"])
    op.create_index(op.f("ix_self_bills_affiliate_id"), "self_bills", ["affiliate_id"])
    for statement in append_only(op.get_bind().dialect.name, "self_bills"):
        op.execute(statement)


def downgrade() -> None:
    """Take the columns and tables away."""
    for statement in not_append_only(op.get_bind().dialect.name, "self_bills"):
        op.execute(statement)
    op.drop_table("self_bills")
    op.drop_table("self_bill_numbers")
    op.drop_table("batch_results")
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
