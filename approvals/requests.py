"""Requests: opened by the room whose subject is decided, and handed back to it when they are finished."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import notices, opening, routing, separation
from approvals.deciders import Deciders
from approvals.deciding import Decided, RequestState, Snapshot, Step, StepState, Verdict
from approvals.models import ApprovalRequest, ApprovalStep
from approvals.notices import Event
from approvals.routing import Subject
from core import audit
from core.actors import Actor, system
from core.audit import Act
from core.database import claim
from core.runtime import Runtime

_ROOM = system("approvals")


def open_request(
    runtime: Runtime, session: Session, subject: Subject, *, created_by: str, previous_id: str | None = None
) -> ApprovalRequest:
    """Ask for approval of `subject` under the active policy; raise Conflict while it has an open request.

    `previous_id` is the request this one follows. Of many subjects `opening.open_many` asks far faster.
    """
    [made] = opening.open_many(
        runtime, session, [subject], created_by=created_by, previous_ids={subject.id: previous_id}
    )
    return session.get_one(ApprovalRequest, made.id)


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
    notices.tell(runtime, session, Event.VOIDED, request)


def snapshot(request: ApprovalRequest, able: Deciders, barred: frozenset[str]) -> Snapshot:
    """Return `request` as plain values to decide on; `barred` as separation tells it now."""
    return Snapshot(
        state=RequestState(request.state),
        steps=tuple(step_value(request, step, able) for step in request.steps),
        decisions=tuple(
            Decided(each.step_id, each.actor_id, Verdict(each.verdict), each.on_behalf_of) for each in request.decisions
        ),
        content_hash=request.content_hash,
        present_hash=routing.content_hash(request.content),
        barred=barred,
        version=request.version,
    )


def present(session: Session, request: ApprovalRequest, able: Deciders) -> Snapshot:
    """Return `request` as it is now, those who edited the payee's account since its opening barred too."""
    return snapshot(request, able, separation.barred(session, [request])[request.id])


def step_value(request: ApprovalRequest, step: ApprovalStep, able: Deciders) -> Step:
    """Return one step as a plain value: frozen approvers must still be what made them so, later ones may decide."""
    still = set(able.who(step.approvers, request.facts)) | (set(step.added) & set(able.roles))
    ids = frozenset(step.approver_ids) | frozenset(step.added)
    return Step(
        id=step.step_id,
        stage=step.stage or step.position,
        need=step.need,
        approver_ids=ids,
        state=StepState(step.state),
        unable=ids - still,
    )
