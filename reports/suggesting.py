"""The passes that only suggest: an amount and a date that fit, and a few amounts that make a sum; names rank them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import bulk
from reports.likeness import ranked
from reports.match_models import MatchRejection
from reports.match_rules import PERCENT_PARTS, Rule
from reports.matching import Leg, Pass
from reports.passes import OPEN_OURS, OPEN_THEIRS, SUGGESTIONS, edge_id, is_rejected, is_suggested, suggest
from reports.subset_sums import subsets

# Of more items a day and an amount, none is the only one that fits: nobody looks at them one by one.
CROWD = 8
_ENOUGH = 2  # sums to look for: one is suggested, a second says that it has rivals
_SCORE_OF_SUM, _SCORE_OF_RIVALS = 50, 30
_BASE, _OF_AMOUNT, _OF_DAY, _OF_EACH_DAY = 60, 25, 15, 5
_EDGE = (
    "our_id", "their_id", "matched_by", "ours_minor", "ours_currency", "theirs_minor", "theirs_currency", "score",
)  # fmt: skip


def amount_date(session: Session, leg: Leg, rule: Rule) -> None:
    """Suggest pairs of nearly one amount within some days, where neither fits another.

    Items meet by day and slice of amount, not each with each: so it takes as long as there are items, not their square.
    """
    width = max(1, rule.tolerance_minor)
    # Asked twice, so PostgreSQL makes them first: dissolved into the joins, ours met all of theirs in one currency.
    cells, near = _cells(width), _neighbours(rule, width)
    key = ("scope", "currency", "day", "slice")
    meets = sa.and_(*(near.c[name] == cells.c[name] for name in key))
    crowded = sa.select(near.c.id).join_from(near, cells, meets).where(cells.c.crowd > CROWD).distinct().subquery()
    off = cells.c.amount_minor - near.c.amount_minor
    allowed = near.c.tolerance
    days = cells.c.day - near.c.own_day
    score = (
        _BASE + _OF_AMOUNT - _OF_AMOUNT * sa.func.abs(off) // sa.case((allowed > 0, allowed), else_=1)
        + sa.case((sa.func.abs(days) * _OF_EACH_DAY < _OF_DAY, _OF_DAY - sa.func.abs(days) * _OF_EACH_DAY), else_=0)
    )  # fmt: skip
    hits = (
        sa.select(
            near.c.id.label("our_id"), cells.c.id.label("their_id"), near.c.currency,
            near.c.amount_minor.label("ours_minor"), cells.c.amount_minor.label("theirs_minor"), score.label("score"),
            sa.func.count().over(partition_by=near.c.id).label("of_ours"),
            sa.func.count().over(partition_by=cells.c.id).label("of_theirs"),
        )
        .join_from(near, cells, meets)
        .where(
            cells.c.crowd <= CROWD, sa.func.abs(off) <= allowed,
            ~is_rejected(leg, near.c.id, cells.c.id),
        )
        .subquery()
    )  # fmt: skip
    chosen = sa.select(
        hits.c.our_id, hits.c.their_id, sa.literal(Pass.AMOUNT_DATE.value, sa.String(20)),
        hits.c.ours_minor, hits.c.currency, hits.c.theirs_minor, hits.c.currency.label("theirs_currency"), hits.c.score,
    ).where(hits.c.of_ours == 1, hits.c.of_theirs == 1, hits.c.our_id.not_in(sa.select(crowded.c.id)))  # fmt: skip
    suggest(session, chosen, _EDGE)


def subset_sum(session: Session, leg: Leg, rule: Rule) -> None:
    """Suggest what makes one amount together, where a scope has few open items: several of theirs, or of ours."""
    for scope, currency in _small_scopes(session, rule.items_max):
        ours, theirs = (_still_open(session, table, scope, currency) for table in (OPEN_OURS, OPEN_THEIRS))
        rejected = _rejected(session, leg, ours, theirs)
        groups = list(_sums(ours, theirs, rejected, is_one_ours=True))
        groups += _sums(theirs, ours, {(other, mine) for mine, other in rejected}, is_one_ours=False)
        taken: set[tuple[str, str]] = set()
        for each in groups:
            _add_group(session, each, currency, taken)


def rank_by_names(session: Session) -> None:
    """Let how alike the names of both sides are speak in the scores."""
    statement = (
        sa.select(SUGGESTIONS.c.our_id, SUGGESTIONS.c.their_id, SUGGESTIONS.c.score,
                  OPEN_OURS.c.named.label("ours"), OPEN_THEIRS.c.named.label("theirs"))
        .join(OPEN_OURS, OPEN_OURS.c.id == SUGGESTIONS.c.our_id)
        .join(OPEN_THEIRS, OPEN_THEIRS.c.id == SUGGESTIONS.c.their_id)
        .where(OPEN_OURS.c.named.is_not(None), OPEN_THEIRS.c.named.is_not(None))
    )  # fmt: skip
    scores = [
        {"ours": row.our_id, "theirs": row.their_id, "new": ranked(row.score, row.ours, row.theirs)}
        for row in session.execute(statement)
    ]
    if scores:
        one = sa.and_(SUGGESTIONS.c.our_id == sa.bindparam("ours"), SUGGESTIONS.c.their_id == sa.bindparam("theirs"))
        session.connection().execute(sa.update(SUGGESTIONS).where(one).values(score=sa.bindparam("new")), scores)


def rivalled(*, ours: bool) -> sa.Select[str]:
    """Return the statement for the ids of the items for which several suggestions compete."""
    side = SUGGESTIONS.c.our_id if ours else SUGGESTIONS.c.their_id
    return sa.select(side).where(SUGGESTIONS.c.rivalled == ("ours" if ours else "theirs")).distinct()


def _cells(width: int) -> sa.CTE:
    items = OPEN_THEIRS
    part = _slice(items.c.amount_minor, width)
    crowd = sa.func.count().over(partition_by=[items.c.scope, items.c.currency, items.c.day, part])
    columns = [items.c[name] for name in ("id", "scope", "currency", "day", "amount_minor")]
    return (
        sa.select(*columns, part.label("slice"), crowd.label("crowd"))
        .where(~is_suggested(items.c.id, ours=False))
        .cte("cells")
    )


def _neighbours(rule: Rule, width: int) -> sa.CTE:
    """Return ours once for every day and slice of amount in which a partner may lie."""
    items = OPEN_OURS
    day_steps = _numbers("days", range(-rule.days_before, rule.days_after + 1))
    slice_steps = _numbers("slices", range(-1, 2))
    by_percent = sa.func.abs(items.c.amount_minor) * rule.tolerance_parts // (100 * PERCENT_PARTS)
    tolerance = sa.case((by_percent < rule.tolerance_minor, by_percent), else_=rule.tolerance_minor)
    return (
        sa.select(
            items.c.id, items.c.scope, items.c.currency, items.c.amount_minor, items.c.day.label("own_day"),
            (items.c.day + day_steps.c.days).label("day"),
            (_slice(items.c.amount_minor, width) + slice_steps.c.slices).label("slice"),
            tolerance.label("tolerance"),
        )
        .join_from(items, day_steps, sa.true())
        .join(slice_steps, sa.true())
        .where(items.c.amount_minor.is_not(None), ~is_suggested(items.c.id, ours=True))
        .cte("near")
    )  # fmt: skip


def _numbers(name: str, numbers: range) -> sa.Subquery:
    return sa.union_all(*(sa.select(sa.literal(number, sa.Integer).label(name)) for number in numbers)).subquery()


def _slice(amount_minor: Any, width: int) -> sa.ColumnElement[int]:
    # Both databases cut towards zero: the slice around it is twice as wide, and holds more than it need.
    part: sa.ColumnElement[int] = amount_minor // width
    return part


@dataclass(frozen=True)
class _Item:
    id: str
    amount_minor: int


@dataclass(frozen=True)
class _Sum:
    one: _Item
    many: tuple[_Item, ...]
    is_one_ours: bool
    has_rivals: bool


def _small_scopes(session: Session, items_max: int) -> list[tuple[str, str]]:
    counts = []
    for table, ours in ((OPEN_OURS, True), (OPEN_THEIRS, False)):
        key = [table.c.scope, table.c.currency]
        is_left = sa.and_(table.c.amount_minor.is_not(None), ~is_suggested(table.c.id, ours=ours))
        rows = session.execute(sa.select(*key, sa.func.count()).where(is_left).group_by(*key))
        counts.append({(row[0], row[1]): row[2] for row in rows})
    ours_number, theirs_number = counts
    return sorted(
        key
        for key in ours_number.keys() & theirs_number.keys()
        if ours_number[key] <= items_max and theirs_number[key] <= items_max
    )


def _still_open(session: Session, table: sa.Table, scope: str, currency: str) -> list[_Item]:
    is_ours = table is OPEN_OURS
    statement = (
        sa.select(table.c.id, table.c.amount_minor)
        .where(table.c.scope == scope, table.c.currency == currency, table.c.amount_minor.is_not(None))
        .where(~is_suggested(table.c.id, ours=is_ours))
        .order_by(table.c.amount_minor, table.c.id)
    )
    return [_Item(row.id, row.amount_minor) for row in session.execute(statement)]


def _rejected(session: Session, leg: Leg, ours: list[_Item], theirs: list[_Item]) -> set[tuple[str, str]]:
    said = sa.select(MatchRejection.our_id, MatchRejection.their_id).where(
        MatchRejection.leg == leg,
        MatchRejection.our_id.in_([item.id for item in ours]),
        MatchRejection.their_id.in_([item.id for item in theirs]),
    )
    return {(row.our_id, row.their_id) for row in session.execute(said)}


def _sums(
    ones: list[_Item], others: list[_Item], rejected: set[tuple[str, str]], *, is_one_ours: bool
) -> Iterator[_Sum]:
    for one in ones:
        many = [item for item in others if (one.id, item.id) not in rejected]
        found = subsets([item.amount_minor for item in many], one.amount_minor, found_max=_ENOUGH)
        if found:
            yield _Sum(one, tuple(many[position] for position in found[0]), is_one_ours, len(found) > 1)


def _add_group(session: Session, found: _Sum, currency: str, taken: set[tuple[str, str]]) -> None:
    """Suggest the smallest sum; an edge belongs to one group, so what has one of its edges already is left out."""
    pairs = [(found.one.id, item.id) if found.is_one_ours else (item.id, found.one.id) for item in found.many]
    if taken.intersection(pairs):
        return
    taken.update(pairs)
    rows = [
        {
            "our_id": our_id,
            "their_id": their_id,
            "matched_by": Pass.SUBSET_SUM.value,
            "ours_minor": item.amount_minor,
            "ours_currency": currency,
            "theirs_minor": item.amount_minor,
            "theirs_currency": currency,
            "is_whole": False,
            "score": _SCORE_OF_RIVALS if found.has_rivals else _SCORE_OF_SUM,
            "rivalled": ("ours" if found.is_one_ours else "theirs") if found.has_rivals else None,
            "group_id": "",
        }
        for (our_id, their_id), item in zip(pairs, found.many, strict=True)
    ]
    bulk.insert(session, SUGGESTIONS, rows)
    is_new = SUGGESTIONS.c.group_id == ""
    edge = edge_id(SUGGESTIONS.c.our_id, SUGGESTIONS.c.their_id)
    group_id = session.scalar(sa.select(sa.func.min(edge)).where(is_new))
    session.execute(sa.update(SUGGESTIONS).where(is_new).values(group_id=group_id))
