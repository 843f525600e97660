"""Which column of a network's report says what: a mapping, checked whole before the first row is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core import money
from core.errors import Fault
from core.money import MoneyError
from reports import report_layout

CONSTANT = "="  # "=EUR" is the currency EUR of every row; "EUR" is a column of that name
EPOCH, EPOCH_MS, ISO = "epoch", "epoch_ms", "iso8601"
_NUMBERS = {EPOCH, EPOCH_MS}
_COLUMNS_MAX = 5
_HEADER_SHOWN_MAX = 60

_REQUIRED = {"transaction_id", "amount", "currency", "occurred_on"}
# Each of these may be put together from several columns.
_KEYS = ("transaction_id", "click_id", "group_key", "line_id")
_OPTIONAL = {"status", "click_id", "group_key", "line_id", "decimal", "thousands", "negate"}
_KNOWN = _REQUIRED | _OPTIONAL | report_layout.KEYS
_THOUSANDS = (",", ".", " ", "'")
# An evening in autumn: a format that loses any part of the date does not bring it back.
_SAMPLE = datetime(2026, 11, 30, 21, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Columns:
    """One or several columns that say one thing: the first that is not empty, or all of them with `by` between."""

    names: tuple[str, ...]
    by: str | None = None


@dataclass(frozen=True)
class ReportMapping:
    """Which column of a report says what. `currency_code` is the constant, set where no column says it."""

    transaction_id: Columns
    amount: str
    currency: str | None
    currency_code: str | None
    status: str | None
    click_id: Columns | None
    group_key: Columns | None
    line_id: Columns | None
    date_column: str
    date_format: str
    timezone: ZoneInfo
    decimal: str
    thousands: str | None
    is_negated: bool


def checked(raw: object, header: Sequence[str] | None) -> tuple[ReportMapping | None, list[Fault]]:
    """Return the mapping, or everything wrong with it; without a header its columns are not looked for."""
    if not isinstance(raw, Mapping):
        return None, [Fault("mapping", "takes an object that names the columns")]
    faults = [Fault(f"mapping.{key}", "is no key of a mapping") for key in raw if key not in _KNOWN]
    faults += [Fault(f"mapping.{key}", "is missing") for key in sorted(_REQUIRED - set(raw))]
    for key, check in _CHECKS.items():
        if key in raw:
            faults += check(f"mapping.{key}", raw[key], header)
    if raw.get("thousands") is not None and raw.get("thousands") == raw.get("decimal", "."):
        faults.append(Fault("mapping.thousands", "is the decimal mark too"))
    return (None, faults) if faults else (_mapping(raw), [])


def date_format_of(raw: object) -> str:
    """Return the date format a mapping says, ISO's where it says none: cells of XLSX are written in it."""
    when = raw.get("occurred_on") if isinstance(raw, Mapping) else None
    said = when.get("format") if isinstance(when, Mapping) else None
    if not isinstance(said, str) or said in _NUMBERS | {ISO} or not _says_a_date(said):
        return "%Y-%m-%dT%H:%M:%S"
    return said


def columns_of(mapping: ReportMapping) -> list[str]:
    """Return the columns that a mapping reads, each once."""
    names = [mapping.amount, mapping.currency, mapping.status, mapping.date_column]
    keys = (mapping.transaction_id, mapping.click_id, mapping.group_key, mapping.line_id)
    every = [*(name for key in keys if key for name in key.names), *(name for name in names if name)]
    return list(dict.fromkeys(every))


def _mapping(raw: Mapping[str, Any]) -> ReportMapping:
    when: Mapping[str, str] = raw["occurred_on"]
    is_constant = raw["currency"].startswith(CONSTANT)
    return ReportMapping(
        **{key: _columns(raw[key]) if key in raw else None for key in _KEYS},  # type: ignore[arg-type]
        amount=raw["amount"],
        currency=None if is_constant else raw["currency"],
        currency_code=raw["currency"].removeprefix(CONSTANT) if is_constant else None,
        status=raw.get("status"),
        date_column=when["column"],
        date_format=when["format"],
        timezone=ZoneInfo(when["timezone"]),
        decimal=raw.get("decimal", "."),
        thousands=raw.get("thousands"),
        is_negated=raw.get("negate", False),
    )


