"""The month's report: what came in, what we owe, what was paid, what differs. Every figure stands in its currency."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import money
from core.csv_text import Cell
from core.http.wire import money_dict
from core.money import Money
from ledger import periods
from ledger.models import JournalEntry, JournalLine
from ledger.posting import PAYABLE, EntryKind
from partners.models import Source
from payouts.models import Accrual, Payout
from postback.models import Conversion
from reports.models import Discrepancy

Row = dict[str, Any]

CSV_HEADER = ("section", "name", "detail", "count", "amount", "currency")


def of_month(session: Session, period: str) -> dict[str, Any]:
    """Return the report of `period`: lists of rows, money in its wire form, ready to be written as JSON."""
    return {
        "period": period,
        "conversions": conversions(session, period),
        "accruals": accruals(session, period),
        "payouts": payouts(session, period),
        "journal": journal(session, period),
        "discrepancies": discrepancies(session, period),
        "roll_forward": roll_forward(session, period),
    }


def conversions(session: Session, period: str) -> list[Row]:
    """Count the month's conversions by source, state and hold, with the payout the postbacks told."""
    start, end = periods.moments(period)
    key = [Conversion.source_id, Source.name, Conversion.state, Conversion.hold_reason, Conversion.currency]
    statement = (
        sa.select(*key, sa.func.count().label("number"), _sum(Conversion.payout_minor))
        .join(Source, Source.id == Conversion.source_id)
        .where(Conversion.occurred_at >= start, Conversion.occurred_at < end)
        .group_by(*key)
    )
    return _sorted(
        {
            "source_id": row.source_id,
            "source": row.name,
            "state": row.state,
            "hold_reason": row.hold_reason,
            "count": row.number,
            "payout": _money(row.total, row.currency),
        }
        for row in session.execute(statement)
    )


def accruals(session: Session, period: str) -> list[Row]:
    """Sum the month's accruals by category and kind."""
    key = [Accrual.category_code, Accrual.category_name, Accrual.category_account, Accrual.kind, Accrual.currency]
    statement = (
        sa.select(*key, sa.func.count().label("number"), _sum(Accrual.amount_minor))
        .where(Accrual.period == period)
        .group_by(*key)
    )
    return _sorted(
        {
            "category_code": row.category_code,
            "category": row.category_name,
            "account": row.category_account,
            "kind": row.kind,
            "count": row.number,
            "money": _money(row.total, row.currency),
        }
        for row in session.execute(statement)
    )


def payouts(session: Session, period: str) -> list[Row]:
    """Sum the month's payouts by state."""
    statement = (
        sa.select(Payout.state, Payout.currency, sa.func.count().label("number"), _sum(Payout.amount_minor))
        .where(Payout.period == period)
        .group_by(Payout.state, Payout.currency)
    )
    return _sorted(
        {"state": row.state, "count": row.number, "money": _money(row.total, row.currency)}
        for row in session.execute(statement)
    )


def journal(session: Session, period: str) -> list[Row]:
    """Return each account's movement in the month and its balance at the month's end; a debit is positive."""
    movement = sa.case((JournalEntry.period == period, JournalLine.amount_minor), else_=0)
    statement = (
        sa.select(
            JournalLine.account,
            JournalLine.currency,
            sa.cast(sa.func.sum(movement), sa.BigInteger).label("movement"),
            _sum(JournalLine.amount_minor),
        )
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(JournalEntry.period <= period)
        .group_by(JournalLine.account, JournalLine.currency)
    )
    return _sorted(
        {
            "account": row.account,
            "movement": _money(row.movement, row.currency),
            "balance": _money(row.total, row.currency),
        }
        for row in session.execute(statement)
    )


def discrepancies(session: Session, period: str) -> list[Row]:
    """Count the month's discrepancies by leg, class and state; those a later run no longer found are left out."""
    key = [Discrepancy.leg, Discrepancy.klass, Discrepancy.state]
    statement = (
        sa.select(*key, sa.func.count().label("number"))
        .where(Discrepancy.period == period, Discrepancy.state != "gone")
        .group_by(*key)
    )
    return _sorted(
        {"leg": row.leg, "class": row.klass, "state": row.state, "count": row.number}
        for row in session.execute(statement)
    )


