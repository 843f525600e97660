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
from core.money import Money
from ledger import periods
from ledger import routes as ledger
from ledger.models import Period
from partners.models import Source
from postback.models import Conversion
from reports import checks, match_queries, period_routes, queries, report
from reports import routes as report_routes
from reports.matching import DiscrepancyClass, DiscrepancyState, Leg
from reports.models import Discrepancy, Reconciliation
from reports.period_models import PeriodReopening, PeriodSnapshot
from reports.period_schemas import AskedSchema, ConfirmedSchema
from reports.queries import RunQuery
from reports.schemas import NewRunSchema
from web.pages import forms, frame, names
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("month_end_pages", __name__)
PLACE = "/month-end"
READERS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN)
RUNS = actors(Role.FINANCE, Role.MANAGER)
CLOSES = actors(Role.FINANCE)
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
def month(session: Session, period: str, refusal: Refusal | None = None) -> str:
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
        transactions=transactions(session, shown),
        klass=klass,
        classes=[each.value for each in DiscrepancyClass],
        open_count=_count_open(session, period),
        report={"roll_forward": report.roll_forward(session, period), "payouts": report.payouts(session, period)},
        closes=_closes(session, period),
        asked=session.scalar(_asked(period)),
        roll_forward=ROLL_FORWARD,
        refusal=refusal,
        under_way=_under_way(session, period),
        suggested=_count_suggested(session, period),
        left=_left(session, period),
        sources=list(names.of(session, Source).items()),
        may_run=bool(flask.g.actor.roles & RUNS.roles),
        may_close=bool(flask.g.actor.roles & CLOSES.roles),
        me_id=flask.g.actor.id,
        older=frame.link(".month", {"period": period, "class": klass, "after": rows.next}) if rows.next else None,
        newest=frame.link(".month", {"period": period, "class": klass}) if after else None,
    )


@act(blueprint, "/month-end/<period>/runs", door=RUNS, again=month)
def run(session: Session, period: str) -> flask.Response:
    """Put a comparison in line, or all of them."""
    form = flask.request.form
    legs = [form["leg"]] if form.get("leg") else [Leg.NETWORK.value, Leg.REMITTANCE.value, Leg.PAYOUT.value]
    for leg in legs:
        source_id = form.get("source_id") or None
        asked = {"period": period, "leg": leg, "source_id": source_id if leg == Leg.NETWORK.value else None}
        report_routes.reconcile(session, forms.checked(NewRunSchema, asked))
    return forms.done(flask.url_for(".month", period=period), "It is in line, and done within a minute.")


@page(blueprint, "GET", "/month-end/<period>/close", door=CLOSES)
def close_form(session: Session, period: str, refusal: Refusal | None = None) -> str:
    """Ask once more before the month is closed."""
    periods.bounds(period)
    found = checks.of_month(session, period)
    return frame.rendered(
        session,
        "month_close.html",
        place=PLACE,
        period=period,
        checks=found,
        is_green=all(check.is_green for check in found),
        report={"roll_forward": report.roll_forward(session, period)},
        refusal=refusal,
    )


@act(blueprint, "/month-end/<period>/close", door=CLOSES, again=close_form, step_up=True)
def close(session: Session, period: str) -> flask.Response:
    """Close it."""
    report_routes.close_period(session, period)
    return forms.done(flask.url_for(".month", period=period), "The month is closed: nothing can be posted into it.")


@act(blueprint, "/month-end/<period>/reopen", door=CLOSES, again=month)
def ask_to_reopen(session: Session, period: str) -> flask.Response:
    """Ask for it to be opened again."""
    period_routes.ask_to_reopen(session, period, forms.loaded(AskedSchema))
    return forms.done(flask.url_for(".month", period=period), "Another person of finance confirms it.")


@act(blueprint, "/month-end/<period>/reopen/confirm", door=CLOSES, again=month, step_up=True)
def confirm_reopening(session: Session, period: str) -> flask.Response:
    """Open it again, as another person asked."""
    period_routes.confirm_reopening(session, period, forms.loaded(ConfirmedSchema))
    return forms.done(flask.url_for(".month", period=period), "The month is open again.")


@act(blueprint, "/month-end/<period>/reopen/withdraw", door=CLOSES, again=month)
def withdraw_reopening(session: Session, period: str) -> flask.Response:
    """Take the question back."""
    period_routes.withdraw_reopening(session, period)
    return forms.done(flask.url_for(".month", period=period), "The question is taken back.")


def _under_way(session: Session, period: str) -> list[Reconciliation]:
    statement = queries.runs(RunQuery(period=period)).where(Reconciliation.state.in_(["waiting", "running"]))
    return list(session.scalars(statement.order_by(Reconciliation.id).limit(RUNS_MAX)))


def _count_suggested(session: Session, period: str) -> int:
    query = match_queries.MatchQuery(period=period, state="suggested")
    return session.scalar(sa.select(sa.func.count()).select_from(match_queries.matches(query).subquery())) or 0


def _left(session: Session, period: str) -> list[Money]:
    """Return what the open differences of the month come to, in each currency."""
    off = sa.func.coalesce(Discrepancy.theirs_minor, 0) - sa.func.coalesce(Discrepancy.ours_minor, 0)
    currency = sa.func.coalesce(Discrepancy.ours_currency, Discrepancy.theirs_currency)
    statement = (
        sa.select(currency, sa.func.sum(off))
        .where(
            Discrepancy.period == period,
            Discrepancy.state == DiscrepancyState.OPEN,
            sa.or_(Discrepancy.ours_currency.is_(None), Discrepancy.theirs_currency.is_(None),
                   Discrepancy.ours_currency == Discrepancy.theirs_currency),
            currency.is_not(None),
        )
        .group_by(currency)
        .order_by(currency)
    )  # fmt: skip
    return [Money(int(total), code) for code, total in session.execute(statement) if total]


def _closes(session: Session, period: str) -> list[PeriodSnapshot]:
    """Return the month's snapshots, the last close first."""
    statement = sa.select(PeriodSnapshot).where(PeriodSnapshot.period == period)
    return list(session.scalars(statement.order_by(PeriodSnapshot.number.desc())))


def _asked(period: str) -> sa.Select[PeriodReopening]:
    return sa.select(PeriodReopening).where(PeriodReopening.period == period, PeriodReopening.state == "asked")


def _comparisons(session: Session, period: str) -> list[Comparison]:
    called = names.of(session, Source)
    newest: dict[tuple[str, str | None], Reconciliation] = {}
    statement = queries.runs(RunQuery(period=period)).where(Reconciliation.state == "finished")
    for run in session.scalars(statement.order_by(Reconciliation.id.desc()).limit(RUNS_MAX)):
        newest.setdefault((run.leg, run.source_id), run)
    found = [_comparison(run, called) for run in newest.values()]
    return sorted(found, key=lambda each: (each.run.leg, each.source or ""))


def _comparison(run: Reconciliation, called: dict[str, str]) -> Comparison:
    counts: dict[str, Any] = queries.shown_run(run)
    return Comparison(
        run=run,
        name=LEGS[Leg(run.leg)],
        source=called.get(run.source_id, run.source_id) if run.source_id else None,
        ours=counts["counts"].get("ours", 0),
        theirs=counts["counts"].get("theirs", 0),
        matched=counts["counts"].get("matched", 0),
        left=sum(counts["discrepancies"].values()),
    )


def transactions(session: Session, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the transaction ids of the conversions that discrepancies are about."""
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
