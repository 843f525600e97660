"""The HTTP door of what we owe an affiliate: balance, statement, self-billing documents."""

from collections.abc import Iterator, Mapping
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from access.roles import EVERYONE
from core import rows
from core.http.doors import actors
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, narrowed, page
from core.http.wire import listing, money_dict
from core.money import Money
from core.runtime import installed
from payouts import balances
from payouts.account_schemas import (
    BalancesSchema,
    SelfBillQuery,
    SelfBillQuerySchema,
    SelfBillSchema,
    StatementQuerySchema,
    StatementSchema,
)
from payouts.balances import StatementQuery
from payouts.models import SelfBill
from payouts.routes import READERS, attachment

blueprint = Blueprint(
    "affiliate-accounts",
    __name__,
    url_prefix="/api/v1",
    description="What we owe an affiliate, and what we said of it.",
)
_READS = actors(*EVERYONE, scope="payouts:read")


@endpoint(blueprint, "GET", "/affiliates/<affiliate_id>/balance", door=_READS, answers=BalancesSchema)
def affiliate_balance(session: Session, affiliate_id: str) -> Mapping[str, Any]:
    """Show what one affiliate has earned in each currency, and where it stands."""
    found = balances.balances(session, affiliate_id, today=installed().clock().date())
    return {"affiliate_id": affiliate_id, "balances": [balance.shown() for balance in found]}


@endpoint(
    blueprint, "GET", "/affiliates/<affiliate_id>/statement",
    door=_READS, query=StatementQuerySchema, answers=StatementSchema,
)  # fmt: skip
def affiliate_statement(session: Session, affiliate_id: str, query: StatementQuery) -> Mapping[str, Any]:
    """Show one affiliate's account, oldest line first: the opening balance, lines, the closing balance."""
    period = balances.period_of(session, affiliate_id, query)
    return balances.statement(session, period, limit=query.limit, after=query.after)


@endpoint(
    blueprint, "GET", "/affiliates/<affiliate_id>/statement.csv",
    door=_READS, query=StatementQuerySchema, content_type="text/csv", transaction=False,
)  # fmt: skip
def affiliate_statement_csv(affiliate_id: str, query: StatementQuery) -> flask.Response:
    """Answer the whole statement as CSV."""
    runtime = installed()
    with runtime.reading() as session:
        balances.period_of(session, affiliate_id, query)

    def streamed() -> Iterator[str]:
        with runtime.reading() as session:
            yield from balances.comma_separated(session, balances.period_of(session, affiliate_id, query))

    response = flask.Response(streamed(), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="statement-{affiliate_id}.csv"'
    return response


@endpoint(blueprint, "GET", "/self-bills", door=READERS, query=SelfBillQuerySchema, answers=listing(SelfBillSchema))
def list_self_bills(session: Session, query: SelfBillQuery) -> Page[Mapping[str, Any]]:
    """List self-billing documents, newest first."""
    wanted = ((SelfBill.affiliate_id, query.affiliate_id), (SelfBill.year, query.year))
    statement = narrowed(sa.select(SelfBill), wanted).options(defer(SelfBill.file))
    found = page(session, statement, SelfBill.id, limit=query.limit, after=query.after)
    return Page([_shown(issued) for issued in found.items], found.next)


@endpoint(blueprint, "GET", "/self-bills/<self_bill_id>/file", door=READERS, content_type="application/pdf")
def self_bill_file(session: Session, self_bill_id: str) -> flask.Response:
    """Answer a document as it was issued, also one that was corrected since."""
    issued = rows.existing(session, SelfBill, self_bill_id)
    return attachment(issued.file, "application/pdf", f"{issued.content['number']}.pdf")


def _shown(issued: SelfBill) -> Mapping[str, Any]:
    content = issued.content
    return {
        "id": issued.id,
        "payout_id": issued.payout_id,
        "affiliate_id": issued.affiliate_id,
        "number": content["number"],
        "title": content["title"],
        "corrects": content["corrects"],
        "total": money_dict(Money(content["total_minor"], content["currency"])),
        "sha256": issued.sha256,
        "issued_at": issued.issued_at,
    }
