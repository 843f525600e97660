"""Parallel steps, delegation, limits, groups, comments, an outbox; separation of duties held by triggers.

Every new column has a default or may be empty, so the code before goes on writing: its requests have steps without a
stage (one after the other), and the triggers hold for its decisions as for the new ones.
"""

import sqlalchemy as sa
from alembic import op

from core.database import Id, Json, Minor, UtcDateTime
from core.triggers import append_only, not_append_only

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_STEP_COLUMNS = ("stage", "added", "timeout_s", "escalate", "due_at", "remind_at", "escalations")
_APPEND_ONLY = ("approval_voices", "approval_comments", "payee_edits")
# What a request is about and who may not decide it: as it was asked, for good.
_FROZEN = (
    "subject_kind", "subject_id", "amount_minor", "currency", "facts", "content_hash", "barred", "policy_version",
    "chain_id", "created_at", "previous_id",
)  # fmt: skip

# One who has had his say counts no more, whether he spoke himself or a delegate for him. No human being decides what he
# made, what pays to an account he edited in the 30 days before it was asked about, or what he has released. Times are
# compared with the request's own, which is frozen: a decision could claim any.
_DECISION_REFUSED = {
    "decided for himself": "NEW.on_behalf_of = NEW.actor_id",
    "is barred from this request": """EXISTS (
        SELECT 1 FROM approval_requests AS r, {elements} AS b
        WHERE r.id = NEW.request_id AND b.value IN (NEW.actor_id, NEW.on_behalf_of))""",
    "edited the account it pays to": """EXISTS (
        SELECT 1 FROM approval_requests AS r JOIN payee_edits AS e ON e.affiliate_id = {affiliate}
        WHERE r.id = NEW.request_id AND e.edited_by IN (NEW.actor_id, NEW.on_behalf_of)
        AND e.edited_at > {month_before})""",
    "has released it": """EXISTS (
        SELECT 1 FROM approval_requests AS r JOIN batch_items AS i ON i.payout_id = r.subject_id
        JOIN batches AS b ON b.id = i.batch_id
        WHERE r.id = NEW.request_id AND r.subject_kind = 'payout' AND i.state <> 'cancelled'
        AND b.released_by IN (NEW.actor_id, NEW.on_behalf_of))""",
}
_HAS_DECIDED_A_PAYOUT = """EXISTS (
        SELECT 1 FROM batch_items AS i JOIN payouts AS p ON p.id = i.payout_id
        JOIN approval_voices AS v ON v.request_id = p.approval_id
        WHERE i.batch_id = NEW.id AND v.human_id = NEW.released_by)"""
_RELEASER_HAS_DECIDED = """EXISTS (
        SELECT 1 FROM batches AS b JOIN payouts AS p ON p.id = NEW.payout_id
        JOIN approval_voices AS v ON v.request_id = p.approval_id
        WHERE b.id = NEW.batch_id AND v.human_id = b.released_by)"""

# Approved is what every step that applies has been passed for, by as many approvals as it needs.
_SHORT_OF_QUORUM = """EXISTS (
        SELECT 1 FROM approval_steps AS s WHERE s.request_id = NEW.id AND s.state <> 'skipped' AND (
        s.state <> 'passed' OR s.need > (SELECT count(*) FROM approval_decisions AS d
        WHERE d.request_id = s.request_id AND d.step_id = s.step_id AND d.verdict = 'approve')))"""


