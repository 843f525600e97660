"""Today: what waits for me, what came in of late, who fell silent; and the way from a search to its page."""

from dataclasses import dataclass

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from approvals import queries as approvals
from core.actors import Actor
from core.http.doors import actors
from core.money import Money
from core.runtime import installed
from ledger.models import Period
from partners.models import Affiliate, Source
from payouts.models import Batch, BatchItem, Payout
from payouts.states import BatchState, PayoutState
from postback.models import Conversion
from reports.matching import DiscrepancyState
from reports.models import Discrepancy
from tracking.models import Click
from web.pages import forms, frame, traffic, words
from web.pages.frame import page

blueprint = flask.Blueprint("today_pages", __name__)
PLACE = "/today"
SEES_AFFILIATES = {Role.FINANCE, Role.ADMIN, Role.MANAGER, Role.AUDITOR, Role.AFFILIATE_MANAGER}
_LIKE_MAX = 20


@dataclass(frozen=True)
class Waiting:
    """Something that waits for the person: where it is done, what it is, and what it comes to."""

    path: str
    what: str
    about: str
    sums: list[Money]


@page(blueprint, "GET", "/today", door=actors(*EVERYONE))
def today(session: Session) -> str:
    """Show what waits for me, and what came in."""
    now = installed().clock()
    rows = traffic.of_sources(session, now)
    return frame.rendered(
        session,
        "today.html",
        place=PLACE,
        waiting=_waiting(session, flask.g.actor),
        hours=traffic.hours(session, now),
        latency=traffic.latency(session),
        rows=rows,
        silent=[row for row in rows if row.silent_since],
        sums=_together([each for row in rows for each in row.sums]),
        sees_sources=bool(flask.g.actor.roles & {Role.ADMIN, Role.AUDITOR}),
        may_add=Role.ADMIN in flask.g.actor.roles,
    )


@page(blueprint, "GET", "/find", door=actors(*EVERYONE))
def find(session: Session) -> flask.Response | str:
    """Lead from an id, a transaction or a name to its page; show what there is where several fit."""
    wanted = flask.request.args.get("q", "").strip()[:255]
    prefixes = {"cnv": "/conversions", "pay": "/payouts", "apr": "/approvals", "bat": "/batches", "aff": "/affiliates",
                "rcp": "/receipts", "src": "/sources"}  # fmt: skip
    prefix = wanted.partition("_")[0].lower()
    if prefix in prefixes and "_" in wanted and wanted.isascii() and wanted.replace("_", "").isalnum():
        return forms.done(f"{prefixes[prefix]}/{wanted}")
    found = _conversions(session, wanted) if wanted else []
    names = _affiliates(session, wanted) if wanted and flask.g.actor.roles & SEES_AFFILIATES else []
    if len(found) == 1 and not names:
        return forms.done(f"/conversions/{found[0].id}")
    return frame.rendered(session, "find.html", place="", q=wanted, conversions=found, affiliates=names)


def _waiting(session: Session, me: Actor) -> list[Waiting]:
    found = []
    now = installed().clock()
    sums = approvals.sums_waiting_for(session, me.id, now)
    if sums:
        count = sum(number for number, _ in sums)
        found.append(
            Waiting(
                "/approvals",
                words.plural(count, "request") + " to decide",
                "They wait for you.",
                [each for _, each in sums],
            )
        )
    if Role.FINANCE in me.roles:
        found += [*_batches(session, me), *_payouts(session)]
    if me.roles & {Role.FINANCE, Role.MANAGER}:
        found += _months(session)
    held = session.scalar(sa.select(sa.func.count()).where(Conversion.hold_reason.is_not(None))) or 0
    if held and me.roles & {Role.FINANCE, Role.ADMIN, Role.MANAGER}:
        what = words.plural(held, "conversion") + " held"
        found.append(Waiting("/conversions?held=true", what, "A person decides what becomes of them.", []))
    return found


