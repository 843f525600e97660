"""What we owe one affiliate: its balance by currency, and its account as a statement that adds up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import csv_text, rows
from core.database import streamed
from core.errors import Fault, Invalid
from core.http.wire import PageQuery, money_dict
from core.money import Money, to_text
from ledger import periods
from ledger.models import JournalEntry, JournalLine
from ledger.posting import PAYABLE
from partners.models import Affiliate
from payouts import content
from payouts.models import Accrual, Payout
from payouts.states import PayoutState
from postback.models import Conversion

CSV_HEADER = ("date", "kind", "description", "reference", "amount", "balance", "currency")


@dataclass(frozen=True)
class Balance:
    """One currency's amounts in minor units: accrued is held + payable + in_payout + paid, exactly.

    Held ones are not payable yet, or their conversion waits for somebody. What is payable may be less than nothing:
    then it is carried, and the next accruals make up for it first.
    """

    currency: str
    accrued: int
    held: int
    payable: int
    in_payout: int
    paid: int

    def shown(self) -> Mapping[str, Any]:
        """Return the balance as the wire shows it."""
        amounts = ("accrued", "held", "payable", "in_payout", "paid")
        shown = {name: money_dict(Money(getattr(self, name), self.currency)) for name in amounts}
        carried = money_dict(Money(min(self.payable, 0), self.currency))
        return {"currency": self.currency, **shown, "negative_carried": carried}


@dataclass(frozen=True)
class StatementQuery(PageQuery):
    """One affiliate's account in one currency from the first to the last day of the months asked for."""

    currency: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Period:
    """What a statement is about; the days are both part of it, and a missing one is no bound."""

    affiliate: Affiliate
    currency: str
    first: date | None
    last: date | None


def balances(session: Session, affiliate_id: str, *, today: date) -> list[Balance]:
    """Return the affiliate's balances, its own currency first and always there; raise NotFound when there is none."""
    affiliate = rows.existing(session, Affiliate, affiliate_id)
    is_held = sa.or_(
        Accrual.payable_on > today,
        Conversion.hold_reason.is_not(None),
        Conversion.state.not_in(content.COUNTING),
    )
    place = sa.case(
        (Payout.state == PayoutState.SETTLED, "paid"),
        (Accrual.payout_id.is_not(None), "in_payout"),
        (is_held, "held"),
        else_="payable",
    ).label("place")
    placed = (
        sa.select(Accrual.currency, place, Accrual.amount_minor)
        .join(Conversion, Conversion.id == Accrual.conversion_id)
        .outerjoin(Payout, Payout.id == Accrual.payout_id)
        .where(Accrual.affiliate_id == affiliate_id)
        .subquery()
    )
    total = sa.cast(sa.func.sum(placed.c.amount_minor), sa.BigInteger)
    found: dict[str, dict[str, int]] = {affiliate.currency: {}}
    grouped = sa.select(placed.c.currency, placed.c.place, total).group_by(placed.c.currency, placed.c.place)
    for currency, name, minor in session.execute(grouped):
        found.setdefault(currency, {})[name] = minor
    others = sorted(found.keys() - {affiliate.currency})
    return [_balance(currency, found[currency]) for currency in (affiliate.currency, *others)]


def period_of(session: Session, affiliate_id: str, query: StatementQuery) -> Period:
    """Return what a statement is about; raise NotFound, and Invalid when the months stand the wrong way round."""
    affiliate = rows.existing(session, Affiliate, affiliate_id)
    if query.since and query.until and query.since > query.until:
        raise Invalid.of(Fault("until", "is a month before since"))
    first = periods.bounds(query.since)[0] if query.since else None
    last = periods.bounds(query.until)[1] if query.until else None
    return Period(affiliate, query.currency or affiliate.currency, first, last)


