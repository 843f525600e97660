"""The HTTP door of advertisers' own lists, the second tier of checking conversions."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core import rows
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, narrowed, page
from core.http.wire import PageQuery, PageQuerySchema, listing
from core.runtime import installed
from reports import advertiser_lists, queries
from reports.advertiser_lists import Wanted
from reports.advertiser_models import AdvertiserList
from reports.advertiser_schemas import (
    AdvertiserDiscrepancySchema,
    AdvertiserListQuerySchema,
    AdvertiserListSchema,
    ListQuery,
    NewAdvertiserListSchema,
    NewList,
)
from reports.imports import Upload
from reports.matching import DiscrepancyState
from reports.models import Discrepancy

blueprint = Blueprint(
    "advertiser-lists",
    __name__,
    url_prefix="/api/v1",
    description="What advertisers and CRMs say was sold, beside our conversions.",
)
IMPORTS = actors(Role.FINANCE, Role.AFFILIATE_MANAGER, scope="statements:write")
READS = actors(Role.FINANCE, Role.MANAGER, Role.AFFILIATE_MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")


@endpoint(
    blueprint, "POST", "/advertiser-lists", door=IMPORTS, multipart=NewAdvertiserListSchema,
    answers=AdvertiserListSchema, status=201, creates=True,
)  # fmt: skip
def import_advertiser_list(session: Session, body: NewList) -> dict[str, Any]:
    """Load a list of a source or campaign, of a month or a day; the stage two-tier compares it every night."""
    upload = Upload(body.file.filename or "unnamed", body.file.stream, current_actor())
    wanted = Wanted(
        mapping=body.mapping,
        statuses=body.statuses,
        source_id=body.source_id,
        campaign_id=body.campaign_id,
        period=body.period,
        day=body.day,
        compares=body.compares,
        seed=body.seed,
        sample_percent=body.sample_percent,
    )
    return shown(advertiser_lists.load(installed(), session, upload, wanted))


@endpoint(
    blueprint, "GET", "/advertiser-lists", door=READS, query=AdvertiserListQuerySchema,
    answers=listing(AdvertiserListSchema),
)  # fmt: skip
def list_advertiser_lists(session: Session, query: ListQuery) -> Page[dict[str, Any]]:
    """List the lists, newest first, with the counts of their last comparison."""
    found = page(session, every(query), AdvertiserList.id, limit=query.limit, after=query.after)
    return Page([shown(each) for each in found.items], found.next)


@endpoint(blueprint, "GET", "/advertiser-lists/<list_id>", door=READS, answers=AdvertiserListSchema)
def show_advertiser_list(session: Session, list_id: str) -> dict[str, Any]:
    """Show one list."""
    return shown(rows.existing(session, AdvertiserList, list_id))


@endpoint(
    blueprint, "GET", "/advertiser-lists/<list_id>/discrepancies", door=READS, query=PageQuerySchema,
    answers=listing(AdvertiserDiscrepancySchema),
)  # fmt: skip
def list_advertiser_discrepancies(session: Session, list_id: str, query: PageQuery) -> Page[dict[str, Any]]:
    """List what differs, as it stands now; nothing of it was corrected."""
    about = rows.existing(session, AdvertiserList, list_id)
    statement = sa.select(Discrepancy).where(
        Discrepancy.reconciliation_id == about.reconciliation_id, Discrepancy.state != DiscrepancyState.GONE
    )
    found = page(session, statement, Discrepancy.id, limit=query.limit, after=query.after)
    return Page(queries.shown_discrepancies(session, found.items), found.next)


def every(query: ListQuery) -> sa.Select[AdvertiserList]:
    """Return the statement for the lists `query` asks for."""
    wanted = (
        (AdvertiserList.source_id, query.source_id),
        (AdvertiserList.campaign_id, query.campaign_id),
        (AdvertiserList.period, query.period),
        (AdvertiserList.state, query.state),
    )
    return narrowed(sa.select(AdvertiserList), wanted)


def shown(found: AdvertiserList) -> dict[str, Any]:
    """Return a list as it travels."""
    plain = {
        name: getattr(found, name) for name in AdvertiserListSchema().fields if name not in {"counts", "discrepancies"}
    }
    counts = {name: number for name, number in found.counts.items() if name != "discrepancies"}
    return plain | {"counts": counts, "discrepancies": found.counts.get("discrepancies", {})}
