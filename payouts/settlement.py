"""Settlement: what people decided becomes the payout's state, and what nobody answered is noted."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import requests
from approvals.models import ApprovalRequest
from core.actors import Actor
from core.database import claim as claimed
from core.errors import Conflict
from core.runtime import Runtime
from partners.models import Affiliate
from payouts import content, moving, outcomes
from payouts.bundling import papers_of
from payouts.content import Claim
from payouts.gates import papers_missing
from payouts.models import Accrual, Batch, BatchItem, Payout
from payouts.outcomes import ACTOR
from payouts.outcomes import settle as settle
from payouts.states import ItemState, PayoutState
from postback.models import Conversion

# A bank answers within days, with a status report or on its statement.
UNANSWERED_AFTER = timedelta(days=7)
_LOOKED_AT_MAX = 500


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
    payout = moving.locked(session, request.subject_id)
    # Anything else is the outcome of an earlier request: the payout has moved on.
    if payout.state != PayoutState.PENDING or payout.approval_id != request.id:
        return True
    if request.state == "rejected":
        reason = f"rejected in {request.id}"
        moving.end(runtime, session, payout, PayoutState.REJECTED, reason=reason, actor=ACTOR)
        return True
    present = content.present(session, [payout])[payout.id]
    if present.is_payable and present.content_hash == request.content_hash:
        reason = f"approved in {request.id}"
        moving.move(runtime, session, payout, PayoutState.APPROVED, reason=reason, actor=ACTOR)
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


def open_drafts(runtime: Runtime, session: Session) -> bool:
    """Ask about one draft whose affiliate's papers are there by now; say whether there was one."""
    now = runtime.clock()
    waiting = session.execute(
        sa.select(Payout.id, Affiliate)
        .join(Affiliate, Affiliate.id == Payout.affiliate_id)
        .where(Payout.state == PayoutState.DRAFT)
        .order_by(Payout.id)
    )
    free = (
        payout_id for payout_id, affiliate in waiting if papers_missing(papers_of(affiliate), today=now.date()) is None
    )
    payout_id = next(free, None)
    if payout_id is None:
        return False
    payout = moving.locked(session, payout_id)
    if payout.state == PayoutState.DRAFT:
        _ask(runtime, session, payout, content.present(session, [payout])[payout.id], reason="its papers are there")
    return True


def note_unanswered(runtime: Runtime, session: Session) -> bool:
    """Note one payment that was sent and has had no answer for UNANSWERED_AFTER; say whether there was one."""
    late = (
        sa.select(BatchItem)
        .join(Batch, Batch.id == BatchItem.batch_id)
        .join(Payout, Payout.id == BatchItem.payout_id)
        .where(
            Payout.state == PayoutState.SENT,
            BatchItem.state == ItemState.LIVE,
            Batch.released_at < runtime.clock() - UNANSWERED_AFTER,
        )
        .order_by(BatchItem.batch_id, BatchItem.payout_id)
        .limit(1)
    )
    item = session.scalar(late)
    if item is None:
        return False
    outcomes.lose(runtime, session, item, reason=f"no answer for {UNANSWERED_AFTER.days} days")
    return True


def ask_anew(runtime: Runtime, session: Session, payout: Payout, *, reason: str, actor: Actor) -> None:
    """Void what was decided about `payout` and ask again as it is now; end it when nothing of it can be paid."""
    if payout.approval_id is not None:
        requests.void(runtime, session, session.get_one(ApprovalRequest, payout.approval_id), reason, actor=actor)
    _ask(runtime, session, payout, content.present(session, [payout])[payout.id], reason=reason, actor=actor)


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
                sa.func.coalesce(Affiliate.payee_iban, "") != Payout.payee_iban,
                Affiliate.payee_kind != Payout.payee_kind,
                Affiliate.payee_account.is_distinct_from(Payout.payee_account),
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
    _ask(runtime, session, payout, present, reason=f"changed since {request.id}: asked anew")


def _ask(
    runtime: Runtime, session: Session, payout: Payout, present: Claim, *, reason: str, actor: Actor = ACTOR
) -> None:
    if not present.is_payable:
        if payout.state == PayoutState.RETURNED:
            message = f"{payout.id} cannot be paid now: look at its affiliate and its conversions"
            raise Conflict(message)
        message = "nothing of it can be paid any more"
        moving.end(runtime, session, payout, PayoutState.CANCELLED, reason=message, actor=actor)
        return
    moving.free(session, payout, but={accrual.id for accrual in present.accruals})
    content.freeze(payout, present)
    now = runtime.clock()
    subject = content.subject(session, payout, present, now=now)
    fresh = requests.open_request(
        runtime, session, subject, created_by=payout.created_by, previous_id=payout.approval_id
    )
    payout.approval_id = fresh.id
    moving.move(runtime, session, payout, PayoutState.PENDING, reason=reason, actor=actor)
