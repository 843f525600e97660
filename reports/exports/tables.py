"""A report as a table: columns with kinds, rows of plain values, and what its columns come to."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum

from core import money

# A percentage is kept in hundredths of one: 9,833 is 98.33.
PERCENT_DECIMALS = 2


class Kind(StrEnum):
    """What the cells of a column are. Money is minor units, a percentage hundredths of one: both are integers."""

    TEXT = "text"
    MONEY = "money"
    DATE = "date"
    COUNT = "count"
    MOMENT = "moment"
    PERCENT = "percent"


Cell = str | int | date | datetime | None
Row = Sequence[Cell]


@dataclass(frozen=True)
class Column:
    """One column; `currency` names the column of the same row that holds the currency of its money."""

    name: str
    title: str
    kind: Kind = Kind.TEXT
    currency: str = "currency"
    is_totalled: bool = True


@dataclass(frozen=True)
class Table:
    """What is written: `rows` are read once, and `filters` say which they are, in words."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Iterable[Row]
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Total:
    """What the rows of one currency come to: minor units and counts, by the name of the column."""

    currency: str
    rows: int
    sums: Mapping[str, int]


def currency_places(columns: Sequence[Column]) -> list[int | None]:
    """Return for each column where in a row its currency stands; None for one that has none."""
    places = {column.name: place for place, column in enumerate(columns)}
    return [places[column.currency] if column.kind is Kind.MONEY else None for column in columns]


def text_of(kind: Kind, cell: Cell, currency: Cell = None) -> str:
    """Return a cell as text: exact decimals, ISO 8601 days, RFC 3339 moments in UTC; empty for nothing."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, int) and kind is Kind.MONEY:
        # Without a currency there is no amount: two minor units are not the same in yen and in euro.
        return money.to_text(cell, currency) if isinstance(currency, str) else ""
    if isinstance(cell, int) and kind is Kind.PERCENT:
        return decimal_text(cell, PERCENT_DECIMALS)
    return str(cell)


def decimal_text(number: int, decimals: int) -> str:
    """Return `number` of the smallest units as decimal text with exactly so many decimals."""
    digits = str(abs(number)).rjust(decimals + 1, "0")
    return f"{'-' if number < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


def texts_of(columns: Sequence[Column]) -> Callable[[Row], list[str]]:
    """Return the function that makes texts of a row of `columns`."""
    kinds = [(column.kind, place) for column, place in zip(columns, currency_places(columns), strict=True)]

    def texts(row: Row) -> list[str]:
        return [
            text_of(kind, cell, None if place is None else row[place])
            for cell, (kind, place) in zip(row, kinds, strict=True)
        ]

    return texts


class Totals:
    """Sums the columns of money and counts as the rows go by, each currency by itself."""

    def __init__(self, columns: Sequence[Column]) -> None:
        names = {column.name: place for place, column in enumerate(columns)}
        self.columns = [column for column in columns if column.is_totalled and column.kind in {Kind.MONEY, Kind.COUNT}]
        self._summed = [(column.name, names[column.name], names.get(column.currency)) for column in self.columns]
        self._place = names.get("currency")
        self._sums: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._rows: defaultdict[str, int] = defaultdict(int)

    def add(self, row: Row) -> None:
        """Count one row in."""
        self._rows[_currency(row, self._place)] += 1
        for name, place, currency_place in self._summed:
            cell = row[place]
            if isinstance(cell, int):
                self._sums[_currency(row, currency_place)][name] += cell

    def watching(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield `rows`, counting each in."""
        for row in rows:
            self.add(row)
            yield row

    def lines(self) -> list[Total]:
        """Return a total for each currency, in their order; rows without a currency stand under ""."""
        return [Total(currency, self._rows[currency], dict(self._sums[currency])) for currency in self._currencies()]

    def rows(self, columns: Sequence[Column]) -> Iterator[tuple[str, list[Cell]]]:
        """Yield the totals as a currency and a row of `columns`, with nothing in the columns that have none."""
        for total in self.lines():
            if total.sums:
                yield total.currency, [total.sums.get(column.name) for column in columns]

    def _currencies(self) -> list[str]:
        return sorted(self._sums.keys() | self._rows.keys())


def _currency(row: Row, place: int | None) -> str:
    currency = None if place is None else row[place]
    return currency if isinstance(currency, str) else ""
