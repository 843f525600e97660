"""Schemes and meanings on sources, events with money on conversions, receipts by month and sealed.

On PostgreSQL `receipts` becomes a table of partitions by ranges of ids, and so of time. The rows there were become its
first partition as they are: nothing is copied. Every new column has a default, so the code before goes on writing.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Serial, UtcDateTime
from core.ids import first_token
from core.triggers import append_only, not_append_only

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MONTHS_AHEAD = 3
_SOURCE_COLUMNS = (
    "preset", "options", "status_words", "amount_unit", "duplicates", "reversal", "answers", "is_test", "revision",
)  # fmt: skip
_DECEMBER = 12


def upgrade() -> None:
    """Add the columns, and give receipts their partitions."""
    _wait_briefly()
    # No batch mode here: SQLite would make the table anew, and conversions refer to its rows.
    for column in (
        sa.Column("preset", sa.String(40), nullable=True),
        sa.Column("options", Json, server_default="{}", nullable=False),
        sa.Column("status_words", Json, server_default="{}", nullable=False),
        sa.Column("amount_unit", sa.String(8), server_default="major", nullable=False),
        sa.Column("duplicates", sa.String(16), server_default="ignore", nullable=False),
        sa.Column("reversal", Json, server_default='{"kind": "none"}', nullable=False),
        sa.Column("answers", sa.String(16), server_default="json", nullable=False),
        sa.Column("is_test", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
    ):
        op.add_column("sources", column)
    op.add_column("conversions", sa.Column("is_accrual_due", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_conversions_accrual_due", "conversions", ["id"],
        sqlite_where=sa.text("is_accrual_due"), postgresql_where=sa.text("is_accrual_due"),
    )  # fmt: skip
    op.create_table(
        "receipt_seals",
        sa.Column("seq", Serial, autoincrement=False, nullable=False),
        sa.Column("after_id", Id, nullable=False),
        sa.Column("up_to_id", Id, nullable=False),
        sa.Column("receipts", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("sealed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_receipt_seals")),
    )
    for statement in append_only(op.get_bind().dialect.name, "receipt_seals"):
        op.execute(statement)
    op.drop_index("ix_receipts_source_received", table_name="receipts")
    op.drop_index("ix_receipts_received_at", table_name="receipts")
    op.create_index("ix_receipts_source_id", "receipts", ["source_id", "id"])
    with op.batch_alter_table("receipts") as batch:
        batch.drop_constraint("fk_receipts_conversion_id_conversions", type_="foreignkey")
    if op.get_bind().dialect.name == "postgresql":
        _partition()


def downgrade() -> None:
    """Take the columns and partitions away again; receipts are kept."""
    _wait_briefly()
    if op.get_bind().dialect.name == "postgresql":
        _gather()
    op.execute("UPDATE receipts SET conversion_id = NULL WHERE conversion_id NOT IN (SELECT id FROM conversions)")
    with op.batch_alter_table("receipts") as batch:
        batch.create_foreign_key("fk_receipts_conversion_id_conversions", "conversions", ["conversion_id"], ["id"])
    op.drop_index("ix_receipts_source_id", table_name="receipts")
    op.create_index("ix_receipts_received_at", "receipts", ["received_at"])
    op.create_index("ix_receipts_source_received", "receipts", ["source_id", "received_at"])
    for statement in not_append_only(op.get_bind().dialect.name, "receipt_seals"):
        op.execute(statement)
    op.drop_table("receipt_seals")
    op.drop_index("ix_conversions_accrual_due", table_name="conversions")
    op.drop_column("conversions", "is_accrual_due")
    for name in _SOURCE_COLUMNS:
        op.drop_column("sources", name)


def _wait_briefly() -> None:
    # Postbacks wait behind whoever waits for the table: rather fail, and be run again when no report is being read.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '3s'")


def _partition() -> None:
    now: datetime = op.get_bind().execute(sa.text("SELECT now()")).scalar_one()
    months = [_month_after(now.astimezone(UTC), count) for count in range(1, _MONTHS_AHEAD + 2)]
    bounds = [f"rcp_{first_token(month)}" for month in months]
    first = f"receipts_until_{months[0]:%Y_%m}"
    for statement in (
        f"ALTER TABLE receipts RENAME TO {first}",
        f"ALTER TABLE {first} RENAME CONSTRAINT pk_receipts TO pk_{first}",
        f"ALTER INDEX ix_receipts_source_id RENAME TO ix_{first}_source_id",
        f"ALTER INDEX ix_receipts_conversion_id RENAME TO ix_{first}_conversion_id",
        f"CREATE TABLE receipts (LIKE {first} INCLUDING DEFAULTS) PARTITION BY RANGE (id)",
        "ALTER TABLE receipts ADD CONSTRAINT pk_receipts PRIMARY KEY (id)",
        "CREATE INDEX ix_receipts_source_id ON receipts (source_id, id)",
        "CREATE INDEX ix_receipts_conversion_id ON receipts (conversion_id)",
        f"ALTER TABLE receipts ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ('{bounds[0]}')",
        *(
            f"CREATE TABLE receipts_{month:%Y_%m} PARTITION OF receipts FOR VALUES FROM ('{low}') TO ('{high}')"
            for month, low, high in zip(months, bounds, bounds[1:], strict=False)
        ),
        "CREATE TABLE receipts_beyond PARTITION OF receipts DEFAULT",
    ):
        op.execute(statement)


def _gather() -> None:
    for statement in (
        "CREATE TABLE receipts_whole (LIKE receipts INCLUDING DEFAULTS)",
        "INSERT INTO receipts_whole SELECT * FROM receipts",
        "DROP TABLE receipts",
        "ALTER TABLE receipts_whole RENAME TO receipts",
        "ALTER TABLE receipts ADD CONSTRAINT pk_receipts PRIMARY KEY (id)",
        "CREATE INDEX ix_receipts_source_id ON receipts (source_id, id)",
        "CREATE INDEX ix_receipts_conversion_id ON receipts (conversion_id)",
    ):
        op.execute(statement)


def _month_after(moment: datetime, count: int) -> datetime:
    months = moment.year * _DECEMBER + moment.month - 1 + count
    return datetime(months // _DECEMBER, months % _DECEMBER + 1, 1, tzinfo=UTC)
