"""Matches become edges: groups, suggestions, people's words about them, aliases, and rules of matching in versions.

Every new column is empty or has a default, so the code before goes on making matches, one to one; the next run of the
code after makes anew those that have no group.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Minor, UtcDateTime
from core.triggers import append_only, not_append_only

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

INSTALLATION = datetime(2026, 1, 1, tzinfo=UTC)
# What runs did before there were versions, and then the passes that came with them.
DEFAULT_PASSES = [
    {"pass": "exact_id"},
    {"pass": "composite"},
    {"pass": "reference"},
    {"pass": "group"},
    {"pass": "amount_date", "days_before": 1, "days_after": 3, "tolerance_minor": 100, "tolerance_percent": "1"},
    {"pass": "subset_sum", "items_max": 20},
    {"pass": "names"},
]
# A run writes its edges in its own commit: a look-up for each of a million is of no use.
_RUN_KEY = "fk_matches_reconciliation_id_reconciliations"
_WHOLE = sa.text("is_whole AND state = 'confirmed'")
_ACTIVE = sa.text("state = 'active'")


def upgrade() -> None:
    """Add the columns and tables, and fill what every edge has."""
    _edges()
    op.add_column("network_lines", sa.Column("group_key", sa.String(255), nullable=True))
    op.add_column("reconciliations", sa.Column("ruleset_version", sa.Integer(), nullable=True))
    op.add_column("reconciliations", sa.Column("repeats_id", Id, nullable=True))
    _words()
    _rulesets()


def downgrade() -> None:
    """Take them away, and the edges that the matches before could not say."""
    op.drop_table("match_rulesets")
    op.drop_table("match_aliases")
    op.drop_table("match_rejections")
    for statement in not_append_only(op.get_bind().dialect.name, "match_events"):
        op.execute(statement)
    op.drop_table("match_events")
    op.drop_column("reconciliations", "repeats_id")
    op.drop_column("reconciliations", "ruleset_version")
    op.drop_column("network_lines", "group_key")
    op.execute("DELETE FROM matches WHERE NOT is_whole OR state <> 'confirmed'")
    for name in ("uq_matches_our_whole", "uq_matches_their_whole", "ix_matches_their_id", "ix_matches_group_id"):
        op.drop_index(name, table_name="matches")
    with op.batch_alter_table("matches") as batch:
        batch.drop_constraint("uq_matches_leg_our_id_their_id", type_="unique")
        for column in ("group_id", "allocated_minor", "state", "is_whole", "score", "made_by"):
            batch.drop_column(column)
        batch.create_unique_constraint("uq_matches_leg_our_id", ["leg", "our_id"])
        batch.create_unique_constraint("uq_matches_leg_their_id", ["leg", "their_id"])
        batch.create_foreign_key(_RUN_KEY, "reconciliations", ["reconciliation_id"], ["id"])


def _edges() -> None:
    for column in (
        sa.Column("group_id", Id, server_default="", nullable=False),
        sa.Column("allocated_minor", Minor, server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.String(10), server_default="confirmed", nullable=False),
        sa.Column("is_whole", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("made_by", sa.String(120), nullable=True),
    ):
        op.add_column("matches", column)
    # Money paid out is positive on both sides of a match, and negative on a bank's line.
    op.execute(
        """UPDATE matches SET group_id = id, allocated_minor = coalesce(
        CASE WHEN leg = 'payout' THEN (SELECT -b.amount_minor FROM bank_lines AS b WHERE b.id = matches.their_id)
        ELSE (SELECT n.amount_minor FROM network_lines AS n WHERE n.id = matches.their_id) END, 0)"""
    )
    # Nothing refers to a match, and no trigger stands on them: SQLite may make the table anew.
    with op.batch_alter_table("matches") as batch:
        batch.drop_constraint("uq_matches_leg_our_id", type_="unique")
        batch.drop_constraint("uq_matches_leg_their_id", type_="unique")
        batch.create_unique_constraint("uq_matches_leg_our_id_their_id", ["leg", "our_id", "their_id"])
        batch.drop_constraint(_RUN_KEY, type_="foreignkey")
    for side in ("our", "their"):
        op.create_index(
            f"uq_matches_{side}_whole", "matches", ["leg", f"{side}_id"],
            unique=True, sqlite_where=_WHOLE, postgresql_where=_WHOLE,
        )  # fmt: skip
    op.create_index("ix_matches_their_id", "matches", ["leg", "their_id"])
    op.create_index("ix_matches_group_id", "matches", ["group_id"])


def _words() -> None:
    op.create_table(
        "match_events",
        sa.Column("id", Id, nullable=False),
        sa.Column("leg", sa.String(12), nullable=False),
        sa.Column("group_id", Id, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        sa.Column("actor_id", sa.String(120), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(2000), nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_events")),
    )
    op.create_index(op.f("ix_match_events_group_id"), "match_events", ["group_id"])
    for statement in append_only(op.get_bind().dialect.name, "match_events"):
        op.execute(statement)
    op.create_table(
        "match_rejections",
        sa.Column("leg", sa.String(12), nullable=False),
        sa.Column("our_id", Id, nullable=False),
        sa.Column("their_id", Id, nullable=False),
        sa.Column("event_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["match_events.id"], name=op.f("fk_match_rejections_event_id_match_events")
        ),
        sa.PrimaryKeyConstraint("leg", "our_id", "their_id", name=op.f("pk_match_rejections")),
    )
    op.create_table(
        "match_aliases",
        sa.Column("id", Id, nullable=False),
        sa.Column("leg", sa.String(12), nullable=False),
        sa.Column("meaning_kind", sa.String(12), nullable=False),
        sa.Column("meaning", sa.String(255), nullable=False),
        sa.Column("alias", sa.String(255), nullable=False),
        sa.Column("scope", sa.String(64), server_default="", nullable=False),
        sa.Column("learnt_from", Id, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_aliases")),
    )
    op.create_index(
        "uq_match_aliases_active", "match_aliases", ["leg", "scope", "alias"],
        unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE,
    )  # fmt: skip


def _rulesets() -> None:
    rulesets = op.create_table(
        "match_rulesets",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("passes", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("activated_at", UtcDateTime(), nullable=True),
        sa.Column("activated_by", sa.String(120), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_match_rulesets")),
    )
    op.create_index(
        "uq_match_rulesets_active", "match_rulesets", ["state"],
        unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE,
    )  # fmt: skip
    by = {"created_at": INSTALLATION, "created_by": "installation"}
    by |= {"activated_at": INSTALLATION, "activated_by": "installation"}
    op.bulk_insert(rulesets, [{"version": 0, "state": "active", "passes": DEFAULT_PASSES, **by}])
