"""Tables of approvals: versioned policies, requests, their steps and the decisions."""

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

    content: Mapped[dict[str, Any]] = mapped_column(Json)  # {"chains": [..]}


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
    barred: Mapped[list[str]] = mapped_column(Json)  # actor ids who may not decide: creator, editor of the payee, ..
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
    approvers: Mapped[dict[str, Any]] = mapped_column(Json)  # {"role": "finance"}, as the policy says it
    approver_ids: Mapped[list[str]] = mapped_column(Json)  # staff ids, resolved and without the barred
    need: Mapped[int] = mapped_column(sa.Integer)
    state: Mapped[str] = mapped_column(sa.String(8))  # waiting | active | passed | rejected | skipped
    reason: Mapped[str | None] = mapped_column(sa.String(300))  # why it was skipped

    request: Mapped[ApprovalRequest] = relationship(back_populates="steps")


class ApprovalDecision(Base):
    """One person's word on one request, once. Append-only (trigger)."""

    __tablename__ = "approval_decisions"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    request_id: Mapped[str] = mapped_column(sa.ForeignKey("approval_requests.id"))
    step_id: Mapped[str] = mapped_column(sa.String(60))
    actor_id: Mapped[str] = mapped_column(sa.String(120))
    verdict: Mapped[str] = mapped_column(sa.String(8))  # approve | reject
    comment: Mapped[str | None] = mapped_column(sa.String(2000))
    content_hash: Mapped[str] = mapped_column(sa.String(80))
    decided_at: Mapped[datetime]

    __table_args__ = (sa.UniqueConstraint("request_id", "actor_id"),)
