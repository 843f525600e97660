"""What people do to a request beside deciding it: hand a place to another, and comment."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from approvals import deciders, notices, requests
from approvals.deciding import RequestState, StepState
from approvals.models import ApprovalComment, ApprovalRequest, ApprovalStep
from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Forbidden, Invalid
from core.rows import existing, locked
from core.runtime import Runtime

_KIND = "approval"


@dataclass(frozen=True)
class Reassignment:
    """Whose place at which step goes to whom, and why; `version` as it was shown."""

    step: str
    from_id: str
    to_id: str
    reason: str
    version: int


def reassign(
    runtime: Runtime, session: Session, request_id: str, wanted: Reassignment, *, actor: Actor
) -> ApprovalRequest:
    """Put one person in another's place at a step that has not ended.

    For whoever gives up his own place, or an admin who does not take it himself. Raise Forbidden otherwise, Conflict
    for a request or step that has ended or moved on, Invalid for people who cannot change places.
    """
    request = locked(session, ApprovalRequest, request_id, version=wanted.version)
    able = deciders.load(session)
    if actor.id != wanted.from_id and not able.is_admin(actor.id):
        message = "a place is handed over by whoever has it, or by an admin"
        raise Forbidden(message, slug="not-yours")
    if actor.id == wanted.to_id:
        message = "nobody takes another's place himself: an admin may force his own word, on the record"
        raise Forbidden(message, slug="own-gain")
    row = _open_step(request, wanted.step)
    snapshot = requests.present(session, request, able)
    step = next(each for each in snapshot.steps if each.id == row.step_id)
    faults = []
    if wanted.from_id not in step.approver_ids:
        faults.append(Fault("from_id", "has no place at this step"))
    elif wanted.from_id in snapshot.used:
        faults.append(Fault("from_id", "has decided already"))
    if wanted.to_id not in able.roles:
        faults.append(Fault("to_id", "is nobody who may decide"))
    elif wanted.to_id in snapshot.barred:
        faults.append(Fault("to_id", "may not decide this one: made it, or changed what it pays to"))
    elif wanted.to_id in step.able:
        faults.append(Fault("to_id", "has a place at this step already"))
    elif wanted.to_id in snapshot.used:
        faults.append(Fault("to_id", "has decided this request already; one person counts once"))
    if faults:
        raise Invalid.of(*faults)
    row.approver_ids = [each for each in row.approver_ids if each != wanted.from_id]
    kept = {each: why for each, why in row.added.items() if each != wanted.from_id}
    row.added = kept | {wanted.to_id: f"in place of {wanted.from_id}"}
    request.version += 1
    session.flush()
    before, after = {"step": row.step_id, "approver": wanted.from_id}, {"step": row.step_id, "approver": wanted.to_id}
    audit.record(session, Act(actor, "reassigned", _KIND, request.id, runtime.clock(), before, after, wanted.reason))
    notices.reassigned(runtime, session, row, wanted.to_id, wanted.reason)
    return request


def comment(runtime: Runtime, session: Session, request_id: str, text: str, *, actor: Actor) -> ApprovalComment:
    """Keep what a person says about a request, open or not; raise NotFound when there is none."""
    request = existing(session, ApprovalRequest, request_id)
    made = ApprovalComment(
        id=runtime.new_id("cmt"),
        request_id=request.id,
        author_id=actor.id,
        text=text,
        created_at=runtime.clock(),
    )
    session.add(made)
    session.flush()
    # What was said stands in its own row, which nobody changes: the log points to it.
    audit.record(session, Act(actor, "commented", _KIND, request.id, runtime.clock(), after={"comment": made.id}))
    return made


def _open_step(request: ApprovalRequest, step_id: str) -> ApprovalStep:
    if request.state != RequestState.OPEN:
        message = f"{request.id} is {request.state}: only an open request is handed over"
        raise Conflict(message, slug="not-open")
    row = next((each for each in request.steps if each.step_id == step_id), None)
    if row is None:
        raise Invalid.of(Fault("step", "is no step of this request"))
    if row.state not in {StepState.WAITING, StepState.ACTIVE}:
        message = f"the step {step_id} is {row.state} already"
        raise Conflict(message, slug="step-over")
    return row
