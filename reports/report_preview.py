"""A network's report as it is understood, before anything of it is kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import IO, Any

from sqlalchemy.orm import Session

from core.errors import Fault, Invalid
from core.http.wire import money_dict
from core.money import EXPONENTS, Money
from reports import report_layout, report_mapping, report_mappings, report_reading, report_sniffing
from reports.csv_report import NetworkRow, Rejected
from reports.line_spool import REJECTED_MAX
from reports.report_layout import Layout

ROWS_MAX = 20
LINES_MAX = 100_000
_SHOWN_REJECTED = 1000
_ROWS_SNIFFED = 100


@dataclass
class _Told:
    """What a look at the rows has come to."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    lines: int = 0
    bad: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    first_on: date | None = None
    last_on: date | None = None


def of_file(session: Session, file: IO[bytes], said: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return the first rows as they are understood, their sums, the words of their states, and every fault.

    Without a mapping the one that fits is taken; where none fits, what the columns' names suggest is shown, to be
    completed and sent back. At most LINES_MAX rows are looked at. Nothing is stored.
    """
    try:
        mapping = report_mappings.reading(session, file, said)
    except Invalid as problem:
        return _not_understood(file, problem.faults)
    try:
        report = report_reading.opened(file, mapping)
    except Invalid as problem:
        return _not_understood(file, problem.faults, mapping)
    told = _Told()
    faults: list[Fault] = []
    rows = report.rows()
    try:
        _look(told, islice(rows, LINES_MAX))
        is_whole = next(rows, None) is None
    except Invalid as problem:
        faults, is_whole = problem.faults, False
    if told.bad > REJECTED_MAX:
        faults.append(
            Fault("file", f"more than {REJECTED_MAX:,} rows cannot be read: is this the mapping of this file?")
        )
    return {
        "format": report.layout.format.value,
        "header": report.table.header,
        "mapping": mapping,
        "suggested": None,
        "is_loadable": not faults and told.lines > 0,
        "is_whole": is_whole,
        "lines": told.lines,
        "rows": told.rows,
        "sums": [money_dict(Money(amount, currency)) for currency, amount in sorted(told.sums.items())],
        "statuses": [{"word": word, "lines": count} for word, count in sorted(told.words.items())],
        "first_on": told.first_on,
        "last_on": told.last_on,
        "rejected": told.rejected,
        "rejected_count": told.bad,
        "faults": _shown(faults),
    }


def _look(told: _Told, rows: Iterator[NetworkRow | Rejected]) -> None:
    for row in rows:
        if isinstance(row, Rejected):
            told.bad += 1
            if len(told.rejected) < _SHOWN_REJECTED:
                told.rejected.append({"line": row.line, "reason": row.reason})
            continue
        told.lines += 1
        told.sums[row.currency] = told.sums.get(row.currency, 0) + row.amount_minor
        if row.status is not None:
            told.words[row.status] = told.words.get(row.status, 0) + 1
        told.first_on = min(told.first_on or row.occurred_on, row.occurred_on)
        told.last_on = max(told.last_on or row.occurred_on, row.occurred_on)
        if len(told.rows) < ROWS_MAX:
            told.rows.append(_row(row))


def _row(row: NetworkRow) -> dict[str, Any]:
    return {
        "line": row.line,
        "transaction_id": row.transaction_id,
        "click_id": row.click_id,
        "money": money_dict(Money(row.amount_minor, row.currency)) if row.currency in EXPONENTS else None,
        "status": row.status,
        "occurred_on": row.occurred_on,
        "group_key": row.group_key,
        "line_id": row.line_id,
    }


def _not_understood(file: IO[bytes], faults: list[Fault], mapping: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the header, where there is one, and what can be said of a mapping, with what is wrong."""
    header, suggested = _sniffed(file, mapping or {})
    return {
        "format": report_layout.sniffed(report_reading.beginning(file)).value,
        "header": header,
        "mapping": mapping,
        "suggested": suggested,
        "is_loadable": False,
        "is_whole": False,
        "lines": 0,
        "rows": [],
        "sums": [],
        "statuses": [],
        "first_on": None,
        "last_on": None,
        "rejected": [],
        "rejected_count": 0,
        "faults": _shown(faults),
    }


def _sniffed(file: IO[bytes], mapping: Mapping[str, Any]) -> tuple[list[str], dict[str, Any] | None]:
    where = {key: value for key, value in mapping.items() if key in report_layout.KEYS}
    layout, _ = report_layout.of_mapping(report_sniffing.with_delimiter(file, where), report_reading.beginning(file))
    try:
        header, rows = _beginning(file, layout)
    except Invalid:
        return [], None
    found = report_sniffing.suggested(header, rows)
    if layout.delimiter not in {",", "\t"}:
        found["delimiter"] = layout.delimiter
    return header, {**found, **where}


def _beginning(file: IO[bytes], layout: Layout) -> tuple[list[str], list[dict[str, str]]]:
    table = report_reading.table_of(file, layout, report_mapping.date_format_of(None))
    try:
        names = [name for name in table.header if table.header.count(name) == 1]
        cells = next(table.chunks(names), None)
        if cells is None:
            return table.header, []
        rows = [dict(zip(names, row, strict=True)) for row in islice(zip(*cells.columns, strict=True), _ROWS_SNIFFED)]
        return table.header, rows
    finally:
        table.close()


def _shown(faults: list[Fault]) -> list[dict[str, str]]:
    return [{"field": fault.field, "reason": fault.reason} for fault in faults]
