"""Beside one decision: many at once, comments, and who decides for whom."""

from datetime import UTC, datetime
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import people
from access.models import Staff
from approvals import queries, routes, rules_routes
from approvals.deciders import DECIDING_ROLES
from approvals.deciding import RequestState
from approvals.policy_schemas import DelegationQuery, NewDelegationSchema
from approvals.schemas import BulkDecisionSchema, NewCommentSchema
from core.errors import Fault, Invalid
from core.http.wire import moment_text
from core.money import Money
from web.pages import approvals, forms, frame, words
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("approval_act_pages", __name__)
PLACE = approvals.PLACE
IDS_MAX = 100
LISTED_MAX = 200


@page(blueprint, "GET", "/approvals/review", door=routes.DECIDERS)
def review(session: Session, refusal: Refusal | None = None) -> str:
    """Show what was ticked, how many and what they come to, before they are decided."""
    ids = flask.request.values.getlist("ids[]")[:IDS_MAX]
    found = [queries.one(session, each) for each in dict.fromkeys(ids)]
    shown = [each for each in found if each.state == RequestState.OPEN]
    flagged = [each for each in shown if words.warnings_of(each.facts)]
    return frame.rendered(
        session,
        "approvals_review.html",
        place=PLACE,
        rows=[each for each in shown if each not in flagged],
        flagged=flagged,
        sums=_sums([each.money for each in shown if each not in flagged]),
        refusal=refusal,
    )


@act(blueprint, "/approvals/review", door=routes.DECIDERS, again=review)
def decide_many(session: Session) -> flask.Response:
    """Decide all of them, each by itself; 409 when they are not what the person saw."""
    form = forms.nested(flask.request.form)
    sums = [{"amount": each.partition(" ")[0], "currency": each.partition(" ")[2]} for each in form.get("sums", [])]
    count = str(form.get("count", ""))
    values = form | {"sums": sums, "count": int(count) if count.isdecimal() else count}
    results: Any = routes.decide_many(session, forms.checked(BulkDecisionSchema, values))["results"]
    refused = [each for each in results if each.refused is not None]
    said = f"{len(results) - len(refused)} decided."
    if refused:
        why = "; ".join(sorted({each.detail or str(each.refused) for each in refused}))
        said += f" {len(refused)} not: {why}."
    return forms.done(flask.url_for("approval_pages.approvals"), said)


def _again(session: Session, request_id: str, refusal: Refusal) -> str:
    notice = approvals.Notice("bad", refusal.heading, tuple(refusal.lines))
    return approvals.detail(session, request_id, notice)


@act(
    blueprint,
    "/approvals/<request_id>/comments",
    door=routes.DECIDERS,
    again=_again,
)
def comment(session: Session, request_id: str) -> flask.Response:
    """Say something about a request."""
    routes.comment(session, request_id, forms.loaded(NewCommentSchema))
    return forms.done(flask.url_for("approval_pages.approval", request_id=request_id), "The comment stands.")


@page(blueprint, "GET", "/delegations", door=routes.DECIDERS)
def delegations(session: Session, refusal: Refusal | None = None) -> str:
    """Show who decides for whom, and ask whom I want to decide for me."""
    found = rules_routes.list_delegations(session, DelegationQuery(limit=LISTED_MAX))
    me = flask.g.actor
    staff = session.execute(sa.select(Staff.id, Staff.email, Staff.roles).where(Staff.disabled_at.is_(None)))
    return frame.rendered(
        session,
        "delegations.html",
        place=PLACE,
        rows=found.items,
        emails=people.emails(session, [id_ for each in found.items for id_ in (each.from_id, each.to_id)]),
        staff=[(row.id, row.email) for row in staff if row.id != me.id and set(DECIDING_ROLES) & set(row.roles)],
        me_id=me.id,
        refusal=refusal,
    )


@act(blueprint, "/delegations", door=routes.DECIDERS, again=delegations)
def delegate(session: Session) -> flask.Response:
    """Have another person decide for me for a while."""
    form = forms.nested(flask.request.form)
    values: dict[str, Any] = {name: form[name] for name in ("to_id", "reason", "kind") if name in form}
    for name, field in (("starts_on", "starts_at"), ("ends_on", "ends_at")):
        values[field] = _moment(form.get(name, ""), name)
    rules_routes.delegate(session, forms.checked(NewDelegationSchema, values))
    return forms.done(flask.url_for(".delegations"), "It is said who decides for you.")


@act(
    blueprint,
    "/delegations/<delegation_id>/revoke",
    door=routes.DECIDERS,
    again=lambda session, refusal, **_: delegations(session, refusal),
)
def revoke(session: Session, delegation_id: str) -> flask.Response:
    """Take it back."""
    rules_routes.revoke_delegation(session, delegation_id)
    return forms.done(flask.url_for(".delegations"), "You decide yourself again.")


def _moment(text: str, field: str) -> str:
    try:
        return moment_text(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC))
    except ValueError:
        raise Invalid.of(Fault(field, "takes a day, such as 2026-11-30")) from None


def _sums(found: list[Money]) -> list[Money]:
    by_currency: dict[str, int] = {}
    for each in found:
        by_currency[each.currency] = by_currency.get(each.currency, 0) + each.amount_minor
    return [Money(amount, currency) for currency, amount in sorted(by_currency.items())]
