"""Reads of matches: a group with both sides' items and its story, the story of an item, aliases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.http.paging import narrowed
from core.http.wire import PageQuery
from core.money import Money
from reports import match_items
from reports.match_items import Subject
from reports.match_models import Match, MatchAlias, MatchEvent
from reports.matching import Leg


@dataclass(frozen=True)
class EventQuery(PageQuery):
    """Which words about matches."""

    item: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class AliasQuery(PageQuery):
    """Which aliases; without a state those that count."""

    leg: str | None = None
    meaning: str | None = None
    state: str = "active"


def group(session: Session, group_id: str) -> dict[str, Any]:
    """Return a group as it travels; one that was taken apart has its story left, and the items it was about.

    Raise NotFound for what never was a group.
    """
    rows = list(
        session.scalars(sa.select(Match).where(Match.group_id == group_id).order_by(Match.our_id, Match.their_id))
    )
    events = list(session.scalars(sa.select(MatchEvent).where(MatchEvent.group_id == group_id).order_by(MatchEvent.id)))
    if not rows and not events:
        message = f"there is no group of matches {group_id}"
        raise NotFound(message)
    leg = Leg(rows[0].leg if rows else events[-1].leg)
    past = events[-1].details["before"] if events else []
    ours = [row.our_id for row in rows] or [edge["our_id"] for edge in past]
    theirs = [row.their_id for row in rows] or [edge["their_id"] for edge in past]
    return {
        "id": group_id,
        "leg": leg,
        "state": rows[0].state if rows else "gone",
        "difference": Money(sum(row.difference_minor for row in rows), rows[0].currency) if rows else None,
        "edges": [_edge(row) for row in rows],
        "ours": _items(match_items.ours(session, leg, set(ours)), ours),
        "theirs": _items(match_items.theirs(session, leg, set(theirs)), theirs),
        "events": [shown_event(each) for each in events],
        "version": len(events),
    }


def events(query: EventQuery) -> sa.Select[MatchEvent]:
    """Return the statement for the words about the item and the group that `query` names."""
    statement = narrowed(sa.select(MatchEvent), [(MatchEvent.group_id, query.group_id)])
    return statement if query.item is None else statement.where(speaks_of(query.item))


def speaks_of(item_id: str) -> sa.ColumnElement[bool]:
    """Return the condition that an event's edges, before or after, have the item at one end."""
    # People's words are few, some thousand a year: they are read through, quotes and all, rather than indexed.
    return sa.cast(MatchEvent.details, sa.Text).contains(f'"{item_id}"', autoescape=True)


def shown_event(event: MatchEvent) -> dict[str, Any]:
    """Return an event as it travels."""
    return {
        "id": event.id,
        "group_id": event.group_id,
        "leg": event.leg,
        "kind": event.kind,
        "actor": event.actor_id,
        "at": event.at,
        "reason": event.reason,
        "before": [_told(edge) for edge in event.details["before"]],
        "after": [_told(edge) for edge in event.details["after"]],
    }


def alias_list(query: AliasQuery) -> sa.Select[MatchAlias]:
    """Return the statement for the aliases `query` asks for."""
    wanted = ((MatchAlias.leg, query.leg), (MatchAlias.meaning, query.meaning), (MatchAlias.state, query.state))
    return narrowed(sa.select(MatchAlias), wanted)


def _edge(row: Match) -> dict[str, Any]:
    return {
        "id": row.id,
        "our_id": row.our_id,
        "their_id": row.their_id,
        "ours": Money(row.allocated_minor - row.difference_minor, row.currency),
        "theirs": Money(row.allocated_minor, row.currency),
        "difference": Money(row.difference_minor, row.currency),
        "is_whole": row.is_whole,
        "state": row.state,
        "matched_by": row.matched_by,
        "score": row.score,
        "made_by": row.made_by,
        "created_at": row.created_at,
    }


def _told(edge: dict[str, Any]) -> dict[str, Any]:
    ours = edge["allocated_minor"] - edge["difference_minor"]
    return {
        "our_id": edge["our_id"],
        "their_id": edge["their_id"],
        "ours": Money(ours, edge["currency"]),
        "theirs": Money(edge["allocated_minor"], edge["currency"]),
        "state": edge["state"],
        "matched_by": edge["matched_by"],
    }


def _items(found: dict[str, Subject], ids: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": id_,
            "month": found[id_].month,
            "money": _money(found[id_].item.amount_minor, found[id_].item.currency),
            "left": _money(found[id_].item.left_minor, found[id_].item.currency),
            "source_id": found[id_].source_id,
            "facts": dict(found[id_].facts),
        }
        for id_ in dict.fromkeys(ids)
        if id_ in found
    ]


def _money(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency)
