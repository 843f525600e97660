"""What a report is: its columns, the filters it takes, and the rows it reads; and what the reports' queries share."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger import periods
from reports.exports.filtering import Filters
from reports.exports.tables import Column, Kind, Row


@dataclass(frozen=True)
class Report:
    """A report by name. `rows` reads it within the session it is given, without holding it all.

    `takes` are the filters it knows and `needs` those it cannot do without; `texts` are forms of its own beside the
    ones of every table, by the name of the format.
    """

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    rows: Callable[[Session, Filters], Iterator[Row]]
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    texts: Mapping[str, Callable[[Session, Filters], Iterator[str]]] = field(default_factory=dict)


def text(name: str, title: str) -> Column:
    """Return a column of texts."""
    return Column(name, title)


def amount(name: str, title: str, currency: str = "currency") -> Column:
    """Return a column of money in the currency that stands in the column `currency`."""
    return Column(name, title, Kind.MONEY, currency)


def count(name: str, title: str) -> Column:
    """Return a column of counts."""
    return Column(name, title, Kind.COUNT)


def plain(name: str, title: str) -> Column:
    """Return a column of numbers that come to nothing together."""
    return Column(name, title, Kind.COUNT, is_totalled=False)


def day(name: str, title: str) -> Column:
    """Return a column of days."""
    return Column(name, title, Kind.DATE)


def moment(name: str, title: str) -> Column:
    """Return a column of moments."""
    return Column(name, title, Kind.MOMENT)


def summed(value: Any, name: str) -> sa.Label[int]:
    """Return the sum of minor units as a column `name`, 0 of no rows."""
    # PostgreSQL sums bigints to numeric, which would come back as a Decimal.
    return sa.cast(sa.func.coalesce(sa.func.sum(value), 0), sa.BigInteger).label(name)


def equal(*wanted: tuple[InstrumentedAttribute[Any], object]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that the columns have their values; None asks for none."""
    return [column == value for column, value in wanted if value is not None]


def in_month(column: InstrumentedAttribute[Any], period: str | None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that a moment lies in a month, none for every month."""
    if period is None:
        return []
    start, end = periods.moments(period)
    return [column >= start, column < end]


def same_text(left: Any, right: Any) -> sa.ColumnElement[bool]:
    """Return the condition that an id is what a column of free text names."""
    # They have different collations, which PostgreSQL refuses to compare unasked.
    is_same: sa.ColumnElement[bool] = sa.cast(left, sa.String) == right
    return is_same


def ordered(rows: list[Row]) -> Iterator[Row]:
    """Yield few rows in one order on both databases, whose collations disagree."""
    yield from sorted(rows, key=lambda row: ["" if cell is None else str(cell) for cell in row])
