"""Reads of matches, shaped as they travel."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.http.paging import narrowed
from core.http.wire import PageQuery, money_dict
from core.money import Money
from reports.match_models import Match
from reports.models import Reconciliation


@dataclass(frozen=True)
class MatchQuery(PageQuery):
    """Which matches; their period is that of the run that made them."""

    leg: str | None = None
    state: str | None = None
    period: str | None = None


def matches(query: MatchQuery) -> sa.Select[Match]:
    """Return the statement for the matches `query` asks for."""
    statement = narrowed(sa.select(Match), ((Match.leg, query.leg), (Match.state, query.state)))
    if query.period is None:
        return statement
    of_month = sa.select(Reconciliation.id).where(Reconciliation.period == query.period)
    return statement.where(Match.reconciliation_id.in_(of_month))


def shown(match: Match) -> dict[str, Any]:
    """Return `match` as it travels."""
    names = (
        "id", "group_id", "reconciliation_id", "leg", "matched_by", "our_id", "their_id", "state", "is_whole", "score",
        "made_by", "created_at",
    )  # fmt: skip
    return {name: getattr(match, name) for name in names} | {
        "allocated": money_dict(Money(match.allocated_minor, match.currency)),
        "difference": money_dict(Money(match.difference_minor, match.currency)),
    }
