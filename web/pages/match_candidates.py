"""What an item may be matched with by hand: what is open on the other side, so that nobody copies ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from reports import queries
from reports.matching import DiscrepancyState
from reports.models import Discrepancy
from web.pages import month_end

SHOWN_MAX = 30
_OURS = (Discrepancy.conversion_id, Discrepancy.payout_id, Discrepancy.remittance_id)


@dataclass(frozen=True)
class Candidate:
    """An item of the other side, as a person knows it."""

    id: str
    name: str
    money: dict[str, Any] | None


def of_item(session: Session, item_id: str, *, is_ours: bool) -> list[Candidate]:
    """Return what is open beside an open item: the other side of its month, comparison and source, first come first."""
    about = sa.or_(*(column == item_id for column in (*_OURS, Discrepancy.line_id)))
    mine = session.scalars(sa.select(Discrepancy).where(about, Discrepancy.state == DiscrepancyState.OPEN)).first()
    if mine is None:
        return []
    statement = sa.select(Discrepancy).where(
        Discrepancy.period == mine.period,
        Discrepancy.leg == mine.leg,
        Discrepancy.source_id.is_not_distinct_from(mine.source_id),
        Discrepancy.state == DiscrepancyState.OPEN,
    )
    if is_ours:
        alone = sa.and_(Discrepancy.line_id.is_not(None), *(column.is_(None) for column in _OURS))
    else:
        alone = sa.and_(Discrepancy.line_id.is_(None), sa.or_(*(column.is_not(None) for column in _OURS)))
    found = session.scalars(statement.where(alone).order_by(Discrepancy.id).limit(SHOWN_MAX)).all()
    shown = queries.shown_discrepancies(session, found)
    names = month_end.transactions(session, shown)
    return [_candidate(row, names, is_ours=is_ours) for row in shown]


def _candidate(row: Mapping[str, Any], names: Mapping[str, str], *, is_ours: bool) -> Candidate:
    if is_ours:
        line = row["line"]
        name = next((line[each] for each in ("transaction_id", "end_to_end_id", "text") if line.get(each)), line["id"])
        return Candidate(line["id"], name, row["theirs"])
    id_ = row["conversion_id"] or row["payout_id"] or row["remittance_id"]
    return Candidate(id_, names.get(id_, id_), row["ours"])
