"""A table as PDF for people: header and page number on each page, totals last; the same table gives the same bytes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import font_roboto
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from reports.exports.tables import Kind, Table, Totals, text_of, texts_of

_FONTS = Path(font_roboto.__file__).parent / "files"
# As in payouts/self_bill_pdf.py: every reader has the first, and the second costs 0.4 s where there are other letters.
_PLAIN = "Helvetica"
_OWN = "Roboto"
_MADE = datetime(2000, 1, 1, tzinfo=UTC)
_SIZE = 6.5
_LINE = 3.8
_MARGIN = 8.0
_GAP = 2.4
# The rows that decide how wide the columns are: enough to see, few enough to be measured at once.
_MEASURED_ROWS = 300
_FIGURES = {Kind.MONEY, Kind.COUNT, Kind.PERCENT}


def write(table: Table, path: Path) -> None:
    """Write `table` to `path` in A4 landscape; all of it is held in memory, so the caller bounds the rows.

    A text too long for its column is cut, a figure never. Characters beyond Latin, Greek and Cyrillic are empty boxes.
    """
    totals = Totals(table.columns)
    texts = texts_of(table.columns)
    lines = [[_plain(text) for text in texts(row)] for row in totals.watching(table.rows)]
    summed = _totals(table, totals)
    words = [table.title, *table.filters.values(), *(column.title for column in table.columns)]
    is_latin = all(each <= "\xff" for line in (words, *lines) for text in line for each in text)
    pdf = _Pages(table, _PLAIN if is_latin else _OWN)
    pdf.fit([*lines[:_MEASURED_ROWS], *summed])
    pdf.add_page()
    for line in lines:
        pdf.row(line)
    pdf.ln(2)
    pdf.set_font(style="B", size=_SIZE)
    for line in summed:
        pdf.row(line)
    pdf.cell(0, _LINE, f"{len(lines)} rows", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    path.write_bytes(bytes(pdf.output()))


class _Pages(FPDF):
    """The pages of one table."""

    def __init__(self, table: Table, family: str) -> None:
        super().__init__(orientation="landscape", format="A4")
        self.shown = table
        self.widths: list[float] = []
        self.set_creation_date(_MADE)
        self.set_producer("Clickledger")
        self.set_title(table.title)
        self.set_margin(_MARGIN)
        self.set_auto_page_break(auto=True, margin=_MARGIN + 5)
        if family == _OWN:
            for style, file in (("", "Roboto-Regular.ttf"), ("B", "Roboto-Bold.ttf")):
                self.add_font(family, style, _FONTS / file)
        self.set_font(family, "", _SIZE)

    def header(self) -> None:
        """Write the title once, and the columns' on every page."""
        if self.page_no() == 1:
            self.set_font(style="B", size=12)
            self.cell(0, 7, self.shown.title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.set_font(style="", size=_SIZE + 1)
            narrowed = ", ".join(f"{name} {text}" for name, text in self.shown.filters.items())
            self.cell(0, 5, _plain(narrowed) or "everything", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_font(style="B", size=_SIZE)
        self.row([column.title for column in self.shown.columns])
        self.line(_MARGIN, self.get_y(), self.w - _MARGIN, self.get_y())
        self.set_font(style="", size=_SIZE)

    def footer(self) -> None:
        """Write which page of how many it is."""
        self.set_y(-_MARGIN - 3)
        self.set_font(style="", size=_SIZE)
        self.cell(0, _LINE, self.shown.title)
        self.set_x(_MARGIN)
        self.cell(0, _LINE, f"Page {self.page_no()} of {{nb}}", align="R")

    def fit(self, lines: Sequence[Sequence[str]]) -> None:
        """Give each column the width it needs; where the page is too narrow, the widest texts give way."""
        self.set_font(style="B", size=_SIZE)
        needed = [self.get_string_width(column.title) for column in self.shown.columns]
        for line in lines:
            needed = [max(width, self.get_string_width(text)) for width, text in zip(needed, line, strict=True)]
        widths = [width + _GAP for width in needed]
        left = self.w - 2 * _MARGIN
        gives = [place for place, column in enumerate(self.shown.columns) if column.kind not in _FIGURES]
        kept = sum(width for place, width in enumerate(widths) if place not in gives)
        most = _most([widths[place] for place in gives], left - kept)
        self.widths = [min(width, most) if place in gives else width for place, width in enumerate(widths)]

    def row(self, line: Sequence[str]) -> None:
        """Write one line of cells, figures to the right."""
        for column, width, text in zip(self.shown.columns, self.widths, line, strict=True):
            if text:
                align = "R" if column.kind in _FIGURES else "L"
                self.cell(width, _LINE, self._cut(text, width - _GAP / 2), align=align)
            else:
                self.set_x(self.get_x() + width)
        self.ln(_LINE)

    def _cut(self, text: str, width: float) -> str:
        wide = self.get_string_width(text)
        while wide > width and text != "...":
            # Most of what is too much at once: a note of 2,000 letters would else be measured 2,000 times.
            keep = min(len(text.removesuffix("...")) - 1, int(len(text) * width / wide))
            text = f"{text[: max(keep, 0)]}..."
            wide = self.get_string_width(text)
        return text


def _most(widths: Sequence[float], left: float) -> float:
    """Return the width that no text may pass so that all of them together are at most `left` wide."""
    for number, width in enumerate(ordered := sorted(widths)):
        share = left / (len(ordered) - number)
        if width > share:
            return max(share, _GAP * 2)
        left -= width
    return max(widths, default=0.0)


def _totals(table: Table, totals: Totals) -> list[list[str]]:
    found = []
    for currency, row in totals.rows(table.columns):
        sums = {column.name: cell for column, cell in zip(table.columns, row, strict=True) if isinstance(cell, int)}
        line = [_total(column.kind, sums.get(column.name), currency) for column in table.columns]
        # The first column of every report names something: nothing of it is summed.
        line[0] = line[0] or f"Total {currency}".strip()
        found.append(line)
    return found


def _total(kind: Kind, cell: int | None, currency: str) -> str:
    return "" if cell is None else text_of(kind, cell, currency or None)


def _plain(text: str) -> str:
    """Return `text` on one line, without characters that no font draws."""
    return "".join(each if each.isprintable() else " " for each in text)
