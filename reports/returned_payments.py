"""Payments that came back: a credit on our account that names one of our own end-to-end ids."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from core.runtime import Runtime
from payouts import outcomes
from payouts.models import Batch, BatchItem
from payouts.states import ItemState
from reports.matching import DiscrepancyClass, Found, Leg
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


def found(session: Session, first: date, last: date) -> Iterator[Found]:
    """Yield the credits between two days that name a payment of ours and give back another amount than was sent."""
    for row in streamed(session, in_part(first, last)):
        yield Found(
            Leg.PAYOUT,
            DiscrepancyClass.RETURNED_PAYMENT,
            payout_id=row.payout_id,
            line_id=row.id,
            ours_minor=row.amount_minor,
            ours_currency=row.currency,
            theirs_minor=row.credit_minor,
            theirs_currency=row.credit_currency,
        )


def in_part(first: date, last: date) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement for those credits with the payments that they name."""
    return (
        sa.select(
            BatchItem.payout_id,
            BatchItem.amount_minor,
            Batch.currency,
            BankLine.id,
            BankLine.amount_minor.label("credit_minor"),
            BankLine.currency.label("credit_currency"),
        )
        .join(Batch, Batch.id == BatchItem.batch_id)
        .join(BankLine, BankLine.end_to_end_id == BatchItem.end_to_end_id)
        .where(
            BatchItem.state.in_([ItemState.LIVE, ItemState.SETTLED, ItemState.RETURNED]),
            BankLine.booked_on.between(first, last),
            BankLine.amount_minor > 0,
            sa.or_(BankLine.amount_minor != BatchItem.amount_minor, BankLine.currency != Batch.currency),
        )
    )
