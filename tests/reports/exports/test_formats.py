"""One table in every form, read back by programs that are not ours; and any text in any cell."""

import csv
import io
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from core.errors import Invalid
from core.files import whole
from reports.exports import producing, texts, xlsx
from reports.exports.formats import FORMATS, into_file
from reports.exports.tables import Column, Kind, Row, Table

COLUMNS = (
    Column("name", "Name"),
    Column("on", "On", Kind.DATE),
    Column("at", "At", Kind.MOMENT),
    Column("lines", "Lines", Kind.COUNT),
    Column("amount", "Amount", Kind.MONEY),
    Column("currency", "Currency"),
    Column("rate", "Rate", Kind.PERCENT),
)
DAY, MOMENT = date(2026, 10, 31), datetime(2026, 10, 31, 9, 30, 15, tzinfo=UTC)
ROWS: list[Row] = [
    ('=HYPERLINK("http://x")', DAY, MOMENT, 3, 123456, "EUR", 9833),
    ("Żółw & Söhne, Ελλάδα", None, None, None, -5, "EUR", None),
    ("-1+1", DAY, MOMENT, 1, 1250, "JPY", 0),
    ("@SUM(A1)", DAY, None, 2, 1, "KWD", 10000),
    ("nothing told", None, None, 0, None, None, None),
    ("beyond a double", None, None, 0, 10**15 + 1, "EUR", None),
]


def made(rows: list[Row] | Iterator[Row] | None = None) -> Table:
    return Table("tried", "What was tried", COLUMNS, ROWS if rows is None else rows, {"period": "2026-10"})


def write(form: str, path: Path, table: Table | None = None) -> Path:
    FORMATS[form].write(table or made(), path)
    return path


def test_csv_is_read_back_by_the_csv_module(tmp_path: Path) -> None:
    with write("csv", tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)

    assert header == ["name", "on", "at", "lines", "amount", "currency", "rate"]
    assert rows == [
        ['\'=HYPERLINK("http://x")', "2026-10-31", "2026-10-31T09:30:15Z", "3", "1234.56", "EUR", "98.33"],
        ["Żółw & Söhne, Ελλάδα", "", "", "", "-0.05", "EUR", ""],
        ["'-1+1", "2026-10-31", "2026-10-31T09:30:15Z", "1", "1250", "JPY", "0.00"],
        ["'@SUM(A1)", "2026-10-31", "", "2", "0.001", "KWD", "100.00"],
        ["nothing told", "", "", "0", "", "", ""],
        ["beyond a double", "", "", "0", "10000000000000.01", "EUR", ""],
    ]


def test_json_says_what_it_is_and_what_it_comes_to(tmp_path: Path) -> None:
    found = json.loads(write("json", tmp_path / "t.json").read_bytes())

    assert (found["report"], found["filters"], found["columns"][4]) == (
        "tried",
        {"period": "2026-10"},
        {"name": "amount", "title": "Amount", "kind": "money"},
    )
    assert found["rows"][0] == {
        "name": '=HYPERLINK("http://x")', "on": "2026-10-31", "at": "2026-10-31T09:30:15Z", "lines": 3,
        "amount": {"amount": "1234.56", "currency": "EUR"}, "currency": "EUR", "rate": "98.33",
    }  # fmt: skip
    assert found["rows"][4]["amount"] is None
    assert found["totals"][2] == {
        "currency": "JPY", "rows": 1, "sums": {"lines": 1, "amount": {"amount": "1250", "currency": "JPY"}},
    }  # fmt: skip
    assert json.loads(b"".join(texts.as_json(made([]))))["rows"] == []


def test_xlsx_has_numbers_with_their_decimals_a_header_that_stays_and_no_formula(tmp_path: Path) -> None:
    first, again = write("xlsx", tmp_path / "t.xlsx"), write("xlsx", tmp_path / "u.xlsx")

    book = openpyxl.load_workbook(first)
    sheet, about = book["Rows"], book["About"]
    assert [cell.value for cell in sheet[1]] == ["Name", "On", "At (UTC)", "Lines", "Amount", "Currency", "Rate"]
    assert (sheet.freeze_panes, sheet.max_row) == ("A2", 7)
    assert [(cell.value, cell.number_format) for cell in sheet["E"][1:5]] == [
        (1234.56, "#,##0.00"),
        (-0.05, "#,##0.00"),
        (1250, "#,##0"),
        (0.001, "#,##0.000"),
    ]
    # A double has no such number: as text it is whole.
    assert sheet["E7"].value == "10000000000000.01"
    assert (sheet["B2"].value, sheet["C2"].value) == (datetime(2026, 10, 31), datetime(2026, 10, 31, 9, 30, 15))  # noqa: DTZ001
    assert [cell.value for cell in sheet["A"][1:5]] == [
        "'=HYPERLINK(\"http://x\")", "Żółw & Söhne, Ελλάδα", "'-1+1", "'@SUM(A1)",
    ]  # fmt: skip
    cells = [cell for page in book for line in page.iter_rows() for cell in line]
    assert {cell.data_type for cell in cells} <= {"s", "n", "d", "inlineStr"}
    said = [[cell.value for cell in line] for line in about.iter_rows()]
    assert said[:3] == [["Report", "What was tried", None], ["period", "2026-10", None], ["Rows", "6", None]]
    assert ["JPY", 1, 1250] in said
    assert first.read_bytes() == again.read_bytes()


