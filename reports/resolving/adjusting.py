"""Adjustments: a difference is accepted or written off by one person, approved by another, and posted once."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import requests
from approvals.models import ApprovalRequest
from approvals.routing import Subject
from core import audit
from core.actors import Actor, system
from core.audit import Act
from core.database import lock
from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods, posting
from reports import accounting
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg, Resolution
from reports.models import BankLine, Discrepancy
from reports.reconciliation import LOCK
from reports.resolving import notes, settling
from reports.resolving.models import Adjustment

KIND = "adjustment"
ACTOR = system("stage:resolving")
# What a policy's condition on `category` reads, by what is asked for.
CATEGORIES = {Resolution.ACCEPT: "adjustment", Resolution.WRITE_OFF: "write-off"}


class AdjustmentState(StrEnum):
    """Where an adjustment stands; a lapsed one was about a difference that is another by now."""

    PENDING = "pending"
    POSTED = "posted"
    REJECTED = "rejected"
    LAPSED = "lapsed"


def ask(
    runtime: Runtime, session: Session, found: Discrepancy, money: Money, resolution: Resolution, *, actor: Actor
) -> Adjustment:
    """Ask for approval of posting `money`, what is left of the difference; its note says why.

    Nothing is posted before somebody else has approved it. What was asked about it before is void.
    """
    for earlier in _pending(session, Adjustment.discrepancy_id == found.id):
        _lapse(runtime, session, earlier, "it was asked for anew")
    session.flush()
    line = session.get(BankLine, found.line_id) if found.leg == Leg.PAYOUT and found.line_id else None
    moved = accounting.moved(
        leg=Leg(found.leg),
        klass=DiscrepancyClass(found.klass),
        resolution=resolution,
        difference_minor=money.amount_minor,
        bank_account=line.account if line else None,
    )
    now = runtime.clock()
    made = Adjustment(
        id=runtime.new_id("adj"),
        discrepancy_id=found.id,
        kind=resolution.value,
        difference_minor=money.amount_minor,
        account=moved.account,
        counter_account=moved.counter_account,
        amount_minor=moved.amount_minor,
        currency=money.currency,
        reason=found.note or "",
        state=AdjustmentState.PENDING,
        created_at=now,
        created_by=actor.id,
    )
    session.add(made)
    session.flush()
    request = requests.open_request(runtime, session, _subject(found, made), created_by=actor.id)
    made.approval_id = request.id
    after = {"discrepancy_id": found.id, "money": str(money), "approval_id": request.id}
    audit.record(session, Act(actor, "asked", KIND, made.id, now, after=after, reason=made.reason))
    return made


def take_finished(runtime: Runtime, session: Session) -> bool:
    """Act on one finished approval request of an adjustment; say whether there was one.

    Approved and the discrepancy still what was asked about: it is posted, and the discrepancy resolved. Rejected: the
    discrepancy is open again.
    """
    # Before any row: who resolves, reconciles or closes takes this lock first, too.
    lock(session, LOCK)
    finished = requests.finished(session, KIND, 1)
    if not finished:
        return False
    request = finished[0]
    requests.mark_taken(request, runtime.clock())
    made = session.get_one(Adjustment, request.subject_id, with_for_update=True, populate_existing=True)
    if made.state != AdjustmentState.PENDING or made.approval_id != request.id:
        return True
    found = session.get_one(Discrepancy, made.discrepancy_id, with_for_update=True, populate_existing=True)
    if found.state != DiscrepancyState.RESOLVING:
        _end(runtime, session, made, AdjustmentState.LAPSED, "the difference is another by now")
    elif request.state == "rejected":
        _end(runtime, session, made, AdjustmentState.REJECTED, f"rejected in {request.id}")
        _reopen(runtime, session, found, f"{made.id} was rejected in {request.id}")
    elif reason := settling.settle(runtime, session, found):
        _end(runtime, session, made, AdjustmentState.LAPSED, reason)
        _reopen(runtime, session, found, f"{made.id} cannot be posted: {reason}")
    else:
        _post(runtime, session, found, made, request)
    return True


def void_changed(runtime: Runtime, session: Session) -> bool:
    """Void one request whose discrepancy is no longer what was asked about; say whether there was one."""
    lock(session, LOCK)
    changed = sa.exists().where(
        Discrepancy.id == Adjustment.discrepancy_id, Discrepancy.state != DiscrepancyState.RESOLVING
    )
    found = _pending(session, changed)
    if found:
        _lapse(runtime, session, found[0], "a run found the difference changed, or gone")
    return bool(found)


def is_waiting(session: Session) -> bool:
    """Say whether any adjustment is pending: most of the time there is none, and no lock to take."""
    return (
        session.scalar(sa.select(Adjustment.id).where(Adjustment.state == AdjustmentState.PENDING).limit(1)) is not None
    )


def _pending(session: Session, where: sa.ColumnElement[bool]) -> list[Adjustment]:
    statement = (
        sa.select(Adjustment)
        .where(Adjustment.state == AdjustmentState.PENDING, where)
        .order_by(Adjustment.id)
        .with_for_update()
    )
    return list(session.scalars(statement))


def _lapse(runtime: Runtime, session: Session, made: Adjustment, reason: str) -> None:
    if made.approval_id is not None:
        requests.void(runtime, session, session.get_one(ApprovalRequest, made.approval_id), reason, actor=ACTOR)
    _end(runtime, session, made, AdjustmentState.LAPSED, reason)


def _post(runtime: Runtime, session: Session, found: Discrepancy, made: Adjustment, request: ApprovalRequest) -> None:
    now = runtime.clock()
    # In the month it is about, which is open as long as this is under way; on no day that is still to come.
    made.occurred_on = min(periods.bounds(found.period)[1], now.date())
    entry = posting.adjustment(
        adjustment_id=made.id,
        discrepancy_id=found.id,
        account=made.account,
        counter_account=made.counter_account,
        money=Money(made.amount_minor, made.currency),
        occurred_on=made.occurred_on,
    )
    journal.post(runtime, session, [entry], today=now.date())
    _end(runtime, session, made, AdjustmentState.POSTED, f"approved in {request.id}")
    found.state = DiscrepancyState.RESOLVED
    found.version += 1
    after = {"state": found.state, "adjustment_id": made.id}
    act = Act(ACTOR, "resolved", "discrepancy", found.id, now, {"state": DiscrepancyState.RESOLVING}, after)
    audit.record(session, act)


def _end(runtime: Runtime, session: Session, made: Adjustment, state: AdjustmentState, reason: str) -> None:
    made.state, made.ended_at = state, runtime.clock()
    audit.record(session, Act(ACTOR, state.value, KIND, made.id, runtime.clock(), reason=reason))


def _reopen(runtime: Runtime, session: Session, found: Discrepancy, reason: str) -> None:
    notes.write(runtime, session, found, reason, author_id=ACTOR.id)
    found.state = DiscrepancyState.OPEN
    found.resolution = found.note = found.resolved_by = found.resolved_at = None
    found.version += 1


def _subject(found: Discrepancy, made: Adjustment) -> Subject:
    """Return the question; thresholds look at the size of the difference, whichever way it goes."""
    size = abs(made.amount_minor)
    money = Money(size, made.currency)
    word = "written off" if made.kind == Resolution.WRITE_OFF else "accepted"
    facts = {
        "amount_base": size,
        "amount_alone": size,
        "currency": made.currency,
        "category": {CATEGORIES[Resolution(made.kind)]},
    }
    if found.source_id is not None:
        facts["source_id"] = {found.source_id}
    return Subject(
        kind=KIND,
        id=made.id,
        money=money,
        title=f"{found.klass.replace('_', ' ')} of {found.period}: {money} {word}"[:300],
        facts=facts,
        content={
            "discrepancy_id": found.id,
            "class": found.klass,
            "ours": [found.ours_minor, found.ours_currency],
            "theirs": [found.theirs_minor, found.theirs_currency],
            "account": made.account,
            "counter_account": made.counter_account,
            "amount_minor": made.amount_minor,
            "currency": made.currency,
            "reason": made.reason,
        },
        barred=frozenset({made.created_by}),
    )
