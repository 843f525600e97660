"""One person's decision: lock the request, decide on plain values, write."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import deciding, requests
from approvals.deciding import Accepted, Refusal, Refused, RequestState, Verdict, Word
from approvals.models import ApprovalDecision, ApprovalRequest
from core import audit, doorbell
from core.actors import Actor
from core.audit import Act
from core.database import insert_new
from core.errors import Conflict, Forbidden, Problem
from core.rows import locked
from core.runtime import Runtime

IN_WORDS = {
    Refusal.NOT_OPEN: "this request is no longer open",
    Refusal.BARRED: "you may not decide this one: you made it, or changed what it pays to",
    Refusal.ALREADY_DECIDED: "you have decided this request already; one person counts once",
    Refusal.NOT_AN_APPROVER: "you are not among the approvers of the step that is open now",
    Refusal.CONTENT_CHANGED: "what is to be approved has changed since it was shown to you",
    Refusal.VERSION_MOVED: "somebody decided meanwhile; look at the request again",
}


@dataclass(frozen=True)
class Decision:
    """What a person sends: his verdict, a comment, and the version (and perhaps the content hash) he saw."""

    verdict: Verdict
    version: int
    comment: str | None = None
    content_hash: str | None = None


def decide(
    runtime: Runtime, session: Session, request_id: str, decision: Decision, *, actor: Actor
) -> Accepted | Refused:
    """Record the decision of `actor` and return where the request stands, or why it was not taken.

    Raise NotFound for a request there is not.
    """
    # Behind the lock its steps and decisions are as they are now, too.
    request = locked(session, ApprovalRequest, request_id)
    word = Word(actor.id, actor.roles, decision.verdict, decision.version, decision.content_hash)
    outcome = deciding.after(requests.snapshot(request), word)
    if isinstance(outcome, Refused):
        return outcome
    if not _insert(runtime, session, request, outcome.step_id, decision, actor=actor):
        return Refused(Refusal.ALREADY_DECIDED)
    _apply(runtime, session, request, outcome, seen=decision.version)
    after = {
        "verdict": decision.verdict,
        "step": outcome.step_id,
        "state": outcome.state,
        "version": decision.version + 1,
        "content_hash": request.content_hash,
    }
    audit.record(
        session,
        Act(
            actor, "decided", "approval", request_id, runtime.clock(),
            before={"state": RequestState.OPEN, "version": decision.version}, after=after, reason=decision.comment,
        ),
    )  # fmt: skip
    session.refresh(request)
    session.expire(request, ["steps", "decisions"])
    return outcome


def problem(refused: Refused) -> Problem:
    """Return the refusal as the problem a door answers with: Forbidden for who asks, Conflict for when."""
    slug = refused.reason.value.replace("_", "-")
    kind = Forbidden if refused.reason in {Refusal.BARRED, Refusal.NOT_AN_APPROVER} else Conflict
    return kind(IN_WORDS[refused.reason], slug=slug)


def _insert(
    runtime: Runtime, session: Session, request: ApprovalRequest, step_id: str, decision: Decision, *, actor: Actor
) -> bool:
    row = {
        "id": runtime.new_id("dec"),
        "request_id": request.id,
        "step_id": step_id,
        "actor_id": actor.id,
        "verdict": decision.verdict.value,
        "comment": decision.comment,
        "content_hash": request.content_hash,
        "decided_at": runtime.clock(),
    }
    return bool(insert_new(session, ApprovalDecision, [row], key=["request_id", "actor_id"]))


def _apply(runtime: Runtime, session: Session, request: ApprovalRequest, outcome: Accepted, *, seen: int) -> None:
    for row, step in zip(request.steps, outcome.steps, strict=True):
        row.state = step.state
    is_finished = outcome.state is not RequestState.OPEN
    # Conditional even behind the lock: should the lock ever fail to hold, the second decision fails with it.
    moved = session.execute(
        sa.update(ApprovalRequest)
        .where(
            ApprovalRequest.id == request.id,
            ApprovalRequest.version == seen,
            ApprovalRequest.state == RequestState.OPEN,
        )
        .values(
            state=outcome.state,
            version=seen + 1,
            finished_at=runtime.clock() if is_finished else None,
        )
        .returning(ApprovalRequest.id)
        .execution_options(synchronize_session=False)
    ).all()
    if not moved:
        raise Conflict(IN_WORDS[Refusal.VERSION_MOVED], slug="version-moved")
    if is_finished:
        doorbell.after_commit(session, requests.STAGE)
