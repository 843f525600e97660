"""Tables as CSV that a spreadsheet shows and does not run."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# A spreadsheet takes a cell that starts so for a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)

Cell = str | int | None


def neutralised(cell: Cell) -> str:
    """Return `cell` as text that is no formula: an apostrophe goes before what would be one.

    A plain decimal number stays a number, its minus with it: -3.00 computes nothing.
    """
    text = "" if cell is None else str(cell)
    if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def row(cells: Iterable[Cell]) -> str:
    """Return one line in RFC 4180's form, every cell neutralised."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([neutralised(cell) for cell in cells])
    return written.getvalue()


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a header and its rows, a line each."""
    return "".join(row(cells) for cells in (header, *rows))
