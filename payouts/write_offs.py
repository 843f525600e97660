"""Writing off: an affiliate owes us more than it will earn, and somebody gives it up, under approval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import requests
from approvals.routing import Subject
from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.rows import existing, locked
from core.runtime import Runtime
from partners.models import Affiliate
from payouts import additions
from payouts.categories import Category
from payouts.fx_rates import Lookup
from payouts.models import Accrual, WriteOff
from payouts.outcomes import ACTOR
from postback.models import Conversion

KIND = "write_off"
CATEGORY = Category("write-off", "Written off", "expense:write-off")


class WriteOffState(StrEnum):
    """Where a write-off stands; a lapsed one was approved when there was less left to write off."""

    PENDING = "pending"
    POSTED = "posted"
    REJECTED = "rejected"
    LAPSED = "lapsed"


@dataclass(frozen=True)
class NewWriteOff:
    """How much of the negative balance, and why."""

    money: Money
    reason: str


def ask(runtime: Runtime, session: Session, affiliate_id: str, new: NewWriteOff, *, actor: Actor) -> WriteOff:
    """Ask for approval of a write-off; nothing is posted before it is given, and never by who asked.

    Raise Invalid for an amount that is not owed to us, Conflict while another of this affiliate waits.
    """
    affiliate = locked(session, Affiliate, affiliate_id)
    owed_minor = sum(-minor for _, minor in _open(session, affiliate_id, new.money.currency))
    if not 0 < new.money.amount_minor <= owed_minor:
        owed = Money(max(owed_minor, 0), new.money.currency)
        raise Invalid.of(Fault("money", f"takes an amount over zero, up to the {owed} that {affiliate_id} owes us"))
    waiting = sa.select(WriteOff.id).where(
        WriteOff.affiliate_id == affiliate_id,
        WriteOff.currency == new.money.currency,
        WriteOff.state == WriteOffState.PENDING,
    )
    if other := session.scalar(waiting):
        message = f"{other} waits for its approval already"
        raise Conflict(message)
    now = runtime.clock()
    made = WriteOff(
        id=runtime.new_id("wof"),
        affiliate_id=affiliate_id,
        amount_minor=new.money.amount_minor,
        currency=new.money.currency,
        reason=new.reason,
        state=WriteOffState.PENDING,
        created_at=now,
        created_by=actor.id,
    )
    session.add(made)
    session.flush()
    subject = _subject(runtime, session, made, affiliate)
    made.approval_id = requests.open_request(runtime, session, subject, created_by=actor.id).id
    after = {"affiliate_id": affiliate_id, "money": str(new.money)}
    audit.record(session, Act(actor, "asked", KIND, made.id, now, after=after, reason=new.reason))
    return made


def take_finished(runtime: Runtime, session: Session) -> bool:
    """Act on one finished approval request of a write-off; say whether there was one."""
    finished = requests.finished(session, KIND, 1)
    if not finished:
        return False
    request, now = finished[0], runtime.clock()
    requests.mark_taken(request, now)
    made = existing(session, WriteOff, request.subject_id)
    # The affiliate first, as everybody who changes what it is owed.
    locked(session, Affiliate, made.affiliate_id)
    session.refresh(made, with_for_update=True)
    if made.state != WriteOffState.PENDING or made.approval_id != request.id:
        return True
    if request.state == "rejected":
        made.state = WriteOffState.REJECTED
    else:
        made.state = _posted(runtime, session, made)
    made.ended_at = now
    audit.record(session, Act(ACTOR, made.state, KIND, made.id, now, reason=f"{request.state} in {request.id}"))
    return True


def spread(owed: Sequence[tuple[str, int]], amount_minor: int) -> Iterator[tuple[str, int]]:
    """Yield how much of `amount_minor` each conversion takes, by what it is negative by, in the order they come."""
    for conversion_id, minor in owed:
        part = min(amount_minor, -minor)
        if part > 0:
            yield conversion_id, part
            amount_minor -= part


def _posted(runtime: Runtime, session: Session, made: WriteOff) -> WriteOffState:
    owed = _open(session, made.affiliate_id, made.currency)
    if sum(-minor for _, minor in owed) < made.amount_minor:
        return WriteOffState.LAPSED
    terms = {"kind": KIND, "write_off_id": made.id, "reason": made.reason}
    for conversion_id, minor in spread(owed, made.amount_minor):
        locked(session, Conversion, conversion_id)
        accrued = session.scalars(sa.select(Accrual).where(Accrual.conversion_id == conversion_id)).all()
        addition = additions.Addition(KIND, Money(minor, made.currency), CATEGORY, terms, made.reason)
        additions.add(runtime, session, accrued, addition, wait=timedelta(0), actor=ACTOR)
    return WriteOffState.POSTED


def _open(session: Session, affiliate_id: str, currency: str) -> list[tuple[str, int]]:
    """Return what each conversion comes to of the affiliate's accruals that stand in no payout, the newest first."""
    total = sa.cast(sa.func.sum(Accrual.amount_minor), sa.BigInteger)
    statement = (
        sa.select(Accrual.conversion_id, total)
        .where(Accrual.affiliate_id == affiliate_id, Accrual.currency == currency, Accrual.payout_id.is_(None))
        .group_by(Accrual.conversion_id)
        .order_by(Accrual.conversion_id.desc())
    )
    return [(conversion_id, minor) for conversion_id, minor in session.execute(statement)]


def _subject(runtime: Runtime, session: Session, made: WriteOff, affiliate: Affiliate) -> Subject:
    money = Money(made.amount_minor, made.currency)
    base_minor = Lookup(session, runtime.base_currency).estimated_minor(money, runtime.clock().date())
    amount = made.amount_minor if base_minor is None else base_minor
    return Subject(
        kind=KIND,
        id=made.id,
        money=money,
        title=f"{affiliate.name}: {money} written off"[:300],
        facts={
            "amount_base": amount,
            "amount_alone": amount,
            "currency": made.currency,
            "affiliate_id": affiliate.id,
            "affiliate.status": affiliate.status,
            "category": {CATEGORY.code},
        },
        content={
            "affiliate_id": affiliate.id,
            "amount_minor": made.amount_minor,
            "currency": made.currency,
            "reason": made.reason,
        },
        barred=frozenset({made.created_by}),
    )
