"""The HTTP door of tracking."""

from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import EVERYONE, Role
from core.errors import Fault, Invalid, NotFound
from core.http.doors import OPEN, actors
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, narrowed, page
from core.http.wire import listing
from core.rows import existing
from core.runtime import installed
from partners.models import Affiliate, Campaign
from tracking import clicks
from tracking.clicks import NewClick
from tracking.destinations import filled
from tracking.models import Click
from tracking.schemas import (
    ClickQuery,
    ClickQuerySchema,
    ClickSchema,
    NewClickSchema,
    RecordedSchema,
    VisitSchema,
)

blueprint = Blueprint("tracking", __name__, description="Clicks: hand out click ids and remember where they came from.")

_READS = actors(*EVERYONE, scope="clicks:read")


@endpoint(
    blueprint, "POST", "/api/v1/clicks", door=actors(Role.ADMIN, Role.AFFILIATE_MANAGER, scope="clicks:write"),
    body=NewClickSchema, answers=RecordedSchema, status=201, creates=True,
)  # fmt: skip
def record_clicks(session: Session, body: NewClick | list[NewClick]) -> Click | dict[str, list[Click]]:
    """Record one click, or a list of up to 1,000: all of them or, with one fault in it, none."""
    if isinstance(body, list):
        return {"items": clicks.record(installed(), session, body)}
    try:
        [click] = clicks.record(installed(), session, [body])
    except Invalid as problem:
        # It was no list: its faults have no place before their field.
        raise Invalid.of(*(Fault(fault.field.removeprefix("0."), fault.reason) for fault in problem.faults)) from None
    return click


@endpoint(
    blueprint, "GET", "/api/v1/clicks", door=_READS, query=ClickQuerySchema, answers=listing(ClickSchema)
)  # fmt: skip
def list_clicks(session: Session, query: ClickQuery) -> Page[Click]:
    """List clicks, newest first."""
    wanted = (
        (Click.campaign_id, query.campaign_id),
        (Click.affiliate_id, query.affiliate_id),
        (Click.click_id, query.click_id),
    )
    return page(session, narrowed(sa.select(Click), wanted), Click.id, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/api/v1/clicks/<click_row_id>", door=_READS, answers=ClickSchema)
def show_click(session: Session, click_row_id: str) -> Click:
    """Show a click by its id."""
    return existing(session, Click, click_row_id)


@endpoint(
    blueprint, "GET", "/c/<campaign_id>/<affiliate_id>", door=OPEN, query=VisitSchema, status=302, transaction=False
)  # fmt: skip
def visit(campaign_id: str, affiliate_id: str, query: dict[str, Any]) -> flask.Response:
    """Record a visitor's click and send him on; HEAD says where to, without a click id, and records nothing."""
    runtime = installed()
    if flask.request.method == "HEAD":
        with runtime.reading() as session:
            return _redirect(
                _open_campaign(session, campaign_id, affiliate_id), {"affiliate_id": affiliate_id, **query}
            )
    with runtime.transaction() as session:
        campaign = _open_campaign(session, campaign_id, affiliate_id)
        new = NewClick(campaign_id, affiliate_id, **query, via="redirect")
        [click] = clicks.record(runtime, session, [new])
    return _redirect(campaign, {"affiliate_id": affiliate_id, "click_id": click.click_id, **query})


def _open_campaign(session: Session, campaign_id: str, affiliate_id: str) -> Campaign:
    campaign, affiliate = session.get(Campaign, campaign_id), session.get(Affiliate, affiliate_id)
    # One answer for all: the public learns nothing of campaigns that rest and affiliates we no longer work with.
    if campaign is None or campaign.state != "active" or affiliate is None or affiliate.status == "suspended":
        message = "this link leads nowhere"
        raise NotFound(message)
    return campaign


def _redirect(campaign: Campaign, values: dict[str, Any]) -> flask.Response:
    response = flask.Response(status=302)
    response.headers["Location"] = filled(campaign.destination_url, values)
    # A stored redirect would give every later visitor the first one's click id.
    response.headers["Cache-Control"] = "no-store"
    return response
