"""Advertisers' own lists, the second tier of checking: loaded by form, and what a comparison came to."""

import json

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.wire import PageQuery
from core.rows import existing
from partners.models import Campaign, Source
from reports import advertiser_routes as routes
from reports import mapping_text
from reports.advertiser_models import AdvertiserList
from reports.advertiser_schemas import AdvertiserListQuerySchema, NewAdvertiserListSchema
from reports.bank_routes import UPLOAD_BYTES_MAX
from web.pages import forms, frame, month_end, words
from web.pages.forms import Refusal, act
from web.pages.frame import page

blueprint = flask.Blueprint("advertiser_list_pages", __name__)
PLACE = month_end.PLACE
FILTERS = ("period", "source_id", "campaign_id", "state", "after")
ROWS_MAX = 100
REJECTED_MAX = 200
STATES = (("waiting", "Waiting"), ("done", "Done"), ("replaced", "Replaced"))
# What a person begins from: the columns' names are his to put in.
MAPPING = """transaction_id: order
amount: total
currency: =EUR
occurred_on: {column: date, format: "%Y-%m-%d", timezone: UTC}
"""


@blueprint.before_request
def _take_large_files() -> None:
    flask.request.max_content_length = UPLOAD_BYTES_MAX


@page(blueprint, "GET", "/advertiser-lists", door=routes.READS)
def lists(session: Session, refusal: Refusal | None = None) -> str:
    """Show the lists, newest first, and the form that loads one."""
    query, wanted, fault = forms.narrowed(AdvertiserListQuerySchema, FILTERS, limit=ROWS_MAX)
    found = routes.list_advertiser_lists(session, query)
    after = wanted.pop("after", None)
    return frame.rendered(
        session,
        "advertiser_lists.html",
        place=PLACE,
        rows=found.items,
        wanted=wanted,
        sources=_names(session, Source),
        campaigns=_names(session, Campaign),
        states=STATES,
        mapping=MAPPING,
        may_load=bool(flask.g.actor.roles & routes.IMPORTS.roles),
        older=frame.link(".lists", {**wanted, "after": found.next}) if found.next else None,
        newest=frame.link(".lists", wanted) if after else None,
        refusal=refusal or fault,
    )


@act(blueprint, "/advertiser-lists", door=routes.IMPORTS, again=lists)
def load(session: Session) -> flask.Response:
    """Load one; the stage of the night compares it."""
    # People write YAML, programs JSON: the door takes the latter.
    said = {
        name: json.dumps(mapping_text.read(text, field=name))
        for name in ("mapping", "statuses")
        if (text := flask.request.form.get(name, "").strip())
    }
    made = routes.import_advertiser_list(session, forms.loaded(NewAdvertiserListSchema, **said))
    told = f"{words.plural(made['lines'], 'line')} loaded, {len(made['rejected'])} not; it is compared by itself."
    return forms.done(flask.url_for(".one", list_id=made["id"]), told)


@page(blueprint, "GET", "/advertiser-lists/<list_id>", door=routes.READS)
def one(session: Session, list_id: str) -> str:
    """Show one list, what was not loaded, and what differs as it stands now."""
    existing(session, AdvertiserList, list_id)
    shown = routes.show_advertiser_list(session, list_id)
    query = PageQuery(limit=ROWS_MAX, after=frame.cursor(flask.request))
    found = routes.list_advertiser_discrepancies(session, list_id, query)
    return frame.rendered(
        session,
        "advertiser_list.html",
        place=PLACE,
        shown=shown,
        about=_names(session, Source).get(shown["source_id"]) or _names(session, Campaign).get(shown["campaign_id"]),
        rejected=shown["rejected"][:REJECTED_MAX],
        rows=found.items,
        sees_discrepancies=bool(flask.g.actor.roles & month_end.READERS.roles),
        older=frame.link(".one", {"list_id": list_id, "after": found.next}) if found.next else None,
        newest=flask.url_for(".one", list_id=list_id) if query.after else None,
    )


def _names(session: Session, table: type[Source | Campaign]) -> dict[str | None, str]:
    return {row.id: row.name for row in session.execute(sa.select(table.id, table.name).order_by(table.name))}
