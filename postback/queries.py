"""Reads of receipts and conversions."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.http.paging import narrowed
from core.http.wire import PageQuery
from core.ids import first_token
from core.money import Money
from ledger import periods
from postback.models import Conversion, Receipt, Reprocessing

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class ReceiptQuery(PageQuery):
    """Which receipts: those with all the given properties, received from `since` on and before `until`."""

    source_id: str | None = None
    verdict: str | None = None
    reason: str | None = None
    outcome: str | None = None
    conversion_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class ConversionQuery(PageQuery):
    """Which conversions: those with all the given properties; `period` is the month they occurred in, in UTC."""

    state: str | None = None
    held: bool | None = None
    source_id: str | None = None
    affiliate_id: str | None = None
    transaction_id: str | None = None
    period: str | None = None


@dataclass(frozen=True)
class ReprocessingQuery(PageQuery):
    """Which reprocessings: those with all the given properties."""

    source_id: str | None = None
    state: str | None = None


def reprocessings(query: ReprocessingQuery) -> sa.Select[Reprocessing]:
    """Return the statement for the reprocessings `query` asks for."""
    wanted = ((Reprocessing.source_id, query.source_id), (Reprocessing.state, query.state))
    return narrowed(sa.select(Reprocessing), wanted)


def shown_reprocessing(row: Reprocessing) -> dict[str, Any]:
    """Return a reprocessing as the API shows it."""
    payouts = [
        {
            "before": Money(each["before_minor"], each["currency"]),
            "after": Money(each["after_minor"], each["currency"]),
            "difference": Money(each["after_minor"] - each["before_minor"], each["currency"]),
        }
        for each in row.summary["payouts"]
    ]
    plain = (
        "id", "source_id", "since", "until", "state", "reason", "examples", "created_at", "created_by", "applied_at",
        "applied_by", "result",
    )  # fmt: skip
    return {name: getattr(row, name) for name in plain} | row.summary | {
        "payouts": payouts, "progress": {"receipts": row.receipts, **row.progress},
    }  # fmt: skip


def receipts(query: ReceiptQuery) -> sa.Select[Receipt]:
    """Return the statement for the receipts `query` asks for."""
    wanted = (
        (Receipt.source_id, query.source_id),
        (Receipt.verdict, query.verdict),
        (Receipt.reason, query.reason),
        (Receipt.outcome, query.outcome),
        (Receipt.conversion_id, query.conversion_id),
    )
    statement = narrowed(sa.select(Receipt), wanted)
    # By id first: those ranges have an index and skip whole partitions. Within a millisecond the time itself decides.
    if query.since is not None:
        statement = statement.where(Receipt.id >= _first_id(query.since), Receipt.received_at >= query.since)
    if query.until is not None:
        after = _first_id(query.until, later=_MILLISECOND)
        statement = statement.where(Receipt.id < after, Receipt.received_at < query.until)
    return statement


def _first_id(moment: datetime, *, later: timedelta = timedelta(0)) -> str:
    # No receipt is from outside of this time, and a moment beyond it cannot be moved on.
    bounded = min(max(moment, _FIRST), _LAST)
    return f"rcp_{first_token(bounded + later)}"


def conversions(query: ConversionQuery) -> sa.Select[Conversion]:
    """Return the statement for the conversions `query` asks for."""
    wanted = (
        (Conversion.state, query.state),
        (Conversion.source_id, query.source_id),
        (Conversion.affiliate_id, query.affiliate_id),
        (Conversion.transaction_id, query.transaction_id),
    )
    statement = narrowed(sa.select(Conversion), wanted)
    if query.held is not None:
        is_held = Conversion.hold_reason.is_not(None)
        statement = statement.where(is_held if query.held else sa.not_(is_held))
    if query.period is not None:
        beginning, end = periods.moments(query.period)
        statement = statement.where(Conversion.occurred_at >= beginning, Conversion.occurred_at < end)
    return statement