def upgrade() -> None:
    """Add the columns, tables and triggers, and fill what the triggers look at from what was decided before."""
    # No batch mode here: SQLite would make the tables anew, without their triggers.
    for column in (
        sa.Column("stage", sa.Integer(), nullable=True),
        sa.Column("added", Json, server_default="{}", nullable=False),
        sa.Column("timeout_s", sa.Integer(), nullable=True),
        sa.Column("escalate", Json, nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("remind_at", UtcDateTime(), nullable=True),
        sa.Column("escalations", sa.Integer(), server_default=sa.text("0"), nullable=False),
    ):
        op.add_column("approval_steps", column)
    op.create_index(
        "ix_approval_steps_active", "approval_steps", ["due_at"],
        sqlite_where=sa.text("state = 'active'"), postgresql_where=sa.text("state = 'active'"),
    )  # fmt: skip
    op.add_column("approval_requests", sa.Column("previous_id", Id, nullable=True))
    op.add_column("approval_decisions", sa.Column("on_behalf_of", sa.String(120), nullable=True))
    op.add_column("approval_decisions", sa.Column("is_forced", sa.Boolean(), server_default=sa.false(), nullable=False))
    _create_tables()
    op.execute(
        "INSERT INTO approval_voices (request_id, human_id, decision_id) "
        "SELECT request_id, actor_id, id FROM approval_decisions"
    )
    op.execute(
        "INSERT INTO payee_edits (affiliate_id, edited_at, edited_by) SELECT id, payee_changed_at, payee_changed_by "
        "FROM affiliates WHERE payee_changed_at IS NOT NULL AND payee_changed_by IS NOT NULL"
    )
    dialect = op.get_bind().dialect.name
    for table in _APPEND_ONLY:
        for statement in append_only(dialect, table):
            op.execute(statement)
    for statement in _postgresql() if dialect == "postgresql" else _sqlite():
        op.execute(statement)


def downgrade() -> None:
    """Take it all away; requests, steps and decisions are kept."""
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        for name, table in (
            ("approval_decisions_separate", "approval_decisions"),
            ("approval_decisions_heard", "approval_decisions"),
            ("approval_requests_frozen", "approval_requests"),
            ("approval_requests_quorum", "approval_requests"),
            ("batches_separate", "batches"),
            ("batch_items_separate", "batch_items"),
        ):
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    else:
        for name in (
            "approval_decisions_separate", "approval_decisions_heard", "approval_requests_frozen",
            "approval_requests_quorum", "batches_separate", "batches_separate_insert", "batch_items_separate",
        ):  # fmt: skip
            op.execute(f"DROP TRIGGER {name}")
    for table in _APPEND_ONLY:
        for statement in not_append_only(dialect, table):
            op.execute(statement)
    for table in (
        "outbox_messages", "payee_edits", "staff_group_members", "approval_delegations", "approval_limits",
        "approval_comments", "approval_voices",
    ):  # fmt: skip
        op.drop_table(table)
    # SQLite drops no column while a trigger of its table stands that it cannot read again.
    for statement in not_append_only(dialect, "approval_decisions"):
        op.execute(statement)
    op.drop_column("approval_decisions", "is_forced")
    op.drop_column("approval_decisions", "on_behalf_of")
    for statement in append_only(dialect, "approval_decisions"):
        op.execute(statement)
    op.drop_column("approval_requests", "previous_id")
    op.drop_index("ix_approval_steps_active", table_name="approval_steps")
    for name in _STEP_COLUMNS:
        op.drop_column("approval_steps", name)


def _create_tables() -> None:
    op.create_table(
        "approval_voices",
        sa.Column("request_id", Id, nullable=False),
        sa.Column("human_id", sa.String(120), nullable=False),
        sa.Column("decision_id", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.id"], name=op.f("fk_approval_voices_request_id_approval_requests")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["approval_decisions.id"], name=op.f("fk_approval_voices_decision_id_approval_decisions")
        ),
        sa.PrimaryKeyConstraint("request_id", "human_id", name=op.f("pk_approval_voices")),
    )
    op.create_table(
        "approval_comments",
        sa.Column("id", Id, nullable=False),
        sa.Column("request_id", Id, nullable=False),
        sa.Column("author_id", sa.String(120), nullable=False),
        sa.Column("text", sa.String(2000), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["approval_requests.id"], name=op.f("fk_approval_comments_request_id_approval_requests")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_comments")),
    )
    op.create_index(op.f("ix_approval_comments_request_id"), "approval_comments", ["request_id"])
    op.create_table(
        "approval_limits",
        sa.Column("staff_id", Id, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("limit_minor", Minor, nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.Column("set_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_approval_limits_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", "currency", name=op.f("pk_approval_limits")),
    )
    op.create_table(
        "approval_delegations",
        sa.Column("id", Id, nullable=False),
        sa.Column("from_id", Id, nullable=False),
        sa.Column("to_id", Id, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("scope", Json, nullable=False),
        sa.Column("limit_minor", Minor, nullable=True),
        sa.Column("limit_currency", sa.String(3), nullable=True),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_by", sa.String(120), nullable=True),
        sa.ForeignKeyConstraint(["from_id"], ["staff.id"], name=op.f("fk_approval_delegations_from_id_staff")),
        sa.ForeignKeyConstraint(["to_id"], ["staff.id"], name=op.f("fk_approval_delegations_to_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_delegations")),
    )
    op.create_index(op.f("ix_approval_delegations_from_id"), "approval_delegations", ["from_id"])
    op.create_index(op.f("ix_approval_delegations_to_id"), "approval_delegations", ["to_id"])
    op.create_table(
        "staff_group_members",
        sa.Column("group_name", sa.String(40), nullable=False),
        sa.Column("staff_id", Id, nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("added_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_group_members_staff_id_staff")),
        sa.PrimaryKeyConstraint("group_name", "staff_id", name=op.f("pk_staff_group_members")),
    )
    op.create_table(
        "payee_edits",
        sa.Column("affiliate_id", Id, nullable=False),
        sa.Column("edited_at", UtcDateTime(), nullable=False),
        sa.Column("edited_by", sa.String(120), nullable=False),
        sa.ForeignKeyConstraint(
            ["affiliate_id"], ["affiliates.id"], name=op.f("fk_payee_edits_affiliate_id_affiliates")
        ),
        sa.PrimaryKeyConstraint("affiliate_id", "edited_at", "edited_by", name=op.f("pk_payee_edits")),
    )
    op.create_table(
        "outbox_messages",
        sa.Column("id", Id, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_messages_key")),
    )
    op.create_index(
        "ix_outbox_messages_next_at", "outbox_messages", ["next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"), postgresql_where=sa.text("next_at IS NOT NULL"),
    )  # fmt: skip


def _postgresql() -> list[str]:
    parts = {
        "elements": "jsonb_array_elements_text(CASE jsonb_typeof(r.barred) WHEN 'array' THEN r.barred ELSE '[]' END)",
        "affiliate": "(r.facts ->> 'affiliate_id')",
        "month_before": "r.created_at - interval '30 days'",
    }
    refusals = "\n".join(
        f"IF {when.format(**parts)} THEN RAISE EXCEPTION 'separation of duties: who decides {why}' "
        "USING ERRCODE = 'restrict_violation'; END IF;"
        for why, when in _DECISION_REFUSED.items()
    )
    frozen = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in _FROZEN)
    return [
        *_function("approval_decisions_separate", "BEFORE INSERT ON approval_decisions", refusals),
        *_function(
            "approval_decisions_heard",
            "AFTER INSERT ON approval_decisions",
            "INSERT INTO approval_voices (request_id, human_id, decision_id) "
            "VALUES (NEW.request_id, NEW.actor_id, NEW.id);"
            "IF NEW.on_behalf_of IS NOT NULL THEN INSERT INTO approval_voices (request_id, human_id, decision_id) "
            "VALUES (NEW.request_id, NEW.on_behalf_of, NEW.id); END IF;",
        ),
        *_function(
            "approval_requests_frozen",
            "BEFORE UPDATE ON approval_requests",
            f"IF {frozen} THEN RAISE EXCEPTION 'what an approval request is about is frozen' "
            "USING ERRCODE = 'restrict_violation'; END IF;",
        ),
        *_function(
            "approval_requests_quorum",
            "BEFORE UPDATE OF state ON approval_requests",
            f"IF NEW.state = 'approved' AND OLD.state <> 'approved' AND {_SHORT_OF_QUORUM} THEN "
            "RAISE EXCEPTION 'a request is approved by the people its steps need' "
            "USING ERRCODE = 'restrict_violation'; END IF;",
        ),
        *_function(
            "batches_separate",
            "BEFORE INSERT OR UPDATE OF released_by ON batches",
            f"IF NEW.released_by IS NOT NULL AND {_HAS_DECIDED_A_PAYOUT} THEN "
            "RAISE EXCEPTION 'separation of duties: who releases has decided one of the payouts' "
            "USING ERRCODE = 'restrict_violation'; END IF;",
        ),
        *_function(
            "batch_items_separate",
            "BEFORE INSERT ON batch_items",
            f"IF {_RELEASER_HAS_DECIDED} THEN "
            "RAISE EXCEPTION 'separation of duties: who released has decided this payout' "
            "USING ERRCODE = 'restrict_violation'; END IF;",
        ),
    ]


def _function(name: str, when: str, body: str) -> list[str]:
    # A percent sign would be a parameter's to the driver, and a colon to SQLAlchemy: neither stands in these texts.
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$",
        f"CREATE TRIGGER {name} {when} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _sqlite() -> list[str]:
    parts = {
        "elements": "json_each(r.barred)",
        "affiliate": "json_extract(r.facts, '$.affiliate_id')",
        "month_before": "datetime(r.created_at, '-30 days')",
    }
    refusals = "\n".join(
        f"SELECT RAISE(ABORT, 'separation of duties: who decides {why}') WHERE {when.format(**parts)};"
        for why, when in _DECISION_REFUSED.items()
    )
    frozen = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in _FROZEN)
    decided = "SELECT RAISE(ABORT, 'separation of duties: who releases has decided one of the payouts')"
    return [
        f"CREATE TRIGGER approval_decisions_separate BEFORE INSERT ON approval_decisions BEGIN {refusals} END",
        """CREATE TRIGGER approval_decisions_heard AFTER INSERT ON approval_decisions BEGIN
        INSERT INTO approval_voices (request_id, human_id, decision_id) VALUES (NEW.request_id, NEW.actor_id, NEW.id);
        INSERT INTO approval_voices (request_id, human_id, decision_id)
        SELECT NEW.request_id, NEW.on_behalf_of, NEW.id WHERE NEW.on_behalf_of IS NOT NULL; END""",
        f"""CREATE TRIGGER approval_requests_frozen BEFORE UPDATE ON approval_requests WHEN {frozen}
        BEGIN SELECT RAISE(ABORT, 'what an approval request is about is frozen'); END""",
        f"""CREATE TRIGGER approval_requests_quorum BEFORE UPDATE OF state ON approval_requests
        WHEN NEW.state = 'approved' AND OLD.state <> 'approved' AND {_SHORT_OF_QUORUM}
        BEGIN SELECT RAISE(ABORT, 'a request is approved by the people its steps need'); END""",
        f"""CREATE TRIGGER batches_separate BEFORE UPDATE OF released_by ON batches
        WHEN NEW.released_by IS NOT NULL BEGIN {decided} WHERE {_HAS_DECIDED_A_PAYOUT}; END""",
        f"""CREATE TRIGGER batches_separate_insert BEFORE INSERT ON batches
        WHEN NEW.released_by IS NOT NULL BEGIN {decided} WHERE {_HAS_DECIDED_A_PAYOUT}; END""",
        f"""CREATE TRIGGER batch_items_separate BEFORE INSERT ON batch_items
        BEGIN SELECT RAISE(ABORT, 'separation of duties: who released has decided this payout')
        WHERE {_RELEASER_HAS_DECIDED}; END""",
    ]
