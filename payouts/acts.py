"""What people do to a payout that nothing else moves: try again, or give up."""

from sqlalchemy.orm import Session

from approvals import requests
from approvals.models import ApprovalRequest
from core import rows
from core.actors import Actor
from core.errors import Conflict
from core.runtime import Runtime
from payouts import content, moving, settlement
from payouts.models import Payout
from payouts.states import PayoutState

_CANCELLABLE = frozenset({PayoutState.DRAFT, PayoutState.PENDING, PayoutState.APPROVED, PayoutState.FAILED})


def retry(runtime: Runtime, session: Session, payout_id: str, *, version: int, reason: str, actor: Actor) -> Payout:
    """Let a failed or returned payout be paid again.

    A failed one is approved still, if it is what was approved; else, and when it came back, its approvers are asked
    anew. Raises Conflict for any other state, and when nothing of it can be paid now.
    """
    payout = rows.locked(session, Payout, payout_id, version=version)
    if payout.state not in {PayoutState.FAILED, PayoutState.RETURNED}:
        message = f"{payout_id} is {payout.state}: only a payout that failed or came back is tried again"
        raise Conflict(message, slug="no-such-move")
    present = content.present(session, [payout])[payout.id]
    if payout.state == PayoutState.FAILED and present.is_payable and present.content_hash == payout.content_hash:
        moving.move(runtime, session, payout, PayoutState.APPROVED, reason=reason, actor=actor)
    else:
        settlement.ask_anew(runtime, session, payout, reason=reason, actor=actor)
    return payout


def cancel(runtime: Runtime, session: Session, payout_id: str, *, version: int, reason: str, actor: Actor) -> Payout:
    """Give up a payout before it is sent: its accruals wait for the next bundling, its approval is void.

    One that was paid once and came back keeps its accruals and waits for a retry. Raises Conflict in any later state.
    """
    payout = rows.locked(session, Payout, payout_id, version=version)
    if payout.state not in _CANCELLABLE:
        message = f"{payout_id} is {payout.state}, and cannot be cancelled"
        raise Conflict(message, slug="no-such-move")
    if payout.approval_id is not None:
        requests.void(runtime, session, session.get_one(ApprovalRequest, payout.approval_id), reason, actor=actor)
    moving.end(runtime, session, payout, PayoutState.CANCELLED, reason=reason, actor=actor)
    return payout
