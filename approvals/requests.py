"""Requests: opened by the room whose subject is decided, and handed back to it when they are finished."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from approvals import deciding, routing
from approvals.deciding import Decided, RequestState, Snapshot, Step, StepState, Verdict
from approvals.models import ApprovalPolicy, ApprovalRequest, ApprovalStep
from approvals.routing import Route, Subject
from core import audit, doorbell, versions
from core.actors import Actor, ActorKind, system
from core.audit import Act
from core.database import claim
from core.errors import Conflict
from core.runtime import Runtime

STAGE = "settlement"
_ROOM = system("approvals")


def open_request(runtime: Runtime, session: Session, subject: Subject, *, created_by: str) -> ApprovalRequest:
    """Ask for approval of `subject` under the active policy; raise Conflict while it has an open request.

    Who may decide is resolved and frozen now, without the barred and without `created_by`. A step nobody may decide
    waits for ever rather than pass. A chain without steps approves at once, on the record.
    """
    if open_for(session, subject.kind, subject.id) is not None:
        message = f"{subject.kind} {subject.id} has an open approval request already"
        raise Conflict(message)
    policy = versions.active(session, ApprovalPolicy)
    facts = routing.plain(subject.facts)
    route = routing.route(policy.content, facts)
    now = runtime.clock()
    barred = subject.barred | {created_by}
    request = ApprovalRequest(
        id=runtime.new_id("apr"),
        subject_kind=subject.kind,
        subject_id=subject.id,
        amount_minor=subject.money.amount_minor,
        currency=subject.money.currency,
        title=subject.title,
        facts=facts,
        content=dict(subject.content),
        content_hash=routing.content_hash(subject.content),
        barred=sorted(barred),
        policy_version=policy.version,
        chain_id=route.chain_id,
        state=RequestState.OPEN,
        created_at=now,
        version=1,
        steps=_steps(session, route, barred),
        decisions=[],
    )
    if route.is_approved_by_policy:
        request.state, request.finished_at = RequestState.APPROVED, now
        _record_approval_by_policy(session, request, now)
        doorbell.after_commit(session, STAGE)
    session.add(request)
    session.flush()
    return request


def open_for(session: Session, kind: str, subject_id: str) -> ApprovalRequest | None:
    """Return the subject's open request, None without one."""
    return session.scalar(
        sa.select(ApprovalRequest).where(
            ApprovalRequest.subject_kind == kind,
            ApprovalRequest.subject_id == subject_id,
            ApprovalRequest.state == RequestState.OPEN,
        )
    )


def finished(session: Session, kind: str, limit: int) -> Sequence[ApprovalRequest]:
    """Return at most `limit` approved or rejected requests about `kind` that its room has not taken, oldest first.

    They are claimed until the transaction ends: another worker gets others.
    """
    statement = (
        sa.select(ApprovalRequest)
        .where(
            ApprovalRequest.subject_kind == kind,
            ApprovalRequest.state.in_([RequestState.APPROVED, RequestState.REJECTED]),
            ApprovalRequest.taken_at.is_(None),
        )
        .order_by(ApprovalRequest.id)
        .limit(limit)
    )
    return session.scalars(claim(statement)).all()


def mark_taken(request: ApprovalRequest, now: datetime) -> None:
    """Note that the subject's room has acted on the outcome."""
    request.taken_at = now


def void(runtime: Runtime, session: Session, request: ApprovalRequest, reason: str, *, actor: Actor = _ROOM) -> None:
    """End an open or approved request because its subject is no longer what was asked about.

    A rejected or voided one stays as it is.
    """
    # Locked and read anew: a decision may have been taken since the caller loaded it.
    session.refresh(request, with_for_update=True)
    before = request.state
    if before not in {RequestState.OPEN, RequestState.APPROVED}:
        return
    now = runtime.clock()
    request.state, request.finished_at = RequestState.VOIDED, now
    request.version += 1
    act = Act(actor, "voided", "approval", request.id, now, {"state": before}, {"state": request.state}, reason)
    audit.record(session, act)


def snapshot(request: ApprovalRequest) -> Snapshot:
    """Return `request` as plain values to decide on."""
    return Snapshot(
        state=RequestState(request.state),
        steps=tuple(
            Step(
                id=step.step_id,
                role=step.approvers["role"],
                need=step.need,
                approver_ids=frozenset(step.approver_ids),
                state=StepState(step.state),
            )
            for step in request.steps
        ),
        decisions=tuple(Decided(each.step_id, each.actor_id, Verdict(each.verdict)) for each in request.decisions),
        content_hash=request.content_hash,
        present_hash=routing.content_hash(request.content),
        barred=frozenset(request.barred),
        version=request.version,
    )


def _steps(session: Session, route: Route, barred: frozenset[str]) -> list[ApprovalStep]:
    able = {
        role: [staff.id for staff in people.with_role(session, role) if staff.id not in barred]
        for role in {step.approvers["role"] for step in route.steps if step.skipped is None}
    }
    first = deciding.opened(
        tuple(
            Step(
                id=step.id,
                role=step.approvers["role"],
                need=step.need,
                approver_ids=frozenset(),
                state=StepState.WAITING if step.skipped is None else StepState.SKIPPED,
            )
            for step in route.steps
        )
    )
    return [
        ApprovalStep(
            position=position,
            step_id=step.id,
            approvers=dict(step.approvers),
            approver_ids=[] if step.skipped is not None else able[step.approvers["role"]],
            need=step.need,
            state=begun.state,
            reason=None if step.skipped is None else step.skipped[:300],
        )
        for position, (step, begun) in enumerate(zip(route.steps, first, strict=True), start=1)
    ]


def _record_approval_by_policy(session: Session, request: ApprovalRequest, now: datetime) -> None:
    actor = Actor(ActorKind.POLICY, f"policy:{request.policy_version}/{request.chain_id}")
    after = {"state": request.state, "content_hash": request.content_hash}
    audit.record(session, Act(actor, "approved", "approval", request.id, now, after=after))