def _batches(session: Session, me: Actor) -> list[Waiting]:
    statement = (
        sa.select(Batch.id, Batch.method, Batch.currency, sa.func.sum(BatchItem.amount_minor).label("total"))
        .join(BatchItem, BatchItem.batch_id == Batch.id)
        .where(Batch.state == BatchState.BUILDING, Batch.created_by != me.id)
        .group_by(Batch.id, Batch.method, Batch.currency)
        .order_by(Batch.id)
        .limit(_LIKE_MAX)
    )
    return [
        Waiting(f"/batches/{row.id}", "A batch to release", row.method.upper(), [Money(int(row.total), row.currency)])
        for row in session.execute(statement)
    ]


def _payouts(session: Session) -> list[Waiting]:
    statement = (
        sa.select(Payout.state, Payout.currency, sa.func.count(), sa.func.sum(Payout.amount_minor))
        .where(Payout.state.in_([PayoutState.APPROVED, PayoutState.FAILED, PayoutState.RETURNED, PayoutState.UNKNOWN]))
        .group_by(Payout.state, Payout.currency)
        .order_by(Payout.state, Payout.currency)
    )
    about = {
        PayoutState.APPROVED: ("approved, in no batch yet", "Gather them."),
        PayoutState.FAILED: ("failed", "The money did not leave."),
        PayoutState.RETURNED: ("came back", "The money came back."),
        PayoutState.UNKNOWN: ("sent without an answer", "A statement or a result file says what became of them."),
    }
    by_state: dict[str, tuple[int, list[Money]]] = {}
    for state, currency, count, total in session.execute(statement):
        number, sums = by_state.get(state, (0, []))
        by_state[state] = (number + count, [*sums, Money(int(total), currency)])
    return [
        Waiting(f"/payouts?state={state}", f"{words.plural(count, 'payout')} {about[PayoutState(state)][0]}",
                about[PayoutState(state)][1], sums)
        for state, (count, sums) in by_state.items()
    ]  # fmt: skip


def _months(session: Session) -> list[Waiting]:
    closed = sa.select(Period.id).where(Period.state == "closed")
    statement = (
        sa.select(Discrepancy.period, sa.func.count().label("number"))
        .where(Discrepancy.state == DiscrepancyState.OPEN, Discrepancy.period.not_in(closed))
        .group_by(Discrepancy.period)
        .order_by(Discrepancy.period)
    )
    return [
        Waiting(
            f"/month-end/{row.period}",
            f"{words.month(row.period)}: {words.plural(row.number, 'discrepancy', 'discrepancies')} open",
            "The month closes once each is resolved or carried.",
            [],
        )
        for row in session.execute(statement)
    ]


def _conversions(session: Session, wanted: str) -> list[Conversion]:
    # By source and transaction, for so they are indexed; by the click that was found for them, not the one claimed.
    of_any = Conversion.source_id.in_(sa.select(Source.id))
    click = sa.select(Click.id).where(Click.click_id == wanted).scalar_subquery()
    found = {
        each.id: each
        for fits in (sa.and_(of_any, Conversion.transaction_id == wanted), Conversion.click_id == click)
        for each in session.scalars(sa.select(Conversion).where(fits).order_by(Conversion.id.desc()).limit(_LIKE_MAX))
    }
    return [found[id_] for id_ in sorted(found, reverse=True)][:_LIKE_MAX]


def _affiliates(session: Session, wanted: str) -> list[Affiliate]:
    statement = sa.select(Affiliate).where(Affiliate.name.icontains(wanted, autoescape=True))
    return list(session.scalars(statement.order_by(Affiliate.name).limit(_LIKE_MAX)))


def _together(sums: list[Money]) -> list[Money]:
    by_currency: dict[str, int] = {}
    for each in sums:
        by_currency[each.currency] = by_currency.get(each.currency, 0) + each.amount_minor
    return [Money(amount, currency) for currency, amount in sorted(by_currency.items())]
