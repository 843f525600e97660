"""What an approval request is about, as its page shows it: reads across the rooms that only web stands above."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.money import Money
from partners.models import Affiliate
from payouts.models import Accrual, Payout
from reports.models import Discrepancy


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
    payee_name: str
    payee_iban: str
    period: str
    state: str
    shares: list[Share]
    discrepancies: int


def payout(session: Session, payout_id: str) -> PayoutSubject | None:
    """Return the payout with its payee, its make-up and the open discrepancies that touch it; None when it is gone."""
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
        payee_name=found.payee_name,
        payee_iban=found.payee_iban,
        period=found.period,
        state=found.state,
        shares=_shares(session, found),
        discrepancies=_open_discrepancies(session, payout_id),
    )


def _shares(session: Session, found: Payout) -> list[Share]:
    total = sa.cast(sa.func.sum(Accrual.amount_minor), sa.BigInteger)
    rows = session.execute(
        sa.select(sa.func.count(), Accrual.kind, Accrual.category_name, total)
        .where(Accrual.payout_id == found.id)
        .group_by(Accrual.kind, Accrual.category_name)
        .order_by(Accrual.kind, Accrual.category_name)
    )
    return [Share(count, kind, category, Money(minor, found.currency)) for count, kind, category, minor in rows]


def _open_discrepancies(session: Session, payout_id: str) -> int:
    conversions = sa.select(Accrual.conversion_id).where(Accrual.payout_id == payout_id)
    return session.scalars(
        sa.select(sa.func.count())
        .select_from(Discrepancy)
        .where(Discrepancy.state == "open", Discrepancy.conversion_id.in_(conversions))
    ).one()
