"""What was accrued, by network, affiliate, category and campaign: a row a name and currency."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from partners.models import Affiliate, Campaign, Source
from payouts.models import Accrual, Payout
from payouts.states import PayoutState
from reports.exports.filtering import Filters
from reports.exports.report import Report, amount, count, equal, ordered, summed, text
from reports.exports.tables import Column, Row

_FIGURES = (
    text("currency", "Currency"),
    count("conversions", "Conversions"),
    count("accruals", "Accruals"),
    amount("accrued", "Accrued"),
    amount("taken_back", "Taken back"),
    amount("net", "Net"),
    amount("paid", "Paid"),
    amount("unpaid", "Unpaid"),
)
_TAKES = ("period", "currency", "source_id", "affiliate_id", "campaign_id")
_ABOUT = "Accrued - taken back = net = paid + unpaid; paid is what stands in payouts that the bank has confirmed."


def _rows(key: tuple[InstrumentedAttribute[Any], ...], named: Any, session: Session, filters: Filters) -> Iterator[Row]:
    minor = Accrual.amount_minor
    is_paid = sa.func.coalesce(Payout.state, "") == PayoutState.SETTLED
    sums = (
        sa.select(
            *key,
            Accrual.currency,
            sa.func.count(sa.distinct(Accrual.conversion_id)).label("conversions"),
            sa.func.count().label("accruals"),
            summed(sa.case((minor > 0, minor), else_=0), "accrued"),
            summed(sa.case((minor < 0, -minor), else_=0), "taken_back"),
            summed(minor, "net"),
            summed(sa.case((is_paid, minor), else_=0), "paid"),
            summed(sa.case((is_paid, 0), else_=minor), "unpaid"),
        )
        .outerjoin(Payout, Payout.id == Accrual.payout_id)
        .where(
            *equal(
                (Accrual.period, filters.period),
                (Accrual.currency, filters.currency),
                (Accrual.source_id, filters.source_id),
                (Accrual.affiliate_id, filters.affiliate_id),
                (Accrual.campaign_id, filters.campaign_id),
            )
        )
        .group_by(*key, Accrual.currency)
        .subquery()
    )
    if named is None:
        yield from ordered([tuple(row) for row in session.execute(sa.select(sums))])
        return
    # Names are fetched for the sums and not for every accrual.
    of_key, *figures = sums.c
    statement = sa.select(of_key, named.name, *figures).outerjoin(named, named.id == of_key)
    yield from ordered([tuple(row) for row in session.execute(statement)])


def _of(key: tuple[InstrumentedAttribute[Any], ...], named: Any) -> Callable[[Session, Filters], Iterator[Row]]:
    return partial(_rows, key, named)


def _report(name: str, noun: str, columns: tuple[Column, ...], rows: Callable[..., Iterator[Row]]) -> Report:
    return Report(name, f"By {noun}", f"What was accrued, by {noun}. {_ABOUT}", (*columns, *_FIGURES), rows, _TAKES)


REPORTS = (
    _report(
        "by-network",
        "network",
        (text("source_id", "Source id"), text("source", "Network")),
        _of((Accrual.source_id,), Source),
    ),
    _report(
        "by-affiliate",
        "affiliate",
        (text("affiliate_id", "Affiliate id"), text("affiliate", "Affiliate")),
        _of((Accrual.affiliate_id,), Affiliate),
    ),
    _report(
        "by-category",
        "expense category",
        (text("category_code", "Code"), text("category", "Category"), text("account", "Account")),
        _of((Accrual.category_code, Accrual.category_name, Accrual.category_account), None),
    ),
    _report(
        "by-campaign",
        "campaign",
        (text("campaign_id", "Campaign id"), text("campaign", "Campaign")),
        _of((Accrual.campaign_id,), Campaign),
    ),
)
