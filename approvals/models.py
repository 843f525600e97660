"""Tables of approvals: versioned policies, requests, steps, decisions; delegations, limits, comments."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import VERSION, Base, Id, Json, Minor
from core.versions import Versioned


class ApprovalPolicy(Versioned):
    """A set of chains; immutable once active. Version 0 is a new installation's: one approval by finance."""

    __tablename__ = "approval_policies"
    NOUN = "approval policy"

    content: Mapped[dict[str, Any]] = mapped_column(Json)  # {"defaults": {..}, "chains": [..]}


class ApprovalRequest(Base):
    """One question put to people: whether this subject, with exactly this content, may go ahead."""

    __tablename__ = "approval_requests"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    subject_kind: Mapped[str] = mapped_column(sa.String(20))  # payout, ..
    subject_id: Mapped[str] = mapped_column(sa.String(40))
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    title: Mapped[str] = mapped_column(sa.String(300))  # one line for the inbox
    facts: Mapped[dict[str, Any]] = mapped_column(Json)  # as routed on
    content: Mapped[dict[str, Any]] = mapped_column(Json)  # what the hash is over, for people to read
    content_hash: Mapped[str] = mapped_column(sa.String(80))  # sha256:<hex>
    # Actor ids who may not decide: creator, editor of the payee, releaser of a batch. Frozen (trigger).
    barred: Mapped[list[str]] = mapped_column(Json)
    previous_id: Mapped[str | None] = mapped_column(Id)  # the request about the same subject that this one follows
    policy_version: Mapped[int] = mapped_column(sa.ForeignKey("approval_policies.version"))
    chain_id: Mapped[str] = mapped_column(sa.String(60))
    state: Mapped[str] = mapped_column(sa.String(10))  # open | approved | rejected | voided
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    taken_at: Mapped[datetime | None]  # when the subject's room acted on the outcome
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    steps: Mapped[list["ApprovalStep"]] = relationship(order_by="ApprovalStep.position", back_populates="request")
    decisions: Mapped[list["ApprovalDecision"]] = relationship(order_by="ApprovalDecision.id")

    __table_args__ = (
        sa.Index("ix_approval_requests_state", "state", "id"),
        # What the subjects' rooms have yet to take: they ask often, and the taken ones only grow in number.
        sa.Index(
            "ix_approval_requests_untaken",
            "subject_kind",
            "id",
            sqlite_where=sa.text("taken_at IS NULL"),
            postgresql_where=sa.text("taken_at IS NULL"),
        ),
        # One live request a subject.
        sa.Index(
            "uq_approval_requests_live",
            "subject_kind",
            "subject_id",
            unique=True,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        ),
    )


class ApprovalStep(Base):
    """One step of a request's chain, frozen: who may decide as resolved when the request opened."""

    __tablename__ = "approval_steps"

    request_id: Mapped[str] = mapped_column(sa.ForeignKey("approval_requests.id"), primary_key=True)
    position: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    step_id: Mapped[str] = mapped_column(sa.String(60))
    stage: Mapped[int | None] = mapped_column(sa.Integer)  # steps of one stage stand open together; None: its position
    approvers: Mapped[dict[str, Any]] = mapped_column(Json)  # {"role": "finance"}, as the policy says it
    approver_ids: Mapped[list[str]] = mapped_column(Json)  # staff ids, resolved and without the barred
    # Who came later, and why: {"stf_2": "escalated"}, {"stf_3": "in place of stf_1"}.
    added: Mapped[dict[str, str]] = mapped_column(Json, server_default="{}")
    need: Mapped[int] = mapped_column(sa.Integer)
    state: Mapped[str] = mapped_column(sa.String(8))  # waiting | active | passed | rejected | skipped
    reason: Mapped[str | None] = mapped_column(sa.String(300))  # why it was skipped
    timeout_s: Mapped[int | None] = mapped_column(sa.Integer)  # how long it may stand open before others are asked too
    escalate: Mapped[dict[str, Any] | None] = mapped_column(Json)  # {"role": "admin"}: who is asked then
    due_at: Mapped[datetime | None]  # set while it is active: when it escalates next
    remind_at: Mapped[datetime | None]  # when its people are reminded; None once they were
    escalations: Mapped[int] = mapped_column(sa.Integer, server_default=sa.text("0"))

    request: Mapped[ApprovalRequest] = relationship(back_populates="steps")

    __table_args__ = (
        sa.Index(
            "ix_approval_steps_active",
            "due_at",
            sqlite_where=sa.text("state = 'active'"),
            postgresql_where=sa.text("state = 'active'"),
        ),
    )


class ApprovalDecision(Base):
    """One person's word on one request, once. Append-only (trigger)."""

    __tablename__ = "approval_decisions"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    request_id: Mapped[str] = mapped_column(sa.ForeignKey("approval_requests.id"))
    step_id: Mapped[str] = mapped_column(sa.String(60))
    actor_id: Mapped[str] = mapped_column(sa.String(120))
    on_behalf_of: Mapped[str | None] = mapped_column(sa.String(120))  # the principal, where a delegate decided
    is_forced: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())  # by an admin the step does not name
    verdict: Mapped[str] = mapped_column(sa.String(8))  # approve | reject
    comment: Mapped[str | None] = mapped_column(sa.String(2000))
    content_hash: Mapped[str] = mapped_column(sa.String(80))
    decided_at: Mapped[datetime]

    __table_args__ = (sa.UniqueConstraint("request_id", "actor_id"),)


class ApprovalVoice(Base):
    """One human being who has had a say in a request, himself or through a delegate: each once.

    Written by a trigger on every decision, for its actor and its principal, and by nothing else.
    """

    __tablename__ = "approval_voices"

    request_id: Mapped[str] = mapped_column(sa.ForeignKey("approval_requests.id"), primary_key=True)
    human_id: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    decision_id: Mapped[str] = mapped_column(sa.ForeignKey("approval_decisions.id"))


class ApprovalComment(Base):
    """What somebody said about a request, without deciding. Append-only (trigger)."""

    __tablename__ = "approval_comments"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    request_id: Mapped[str] = mapped_column(sa.ForeignKey("approval_requests.id"), index=True)
    author_id: Mapped[str] = mapped_column(sa.String(120))
    text: Mapped[str] = mapped_column(sa.String(2000))
    created_at: Mapped[datetime]


class ApprovalLimit(Base):
    """Up to how much a person may approve where a policy asks for `limit_covers`, in one currency."""

    __tablename__ = "approval_limits"

    staff_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(sa.String(3), primary_key=True)
    limit_minor: Mapped[int] = mapped_column(Minor)
    set_at: Mapped[datetime]
    set_by: Mapped[str] = mapped_column(sa.String(120))


class ApprovalDelegation(Base):
    """One person decides for another between two moments, within a scope and a limit."""

    __tablename__ = "approval_delegations"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    from_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    to_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(16))  # delegation | out_of_office
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    scope: Mapped[dict[str, Any]] = mapped_column(Json)  # a condition on a request's facts; {}: every request
    limit_minor: Mapped[int | None] = mapped_column(Minor)  # None: whatever the principal himself may
    limit_currency: Mapped[str | None] = mapped_column(sa.String(3))
    reason: Mapped[str] = mapped_column(sa.String(300))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None] = mapped_column(sa.String(120))
