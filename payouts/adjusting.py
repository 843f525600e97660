"""Adjusting: a conversion that changed after its accrual gets one more, of the difference; no row is ever edited."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import copying
from core.database import among, claim, table_of
from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods, posting
from ledger.models import JournalEntry, JournalLine
from ledger.periods import Slot
from ledger.posting import EntryKind, Posting
from payouts import accrual, additions, fx_rates, owing, pricing
from payouts.accrual import ACTOR, KEPT
from payouts.exchange import Rate
from payouts.models import Accrual
from payouts.owing import Difference
from payouts.pricing import PayoutMeans, Priced, Told, Unpriceable
from postback import events
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Conversion

NEVER_ACCRUED = "never_accrued"
# Columns of the first accrual that every later one of the conversion repeats.
_REPEATED = (
    "conversion_id", "affiliate_id", "source_id", "campaign_id", "terms", "ruleset_version", "rule_id", "category_code",
    "category_name", "category_account", "category_department", "category_cost_centre", "assurance", "covered_fields",
    "is_amount_covered",
)  # fmt: skip
_WANTED: tuple[Any, ...] = (
    Conversion.id, Conversion.source_id, Conversion.payout_minor, Conversion.amount_minor, Conversion.currency,
    Conversion.state,
)  # fmt: skip
_Row = sa.Row[Any]


@dataclass(frozen=True)
class _Known:
    """What a batch refers to, loaded once: the first accrual first, revenue in minor units as it was posted."""

    now: datetime
    slot: Slot
    accruals: Mapping[str, Sequence[Accrual]]
    revenue: Mapping[str, int]
    payout_means: Mapping[str, PayoutMeans]
    hold_days: Mapping[str, timedelta]


@dataclass(frozen=True)
class _Outcome:
    """What a change comes to: a difference in what we owe, one in what we are owed, or why neither can be said."""

    difference: Difference | None = None
    revenue_minor: int = 0
    unpriceable: str | None = None


def run_batch(runtime: Runtime, session: Session, limit: int) -> int:
    """Accrue what has changed for at most `limit` conversions after their accrual; return how many were taken.

    A refund or chargeback comes into the open month as a negative accrual. The rows are claimed, and what was accrued
    is read behind that lock: of two workers one finds the change, and running again finds nothing left to say. One
    that is held waits with its change until a person has decided.
    """
    changed = session.execute(
        claim(
            sa.select(*_WANTED)
            .where(Conversion.is_accrual_due, Conversion.hold_reason.is_(None))
            .order_by(Conversion.id)
            .limit(limit)
        )
    ).all()
    if not changed:
        return 0
    now = runtime.clock()
    known = _known(session, changed, now)
    rows, postings, happened = [], [], []
    said, unpriceable, nothing = [], [], []
    for conversion in changed:
        outcome = _outcome(conversion, known)
        if outcome.unpriceable is not None:
            unpriceable.append(conversion.id)
            happened.append((conversion.id, Event(EventKind.UNPRICEABLE, ACTOR, now, reason=outcome.unpriceable)))
        elif outcome.difference is not None:
            said.append(conversion.id)
            row = _row(runtime.new_id("acr"), outcome.difference, known.accruals[conversion.id], known)
            rows.append(row)
            postings += _postings(row, Money(outcome.revenue_minor, conversion.currency))
            happened.append((conversion.id, Event(EventKind.ACCRUED, ACTOR, now, details=_details(row))))
        else:
            nothing.append(conversion.id)
    # None of them may be there: behind their conversions' locks nobody else adds one, and it would not be posted twice.
    copying.insert(session, table_of(Accrual), rows)
    accrual.move_on(session, said, is_accrual_due=False)
    # The change of one that cannot be priced stays due: it is looked at again once a person has decided.
    accrual.move_on(session, unpriceable, hold_reason=HoldReason.UNPRICEABLE.value)
    accrual.move_on(session, nothing, by=0, is_accrual_due=False)
    events.append_each(session, happened)
    journal.post(runtime, session, postings, today=now.date())
    return len(changed)


def _known(session: Session, changed: Sequence[_Row], now: datetime) -> _Known:
    ids = [conversion.id for conversion in changed]
    accruals: defaultdict[str, list[Accrual]] = defaultdict(list)
    # Without what people added: it is no part of what the terms come to, and stays.
    statement = sa.select(Accrual).where(
        among(session, Accrual.conversion_id, ids), Accrual.kind.not_in(additions.KINDS)
    )
    # The first accrual first, whose terms and category all others take: its kind comes before theirs.
    for each in session.scalars(statement.order_by(sa.case((Accrual.kind == "accrue", 0), else_=1))):
        accruals[each.conversion_id].append(each)
    today = now.date()
    return _Known(
        now=now,
        # The month is held from here on: accrual and journal entry cannot land in two different ones.
        slot=periods.slots(session, {today}, today=today)[today],
        accruals=accruals,
        revenue=_revenue(session, accruals, ids),
        payout_means=accrual.payout_means(session, {conversion.source_id for conversion in changed}),
        hold_days=accrual.hold_days(session, {each[0].affiliate_id for each in accruals.values()}),
    )


def _revenue(session: Session, accruals: Mapping[str, Sequence[Accrual]], ids: Sequence[str]) -> dict[str, int]:
    """Return the revenue that the journal has of each conversion: posted with it, and with its later accruals."""
    conversion_of = {each.id: conversion_id for conversion_id, all_ in accruals.items() for each in all_}
    statement = (
        sa.select(JournalEntry.source_id, sa.func.sum(JournalLine.amount_minor))
        .join(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(
            JournalEntry.kind == EntryKind.REVENUE,
            JournalEntry.source_type.in_(("conversion", "accrual")),
            among(session, JournalEntry.source_id, [*ids, *conversion_of]),
            JournalLine.account == posting.RECEIVABLE,
        )
        .group_by(JournalEntry.source_id)
    )
    revenue: defaultdict[str, int] = defaultdict(int)
    for source_id, amount_minor in session.execute(statement):
        revenue[conversion_of.get(source_id, source_id)] += int(amount_minor)
    return revenue


def _outcome(conversion: _Row, known: _Known) -> _Outcome:
    accrued = known.accruals.get(conversion.id)
    is_reversed = conversion.state == State.REVERSED
    if not accrued:
        return _Outcome(unpriceable=None if is_reversed else NEVER_ACCRUED)
    first = accrued[0]
    means = known.payout_means[conversion.source_id]
    told = Told(conversion.payout_minor, conversion.amount_minor, conversion.currency, means)
    owed = owing.now(pricing.thawed(first.terms), told, is_reversed=is_reversed, currency=first.currency)
    if isinstance(owed, Unpriceable):
        return _Outcome(unpriceable=str(owed))
    parts = [Priced(Money(each.amount_minor, each.currency), each.unrounded) for each in accrued]
    difference = owing.difference(owed, parts)
    revenue_minor = (0 if is_reversed else pricing.revenue_minor(told)) - known.revenue.get(conversion.id, 0)
    if difference is None and revenue_minor:
        # An accrual of nothing says which change the revenue was posted for.
        difference = Difference(owing.ADJUST, Money(0, first.currency), Decimal(0))
    return _Outcome(difference, revenue_minor)


def _row(accrual_id: str, difference: Difference, accrued: Sequence[Accrual], known: _Known) -> dict[str, Any]:
    first, today = accrued[0], known.now.date()
    numbers = [each.seq for each in accrued if each.kind == difference.kind]
    # What is taken back counts at once; what is added waits as long as any commission does.
    wait = timedelta(0) if difference.kind == owing.CLAWBACK else known.hold_days[first.affiliate_id]
    return {
        "id": accrual_id,
        **{name: getattr(first, name) for name in _REPEATED},
        "kind": difference.kind,
        "seq": max(numbers, default=0) + 1,
        "amount_minor": difference.money.amount_minor,
        "currency": difference.money.currency,
        "unrounded": difference.unrounded.quantize(KEPT),
        **_in_base(first, difference.money),
        "occurred_on": today,
        "payable_on": today + wait,
        "period": known.slot.period,
        "created_at": known.now,
    }


def _in_base(first: Accrual, money: Money) -> dict[str, Any]:
    """Return the base columns at the rate of the first accrual: taken back whole, it comes to nothing there too."""
    rate = None
    if first.fx_rate is not None and first.fx_date is not None and first.fx_source is not None:
        rate = Rate(first.fx_rate, first.fx_date, first.fx_source)
    return fx_rates.columns(money, rate, first.base_currency or "")


def _details(row: Mapping[str, Any]) -> dict[str, Any]:
    money = Money(row["amount_minor"], row["currency"])
    return {"accrual_id": row["id"], "kind": row["kind"], "money": str(money)}


def _postings(row: Mapping[str, Any], revenue: Money) -> list[Posting]:
    made = [accrual.entry_of(row)]
    if revenue.amount_minor:
        made.append(
            posting.changed_revenue(
                accrual_id=row["id"], conversion_id=row["conversion_id"], money=revenue, occurred_on=row["occurred_on"]
            )
        )
    return made
