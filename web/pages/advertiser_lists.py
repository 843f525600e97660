"""Advertisers' own lists, the second tier of checking: loaded by form, and what a comparison came to."""

import json
from collections.abc import Iterator, Sequence

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.wire import PageQuery
from core.rows import existing
from partners.models import Campaign, Source
from reports import advertiser_routes as routes
from reports import mapping_text
from reports.advertiser_models import AdvertiserList
from reports.advertiser_schemas import AdvertiserListQuerySchema, ListQuery, NewAdvertiserListSchema
from reports.bank_routes import UPLOAD_BYTES_MAX
from reports.exports.report import count, day, moment, text
from reports.exports.tables import Row
from web.pages import forms, frame, lists, month_end, names, words
from web.pages.forms import Refusal, act
from web.pages.frame import page
from web.pages.lists import Head, Listing, Way

blueprint = flask.Blueprint("advertiser_list_pages", __name__)
PLACE = month_end.PLACE
FILTERS = ("period", "source_id", "campaign_id", "state")
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


def _every(query: ListQuery) -> sa.Select[AdvertiserList]:
    statement = routes.every(query).outerjoin(Source, Source.id == AdvertiserList.source_id)
    return statement.outerjoin(Campaign, Campaign.id == AdvertiserList.campaign_id)


def _cells(session: Session, some: Sequence[AdvertiserList]) -> Iterator[Row]:
    called = names.of(session, Source) | names.of(session, Campaign)
    for row in some:
        each = routes.shown(row)
        yield (
            row.id, row.file_name, row.source_id, row.campaign_id, called.get(row.source_id or row.campaign_id or ""),
            row.period, row.day, row.compares, row.sample_percent, row.lines, len(row.rejected),
            sum(each["discrepancies"].values()), row.state, row.checked_at, row.imported_at, row.file_sha256,
        )  # fmt: skip


LISTING = Listing(
    "/advertiser-lists",
    "Advertisers' lists",
    AdvertiserList.id,
    (
        Head("File", lists.text(AdvertiserList.file_name)),
        Head("Of", lists.text(sa.func.coalesce(Source.name, Campaign.name))),
        Head("Lines", (AdvertiserList.lines,), Way.AMOUNT, "num"),
        # Both are counted out of what was kept of the list.
        Head("Not loaded", style="num"),
        Head("Differ", style="num"),
        Head("Compared", (sa.func.coalesce(AdvertiserList.checked_at, lists.NEVER),), Way.MOMENT),
        Head("State", (AdvertiserList.state,)),
    ),
    asked=lists.of_query(AdvertiserListQuerySchema, FILTERS, _every),
    columns=(
        text("id", "List"), text("file_name", "File"), text("source_id", "Source id"),
        text("campaign_id", "Campaign id"), text("name", "Of"), text("period", "Month"), day("day", "Day"),
        text("compares", "Compares"), count("sample_percent", "Of a hundred"), count("lines", "Lines"),
        count("rejected", "Not loaded"), count("discrepancies", "Differ"), text("state", "State"),
        moment("checked_at", "Compared at"), moment("imported_at", "Imported at"), text("file_sha256", "SHA-256"),
    ),
    cells=_cells,
)  # fmt: skip
lists.exported(blueprint, LISTING, door=routes.READS)


@page(blueprint, "GET", LISTING.path, door=routes.READS)
def every(session: Session, refusal: Refusal | None = None) -> tuple[str, int]:
    """Show the lists, newest first, and the form that loads one."""
    return lists.rendered(
        session,
        LISTING,
        "advertiser_lists.html",
        place=PLACE,
        about=lambda rows: {"rows": [routes.shown(row) for row in rows]},
        refusal=refusal,
        sources=names.of(session, Source),
        campaigns=names.of(session, Campaign),
        states=STATES,
        mapping=MAPPING,
        may_load=bool(flask.g.actor.roles & routes.IMPORTS.roles),
    )


@act(blueprint, "/advertiser-lists", door=routes.IMPORTS, again=every)
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
        about=names.of(session, Source).get(shown["source_id"])
        or names.of(session, Campaign).get(shown["campaign_id"]),
        rejected=shown["rejected"][:REJECTED_MAX],
        rows=found.items,
        sees_discrepancies=bool(flask.g.actor.roles & month_end.READERS.roles),
        older=frame.link(".one", {"list_id": list_id, "after": found.next}) if found.next else None,
        newest=flask.url_for(".one", list_id=list_id) if query.after else None,
    )
