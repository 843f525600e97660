"""Affiliates: who they are, what we owe them, and their account line by line."""

from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from core.http.doors import actors
from core.http.paging import page as page_of
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
from web.pages import forms, frame
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("affiliate_pages", __name__)
PLACE = "/affiliates"
READERS = actors(*EVERYONE)
WRITERS = actors(Role.ADMIN, Role.AFFILIATE_MANAGER)
ROWS_MAX = 100
BILLS_MAX = 20


@page(blueprint, "GET", "/affiliates", door=READERS)
def affiliates(session: Session) -> str:
    """Show affiliates, newest first, or those whose name has a text in it."""
    wanted = flask.request.args.get("name", "").strip()[:100]
    status = flask.request.args.get("status", "")
    statement = sa.select(Affiliate)
    if wanted:
        statement = statement.where(Affiliate.name.icontains(wanted, autoescape=True))
    if status in STATUSES:
        statement = statement.where(Affiliate.status == status)
    rows = page_of(session, statement, Affiliate.id, limit=ROWS_MAX, after=frame.cursor(flask.request))
    kept = {"name": wanted, "status": status if status in STATUSES else ""}
    return frame.rendered(
        session,
        "affiliates.html",
        place=PLACE,
        rows=rows.items,
        older=frame.link(".affiliates", {**kept, "after": rows.next}) if rows.next else None,
        newest=frame.link(".affiliates", kept) if flask.request.args.get("after") else None,
        wanted={name: value for name, value in kept.items() if value},
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
