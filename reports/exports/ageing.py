"""How old is what we still owe, and what no pass has matched: 0-30, 31-60, 61-90 and more than 90 days."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from partners.affiliates import masked
from partners.models import Affiliate, Source
from payouts.models import Accrual, Payout
from payouts.states import ON_THE_WAY, PayoutState
from postback.models import Conversion
from reports.exports.filtering import Filters
from reports.exports.report import Report, amount, count, equal, ordered, summed, text
from reports.exports.tables import Row
from reports.match_models import Match
from reports.matching import Leg
from reports.models import BankLine, NetworkLine
from reports.network_leg import NOT_OURS

_BUCKETS = (
    amount("days_0_30", "0-30 days"),
    amount("days_31_60", "31-60 days"),
    amount("days_61_90", "61-90 days"),
    amount("days_over_90", "Over 90 days"),
    amount("total", "Total"),
)
_ENDS = (30, 60, 90)
_IS_CONFIRMED = Match.state == "confirmed"
# No longer owed in the books: it has left, or may have.
_LEFT = (PayoutState.SETTLED, *sorted(ON_THE_WAY))


def _unpaid(session: Session, filters: Filters) -> Iterator[Row]:
    is_owed = sa.func.coalesce(Payout.state, "").not_in(_LEFT)
    sums = (
        sa.select(
            Accrual.affiliate_id,
            Accrual.currency,
            sa.func.count().label("accruals"),
            *_aged(Accrual.occurred_on, Accrual.amount_minor, _day(filters)),
        )
        .outerjoin(Payout, Payout.id == Accrual.payout_id)
        .where(is_owed, *equal((Accrual.currency, filters.currency), (Accrual.affiliate_id, filters.affiliate_id)))
        .group_by(Accrual.affiliate_id, Accrual.currency)
        .subquery()
    )
    affiliate_id, *figures = sums.c
    statement = sa.select(affiliate_id, Affiliate.name, *figures).outerjoin(Affiliate, Affiliate.id == affiliate_id)
    yield from ordered([tuple(row) for row in session.execute(statement)])


def _unmatched(session: Session, filters: Filters) -> Iterator[Row]:
    found: list[Row] = [
        *_unmatched_conversions(session, filters),
        *_unmatched_network_lines(session, filters),
        *([] if filters.source_id else _unmatched_bank_lines(session, filters)),
    ]
    yield from ordered(found)


def _unmatched_conversions(session: Session, filters: Filters) -> Iterator[Row]:
    is_matched = sa.exists().where(Match.leg == Leg.NETWORK, Match.our_id == Conversion.id, _IS_CONFIRMED)
    until = datetime.combine(_day(filters), time(), UTC)
    statement = (
        sa.select(
            Conversion.source_id,
            Conversion.currency,
            sa.func.count().label("items"),
            *_aged(Conversion.occurred_at, sa.func.coalesce(Conversion.payout_minor, 0), until),
        )
        .where(
            ~is_matched,
            Conversion.state.not_in(NOT_OURS),
            *equal((Conversion.source_id, filters.source_id), (Conversion.currency, filters.currency)),
        )
        .group_by(Conversion.source_id, Conversion.currency)
    )
    yield from _of_sources(session, "our conversions", statement)


def _unmatched_network_lines(session: Session, filters: Filters) -> Iterator[Row]:
    is_matched = sa.exists().where(Match.leg == Leg.NETWORK, Match.their_id == NetworkLine.id, _IS_CONFIRMED)
    statement = (
        sa.select(
            NetworkLine.source_id,
            NetworkLine.currency,
            sa.func.count().label("items"),
            *_aged(NetworkLine.occurred_on, NetworkLine.amount_minor, _day(filters)),
        )
        .where(
            ~is_matched,
            *equal((NetworkLine.source_id, filters.source_id), (NetworkLine.currency, filters.currency)),
        )
        .group_by(NetworkLine.source_id, NetworkLine.currency)
    )
    yield from _of_sources(session, "network lines", statement)


def _unmatched_bank_lines(session: Session, filters: Filters) -> Iterator[Row]:
    is_matched = sa.exists().where(Match.leg != Leg.NETWORK, Match.their_id == BankLine.id, _IS_CONFIRMED)
    is_debit = BankLine.amount_minor < 0
    statement = (
        sa.select(
            BankLine.account,
            is_debit.label("is_debit"),
            BankLine.currency,
            sa.func.count().label("items"),
            *_aged(BankLine.booked_on, sa.func.abs(BankLine.amount_minor), _day(filters)),
        )
        .where(~is_matched, *equal((BankLine.currency, filters.currency)))
        .group_by(BankLine.account, is_debit, BankLine.currency)
    )
    for account, debit, *figures in session.execute(statement):
        yield ("bank debits" if debit else "bank credits", None, masked(account), *figures)


def _of_sources(session: Session, side: str, statement: sa.Select[*tuple[Any, ...]]) -> Iterator[Row]:
    names = {row.id: row.name for row in session.execute(sa.select(Source.id, Source.name))}
    for source_id, *figures in session.execute(statement):
        yield (side, source_id, names.get(source_id), *figures)


def _aged(column: Any, minor: Any, today: date | datetime) -> list[sa.Label[int]]:
    """Return the sums of `minor` by how long before `today` the column lies; what lies after it counts as new."""
    first, second, third = (column >= today - timedelta(days=days) for days in _ENDS)
    buckets = (first, sa.and_(sa.not_(first), second), sa.and_(sa.not_(second), third), sa.not_(third))
    sums = [summed(sa.case((where, minor), else_=0), each.name) for where, each in zip(buckets, _BUCKETS, strict=False)]
    return [*sums, summed(minor, "total")]


def _day(filters: Filters) -> date:
    if filters.as_of is None:
        message = "ages are counted to a day: as_of is filled in before a report is made"
        raise ValueError(message)
    return filters.as_of


REPORTS = (
    Report(
        "ageing-unpaid",
        "Ageing of what we owe",
        "What has not left in a payment, as it stands now, by the days from the conversion to as_of (today if left"
        " out). Its total is what the journal owes.",
        (
            text("affiliate_id", "Affiliate id"), text("affiliate", "Affiliate"), text("currency", "Currency"),
            count("accruals", "Accruals"), *_BUCKETS,
        ),
        _unpaid,
        takes=("as_of", "currency", "affiliate_id"),
    ),
    Report(
        "ageing-unmatched",
        "Ageing of what is not matched",
        "Our conversions, networks' lines and bank lines without a match, as it stands now, by the days to as_of (today"
        " if left out).",
        (
            text("side", "Side"), text("source_id", "Source id"), text("party", "Network or account"),
            text("currency", "Currency"), count("items", "Items"), *_BUCKETS,
        ),
        _unmatched,
        takes=("as_of", "currency", "source_id"),
    ),
)  # fmt: skip