def test_what_does_not_fit_into_a_sheet_goes_on_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "SHEET_ROWS_MAX", 4)

    book = openpyxl.load_workbook(write("xlsx", tmp_path / "t.xlsx"))

    assert book.sheetnames == ["Rows", "Rows 2", "About"]
    assert [len(list(book[name].iter_rows())) for name in ("Rows", "Rows 2")] == [5, 3]
    assert [cell.value for cell in book["Rows 2"]["A"]] == ["Name", "nothing told", "beyond a double"]


def test_pdf_repeats_its_header_numbers_its_pages_and_ends_with_totals(tmp_path: Path) -> None:
    rows: list[Row] = [(f"Row {number}", DAY, MOMENT, 1, 150, "EUR", 5) for number in range(120)]
    rows[7] = ("A very long name that is cut rather than printed over the figures " * 9, DAY, MOMENT, 1, 150, "EUR", 5)

    first, again = (write("pdf", tmp_path / name, made(iter(rows))) for name in ("t.pdf", "u.pdf"))

    pages = [page.extract_text() for page in pypdf.PdfReader(first).pages]
    assert len(pages) == 3
    assert pages[0].startswith("What was tried")
    assert "period 2026-10" in pages[0]
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of 3" in page
        assert "Amount" in page
    assert "Row 119" in pages[2]
    assert re.search(r"Total EUR\s+120\s+180\.00\s+120 rows", pages[2])
    assert first.read_bytes() == again.read_bytes()
    # Letters beyond Latin bring their own font.
    greek = pypdf.PdfReader(write("pdf", tmp_path / "g.pdf")).pages[0].extract_text()
    assert "Żółw & Söhne, Ελλάδα" in greek
    assert "Page 1 of 1" in greek


def test_parquet_keeps_every_digit_and_every_kind(tmp_path: Path) -> None:
    found = pyarrow.parquet.read_table(write("parquet", tmp_path / "t.parquet"))

    assert [str(field.type) for field in found.schema] == [
        "string", "date32[day]", "timestamp[us, tz=UTC]", "int64", "decimal128(24, 4)", "string", "decimal128(7, 2)",
    ]  # fmt: skip
    columns: dict[str, list[Any]] = found.to_pydict()
    assert columns["amount"] == [
        Decimal("1234.5600"), Decimal("-0.0500"), Decimal("1250.0000"), Decimal("0.0010"), None,
        Decimal("10000000000000.0100"),
    ]  # fmt: skip
    assert (columns["on"][0], columns["at"][0], columns["rate"][0]) == (DAY, MOMENT, Decimal("98.33"))
    assert found.schema.metadata[b"clickledger.period"] == b"2026-10"


def test_parquet_without_its_extra_is_refused_and_the_extra_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(Invalid) as caught:
        producing.wanted("payouts", "parquet", {"period": "October"})

    assert [fault.field for fault in caught.value.faults] == ["format", "filters.period"]
    assert caught.value.faults[0].reason == (
        "needs the extra `parquet`, which is not installed here: pip install 'clickledger[parquet]'"
    )


@settings(max_examples=60)
@given(st.lists(st.text(), min_size=1, max_size=20))
def test_any_text_survives_csv_and_xlsx_but_for_the_mark_that_neutralises(cells: list[str]) -> None:
    rows: list[Row] = [(cell,) for cell in cells]
    table = Table("any", "Any", (Column("text", "Text"),), rows)

    read = [row[0] for row in csv.reader(io.StringIO(b"".join(texts.as_csv(table)).decode(), newline=""))][1:]
    with tempfile.TemporaryDirectory() as folder:
        sheet = _sheet_texts(write("xlsx", Path(folder) / "any.xlsx", table), len(cells))

    assert [_unmarked(text, cell) for text, cell in zip(read, cells, strict=True)] == cells
    # XML has no U+FFFE and no U+FFFF, and an empty cell is none.
    kept = [cell.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd") for cell in cells]
    assert [_unmarked(text, cell) for text, cell in zip(sheet, kept, strict=True)] == kept
    dangerous = ("=", "+", "@", "\t", "\r")
    assert not any(text.startswith(dangerous) for text in (*read, *sheet))


def _unmarked(text: str, cell: str) -> str:
    return text[1:] if text != cell and text.startswith("'") else text


def _sheet_texts(path: Path, count: int) -> list[str]:
    """Return `count` texts of column A below the header, as a spreadsheet decodes them (ECMA-376, ST_Xstring)."""
    with zipfile.ZipFile(path) as book:
        root = etree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    found: dict[int, str] = {}
    for cell in root.iter("{*}c"):
        text = "".join(str(each.text or "") for each in cell.iter("{*}t"))
        found[int(str(cell.get("r"))[1:])] = re.sub(
            "_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match.group(1), 16)), text
        )
    return [found.get(number, "") for number in range(2, count + 2)]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "exports" / "file.csv"

    def half(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt

    size_bytes, sha256 = whole(path, lambda temporary: into_file(iter([b"fi", b"rst"]), temporary))
    with pytest.raises(KeyboardInterrupt):
        whole(path, half)

    assert (size_bytes, sha256[:8], path.read_bytes()) == (5, "a7937b64", b"first")
    assert [each.name for each in path.parent.iterdir()] == ["file.csv"]
    assert path.stat().st_mode & 0o077 == 0
