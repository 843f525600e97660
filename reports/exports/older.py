"""The exports that are older than the reports here, rows of decimal text, as tables with kinds: for XLSX and PDF."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from core import money
from core.csv_text import Cell as Text
from reports.exports.tables import Cell, Column, Kind, Row, Table
from reports.models import Reconciliation

FORMATS = ("xlsx", "pdf")
# Column of money -> the column with its currency: a difference is in ours, or there is none.
_OF_RECONCILIATION = {"ours": "ours_currency", "theirs": "theirs_currency", "difference": "ours_currency"}
_OF_MONTH = {"amount": "currency"}
_COUNTS = {"count"}


def of_reconciliation(run: Reconciliation, header: Sequence[str], rows: Iterable[Sequence[Text]]) -> Table:
    """Return the matches and discrepancies of a run as a table."""
    about = {"period": run.period, "leg": run.leg, **({"source_id": run.source_id} if run.source_id else {})}
    columns = _columns(header, _OF_RECONCILIATION)
    return Table(f"reconciliation-{run.id}", "Reconciliation", columns, _rows(columns, rows), about)


def of_month(period: str, header: Sequence[str], rows: Iterable[Sequence[Text]]) -> Table:
    """Return the month's report as a table; its figures are of many kinds, so nothing is summed."""
    columns = tuple(
        Column(each.name, each.title, each.kind, each.currency, is_totalled=False)
        for each in _columns(header, _OF_MONTH)
    )
    return Table(f"report-{period}", "Month's report", columns, _rows(columns, rows), {"period": period})


def _columns(header: Sequence[str], currencies: dict[str, str]) -> tuple[Column, ...]:
    return tuple(_column(name, currencies.get(name)) for name in header)


def _column(name: str, currency: str | None) -> Column:
    title = name.replace("_", " ").capitalize()
    if currency is not None:
        return Column(name, title, Kind.MONEY, currency)
    return Column(name, title, Kind.COUNT if name in _COUNTS else Kind.TEXT)


def _rows(columns: Sequence[Column], rows: Iterable[Sequence[Text]]) -> Iterator[Row]:
    places = {column.name: place for place, column in enumerate(columns)}
    for row in rows:
        yield [
            _minor(cell, row[places[column.currency]]) if column.kind is Kind.MONEY else _cell(column, cell)
            for column, cell in zip(columns, row, strict=True)
        ]


def _minor(cell: Text, currency: Text) -> int | None:
    if cell is None or currency is None:
        return None
    return int(Decimal(cell).scaleb(money.exponent(str(currency))))


def _cell(column: Column, cell: Text) -> Cell:
    return cell if cell is None or column.kind is Kind.COUNT else str(cell)
