"""Bundling: an affiliate's payable accruals become one payout, and a question to those who approve."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import requests
from core import audit
from core.actors import Actor, ActorKind
from core.audit import Act
from core.errors import Conflict
from core.runtime import Runtime
from ledger import periods
from partners.models import Affiliate
from payouts import content
from payouts.content import Claim
from payouts.models import Accrual, Payout
from payouts.states import PayoutState
from postback.models import Conversion

STAGE = "stage:bundling"
# More than this makes a second payout: what people approve must stay readable, and a statement has its limits.
ACCRUALS_A_PAYOUT_MAX = 10_000
_IDS_A_STATEMENT = 500


def affiliates_with_payable(session: Session, *, period: str, today: date) -> Sequence[str]:
    """Return the ids of the affiliates that have something payable up to the end of `period`, in their order."""
    statement = (
        _payable_up_to(period, today)
        .join(Affiliate, Affiliate.id == Accrual.affiliate_id)
        .where(
            Affiliate.payee_iban.is_not(None),
            Affiliate.status != "suspended",
            Accrual.currency == Affiliate.currency,
        )
        .with_only_columns(Accrual.affiliate_id)
        .distinct()
        .order_by(Accrual.affiliate_id)
    )
    return session.scalars(statement).all()


def bundle(
    runtime: Runtime, session: Session, affiliate_id: str, *, period: str, asked_by: str | None = None
) -> Payout | None:
    """Bundle what is payable to one affiliate up to the end of `period`, and ask for its approval.

    Returns None when nothing, or less than its minimum, is payable: that carries forward. Amounts taken back count
    first, so that a debt never waits while money goes out.
    """
    # Held until the end: of two bundlings at once the second finds the accruals taken.
    affiliate = session.get_one(Affiliate, affiliate_id, with_for_update=True, populate_existing=True)
    now = runtime.clock()
    statement = (
        _payable_up_to(period, now.date())
        .where(Accrual.affiliate_id == affiliate_id, Accrual.currency == affiliate.currency)
        .order_by(Accrual.amount_minor, Accrual.id)
        .limit(ACCRUALS_A_PAYOUT_MAX)
    )
    claim = Claim(affiliate, session.scalars(statement).all())
    if not claim.is_payable or claim.money.amount_minor < affiliate.minimum_payout_minor:
        return None
    payout = Payout(
        id=runtime.new_id("pay"),
        affiliate_id=affiliate_id,
        currency=affiliate.currency,
        period=period,
        state=PayoutState.PENDING,
        created_at=now,
        created_by=asked_by or STAGE,
        version=1,
    )
    content.freeze(payout, claim)
    session.add(payout)
    session.flush()
    _take(session, claim, payout)
    request = requests.open_request(
        runtime, session, content.subject(session, payout, claim, now=now), created_by=payout.created_by
    )
    payout.approval_id = request.id
    audit.record(session, _act(payout, claim))
    return payout


def _payable_up_to(period: str, today: date) -> sa.Select[Accrual]:
    _first, last = periods.bounds(period)
    return content.payable().where(
        Accrual.payout_id.is_(None),
        Accrual.payable_on <= today,
        # A debt of a later month counts too: paid out first, the money would have to come back.
        sa.or_(Accrual.occurred_on <= last, Accrual.amount_minor < 0),
        # What is to be taken back is not accrued yet: the stage does that in a moment.
        Conversion.is_accrual_due.is_(False),
    )


def _take(session: Session, claim: Claim, payout: Payout) -> None:
    ids = [accrual.id for accrual in claim.accruals]
    for start in range(0, len(ids), _IDS_A_STATEMENT):
        chunk = ids[start : start + _IDS_A_STATEMENT]
        taken = session.execute(
            sa.update(Accrual)
            .where(Accrual.id.in_(chunk), Accrual.payout_id.is_(None))
            .values(payout_id=payout.id)
            .returning(Accrual.id)
            .execution_options(synchronize_session=False)
        ).all()
        if len(taken) != len(chunk):
            message = "another payout has taken some of these accruals"
            raise Conflict(message)


def _act(payout: Payout, claim: Claim) -> Act:
    after = {"money": str(claim.money), "accruals": len(claim.accruals), "content_hash": payout.content_hash}
    return Act(_actor(payout.created_by), "bundled", content.KIND, payout.id, payout.created_at, after=after)


def _actor(asked_by: str) -> Actor:
    """Return who asked for the bundling: a job knows the id alone."""
    kinds = {"stf_": ActorKind.STAFF, "tok_": ActorKind.TOKEN}
    return Actor(kinds.get(asked_by[:4], ActorKind.SYSTEM), asked_by)
