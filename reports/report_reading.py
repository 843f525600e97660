"""Opens a network's report, of whatever format, through its mapping, and reads it part by part."""

import codecs
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import IO, Protocol

from core.errors import Fault, Invalid
from reports import report_layout, report_mapping
from reports.csv_report import Cells, CsvTable, NetworkRow, Rejected
from reports.json_report import JsonTable
from reports.report_layout import Format, Layout
from reports.report_lines import Lines, Reader
from reports.report_mapping import ReportMapping
from reports.xlsx_report import XlsxTable

_BEGINNING_BYTES = 4096
_READ_BYTES = 1 << 20


class Table(Protocol):
    """A file of one format: its header, and its rows as chunks of columns."""

    header: list[str]

    def chunks(self, columns: list[str]) -> Iterator[Cells]:
        """Yield the rows' `columns`."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


@dataclass(frozen=True)
class Report:
    """An open report whose header has all that its mapping names."""

    mapping: ReportMapping
    layout: Layout
    table: Table

    def parts(self) -> Iterator[tuple[Lines, list[Rejected]]]:
        """Yield some thousand rows at a time, as lines and as what is rejected of them, in the file's order."""
        reader, names = Reader(self.mapping), report_mapping.columns_of(self.mapping)
        for cells in self.table.chunks(names):
            yield reader.read(names, cells)

    def rows(self) -> Iterator[NetworkRow | Rejected]:
        """Yield row by row, in the file's order."""
        try:
            for lines, rejected in self.parts():
                both: tuple[Iterable[NetworkRow | Rejected], ...] = (lines.rows(), rejected)
                yield from heapq.merge(*both, key=attrgetter("line"))
        finally:
            self.table.close()


def opened(file: IO[bytes], raw_mapping: object) -> Report:
    """Open the report in `file`, from its first byte; whoever reads it closes its table.

    Raise Invalid, with every fault of file and mapping at once, before the first row: a file that is not UTF-8, an
    unknown key, a column that the header has not, a time zone nobody knows.
    """
    layout, layout_faults = report_layout.of_mapping(raw_mapping, beginning(file))
    table, file_faults = _table(file, layout, report_mapping.date_format_of(raw_mapping))
    mapping, faults = report_mapping.checked(raw_mapping, table.header if table else None)
    if mapping is None or table is None or layout_faults:
        if table is not None:
            table.close()
        raise Invalid.of(*file_faults, *faults, *layout_faults)
    return Report(mapping, layout, table)


def read(file: IO[bytes], raw_mapping: object) -> Iterator[NetworkRow | Rejected]:
    """Return the rows of the report in `file`, in its order; raise Invalid as `opened` does, before the first."""
    return opened(file, raw_mapping).rows()


def table_of(file: IO[bytes], layout: Layout, date_format: str) -> Table:
    """Open a file of a layout at its header, whatever it holds further down; raise Invalid where there is none."""
    file.seek(0)
    if layout.format is Format.XLSX:
        return XlsxTable(file, layout, date_format=date_format)
    if layout.format in (Format.JSON, Format.JSONL):
        return JsonTable(file, layout)
    return CsvTable(file, layout)


def beginning(file: IO[bytes]) -> bytes:
    """Return the bytes that show a file's format."""
    file.seek(0)
    return file.read(_BEGINNING_BYTES)


def _table(file: IO[bytes], layout: Layout, date_format: str) -> tuple[Table | None, list[Fault]]:
    faults = list(_encoding_faults(file)) if layout.format is not Format.XLSX else []
    if faults:
        return None, faults
    try:
        return table_of(file, layout, date_format), []
    except Invalid as problem:
        return None, problem.faults


def _encoding_faults(file: IO[bytes]) -> Iterator[Fault]:
    """Yield where a file is not UTF-8. It is looked at whole and first: half a report is not loaded."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    at, line, piece = 0, 1, b""
    try:
        while piece := file.read(_READ_BYTES):
            held = len(decoder.getstate()[0])
            decoder.decode(piece)
            at, line = at + len(piece), line + piece.count(b"\n")
        held = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # The decoder goes on from the bytes it held of a character that the piece before broke in two.
        place = at - held + error.start
        line += piece.count(b"\n", 0, max(0, error.start - held))
        yield Fault("file", f"is not UTF-8: byte {place + 1}, in line {line}; save it as UTF-8")
