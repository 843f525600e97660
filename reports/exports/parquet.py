"""A table as Parquet, a row group at a time; it takes the extra `parquet`, which brings pyarrow."""

import importlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from core import money
from reports.exports.tables import PERCENT_DECIMALS, Cell, Column, Kind, Row, Table, currency_places

MODULE = "pyarrow"
ROWS_A_GROUP = 20_000
# No currency has more than four decimals, and no sum of ours more than 24 digits.
MONEY_DIGITS, MONEY_DECIMALS = 24, 4


def write(table: Table, path: Path) -> None:
    """Write `table` to `path`: money as decimal128 of four decimals, counts as int64, days and moments as they are."""
    arrow, parquet = importlib.import_module(MODULE), importlib.import_module(f"{MODULE}.parquet")
    described = {"report": table.name, "title": table.title, **table.filters}
    schema = arrow.schema(
        [arrow.field(column.name, _type(arrow, column.kind)) for column in table.columns],
        metadata={f"clickledger.{name}": text for name, text in described.items()},
    )
    places = currency_places(table.columns)
    with parquet.ParquetWriter(str(path), schema, compression="zstd") as writer:
        for rows in _groups(table.rows):
            arrays = [
                arrow.array(list(_cells(rows, place, column, places[place])), schema.field(place).type)
                for place, column in enumerate(table.columns)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema), row_group_size=ROWS_A_GROUP)


def _type(arrow: Any, kind: Kind) -> Any:
    return {
        Kind.TEXT: arrow.string(),
        Kind.MONEY: arrow.decimal128(MONEY_DIGITS, MONEY_DECIMALS),
        Kind.DATE: arrow.date32(),
        Kind.COUNT: arrow.int64(),
        Kind.MOMENT: arrow.timestamp("us", tz="UTC"),
        Kind.PERCENT: arrow.decimal128(7, PERCENT_DECIMALS),
    }[kind]


def _groups(rows: Any) -> Iterator[Sequence[Row]]:
    waiting = iter(rows)
    while group := list(islice(waiting, ROWS_A_GROUP)):
        yield group


def _cells(rows: Sequence[Row], place: int, column: Column, currency_place: int | None) -> Iterator[Any]:
    for row in rows:
        yield _value(column.kind, row[place], None if currency_place is None else row[currency_place])


def _value(kind: Kind, cell: Cell, currency: Cell) -> Any:
    if isinstance(cell, int) and kind is Kind.MONEY:
        return Decimal(cell).scaleb(-money.exponent(currency)) if isinstance(currency, str) else None
    if isinstance(cell, int) and kind is Kind.PERCENT:
        return Decimal(cell).scaleb(-PERCENT_DECIMALS)
    return cell.astimezone(UTC) if isinstance(cell, datetime) else cell
