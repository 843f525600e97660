"""Payouts by state, and one payout with what it is made of, who decided it, and what a person may still do."""

from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.paging import page as page_of
from core.money import Money
from partners.models import Affiliate
from payouts import queries, routes
from payouts.models import Accrual, Batch, BatchItem, Payout
from payouts.schemas import PayoutQuerySchema, ResubmissionSchema, SeenWithReasonSchema
from payouts.states import PayoutState
from web.pages import forms, frame
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("payout_pages", __name__)
PLACE = "/payouts"
FILTERS = ("state", "affiliate_id", "period")
ROWS_MAX = 100
# What a person may do with a payout that stands in a state, beside deciding and gathering it.
ACTS = {
    PayoutState.FAILED: ("retry", "cancel"),
    PayoutState.RETURNED: ("retry", "cancel"),
    PayoutState.APPROVED: ("cancel",),
    PayoutState.REJECTED: ("resubmit",),
}


@page(blueprint, "GET", "/payouts", door=routes.READERS)
def payouts(session: Session) -> str | tuple[str, int]:
    """Show payouts, newest first, with the number and the sum in every state."""
    found, wanted, refusal = forms.narrowed(PayoutQuerySchema, FILTERS, limit=ROWS_MAX)
    rows = page_of(session, queries.payouts(found), Payout.id, limit=ROWS_MAX, after=frame.cursor(flask.request))
    body = frame.rendered(
        session,
        "payouts.html",
        place=PLACE,
        rows=rows.items,
        older=frame.link(".payouts", {**wanted, "after": rows.next}) if rows.next else None,
        newest=frame.link(".payouts", wanted) if flask.request.args.get("after") else None,
        wanted=wanted,
        refusal=refusal,
        totals=_totals(session),
        states=[(state.value, state.value.capitalize()) for state in PayoutState],
        affiliates=names(session, [row.affiliate_id for row in rows.items]),
    )
    return (body, 422) if refusal else body


@page(blueprint, "GET", "/payouts/<payout_id>", door=routes.READERS)
def payout(session: Session, payout_id: str, refusal: Refusal | None = None) -> str:
    """Show one payout."""
    shown = queries.payout_detail(session, payout_id)
    batches = session.execute(
        sa.select(Batch.id, Batch.method, Batch.state, BatchItem.state.label("item"), BatchItem.reason)
        .join(BatchItem, BatchItem.batch_id == Batch.id)
        .where(BatchItem.payout_id == payout_id)
        .order_by(Batch.id)
    ).all()
    may_act = bool(flask.g.actor.roles & routes.FINANCE.roles)
    return frame.rendered(
        session,
        "payout.html",
        place=PLACE,
        shown=shown,
        affiliate=names(session, [shown["affiliate_id"]]).get(shown["affiliate_id"], shown["affiliate_id"]),
        parts=_parts(session, shown["accrual_ids"]),
        batches=batches,
        acts=ACTS.get(PayoutState(shown["state"]), ()) if may_act else (),
        refusal=refusal,
    )


@act(blueprint, "/payouts/<payout_id>/retry", door=routes.FINANCE, again=payout)
def retry(session: Session, payout_id: str) -> flask.Response:
    """Let it be gathered again."""
    routes.retry_payout(session, payout_id, forms.loaded(SeenWithReasonSchema))
    return forms.done(flask.url_for(".payout", payout_id=payout_id), "It waits for a batch again.")


@act(blueprint, "/payouts/<payout_id>/cancel", door=routes.FINANCE, again=payout)
def cancel(session: Session, payout_id: str) -> flask.Response:
    """Give it up."""
    routes.cancel_payout(session, payout_id, forms.loaded(SeenWithReasonSchema))
    return forms.done(flask.url_for(".payout", payout_id=payout_id), "It is given up; what it paid waits anew.")


@act(blueprint, "/payouts/<payout_id>/resubmit", door=routes.FINANCE, again=payout)
def resubmit(session: Session, payout_id: str) -> flask.Response:
    """Ask anew about a rejected one."""
    routes.resubmit_payout(session, payout_id, forms.loaded(ResubmissionSchema))
    return forms.done(flask.url_for(".payout", payout_id=payout_id), "It is asked about anew.")


def names(session: Session, ids: list[str]) -> dict[str, str]:
    """Return the names of affiliates by their ids."""
    found = session.execute(sa.select(Affiliate.id, Affiliate.name).where(Affiliate.id.in_(set(ids))))
    return {row.id: row.name for row in found}


def _totals(session: Session) -> list[tuple[str, int, list[Money]]]:
    statement = (
        sa.select(Payout.state, Payout.currency, sa.func.count(), sa.func.sum(Payout.amount_minor))
        .group_by(Payout.state, Payout.currency)
        .order_by(Payout.currency)
    )
    by_state: dict[str, tuple[int, list[Money]]] = {}
    for state, currency, count, total in session.execute(statement):
        number, sums = by_state.get(state, (0, []))
        by_state[state] = (number + count, [*sums, Money(int(total), currency)])
    return [(state.value, *by_state[state.value]) for state in PayoutState if state.value in by_state]


def _parts(session: Session, accrual_ids: list[str]) -> list[Any]:
    statement = (
        sa.select(Accrual.id, Accrual.conversion_id, Accrual.kind, Accrual.category_code, Accrual.amount_minor,
                  Accrual.currency, Accrual.period)
        .where(Accrual.id.in_(accrual_ids[:ROWS_MAX]))
        .order_by(Accrual.id)
    )  # fmt: skip
    return list(session.execute(statement))
