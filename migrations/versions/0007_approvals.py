"""Approval policies, requests, steps, decisions."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Minor, UtcDateTime
from core.triggers import append_only, not_append_only

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# The same on every installation, so that two databases compare equal.
INSTALLATION = datetime(2026, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "approval_policies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("content", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("activated_at", UtcDateTime(), nullable=True),
        sa.Column("activated_by", sa.String(length=120), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_approval_policies")),
    )
    op.create_index(
        "uq_approval_policies_active",
        "approval_policies",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "approval_requests",
        sa.Column("id", Id, nullable=False),
        sa.Column("subject_kind", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", Minor, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("content", Json, nullable=False),
        sa.Column("content_hash", sa.String(length=80), nullable=False),
        sa.Column("barred", Json, nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("chain_id", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("taken_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_version"],
            ["approval_policies.version"],
            name=op.f("fk_approval_requests_policy_version_approval_policies"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_requests")),
    )
    op.create_index("ix_approval_requests_state", "approval_requests", ["state", "id"], unique=False)
    op.create_index(
        "ix_approval_requests_untaken",
        "approval_requests",
        ["subject_kind", "id"],
        unique=False,
        sqlite_where=sa.text("taken_at IS NULL"),
        postgresql_where=sa.text("taken_at IS NULL"),
    )
    op.create_index(
        "uq_approval_requests_live",
        "approval_requests",
        ["subject_kind", "subject_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "approval_decisions",
        sa.Column("id", Id, nullable=False),
        sa.Column("request_id", Id, nullable=False),
        sa.Column("step_id", sa.String(length=60), nullable=False),
        sa.Column("actor_id", sa.String(length=120), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("comment", sa.String(length=2000), nullable=True),
        sa.Column("content_hash", sa.String(length=80), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.id"], name=op.f("fk_approval_decisions_request_id_approval_requests")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_decisions")),
        sa.UniqueConstraint("request_id", "actor_id", name=op.f("uq_approval_decisions_request_id_actor_id")),
    )
    op.create_table(
        "approval_steps",
        sa.Column("request_id", Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.String(length=60), nullable=False),
        sa.Column("approvers", Json, nullable=False),
        sa.Column("approver_ids", Json, nullable=False),
        sa.Column("need", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.id"], name=op.f("fk_approval_steps_request_id_approval_requests")
        ),
        sa.PrimaryKeyConstraint("request_id", "position", name=op.f("pk_approval_steps")),
    )
    for statement in append_only(op.get_bind().dialect.name, "approval_decisions"):
        op.execute(statement)
    policies = sa.table(
        "approval_policies",
        sa.column("version", sa.Integer),
        sa.column("state", sa.String),
        sa.column("content", Json),
        sa.column("created_at", UtcDateTime()),
        sa.column("created_by", sa.String),
        sa.column("activated_at", UtcDateTime()),
        sa.column("activated_by", sa.String),
    )
    default_chain = {
        "id": "default",
        "when": {},
        "steps": [{"id": "finance", "approvers": {"role": "finance"}, "need": 1}],
    }
    op.bulk_insert(
        policies,
        [
            {
                "version": 0,
                "state": "active",
                "content": {"chains": [default_chain]},
                "created_at": INSTALLATION,
                "created_by": "installation",
                "activated_at": INSTALLATION,
                "activated_by": "installation",
            }
        ],
    )


def downgrade() -> None:
    """Drop the tables."""
    for statement in not_append_only(op.get_bind().dialect.name, "approval_decisions"):
        op.execute(statement)
    op.drop_table("approval_steps")
    op.drop_table("approval_decisions")
    op.drop_index(
        "uq_approval_requests_live",
        table_name="approval_requests",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.drop_index(
        "ix_approval_requests_untaken",
        table_name="approval_requests",
        sqlite_where=sa.text("taken_at IS NULL"),
        postgresql_where=sa.text("taken_at IS NULL"),
    )
    op.drop_index("ix_approval_requests_state", table_name="approval_requests")
    op.drop_table("approval_requests")
    op.drop_index(
        "uq_approval_policies_active",
        table_name="approval_policies",
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_table("approval_policies")
