"""What a month consists of, kind by kind, as rows that read the same on both databases.

Money is in minor units, moments in UTC. Nothing secret is in a row: no account, no raw request, no secret.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import streamed
from ledger import periods
from ledger.models import JournalEntry, JournalLine
from payouts.models import Accrual, Payout
from postback.models import Conversion
from reports.differing import Row, Shape, written
from reports.match_models import Match
from reports.models import Discrepancy, Reconciliation

Statement = sa.Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Kind:
    """One kind of rows: `select` gives a month's, as of a moment, sorted by key; the first `keys` columns are it.

    `living` names the fields that go on changing after a close, by what happens to the row in a later month.
    """

    shape: Shape
    select: Callable[[str, datetime], Statement]
    keys: int = 1
    living: frozenset[str] = frozenset()

    def rows(self, session: Session, period: str, as_of: datetime) -> Iterator[Row]:
        """Yield the month's rows as they are now; what came after `as_of` is left out where it may come at all."""
        for values in streamed(session, self.select(period, as_of)):
            yield written(_key(values[: self.keys]), values[self.keys :])


def _key(parts: Any) -> str:
    # A line's number is padded, so that keys sort as their parts do.
    return "/".join(f"{part:06d}" if isinstance(part, int) else part for part in parts)


def _named(*columns: Any) -> tuple[str, ...]:
    # A class is called klass in Python alone.
    return tuple(column.key.replace("klass", "class") for column in columns)


_CONVERSION: tuple[Any, ...] = (
    Conversion.source_id, Conversion.transaction_id, Conversion.event, Conversion.click_id, Conversion.campaign_id,
    Conversion.affiliate_id, Conversion.payout_minor, Conversion.amount_minor, Conversion.currency,
    Conversion.occurred_at, Conversion.recorded_at, Conversion.state, Conversion.hold_reason, Conversion.version,
)  # fmt: skip
_ACCRUAL: tuple[Any, ...] = (
    Accrual.conversion_id, Accrual.kind, Accrual.seq, Accrual.affiliate_id, Accrual.source_id, Accrual.campaign_id,
    Accrual.ruleset_version, Accrual.rule_id, Accrual.category_code, Accrual.category_account, Accrual.amount_minor,
    Accrual.currency, Accrual.occurred_on, Accrual.payable_on, Accrual.created_at,
)  # fmt: skip
_JOURNAL: tuple[Any, ...] = (
    JournalEntry.kind, JournalEntry.source_type, JournalEntry.source_id, JournalEntry.occurred_on,
    JournalEntry.posted_on, JournalEntry.description, JournalLine.account, JournalLine.amount_minor,
    JournalLine.currency, JournalLine.affiliate_id,
)  # fmt: skip
_MATCH: tuple[Any, ...] = (
    Match.group_id, Match.leg, Match.matched_by, Match.our_id, Match.their_id, Match.allocated_minor,
    Match.difference_minor, Match.currency, Match.made_by,
)  # fmt: skip
_DISCREPANCY: tuple[Any, ...] = (
    Discrepancy.subject_key, Discrepancy.leg, Discrepancy.klass, Discrepancy.conversion_id, Discrepancy.payout_id,
    Discrepancy.line_id, Discrepancy.ours_minor, Discrepancy.ours_currency, Discrepancy.theirs_minor,
    Discrepancy.theirs_currency, Discrepancy.state, Discrepancy.resolution, Discrepancy.note, Discrepancy.resolved_by,
    Discrepancy.resolved_at,
)  # fmt: skip
_PAYOUT: tuple[Any, ...] = (
    Payout.affiliate_id, Payout.amount_minor, Payout.currency, Payout.category_codes, Payout.content_hash,
    Payout.created_at, Payout.created_by, Payout.state, Payout.version,
)  # fmt: skip


def _conversions(period: str, as_of: datetime) -> Statement:
    start, end = periods.moments(period)
    return (
        sa.select(Conversion.id, *_CONVERSION)
        .where(Conversion.occurred_at >= start, Conversion.occurred_at < end, Conversion.recorded_at <= as_of)
        .order_by(Conversion.id)
    )


def _accruals(period: str, _as_of: datetime) -> Statement:
    return sa.select(Accrual.id, *_ACCRUAL).where(Accrual.period == period).order_by(Accrual.id)


def _journal(period: str, _as_of: datetime) -> Statement:
    return (
        sa.select(JournalLine.entry_id, JournalLine.line_number, *_JOURNAL)
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(JournalEntry.period == period)
        .order_by(JournalLine.entry_id, JournalLine.line_number)
    )


def _matches(period: str, as_of: datetime) -> Statement:
    # What is only suggested is no match.
    return (
        sa.select(Match.id, *_MATCH)
        .join(Reconciliation, Reconciliation.id == Match.reconciliation_id)
        .where(Reconciliation.period == period, Match.state == "confirmed", Match.created_at <= as_of)
        .order_by(Match.id)
    )


def _discrepancies(period: str, _as_of: datetime) -> Statement:
    return sa.select(Discrepancy.id, *_DISCREPANCY).where(Discrepancy.period == period).order_by(Discrepancy.id)


def _payouts(period: str, as_of: datetime) -> Statement:
    of_month = sa.and_(Payout.period == period, Payout.created_at <= as_of)
    return sa.select(Payout.id, *_PAYOUT).where(of_month).order_by(Payout.id)


_EVERY = (
    Kind(
        Shape("conversions", _named(*_CONVERSION), "payout_minor", "currency"),
        _conversions,
        living=frozenset({
            "click_id", "campaign_id", "affiliate_id", "payout_minor", "amount_minor", "state", "hold_reason",
            "version",
        }),
    ),
    Kind(Shape("accruals", _named(*_ACCRUAL), "amount_minor", "currency"), _accruals),
    Kind(Shape("journal", _named(*_JOURNAL), "amount_minor", "currency", debits_only=True), _journal, keys=2),
    Kind(Shape("matches", _named(*_MATCH), "difference_minor", "currency"), _matches),
    # What one is about: their amount where there is one is seen in the row, ours is what we would have to explain.
    Kind(Shape("discrepancies", _named(*_DISCREPANCY), "ours_minor", "ours_currency"), _discrepancies),
    Kind(
        Shape("payouts", _named(*_PAYOUT), "amount_minor", "currency"),
        _payouts,
        living=frozenset({"category_codes", "content_hash", "state", "version"}),
    ),
)  # fmt: skip
# In this order they are kept, hashed and shown.
KINDS: Mapping[str, Kind] = {kind.shape.kind: kind for kind in _EVERY}
