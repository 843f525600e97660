"""Payments that came back: a credit on our account that names one of our own end-to-end ids."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.runtime import Runtime
from payouts import outcomes
from payouts.models import Batch, BatchItem
from reports.models import BankLine


def take_back(runtime: Runtime, session: Session, first: date, last: date) -> int:
    """Reopen every payout whose payment came back whole between two days; return how many did.

    A bank gives the id back only on a return, and only the whole amount: one less a fee is a difference for a person.
    Called after the debits are settled, so that the money is known to have left first.
    """
    found = session.execute(
        sa.select(BatchItem, BankLine)
        .join(Batch, Batch.id == BatchItem.batch_id)
        .join(BankLine, BankLine.end_to_end_id == BatchItem.end_to_end_id)
        .where(
            BatchItem.state == "settled",
            BankLine.booked_on.between(first, last),
            BankLine.amount_minor == BatchItem.amount_minor,
            BankLine.currency == Batch.currency,
        )
        .order_by(BatchItem.payout_id, BankLine.id)
    ).all()
    return sum(
        outcomes.take_back(
            runtime, session, item, reason=f"came back by {line.id}", returned_on=line.booked_on,
            bank_account=line.account,
        )
        for item, line in found
    )  # fmt: skip
