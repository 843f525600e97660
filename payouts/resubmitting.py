"""A rejected payout is asked about again: the same accruals where they are still free, a new request."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import requests
from approvals.models import ApprovalRequest
from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict
from core.rows import locked
from core.runtime import Runtime
from partners.models import Affiliate
from payouts import content
from payouts.content import Claim
from payouts.models import Accrual, Payout
from payouts.states import PayoutState

_IDS_A_STATEMENT = 500


def resubmit(runtime: Runtime, session: Session, payout_id: str, *, version: int, reason: str, actor: Actor) -> Payout:
    """Ask anew about a rejected payout, as it is now: of its accruals those that stand in no other payout since.

    Who resubmits may not decide the new request. Raise Conflict when it was not rejected, has moved on from `version`,
    or nothing of it is left to pay.
    """
    payout = locked(session, Payout, payout_id, version=version)
    if payout.state != PayoutState.REJECTED or payout.approval_id is None:
        message = f"{payout_id} is {payout.state}: only a rejected payout is resubmitted"
        raise Conflict(message, slug="not-rejected")
    # As in bundling: of two that want the same accruals the second finds them taken.
    affiliate = session.get_one(Affiliate, payout.affiliate_id, with_for_update=True, populate_existing=True)
    before = session.get_one(ApprovalRequest, payout.approval_id)
    claim = Claim(affiliate, _free(session, before.content.get("accrual_ids", []), affiliate.currency))
    if not claim.is_payable:
        message = f"nothing of {payout_id} is left to pay: its accruals stand in other payouts, or count no more"
        raise Conflict(message, slug="nothing-to-pay")
    session.execute(
        sa.update(Accrual),
        [{"id": accrual.id, "payout_id": payout.id} for accrual in claim.accruals],
    )
    content.freeze(payout, claim)
    payout.state = PayoutState.PENDING
    payout.version += 1
    now = runtime.clock()
    subject = content.subject(session, payout, claim, now=now)
    fresh = requests.open_request(runtime, session, subject, created_by=actor.id, previous_id=before.id)
    payout.approval_id = fresh.id
    old, new = {"state": PayoutState.REJECTED.value}, {"state": payout.state.value, "money": str(claim.money)}
    audit.record(session, Act(actor, "resubmitted", content.KIND, payout.id, now, old, new, reason))
    return payout


def _free(session: Session, ids: Sequence[str], currency: str) -> list[Accrual]:
    return [
        accrual
        for start in range(0, len(ids), _IDS_A_STATEMENT)
        for accrual in session.scalars(
            content.payable()
            .where(
                Accrual.id.in_(ids[start : start + _IDS_A_STATEMENT]),
                Accrual.payout_id.is_(None),
                Accrual.currency == currency,
            )
            .order_by(Accrual.id)
        )
    ]
