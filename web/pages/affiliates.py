"""Affiliates: who they are, what we owe them, and their account line by line."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flask
import marshmallow as ma
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from core.http.doors import actors
from core.http.paging import narrowed
from core.money import Money
from core.rows import existing
from partners import routes
from partners.affiliates import STATUSES, payee_shown
from partners.models import Affiliate
from partners.schemas import AffiliateChangeSchema, NewAffiliateSchema
from partners.tax import CYCLES
from payouts import account_routes
from payouts.account_schemas import StatementQuerySchema
from payouts.models import SelfBill
from reports.exports.report import amount, count, moment, text
from reports.exports.tables import Row
from web.pages import forms, frame, lists
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing

blueprint = flask.Blueprint("affiliate_pages", __name__)
PLACE = "/affiliates"
READERS = actors(*EVERYONE)
WRITERS = actors(Role.ADMIN, Role.AFFILIATE_MANAGER)
ROWS_MAX = 100
BILLS_MAX = 20


class _FilterSchema(ma.Schema):
    """The filters of the list: whose name has a text in it, of one status."""

    name = ma.fields.String()
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))


def _every(wanted: Mapping[str, str]) -> sa.Select[Affiliate]:
    statement = narrowed(sa.select(Affiliate), [(Affiliate.status, wanted.get("status"))])
    text_of_name = wanted.get("name", "").strip()
    return statement.where(Affiliate.name.icontains(text_of_name, autoescape=True)) if text_of_name else statement


def _cells(session: Session, some: Sequence[Affiliate]) -> Iterator[Row]:  # noqa: ARG001 - lists hand it to all
    for row in some:
        payee = payee_shown(row) or {}
        yield (
            row.id, row.name, row.status, row.currency, row.payee_kind if row.payee_name else None, row.payee_name,
            payee.get("iban") or payee.get("account"), row.payment_cycle, row.hold_days, row.minimum_payout_minor,
            row.created_at,
        )  # fmt: skip


LISTING = Listing(
    PLACE,
    "Affiliates",
    Affiliate.id,
    (
        Head("Affiliate", lists.text(Affiliate.name)),
        Head("Status", (Affiliate.status,)),
        Head("Currency", (Affiliate.currency,)),
        Head("Paid to", (sa.func.coalesce(Affiliate.payee_name, ""), Affiliate.payee_kind)),
        Head("Cycle", (Affiliate.payment_cycle,)),
    ),
    asked=lists.of_query(_FilterSchema, ("name", "status"), _every),
    columns=(
        text("id", "Affiliate id"), text("name", "Affiliate"), text("status", "Status"), text("currency", "Currency"),
        text("payee_kind", "Paid by"), text("payee_name", "Paid to"), text("payee_account", "Account, its ends"),
        text("payment_cycle", "Cycle"), count("hold_days", "Days of hold"), amount("minimum_payout", "Least payout"),
        moment("created_at", "Since"),
    ),
    cells=_cells,
)  # fmt: skip
lists.exported(blueprint, LISTING, door=READERS)


@page(blueprint, "GET", LISTING.path, door=READERS)
def affiliates(session: Session) -> tuple[str, int]:
    """Show affiliates, newest first, or those whose name has a text in it."""
    return lists.rendered(
        session,
        LISTING,
        "affiliates.html",
        place=PLACE,
        statuses=[(each, each.capitalize()) for each in STATUSES],
        may_add=bool(flask.g.actor.roles & WRITERS.roles),
    )


@page(blueprint, "GET", "/affiliates/new", door=WRITERS)
def new(session: Session, refusal: Refusal | None = None) -> str:
    """Ask who is to be added."""
    return frame.rendered(session, "affiliate_new.html", place=PLACE, cycles=CYCLES, refusal=refusal)


@act(blueprint, "/affiliates", door=WRITERS, again=new)
def create(session: Session) -> flask.Response:
    """Add one."""
    made = routes.create_affiliate(session, forms.loaded(NewAffiliateSchema))
    session.flush()
    return forms.done(flask.url_for(".affiliate", affiliate_id=made.id), "The affiliate is added.")


@page(blueprint, "GET", "/affiliates/<affiliate_id>", door=READERS)
def affiliate(session: Session, affiliate_id: str, refusal: Refusal | None = None) -> str:
    """Show one affiliate: balances per currency, and the account of one of them."""
    found = existing(session, Affiliate, affiliate_id)
    balances = account_routes.affiliate_balance(session, affiliate_id)["balances"]
    currency = flask.request.args.get("currency") or found.currency
    known = {balance["currency"] for balance in balances}
    statement: Any = None
    if currency in known:
        asked = {"currency": currency, "limit": ROWS_MAX}
        query = StatementQuerySchema().load(asked | {"after": frame.cursor(flask.request)})
        statement = account_routes.affiliate_statement(session, affiliate_id, query)
    bills = sa.select(SelfBill).options(sa.orm.defer(SelfBill.file)).where(SelfBill.affiliate_id == affiliate_id)
    return frame.rendered(
        session,
        "affiliate.html",
        place=PLACE,
        affiliate=found,
        payee=payee_shown(found),
        minimum=Money(found.minimum_payout_minor, found.currency),
        balances=balances,
        currency=currency,
        statement=statement,
        older=frame.link(".affiliate", {"affiliate_id": affiliate_id, "currency": currency, "after": statement["next"]})
        if statement and statement["next"]
        else None,
        newest=frame.link(".affiliate", {"affiliate_id": affiliate_id, "currency": currency})
        if flask.request.args.get("after")
        else None,
        bills=list(session.scalars(bills.order_by(SelfBill.id.desc()).limit(BILLS_MAX))),
        may_change=bool(flask.g.actor.roles & WRITERS.roles),
        statuses=[(each, each.capitalize()) for each in STATUSES],
        refusal=refusal,
    )


@act(blueprint, "/affiliates/<affiliate_id>", door=WRITERS, again=affiliate)
def change(session: Session, affiliate_id: str) -> flask.Response:
    """Change what may change of one."""
    routes.change_affiliate(session, affiliate_id, forms.loaded(AffiliateChangeSchema))
    return forms.done(flask.url_for(".affiliate", affiliate_id=affiliate_id), "The affiliate is changed.")
