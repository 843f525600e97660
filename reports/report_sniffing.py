"""Which mapping a report's file fits: known ones by their columns, and otherwise a suggestion by the columns' names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import IO, Any

from core.errors import Invalid
from core.money import EXPONENTS
from reports import report_layout, report_mapping, report_reading
from reports.csv_report import likely_delimiter
from reports.report_layout import Format

# What columns are called that say the same, without case and marks, the likeliest first.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "transaction_id": (
        "transactionid", "txnid", "tid", "conversionid", "actionid", "orderid", "orderref", "transaction", "id",
    ),
    "amount": ("payout", "commission", "commissionamount", "totalcommission", "amount", "earnings", "revenue"),
    "currency": ("currency", "currencycode", "currencyid", "payoutcurrency", "commissioncurrency"),
    "status": ("status", "state", "conversionstatus", "actionstatus", "commissionstatus"),
    "click_id": ("clickid", "clickref", "subid", "subid1", "sub1", "affsub", "u1", "sid"),
    "occurred_on": (
        "conversiondate", "transactiondate", "eventdate", "actiondate", "occurredat", "datetime", "date", "createdat",
        "timestamp", "day",
    ),
}  # fmt: skip
_FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y",
    "%m/%d/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y/%m/%d", "%d-%m-%Y",
)  # fmt: skip
_EPOCH_DIGITS, _EPOCH_MS_DIGITS = 10, 13
_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[^a-z0-9]")


def fitting(file: IO[bytes], mappings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the `mappings` whose every column the file has."""
    return [name for name, mapping in mappings.items() if _fits(file, mapping)]


def _fits(file: IO[bytes], mapping: Mapping[str, Any]) -> bool:
    raw = with_delimiter(file, mapping)
    layout, _ = report_layout.of_mapping(raw, report_reading.beginning(file))
    try:
        table = report_reading.table_of(file, layout, report_mapping.date_format_of(raw))
    except Invalid:
        return False
    table.close()
    return not report_mapping.checked(raw, table.header)[1]


def with_delimiter(file: IO[bytes], mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `mapping` with the delimiter that the header of a CSV file shows, where it says none."""
    if "delimiter" in mapping or "format" in mapping:
        return mapping
    if report_layout.sniffed(report_reading.beginning(file)) is not Format.CSV:
        return mapping
    delimiter = likely_delimiter(file)
    return mapping if delimiter == "," else {**mapping, "delimiter": delimiter}


def suggested(header: Sequence[str], rows: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Return what can be said of a mapping from a header and its first rows. What is not clear is left out of it.

    Of dates of which two forms are possible, 03/04/2026, none is said: a person has to.
    """
    by_plain: dict[str, list[str]] = {}
    for name in header:
        by_plain.setdefault(_NEITHER_LETTER_NOR_DIGIT.sub("", name.lower()), []).append(name)
    found: dict[str, Any] = {}
    for key, names in _NAMES.items():
        column = next((by_plain[name][0] for name in names if len(by_plain.get(name, ())) == 1), None)
        if column is not None and column not in found.values():
            found[key] = column
    held = list(rows)
    day = found.pop("occurred_on", None)
    if day is not None:
        form = _form([row[day] for row in held])
        if form is not None:
            found["occurred_on"] = {"column": day, "format": form, "timezone": "UTC"}
    if "currency" in found and any(row[found["currency"]] not in EXPONENTS for row in held):
        del found["currency"]
    return found


def _form(texts: Sequence[str]) -> str | None:
    said = [text for text in texts if text]
    if not said:
        return None
    if all(text.isdecimal() for text in said):
        lengths = {len(text) for text in said}
        if lengths == {_EPOCH_DIGITS}:
            return report_mapping.EPOCH
        return report_mapping.EPOCH_MS if lengths == {_EPOCH_MS_DIGITS} else None
    forms = [form for form in _FORMATS if all(_is_of(text, form) for text in said)]
    if len(forms) == 1:
        return forms[0]
    is_iso = not forms and all("T" in text and _is_iso(text) for text in said)
    return report_mapping.ISO if is_iso else None


def _is_of(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - only its form is asked
    except ValueError:
        return False
    return True


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
