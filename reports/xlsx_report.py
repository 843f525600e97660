"""Reads a report that is XLSX: a row at a time, after its zip directory has shown that it is no bomb."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import IO, Any
from xml.etree.ElementTree import ParseError

from core.errors import Fault, Invalid
from reports.csv_report import Cells, Row, gathered
from reports.report_layout import Layout

MEMBERS_MAX = 1000
# Excel's own limit is 1,048,576 rows; a sheet of a million rows and 20 columns is some 600 MB of XML.
UNPACKED_BYTES_MAX = 1 << 30
# openpyxl holds the texts that cells share; the sheets themselves it reads as it goes.
SHARED_BYTES_MAX = 64 << 20
# XML of a real sheet shrinks to a tenth, and at most to a thirtieth.
RATIO_MAX = 200
_RATIO_FROM_BYTES = 10 << 20
_BEGINNING_BYTES = 4096
_SHARED = "xl/sharedStrings.xml"
# Excel itself keeps 15 digits, and so shows 0.3 where a sum in the file is 0.30000000000000004.
_DIGITS = 15


class XlsxTable:
    """A sheet from its header on; `line` is the sheet's own row number.

    Cells that Excel knows as dates are written in `date_format`, as if the file said them so. Raises Invalid for what
    is no workbook, what would unpack to too much, a document type, and a sheet that is not there.
    """

    def __init__(self, file: IO[bytes], layout: Layout, *, date_format: str) -> None:
        self._layout, self._date_format = layout, date_format
        faults = list(_bomb_faults(file))
        if faults:
            raise Invalid.of(*faults)
        file.seek(0)
        try:
            with warnings.catch_warnings():
                # It warns of styles and extensions that it leaves out: no values.
                warnings.simplefilter("ignore")
                # data_only: what a formula came to when the file was saved, not the formula.
                # Here, not above: it costs every start 0.1 s.
                from openpyxl import load_workbook  # noqa: PLC0415

                self._book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            sheet = _sheet(self._book, layout.sheet)
            rows = sheet.iter_rows(min_row=layout.head + 1, values_only=True)
            self._values: Iterator[tuple[Any, ...]] = iter(rows)
            header = [_text(value, date_format) for value in next(self._values, ())]
        except _BROKEN as error:
            raise Invalid.of(_broken(error)) from None
        while header and not header[-1]:
            header.pop()
        if not header:
            raise Invalid.of(Fault("file", "is empty: it has no header"))
        self.header = [name.strip() for name in header]

    def close(self) -> None:
        """Let go of the workbook; the file stays open."""
        self._book.close()

    def chunks(self, columns: Sequence[str]) -> Iterator[Cells]:
        """Yield the rows' `columns`."""
        positions = [self.header.index(name) for name in columns]
        return gathered(self._rows(), positions, width=len(self.header), foot=self._layout.foot)

    def _rows(self) -> Iterator[tuple[int, Row]]:
        line, width, blank = self._layout.head + 1, len(self.header), self._date_format
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for values in self._values:
                    line += 1
                    cells = [_text(value, blank) for value in values]
                    if not any(cells):
                        continue
                    while len(cells) > width and not cells[-1]:
                        cells.pop()
                    # A sheet ends each row with its last filled cell.
                    yield line, cells + [""] * (width - len(cells))
        except _BROKEN as error:
            raise Invalid.of(_broken(error)) from None


# What openpyxl lets through of a file that is no workbook, or a damaged one. defusedxml, which it reads with where that
# is installed, refuses entities with a ValueError.
_BROKEN = (
    zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, OSError, ParseError,
    NotImplementedError,
)  # fmt: skip


def _broken(error: Exception) -> Fault:
    if isinstance(error, _NoSheetError):
        return Fault("mapping.sheet", str(error))
    return Fault("file", "is no XLSX workbook that can be read")


class _NoSheetError(ValueError):
    """The workbook has no such sheet; a sentence that names those it has."""


def _sheet(book: Any, wanted: str | int) -> Any:
    names = book.sheetnames
    if isinstance(wanted, str) and wanted in names:
        return book[wanted]
    if isinstance(wanted, int) and wanted <= len(names):
        return book.worksheets[wanted - 1]
    message = f"names no sheet of the workbook ({', '.join(names)})"
    raise _NoSheetError(message)


def _bomb_faults(file: IO[bytes]) -> Iterator[Fault]:
    """Yield what the zip directory says against opening the file. What lies beyond a member's size is never read."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            packed = max(1, sum(member.compress_size for member in members))
            if len(members) > MEMBERS_MAX:
                yield Fault("file", f"is a zip of {len(members):,} parts, more than a workbook has")
            elif unpacked > UNPACKED_BYTES_MAX or (unpacked > _RATIO_FROM_BYTES and unpacked / packed > RATIO_MAX):
                yield Fault("file", f"would unpack to {unpacked:,} bytes, {unpacked // packed} times its size")
            elif any(member.filename == _SHARED and member.file_size > SHARED_BYTES_MAX for member in members):
                yield Fault("file", "holds more text than is kept in memory: save it as CSV")
            else:
                yield from _doctype_faults(archive, members)
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError):
        yield Fault("file", "is no XLSX workbook that can be read")


def _doctype_faults(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> Iterator[Fault]:
    for member in members:
        if member.filename.endswith((".xml", ".rels")) and not member.flag_bits & 1:
            with archive.open(member) as part:
                # In UTF-16 every other byte is a zero.
                beginning = part.read(_BEGINNING_BYTES).replace(b"\0", b"")
            if b"<!DOCTYPE" in beginning or b"<!ENTITY" in beginning:
                yield Fault("file", "declares a document type or entities, which no workbook needs")
                return


def _text(value: Any, date_format: str) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    if isinstance(value, datetime):
        return value.strftime(date_format)
    if isinstance(value, date):
        return datetime.combine(value, time()).strftime(date_format)
    return str(value)