def roll_forward(session: Session, period: str) -> list[Row]:
    """Return what we owe affiliates, per currency: opening + accrued - clawed back - paid + other = closing.

    Paid is what has left in payment files; `other` is nothing as long as no other kind of entry touches the account.
    """
    is_now = JournalEntry.period == period
    is_accrual, is_paid = JournalEntry.kind == EntryKind.ACCRUAL, JournalEntry.kind == EntryKind.BATCH_SENT
    # A credit is negative: what we come to owe stands on the account with a minus.
    owed, taken_back = JournalLine.amount_minor < 0, JournalLine.amount_minor > 0
    columns = {
        "opening": (sa.not_(is_now), -JournalLine.amount_minor),
        "accrued": (sa.and_(is_now, is_accrual, owed), -JournalLine.amount_minor),
        "clawed_back": (sa.and_(is_now, is_accrual, taken_back), JournalLine.amount_minor),
        "paid": (sa.and_(is_now, is_paid), JournalLine.amount_minor),
        "other": (sa.and_(is_now, sa.not_(sa.or_(is_accrual, is_paid))), -JournalLine.amount_minor),
        "closing": (sa.true(), -JournalLine.amount_minor),
    }
    statement = (
        sa.select(
            JournalLine.currency,
            *(
                sa.cast(sa.func.sum(sa.case((where, amount), else_=0)), sa.BigInteger).label(name)
                for name, (where, amount) in columns.items()
            ),
        )
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(JournalLine.account == PAYABLE, JournalEntry.period <= period)
        .group_by(JournalLine.currency)
        .order_by(JournalLine.currency)
    )
    return [
        {"currency": row.currency} | {name: _money(row._mapping[name], row.currency) for name in columns}  # noqa: SLF001 - a row's public mapping
        for row in session.execute(statement)
    ]


def csv_rows(report: dict[str, Any]) -> Iterator[tuple[Cell, ...]]:
    """Yield the report as rows of CSV_HEADER, one figure a row."""
    for row in report["conversions"]:
        detail = f"{row['state']} ({row['hold_reason']})" if row["hold_reason"] else row["state"]
        yield ("conversions", row["source"], detail, row["count"], *_cells(row["payout"]))
    for row in report["accruals"]:
        yield (
            "accruals",
            f"{row['category_code']} {row['category']}",
            row["kind"],
            row["count"],
            *_cells(row["money"]),
        )
    for row in report["payouts"]:
        yield ("payouts", row["state"], None, row["count"], *_cells(row["money"]))
    for row in report["journal"]:
        for name in ("movement", "balance"):
            yield ("journal", row["account"], name, None, *_cells(row[name]))
    for row in report["discrepancies"]:
        yield ("discrepancies", f"{row['leg']} {row['class']}", row["state"], row["count"], None, None)
    for row in report["roll_forward"]:
        for name in ("opening", "accrued", "clawed_back", "paid", "other", "closing"):
            yield ("roll_forward", PAYABLE, name, None, *_cells(row[name]))


def _cells(value: dict[str, str]) -> tuple[str, str]:
    return value["amount"], value["currency"]


def _sum(column: Any) -> Any:
    # PostgreSQL sums bigints to numeric, which would come back as a Decimal.
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger).label("total")


def _money(amount_minor: int, currency: str) -> dict[str, str]:
    return money_dict(Money(amount_minor, currency))


def _sorted(rows: Iterator[Row]) -> list[Row]:
    # Here and not in SQL: the databases' collations disagree, and a report reads the same on both.
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def text_of(amount_minor: int | None, currency: str | None) -> str | None:
    """Return an amount as decimal text, None without one."""
    return None if amount_minor is None or currency is None else money.to_text(amount_minor, currency)
