"""Reads of payouts: lists, and rows as the wire shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import rows
from core.http.paging import narrowed
from core.http.wire import money_dict
from core.money import Money
from partners.affiliates import masked, payee_shown
from payouts import realising
from payouts.categories import UNCATEGORISED, Category
from payouts.models import Accrual, Batch, BatchItem, Payout
from payouts.schemas import AccrualQuery, BatchQuery, PayoutQuery
from payouts.states import PayoutState
from postback import covering


def accruals(query: AccrualQuery) -> sa.Select[Accrual]:
    """Return the query of the accruals asked for."""
    wanted = (
        (Accrual.affiliate_id, query.affiliate_id),
        (Accrual.period, query.period),
        (Accrual.conversion_id, query.conversion_id),
        (Accrual.source_id, query.source_id),
        (Accrual.campaign_id, query.campaign_id),
        (Accrual.currency, query.currency),
        (Accrual.category_code, query.category),
    )
    statement = narrowed(sa.select(Accrual), wanted)
    if query.uncategorised:
        # As text: SQLite takes a partial index only for a condition that is written out.
        statement = statement.where(sa.text(f"accruals.category_code = '{UNCATEGORISED.code}'"))
    if query.state is not None:
        settled = sa.exists().where(Payout.id == Accrual.payout_id, Payout.state == PayoutState.SETTLED)
        statement = statement.where(settled if query.state == "paid" else ~settled)
    return statement


def payouts(query: PayoutQuery) -> sa.Select[Payout]:
    """Return the query of the payouts asked for."""
    wanted = (
        (Payout.state, query.state),
        (Payout.affiliate_id, query.affiliate_id),
        (Payout.period, query.period),
    )
    return narrowed(sa.select(Payout), wanted)


def accrual_shown(accrual: Accrual) -> Mapping[str, Any]:
    """Return an accrual as the wire shows it."""
    return {
        **_columns(accrual),
        "money": money_dict(Money(accrual.amount_minor, accrual.currency)),
        "covered_fields": sorted(covering.fields(accrual.covered_fields)),
        "base": (
            money_dict(Money(accrual.base_minor, accrual.base_currency))
            if accrual.base_minor is not None and accrual.base_currency is not None
            else None
        ),
        "fx_rate": None if accrual.fx_rate is None else f"{accrual.fx_rate.normalize():f}",
        "unrounded": f"{accrual.unrounded.normalize():f}",
        "category": Category.of(accrual),
    }


def payout_shown(payout: Payout) -> Mapping[str, Any]:
    """Return a payout as lists show it."""
    return {**_columns(payout), "money": money_dict(Money(payout.amount_minor, payout.currency))}


def payout_detail(session: Session, payout_id: str) -> Mapping[str, Any]:
    """Return a payout with what it is made of; raise NotFound when there is none."""
    payout = rows.existing(session, Payout, payout_id)
    accrual_ids = session.scalars(sa.select(Accrual.id).where(Accrual.payout_id == payout_id).order_by(Accrual.id))
    batch_ids = session.scalars(
        sa.select(BatchItem.batch_id).where(BatchItem.payout_id == payout_id).order_by(BatchItem.batch_id)
    )
    return {
        **payout_shown(payout),
        "payee": payee_shown(payout),
        "accrual_ids": list(accrual_ids),
        "batch_ids": list(batch_ids),
    }


def batches(query: BatchQuery) -> sa.Select[Batch]:
    """Return the query of the batches asked for, without their files, which have a door of their own."""
    wanted = ((Batch.state, query.state), (Batch.method, query.method), (Batch.currency, query.currency))
    return narrowed(sa.select(Batch), wanted).options(sa.orm.defer(Batch.file_content))


def batches_shown(session: Session, found: Sequence[Batch]) -> list[Mapping[str, Any]]:
    """Return batches as lists show them, with count and sum of their items."""
    totals = {
        batch_id: (count, int(total))
        for batch_id, count, total in session.execute(
            sa.select(BatchItem.batch_id, sa.func.count(), sa.func.sum(BatchItem.amount_minor))
            .where(BatchItem.batch_id.in_([batch.id for batch in found]))
            .group_by(BatchItem.batch_id)
        )
    }
    return [
        {
            # Without the file, which has a door of its own.
            **_columns(batch, but="file_content"),
            "count": totals[batch.id][0],
            "sum": money_dict(Money(totals[batch.id][1], batch.currency)),
            "debtor": {
                "name": batch.debtor_name,
                "iban": masked(batch.debtor_iban or None),
                "bic": batch.debtor_bic,
            },
        }
        for batch in found
    ]


def batch_detail(session: Session, batch: Batch) -> Mapping[str, Any]:
    """Return a batch with its items."""
    [shown] = batches_shown(session, [batch])
    items = [
        {
            **_columns(item),
            "money": money_dict(Money(item.amount_minor, batch.currency)),
            "exchange": realising.shown(item),
        }
        for item in batch.items
    ]
    return {**shown, "items": items}


def _columns(row: Accrual | Payout | Batch | BatchItem, *, but: str = "") -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns if column.name != but}
