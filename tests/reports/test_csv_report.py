"""A network's CSV report, read without guessing."""

import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from reports import report_reading
from reports.csv_report import NetworkRow, Rejected

FILES = Path(__file__).parent / "files"
MAPPING: dict[str, Any] = {
    "transaction_id": "Transaction ID",
    "click_id": "Click",
    "amount": "Payout",
    "currency": "Currency",
    "status": "Status",
    "occurred_on": {"column": "Date", "format": "%Y-%m-%d %H:%M:%S", "timezone": "America/New_York"},
}
SMALL = {
    "transaction_id": "id",
    "amount": "sum",
    "currency": "=EUR",
    "occurred_on": {"column": "day", "format": "%Y-%m-%d", "timezone": "UTC"},
}


def read(content: bytes, mapping: object) -> Iterator[NetworkRow | Rejected]:
    return report_reading.read(io.BytesIO(content), mapping)


def faults(content: bytes, mapping: object) -> list[str]:
    with pytest.raises(Invalid) as caught:
        read(content, mapping)
    return [fault.field for fault in caught.value.faults]


def test_every_bad_row_is_listed_by_the_line_it_begins_on_and_the_good_ones_are_read() -> None:
    rows = list(read((FILES / "october.csv").read_bytes(), MAPPING))

    assert [row for row in rows if isinstance(row, NetworkRow)] == [
        NetworkRow(2, "T1", "c1", 1250, "EUR", "approved", date(2026, 10, 3)),
        NetworkRow(3, "T2", "c2", 100, "EUR", "approved", date(2026, 11, 1)),
        NetworkRow(5, "T2", "c2", 100, "EUR", "approved", date(2026, 11, 1)),
        NetworkRow(12, "T7", "c7", -300, "EUR", "reversed", date(2026, 10, 5)),
    ]
    assert [row for row in rows if isinstance(row, Rejected)] == [
        Rejected(7, "'1,00' is not an amount: digits with at most one point, such as 12.50"),
        Rejected(8, "'EURO' is not a currency of ISO 4217"),
        Rejected(9, "'04.10.2026' is not a date of the form %Y-%m-%d %H:%M:%S"),
        Rejected(10, "has no transaction id"),
        Rejected(11, "has 5 cells where the header has 7"),
    ]


def test_a_byte_order_mark_a_decimal_comma_and_another_delimiter_are_read_when_the_mapping_says_so() -> None:
    mapping = {**SMALL, "decimal": ",", "delimiter": ";"}

    rows = list(read("\ufeffid;sum;day\r\nT1;12,5;2026-10-03\r\nT2;12.50;2026-10-03\r\n".encode(), mapping))

    assert rows[0] == NetworkRow(2, "T1", None, 1250, "EUR", None, date(2026, 10, 3))
    assert rows[1] == Rejected(3, "'12.50' is not an amount with a decimal comma, such as 12,50")


def test_a_date_without_a_time_of_day_stays_that_date_whatever_the_zone() -> None:
    zone = {"column": "day", "format": "%Y-%m-%d", "timezone": "Asia/Tokyo"}

    assert [row.occurred_on for row in rows_of(b"id,sum,day\nT1,1,2026-10-01\n", {**SMALL, "occurred_on": zone})] == [
        date(2026, 10, 1)
    ]


def rows_of(content: bytes, mapping: object) -> list[NetworkRow]:
    return [row for row in read(content, mapping) if isinstance(row, NetworkRow)]


def test_all_faults_of_a_mapping_are_told_at_once() -> None:
    mapping = {
        "transaction_id": "Transaction",
        "amount": 7,
        "currency": "=EURO",
        "colour": "red",
        "occurred_on": {"column": "Day", "format": "%d.%m.", "timezone": "Mars/Olympus"},
        "decimal": "'",
        "delimiter": ["x"],
    }

    assert faults(b"id,sum,day\n", mapping) == [
        "mapping.colour",
        "mapping.transaction_id",
        "mapping.amount",
        "mapping.currency",
        "mapping.occurred_on.column",
        "mapping.occurred_on.format",
        "mapping.occurred_on.timezone",
        "mapping.decimal",
        "mapping.delimiter",
    ]


def test_a_file_that_is_not_utf_8_is_refused_with_the_place_and_with_the_mapping_s_own_faults() -> None:
    with pytest.raises(Invalid) as caught:
        read("id,sum,day\nT1,1,Sébastien\n".encode("latin-1"), {**SMALL, "colour": "red"})

    assert [fault.field for fault in caught.value.faults] == ["file", "mapping.colour"]
    assert caught.value.faults[0].reason == "is not UTF-8: byte 18, in line 2; save it as UTF-8"


def test_an_empty_file_a_column_that_stands_twice_and_a_mapping_that_is_no_object_are_refused() -> None:
    assert faults(b"", SMALL) == ["file"]
    assert faults(b"id,id,sum,day\n", SMALL) == ["mapping.transaction_id"]
    assert faults(b"id,sum,day\n", [1]) == ["mapping"]


def test_a_quote_that_never_closes_loses_no_row_before_it() -> None:
    rows = list(read(b'id,sum,day\nT1,1,2026-10-01\n"T2,1,2026-10-01\nT3,1,2026-10-01\n', SMALL))

    assert rows[0] == NetworkRow(2, "T1", None, 100, "EUR", None, date(2026, 10, 1))
    assert rows[1] == Rejected(3, "cannot be read as CSV: unexpected end of data")
    assert len(rows) == 2


def test_what_no_database_keeps_and_no_eye_sees_is_rejected() -> None:
    rows = list(read(b"id,sum,day\nT\x001,1,2026-10-01\n" + b"x" * 256 + b",1,2026-10-01\n", SMALL))

    assert rows == [
        Rejected(2, "its transaction id holds a control character"),
        Rejected(3, "its transaction id is longer than 255 characters"),
    ]


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_and_every_row_is_either_read_or_rejected(content: bytes) -> None:
    try:
        rows = list(read(b"id,sum,day\n" + content, SMALL))
    except Invalid:
        return

    assert all(isinstance(row, NetworkRow | Rejected) for row in rows)
