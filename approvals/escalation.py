"""Where a step's people do not decide in time, or too few are left, others are asked too. It never approves."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import deciders, deciding, notices, opening, requests, separation
from approvals.deciders import Deciders
from approvals.deciding import RequestState, Snapshot, StepState
from approvals.models import ApprovalRequest, ApprovalStep
from approvals.routing import ESCALATE_DEFAULT
from core import audit
from core.actors import Actor, system
from core.audit import Act
from core.rows import locked
from core.runtime import Runtime

ACTOR = system("stage:escalation")
OVERDUE = "nobody decided in time"
SHORT = "too few people may decide this step"
# A step without a timeout of its own that cannot pass is looked at again so often.
AGAIN_S = 86_400


def waiting(session: Session, now: datetime, *, after: str | None, limit: int) -> list[str]:
    """Return ids of open requests behind `after` whose active steps are overdue or short of people, in their order.

    A look at plain rows, outside any lock: whoever acts on it looks again behind one.
    """
    rows = session.scalars(
        sa.select(ApprovalRequest)
        .where(ApprovalRequest.state == RequestState.OPEN, ApprovalRequest.id > (after or ""))
        .order_by(ApprovalRequest.id)
        .limit(limit)
        .options(sa.orm.selectinload(ApprovalRequest.steps), sa.orm.selectinload(ApprovalRequest.decisions))
    ).all()
    able = deciders.load(session)
    barred = separation.barred(session, rows)
    found = []
    for request in rows:
        snapshot = requests.snapshot(request, able, barred[request.id])
        if any(_why(row, step_missing, now) for row, step_missing in _active(request, snapshot)):
            found.append(request.id)
    return found


def last_open(session: Session, *, after: str | None, limit: int) -> str | None:
    """Return the id that ends the next `limit` open requests behind `after`, None when there are no more."""
    ids = session.scalars(
        sa.select(ApprovalRequest.id)
        .where(ApprovalRequest.state == RequestState.OPEN, ApprovalRequest.id > (after or ""))
        .order_by(ApprovalRequest.id)
        .limit(limit)
    ).all()
    return ids[-1] if ids else None


def escalate(runtime: Runtime, session: Session, request_id: str) -> int:
    """Ask more people about the steps of one request that are overdue or short of people; return how many steps."""
    request = locked(session, ApprovalRequest, request_id)
    if request.state != RequestState.OPEN:
        return 0
    now = runtime.clock()
    able = deciders.load(session)
    snapshot = requests.present(session, request, able)
    due = [(row, why) for row, missing in _active(request, snapshot) if (why := _why(row, missing, now))]
    for row, why in due:
        ask_more(runtime, session, row, snapshot, able, reason=why)
    return len(due)


def begin(runtime: Runtime, session: Session, request: ApprovalRequest, snapshot: Snapshot, able: Deciders) -> None:
    """Start the clocks of the steps of `request` that have just become active, and ask more people where they lack.

    `snapshot` is the request behind the decision that made them active.
    """
    now = runtime.clock()
    for row, missing in _active(request, snapshot):
        if row.due_at is None and row.escalations == 0:
            row.remind_at, row.due_at = opening.times(row.timeout_s, now)
            if missing:
                ask_more(runtime, session, row, snapshot, able, reason=SHORT)


def ask_more(
    runtime: Runtime,
    session: Session,
    row: ApprovalStep,
    snapshot: Snapshot,
    able: Deciders,
    *,
    reason: str,
    actor: Actor = ACTOR,
) -> None:
    """Add to an active step those it escalates to, without the barred and those who have had their say.

    When there is nobody to add it stays as it is and is looked at again: it never passes by itself.
    """
    now = runtime.clock()
    step = next(each for each in snapshot.steps if each.id == row.step_id)
    asked = able.who(row.escalate or ESCALATE_DEFAULT, row.request.facts)
    more = [each for each in asked if each not in step.able | snapshot.barred | snapshot.used]
    row.added = row.added | dict.fromkeys(more, "escalated")
    row.escalations += 1
    _remind, row.due_at = opening.times(row.timeout_s or AGAIN_S, now)
    row.remind_at = None
    if not more and row.escalations > 1:
        return
    after = {"step": row.step_id, "added": more}
    audit.record(session, Act(actor, "escalated", "approval", row.request_id, now, None, after, reason))
    notices.escalated(runtime, session, row, more)


def remind(runtime: Runtime, session: Session, limit: int) -> int:
    """Remind the people of at most `limit` active steps whose time is nearly over; return how many steps there were."""
    now = runtime.clock()
    rows = session.scalars(
        sa.select(ApprovalStep)
        .join(ApprovalRequest)
        .where(
            ApprovalStep.state == StepState.ACTIVE,
            ApprovalRequest.state == RequestState.OPEN,
            ApprovalStep.remind_at <= now,
        )
        .order_by(ApprovalStep.remind_at, ApprovalStep.request_id, ApprovalStep.position)
        .limit(limit)
        .with_for_update(of=ApprovalStep, skip_locked=True)
    ).all()
    able = deciders.load(session)
    for row in rows:
        snapshot = requests.present(session, row.request, able)
        step = next(each for each in snapshot.steps if each.id == row.step_id)
        if row.due_at is not None:
            notices.reminded(runtime, session, row, step.able - snapshot.used - snapshot.barred, row.due_at)
        row.remind_at = None
    return len(rows)


def _active(request: ApprovalRequest, snapshot: Snapshot) -> Iterable[tuple[ApprovalStep, int]]:
    """Yield the active steps of `request` and how many people each lacks."""
    for row, step in zip(request.steps, snapshot.steps, strict=True):
        if step.state is StepState.ACTIVE:
            yield row, deciding.missing(snapshot, step)


def _why(row: ApprovalStep, missing: int, now: datetime) -> str | None:
    """Return in words why more people are to be asked now, None when not."""
    if row.due_at is not None and row.due_at <= now:
        return SHORT if missing else OVERDUE
    # Asked once already: again when that time is over.
    return SHORT if missing and row.escalations == 0 else None
