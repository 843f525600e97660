"""A table as CSV and as JSON, in pieces, as its rows come; what a spreadsheet would run is neutralised in CSV."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson

from core import csv_text
from reports.exports.tables import Cell, Column, Kind, Row, Table, Totals, currency_places, text_of, texts_of

# Sent piece by piece, a row of 200 bytes would cost more on its way than in the making.
PIECE_BYTES = 64 * 1024


def as_csv(table: Table) -> Iterator[bytes]:
    """Yield `table` as CSV (RFC 4180, UTF-8): a header of names, then a line a row, an empty cell for nothing.

    An amount is a plain decimal, so a negative one keeps its minus: it is a number and computes nothing. Any other cell
    that begins with = + - @, a tab or a carriage return gets an apostrophe before it.
    """
    texts = texts_of(table.columns)
    yield from gathered(
        csv_text.row(cells) for cells in _headed([column.name for column in table.columns], map(texts, table.rows))
    )


def as_json(table: Table) -> Iterator[bytes]:
    """Yield `table` as one JSON object: what it is, its columns, its rows as objects, and its totals last.

    Money travels as everywhere here: {"amount": "12.34", "currency": "EUR"}.
    """
    head = {
        "report": table.name,
        "title": table.title,
        "filters": dict(table.filters),
        "columns": [{"name": each.name, "title": each.title, "kind": each.kind.value} for each in table.columns],
    }
    totals = Totals(table.columns)
    shown = _shown(table.columns)

    def parts() -> Iterator[str]:
        yield orjson.dumps(head).decode()[:-1] + ',"rows":['
        comma = ""
        for row in totals.watching(table.rows):
            yield comma + "\n" + orjson.dumps(shown(row)).decode()
            comma = ","
        yield '\n],"totals":' + orjson.dumps(_totals(totals, table.columns)).decode() + "}\n"

    yield from gathered(parts())


def gathered(parts: Iterable[str], size: int = PIECE_BYTES) -> Iterator[bytes]:
    """Yield `parts` as UTF-8 in pieces of about `size` bytes."""
    waiting: list[str] = []
    length = 0
    for part in parts:
        waiting.append(part)
        length += len(part)
        if length >= size:
            yield "".join(waiting).encode()
            waiting, length = [], 0
    if waiting:
        yield "".join(waiting).encode()


def _headed(header: list[str], rows: Iterable[list[str]]) -> Iterator[list[str]]:
    yield header
    yield from rows


def _shown(columns: Sequence[Column]) -> Callable[[Row], dict[str, Any]]:
    places = [
        (column.name, column.kind, place) for column, place in zip(columns, currency_places(columns), strict=True)
    ]

    def shown(row: Row) -> dict[str, Any]:
        return {
            name: _value(kind, cell, None if place is None else row[place])
            for cell, (name, kind, place) in zip(row, places, strict=True)
        }

    return shown


def _value(kind: Kind, cell: Cell, currency: Cell) -> Any:
    if cell is None or kind in {Kind.TEXT, Kind.COUNT}:
        return cell
    if kind is Kind.MONEY:
        return {"amount": text_of(kind, cell, currency), "currency": currency} if currency else None
    return text_of(kind, cell)


def _totals(totals: Totals, columns: Sequence[Column]) -> list[dict[str, Any]]:
    kinds = {column.name: column.kind for column in columns}
    return [
        {
            "currency": total.currency or None,
            "rows": total.rows,
            "sums": {name: _value(kinds[name], minor, total.currency) for name, minor in total.sums.items()},
        }
        for total in totals.lines()
    ]
