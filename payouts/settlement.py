"""Settlement: what people decided becomes the payout's state, and what the bank shows ends it."""

from datetime import date
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import requests
from approvals.models import ApprovalRequest
from core import audit
from core.actors import system
from core.audit import Act
from core.database import claim as claimed
from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from partners.models import Affiliate
from payouts import content
from payouts.content import Claim
from payouts.models import Accrual, Batch, BatchItem, Payout
from payouts.states import BatchState, ItemState, PayoutState
from postback.models import Conversion

ACTOR = system("stage:settlement")
_LOOKED_AT_MAX = 500
Settled = Literal["settled", "already", "refused"]


def take_finished(runtime: Runtime, session: Session) -> bool:
    """Act on one finished approval request of a payout; say whether there was one.

    Approved and still exactly what was approved: the payout may be paid. Approved and changed since: the approval is
    void and a new request opens. Rejected: the payout ends and its accruals are free again.
    """
    finished = requests.finished(session, content.KIND, 1)
    if not finished:
        return False
    request = finished[0]
    now = runtime.clock()
    requests.mark_taken(request, now)
    payout = _locked(session, request.subject_id)
    # Anything else is the outcome of an earlier request: the payout has moved on.
    if payout.state != PayoutState.PENDING or payout.approval_id != request.id:
        return True
    if request.state == "rejected":
        _move(runtime, session, payout, PayoutState.REJECTED, reason=f"rejected in {request.id}")
        _free(session, payout)
        return True
    present = content.present(session, [payout])[payout.id]
    if present.is_payable and present.content_hash == request.content_hash:
        _move(runtime, session, payout, PayoutState.APPROVED, reason=f"approved in {request.id}")
    else:
        _restart(runtime, session, payout, request, present)
    return True


def restart_changed(runtime: Runtime, session: Session) -> bool:
    """Ask anew about one payout that is no longer what is, or was, approved; say whether there was one.

    Its account was changed, its affiliate suspended, or one of its conversions put on hold, after it was asked about
    and before it went into a batch.
    """
    for payout in session.scalars(claimed(_perhaps_changed().limit(_LOOKED_AT_MAX))):
        present = content.present(session, [payout])[payout.id]
        if present.is_payable and present.content_hash == payout.content_hash:
            continue
        request = session.get_one(ApprovalRequest, payout.approval_id)
        _restart(runtime, session, payout, request, present)
        return True
    return False


def settle(
    runtime: Runtime, session: Session, item: BatchItem, *, bank_line_id: str, bank_account: str, settled_on: date
) -> Settled:
    """Mark a sent payout as paid by the line `bank_line_id` of the account `bank_account` (an IBAN), and post it.

    `already`: this very line has settled it before. `refused`: it has not been sent, or another line paid it.
    """
    # The batch first: of the last two items settled at once, the second must see the first.
    batch = session.get_one(Batch, item.batch_id, with_for_update=True, populate_existing=True)
    session.refresh(item, with_for_update=True)
    if item.state == ItemState.SETTLED and item.bank_line_id == bank_line_id:
        return "already"
    payout = _locked(session, item.payout_id)
    if item.state != ItemState.LIVE or payout.state != PayoutState.SENT:
        return "refused"
    item.state, item.settled_on, item.bank_line_id = ItemState.SETTLED, settled_on, bank_line_id
    _move(runtime, session, payout, PayoutState.SETTLED, reason=f"paid by {bank_line_id}")
    session.flush()
    if not _live_items(session, batch):
        batch.state = BatchState.SETTLED
        batch.version += 1
    entry = posting.settlement(
        end_to_end_id=item.end_to_end_id,
        payout_id=payout.id,
        bank_account=bank_account,
        money=Money(item.amount_minor, batch.currency),
        settled_on=settled_on,
    )
    journal.post(runtime, session, [entry], today=runtime.clock().date())
    return "settled"


def _perhaps_changed() -> sa.Select[Payout]:
    """Return the query of payouts before their batch whose account, affiliate or conversions may have changed since.

    Of a conversion that was taken back both accruals may stand in one payout: only the content tells.
    """
    affiliate = (
        sa.select(Affiliate.id)
        .where(
            Affiliate.id == Payout.affiliate_id,
            sa.or_(
                Affiliate.payee_name.is_distinct_from(Payout.payee_name),
                Affiliate.payee_iban.is_distinct_from(Payout.payee_iban),
                Affiliate.payee_bic.is_distinct_from(Payout.payee_bic),
                Affiliate.status == "suspended",
            ),
        )
        .exists()
    )
    conversion = (
        sa.select(Accrual.id)
        .join(Conversion, Conversion.id == Accrual.conversion_id)
        .where(
            Accrual.payout_id == Payout.id,
            sa.or_(Conversion.state.not_in(content.COUNTING), Conversion.hold_reason.is_not(None)),
        )
        .exists()
    )
    return (
        sa.select(Payout)
        .where(Payout.state.in_([PayoutState.PENDING, PayoutState.APPROVED]), sa.or_(affiliate, conversion))
        .order_by(Payout.id)
    )


def _restart(runtime: Runtime, session: Session, payout: Payout, request: ApprovalRequest, present: Claim) -> None:
    requests.void(runtime, session, request, "what was approved has changed since", actor=ACTOR)
    if not present.is_payable:
        _move(runtime, session, payout, PayoutState.CANCELLED, reason="nothing of it can be paid any more")
        _free(session, payout)
        return
    _free(session, payout, but={accrual.id for accrual in present.accruals})
    content.freeze(payout, present)
    now = runtime.clock()
    subject = content.subject(session, payout, present, now=now)
    fresh = requests.open_request(runtime, session, subject, created_by=payout.created_by, previous_id=request.id)
    payout.approval_id = fresh.id
    _move(runtime, session, payout, PayoutState.PENDING, reason=f"changed since {request.id}: asked anew")


def _move(runtime: Runtime, session: Session, payout: Payout, state: PayoutState, *, reason: str) -> None:
    before = payout.state
    payout.state = state
    payout.version += 1
    act = Act(
        ACTOR, str(state), content.KIND, payout.id, runtime.clock(), {"state": before}, {"state": str(state)}, reason
    )
    audit.record(session, act)


def _free(session: Session, payout: Payout, *, but: set[str] | None = None) -> None:
    """Take the accruals of `payout` out of it, except those of `but`: the next bundling finds them."""
    session.flush()
    ids = session.scalars(sa.select(Accrual.id).where(Accrual.payout_id == payout.id)).all()
    freed = [{"id": accrual_id, "payout_id": None} for accrual_id in ids if accrual_id not in (but or set())]
    if freed:
        session.execute(sa.update(Accrual), freed)


def _live_items(session: Session, batch: Batch) -> int:
    statement = sa.select(sa.func.count()).where(BatchItem.batch_id == batch.id, BatchItem.state == ItemState.LIVE)
    return session.scalar(statement) or 0


def _locked(session: Session, payout_id: str) -> Payout:
    return session.get_one(Payout, payout_id, with_for_update=True, populate_existing=True)
