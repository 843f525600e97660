"""Reads a report that is CSV or TSV as rows of texts, and says what rows of every format come to."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import IO

from core.errors import Fault, Invalid
from reports.report_layout import DELIMITERS, Layout

# Measured: chunks of 4,096 rows cost the garbage collector as much as all of the reading.
CHUNK_ROWS = 512
# A file without an end of line must not be one line in memory; no cell of a report comes near it.
LINE_LENGTH_MAX = 1 << 20


@dataclass(frozen=True)
class NetworkRow:
    """One line as the network reports it, at `line` of the file; `line_id` where the network gives lines ids."""

    line: int
    transaction_id: str | None
    click_id: str | None
    amount_minor: int
    currency: str
    status: str | None
    occurred_on: date
    group_key: str | None = None
    line_id: str | None = None


@dataclass(frozen=True)
class Rejected:
    """One row that was not loaded: the line of the file it begins on, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Cells:
    """Rows as texts, column by column: `columns[c][n]` is a cell of the row that begins on line `lines[n]`."""

    lines: list[int]
    columns: list[list[str]]
    rejected: list[Rejected]


Row = Sequence[str] | Rejected


class CsvTable:
    """A CSV file from its header on. Raises Invalid where there is no header."""

    def __init__(self, file: IO[bytes], layout: Layout) -> None:
        self._layout = layout
        self._text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        # Titles above the header are no CSV: a single quote in one would swallow the rows below it.
        for _ in range(layout.head):
            self._text.readline(LINE_LENGTH_MAX)
        lines = iter(partial(self._text.readline, LINE_LENGTH_MAX), "")
        self._reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
        try:
            self.header = self._header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file. It stays open for whoever opened it: a forgotten wrapper would close it."""
        self._text.detach()

    def chunks(self, columns: Sequence[str]) -> Iterator[Cells]:
        """Yield the rows' `columns`, at most CHUNK_ROWS at a time."""
        positions = [self.header.index(name) for name in columns]
        return gathered(self._rows(), positions, width=len(self.header), foot=self._layout.foot)

    def _header(self) -> list[str]:
        try:
            found = next(self._reader, None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise Invalid.of(Fault("file", f"its header cannot be read: {error}")) from None
        if not found:
            raise Invalid.of(Fault("file", "is empty: it has no header"))
        return [name.strip() for name in found]

    def _rows(self) -> Iterator[tuple[int, Row]]:
        reader, head = self._reader, self._layout.head
        while True:
            # A quoted cell may hold line ends: a row is named by the line it begins on.
            line = head + reader.line_num + 1
            try:
                for cells in reader:
                    if cells:
                        yield line, cells
                    line = head + reader.line_num + 1
            except csv.Error as error:
                yield line, Rejected(line, f"cannot be read as CSV: {error}")
                continue
            return


def gathered(
    rows: Iterator[tuple[int, Row]], positions: Sequence[int], *, width: int, foot: int = 0
) -> Iterator[Cells]:
    """Yield `rows` in chunks of columns, without the last `foot` of them; one with another number of cells is bad."""
    lines: list[int] = []
    held: list[Row] = []
    for line, row in rows:
        lines.append(line)
        held.append(row)
        if len(held) >= CHUNK_ROWS + foot:
            yield _cells(lines[:CHUNK_ROWS], held[:CHUNK_ROWS], positions, width)
            del lines[:CHUNK_ROWS], held[:CHUNK_ROWS]
    last = max(0, len(held) - foot)
    if last:
        yield _cells(lines[:last], held[:last], positions, width)


def _cells(lines: list[int], rows: list[Row], positions: Sequence[int], width: int) -> Cells:
    rejected = []
    # Nearly always all rows are good, and a look at each costs as much as reading it.
    if Rejected in set(map(type, rows)) or set(map(len, rows)) - {width}:  # type: ignore[arg-type]
        for line, row in zip(lines, rows, strict=True):
            if isinstance(row, Rejected):
                rejected.append(row)
            elif len(row) != width:
                rejected.append(Rejected(line, f"has {len(row)} cells where the header has {width}"))
        bad = {each.line for each in rejected}
        kept = [(line, row) for line, row in zip(lines, rows, strict=True) if line not in bad]
        lines, rows = [line for line, _ in kept], [row for _, row in kept]
    turned = list(zip(*rows, strict=True)) if rows else [()] * width
    return Cells(lines, [[cell.strip() for cell in turned[at]] for at in positions], rejected)


def likely_delimiter(file: IO[bytes], *, head: int = 0) -> str:
    """Return the delimiter that stands most often in the header's line; a comma where none does."""
    file.seek(0)
    for _ in range(head):
        file.readline(LINE_LENGTH_MAX)
    line = file.readline(LINE_LENGTH_MAX).decode("utf-8", "replace")
    file.seek(0)
    return max(DELIMITERS, key=line.count)
