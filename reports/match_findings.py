"""What is to be told of items in matches that people made: what is left of them, and what does not fit."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import among
from ledger import periods
from payouts.models import Payout
from postback.models import Conversion
from reports import match_items
from reports.allocating import Edge
from reports.match_items import Subject
from reports.match_models import Match
from reports.matching import DiscrepancyClass, Found, Leg, class_of_line, class_of_pair
from reports.models import BankLine, NetworkLine
from reports.network_leg import NOT_OURS


@dataclass(frozen=True)
class Scene:
    """Some items, and every confirmed edge at them."""

    leg: Leg
    ours: Mapping[str, Subject]
    theirs: Mapping[str, Subject]
    edges: Mapping[tuple[str, str], Edge]
    matched: frozenset[str | None]  # whoever of them has a partner


def rests(session: Session, leg: Leg, period: str, source_id: str | None) -> list[Found]:
    """Return what a run over the month tells of items that people have matched in part: that the rest is open.

    The same as was told right after the act. What differs within an edge the run finds by itself.
    """
    ours, lines = _OF_MONTH[leg](period, source_id)
    in_part = sa.select(Match.our_id, Match.their_id).where(
        Match.leg == leg,
        Match.state == "confirmed",
        Match.made_by.is_not(None),
        Match.is_whole.is_(False),
        sa.or_(Match.our_id.in_(ours), Match.their_id.in_(lines)),
    )
    pairs = session.execute(in_part).all()
    if not pairs:
        return []
    at_these = scene(session, leg, {row.our_id for row in pairs}, {row.their_id for row in pairs})
    return [
        each
        for month, each in (*_of_ours(at_these), *_of_theirs(session, at_these))
        if month == period and (source_id is None or each.source_id == source_id)
    ]


def scene(session: Session, leg: Leg, our_ids: Collection[str], their_ids: Collection[str]) -> Scene:
    """Return the named items with every confirmed edge at them."""
    at_these = sa.or_(among(session, Match.our_id, our_ids), among(session, Match.their_id, their_ids))
    confirmed = sa.select(Match).where(Match.leg == leg, Match.state == "confirmed", at_these)
    edges = [match_items.edge_of(each) for each in session.scalars(confirmed.order_by(Match.our_id, Match.their_id))]
    return Scene(
        leg,
        match_items.ours(session, leg, our_ids),
        match_items.theirs(session, leg, their_ids),
        {(edge.our_id, edge.their_id): edge for edge in edges},
        frozenset(id_ for edge in edges for id_ in (edge.our_id, edge.their_id)),
    )


def of_scene(session: Session, at_these: Scene) -> Iterator[tuple[str, Found]]:
    """Yield what is to be told of the items, each with its month: unmatched, left over, and differing ones."""
    yield from _of_edges(at_these)
    yield from _of_ours(at_these)
    yield from _of_theirs(session, at_these)


def _of_edges(scene: Scene) -> Iterator[tuple[str, Found]]:
    for edge in scene.edges.values():
        line = scene.theirs.get(edge.their_id)
        if not edge.difference_minor or line is None:
            continue
        amounts: dict[str, Any] = {
            "ours_minor": edge.ours_minor, "ours_currency": line.item.currency,
            "theirs_minor": edge.allocated_minor, "theirs_currency": line.item.currency,
        }  # fmt: skip
        klass = class_of_pair(**amounts)
        if klass is not None:
            named = _named(scene.leg, edge.our_id)
            yield line.month, Found(scene.leg, klass, line.source_id, line_id=edge.their_id, **named, **amounts)


def _of_ours(scene: Scene) -> Iterator[tuple[str, Found]]:
    for id_, subject in scene.ours.items():
        item = subject.item
        if not item.is_free or subject.refused:
            continue
        if scene.leg is Leg.NETWORK:
            klass = DiscrepancyClass.MISSING_AT_NETWORK
            amounts: dict[str, Any] = {"ours_minor": item.left_minor, "ours_currency": item.currency}
        elif item.edges:
            klass = DiscrepancyClass.AMOUNT_MISMATCH
            amounts = {
                "ours_minor": item.amount_minor, "ours_currency": item.currency,
                "theirs_minor": item.taken_minor, "theirs_currency": item.currency,
            }  # fmt: skip
        else:
            continue  # a payment that no statement shows yet is on its way, and no difference
        yield subject.month, Found(scene.leg, klass, subject.source_id, **_named(scene.leg, id_), **amounts)


def _of_theirs(session: Session, scene: Scene) -> Iterator[tuple[str, Found]]:
    for id_, subject in scene.theirs.items():
        item = subject.item
        if not item.is_free or subject.refused:
            continue
        namesake = None
        klass: DiscrepancyClass | None = DiscrepancyClass.UNMATCHED_DEBIT
        if scene.leg is Leg.NETWORK:
            # What is left of a line that has a partner has no namesake but him.
            here, elsewhere = (None, None) if item.edges else _namesakes(session, subject, id_)
            klass = class_of_line(is_in_month=here is not None, is_in_other_month=elsewhere is not None)
            namesake = here or elsewhere
        if klass is None:
            continue
        yield (
            subject.month,
            Found(
                scene.leg,
                klass,
                subject.source_id,
                conversion_id=namesake,
                line_id=id_,
                theirs_minor=item.left_minor,
                theirs_currency=item.currency,
            ),
        )


def _namesakes(session: Session, subject: Subject, line_id: str) -> tuple[str | None, str | None]:
    """Return a conversion of the line's own month that has its id, and one of any other month."""
    start, end = periods.moments(subject.month)
    is_in_month = sa.and_(Conversion.occurred_at >= start, Conversion.occurred_at < end)
    same = (
        sa.select(sa.func.min(Conversion.id))
        .join(
            NetworkLine,
            sa.and_(
                Conversion.source_id == NetworkLine.source_id,
                Conversion.transaction_id == NetworkLine.transaction_id,
            ),
        )
        .where(NetworkLine.id == line_id, Conversion.state.not_in(NOT_OURS))
    )
    return session.scalar(same.where(is_in_month)), session.scalar(same.where(~is_in_month))


def _named(leg: Leg, our_id: str) -> dict[str, Any]:
    return {"payout_id" if leg is Leg.PAYOUT else "conversion_id": our_id}


def _network_month(period: str, source_id: str | None) -> tuple[sa.Select[str], sa.Select[str]]:
    start, end = periods.moments(period)
    ours = sa.select(Conversion.id).where(Conversion.occurred_at >= start, Conversion.occurred_at < end)
    lines = sa.select(NetworkLine.id).where(NetworkLine.period == period)
    if source_id is None:
        return ours, lines
    return ours.where(Conversion.source_id == source_id), lines.where(NetworkLine.source_id == source_id)


def _payout_month(period: str, _source_id: str | None) -> tuple[sa.Select[str], sa.Select[str]]:
    booked = BankLine.booked_on.between(*periods.bounds(period))
    return sa.select(Payout.id).where(Payout.period == period), sa.select(BankLine.id).where(booked)


_OF_MONTH: Mapping[Leg, Callable[[str, str | None], tuple[sa.Select[str], sa.Select[str]]]] = {
    Leg.NETWORK: _network_month,
    Leg.PAYOUT: _payout_month,
}
