"""A table as XLSX: numbers as numbers, nothing as a formula, written row by row in bounded memory."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import xlsxwriter

from core import csv_text, money
from reports.exports.tables import PERCENT_DECIMALS, Cell, Column, Kind, Row, Table, Totals, currency_places, text_of

# A sheet ends at row 1,048,576: what does not fit goes on in the next.
SHEET_ROWS_MAX = 1_048_575
TEXT_LENGTH_MAX = 32_767
# A spreadsheet's numbers are doubles of 15 digits: an amount of more is written as text, so that none is lost.
EXACT_BELOW = 10**15
# Of no moment at all: the same content is the same file.
_MADE = datetime(2000, 1, 1, tzinfo=UTC)
# XML has no such characters; control characters it has as _x0007_, which XlsxWriter writes.
_NO_XML = {0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
_WIDTHS = {Kind.TEXT: 24, Kind.MONEY: 14, Kind.DATE: 12, Kind.COUNT: 10, Kind.MOMENT: 20, Kind.PERCENT: 10}


def write(table: Table, path: Path) -> None:
    """Write `table` to `path`: a sheet of rows under a header that stays in view, and one that says what they are.

    A text that a spreadsheet would run, once its cell is edited or saved as CSV, gets an apostrophe before it.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".xlsx-") as folder:
        options = {"constant_memory": True, "tmpdir": folder}
        with xlsxwriter.Workbook(str(path), options) as workbook:
            workbook.set_properties({"title": table.title, "created": _MADE})
            book = _Book(workbook)
            totals = Totals(table.columns)
            _rows(book, table, totals)
            _about(book, table, totals)


class _Book:
    """A workbook and the formats of its cells, each made once."""

    def __init__(self, workbook: Any) -> None:
        self.workbook = workbook
        self.bold = workbook.add_format({"bold": True})
        self._formats: dict[str, Any] = {}

    def shown_as(self, form: str) -> Any:
        if form not in self._formats:
            self._formats[form] = self.workbook.add_format({"num_format": form})
        return self._formats[form]


@dataclass
class _Line:
    """Where in a sheet cells are written next, and by which columns."""

    book: _Book
    sheet: Any
    number: int

    def write(self, columns: tuple[Column, ...], row: Row, places: list[int | None]) -> None:
        for place, (column, cell) in enumerate(zip(columns, row, strict=True)):
            if cell is not None:
                currency_place = places[place]
                currency = None if currency_place is None else row[currency_place]
                _WRITERS[column.kind](self, place, cell, currency)
        self.number += 1

    def text(self, place: int, cell: Cell, _currency: Cell = None) -> None:
        text = csv_text.neutralised(str(cell)).translate(_NO_XML)
        self.sheet.write_string(self.number, place, text[:TEXT_LENGTH_MAX])

    def money(self, place: int, cell: Cell, currency: Cell) -> None:
        if not isinstance(cell, int) or not isinstance(currency, str):
            return
        if abs(cell) >= EXACT_BELOW:
            self.text(place, text_of(Kind.MONEY, cell, currency))
            return
        self._number(place, cell, money.exponent(currency))

    def percent(self, place: int, cell: Cell, _currency: Cell) -> None:
        if isinstance(cell, int):
            self._number(place, cell, PERCENT_DECIMALS)

    def count(self, place: int, cell: Cell, _currency: Cell) -> None:
        if isinstance(cell, int):
            self._number(place, cell, 0)

    def day(self, place: int, cell: Cell, _currency: Cell) -> None:
        if isinstance(cell, date):
            self.sheet.write_datetime(self.number, place, cell, self.book.shown_as("yyyy-mm-dd"))

    def moment(self, place: int, cell: Cell, _currency: Cell) -> None:
        if isinstance(cell, datetime):
            # A spreadsheet knows no time zones: all of it is UTC, as the column's title says.
            plain = cell.astimezone(UTC).replace(tzinfo=None, microsecond=0)
            self.sheet.write_datetime(self.number, place, plain, self.book.shown_as("yyyy-mm-dd hh:mm:ss"))

    def _number(self, place: int, smallest_units: int, decimals: int) -> None:
        form = f"#,##0.{'0' * decimals}" if decimals else "#,##0"
        self.sheet.write_number(self.number, place, smallest_units / 10**decimals, self.book.shown_as(form))


_WRITERS: dict[Kind, Callable[[_Line, int, Cell, Cell], None]] = {
    Kind.TEXT: _Line.text,
    Kind.MONEY: _Line.money,
    Kind.DATE: _Line.day,
    Kind.COUNT: _Line.count,
    Kind.MOMENT: _Line.moment,
    Kind.PERCENT: _Line.percent,
}


def _rows(book: _Book, table: Table, totals: Totals) -> None:
    rows = iter(totals.watching(table.rows))
    places = currency_places(table.columns)
    number = 1
    for first in _first_of_each_sheet(rows):
        line = _Line(book, _sheet(book, table, "Rows" if number == 1 else f"Rows {number}"), 1)
        line.write(table.columns, first, places)
        for row in islice(rows, SHEET_ROWS_MAX - 1):
            line.write(table.columns, row, places)
        number += 1
    if number == 1:
        _sheet(book, table, "Rows")


def _first_of_each_sheet(rows: Iterator[Row]) -> Iterator[Row]:
    # Whoever takes a row from here takes the rest of its sheet from `rows` before he asks again.
    while (first := next(rows, None)) is not None:
        yield first


def _sheet(book: _Book, table: Table, name: str) -> Any:
    sheet = book.workbook.add_worksheet(name)
    for place, column in enumerate(table.columns):
        title = f"{column.title} (UTC)" if column.kind is Kind.MOMENT else column.title
        sheet.set_column(place, place, max(_WIDTHS[column.kind], len(title) + 2))
        sheet.write_string(0, place, title, book.bold)
    sheet.freeze_panes(1, 0)
    return sheet


def _about(book: _Book, table: Table, totals: Totals) -> None:
    sheet = book.workbook.add_worksheet("About")
    sheet.set_column(0, 0, 24)
    line = _Line(book, sheet, 0)
    count = sum(total.rows for total in totals.lines())
    for name, text in (("Report", table.title), *table.filters.items(), ("Rows", str(count))):
        line.text(0, name)
        line.text(1, text)
        line.number += 1
    columns = tuple(
        column for column in table.columns if column.is_totalled and column.kind in {Kind.MONEY, Kind.COUNT}
    )
    if not columns or not count:
        return
    line.number += 1
    for place, title in enumerate(("Total", *(column.title for column in columns))):
        sheet.write_string(line.number, place, title, book.bold)
    for total in totals.lines():
        line.number += 1
        line.text(0, total.currency or "without a currency")
        for place, column in enumerate(columns, start=1):
            _WRITERS[column.kind](line, place, total.sums.get(column.name), total.currency or None)
