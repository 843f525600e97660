"""The HTTP door of closed months: snapshots, whether they still hold, what two of them differ in, opening again."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from core import csv_text
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import (
    NumberedPageQuery,
    NumberedPageQuerySchema,
    PageQuery,
    PageQuerySchema,
    listing,
)
from core.runtime import installed
from ledger import periods
from reports import comparing_closes, differing, reopening, verifying
from reports.period_models import PeriodReopening, PeriodSnapshot
from reports.period_schemas import (
    Asked,
    AskedSchema,
    Confirmed,
    ConfirmedSchema,
    DifferenceQuery,
    DifferenceQuerySchema,
    DifferencesSchema,
    ReopeningSchema,
    SnapshotSchema,
    VerifiedCloseSchema,
)
from reports.verifying import Verified

blueprint = Blueprint(
    "closed-months",
    __name__,
    url_prefix="/api/v1",
    description="What was closed, whether it still holds, and opening a month again.",
)

_READS = actors(Role.FINANCE, Role.MANAGER, Role.AUDITOR, Role.ADMIN, scope="reports:read")
_REOPENS = actors(Role.FINANCE)


@endpoint(
    blueprint, "GET", "/periods/<period>/snapshots", door=_READS, query=NumberedPageQuerySchema,
    answers=listing(SnapshotSchema),
)  # fmt: skip
def list_snapshots(session: Session, period: str, query: NumberedPageQuery) -> Page[PeriodSnapshot]:
    """List what the closes of a month kept, the last close first."""
    periods.bounds(period)
    statement = sa.select(PeriodSnapshot).where(PeriodSnapshot.period == period)
    return page(session, statement, PeriodSnapshot.number, limit=query.limit, after=query.after)


@endpoint(
    blueprint, "GET", "/periods/<period>/snapshots/<int:number>/verification", door=_READS, answers=VerifiedCloseSchema
)  # fmt: skip
def verify_snapshot(session: Session, period: str, number: int) -> dict[str, Any]:
    """Read the month anew and say whether its digest comes out again, or what differs (the first hundred rows)."""
    return shown_verified(verifying.verify(session, period, number))


@endpoint(blueprint, "GET", "/periods/<period>/differences", door=_READS, query=DifferenceQuerySchema,
          answers=DifferencesSchema, transaction=False)  # fmt: skip
def show_differences(period: str, query: DifferenceQuery) -> Any:
    """Show what changed between two closes of a month: counts and sums of every kind, and the rows; or all as CSV."""
    periods.bounds(period)
    with installed().reading() as session:
        compared = comparing_closes.of_snapshots(session, period, query.first, query.second)
        if query.format == "json":
            return comparing_closes.shown(session, compared, limit=query.limit, after=query.after)

    def streamed() -> Iterator[str]:
        # Its own transaction: it lives as long as the answer is written, long after the view has returned.
        with installed().reading() as session:
            yield csv_text.row(comparing_closes.CSV_HEADER)
            compared = comparing_closes.of_snapshots(session, period, query.first, query.second)
            yield from map(csv_text.row, comparing_closes.csv_rows(session, compared))

    response = flask.Response(streamed(), mimetype="text/csv")
    name = f"differences-{period}-{query.first}-{query.second}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@endpoint(
    blueprint, "POST", "/periods/<period>/reopen", door=_REOPENS, body=AskedSchema, answers=ReopeningSchema,
    status=201, creates=True,
)  # fmt: skip
def ask_to_reopen(session: Session, period: str, body: Asked) -> PeriodReopening:
    """Ask for a closed month to be opened again; another person of finance confirms it."""
    return reopening.ask(installed(), session, period, reason=body.reason, actor=current_actor())


@endpoint(
    blueprint, "POST", "/periods/<period>/reopen/confirm", door=_REOPENS, body=ConfirmedSchema,
    answers=ReopeningSchema, step_up=True,
)  # fmt: skip
def confirm_reopening(session: Session, period: str, body: Confirmed) -> PeriodReopening:
    """Open the month again, as another person asked; not by whoever closed it, while somebody else of finance can."""
    return reopening.confirm(installed(), session, period, wanted_id=body.id, actor=current_actor())


@endpoint(blueprint, "DELETE", "/periods/<period>/reopen", door=_REOPENS, answers=ReopeningSchema)
def withdraw_reopening(session: Session, period: str) -> PeriodReopening:
    """Take back what was asked, and not confirmed yet."""
    return reopening.withdraw(installed(), session, period, actor=current_actor())


@endpoint(
    blueprint, "GET", "/periods/<period>/reopenings", door=_READS, query=PageQuerySchema,
    answers=listing(ReopeningSchema),
)  # fmt: skip
def list_reopenings(session: Session, period: str, query: PageQuery) -> Page[PeriodReopening]:
    """List who asked for a month to be opened again, why, and what became of it, newest first."""
    periods.bounds(period)
    statement = sa.select(PeriodReopening).where(PeriodReopening.period == period)
    return page(session, statement, PeriodReopening.id, limit=query.limit, after=query.after)


def shown_verified(found: Verified) -> dict[str, Any]:
    """Return what a check found, as it travels."""
    shown = {name: value for name, value in asdict(found).items() if name != "named"}
    items = []
    for change in found.named:
        before, after = differing.told(change)
        item = {"kind": change.kind, "change": change.change.value, "key": change.key}
        items.append(item | {"before": before, "after": after})
    return shown | {"holds": found.holds, "items": items}
