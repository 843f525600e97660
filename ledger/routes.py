"""The HTTP door of ledger: the journal for other programs, and the months it has."""

from collections.abc import Iterator
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.doors import actors
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page
from core.http.wire import PageQuery, PageQuerySchema, listing
from core.runtime import installed
from ledger import exports
from ledger.models import JournalEntry, Period
from ledger.schemas import JournalQuery, JournalQuerySchema, PeriodSchema

blueprint = Blueprint(
    "ledger", __name__, url_prefix="/api/v1", description="Double-entry postings and the periods they fall in."
)

# Roles by name: `access`, which lists them, is a neighbour on this floor.
READERS = actors("finance", "auditor", "manager", scope="reports:read")


@endpoint(blueprint, "GET", "/journal", door=READERS, query=JournalQuerySchema, transaction=False)
def journal(query: JournalQuery) -> flask.Response:
    """Stream the journal, of one month or whole, as hledger text, Beancount text or CSV."""
    writer = exports.WRITERS[query.format]

    def streamed() -> Iterator[str]:
        # Its own transaction: it lives as long as the answer is written, long after the view has returned.
        with installed().reading() as session:
            yield from writer.write(session, query.period)

    response = flask.Response(streamed(), mimetype=writer.mimetype)
    name = f"journal-{query.period or 'all'}.{writer.suffix}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@endpoint(blueprint, "GET", "/periods", door=READERS, query=PageQuerySchema, answers=listing(PeriodSchema))
def list_periods(session: Session, query: PageQuery) -> Page[dict[str, Any]]:
    """List every month that has postings or was closed, newest first."""
    months = sa.union(sa.select(JournalEntry.period.label("period")), sa.select(Period.id)).subquery()
    statement = (
        sa.select(months.c.period, Period)
        .outerjoin(Period, Period.id == months.c.period)
        .order_by(months.c.period.desc())
        .limit(query.limit + 1)
    )
    if query.after is not None:
        statement = statement.where(months.c.period < query.after)
    found = [_shown(month, row) for month, row in session.execute(statement)]
    items = found[: query.limit]
    return Page(items, items[-1]["period"] if len(found) > query.limit else None)


def _shown(month: str, row: Period | None) -> dict[str, Any]:
    if row is None:
        return {"period": month, "state": "open", "version": 1}
    return {
        "period": month,
        "state": row.state,
        "closed_at": row.closed_at,
        "closed_by": row.closed_by,
        "totals": row.totals,
        "digest": row.digest,
        "version": row.version,
    }
