"""Reads a network's CSV report through a mapping: every row becomes a line or is rejected with a reason."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core import money
from core.errors import Fault, Invalid
from core.money import MoneyError

CELL_LENGTH_MAX = 255
STATUS_LENGTH_MAX = 40
CONSTANT = "="  # "=EUR" is the currency EUR of every row; "EUR" is a column of that name

_REQUIRED = {"transaction_id", "amount", "currency", "occurred_on"}
_OPTIONAL = {"status", "click_id", "decimal", "delimiter"}
_COLUMNS = ("transaction_id", "amount", "currency", "status", "click_id")
_TIME_OF_DAY = ("%H", "%I", "%X", "%c")
_DELIMITERS = (",", ";", "\t", "|")
# An evening in autumn: a format that loses any part of the date does not bring it back.
_SAMPLE = datetime(2026, 11, 30, 21, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class ReportMapping:
    """Which column of a report says what. `currency_code` is the constant, set where no column says it."""

    transaction_id: str
    amount: str
    currency: str | None
    currency_code: str | None
    status: str | None
    click_id: str | None
    date_column: str
    date_format: str
    timezone: ZoneInfo
    decimal: str
    delimiter: str


@dataclass(frozen=True)
class NetworkRow:
    """One line as the network reports it, at `line` of the file."""

    line: int
    transaction_id: str | None
    click_id: str | None
    amount_minor: int
    currency: str
    status: str | None
    occurred_on: date


@dataclass(frozen=True)
class Rejected:
    """One row that was not loaded: the line of the file it begins on, and why."""

    line: int
    reason: str


def read(content: bytes, raw_mapping: object) -> Iterator[NetworkRow | Rejected]:
    """Return the rows of the file, in its order.

    Raise Invalid, with every fault of file and mapping at once, before the first row: a file that is not UTF-8, an
    unknown key, a column that the header has not, a time zone nobody knows.
    """
    text, file_faults = _text(content)
    delimiter = raw_mapping.get("delimiter", ",") if isinstance(raw_mapping, Mapping) else ","
    delimiter = delimiter if delimiter in _DELIMITERS else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    if not file_faults:
        try:
            header = next(reader, None)
        except csv.Error as error:
            file_faults = [Fault("file", f"its header cannot be read: {error}")]
        else:
            file_faults = [] if header else [Fault("file", "is empty: it has no header")]
    mapping, mapping_faults = _mapping(raw_mapping, header)
    if mapping is None or header is None or file_faults:
        raise Invalid.of(*file_faults, *mapping_faults)
    return _rows(reader, header, mapping)


def _text(content: bytes) -> tuple[str, list[Fault]]:
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return "", [Fault("file", f"is not UTF-8: byte {error.start + 1}, in line {line}; save it as UTF-8")]


def _mapping(raw: object, header: list[str] | None) -> tuple[ReportMapping | None, list[Fault]]:
    """Return the mapping, or everything wrong with it; without a header its columns are not looked for."""
    if not isinstance(raw, Mapping):
        return None, [Fault("mapping", "takes an object that names the columns")]
    faults = [Fault(f"mapping.{key}", "is no key of a mapping") for key in raw if key not in _REQUIRED | _OPTIONAL]
    faults += [Fault(f"mapping.{key}", "is missing") for key in sorted(_REQUIRED - set(raw))]
    for key in _COLUMNS:
        if key in raw:
            faults += _column_faults(f"mapping.{key}", raw[key], header, is_constant_allowed=key == "currency")
    if "occurred_on" in raw:
        faults += _date_faults(raw["occurred_on"], header)
    if raw.get("decimal", ".") not in (".", ","):
        faults.append(Fault("mapping.decimal", 'takes "." or ","'))
    if raw.get("delimiter", ",") not in _DELIMITERS:
        faults.append(Fault("mapping.delimiter", "takes a comma, a semicolon, a tab or a bar"))
    if faults:
        return None, faults
    when: Mapping[str, str] = raw["occurred_on"]
    is_constant = raw["currency"].startswith(CONSTANT)
    return ReportMapping(
        transaction_id=raw["transaction_id"],
        amount=raw["amount"],
        currency=None if is_constant else raw["currency"],
        currency_code=raw["currency"].removeprefix(CONSTANT) if is_constant else None,
        status=raw.get("status"),
        click_id=raw.get("click_id"),
        date_column=when["column"],
        date_format=when["format"],
        timezone=ZoneInfo(when["timezone"]),
        decimal=raw.get("decimal", "."),
        delimiter=raw.get("delimiter", ","),
    ), []


def _column_faults(
    field: str, column: object, header: list[str] | None, *, is_constant_allowed: bool = False
) -> list[Fault]:
    if not isinstance(column, str) or not column:
        return [Fault(field, "takes the name of a column")]
    if is_constant_allowed and column.startswith(CONSTANT):
        try:
            money.exponent(column.removeprefix(CONSTANT))
        except MoneyError as error:
            return [Fault(field, str(error))]
        return []
    if header is not None and header.count(column) != 1:
        reason = "stands more than once" if column in header else "does not stand"
        return [Fault(field, f"column {column!r} {reason} in the header ({', '.join(header)})")]
    return []


def _date_faults(when: object, header: list[str] | None) -> list[Fault]:
    keys = {"column", "format", "timezone"}
    if not isinstance(when, Mapping) or set(when) != keys:
        return [Fault("mapping.occurred_on", 'takes {"column", "format", "timezone"}')]
    faults = _column_faults("mapping.occurred_on.column", when["column"], header)
    if not isinstance(when["format"], str) or not _says_a_date(when["format"]):
        faults.append(Fault("mapping.occurred_on.format", "says no whole date; such as %Y-%m-%d or %d.%m.%Y %H:%M"))
    if not isinstance(when["timezone"], str) or not _is_zone(when["timezone"]):
        faults.append(Fault("mapping.occurred_on.timezone", "is no time zone, such as UTC or Europe/Berlin"))
    return faults


def _says_a_date(date_format: str) -> bool:
    # %Z reads names such as "CST", which several zones share.
    if "%Z" in date_format:
        return False
    try:
        return datetime.strptime(_SAMPLE.strftime(date_format), date_format).date() == _SAMPLE.date()  # noqa: DTZ007
    except ValueError:
        return False


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        return False
    return True


def _rows(reader: Any, header: list[str], mapping: ReportMapping) -> Iterator[NetworkRow | Rejected]:
    position = {name: at for at, name in enumerate(header)}
    while True:
        # A quoted cell may hold line ends: a row is named by the line it begins on.
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Rejected(line, f"cannot be read as CSV: {error}")
            continue
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(header):
            yield Rejected(line, f"has {len(cells)} cells where the header has {len(header)}")
            continue
        try:
            yield _row(line, lambda column, cells=cells: cells[position[column]].strip(), mapping)
        except ValueError as error:
            yield Rejected(line, str(error))


def _row(line: int, cell: Any, mapping: ReportMapping) -> NetworkRow:
    """Return the row, or raise ValueError with the reason it cannot be one."""
    transaction_id = _kept(cell(mapping.transaction_id), "transaction id", CELL_LENGTH_MAX)
    click_id = _kept(cell(mapping.click_id), "click id", CELL_LENGTH_MAX) if mapping.click_id else None
    if transaction_id is None and click_id is None:
        message = "has no transaction id"
        raise ValueError(message)
    currency = mapping.currency_code or cell(mapping.currency)
    amount = _amount(cell(mapping.amount), mapping.decimal)
    return NetworkRow(
        line=line,
        transaction_id=transaction_id,
        click_id=click_id,
        amount_minor=money.parse(amount, currency).amount_minor,
        currency=currency,
        status=_kept(cell(mapping.status), "status", STATUS_LENGTH_MAX) if mapping.status else None,
        occurred_on=_utc_date(cell(mapping.date_column), mapping),
    )


def _kept(text: str, name: str, length_max: int) -> str | None:
    if len(text) > length_max:
        message = f"its {name} is longer than {length_max} characters"
        raise ValueError(message)
    # PostgreSQL keeps no NUL, and none of the others is seen by a person who compares two ids.
    if not text.isprintable():
        message = f"its {name} holds a control character"
        raise ValueError(message)
    return text or None


def _amount(text: str, decimal: str) -> str:
    if decimal == ".":
        return text
    if "." in text:
        message = f"{text!r} is not an amount with a decimal comma, such as 12,50"
        raise ValueError(message)
    return text.replace(",", ".")


def _utc_date(text: str, mapping: ReportMapping) -> date:
    """Return the UTC date of a moment in the report's zone; a date without a time of day stays that date."""
    try:
        moment = datetime.strptime(text, mapping.date_format)  # noqa: DTZ007 - the zone is the mapping's, below
    except ValueError:
        message = f"{text!r} is not a date of the form {mapping.date_format}"
        raise ValueError(message) from None
    if moment.tzinfo is None:
        if not any(directive in mapping.date_format for directive in _TIME_OF_DAY):
            # Midnight would move every date of a zone east of Greenwich to the day before.
            return moment.date()
        moment = moment.replace(tzinfo=mapping.timezone)
    try:
        return moment.astimezone(UTC).date()
    except OverflowError:
        message = f"{text!r} lies outside the calendar"
        raise ValueError(message) from None
