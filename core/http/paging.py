"""Cursor lists: newest first, by an id or a number whose order is the order of time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Page(Generic[ItemT]):
    """`items` of a list and the cursor `next` to ask for what follows, None at the end."""

    items: list[ItemT]
    next: str | None


def narrowed(
    statement: sa.Select[ItemT], wanted: Iterable[tuple[InstrumentedAttribute[Any], object]]
) -> sa.Select[ItemT]:
    """Return `statement` for the rows whose columns have the values that a list's query names; None names none."""
    return statement.where(*(column == value for column, value in wanted if value is not None))


def page(
    session: Session,
    statement: sa.Select[ItemT],
    by: InstrumentedAttribute[str] | InstrumentedAttribute[int],
    *,
    limit: int,
    after: str | int | None,
) -> Page[ItemT]:
    """Return at most `limit` items of `statement`, newest first by the column `by`, behind the one `after`.

    Ids and numbers are never reused and never change, so rows that arrive meanwhile shift nothing.
    """
    bounded: sa.Select[Any] = statement.order_by(by.desc()).limit(limit + 1)
    if after is not None:
        bounded = bounded.where(by < after)
    found = list(session.scalars(bounded))
    items = found[:limit]
    return Page(items, str(getattr(items[-1], by.key)) if len(found) > limit else None)
