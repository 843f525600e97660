"""Realised differences of exchange: what a payout in another currency cost more or less than it was accrued at."""

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import claim
from core.http.wire import money_dict
from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from ledger.posting import Posting
from payouts import fx_rates
from payouts.exchange import Rate
from payouts.models import Accrual, Batch, BatchItem
from payouts.states import ItemState


def run_batch(runtime: Runtime, session: Session, limit: int) -> int:
    """Post the difference of at most `limit` settled payouts whose rates are known; return how many were done.

    On one side stands the sum of the payout's accruals at their frozen rates, on the other its amount at the rate of
    the day it was paid. A payout waits while one of its accruals has no base amount, or that day no rate yet.
    """
    lookup = fx_rates.Lookup(session, runtime.base_currency)
    entries: list[Posting] = []
    for currency, on in session.execute(_waiting(lookup.base, Batch.currency, BatchItem.settled_on).distinct()).all():
        rate = lookup.settled(currency, on)
        if rate is not None:
            entries += _realised(session, currency, on, rate, base=lookup.base, limit=limit - len(entries))
        if len(entries) >= limit:
            break
    journal.post(runtime, session, entries, today=runtime.clock().date())
    return len(entries)


def take_back(runtime: Runtime, session: Session, limit: int) -> int:
    """Take back the differences of at most `limit` payments that came back; return how many were taken back."""
    statement = sa.select(BatchItem).where(
        BatchItem.state == ItemState.RETURNED,
        BatchItem.base_settled_minor.is_not(None),
        BatchItem.fx_taken_back_on.is_(None),
    )
    today = runtime.clock().date()
    returned = session.scalars(claim(statement.order_by(BatchItem.end_to_end_id).limit(limit))).all()
    for item in returned:
        item.fx_taken_back_on = today
    journal.post(runtime, session, [taken_back_of(item) for item in returned], today=today)
    return len(returned)


def entry_of(item: BatchItem) -> Posting:
    """Return what the journal says of the difference of a settled item; nothing where there is none."""
    return posting.fx_difference(
        end_to_end_id=item.end_to_end_id,
        payout_id=item.payout_id,
        difference=difference(item),
        happened_on=item.settled_on or date.min,
    )


def taken_back_of(item: BatchItem) -> Posting:
    """Return what the journal says when its payment has come back."""
    return posting.fx_difference(
        end_to_end_id=item.end_to_end_id,
        payout_id=item.payout_id,
        difference=difference(item),
        happened_on=item.fx_taken_back_on or date.min,
        is_taken_back=True,
    )


def difference(item: BatchItem) -> Money:
    """Return what an item that has its base amounts cost more (positive) or less than it was accrued at."""
    if item.base_currency is None or item.base_settled_minor is None or item.base_accrued_minor is None:
        message = f"{item.end_to_end_id} has no base amounts"
        raise ValueError(message)
    return Money(item.base_settled_minor - item.base_accrued_minor, item.base_currency)


def shown(item: BatchItem) -> dict[str, Any] | None:
    """Return what an item came to in the base as the wire shows it, None where nothing is known or to be known."""
    if item.base_currency is None or item.base_settled_minor is None or item.base_accrued_minor is None:
        return None
    return {
        "accrued": money_dict(Money(item.base_accrued_minor, item.base_currency)),
        "settled": money_dict(Money(item.base_settled_minor, item.base_currency)),
        "difference": money_dict(difference(item)),
        "rate": None if item.fx_rate is None else f"{item.fx_rate.normalize():f}",
        "rate_date": item.fx_date,
        "rate_source": item.fx_source,
    }


def _waiting(base: str, *columns: Any) -> sa.Select[Any]:
    without = (
        sa.select(Accrual.id)
        .where(
            Accrual.payout_id == BatchItem.payout_id,
            sa.or_(Accrual.base_minor.is_(None), Accrual.base_currency != base),
        )
        .exists()
    )
    return (
        sa.select(*columns)
        .join_from(BatchItem, Batch, Batch.id == BatchItem.batch_id)
        .where(
            BatchItem.state == ItemState.SETTLED,
            BatchItem.base_settled_minor.is_(None),
            Batch.currency != base,
            ~without,
        )
    )


def _realised(session: Session, currency: str, on: date, rate: Rate, *, base: str, limit: int) -> list[Posting]:
    wanted = _waiting(base, BatchItem).where(Batch.currency == currency, BatchItem.settled_on == on)
    items = session.scalars(claim(wanted.order_by(BatchItem.end_to_end_id).limit(limit))).all()
    accrued = sa.select(Accrual.payout_id, sa.func.sum(Accrual.base_minor)).group_by(Accrual.payout_id)
    mine = accrued.where(Accrual.payout_id.in_([item.payout_id for item in items]))
    sums = {payout_id: int(total or 0) for payout_id, total in session.execute(mine)}
    entries = []
    for item in items:
        columns = fx_rates.columns(Money(item.amount_minor, currency), rate, base)
        if columns["base_minor"] is None:
            continue
        item.base_currency, item.base_settled_minor = base, columns["base_minor"]
        item.base_accrued_minor = sums[item.payout_id]
        item.fx_rate, item.fx_date, item.fx_source = columns["fx_rate"], columns["fx_date"], columns["fx_source"]
        entries.append(entry_of(item))
    return entries
