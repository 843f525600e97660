"""Adjusting: a conversion that changed after its accrual gets one more, of the difference; no row is ever edited."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import claim, insert_new
from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods, posting
from ledger.models import JournalEntry, JournalLine
from ledger.posting import EntryKind, Posting
from partners.models import Affiliate, Source
from payouts import owing
from payouts.accrual import ACTOR, entry_of
from payouts.models import Accrual
from payouts.pricing import PayoutMeans, Priced, Told, Unpriceable
from postback import events
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Conversion

_CLAWBACK, _ADJUST = "clawback", "adjust"
# Columns of the first accrual that every later one of the conversion repeats.
_REPEATED = (
    "conversion_id", "affiliate_id", "source_id", "campaign_id", "terms", "ruleset_version", "rule_id", "category_code",
    "category_name", "category_account", "currency", "assurance",
    "covered_fields", "is_amount_covered",
)  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What a batch refers to, loaded once. `revenue` is what the journal has of each conversion, in minor units."""

    accruals: Mapping[str, Sequence[Accrual]]
    sources: Mapping[str, Source]
    hold_days: Mapping[str, int]
    revenue: Mapping[str, int]


def run_batch(runtime: Runtime, session: Session, limit: int) -> int:
    """Accrue what has changed for at most `limit` conversions after their accrual; return how many were taken.

    A refund or chargeback comes into the open month as a negative accrual. Running again finds nothing left to say.
    """
    due = sa.select(Conversion).where(Conversion.is_accrual_due).order_by(Conversion.id).limit(limit)
    conversions = session.scalars(claim(due)).all()
    if not conversions:
        return 0
    now = runtime.clock()
    today = now.date()
    known = _known(session, conversions)
    # The month is held from here on: accrual and journal entry cannot land in two different ones.
    period = periods.slots(session, {today}, today=today)[today].period
    rows, postings, happened = [], [], []
    for conversion in conversions:
        conversion.is_accrual_due = False
        priced = _owed(conversion, known)
        if isinstance(priced, Unpriceable):
            conversion.hold_reason = HoldReason.UNPRICEABLE
            happened.append((conversion, Event(EventKind.UNPRICEABLE, ACTOR, now, reason=str(priced))))
            continue
        row = _row(runtime, conversion, priced, known, today=today, period=period)
        revenue = _revenue_difference(conversion, known)
        if row["amount_minor"] == 0 and revenue is None:
            continue
        rows.append(row)
        postings += _postings(conversion, row, revenue)
        happened.append((conversion, Event(EventKind.ACCRUED, ACTOR, now, details={"accrual_id": row["id"]})))
    insert_new(session, Accrual, rows, key=["conversion_id", "kind", "seq"])
    events.append_each(session, happened)
    journal.post(runtime, session, postings, today=today)
    return len(conversions)


def _known(session: Session, conversions: Sequence[Conversion]) -> _Known:
    ids = [conversion.id for conversion in conversions]
    accruals: defaultdict[str, list[Accrual]] = defaultdict(list)
    # The first accrual first, whose terms and category all others take: its kind comes before theirs.
    is_first = sa.case((Accrual.kind == "accrue", 0), else_=1)
    for accrual in session.scalars(sa.select(Accrual).where(Accrual.conversion_id.in_(ids)).order_by(is_first)):
        accruals[accrual.conversion_id].append(accrual)
    source_ids = {conversion.source_id for conversion in conversions}
    affiliate_ids = {conversion.affiliate_id for conversion in conversions}
    hold_days = sa.select(Affiliate.id, Affiliate.hold_days).where(Affiliate.id.in_(affiliate_ids))
    return _Known(
        accruals,
        {source.id: source for source in session.scalars(sa.select(Source).where(Source.id.in_(source_ids)))},
        {row.id: row.hold_days for row in session.execute(hold_days)},
        _revenue(session, accruals, ids),
    )


def _revenue(session: Session, accruals: Mapping[str, Sequence[Accrual]], ids: Sequence[str]) -> dict[str, int]:
    """Return the revenue that the journal has of each conversion: posted with it, and with its later accruals."""
    conversion_of = {accrual.id: conversion_id for conversion_id, each in accruals.items() for accrual in each}
    statement = (
        sa.select(JournalEntry.source_id, sa.func.sum(JournalLine.amount_minor))
        .join(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(
            JournalEntry.kind == EntryKind.REVENUE,
            JournalEntry.source_id.in_([*ids, *conversion_of]),
            JournalLine.account == posting.RECEIVABLE,
        )
        .group_by(JournalEntry.source_id)
    )
    revenue: defaultdict[str, int] = defaultdict(int)
    for source_id, amount_minor in session.execute(statement):
        revenue[conversion_of.get(source_id, source_id)] += int(amount_minor)
    return revenue


def _owed(conversion: Conversion, known: _Known) -> Priced | Unpriceable:
    first = known.accruals[conversion.id][0]
    means = PayoutMeans(known.sources[conversion.source_id].payout_means)
    told = Told(conversion.payout_minor, conversion.amount_minor, conversion.currency, means)
    is_reversed = conversion.state == State.REVERSED
    return owing.owed_now(owing.frozen_terms(first.terms), told, is_reversed=is_reversed, currency=first.currency)


def _row(
    runtime: Runtime, conversion: Conversion, owed: Priced, known: _Known, *, today: date, period: str
) -> dict[str, Any]:
    accruals = known.accruals[conversion.id]
    first = accruals[0]
    accrued = Money(sum(accrual.amount_minor for accrual in accruals), first.currency)
    money = owing.difference(owed.money, accrued)
    kind = _CLAWBACK if money.amount_minor < 0 else _ADJUST
    # What is taken back counts at once; what is added waits as long as any commission does.
    wait = timedelta(days=0 if kind == _CLAWBACK else known.hold_days[first.affiliate_id])
    return {
        "id": runtime.new_id("acr"),
        **{name: getattr(first, name) for name in _REPEATED},
        "kind": kind,
        "seq": 1 + sum(accrual.kind == kind for accrual in accruals),
        "amount_minor": money.amount_minor,
        "unrounded": money.amount,
        "occurred_on": today,
        "payable_on": today + wait,
        "period": period,
        "created_at": runtime.clock(),
    }


def _revenue_difference(conversion: Conversion, known: _Known) -> Money | None:
    """Return by how much what the network owes us has changed, None when it has not."""
    if known.sources[conversion.source_id].payout_means != PayoutMeans.OWED_TO_US:
        return None
    owed_minor = 0 if conversion.state == State.REVERSED else conversion.payout_minor or 0
    left_minor = owed_minor - known.revenue.get(conversion.id, 0)
    return Money(left_minor, conversion.currency) if left_minor else None


def _postings(conversion: Conversion, row: Mapping[str, Any], revenue: Money | None) -> list[Posting]:
    made = [entry_of(row)]
    if revenue is not None:
        made.append(
            posting.changed_revenue(
                accrual_id=row["id"], conversion_id=conversion.id, money=revenue, occurred_on=row["occurred_on"]
            )
        )
    return made
