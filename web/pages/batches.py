"""Batches: approved payouts gathered by one person, released by another, their file, and what came back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from core.http.paging import page as page_of
from core.money import Money
from partners.models import Affiliate
from payouts import batches as batching
from payouts import queries, releasing, routes
from payouts.formats.methods import METHODS
from payouts.models import Batch, BatchItem, BatchResult, Payout
from payouts.schemas import BatchQuerySchema, NewBatchSchema, ResultUploadSchema, SeenSchema
from payouts.states import BatchState, PayoutState
from reports.exports.report import amount, count, moment, text
from reports.exports.tables import Row
from web.pages import forms, frame, lists, names, payouts, words
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("batch_pages", __name__)
PLACE = payouts.PLACE
ROWS_MAX = 100
ITEMS_SHOWN_MAX = 500
WHY_NOT = {
    releasing.Bar.GATHERED: "You gathered it: another person of finance releases it.",
    releasing.Bar.HAS_DECIDED: "You had a say in a payout's approval: another person of finance releases it.",
}
METHOD_WORDS = {"sepa": "SEPA credit transfer", "nacha": "NACHA (ACH)", "paypal": "PayPal", "wise": "Wise"}


def _cells(session: Session, some: Sequence[Batch]) -> Iterator[Row]:
    shown = queries.batches_shown(session, some)
    emails = _emails(session, shown)
    for row, each in zip(some, shown, strict=True):
        yield (
            row.id, row.method, row.state, row.created_at, emails.get(row.created_by, row.created_by), row.released_at,
            emails.get(row.released_by or "", row.released_by), each["count"],
            lists.minor(each["sum"]), row.currency,
        )  # fmt: skip


_ITEMS = sa.select(sa.func.count()).where(BatchItem.batch_id == Batch.id).scalar_subquery()
_SUM = (
    # PostgreSQL sums bigints to numeric.
    sa.select(sa.cast(sa.func.sum(BatchItem.amount_minor), sa.BigInteger))
    .where(BatchItem.batch_id == Batch.id)
    .scalar_subquery()
)
LISTING = Listing(
    "/batches",
    "Batches",
    Batch.id,
    (
        Head("Batch", (Batch.method,)),
        Head("Gathered", (Batch.id,), Way.MOMENT),
        Head("Released", (sa.func.coalesce(Batch.released_at, lists.NEVER),), Way.MOMENT),
        Head("Payouts", (lists.or_least(_ITEMS),), Way.AMOUNT, "num"),
        Head("Sum", lists.amount(_SUM, Batch.currency), Way.AMOUNT, "money"),
        Head("State", (Batch.state,)),
    ),
    asked=lists.of_query(BatchQuerySchema, ("state", "method", "currency"), queries.batches),
    columns=(
        text("id", "Batch"), text("method", "Method"), text("state", "State"), moment("created_at", "Gathered at"),
        text("created_by", "Gathered by"), moment("released_at", "Released at"), text("released_by", "Released by"),
        count("payouts", "Payouts"), amount("sum", "Sum"), text("currency", "Currency"),
    ),
    cells=_cells,
    newest="gathered",
)  # fmt: skip
lists.exported(blueprint, LISTING, door=routes.READERS)


@page(blueprint, "GET", LISTING.path, door=routes.READERS)
def batches(session: Session) -> tuple[str, int]:
    """Show batches, newest first."""
    return lists.rendered(
        session,
        LISTING,
        "batches.html",
        place=PLACE,
        about=lambda rows: _about(session, rows),
        methods=METHOD_WORDS,
        states=[(state.value, state.value.capitalize()) for state in BatchState],
        waiting=_waiting(session),
        may_gather=bool(flask.g.actor.roles & routes.FINANCE.roles),
    )


@page(blueprint, "GET", "/batches/new", door=routes.FINANCE)
def new(session: Session, refusal: Refusal | None = None) -> str:
    """Choose what leaves together: a method, a currency, and the approved payouts in it."""
    currency = flask.request.values.get("currency", "")
    waiting = _waiting(session)
    if currency not in {each.currency for _, each in waiting}:
        currency = waiting[0][1].currency if waiting else ""
    statement = (
        sa.select(Payout)
        .where(Payout.state == PayoutState.APPROVED, Payout.currency == currency)
        .order_by(Payout.id)
        .limit(ITEMS_SHOWN_MAX + 1)
    )
    rows = list(session.scalars(statement))
    return frame.rendered(
        session,
        "batch_new.html",
        place=PLACE,
        waiting=waiting,
        currency=currency,
        rows=rows[:ITEMS_SHOWN_MAX],
        is_more=len(rows) > ITEMS_SHOWN_MAX,
        affiliates=names.of(session, Affiliate, [row.affiliate_id for row in rows]),
        methods=[(name, METHOD_WORDS.get(name, name.capitalize())) for name in METHODS],
        formats=sorted({form for method in METHODS.values() for form in method.writers}),
        refusal=refusal,
    )


@act(blueprint, "/batches", door=routes.FINANCE, again=new)
def gather(session: Session) -> flask.Response:
    """Gather them."""
    made = routes.create_batch(session, forms.loaded(NewBatchSchema))
    said = f"{words.plural(made['count'], 'payout is', 'payouts are')} gathered; another person releases the batch."
    return forms.done(flask.url_for(".batch", batch_id=made["id"]), said)


@page(blueprint, "GET", "/batches/<batch_id>", door=routes.READERS)
def batch(session: Session, batch_id: str, refusal: Refusal | None = None) -> str:
    """Show one batch with its payouts and what came back about them."""
    return _rendered(session, batch_id, "batch.html", refusal)


@page(blueprint, "GET", "/batches/<batch_id>/release", door=routes.FINANCE)
def release(session: Session, batch_id: str, refusal: Refusal | None = None) -> str:
    """Ask once more before money leaves: what goes where, in digits and in words."""
    return _rendered(session, batch_id, "batch_release.html", refusal)


@act(blueprint, "/batches/<batch_id>/release", door=routes.FINANCE, again=release, step_up=True)
def let_go(session: Session, batch_id: str) -> flask.Response:
    """Write the payment file and let the payouts go."""
    routes.release_batch(session, batch_id, forms.loaded(SeenSchema))
    return forms.done(flask.url_for(".batch", batch_id=batch_id), "The batch is released: download its file.")


@act(blueprint, "/batches/<batch_id>/cancel", door=routes.FINANCE, again=batch)
def give_up(session: Session, batch_id: str) -> flask.Response:
    """Give it up before it is released."""
    routes.cancel_batch(session, batch_id, forms.loaded(SeenSchema))
    return forms.done(flask.url_for(".batch", batch_id=batch_id), "The batch is given up; its payouts wait anew.")


@act(blueprint, "/batches/<batch_id>/results", door=routes.FINANCE, again=batch)
def results(session: Session, batch_id: str) -> flask.Response:
    """Apply a file that came back."""
    done = routes.receive_results(session, batch_id, forms.loaded(ResultUploadSchema))
    said = ", ".join(f"{count} {word}" for word, count in done.counts.items()) or "nothing new"
    return forms.done(flask.url_for(".batch", batch_id=batch_id), f"The file was applied: {said}.")


def _rendered(session: Session, batch_id: str, template: str, refusal: Refusal | None) -> str:
    found = batching.by_id(session, batch_id)
    shown = queries.batch_detail(session, found)
    answers = sa.select(BatchResult).options(sa.orm.defer(BatchResult.content)).where(BatchResult.batch_id == batch_id)
    answered = page_of(session, answers, BatchResult.id, limit=ROWS_MAX, after=None).items
    ids = [item["payout_id"] for item in shown["items"][:ITEMS_SHOWN_MAX]]
    whose = {
        row.id: row.name
        for row in session.execute(
            sa.select(Payout.id, Affiliate.name)
            .join(Affiliate, Affiliate.id == Payout.affiliate_id)
            .where(Payout.id.in_(ids))
        )
    }
    me = flask.g.actor
    is_finance = bool(me.roles & routes.FINANCE.roles)
    is_gathered = found.state == BatchState.BUILDING
    parts = releasing.parts_in(session, found) if is_gathered else None
    bar = parts.bar_of(me.id) if parts else None
    return frame.rendered(
        session,
        template,
        place=PLACE,
        shown=shown,
        items=shown["items"][:ITEMS_SHOWN_MAX],
        whose=whose,
        answers=answered,
        emails=_emails(session, [shown]),
        methods=METHOD_WORDS,
        readers=sorted(METHODS[found.method].readers),
        is_gathered=is_gathered,
        may_release=is_finance and bar is None,
        why_not=_why_not(bar, is_finance=is_finance),
        releasers=_releasers(session, parts) if parts else [],
        is_finance=is_finance,
        may_have_file=bool(me.roles & routes.FILE_READERS.roles),
        refusal=refusal,
    )


def _why_not(bar: releasing.Bar | None, *, is_finance: bool) -> str | None:
    if not is_finance:
        return "Your roles release no batch: a person of finance does."
    return WHY_NOT[bar] if bar else None


def _releasers(session: Session, parts: releasing.Parts) -> list[str]:
    """Return the addresses of all who may release the batch now, in the order they came."""
    return [
        staff.email
        for staff in people.enabled(session)
        if people.actor_of(staff).roles & routes.FINANCE.roles and parts.bar_of(staff.id) is None
    ]


def _about(session: Session, rows: list[Batch]) -> dict[str, Any]:
    shown = queries.batches_shown(session, rows)
    return {"rows": shown, "emails": _emails(session, shown)}


def _waiting(session: Session) -> list[tuple[int, Money]]:
    statement = (
        sa.select(Payout.currency, sa.func.count(), sa.func.sum(Payout.amount_minor))
        .where(Payout.state == PayoutState.APPROVED)
        .group_by(Payout.currency)
        .order_by(Payout.currency)
    )
    return [(count, Money(int(total), currency)) for currency, count, total in session.execute(statement)]


def _emails(session: Session, shown: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    ids = [each[name] for each in shown for name in ("created_by", "released_by") if each[name]]
    return people.emails(session, ids)
