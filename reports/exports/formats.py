"""FORMATS: the forms that every report is written in, and how many rows each of them bears."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.exports import parquet, texts, xlsx
from reports.exports.tables import Table

Write = Callable[[Table, Path], None]
Pieces = Callable[[Table], Iterator[bytes]]


@dataclass(frozen=True)
class Format:
    """One form. `pieces` yields what can be sent while it is made; what has none is written to a file first.

    At most `rows_max` rows, None: any number; and `rows_at_once_max` where somebody waits for the answer.
    """

    name: str
    suffix: str
    mimetype: str
    write: Write
    pieces: Pieces | None = None
    rows_max: int | None = None
    rows_at_once_max: int | None = None
    module: str | None = None  # what has to be installed beside the rest, by the name of its extra: that of the format

    @property
    def is_installed(self) -> bool:
        """Say whether this installation can write it."""
        return self.module is None or importlib.util.find_spec(self.module) is not None


def into_file(pieces: Iterator[bytes], path: Path) -> None:
    """Write `pieces` to `path`, one after the other."""
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _pdf(table: Table, path: Path) -> None:
    # Here, not above: fonts and pictures cost every start 0.4 s.
    from reports.exports import pdf  # noqa: PLC0415

    pdf.write(table, path)


def _written(pieces: Pieces) -> Write:
    def write(table: Table, path: Path) -> None:
        into_file(pieces(table), path)

    return write


# All of a PDF is in memory until it is written, and a row of 19 columns takes 2 ms: 20,000 are 400 pages and 40 s.
_TABLE: tuple[Format, ...] = (
    Format("csv", "csv", "text/csv", _written(texts.as_csv), texts.as_csv),
    Format(
        "xlsx",
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        xlsx.write,
        rows_at_once_max=20_000,
    ),
    Format("json", "json", "application/json", _written(texts.as_json), texts.as_json),
    Format("pdf", "pdf", "application/pdf", _pdf, rows_max=20_000, rows_at_once_max=2_000),
    Format(
        "parquet",
        "parquet",
        "application/vnd.apache.parquet",
        parquet.write,
        rows_at_once_max=100_000,
        module=parquet.MODULE,
    ),
)
FORMATS: Mapping[str, Format] = {form.name: form for form in _TABLE}