def _columns(said: Any) -> Columns:
    if isinstance(said, str):
        return Columns((said,))
    return Columns(tuple(said["columns"]), said.get("join"))


def _key_faults(field: str, said: object, header: Sequence[str] | None) -> Iterator[Fault]:
    if not isinstance(said, Mapping):
        yield from _column_faults(field, said, header)
        return
    names, by = said.get("columns"), said.get("join")
    if not set(said) <= {"columns", "join"} or not isinstance(names, list) or not 0 < len(names) <= _COLUMNS_MAX:
        yield Fault(field, f'takes a column, or {{"columns": [1 to {_COLUMNS_MAX} names], "join"?: "-"}}')
        return
    if by is not None and (not isinstance(by, str) or len(by) > _COLUMNS_MAX or not by.isprintable()):
        yield Fault(f"{field}.join", f"takes at most {_COLUMNS_MAX} characters that stand between the columns")
    for name in names:
        yield from _column_faults(f"{field}.columns", name, header)


def _column_faults(field: str, column: object, header: Sequence[str] | None) -> Iterator[Fault]:
    if not isinstance(column, str) or not column:
        yield Fault(field, "takes the name of a column")
    elif header is not None and header.count(column) != 1:
        reason = "stands more than once" if column in header else "does not stand"
        rest = ["..."] if len(header) > _HEADER_SHOWN_MAX else []
        shown = ", ".join([*header[:_HEADER_SHOWN_MAX], *rest])
        yield Fault(field, f"column {column!r} {reason} in the header ({shown})")


def _currency_faults(field: str, said: object, header: Sequence[str] | None) -> Iterator[Fault]:
    if isinstance(said, str) and said.startswith(CONSTANT):
        try:
            money.exponent(said.removeprefix(CONSTANT))
        except MoneyError as error:
            yield Fault(field, str(error))
        return
    yield from _column_faults(field, said, header)


def _date_faults(field: str, when: object, header: Sequence[str] | None) -> Iterator[Fault]:
    if not isinstance(when, Mapping) or set(when) != {"column", "format", "timezone"}:
        yield Fault(field, 'takes {"column", "format", "timezone"}')
        return
    yield from _column_faults(f"{field}.column", when["column"], header)
    said = when["format"]
    if not isinstance(said, str) or not (said in _NUMBERS | {ISO} or _says_a_date(said)):
        reason = f"says no whole date; such as %Y-%m-%d or %d.%m.%Y %H:%M, or {ISO}, {EPOCH} or {EPOCH_MS}"
        yield Fault(f"{field}.format", reason)
    if not isinstance(when["timezone"], str) or not _is_zone(when["timezone"]):
        yield Fault(f"{field}.timezone", "is no time zone, such as UTC or Europe/Berlin")


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


def _one_of(allowed: Sequence[Any], reason: str) -> Any:
    def faults(field: str, said: object, _header: Sequence[str] | None) -> Iterator[Fault]:
        # Not `in` alone: 1 equals True.
        if not any(type(said) is type(each) and said == each for each in allowed):
            yield Fault(field, reason)

    return faults


# In the order their faults are told.
_CHECKS: Mapping[str, Any] = {
    "transaction_id": _key_faults,
    "amount": _column_faults,
    "currency": _currency_faults,
    "status": _column_faults,
    "click_id": _key_faults,
    "group_key": _key_faults,
    "line_id": _key_faults,
    "occurred_on": _date_faults,
    "decimal": _one_of((".", ","), 'takes "." or ","'),
    "thousands": _one_of(_THOUSANDS, "takes a comma, a point, a space or an apostrophe"),
    "negate": _one_of((True, False), "takes true or false"),
}
