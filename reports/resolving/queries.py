"""Reads of discrepancies across months, and one with everything that was said about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.paging import narrowed
from core.http.wire import PageQuery
from core.money import EXPONENTS, Money
from core.rows import existing
from reports import queries, taxonomy
from reports.matching import DiscrepancyClass, DiscrepancyState, difference
from reports.models import Discrepancy
from reports.resolving import notes, standing
from reports.resolving.models import Adjustment, DiscrepancyClaim
from reports.taxonomy import KINDS, STEPS_AT, Severity

_EXPONENT_OF_MOST = 2


@dataclass(frozen=True)
class EveryQuery(PageQuery):
    """Which discrepancies of all months; without a state those that a later run still found."""

    period: str | None = None
    leg: str | None = None
    source_id: str | None = None
    klass: str | None = None
    severity: str | None = None
    owner: str | None = None
    state: str | None = None
    age_days_min: int | None = None
    age_days_max: int | None = None


def every(query: EveryQuery, *, now: datetime) -> sa.Select[Discrepancy]:
    """Return the statement for the discrepancies `query` asks for; `owner=nobody` asks for those without one."""
    is_wanted = Discrepancy.state != DiscrepancyState.GONE if query.state is None else Discrepancy.state == query.state
    statement = narrowed(
        sa.select(Discrepancy).where(is_wanted),
        (
            (Discrepancy.period, query.period),
            (Discrepancy.leg, query.leg),
            (Discrepancy.source_id, query.source_id),
            (Discrepancy.klass, query.klass),
            (Discrepancy.owner, None if query.owner == "nobody" else query.owner),
        ),
    )
    if query.owner == "nobody":
        statement = statement.where(Discrepancy.owner.is_(None))
    if query.severity is not None:
        statement = statement.where(is_severity(Severity(query.severity)))
    if query.age_days_min is not None:
        statement = statement.where(Discrepancy.created_at <= now - timedelta(days=query.age_days_min))
    if query.age_days_max is not None:
        # One of 3 days and some hours is 3 days old.
        statement = statement.where(Discrepancy.created_at > now - timedelta(days=query.age_days_max + 1))
    return statement


def is_severity(wanted: Severity) -> sa.ColumnElement[bool]:
    """Return the condition that taxonomy.severity says `wanted`: worked out, never stored, so it holds for old rows."""
    currency = sa.func.coalesce(Discrepancy.ours_currency, Discrepancy.theirs_currency)
    odd = {code: 10**exponent for code, exponent in EXPONENTS.items() if exponent != _EXPONENT_OF_MOST}
    unit = sa.case(odd, value=currency, else_=10**_EXPONENT_OF_MOST)
    off = sa.func.abs(sa.func.coalesce(Discrepancy.theirs_minor, 0) - sa.func.coalesce(Discrepancy.ours_minor, 0))
    is_one_currency = sa.func.coalesce(Discrepancy.theirs_currency, currency) == currency
    steps = sa.case(
        *((sa.and_(is_one_currency, off >= least * unit), len(STEPS_AT) - number)
          for number, least in enumerate(sorted(STEPS_AT, reverse=True))),
        else_=0,
    )  # fmt: skip
    conditions = []
    for klass in DiscrepancyClass:
        fitting = [each for each in range(len(STEPS_AT) + 1) if taxonomy.after_steps(klass, each) is wanted]
        if fitting:
            conditions.append(sa.and_(Discrepancy.klass == klass.value, steps.in_(fitting)))
    return sa.or_(sa.false(), *conditions)


def shown(session: Session, found: Sequence[Discrepancy], *, now: datetime) -> list[dict[str, Any]]:
    """Return `found` as they travel, with how grave each is and how old."""
    return [
        each
        | {
            "means": KINDS[DiscrepancyClass(item.klass)].means,
            "severity": _severity(item),
            "owner": item.owner,
            "first_seen_at": item.created_at,
            "age_days": (now - item.created_at).days,
        }
        for item, each in zip(found, queries.shown_discrepancies(session, found), strict=True)
    ]


def one(session: Session, discrepancy_id: str, *, now: datetime) -> dict[str, Any]:
    """Return one discrepancy with its notes, adjustments and claims, and what may be said about it now."""
    found = existing(session, Discrepancy, discrepancy_id)
    stands = standing.of(session, found)
    currency = standing.currency_of(found)
    left = None if stands.difference_minor is None or currency is None else Money(stands.difference_minor, currency)
    adjustments = sa.select(Adjustment).where(Adjustment.discrepancy_id == found.id).order_by(Adjustment.id)
    claims = sa.select(DiscrepancyClaim).where(DiscrepancyClaim.discrepancy_id == found.id)
    return shown(session, [found], now=now)[0] | {
        "left": left,
        "allowed": [each.value for each in taxonomy.allowed(stands)],
        "notes": notes.of(session, found.id),
        "adjustments": [_adjustment(each) for each in session.scalars(adjustments)],
        "claims": [_claim(each) for each in session.scalars(claims.order_by(DiscrepancyClaim.id))],
    }


def _severity(item: Discrepancy) -> str:
    off = difference(item.ours_minor, item.ours_currency, item.theirs_minor, item.theirs_currency)
    return taxonomy.severity(DiscrepancyClass(item.klass), *(off or (None, None))).value


def _adjustment(row: Adjustment) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "money": Money(row.amount_minor, row.currency),
        "account": row.account,
        "counter_account": row.counter_account,
        "approval_id": row.approval_id,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "occurred_on": row.occurred_on,
    }


def _claim(row: DiscrepancyClaim) -> dict[str, Any]:
    money, awarded = (
        None if minor is None or row.currency is None else Money(minor, row.currency)
        for minor in (row.amount_minor, row.awarded_minor)
    )
    return {
        "id": row.id,
        "state": row.state,
        "money": money,
        "awarded": awarded,
        "pack_sha256": row.pack_sha256,
        "claimed_by": row.claimed_by,
        "claimed_at": row.claimed_at,
        "answered_by": row.answered_by,
        "answered_at": row.answered_at,
        "answer_note": row.answer_note,
    }
