"""What accepting a difference with the bank does to the payment it is about, before the difference is posted."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.runtime import Runtime
from payouts import outcomes
from payouts.models import Batch, BatchItem
from payouts.states import ItemState
from reports.matching import DiscrepancyClass, Leg
from reports.models import BankLine, Discrepancy

_REFUSED = "the payment is not on its way, or another line of the bank has paid it"
_NOT_LEFT = "no statement has shown the payment leave: reconcile with that one first"


def settle(runtime: Runtime, session: Session, found: Discrepancy) -> str | None:
    """Settle, or take back, the payment that the bank's line is; return why that cannot be, None when it is done.

    A debit of another amount than ours pays the payout whole: what the bank took more or less is the difference. So a
    credit of another amount gives it back whole. A line without a payment of ours settles nothing.
    """
    if found.leg != Leg.PAYOUT or found.payout_id is None or found.line_id is None:
        return None
    line = session.get_one(BankLine, found.line_id)
    item = _item(session, found, line)
    if item is None:
        return _REFUSED
    if found.klass != DiscrepancyClass.RETURNED_PAYMENT:
        outcome = outcomes.settle(
            runtime, session, item, bank_line_id=line.id, bank_account=line.account, settled_on=line.booked_on
        )
        return _REFUSED if outcome == "refused" else None
    if item.state != ItemState.SETTLED:
        return _NOT_LEFT
    is_back = outcomes.take_back(
        runtime,
        session,
        item,
        reason=f"came back by {line.id}, with another amount",
        returned_on=line.booked_on,
        bank_account=line.account,
    )
    return None if is_back else _REFUSED


def _item(session: Session, found: Discrepancy, line: BankLine) -> BatchItem | None:
    """Return the payment: of a payout that was sent more than once the one that the line names, else the last."""
    statement = (
        sa.select(BatchItem)
        .join(Batch, Batch.id == BatchItem.batch_id)
        .where(BatchItem.payout_id == found.payout_id, Batch.released_at.is_not(None))
        .order_by(
            sa.case((BatchItem.end_to_end_id == sa.literal(line.end_to_end_id or ""), 0), else_=1),
            Batch.released_at.desc(),
        )
        .limit(1)
    )
    return session.scalar(statement)
