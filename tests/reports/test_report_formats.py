"""Networks' reports in formats other than CSV, and the known ones told by their columns."""

import io
import json
import zipfile
from datetime import date, datetime
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from reports import mapping_text, report_reading, report_sniffing
from reports.csv_report import NetworkRow, Rejected
from reports.report_styles import catalogue
from tests.reports.test_csv_report import SMALL

# One object each as the vendors' API documents show it; no exported file by them could be had.
EVERFLOW = {
    "conversions": [
        {
            "conversion_id": "5f1", "transaction_id": "click-9", "conversion_unix_timestamp": 1790985600,
            "status": "approved", "payout": 12.5, "revenue": 20, "sale_amount": 100.1, "currency_id": "USD",
            "sub1": "c1",
        }
    ]
}  # fmt: skip
AWIN = [
    {
        "id": 259630312, "commissionStatus": "pending", "commissionAmount": {"amount": 5.59, "currency": "GBP"},
        "saleAmount": {"amount": 55.96, "currency": "GBP"}, "clickRefs": {"clickRef": "c1"},
        "transactionDate": "2026-10-02T12:04:00", "orderRef": "11111",
    }
]  # fmt: skip
CJ = {
    "data": {
        "publisherCommissions": {
            "count": 1,
            "records": [
                {
                    "commissionId": "27", "actionStatus": "new", "pubCommissionAmountUsd": "7.61", "shopperId": "c1",
                    "eventDate": "2026-10-02T08:00:00Z",
                }
            ],
        }
    }
}  # fmt: skip
IMPACT = {
    "@page": "1",
    "Actions": [
        {
            "Id": "1000.4636.158133", "State": "PENDING", "Payout": "3.00", "Currency": "EUR", "SubId1": "c1",
            "EventDate": "2026-10-02T12:00:00+02:00",
        }
    ],
}  # fmt: skip
TUNE = {
    "response": {
        "data": {
            "page": 1,
            "data": [
                {
                    "Stat": {
                        "ad_id": "102b", "id": "7", "payout": "1.20", "currency": "USD", "affiliate_info1": "c1",
                        "conversion_status": "approved", "datetime": "2026-10-02 10:00:00",
                    }
                }
            ],
        }
    }
}  # fmt: skip
RAKUTEN = [
    {
        "etransaction_id": "e1", "order_id": "o1", "u1": "c1", "commissions": -0.5, "currency": "USD",
        "transaction_date": "Fri Oct 02 2026 02:18:36 GMT+0000 (UTC)",
    }
]  # fmt: skip


def read(content: bytes, mapping: object) -> list[NetworkRow | Rejected]:
    return list(report_reading.read(io.BytesIO(content), mapping))


def sheet(rows: list[list[Any]], *, title: str = "Report") -> bytes:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = title
    for row in rows:
        page.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("everflow", EVERFLOW, NetworkRow(1, "5f1", "c1", 1250, "USD", "approved", date(2026, 10, 3), None, "5f1")),
        ("awin", AWIN, NetworkRow(1, "259630312", "c1", 559, "GBP", "pending", date(2026, 10, 2), None, "259630312")),
        ("cj", CJ, NetworkRow(1, "27", "c1", 761, "USD", "new", date(2026, 10, 2), None, "27")),
        (
            "impact",
            IMPACT,
            NetworkRow(1, "1000.4636.158133", "c1", 300, "EUR", "PENDING", date(2026, 10, 2), None, "1000.4636.158133"),
        ),
        ("tune", TUNE, NetworkRow(1, "102b", "c1", 120, "USD", "approved", date(2026, 10, 2), None, "7")),
        ("rakuten", RAKUTEN, NetworkRow(1, "e1", "c1", -50, "USD", None, date(2026, 10, 2), "o1", "e1")),
    ],
)
def test_a_known_network_s_answer_fits_its_own_mapping_alone_and_is_read(
    name: str, answer: Any, expected: NetworkRow
) -> None:
    content = json.dumps(answer).encode()
    mappings = {each.name: each.mapping for each in catalogue().values()}

    assert report_sniffing.fitting(io.BytesIO(content), mappings) == [name]
    assert read(content, mappings[name]) == [expected]


def test_the_same_columns_as_csv_fit_too_whatever_the_delimiter() -> None:
    content = b"Id;State;Payout;Currency;SubId1;EventDate\n1;PENDING;3.00;EUR;c1;2026-10-02T12:00:00Z\n"
    mapping = report_sniffing.with_delimiter(io.BytesIO(content), catalogue()["impact"].mapping)

    assert report_sniffing.fitting(io.BytesIO(content), {"impact": catalogue()["impact"].mapping}) == ["impact"]
    assert read(content, mapping) == [NetworkRow(2, "1", "c1", 300, "EUR", "PENDING", date(2026, 10, 2), None, "1")]


def test_json_amounts_keep_their_digits_and_bad_rows_are_listed_by_their_number() -> None:
    rows = [
        {"id": "a", "sum": 0.1, "day": "2026-10-01"},
        {"id": "b", "sum": 12345678901234.56, "day": "2026-10-01"},
        {"id": "c", "sum": {"value": 1}, "day": "2026-10-01"},
        "no object",
        {"id": "d", "day": "2026-10-01"},
    ]
    content = json.dumps(rows).replace("12345678901234.56", "12345678901234.561").encode()

    read_rows = read(content, SMALL)

    assert read_rows[0] == NetworkRow(1, "a", None, 10, "EUR", None, date(2026, 10, 1))
    assert [(row.line, row.reason) for row in read_rows[1:] if isinstance(row, Rejected)] == [
        (2, "'12345678901234.561' has more decimals than EUR, which has 2"),
        (3, "its sum is no plain value"),
        (4, "is no JSON object"),
        (5, "'' is not an amount: digits with at most one point, such as 12.50"),
    ]