def statement(session: Session, period: Period, *, limit: int, after: str | None) -> Mapping[str, Any]:
    """Return a page of the account: opening, lines with the balance after each, closing.

    The lines are the journal's own about this affiliate, oldest first, so the closing balance is what the books owe.
    """
    opening = _sum(session, period, _before(period))
    before_page = (
        opening if after is None else opening + _sum(session, period, sa.and_(*_within(period), _up_to(after)))
    )
    wanted = _lines(period)
    if after is not None:
        wanted = wanted.where(~_up_to(after))
    found = session.execute(wanted.limit(limit + 1)).all()
    shown = list(_shown(found[:limit], before_page, period.currency))
    closing = opening + _sum(session, period, sa.and_(*_within(period)))
    return {
        "affiliate_id": period.affiliate.id,
        "currency": period.currency,
        "since": period.first,
        "until": period.last,
        "opening": money_dict(Money(opening, period.currency)),
        "closing": money_dict(Money(closing, period.currency)),
        "items": shown,
        "next": _cursor(found[limit - 1]) if len(found) > limit else None,
    }


def comma_separated(session: Session, period: Period) -> Iterator[str]:
    """Yield the whole statement as CSV, its opening first and its closing last."""
    currency = period.currency
    balance = _sum(session, period, _before(period))
    yield csv_text.row(CSV_HEADER)
    yield csv_text.row([str(period.first or ""), "opening", "", "", "", to_text(balance, currency), currency])
    for row in streamed(session, _lines(period)):
        balance += row.owed
        yield csv_text.row(
            [str(row.posted_on), row.kind, row.description, row.source_id,
             to_text(row.owed, currency), to_text(balance, currency), currency]
        )  # fmt: skip
    yield csv_text.row([str(period.last or ""), "closing", "", "", "", to_text(balance, currency), currency])


def _balance(currency: str, amounts: Mapping[str, int]) -> Balance:
    names = ("held", "payable", "in_payout", "paid")
    return Balance(currency, sum(amounts.values()), *(amounts.get(name, 0) for name in names))


def _lines(period: Period) -> sa.Select[Any]:
    # A credit is negative in the journal, and what we owe.
    owed = sa.cast(-sa.func.sum(JournalLine.amount_minor), sa.BigInteger).label("owed")
    columns = (
        JournalEntry.id,
        JournalEntry.posted_on,
        JournalEntry.kind,
        JournalEntry.description,
        JournalEntry.source_id,
    )
    return (
        _about(sa.select(*columns, owed), period)
        .where(*_within(period))
        .group_by(*columns)
        .order_by(JournalEntry.posted_on, JournalEntry.id)
    )


def _sum(session: Session, period: Period, condition: sa.ColumnElement[bool]) -> int:
    total = sa.cast(-sa.func.sum(JournalLine.amount_minor), sa.BigInteger)
    return session.scalar(_about(sa.select(total), period).where(condition)) or 0


def _about(statement: Any, period: Period) -> sa.Select[Any]:
    about: sa.Select[Any] = (
        statement.select_from(JournalLine)
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(
            JournalLine.account == PAYABLE,
            JournalLine.affiliate_id == period.affiliate.id,
            JournalLine.currency == period.currency,
        )
    )
    return about


def _before(period: Period) -> sa.ColumnElement[bool]:
    return sa.false() if period.first is None else JournalEntry.posted_on < period.first


def _within(period: Period) -> list[sa.ColumnElement[bool]]:
    bounds = [JournalEntry.posted_on >= period.first] if period.first else []
    bounds += [JournalEntry.posted_on <= period.last] if period.last else []
    return [sa.true(), *bounds]


def _up_to(cursor: str) -> sa.ColumnElement[bool]:
    """Return the condition of the lines up to the one that a cursor names, which is `YYYY-MM-DD` and an entry's id."""
    day, _, entry_id = cursor.partition("_")
    try:
        posted_on = date.fromisoformat(day)
    except ValueError:
        raise Invalid.of(Fault("after", "is no cursor of this list")) from None
    return sa.or_(
        JournalEntry.posted_on < posted_on,
        sa.and_(JournalEntry.posted_on == posted_on, JournalEntry.id <= entry_id),
    )


def _cursor(row: sa.Row[Any]) -> str:
    return f"{row.posted_on}_{row.id}"


def _shown(found: Any, balance: int, currency: str) -> Iterator[Mapping[str, Any]]:
    for row in found:
        balance += row.owed
        yield {
            "on": row.posted_on,
            "kind": row.kind,
            "description": row.description,
            "reference": row.source_id,
            "money": money_dict(Money(row.owed, currency)),
            "balance": money_dict(Money(balance, currency)),
        }
