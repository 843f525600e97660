"""Month end: the months, and one month's check list, comparisons, discrepancies and what we owe."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core.http.doors import actors
from core.http.paging import page as page_of
from core.http.wire import PageQuery
from ledger import periods
from ledger import routes as ledger
from ledger.models import Period
from partners.models import Source
from postback.models import Conversion
from reports import checks, queries, report
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg
from reports.models import Discrepancy, Reconciliation
from reports.period_models import PeriodReopening, PeriodSnapshot
from reports.queries import RunQuery
from web.pages import frame
from web.pages.frame import page

blueprint = flask.Blueprint("month_end_pages", __name__)
PLACE = "/month-end"
READERS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN)
MONTHS_MAX = 60
ROWS_MAX = 100
RUNS_MAX = 500
LEGS = {
    Leg.NETWORK: "Conversions with network reports",
    Leg.REMITTANCE: "What networks owe with bank credits",
    Leg.PAYOUT: "Payouts with bank debits",
    Leg.ADVERTISER: "Conversions with an advertiser's list",
}
ROLL_FORWARD = ("opening", "accrued", "clawed_back", "paid", "other", "closing")


@dataclass(frozen=True)
class Comparison:
    """The newest finished run of one leg and source: its counts are those of its own moment."""

    run: Reconciliation
    name: str
    source: str | None
    ours: int
    theirs: int
    matched: int
    left: int


@page(blueprint, "GET", "/month-end", door=READERS)
def months(session: Session) -> str:
    """Show every month that has conversions, postings or a close, newest first."""
    listed = {item["period"]: item for item in ledger.list_periods(session, PageQuery(limit=MONTHS_MAX)).items}
    for period in _months_of_conversions(session):
        listed.setdefault(period, {"period": period, "state": "open"})
    statement = (
        sa.select(Discrepancy.period, sa.func.count().label("number"))
        .where(Discrepancy.state == DiscrepancyState.OPEN)
        .group_by(Discrepancy.period)
    )
    open_now = {row.period: row.number for row in session.execute(statement)}
    rows = [listed[period] for period in sorted(listed, reverse=True)]
    return frame.rendered(session, "months.html", place=PLACE, rows=rows, open_now=open_now)


@page(blueprint, "GET", "/month-end/<period>", door=READERS)
def month(session: Session, period: str) -> str:
    """Show one month: can it close, and if not, why."""
    periods.bounds(period)
    found = checks.of_month(session, period)
    closed = session.get(Period, period)
    klass = flask.request.args.get("class", "")
    klass = klass if klass in set(DiscrepancyClass) else ""
    after = frame.cursor(flask.request)
    statement = sa.select(Discrepancy).where(Discrepancy.period == period, Discrepancy.state != DiscrepancyState.GONE)
    if klass:
        statement = statement.where(Discrepancy.klass == klass)
    rows = page_of(session, statement, Discrepancy.id, limit=ROWS_MAX, after=after)
    shown = queries.shown_discrepancies(session, rows.items)
    return frame.rendered(
        session,
        "month_end.html",
        place=PLACE,
        period=period,
        row=closed,
        checks=sorted(found, key=lambda check: check.is_green),
        comparisons=_comparisons(session, period),
        rows=shown,
        transactions=_transactions(session, shown),
        klass=klass,
        classes=[each.value for each in DiscrepancyClass],
        open_count=_count_open(session, period),
        report=report.of_month(session, period),
        closes=_closes(session, period),
        asked=session.scalar(_asked(period)),
        roll_forward=ROLL_FORWARD,
        older=frame.link(".month", {"period": period, "class": klass, "after": rows.next}) if rows.next else None,
        newest=frame.link(".month", {"period": period, "class": klass}) if after else None,
    )


def _closes(session: Session, period: str) -> list[PeriodSnapshot]:
    """Return the month's snapshots, the last close first."""
    statement = sa.select(PeriodSnapshot).where(PeriodSnapshot.period == period)
    return list(session.scalars(statement.order_by(PeriodSnapshot.number.desc())))


def _asked(period: str) -> sa.Select[PeriodReopening]:
    return sa.select(PeriodReopening).where(PeriodReopening.period == period, PeriodReopening.state == "asked")


def _comparisons(session: Session, period: str) -> list[Comparison]:
    names = {row.id: row.name for row in session.execute(sa.select(Source.id, Source.name))}
    newest: dict[tuple[str, str | None], Reconciliation] = {}
    statement = queries.runs(RunQuery(period=period)).where(Reconciliation.state == "finished")
    for run in session.scalars(statement.order_by(Reconciliation.id.desc()).limit(RUNS_MAX)):
        newest.setdefault((run.leg, run.source_id), run)
    found = [_comparison(run, names) for run in newest.values()]
    return sorted(found, key=lambda each: (each.run.leg, each.source or ""))


def _comparison(run: Reconciliation, names: dict[str, str]) -> Comparison:
    counts: dict[str, Any] = queries.shown_run(run)
    return Comparison(
        run=run,
        name=LEGS[Leg(run.leg)],
        source=names.get(run.source_id, run.source_id) if run.source_id else None,
        ours=counts["counts"].get("ours", 0),
        theirs=counts["counts"].get("theirs", 0),
        matched=counts["counts"].get("matched", 0),
        left=sum(counts["discrepancies"].values()),
    )


def _transactions(session: Session, rows: list[dict[str, Any]]) -> dict[str, str]:
    ids = {row["conversion_id"] for row in rows if row["conversion_id"]}
    found = session.execute(sa.select(Conversion.id, Conversion.transaction_id).where(Conversion.id.in_(ids)))
    return {row.id: row.transaction_id for row in found}


def _count_open(session: Session, period: str) -> int:
    is_open = (Discrepancy.period == period, Discrepancy.state == DiscrepancyState.OPEN)
    return session.scalars(sa.select(sa.func.count()).select_from(Discrepancy).where(*is_open)).one()


def _months_of_conversions(session: Session) -> list[str]:
    """Return the months between the first and the last conversion, at most MONTHS_MAX, newest first."""
    first: datetime | None = session.scalar(sa.select(sa.func.min(Conversion.occurred_at)))
    last: datetime | None = session.scalar(sa.select(sa.func.max(Conversion.occurred_at)))
    if first is None or last is None:
        return []
    newest, oldest = last.year * 12 + last.month - 1, first.year * 12 + first.month - 1
    return [f"{each // 12:04d}-{each % 12 + 1:02d}" for each in range(newest, oldest - 1, -1)][:MONTHS_MAX]
