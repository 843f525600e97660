"""Recategorising: a person moves an accrual to another category; what was posted stays, and a correction follows."""

from dataclasses import asdict, dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals.models import ApprovalRequest
from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.rows import existing, locked
from core.runtime import Runtime
from ledger import journal, periods, posting
from ledger.posting import Posting
from partners.models import Affiliate
from payouts import categories, settlement
from payouts.categories import Category
from payouts.models import Accrual, Payout, Recategorisation
from payouts.states import PayoutState
from postback.models import Conversion

# In between the payout is on its way: what was approved of it must not change any more.
_CHANGEABLE = (PayoutState.PENDING, PayoutState.APPROVED, PayoutState.SETTLED)
_ASKED_ABOUT = (PayoutState.PENDING, PayoutState.APPROVED)


@dataclass(frozen=True)
class NewCategory:
    """Where an accrual is to go and why, by who saw it at `version`."""

    category: Category
    reason: str
    version: int


def recategorise(runtime: Runtime, session: Session, accrual_id: str, wanted: NewCategory, *, actor: Actor) -> Accrual:
    """Move an accrual to another category and its expense to that one's account, in its month or, closed, in today's.

    A request that is open or approved for its payout is voided and opens anew: its category is part of what is
    approved. Raise Invalid for a faulty category, Conflict for one it has already, when the accrual has moved on from
    the version, and while its payout is on its way.
    """
    found = list(categories.category_faults(asdict(wanted.category)))
    if found:
        raise Invalid.of(*found)
    accrual, payout, request = _held(session, accrual_id, wanted.version)
    before = Category.of(accrual)
    if before == wanted.category:
        raise Invalid.of(Fault("category", f"is the one that {accrual_id} has"))
    now = runtime.clock()
    act = Recategorisation(
        id=runtime.new_id("rct"),
        accrual_id=accrual_id,
        before=before.shown,
        after=wanted.category.shown,
        reason=wanted.reason,
        created_at=now,
        created_by=actor.id,
    )
    session.add(act)
    for name, value in wanted.category.columns.items():
        setattr(accrual, name, value)
    accrual.categorised_by = actor.id
    accrual.version += 1
    session.flush()
    journal.post(runtime, session, [entry_of(act, accrual)], today=now.date())
    audit.record(session, Act(actor, "recategorised", "accrual", accrual_id, now, act.before, act.after, wanted.reason))
    if payout is not None and request is not None and payout.state in _ASKED_ABOUT:
        settlement.ask_anew(
            runtime, session, payout, reason=f"{accrual_id} moved to {wanted.category.code}", actor=actor
        )
    return accrual


def _held(session: Session, accrual_id: str, version: int) -> tuple[Accrual, Payout | None, ApprovalRequest | None]:
    """Return an accrual, its payout and the request about it, all locked; raise Conflict when it cannot be changed.

    In the order in which the stages take them: bundling holds the affiliate, adjusting the conversion (it repeats the
    category), settlement a request and then its payout.
    """
    seen = existing(session, Accrual, accrual_id)
    session.execute(sa.select(Affiliate.id).where(Affiliate.id == seen.affiliate_id).with_for_update())
    session.execute(sa.select(Conversion.id).where(Conversion.id == seen.conversion_id).with_for_update())
    session.refresh(seen)
    payout = request = None
    if seen.payout_id is not None:
        approval_id = session.scalar(sa.select(Payout.approval_id).where(Payout.id == seen.payout_id))
        request = session.get(ApprovalRequest, approval_id, with_for_update=True, populate_existing=True)
        payout = locked(session, Payout, seen.payout_id)
        if payout.approval_id != approval_id:
            message = f"{payout.id} has changed at this moment: look again"
            raise Conflict(message, slug="version-moved-on")
        if payout.state not in _CHANGEABLE:
            message = (
                f"{accrual_id} is part of {payout.id}, which is {payout.state}: cancel its batch or wait for its end"
            )
            raise Conflict(message, slug="payout-on-its-way")
        if payout.state in _ASKED_ABOUT and (request is None or request.state not in {"open", "approved"}):
            message = f"{payout.id} was decided on at this moment: look again when its state says so"
            raise Conflict(message, slug="payout-on-its-way")
    accrual = locked(session, Accrual, accrual_id, version=version)
    if accrual.payout_id != seen.payout_id if payout is None else accrual.payout_id != payout.id:
        message = f"{accrual_id} has come into another payout at this moment: look again"
        raise Conflict(message, slug="version-moved-on")
    return accrual, payout, request


def entry_of(act: Recategorisation, accrual: Accrual) -> Posting:
    """Return what the journal says of the act."""
    return posting.recategorised(
        recategorisation_id=act.id,
        accrual_id=accrual.id,
        money=Money(accrual.amount_minor, accrual.currency),
        from_account=act.before["account"],
        to_account=act.after["account"],
        occurred_on=_booked_on(accrual, act.created_at.date()),
    )


def _booked_on(accrual: Accrual, today: date) -> date:
    """Return a day of the month that the accrual is booked in, its own one where that is in it."""
    if periods.period_of(accrual.occurred_on) == accrual.period:
        return accrual.occurred_on
    return min(periods.bounds(accrual.period)[1], today)
