"""Payouts by state, and one payout with what it is made of, who decided it, and what a person may still do."""

from collections.abc import Iterator, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.money import Money
from partners.models import Affiliate
from payouts import queries, routes
from payouts.models import Accrual, Batch, BatchItem, Payout
from payouts.schemas import PayoutQuerySchema, ResubmissionSchema, SeenWithReasonSchema
from payouts.states import PayoutState
from reports.exports.report import amount, moment, text
from reports.exports.tables import Row
from web.pages import forms, frame, lists, names
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

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


def _cells(session: Session, some: Sequence[Payout]) -> Iterator[Row]:
    whose = names.of(session, Affiliate, [row.affiliate_id for row in some])
    for row in some:
        yield (
            row.id, row.affiliate_id, whose.get(row.affiliate_id), row.period, ", ".join(row.category_codes),
            row.amount_minor, row.currency, row.state, row.reason, row.created_at,
        )  # fmt: skip


LISTING = Listing(
    PLACE,
    "Payouts",
    Payout.id,
    (
        Head("Affiliate", lists.text(Affiliate.name)),
        Head("Month", (Payout.period,), Way.MOMENT),
        Head("Categories"),
        Head("Amount", lists.amount(Payout.amount_minor, Payout.currency), Way.AMOUNT, "money"),
        Head("State", (Payout.state,)),
    ),
    asked=lists.of_query(
        PayoutQuerySchema,
        FILTERS,
        # Left, not inner: where nothing is sorted by the name the database leaves it out.
        lambda query: queries.payouts(query).outerjoin(Affiliate, Affiliate.id == Payout.affiliate_id),
    ),
    columns=(
        text("id", "Payout"), text("affiliate_id", "Affiliate id"), text("affiliate", "Affiliate"),
        text("period", "Month"), text("categories", "Categories"), amount("amount", "Amount"),
        text("currency", "Currency"), text("state", "State"), text("reason", "Reason"), moment("created_at", "Made at"),
    ),
    cells=_cells,
)  # fmt: skip
lists.exported(blueprint, LISTING, door=routes.READERS)


@page(blueprint, "GET", LISTING.path, door=routes.READERS)
def payouts(session: Session) -> tuple[str, int]:
    """Show payouts, newest first, with the number and the sum in every state."""
    return lists.rendered(
        session,
        LISTING,
        "payouts.html",
        place=PLACE,
        totals=_totals(session),
        states=[(state.value, state.value.capitalize()) for state in PayoutState],
        about=lambda rows: {"affiliates": names.of(session, Affiliate, [row.affiliate_id for row in rows])},
    )


@page(blueprint, "GET", "/payouts/<payout_id>", door=routes.READERS)
def payout(session: Session, payout_id: str, refusal: Refusal | None = None) -> str:
    """Show one payout."""
    shown = queries.payout_detail(session, payout_id)
    affiliate_id = shown["affiliate_id"]
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
        affiliate=names.of(session, Affiliate, [affiliate_id]).get(affiliate_id, affiliate_id),
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
