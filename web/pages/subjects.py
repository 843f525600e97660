"""What an approval request is about, as its page shows it: reads across the rooms that only web stands above."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.money import Money
from partners.models import Affiliate
from payouts.models import Accrual, Payout
from reports.models import Discrepancy

_IDS_A_STATEMENT = 5000


@dataclass(frozen=True)
class Share:
    """Some of what a payout is made of: how many accruals of one kind and category, and their sum."""

    count: int
    kind: str
    category: str
    money: Money


@dataclass(frozen=True)
class PayoutSubject:
    """A payout as the people who approve it see it."""

    affiliate: str
    period: str
    state: str
    shares: list[Share]
    discrepancies: int


def payout(session: Session, payout_id: str, accrual_ids: list[str]) -> PayoutSubject | None:
    """Return the payout, what `accrual_ids` come to and the open discrepancies that touch it; None when it is gone.

    The ids are those the request is bound to: a rejected payout's accruals are free and may stand in another by now.
    """
    row = session.execute(
        sa.select(Payout, Affiliate.name)
        .join(Affiliate, Affiliate.id == Payout.affiliate_id)
        .where(Payout.id == payout_id)
    ).one_or_none()
    if row is None:
        return None
    found, affiliate = row
    return PayoutSubject(
        affiliate=affiliate,
        period=found.period,
        state=found.state,
        shares=_shares(session, accrual_ids),
        discrepancies=_open_discrepancies(session, payout_id),
    )


def _shares(session: Session, accrual_ids: list[str]) -> list[Share]:
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    for start in range(0, len(accrual_ids), _IDS_A_STATEMENT):
        key = (Accrual.kind, Accrual.category_name, Accrual.currency)
        rows = session.execute(
            sa.select(*key, sa.func.count().label("number"), sa.func.sum(Accrual.amount_minor).label("total"))
            .where(Accrual.id.in_(accrual_ids[start : start + _IDS_A_STATEMENT]))
            .group_by(*key)
        )
        for row in rows:
            count, total = found.get((row.kind, row.category_name, row.currency), (0, 0))
            found[row.kind, row.category_name, row.currency] = (count + row.number, total + int(row.total))
    return [
        Share(count, kind, category, Money(total, currency))
        for (kind, category, currency), (count, total) in sorted(found.items())
    ]


def _open_discrepancies(session: Session, payout_id: str) -> int:
    conversions = sa.select(Accrual.conversion_id).where(Accrual.payout_id == payout_id)
    return session.scalars(
        sa.select(sa.func.count())
        .select_from(Discrepancy)
        .where(Discrepancy.state == "open", Discrepancy.conversion_id.in_(conversions))
    ).one()
