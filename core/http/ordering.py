"""Lists in an order that people choose: a page of rows behind a cursor, whatever they are sorted by.

core/http/paging.py is for lists whose order never changes; here a row may move while somebody reads on, and is then
seen twice or not at all, as in any list that is sorted by what changes.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.http.paging import Page
from core.http.reading import unkeepable

# Text columns that lists are sorted by have up to 255 characters, of up to four bytes each.
CURSOR_LENGTH_MAX = 2000
_INTEGER_MAX = 2**31 - 1

Value = sa.ColumnElement[Any] | InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Order:
    """What rows are sorted by: expressions that are never NULL, the last of them unique; all in one direction."""

    by: tuple[Value, ...]
    is_descending: bool

    def __post_init__(self) -> None:
        """Raise TypeError for an expression whose values have no known type: its cursor could not be read again."""
        untyped = [str(each) for each in self.by if each.type.python_type is object]
        if untyped:
            message = f"say with type_= what these are: {', '.join(untyped)}"
            raise TypeError(message)


def in_order(statement: sa.Select[Any], order: Order) -> sa.Select[Any]:
    """Return `statement` sorted."""
    return statement.order_by(*(each.desc() if order.is_descending else each.asc() for each in order.by))


def page(session: Session, statement: sa.Select[Any], order: Order, *, limit: int, after: str | None) -> Page[Any]:
    """Return at most `limit` of the entities `statement` selects, those behind the cursor `after`.

    A cursor that is none of this order's counts for none: people keep links for longer than we keep columns.
    """
    bounded = in_order(statement.add_columns(*order.by), order).limit(limit + 1)
    values = None if after is None else _read(after, order.by)
    if values is not None:
        here = sa.tuple_(*order.by)
        there = sa.tuple_(*(sa.literal(value, each.type) for value, each in zip(values, order.by, strict=True)))
        bounded = bounded.where(here < there if order.is_descending else here > there)
    found = session.execute(bounded).all()
    rows = found[:limit]
    return Page([row[0] for row in rows], _written(rows[-1][1:]) if len(found) > limit else None)


def _written(values: Sequence[Any]) -> str:
    texts = [value.isoformat() if isinstance(value, date) else value for value in values]
    packed = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read(cursor: str, by: Sequence[Value]) -> list[Any] | None:
    if len(cursor) > CURSOR_LENGTH_MAX:
        return None
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = json.loads(packed)
        if not isinstance(values, list) or any(unkeepable(values, "")):
            return None
        return [_value(value, each.type) for value, each in zip(values, by, strict=True)]
    except (ValueError, OverflowError, RecursionError):  # no base64, UTF-8, JSON, date; nothing of the calendar; deep
        return None


def _value(value: object, of: sa.types.TypeEngine[Any]) -> Any:
    kind = of.python_type
    if issubclass(kind, date) and isinstance(value, str):
        moment = kind.fromisoformat(value)
        return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
    is_too_large = isinstance(value, int) and not isinstance(of, sa.BigInteger) and abs(value) > _INTEGER_MAX
    if type(value) is not kind or is_too_large:
        message = "is no value of the column"
        raise ValueError(message)
    return value