def test_lines_of_json_are_named_by_their_line_and_one_that_is_none_loses_no_other() -> None:
    content = b'{"id":"a","sum":"1","day":"2026-10-01"}\n\n{"id":\n{"id":"b","sum":2,"day":"2026-10-01"}\n'

    assert [(row.line, type(row)) for row in read(content, {**SMALL, "format": "jsonl"})] == [
        (1, NetworkRow), (3, Rejected), (4, NetworkRow),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"rows": 1}', "no list of rows"),
        (b'[{"id":"a","sum":"1","day":"2026-10-01"}', "breaks off"),
        (b"[" * 100_000, "nested too deeply"),
        (b'["' + b"x" * (2 << 20), "more than"),
        (b"[]", "no rows"),
    ],
)
def test_json_that_is_none_is_refused_in_words(content: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        read(content, SMALL)


def test_a_sheet_is_read_by_its_name_from_below_its_titles_with_excel_s_own_dates_and_numbers() -> None:
    content = sheet(
        [
            ["Report of October"],
            [],
            ["id", "sum", "day"],
            ["a", 12.5, datetime(2026, 10, 1, 9, 30)],  # noqa: DTZ001 - Excel knows no zone
            ["b", 0.1 + 0.2, "2026-10-02"],
            ["=1+1", "x", None],
            ["Total", 12.8, None],
        ],
        title="Oct",
    )
    mapping = {**SMALL, "sheet": "Oct", "skip": {"head": 2, "foot": 1}}

    rows = read(content, mapping)

    assert rows[:2] == [
        NetworkRow(4, "a", None, 1250, "EUR", None, date(2026, 10, 1)),
        NetworkRow(5, "b", None, 30, "EUR", None, date(2026, 10, 2)),
    ]
    assert [(row.line, type(row)) for row in rows[2:]] == [(6, Rejected)]


def test_a_sheet_that_is_not_there_a_bomb_and_what_is_no_workbook_are_refused() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", b"\0" * (60 << 20))

    for content, mapping, reason in (
        (sheet([["id", "sum", "day"]]), {**SMALL, "sheet": "None"}, "names no sheet"),
        (bomb.getvalue(), SMALL, "unpack"),
        (b"PK\x03\x04 no zip", SMALL, "workbook"),
    ):
        with pytest.raises(Invalid, match=reason):
            read(content, mapping)


def test_several_columns_make_one_key_and_thousands_and_signs_are_taken_as_said() -> None:
    content = b'order,item,sum,day\nO1,2,"1.234,50",2026-10-01\nO2,,"1.23,50",2026-10-01\n'
    mapping = {
        **SMALL,
        "transaction_id": {"columns": ["order", "item"], "join": "-"},
        "decimal": ",",
        "thousands": ".",
        "negate": True,
    }

    first, second = read(content, mapping)

    assert first == NetworkRow(2, "O1-2", None, -123450, "EUR", None, date(2026, 10, 1))
    assert isinstance(second, Rejected)


def test_what_the_names_of_columns_suggest_leaves_out_what_is_not_clear() -> None:
    header = ["Transaction ID", "Commission", "Currency", "Date", "Sub ID"]
    clear = [{"Transaction ID": "T", "Commission": "1", "Currency": "EUR", "Date": "31/10/2026", "Sub ID": "c"}]
    unclear = [{**clear[0], "Date": "03/04/2026", "Currency": "Euro"}]

    assert report_sniffing.suggested(header, clear) == {
        "transaction_id": "Transaction ID", "amount": "Commission", "currency": "Currency", "click_id": "Sub ID",
        "occurred_on": {"column": "Date", "format": "%d/%m/%Y", "timezone": "UTC"},
    }  # fmt: skip
    assert report_sniffing.suggested(header, unclear) == {
        "transaction_id": "Transaction ID", "amount": "Commission", "click_id": "Sub ID",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2", "'a' stands twice"),
        ("a: &x [1]\nb: *x", "an anchor is used"),
        ("- a", "takes an object"),
        ("a: [", "is no YAML or JSON"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: !!python/object:os.system x", "is no YAML or JSON"),
    ],
)
def test_a_mapping_that_cannot_be_read_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        mapping_text.read(text)


_PRINTABLE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=20)


@given(st.dictionaries(_PRINTABLE, _PRINTABLE | st.booleans() | st.integers(), max_size=5))
def test_what_is_written_as_yaml_is_read_back(mapping: dict[str, Any]) -> None:
    assert mapping_text.read(mapping_text.written(mapping)) == mapping


@given(st.binary(max_size=300), st.sampled_from(["json", "jsonl", "xlsx", "tsv"]))
def test_no_bytes_break_a_reader(content: bytes, form: str) -> None:
    try:
        rows = read(content, {**SMALL, "format": form})
    except Invalid:
        return

    assert all(isinstance(row, NetworkRow | Rejected) for row in rows)
